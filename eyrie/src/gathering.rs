//! Gathering: the commands of this node that are answered in parts, and the parts that have come.
//!
//! A part names the command's id. Parts of different ids are never put together: each of them is what its partition held at
//! that command's place, and only the places of one command lie at one point of the order.

use crate::answer::{Answer, Outcome};
use crate::exchange::Seen;
use crate::faults::PARTS_OF_TWO_ATTEMPTS;
use crate::service::StateMachine;
use multicast::{CommandId, Destinations, PartitionId};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::sync::Arc;

struct Gathering<S: StateMachine> {
    command: S::Command,
    destinations: Destinations,
    parts: BTreeMap<PartitionId, Answer<S>>,
}

/// The commands under way that are answered in parts.
///
/// Invariant: each lacks the part of some destination.
pub struct Gatherings<S: StateMachine> {
    open: FxHashMap<CommandId, Gathering<S>>,
    /// The last one that ended without an answer, where a fault is planted.
    ended: Option<(CommandId, Gathering<S>)>,
}

impl<S: StateMachine> Default for Gatherings<S> {
    fn default() -> Gatherings<S> {
        Gatherings { open: FxHashMap::default(), ended: None }
    }
}

impl<S: StateMachine> Gatherings<S> {
    /// A command is submitted that is answered in parts.
    pub fn begin(&mut self, id: CommandId, destinations: Destinations, command: S::Command) {
        let parts = self.left_by_attempt(id, &command);
        self.open.insert(id, Gathering { command, destinations, parts });
    }

    /// Whether a command waits for parts.
    pub fn waits(&self, id: CommandId) -> bool {
        self.open.contains_key(&id)
    }

    /// Takes in a part; the whole answer if that was the last one, and where the command went.
    pub fn put(&mut self, part: Answer<S>) -> Option<(Destinations, Answer<S>)> {
        let gathering =
            self.open.get_mut(&part.id).filter(|known| known.destinations.contains(part.partition))?;
        let id = part.id;
        gathering.parts.entry(part.partition).or_insert(part);
        if gathering.parts.len() < gathering.destinations.len() as usize {
            return None;
        }
        let whole = self.open.remove(&id)?;
        Some((whole.destinations, join(id, whole)))
    }

    /// A command ends without an answer of its parts. Says where it went, if it was under way.
    pub fn end(&mut self, id: CommandId) -> Option<Destinations> {
        let ended = self.open.remove(&id)?;
        let destinations = ended.destinations;
        if PARTS_OF_TWO_ATTEMPTS.is_planted() {
            self.ended = Some((id, ended));
        }
        Some(destinations)
    }

    /// The parts that an earlier attempt had, where that is planted: none belongs to this one.
    fn left_by_attempt(&mut self, id: CommandId, command: &S::Command) -> BTreeMap<PartitionId, Answer<S>> {
        let is_same = |(earlier, ended): &mut (CommandId, Gathering<S>)| {
            earlier.client == id.client && format!("{:?}", ended.command) == format!("{command:?}")
        };
        self.ended.take_if(is_same).map(|(_, ended)| ended.parts).unwrap_or_default()
    }

    /// Panics unless the invariant holds.
    pub fn check_invariants(&self) {
        let lacks = |known: &Gathering<S>| known.parts.len() < known.destinations.len() as usize;
        assert!(self.open.values().all(lacks), "a command has all its parts");
    }
}

/// The answer that the parts of a command make. Where one of them is no reply, all is no reply.
fn join<S: StateMachine>(id: CommandId, whole: Gathering<S>) -> Answer<S> {
    let Gathering { command, parts, .. } = whole;
    let seen = seen_by(parts.values());
    let newest = parts.values().map(|part| part.stamp).fold(Default::default(), crate::stamp::Stamp::max);
    let first = parts.values().next().expect("a command has a destination").clone();
    let mut replies = Vec::with_capacity(parts.len());
    let mut failed = None;
    for part in parts.into_values() {
        match Arc::try_unwrap(part.outcome).unwrap_or_else(|shared| (*shared).clone()) {
            Outcome::Reply(reply) => replies.push(reply),
            other => failed = Some(failed.unwrap_or(other)),
        }
    }
    let outcome = failed.unwrap_or_else(|| Outcome::Reply(S::join(&command, replies)));
    Answer { id, stamp: newest, seen, outcome: Arc::new(outcome), ..first }
}

/// The places that any of the parts may depend on, their own included.
fn seen_by<'a, S: StateMachine>(parts: impl Iterator<Item = &'a Answer<S>>) -> Seen {
    let mut all: Vec<multicast::Position> = Vec::new();
    for part in parts {
        all.resize(all.len().max(part.seen.len()).max(part.partition.index() + 1), Default::default());
        for (place, theirs) in all.iter_mut().zip(part.seen.iter()) {
            *place = (*place).max(*theirs);
        }
        let own = &mut all[part.partition.index()];
        *own = (*own).max(part.position);
    }
    all.into()
}
