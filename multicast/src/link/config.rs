//! What a node's links are told at the start.

use super::channel::Channel;
use super::frame::FRAME_HEADER_BYTES;
use super::hello::{CLUSTER_BYTES_MAX, Hello};
use super::identity::{Acquaintance, Identity};
use super::limits::LinkLimits;
use super::reason::Reason;
use super::starts::Starts;
use crate::NodeId;
use crate::fixed::{Fixed, difference};
use crate::log::LogPosition;
use std::collections::BTreeMap;

/// Who this node is, and whom it is linked to.
#[derive(Clone, Debug)]
pub struct LinkConfig {
    /// This node.
    pub me: NodeId,
    /// This start of it. The number of starts has risen, durably, since the last one.
    pub identity: Identity,
    /// All starts of this directory. The last is the one that runs, and is durable.
    pub starts: Starts,
    /// How far this node's log is durable.
    pub durable: LogPosition,
    /// The cluster's name, at most [`CLUSTER_BYTES_MAX`] bytes.
    pub cluster: String,
    /// How many partitions the cluster has.
    pub partitions: u16,
    /// What else is fixed for the life of the cluster.
    pub fixed: Fixed,
    /// Every other node, with what [`Links::acquaintance`](super::Links::acquaintance) told of it last, if that was kept.
    pub peers: BTreeMap<NodeId, Acquaintance>,
    /// What may be held.
    pub limits: LinkLimits,
    /// From which the waits between dials are drawn.
    pub seed: u64,
}

impl LinkConfig {
    pub(super) fn check(&self) {
        assert!(self.cluster.len() <= CLUSTER_BYTES_MAX, "a cluster's name is short");
        assert!(!self.peers.contains_key(&self.me), "a node is not its own peer");
        assert_eq!(
            self.starts.incarnation(),
            self.identity.incarnation,
            "the last start is the one that runs"
        );
        let frame_bytes = FRAME_HEADER_BYTES + self.limits.frame_bytes;
        for channel in Channel::ALL {
            let has_room = self.limits.outbox_bytes(channel) >= frame_bytes;
            assert!(has_room, "an outbox has room for the longest frame");
        }
    }

    /// Whether a hello is of this cluster and meant for this node. What concerns only its sender is judged elsewhere.
    pub(super) fn check_hello(&self, hello: &Hello) -> Result<(), Reason> {
        if hello.cluster != self.cluster {
            return Err(Reason::Cluster);
        }
        if hello.partitions != self.partitions {
            return Err(Reason::Partitions(self.partitions));
        }
        if hello.from == self.me {
            return Err(Reason::Myself);
        }
        if hello.to != self.me {
            return Err(Reason::WrongNode(self.me));
        }
        Ok(())
    }

    /// Whether the sender of a hello, a node of this cluster, has the same cluster in mind.
    pub(super) fn check_fixed(&self, hello: &Hello) -> Result<(), Reason> {
        difference(&self.fixed.digests(), &hello.fixed).map_or(Ok(()), |key| Err(Reason::Fixed(key)))
    }
}
