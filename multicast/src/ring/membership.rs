//! Who votes in a ring.

use crate::NodeId;
use omnipaxos::util::NodeId as Pid;

/// The members of a ring, and this one among them. The consensus crate indexes vectors by its pids, so they are `1..=n`:
/// the places of the members in ascending order, the same at every member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Membership {
    members: Vec<NodeId>,
    me: Pid,
}

impl Membership {
    /// Panics unless there are at least two members, all different, and this node is one: the cluster file has been
    /// checked before.
    pub(super) fn new(node: NodeId, members: &[NodeId]) -> Membership {
        let mut members = members.to_vec();
        members.sort_unstable();
        assert!(members.windows(2).all(|pair| pair[0] != pair[1]), "a member is named twice in {members:?}");
        assert!(members.len() > 1, "a ring of one member is a solo ring");
        let place = members.binary_search(&node).expect("this node is a member of the ring");
        Membership { me: place as Pid + 1, members }
    }

    pub(super) fn me(&self) -> Pid {
        self.me
    }

    pub(super) fn pids(&self) -> Vec<Pid> {
        (1..=self.members.len() as Pid).collect()
    }

    /// Of how many members any two sets share one.
    pub(super) fn quorum(&self) -> usize {
        self.members.len() / 2 + 1
    }

    /// The pid of another member.
    pub(super) fn peer(&self, node: NodeId) -> Option<Pid> {
        let pid = self.members.binary_search(&node).ok()? as Pid + 1;
        (pid != self.me).then_some(pid)
    }

    pub(super) fn contains(&self, pid: Pid) -> bool {
        (1..=self.members.len() as Pid).contains(&pid)
    }

    pub(super) fn node(&self, pid: Pid) -> NodeId {
        self.members[pid as usize - 1]
    }
}
