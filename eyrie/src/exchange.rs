//! What the destinations of one command tell each other: signals and variables (S-SMR IV-A).

use crate::client::Verdict;
use crate::service::StateMachine;
use crate::stamp::Stamp;
use multicast::{PartitionId, Position, SharedIndex};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many commands, not yet complete here, others may have sent something for. A partition signals the command at its
/// head and goes no further until that is complete, so there is at most one for each other partition.
pub const EXCHANGES_MAX: usize = 1 << 16;

/// How many bytes of values one letter carries; one value may go beyond.
///
/// A command whose destinations are to send more than that, by the oracle's hint, is refused at all of them: what a partition's
/// values come to follows from its sequence.
pub const LETTER_BYTES_MAX: usize = 8 << 20;

/// The last place seen of every partition, by partition.
pub type Seen = Arc<[Position]>;

/// "This partition has reached that command": sent only when the command is ready.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Signal {
    /// Whether the sender took the envelope: a command is executed only if all its destinations took it, so a reason not
    /// to execute comes out alike everywhere.
    pub verdict: Verdict,
    /// The sender's proposal.
    pub stamp: Stamp,
    /// The command's place in the sender's sequence.
    pub position: Position,
    /// What the sender's state had seen of the other partitions.
    pub seen: Seen,
}

/// A message from one destination of a command to another. The command is named by its place in the shared ring.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Exchange<S: StateMachine> {
    /// The command.
    pub command: SharedIndex,
    /// The partition that sends.
    pub from: PartitionId,
    /// The partition that it is for.
    pub to: PartitionId,
    /// The signal, once per command and sender.
    pub signal: Option<Signal>,
    /// Values of the sender's variables as of the command, before its own writes.
    pub values: Vec<(S::Key, Option<S::Value>)>,
}

/// What has come for one command.
pub struct Received<S: StateMachine> {
    signals: BTreeMap<PartitionId, Signal>,
    values: FxHashMap<S::Key, Option<S::Value>>,
}

impl<S: StateMachine> Default for Received<S> {
    fn default() -> Received<S> {
        Received { signals: BTreeMap::new(), values: FxHashMap::default() }
    }
}

impl<S: StateMachine> Received<S> {
    /// The signals, by sender.
    pub fn signals(&self) -> &BTreeMap<PartitionId, Signal> {
        &self.signals
    }

    /// The value of a remote variable, if it has come; the inner `None` says that it does not exist.
    pub fn value(&self, key: &S::Key) -> Option<&Option<S::Value>> {
        self.values.get(key)
    }
}

/// Buffers what comes for commands that are not complete here, also before they are delivered.
///
/// Invariant: nothing is held for a command at or before `completed`.
pub struct Inbox<S: StateMachine> {
    received: BTreeMap<SharedIndex, Received<S>>,
    completed: SharedIndex,
}

impl<S: StateMachine> Default for Inbox<S> {
    fn default() -> Inbox<S> {
        Inbox { received: BTreeMap::new(), completed: SharedIndex::ZERO }
    }
}

impl<S: StateMachine> Inbox<S> {
    /// Takes in a message; repeats and what concerns complete commands change nothing.
    pub fn put(&mut self, message: Exchange<S>) {
        if message.command <= self.completed {
            return;
        }
        assert!(self.received.len() <= EXCHANGES_MAX, "others are further ahead than their heads");
        let received = self.received.entry(message.command).or_default();
        received.values.extend(message.values);
        if let Some(signal) = message.signal {
            received.signals.entry(message.from).or_insert(signal);
        }
    }

    /// What has come for a command so far.
    pub fn received(&mut self, command: SharedIndex) -> &Received<S> {
        self.received.entry(command).or_default()
    }

    /// The command is complete: commands complete in shared order, so all before it are too.
    pub fn complete(&mut self, command: SharedIndex) {
        assert!(command > self.completed, "commands of the shared ring complete in its order");
        self.completed = command;
        self.received = self.received.split_off(&command.next());
    }

    /// Panics unless the invariant holds.
    pub fn check_invariants(&self) {
        assert!(self.received.keys().all(|command| *command > self.completed));
        assert!(self.received.len() <= EXCHANGES_MAX + 1);
    }
}
