//! The read index: up to where a ring must be followed before something may be read off its log.
//!
//! A member *asks*, and reads once it has followed the ring as far as the *index* that it is told: how many entries the
//! leader had decided. What was decided anywhere before the question was asked lies below the index, if
//!
//! - whoever names it leads, and has decided all that its log held when it entered the accept phase; and
//! - a quorum has been seen, *after the question*, to have promised nothing beyond the leader's ballot. A later leader would
//!   need the accepts of a quorum to decide anything, so of some member that had not promised its ballot by then.
//!
//! The asker counts itself and everybody who has answered: those who have promised the same ballot as it has must be a quorum,
//! and one of them must lead under that ballot. A question is the same whoever asks whom: the other tells what it has promised
//! and, if it leads, what it has decided. A leader asks all others. Where the asker and the leader are a quorum, as among three
//! members, a follower asks the leader alone; where they are none, it asks all others too.
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

use crate::NodeId;
use crate::branches::{LOG_UNDECIDED, OTHER_BALLOT};
use crate::faults::{BALLOT_IGNORED, OLD_LEADER_READS, UNDECIDED_LOG_READ};
use crate::ring::{Promise, Ring};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use std::collections::VecDeque;

/// After how long without an answer a question is asked again.
pub(crate) const RETRY_MS: u64 = 100;

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

    /// Whether it was told under this ballot.
    fn is_under(&self, promise: Promise) -> bool {
        self.promise == promise || BALLOT_IGNORED.is_planted()
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
/// - `heard` names each other member at most once, with the latest question that it has answered.
#[derive(Debug)]
pub(crate) struct ReadIndex {
    /// Of how many members any two sets share one.
    quorum: usize,
    asked: u64,
    asked_ms: u64,
    answered: u64,
    heard: Vec<(NodeId, Told)>,
    /// Questions answered, and how many entries must be followed for each.
    indexes: VecDeque<(u64, u64)>,
}

impl ReadIndex {
    /// A ring of so many members, of which nothing was asked.
    pub(crate) fn new(members: usize) -> ReadIndex {
        let (heard, indexes) = (Vec::with_capacity(members), VecDeque::new());
        ReadIndex { quorum: members / 2 + 1, asked: 0, asked_ms: 0, answered: 0, heard, indexes }
    }

    /// Whether the leader's answer and the asker's own promise are a quorum.
    pub(crate) fn leader_suffices(&self) -> bool {
        self.quorum <= 2
    }

    /// Asks the next question. Its number.
    pub(crate) fn ask(&mut self, ring: &dyn Ring, now_ms: u64) -> u64 {
        self.asked += 1;
        self.asked_ms = now_ms;
        let is_sure = self.quorum == 1 || OLD_LEADER_READS.is_planted();
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

    /// Another member has answered. What was never asked is no answer.
    pub(crate) fn told(&mut self, ring: &dyn Ring, from: NodeId, told: Told) {
        if told.number > self.asked {
            return;
        }
        if told.promise != ring.promise() {
            OTHER_BALLOT.reached();
        }
        match self.heard.iter_mut().find(|(member, _)| *member == from) {
            Some((_, before)) if before.number >= told.number => return,
            Some((_, before)) => *before = told,
            None => self.heard.push((from, told)),
        }
        let Some((led, entries)) = self.named(ring) else { return };
        let number = led.min(self.seen(ring.promise()));
        if number > self.answered {
            self.answer(number, entries);
        }
    }

    /// The latest question that the leader of the ballot promised here has answered, and the index that it named; this member
    /// knows the index itself if it leads.
    fn named(&self, ring: &dyn Ring) -> Option<(u64, u64)> {
        if let Some(entries) = index(ring) {
            return Some((self.asked, entries));
        }
        let leader =
            |told: &Told| Some((told.number, told.decided.filter(|_| told.is_under(ring.promise()))?));
        self.heard.iter().find_map(|(_, told)| leader(told))
    }

    /// The latest question since which a quorum, this member included, was seen to have promised `promise` and nothing beyond it.
    fn seen(&self, promise: Promise) -> u64 {
        let numbers =
            || self.heard.iter().filter(|(_, told)| told.is_under(promise)).map(|(_, told)| told.number);
        let is_quorum = |number: &u64| numbers().filter(|other| other >= number).count() + 1 >= self.quorum;
        numbers().filter(is_quorum).max().unwrap_or(0)
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
    if ring.leads() && ring.decided() < ring.entered_accept_with() {
        LOG_UNDECIDED.reached();
    }
    let leads = ring.leads() && has_decided_its_log(ring);
    leads.then(|| ring.decided())
}

/// Whether a leader has decided all that its log held when it entered the accept phase.
fn has_decided_its_log(ring: &dyn Ring) -> bool {
    ring.decided() >= ring.entered_accept_with() || UNDECIDED_LOG_READ.is_planted()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{LogError, LogPosition};
    use crate::ring::{Amnesiac, Outgoing, StepError};
    use crate::ring_id::RingId;

    /// A ring as a read index sees it.
    struct Seen {
        promise: u128,
        leads: bool,
        decided: u64,
    }

    impl Ring for Seen {
        fn id(&self) -> RingId {
            RingId(0)
        }
        fn leads(&self) -> bool {
            self.leads
        }
        fn leader(&self) -> Option<NodeId> {
            None
        }
        fn reigns(&self) -> u64 {
            0
        }
        fn entered_accept_with(&self) -> u64 {
            0
        }
        fn promise(&self) -> Promise {
            Promise(self.promise)
        }
        fn append(&mut self, _: Bytes) {}
        fn meet(&mut self, _: NodeId, _: u64) -> Result<(), Amnesiac> {
            Ok(())
        }
        fn reconnected(&mut self, _: NodeId) {}
        fn step(&mut self, _: NodeId, _: Bytes) -> Result<(), StepError> {
            Ok(())
        }
        fn tick(&mut self, _: u64) {}
        fn synced(&mut self, _: LogPosition) {}
        fn drain(&mut self, _: &mut Vec<Outgoing>) {}
        fn decided(&self) -> u64 {
            self.decided
        }
        fn accepted(&self) -> u64 {
            self.decided
        }
        fn read(&self, _: u64) -> Result<Bytes, LogError> {
            Ok(Bytes::new())
        }
    }

    fn told(number: u64, promise: u128, decided: Option<u64>) -> Told {
        Told { number, promise: Promise(promise), decided }
    }

    /// Tells answers in turn, and after each which question is answered if `followed` entries are.
    fn answered(
        ring: &Seen,
        members: usize,
        questions: u64,
        answers: &[(u16, Told)],
        followed: u64,
    ) -> Vec<Option<u64>> {
        let mut index = ReadIndex::new(members);
        (0..questions).for_each(|_| _ = index.ask(ring, 0));
        let mut tell = |(from, told): &(u16, Told)| {
            index.told(ring, NodeId(*from), *told);
            index.take(followed)
        };
        answers.iter().map(&mut tell).collect()
    }

    #[test]
    fn among_three_the_leader_and_the_asker_are_a_quorum() {
        let follower = Seen { promise: 5, leads: false, decided: 0 };
        assert_eq!(answered(&follower, 3, 1, &[(2, told(1, 5, Some(9)))], 9), [Some(1)]);
        assert_eq!(answered(&follower, 3, 1, &[(2, told(1, 5, Some(9)))], 8), [None], "not followed yet");
        assert_eq!(answered(&follower, 3, 1, &[(2, told(1, 4, Some(9)))], 9), [None], "an older ballot");
        assert_eq!(answered(&follower, 3, 1, &[(2, told(2, 5, Some(9)))], 9), [None], "never asked");
    }

    #[test]
    fn among_five_and_seven_a_quorum_must_have_promised_the_ballot_and_one_of_it_leads() {
        let follower = Seen { promise: 5, leads: false, decided: 0 };
        let answers =
            [(2, told(1, 5, Some(9))), (3, told(1, 6, None)), (4, told(1, 5, None)), (5, told(1, 5, None))];
        assert_eq!(answered(&follower, 5, 1, &answers, 9), [None, None, Some(1), None]);
        assert_eq!(answered(&follower, 7, 1, &answers, 9), [None, None, None, Some(1)]);
        let nobody_leads = [(3, told(1, 5, None)), (4, told(1, 5, None)), (5, told(1, 5, None))];
        assert_eq!(answered(&follower, 5, 1, &nobody_leads, 9), [None; 3]);
        let leader = Seen { promise: 5, leads: true, decided: 9 };
        assert_eq!(answered(&leader, 5, 1, &nobody_leads, 9), [None, Some(1), None]);
    }

    /// The same member twice is no quorum, and a quorum that was seen before a question does not answer it.
    #[test]
    fn a_question_counts_each_member_once_and_nobody_who_answered_an_earlier_one_only() {
        let follower = Seen { promise: 5, leads: false, decided: 0 };
        let twice = [(2, told(1, 5, Some(9))), (2, told(2, 5, Some(9))), (2, told(2, 5, Some(9)))];
        assert_eq!(answered(&follower, 5, 2, &twice, 9), [None; 3]);
        let late = [
            (2, told(1, 5, Some(9))),
            (3, told(1, 5, None)),
            (3, told(2, 5, None)),
            (2, told(2, 5, Some(9))),
        ];
        assert_eq!(answered(&follower, 5, 2, &late, 9), [None, Some(1), None, Some(2)]);
    }
}
