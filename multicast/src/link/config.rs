//! What a node's links are told at the start.

use super::channel::Channel;
use super::frame::FRAME_HEADER_BYTES;
use super::hello::{CLUSTER_BYTES_MAX, Hello};
use super::identity::Identity;
use super::limits::LinkLimits;
use super::reason::Reason;
use crate::NodeId;
use crate::fixed::{Fixed, difference};
use std::collections::BTreeMap;

/// Who this node is, and whom it is linked to.
#[derive(Clone, Debug)]
pub struct LinkConfig {
    /// This node.
    pub me: NodeId,
    /// This start of it. The number of starts has risen, durably, since the last one.
    pub identity: Identity,
    /// The cluster's name, at most [`CLUSTER_BYTES_MAX`] bytes.
    pub cluster: String,
    /// How many partitions the cluster has.
    pub partitions: u16,
    /// What else is fixed for the life of the cluster.
    pub fixed: Fixed,
    /// Every other node, with what [`Met`](super::LinkEvent::Met) told of it last, if that was kept.
    pub peers: BTreeMap<NodeId, Option<Identity>>,
    /// What may be held.
    pub limits: LinkLimits,
    /// From which the waits between dials are drawn.
    pub seed: u64,
}

impl LinkConfig {
    pub(super) fn check(&self) {
        assert!(self.cluster.len() <= CLUSTER_BYTES_MAX, "a cluster's name is short");
        assert!(!self.peers.contains_key(&self.me), "a node is not its own peer");
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
