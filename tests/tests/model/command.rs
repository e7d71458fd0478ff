//! What clients ask for.

use crate::partition::{Partition, Partitions};

/// How many commands a scenario may have.
pub const COMMANDS_MAX: usize = 4;

/// A command's place in its scenario.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(pub u8);

impl CommandId {
    /// Its place in a table of all.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A set of commands; bit `i` stands for the command of index `i`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Commands(u8);

impl Commands {
    /// The set and one more.
    pub fn with(self, command: CommandId) -> Commands {
        Commands(self.0 | 1 << command.0)
    }

    /// Whether the command is one of them.
    pub fn contains(self, command: CommandId) -> bool {
        self.0 & 1 << command.0 != 0
    }

    /// Whether all of the other set are in it.
    pub fn covers(self, other: Commands) -> bool {
        other.0 & !self.0 == 0
    }

    /// Its members, in ascending order.
    pub fn iter(self) -> impl Iterator<Item = CommandId> {
        let mut bits = self.0;
        std::iter::from_fn(move || {
            let first = (bits != 0).then(|| CommandId(bits.trailing_zeros() as u8))?;
            bits &= bits - 1;
            Some(first)
        })
    }
}

impl FromIterator<CommandId> for Commands {
    fn from_iter<I: IntoIterator<Item = CommandId>>(commands: I) -> Commands {
        commands.into_iter().fold(Commands::default(), Commands::with)
    }
}

/// A command reads at most one variable (else 0), adds a number to it, writes the sum to some variables, and answers it.
#[derive(Clone, Copy, Debug)]
pub struct Command {
    /// The partition whose variable it reads.
    pub reads: Option<Partition>,
    /// What it adds.
    pub plus: u8,
    /// The partitions whose variables it writes.
    pub writes: Partitions,
    /// It is invoked only after this one was answered.
    pub after: Option<CommandId>,
}

impl Command {
    /// The partitions whose variables it reads or writes.
    pub fn destinations(&self) -> Partitions {
        self.reads.into_iter().fold(self.writes, Partitions::with)
    }

    /// The partition that alone it is addressed to, if it is one.
    pub fn home(&self) -> Option<Partition> {
        let home = self.destinations().iter().next();
        home.filter(|_| !self.is_shared())
    }

    /// What it answers, and writes, if it has read this.
    pub fn answer(&self, read: u8) -> u8 {
        read + self.plus
    }

    /// Whether it is ordered by the shared ring.
    pub fn is_shared(&self) -> bool {
        self.destinations().len() > 1
    }
}
