//! A partition's delivered sequence: exactly its own log, minus the copies that the relay's rule leaves out, and minus what
//! nobody may deliver ([`address`](crate::address)): that every replica passes over alike.

use crate::PartitionId;
use crate::address::check_delivery;
use crate::entry::Entry;
use crate::envelope::{Envelope, Relayed, SharedIndex};
use crate::relay::{FollowError, Taken, next_envelope, open};
use crate::ring::Ring;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A place in a partition's delivered sequence. Ordered: a later configuration follows an earlier one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    /// The configuration of the ring, counted from 0.
    pub configuration: u32,
    /// How many envelopes were delivered in that configuration, this one included.
    pub index: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.configuration, self.index)
    }
}

/// The next envelope of a partition's sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The partition that delivers it.
    pub partition: PartitionId,
    /// Its place in the sequence.
    pub position: Position,
    /// Log time in milliseconds since 1970: the running maximum of the proposers' clocks.
    pub time_ms: u64,
    /// Its place in the shared ring, if it came from there.
    pub shared: Option<SharedIndex>,
    /// The envelope itself.
    pub envelope: Envelope,
}

/// Walks a partition ring's decided log, envelope by envelope.
#[derive(Debug)]
pub struct Sequence {
    partition: PartitionId,
    partitions: u16,
    position: Position,
    time_ms: u64,
    taken: Taken,
    entries: u64,
    open: Option<Entry>,
    skipped: u64,
}

impl Sequence {
    /// The sequence of one of so many partitions, from its beginning.
    pub fn new(partition: PartitionId, partitions: u16) -> Sequence {
        let (position, taken) = (Position::default(), Taken::default());
        Sequence { partition, partitions, position, time_ms: 0, taken, entries: 0, open: None, skipped: 0 }
    }

    /// How many envelopes were passed over because their address was wrong.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// The last place delivered.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The entry that holds the last envelope delivered, counted from 0.
    pub fn entry(&self) -> u64 {
        self.entries.saturating_sub(1)
    }

    /// How many entries are delivered to their ends.
    pub fn whole_entries(&self) -> u64 {
        self.entries - u64::from(self.open.is_some())
    }

    /// The relay's rule folded over what is delivered.
    pub fn taken(&self) -> Taken {
        self.taken
    }

    /// The relay's rule folded over the ring's whole log, from what is delivered through the undecided tail.
    pub fn fold(&self, ring: &dyn Ring) -> Result<Taken, FollowError> {
        let mut taken = self.taken;
        if let Some(mut rest) = self.open.clone() {
            let index = self.entries - 1;
            while let Some((_, relayed)) = next_envelope(ring, index, &mut rest) {
                relayed.map(|relayed| taken.take(relayed));
            }
        }
        taken.fold(ring, self.entries)
    }

    /// Delivers the next envelope that is decided, if there is one.
    pub fn next(&mut self, ring: &dyn Ring) -> Result<Option<Delivery>, FollowError> {
        loop {
            let Some(entry) = &mut self.open else {
                if !self.open_next(ring)? {
                    return Ok(None);
                }
                continue;
            };
            let Some((envelope, relayed)) = next_envelope(ring, self.entries - 1, entry) else {
                self.open = None;
                continue;
            };
            if relayed.is_none_or(|relayed| self.taken.take(relayed)) && self.delivers(&envelope, relayed) {
                return Ok(Some(self.deliver(envelope, relayed.map(|relayed| relayed.k))));
            }
        }
    }

    fn open_next(&mut self, ring: &dyn Ring) -> Result<bool, FollowError> {
        if self.entries == ring.decided() {
            return Ok(false);
        }
        let entry = open(ring, self.entries)?;
        self.time_ms = self.time_ms.max(entry.time_ms());
        self.entries += 1;
        self.open = Some(entry);
        Ok(true)
    }

    /// Whether the envelope's address is right. The log may hold what an older version took without a look.
    fn delivers(&mut self, envelope: &Envelope, relayed: Option<Relayed>) -> bool {
        let checked = check_delivery(envelope, relayed.is_some(), self.partition, self.partitions);
        if let Err(fault) = checked {
            let (command, entry, partition) = (envelope.id, self.entries - 1, self.partition);
            tracing::warn!(%command, %partition, entry, %fault, "a command in the log is passed over");
            self.skipped += 1;
        }
        checked.is_ok()
    }

    fn deliver(&mut self, envelope: Envelope, shared: Option<SharedIndex>) -> Delivery {
        self.position.index += 1;
        let (partition, position, time_ms) = (self.partition, self.position, self.time_ms);
        Delivery { partition, position, time_ms, shared, envelope }
    }
}
