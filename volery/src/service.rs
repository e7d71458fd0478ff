//! The service: what eyrie is told of Volery's commands and of where they go.

use crate::command::{Change, Command, Event, Operation, Reply};
use crate::execute;
use crate::faults::DUE_NEVER_REAPED;
use crate::key::{Key, Value};
use crate::path;
use crate::placement::{PINNED, Placement};
use crate::session::SessionId;
use crate::variables::Slots;
use crate::znode::Facts;
use eyrie::{Destinations, Interrupt, PartitionId, PartitioningOracle, StateMachine, View};
use std::sync::Arc;

/// How many znodes one round of chores submits for removal.
pub const REAPED_MAX: usize = 1_000;
/// How much of its age a partition may lose when another node comes to lead it, while a znode there has a time to live.
pub const AGE_FORGOTTEN_MS_MAX: u64 = 30_000;

/// Volery's state machine.
#[derive(Clone, Debug)]
pub enum Volery {}

impl StateMachine for Volery {
    type Command = Command;
    type Reply = Reply;
    type Key = Key;
    type Value = Value;
    type Event = Event;
    type Oracle = Placement;
    type Variables = Slots;

    fn execute(command: &Command, view: &mut View<'_, Volery>) -> Result<Reply, Interrupt> {
        execute::execute(command, view)
    }

    /// Removes what is due. Where something is not due yet and nothing else is ordered, the log is told the age now and then, for
    /// the next leader.
    fn chores(slots: &Slots, age_ms: u64) -> Vec<Command> {
        let due_max = if DUE_NEVER_REAPED.is_planted() { 0 } else { REAPED_MAX };
        let due = slots.due(age_ms, due_max);
        let reap = |(path, facts): (&Arc<str>, &Facts)| Command::Reap {
            path: path.clone(),
            mzxid: facts.mzxid,
            pzxid: facts.pzxid,
        };
        let mut chores: Vec<Command> = due.map(reap).collect();
        if chores.is_empty() && slots.forgets_age(age_ms, AGE_FORGOTTEN_MS_MAX) {
            chores.push(Command::Advance { partition: slots.partition() });
        }
        chores
    }

    fn only_reads(command: &Command) -> bool {
        matches!(command, Command::Operate { operation, .. } if operation.only_reads())
    }

    /// A burst is submitted only where all its destinations have replicas.
    fn is_answered_in_parts(command: &Command) -> bool {
        matches!(command, Command::Operate { operation, .. } if operation.is_answered_in_parts())
    }

    fn join(command: &Command, parts: Vec<Reply>) -> Reply {
        execute::join(command, parts)
    }

    fn fits(key: &Key, value: &Value) -> bool {
        value.fits(key)
    }

    fn reply_bytes(reply: &Reply) -> usize {
        reply.bytes()
    }

    /// Whichever gateway has a session's connection drops it when the session has ended.
    fn concerns_all(event: &Event) -> bool {
        matches!(event, Event::SessionClosed { .. })
    }
}

impl Placement {
    /// Where an operation goes, which is somewhere even if it touches nothing.
    pub fn operation_destinations(&self, operation: &Operation) -> Destinations {
        let one = |path: &Arc<str>| Destinations::one(self.of(path));
        let destinations = match operation {
            Operation::Change(change) => of_change(self, change),
            Operation::Multi(changes) => union(changes.iter().map(|change| of_change(self, change))),
            Operation::Look(look) => one(look.path()),
            Operation::MultiRead(looks) => union(looks.iter().map(|look| one(look.path()))),
            Operation::GetEphemerals(_) | Operation::CountDescendants(_) => {
                Destinations::all(self.partitions())
            }
            Operation::Sync(path) => one(path),
            Operation::Probe(paths) => union(paths.iter().map(one)),
            Operation::Burst(operations) => {
                union(operations.iter().map(|operation| self.operation_destinations(operation)))
            }
        };
        if destinations.is_empty() { PINNED.into() } else { destinations }
    }
}

impl PartitioningOracle<Volery> for Placement {
    fn partitions(&self) -> u16 {
        Placement::partitions(self)
    }

    fn partition_of(&self, key: &Key) -> PartitionId {
        key.partition(self)
    }

    fn destinations(&self, command: &Command) -> Destinations {
        match command {
            Command::Operate { operation, .. } => self.operation_destinations(operation),
            Command::Attach { session, operation, .. } => {
                home(self, *session).union(self.operation_destinations(operation))
            }
            Command::CreateSession { session, .. }
            | Command::Move { session, .. }
            | Command::Close { session, .. }
            | Command::Expire { session, .. } => home(self, *session),
            Command::Reap { path, .. } => with_parent(self, path),
            Command::Advance { partition } | Command::Reign { partition } => (*partition).into(),
        }
    }

    fn is_sound(&self, command: &Command) -> bool {
        match command {
            Command::Operate { operation, .. } | Command::Attach { operation, .. } => is_sound(operation),
            Command::Advance { partition } | Command::Reign { partition } => partition.0 < self.partitions(),
            Command::CreateSession { .. }
            | Command::Move { .. }
            | Command::Close { .. }
            | Command::Expire { .. }
            | Command::Reap { .. } => true,
        }
    }

    fn local_variables(&self, command: &Command, partition: PartitionId) -> Vec<Key> {
        let mut keys = Vec::new();
        match command {
            Command::Operate { operation, .. } => read_by_operation(operation, &mut keys),
            Command::Attach { session, operation, .. } => {
                keys.push(Key::Session(*session));
                read_by_operation(operation, &mut keys);
            }
            Command::CreateSession { session, .. } | Command::Move { session, .. } => {
                keys.push(Key::Session(*session))
            }
            Command::Close { session, .. } | Command::Expire { session, .. } => {
                keys.push(Key::Reign(partition));
                keys.extend([Key::Session(*session), Key::Owned(partition, *session)]);
            }
            Command::Reap { path, .. } => keys.extend(facts_with_parent(path)),
            Command::Advance { .. } | Command::Reign { .. } => {}
        }
        keys.retain(|key| key.partition(self) == partition);
        keys
    }
}

/// Whether a burst holds only what fits. Paths may be anything: execution checks them.
fn is_sound(operation: &Operation) -> bool {
    match operation {
        Operation::Burst(operations) => operations.iter().all(Operation::fits_a_burst),
        _ => true,
    }
}

fn home(placement: &Placement, session: SessionId) -> Destinations {
    session.home(placement.partitions()).into()
}

/// The partitions of a znode and of its parent.
fn with_parent(placement: &Placement, path: &str) -> Destinations {
    Destinations::one(placement.of(path)).union(of_parent(placement, path))
}

fn of_parent(placement: &Placement, path: &str) -> Destinations {
    path::split(path).map_or(Destinations::NONE, |(parent, _)| placement.of(parent).into())
}

fn union(sets: impl Iterator<Item = Destinations>) -> Destinations {
    sets.fold(Destinations::NONE, Destinations::union)
}

fn of_change(placement: &Placement, change: &Change) -> Destinations {
    match change {
        Change::Create { path, mode, .. } if mode.is_sequential() => {
            Destinations::one(placement.of_sequential(path)).union(of_parent(placement, path))
        }
        Change::Create { path, .. } | Change::Delete { path, .. } => with_parent(placement, path),
        Change::SetData { path, .. } | Change::SetAcl { path, .. } | Change::Check { path, .. } => {
            placement.of(path).into()
        }
    }
}

/// What an operation reads of other partitions, as far as its words tell. What it only looks at stays where it is.
fn read_by_operation(operation: &Operation, keys: &mut Vec<Key>) {
    match operation {
        Operation::Change(change) => read_by_change(change, keys),
        Operation::Multi(changes) => changes.iter().for_each(|change| read_by_change(change, keys)),
        Operation::Probe(paths) => keys.extend(paths.iter().cloned().map(Key::Facts)),
        Operation::Burst(operations) => {
            operations.iter().for_each(|operation| read_by_operation(operation, keys));
        }
        Operation::Look(_)
        | Operation::MultiRead(_)
        | Operation::CountDescendants(_)
        | Operation::GetEphemerals(_)
        | Operation::Sync(_) => {}
    }
}

fn read_by_change(change: &Change, keys: &mut Vec<Key>) {
    match change {
        Change::Create { path, mode, .. } => {
            if let Some((parent, name)) = path::split(path) {
                let parent: Arc<str> = parent.into();
                if !mode.is_sequential() {
                    keys.push(Key::Child(parent.clone(), name.into()));
                }
                keys.push(Key::Facts(parent));
            }
        }
        Change::Delete { path, .. } => keys.extend(facts_with_parent(path)),
        Change::SetData { path, .. } | Change::SetAcl { path, .. } | Change::Check { path, .. } => {
            keys.push(Key::Facts(path.clone()));
        }
    }
}

fn facts_with_parent(path: &Arc<str>) -> impl Iterator<Item = Key> {
    let parent = path::parent(path).map(|parent| Key::Facts(parent.into()));
    std::iter::once(Key::Facts(path.clone())).chain(parent)
}
