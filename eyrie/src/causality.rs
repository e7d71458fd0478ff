//! Causality: what a client has seen goes along with what it asks for afterwards.
//!
//! A client reads in one partition and then writes in another: whoever sees the write may have to wait for the event of
//! what had been read. Partitions tell each other what they have seen ([`Signal`](crate::Signal)); between them a client is
//! a way too. So a front keeps each client's [`CausalHistory`] and sends the part of it that the destinations may not know
//! with every request, as its [`Past`]. They take it for seen when the command completes.

use crate::answer::Answer;
use crate::exchange::Seen;
use crate::service::StateMachine;
use crate::stamp::StampNumber;
use bytes::{Buf, BufMut};
use multicast::{Destinations, PARTITIONS_MAX, PartitionId, Position};

/// What a client had seen when it asked for something.
///
/// ```text
/// stamp u64 | count u8 | count x (partition u16 | configuration u32 | index u64)
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// The greatest stamp; the command's will be greater.
    pub stamp: StampNumber,
    /// The last places in partitions, where the destinations may not know them.
    pub places: Vec<(PartitionId, Position)>,
}

/// The bytes of a place.
const PLACE_BYTES: usize = 2 + 4 + 8;

impl Past {
    /// Of a client that has seen this stamp, and no place that its destinations do not know.
    pub fn at(stamp: StampNumber) -> Past {
        Past { stamp, places: Vec::new() }
    }

    pub(crate) fn encode_into(&self, output: &mut Vec<u8>) {
        output.put_u64_le(self.stamp.0);
        output.put_u8(self.places.len() as u8);
        for (partition, place) in &self.places {
            output.put_u16_le(partition.0);
            output.put_u32_le(place.configuration);
            output.put_u64_le(place.index);
        }
    }

    /// Takes one off the front of `input`, if it holds one.
    pub(crate) fn decode(input: &mut &[u8]) -> Option<Past> {
        let stamp = StampNumber(input.try_get_u64_le().ok()?);
        let count = input.try_get_u8().ok()?;
        if u16::from(count) > PARTITIONS_MAX || input.len() < usize::from(count) * PLACE_BYTES {
            return None;
        }
        let mut place = || {
            let partition = PartitionId(input.get_u16_le());
            (partition, Position { configuration: input.get_u32_le(), index: input.get_u64_le() })
        };
        let places = (0..count).map(|_| place()).collect();
        Some(Past { stamp, places })
    }
}

/// The last place that a client has seen of one partition.
#[derive(Clone, Copy, Debug, Default)]
struct Sight {
    place: Position,
    /// Who has it from the client, or the client from them.
    known_to: Destinations,
}

/// All that one client has seen.
///
/// Invariant: a partition knows what it did itself, and what the client has heard from it.
#[derive(Clone, Debug, Default)]
pub struct CausalHistory {
    stamp: StampNumber,
    sights: Vec<Sight>,
}

impl CausalHistory {
    /// The client has seen this stamp.
    pub fn saw_stamp(&mut self, stamp: StampNumber) {
        self.stamp = self.stamp.max(stamp);
    }

    /// The greatest stamp seen.
    pub fn stamp(&self) -> StampNumber {
        self.stamp
    }

    /// The last place of a partition that the client has seen.
    pub fn place(&self, partition: PartitionId) -> Position {
        self.sights.get(partition.index()).map_or(Position::default(), |sight| sight.place)
    }

    /// The client has an answer.
    pub fn saw_answer<S: StateMachine>(&mut self, answer: &Answer<S>) {
        self.saw_stamp(answer.stamp.number);
        self.saw(answer.partition, answer.position, &answer.seen);
    }

    /// The client has seen what a partition did at a place, having itself seen those places of the others.
    pub fn saw(&mut self, partition: PartitionId, place: Position, seen: &Seen) {
        if self.sights.len() < seen.len() {
            self.sights.resize(seen.len(), Sight::default());
        }
        for (sight, theirs) in self.sights.iter_mut().zip(seen.iter()) {
            sight.take(*theirs, partition);
        }
        self.sights[partition.index()].take(place, partition);
    }

    /// What these destinations have to know of it.
    pub fn past(&self, destinations: Destinations) -> Past {
        let partitions = (0..).map(PartitionId);
        let unknown = partitions.zip(&self.sights).filter(|(partition, sight)| {
            sight.place > Position::default()
                && !sight.known_to.union((*partition).into()).covers(destinations)
        });
        Past {
            stamp: self.stamp,
            places: unknown.map(|(partition, sight)| (partition, sight.place)).collect(),
        }
    }
}

impl Sight {
    fn take(&mut self, place: Position, from: PartitionId) {
        if place > self.place {
            *self = Sight { place, known_to: from.into() };
        } else if place == self.place {
            self.known_to = self.known_to.union(from.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const P0: PartitionId = PartitionId(0);
    const P1: PartitionId = PartitionId(1);
    const P2: PartitionId = PartitionId(2);

    fn place(index: u64) -> Position {
        Position { configuration: 0, index }
    }

    fn seen(places: [u64; 3]) -> Seen {
        places.map(place).into()
    }

    #[test]
    fn what_a_partition_does_not_know_goes_along() {
        let mut history = CausalHistory::default();
        assert_eq!(history.past(P1.into()).places, []);
        history.saw(P0, place(7), &seen([0, 0, 3]));
        assert_eq!(history.past(P0.into()).places, [], "it has this from the client's own partition");
        assert_eq!(history.past(P1.into()).places, [(P0, place(7)), (P2, place(3))]);
        assert_eq!(history.past(P2.into()).places, [(P0, place(7))], "each knows its own places");
        let both = Destinations::from(P0).union(P1.into());
        assert_eq!(history.past(both).places, [(P0, place(7)), (P2, place(3))], "one of them does not know");
    }

    #[test]
    fn what_a_partition_was_told_is_not_told_again() {
        let mut history = CausalHistory::default();
        history.saw(P0, place(7), &seen([0, 0, 0]));
        history.saw(P1, place(4), &seen([7, 0, 0]));
        assert_eq!(history.past(P1.into()).places, []);
        assert_eq!(history.past(P0.into()).places, [(P1, place(4))]);
        history.saw(P0, place(8), &seen([0, 0, 0]));
        assert_eq!(history.past(P1.into()).places, [(P0, place(8))], "what is newer is news again");
        history.saw(P1, place(3), &seen([2, 0, 0]));
        assert_eq!(history.past(P1.into()).places, [(P0, place(8))], "an old answer takes nothing back");
    }

    #[test]
    fn a_past_reads_back_and_a_cut_one_does_not() {
        let past = Past { stamp: StampNumber(9), places: vec![(P0, place(7)), (P2, place(3))] };
        let mut bytes = Vec::new();
        past.encode_into(&mut bytes);
        assert_eq!(Past::decode(&mut &bytes[..]), Some(past));
        for cut in 0..bytes.len() {
            assert_eq!(Past::decode(&mut &bytes[..cut]), None, "{cut} of {} bytes", bytes.len());
        }
    }
}
