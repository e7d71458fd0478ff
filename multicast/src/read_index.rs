//! The read index: up to where a ring must be followed before something may be read off its log.
//!
//! A member *asks*, and reads once it has followed the ring as far as the *index* that it is told: how many entries the
//! leader had decided. What was decided anywhere before the question was asked lies below the index, if
//!
//! - whoever names it leads, and has decided all that its log held when it entered the accept phase; and
//! - a quorum has been seen, *after the question*, to have promised nothing beyond the leader's ballot. A later leader would
//!   need the accepts of a quorum to decide anything, so of some member that had not promised its ballot by then.
//!
//! Every ring has at most three members, so the asker and one other are a quorum. A question is the same whoever asks whom: the
//! other tells what it has promised and, if it leads, what it has decided. One of the two must lead, and both must have
//! promised the same ballot.
//!
//! ```text
//!   follower ── ask 7 ──► leader            leader ── ask 8 ──► follower
//!            ◄─ tell 7: ballot b, 40 ──            ◄─ tell 8: ballot b ──      (the leader knows the index itself)
//! ```
//!
//! Nothing here waits for the log: a question and its answer vouch for no write. A member that forgot a promise that it had not
//! synced has told nobody of it, so no leader counts on it.
//!
//! Questions are numbered, and the answer to one is an answer to all before it. Where none comes within [`RETRY_MS`], the next
//! is asked: the leader may be another by now.

use crate::faults::OLD_LEADER_READS;
use crate::ring::{Promise, Ring};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use std::collections::VecDeque;

/// After how long without an answer a question is asked again.
pub(crate) const RETRY_MS: u64 = 100;
/// The most members of a ring.
pub(crate) const MEMBERS_MAX: usize = 3;

/// What a member answers to a question.
///
/// ```text
/// number u64 | promise u128 | leads u8 | decided u64
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// The question.
    number: u64,
    /// The ballot that it has promised.
    promise: Promise,
    /// If it leads under that ballot: how many entries it has decided, all that was decided before it led among them.
    decided: Option<u64>,
}

const TOLD_BYTES: usize = 8 + 16 + 1 + 8;

impl Told {
    /// What the ring's member here has to say.
    pub(crate) fn by(ring: &dyn Ring, number: u64) -> Told {
        Told { number, promise: ring.promise(), decided: index(ring) }
    }

    pub(crate) fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(TOLD_BYTES);
        bytes.put_u64_le(self.number);
        bytes.put_u128_le(self.promise.0);
        bytes.put_u8(u8::from(self.decided.is_some()));
        bytes.put_u64_le(self.decided.unwrap_or_default());
        bytes.freeze()
    }

    pub(crate) fn decode(mut bytes: Bytes) -> Option<Told> {
        if bytes.len() != TOLD_BYTES {
            return None;
        }
        let (number, promise) = (bytes.get_u64_le(), Promise(bytes.get_u128_le()));
        let (leads, decided) = (bytes.get_u8(), bytes.get_u64_le());
        Some(Told { number, promise, decided: (leads == 1).then_some(decided) })
    }
}

/// The questions that a member has asked of one ring.
///
/// Invariants:
/// - numbers and entries ascend along `indexes`, and nothing in it is beyond `answered`.
/// - `answered <= asked`.
#[derive(Debug, Default)]
pub(crate) struct ReadIndex {
    asked: u64,
    asked_ms: u64,
    answered: u64,
    /// Questions answered, and how many entries must be followed for each.
    indexes: VecDeque<(u64, u64)>,
}

impl ReadIndex {
    /// Asks the next question. Its number.
    pub(crate) fn ask(&mut self, ring: &dyn Ring, members: usize, now_ms: u64) -> u64 {
        self.asked += 1;
        self.asked_ms = now_ms;
        let is_sure = members == 1 || OLD_LEADER_READS.is_planted();
        if let Some(entries) = index(ring).filter(|_| is_sure) {
            self.answer(self.asked, entries);
        }
        self.asked
    }

    /// Whether the last question has waited for too long.
    pub(crate) fn is_due(&self, now_ms: u64) -> bool {
        self.is_open() && now_ms >= self.asked_ms + RETRY_MS
    }

    /// Whether the last question is not answered.
    pub(crate) fn is_open(&self) -> bool {
        self.answered < self.asked
    }

    /// Another member has answered.
    pub(crate) fn told(&mut self, ring: &dyn Ring, told: Told) {
        let is_news = told.number > self.answered && told.number <= self.asked;
        if !is_news || told.promise != ring.promise() {
            return;
        }
        if let Some(entries) = told.decided.or_else(|| index(ring)) {
            self.answer(told.number, entries);
        }
    }

    /// The last question whose answer is followed, of how many entries have been; each is given out once.
    pub(crate) fn take(&mut self, followed: u64) -> Option<u64> {
        let mut last = None;
        while let Some((number, _)) = self.indexes.front().filter(|(_, entries)| *entries <= followed) {
            last = Some(*number);
            self.indexes.pop_front();
        }
        last
    }

    fn answer(&mut self, number: u64, entries: u64) {
        self.answered = number;
        let before = self.indexes.back().map_or(0, |(_, entries)| *entries);
        self.indexes.push_back((number, entries.max(before)));
    }
}

/// How many entries the member here has decided, if it leads and they are all that was decided before.
fn index(ring: &dyn Ring) -> Option<u64> {
    let leads = ring.leads() && ring.decided() >= ring.entered_accept_with();
    leads.then(|| ring.decided())
}
