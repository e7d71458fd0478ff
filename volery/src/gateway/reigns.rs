//! Reigns: which partitions' sessions this node decides about, and since which command of theirs.
//!
//! A node that has come to lead a partition *claims* it: it orders the beginning of a reign there. From that command on, and
//! under its number, it expires the partition's sessions ([`expiry`](super::expiry)). When another node leads, the timers of the
//! last reign that ended here are told to it.

use eyrie::{Destinations, Epoch, PartitionId};

/// The reigns of this node.
///
/// Invariant: a partition is claimed before its reign begins, and none has begun where another node leads.
#[derive(Debug)]
pub struct Reigns {
    /// By partition.
    begun: Vec<Option<Epoch>>,
    /// From when on nobody else confirms what is heard of the sessions of a partition, by partition.
    alone_ms: Vec<u64>,
    claimed: Destinations,
    /// The last that has ended, by partition.
    ended: Vec<Option<Epoch>>,
    /// The partitions whose timers are to be told to who leads them now.
    handed_over: Destinations,
}

impl Reigns {
    /// Over none of so many partitions.
    pub fn new(partitions: u16) -> Reigns {
        let none = || vec![None; usize::from(partitions)];
        let alone_ms = vec![0; usize::from(partitions)];
        let (claimed, handed_over) = (Destinations::NONE, Destinations::NONE);
        Reigns { begun: none(), alone_ms, claimed, ended: none(), handed_over }
    }

    /// The reign over a partition, if it has begun.
    pub fn of(&self, partition: PartitionId) -> Option<Epoch> {
        self.begun[partition.index()]
    }

    /// This node has come to lead a partition, or its reign there is void: another is to begin.
    pub fn claim(&mut self, partition: PartitionId) {
        self.end(partition);
        self.claimed = self.claimed.union(partition.into());
    }

    /// The reigns whose beginnings are to be ordered now.
    pub fn take_claims(&mut self) -> Destinations {
        std::mem::take(&mut self.claimed)
    }

    /// A reign has begun. Until `alone_ms` the leader before may go on confirming.
    pub fn begin(&mut self, partition: PartitionId, reign: Epoch, alone_ms: u64) {
        self.begun[partition.index()] = Some(reign);
        self.alone_ms[partition.index()] = alone_ms;
    }

    /// From when on nobody else confirms what is heard of the sessions of a partition, if its reign has begun.
    pub fn alone_ms(&self, partition: PartitionId) -> u64 {
        self.alone_ms[partition.index()]
    }

    /// This node does not lead the partition any more. Returns the reign that has ended, if one had begun.
    pub fn end(&mut self, partition: PartitionId) -> Option<Epoch> {
        self.claimed = self.claimed.without(partition);
        self.handed_over = self.handed_over.without(partition);
        let ended = self.begun[partition.index()].take();
        self.ended[partition.index()] = ended.or(self.ended[partition.index()]);
        ended
    }

    /// Another node leads a partition: it is told what the last reign here has left.
    pub fn hand_over(&mut self, partition: PartitionId) {
        self.handed_over = self.handed_over.union(partition.into());
    }

    /// The partitions whose timers are to be told now, with the reigns that have left them.
    pub fn take_handed_over(&mut self) -> Vec<(PartitionId, Epoch)> {
        let handed_over = std::mem::take(&mut self.handed_over);
        handed_over.iter().filter_map(|partition| Some((partition, self.ended[partition.index()]?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: PartitionId = PartitionId(1);

    #[test]
    fn a_claim_is_ordered_once_and_another_ends_the_reign() {
        let mut reigns = Reigns::new(2);
        reigns.claim(HOME);
        assert_eq!(reigns.take_claims(), HOME.into());
        assert!(reigns.take_claims().is_empty());
        assert_eq!(reigns.of(HOME), None, "it is ordered, not begun");
        reigns.begin(HOME, 7, 0);
        assert_eq!(reigns.of(HOME), Some(7));
        reigns.claim(HOME);
        assert_eq!(reigns.of(HOME), None);
        reigns.end(HOME);
        assert!(reigns.take_claims().is_empty(), "another node leads by now");
        reigns.hand_over(HOME);
        assert_eq!(reigns.take_handed_over(), [(HOME, 7)]);
        assert!(reigns.take_handed_over().is_empty());
    }
}
