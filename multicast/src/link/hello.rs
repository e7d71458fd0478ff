//! The hello, with which both ends of a connection introduce themselves.

use super::channel::Channel;
use super::connection_epoch::ConnectionEpoch;
use super::identity::{Identity, Incarnation, Nonce};
use super::reason::Reason;
use crate::NodeId;
use crate::fixed::{FIXED_KEYS_MAX, FixedKey};
use bytes::{Buf, BufMut, BytesMut, TryGetError};

/// The version of everything that the links send.
pub const PROTOCOL_VERSION: u16 = 4;
/// The longest name of a cluster, in bytes.
pub const CLUSTER_BYTES_MAX: usize = 128;

const MAGIC: [u8; 4] = *b"vlnk";
/// The most bytes a frame may carry before its sender is known.
pub(super) const HELLO_BYTES_MAX: usize = 512;

/// What a node says first. Who dials proposes the channel and the epoch; who answers repeats them.
///
/// Magic and version come first in every version of the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hello {
    pub cluster: String,
    /// How many partitions the cluster has.
    pub partitions: u16,
    /// The node that speaks.
    pub from: NodeId,
    /// The node it means to reach.
    pub to: NodeId,
    pub identity: Identity,
    pub channel: Channel,
    pub epoch: ConnectionEpoch,
    /// Digests of what is fixed for the life of the cluster.
    pub fixed: Vec<(FixedKey, u32)>,
}

impl Hello {
    pub fn encode(&self, out: &mut BytesMut) {
        assert!(self.cluster.len() <= CLUSTER_BYTES_MAX, "a cluster's name is short");
        out.put_slice(&MAGIC);
        out.put_u16_le(PROTOCOL_VERSION);
        out.put_u16_le(self.from.0);
        out.put_u16_le(self.to.0);
        out.put_u16_le(self.partitions);
        out.put_u8(self.channel as u8);
        out.put_u64_le(self.identity.incarnation.0);
        out.put_slice(&self.identity.nonce.0);
        out.put_u64_le(self.epoch.incarnation.0);
        out.put_u64_le(self.epoch.dial);
        out.put_u8(self.cluster.len() as u8);
        out.put_slice(self.cluster.as_bytes());
        out.put_u8(self.fixed.len() as u8);
        for (key, digest) in &self.fixed {
            out.put_u8(key.name().len() as u8);
            out.put_slice(key.name().as_bytes());
            out.put_u32_le(*digest);
        }
    }

    /// Reads a hello, or tells why its sender is refused.
    pub fn decode(mut body: &[u8]) -> Result<Hello, Reason> {
        match prefix(&mut body).map_err(|_| Reason::Malformed)? {
            (MAGIC, PROTOCOL_VERSION) => {}
            (MAGIC, _) => return Err(Reason::Version(PROTOCOL_VERSION)),
            _ => return Err(Reason::Malformed),
        }
        let hello = fields(&mut body).ok().flatten().ok_or(Reason::Malformed)?;
        if body.is_empty() { Ok(hello) } else { Err(Reason::Malformed) }
    }
}

fn prefix(body: &mut &[u8]) -> Result<([u8; 4], u16), TryGetError> {
    let mut magic = [0; 4];
    body.try_copy_to_slice(&mut magic)?;
    Ok((magic, body.try_get_u16_le()?))
}

/// What follows the version; `None` if a channel, a name or a key is none.
fn fields(body: &mut &[u8]) -> Result<Option<Hello>, TryGetError> {
    let from = NodeId(body.try_get_u16_le()?);
    let to = NodeId(body.try_get_u16_le()?);
    let partitions = body.try_get_u16_le()?;
    let channel = Channel::from_code(body.try_get_u8()?);
    let identity = identity(body)?;
    let epoch =
        ConnectionEpoch { incarnation: Incarnation(body.try_get_u64_le()?), dial: body.try_get_u64_le()? };
    let mut cluster = vec![0; usize::from(body.try_get_u8()?)];
    body.try_copy_to_slice(&mut cluster)?;
    let fixed = fixed(body)?;
    let named = channel.zip(String::from_utf8(cluster).ok()).zip(fixed);
    Ok(named.map(|((channel, cluster), fixed)| Hello {
        cluster,
        partitions,
        from,
        to,
        identity,
        channel,
        epoch,
        fixed,
    }))
}

fn fixed(body: &mut &[u8]) -> Result<Option<Vec<(FixedKey, u32)>>, TryGetError> {
    let keys = usize::from(body.try_get_u8()?);
    if keys > FIXED_KEYS_MAX {
        return Ok(None);
    }
    let mut fixed = Vec::with_capacity(keys);
    for _ in 0..keys {
        let mut name = vec![0; usize::from(body.try_get_u8()?)];
        body.try_copy_to_slice(&mut name)?;
        let Some(key) = FixedKey::from_bytes(&name) else { return Ok(None) };
        fixed.push((key, body.try_get_u32_le()?));
    }
    Ok(Some(fixed))
}

fn identity(body: &mut &[u8]) -> Result<Identity, TryGetError> {
    let incarnation = Incarnation(body.try_get_u64_le()?);
    let mut nonce = Nonce([0; 16]);
    body.try_copy_to_slice(&mut nonce.0)?;
    Ok(Identity { incarnation, nonce })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixed::FIXED_KEY_BYTES_MAX;
    use proptest::prelude::*;

    fn hello() -> Hello {
        Hello {
            cluster: "birds".into(),
            partitions: 4,
            from: NodeId(1),
            to: NodeId(0x0203),
            identity: Identity { incarnation: Incarnation(9), nonce: Nonce([0xab; 16]) },
            channel: Channel::Exchange,
            epoch: ConnectionEpoch { incarnation: Incarnation(9), dial: 0x0102 },
            fixed: vec![(FixedKey::new("depth"), 0x0a0b)],
        }
    }

    fn bytes(hello: &Hello) -> BytesMut {
        let mut bytes = BytesMut::new();
        hello.encode(&mut bytes);
        bytes
    }

    #[test]
    fn the_bytes_are_fixed() {
        let hex: String = bytes(&hello()).iter().map(|byte| format!("{byte:02x}")).collect();
        let expected = "766c6e6b 0400 0100 0302 0400 02 0900000000000000 abababababababababababababababab \
                        0900000000000000 0201000000000000 05 6269726473 01 05 6465707468 0b0a0000";
        assert_eq!(hex, expected.replace(' ', ""));
    }

    #[test]
    fn another_version_is_told_from_another_protocol() {
        let mut later = bytes(&hello());
        later[4] = 9;
        later.truncate(8);
        assert_eq!(Hello::decode(&later), Err(Reason::Version(PROTOCOL_VERSION)));
        later[0] = b'x';
        assert_eq!(Hello::decode(&later), Err(Reason::Malformed));
    }

    #[test]
    fn a_hello_is_read_whole_or_not_at_all() {
        let mut whole = bytes(&hello());
        for length in 0..whole.len() {
            assert_eq!(Hello::decode(&whole[..length]), Err(Reason::Malformed), "{length} bytes");
        }
        assert_eq!(Hello::decode(&whole), Ok(hello()));
        whole.put_u8(0);
        assert_eq!(Hello::decode(&whole), Err(Reason::Malformed));
        let mut unknown = bytes(&hello());
        unknown[12] = 4;
        assert_eq!(Hello::decode(&unknown), Err(Reason::Malformed), "no such channel yet");
    }

    #[test]
    fn the_longest_hello_is_within_the_cap() {
        let key =
            |number: u8| FixedKey::new(&char::from(b'a' + number).to_string().repeat(FIXED_KEY_BYTES_MAX));
        let fixed = (0..FIXED_KEYS_MAX as u8).map(|number| (key(number), 1)).collect();
        let longest = Hello { cluster: "x".repeat(CLUSTER_BYTES_MAX), fixed, ..hello() };
        assert!(bytes(&longest).len() <= HELLO_BYTES_MAX);
        assert_eq!(Hello::decode(&bytes(&longest)), Ok(longest));
    }

    proptest! {
        #[test]
        fn foreign_bytes_are_a_reason_and_no_panic(tail in prop::collection::vec(any::<u8>(), 0..80), whole in any::<bool>()) {
            let mut body = if whole { vec![] } else { b"vlnk\x04\x00".to_vec() };
            body.extend(tail);
            let _ = Hello::decode(&body);
        }
    }
}
