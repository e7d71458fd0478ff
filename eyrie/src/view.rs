//! The view: what a command sees of the state, wherever it lives.

use crate::client::Epoch;
use crate::exchange::Received;
use crate::faults::MISSING_TAKEN_FOR_ABSENT;
use crate::service::{PartitioningOracle, StateMachine, Variables};
use crate::stamp::{Stamp, StampNumber};
use indexmap::IndexMap;
use multicast::{ClientId, Destinations, PartitionId};
use rustc_hash::{FxBuildHasher, FxHashSet};
use std::any::Any;

/// Why an execution stopped before its reply. The service passes it on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupt {
    /// A remote variable has not come yet: the command runs again from its start when it has.
    Missing,
    /// A partition that was not addressed is needed: the command ends without effect and is submitted again.
    Retry {
        /// The partitions needed beyond those addressed.
        needed: Destinations,
    },
    /// The execution has taken as many steps as it may in this turn: it goes on later, from what it has kept.
    Paused,
}

/// Who submitted the command, and to whom.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    /// The client.
    pub client: ClientId,
    /// Its epoch.
    pub epoch: Epoch,
    /// The partitions that deliver the command.
    pub destinations: Destinations,
}

/// What becomes of a client's right to submit, when the command completes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admit {
    /// Commands of the client's epoch are taken from now on, older ones no more.
    Open(ClientId, Epoch),
    /// Nothing of the client is taken any more.
    Close(ClientId),
}

/// What an execution would do if it completed: dropped by an interrupt, applied by a reply.
pub struct Effects<S: StateMachine> {
    /// The writes, one per variable, in the order first written.
    pub writes: IndexMap<S::Key, Option<S::Value>, FxBuildHasher>,
    /// The events, in order.
    pub events: Vec<S::Event>,
    /// Clients opened and closed.
    pub admits: Vec<Admit>,
    /// What the command's stamp was raised to.
    pub raised: StampNumber,
    /// How many steps this slice of the execution has taken.
    pub(crate) steps: u32,
    /// The progress that the execution goes on from, if it has paused.
    pub(crate) kept: Option<Box<dyn Any>>,
    /// Whether the writes so far take effect at the pause.
    pub(crate) settles: bool,
    /// Whether some of the execution's writes have taken effect.
    pub(crate) has_settled: bool,
}

impl<S: StateMachine> Default for Effects<S> {
    fn default() -> Effects<S> {
        Effects {
            writes: IndexMap::default(),
            events: Vec::new(),
            admits: Vec::new(),
            raised: StampNumber::default(),
            steps: 0,
            kept: None,
            settles: false,
            has_settled: false,
        }
    }
}

impl<S: StateMachine> Effects<S> {
    /// Whether there are none.
    pub fn are_none(&self) -> bool {
        self.writes.is_empty() && self.events.is_empty() && self.admits.is_empty()
    }

    /// Drops everything.
    pub fn clear(&mut self) {
        self.writes.clear();
        self.events.clear();
        self.admits.clear();
        self.raised = StampNumber::default();
        self.steps = 0;
        self.kept = None;
        self.settles = false;
        self.has_settled = false;
    }

    /// What an execution has kept, it may leave when it goes on; it is under way no more unless it has paused again.
    pub(crate) fn drop_kept_unless_paused<T>(&mut self, result: &Result<T, Interrupt>) {
        if !matches!(result, Err(Interrupt::Paused)) {
            self.kept = None;
        }
    }

    /// How many steps it takes to apply them.
    pub(crate) fn weight(&self) -> u32 {
        (self.writes.len() + self.events.len()) as u32
    }
}

/// The exchange of one multi-partition command, as its execution uses it.
pub(crate) struct Remote<'a, S: StateMachine> {
    /// What came from the other destinations.
    pub(crate) received: &'a Received<S>,
    /// Which of this partition's variables they were sent already.
    pub(crate) sent: &'a mut FxHashSet<S::Key>,
    /// Which are to be sent now.
    pub(crate) send: &'a mut Vec<(S::Key, Option<S::Value>)>,
}

/// What a command sees of the state, wherever it lives; see the crate's chapter.
pub struct View<'a, S: StateMachine> {
    pub(crate) variables: &'a S::Variables,
    pub(crate) oracle: &'a S::Oracle,
    pub(crate) partition: PartitionId,
    pub(crate) origin: Origin,
    pub(crate) stamp: Stamp,
    pub(crate) effects: &'a mut Effects<S>,
    pub(crate) remote: Option<Remote<'a, S>>,
    /// How many steps this slice of the execution may take.
    pub(crate) steps: u32,
    /// Whether this slice was asked before whether it is spent.
    pub(crate) has_begun: bool,
}

impl<S: StateMachine> View<'_, S> {
    /// Reads a variable: this command's own last write, else its value when the command began; `None` if it does not
    /// exist.
    pub fn read(&mut self, key: &S::Key) -> Result<Option<S::Value>, Interrupt> {
        self.spend(1);
        if let Some(written) = self.effects.writes.get(key) {
            return Ok(written.clone());
        }
        let owner = self.oracle.partition_of(key);
        if owner == self.partition {
            return Ok(self.read_local(key));
        }
        match &self.remote {
            Some(remote) if self.origin.destinations.contains(owner) => {
                let absent = MISSING_TAKEN_FOR_ABSENT.is_planted().then_some(None);
                remote.received.value(key).cloned().or(absent).ok_or(Interrupt::Missing)
            }
            _ => Err(Interrupt::Retry { needed: owner.into() }),
        }
    }

    /// Reads a variable of the partition where this execution runs, for writes and events that stay here: its value is
    /// not sent, so the reply must not depend on it.
    pub fn read_here(&mut self, key: &S::Key) -> Option<S::Value> {
        assert!(self.is_local(key), "{key:?} lives elsewhere");
        self.spend(1);
        match self.effects.writes.get(key) {
            Some(written) => written.clone(),
            None => self.variables.get(key),
        }
    }

    /// Writes a variable, at completion. Where it lives elsewhere only this command's own reads see it: the execution at its
    /// own partition writes it, which must be one of the command's destinations.
    pub fn write(&mut self, key: S::Key, value: S::Value) {
        self.spend(1);
        self.effects.writes.insert(key, Some(value));
    }

    /// Removes a variable, at completion.
    pub fn remove(&mut self, key: S::Key) {
        self.spend(1);
        self.effects.writes.insert(key, None);
    }

    /// Whether a variable lives in the partition where this execution runs. Only to leave out work whose result would be
    /// written elsewhere: the reply must not depend on it.
    pub fn is_local(&self, key: &S::Key) -> bool {
        self.oracle.partition_of(key) == self.partition
    }

    /// Whether the command has one destination only: so all that it writes lives here.
    pub fn is_alone(&self) -> bool {
        self.origin.destinations.single().is_some()
    }

    /// Tells an event to those who watch this partition, at completion. Executions at several destinations tell it at
    /// each, so a service that wants it once asks [`is_local`](View::is_local) first.
    pub fn tell(&mut self, event: S::Event) {
        self.spend(1);
        self.effects.events.push(event);
    }

    /// From the completion of this command on, takes what `client` submits in `epoch`, at every destination.
    pub fn open_client(&mut self, client: ClientId, epoch: Epoch) {
        self.effects.admits.push(Admit::Open(client, epoch));
    }

    /// From the completion of this command on, takes nothing of `client`, at every destination.
    pub fn close_client(&mut self, client: ClientId) {
        self.effects.admits.push(Admit::Close(client));
    }

    /// Drops every write and event so far: the command goes on as if it had only read.
    pub fn roll_back(&mut self) {
        assert!(!self.effects.has_settled, "what has taken effect cannot be dropped");
        let steps = self.effects.steps;
        self.effects.clear();
        self.effects.steps = steps;
    }

    /// Counts steps that the view does not see, such as those of a reply that grows with what is read.
    pub fn spend(&mut self, steps: u32) {
        self.effects.steps = self.effects.steps.saturating_add(steps);
    }

    /// Whether the execution has taken as many steps as it may in this turn. A command that may take thousands asks before each unit
    /// of its work, and [pauses](View::pause) if so. Each slice does one unit at least, however few steps it has: the first time that
    /// it asks, it is told that it may go on. So every command comes to its end, also one that takes steps before it resumes.
    pub fn is_spent(&mut self) -> bool {
        std::mem::replace(&mut self.has_begun, true) && self.effects.steps >= self.steps
    }

    /// Ends a slice of the execution, which returns this interrupt. In a later turn it is called anew, on the same state and with its
    /// writes so far, and goes on from what is kept ([`resume`](View::resume)). When that is must not matter to what it does.
    pub fn pause<T: 'static>(&mut self, kept: T) -> Interrupt {
        self.effects.kept = Some(Box::new(kept));
        Interrupt::Paused
    }

    /// Ends a slice of the execution, as [`pause`](View::pause) does, and has its writes and events so far take effect: the rest of the
    /// execution finds the state with them. So the buffer stays small, whatever the command writes. From here on the execution must
    /// come to a reply: it reads nothing remote, needs no other partition and is not rolled back. *Where* it settles is part of what
    /// the command does, the same at all replicas: it must not depend on [`is_spent`](View::is_spent).
    pub fn settle<T: 'static>(&mut self, kept: T) -> Interrupt {
        self.effects.settles = true;
        self.pause(kept)
    }

    /// What the execution kept when it paused; `None` at its beginning.
    pub fn resume<T: 'static>(&mut self) -> Option<T> {
        let kept = self.effects.kept.take()?;
        kept.downcast().ok().map(|kept| *kept)
    }

    /// Who submitted the command, and to whom.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// The command's stamp, the same at all destinations.
    pub fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// Raises the command's stamp, at completion and at every destination alike: what its client does next has a greater one.
    pub fn raise_stamp(&mut self, number: StampNumber) {
        self.effects.raised = self.effects.raised.max(number);
    }

    /// Where variables live.
    pub fn oracle(&self) -> &S::Oracle {
        self.oracle
    }

    /// The partition where this execution runs.
    pub fn partition(&self) -> PartitionId {
        self.partition
    }

    /// Ends the execution in a retry unless all of `needed` is addressed.
    pub fn need(&self, needed: Destinations) -> Result<(), Interrupt> {
        if self.origin.destinations.covers(needed) { Ok(()) } else { Err(Interrupt::Retry { needed }) }
    }

    fn read_local(&mut self, key: &S::Key) -> Option<S::Value> {
        let value = self.variables.get(key);
        if let Some(remote) = &mut self.remote
            && remote.sent.insert(key.clone())
        {
            remote.send.push((key.clone(), value.clone()));
        }
        value
    }
}
