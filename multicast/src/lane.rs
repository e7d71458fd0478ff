//! A lane: one ring as this node has it, and what goes with it.

use crate::branches::{ASKED_AGAIN, REIGN_LOST};
use crate::clock::Now;
use crate::entry::{EntryBuilder, EntryTime};
use crate::envelope::{Envelope, Relayed};
use crate::faults::{CURSOR_KEPT, NO_PREV_CHECK};
use crate::layout::Layout;
use crate::link::{Channel, StreamId};
use crate::log::SharedLog;
use crate::message::Message;
use crate::multicast::{ENTRY_BYTES, LEADS_SURELY_MS, Sent};
use crate::read_index::{ReadIndex, Told};
use crate::relay::{FollowError, Relay, Survey};
use crate::ring::{Allowances, Amnesiac, Followers, Outgoing, Ring, StepError};
use crate::ring_id::RingId;
use crate::sequence::Sequence;
use crate::{NodeId, PartitionId};
use bytes::Bytes;
use std::collections::VecDeque;

/// As many bytes of entries wait for a ring that has no room; what comes beyond is forgotten, and sent again.
pub const WAITING_BYTES_MAX: usize = 16 << 20;

/// What this node is in a ring.
enum Part {
    /// A member, whom the nodes that are none may ask.
    Member(Followers),
    /// It asks the members.
    Follower,
}

/// How long a ring's leaders have led it: what the log had told of that at some time, and the time since.
///
/// So the time between a leader's last entry and the next leader's first is not counted, nor is any time without a leader: an
/// age may be late, and is never early.
#[derive(Clone, Copy, Debug, Default)]
struct Age {
    told_ms: u64,
    since_ms: u64,
}

impl Age {
    fn at(self, now_ms: u64) -> u64 {
        self.told_ms + now_ms.saturating_sub(self.since_ms)
    }
}

/// A ring together with the entry that this turn builds for it.
pub(crate) struct Lane {
    me: NodeId,
    members: Vec<NodeId>,
    part: Part,
    ring: Box<dyn Ring>,
    batch: EntryBuilder,
    /// Entries for which the ring has no room yet, and their bytes.
    waiting: VecDeque<Bytes>,
    waiting_bytes: usize,
    /// Entries proposed since the last look.
    proposed: u64,
    age: Age,
    /// What is to be submitted to the leader.
    forwarded: EntryBuilder,
    /// Who led when submissions were last sent there.
    leader: Option<NodeId>,
    /// What this node asks the other members, and has been told.
    pub(crate) read_index: ReadIndex,
}

impl Lane {
    pub(crate) fn new(layout: &Layout, ring: Box<dyn Ring>) -> Lane {
        let (me, members) = (layout.me(), layout.members(ring.id()));
        let followers = layout.nodes().iter().copied().filter(|node| !members.contains(node));
        Lane {
            me,
            part: if members.contains(&me) {
                Part::Member(Followers::new(followers))
            } else {
                Part::Follower
            },
            read_index: ReadIndex::new(members.len()),
            members,
            ring,
            batch: EntryBuilder::default(),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            proposed: 0,
            age: Age::default(),
            forwarded: EntryBuilder::default(),
            leader: None,
        }
    }

    pub(crate) fn id(&self) -> RingId {
        self.ring.id()
    }

    pub(crate) fn ring(&self) -> &dyn Ring {
        self.ring.as_ref()
    }

    pub(crate) fn ring_mut(&mut self) -> &mut dyn Ring {
        self.ring.as_mut()
    }

    /// Whether this node is a member of the ring.
    pub(crate) fn is_member(&self) -> bool {
        matches!(self.part, Part::Member(_))
    }

    /// Puts an envelope into the entry that this turn builds. Where too much waits for the ring already it is forgotten: what was
    /// submitted is sent again. What is relayed is not, so it must not be pushed then.
    pub(crate) fn push(&mut self, envelope: &Envelope, relayed: Option<Relayed>, now: Now) {
        if relayed.is_none() && self.is_full() {
            return;
        }
        self.batch.push(envelope, relayed);
        if self.batch.len() >= ENTRY_BYTES {
            self.propose(now);
        }
    }

    /// Puts an envelope into the message that this turn builds for whoever else leads. Gives out one that is full; one for
    /// which there is nobody is forgotten, for it is sent again when there is.
    pub(crate) fn forward(&mut self, envelope: &Envelope) -> Option<Sent> {
        if self.leader.is_none_or(|leader| leader == self.me) {
            return None;
        }
        self.forwarded.push(envelope, None);
        if self.forwarded.len() >= ENTRY_BYTES { self.take_forwarded() } else { None }
    }

    fn take_forwarded(&mut self) -> Option<Sent> {
        if self.forwarded.is_empty() {
            return None;
        }
        // The leader's clock counts, not the submitter's.
        let (ring, envelopes) = (self.ring.id(), self.forwarded.take(EntryTime::default()));
        let to = self.leader.filter(|leader| *leader != self.me)?;
        let message = Message::Submit(ring, envelopes).encode();
        Some(Sent {
            to,
            channel: Channel::Ring,
            stream: unordered(ring),
            after: None,
            is_free: false,
            message,
        })
    }

    pub(crate) fn propose(&mut self, now: Now) {
        if !self.batch.is_empty() {
            let time = EntryTime { wall_ms: now.wall_ms, age_ms: self.age.at(now.monotonic_ms) };
            let entry = self.batch.take(time);
            self.waiting_bytes += entry.len();
            self.waiting.push_back(entry);
        }
        if !self.waiting.is_empty() {
            self.append_waiting();
        }
    }

    /// Leadership may have been lost since these entries were built; what was submitted is sent again, to whoever leads.
    fn append_waiting(&mut self) {
        if !self.ring.leads() {
            REIGN_LOST.reached();
            self.waiting.clear();
            self.waiting_bytes = 0;
        }
        while self.ring.has_room()
            && let Some(entry) = self.waiting.pop_front()
        {
            self.waiting_bytes -= entry.len();
            self.ring.append(entry);
            self.proposed += 1;
        }
    }

    /// Whether as much waits for the ring as may.
    pub(crate) fn is_full(&self) -> bool {
        self.waiting_bytes >= WAITING_BYTES_MAX
    }

    /// Who leads now, if that is another than before.
    pub(crate) fn take_new_leader(&mut self) -> Option<NodeId> {
        let leader = self.ring.leader();
        if std::mem::replace(&mut self.leader, leader) == leader { None } else { leader }
    }

    /// How many entries were proposed since the last call.
    pub(crate) fn take_proposed(&mut self) -> u64 {
        std::mem::take(&mut self.proposed)
    }

    /// A connection to another node begins.
    pub(crate) fn meet(&mut self, peer: NodeId, nonce: u64) -> Result<(), Amnesiac> {
        if self.members.contains(&peer) {
            self.ring.meet(peer, nonce)?;
            self.ring.reconnected(peer);
        } else if let Part::Member(followers) = &mut self.part {
            followers.forget(peer);
        }
        Ok(())
    }

    /// Handles what a member says about the ring.
    pub(crate) fn step(&mut self, from: NodeId, message: Bytes) -> Result<(), StepError> {
        self.ring.step(from, message)
    }

    /// Takes a request of a node that follows the ring. Gives it back if this node cannot tell.
    pub(crate) fn follow(&mut self, from: NodeId, request: Bytes) -> Option<Result<(), StepError>> {
        match &mut self.part {
            Part::Member(followers) => Some(followers.step(from, request)),
            Part::Follower => None,
        }
    }

    /// Whether this node needs now what the ring decides. Gives out what asks another member to lead, if this one follows
    /// somebody whom it does not hear.
    pub(crate) fn need(&mut self, is_needed: bool) -> Option<Sent> {
        let (ring, to) = (self.ring.id(), self.ring.need(is_needed)?);
        Some(free(ring, to, Message::Lead(ring).encode()))
    }

    /// Another member asks this one to lead. Gives that back if this node is none.
    pub(crate) fn lead(&mut self, from: NodeId) -> Option<Result<(), StepError>> {
        if !self.is_member() {
            return None;
        }
        if from == self.me || !self.members.contains(&from) {
            return Some(Err(StepError::Stranger(from)));
        }
        self.ring.take_over();
        Some(Ok(()))
    }

    /// Asks for the read index. The number of the question, and what carries it.
    pub(crate) fn ask(&mut self, now_ms: u64) -> (u64, Vec<Sent>) {
        assert!(self.is_member(), "only members of {} read", self.id());
        let number = self.read_index.ask(self.ring.as_ref(), now_ms);
        let sent = if self.read_index.is_open() { self.questions(number) } else { Vec::new() };
        (number, sent)
    }

    /// Asks again, if the last question has waited for too long.
    pub(crate) fn ask_again(&mut self, now_ms: u64) -> Vec<Sent> {
        if !self.read_index.is_due(now_ms) {
            return Vec::new();
        }
        ASKED_AGAIN.reached();
        self.ask(now_ms).1
    }

    /// A question goes to all others, or to the leader alone, as far as it is known, where its answer suffices.
    fn questions(&self, number: u64) -> Vec<Sent> {
        let id = self.id();
        let asks_all = self.ring.leads() || !self.read_index.leader_suffices();
        let whom = |member: &NodeId| match asks_all {
            true => *member != self.me,
            false => self.ring.leader() == Some(*member),
        };
        let message = Message::Ask(id, number).encode();
        let sent = |to: &NodeId| free(id, *to, message.clone());
        self.members.iter().filter(|member| whom(member)).map(sent).collect()
    }

    /// Another member asks for the read index. Gives that back if this node is none.
    pub(crate) fn asked(&mut self, from: NodeId, number: u64) -> Option<Result<Sent, StepError>> {
        if !self.is_member() {
            return None;
        }
        if from == self.me || !self.members.contains(&from) {
            return Some(Err(StepError::Stranger(from)));
        }
        let (ring, told) = (self.id(), Told::by(self.ring.as_ref(), number));
        let message = Message::Tell(ring, told.encode()).encode();
        Some(Ok(free(ring, from, message)))
    }

    /// Another member has answered a question.
    pub(crate) fn told(&mut self, from: NodeId, told: Told) -> Result<(), StepError> {
        if from == self.me || !self.members.contains(&from) {
            return Err(StepError::Stranger(from));
        }
        self.read_index.told(self.ring.as_ref(), from, told);
        Ok(())
    }

    /// Whether this node leads the ring, and a quorum of it has said so of late.
    pub(crate) fn leads_surely(&self, now_ms: u64) -> bool {
        let supports = |member: &&NodeId| {
            self.ring.support(**member).is_some_and(|asked_ms| now_ms < asked_ms + LEADS_SURELY_MS)
        };
        let late = self.members.iter().filter(supports).count();
        self.ring.leads() && 2 * (late + 1) > self.members.len()
    }

    /// Takes over a piece of the decided log that a member has asked for. Says whether there was one to read.
    pub(crate) fn serve(&mut self, allowances: &mut Allowances, into: &mut Vec<Sent>) -> bool {
        let (id, mut pieces) = (self.ring.id(), Vec::new());
        let served = self.ring.serve(allowances, &mut pieces);
        into.extend(pieces.into_iter().map(|Outgoing { to, message, after, is_free }| Sent {
            to,
            is_free,
            channel: Channel::Bulk,
            stream: unordered(id),
            after,
            message: Message::Step(id, message).encode(),
        }));
        served
    }

    /// Takes over what is to be sent to the ring's members and followers.
    pub(crate) fn drain(&mut self, log: &SharedLog, into: &mut Vec<Sent>) {
        into.extend(self.take_forwarded());
        let (id, mut outgoing) = (self.ring.id(), Vec::new());
        self.ring.drain(&mut outgoing);
        let message = match &mut self.part {
            Part::Member(followers) => {
                followers.answer(self.me, self.ring.as_ref(), log, &mut outgoing);
                Message::Step
            }
            Part::Follower => Message::Follow,
        };
        into.extend(outgoing.into_iter().map(|Outgoing { to, message: bytes, after, is_free }| Sent {
            to,
            is_free,
            channel: Channel::Ring,
            stream: if after.is_some() { ordered(id) } else { unordered(id) },
            after,
            message: message(id, bytes).encode(),
        }));
    }
}

/// A message that vouches for nothing and keeps no order: a question for the read index, an answer to one, which its number
/// belongs to, or a request to lead.
fn free(ring: RingId, to: NodeId, message: Bytes) -> Sent {
    Sent { to, channel: Channel::Ring, stream: unordered(ring), after: None, is_free: true, message }
}

/// The stream of what a ring says about its log, in order.
fn ordered(ring: RingId) -> StreamId {
    StreamId(ring.0 * 2)
}

/// The stream of what need not wait for that.
fn unordered(ring: RingId) -> StreamId {
    StreamId(ring.0 * 2 + 1)
}

/// A partition's ring, what is delivered from it and, while this node leads it, the relay into it.
pub(crate) struct PartitionLane {
    pub(crate) lane: Lane,
    pub(crate) sequence: Sequence,
    survey: Survey,
    /// The relay of a reign, and the reign's number.
    relay: Option<(u64, Relay)>,
}

impl PartitionLane {
    /// The ring of one of so many partitions.
    pub(crate) fn new(partition: PartitionId, partitions: u16, lane: Lane) -> PartitionLane {
        PartitionLane {
            lane,
            sequence: Sequence::new(partition, partitions),
            survey: Survey::new(partition),
            relay: None,
        }
    }

    /// Time has passed. The age counts while this node leads; else it is what the log tells.
    pub(crate) fn tick_age(&mut self, now_ms: u64) {
        let (told_ms, lane) = (self.sequence.age_ms(), &mut self.lane);
        if !lane.ring.leads() || lane.age.at(now_ms) < told_ms {
            lane.age = Age { told_ms, since_ms: now_ms };
        }
    }

    /// How long the partition's leaders have led it, as far as this node knows.
    pub(crate) fn age_ms(&self, now_ms: u64) -> u64 {
        self.lane.age.at(now_ms)
    }

    /// Appends what the shared ring has decided for this partition, if this node leads it.
    pub(crate) fn relay(&mut self, shared: &dyn Ring, now: Now) -> Result<(), FollowError> {
        self.survey.advance(shared, self.sequence.taken())?;
        if !self.lane.ring.leads() {
            self.relay.take_if(|_| !keeps_cursor());
            return Ok(());
        }
        let reign = self.lane.ring.reigns();
        let mut relay = match self.relay.take() {
            Some((began, relay)) if began == reign || keeps_cursor() => relay,
            _ => Relay::begin(&self.survey, self.sequence.fold(self.lane.ring.as_ref())?),
        };
        let lane = &mut self.lane;
        while !lane.is_full()
            && relay.follow(shared, |envelope, relayed| lane.push(envelope, Some(relayed), now))?
        {}
        self.relay = Some((reign, relay));
        Ok(())
    }
}

/// Whether a reign follows the shared ring from where an earlier one was: with a planted fault only.
fn keeps_cursor() -> bool {
    CURSOR_KEPT.is_planted() || NO_PREV_CHECK.is_planted()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Disk, MemoryDisk};
    use crate::entry::Entry;
    use crate::envelope::{ClientId, CommandId};
    use crate::log::{LogError, LogLimits, LogNonce, LogPosition, NodeLog};
    use crate::ring::SoloRing;
    use std::sync::Arc;

    const ME: NodeId = NodeId(2);
    const FOLLOWER: NodeId = NodeId(1);
    /// Its first: it knows that node 2 leads, and wants entries from the first one on.
    const REQUEST: [u8; 21] = [1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];

    fn lane(log: &SharedLog) -> Lane {
        let layout = Layout::new(ME, [0, 1, 2, 3].map(NodeId).to_vec(), 2, 3);
        Lane::new(&layout, Box::new(SoloRing::recover(RingId::SHARED, log.clone())))
    }

    /// Decides an entry, and tells to whom the lane has something to say about it.
    fn decide(lane: &mut Lane, disk: &MemoryDisk, log: &SharedLog) -> Vec<NodeId> {
        lane.ring_mut().append(Bytes::from_static(b"entry"));
        let buffer = log.lock().take_buffer().expect("something to write");
        buffer.write(disk).expect("a disk that works");
        log.lock().synced(buffer.position());
        lane.ring_mut().synced(buffer.position());
        let mut sent = Vec::new();
        lane.drain(log, &mut sent);
        sent.into_iter().map(|sent| sent.to).collect()
    }

    /// A ring that leads and has room for so many entries.
    struct Crowded(usize, Vec<Bytes>);

    impl Ring for Crowded {
        fn id(&self) -> RingId {
            RingId(0)
        }
        fn leads(&self) -> bool {
            true
        }
        fn leader(&self) -> Option<NodeId> {
            Some(ME)
        }
        fn reigns(&self) -> u64 {
            1
        }
        fn entered_accept_with(&self) -> u64 {
            0
        }
        fn has_room(&self) -> bool {
            self.1.len() < self.0
        }
        fn append(&mut self, entry: Bytes) {
            self.1.push(entry);
        }
        fn meet(&mut self, _: NodeId, _: u64) -> Result<(), Amnesiac> {
            Ok(())
        }
        fn reconnected(&mut self, _: NodeId) {}
        fn step(&mut self, _: NodeId, _: Bytes) -> Result<(), StepError> {
            Ok(())
        }
        /// The time is how many entries there is room for.
        fn tick(&mut self, room: u64) {
            self.0 = room as usize;
        }
        fn synced(&mut self, _: LogPosition) {}
        fn drain(&mut self, _: &mut Vec<Outgoing>) {}
        fn decided(&self) -> u64 {
            0
        }
        fn accepted(&self) -> u64 {
            self.1.len() as u64
        }
        fn read(&self, index: u64) -> Result<Bytes, LogError> {
            Ok(self.1[index as usize].clone())
        }
    }

    #[test]
    fn entries_wait_for_room_in_order_and_so_many_only() {
        let layout = Layout::new(ME, [0, 1, 2].map(NodeId).to_vec(), 2, 3);
        let mut lane = Lane::new(&layout, Box::new(Crowded(1, Vec::new())));
        let body = Bytes::from(vec![0; 1 << 20]);
        let submit = |lane: &mut Lane, i: u32| {
            let id = CommandId { client: ClientId(1), epoch: 0, run: 0, i };
            lane.push(
                &Envelope { id, destinations: PartitionId(0).into(), body: body.clone() },
                None,
                Now::default(),
            );
            lane.propose(Now::default());
        };
        let most = 1 + (WAITING_BYTES_MAX >> 20) as u32;
        (0..most + 5).for_each(|i| submit(&mut lane, i));
        assert!(lane.is_full());
        assert_eq!(lane.ring().accepted(), 1);
        lane.ring_mut().tick(1_000);
        lane.propose(Now::default());
        assert!(!lane.is_full());
        submit(&mut lane, most + 5);
        let first = |index| {
            let mut entry = Entry::open(lane.ring().read(index).expect("it is held")).expect("an entry");
            entry.next_envelope().expect("an entry").expect("an envelope").0.id.i
        };
        let held: Vec<u32> = (0..lane.ring().accepted()).map(first).collect();
        let expected: Vec<u32> = (0..most).chain([most + 5]).collect();
        assert_eq!(held, expected, "what came while it was full was forgotten");
    }

    #[test]
    fn a_request_belongs_to_its_connection() {
        let disk = Arc::new(MemoryDisk::new());
        let shown: Arc<dyn Disk> = disk.clone();
        let log = SharedLog::new(
            NodeLog::recover(shown, LogLimits::default(), LogNonce::default()).expect("a log"),
        );
        let mut lane = lane(&log);
        let request = Bytes::from_static(&REQUEST);
        assert_eq!(lane.follow(FOLLOWER, request.clone()), Some(Ok(())));
        assert_eq!(decide(&mut lane, &disk, &log), [FOLLOWER]);

        let mut lane = self::lane(&log);
        lane.follow(FOLLOWER, Bytes::from_static(&REQUEST)).expect("a member").expect("a request");
        lane.meet(FOLLOWER, 7).expect("no member's disk");
        assert_eq!(decide(&mut lane, &disk, &log), []);
        let stranger = NodeId(3);
        assert_eq!(lane.follow(stranger, request), Some(Err(StepError::Stranger(stranger))));
    }

    #[test]
    fn an_entry_ends_with_the_command_that_fills_it() {
        for (bytes, commands) in
            [(ENTRY_BYTES / 2, 2), (ENTRY_BYTES - 1_000, 2), (ENTRY_BYTES, 1), (10 * ENTRY_BYTES, 1)]
        {
            let layout = Layout::new(ME, [0, 1, 2].map(NodeId).to_vec(), 2, 3);
            let mut lane = Lane::new(&layout, Box::new(Crowded(100, Vec::new())));
            for i in 0..10 {
                let id = CommandId { client: ClientId(1), epoch: 0, run: 0, i };
                let body = Bytes::from(vec![0; bytes]);
                let destinations = PartitionId(0).into();
                lane.push(&Envelope { id, destinations, body }, None, Now::default());
            }
            lane.propose(Now::default());
            assert_eq!(lane.ring().accepted(), 10 / commands, "{bytes} bytes a command");
        }
    }
}
