//! What is asked of a server over and over.

use crate::mix::{Mix, Part};
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
    /// getChildren of a directory, which has --keys children
    Children,
    /// create of a znode that did not exist
    Create,
    /// delete of a znode that was created beforehand
    Delete,
    /// creates and deletes in equal parts
    CreateDelete,
    /// several in the proportions of --mix, or gets and sets by --get-percent
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// setData of a random key.
    Set,
    /// getData of a random key.
    Get,
    /// getChildren of a directory.
    Children,
    /// create of a znode that did not exist.
    Create,
    /// delete of a znode that was created beforehand.
    Delete,
    /// A delete while a created znode is left, else a create. Each counts as one operation.
    CreateDelete,
    /// Each of them as often as its weight says; multis over so many directories.
    Mix(Mix, Span),
    /// A multi of two setData.
    Multi(Span),
}

impl Op {
    /// What a server is warmed with before this is measured: the same code paths, without leaving anything behind.
    pub fn warm_up(self) -> Op {
        match self {
            Op::Create | Op::Delete => Op::CreateDelete,
            other => other,
        }
    }

    /// Whether one request of it may touch two directories.
    pub fn needs_two_directories(self) -> bool {
        match self {
            Op::Multi(span) => span == Span::Two,
            Op::Mix(mix, span) => span == Span::Two && mix.has(Part::Multi),
            _ => false,
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Op::Set => f.write_str("set"),
            Op::Get => f.write_str("get"),
            Op::Children => f.write_str("children"),
            Op::Create => f.write_str("create"),
            Op::Delete => f.write_str("delete"),
            Op::CreateDelete => f.write_str("create-delete"),
            Op::Mix(mix, Span::Two) if mix.has(Part::Multi) => write!(f, "mix {mix}, 2 directories"),
            Op::Mix(mix, _) => write!(f, "mix {mix}"),
            Op::Multi(Span::One) => f.write_str("multi, 1 directory"),
            Op::Multi(Span::Two) => f.write_str("multi, 2 directories"),
        }
    }
}
