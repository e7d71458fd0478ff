//! The name of a ring.

use crate::partition::{PARTITIONS_MAX, PartitionId};
use serde::{Deserialize, Serialize};
use std::fmt;

/// One ring of the cluster: the shared ring or a partition's. The log stores the number, so it never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RingId(pub u16);

impl RingId {
    /// The ring that orders commands of several partitions.
    pub const SHARED: RingId = RingId(PARTITIONS_MAX);
    /// Not a ring: what the node itself keeps in its log.
    pub const NODE: RingId = RingId(PARTITIONS_MAX + 1);

    /// The ring of one partition.
    pub fn of(partition: PartitionId) -> RingId {
        RingId(partition.0)
    }
}

impl fmt::Display for RingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            RingId::SHARED => write!(f, "shared"),
            RingId::NODE => write!(f, "node"),
            RingId(partition) => write!(f, "{}", PartitionId(partition)),
        }
    }
}
