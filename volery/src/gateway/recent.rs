//! Recent: the last events of each partition, for looks whose answers come late.
//!
//! A command over several partitions may be answered by the replica of another one, or in parts, after the replica here has gone on.
//! What has happened here since the command's place fired nothing that its looks arm.

use eyrie::{PartitionId, Position};
use std::collections::VecDeque;
use std::sync::Arc;

/// How many events of a partition are remembered. A look from before the first of them is taken to have missed something.
pub const EVENTS_MAX: usize = 1_024;

/// One partition's last events, by place.
#[derive(Debug, Default)]
struct Events {
    last: VecDeque<(Position, Arc<str>)>,
    /// The place of the last event that is not remembered any more.
    forgotten: Position,
}

/// Every partition's last events.
#[derive(Debug)]
pub struct Recent(Vec<Events>);

impl Recent {
    /// Of so many partitions, none of which has told an event yet.
    pub fn new(partitions: u16) -> Recent {
        Recent((0..partitions).map(|_| Events::default()).collect())
    }

    /// A partition has told an event.
    pub fn note(&mut self, partition: PartitionId, place: Position, path: &Arc<str>) {
        let events = &mut self.0[partition.index()];
        if events.last.len() == EVENTS_MAX
            && let Some((place, _)) = events.last.pop_front()
        {
            events.forgotten = place;
        }
        events.last.push_back((place, path.clone()));
    }

    /// Whether an event of this path was told that came behind a place, as far as is remembered.
    pub fn happened_behind(&self, partition: PartitionId, place: Position, path: &str) -> bool {
        let events = &self.0[partition.index()];
        let behind = events.last.iter().rev().take_while(|(at, _)| *at > place);
        events.forgotten > place || behind.into_iter().any(|(_, of)| **of == *path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: PartitionId = PartitionId(1);

    fn at(index: u64) -> Position {
        Position { configuration: 0, index }
    }

    #[test]
    fn what_happened_behind_a_place_is_known_by_path() {
        let mut recent = Recent::new(2);
        recent.note(HOME, at(3), &"/a".into());
        recent.note(HOME, at(5), &"/b".into());
        let happened = |place, path| recent.happened_behind(HOME, at(place), path);
        assert_eq!([2, 3, 4].map(|place| happened(place, "/a")), [true, false, false]);
        assert_eq!([4, 5].map(|place| happened(place, "/b")), [true, false]);
        assert!(!recent.happened_behind(PartitionId(0), at(0), "/a"));
    }

    #[test]
    fn what_is_not_remembered_is_taken_to_have_happened() {
        let mut recent = Recent::new(2);
        for place in 1..=EVENTS_MAX as u64 + 1 {
            recent.note(HOME, at(place), &"/a".into());
        }
        assert!(recent.happened_behind(HOME, at(0), "/b"));
        assert!(!recent.happened_behind(HOME, at(1), "/b"));
    }
}
