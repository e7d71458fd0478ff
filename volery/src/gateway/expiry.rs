//! Expiry: the timers of the sessions whose home this node leads.
//!
//! A session ends by order, not by time stamps: when its timer runs out, the home's leader orders `Expire` for the
//! epoch it knows, and that is void if the session has moved in the meantime. Timers are soft state: every node with a
//! replica of the home keeps them, and only the node that leads it acts on them.
//!
//! A leader begins a *reign*: a command at the home, whose number every `Expire` carries. An `Expire` may be executed late,
//! when another leader has heard of the client and has had its ping answered; then another reign has begun before that, and
//! the `Expire` is void. What is heard of a client after its session's end was ordered comes too late: it is not confirmed.
//!
//! **Timers go over from one reign to the next.** When a reign ends, its leader confirms nothing more, so its timers stand. It tells
//! them to the next leader, which goes on with them if its reign follows that one by number: nobody else has confirmed anything
//! in between. So a session whose client has gone expires after its timeout and the time in which nobody led, however often the
//! leader changes. Where nobody led for so long that clients have given up their connections, they are given time to come back:
//! the timers start afresh. They also do if the leader of the reign before does not tell, for it may be dead. It may go on
//! confirming for as long as it is sure of itself, so they begin that much later: what this leader hears of a client in that time puts
//! the end off, and never brings it nearer.
//!
//! ```text
//!   reign 7, at a   ──────────┤ left: 4 s                    ┌────────── reign 8, at b: runs out after 4 s
//!                             └── Left{7, 4 s} ──────────────►
//! ```

use crate::faults::{TIMERS_OF_ANY_REIGN, TIMERS_START_AFRESH};
use crate::session::SessionId;
use eyrie::Epoch;
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;

/// A client pings three times in a timeout, and gives its connection up after two thirds of one in which nothing has come. One
/// third without a leader makes no client give up.
const OUTAGE_PART: u64 = 3;

/// How the timer of a session stood when a reign over its home had ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// The session.
    pub session: SessionId,
    /// In which epoch.
    pub epoch: Epoch,
    /// After what time it would have run out.
    pub remaining_ms: u32,
}

/// What is known of the end of a reign.
#[derive(Clone, Copy, Debug)]
struct Ended {
    reign: Epoch,
    ended_ms: u64,
    remaining_ms: u64,
}

#[derive(Clone, Copy, Debug)]
struct Timer {
    epoch: Epoch,
    timeout_ms: u64,
    deadline_ms: u64,
    /// Where the session stands in the queue.
    queued_ms: u64,
    /// Whether its end is ordered here.
    is_ending: bool,
    /// Whether it started afresh when a reign began, and its client was not heard of since.
    is_afresh: bool,
    ended: Option<Ended>,
}

impl Timer {
    fn new(epoch: Epoch, timeout_ms: u64, now_ms: u64) -> Timer {
        let deadline_ms = now_ms + timeout_ms;
        let (is_ending, is_afresh) = (false, false);
        Timer { epoch, timeout_ms, deadline_ms, queued_ms: deadline_ms, is_ending, is_afresh, ended: None }
    }

    fn remaining_ms(&self, now_ms: u64) -> u64 {
        if self.is_ending { 0 } else { self.deadline_ms.saturating_sub(now_ms) }
    }

    /// When it runs out in `reign`, if it goes on as the reign before has left it.
    fn resumed_ms(&self, reign: Epoch, now_ms: u64) -> Option<u64> {
        let ended = self.ended.filter(|_| !TIMERS_START_AFRESH.is_planted())?;
        let is_next = ended.reign.checked_add(1) == Some(reign);
        let is_short = now_ms.saturating_sub(ended.ended_ms) <= self.timeout_ms / OUTAGE_PART;
        let goes_on = is_next && is_short || TIMERS_OF_ANY_REIGN.is_planted();
        goes_on.then_some(now_ms + ended.remaining_ms)
    }
}

/// Every session's timer. A touch is one look-up; the queue is mended when a deadline that was put off comes due.
///
/// Invariant: every session in `timers` is in `queue` exactly once, at its `queued_ms`, which is not after its deadline.
#[derive(Debug, Default)]
pub struct Expiry {
    timers: FxHashMap<SessionId, Timer>,
    queue: BTreeSet<(u64, SessionId)>,
    now_ms: u64,
    restarts: u64,
}

impl Expiry {
    /// A session was opened, or has moved: its timer starts, not before the time from which on nobody else confirms.
    pub fn start(&mut self, session: SessionId, epoch: Epoch, timeout_ms: u32, alone_ms: u64) {
        self.stop(session);
        let timer = Timer::new(epoch, u64::from(timeout_ms), self.now_ms.max(alone_ms));
        self.timers.insert(session, timer);
        self.queue.insert((timer.queued_ms, session));
    }

    /// The client was heard of. Says whether the session lives for a timeout from now on; not if it is not known here, or its end
    /// is ordered.
    pub fn touch(&mut self, session: SessionId) -> bool {
        let timer = self.timers.get_mut(&session).filter(|timer| !timer.is_ending);
        let Some(timer) = timer else { return false };
        timer.deadline_ms = timer.deadline_ms.max(self.now_ms + timer.timeout_ms);
        timer.is_afresh = false;
        true
    }

    /// The session's end is ordered. It may come to nothing, if the session moves or another reign begins before it.
    pub fn end(&mut self, session: SessionId) {
        if let Some(timer) = self.timers.get_mut(&session) {
            timer.is_ending = true;
        }
    }

    /// The session has ended.
    pub fn stop(&mut self, session: SessionId) {
        if let Some(timer) = self.timers.remove(&session) {
            self.queue.remove(&(timer.queued_ms, session));
        }
    }

    /// Moves time on. Returns the sessions, in their epochs, that were not heard of for too long; each comes again after
    /// another timeout if nothing comes of it.
    pub fn tick(&mut self, now_ms: u64) -> Vec<(SessionId, Epoch)> {
        self.now_ms = now_ms;
        let mut expired = Vec::new();
        while let Some(&(queued_ms, session)) =
            self.queue.first().filter(|(queued_ms, _)| *queued_ms <= now_ms)
        {
            self.queue.remove(&(queued_ms, session));
            let timer = self.timers.get_mut(&session).expect("whatever is queued has a timer");
            if timer.deadline_ms <= now_ms {
                expired.push((session, timer.epoch));
                timer.deadline_ms = now_ms + timer.timeout_ms;
            }
            timer.queued_ms = timer.deadline_ms;
            self.queue.insert((timer.queued_ms, session));
        }
        expired
    }

    /// The node has started: nothing could be heard of any client.
    pub fn restart(&mut self) {
        let now_ms = self.now_ms;
        self.restarts += 1;
        self.timers.values_mut().for_each(|timer| timer.deadline_ms = now_ms + timer.timeout_ms);
    }

    /// This node's reign over some sessions has ended: their timers stand.
    pub fn end_reign(&mut self, reign: Epoch, of: impl Fn(SessionId) -> bool) {
        let now_ms = self.now_ms;
        for (_, timer) in self.timers.iter_mut().filter(|(session, _)| of(**session)) {
            let remaining_ms = timer.remaining_ms(now_ms);
            timer.ended = Some(Ended { reign, ended_ms: now_ms, remaining_ms });
        }
    }

    /// How a reign of this node has left the timers of some sessions, and how long ago it has ended.
    pub fn left(&self, reign: Epoch, of: impl Fn(SessionId) -> bool) -> Vec<(u64, Left)> {
        let sessions = self.queue.iter().map(|(_, session)| *session).filter(|session| of(*session));
        let left = sessions.filter_map(|session| {
            let timer = &self.timers[&session];
            let ended = timer.ended.filter(|ended| ended.reign == reign)?;
            let remaining_ms = u32::try_from(ended.remaining_ms).unwrap_or(u32::MAX);
            let left = Left { session, epoch: timer.epoch, remaining_ms };
            Some((self.now_ms - ended.ended_ms, left))
        });
        left.collect()
    }

    /// Another node tells how its reign has left a timer; a later reign may have been told of already. `current` is the reign of this
    /// node over the session's home, if it has one. Says whether the timer goes on from there at once.
    pub fn inherit(&mut self, left: Left, reign: Epoch, ended_ms_ago: u64, current: Option<Epoch>) -> bool {
        let now_ms = self.now_ms;
        let is_told = |timer: &&mut Timer| {
            timer.epoch == left.epoch && timer.ended.is_none_or(|ended| ended.reign <= reign)
        };
        let Some(timer) = self.timers.get_mut(&left.session).filter(is_told) else { return false };
        let ended_ms = now_ms.saturating_sub(ended_ms_ago);
        timer.ended = Some(Ended { reign, ended_ms, remaining_ms: u64::from(left.remaining_ms) });
        let resumed_ms =
            current.filter(|_| timer.is_afresh).and_then(|reign| timer.resumed_ms(reign, now_ms));
        let Some(deadline_ms) = resumed_ms.filter(|resumed_ms| *resumed_ms < timer.deadline_ms) else {
            return false;
        };
        (timer.deadline_ms, timer.is_afresh) = (deadline_ms, false);
        self.requeue(left.session);
        true
    }

    /// A reign of this node over some sessions begins. Timers that the reign before has left go on; the others start afresh,
    /// and `grace_ms` later than from now, for somebody else may have confirmed till just now that their clients were heard of.
    pub fn begin_reign(&mut self, reign: Epoch, grace_ms: u64, of: impl Fn(SessionId) -> bool) {
        let now_ms = self.now_ms;
        let (mut earlier, mut is_any_afresh) = (Vec::new(), false);
        for (session, timer) in self.timers.iter_mut().filter(|(session, _)| of(**session)) {
            let resumed_ms = timer.resumed_ms(reign, now_ms);
            timer.deadline_ms = resumed_ms.unwrap_or(now_ms + grace_ms + timer.timeout_ms);
            timer.is_afresh = resumed_ms.is_none();
            is_any_afresh |= timer.is_afresh;
            timer.is_ending = false;
            if timer.deadline_ms < timer.queued_ms {
                earlier.push(*session);
            }
        }
        self.restarts += u64::from(is_any_afresh);
        earlier.into_iter().for_each(|session| self.requeue(session));
    }

    /// A deadline has come nearer.
    fn requeue(&mut self, session: SessionId) {
        let timer = self.timers.get_mut(&session).expect("a session with a timer");
        if timer.deadline_ms < timer.queued_ms {
            self.queue.remove(&(timer.queued_ms, session));
            timer.queued_ms = timer.deadline_ms;
            self.queue.insert((timer.queued_ms, session));
        }
    }

    /// The time that the timers go by: it stands while the node does.
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// How often timers have started afresh.
    pub fn restarts(&self) -> u64 {
        self.restarts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: SessionId = SessionId(1);
    const B: SessionId = SessionId(2);

    /// Two sessions of 90 ms, of which A was heard of 60 ms ago when reign 7 ended.
    fn ended() -> Expiry {
        let mut expiry = Expiry::default();
        expiry.start(A, 1, 90, 0);
        expiry.start(B, 1, 90, 0);
        expiry.begin_reign(7, 0, |_| true);
        assert!(expiry.tick(60).is_empty() && expiry.touch(B));
        expiry.end_reign(7, |_| true);
        expiry
    }

    fn others(left: &[(u64, Left)], reign: Epoch) -> Expiry {
        let mut expiry = Expiry::default();
        expiry.tick(1_000);
        expiry.start(A, 1, 90, 0);
        expiry.start(B, 1, 90, 0);
        for (ended_ms_ago, left) in left {
            assert!(!expiry.inherit(*left, reign, *ended_ms_ago, None), "no reign has begun");
        }
        expiry
    }

    #[test]
    fn a_session_expires_a_timeout_after_it_was_last_heard_of() {
        let mut expiry = Expiry::default();
        expiry.start(A, 1, 100, 0);
        expiry.start(B, 1, 100, 0);
        assert!(expiry.tick(60).is_empty());
        assert!(expiry.touch(A));
        assert_eq!(expiry.tick(100), [(B, 1)]);
        expiry.end(B);
        assert!(!expiry.touch(B), "what is heard of it now comes too late");
        expiry.stop(B);
        assert!(!expiry.touch(B), "it has ended");
        assert!(expiry.tick(159).is_empty());
        assert_eq!(expiry.tick(160), [(A, 1)]);
        assert_eq!(expiry.tick(260), [(A, 1)], "it is asked for again while nothing comes of it");
    }

    #[test]
    fn a_session_that_moves_starts_anew_in_its_epoch() {
        let mut expiry = Expiry::default();
        expiry.start(A, 1, 100, 0);
        assert!(expiry.tick(90).is_empty());
        expiry.start(A, 2, 100, 0);
        assert!(expiry.tick(100).is_empty());
        assert_eq!(expiry.tick(190), [(A, 2)]);
        expiry.restart();
        assert!(expiry.tick(289).is_empty());
        assert_eq!(expiry.restarts(), 1);
    }

    #[test]
    fn a_leader_that_becomes_unsure_for_a_moment_goes_on_with_its_timers() {
        let mut expiry = ended();
        assert!(expiry.tick(80).is_empty());
        expiry.begin_reign(8, 50, |_| true);
        assert!(expiry.tick(109).is_empty());
        assert_eq!(expiry.tick(110), [(A, 1)], "90 ms, and the 20 in which nobody led");
        assert_eq!(expiry.tick(170), [(B, 1)]);
    }

    #[test]
    fn the_next_leader_goes_on_with_timers_that_it_is_told_before_its_reign() {
        let left = ended().left(7, |_| true);
        let mut expiry = others(&left, 7);
        assert!(expiry.tick(1_010).is_empty());
        expiry.begin_reign(8, 50, |_| true);
        assert!(expiry.tick(1_039).is_empty());
        assert_eq!(expiry.tick(1_040), [(A, 1)]);
        assert_eq!(expiry.tick(1_100), [(B, 1)]);
    }

    #[test]
    fn the_next_leader_goes_on_with_timers_that_it_is_told_later_but_for_those_it_has_heard_of() {
        let left = ended().left(7, |_| true);
        let mut expiry = others(&[], 7);
        expiry.begin_reign(8, 50, |_| true);
        assert!(expiry.tick(1_010).is_empty() && expiry.touch(B));
        let at_once: Vec<bool> =
            left.iter().map(|(ago, left)| expiry.inherit(*left, 7, *ago, Some(8))).collect();
        assert_eq!(at_once, [true, false]);
        assert_eq!(expiry.tick(1_040), [(A, 1)]);
        assert!(expiry.tick(1_129).is_empty());
        assert_eq!(expiry.tick(1_140), [(A, 1), (B, 1)], "the end of A is asked for again");
    }

    #[test]
    fn timers_of_a_reign_that_others_have_followed_start_afresh() {
        let left = ended().left(7, |_| true);
        let mut expiry = others(&left, 7);
        expiry.begin_reign(9, 50, |_| true);
        assert!(expiry.tick(1_129).is_empty());
        assert_eq!(expiry.tick(1_140), [(A, 1), (B, 1)]);
    }

    #[test]
    fn what_an_earlier_reign_has_left_does_not_replace_what_a_later_one_has() {
        let left = ended().left(7, |_| true);
        let mut expiry = others(&left, 7);
        let earlier = Left { remaining_ms: 80, ..left[0].1 };
        assert!(!expiry.inherit(earlier, 5, 10, None));
        expiry.begin_reign(8, 50, |_| true);
        assert_eq!(expiry.tick(1_030), [(A, 1)]);
    }

    #[test]
    fn timers_start_afresh_after_clients_have_given_up_their_connections() {
        for (outage_ms, expired) in [(30, 120), (31, 231)] {
            let mut expiry = ended();
            expiry.tick(60 + outage_ms);
            expiry.begin_reign(8, 50, |_| true);
            assert!(expiry.tick(expired - 1).is_empty());
            assert!(expiry.tick(expired).contains(&(A, 1)));
        }
    }

    #[test]
    fn the_timer_of_a_session_that_has_moved_is_not_inherited() {
        let left = ended().left(7, |_| true);
        let mut expiry = others(&left, 7);
        expiry.start(A, 2, 90, 0);
        expiry.begin_reign(8, 50, |_| true);
        assert!(!expiry.inherit(left[0].1, 7, 0, Some(8)));
        assert!(expiry.tick(1_089).is_empty());
        assert_eq!(expiry.tick(1_090), [(B, 1)]);
        assert!(expiry.tick(1_139).is_empty());
        assert_eq!(expiry.tick(1_140), [(A, 2)]);
    }

    #[test]
    fn a_session_whose_end_was_ordered_in_vain_is_ended_by_the_next_reign() {
        let mut expiry = ended();
        assert_eq!(expiry.tick(90), [(A, 1)]);
        expiry.end(A);
        expiry.end_reign(7, |_| true);
        expiry.begin_reign(8, 50, |_| true);
        assert_eq!(expiry.tick(91), [(A, 1)]);
    }

    /// Another leader may still confirm what it hears, while this one hears of a client, and a session is opened.
    #[test]
    fn what_is_heard_while_another_leader_may_confirm_brings_no_end_nearer() {
        let mut expiry = others(&[], 7);
        expiry.begin_reign(9, 50, |_| true);
        assert!(expiry.touch(A));
        expiry.start(B, 2, 90, 1_050);
        assert!(expiry.tick(1_139).is_empty());
        assert_eq!(expiry.tick(1_140), [(A, 1), (B, 2)]);
    }
}
