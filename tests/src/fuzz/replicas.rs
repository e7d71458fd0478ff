//! Two nodes with replicas of two partitions each, fed with one order at whatever pace is drawn.

use super::draw::Draw;
use eyrie::{
    Answer, ClientId, CommandId, Delivery, Destinations, Envelope, Epoch, Exchange, NodeId, Outcome, Output,
    PartitionId, PartitioningOracle as _, Past, Position, Replica, Request, SharedIndex, StateMachine as _,
    node_client,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use volery::command::Command;
use volery::placement::{Placement, PlacementConfig};
use volery::service::Volery;

/// How many partitions there are.
pub const PARTITIONS: u16 = 2;
const NODES: usize = 2;

/// The replicas of both nodes, what is ordered, and what is on its way.
pub struct Replicas {
    placement: Arc<Placement>,
    /// By node and partition.
    replicas: Vec<Vec<Replica<Volery>>>,
    /// By partition.
    sequences: Vec<Vec<Delivery>>,
    /// How many of its sequence each replica has taken, by node and partition.
    taken: [[usize; PARTITIONS as usize]; NODES],
    /// To whom each node listens for a partition's exchanges.
    heard: [[usize; PARTITIONS as usize]; NODES],
    mail: Vec<(usize, Exchange<Volery>)>,
    /// What each replica has answered first.
    answers: BTreeMap<CommandId, BTreeMap<(usize, PartitionId), Answer<Volery>>>,
    shared: SharedIndex,
    time_ms: u64,
    runs: u32,
}

impl Replicas {
    /// Empty replicas.
    pub fn new(draw: &mut Draw) -> Replicas {
        let placement = Placement::new(PARTITIONS, &PlacementConfig::default()).expect("a placement");
        let placement = Arc::new(placement);
        let replica = |partition| Replica::new(partition, placement.clone());
        Replicas {
            replicas: (0..NODES).map(|_| PartitionId::all(PARTITIONS).map(replica).collect()).collect(),
            placement: placement.clone(),
            sequences: vec![Vec::new(); usize::from(PARTITIONS)],
            taken: Default::default(),
            heard: std::array::from_fn(|_| std::array::from_fn(|_| draw.below(NODES))),
            mail: Vec::new(),
            answers: BTreeMap::new(),
            shared: SharedIndex::ZERO,
            time_ms: 1_000,
            runs: 0,
        }
    }

    /// Where a command goes.
    pub fn destinations(&self, command: &Command) -> Destinations {
        self.placement.destinations(command)
    }

    /// Log time goes on.
    pub fn pass_time(&mut self, ms: u64) {
        self.time_ms += ms;
    }

    /// Orders a command of a session's epoch at some partitions.
    pub fn order(&mut self, client: ClientId, epoch: Epoch, command: Command, to: Destinations) -> Envelope {
        self.runs += 1;
        let id = CommandId { client, epoch, run: self.runs, i: 0 };
        let request = Request { origin: NodeId(0), acknowledged: 0, past: Past::default(), command };
        let envelope = Envelope { id, destinations: to, body: Request::<Volery>::encode(&request) };
        self.order_again(&envelope);
        envelope
    }

    /// Orders a command that a node submits.
    pub fn order_of_node(&mut self, command: Command, to: Destinations) -> Envelope {
        self.order(node_client(0), 1, command, to)
    }

    /// Orders a copy of what was ordered before.
    pub fn order_again(&mut self, envelope: &Envelope) {
        let shared = (envelope.destinations.len() > 1).then(|| self.shared.next());
        self.shared = shared.unwrap_or(self.shared);
        for partition in envelope.destinations.iter() {
            let sequence = &mut self.sequences[partition.index()];
            let position = Position { configuration: 0, index: sequence.len() as u64 + 1 };
            let (time_ms, envelope) = (self.time_ms, envelope.clone());
            sequence.push(Delivery { partition, position, time_ms, age_ms: time_ms, shared, envelope });
        }
    }

    /// Something that may happen next happens.
    pub fn go_on(&mut self, draw: &mut Draw) {
        if !self.mail.is_empty() && draw.flag() {
            let next = draw.below(self.mail.len().min(256));
            self.carry(next);
        } else {
            self.deliver(draw.below(NODES), draw.below(usize::from(PARTITIONS)));
        }
    }

    /// Everything that is left happens.
    pub fn finish(&mut self) {
        for node in 0..NODES {
            for partition in 0..usize::from(PARTITIONS) {
                while self.deliver(node, partition) {}
            }
        }
        while !self.mail.is_empty() {
            self.carry(0);
        }
        self.replicas
            .iter()
            .flatten()
            .for_each(|replica| assert_eq!(replica.awaits(), None, "a command waits for ever"));
    }

    /// What a command was answered by all replicas of all its destinations.
    pub fn answer(&mut self, envelope: &Envelope) -> Answer<Volery> {
        let answers = self.answers.remove(&envelope.id).unwrap_or_default();
        assert_eq!(
            answers.len(),
            envelope.destinations.len() as usize * NODES,
            "every replica answers {envelope:?}"
        );
        let request = Request::<Volery>::decode(&envelope.body).expect("it was encoded here");
        let in_parts = envelope.destinations.len() > 1 && Volery::is_answered_in_parts(&request.command);
        let mut said: BTreeMap<Option<PartitionId>, Vec<String>> = BTreeMap::new();
        for ((_, partition), answer) in &answers {
            let alike = said.entry(in_parts.then_some(*partition)).or_default();
            alike.push(format!("{:?}", answer.outcome));
        }
        for said in said.values() {
            assert!(said.iter().all(|other| *other == said[0]), "replicas disagree: {said:#?}");
        }
        let firsts: BTreeMap<PartitionId, &Answer<Volery>> =
            answers.iter().map(|((_, partition), answer)| (*partition, answer)).collect();
        let replies = firsts.values().map(|answer| match &*answer.outcome {
            Outcome::Reply(reply) => Some(reply.clone()),
            _ => None,
        });
        let whole = match replies.collect::<Option<Vec<_>>>() {
            Some(parts) if in_parts => Some(Outcome::Reply(Volery::join(&request.command, parts))),
            _ => None,
        };
        let first = answers.into_values().next().expect("a command has a destination");
        match whole {
            Some(outcome) => Answer { outcome: outcome.into(), ..first },
            None => first,
        }
    }

    /// Panics unless the replicas of each partition are alike and sound. Says how many znodes there are.
    pub fn check(&self) -> u64 {
        for (one, other) in self.replicas[0].iter().zip(&self.replicas[1]) {
            assert_eq!(one.state_hash(), other.state_hash(), "replicas of {:?}", one.partition());
        }
        self.replicas.iter().flatten().for_each(Replica::check_invariants);
        self.replicas[0].iter().map(|replica| replica.variables().holdings().znodes).sum()
    }

    /// Hands a replica the next delivery of its sequence; says whether there was one.
    fn deliver(&mut self, node: usize, partition: usize) -> bool {
        let taken = &mut self.taken[node][partition];
        let Some(delivery) = self.sequences[partition].get(*taken) else { return false };
        *taken += 1;
        self.replicas[node][partition].deliver(delivery.clone());
        self.drain(node, partition);
        true
    }

    fn carry(&mut self, next: usize) {
        let (node, exchange) = self.mail.remove(next);
        let partition = exchange.to.index();
        self.replicas[node][partition].exchange(exchange);
        self.drain(node, partition);
    }

    fn drain(&mut self, node: usize, partition: usize) {
        while let Some(output) = self.replicas[node][partition].output() {
            match output {
                Output::Exchange(exchange) => {
                    let listeners = (0..NODES).filter(|listener| self.heard[*listener][partition] == node);
                    self.mail.extend(listeners.map(|listener| (listener, exchange.clone())));
                }
                Output::Answer(answer) | Output::Part(answer) => {
                    let answers = self.answers.entry(answer.id).or_default();
                    answers.entry((node, answer.partition)).or_insert(answer);
                }
                Output::Event { .. } | Output::Passed { .. } => {}
                Output::Read(..) | Output::PartAgain(..) => {}
            }
        }
    }
}
