//! The layout: which nodes there are and who is a member of which ring. It is static, and the same at every node.

use crate::{NodeId, PARTITIONS_MAX, PartitionId, RingId};

/// How many members the shared ring has at least, where there are as many nodes. Else it has as many as a partition's ring:
/// it survives as many deaths, and more members would make every command of several partitions dearer.
const SHARED_MEMBERS_MIN: u16 = 3;

/// A cluster as one of its nodes sees it.
///
/// Invariants: `nodes` ascends and holds `me`; there are 1 to [`PARTITIONS_MAX`] partitions, and 1 to `nodes` replicas of
/// each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    me: NodeId,
    nodes: Vec<NodeId>,
    partitions: u16,
    replicas: u16,
}

impl Layout {
    /// The layout of these nodes, seen from `me`, with so many partitions and so many replicas of each. Panics if `me` is
    /// none of the nodes, or there are no or too many partitions or replicas.
    pub fn new(me: NodeId, mut nodes: Vec<NodeId>, partitions: u16, replicas: u16) -> Layout {
        nodes.sort();
        nodes.dedup();
        assert!(nodes.contains(&me), "{me} is not a node of the cluster");
        assert!(
            (1..=PARTITIONS_MAX).contains(&partitions),
            "1 to {PARTITIONS_MAX} partitions, not {partitions}"
        );
        assert!(
            (1..=nodes.len()).contains(&usize::from(replicas)),
            "1 to {} replicas on as many nodes, not {replicas}",
            nodes.len()
        );
        Layout { me, nodes, partitions, replicas }
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

    /// How many replicas each partition has.
    pub fn replicas(&self) -> u16 {
        self.replicas
    }

    /// Every ring: the partitions', then the shared one.
    pub fn rings(&self) -> impl Iterator<Item = RingId> {
        PartitionId::all(self.partitions).map(RingId::of).chain([RingId::SHARED])
    }

    /// The members of a ring, who leads it where it can first. A partition's follow its preferred leader round the nodes; the
    /// shared ring's are as many as a partition's, and at least three where there are three nodes: those that are the preferred
    /// leaders of the fewest partitions.
    pub fn members(&self, ring: RingId) -> Vec<NodeId> {
        if ring == RingId::SHARED {
            let mut nodes = self.nodes.clone();
            nodes.sort_by_key(|node| (self.led_by(*node), *node));
            nodes.truncate(self.replicas.max(SHARED_MEMBERS_MIN).into());
            return nodes;
        }
        let from = usize::from(ring.0) % self.nodes.len();
        self.nodes.iter().cycle().skip(from).take(usize::from(self.replicas)).copied().collect()
    }

    /// Who leads a ring where it can, one of its members. Partitions go round the nodes; the shared ring goes to whoever
    /// has the fewest.
    pub fn preferred(&self, ring: RingId) -> NodeId {
        if ring == RingId::SHARED {
            return self.members(ring)[0];
        }
        self.nodes[usize::from(ring.0) % self.nodes.len()]
    }

    /// Whether this node has a replica of the partition, and so is a member of its ring.
    pub fn hosts(&self, partition: PartitionId) -> bool {
        self.members(RingId::of(partition)).contains(&self.me)
    }

    /// The members of every ring in words, who leads it where it can first: what may not change while the cluster lives.
    pub fn rings_in_words(&self) -> String {
        let names =
            |ring| self.members(ring).iter().map(|node| node.0.to_string()).collect::<Vec<_>>().join(" ");
        self.rings().map(|ring| format!("{ring}: {}", names(ring))).collect::<Vec<_>>().join(", ")
    }

    /// Of how many partitions a node is the preferred leader.
    fn led_by(&self, node: NodeId) -> usize {
        PartitionId::all(self.partitions).filter(|p| self.preferred(RingId::of(*p)) == node).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(nodes: &[u16], partitions: u16, replicas: u16) -> Layout {
        Layout::new(NodeId(2), nodes.iter().copied().map(NodeId).collect(), partitions, replicas)
    }

    fn members(layout: &Layout) -> Vec<Vec<u16>> {
        layout.rings().map(|ring| layout.members(ring).iter().map(|node| node.0).collect()).collect()
    }

    #[test]
    fn leaders_are_spread_over_the_nodes() {
        let layout = layout(&[3, 1, 2], 2, 3);
        let leaders: Vec<u16> = layout.rings().map(|ring| layout.preferred(ring).0).collect();
        assert_eq!(leaders, [1, 2, 3]);
    }

    #[test]
    fn members_go_round_the_nodes_and_the_shared_ring_is_where_the_fewest_leaders_are() {
        let layout = layout(&[1, 2, 3, 4], 2, 3);
        assert_eq!(members(&layout), [vec![1, 2, 3], vec![2, 3, 4], vec![3, 4, 1]]);
        let leaders: Vec<u16> = layout.rings().map(|ring| layout.preferred(ring).0).collect();
        assert_eq!(leaders, [1, 2, 3]);
        assert!(layout.hosts(PartitionId(0)) && layout.hosts(PartitionId(1)));
    }

    #[test]
    fn a_node_hosts_only_what_it_is_a_member_of() {
        let layout = layout(&[1, 2, 3, 4], 5, 2);
        let expected = [vec![1, 2], vec![2, 3], vec![3, 4], vec![4, 1], vec![1, 2], vec![2, 3, 4]];
        assert_eq!(members(&layout), expected);
        let hosted: Vec<u16> =
            PartitionId::all(5).filter(|p| layout.hosts(*p)).map(|partition| partition.0).collect();
        assert_eq!(hosted, [0, 1, 4]);
    }

    #[test]
    fn the_shared_ring_survives_as_many_deaths_as_a_partitions_ring() {
        for (replicas, shared) in [(1, 3), (2, 3), (3, 3), (4, 4), (5, 5), (6, 6), (7, 7)] {
            let layout = layout(&[1, 2, 3, 4, 5, 6, 7], 2, replicas);
            assert_eq!(layout.members(RingId::SHARED).len(), shared, "{replicas} replicas");
            assert_eq!(layout.members(RingId(0)).len(), usize::from(replicas));
        }
    }

    #[test]
    fn rings_are_told_in_words() {
        let words = "p0: 1 2 3, p1: 2 3 4, shared: 3 4 1";
        assert_eq!(layout(&[1, 2, 3, 4], 2, 3).rings_in_words(), words);
    }

    #[test]
    #[should_panic(expected = "1 to 3 replicas")]
    fn there_are_no_more_replicas_than_nodes() {
        layout(&[1, 2, 3], 1, 4);
    }
}
