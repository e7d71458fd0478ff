//! What is multicast: a command's identity, its destinations and bytes that nobody here reads.

use crate::Destinations;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Who submits commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClientId(pub u64);

/// The identity of one command, the same however often it is sent.
///
/// A client's requests form runs of consecutive requests with one destination set; `i` counts within a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CommandId {
    /// Who submits it.
    pub client: ClientId,
    /// How often the client has moved; what an earlier epoch sent is void.
    pub epoch: u32,
    /// The run within the epoch.
    pub run: u32,
    /// The place within the run.
    pub i: u32,
}

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}.{}.{}.{}", self.client.0, self.epoch, self.run, self.i)
    }
}

/// A command on its way: opaque bytes and where they go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The command's identity.
    pub id: CommandId,
    /// The partitions that deliver it. Never empty.
    pub destinations: Destinations,
    /// The command, for those who know what it means.
    pub body: Bytes,
}

/// An envelope's place among those of the shared ring, counted from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SharedIndex(pub u64);

impl SharedIndex {
    /// Before the first envelope of the shared ring.
    pub const ZERO: SharedIndex = SharedIndex(0);

    /// The next one.
    pub fn next(self) -> SharedIndex {
        SharedIndex(self.0 + 1)
    }
}

/// The two facts of the shared log that a relayed envelope carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relayed {
    /// The envelope's place in the shared log.
    pub k: SharedIndex,
    /// The place of the envelope before it that addressed the same partition; zero if there was none.
    pub prev: SharedIndex,
}
