//! The audit: what a world holds against each other while it runs.
//!
//! Every replica of a partition delivers the same envelopes and completes them alike, and what is answered was synced by a
//! quorum.

use super::machine::{Blueprint, Machine};
use crate::front::Front;
use crate::service::StateMachine;
use crate::witness::{Completion, Witnessed};
use multicast::{CommandId, Delivery, Layout, NodeId, PartitionId, RingId};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

/// A place in a partition's sequence.
pub(super) type At = (PartitionId, u64);

/// What was witnessed of all nodes.
#[derive(Default)]
pub struct Audit {
    pub(super) delivered: BTreeMap<At, Delivery>,
    pub(super) completed: BTreeMap<At, Completion>,
    /// When each command was first submitted, and first answered, in steps of the world.
    pub(super) submitted: FxHashMap<CommandId, u64>,
    pub(super) answered: FxHashMap<CommandId, u64>,
    entries: FxHashMap<At, u64>,
    /// Where each command was executed.
    pub(super) executed: FxHashMap<CommandId, Vec<At>>,
}

impl Audit {
    /// Takes in what was witnessed in a step. The error says what contradicts what.
    pub(super) fn note<S: StateMachine, F: Front<S>>(
        &mut self,
        step: u64,
        node: usize,
        witnessed: Witnessed,
        blueprint: &Blueprint<S, F>,
        machines: &[Machine<S, F>],
    ) -> Result<(), String> {
        match witnessed {
            Witnessed::Submitted(id) => drop(self.submitted.entry(id).or_insert(step)),
            Witnessed::Answered(id) => {
                self.answered.entry(id).or_insert(step);
                return self.was_synced(id, blueprint, machines);
            }
            Witnessed::Forgotten(id) => return self.was_answered(id),
            Witnessed::Delivered { delivery, entry } => return self.deliver(node, delivery, entry),
            Witnessed::Completed(completion) => return self.complete(node, completion),
        }
        Ok(())
    }

    /// An answer is kept until it has come to whoever asked: a repeat that finds none would never be answered.
    fn was_answered(&self, id: CommandId) -> Result<(), String> {
        match self.answered.contains_key(&id) {
            true => Ok(()),
            false => {
                Err(format!("the answer to {id} is forgotten, and has never come to the node that asks"))
            }
        }
    }

    fn deliver(&mut self, node: usize, delivery: Delivery, entry: u64) -> Result<(), String> {
        let at = (delivery.partition, delivery.position.index);
        self.entries.insert(at, entry);
        match self.delivered.get(&at) {
            Some(known) if *known != delivery => Err(format!(
                "node {node} delivers {} at {} of {}, another node {}",
                delivery.envelope.id, delivery.position, delivery.partition, known.envelope.id
            )),
            Some(_) => Ok(()),
            None => {
                self.delivered.insert(at, delivery);
                Ok(())
            }
        }
    }

    fn complete(&mut self, node: usize, completion: Completion) -> Result<(), String> {
        let at = (completion.partition, completion.position.index);
        match self.completed.get(&at) {
            Some(known) if *known != completion => {
                Err(format!("node {node} comes to {completion:?}, another node to {known:?}"))
            }
            Some(_) => Ok(()),
            None => {
                self.completed.insert(at, completion);
                if completion.executed {
                    self.executed.entry(completion.id).or_default().push(at);
                }
                Ok(())
            }
        }
    }

    /// Whether a command that is answered was synced by a quorum of each ring that it was executed in.
    fn was_synced<S: StateMachine, F: Front<S>>(
        &self,
        id: CommandId,
        blueprint: &Blueprint<S, F>,
        machines: &[Machine<S, F>],
    ) -> Result<(), String> {
        let (shape, ids) = (blueprint.shape, &blueprint.ids);
        let layout = Layout::new(ids[0], ids.clone(), shape.partitions, shape.replicas);
        for at in self.executed.get(&id).into_iter().flatten() {
            let (ring, entry) = (RingId::of(at.0), self.entries[at]);
            let members = layout.members(ring);
            let holds = |member: &&NodeId| {
                let machine = ids.binary_search(member).map(|machine| &machines[machine]);
                let machine = machine.expect("a member is one of the nodes");
                machine.lost || machine.durable(ring) > entry
            };
            let synced = members.iter().filter(holds).count();
            if 2 * synced <= members.len() {
                return Err(format!(
                    "{id} is answered, and entry {entry} of {ring} is synced by {synced} of {} members",
                    members.len()
                ));
            }
        }
        Ok(())
    }
}
