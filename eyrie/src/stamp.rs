//! Stamps: a number and a time for every command, the same at all its destinations.
//!
//! A partition draws a *proposal* for each envelope at delivery, from delivered envelopes only: more than its last, at
//! least the time of the leader that proposed it, and more than what the client has seen. So a proposal rises whatever a clock
//! says: a clock that is ahead raises it, and later ones count on from there; one that is behind does not lower it. A command's stamp is the maximum of its destinations'
//! proposals, which ride on signals; its time is the maximum of theirs. A stamp never feeds a later proposal, so it does
//! not depend on when signals arrive.

use crate::faults::PROPOSALS_FALL;
use multicast::PartitionId;
use serde::{Deserialize, Serialize};

const PARTITION_BITS: u32 = 6;
const TIME_SHIFT: u32 = 20;
/// A clock that says more, from the year 2109 on, counts as this: then three quarters of the numbers of 62 bits are left to count
/// on, and no number is negative where the wire has signed ones.
const TIME_MS_MAX: u64 = (1 << 42) - 1;
/// A client cannot have seen more than this: of what is beyond nothing is believed.
const SEEN_MAX: StampNumber = StampNumber(3 << 61);

/// A number for one command, unlike any other partition's: `time_ms << 20`, counted on, the partition in the low bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StampNumber(pub u64);

impl StampNumber {
    /// The least number of `partition` that is greater than this one.
    pub fn above(self, partition: PartitionId) -> StampNumber {
        StampNumber((((self.0 >> PARTITION_BITS) + 1) << PARTITION_BITS) | u64::from(partition.0))
    }

    /// The least number of `partition` that is not before `time_ms`, or not before the last time that numbers have.
    pub fn at(time_ms: u64, partition: PartitionId) -> StampNumber {
        StampNumber((time_ms.min(TIME_MS_MAX) << TIME_SHIFT) | u64::from(partition.0))
    }

    /// The partition that drew it.
    pub fn partition(self) -> PartitionId {
        PartitionId((self.0 & ((1 << PARTITION_BITS) - 1)) as u16)
    }
}

/// When a command takes effect, in the service's own terms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Stamp {
    /// Rises along every partition's proposals and every client's commands.
    pub number: StampNumber,
    /// The latest of its leaders' wall-clock times, in milliseconds since 1970. A later command's may be earlier.
    pub time_ms: u64,
}

impl Stamp {
    /// The later of both, part by part.
    pub fn max(self, other: Stamp) -> Stamp {
        Stamp { number: self.number.max(other.number), time_ms: self.time_ms.max(other.time_ms) }
    }
}

/// Draws one partition's proposals.
#[derive(Debug)]
pub struct Proposals {
    partition: PartitionId,
    last: StampNumber,
}

impl Proposals {
    /// Nothing drawn yet.
    pub fn new(partition: PartitionId) -> Proposals {
        Proposals { partition, last: StampNumber::default() }
    }

    /// The proposal for the envelope just delivered: `time_ms` is its leader's time, `floor` the last number that the
    /// client has seen.
    pub fn draw(&mut self, time_ms: u64, floor: StampNumber) -> Stamp {
        let past = self.kept().max(floor.min(SEEN_MAX)).above(self.partition);
        self.last = past.max(StampNumber::at(time_ms, self.partition));
        Stamp { number: self.last, time_ms }
    }

    /// What the next proposal must be greater than.
    fn kept(&self) -> StampNumber {
        if PROPOSALS_FALL.is_planted() { StampNumber::default() } else { self.last }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proposals_rise_past_time_and_past_what_the_client_saw() {
        let p = PartitionId(3);
        let mut proposals = Proposals::new(p);
        let first = proposals.draw(1_000, StampNumber(0)).number;
        assert_eq!(first, StampNumber::at(1_000, p));
        let second = proposals.draw(1_000, StampNumber(0)).number;
        assert_eq!(second, first.above(p));
        let seen = StampNumber::at(2_000, PartitionId(5));
        let third = proposals.draw(1_000, seen).number;
        assert!(third > seen && third.partition() == p);
        assert!(proposals.draw(999, StampNumber(0)).number > third);
    }

    #[test]
    fn numbers_are_positive_and_rise_whatever_a_clock_says() {
        const YEAR_MS: u64 = 365 * 86_400_000;
        let now = 1_700_000_000_000;
        let (p, floor) = (PartitionId(63), StampNumber(0));
        let clocks = [now, now + 70 * YEAR_MS, now, 0, now + 250 * YEAR_MS, u64::MAX, now, 0, now + 1];
        let mut proposals = Proposals::new(p);
        let mut last = StampNumber::default();
        for time_ms in clocks {
            let drawn = proposals.draw(time_ms, floor);
            assert!(drawn.number > last && i64::try_from(drawn.number.0).is_ok(), "{time_ms}");
            assert_eq!(drawn.time_ms, time_ms, "the time is the clock's own");
            last = drawn.number;
        }
        let drawn = proposals.draw(now, StampNumber(u64::MAX)).number;
        assert!(drawn > last && i64::try_from(drawn.0).is_ok(), "nobody has seen such a number");
        assert!(proposals.draw(now, floor).number > drawn);
    }
}
