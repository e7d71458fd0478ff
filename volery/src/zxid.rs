//! Zxids: the number of a change. eyrie's stamps under ZooKeeper's name.

use eyrie::{PartitionId, StampNumber};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The number of a change: rises along every znode and along every session. Zero is before everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Zxid(u64);

impl Zxid {
    /// Before every change.
    pub const ZERO: Zxid = Zxid(0);

    /// The zxid as the wire carries it.
    pub fn to_wire(self) -> i64 {
        self.0 as i64
    }

    /// The zxid that a client sent; what is negative was never ours and counts as zero.
    pub fn from_wire(zxid: i64) -> Zxid {
        Zxid(u64::try_from(zxid).unwrap_or(0))
    }

    /// The same as a stamp.
    pub fn stamp(self) -> StampNumber {
        StampNumber(self.0)
    }

    /// The last zxid before this one.
    pub fn before(self) -> Zxid {
        Zxid(self.0.saturating_sub(1))
    }

    /// The last zxid before the least of `partition` beyond this one.
    pub fn before_next_of(self, partition: PartitionId) -> Zxid {
        Zxid(self.above(partition).0 - 1)
    }

    /// The least zxid of `partition` beyond this one.
    pub fn above(self, partition: PartitionId) -> Zxid {
        self.stamp().above(partition).into()
    }
}

impl From<StampNumber> for Zxid {
    fn from(stamp: StampNumber) -> Zxid {
        Zxid(stamp.0)
    }
}

impl fmt::Display for Zxid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}
