//! What is asked of a server over and over.

use clap::ValueEnum;
use serde::Serialize;
use std::fmt;

/// An operation as the command line names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OpName {
    /// setData of a random key
    Set,
    /// getData of a random key
    Get,
    /// create of a znode that did not exist
    Create,
    /// delete of a znode that was created beforehand
    Delete,
    /// creates and deletes in equal parts
    CreateDelete,
    /// gets and sets, by --get-percent
    Mix,
    /// a multi of two setData, over --span directories
    Multi,
}

/// How many directories a multi touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
pub enum Span {
    /// both keys in one directory
    #[value(name = "1")]
    One,
    /// the keys in two directories
    #[value(name = "2")]
    Two,
}

/// An operation with all that defines it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Op {
    /// setData of a random key.
    Set,
    /// getData of a random key.
    Get,
    /// create of a znode that did not exist.
    Create,
    /// delete of a znode that was created beforehand.
    Delete,
    /// A delete while a created znode is left, else a create. Each counts as one operation.
    CreateDelete,
    /// getData or setData of a random key.
    Mix {
        /// How many of a hundred are getData.
        get_percent: u8,
    },
    /// A multi of two setData.
    Multi(Span),
}

impl OpName {
    /// The operation, with what applies of the options given.
    pub fn with(self, get_percent: u8, span: Span) -> Op {
        match self {
            OpName::Set => Op::Set,
            OpName::Get => Op::Get,
            OpName::Create => Op::Create,
            OpName::Delete => Op::Delete,
            OpName::CreateDelete => Op::CreateDelete,
            OpName::Mix => Op::Mix { get_percent },
            OpName::Multi => Op::Multi(span),
        }
    }
}

impl Op {
    /// What a server is warmed with before this is measured: the same code paths, without leaving anything behind.
    pub fn warm_up(self) -> Op {
        match self {
            Op::Create | Op::Delete => Op::CreateDelete,
            other => other,
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Op::Set => f.write_str("set"),
            Op::Get => f.write_str("get"),
            Op::Create => f.write_str("create"),
            Op::Delete => f.write_str("delete"),
            Op::CreateDelete => f.write_str("create-delete"),
            Op::Mix { get_percent } => write!(f, "mix {get_percent}% get"),
            Op::Multi(Span::One) => f.write_str("multi, 1 directory"),
            Op::Multi(Span::Two) => f.write_str("multi, 2 directories"),
        }
    }
}
