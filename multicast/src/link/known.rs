//! A `Known` frame: the starts of other nodes that its sender knows.

use super::identity::{Identity, Incarnation, Met, Nonce, StartNonce};
use crate::NodeId;
use crate::log::LogPosition;
use bytes::{Buf, BufMut};

/// The form of what is told: nothing but one start after the other.
pub(super) fn encode(known: impl Iterator<Item = (NodeId, Met)>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (node, Met { identity, start, vouched }) in known {
        bytes.put_u16_le(node.0);
        bytes.put_u64_le(identity.incarnation.0);
        bytes.put_slice(&identity.nonce.0);
        bytes.put_u64_le(start.0);
        bytes.put_u64_le(vouched.0);
    }
    bytes
}

/// Reads what [`encode`] has made. `None` if the bytes are something else.
pub(super) fn decode(mut body: &[u8]) -> Option<Vec<(NodeId, Met)>> {
    let mut known = Vec::new();
    while !body.is_empty() {
        let node = NodeId(body.try_get_u16_le().ok()?);
        let incarnation = Incarnation(body.try_get_u64_le().ok()?);
        let mut nonce = Nonce([0; 16]);
        body.try_copy_to_slice(&mut nonce.0).ok()?;
        let start = StartNonce(body.try_get_u64_le().ok()?);
        let vouched = LogPosition(body.try_get_u64_le().ok()?);
        known.push((node, Met { identity: Identity { incarnation, nonce }, start, vouched }));
    }
    Some(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_fixed() {
        let identity = Identity { incarnation: Incarnation(3), nonce: Nonce([0xab; 16]) };
        let met = Met { identity, start: StartNonce(4), vouched: LogPosition(0x0506) };
        let bytes = encode([(NodeId(0x0102), met)].into_iter());
        let expected = [
            &[2, 1, 3, 0, 0, 0, 0, 0, 0, 0][..],
            &[0xab; 16],
            &[4, 0, 0, 0, 0, 0, 0, 0],
            &[6, 5, 0, 0, 0, 0, 0, 0],
        ];
        assert_eq!(bytes, expected.concat());
        assert_eq!(decode(&bytes), Some(vec![(NodeId(0x0102), met)]));
        assert_eq!(decode(&bytes[..41]), None);
    }
}
