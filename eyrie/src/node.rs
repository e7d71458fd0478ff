//! The node: one loop's multicast, replicas and front, and the turn that they take together. Sans-IO.
//!
//! ```text
//! turn:  front ─ envelopes ─► multicast ─ one buffer ─► (the edge writes and syncs it)
//!        front ◄─ events, answers ─ replicas ◄─ deliveries ─ multicast ◄─ synced
//!                                      └── exchanges ──┘
//! ```

use crate::acquaintances::Acquaintances;
use crate::answer::{Answer, Outcome};
use crate::branches::{SPLIT_LOST, SPLIT_TOO_LARGE};
use crate::causality::Past;
use crate::client::{Epoch, Refusal, is_node};
use crate::codec;
use crate::correspondence::Correspondence;
use crate::desk::{AnswerLimits, Desk};
use crate::enquiry::{Enquiries, Heard};
use crate::errand::Errands;
use crate::exchange::Exchange;
use crate::front::{Abandoned, Commands, ConnectionId, Front, InParts};
use crate::gathering::Gatherings;
use crate::message::Message;
use crate::read::{Asker, Read};
use crate::replica::{Output, Replica};
use crate::service::{PartitioningOracle, StateMachine};
use crate::stages::Stages;
use crate::stamp::Stamp;
use crate::status::{NodeStatus, ReplicaStatus};
use crate::steps::STEPS_MAX;
use crate::turns::Turns;
use crate::witness::{Witness, Witnessed};
use bytes::Bytes;
use multicast::link::{Acquaintance, StartNonce, Starts};
use multicast::log::{Buffer, LogError, LogPosition, SharedLog};
use multicast::{
    Amnesiac, CommandId, Destinations, FollowError, Layout, Multicast, NodeId, PartitionId, PeerError,
    Position, RecoverError, RingId, RingLimits, RingStatus, RingTiming, Sent,
};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use thiserror::Error;

/// How often a leader asks its partitions for chores.
pub const CHORES_EVERY_MS: u64 = 1_000;
/// How often the multicast looks for what must be sent again.
pub const RESEND_EVERY_MS: u64 = 250;

const STARTS_SLOT: u8 = 0;

/// Why a node cannot take up what its log holds.
#[derive(Debug, Error)]
pub enum NodeError {
    /// It holds values that are not of this cluster's rings.
    #[error(transparent)]
    Recover(#[from] RecoverError),
    /// It cannot be read back.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// One loop's share of a node. Sans-IO: bytes, times and how far the log is synced are told to it.
pub struct Node<S: StateMachine, F: Front<S>> {
    id: u16,
    incarnation: Epoch,
    starts: Starts,
    log: SharedLog,
    multicast: Multicast,
    /// By partition; none of those that this node does not host.
    replicas: Vec<Option<Replica<S>>>,
    exchanges: VecDeque<Exchange<S>>,
    acquaintances: Acquaintances,
    /// With other nodes, if there are any.
    correspondence: Option<Correspondence>,
    /// The commands of this node that are answered in parts.
    gatherings: Gatherings<S>,
    /// What this node asks of partitions that are not hosted here.
    enquiries: Enquiries,
    /// What this node answers to those that ask so.
    desk: Desk<S>,
    /// What the hosts of partitions are told not to keep.
    withdrawn: Vec<(NodeId, Message)>,
    /// Reads of other nodes that have come.
    asked: Vec<Read<S>>,
    /// How many entries of each partition's ring the log held when this node started: these were delivered before.
    replayed: Vec<u64>,
    commands: Commands<S>,
    /// How many steps each replica may take in a turn; no bound while the log is taken up.
    steps: u32,
    steps_max: u32,
    stages: Stages,
    turns: Turns,
    witness: Witness,
    front: F,
    /// Who leads each partition, as the front was told.
    leaders: Vec<Option<NodeId>>,
    now_ms: u64,
    chores_ms: u64,
    resent_ms: u64,
}

impl<S: StateMachine, F: Front<S>> Node<S, F> {
    /// A node that is alone: every ring has one member. Begins a new incarnation, for which `start` was drawn, and which the next
    /// buffer makes durable.
    pub fn solo(id: u16, start: StartNonce, oracle: Arc<S::Oracle>, log: SharedLog, front: F) -> Node<S, F> {
        let multicast = Multicast::solo(oracle.partitions(), log.clone());
        let hosts = vec![vec![NodeId(id)]; usize::from(oracle.partitions())];
        Node::over((NodeId(id), start), multicast, (vec![NodeId(id)], hosts), None, oracle, log, front)
    }

    /// A node among others, with replicas of the partitions whose rings it is a member of; of the others it hears. Begins a
    /// new incarnation, for which `start` was drawn, and which the next buffer makes durable.
    pub fn clustered(
        layout: &Layout,
        start: StartNonce,
        timing: RingTiming,
        limits: RingLimits,
        oracle: Arc<S::Oracle>,
        log: SharedLog,
        front: F,
    ) -> Result<Node<S, F>, NodeError> {
        assert_eq!(layout.partitions(), oracle.partitions(), "layout and oracle know the same partitions");
        let multicast = Multicast::clustered(layout, timing, limits, log.clone())?;
        let members = |partition| layout.members(RingId::of(partition)).to_vec();
        let hosts = PartitionId::all(layout.partitions()).map(members).collect();
        let nodes = layout.nodes().to_vec();
        let correspondence = Some(Correspondence::recover::<S>(layout, &log)?);
        Ok(Node::over((layout.me(), start), multicast, (nodes, hosts), correspondence, oracle, log, front))
    }

    /// A node among these, of which those host each partition.
    fn over(
        (me, start): (NodeId, StartNonce),
        multicast: Multicast,
        (nodes, hosts): (Vec<NodeId>, Vec<Vec<NodeId>>),
        correspondence: Option<Correspondence>,
        oracle: Arc<S::Oracle>,
        log: SharedLog,
        front: F,
    ) -> Node<S, F> {
        let partitions = oracle.partitions();
        let starts = begin_start(&log, start);
        let incarnation = starts.incarnation().0 as Epoch;
        let id = me.0;
        let is_hosted = |partition: &PartitionId| hosts[partition.index()].contains(&me);
        let hosted: Destinations = PartitionId::all(partitions).filter(is_hosted).collect();
        let replica = |partition: PartitionId| {
            let hosts = &hosts[partition.index()];
            let audience =
                nodes.iter().copied().filter(|node| *node == me || !hosts.contains(node)).collect();
            Replica::new(partition, oracle.clone()).gives_parts_to(audience)
        };
        let replayed =
            PartitionId::all(partitions).map(|partition| log.lock().next_index(RingId::of(partition)));
        Node {
            id,
            incarnation,
            starts,
            multicast,
            replicas: PartitionId::all(partitions).map(|p| hosted.contains(p).then(|| replica(p))).collect(),
            gatherings: Gatherings::default(),
            replayed: replayed.collect(),
            enquiries: Enquiries::new(hosts),
            desk: Desk::default(),
            asked: Vec::new(),
            withdrawn: Vec::new(),
            exchanges: VecDeque::new(),
            acquaintances: Acquaintances::recover(log.clone()),
            correspondence,
            commands: Commands::new(oracle, Errands::new(id, incarnation), hosted),
            front,
            steps: u32::MAX,
            steps_max: STEPS_MAX,
            stages: Stages::default(),
            turns: Turns::default(),
            witness: Witness::default(),
            leaders: vec![None; usize::from(partitions)],
            now_ms: 0,
            chores_ms: 0,
            resent_ms: 0,
            log,
        }
    }

    /// Bounds answers otherwise than by default: for tests, which reach small bounds soon.
    pub fn limit_answers(&mut self, limits: AnswerLimits) {
        self.replicas.iter_mut().flatten().for_each(|replica| replica.limit_kept(limits.repeats));
        self.desk.limit(limits);
        self.enquiries.limit(limits);
    }

    /// Lets the replicas take so many steps in a turn, otherwise than by default: for tests, whose commands are short.
    pub fn limit_steps(&mut self, steps_max: u32) {
        self.steps_max = steps_max;
    }

    /// Which node it is.
    pub fn id(&self) -> NodeId {
        NodeId(self.id)
    }

    /// How often it has started.
    pub fn incarnation(&self) -> Epoch {
        self.incarnation
    }

    /// The front, for the host to write and close its connections.
    pub fn front(&mut self) -> &mut F {
        &mut self.front
    }

    /// What the log held is taken up; clients come from now on.
    pub fn restarted(&mut self) {
        let replicas = self.replicas.iter().flatten().count().max(1) as u32;
        self.steps = (self.steps_max / replicas).max(1);
        self.front.restart(self.now_ms);
    }

    /// The starts of its directory, of which the last runs.
    pub fn starts(&self) -> &Starts {
        &self.starts
    }

    /// How far its log is durable.
    pub fn durable(&self) -> LogPosition {
        self.log.lock().durable()
    }

    /// Whether it has something to write, or is writing.
    pub fn is_writing(&self) -> bool {
        let log = self.log.lock();
        log.appended() > log.durable()
    }

    /// What is known of a peer.
    pub fn acquaintance(&self, peer: NodeId) -> Acquaintance {
        self.acquaintances.of(peer)
    }

    /// A peer was met for the first time, or in a new start.
    pub fn acquaint(&mut self, peer: NodeId) {
        self.desk.started(peer);
    }

    /// Keeps what is known of a peer. It is durable once the log is up to this position.
    pub fn remember(&mut self, peer: NodeId, acquaintance: Acquaintance) -> LogPosition {
        self.acquaintances.keep(peer, acquaintance)
    }

    /// A connection to another node begins, which shows the nonce of its disk.
    pub fn meet(&mut self, peer: NodeId, nonce: u64) -> Result<(), Amnesiac> {
        self.multicast.meet(peer, nonce)
    }

    /// The connection to another node on which its rings' messages come has ended.
    pub fn ring_lost(&mut self, peer: NodeId) {
        self.multicast.lost(peer);
    }

    /// A bulk connection to another node begins.
    pub fn bulk_connected(&mut self, peer: NodeId) {
        self.multicast.bulk_connected(peer);
    }

    /// A message of another node has come.
    pub fn step(&mut self, from: NodeId, message: Bytes) -> Result<(), PeerError> {
        self.multicast.step(from, message)
    }

    /// What is to be sent to other nodes. Called once a turn, after [`propose`](Node::propose).
    pub fn drain_sent(&mut self) -> Vec<Sent> {
        self.multicast.drain()
    }

    /// Another node has told this one something.
    pub fn told(&mut self, from: NodeId, message: Message) {
        let Some(correspondence) = &mut self.correspondence else { return };
        match message {
            Message::Free(message) => {
                if let Err(error) = self.step(from, message) {
                    tracing::debug!(%from, %error, "a message was not handled");
                }
            }
            Message::Front(message) => self.front.told(from, message, &mut self.commands),
            Message::Subscribe { partition, number, after, follows } => {
                if let Some(replica) = self.replicas.get(partition.index()).and_then(Option::as_ref) {
                    correspondence.subscribe(from, partition, number, after);
                    if follows {
                        correspondence.followed(from, partition, number, replica.passed().as_ref());
                    }
                }
            }
            Message::Follow { partition, number } => {
                if let Some(replica) = self.replicas.get(partition.index()).and_then(Option::as_ref) {
                    correspondence.followed(from, partition, number, replica.passed().as_ref());
                }
            }
            Message::Acknowledge { partition, command } => {
                correspondence.acknowledge(from, partition, command);
            }
            Message::Outputs { partition, number, sequence, outputs } => {
                for output in correspondence.hear(from, partition, (number, sequence), outputs) {
                    self.pass_on(partition, output);
                }
            }
            Message::Heard { partition, number, bytes } => {
                correspondence.heard(from, partition, number, bytes);
            }
            Message::Read { partition, number, place, command } => {
                self.asked_to_read(from, partition, number, (place, &command));
            }
            Message::Part { partition, number, id } => {
                if self.replicas.get(partition.index()).is_some_and(Option::is_some) {
                    self.desk.ask(from, partition, number, id);
                }
            }
            Message::Piece { number, total, offset, bytes, .. } => {
                self.enquiries.piece(from, number, (total, offset), &bytes);
                self.hear_answers();
            }
            Message::More { number, offset, .. } => self.desk.more(from, number, offset),
            Message::Drop { partition, number } => {
                self.desk.drop(from, number);
                if let Some(Some(replica)) = self.replicas.get_mut(partition.index()) {
                    replica.forget_reads(|read| read.asker == Asker::Node(from, number));
                }
            }
            Message::None { number, .. } => {
                self.enquiries.none(from, number);
                self.hear_answers();
            }
            Message::Withdraw { partition, id } => self.desk.withdraw(from, partition, id),
        }
    }

    /// Another node asks for a read of a partition.
    fn asked_to_read(
        &mut self,
        from: NodeId,
        partition: PartitionId,
        number: u64,
        (place, command): (CommandId, &Bytes),
    ) {
        let is_hosted = self.replicas.get(partition.index()).is_some_and(Option::is_some);
        match codec::decode::<S::Command>(command).ok().filter(S::only_reads) {
            Some(command) if is_hosted => {
                self.asked.push(Read { partition, place, asker: Asker::Node(from, number), command });
            }
            _ => tracing::warn!(%from, %partition, "a read that cannot be executed here"),
        }
    }

    /// Hands out what enquiries have come to.
    fn hear_answers(&mut self) {
        while let Some(heard) = self.enquiries.take_heard() {
            match heard {
                Heard::Read { partition, place, asker, answer } => {
                    let answer = self.read_answer(partition, place, &answer).map(with_own_place);
                    self.hand_read(asker, &answer.unwrap_or_else(|| self.ended(place, Outcome::Lost)));
                }
                Heard::Parts(id, parts) => {
                    let parts = parts.iter().map(|(partition, part)| self.read_answer(*partition, id, part));
                    match parts.collect::<Option<Vec<_>>>() {
                        Some(parts) => parts.into_iter().for_each(|part| self.gather(part)),
                        None => self.end_split(id, Outcome::Lost),
                    }
                }
                Heard::Lost(id) => {
                    SPLIT_LOST.reached();
                    self.end_split(id, Outcome::Lost);
                }
                Heard::TooLarge(id) => {
                    SPLIT_TOO_LARGE.reached();
                    self.end_split(id, Outcome::TooLarge);
                }
            }
        }
    }

    /// An answer that another node has told; `None` if a node of this version would not tell it.
    fn read_answer(&self, partition: PartitionId, id: CommandId, bytes: &[u8]) -> Option<Answer<S>> {
        let answer = codec::decode::<Answer<S>>(bytes).ok();
        let is_sound = |answer: &Answer<S>| {
            (answer.partition, answer.id, answer.seen.len()) == (partition, id, self.replicas.len())
        };
        let answer = answer.filter(is_sound);
        if answer.is_none() {
            tracing::warn!(%partition, command = %id, "an answer that no node of this version tells");
        }
        answer
    }

    /// Commands of this node begin that are answered in parts. Partitions that are not hosted here are asked for those of
    /// split reads.
    fn begin_gatherings(&mut self) {
        for InParts { id, destinations, command } in self.commands.take_in_parts() {
            let is_split = S::only_reads(&command);
            self.gatherings.begin(id, destinations, command);
            for partition in destinations.iter().filter(|p| is_split && !self.commands.is_hosted(*p)) {
                self.enquiries.part(partition, id);
            }
        }
    }

    /// A part of the answer to a split read of this node has come.
    fn gather(&mut self, part: Answer<S>) {
        if let Some((destinations, whole)) = self.gatherings.put(part) {
            self.withdraw_parts(whole.id, destinations);
            self.answer(&whole);
        }
    }

    /// A split read of this node ends without its parts.
    fn end_split(&mut self, id: CommandId, outcome: Outcome<S>) {
        if let Some(destinations) = self.gatherings.end(id) {
            self.withdraw_parts(id, destinations);
            let answer = self.ended(id, outcome);
            self.answer(&answer);
        }
    }

    /// The hosts need not keep their parts of a split read.
    fn withdraw_parts(&mut self, id: CommandId, destinations: Destinations) {
        self.enquiries.end(id);
        for partition in destinations.iter().filter(|partition| !self.commands.is_hosted(*partition)) {
            let hosts = self.enquiries.hosts(partition).iter();
            self.withdrawn.extend(hosts.map(|host| (*host, Message::Withdraw { partition, id })));
        }
    }

    /// Clients have gone: nothing of theirs is sent again, fetched or kept.
    fn abandon(&mut self) {
        for Abandoned { client, epoch, ids } in self.commands.take_abandoned() {
            let reads = self.enquiries.forget(client, epoch);
            self.commands.reads_answered(reads);
            for id in ids {
                self.multicast.withdraw(id);
                if let Some(destinations) = self.gatherings.end(id) {
                    self.withdraw_parts(id, destinations);
                }
            }
        }
    }

    fn hand_read(&mut self, asker: u64, answer: &Answer<S>) {
        self.commands.reads_answered(1);
        self.front.read(asker, answer, &mut self.commands);
    }

    /// A node can be told something from now on.
    pub fn found(&mut self, peer: NodeId) {
        self.desk.lost(peer);
        self.enquiries.found(peer);
        if let Some(correspondence) = &mut self.correspondence {
            correspondence.found(peer);
        }
    }

    /// A node can be told nothing any more.
    pub fn lost(&mut self, peer: NodeId) {
        self.desk.lost(peer);
        self.enquiries.lost(peer);
        for replica in self.replicas.iter_mut().flatten() {
            replica.forget_reads(|read| matches!(read.asker, Asker::Node(node, _) if node == peer));
        }
        if let Some(correspondence) = &mut self.correspondence {
            correspondence.lost(peer);
        }
    }

    /// What is to be told to other nodes; some of it may be lost.
    pub fn drain_told(&mut self) -> Vec<(NodeId, Message)> {
        let tellings = self.commands.take_tellings().into_iter();
        let mut told: Vec<_> = tellings.map(|(to, message)| (to, Message::Front(message))).collect();
        let follows = self.commands.take_follows();
        if let Some(correspondence) = &mut self.correspondence {
            follows.iter().for_each(|partition| correspondence.follow(partition));
            told.extend(correspondence.drain());
        }
        told.extend(self.enquiries.drain());
        told.append(&mut self.withdrawn);
        told.extend(self.desk.drain());
        told
    }

    /// A client has connected.
    pub fn connected(&mut self, connection: ConnectionId, peer: SocketAddr) {
        self.front.connected(connection, peer, self.now_ms);
    }

    /// Bytes have come from a client.
    pub fn received(&mut self, connection: ConnectionId, bytes: &[u8]) {
        self.front.received(connection, bytes, &mut self.commands);
    }

    /// A client has gone.
    pub fn disconnected(&mut self, connection: ConnectionId) {
        self.front.disconnected(connection, &mut self.commands);
    }

    /// Time has passed: `now_ms` is monotonic, `wall_ms` counts from 1970.
    pub fn tick(&mut self, now_ms: u64, wall_ms: u64) {
        self.now_ms = now_ms;
        self.multicast.tick(now_ms, wall_ms);
        if let Some(correspondence) = &mut self.correspondence {
            correspondence.tick(now_ms);
        }
        self.enquiries.tick(now_ms);
        self.hear_answers();
        self.look_who_leads();
        self.look_what_broke();
        self.front.tick(now_ms, wall_ms, &mut self.commands);
        if now_ms >= self.chores_ms + CHORES_EVERY_MS {
            self.chores_ms = now_ms;
            self.do_chores();
        }
        if now_ms >= self.resent_ms + RESEND_EVERY_MS {
            self.resent_ms = now_ms;
            self.multicast.resend();
        }
    }

    /// Ends the collecting part of a turn: what came in is proposed, also while a buffer is being synced.
    pub fn propose(&mut self) -> Result<(), FollowError> {
        self.front.settle(&mut self.commands);
        self.submit();
        self.multicast.propose()
    }

    /// It is so late, in microseconds: finer than [`tick`](Node::tick), and only to know where time goes. Told as a turn begins,
    /// and around [`deliver`](Node::deliver).
    pub fn clock(&mut self, now_us: u64) {
        self.stages.tick(now_us);
    }

    /// The time behind [`propose`](Node::propose).
    pub fn proposed(&mut self, now_us: u64) {
        self.stages.proposed(now_us);
    }

    /// A turn has ended, at this time and after so long, in microseconds: the time that the log took is left out.
    pub fn turned(&mut self, now_us: u64, us: u64) {
        self.turns.turned(now_us, us, self.multicast.counts().delivered);
    }

    /// What the log must write and sync, if anything; at most one buffer is out at a time.
    pub fn take_buffer(&mut self) -> Option<Buffer> {
        self.multicast.take_buffer()
    }

    /// The log is durable up to `position`.
    pub fn synced(&mut self, position: LogPosition) {
        self.multicast.synced(position);
        if let Some(correspondence) = &mut self.correspondence {
            correspondence.synced(position);
        }
    }

    /// Executes what is decided, as far as a turn goes. What that leads to, such as relayed commands, waits for the next turn.
    pub fn deliver(&mut self) -> Result<(), FollowError> {
        self.go_on();
        loop {
            self.ask();
            while self.deliver_once()? {}
            self.read();
            self.front.settle(&mut self.commands);
            if !self.commands.wants_reads() {
                break;
            }
        }
        self.submit();
        self.commands.set_in_flight(self.multicast.counts().in_flight);
        self.multicast.check_reads()
    }

    /// Whether the log could be read so far, also for what was drained since the last [`deliver`](Node::deliver). The error is the end of
    /// the process.
    pub fn check_reads(&self) -> Result<(), FollowError> {
        self.multicast.check_reads()
    }

    /// Each replica has a turn's steps again, and goes on with what it has left.
    fn go_on(&mut self) {
        for place in 0..self.replicas.len() {
            if let Some(replica) = &mut self.replicas[place] {
                replica.go_on(self.steps);
                self.drain(place);
            }
        }
        self.exchange();
    }

    /// Whether this turn has left something for the next one, which is to come at once.
    pub fn is_behind(&self) -> bool {
        self.front.is_behind() || self.replicas.iter().flatten().any(Replica::is_spent)
    }

    /// Whether the front wants to see the node's status.
    pub fn wants_status(&self) -> bool {
        self.front.wants_status()
    }

    /// Shows the front the node's status; only the host knows how many files are open.
    pub fn show_status(&mut self, open_files: u64) {
        let status = NodeStatus { open_files, ..self.status() };
        let variables: Vec<&S::Variables> = self.replicas.iter().flatten().map(Replica::variables).collect();
        self.front.observe(&status, &variables);
    }

    /// The node as its operator sees it.
    pub fn status(&self) -> NodeStatus {
        let rings = self.multicast.status();
        NodeStatus {
            node: self.id,
            incarnation: self.incarnation,
            replicas: self
                .replicas
                .iter()
                .flatten()
                .filter_map(|replica| {
                    let partition = replica.partition();
                    let ring = rings.iter().find(|ring| ring.id == RingId::of(partition))?;
                    Some(replica_status(replica, ring, partition))
                })
                .collect(),
            rings,
            multicast: self.multicast.counts(),
            log: self.log.lock().counts(),
            stages: self.stages.means(),
            longest_turn: self.turns.longest(),
            open_files: 0,
        }
    }

    /// What happened here since the last call.
    #[cfg(feature = "sim")]
    pub fn take_witnessed(&mut self) -> Vec<Witnessed> {
        let mut witnessed = self.witness.take();
        witnessed.extend(self.replicas.iter_mut().flatten().flat_map(Replica::take_witnessed));
        witnessed
    }

    /// How many entries of each ring the log holds, synced or not.
    #[cfg(feature = "sim")]
    pub fn logged(&self) -> Vec<(RingId, u64)> {
        let log = self.log.lock();
        let partitions = PartitionId::all(self.replicas.len() as u16).map(RingId::of);
        partitions.chain([RingId::SHARED]).map(|ring| (ring, log.next_index(ring))).collect()
    }

    /// Panics unless every part's invariants hold.
    pub fn check_invariants(&self) {
        self.replicas.iter().flatten().for_each(Replica::check_invariants);
        self.correspondence.iter().for_each(Correspondence::check_invariants);
        self.gatherings.check_invariants();
        self.enquiries.check_invariants();
        self.desk.check_invariants();
        assert!(self.exchanges.is_empty(), "exchanges between replicas of one node are calls");
    }

    /// Asks once for all reads that have come of a partition.
    fn ask(&mut self) {
        let mut questions = vec![None; self.replicas.len()];
        let asked = std::mem::take(&mut self.asked);
        for read in self.commands.take_reads().into_iter().chain(asked) {
            let partition = read.partition;
            if !self.commands.is_hosted(partition) {
                self.enquire(read);
                continue;
            }
            let question = *questions[partition.index()].get_or_insert_with(|| self.multicast.ask(partition));
            let replica = self.replicas[partition.index()].as_mut().expect("it is hosted");
            replica.read(read, question);
        }
    }

    /// Has a read executed by a node that hosts its partition.
    fn enquire(&mut self, read: Read<S>) {
        let Read { partition, place, asker: Asker::Front(asker), command } = read else {
            unreachable!("what another node asks for is hosted here")
        };
        let mut bytes = Vec::with_capacity(128);
        codec::encode_into(&command, &mut bytes).expect("a command can be encoded into memory");
        self.enquiries.read(partition, place, asker, bytes.into());
    }

    /// Executes reads whose index is delivered.
    fn read(&mut self) {
        for place in 0..self.replicas.len() {
            if let Some(replica) = &mut self.replicas[place]
                && let Some(question) = self.multicast.take_answered(PartitionId(place as u16))
            {
                replica.answer_reads(question);
                self.drain(place);
            }
        }
    }

    /// One round over the partitions; says whether anything was delivered.
    fn deliver_once(&mut self) -> Result<bool, FollowError> {
        let mut delivered = false;
        for place in 0..self.replicas.len() {
            let partition = PartitionId(place as u16);
            while let Some(replica) = self.replicas[place].as_mut().filter(|replica| replica.wants_delivery())
            {
                let Some(delivery) = self.multicast.deliver(partition)? else { break };
                delivered = true;
                self.stages.delivered(delivery.envelope.id);
                let entry = self.multicast.delivered_entry(partition);
                self.witness.note(|| Witnessed::Delivered { delivery: delivery.clone(), entry });
                replica.set_replaying(entry < self.replayed[place]);
                replica.deliver(delivery);
                self.drain(place);
            }
            self.exchange();
        }
        Ok(self.take_letters()? || delivered)
    }

    /// Hands each replica what nodes elsewhere have sent for the command that it waits with; a letter for an earlier one comes
    /// too late, since commands complete in shared order. Says whether there was anything: the command behind it may wait too, and what that needs may be there as well.
    fn take_letters(&mut self) -> Result<bool, FollowError> {
        let Some(correspondence) = &mut self.correspondence else { return Ok(false) };
        for replica in self.replicas.iter().flatten() {
            if let Some(command) = replica.awaits() {
                let letters = correspondence.letters(replica.partition(), command)?.into_iter();
                self.exchanges.extend(letters.filter(|letter| letter.command == command));
            }
        }
        let any = !self.exchanges.is_empty();
        self.exchange();
        Ok(any)
    }

    /// Carries messages between the replicas of this node until none is left.
    fn exchange(&mut self) {
        while let Some(message) = self.exchanges.pop_front() {
            let place = message.to.index();
            if let Some(replica) = &mut self.replicas[place] {
                replica.exchange(message);
                self.drain(place);
            }
        }
    }

    fn drain(&mut self, place: usize) {
        let partition = PartitionId(place as u16);
        while let Some(output) = self.replicas[place].as_mut().and_then(Replica::output) {
            if let Some(correspondence) = &mut self.correspondence {
                correspondence.put_out(partition, &output);
            }
            self.pass_on(partition, output);
        }
    }

    /// Hands what a replica has put out, here or elsewhere, to those here who wait for it.
    fn pass_on(&mut self, partition: PartitionId, output: Output<S>) {
        match output {
            Output::Exchange(message) => self.exchanges.push_back(message),
            Output::Event { position, seen, event } => self.front.happened(partition, position, &seen, event),
            Output::Passed { position, proposal, stamp } => {
                self.front.passed(partition, position, proposal, stamp);
            }
            Output::Answer(answer) => self.answer(&answer),
            Output::Read(Asker::Front(number), answer) => self.hand_read(number, &answer),
            Output::Read(Asker::Node(node, number), answer) => self.desk.answer(node, number, answer),
            Output::Part(part) if part.origin == Some(self.id()) => self.gather(part),
            Output::Part(part) => {
                if let Some(origin) = part.origin {
                    self.desk.keep(origin, part);
                }
            }
            Output::PartAgain(origin, id) if origin != self.id() => self.desk.repeated(partition, id),
            // A part of a replica here is here since the command was complete.
            Output::PartAgain(..) => {}
        }
    }

    /// Tells the front of partitions elsewhere of which something may have been missed; answers are asked for again.
    fn look_what_broke(&mut self) {
        let broken = self.correspondence.as_mut().map(Correspondence::take_broken).unwrap_or_default();
        for partition in broken {
            self.front.broken(partition);
            self.multicast.resend_for(partition);
        }
    }

    /// Hands an answer to whoever submitted the command here; the first of several destinations' answers counts.
    fn answer(&mut self, answer: &Answer<S>) {
        if self.gatherings.waits(answer.id) {
            if matches!(*answer.outcome, Outcome::Reply(_)) {
                return self.gather(answer.clone());
            }
            // Wherever it is not executed it is executed nowhere.
            let destinations = self.gatherings.end(answer.id).unwrap_or_default();
            self.withdraw_parts(answer.id, destinations);
        }
        if self.multicast.withdraw(answer.id) {
            self.witness.note(|| Witnessed::Answered(answer.id));
            self.stages.answered(answer.id);
            self.hand_out(answer);
        }
    }

    fn hand_out(&mut self, answer: &Answer<S>) {
        if !is_node(answer.id.client) {
            self.front.answered(answer, &mut self.commands);
        } else if let Outcome::Retry(needed) = *answer.outcome {
            self.commands.plan_again(answer.id, needed);
        } else if let Some(ticket) = self.commands.errands().end(answer.id) {
            self.front.done(ticket, answer, &mut self.commands);
        }
    }

    fn submit(&mut self) {
        self.begin_gatherings();
        for envelope in self.commands.take() {
            let id = envelope.id;
            self.witness.note(|| Witnessed::Submitted(id));
            self.stages.submitted(id);
            if let Err(error) = self.multicast.submit(envelope) {
                tracing::warn!(command = %id, %error, "a command was not submitted");
                if let Some(destinations) = self.gatherings.end(id) {
                    self.withdraw_parts(id, destinations);
                }
                let answer = self.ended(id, Outcome::Refused(Refusal::Unsubmitted));
                self.hand_out(&answer);
            }
        }
        self.abandon();
    }

    /// The answer of a command that ends so.
    fn ended(&self, id: CommandId, outcome: Outcome<S>) -> Answer<S> {
        Answer {
            origin: Some(NodeId(self.id)),
            id,
            partition: PartitionId(0),
            position: Position::default(),
            stamp: Stamp::default(),
            seen: vec![Position::default(); self.replicas.len()].into(),
            outcome: Arc::new(outcome),
        }
    }

    /// Tells the front who leads each partition, where that has changed.
    fn look_who_leads(&mut self) {
        for (partition, known) in PartitionId::all(u16::MAX).zip(&mut self.leaders) {
            let me = NodeId(self.id);
            let leader = match self.multicast.leads_surely(partition) {
                true => Some(me),
                false => self.multicast.leader(partition).filter(|leader| *leader != me),
            };
            if std::mem::replace(known, leader) != leader {
                tracing::debug!(%partition, ?leader, "who leads has changed");
                self.front.led(partition, leader);
            }
        }
    }

    fn do_chores(&mut self) {
        for replica in self.replicas.iter().flatten() {
            if self.multicast.leads(replica.partition()) {
                let age_ms = self.multicast.age_ms(replica.partition());
                for command in S::chores(replica.variables(), age_ms) {
                    self.commands.errand(command, Past::default());
                }
            }
        }
    }
}

/// A read at another node has seen that node's replica, which may be ahead of what this node hears of the partition.
fn with_own_place<S: StateMachine>(mut answer: Answer<S>) -> Answer<S> {
    let own = &mut Arc::make_mut(&mut answer.seen)[answer.partition.index()];
    *own = (*own).max(answer.position);
    answer
}

fn replica_status<S: StateMachine>(
    replica: &Replica<S>,
    ring: &RingStatus,
    partition: PartitionId,
) -> ReplicaStatus {
    ReplicaStatus {
        partition,
        leads: ring.leads,
        position: ring.delivered.unwrap_or_default(),
        state_hash: replica.state_hash(),
        clients: replica.clients(),
        counts: replica.counts(),
    }
}

/// Adds a start to those of this node's directory.
fn begin_start(log: &SharedLog, start: StartNonce) -> Starts {
    let mut log = log.lock();
    let kept = log.value(RingId::NODE, STARTS_SLOT).cloned();
    let starts = Starts::begin(kept.as_deref(), start, log.durable());
    let starts = starts.expect("the log holds what this version has put there");
    log.put(RingId::NODE, STARTS_SLOT, Bytes::from(starts.encode()));
    starts
}
