//! Marks: how far this node has followed each partition.
//!
//! A partition's *mark* is the last zxid before any that a later event of it can have. A session that watches several
//! partitions is told the least of their marks, and the mark of one in which nothing happens stands still: after a
//! reconnection, whatever had changed since would be told again. So a partition that lags behind what a session has seen
//! is *advanced*, by a command that does nothing, at most once every [`ADVANCE_EVERY_MS`].

use crate::zxid::Zxid;
use eyrie::{Destinations, PartitionId, Position, Seen, StampNumber};

/// How often lagging partitions are advanced.
const ADVANCE_EVERY_MS: u64 = 100;

#[derive(Clone, Copy, Debug, Default)]
struct Passed {
    position: Position,
    mark: Zxid,
}

/// Every partition's place and mark.
#[derive(Debug)]
pub struct Marks {
    passed: Vec<Passed>,
    lagging: Destinations,
    advanced_ms: u64,
}

impl Marks {
    /// Of so many partitions, none of which was followed yet.
    pub fn new(partitions: u16) -> Marks {
        let passed = vec![Passed::default(); usize::from(partitions)];
        Marks { passed, lagging: Destinations::NONE, advanced_ms: 0 }
    }

    /// How many partitions there are.
    pub fn partitions(&self) -> u16 {
        self.passed.len() as u16
    }

    /// A partition has passed a place, with this proposal: a later one is at least the next of its partition.
    pub fn pass(&mut self, partition: PartitionId, position: Position, proposal: StampNumber) {
        let passed = &mut self.passed[partition.index()];
        passed.position = passed.position.max(position);
        passed.mark = passed.mark.max(Zxid::from(proposal).before_next_of(partition));
    }

    /// Whether the partitions have passed the places that an answer may depend on.
    pub fn have_passed(&self, partitions: Destinations, seen: &Seen) -> bool {
        partitions.iter().all(|partition| match seen.get(partition.index()) {
            Some(position) => self.passed[partition.index()].position >= *position,
            None => true,
        })
    }

    /// The least mark of several partitions.
    pub fn low_water(&self, partitions: Destinations) -> Option<Zxid> {
        partitions.iter().map(|partition| self.passed[partition.index()].mark).min()
    }

    /// A session that watches these partitions has seen this zxid.
    pub fn note(&mut self, partitions: Destinations, seen: Zxid) {
        for partition in partitions.iter().filter(|partition| self.passed[partition.index()].mark < seen) {
            self.lagging = self.lagging.union(partition.into());
        }
    }

    /// The partitions to be advanced now.
    pub fn due(&mut self, now_ms: u64) -> Destinations {
        if self.lagging.is_empty() || now_ms < self.advanced_ms + ADVANCE_EVERY_MS {
            return Destinations::NONE;
        }
        self.advanced_ms = now_ms;
        std::mem::take(&mut self.lagging)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const P0: PartitionId = PartitionId(0);
    const P1: PartitionId = PartitionId(1);

    #[test]
    fn a_mark_covers_what_the_partition_can_no_longer_number() {
        let mut marks = Marks::new(2);
        let proposals = [P0, P1].map(|partition| StampNumber::at(1_000, partition));
        marks.pass(P0, Position { configuration: 0, index: 1 }, proposals[0]);
        marks.pass(P1, Position { configuration: 0, index: 1 }, proposals[1]);
        // A command over both has the greater of their proposals.
        let zxid = Zxid::from(proposals[1]);
        let mark = marks.low_water(Destinations::all(2)).expect("two marks");
        assert!(mark >= zxid && mark < Zxid::from(proposals[0].above(P0)));
    }

    #[test]
    fn what_lags_is_advanced_now_and_then() {
        let mut marks = Marks::new(2);
        marks.pass(P1, Position { configuration: 0, index: 1 }, StampNumber::at(2_000, P1));
        marks.note(Destinations::all(2), StampNumber::at(1_000, P1).into());
        assert_eq!(marks.due(ADVANCE_EVERY_MS), P0.into());
        marks.note(P0.into(), StampNumber::at(1_000, P1).into());
        assert!(marks.due(ADVANCE_EVERY_MS + 1).is_empty(), "not so soon again");
        assert_eq!(marks.due(2 * ADVANCE_EVERY_MS), P0.into());
    }
}
