//! The witness: what a simulation is told of a node that nobody outside could see. Without the `sim` feature there is none.

use crate::codec;
use multicast::{CommandId, Delivery, PartitionId, Position};
use rustc_hash::FxBuildHasher;
use serde::Serialize;
use std::hash::BuildHasher as _;

/// Something that happened in a node.
#[derive(Clone, Debug)]
pub enum Witnessed {
    /// A command was submitted here.
    Submitted(CommandId),
    /// The answer of a command submitted here has come.
    Answered(CommandId),
    /// A replica here was handed the next envelope of its partition's sequence.
    Delivered {
        /// The envelope.
        delivery: Delivery,
        /// The entry of the partition's ring that holds it.
        entry: u64,
    },
    /// A replica here was handed a repeat of a command whose answer it has not kept.
    Forgotten(CommandId),
    /// A replica here has completed an envelope.
    Completed(Completion),
}

/// What an envelope came to at one replica. Alike at all replicas of the partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The replica's partition.
    pub partition: PartitionId,
    /// The envelope's place in its sequence.
    pub position: Position,
    /// The command.
    pub id: CommandId,
    /// Whether it was executed here.
    pub executed: bool,
    /// A digest of all that the replica said: stamp, outcome, and what it may depend on.
    pub digest: u64,
    /// The sum over the replica's variables after it.
    pub state_hash: u64,
}

impl Completion {
    /// The digest of something said.
    pub(crate) fn digest(said: &impl Serialize) -> u64 {
        let mut bytes = Vec::new();
        codec::encode_into(said, &mut bytes).expect("what is said can be encoded into memory");
        FxBuildHasher.hash_one(bytes)
    }
}

/// Where a node and its replicas note what happens.
#[derive(Debug, Default)]
pub(crate) struct Witness {
    #[cfg(feature = "sim")]
    witnessed: Vec<Witnessed>,
}

impl Witness {
    /// Notes something.
    #[cfg(feature = "sim")]
    pub fn note(&mut self, witnessed: impl FnOnce() -> Witnessed) {
        self.witnessed.push(witnessed());
    }

    /// Notes nothing.
    #[cfg(not(feature = "sim"))]
    pub fn note(&mut self, _: impl FnOnce() -> Witnessed) {}

    /// What was noted since the last call.
    #[cfg(feature = "sim")]
    pub fn take(&mut self) -> Vec<Witnessed> {
        std::mem::take(&mut self.witnessed)
    }
}
