//! The ring's face: one replicated log, whoever replicates it.
//!
//! A ring orders entries. Only its leader appends; an entry is *decided* when a quorum of the members has synced it,
//! and only decided entries are read by those above. What a member writes goes to the node's log, so a ring learns
//! by [`Ring::synced`] how far that log is durable, and vouches for nothing beyond.

mod solo;

pub use solo::SoloRing;

use crate::log::{LogError, LogPosition};
use crate::ring_id::RingId;
use bytes::Bytes;

/// One replicated log, as a member on this node sees it. Entries are numbered from 0.
pub trait Ring {
    /// Which ring it is.
    fn id(&self) -> RingId;

    /// Whether this member may append now.
    fn leads(&self) -> bool;

    /// Appends one entry. Panics unless this member leads: the ring never forwards.
    fn append(&mut self, entry: Bytes);

    /// The node's log is durable up to `durable`.
    fn synced(&mut self, durable: LogPosition);

    /// How many entries are decided, from the first one on.
    fn decided(&self) -> u64;

    /// How many entries this member holds, the undecided tail included.
    fn accepted(&self) -> u64;

    /// Reads one entry that this member holds.
    fn read(&self, index: u64) -> Result<Bytes, LogError>;
}
