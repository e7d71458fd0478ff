//! Sessions, as partitions know them.

use eyrie::{Destinations, Epoch, PartitionId};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A session's id, as clients hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionId(pub u64);

impl SessionId {
    /// The `count`-th id that a node gives in an incarnation: none is ever given twice. Of the node one byte counts, and a
    /// cluster file has no other ids.
    pub fn made(node: u16, incarnation: Epoch, count: u32) -> SessionId {
        SessionId((u64::from(node) << 56) | (u64::from(incarnation & 0xff_ffff) << 32) | u64::from(count))
    }

    /// The partition that keeps the session's record: its *home*.
    pub fn home(self, partitions: u16) -> PartitionId {
        let mixed = self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        PartitionId((mixed % u64::from(partitions)) as u16)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// What a client must show to take up its session again.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Password(pub [u8; 16]);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// A session's record, kept at its home.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SessionRecord {
    /// How often it has moved; what an earlier epoch sent is void.
    pub epoch: Epoch,
    /// The negotiated timeout.
    pub timeout_ms: u32,
    /// The password.
    pub password: Password,
    /// Where the session may write. Its home always is among them.
    pub attached: Destinations,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::NODE_ID_MAX;
    use std::collections::BTreeSet;

    #[test]
    fn no_two_nodes_of_a_cluster_file_give_the_same_id() {
        let ids: BTreeSet<SessionId> = (0..=NODE_ID_MAX).map(|node| SessionId::made(node, 1, 1)).collect();
        assert_eq!(ids.len(), usize::from(NODE_ID_MAX) + 1);
        assert_eq!(SessionId::made(2, 0x0100_0003, 4), SessionId(0x0200_0003_0000_0004));
    }
}
