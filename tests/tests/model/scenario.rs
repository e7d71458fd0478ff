//! The commands of a run, its rules and its bounds.

use crate::command::{COMMANDS_MAX, Command, CommandId};
use crate::partition::Partition::{self, One, X, Y};
use crate::partition::Partitions;
use crate::variant::Variant;

/// Which places the two replicas of a partition may be in at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Any two.
    Apart,
    /// What one has completed, the other completes in the same step. One that is behind only does what was done, and
    /// says what was said; so when it does that is of no consequence to the rest, and many states are one.
    CatchesUp,
}

/// What is explored.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    commands: &'static [Command],
    pub variant: Variant,
    pub pace: Pace,
    /// How often the leader of each partition's ring may change.
    changes_max: [u8; 3],
}

const BLIND: Command = Command { reads: None, plus: 1, writes: Partitions::NONE, after: None };

/// `z0` sets a := b + 10, `z1` sets b := 1 and c := 1; a client reads c (`x`), and when it knows the answer, a (`y`).
const TWO_READS: [Command; 4] = [
    Command { reads: Some(One), plus: 10, writes: Partitions::NONE.with(Y), after: None },
    Command { writes: Partitions::NONE.with(One).with(X), ..BLIND },
    Command { reads: Some(X), plus: 0, ..BLIND },
    Command { reads: Some(Y), plus: 0, after: Some(CommandId(2)), ..BLIND },
];

/// a := b + 1, b := c + 1, c := a + 1: every two meet at one partition, all three nowhere.
const CIRCLE: [Command; 3] = [
    Command { reads: Some(One), writes: Partitions::NONE.with(Y), ..BLIND },
    Command { reads: Some(X), writes: Partitions::NONE.with(One), ..BLIND },
    Command { reads: Some(Y), writes: Partitions::NONE.with(X), ..BLIND },
];

impl Scenario {
    /// The commands by which signals on delivery show: `z0`, `z1`, and the reads `x` and then `y`.
    pub fn two_reads() -> Scenario {
        Scenario::of(&TWO_READS)
    }

    /// Three commands that would wait for each other for ever if each partition took its two in an order of its own.
    pub fn circle() -> Scenario {
        Scenario::of(&CIRCLE)
    }

    fn of(commands: &'static [Command]) -> Scenario {
        assert!(commands.len() <= COMMANDS_MAX, "a scenario has at most {COMMANDS_MAX} commands");
        Scenario { commands, variant: Variant::AsDesigned, pace: Pace::Apart, changes_max: [0; 3] }
    }

    /// The scenario with a deviation planted.
    pub fn with(self, variant: Variant) -> Scenario {
        Scenario { variant, ..self }
    }

    /// The scenario where the leader of one partition's ring changes up to so many times.
    pub fn changing(self, partition: Partition, changes_max: u8) -> Scenario {
        let mut scenario = Scenario { pace: Pace::CatchesUp, ..self };
        scenario.changes_max[partition.index()] = changes_max;
        scenario
    }

    /// How often the leader of the partition's ring may change.
    pub fn changes_max(&self, partition: Partition) -> u8 {
        self.changes_max[partition.index()]
    }

    /// The command of this id.
    pub fn command(&self, id: CommandId) -> &'static Command {
        &self.commands[id.index()]
    }

    /// The commands' ids.
    pub fn ids(&self) -> impl Iterator<Item = CommandId> + use<> {
        (0..self.commands.len() as u8).map(CommandId)
    }

    /// The commands of several partitions, this one among them.
    pub fn shared_at(&self, partition: Partition) -> impl Iterator<Item = CommandId> {
        self.ids().filter(move |id| {
            let command = self.command(*id);
            command.is_shared() && command.destinations().contains(partition)
        })
    }
}
