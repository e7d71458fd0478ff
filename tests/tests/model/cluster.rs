//! The state: rings, replicas, what was said between them, and what clients saw.

use crate::command::{COMMANDS_MAX, CommandId, Commands};
use crate::history::History;
use crate::partition::{Partition, Partitions};
use crate::replica::Replica;
use crate::ring::{Entry, Relayed, Ring};
use crate::scenario::{Pace, Scenario};
use crate::sequence::Sequence;
use crate::variant::Variant;

/// What was sent for a command. It is kept until everybody has it, so these are facts, and they only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Sent {
    /// The partitions of which a replica has signalled.
    signals: Partitions,
    /// The variable that it reads, as it was before the command.
    value: Option<u8>,
}

/// The state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Cluster {
    /// The shared ring's log; what stands here is decided, at the place where it stands, counted from one.
    shared: Sequence<CommandId, COMMANDS_MAX>,
    /// Leaders cannot read the shared ring's log up to this place any more.
    trimmed: u8,
    rings: [Ring; 3],
    /// Sorted: a partition's two are as good as each other.
    replicas: [[Replica; 2]; 3],
    sent: [Sent; COMMANDS_MAX],
    history: History,
}

impl Cluster {
    /// A partition's ring.
    pub fn ring(&self, partition: Partition) -> &Ring {
        &self.rings[partition.index()]
    }

    /// A partition's replicas.
    pub fn replicas(&self, partition: Partition) -> &[Replica; 2] {
        &self.replicas[partition.index()]
    }

    /// What clients saw.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// How many entries of a partition's log are decided: those that a replica has delivered.
    pub fn decided(&self, partition: Partition) -> usize {
        let [one, other] = self.replicas(partition);
        usize::from(one.delivered.max(other.delivered))
    }

    /// The shared commands that address the partition, as they are relayed to it, in order.
    pub fn addressed(
        &self,
        scenario: &Scenario,
        partition: Partition,
    ) -> impl Iterator<Item = (Entry, Relayed)> {
        let mut prev = 0;
        let places = (1..).zip(self.shared.iter().copied());
        let mine = places.filter(move |(_, id)| scenario.command(*id).destinations().contains(partition));
        mine.map(move |(k, command)| {
            let relayed = Relayed { k, prev };
            prev = k;
            (Entry { command, relayed: Some(relayed) }, relayed)
        })
    }

    /// The command that the partition's leader is to append next; if all that are ordered are there, those that can be.
    pub fn next_copies(&self, scenario: &Scenario, partition: Partition) -> Commands {
        let followed = self.ring(partition).followed();
        match self.addressed(scenario, partition).find(|(_, relayed)| relayed.k > followed) {
            Some((_, relayed)) if relayed.k <= self.trimmed => Commands::default(),
            Some((entry, _)) => [entry.command].into_iter().collect(),
            None => scenario.shared_at(partition).filter(|id| !self.shared.contains(id)).collect(),
        }
    }

    /// The partition's leader appends a copy of a command, which the shared ring has ordered at the latest now.
    pub fn follow(&mut self, scenario: &Scenario, partition: Partition, command: CommandId) {
        if !self.shared.contains(&command) {
            self.history.invoke(command);
            self.shared.push(command);
        }
        let entry = self.copy(scenario, partition, command);
        self.rings[partition.index()].append(entry);
    }

    /// The leader of a command's only partition appends it.
    pub fn propose(&mut self, home: Partition, command: CommandId) {
        self.history.invoke(command);
        self.rings[home.index()].append(Entry { command, relayed: None });
    }

    /// A replica delivers the next entry of its partition's log.
    pub fn deliver(&mut self, scenario: &Scenario, partition: Partition, i: usize) {
        let replica = &mut self.replicas[partition.index()][i];
        let entry = self.rings[partition.index()].log()[usize::from(replica.delivered)];
        let taken = replica.deliver(entry, scenario.variant);
        if taken && scenario.variant == Variant::SignalOnDelivery {
            self.signal(partition, entry.command);
        }
        self.run(scenario, partition, i);
    }

    /// The partitions that have signalled what a replica's head waits for, and sent the value if it is theirs.
    pub fn news(&self, scenario: &Scenario, partition: Partition, i: usize) -> Partitions {
        let replica = &self.replicas(partition)[i];
        let Some(head) = replica.head() else {
            return Partitions::NONE;
        };
        let sent = &self.sent[head.index()];
        let speaks = |from: &Partition| scenario.command(head).reads != Some(*from) || sent.value.is_some();
        let unheard = sent.signals.without(partition).iter().filter(|from| !replica.heard().contains(*from));
        unheard.filter(speaks).collect()
    }

    /// A signal for the head of a replica arrives.
    pub fn hear(&mut self, scenario: &Scenario, partition: Partition, i: usize, from: Partition) {
        self.replicas[partition.index()][i].hear(from);
        self.run(scenario, partition, i);
    }

    /// The partition's other member leads, and has the first `kept` entries of the log.
    pub fn change_leader(&mut self, scenario: &Scenario, partition: Partition, kept: usize) {
        assert!(kept >= self.decided(partition), "what is decided stays");
        self.rings[partition.index()].change_leader(kept, scenario.variant);
    }

    /// A copy that an old leader sent arrives late.
    pub fn resurface(&mut self, scenario: &Scenario, partition: Partition, command: CommandId) {
        let entry = self.copy(scenario, partition, command);
        self.rings[partition.index()].resurface(entry);
    }

    /// What follows from a step and is the same whenever it happens: it happens at once.
    pub fn settle(&mut self, scenario: &Scenario) {
        if scenario.pace == Pace::CatchesUp {
            Partition::ALL.into_iter().for_each(|partition| self.catch_up(scenario, partition));
        }
        self.trim_shared(scenario);
        for (ring, replicas) in self.rings.iter_mut().zip(&mut self.replicas) {
            let delivered = replicas[0].delivered.min(replicas[1].delivered);
            if delivered > 0 {
                ring.trim(usize::from(delivered), scenario.variant);
                replicas.iter_mut().for_each(|replica| replica.delivered -= delivered);
            }
            replicas.sort();
        }
    }

    /// Whether every replica has completed all that addresses it.
    pub fn is_finished(&self, scenario: &Scenario) -> bool {
        scenario.ids().all(|id| {
            let destinations = scenario.command(id).destinations().iter();
            let mut replicas = destinations.flat_map(|partition| self.replicas(partition));
            replicas.all(|replica| replica.completed().any(|(completed, _)| completed == id))
        })
    }

    /// Whether each replica has taken the shared commands that address it once each, in shared order.
    pub fn is_in_shared_order(&self, scenario: &Scenario) -> bool {
        Partition::ALL.into_iter().all(|partition| {
            self.replicas(partition).iter().all(|replica| {
                let mut addressed = self.addressed(scenario, partition).map(|(entry, _)| entry.command);
                let mut shared = replica.taken().iter().filter(|id| scenario.command(**id).is_shared());
                shared.all(|id| addressed.next() == Some(*id))
            })
        })
    }

    /// Whether a partition's replicas go the same way, and all who complete a command give the same answer.
    pub fn is_agreed(&self) -> bool {
        let told = |(id, answer)| self.history.told(id) == Some(answer);
        self.replicas.iter().all(|[one, other]| one.agrees_with(other))
            && self.replicas.as_flattened().iter().all(|replica| replica.completed().all(told))
    }

    /// Completes commands of a replica from its head on, until one must wait.
    fn run(&mut self, scenario: &Scenario, partition: Partition, i: usize) {
        while let Some(head) = self.replicas(partition)[i].head() {
            let command = scenario.command(head);
            self.become_ready(scenario, partition, i, head);
            let replica = &mut self.replicas[partition.index()][i];
            let awaited = match scenario.variant {
                Variant::NoSignal => command.reads.into_iter().collect(),
                _ => command.destinations(),
            };
            if !replica.heard().covers(awaited.without(partition)) {
                return;
            }
            let read =
                command.reads.map(|_| self.sent[head.index()].value.expect("a value comes with its signal"));
            let answer = command.answer(read.unwrap_or(0));
            replica.complete(answer, command.writes.contains(partition));
            self.history.answer(head, answer);
        }
    }

    /// A replica whose head is ready says so, with the variable that the command reads if it is its own.
    fn become_ready(&mut self, scenario: &Scenario, partition: Partition, i: usize, head: CommandId) {
        if scenario.command(head).reads == Some(partition) {
            let value = self.replicas(partition)[i].value();
            self.sent[head.index()].value.get_or_insert(value);
        }
        if scenario.variant != Variant::SignalOnDelivery {
            self.signal(partition, head);
        }
    }

    fn signal(&mut self, partition: Partition, command: CommandId) {
        let signals = &mut self.sent[command.index()].signals;
        *signals = signals.with(partition);
    }

    fn copy(&self, scenario: &Scenario, partition: Partition, command: CommandId) -> Entry {
        let mut addressed = self.addressed(scenario, partition).map(|(entry, _)| entry);
        addressed.find(|entry| entry.command == command).expect("what is relayed is ordered")
    }

    /// Of a partition's replicas, the one behind completes what the other one has completed.
    fn catch_up(&mut self, scenario: &Scenario, partition: Partition) {
        let complete = self.replicas(partition).map(|replica| replica.completed().len());
        let behind = usize::from(complete[1] < complete[0]);
        while self.replicas(partition)[behind].completed().len() < complete[1 - behind] {
            match self.news(scenario, partition, behind).iter().next() {
                Some(from) => self.hear(scenario, partition, behind, from),
                None => self.deliver(scenario, partition, behind),
            }
        }
    }

    /// Trims the shared ring's log as far as every partition allows.
    fn trim_shared(&mut self, scenario: &Scenario) {
        let untrimmed = self.shared[usize::from(self.trimmed)..].iter();
        let places = untrimmed.zip(self.trimmed + 1..);
        let gone = places.take_while(|(id, k)| {
            let mut destinations = scenario.command(**id).destinations().iter();
            destinations.all(|partition| *k <= self.keeps(scenario, partition))
        });
        self.trimmed += gone.count() as u8;
    }

    /// The place up to which the partition needs the shared ring's log no more: followed, and decided in its own log.
    fn keeps(&self, scenario: &Scenario, partition: Partition) -> u8 {
        let ring = self.ring(partition);
        let safe = match scenario.variant {
            Variant::AppendedTakenForDecided => ring.log().len(),
            _ => self.decided(partition),
        };
        ring.held(safe, scenario.variant).0.min(ring.followed())
    }
}
