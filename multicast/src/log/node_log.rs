//! The log of a node.

use std::cell::{Cell, OnceCell};
use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::block::PendingBlock;
use super::buffer::{BeginSegment, Buffer};
use super::counts::LogCounts;
use super::error::LogError;
use super::limits::LogLimits;
use super::position::LogPosition;
use super::record::{ENTRY_HEAD_BYTES, Record};
use super::recovery::{Recovered, recover};
use super::ring_index::Location;
use super::rings::Rings;
use super::segment::{LogNonce, Segment, SegmentHeader, Segments};
use crate::disk::{Disk, Generation};
use crate::faults::{FAILED_READ_TAKEN_FOR_EMPTY, LOST_LOG_ACCEPTED};
use crate::ring_id::RingId;

/// Room that a turn's block has before it grows.
const PENDING_BYTES: usize = 64 << 10;

/// The write-ahead log of a node: what its rings appended, and how far that is durable. What is appended is seen at
/// once by whoever reads it here; it is durable once `durable()` has reached what `appended()` said after it.
///
/// Entries of a ring are numbered from 0, or from where [`NodeLog::trim`] let it begin.
///
/// Invariants:
/// - `durable <= end <= appended()`, and `durable < end` only while a buffer is in flight.
/// - `end` is where the pending block will stand.
pub struct NodeLog {
    disk: Arc<dyn Disk>,
    limits: LogLimits,
    nonce: LogNonce,
    rings: Rings,
    segments: Segments,
    recycled: VecDeque<Recycled>,
    generation: Generation,
    end: LogPosition,
    chain: u32,
    durable: LogPosition,
    pending: PendingBlock,
    counts: LogCounts,
    read_backs: Cell<u64>,
    failed_read: OnceCell<LogError>,
}

/// A segment that was given up. Its file may be used when what made it superfluous is durable.
#[derive(Debug)]
struct Recycled {
    segment: Segment,
    free_at: LogPosition,
}

impl NodeLog {
    /// Begins the log of a data directory that is new, or takes it up where that was interrupted. Its first segment is
    /// durable on return, and tells from then on that there is a log.
    pub fn begin(disk: Arc<dyn Disk>, limits: LogLimits, nonce: LogNonce) -> Result<NodeLog, LogError> {
        let log = NodeLog::recover(disk.clone(), limits, nonce)?;
        let Some(first) = log.begin_first_segment() else { return Ok(log) };
        let failed = |source| LogError::disk(disk.as_ref(), first.header.segment.generation, source);
        first.write(disk.as_ref()).map_err(failed)?;
        NodeLog::recover(disk, limits, nonce)
    }

    /// Takes up the log of a data directory that has had one. Cuts off a torn tail; whatever else is missing or of another
    /// log is an error.
    pub fn open(disk: Arc<dyn Disk>, limits: LogLimits, nonce: LogNonce) -> Result<NodeLog, LogError> {
        let log = NodeLog::recover(disk.clone(), limits, nonce)?;
        if log.segments.last().is_none() && !LOST_LOG_ACCEPTED.is_planted() {
            return Err(LogError::Lost { file: disk.describe(Generation::default().next()) });
        }
        Ok(log)
    }

    /// Reads the log that is on the disk. If there is none, an empty one comes of it, which whoever knows whether there was
    /// one has to judge: [`NodeLog::open`] does.
    pub fn recover(disk: Arc<dyn Disk>, limits: LogLimits, nonce: LogNonce) -> Result<NodeLog, LogError> {
        limits.check();
        let recovered = recover(disk.as_ref(), &limits, nonce)?;
        let Recovered { rings, segments, end, chain, generation } = recovered;
        Ok(NodeLog {
            disk,
            limits,
            nonce,
            rings,
            segments,
            recycled: VecDeque::new(),
            generation,
            end,
            chain,
            durable: end,
            pending: PendingBlock::with_capacity(PENDING_BYTES),
            counts: LogCounts::default(),
            read_backs: Cell::new(0),
            failed_read: OnceCell::new(),
        })
    }

    /// Appends an entry. At an index that the ring holds, that entry and all behind it are dropped first. Panics if the
    /// index is below the first or beyond the next.
    pub fn append(&mut self, ring: RingId, index: u64, entry: Bytes) {
        let (first, next) = (self.first(ring), self.next_index(ring));
        assert!(first <= index && index <= next, "entry {index} of {ring:?} does not join {first}..{next}");
        self.record(Record::entry(ring, index, entry));
        self.rings.evict(self.limits.cache_bytes, self.durable);
    }

    /// Drops the ring's entries from `from` on. Panics if that is below the first; beyond the end it does nothing.
    pub fn truncate(&mut self, ring: RingId, from: u64) {
        let first = self.first(ring);
        assert!(first <= from, "{ring:?} begins at {first} and cannot be truncated from {from}");
        if from < self.next_index(ring) {
            self.record(Record::Truncate { ring, from });
        }
    }

    /// Forgets the ring's entries below `first`, for ever. Beyond the end that is all of them, and the next entry is
    /// `first`: so begins a ring whose earlier entries came as a checkpoint.
    pub fn trim(&mut self, ring: RingId, first: u64) {
        if first > self.first(ring) {
            self.record(Record::Trim { ring, first });
        }
    }

    /// Sets a small value of the ring. Slots are the caller's to name.
    pub fn put(&mut self, ring: RingId, slot: u8, value: Bytes) {
        self.record(Record::Value { ring, slot, bytes: value });
    }

    /// The value last put into the slot.
    pub fn value(&self, ring: RingId, slot: u8) -> Option<&Bytes> {
        self.rings.value(ring, slot)
    }

    /// The index of the first entry held, or of the next one if none is.
    pub fn first(&self, ring: RingId) -> u64 {
        self.rings.first(ring)
    }

    /// The index that follows the last entry.
    pub fn next_index(&self, ring: RingId) -> u64 {
        self.rings.next(ring)
    }

    /// How many entries are held.
    pub fn len(&self, ring: RingId) -> u64 {
        self.next_index(ring) - self.first(ring)
    }

    /// Reads an entry, from memory or from the disk. Panics if it is not held. The first error is kept: see
    /// [`NodeLog::check_reads`].
    pub fn read(&self, ring: RingId, index: u64) -> Result<Bytes, LogError> {
        let (location, cached) = self.rings.entry(ring, index);
        if let Some(bytes) = cached {
            return Ok(bytes.clone());
        }
        self.read_backs.set(self.read_backs.get() + 1);
        self.read_back(location).inspect_err(|error| drop(self.failed_read.set(error.clone())))
    }

    /// The error of the first read that failed, for good. Somebody may have gone on without what was not read: so once this is an
    /// error, nothing leaves the node any more, nothing more is written, and the process ends.
    pub fn check_reads(&self) -> Result<(), LogError> {
        if FAILED_READ_TAKEN_FOR_EMPTY.is_planted() {
            return Ok(());
        }
        self.failed_read.get().map_or(Ok(()), |error| Err(error.clone()))
    }

    fn read_back(&self, location: Location) -> Result<Bytes, LogError> {
        let (segment, offset) = self.segments.find(location.position.after(ENTRY_HEAD_BYTES));
        let mut bytes = vec![0; location.length as usize];
        self.disk
            .read_at(segment, offset, &mut bytes)
            .map_err(|error| LogError::unread(self.disk.as_ref(), segment, offset, error))?;
        if crc32c::crc32c(&bytes) != location.checksum {
            return Err(LogError::corrupt(
                self.disk.as_ref(),
                segment,
                offset,
                "an entry with a wrong checksum",
            ));
        }
        Ok(Bytes::from(bytes))
    }

    /// The lengths of entries, in bytes. Panics if one is not held.
    pub fn lengths(&self, ring: RingId, range: Range<u64>) -> impl Iterator<Item = u32> {
        range.map(move |index| self.rings.entry(ring, index).0.length)
    }

    /// Reads entries in order, and stops behind the one with which they reach `bytes_max`. Panics if one is not held.
    pub fn read_range(
        &self,
        ring: RingId,
        range: Range<u64>,
        bytes_max: usize,
    ) -> Result<Vec<Bytes>, LogError> {
        let mut entries = Vec::new();
        let mut bytes = 0;
        for index in range {
            let entry = self.read(ring, index)?;
            bytes += entry.len();
            entries.push(entry);
            if bytes >= bytes_max {
                break;
            }
        }
        Ok(entries)
    }

    /// The end of everything appended so far. It is durable once `durable()` is there or beyond, which takes a buffer.
    pub fn appended(&self) -> LogPosition {
        if self.pending.is_empty() { self.end } else { self.end.after(self.pending.padded_bytes()) }
    }

    /// Up to where the log survives a power loss.
    pub fn durable(&self) -> LogPosition {
        self.durable
    }

    /// Everything appended since the last one, to be written; nothing if nothing was. Panics if one is in flight.
    pub fn take_buffer(&mut self) -> Option<Buffer> {
        assert!(self.durable == self.end, "one buffer is in flight at a time");
        if self.pending.is_empty() {
            return None;
        }
        let pending = mem::replace(&mut self.pending, PendingBlock::with_capacity(PENDING_BYTES));
        let begin = self.make_room(pending.padded_bytes()).map(Box::new);
        let segment = *self.segments.last().expect("a segment with room for the block");
        let (bytes, checksum) = pending.seal(segment.generation, self.end, self.chain);
        let offset = segment.offset_of(self.end);
        self.end = self.end.after(bytes.len());
        self.chain = checksum;
        self.counts.buffers += 1;
        self.counts.bytes += bytes.len() as u64;
        Some(Buffer { segment: segment.generation, offset, bytes, end: self.end, begin })
    }

    /// The buffer in flight, whose position this is, was written and synced.
    pub fn synced(&mut self, position: LogPosition) {
        assert!(self.durable < self.end && position == self.end, "{position} is not the buffer in flight");
        self.durable = position;
        self.counts.syncs += 1;
        self.rings.evict(self.limits.cache_bytes, self.durable);
    }

    /// Gives up the oldest segments in which no entry is left, and returns how many. What else they hold is appended
    /// again; their files are used again when that is durable.
    pub fn recycle(&mut self) -> usize {
        let begin = self.segments.begin_of(self.rings.oldest().unwrap_or(self.end));
        if self.segments.first().is_some_and(|first| first.first < begin) {
            self.rings.carried(begin).into_iter().for_each(|record| self.record(record));
            self.record(Record::Begin { position: begin });
        }
        let free_at = self.appended();
        let before = self.recycled.len();
        while let Some(segment) = self.segments.pop_before(begin) {
            self.recycled.push_back(Recycled { segment, free_at });
        }
        self.recycled.len() - before
    }

    /// What was done since recovery.
    pub fn counts(&self) -> LogCounts {
        LogCounts {
            read_backs: self.read_backs.get(),
            cached_bytes: self.rings.cached_bytes(),
            ..self.counts
        }
    }

    fn record(&mut self, record: Record) {
        let at = self.pending.push(&record);
        self.counts.records += 1;
        let applied = self.rings.apply(self.end.after(at), record);
        assert!(applied.is_ok(), "a record that its caller has checked");
    }

    /// Begins another segment unless the last one has room.
    fn make_room(&mut self, bytes: usize) -> Option<BeginSegment> {
        if self.segments.last().is_some_and(|segment| segment.has_room(self.end, bytes)) {
            return None;
        }
        self.generation = self.generation.next();
        let capacity = self.limits.segment_bytes.max(Segment::capacity_for(bytes));
        let (reused, removed) = self.spare_file(capacity);
        let segment = Segment { generation: self.generation, first: self.end, capacity };
        self.segments.push(segment);
        self.counts.segments += 1;
        self.counts.segments_reused += u64::from(reused.is_some());
        Some(BeginSegment { header: self.header(segment), reused, removed })
    }

    fn header(&self, segment: Segment) -> SegmentHeader {
        SegmentHeader { segment, previous: self.chain, nonce: self.nonce }
    }

    /// The first segment of a log that has none.
    fn begin_first_segment(&self) -> Option<BeginSegment> {
        let (generation, capacity) = (self.generation.next(), self.limits.segment_bytes);
        let segment = Segment { generation, first: self.end, capacity };
        let begin = BeginSegment { header: self.header(segment), reused: None, removed: Vec::new() };
        self.segments.last().is_none().then_some(begin)
    }

    /// The recycled file that becomes the next segment, and those that are not kept. Only ever the oldest go: the log
    /// on the disk has no hole at any moment.
    fn spare_file(&mut self, capacity: u64) -> (Option<Generation>, Vec<Generation>) {
        let is_standard = capacity == self.limits.segment_bytes;
        let kept = self.limits.spare_segments + usize::from(is_standard);
        let mut removed = Vec::new();
        while let Some(oldest) = self.recycled.front().filter(|oldest| oldest.free_at <= self.durable) {
            let generation = oldest.segment.generation;
            let wanted = oldest.segment.capacity == self.limits.segment_bytes && self.recycled.len() <= kept;
            if wanted && !is_standard {
                break;
            }
            self.recycled.pop_front();
            if wanted {
                return (Some(generation), removed);
            }
            removed.push(generation);
        }
        (None, removed)
    }
}

impl fmt::Debug for NodeLog {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("NodeLog")
            .field("durable", &self.durable)
            .field("end", &self.end)
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}
