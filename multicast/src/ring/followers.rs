//! A member's side of following: who waits for news of its ring.

use super::following::{Answer, Request};
use super::{Outgoing, Ring, StepError};
use crate::NodeId;
use crate::log::{LogError, SharedLog};
use crate::ring_id::RingId;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::Range;

/// An answer ends behind the entry with which its entries reach this many bytes.
pub(crate) const ANSWER_BYTES: usize = 1 << 20;

/// The nodes that are no members of a ring and may ask this one, which is a member, about it.
///
/// Invariant: of each node only the latest request waits, so what is kept is bounded by the nodes there are.
#[derive(Debug, Default)]
pub(crate) struct Followers {
    waiting: BTreeMap<NodeId, Option<Request>>,
}

impl Followers {
    /// Nobody has asked yet.
    pub(crate) fn new(nodes: impl IntoIterator<Item = NodeId>) -> Followers {
        Followers { waiting: nodes.into_iter().map(|node| (node, None)).collect() }
    }

    /// Takes a request in the place of the one before.
    pub(crate) fn step(&mut self, from: NodeId, request: Bytes) -> Result<(), StepError> {
        let waiting = self.waiting.get_mut(&from).ok_or(StepError::Stranger(from))?;
        let malformed = StepError::Malformed { from, what: "bytes that are no request" };
        *waiting = Some(Request::decode(request).map_err(|_| malformed)?);
        Ok(())
    }

    /// A connection to a node begins: what it asked on the one before it asks again.
    pub(crate) fn forget(&mut self, node: NodeId) {
        if let Some(waiting) = self.waiting.get_mut(&node) {
            *waiting = None;
        }
    }

    /// Answers whoever waits for something that the ring's member on node `me` knows by now. Who cannot be answered for a
    /// fault of the disk is forgotten, and so comes to ask another member.
    pub(crate) fn answer(&mut self, me: NodeId, ring: &dyn Ring, log: &SharedLog, into: &mut Vec<Outgoing>) {
        let news = News::of(me, ring, log);
        for (to, waiting) in &mut self.waiting {
            let Some(request) = waiting.take_if(|request| news.concern(request)) else { continue };
            match news.answer(&request, log) {
                Ok(answer) => {
                    let frames = answer.frames().into_iter();
                    into.extend(frames.map(|message| Outgoing {
                        to: *to,
                        message,
                        after: None,
                        is_free: false,
                    }));
                }
                Err(error) => tracing::warn!(ring = %news.ring, %to, %error, "a follower is not answered"),
            }
        }
    }
}

/// What a member can tell of its ring.
struct News {
    ring: RingId,
    leader: Option<NodeId>,
    /// The entries that are decided and held.
    held: Range<u64>,
}

impl News {
    fn of(me: NodeId, ring: &dyn Ring, log: &SharedLog) -> News {
        let (id, decided) = (ring.id(), ring.decided());
        let leader = if ring.leads() { Some(me) } else { ring.leader() };
        News { ring: id, leader, held: log.lock().first(id)..decided }
    }

    fn concern(&self, request: &Request) -> bool {
        request.leader != self.leader || request.from.is_some_and(|from| self.held.contains(&from))
    }

    fn answer(&self, request: &Request, log: &SharedLog) -> Result<Answer, LogError> {
        let from = request.from.unwrap_or(0);
        let wanted = request.from.filter(|from| self.held.contains(from));
        let wanted = wanted.map_or(0..0, |from| from..self.held.end);
        let entries = log.lock().read_range(self.ring, wanted, ANSWER_BYTES)?;
        Ok(Answer { number: request.number, leader: self.leader, from, entries })
    }
}

#[cfg(test)]
mod tests {
    use super::super::fragment::Joiner;
    use super::*;
    use crate::disk::{Disk, MemoryDisk};
    use crate::log::{LogLimits, LogNonce, NodeLog};
    use crate::ring::SoloRing;
    use std::sync::Arc;

    const ME: NodeId = NodeId(1);
    const FOLLOWER: NodeId = NodeId(9);

    struct Member {
        disk: Arc<MemoryDisk>,
        log: SharedLog,
        ring: SoloRing,
        followers: Followers,
        joiner: Joiner,
    }

    impl Member {
        fn new() -> Member {
            let disk = Arc::new(MemoryDisk::new());
            let shown: Arc<dyn Disk> = disk.clone();
            let log = SharedLog::new(
                NodeLog::recover(shown, LogLimits::default(), LogNonce::default()).expect("a log"),
            );
            let ring = SoloRing::recover(RingId::SHARED, log.clone());
            Member { disk, log, ring, followers: Followers::new([FOLLOWER]), joiner: Joiner::default() }
        }

        fn decide(&mut self, entry: Vec<u8>) {
            self.ring.append(Bytes::from(entry));
            let buffer = self.log.lock().take_buffer().expect("something to write");
            buffer.write(self.disk.as_ref()).expect("a disk that works");
            self.log.lock().synced(buffer.position());
            self.ring.synced(buffer.position());
        }

        fn ask(&mut self, number: u64, leader: Option<NodeId>, from: Option<u64>) -> Option<Answer> {
            let request = Request { number, leader, from };
            self.followers.step(FOLLOWER, request.encode()).expect("a request");
            self.answer()
        }

        fn answer(&mut self) -> Option<Answer> {
            let mut sent = Vec::new();
            self.followers.answer(ME, &self.ring, &self.log, &mut sent);
            assert!(sent.iter().all(|sent| sent.to == FOLLOWER && sent.after.is_none()));
            let mut frames = sent.into_iter();
            let whole = frames.find_map(|sent| self.joiner.take(sent.message).expect("a frame"))?;
            assert_eq!(frames.count(), 0, "one request has one answer");
            Some(Answer::decode(whole).expect("an answer"))
        }
    }

    #[test]
    fn a_request_waits_for_news_and_is_answered_once() {
        let mut member = Member::new();
        let told = member.ask(1, None, Some(0)).expect("who leads is news");
        assert_eq!(told, Answer { number: 1, leader: Some(ME), from: 0, entries: Vec::new() });
        assert_eq!(member.ask(2, Some(ME), Some(0)), None);
        member.ring.append(Bytes::from_static(b"a"));
        assert_eq!(member.answer(), None, "it is not decided");
        member.decide(b"b".to_vec());
        let entries = vec![Bytes::from_static(b"a"), Bytes::from_static(b"b")];
        assert_eq!(member.answer(), Some(Answer { number: 2, leader: Some(ME), from: 0, entries }));
        member.decide(b"c".to_vec());
        assert_eq!(member.answer(), None, "the answer has consumed the request");
    }

    #[test]
    fn who_wants_no_entries_is_told_only_who_leads() {
        let mut member = Member::new();
        member.decide(b"a".to_vec());
        assert_eq!(member.ask(1, Some(ME), None), None);
        let told = member.ask(2, Some(NodeId(2)), None).expect("another leads");
        assert_eq!((told.leader, told.entries), (Some(ME), Vec::new()));
    }

    #[test]
    fn who_asks_beyond_what_is_decided_or_below_what_is_held_waits() {
        let mut member = Member::new();
        member.decide(b"a".to_vec());
        assert_eq!(member.ask(1, Some(ME), Some(7)), None);
        assert_eq!(member.ask(2, Some(ME), Some(u64::MAX)), None);
        let told = member.ask(3, None, Some(7)).expect("who leads is news");
        assert_eq!(told.entries, Vec::<Bytes>::new());
        member.decide(b"b".to_vec());
        member.log.lock().trim(RingId::SHARED, 1);
        assert_eq!(member.ask(4, Some(ME), Some(0)), None);
        assert_eq!(member.ask(5, None, Some(0)).expect("who leads is news").entries, Vec::<Bytes>::new());
        assert_eq!(member.ask(6, Some(ME), Some(1)).expect("it is held").entries, ["b"]);
    }

    #[test]
    fn an_answer_is_bounded_and_the_next_request_gets_the_rest() {
        let mut member = Member::new();
        let third = ANSWER_BYTES / 3;
        (0..5).for_each(|byte| member.decide(vec![byte; third]));
        let told = member.ask(1, Some(ME), Some(0)).expect("entries");
        assert_eq!(told.entries.len(), 4, "it ends behind the entry with which it is full");
        let told = member.ask(2, Some(ME), Some(4)).expect("an entry");
        assert_eq!((told.from, told.entries), (4, vec![Bytes::from(vec![4; third])]));
    }

    #[test]
    fn strangers_and_malformed_requests_are_refused_and_a_new_connection_forgets() {
        let mut member = Member::new();
        let request = Request { number: 1, leader: Some(ME), from: Some(0) }.encode();
        let stranger = NodeId(2);
        assert_eq!(member.followers.step(stranger, request), Err(StepError::Stranger(stranger)));
        assert!(member.followers.step(FOLLOWER, Bytes::from_static(b"?")).is_err());
        assert_eq!(member.ask(1, Some(ME), Some(0)), None);
        member.followers.forget(FOLLOWER);
        member.decide(b"a".to_vec());
        assert_eq!(member.answer(), None);
    }
}
