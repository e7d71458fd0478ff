//! The clock of a proposer: which wall-clock time a leader's entries carry.
//!
//! A node believes its own clock while that agrees with the clocks that the others tell. Each node tells its clock when a
//! connection to another begins, before anything of the rings passes there, and every [`TELL_EVERY_MS`] from then on. So a leader,
//! to which a majority has promised, has heard a majority of clocks before its first proposal; the leader of a ring that it is the only
//! member of has not, and proposes by its own clock until it hears others. A clock that is off the median
//! (a clock before the year 2020 is not counted: it was never set)
//! by more than [`CLOCKS_APART_MS`] is overruled: the median is proposed in its place, until the clock agrees again.
//!
//! What another node has told is kept as the distance between its clock and this node's monotonic clock, so it goes on counting
//! when that node is silent or gone. All of this is soft state: a start begins with the own clock alone.
//!
//! The time of an entry may step back, and a majority of wrong clocks is believed. So nothing is decided by it but what stats
//! show: zxids rise whatever it says, sessions and times to live are measured by monotonic clocks.

use crate::NodeId;
use crate::faults::CLOCK_NEVER_OVERRULED;
use std::collections::BTreeMap;

/// By how much a node's clock may be off the median of all that are known, and still be believed.
pub const CLOCKS_APART_MS: u64 = 10_000;
/// The beginning of the year 2020: a clock that says less was never set.
const SET_MS_MIN: u64 = 1_577_836_800_000;
/// How often a node tells the others its clock.
pub const TELL_EVERY_MS: u64 = 1_000;

/// The time of one proposal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Now {
    /// Of the node's monotonic clock.
    pub(crate) monotonic_ms: u64,
    /// Since 1970, as proposals carry it.
    pub(crate) wall_ms: u64,
}

/// The clock of one node's proposals.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    now: Now,
    /// What this node's wall clock says.
    own_ms: u64,
    /// By how much each other node's wall clock is ahead of this one's monotonic clock.
    others: BTreeMap<NodeId, i64>,
    /// The time of the last entry.
    last_ms: u64,
    told_ms: Option<u64>,
    overruled: bool,
    /// Entries proposed while the own clock was overruled.
    entries_overruled: u64,
}

impl Clock {
    /// Moves on. Where as many clocks say one thing as say another, the one nearer to `last_ms` counts: the time of the last
    /// entry.
    pub(crate) fn tick(&mut self, monotonic_ms: u64, own_ms: u64, last_ms: u64) {
        (self.own_ms, self.last_ms) = (own_ms, last_ms);
        self.now.monotonic_ms = monotonic_ms;
        self.judge();
    }

    fn judge(&mut self) {
        let (own_ms, median_ms) = (self.own_ms, self.median());
        let overruled = own_ms.abs_diff(median_ms) > CLOCKS_APART_MS && !CLOCK_NEVER_OVERRULED.is_planted();
        self.now.wall_ms = if overruled { median_ms } else { own_ms };
        if overruled != self.overruled {
            self.overruled = overruled;
            self.say(median_ms);
        }
    }

    /// Another node's wall clock.
    pub(crate) fn hear(&mut self, from: NodeId, wall_ms: u64) {
        self.others.insert(from, ahead(wall_ms, self.now.monotonic_ms));
        self.judge();
    }

    /// The time for what is proposed now.
    pub(crate) fn now(&self) -> Now {
        self.now
    }

    /// What to tell the others now, if it is time to.
    pub(crate) fn take_telling(&mut self) -> Option<u64> {
        let now_ms = self.now.monotonic_ms;
        if self.told_ms.is_some_and(|told_ms| now_ms < told_ms + TELL_EVERY_MS) {
            return None;
        }
        self.told_ms = Some(now_ms);
        Some(self.own_ms)
    }

    /// What this node's wall clock says.
    pub(crate) fn own_ms(&self) -> u64 {
        self.own_ms
    }

    /// So many entries were proposed.
    pub(crate) fn proposed(&mut self, entries: u64) {
        self.entries_overruled += if self.overruled { entries } else { 0 };
    }

    /// Entries proposed while the own clock was overruled.
    pub(crate) fn entries_overruled(&self) -> u64 {
        self.entries_overruled
    }

    /// The median of all clocks known, the own one included.
    fn median(&self) -> u64 {
        if self.others.is_empty() {
            return self.own_ms;
        }
        let told = self.others.values().map(|ahead| self.now.monotonic_ms.saturating_add_signed(*ahead));
        let mut clocks: Vec<u64> = told.chain([self.own_ms]).filter(|clock| *clock >= SET_MS_MIN).collect();
        if clocks.is_empty() {
            return self.own_ms;
        }
        clocks.sort_unstable();
        let (low, high) = (clocks[(clocks.len() - 1) / 2], clocks[clocks.len() / 2]);
        if high - low <= CLOCKS_APART_MS {
            return low;
        }
        let last_ms = self.last_ms;
        if last_ms.abs_diff(high) < last_ms.abs_diff(low) { high } else { low }
    }

    fn say(&self, median_ms: u64) {
        let known = self.others.len() + 1;
        match self.overruled {
            true => tracing::warn!(
                "this node's clock is {} s {} the median of {known} nodes' clocks: what it proposes carries the median; set the \
                 clock right",
                self.own_ms.abs_diff(median_ms) / 1_000,
                if self.own_ms > median_ms { "ahead of" } else { "behind" },
            ),
            false => {
                tracing::info!("this node's clock agrees with the median of {known} nodes' clocks again")
            }
        }
    }
}

/// By how much a wall clock is ahead of a monotonic one; a clock of absurd distance is as far as can be told.
fn ahead(wall_ms: u64, monotonic_ms: u64) -> i64 {
    let clamp = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
    clamp(wall_ms).saturating_sub(clamp(monotonic_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRUE_MS: u64 = 1_700_000_000_000;
    const YEAR_MS: i64 = 365 * 86_400_000;
    /// Seconds, hours, 70 and 250 years, both ways.
    const OFF_MS: [i64; 8] =
        [3_000, -3_000, 7_200_000, -7_200_000, 70 * YEAR_MS, -70 * YEAR_MS, 250 * YEAR_MS, -250 * YEAR_MS];

    /// A node whose own clock is off by `own`, and others whose clocks are off by `others`; the time of its proposals.
    fn proposed(own: i64, others: &[i64], last_ms: u64) -> u64 {
        let mut clock = Clock::default();
        clock.tick(5_000, TRUE_MS.saturating_add_signed(own), last_ms);
        for (node, off) in others.iter().enumerate() {
            clock.hear(NodeId(node as u16 + 1), TRUE_MS.saturating_add_signed(*off));
        }
        clock.tick(6_000, (TRUE_MS + 1_000).saturating_add_signed(own), last_ms);
        clock.now().wall_ms
    }

    fn is_right(proposed_ms: u64) -> bool {
        proposed_ms.abs_diff(TRUE_MS + 1_000) <= CLOCKS_APART_MS
    }

    #[test]
    fn one_wrong_clock_of_three_or_five_is_overruled_wherever_it_is() {
        for off in OFF_MS {
            assert!(is_right(proposed(off, &[0, 0], 0)), "the proposer's own: {off}");
            assert!(is_right(proposed(0, &[off, 0], 0)), "another's: {off}");
            assert!(is_right(proposed(off, &[0, 40, off, -40], 0)), "two of five: {off}");
            assert!(is_right(proposed(0, &[off, off, 0, 0], 0)), "two others of five: {off}");
        }
    }

    #[test]
    fn a_node_that_has_heard_nobody_has_but_its_own_clock() {
        for off in OFF_MS {
            assert_eq!(proposed(off, &[], 0), (TRUE_MS + 1_000).saturating_add_signed(off));
        }
    }

    #[test]
    fn of_two_clocks_the_one_nearer_to_the_last_entry_counts() {
        for off in OFF_MS {
            assert!(is_right(proposed(off, &[0], TRUE_MS - 60_000)), "{off}");
            assert!(is_right(proposed(0, &[off], TRUE_MS - 60_000)), "{off}");
        }
    }

    #[test]
    fn a_clock_that_agrees_again_is_believed_again() {
        let mut clock = Clock::default();
        clock.hear(NodeId(1), TRUE_MS);
        clock.hear(NodeId(2), TRUE_MS + 30);
        clock.tick(0, TRUE_MS + 3_600_000, 0);
        clock.proposed(2);
        assert_eq!((clock.now().wall_ms, clock.entries_overruled()), (TRUE_MS + 30, 2));
        // The others are silent; an hour later what they told still counts.
        clock.tick(3_600_000, TRUE_MS + 2 * 3_600_000, 0);
        assert_eq!(clock.now().wall_ms, TRUE_MS + 3_600_030);
        clock.tick(3_600_050, TRUE_MS + 3_600_055, 0);
        clock.proposed(1);
        assert_eq!((clock.now().wall_ms, clock.entries_overruled()), (TRUE_MS + 3_600_055, 2));
    }

    #[test]
    fn it_is_told_at_once_and_then_every_second() {
        let mut clock = Clock::default();
        clock.tick(10, 7, 0);
        assert_eq!((clock.take_telling(), clock.take_telling()), (Some(7), None));
        clock.tick(10 + TELL_EVERY_MS, 9, 0);
        assert_eq!(clock.take_telling(), Some(9));
    }

    #[test]
    fn no_clock_that_a_node_can_tell_overflows() {
        for own in [0, TRUE_MS, u64::MAX] {
            for told in [0, u64::MAX] {
                let mut clock = Clock::default();
                clock.hear(NodeId(1), told);
                clock.tick(u64::MAX / 2, own, 0);
                assert!(clock.now().wall_ms == own || clock.now().monotonic_ms > 0);
            }
        }
    }
}
