//! The pace of a ring's time-outs: they follow how long answers take here, between a least and a most.
//!
//! OmniPaxos takes a member whose answer does not come within a round of heartbeats for dead. On a quiet machine an answer takes
//! less than a millisecond, and a round is as short as [`RingTiming`](super::RingTiming) says, so that a dead leader is missed soon. On
//! a busy machine a process may wait for hundreds of milliseconds before it runs, and a round that short would depose a leader
//! that is merely slow. So a round lasts [`MARGIN`] times as long as the slowest of the latest answers that count:
//!
//! - a follower needs the leader's answer,
//! - a leader needs those of a quorum, so the slower ones beyond that do not count.
//!
//! An answer that comes after its round is of no use to the election, but it tells how long a round should have been. What this
//! process itself was late counts too. What was seen is forgotten slowly, so that rounds become short again.
//!
//! A tick that comes late does not count: what peers have sent meanwhile is not read yet, so their silence would be measured by
//! this process's own. Two such ticks never follow each other, so that a process that is always late still sees a dead leader.

use omnipaxos::util::NodeId as Pid;
use std::collections::{BTreeMap, VecDeque};

/// How many times as long as a slow answer a round lasts.
const MARGIN: u64 = 3;
/// How many times as long as on a quiet machine a round lasts at most.
const STRETCH_MAX: u64 = 5;
/// A tick is late if it comes after so many of its lengths.
const LATE_TICKS: u64 = 3;
/// Of how many rounds late answers are recognized.
const ROUNDS_KEPT: usize = 16;
/// With each round, what was seen loses this part.
const FORGOTTEN: u64 = 16;

/// What a member has observed of its own and its peers' delays.
///
/// Invariants: `rounds` ascends and has at most [`ROUNDS_KEPT`] rounds; no delay is beyond what [`STRETCH_MAX`] allows.
#[derive(Debug)]
pub(super) struct Pace {
    tick_ms: u64,
    round_ms: u64,
    now_ms: Option<u64>,
    is_counted: bool,
    /// Rounds of heartbeats, and when each was asked.
    rounds: VecDeque<(u32, u64)>,
    /// How long each peer's answers take, in microseconds, so that little is forgotten too.
    answers_us: BTreeMap<Pid, u64>,
    /// How late this process itself is, in microseconds.
    late_us: u64,
}

impl Pace {
    /// Ticks of this length, so many of which make a round, where nothing is slow.
    pub(super) fn new(tick_ms: u64, election_ticks: u64) -> Pace {
        Pace {
            tick_ms,
            round_ms: tick_ms * election_ticks,
            now_ms: None,
            is_counted: true,
            rounds: VecDeque::new(),
            answers_us: BTreeMap::new(),
            late_us: 0,
        }
    }

    /// It is so late. Says whether a tick that is due may count.
    pub(super) fn tick(&mut self, now_ms: u64) -> bool {
        let gap_ms = now_ms.saturating_sub(self.now_ms.replace(now_ms).unwrap_or(now_ms));
        let is_late = gap_ms > LATE_TICKS * self.tick_ms;
        if is_late {
            self.late_us = self.late_us.max(self.bounded(gap_ms));
        }
        self.is_counted = !is_late || !self.is_counted;
        self.is_counted
    }

    /// A round of heartbeats was asked.
    pub(super) fn asked(&mut self, round: u32) {
        if self.rounds.back().is_some_and(|(last, _)| *last >= round) {
            return;
        }
        self.rounds.push_back((round, self.now_ms.unwrap_or(0)));
        if self.rounds.len() > ROUNDS_KEPT {
            self.rounds.pop_front();
        }
        let forget = |us: &mut u64| *us -= us.div_ceil(FORGOTTEN);
        self.answers_us.values_mut().chain([&mut self.late_us]).for_each(forget);
    }

    /// The consensus crate counts its rounds from the first again.
    pub(super) fn begin_anew(&mut self) {
        self.rounds.clear();
    }

    /// When a round was asked, if it is one of the latest.
    pub(super) fn asked_ms(&self, round: u32) -> Option<u64> {
        self.rounds.iter().find(|(asked, _)| *asked == round).map(|(_, asked_ms)| *asked_ms)
    }

    /// A peer has answered a round, in time or not.
    pub(super) fn answered(&mut self, peer: Pid, round: u32) {
        let Some(asked_ms) = self.asked_ms(round) else { return };
        let took_us = self.bounded(self.now_ms.unwrap_or(0).saturating_sub(asked_ms));
        let known_us = self.answers_us.entry(peer).or_default();
        *known_us = took_us.max(*known_us);
    }

    /// How long a tick is now, where a follower needs the answers of this leader, or whoever else those of a quorum of so
    /// many members.
    pub(super) fn tick_ms(&self, leader: Option<Pid>, quorum: usize) -> u64 {
        let answer_us = match leader {
            Some(leader) => self.answers_us.get(&leader).copied().unwrap_or(0),
            None => self.quorum_us(quorum),
        };
        let wanted_us = MARGIN * answer_us.max(self.late_us);
        let round_us = self.round_ms * 1_000;
        self.tick_ms * wanted_us.clamp(round_us, STRETCH_MAX * round_us) / round_us
    }

    /// How long the slowest of the fastest answers takes that make a quorum together with this member.
    fn quorum_us(&self, quorum: usize) -> u64 {
        let mut answers: Vec<u64> = self.answers_us.values().copied().collect();
        answers.sort_unstable();
        answers.get(quorum.saturating_sub(2)).or(answers.last()).copied().unwrap_or(0)
    }

    fn bounded(&self, ms: u64) -> u64 {
        1_000 * ms.min(STRETCH_MAX * self.round_ms / MARGIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEADER: Pid = 2;
    const OTHER: Pid = 3;

    /// Rounds whose answers take so long.
    fn rounds(pace: &mut Pace, from: u32, count: u32, now_ms: &mut u64, answers_ms: &[(Pid, u64)]) {
        for round in from..from + count {
            pace.asked(round);
            let begun_ms = *now_ms;
            while *now_ms < begun_ms + 1_000 {
                *now_ms += 10;
                assert!(pace.tick(*now_ms));
                for (peer, _) in answers_ms.iter().filter(|(_, ms)| begun_ms + ms == *now_ms) {
                    pace.answered(*peer, round);
                }
            }
        }
    }

    #[test]
    fn ticks_stay_short_where_answers_are_quick() {
        let (mut pace, mut now_ms) = (Pace::new(10, 20), 0);
        rounds(&mut pace, 1, 5, &mut now_ms, &[(LEADER, 10), (OTHER, 60)]);
        assert_eq!((pace.tick_ms(Some(LEADER), 2), pace.tick_ms(None, 2)), (10, 10));
        assert_eq!(pace.tick_ms(Some(9), 2), 10, "nothing is known of it");
    }

    #[test]
    fn ticks_follow_slow_answers_up_to_a_bound_and_shrink_again() {
        let (mut pace, mut now_ms) = (Pace::new(10, 20), 0);
        rounds(&mut pace, 1, 1, &mut now_ms, &[(LEADER, 200), (OTHER, 10)]);
        assert_eq!(pace.tick_ms(Some(LEADER), 2), 30, "three times 200 ms in 20 ticks");
        assert_eq!(pace.tick_ms(Some(OTHER), 2), 10, "another member is slow");
        assert_eq!(pace.tick_ms(None, 2), 10, "a quorum is quick");
        assert_eq!(pace.tick_ms(None, 3), 30, "it needs the slow one");
        rounds(&mut pace, 2, 1, &mut now_ms, &[(LEADER, 990)]);
        assert_eq!(pace.tick_ms(Some(LEADER), 2), 10 * STRETCH_MAX - 1, "a most");
        rounds(&mut pace, 3, 10, &mut now_ms, &[(LEADER, 10)]);
        assert!((20..30).contains(&pace.tick_ms(Some(LEADER), 2)));
        rounds(&mut pace, 13, 20, &mut now_ms, &[(LEADER, 10)]);
        assert_eq!(pace.tick_ms(Some(LEADER), 2), 10);
    }

    #[test]
    fn an_answer_counts_after_its_round() {
        let mut pace = Pace::new(10, 20);
        pace.tick(0);
        pace.asked(1);
        pace.tick(10);
        for round in 2..10 {
            pace.asked(round);
        }
        (2..=30).for_each(|tick| _ = pace.tick(10 * tick));
        pace.answered(LEADER, 1);
        assert_eq!(pace.tick_ms(Some(LEADER), 2), 45, "three times 300 ms in 20 ticks");
        pace.answered(LEADER, 77);
    }

    #[test]
    fn a_late_tick_does_not_count_but_the_next_one_does() {
        let mut pace = Pace::new(10, 20);
        let mut counted = |now_ms| pace.tick(now_ms);
        assert_eq!(
            [0, 10, 40, 80, 180, 280, 290, 1_000, 1_010].map(&mut counted),
            [true, true, true, false, true, false, true, false, true]
        );
        assert!(pace.tick_ms(None, 2) > 40, "it was late itself by 710 ms");
    }
}
