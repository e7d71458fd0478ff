//! Status: a node as its operator sees it.

use crate::client::Epoch;
use crate::replica::ReplicaCounts;
use crate::stages::StageTimes;
use crate::turns::Turn;
use multicast::log::LogCounts;
use multicast::{MulticastCounts, PartitionId, Position, RingStatus};

/// The node as its operator sees it.
#[derive(Clone, Debug, Default)]
pub struct NodeStatus {
    /// Which node.
    pub node: u16,
    /// How often it has started.
    pub incarnation: Epoch,
    /// Its rings.
    pub rings: Vec<RingStatus>,
    /// Its replicas, by partition.
    pub replicas: Vec<ReplicaStatus>,
    /// What its multicast did.
    pub multicast: MulticastCounts,
    /// What its log did.
    pub log: LogCounts,
    /// Where the time of its commands goes, once there were any.
    pub stages: Option<StageTimes>,
    /// The longest turn of the last minute or two.
    pub longest_turn: Turn,
    /// Files and sockets that the process has open.
    pub open_files: u64,
}

/// One replica as an operator sees it.
#[derive(Clone, Copy, Debug)]
pub struct ReplicaStatus {
    /// Its partition.
    pub partition: PartitionId,
    /// Whether this node leads the partition's ring.
    pub leads: bool,
    /// The last place delivered.
    pub position: Position,
    /// The hash over all its writes.
    pub state_hash: u64,
    /// Clients known.
    pub clients: usize,
    /// What it did.
    pub counts: ReplicaCounts,
}
