//! A service small enough to judge by hand: registers with one-letter names, each placed by its script.

use eyrie::{Destinations, Interrupt, PartitionId, PartitioningOracle, StateMachine, Variables, View};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is assigned to a register.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Expression {
    Constant(i64),
    /// Another register's value, and something more.
    Sum(char, i64),
}

/// Reads one register, or assigns to some, blindly or from others.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Command {
    Read(char),
    Assign(Vec<(char, Expression)>),
}

#[derive(Clone, Debug)]
pub struct Registers;

/// Which register lives where.
pub struct Places(pub BTreeMap<char, PartitionId>);

#[derive(Default)]
pub struct Store(BTreeMap<char, i64>);

impl StateMachine for Registers {
    type Command = Command;
    type Reply = i64;
    type Key = char;
    type Value = i64;
    type Event = ();
    type Oracle = Places;
    type Variables = Store;

    fn execute(command: &Command, view: &mut View<'_, Registers>) -> Result<i64, Interrupt> {
        match command {
            Command::Read(register) => Ok(view.read(register)?.unwrap_or(0)),
            Command::Assign(assignments) => {
                let mut last = 0;
                for (register, expression) in assignments {
                    last = match *expression {
                        Expression::Constant(constant) => constant,
                        Expression::Sum(from, more) => view.read(&from)?.unwrap_or(0) + more,
                    };
                    view.write(*register, last);
                }
                Ok(last)
            }
        }
    }
}

impl PartitioningOracle<Registers> for Places {
    fn partitions(&self) -> u16 {
        self.0.values().map(|partition| partition.0 + 1).max().unwrap_or(1)
    }

    fn partition_of(&self, register: &char) -> PartitionId {
        self.0[register]
    }

    fn destinations(&self, command: &Command) -> Destinations {
        match command {
            Command::Read(register) => self.partition_of(register).into(),
            Command::Assign(assignments) => {
                let written = assignments.iter().map(|(register, _)| *register);
                let read = assignments.iter().filter_map(|(_, expression)| match expression {
                    Expression::Sum(from, _) => Some(*from),
                    Expression::Constant(_) => None,
                });
                written.chain(read).map(|register| self.partition_of(&register)).collect()
            }
        }
    }
}

impl Variables<Registers> for Store {
    fn new(_: Arc<Places>, _: PartitionId) -> Store {
        Store::default()
    }

    fn get(&self, register: &char) -> Option<i64> {
        self.0.get(register).copied()
    }

    fn set(&mut self, register: char, value: Option<i64>) {
        match value {
            Some(value) => self.0.insert(register, value),
            None => self.0.remove(&register),
        };
    }
}
