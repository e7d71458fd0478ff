//! One replica per partition, driven by hand: the script says what is delivered, the world carries the messages.

use crate::registers::{Command, Expression, Places, Registers};
use eyrie::{
    CommandId, Delivery, Destinations, Envelope, Exchange, Fault, NodeId, Outcome, Output, PartitionId,
    PartitioningOracle, Past, Position, Replica, Request, SharedIndex, node_client,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One command as its client saw it; times are steps of the script.
#[derive(Clone, Debug)]
struct Operation {
    command: Command,
    invoked: u32,
    answered: Option<(u32, i64)>,
}

pub struct World {
    places: Arc<Places>,
    replicas: Vec<Replica<Registers>>,
    delivered: Vec<u64>,
    /// By name; a name's place in `order` is its command's number.
    operations: BTreeMap<&'static str, Operation>,
    order: Vec<&'static str>,
    shared: BTreeMap<&'static str, SharedIndex>,
    travelling: Vec<Exchange<Registers>>,
    step: u32,
}

impl World {
    /// One partition for each string, which names its registers.
    pub fn new(partitions: &[&str], fault: Option<Fault>) -> World {
        let places = partitions.iter().zip(0..);
        let places =
            places.flat_map(|(names, place)| names.chars().map(move |name| (name, PartitionId(place))));
        let places = Arc::new(Places(places.collect()));
        Fault::plant(fault);
        let replicas: Vec<_> = PartitionId::all(partitions.len() as u16)
            .map(|partition| Replica::new(partition, places.clone()))
            .collect();
        World {
            places,
            delivered: vec![0; replicas.len()],
            replicas,
            operations: BTreeMap::new(),
            order: Vec::new(),
            shared: BTreeMap::new(),
            travelling: Vec::new(),
            step: 0,
        }
    }

    /// A client invokes a command; commands of several partitions take their place in the shared ring at once.
    pub fn invoke(&mut self, name: &'static str, command: Command) {
        self.step += 1;
        if self.places.destinations(&command).len() > 1 {
            self.shared.insert(name, SharedIndex(self.shared.len() as u64 + 1));
        }
        self.order.push(name);
        self.operations.insert(name, Operation { command, invoked: self.step, answered: None });
    }

    /// A partition delivers commands, in this order.
    pub fn deliver(&mut self, partition: u16, names: &[&'static str]) {
        for name in names {
            self.step += 1;
            let place = usize::from(partition);
            self.delivered[place] += 1;
            let delivery = Delivery {
                partition: PartitionId(partition),
                position: Position { configuration: 0, index: self.delivered[place] },
                time_ms: 1,
                age_ms: 1,
                shared: self.shared.get(name).copied(),
                envelope: self.envelope(name),
            };
            self.replicas[place].deliver(delivery);
            self.collect(place);
        }
    }

    /// Carries every message to its end.
    pub fn exchange(&mut self) {
        while !self.travelling.is_empty() {
            self.step += 1;
            let message = self.travelling.remove(0);
            let place = message.to.index();
            self.replicas[place].exchange(message);
            self.collect(place);
        }
        self.replicas.iter().for_each(Replica::check_invariants);
    }

    pub fn answer(&self, name: &str) -> Option<i64> {
        self.operations[name].answered.map(|(_, reply)| reply)
    }

    /// Whether some order of all commands explains every reply and contradicts no real time (Wing and Gong, by force).
    pub fn is_linearizable(&self) -> bool {
        let operations: Vec<&Operation> = self.operations.values().collect();
        explains(&operations, &mut Vec::new(), &BTreeMap::new())
    }

    fn envelope(&self, name: &str) -> Envelope {
        let operation = &self.operations[name];
        let number = self.order.iter().position(|known| *known == name).expect("it was invoked") as u32;
        let command = operation.command.clone();
        let destinations: Destinations = self.places.destinations(&command);
        let request =
            Request::<Registers> { origin: NodeId(0), acknowledged: 0, past: Past::default(), command };
        let id = CommandId { client: node_client(0), epoch: 1, run: 0, i: number };
        Envelope { id, destinations, body: request.encode() }
    }

    fn collect(&mut self, place: usize) {
        while let Some(output) = self.replicas[place].output() {
            match output {
                Output::Exchange(message) => self.travelling.push(message),
                Output::Answer(answer) => {
                    let name = self.order[answer.id.i as usize];
                    let Outcome::Reply(reply) = *answer.outcome else {
                        panic!("{name}: {:?}", answer.outcome)
                    };
                    let operation = self.operations.get_mut(name).expect("it was invoked");
                    assert!(
                        operation.answered.is_none_or(|(_, before)| before == reply),
                        "{name}: two answers"
                    );
                    operation.answered.get_or_insert((self.step, reply));
                }
                Output::Event { .. } | Output::Passed { .. } | Output::Read(..) => {}
                Output::Part(_) | Output::PartAgain(..) => {}
            }
        }
    }
}

fn explains(all: &[&Operation], done: &mut Vec<usize>, registers: &BTreeMap<char, i64>) -> bool {
    if done.len() == all.len() {
        return true;
    }
    for (next, operation) in all.iter().enumerate() {
        let waits = |other: &Operation| other.answered.is_some_and(|(at, _)| at < operation.invoked);
        let blocked =
            (0..all.len()).any(|other| !done.contains(&other) && other != next && waits(all[other]));
        if done.contains(&next) || blocked {
            continue;
        }
        let (reply, after) = run(&operation.command, registers);
        if operation.answered.is_some_and(|(_, seen)| seen != reply) {
            continue;
        }
        done.push(next);
        if explains(all, done, &after) {
            return true;
        }
        done.pop();
    }
    false
}

fn run(command: &Command, registers: &BTreeMap<char, i64>) -> (i64, BTreeMap<char, i64>) {
    let mut after = registers.clone();
    let read = |registers: &BTreeMap<char, i64>, name| registers.get(&name).copied().unwrap_or(0);
    let reply = match command {
        Command::Read(register) => read(&after, *register),
        Command::Assign(assignments) => assignments.iter().fold(0, |_, (register, expression)| {
            let value = match *expression {
                Expression::Constant(constant) => constant,
                Expression::Sum(from, more) => read(&after, from) + more,
            };
            after.insert(*register, value);
            value
        }),
    };
    (reply, after)
}
