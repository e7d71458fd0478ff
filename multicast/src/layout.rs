//! The layout: which nodes there are and who is a member of which ring. It is static, and the same at every node.

use crate::{NodeId, PARTITIONS_MAX, PartitionId, RingId};

/// A cluster as one of its nodes sees it. Every node is a member of every ring.
///
/// Invariants: `nodes` ascends, holds `me`, and there are 1 to [`PARTITIONS_MAX`] partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    me: NodeId,
    nodes: Vec<NodeId>,
    partitions: u16,
}

impl Layout {
    /// The layout of these nodes, seen from `me`. Panics if `me` is none of them, or there are too many partitions.
    pub fn new(me: NodeId, mut nodes: Vec<NodeId>, partitions: u16) -> Layout {
        nodes.sort();
        nodes.dedup();
        assert!(nodes.contains(&me), "{me} is not a node of the cluster");
        assert!(
            (1..=PARTITIONS_MAX).contains(&partitions),
            "1 to {PARTITIONS_MAX} partitions, not {partitions}"
        );
        Layout { me, nodes, partitions }
    }

    /// This node.
    pub fn me(&self) -> NodeId {
        self.me
    }

    /// All nodes, in order.
    pub fn nodes(&self) -> &[NodeId] {
        &self.nodes
    }

    /// How many partitions there are.
    pub fn partitions(&self) -> u16 {
        self.partitions
    }

    /// Every ring: the partitions', then the shared one.
    pub fn rings(&self) -> impl Iterator<Item = RingId> {
        PartitionId::all(self.partitions).map(RingId::of).chain([RingId::SHARED])
    }

    /// Who leads a ring where it can. Partitions go round the nodes; the shared ring goes to whoever comes next, which has
    /// the fewest.
    pub fn preferred(&self, ring: RingId) -> NodeId {
        let turn = if ring == RingId::SHARED { self.partitions } else { ring.0 };
        self.nodes[usize::from(turn) % self.nodes.len()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaders_are_spread_over_the_nodes() {
        let nodes: Vec<NodeId> = [3, 1, 2].map(NodeId).to_vec();
        let layout = Layout::new(NodeId(2), nodes, 2);
        let leaders: Vec<u16> = layout.rings().map(|ring| layout.preferred(ring).0).collect();
        assert_eq!(leaders, [1, 2, 3]);
    }
}
