//! How a replica goes on in the next turn with what takes more steps than one turn has: see [`crate::steps`].
//!
//! A command that is under way in slices stands at the head of the queue, and nothing else is executed before it is complete: no
//! command behind it, for commands execute in order, and no read, which would see a part of its writes. In the same way no command
//! is executed while a read is under way.
//!
//! A cut of the node's state must be taken when nothing is under way.

use super::{Delivered, Output, Replica};
use crate::answer::Outcome;
use crate::branches::{APPLIED_IN_SLICES, COMMAND_PAUSED, SETTLED};
use crate::faults::{SLICE_FORGOTTEN, WRITES_OF_A_SLICE_LOST};
use crate::service::{PartitioningOracle, StateMachine, Variables};
use crate::stamp::Stamp;
use crate::steps::Steps;
use crate::view::{Admit, Effects};
use multicast::Destinations;
use rustc_hash::FxBuildHasher;
use std::hash::BuildHasher;
use std::vec;

/// A buffer of effects that is empty and has more room than this is given back.
const IDLE_EFFECTS: usize = 4_096;

/// The effects of a command, while they are applied in slices.
pub(super) struct Applying<S: StateMachine> {
    stamp: Stamp,
    outcome: Outcome<S>,
    writes: indexmap::map::IntoIter<S::Key, Option<S::Value>>,
    events: vec::IntoIter<S::Event>,
}

impl<S: StateMachine> Applying<S> {
    pub(super) fn of(effects: &mut Effects<S>, stamp: Stamp, outcome: Outcome<S>) -> Applying<S> {
        let (writes, events) = (std::mem::take(&mut effects.writes), std::mem::take(&mut effects.events));
        Applying { stamp, outcome, writes: writes.into_iter(), events: events.into_iter() }
    }
}

impl<S: StateMachine> Replica<S> {
    /// Goes on with what the last turn has left, and may take so many steps in this one.
    pub fn go_on(&mut self, steps: u32) {
        self.counts.steps_max = self.counts.steps_max.max(self.steps.taken());
        self.steps = Steps::of(steps);
        self.go_on_reading();
        self.run();
    }

    /// Whether it has taken as many steps as it may in this turn, so that something may be left for the next one.
    pub fn is_spent(&self) -> bool {
        self.steps.are_spent()
    }

    /// Whether the command at the head has executed in part, or is applied in part.
    pub(super) fn is_under_way(&self) -> bool {
        self.effects.kept.is_some() || self.applying.is_some()
    }

    pub(super) fn note_pause(&mut self) {
        COMMAND_PAUSED.reached();
        self.counts.paused += 1;
        if WRITES_OF_A_SLICE_LOST.is_planted() {
            self.effects.writes.clear();
        }
    }

    /// The execution has paused: its writes so far take effect, if it wants that.
    pub(super) fn settle(&mut self, head: &Delivered<S>) {
        if !std::mem::take(&mut self.effects.settles) {
            return;
        }
        SETTLED.reached();
        self.effects.has_settled = true;
        if let Some(command) = head.shared {
            self.see_others(command);
        }
        self.see_past(head);
        self.variables.tick(head.age_ms);
        self.apply(head);
    }

    /// Applies what the execution has buffered.
    pub(super) fn apply(&mut self, head: &Delivered<S>) {
        self.steps.take(self.effects.weight());
        let mut writes = std::mem::take(&mut self.effects.writes);
        for (key, value) in writes.drain(..) {
            self.write(head.destinations, key, value);
        }
        let mut events = std::mem::take(&mut self.effects.events);
        for event in events.drain(..) {
            self.tell(head, event);
        }
        if writes.capacity() <= IDLE_EFFECTS {
            (self.effects.writes, self.effects.events) = (writes, events);
        }
    }

    /// Applies more of what a command has done. Says whether that is all, and the command is complete.
    pub(super) fn apply_on(&mut self, head: &Delivered<S>, mut applying: Applying<S>) -> bool {
        while !self.is_spent() {
            self.steps.take(1);
            if let Some((key, value)) = applying.writes.next() {
                self.write(head.destinations, key, value);
            } else if let Some(event) = applying.events.next() {
                self.tell(head, event);
            } else {
                return self.finish(head, applying.stamp, applying.outcome);
            }
        }
        APPLIED_IN_SLICES.reached();
        self.counts.paused += 1;
        self.applying = Some(applying);
        false
    }

    /// Writes a variable if it lives here; one that lives at another destination is written there. A command of one partition writes nothing else, so where its
    /// variables live is not asked again.
    fn write(&mut self, destinations: Destinations, key: S::Key, value: Option<S::Value>) {
        let alone = destinations.single().is_some();
        let here = || self.oracle.partition_of(&key) == self.partition;
        debug_assert!(!alone || here(), "{key:?} lives at no destination of the command that writes it");
        if alone || here() {
            self.state_hash = FxBuildHasher.hash_one((self.state_hash, &key, &value));
            self.variables.set(key, value);
        }
    }

    fn tell(&mut self, head: &Delivered<S>, event: S::Event) {
        self.outputs.push_back(Output::Event { position: head.position, seen: self.seen.clone(), event });
    }

    /// Opens and closes clients, as the command has it.
    pub(super) fn admit(&mut self) {
        for admit in self.effects.admits.drain(..) {
            match admit {
                Admit::Open(client, epoch) => self.clients.open(client, epoch),
                Admit::Close(client) => self.clients.close(client),
            }
        }
    }

    /// Whether reads must wait: a command is under way.
    pub(super) fn holds_reads(&self) -> bool {
        self.is_under_way() && !SLICE_FORGOTTEN.is_planted()
    }
}
