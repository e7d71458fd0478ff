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
//! last relayed entry, skips what a truncation took away. What is *delivered* no truncation takes away, so the shared log
//! is followed only from there on ([`Survey`]).

use crate::PartitionId;
use crate::branches::RELAY_BEGUN;
use crate::entry::{Entry, MalformedEntry};
use crate::envelope::{Envelope, Relayed, SharedIndex};
use crate::faults::NO_PREV_CHECK;
use crate::log::LogError;
use crate::ring::Ring;
use thiserror::Error;

/// A ring's log could not be followed.
#[derive(Debug, Error)]
pub enum FollowError {
    /// The entry could not be read back.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The entry is of a version that this node does not know: what it holds cannot be passed over.
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

/// Reads and opens one entry of a ring. One that is too short to be one holds nothing.
pub(crate) fn open(ring: &dyn Ring, index: u64) -> Result<Entry, FollowError> {
    match Entry::open(ring.read(index)?) {
        Ok(entry) => Ok(entry),
        Err(source @ MalformedEntry::Version(_)) => {
            Err(FollowError::Malformed { ring: ring.id().to_string(), index, source })
        }
        Err(source) => {
            pass_over(ring, index, source);
            Entry::open(Entry::heartbeat()).map_err(|source| FollowError::Malformed {
                ring: ring.id().to_string(),
                index,
                source,
            })
        }
    }
}

/// The next envelope of an opened entry. What no version of this crate wrote ends the entry, at every node alike.
pub(crate) fn next_envelope(
    ring: &dyn Ring,
    index: u64,
    entry: &mut Entry,
) -> Option<(Envelope, Option<Relayed>)> {
    entry.next_envelope().unwrap_or_else(|source| {
        pass_over(ring, index, source);
        None
    })
}

fn pass_over(ring: &dyn Ring, index: u64, source: MalformedEntry) {
    tracing::warn!(ring = %ring.id(), index, %source, "the rest of an entry is passed over");
}

/// The rule by which relayed copies are taken, folded over a partition's log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken(SharedIndex);

impl Taken {
    /// The last one taken.
    pub fn last(self) -> SharedIndex {
        self.0
    }

    /// Takes a copy if it is the next; says whether it was. A leader of this version appends no other, since it folds its whole log
    /// first: the check makes a wrong leader harmless, and only planted bugs reach it in simulations.
    pub fn take(&mut self, relayed: Relayed) -> bool {
        let next = relayed.prev == self.0 || NO_PREV_CHECK.is_planted();
        if next {
            self.0 = relayed.k;
        }
        next
    }

    /// The rule folded over entries `from..` of a partition ring, the undecided tail included.
    pub fn fold(mut self, ring: &dyn Ring, from: u64) -> Result<Taken, FollowError> {
        for index in from..ring.accepted() {
            let mut entry = open(ring, index)?;
            while let Some((_, relayed)) = next_envelope(ring, index, &mut entry) {
                if let Some(relayed) = relayed {
                    self.take(relayed);
                }
            }
        }
        Ok(self)
    }
}

/// How far the shared ring was counted for one partition: facts of its decided log, the same whoever counts.
///
/// Invariants: `counted` envelopes of the shared ring lie before entry `cursor`; `addressed` is the last of them that
/// addresses the partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    cursor: u64,
    counted: SharedIndex,
    addressed: SharedIndex,
}

impl Count {
    /// Counts the next entry; hands out what addresses the partition.
    fn next_entry(
        &mut self,
        partition: PartitionId,
        shared: &dyn Ring,
        mut found: impl FnMut(&Envelope, Relayed),
    ) -> Result<(), FollowError> {
        let mut entry = open(shared, self.cursor)?;
        while let Some((envelope, _)) = next_envelope(shared, self.cursor, &mut entry) {
            self.counted = self.counted.next();
            if envelope.destinations.contains(partition) {
                found(&envelope, Relayed { k: self.counted, prev: self.addressed });
                self.addressed = self.counted;
            }
        }
        self.cursor += 1;
        Ok(())
    }
}

/// From where a reign must follow the shared ring. What lies before is delivered in the partition, so no truncation of its
/// log can take it away; and so a reign need not begin with the whole history.
///
/// Invariant: everything before the count that addresses the partition is delivered there.
#[derive(Debug)]
pub struct Survey {
    partition: PartitionId,
    done: Count,
    /// The entry after holds something that is delivered only at or after this.
    awaited: SharedIndex,
}

impl Survey {
    /// Nothing counted yet.
    pub fn new(partition: PartitionId) -> Survey {
        Survey { partition, done: Count::default(), awaited: SharedIndex::ZERO }
    }

    /// Counts on, as far as the partition has delivered what addresses it.
    pub fn advance(&mut self, shared: &dyn Ring, delivered: Taken) -> Result<(), FollowError> {
        while self.awaited <= delivered.last() && self.done.cursor < shared.decided() {
            let mut next = self.done;
            next.next_entry(self.partition, shared, |_, _| {})?;
            if next.addressed > delivered.last() {
                self.awaited = next.addressed;
            } else {
                self.done = next;
            }
        }
        Ok(())
    }
}

/// One reign's following of the shared ring for one partition.
///
/// Invariant: everything that addresses the partition up to the count stands in the partition ring's log or was handed out.
#[derive(Debug)]
pub struct Relay {
    partition: PartitionId,
    held: SharedIndex,
    count: Count,
}

impl Relay {
    /// A reign that begins over a partition log whose fold is `held`.
    pub fn begin(survey: &Survey, held: Taken) -> Relay {
        RELAY_BEGUN.reached();
        Relay { partition: survey.partition, held: held.last(), count: survey.done }
    }

    /// Hands out, in order, what of the next entry that the shared ring has decided the partition does not hold. Says whether there
    /// was an entry.
    pub fn follow(
        &mut self,
        shared: &dyn Ring,
        mut relay: impl FnMut(&Envelope, Relayed),
    ) -> Result<bool, FollowError> {
        let held = self.held;
        if self.count.cursor >= shared.decided() {
            return Ok(false);
        }
        self.count.next_entry(self.partition, shared, |envelope, relayed| {
            if relayed.k > held {
                relay(envelope, relayed);
            }
        })?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Disk, MemoryDisk};
    use crate::entry::{EntryBuilder, EntryTime};
    use crate::envelope::{ClientId, CommandId};
    use crate::log::{LogLimits, LogNonce, NodeLog, SharedLog};
    use crate::ring::SoloRing;
    use crate::{Destinations, RingId};
    use bytes::Bytes;
    use std::sync::Arc;

    const P: PartitionId = PartitionId(1);

    /// A shared ring that has decided entries of one envelope each, for these destinations.
    fn shared(destinations: &[Destinations]) -> SoloRing {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        let log = SharedLog::new(
            NodeLog::recover(disk.clone(), LogLimits::default(), LogNonce::default()).expect("a log"),
        );
        let mut ring = SoloRing::recover(RingId::SHARED, log.clone());
        for (i, destinations) in (0..).zip(destinations) {
            let id = CommandId { client: ClientId(1), epoch: 0, run: 0, i };
            let mut entry = EntryBuilder::default();
            entry.push(&Envelope { id, destinations: *destinations, body: Bytes::new() }, None);
            ring.append(entry.take(EntryTime::default()));
        }
        let buffer = log.lock().take_buffer().expect("something to write");
        buffer.write(disk.as_ref()).expect("a disk that works");
        log.lock().synced(buffer.position());
        ring.synced(buffer.position());
        ring
    }

    fn followed(relay: &mut Relay, shared: &dyn Ring) -> Vec<(u64, u64)> {
        let mut handed = Vec::new();
        while relay.follow(shared, |_, relayed| handed.push((relayed.k.0, relayed.prev.0))).expect("a log") {}
        handed
    }

    #[test]
    fn a_reign_follows_from_what_is_delivered_and_hands_out_what_is_not_held() {
        let (mine, others) = (Destinations::all(2), Destinations::one(PartitionId(0)));
        let shared = shared(&[mine, others, mine, mine, others, mine]);
        let mut survey = Survey::new(P);
        survey.advance(&shared, Taken(SharedIndex(3))).expect("a log");
        assert_eq!((survey.done.cursor, survey.done.addressed), (3, SharedIndex(3)));
        // The log held the fourth too, and has lost it again.
        let mut relay = Relay::begin(&survey, Taken(SharedIndex(3)));
        assert_eq!(followed(&mut relay, &shared), [(4, 3), (6, 4)]);
        assert!(followed(&mut relay, &shared).is_empty());
        let mut relay = Relay::begin(&survey, Taken(SharedIndex(4)));
        assert_eq!(followed(&mut relay, &shared), [(6, 4)]);
        let mut whole = Relay::begin(&Survey::new(P), Taken(SharedIndex::ZERO));
        assert_eq!(followed(&mut whole, &shared), [(1, 0), (3, 1), (4, 3), (6, 4)]);
    }

    #[test]
    fn a_survey_goes_no_further_than_what_is_delivered() {
        let mine = Destinations::all(2);
        let shared = shared(&[mine, mine, Destinations::one(PartitionId(0))]);
        let mut survey = Survey::new(P);
        for (delivered, cursor) in [(0, 0), (1, 1), (1, 1), (2, 3)] {
            survey.advance(&shared, Taken(SharedIndex(delivered))).expect("a log");
            assert_eq!(survey.done.cursor, cursor, "delivered {delivered}");
        }
    }
}
