//! The node's log as the consensus crate's storage.
//!
//! What one turn appends is one block of the log and there whole or not at all, so every call is atomic with the others
//! of its turn, and [`Storage::write_atomically`] needs nothing more.

use super::codec::{Malformed, decode_ballot, decode_number, encode_ballot, encode_number};
use crate::RingId;
use crate::branches::SUFFIX_UNREAD;
use crate::log::{LogError, NodeLog, SharedLog};
use bytes::Bytes;
use omnipaxos::ballot_leader_election::Ballot;
use omnipaxos::storage::{Entry, NoSnapshot, StopSign, Storage, StorageOp, StorageResult};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The log's slots of a ring.
pub(super) const PROMISE: u8 = 0;
pub(super) const ACCEPTED_ROUND: u8 = 1;
pub(super) const DECIDED: u8 = 2;
pub(super) const NONCES: u8 = 3;

/// An entry as the consensus crate holds it: a clone counts a reference.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LogEntry(pub(super) Bytes);

impl fmt::Debug for LogEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogEntry({} bytes)", self.0.len())
    }
}

impl Entry for LogEntry {
    type Snapshot = NoSnapshot;
}

/// The storage of one ring.
///
/// Invariants:
/// - `promise` and `accepted_round` are what the log's slots hold.
/// - `recorded <= decided`, and both lie within what the log holds: the decided index is put only behind the entries.
pub(super) struct RingStorage {
    ring: RingId,
    log: SharedLog,
    promise: Option<Ballot>,
    accepted_round: Option<Ballot>,
    decided: u64,
    /// The decided index in the log's slot. It is no reason for a sync, so it is put only along with something else;
    /// a restart may find less than was decided.
    recorded: u64,
}

impl RingStorage {
    pub(super) fn recover(ring: RingId, log: SharedLog) -> Result<RingStorage, Malformed> {
        let held = log.lock();
        let ballot = |slot| held.value(ring, slot).map(|bytes| decode_ballot(bytes)).transpose();
        let (promise, accepted_round) = (ballot(PROMISE)?, ballot(ACCEPTED_ROUND)?);
        let recorded = held.value(ring, DECIDED).map_or(Ok(0), |bytes| decode_number(bytes))?;
        let (first, next) = (held.first(ring), held.next_index(ring));
        assert!(recorded <= next, "ring {ring} has decided {recorded} entries and holds those before {next}");
        drop(held);
        Ok(RingStorage { ring, log, promise, accepted_round, decided: recorded.max(first), recorded })
    }

    /// Changes the log, and takes the decided index along.
    fn change(&mut self, change: impl FnOnce(&mut NodeLog, RingId)) {
        let mut log = self.log.lock();
        change(&mut log, self.ring);
        if self.decided > self.recorded {
            log.put(self.ring, DECIDED, encode_number(self.decided));
            self.recorded = self.decided;
        }
    }

    /// A replica below its trim point would store entries at wrong places, so no index there is ever served.
    fn check(&self, index: usize) -> u64 {
        let (index, first) = (index as u64, self.log.lock().first(self.ring));
        assert!(
            first <= index,
            "ring {} was asked for entry {index} and has trimmed those below {first}",
            self.ring
        );
        index
    }
}

impl Storage<LogEntry> for RingStorage {
    fn write_atomically(&mut self, ops: Vec<StorageOp<LogEntry>>) -> StorageResult<()> {
        ops.into_iter().try_for_each(|op| match op {
            StorageOp::AppendEntry(entry) => self.append_entry(entry),
            StorageOp::AppendEntries(entries) => self.append_entries(entries),
            StorageOp::AppendOnPrefix(from, entries) => self.append_on_prefix(from, entries),
            StorageOp::SetPromise(ballot) => self.set_promise(ballot),
            StorageOp::SetDecidedIndex(index) => self.set_decided_idx(index),
            StorageOp::SetAcceptedRound(ballot) => self.set_accepted_round(ballot),
            StorageOp::SetCompactedIdx(index) => self.set_compacted_idx(index),
            StorageOp::Trim(index) => self.trim(index),
            StorageOp::SetStopsign(stop) => self.set_stopsign(stop),
            StorageOp::SetSnapshot(snapshot) => self.set_snapshot(snapshot),
        })
    }

    fn append_entry(&mut self, entry: LogEntry) -> StorageResult<()> {
        self.append_entries(vec![entry])
    }

    fn append_entries(&mut self, entries: Vec<LogEntry>) -> StorageResult<()> {
        if !entries.is_empty() {
            self.change(|log, ring| append(log, ring, entries));
        }
        Ok(())
    }

    fn append_on_prefix(&mut self, from: usize, entries: Vec<LogEntry>) -> StorageResult<()> {
        let from = self.check(from);
        self.change(|log, ring| {
            assert!(from <= log.next_index(ring), "entry {from} of ring {ring} does not join the log");
            log.truncate(ring, from);
            append(log, ring, entries);
        });
        Ok(())
    }

    /// The crate sets the promise once more when it is built; what is there already is not worth a sync.
    fn set_promise(&mut self, ballot: Ballot) -> StorageResult<()> {
        if ballot != self.promise.unwrap_or_default() {
            self.promise = Some(ballot);
            self.change(|log, ring| log.put(ring, PROMISE, encode_ballot(ballot)));
        }
        Ok(())
    }

    fn set_decided_idx(&mut self, index: usize) -> StorageResult<()> {
        self.decided = index as u64;
        Ok(())
    }

    fn get_decided_idx(&self) -> StorageResult<usize> {
        Ok(self.decided as usize)
    }

    fn set_accepted_round(&mut self, ballot: Ballot) -> StorageResult<()> {
        self.accepted_round = Some(ballot);
        self.change(|log, ring| log.put(ring, ACCEPTED_ROUND, encode_ballot(ballot)));
        Ok(())
    }

    fn get_accepted_round(&self) -> StorageResult<Option<Ballot>> {
        Ok(self.accepted_round)
    }

    /// The crate panics if it is told that a read has failed, so it is given nothing then. It puts entries that it reads into
    /// messages and nowhere else, and no message leaves the node any more once a read has failed ([`NodeLog::check_reads`]).
    fn get_entries(&self, from: usize, to: usize) -> StorageResult<Vec<LogEntry>> {
        let from = self.check(from);
        let log = self.log.lock();
        if to as u64 > log.next_index(self.ring) {
            return Ok(Vec::new());
        }
        let entries: Result<_, LogError> =
            (from..to as u64).map(|index| Ok(LogEntry(log.read(self.ring, index)?))).collect();
        Ok(entries.inspect_err(|_| SUFFIX_UNREAD.reached()).unwrap_or_default())
    }

    fn get_log_len(&self) -> StorageResult<usize> {
        Ok(self.log.lock().len(self.ring) as usize)
    }

    fn get_suffix(&self, from: usize) -> StorageResult<Vec<LogEntry>> {
        let next = self.log.lock().next_index(self.ring) as usize;
        self.get_entries(from, next.max(from))
    }

    fn get_promise(&self) -> StorageResult<Option<Ballot>> {
        Ok(self.promise)
    }

    fn set_stopsign(&mut self, stop: Option<StopSign>) -> StorageResult<()> {
        assert!(stop.is_none(), "ring {} has one configuration", self.ring);
        Ok(())
    }

    fn get_stopsign(&self) -> StorageResult<Option<StopSign>> {
        Ok(None)
    }

    fn trim(&mut self, index: usize) -> StorageResult<()> {
        panic!("ring {} was told to trim below {index} by the consensus crate, which never may", self.ring);
    }

    fn set_compacted_idx(&mut self, index: usize) -> StorageResult<()> {
        self.trim(index)
    }

    fn get_compacted_idx(&self) -> StorageResult<usize> {
        Ok(self.log.lock().first(self.ring) as usize)
    }

    fn set_snapshot(&mut self, _: Option<NoSnapshot>) -> StorageResult<()> {
        panic!("ring {} has no snapshots", self.ring);
    }

    fn get_snapshot(&self) -> StorageResult<Option<NoSnapshot>> {
        Ok(None)
    }
}

fn append(log: &mut NodeLog, ring: RingId, entries: Vec<LogEntry>) {
    for LogEntry(entry) in entries {
        let index = log.next_index(ring);
        log.append(ring, index, entry);
    }
}
