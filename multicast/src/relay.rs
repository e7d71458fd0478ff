//! The relay: a partition ring's leader follows the shared ring and appends what addresses its partition.
//!
//! Commands for several partitions are ordered once, in the shared ring. The leader of each addressed partition ring
//! copies the envelope into its own ring, in shared-ring order, with its place `k` among the shared ring's envelopes
//! and `prev`, the place of the one before it that addressed the same partition. Both are facts of the shared log,
//! the same whoever relays. A replica takes a copy only if `prev` is the last one it took ([`Taken`]), so late,
//! repeated and resurfacing copies are harmless.
//!
//! A leader forgets what it knew in earlier reigns. On entering its reign it folds the rule over its *whole* log, the
//! unapplied tail included, and follows the shared log from there: a cursor kept from an earlier reign, or read off the
//! last relayed entry, skips what a truncation took away.

use crate::PartitionId;
use crate::entry::{Entry, MalformedEntry};
use crate::envelope::{Envelope, Relayed, SharedIndex};
use crate::log::LogError;
use crate::ring::Ring;
use thiserror::Error;

/// A ring's log could not be followed.
#[derive(Debug, Error)]
pub enum FollowError {
    /// The entry could not be read back.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The entry is not one.
    #[error("entry {index} of {ring}: {source}")]
    Malformed {
        /// The ring, in words.
        ring: String,
        /// The entry's index there.
        index: u64,
        /// What is wrong with it.
        source: MalformedEntry,
    },
}

/// Reads and opens one entry of a ring.
pub(crate) fn open(ring: &dyn Ring, index: u64) -> Result<Entry, FollowError> {
    Entry::open(ring.read(index)?).map_err(|source| malformed(ring, index, source))
}

pub(crate) fn malformed(ring: &dyn Ring, index: u64, source: MalformedEntry) -> FollowError {
    FollowError::Malformed { ring: ring.id().to_string(), index, source }
}

/// The rule by which relayed copies are taken, folded over a partition's log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken(SharedIndex);

impl Taken {
    /// The last one taken.
    pub fn last(self) -> SharedIndex {
        self.0
    }

    /// Takes a copy if it is the next; says whether it was.
    pub fn take(&mut self, relayed: Relayed) -> bool {
        let next = relayed.prev == self.0;
        if next {
            self.0 = relayed.k;
        }
        next
    }

    /// The rule folded over entries `from..` of a partition ring, the undecided tail included.
    pub fn fold(mut self, ring: &dyn Ring, from: u64) -> Result<Taken, FollowError> {
        for index in from..ring.accepted() {
            let mut entry = open(ring, index)?;
            while let Some((_, relayed)) =
                entry.next_envelope().map_err(|source| malformed(ring, index, source))?
            {
                if let Some(relayed) = relayed {
                    self.take(relayed);
                }
            }
        }
        Ok(self)
    }
}

/// One reign's following of the shared ring for one partition.
///
/// Invariants:
/// - `counted` envelopes of the shared ring lie before entry `cursor`.
/// - `addressed` is the last of them that addresses the partition.
/// - everything that addresses the partition up to `addressed` stands in the partition ring's log or was handed out.
#[derive(Debug)]
pub struct Relay {
    partition: PartitionId,
    held: SharedIndex,
    cursor: u64,
    counted: SharedIndex,
    addressed: SharedIndex,
}

impl Relay {
    /// A reign that begins over a partition log whose fold is `held`.
    pub fn begin(partition: PartitionId, held: Taken) -> Relay {
        Relay {
            partition,
            held: held.last(),
            cursor: 0,
            counted: SharedIndex::ZERO,
            addressed: SharedIndex::ZERO,
        }
    }

    /// Hands out, in order, what the shared ring has decided since the last call and the partition does not hold.
    pub fn follow(
        &mut self,
        shared: &dyn Ring,
        mut relay: impl FnMut(&Envelope, Relayed),
    ) -> Result<(), FollowError> {
        while self.cursor < shared.decided() {
            let mut entry = open(shared, self.cursor)?;
            while let Some((envelope, _)) =
                entry.next_envelope().map_err(|source| malformed(shared, self.cursor, source))?
            {
                if let Some(relayed) = self.count(&envelope) {
                    relay(&envelope, relayed);
                }
            }
            self.cursor += 1;
        }
        Ok(())
    }

    /// Counts one envelope of the shared ring; tells its facts if the partition still needs it.
    fn count(&mut self, envelope: &Envelope) -> Option<Relayed> {
        self.counted = self.counted.next();
        if !envelope.destinations.contains(self.partition) {
            return None;
        }
        let relayed = Relayed { k: self.counted, prev: self.addressed };
        self.addressed = self.counted;
        (relayed.k > self.held).then_some(relayed)
    }
}
