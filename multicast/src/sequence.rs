//! A partition's delivered sequence: exactly its own log, minus the copies that the relay's rule leaves out, and minus what
//! nobody may deliver ([`address`](crate::address)): that every replica passes over alike.

use crate::PartitionId;
use crate::address::check_delivery;
use crate::entry::{Entry, EntryTime};
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
    /// The wall-clock time of the leader that proposed it, in milliseconds since 1970. It may step back.
    pub time_ms: u64,
    /// How long the partition's leaders had led it by then, by their monotonic clocks, in milliseconds. It never steps back.
    pub age_ms: u64,
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
    /// The times of the open entry; the age is the greatest of any entry so far.
    time: EntryTime,
    /// The wall-clock time of what was delivered last.
    last_ms: u64,
    taken: Taken,
    entries: u64,
    open: Option<Entry>,
    skipped: u64,
}

impl Sequence {
    /// The sequence of one of so many partitions, from its beginning.
    pub fn new(partition: PartitionId, partitions: u16) -> Sequence {
        let (position, taken) = (Position::default(), Taken::default());
        let time = EntryTime::default();
        let (entries, open, skipped, last_ms) = (0, None, 0, 0);
        Sequence { partition, partitions, position, time, last_ms, taken, entries, open, skipped }
    }

    /// How many envelopes were passed over because their address was wrong.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// The last place delivered.
    pub fn position(&self) -> Position {
        self.position
    }

    /// How long the partition's leaders had led it at the last entry.
    pub fn age_ms(&self) -> u64 {
        self.time.age_ms
    }

    /// The wall-clock time of the last envelope delivered.
    pub fn last_ms(&self) -> u64 {
        self.last_ms
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
        let EntryTime { wall_ms, age_ms } = entry.time();
        self.time = EntryTime { wall_ms, age_ms: age_ms.max(self.time.age_ms) };
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
        self.last_ms = self.time.wall_ms;
        let (partition, position) = (self.partition, self.position);
        let EntryTime { wall_ms: time_ms, age_ms } = self.time;
        Delivery { partition, position, time_ms, age_ms, shared, envelope }
    }
}
