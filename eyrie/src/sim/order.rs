//! The order: whether all that was executed fits into one sequence, and that sequence explains every reply.
//!
//! White box and linear in time. The partitions' delivered sequences, the order of each session's commands, and what was answered
//! before something else was submitted, are edges of a graph. It must have no cycle; then the commands are executed again, one
//! after the other along a topological order of it, on one replica of each partition, and all that was ever said, and each
//! state hash, must come out again.

use super::audit::{At, Audit};
use crate::client::is_node;
use crate::replica::{Output, Replica};
use crate::service::{PartitioningOracle, StateMachine};
use crate::witness::Witnessed;
use multicast::{CommandId, Delivery, PartitionId, SharedIndex};
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Something ordered: an envelope of one partition, or one of the shared ring, which several partitions deliver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Item {
    Shared(SharedIndex),
    Alone(PartitionId, u64),
    /// The moment of so-many'th answer.
    Answer(usize),
}

impl Item {
    fn of(delivery: &Delivery) -> Item {
        match delivery.shared {
            Some(shared) => Item::Shared(shared),
            None => Item::Alone(delivery.partition, delivery.position.index),
        }
    }
}

/// Edges from what comes before to what comes after.
#[derive(Default)]
struct Graph {
    after: FxHashMap<Item, Vec<Item>>,
    before: BTreeMap<Item, u32>,
}

impl Graph {
    fn item(&mut self, item: Item) {
        self.before.entry(item).or_default();
    }

    fn edge(&mut self, from: Item, to: Item) {
        if from != to {
            self.item(from);
            self.after.entry(from).or_default().push(to);
            *self.before.entry(to).or_default() += 1;
        }
    }

    /// A topological order, or the items that stand in cycles or behind one.
    fn sorted(mut self) -> Result<Vec<Item>, Vec<Item>> {
        let free = self.before.iter().filter(|(_, before)| **before == 0);
        let mut ready: BTreeSet<Item> = free.map(|(item, _)| *item).collect();
        let mut sorted = Vec::with_capacity(self.before.len());
        while let Some(item) = ready.pop_first() {
            self.before.remove(&item);
            sorted.push(item);
            for next in self.after.remove(&item).unwrap_or_default() {
                let before = self.before.get_mut(&next).expect("what comes after is in the graph");
                *before -= 1;
                if *before == 0 {
                    ready.insert(next);
                }
            }
        }
        if self.before.is_empty() { Ok(sorted) } else { Err(self.before.into_keys().collect()) }
    }
}

impl Audit {
    /// How many envelopes were delivered, over all partitions.
    pub fn delivered(&self) -> usize {
        self.delivered.len()
    }

    /// How many commands were executed.
    pub fn executed(&self) -> usize {
        self.executed.len()
    }

    /// Judges the order of all that was witnessed. The error says what is wrong.
    pub fn judge<S: StateMachine>(&self, oracle: &Arc<S::Oracle>) -> Result<(), String> {
        for (id, places) in &self.executed {
            let partitions: BTreeSet<_> = places.iter().map(|(partition, _)| partition).collect();
            if partitions.len() < places.len() {
                return Err(format!("{id} was executed more than once: {places:?}"));
            }
        }
        let order = self.graph().sorted().map_err(|cycle| self.tell_cycle(&cycle))?;
        self.replay::<S>(oracle, &order)
    }

    fn graph(&self) -> Graph {
        let mut graph = Graph::default();
        let mut last: Option<(PartitionId, Item)> = None;
        for ((partition, _), delivery) in &self.delivered {
            let item = Item::of(delivery);
            graph.item(item);
            if let Some((_, before)) = last.filter(|(of, _)| of == partition) {
                graph.edge(before, item);
            }
            last = Some((*partition, item));
        }
        self.order_sessions(&mut graph);
        self.order_by_time(&mut graph);
        graph
    }

    fn item_at(&self, at: &At) -> Item {
        Item::of(&self.delivered[at])
    }

    fn order_sessions(&self, graph: &mut Graph) {
        let mut ids: Vec<&CommandId> = self.executed.keys().filter(|id| !is_node(id.client)).collect();
        ids.sort_unstable_by_key(|id| (id.client, id.epoch, id.run, id.i));
        for pair in ids.windows(2).filter(|pair| pair[0].client == pair[1].client) {
            graph.edge(self.item_at(&self.executed[pair[0]][0]), self.item_at(&self.executed[pair[1]][0]));
        }
    }

    /// What was answered comes before whatever was submitted later.
    fn order_by_time(&self, graph: &mut Graph) {
        let timed = |(id, step): (&CommandId, &u64)| Some((*step, self.item_at(&self.executed.get(id)?[0])));
        let mut answers: Vec<(u64, Item)> = self.answered.iter().filter_map(timed).collect();
        answers.sort_unstable();
        for (place, (_, item)) in answers.iter().enumerate() {
            graph.edge(*item, Item::Answer(place));
            if place > 0 {
                graph.edge(Item::Answer(place - 1), Item::Answer(place));
            }
        }
        for (step, item) in self.submitted.iter().filter_map(timed) {
            let earlier = answers.partition_point(|(answered, _)| *answered < step);
            if earlier > 0 {
                graph.edge(Item::Answer(earlier - 1), item);
            }
        }
    }

    fn tell_cycle(&self, items: &[Item]) -> String {
        let named = |item: &Item| {
            let delivery = self.delivered.values().find(|delivery| Item::of(delivery) == *item)?;
            let id = delivery.envelope.id;
            let (submitted, answered) = (self.submitted.get(&id), self.answered.get(&id));
            Some(format!("{item:?} = {id}, submitted at step {submitted:?}, answered at {answered:?}"))
        };
        let first: Vec<String> = items.iter().filter_map(named).take(8).collect();
        format!(
            "no order explains what was answered: a cycle among {} items, such as {first:#?}",
            items.len()
        )
    }

    /// Executes everything again, one after the other.
    fn replay<S: StateMachine>(&self, oracle: &Arc<S::Oracle>, order: &[Item]) -> Result<(), String> {
        let mut places: FxHashMap<Item, Vec<&Delivery>> = FxHashMap::default();
        for delivery in self.delivered.values() {
            places.entry(Item::of(delivery)).or_default().push(delivery);
        }
        let partitions = PartitionId::all(oracle.partitions());
        let mut replicas: Vec<Replica<S>> =
            partitions.map(|partition| Replica::new(partition, oracle.clone())).collect();
        for item in order {
            for delivery in places.remove(item).unwrap_or_default() {
                let replica = &mut replicas[delivery.partition.index()];
                if !replica.wants_delivery() {
                    return Err(format!("the command before {item:?} is not delivered everywhere"));
                }
                replica.deliver(delivery.clone());
            }
            exchange(&mut replicas);
            for witnessed in replicas.iter_mut().flat_map(Replica::take_witnessed) {
                self.compare(&witnessed)?;
            }
        }
        Ok(())
    }

    fn compare(&self, witnessed: &Witnessed) -> Result<(), String> {
        let Witnessed::Completed(again) = witnessed else { return Ok(()) };
        match self.completed.get(&(again.partition, again.position.index)) {
            Some(known) if known != again => {
                Err(format!("executed one after the other it comes to {again:?}, and came to {known:?}"))
            }
            _ => Ok(()),
        }
    }
}

/// Carries signals and variables until none is left.
fn exchange<S: StateMachine>(replicas: &mut [Replica<S>]) {
    let mut travelling = VecDeque::new();
    loop {
        for replica in replicas.iter_mut() {
            while let Some(output) = replica.output() {
                if let Output::Exchange(message) = output {
                    travelling.push_back(message);
                }
            }
        }
        let Some(message) = travelling.pop_front() else { return };
        replicas[message.to.index()].exchange(message);
    }
}
