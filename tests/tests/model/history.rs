//! What clients saw, and whether one order explains it.

use crate::command::{COMMANDS_MAX, CommandId, Commands};
use crate::partition::Partition;
use crate::scenario::Scenario;

/// Invocations and answers.
///
/// A command counts as invoked when it is first ordered, the last moment possible, and as answered when a first replica
/// completes it, the first one possible. So one command ends before another begins wherever any client could have seen
/// it so, and every other history of the same run asks for less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct History {
    invoked: Commands,
    /// For each command, those that were answered before it was invoked.
    before: [Commands; COMMANDS_MAX],
    answered: Commands,
    answers: [u8; COMMANDS_MAX],
}

impl History {
    /// A client invokes the command, unless it did.
    pub fn invoke(&mut self, command: CommandId) {
        if !self.invoked.contains(command) {
            self.invoked = self.invoked.with(command);
            self.before[command.index()] = self.answered;
        }
    }

    /// A replica answers the command; the first answer is heard.
    pub fn answer(&mut self, command: CommandId, answer: u8) {
        if !self.answered.contains(command) {
            self.answered = self.answered.with(command);
            self.answers[command.index()] = answer;
        }
    }

    /// What the client was told.
    pub fn told(&self, command: CommandId) -> Option<u8> {
        self.answered.contains(command).then(|| self.answers[command.index()])
    }

    /// Whether the commands can be put in one order that respects time and explains every answer.
    pub fn is_linearizable(&self, scenario: &Scenario) -> bool {
        self.extends(scenario, Commands::default(), [0; Partition::ALL.len()])
    }

    /// Whether the rest can be ordered after those `placed`, which have left these values.
    fn extends(&self, scenario: &Scenario, placed: Commands, values: [u8; Partition::ALL.len()]) -> bool {
        placed.covers(self.answered)
            || self.invoked.iter().filter(|id| !placed.contains(*id)).any(|id| {
                let command = scenario.command(id);
                let answer = command.answer(command.reads.map_or(0, |partition| values[partition.index()]));
                let mut values = values;
                command.writes.iter().for_each(|partition| values[partition.index()] = answer);
                self.told(id).is_none_or(|told| told == answer)
                    && placed.covers(self.before[id.index()])
                    && self.extends(scenario, placed.with(id), values)
            })
    }
}
