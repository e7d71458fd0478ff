//! Who a process is, beyond its node's id.

use crate::log::LogPosition;
use std::fmt;

/// How often a node has started on its disk. Two processes under one id are told apart, and ordered, by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub u64);

/// Drawn at random when a disk is set up: a node that comes with another one has lost its disk, and its promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonce(pub [u8; 16]);

/// Drawn at random at every start. Two directories that count a start of the same number, such as one and its copy, are told
/// apart by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartNonce(pub u64);

/// One start of a node on one disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The number of the start.
    pub incarnation: Incarnation,
    /// The disk.
    pub nonce: Nonce,
}

/// One start of a peer, as a node that has met it keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Met {
    /// The start, and the disk.
    pub identity: Identity,
    /// The nonce that the start had drawn.
    pub start: StartNonce,
    /// How far the peer's log was durable in that start, as the peer itself has said.
    pub vouched: LogPosition,
}

impl Met {
    /// Whether both are of one start; how far its log was durable may differ.
    pub fn is_same_start(&self, other: Met) -> bool {
        (self.identity, self.start) == (other.identity, other.start)
    }
}

/// A node's knowledge of a peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Acquaintance {
    /// The last start that the node has met itself.
    pub met: Option<Met>,
    /// A start that another node has met, and which the peer's directory has not shown to this node yet.
    pub told: Option<Met>,
}

impl Acquaintance {
    /// The starts to which the peer's directory must go back.
    pub fn demands(&self) -> impl Iterator<Item = Met> + use<> {
        self.met.into_iter().chain(self.told)
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
