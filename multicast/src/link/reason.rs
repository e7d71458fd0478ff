//! Why a connection is refused.

use super::identity::Incarnation;
use crate::NodeId;
use crate::fixed::FixedKey;
use bytes::{Buf, BufMut, BytesMut};
use thiserror::Error;

/// The code of [`Reason::Fixed`], behind which a key stands.
const FIXED: u8 = 14;

/// Why one end will not have a connection. It travels to the other end, so each sentence is true for both.
///
/// The form on the wire, a code, one number and for some a name, is the same in every version: an end of another version must
/// be able to read why it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Reason {
    /// What came is not this protocol, or not in its order.
    #[error("what came is not understood")]
    Malformed,
    /// A frame is longer than the cap, given in bytes.
    #[error("a frame is longer than {0} bytes")]
    TooLong(u64),
    /// A frame's checksum is wrong.
    #[error("a frame was damaged on its way")]
    Corrupt,
    /// The refuser speaks this version of the protocol.
    #[error("the protocol versions differ: the refusing node speaks {0}")]
    Version(u16),
    /// The clusters' names differ.
    #[error("the nodes are of different clusters")]
    Cluster,
    /// The refuser's cluster file has this many partitions.
    #[error("the numbers of partitions differ: the refusing node has {0}")]
    Partitions(u16),
    /// A node was led to itself.
    #[error("a node reached itself")]
    Myself,
    /// This node was reached, and another was meant.
    #[error("another node than the one meant was reached: {0}")]
    WrongNode(NodeId),
    /// The refuser's cluster file does not have the node.
    #[error("the node is not in the refusing node's cluster file")]
    UnknownNode,
    /// The node with the greater id has dialled.
    #[error("the node with the smaller id dials, not this one")]
    NotDialler,
    /// The refuser has met a later start of the node, this one.
    #[error(
        "the node was replaced by its start number {0}: an older process of it still runs, or its data directory is an older \
         copy, and then bring back the newest one, without which the node may not vote"
    )]
    Replaced(Incarnation),
    /// The refuser has met the node with another disk.
    #[error("the node has lost its disk, and with it its promises")]
    Amnesiac,
    /// This start of the node was met, by the refuser or by a node that has told it, and the node's directory does not go back
    /// to it, or not as far as the node itself had said.
    #[error(
        "the node's data directory is not the newest: it lacks what it held in its start number {0}, so it is an older copy or a \
         volume that was rolled back; bring back the newest one, without which the node may not vote"
    )]
    RolledBack(Incarnation),
    /// A newer connection of the same channel is up.
    #[error("a newer connection has taken this one's place")]
    Superseded,
    /// A value that is fixed for the life of the cluster, of this key, differs.
    #[error(
        "the nodes differ in {0}, which is fixed for the life of a cluster: correct it in the cluster file that was changed"
    )]
    Fixed(FixedKey),
    /// A reason that this version does not know, by its code.
    #[error("reason {0} of a later version")]
    Other(u8),
}

impl Reason {
    /// Whether it will not pass by itself, so that the other end is tried again only slowly.
    pub fn lasts(self) -> bool {
        !matches!(self, Reason::Corrupt | Reason::Superseded)
    }

    /// Whether the refused node's directory is not the one that its peers have met: it has forgotten promises.
    pub fn is_of_directory(self) -> bool {
        matches!(self, Reason::Amnesiac | Reason::Replaced(_) | Reason::RolledBack(_))
    }

    pub(super) fn encode(self, out: &mut BytesMut) {
        let (code, number) = self.parts();
        out.put_u8(code);
        out.put_u64_le(number);
        if let Reason::Fixed(key) = self {
            out.put_slice(key.name().as_bytes());
        }
    }

    /// Reads a reason; a later version may append to it.
    pub(super) fn decode(mut body: &[u8]) -> Result<Reason, Reason> {
        let code = body.try_get_u8().map_err(|_| Reason::Malformed)?;
        let number = body.try_get_u64_le().map_err(|_| Reason::Malformed)?;
        let key = FixedKey::from_bytes(body);
        Ok(key.filter(|_| code == FIXED).map_or(Reason::from_parts(code, number), Reason::Fixed))
    }

    fn parts(self) -> (u8, u64) {
        match self {
            Reason::Malformed => (1, 0),
            Reason::TooLong(bytes) => (2, bytes),
            Reason::Corrupt => (3, 0),
            Reason::Version(version) => (4, version.into()),
            Reason::Cluster => (5, 0),
            Reason::Partitions(count) => (6, count.into()),
            Reason::Myself => (7, 0),
            Reason::WrongNode(node) => (8, node.0.into()),
            Reason::UnknownNode => (9, 0),
            Reason::NotDialler => (10, 0),
            Reason::Replaced(incarnation) => (11, incarnation.0),
            Reason::Amnesiac => (12, 0),
            Reason::Superseded => (13, 0),
            Reason::Fixed(_) => (FIXED, 0),
            Reason::RolledBack(incarnation) => (15, incarnation.0),
            Reason::Other(code) => (code, 0),
        }
    }

    fn from_parts(code: u8, number: u64) -> Reason {
        match code {
            1 => Reason::Malformed,
            2 => Reason::TooLong(number),
            3 => Reason::Corrupt,
            4 => Reason::Version(number as u16),
            5 => Reason::Cluster,
            6 => Reason::Partitions(number as u16),
            7 => Reason::Myself,
            8 => Reason::WrongNode(NodeId(number as u16)),
            9 => Reason::UnknownNode,
            10 => Reason::NotDialler,
            11 => Reason::Replaced(Incarnation(number)),
            12 => Reason::Amnesiac,
            13 => Reason::Superseded,
            15 => Reason::RolledBack(Incarnation(number)),
            other => Reason::Other(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_comes_back_as_itself() {
        for code in 0..=u8::MAX {
            let mut bytes = BytesMut::new();
            let reason = Reason::from_parts(code, 7);
            assert_eq!(reason.parts().0, code);
            reason.encode(&mut bytes);
            assert_eq!(Reason::decode(&bytes), Ok(reason));
            assert_eq!(Reason::decode(&bytes[..8]), Err(Reason::Malformed));
        }
    }

    #[test]
    fn a_key_that_differs_is_named_to_the_other_end() {
        let reason = Reason::Fixed(FixedKey::new("placement.depth"));
        let mut bytes = BytesMut::new();
        reason.encode(&mut bytes);
        assert_eq!(bytes.as_ref(), [&[14, 0, 0, 0, 0, 0, 0, 0, 0][..], b"placement.depth"].concat());
        assert_eq!(Reason::decode(&bytes), Ok(reason));
    }
}
