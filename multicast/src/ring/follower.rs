//! The ring as a node sees it that is no member: it asks the members what is new.

use super::following::{Answer, Request};
use super::fragment::Joiner;
use super::{Amnesiac, Outgoing, Ring, StepError};
use crate::NodeId;
use crate::log::{LogError, LogPosition, SharedLog};
use crate::ring_id::RingId;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::fmt;

/// After so long without an answer the next member is asked. It may have nothing to tell, or it may be dead or cut off
/// from the others: who asks cannot know.
pub const FOLLOW_PATIENCE_MS: u64 = 500;

/// What a follower wants of a ring.
pub enum Following {
    /// Who leads it.
    Leader,
    /// Its decided entries too. They are appended to this log; what it holds of the ring from an earlier start is kept.
    /// They were synced by a quorum of the members, so this node vouches for nothing by them, and no sync is waited for.
    Entries(SharedLog),
}

/// A ring of which this node is no member. One request is under way at any time, to one member; the answer to it says who
/// leads, and is followed by the next request. Entries are taken from late answers too.
///
/// Invariants:
/// - what the log holds of the ring is decided, from the first entry on.
/// - `leader` is what the member said that answered last, one of `members`.
/// - the request under way is `number`, sent or to be sent to `members[asked]`.
pub struct FollowerRing {
    id: RingId,
    members: Vec<NodeId>,
    following: Following,
    leader: Option<NodeId>,
    number: u64,
    asked: usize,
    asked_ms: u64,
    now_ms: u64,
    /// The request under way, until it is drained.
    unsent: Option<Outgoing>,
    joiners: BTreeMap<NodeId, Joiner>,
}

impl FollowerRing {
    /// Follows a ring of these members from node `me`. Panics if there are none or this node is one.
    pub fn new(id: RingId, me: NodeId, members: Vec<NodeId>, following: Following) -> FollowerRing {
        assert!(!members.is_empty(), "ring {id} has members");
        assert!(!members.contains(&me), "a member of ring {id} does not follow it");
        // Followers begin at different members.
        let asked = usize::from(me.0) % members.len();
        let mut ring = FollowerRing {
            id,
            members,
            following,
            leader: None,
            number: 0,
            asked,
            asked_ms: 0,
            now_ms: 0,
            unsent: None,
            joiners: BTreeMap::new(),
        };
        ring.ask(asked);
        ring
    }

    /// Asks a member for what is not known here.
    fn ask(&mut self, place: usize) {
        self.number += 1;
        self.asked = place;
        self.asked_ms = self.now_ms;
        let from = match &self.following {
            Following::Leader => None,
            Following::Entries(log) => Some(log.lock().next_index(self.id)),
        };
        let request = Request { number: self.number, leader: self.leader, from };
        self.unsent = Some(Outgoing {
            to: self.members[place],
            message: request.encode(),
            after: None,
            is_free: false,
        });
    }

    fn place(&self, member: NodeId) -> Option<usize> {
        self.members.iter().position(|other| *other == member)
    }

    fn take(&mut self, from: NodeId, answer: Answer) -> Result<(), StepError> {
        let malformed = |what| StepError::Malformed { from, what };
        if answer.leader.is_some_and(|leader| !self.members.contains(&leader)) {
            return Err(malformed("a leader that is no member"));
        }
        self.take_entries(answer.from, answer.entries).map_err(malformed)?;
        if answer.number == self.number && from == self.members[self.asked] {
            self.leader = answer.leader;
            self.ask(self.asked);
        }
        Ok(())
    }

    /// Appends what is not held yet. A late answer may begin before it.
    fn take_entries(&mut self, from: u64, entries: Vec<Bytes>) -> Result<(), &'static str> {
        if entries.is_empty() {
            return Ok(());
        }
        let Following::Entries(log) = &self.following else {
            return Err("entries that were not asked for");
        };
        let mut log = log.lock();
        let next = log.next_index(self.id);
        let held = next.checked_sub(from).ok_or("entries behind a gap")?;
        let held = usize::try_from(held).unwrap_or(usize::MAX);
        for (entry, index) in entries.into_iter().skip(held).zip(next..) {
            log.append(self.id, index, entry);
        }
        Ok(())
    }
}

impl Ring for FollowerRing {
    fn id(&self) -> RingId {
        self.id
    }

    fn leads(&self) -> bool {
        false
    }

    fn leader(&self) -> Option<NodeId> {
        self.leader
    }

    fn reigns(&self) -> u64 {
        0
    }

    fn entered_accept_with(&self) -> u64 {
        0
    }

    fn append(&mut self, _: Bytes) {
        panic!("ring {}: only the leader appends", self.id);
    }

    /// A member promises nothing to who only follows, and hands out nothing but what is decided.
    fn meet(&mut self, _: NodeId, _: u64) -> Result<(), Amnesiac> {
        Ok(())
    }

    /// What was asked over the old connection is lost. While nothing is known, a member that can be reached is asked
    /// rather than one that is waited for. Who led must be heard of again: what was submitted there is lost too, and is sent
    /// again where a leader is new.
    fn reconnected(&mut self, peer: NodeId) {
        self.joiners.remove(&peer);
        let place = self.place(peer).expect("a link to a member of the ring");
        self.leader.take_if(|leader| *leader == peer);
        if place == self.asked || self.leader.is_none() {
            self.ask(place);
        }
    }

    fn step(&mut self, from: NodeId, message: Bytes) -> Result<(), StepError> {
        self.place(from).ok_or(StepError::Stranger(from))?;
        let malformed = |what| StepError::Malformed { from, what };
        let joined = self.joiners.entry(from).or_default().take(message);
        let Some(answer) = joined.map_err(|_| malformed("a frame that does not join"))? else {
            return Ok(());
        };
        let answer = Answer::decode(answer).map_err(|_| malformed("bytes that are no answer"))?;
        self.take(from, answer)
    }

    fn tick(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
        if now_ms >= self.asked_ms + FOLLOW_PATIENCE_MS {
            self.ask((self.asked + 1) % self.members.len());
        }
    }

    /// Nothing waits for the log here.
    fn synced(&mut self, _: LogPosition) {}

    fn drain(&mut self, into: &mut Vec<Outgoing>) {
        into.extend(self.unsent.take());
    }

    fn decided(&self) -> u64 {
        self.accepted()
    }

    fn accepted(&self) -> u64 {
        match &self.following {
            Following::Leader => 0,
            Following::Entries(log) => log.lock().next_index(self.id),
        }
    }

    /// Panics if entries are not wanted here: none is held then.
    fn read(&self, index: u64) -> Result<Bytes, LogError> {
        match &self.following {
            Following::Leader => panic!("ring {} is followed without its entries", self.id),
            Following::Entries(log) => log.lock().read(self.id, index),
        }
    }
}

impl fmt::Debug for FollowerRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FollowerRing")
            .field("id", &self.id)
            .field("leader", &self.leader)
            .field("decided", &self.decided())
            .field("asked", &self.members[self.asked])
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Disk, MemoryDisk};
    use crate::log::{LogLimits, LogNonce, NodeLog};
    use std::sync::Arc;

    const ME: NodeId = NodeId(6);
    const A: NodeId = NodeId(1);
    const B: NodeId = NodeId(2);
    const C: NodeId = NodeId(3);

    fn open(disk: &Arc<MemoryDisk>) -> SharedLog {
        let disk: Arc<dyn Disk> = disk.clone();
        SharedLog::new(NodeLog::recover(disk, LogLimits::default(), LogNonce::default()).expect("a log"))
    }

    fn follow(log: SharedLog) -> FollowerRing {
        FollowerRing::new(RingId::SHARED, ME, vec![A, B, C], Following::Entries(log))
    }

    /// The request that is under way, if it is new, and to whom.
    fn asked(ring: &mut FollowerRing) -> Option<(NodeId, Request)> {
        let mut sent = Vec::new();
        ring.drain(&mut sent);
        assert!(sent.len() < 2, "one request is under way");
        let sent = sent.pop()?;
        Some((sent.to, Request::decode(sent.message).expect("a request")))
    }

    fn number(ring: &mut FollowerRing) -> u64 {
        asked(ring).expect("a request").1.number
    }

    fn answer(ring: &mut FollowerRing, by: NodeId, answer: Answer) -> Result<(), StepError> {
        answer.frames().into_iter().try_for_each(|frame| ring.step(by, frame))
    }

    fn entries(number: u64, from: u64, entries: &[&'static str]) -> Answer {
        let entries = entries.iter().map(|entry| Bytes::from_static(entry.as_bytes())).collect();
        Answer { number, leader: Some(C), from, entries }
    }

    fn held(ring: &FollowerRing) -> Vec<Bytes> {
        assert_eq!(ring.decided(), ring.accepted());
        (0..ring.decided()).map(|index| ring.read(index).expect("an entry")).collect()
    }

    #[test]
    fn entries_are_fetched_in_order_and_the_next_request_follows_at_once() {
        let mut ring = follow(open(&Arc::new(MemoryDisk::new())));
        let first = Request { number: 1, leader: None, from: Some(0) };
        assert_eq!(asked(&mut ring), Some((A, first)));
        answer(&mut ring, A, entries(1, 0, &["a", "b"])).expect("an answer");
        assert_eq!((held(&ring), ring.leader()), (vec!["a".into(), "b".into()], Some(C)));
        let second = Request { number: 2, leader: Some(C), from: Some(2) };
        assert_eq!(asked(&mut ring), Some((A, second)));
        answer(&mut ring, A, entries(2, 2, &["c"])).expect("an answer");
        assert_eq!(held(&ring), ["a", "b", "c"]);
        assert!(!ring.leads() && ring.reigns() == 0);
    }

    #[test]
    fn entries_behind_a_gap_are_refused_and_those_held_are_skipped() {
        let mut ring = follow(open(&Arc::new(MemoryDisk::new())));
        answer(&mut ring, A, entries(1, 0, &["a", "b"])).expect("an answer");
        let gap = StepError::Malformed { from: A, what: "entries behind a gap" };
        assert_eq!(answer(&mut ring, A, entries(2, 3, &["d"])), Err(gap));
        assert_eq!(answer(&mut ring, A, entries(2, u64::MAX, &["d", "e"])), Err(gap));
        assert_eq!(number(&mut ring), 2, "what was refused has changed nothing");
        answer(&mut ring, A, entries(2, 1, &["b", "c"])).expect("an answer");
        answer(&mut ring, A, entries(3, 0, &["a"])).expect("an answer");
        assert_eq!(held(&ring), ["a", "b", "c"]);
    }

    #[test]
    fn a_restart_keeps_what_was_synced_and_asks_from_there() {
        let disk = Arc::new(MemoryDisk::new());
        let log = open(&disk);
        let mut ring = follow(log.clone());
        answer(&mut ring, A, entries(1, 0, &["a", "b"])).expect("an answer");
        let buffer = log.lock().take_buffer().expect("something to write");
        buffer.write(disk.as_ref()).expect("a disk that works");
        log.lock().synced(buffer.position());
        answer(&mut ring, A, entries(2, 2, &["lost"])).expect("an answer");
        disk.crash(1);
        let mut ring = follow(open(&disk));
        assert_eq!((held(&ring), ring.leader()), (vec!["a".into(), "b".into()], None));
        assert_eq!(asked(&mut ring).expect("a request").1.from, Some(2));
    }

    #[test]
    fn a_member_that_does_not_answer_is_followed_by_the_next() {
        let mut ring = follow(open(&Arc::new(MemoryDisk::new())));
        ring.tick(FOLLOW_PATIENCE_MS - 1);
        assert_eq!(asked(&mut ring).expect("a request").0, A);
        for (turn, next) in (1..).zip([B, C, A, B]) {
            ring.tick(turn * FOLLOW_PATIENCE_MS);
            assert_eq!(asked(&mut ring).expect("a request").0, next);
        }
        ring.tick(4 * FOLLOW_PATIENCE_MS + 1);
        assert_eq!(asked(&mut ring), None);
    }

    #[test]
    fn a_late_answer_gives_entries_but_neither_a_leader_nor_the_next_request() {
        let mut ring = follow(open(&Arc::new(MemoryDisk::new())));
        ring.tick(FOLLOW_PATIENCE_MS);
        assert_eq!(number(&mut ring), 2);
        answer(&mut ring, A, entries(1, 0, &["a"])).expect("an answer");
        answer(&mut ring, A, entries(2, 1, &["b"])).expect("an answer to what another was asked");
        assert_eq!((held(&ring), ring.leader()), (vec!["a".into(), "b".into()], None));
        assert_eq!(asked(&mut ring), None);
        answer(&mut ring, B, entries(2, 0, &["a", "b", "c"])).expect("an answer");
        assert_eq!((held(&ring).len(), ring.leader()), (3, Some(C)));
        assert_eq!(asked(&mut ring).expect("a request").0, B);
    }

    #[test]
    fn a_member_that_is_met_again_is_asked_again() {
        let mut ring = follow(open(&Arc::new(MemoryDisk::new())));
        ring.reconnected(B);
        assert_eq!(asked(&mut ring).expect("a request").0, B, "nothing is known: who is there is asked");
        answer(&mut ring, B, entries(2, 0, &[])).expect("an answer");
        assert_eq!(number(&mut ring), 3);
        ring.reconnected(A);
        assert_eq!(asked(&mut ring), None, "another's answer is under way");
        ring.reconnected(B);
        assert_eq!(number(&mut ring), 4);
    }

    #[test]
    fn a_leader_that_is_met_again_must_be_heard_of_again() {
        let mut ring = follow(open(&Arc::new(MemoryDisk::new())));
        answer(&mut ring, A, entries(1, 0, &["a"])).expect("an answer");
        ring.reconnected(B);
        assert_eq!(ring.leader(), Some(C));
        ring.reconnected(C);
        assert_eq!(ring.leader(), None);
        assert_eq!(asked(&mut ring), Some((C, Request { number: 3, leader: None, from: Some(1) })));
    }

    #[test]
    fn a_long_answer_is_joined_and_half_of_one_is_forgotten_with_its_connection() {
        let mut ring = follow(open(&Arc::new(MemoryDisk::new())));
        let long = vec![Bytes::from(vec![7; 600_000])];
        let frames = Answer { number: 1, leader: Some(B), from: 0, entries: long }.frames();
        assert_eq!(frames.len(), 3);
        ring.step(A, frames[0].clone()).expect("a part");
        ring.reconnected(A);
        assert!(ring.step(A, frames[1].clone()).is_err());
        for frame in &frames {
            ring.step(A, frame.clone()).expect("a part");
        }
        assert_eq!(ring.read(0).expect("the entry").len(), 600_000);
    }

    #[test]
    fn what_no_member_sends_is_refused() {
        let log = open(&Arc::new(MemoryDisk::new()));
        let mut ring = follow(log);
        let stranger = NodeId(5);
        let told = entries(1, 0, &["a"]);
        assert_eq!(answer(&mut ring, stranger, told.clone()), Err(StepError::Stranger(stranger)));
        assert!(ring.step(A, Bytes::from_static(b"?")).is_err());
        assert!(ring.step(A, Bytes::from_static(&[1, 0, 1])).is_err());
        assert!(answer(&mut ring, A, Answer { leader: Some(ME), ..told.clone() }).is_err());
        assert_eq!((ring.decided(), ring.leader()), (0, None));
        let mut ring = FollowerRing::new(RingId(0), ME, vec![A, B, C], Following::Leader);
        assert_eq!(asked(&mut ring).expect("a request").1.from, None);
        assert!(answer(&mut ring, A, told).is_err(), "no entries were asked for");
        answer(&mut ring, A, entries(1, 0, &[])).expect("an answer");
        assert_eq!((ring.decided(), ring.leader()), (0, Some(C)));
    }
}
