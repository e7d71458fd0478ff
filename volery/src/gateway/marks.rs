//! Marks: how far this node has followed each partition.
//!
//! A partition's *mark* is the last zxid before any that a later event of it can have. A session that watches several
//! partitions is told the least of their marks, and the mark of one in which nothing happens stands still: after a
//! reconnection, whatever had changed since would be told again. So a partition that lags behind what a session has seen
//! is *advanced*, by a command that does nothing, at most once every [`ADVANCE_EVERY_MS`].
//!
//! A partition without a replica here is heard of from elsewhere, once it is followed, and that may break off: what happens until
//! it is heard of again is missed. So a watch is armed only where everything behind the place that it was armed at is still to come.

use crate::zxid::Zxid;
use eyrie::{Destinations, PartitionId, Position, Seen, StampNumber};

/// How often lagging partitions are advanced.
const ADVANCE_EVERY_MS: u64 = 100;

#[derive(Clone, Copy, Debug, Default)]
struct Passed {
    position: Position,
    mark: Zxid,
    /// The last place told since the partition was last begun to be heard of; `None` before the first, and for ever if it is
    /// neither hosted nor followed.
    heard: Option<Position>,
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
        passed.heard = Some(position);
    }

    /// Something of a partition may have been missed.
    pub fn interrupt(&mut self, partition: PartitionId) {
        self.passed[partition.index()].heard = None;
    }

    /// Whether nothing is missed of a partition from now on, for all that is known.
    pub fn hears(&self, partition: PartitionId) -> bool {
        self.passed[partition.index()].heard.is_some()
    }

    /// Whether everything that happens in a partition behind `place` is still to be heard of.
    pub fn hears_from(&self, partition: PartitionId, place: Position) -> bool {
        self.passed[partition.index()].heard.is_some_and(|heard| heard <= place)
    }

    /// The last place told of a partition since it is heard of.
    pub fn heard(&self, partition: PartitionId) -> Position {
        self.passed[partition.index()].heard.unwrap_or_default()
    }

    /// Whether a partition has passed a place.
    pub fn has_passed(&self, partition: PartitionId, place: Position) -> bool {
        self.passed[partition.index()].position >= place
    }

    /// Whether the partitions have passed the places that an answer may depend on.
    pub fn have_passed(&self, partitions: Destinations, seen: &Seen) -> bool {
        partitions.iter().all(|partition| match seen.get(partition.index()) {
            Some(position) => self.has_passed(partition, *position),
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
    fn what_was_interrupted_is_heard_of_from_the_next_place_on() {
        let place = |index| Position { configuration: 0, index };
        let mut marks = Marks::new(2);
        assert!(!marks.hears(P0));
        marks.pass(P0, place(5), StampNumber::default());
        assert!(marks.hears_from(P0, place(5)) && !marks.hears_from(P0, place(4)) && !marks.hears(P1));
        marks.interrupt(P0);
        assert!(!marks.hears(P0) && !marks.hears_from(P0, place(9)));
        // Who tells it now is not as far as who told it before.
        marks.pass(P0, place(3), StampNumber::default());
        assert!(marks.hears_from(P0, place(4)) && marks.has_passed(P0, place(5)));
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
