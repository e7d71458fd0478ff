//! What OmniPaxos demands of its caller, one test a row: three members whose syncs and messages the test decides on.

use super::admission::{Held, Verdict, judge};
use super::codec::{PaxosMessage, decode_message, encode_message};
use super::following::Answer;
use super::fragment::{PART_BYTES, Stream, WHOLE_HEAD};
use super::membership::Membership;
use super::outbox::{Class, class};
use super::sim::Fault;
use super::storage::{ACCEPTED_ROUND, LogEntry, PROMISE, RingStorage};
use super::{Allowances, Amnesiac, Outgoing, PaxosRing, Ring, RingConfig, RingLimits, RingTiming, StepError};
use crate::disk::{Disk, MemoryDisk, Reads};
use crate::log::{LogLimits, LogNonce, NodeLog, SharedLog};
use crate::{Entry, NodeId, RingId};
use bytes::Bytes;
use omnipaxos::ClusterConfig;
use omnipaxos::ballot_leader_election::Ballot;
use omnipaxos::messages::Message;
use omnipaxos::messages::sequence_paxos::{self, *};
use omnipaxos::storage::{NoSnapshot, Snapshot, StopSign, Storage};
use omnipaxos::util::{LogSync, SequenceNumber};
use std::collections::VecDeque;
use std::sync::Arc;

const RING: RingId = RingId(3);
const NODES: [NodeId; 3] = [NodeId(10), NodeId(20), NodeId(30)];
const TIMING: RingTiming = RingTiming { tick_ms: 10, election_ticks: 3, resend_ticks: 1_000 };
/// A member may lack 16 small entries, and a piece has 4.
const LIMITS: RingLimits = RingLimits { lag: 17 << 10, piece: 4 << 10, tail: 40 << 10, pace: 1 << 10 };

/// After an election that was disputed, too.
const SETTLED_TICKS: usize = 200;

struct Node {
    disk: Arc<MemoryDisk>,
    log: SharedLog,
    ring: PaxosRing,
    held: VecDeque<Outgoing>,
    syncs: bool,
}

impl Node {
    fn start(at: usize, disk: Arc<MemoryDisk>) -> Node {
        Node::start_within(at, disk, LIMITS)
    }

    fn start_within(at: usize, disk: Arc<MemoryDisk>, limits: RingLimits) -> Node {
        let log = open_log(disk.clone());
        Node::start_on(at, disk, limits, log)
    }

    fn start_on(at: usize, disk: Arc<MemoryDisk>, limits: RingLimits, log: SharedLog) -> Node {
        let config = RingConfig {
            ring: RING,
            node: NODES[at],
            members: NODES.to_vec(),
            preferred: NODES[0],
            timing: TIMING,
            limits,
        };
        let ring = PaxosRing::recover(config, log.clone()).expect("a member");
        Node { disk, log, ring, held: VecDeque::new(), syncs: true }
    }

    fn sync(&mut self) {
        let buffer = self.log.lock().take_buffer();
        if let Some(buffer) = buffer {
            buffer.write(self.disk.as_ref()).expect("a disk that works");
            self.log.lock().synced(buffer.position());
            self.ring.synced(buffer.position());
        }
    }

    fn drain(&mut self) -> Vec<Outgoing> {
        let mut drained = Vec::new();
        self.ring.drain(&mut drained);
        drained
    }

    fn put_wrong(&mut self, from: usize, message: PaxosMessage) -> Result<(), StepError> {
        self.ring.step(NODES[from], frame(&message))
    }
}

fn open_log(disk: Arc<MemoryDisk>) -> SharedLog {
    open_log_within(disk, LogLimits::default().cache_bytes)
}

fn open_log_within(disk: Arc<MemoryDisk>, cache_bytes: u64) -> SharedLog {
    let disk: Arc<dyn Disk> = disk;
    let limits = LogLimits { segment_bytes: 64 << 10, cache_bytes, ..LogLimits::default() };
    SharedLog::new(NodeLog::recover(disk, limits, LogNonce::default()).expect("a log"))
}

/// Three members. What is on the wire arrives in order, unless the test takes it.
struct Trio {
    nodes: Vec<Node>,
    wire: VecDeque<(usize, usize, Bytes)>,
    now_ms: u64,
    /// Whether pieces of the decided log pass.
    bulk: bool,
    /// Whether pieces are allowed where they are paced.
    allowed: bool,
    /// Whom nothing reaches, and who reaches nobody.
    absent: Option<usize>,
}

impl Trio {
    /// Members of which the first leads and the others follow.
    fn new() -> Trio {
        Trio::within(LIMITS)
    }

    fn within(limits: RingLimits) -> Trio {
        let nodes = (0..3).map(|at| Node::start_within(at, Arc::new(MemoryDisk::new()), limits)).collect();
        let mut trio =
            Trio { nodes, wire: VecDeque::new(), now_ms: 0, bulk: true, allowed: true, absent: None };
        for (a, b) in [(0, 1), (0, 2), (1, 2)] {
            trio.connect(a, b);
        }
        trio.ticks(SETTLED_TICKS);
        assert!(
            trio.nodes[0].ring.leads() && trio.nodes.iter().all(|node| node.ring.leader() == Some(NODES[0]))
        );
        trio
    }

    fn connect(&mut self, a: usize, b: usize) {
        self.wire.retain(|(from, to, _)| (*from, *to) != (a, b) && (*from, *to) != (b, a));
        for (at, peer) in [(a, b), (b, a)] {
            let node = &mut self.nodes[at];
            node.held.retain(|outgoing| outgoing.to != NODES[peer]);
            node.ring.meet(NODES[peer], peer as u64).expect("the disk it had");
            node.ring.reconnected(NODES[peer]);
        }
    }

    /// Puts on the wire what may leave.
    fn send(&mut self) {
        for at in 0..3 {
            let node = &mut self.nodes[at];
            if node.syncs {
                node.sync();
            }
            let drained = node.drain();
            node.held.extend(drained);
            let durable = node.log.lock().durable();
            let (free, held): (Vec<_>, Vec<_>) =
                node.held.drain(..).partition(|outgoing| outgoing.after.is_none_or(|after| after <= durable));
            node.held = held.into();
            let mut pieces = Vec::new();
            let mut allowances = Allowances::new(LIMITS);
            NODES.iter().filter(|_| !self.allowed).for_each(|peer| allowances.take(*peer, LIMITS.piece));
            node.ring.serve(&mut allowances, &mut pieces);
            pieces.retain(|_| self.bulk);
            for Outgoing { to, message, .. } in free.into_iter().chain(pieces) {
                let to = NODES.iter().position(|node| *node == to).expect("a member");
                if self.absent.is_none_or(|absent| absent != at && absent != to) {
                    self.wire.push_back((at, to, message));
                }
            }
        }
    }

    /// Goes on until nothing is on the wire.
    fn deliver(&mut self) {
        self.send();
        let mut messages = 0;
        while let Some((from, to, message)) = self.wire.pop_front() {
            messages += 1;
            assert!(messages < 10_000, "the members never come to rest");
            self.nodes[to].ring.step(NODES[from], message).expect("a message of a member");
            self.send();
        }
    }

    fn tick(&mut self) {
        self.now_ms += TIMING.tick_ms;
        let now_ms = self.now_ms;
        self.nodes.iter_mut().for_each(|node| node.ring.tick(now_ms));
        self.deliver();
    }

    fn ticks(&mut self, count: usize) {
        (0..count).for_each(|_| self.tick());
    }

    fn until(&mut self, what: &str, is: impl Fn(&Trio) -> bool) {
        let deadline_ms = self.now_ms + 20_000;
        while !is(self) {
            assert!(self.now_ms < deadline_ms, "{what} takes too long");
            self.tick();
        }
    }

    fn append(&mut self, entry: &'static [u8]) {
        self.nodes[0].ring.append(Bytes::from_static(entry));
    }

    fn append_everywhere(&mut self, count: u64) {
        for _ in 0..count {
            self.append(b"entry");
            self.deliver();
        }
        assert_eq!(self.decided(), [self.nodes[0].ring.accepted(); 3]);
    }

    /// The last member is away while so many entries are decided, and comes back.
    fn miss(&mut self, absent: usize, count: u64) {
        self.absent = Some(absent);
        let leader = (0..3).find(|at| *at != absent && self.nodes[*at].ring.leads()).expect("a leader");
        for _ in 0..count {
            self.nodes[leader].ring.append(Bytes::from_static(b"entry"));
            self.deliver();
        }
        self.absent = None;
    }

    /// The connections of a member begin.
    fn come_back(&mut self, at: usize) {
        (0..3).filter(|peer| *peer != at).for_each(|peer| self.connect(at, peer));
    }

    fn reigns(&self) -> [u64; 3] {
        [0, 1, 2].map(|at: usize| self.nodes[at].ring.reigns())
    }

    fn decided(&self) -> [u64; 3] {
        [0, 1, 2].map(|at: usize| self.nodes[at].ring.decided())
    }

    fn restart(&mut self, at: usize) {
        let disk = self.nodes[at].disk.clone();
        disk.crash(7);
        self.nodes[at] = Node::start(at, disk);
        for peer in (0..3).filter(|peer| *peer != at) {
            self.connect(at, peer);
        }
    }
}

fn frame(message: &PaxosMessage) -> Bytes {
    let mut bytes = WHOLE_HEAD.to_vec();
    encode_message(message, &mut bytes);
    Bytes::from(bytes)
}

fn decode(message: &Bytes) -> PaxosMessage {
    decode_message(&message[WHOLE_HEAD.len()..]).expect("a whole message")
}

fn paxos(from: u64, to: u64, msg: PaxosMsg<LogEntry>) -> PaxosMessage {
    Message::SequencePaxos(sequence_paxos::PaxosMessage { from, to, msg })
}

fn is_of(message: &Bytes, is: impl Fn(&PaxosMsg<LogEntry>) -> bool) -> bool {
    Stream::of(message) == Ok(Stream::Message)
        && matches!(decode(message), Message::SequencePaxos(message) if is(&message.msg))
}

fn is_sync(message: &Bytes) -> bool {
    is_of(message, |message| matches!(message, PaxosMsg::AcceptSync(_)))
}

fn is_accept(message: &Bytes) -> bool {
    matches!(decode(message), Message::SequencePaxos(m) if matches!(m.msg, PaxosMsg::AcceptDecide(_)))
}

fn ballot(n: u32, pid: u64) -> Ballot {
    Ballot::with(1, n, 0, pid)
}

const SEQUENCE: SequenceNumber = SequenceNumber { session: 1, counter: 1 };

fn log_sync() -> LogSync<LogEntry> {
    LogSync { decided_snapshot: None, suffix: Vec::new(), sync_idx: 0, stopsign: None }
}

#[test]
fn row_01_nothing_leaves_before_it_is_synced() {
    let mut trio = Trio::new();
    trio.append(b"entry");
    let leader = &mut trio.nodes[0];
    let sent = leader.drain();
    let accepts: Vec<_> = sent.iter().filter(|outgoing| is_accept(&outgoing.message)).collect();
    assert_eq!(accepts.len(), 2);
    assert!(accepts.iter().all(|outgoing| outgoing.after.is_none()), "they ask for votes and are none");

    let follower = &mut trio.nodes[1];
    follower.ring.step(NODES[0], accepts[0].message.clone()).expect("an entry");
    let votes = follower.drain();
    assert_eq!(votes.len(), 1, "{votes:?}");
    assert_eq!(votes[0].after, Some(follower.log.lock().appended()));
    assert!(votes[0].after > Some(follower.log.lock().durable()));
}

#[test]
fn row_01_every_message_has_its_class() {
    let n = ballot(1, 1);
    let prepare = Prepare { n, decided_idx: 0, n_accepted: n, accepted_idx: 0 };
    let promise = Promise { n, n_accepted: n, decided_idx: 0, accepted_idx: 0, log_sync: None };
    let sync = AcceptSync { n, seq_num: SEQUENCE, decided_idx: 0, log_sync: log_sync() };
    let accept = AcceptDecide { n, seq_num: SEQUENCE, decided_idx: 0, entries: Vec::new() };
    let decide = Decide { n, seq_num: SEQUENCE, decided_idx: 0 };
    for (msg, expected) in [
        (PaxosMsg::PrepareReq(PrepareReq { n }), Class::InOrder),
        (PaxosMsg::Prepare(prepare), Class::Vouching),
        (PaxosMsg::Promise(promise), Class::Vouching),
        (PaxosMsg::AcceptSync(sync), Class::Vouching),
        (PaxosMsg::AcceptDecide(accept), Class::InOrder),
        (PaxosMsg::Accepted(Accepted { n, accepted_idx: 0 }), Class::Vouching),
        (PaxosMsg::NotAccepted(NotAccepted { n }), Class::InOrder),
        (PaxosMsg::Decide(decide), Class::InOrder),
    ] {
        assert_eq!(class(&paxos(1, 2, msg.clone())), expected, "{msg:?}");
    }
}

#[test]
fn row_01_heartbeats_overtake_what_waits_for_the_log() {
    let mut trio = Trio::new();
    trio.append(b"one");
    trio.send();
    trio.nodes[1].syncs = false;
    let entry = trio.wire.drain(..).find(|(_, to, _)| *to == 1).expect("it is asked for its vote").2;
    trio.nodes[1].ring.step(NODES[0], entry).expect("an entry");
    (0..3).for_each(|tick| trio.nodes[1].ring.tick(trio.now_ms + 100 * (tick + 1)));
    let sent = trio.nodes[1].drain();
    let of = |wanted: Class| sent.iter().filter(move |outgoing| class(&decode(&outgoing.message)) == wanted);
    assert_eq!((of(Class::Vouching).count(), of(Class::Free).count()), (1, 2), "{sent:?}");
    assert!(of(Class::Free).all(|heartbeat| heartbeat.after.is_none()));
    let appended = trio.nodes[1].log.lock().appended();
    assert!(of(Class::Vouching).all(|vote| vote.after == Some(appended)));
}

#[test]
fn row_01_a_heartbeat_that_overtakes_the_levels_is_dropped() {
    let mut trio = Trio::new();
    trio.ticks(2 * TIMING.election_ticks as usize);
    (1..=3).for_each(|tick| trio.nodes[1].ring.tick(trio.now_ms + 100 * tick));
    let sent = trio.nodes[1].drain();
    let is_heartbeat = |outgoing: &&Outgoing| outgoing.to == NODES[0] && outgoing.is_free;
    let heartbeat = sent.iter().find(is_heartbeat).expect("a heartbeat").message.clone();

    trio.connect(0, 1);
    trio.nodes[0].drain();
    let fenced = trio.nodes[0].ring.counts().fenced;
    assert_eq!(trio.nodes[0].ring.step(NODES[1], heartbeat.clone()), Ok(()), "it is no error");
    assert_eq!(trio.nodes[0].ring.counts().fenced, fenced + 1);
    let answers = trio.nodes[0].drain();
    assert!(!answers.iter().any(|outgoing| outgoing.is_free), "it is not answered: {answers:?}");

    trio.connect(0, 1);
    trio.deliver();
    assert_eq!(trio.nodes[0].ring.step(NODES[1], heartbeat), Ok(()));
    assert!(trio.nodes[0].drain().iter().any(|outgoing| outgoing.is_free), "the session is open");
}

#[test]
fn row_02_no_quorum_forms_on_a_vote_that_is_not_synced() {
    let mut trio = Trio::new();
    trio.nodes[0].syncs = false;
    trio.nodes[2].syncs = false;
    trio.append(b"entry");
    trio.ticks(5);
    assert_eq!(trio.nodes[1].ring.accepted(), 1, "the others sync meanwhile");
    assert_eq!(trio.decided(), [0; 3], "one has, and the leader has not");
    trio.nodes[0].syncs = true;
    trio.deliver();
    assert_eq!(trio.decided()[..2], [1, 1]);

    trio.nodes[0].syncs = false;
    trio.append(b"entry");
    trio.deliver();
    assert_eq!(trio.decided(), [1; 3]);
    trio.nodes[2].syncs = true;
    trio.deliver();
    assert_eq!(trio.decided(), [2; 3], "two others are a quorum");
}

#[test]
fn row_03_a_late_synchronization_leaves_what_is_decided() {
    let mut trio = Trio::new();
    trio.append_everywhere(2);
    trio.connect(0, 1);
    let mut late = None;
    trio.send();
    while let Some((from, to, message)) = trio.wire.pop_front() {
        late = late.or((from == 0 && is_sync(&message)).then(|| message.clone()));
        trio.nodes[to].ring.step(NODES[from], message).expect("a message");
        trio.send();
    }
    trio.append_everywhere(3);
    trio.connect(0, 1);
    trio.send();
    while let Some((from, to, message)) = trio.wire.pop_front() {
        let is_prepare = is_of(&message, |message| matches!(message, PaxosMsg::Prepare(_)));
        trio.nodes[to].ring.step(NODES[from], message).expect("a message");
        if to == 1 && is_prepare {
            break;
        }
        trio.send();
    }
    let late = late.expect("a synchronization of the older session");
    trio.nodes[1].ring.step(NODES[0], late).expect("a message of a member");
    assert_eq!(trio.nodes[1].ring.accepted(), 5, "nothing was cut off");
    assert_eq!(trio.nodes[1].ring.counts().dropped, 1);
    trio.deliver();
    trio.append_everywhere(1);
}

#[test]
fn row_04_nobody_trims_through_the_ring() {
    let mut trio = Trio::new();
    trio.append_everywhere(4);
    for compaction in [Compaction::Trim(2), Compaction::Snapshot(Some(2))] {
        trio.nodes[1].put_wrong(0, paxos(1, 2, PaxosMsg::Compaction(compaction))).expect("it is dropped");
    }
    assert_eq!(trio.nodes[1].log.lock().first(RING), 0);
    assert_eq!(trio.nodes[1].ring.counts().dropped, 2);
}

#[test]
fn row_05_a_peer_below_the_trim_point_is_named_and_not_served() {
    let mut trio = Trio::new();
    trio.append_everywhere(4);
    trio.nodes[0].log.lock().trim(RING, 3);
    let blank = Promise {
        n: trio.nodes[0].ring.held().promise,
        n_accepted: trio.nodes[0].ring.held().promise,
        decided_idx: 2,
        accepted_idx: 2,
        log_sync: None,
    };
    trio.nodes[0].put_wrong(2, paxos(3, 1, PaxosMsg::Promise(blank.clone()))).expect("it is dropped");
    assert_eq!(trio.nodes[0].ring.counts().refused, 1);
    assert!(!trio.nodes[0].drain().iter().any(|outgoing| is_sync(&outgoing.message)));

    trio.connect(0, 2);
    trio.deliver();
    let promise = Promise { decided_idx: 3, accepted_idx: 4, ..blank };
    trio.nodes[0].put_wrong(2, paxos(3, 1, PaxosMsg::Promise(promise))).expect("it is handled");
    assert!(trio.nodes[0].drain().iter().any(|outgoing| is_sync(&outgoing.message)));
}

#[test]
#[should_panic(expected = "has trimmed those below 2")]
fn row_05_an_index_below_the_trim_point_stops_the_process() {
    let log = open_log(Arc::new(MemoryDisk::new()));
    log.lock().trim(RING, 2);
    let mut storage = RingStorage::recover(RING, log).expect("a storage");
    let _ = storage.append_on_prefix(1, vec![LogEntry(Bytes::new())]);
}

#[test]
fn row_06_a_blank_disk_under_an_old_name_is_not_heard() {
    let mut trio = Trio::new();
    let hello = |from| paxos(from, 1, PaxosMsg::PrepareReq(PrepareReq { n: Ballot::default() }));
    let amnesiac = Amnesiac { peer: NODES[2], known: 2, shown: 77 };
    assert_eq!(trio.nodes[0].ring.meet(NODES[2], 77), Err(amnesiac));
    assert_eq!(trio.nodes[0].put_wrong(2, hello(3)), Err(StepError::Unmet(NODES[2])));

    let disk = trio.nodes[0].disk.clone();
    disk.crash(1);
    trio.nodes[0] = Node::start(0, disk);
    assert_eq!(trio.nodes[0].put_wrong(1, hello(2)), Err(StepError::Unmet(NODES[1])), "not met yet");
    assert_eq!(trio.nodes[0].ring.meet(NODES[2], 77), Err(amnesiac), "the log remembers");
    assert_eq!(trio.nodes[0].ring.meet(NODES[2], 2), Ok(()));
    assert_eq!(trio.nodes[0].put_wrong(2, hello(3)), Ok(()));
}

/// A candidate got a promise from the last member, and is gone.
fn strand(trio: &mut Trio) {
    let prepare =
        Prepare { n: ballot(50, 2), decided_idx: 0, n_accepted: Ballot::default(), accepted_idx: 0 };
    trio.nodes[2].put_wrong(1, paxos(2, 3, PaxosMsg::Prepare(prepare))).expect("a candidate");
    trio.nodes[2].drain();
    assert_eq!(trio.nodes[2].ring.leader(), None);
}

#[test]
fn row_07_a_stranded_member_helps_itself() {
    let mut trio = Trio::new();
    strand(&mut trio);
    trio.until("the rescue", |trio| trio.nodes.iter().all(|node| node.ring.leader().is_some()));
    assert_eq!(trio.nodes[2].ring.counts().rescues, 1);

    let mut trio = Trio::new();
    trio.nodes[2].ring.planted = Some(Fault::NoWatchdog);
    strand(&mut trio);
    trio.ticks(1_000);
    assert_eq!(trio.nodes[2].ring.leader(), None, "nobody else would have helped");
}

#[test]
fn row_08_a_tail_that_was_lost_is_missed_behind_a_heartbeat() {
    for is_lost in [is_accept as fn(&Bytes) -> bool, |message| class(&decode(message)) == Class::Vouching] {
        let mut trio = Trio::new();
        trio.append(b"entry");
        trio.send();
        while !trio.wire.iter().any(|(_, _, message)| is_lost(message)) {
            let (from, to, message) = trio.wire.pop_front().expect("it is on its way");
            trio.nodes[to].ring.step(NODES[from], message).expect("a message of a member");
            trio.send();
        }
        trio.wire.clear();
        trio.deliver();
        assert_eq!(trio.decided(), [0; 3]);
        trio.until("a heartbeat", |trio| trio.decided().iter().all(|decided| *decided > 1));
        assert_eq!(trio.nodes[0].ring.read(0).expect("the entry"), "entry");
        assert_eq!(trio.nodes[1].ring.read(1).expect("a heartbeat"), Entry::heartbeat());
        let accepted = trio.nodes[0].ring.accepted();
        trio.ticks(100);
        assert_eq!(trio.nodes[0].ring.accepted(), accepted, "a decided tail needs none");
    }
}

#[test]
fn row_08_what_was_lost_with_a_connection_comes_with_the_next() {
    let mut trio = Trio::new();
    trio.append(b"entry");
    trio.send();
    trio.wire.clear();
    trio.deliver();
    assert_eq!(trio.decided(), [0; 3]);
    trio.connect(0, 1);
    trio.deliver();
    assert_eq!(trio.decided(), [1; 3], "the decision shows the third what it has missed");
}

#[test]
#[should_panic(expected = "only the leader appends")]
fn row_08_a_follower_does_not_forward() {
    Trio::new().nodes[1].ring.append(Bytes::new());
}

#[test]
fn row_09_numbers_from_outside_are_checked_before_they_index_anything() {
    let mut trio = Trio::new();
    trio.append_everywhere(1);
    let n = trio.nodes[0].ring.held().promise;
    let follower = &mut trio.nodes[1].ring;
    assert_eq!(follower.step(NodeId(11), Bytes::new()), Err(StepError::Stranger(NodeId(11))));
    assert_eq!(follower.step(NODES[1], Bytes::new()), Err(StepError::Stranger(NODES[1])));

    let request = |n| PaxosMsg::PrepareReq(PrepareReq { n });
    let decide = |n, decided_idx| PaxosMsg::Decide(Decide { n, seq_num: SEQUENCE, decided_idx });
    let beyond = AcceptSync { n, seq_num: SEQUENCE, decided_idx: 1 << 62, log_sync: log_sync() };
    let endless = AcceptSync {
        log_sync: LogSync { sync_idx: usize::MAX, suffix: vec![LogEntry(Bytes::new())], ..log_sync() },
        ..beyond.clone()
    };
    for (message, complaint) in [
        (paxos(3, 2, request(n)), "in another member's name"),
        (paxos(9, 2, request(n)), "in another member's name"),
        (paxos(1, 3, request(n)), "to another member"),
        (paxos(1, 2, request(ballot(7, 9))), "a ballot of no member"),
        (paxos(1, 2, request(ballot(7, 0))), "a ballot of no member"),
        (paxos(1, 2, decide(ballot(7, 3), 1)), "does not lead"),
        (paxos(1, 2, PaxosMsg::AcceptSync(beyond)), "beyond the log"),
        (paxos(1, 2, PaxosMsg::AcceptSync(endless)), "without end"),
    ] {
        let error = trio.nodes[1].put_wrong(0, message).expect_err(complaint).to_string();
        assert!(error.contains(complaint), "{error}");
    }
    let vote = PaxosMsg::Accepted(Accepted { n, accepted_idx: 1 << 62 });
    assert!(trio.nodes[0].put_wrong(1, paxos(2, 1, vote)).is_err());
    assert!(trio.nodes[1].ring.step(NODES[0], Bytes::from_static(&[1, 0, 9, 9])).is_err());
    assert_eq!(trio.decided(), [1; 3]);
    trio.append_everywhere(1);
}

#[test]
fn row_09_pids_are_places_among_the_members_in_order() {
    let membership = Membership::new(NodeId(20), &[NodeId(30), NodeId(10), NodeId(20)]);
    assert_eq!((membership.me(), membership.pids()), (2, vec![1, 2, 3]));
    assert_eq!([10, 20, 30, 31].map(|node| membership.peer(NodeId(node))), [Some(1), None, Some(3), None]);
    assert_eq!(membership.node(3), NodeId(30));
}

#[test]
fn row_10_an_entry_is_on_its_way_without_a_tick() {
    let mut trio = Trio::new();
    trio.append(b"entry");
    trio.deliver();
    assert_eq!(trio.decided(), [1; 3], "and so are votes and decisions");
}

#[test]
fn row_11_an_entry_is_not_copied_to_be_held_or_read() {
    let mut trio = Trio::new();
    let entry = Bytes::from(vec![7; 1000]);
    trio.nodes[0].ring.append(entry.clone());
    trio.deliver();
    let read = trio.nodes[0].ring.read(0).expect("the entry");
    assert_eq!(read.as_ptr(), entry.as_ptr());
}

#[test]
fn row_12_a_long_suffix_travels_in_parts() {
    let mut trio = Trio::within(RingLimits::default());
    for byte in 0..5 {
        trio.nodes[0].ring.append(Bytes::from(vec![byte; PART_BYTES / 2]));
        trio.send();
        while let Some((from, to, message)) = trio.wire.pop_front() {
            if (from, to) != (0, 2) {
                trio.nodes[to].ring.step(NODES[from], message).expect("a message");
            }
            trio.send();
        }
    }
    assert_eq!(trio.decided(), [5, 5, 0]);
    trio.connect(0, 2);
    let mut parts = 0;
    trio.send();
    while let Some((from, to, message)) = trio.wire.pop_front() {
        parts += usize::from((from, to) == (0, 2) && message.len() > PART_BYTES / 4);
        assert!(message.len() <= PART_BYTES + 10);
        trio.nodes[to].ring.step(NODES[from], message).expect("a part");
        trio.send();
    }
    assert_eq!((parts, trio.decided()), (3, [5; 3]));
}

#[test]
fn row_12_a_member_that_lacks_much_catches_up_in_pieces_and_disturbs_nobody() {
    let mut trio = Trio::new();
    let reigns = trio.reigns();
    trio.miss(2, 100);
    assert_eq!(trio.decided(), [100, 100, 0]);
    trio.come_back(2);
    let mut longest = 0;
    trio.send();
    while let Some((from, to, message)) = trio.wire.pop_front() {
        longest = longest.max(message.len());
        trio.nodes[to].ring.step(NODES[from], message).expect("a message");
        trio.send();
    }
    assert_eq!(trio.decided(), [100; 3], "without a tick");
    assert!(longest < 300, "100 entries take more than {longest} bytes");
    let counts = trio.nodes[2].ring.catch_ups();
    assert_eq!((counts.installed, counts.ended), (21, 1), "what is left comes as a synchronization");
    trio.append_everywhere(3);
    trio.ticks(500);
    assert_eq!(trio.reigns(), reigns, "nobody stood for leadership");
}

#[test]
fn row_12_a_member_that_is_behind_does_not_stand_for_leadership_and_returns_when_it_is_level() {
    let mut trio = Trio::new();
    trio.absent = Some(0);
    trio.until("another leader", |trio| trio.nodes[1].ring.leads() || trio.nodes[2].ring.leads());
    trio.miss(0, 60);
    let (reigns, before) = (trio.reigns(), trio.nodes[0].ring.counts());
    trio.bulk = false;
    trio.come_back(0);
    trio.ticks(1_000);
    assert_eq!(trio.reigns(), reigns, "the preferred member waits");
    let counts = trio.nodes[0].ring.counts();
    assert_eq!((counts.rescues, counts.preferences), (before.rescues, before.preferences));
    trio.bulk = true;
    trio.until("its part in the reign", |trio| {
        trio.decided()[0] == 60 && trio.nodes[0].ring.leader().is_some()
    });
    assert_eq!(
        trio.reigns(),
        reigns,
        "it is synchronized from what it has decided, in the reign that goes on"
    );
    trio.until("the return", |trio| trio.nodes[0].ring.leads());
    let counts = trio.nodes[0].ring.counts();
    assert_eq!((counts.rescues, counts.dropped), (before.rescues, before.dropped), "it was not stranded");
}

#[test]
fn row_12_a_quorum_that_needs_a_member_that_is_behind_has_it_once_it_is_level() {
    for dead in [0, 1] {
        let mut trio = Trio::new();
        trio.miss(2, 60);
        trio.absent = Some(dead);
        trio.connect(1 - dead, 2);
        let healthy = 1 - dead;
        trio.until("a leader", |trio| {
            [healthy, 2].iter().any(|at| trio.nodes[*at].ring.leads() && trio.nodes[2].ring.decided() >= 60)
        });
        let leader = [healthy, 2].into_iter().find(|at| trio.nodes[*at].ring.leads()).expect("a leader");
        trio.nodes[leader].ring.append(Bytes::from_static(b"entry"));
        trio.until("a decision", |trio| [healthy, 2].iter().all(|at| trio.nodes[*at].ring.decided() > 60));
        assert_eq!(trio.nodes[2].ring.counts().rescues, 0);
    }
}

#[test]
fn row_12_a_piece_waits_for_the_pace_exactly_while_others_decide_without_the_member() {
    for dead in [0, 1] {
        let mut trio = Trio::new();
        trio.miss(2, 60);
        trio.allowed = false;
        trio.come_back(2);
        trio.ticks(200);
        assert_eq!(trio.decided(), [60, 60, 0], "nothing is allowed");
        trio.absent = Some(dead);
        trio.until("what is needed", |trio| trio.decided()[2] >= 60);
    }
}

#[test]
fn row_12_another_peer_is_asked_as_soon_as_the_one_that_was_asked_is_lost() {
    let mut trio = Trio::new();
    trio.miss(2, 60);
    trio.bulk = false;
    trio.come_back(2);
    trio.deliver();
    let asked = (0..2).find(|at| trio.nodes[*at].ring.catch_ups().served > 0).expect("a peer that was asked");
    trio.bulk = true;
    trio.absent = Some(asked);
    trio.nodes[2].ring.lost(NODES[asked]);
    trio.deliver();
    assert!(trio.decided()[2] > 60 - 17, "without a tick, but for what comes as a synchronization");
    assert!(!trio.nodes[2].ring.catch_ups().is_under_way, "it waits for no level of a peer that is lost");
}

#[test]
fn row_12_a_piece_that_is_lost_with_the_bulk_connection_is_given_on_the_next_one() {
    let mut trio = Trio::new();
    trio.miss(2, 60);
    trio.bulk = false;
    trio.come_back(2);
    trio.deliver();
    trio.bulk = true;
    trio.deliver();
    assert_eq!(trio.decided(), [60, 60, 0], "it was given once");
    for server in 0..2 {
        trio.nodes[server].ring.bulk_connected(NODES[2]);
    }
    trio.deliver();
    assert_eq!(trio.decided(), [60; 3], "without a tick");
}

#[test]
fn row_12_a_candidate_that_lacks_too_much_is_told_so_instead_of_being_sent_it() {
    let mut trio = Trio::new();
    trio.append_everywhere(100);
    let promise = trio.nodes[1].ring.held().promise;
    let n = ballot(promise.n + 1, 3);
    let prepare = Prepare { n, decided_idx: 2, n_accepted: promise, accepted_idx: 2 };
    trio.nodes[1].put_wrong(2, paxos(3, 2, PaxosMsg::Prepare(prepare))).expect("a candidate");
    assert_eq!((trio.nodes[1].ring.counts().refused, trio.nodes[1].ring.held().promise), (1, promise));
    let sent = trio.nodes[1].drain();
    assert!(sent.iter().all(|outgoing| Stream::of(&outgoing.message) == Ok(Stream::Level)), "{sent:?}");
}

/// A follower that has promised no later ballot learns in pieces what a later leader has decided.
#[test]
fn row_12_a_leader_that_proposed_less_than_a_follower_knows_to_be_decided_gives_up_its_reign() {
    let mut trio = Trio::new();
    trio.append_everywhere(4);
    let n = trio.nodes[0].ring.held().promise;
    let promise = Promise { n, n_accepted: n, decided_idx: 5, accepted_idx: 5, log_sync: None };
    trio.nodes[0].put_wrong(2, paxos(3, 1, PaxosMsg::Promise(promise))).expect("a promise");
    assert!(!trio.nodes[0].ring.leads());
    assert_eq!(trio.nodes[0].ring.counts().given_up, 1);
    let sent = trio.nodes[0].drain();
    assert!(sent.iter().all(|outgoing| !is_sync(&outgoing.message)), "{sent:?}");
}

#[test]
fn row_12_a_piece_keeps_the_promise_and_the_accepted_round_and_what_stands_above_it() {
    let mut trio = Trio::new();
    trio.append_everywhere(4);
    trio.miss(2, 60);
    let value = |trio: &Trio, slot| trio.nodes[2].log.lock().value(RING, slot).cloned();
    // It holds what was decided, and more; and it does not know.
    {
        let (from, to) = (trio.nodes[0].log.clone(), trio.nodes[2].log.clone());
        let entries = from.lock().read_range(RING, 4..64, usize::MAX).expect("entries");
        (4..).zip(entries).for_each(|(index, entry)| to.lock().append(RING, index, entry));
        to.lock().append(RING, 64, Bytes::from_static(b"above"));
        trio.nodes[2].sync();
        trio.append(b"above");
        trio.send();
        trio.wire.clear();
        trio.restart(2);
    }
    let before = [PROMISE, ACCEPTED_ROUND].map(|slot| value(&trio, slot));
    assert!(trio.nodes[2].ring.decided() <= 4 && before.iter().all(Option::is_some));
    trio.send();
    while trio.nodes[2].ring.catch_ups().installed == 0 {
        let (from, to, message) = trio.wire.pop_front().expect("a piece");
        trio.nodes[to].ring.step(NODES[from], message).expect("a message");
        trio.send();
    }
    assert_eq!([PROMISE, ACCEPTED_ROUND].map(|slot| value(&trio, slot)), before);
    assert_eq!(trio.nodes[2].ring.accepted(), 65);
    assert!((5..64).contains(&trio.nodes[2].ring.decided()));
    assert_eq!(trio.nodes[2].ring.read(64).expect("it is held"), "above");
    trio.until("the decision", |trio| trio.nodes[2].ring.decided() > 64);
}

#[test]
fn row_12_a_piece_that_nobody_asked_for_is_dropped() {
    let mut trio = Trio::new();
    trio.append_everywhere(4);
    let entries = vec![Bytes::from_static(b"other"); 9];
    for from in [0, 4, 5] {
        for frame in (Answer { number: 1, leader: None, from, entries: entries.clone() }).piece_frames() {
            trio.nodes[1].ring.step(NODES[0], frame).expect("a piece");
        }
    }
    assert_eq!(trio.decided(), [4; 3]);
    trio.append_everywhere(1);
}

#[test]
fn row_12_what_a_leader_leaves_undecided_is_bounded() {
    let mut trio = Trio::new();
    trio.append_everywhere(3);
    (1..3).for_each(|at| trio.nodes[at].syncs = false);
    let mut undecided = 0;
    while trio.nodes[0].ring.has_room() {
        trio.append(b"entry");
        trio.deliver();
        undecided += 1;
    }
    assert_eq!(undecided, 40, "a kilobyte and more each");
    (1..3).for_each(|at| trio.nodes[at].syncs = true);
    trio.deliver();
    assert!(trio.nodes[0].ring.has_room(), "all of it is decided");
    assert_eq!(trio.decided(), [43; 3]);
}

#[test]
fn row_13_the_ring_folds_no_entries() {
    fn uses_snapshots<T: omnipaxos::storage::Entry<Snapshot = NoSnapshot>>() -> bool {
        <NoSnapshot as Snapshot<T>>::use_snapshots()
    }
    assert!(!uses_snapshots::<LogEntry>());
}

#[test]
#[should_panic(expected = "a ring of one member is a solo ring")]
fn row_14_a_ring_of_one_is_another_ring() {
    Membership::new(NodeId(1), &[NodeId(1)]);
}

#[test]
fn row_14_nobody_ends_the_configuration() {
    let mut trio = Trio::new();
    trio.append_everywhere(1);
    let n = trio.nodes[0].ring.held().promise;
    let ss = StopSign::with(ClusterConfig::default(), None);
    let accept = AcceptStopSign { n, seq_num: SEQUENCE, ss: ss.clone() };
    for msg in [PaxosMsg::AcceptStopSign(accept), PaxosMsg::ForwardStopSign(ss)] {
        trio.nodes[1].put_wrong(0, paxos(1, 2, msg)).expect("it is dropped");
    }
    assert_eq!(trio.nodes[1].ring.counts().dropped, 2);
    trio.append_everywhere(1);
}

#[test]
#[should_panic(expected = "only the leader appends")]
fn row_15_nothing_is_buffered_for_a_leader_to_come() {
    Node::start(0, Arc::new(MemoryDisk::new())).ring.append(Bytes::new());
}

#[test]
fn row_15_a_read_that_fails_ends_in_an_error_that_is_kept_and_in_no_panic() {
    for (reads, says) in [
        (Reads::Fail, "memory:00000000000000000001.log cannot be read at offset"),
        (Reads::Flip, "memory:00000000000000000001.log is corrupt at offset"),
    ] {
        let mut trio = Trio::new();
        trio.append_everywhere(4);
        let disk = trio.nodes[0].disk.clone();
        let log = open_log_within(disk.clone(), 0);
        trio.nodes[0] = Node::start_on(0, disk, LIMITS, log);
        trio.connect(0, 1);
        trio.connect(0, 2);
        trio.until("a leader", |trio| trio.nodes[0].ring.leads());
        trio.nodes[0].log.lock().check_reads().expect("a disk that reads");

        trio.nodes[0].disk.set_reads(reads);
        let held = trio.nodes[0].ring.held();
        let (n, decided_idx, accepted_idx) = (held.promise, 2, 2);
        let promise = Promise { n, n_accepted: n, decided_idx, accepted_idx, log_sync: None };
        trio.nodes[0].put_wrong(2, paxos(3, 1, PaxosMsg::Promise(promise))).expect("it is handled");
        let error = trio.nodes[0].log.lock().check_reads().expect_err("an error that is kept").to_string();
        assert!(error.contains(says), "{error}");
        assert_eq!(trio.nodes[0].ring.accepted(), held.accepted);

        trio.nodes[0].disk.set_reads(Reads::Sound);
        assert!(trio.nodes[0].log.lock().check_reads().is_err(), "a disk that reads again changes nothing");
    }
}

#[test]
fn row_16_a_decided_index_is_no_reason_for_a_sync_and_may_be_forgotten() {
    let mut trio = Trio::new();
    trio.append_everywhere(2);
    for node in &trio.nodes {
        let log = node.log.lock();
        assert_eq!(log.appended(), log.durable());
    }
    (0..3).for_each(|at| trio.restart(at));
    assert!(trio.decided().iter().all(|decided| *decided < 2), "{:?}", trio.decided());
    trio.until("the decisions", |trio| trio.decided().iter().all(|decided| *decided >= 2));
}

#[test]
fn row_17_a_new_leader_says_how_much_it_must_see_decided() {
    let mut trio = Trio::new();
    assert_eq!(trio.nodes[0].ring.entered_accept_with(), 0);
    trio.append_everywhere(2);
    (0..3).for_each(|at| trio.restart(at));
    let led = |trio: &Trio| (0..3).find(|at| trio.nodes[*at].ring.leads());
    while led(&trio).is_none() {
        trio.now_ms += TIMING.tick_ms;
        let now_ms = trio.now_ms;
        trio.nodes.iter_mut().for_each(|node| node.ring.tick(now_ms));
        trio.send();
        while let (Some((from, to, message)), None) = (trio.wire.pop_front(), led(&trio)) {
            trio.nodes[to].ring.step(NODES[from], message).expect("a message");
            trio.send();
        }
    }
    let ring = &trio.nodes[led(&trio).expect("a leader")].ring;
    assert_eq!((ring.reigns(), ring.entered_accept_with()), (1, 2));
    assert!(ring.decided() < 2, "what an earlier leader decided is not known to be decided");
}

#[test]
fn leadership_returns_to_the_preferred_member() {
    let mut trio = Trio::new();
    trio.append_everywhere(1);
    let disk = trio.nodes[0].disk.clone();
    trio.nodes[0] = Node::start(0, disk.clone());
    for _ in 0..60 {
        trio.now_ms += TIMING.tick_ms;
        let now_ms = trio.now_ms;
        trio.nodes[1..].iter_mut().for_each(|node| node.ring.tick(now_ms));
        trio.send();
        while let Some((from, to, message)) = trio.wire.pop_front() {
            if from != 0 && to != 0 {
                trio.nodes[to].ring.step(NODES[from], message).expect("a message");
                trio.send();
            }
        }
    }
    assert!(trio.nodes[1].ring.leads() || trio.nodes[2].ring.leads());
    trio.restart(0);
    trio.until("the return", |trio| trio.nodes[0].ring.leads());
    assert_eq!(trio.nodes[0].ring.counts().preferences, 1);
    let reigns: u64 = trio.nodes.iter().map(|node| node.ring.reigns()).sum();
    trio.ticks(1_000);
    assert_eq!(trio.nodes.iter().map(|node| node.ring.reigns()).sum::<u64>(), reigns, "and stays there");
}

#[test]
fn a_synchronization_that_does_not_join_is_not_handled() {
    let membership = Membership::new(NODES[1], &NODES);
    let held = Held { decided: 4, accepted: 6, promise: ballot(3, 1) };
    let verdict = |sync_idx| {
        let log_sync = LogSync { sync_idx, ..log_sync() };
        let sync = AcceptSync { n: held.promise, seq_num: SEQUENCE, decided_idx: 0, log_sync };
        judge(&membership, 1, held, &paxos(1, 2, PaxosMsg::AcceptSync(sync)))
    };
    assert_eq!([3, 4, 6, 7].map(verdict), [Verdict::Drop, Verdict::Handle, Verdict::Handle, Verdict::Drop]);
}
