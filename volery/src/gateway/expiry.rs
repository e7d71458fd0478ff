//! Expiry: the timers of the sessions whose home this node leads.
//!
//! A session ends by order, not by time stamps: when its timer runs out, the home's leader orders `Expire` for the
//! epoch it knows, and that is void if the session has moved in the meantime. Timers are soft state: every node with a
//! replica of the home keeps them, only who leads it acts on them, and they start afresh for all its sessions when a
//! leader is elected, and when a node starts.
//!
//! Who is elected begins a *reign*: a command at the home, whose number every `Expire` carries. An `Expire` may be executed late,
//! when another leader has heard of the client and has had its ping answered; then another reign has begun before that, and
//! the `Expire` is void. A leader that is none any more may go on confirming for as long as it is sure of itself, so the timers
//! of a new reign begin that much later. And what is heard of a client after its session's end was ordered comes too late: it is
//! not confirmed.

use crate::session::SessionId;
use eyrie::Epoch;
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;

#[derive(Clone, Copy, Debug)]
struct Timer {
    epoch: Epoch,
    timeout_ms: u64,
    deadline_ms: u64,
    /// Where the session stands in the queue.
    queued_ms: u64,
    /// Whether its end is ordered here.
    is_ending: bool,
}

/// Every session's timer. A touch is one look-up; the queue is mended when a deadline that was put off comes due.
///
/// Invariant: every session in `timers` is in `queue` exactly once, at its `queued_ms`, which is not after its deadline.
#[derive(Debug, Default)]
pub struct Expiry {
    timers: FxHashMap<SessionId, Timer>,
    queue: BTreeSet<(u64, SessionId)>,
    now_ms: u64,
}

impl Expiry {
    /// A session was opened, or has moved: its timer starts.
    pub fn start(&mut self, session: SessionId, epoch: Epoch, timeout_ms: u32) {
        let timeout_ms = u64::from(timeout_ms);
        let deadline_ms = self.now_ms + timeout_ms;
        self.stop(session);
        let timer = Timer { epoch, timeout_ms, deadline_ms, queued_ms: deadline_ms, is_ending: false };
        self.timers.insert(session, timer);
        self.queue.insert((deadline_ms, session));
    }

    /// The client was heard of. Says whether the session lives for a timeout from now on; not if it is not known here, or its end
    /// is ordered.
    pub fn touch(&mut self, session: SessionId) -> bool {
        let timer = self.timers.get_mut(&session).filter(|timer| !timer.is_ending);
        let Some(timer) = timer else { return false };
        timer.deadline_ms = self.now_ms + timer.timeout_ms;
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

    /// The timers of these sessions start afresh, and `grace_ms` later than from now: nothing could be heard of their clients for
    /// some time, or somebody else has confirmed till just now that it was.
    pub fn restart(&mut self, grace_ms: u64, of: impl Fn(SessionId) -> bool) {
        for (_, timer) in self.timers.iter_mut().filter(|(session, _)| of(**session)) {
            timer.deadline_ms = self.now_ms + grace_ms + timer.timeout_ms;
            timer.is_ending = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: SessionId = SessionId(1);
    const B: SessionId = SessionId(2);

    #[test]
    fn a_session_expires_a_timeout_after_it_was_last_heard_of() {
        let mut expiry = Expiry::default();
        expiry.start(A, 1, 100);
        expiry.start(B, 1, 100);
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
        expiry.start(A, 1, 100);
        assert!(expiry.tick(90).is_empty());
        expiry.start(A, 2, 100);
        assert!(expiry.tick(100).is_empty());
        assert_eq!(expiry.tick(190), [(A, 2)]);
        expiry.restart(0, |session| session == A);
        assert!(expiry.tick(289).is_empty());
    }
}
