//! A replica: what it has delivered, taken and completed.

use crate::command::{COMMANDS_MAX, CommandId};
use crate::partition::{Partition, Partitions};
use crate::ring::{Entry, Taken};
use crate::sequence::Sequence;
use crate::variant::Variant;

/// One replica of a partition. It executes one command after the other: the one at its head is ready, since every earlier
/// one is complete.
///
/// Invariant: `answers` is no longer than `taken`; the head is the first that is taken and not answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Replica {
    /// How many entries of the ring's log it has delivered, of those that are not trimmed.
    pub delivered: u8,
    last: Taken,
    taken: Sequence<CommandId, COMMANDS_MAX>,
    answers: Sequence<u8, COMMANDS_MAX>,
    heard: Partitions,
    value: u8,
}

impl Replica {
    /// The command that is ready and not complete.
    pub fn head(&self) -> Option<CommandId> {
        self.taken.get(self.answers.len()).copied()
    }

    /// The commands that it took, in order.
    pub fn taken(&self) -> &[CommandId] {
        &self.taken
    }

    /// The commands that it completed, in order, and their answers.
    pub fn completed(&self) -> impl ExactSizeIterator<Item = (CommandId, u8)> {
        self.answers.iter().zip(self.taken.iter()).map(|(answer, command)| (*command, *answer))
    }

    /// The partitions whose signals for the head have arrived.
    pub fn heard(&self) -> Partitions {
        self.heard
    }

    /// The partition's variable.
    pub fn value(&self) -> u8 {
        self.value
    }

    /// Delivers the next entry of the log; says whether it was taken.
    pub fn deliver(&mut self, entry: Entry, variant: Variant) -> bool {
        self.delivered += 1;
        let taken = match entry.relayed {
            Some(relayed) => self.last.take(relayed, variant),
            None => !self.taken.contains(&entry.command),
        };
        if taken {
            self.taken.push(entry.command);
        }
        taken
    }

    /// A signal for the head arrives.
    pub fn hear(&mut self, from: Partition) {
        self.heard = self.heard.with(from);
    }

    /// Ends the command at the head.
    pub fn complete(&mut self, answer: u8, writes: bool) {
        self.answers.push(answer);
        self.heard = Partitions::NONE;
        if writes {
            self.value = answer;
        }
    }

    /// Whether of this replica and another one of its partition one went as the other did, perhaps further.
    pub fn agrees_with(&self, other: &Replica) -> bool {
        let takes = self.taken.iter().zip(other.taken.iter()).all(|(mine, theirs)| mine == theirs);
        let answers = self.answers.iter().zip(other.answers.iter()).all(|(mine, theirs)| mine == theirs);
        let apart = self.answers.len() != other.answers.len();
        takes && answers && (apart || self.value == other.value)
    }
}
