//! A cluster without a network: some replicas of each partition, fed with one order, whose exchanges are carried by hand. The
//! first replica of each executes a command in one turn, the others in as many as it takes.

use crate::acl::Caller;
use crate::command::{Change, Command, Event, Look, Operation, Reply};
use crate::placement::{Placement, PlacementConfig};
use crate::service::Volery;
use crate::session::{Password, SessionId};
use crate::wire::{Acl, CreateMode, ErrorCode, OpResult, Reply as WireReply, Stat};
use crate::zxid::Zxid;
use bytes::Bytes;
use eyrie::{
    Answer, ClientId, CommandId, Delivery, Destinations, Envelope, Epoch, Exchange, NodeId, Outcome, Output,
    PartitionId, PartitioningOracle, Past, Position, Refusal, Replica, Request, SharedIndex, StateMachine,
    node_client,
};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::sync::Arc;

const REPLICAS: usize = 2;
pub(super) const PASSWORD: Password = Password([7; 16]);

/// What a command came to: a reply, or why there is none.
pub(super) type Came = Result<Reply, Refusal>;

pub(super) struct Cluster {
    pub(super) placement: Arc<Placement>,
    replicas: Vec<Vec<Replica<Volery>>>,
    positions: Vec<u64>,
    /// Log time, by partition.
    pub(super) times_ms: Vec<u64>,
    shared: SharedIndex,
    /// What is on its way, with the replica that it is for.
    mail: Vec<(usize, Exchange<Volery>)>,
    answers: BTreeMap<CommandId, Vec<Answer<Volery>>>,
    addressed: BTreeMap<CommandId, (Destinations, Command)>,
    /// What the first replica of each partition has told.
    pub(super) events: Vec<(PartitionId, Event)>,
    ran: u32,
    floors: BTreeMap<ClientId, Zxid>,
    /// How many steps the sliced replicas take in a turn; drawn if it is not said.
    pub(super) steps: Option<u32>,
    /// Whether some commands are sent to more partitions than they need.
    pub(super) strays: bool,
    rng: SmallRng,
}

impl Cluster {
    pub(super) fn new(partitions: u16) -> Cluster {
        Cluster::placed(partitions, &PlacementConfig::default(), 0)
    }

    pub(super) fn placed(partitions: u16, config: &PlacementConfig, seed: u64) -> Cluster {
        let placement = Arc::new(Placement::new(partitions, config).unwrap());
        let replicas =
            |partition| (0..REPLICAS).map(|_| Replica::new(partition, placement.clone())).collect();
        Cluster {
            replicas: PartitionId::all(partitions).map(replicas).collect(),
            placement,
            positions: vec![0; usize::from(partitions)],
            times_ms: vec![1_000; usize::from(partitions)],
            shared: SharedIndex::ZERO,
            mail: Vec::new(),
            answers: BTreeMap::new(),
            addressed: BTreeMap::new(),
            events: Vec::new(),
            ran: 0,
            floors: BTreeMap::new(),
            steps: None,
            strays: false,
            rng: SmallRng::seed_from_u64(seed),
        }
    }

    pub(super) fn partitions(&self) -> impl Iterator<Item = &Replica<Volery>> {
        self.replicas.iter().map(|replicas| &replicas[0])
    }

    /// Every replica sends so many bytes of values for a command at most.
    pub(super) fn limit_letters(&mut self, letter_bytes_max: usize) {
        self.replicas.iter_mut().flatten().for_each(|replica| replica.limit_letters(letter_bytes_max));
    }

    /// Orders a command at some partitions.
    pub(super) fn order(
        &mut self,
        client: ClientId,
        epoch: Epoch,
        command: Command,
        to: Destinations,
    ) -> CommandId {
        self.ran += 1;
        let id = CommandId { client, epoch, run: self.ran, i: 0 };
        self.addressed.insert(id, (to, command.clone()));
        let past = self.floors.get(&client).map_or(Past::default(), |zxid| Past::at(zxid.stamp()));
        let body = Request::<Volery> { origin: NodeId(0), acknowledged: 0, past, command }.encode();
        let shared = (to.len() > 1).then(|| self.shared.next());
        self.shared = shared.unwrap_or(self.shared);
        for partition in to.iter() {
            let at = partition.index();
            self.positions[at] += 1;
            for replica in 0..REPLICAS {
                let delivery = Delivery {
                    partition,
                    position: Position { configuration: 0, index: self.positions[at] },
                    time_ms: self.times_ms[at],
                    age_ms: self.times_ms[at],
                    shared,
                    envelope: Envelope { id, destinations: to, body: body.clone() },
                };
                self.begin_turn(at, replica);
                self.replicas[at][replica].deliver(delivery);
                self.finish(at, replica);
            }
        }
        id
    }

    fn begin_turn(&mut self, at: usize, replica: usize) {
        if replica > 0 {
            let steps = self.steps.unwrap_or_else(|| self.rng.random_range(1..20));
            self.replicas[at][replica].go_on(steps);
        }
    }

    /// Takes turns until a replica has nothing left.
    fn finish(&mut self, at: usize, replica: usize) {
        self.drain(at, replica);
        while self.replicas[at][replica].is_spent() {
            self.begin_turn(at, replica);
            self.drain(at, replica);
        }
    }

    fn drain(&mut self, at: usize, replica: usize) {
        while let Some(output) = self.replicas[at][replica].output() {
            match output {
                Output::Exchange(message) if replica == 0 => {
                    self.mail.extend((0..REPLICAS).map(|to| (to, message.clone())));
                }
                Output::Event { event, .. } if replica == 0 => {
                    self.events.push((PartitionId(at as u16), event))
                }
                Output::Exchange(_) | Output::Event { .. } | Output::Passed { .. } => {}
                Output::Read(..) | Output::PartAgain(..) => {}
                Output::Answer(answer) | Output::Part(answer) => {
                    self.answers.entry(answer.id).or_default().push(answer)
                }
            }
        }
    }

    /// Carries all that is on its way, in any order.
    pub(super) fn carry(&mut self) {
        while !self.mail.is_empty() {
            let next = self.rng.random_range(0..self.mail.len());
            let (replica, message) = self.mail.swap_remove(next);
            let at = message.to.index();
            self.begin_turn(at, replica);
            self.replicas[at][replica].exchange(message);
            self.finish(at, replica);
        }
    }

    /// The one answer of all replicas of all destinations.
    pub(super) fn answer(&mut self, id: CommandId) -> Answer<Volery> {
        let answers = self.answers.remove(&id).expect("the command was ordered and carried");
        let (addressed, command) = self.addressed.remove(&id).unwrap();
        assert_eq!(answers.len(), addressed.len() as usize * REPLICAS, "every replica answers once");
        let in_parts = addressed.len() > 1 && Volery::is_answered_in_parts(&command);
        let mut said: BTreeMap<Option<PartitionId>, Vec<&Answer<Volery>>> = BTreeMap::new();
        for answer in &answers {
            said.entry(in_parts.then_some(answer.partition)).or_default().push(answer);
        }
        for alike in said.values() {
            let said: Vec<String> = alike.iter().map(|answer| format!("{:?}", answer.outcome)).collect();
            assert!(said.iter().all(|other| *other == said[0]), "replicas disagree: {said:#?}");
        }
        let replies = said.values().map(|alike| match &*alike[0].outcome {
            Outcome::Reply(reply) => Some(reply.clone()),
            _ => None,
        });
        match replies.collect::<Option<Vec<Reply>>>() {
            Some(parts) if in_parts => {
                let outcome = Outcome::Reply(Volery::join(&command, parts));
                Answer { outcome: outcome.into(), ..answers[0].clone() }
            }
            _ => answers[0].clone(),
        }
    }

    /// Runs a command to its end, with whatever partitions it asks for.
    pub(super) fn run(&mut self, client: ClientId, epoch: Epoch, command: &Command) -> Came {
        let mut to = self.placement.destinations(command);
        if self.strays && self.rng.random_ratio(1, 8) {
            to.insert(PartitionId(self.rng.random_range(0..self.placement.partitions())));
        }
        loop {
            let id = self.order(client, epoch, command.clone(), to);
            self.carry();
            match &*self.answer(id).outcome {
                Outcome::Reply(reply) => return Ok(reply.clone()),
                Outcome::Refused(refusal) => return Err(*refusal),
                Outcome::Lost | Outcome::TooLarge => unreachable!("no part travels"),
                Outcome::Retry(needed) => {
                    assert!(!to.covers(*needed), "what was addressed is asked for again");
                    to = to.union(*needed);
                }
            }
        }
    }

    /// Runs a command that a node submits.
    pub(super) fn node(&mut self, command: Command) -> Reply {
        self.run(node_client(1), 1, &command).expect("a node is not refused")
    }

    /// Opens a session.
    pub(super) fn open(&mut self, session: u64) -> Session {
        let session = SessionId(session);
        let command = Command::CreateSession { session, password: PASSWORD, timeout_ms: 4_000 };
        assert!(matches!(self.node(command), Reply::Session { epoch: 0, timeout_ms: 4_000, .. }));
        Session { id: session, epoch: 0, caller: Caller::from([127, 0, 0, 1].into()) }
    }

    /// Runs an operation as a gateway does: where the session is not open yet, it is attached.
    pub(super) fn operate(&mut self, session: &Session, operation: Operation) -> Reply {
        let Session { id, epoch, caller } = session.clone();
        let command = Command::Operate { caller: caller.clone(), operation: operation.clone() };
        let reply = match self.run(ClientId(id.0), epoch, &command) {
            Err(Refusal::UnknownClient) => {
                let attach = Command::Attach { session: id, epoch, caller, operation: operation.clone() };
                match self.node(attach) {
                    Reply::Attached => return self.operate(session, operation),
                    reply => reply,
                }
            }
            Err(Refusal::OldEpoch) => Reply::SessionMoved,
            Err(refusal) => panic!("{refusal}"),
            Ok(reply) => reply,
        };
        if let Reply::Operation { zxid, .. } = &reply {
            let floor = self.floors.entry(ClientId(id.0)).or_default();
            *floor = (*floor).max(*zxid);
        }
        reply
    }

    /// Runs an operation; its result.
    pub(super) fn result(&mut self, session: &Session, operation: Operation) -> Result<WireReply, ErrorCode> {
        match self.operate(session, operation) {
            Reply::Operation { result, .. } => result,
            other => panic!("{other:?} is no operation's"),
        }
    }

    pub(super) fn change(&mut self, session: &Session, change: Change) -> Result<WireReply, ErrorCode> {
        self.result(session, Operation::Change(change))
    }

    pub(super) fn create(
        &mut self,
        session: &Session,
        path: &str,
        mode: CreateMode,
    ) -> Result<String, ErrorCode> {
        match self.change(session, create(path, mode))? {
            WireReply::Path(path) => Ok(path.to_string()),
            other => panic!("{other:?} is no create's"),
        }
    }

    pub(super) fn multi(&mut self, session: &Session, changes: Vec<Change>) -> Vec<OpResult> {
        match self.result(session, Operation::Multi(changes)) {
            Ok(WireReply::Results(results)) => results,
            other => panic!("{other:?} is no multi's"),
        }
    }

    pub(super) fn look(&mut self, session: &Session, look: Look) -> Result<WireReply, ErrorCode> {
        self.result(session, Operation::Look(look))
    }

    pub(super) fn stat(&mut self, session: &Session, path: &str) -> Option<Stat> {
        match self.look(session, Look::Exists(path.into())) {
            Ok(WireReply::Stat(stat)) => Some(stat),
            Err(ErrorCode::NoNode) => None,
            other => panic!("{other:?} is no stat"),
        }
    }

    pub(super) fn names(&mut self, session: &Session, path: &str) -> Vec<String> {
        match self.look(session, Look::GetChildren { path: path.into(), with_stat: false }) {
            Ok(WireReply::Names(names)) => names.iter().map(|name| name.to_string()).collect(),
            other => panic!("{other:?} are no names"),
        }
    }

    /// What the partitions' leaders would submit by themselves, done.
    pub(super) fn chores(&mut self) {
        let chores = |replica: &Replica<Volery>, time_ms: &u64| Volery::chores(replica.variables(), *time_ms);
        let commands: Vec<Command> = self
            .partitions()
            .zip(&self.times_ms)
            .flat_map(|(replica, time_ms)| chores(replica, time_ms))
            .collect();
        for command in commands {
            assert_eq!(self.node(command), Reply::Done);
        }
    }

    pub(super) fn set_time_ms(&mut self, time_ms: u64) {
        self.times_ms.fill(time_ms);
    }

    /// Events since the last call, in one order.
    pub(super) fn take_events(&mut self) -> Vec<(PartitionId, Event)> {
        let mut events = std::mem::take(&mut self.events);
        events.sort_by_key(|(partition, event)| (*partition, format!("{event:?}")));
        events
    }

    /// Panics unless replicas of one partition are alike and every partition is sound.
    pub(super) fn check(&self) {
        for replicas in &self.replicas {
            assert!(replicas.iter().all(|replica| replica.state_hash() == replicas[0].state_hash()));
            for replica in replicas {
                replica.check_invariants();
                replica.variables().check_invariants(&self.placement);
            }
        }
    }

    /// What the sliced replica of a partition has done.
    pub(super) fn sliced(&self, partition: PartitionId) -> &Replica<Volery> {
        &self.replicas[partition.index()][REPLICAS - 1]
    }

    /// How often a replica took part in a command of several partitions.
    pub(super) fn exchanged(&self) -> u64 {
        self.partitions().map(|replica| replica.counts().multi_partition).sum()
    }

    /// How often an execution had to wait for a value that did not come with the signal.
    pub(super) fn run_again(&self) -> u64 {
        self.partitions().map(|replica| replica.counts().run_again).sum()
    }
}

/// A session as its gateway knows it.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) id: SessionId,
    pub(super) epoch: Epoch,
    pub(super) caller: Caller,
}

pub(super) fn create(path: &str, mode: CreateMode) -> Change {
    let data = Some(Bytes::from_static(b"data"));
    Change::Create { path: path.into(), data, acl: Acl::open_unsafe(), mode, with_stat: false }
}

pub(super) fn delete(path: &str) -> Change {
    Change::Delete { path: path.into(), version: -1 }
}

pub(super) fn set(path: &str, data: &'static str, version: i32) -> Change {
    Change::SetData { path: path.into(), data: Some(Bytes::from_static(data.as_bytes())), version }
}

pub(super) fn check(path: &str, version: i32) -> Change {
    Change::Check { path: path.into(), version }
}
