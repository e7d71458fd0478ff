//! Who a process is, beyond its node's id.

use std::fmt;

/// How often a node has started on its disk. Two processes under one id are told apart, and ordered, by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub u64);

/// Drawn at random when a disk is set up: a node that comes with another one has lost its disk, and its promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonce(pub [u8; 16]);

/// One start of a node on one disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The number of the start.
    pub incarnation: Incarnation,
    /// The disk.
    pub nonce: Nonce,
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
