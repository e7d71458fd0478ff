//! Where a ring's entries are.

use std::collections::VecDeque;

use bytes::Bytes;

use super::position::LogPosition;

/// Where an entry is in the log, and how to know it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    /// The beginning of its record.
    pub(crate) position: LogPosition,
    pub(crate) length: u32,
    pub(crate) checksum: u32,
}

/// The entries of one ring: all their places, and the bytes of the last ones.
///
/// Invariants:
/// - `locations` are those of `first..next`, and their positions rise.
/// - `cached` holds the bytes of the last `cached.len()` entries, `cached_bytes` in all.
#[derive(Debug)]
pub(crate) struct RingIndex {
    first: u64,
    locations: VecDeque<Location>,
    cached: VecDeque<Bytes>,
    cached_bytes: u64,
}

impl RingIndex {
    /// No entries, the next one being `first`.
    pub(crate) fn starting_at(first: u64) -> RingIndex {
        RingIndex { first, locations: VecDeque::new(), cached: VecDeque::new(), cached_bytes: 0 }
    }

    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    pub(crate) fn next(&self) -> u64 {
        self.first + self.locations.len() as u64
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.locations.is_empty()
    }

    pub(crate) fn cached_bytes(&self) -> u64 {
        self.cached_bytes
    }

    /// The place of an entry in `first..next`, and its bytes if they are in memory.
    pub(crate) fn get(&self, index: u64) -> (Location, Option<&Bytes>) {
        assert!(
            self.first <= index && index < self.next(),
            "entry {index} is not held, which are {}..{}",
            self.first,
            self.next()
        );
        let at = (index - self.first) as usize;
        let uncached = self.locations.len() - self.cached.len();
        let bytes = at.checked_sub(uncached).map(|at| &self.cached[at]);
        (self.locations[at], bytes)
    }

    pub(crate) fn push(&mut self, location: Location, bytes: Bytes) {
        assert!(
            self.locations.back().is_none_or(|last| last.position < location.position),
            "entries are appended at rising positions"
        );
        self.cached_bytes += u64::from(location.length);
        self.locations.push_back(location);
        self.cached.push_back(bytes);
    }

    /// Drops the entries from `from` on; below `first`, that is all, and the next one is `from`.
    pub(crate) fn truncate(&mut self, from: u64) {
        while self.next() > from && self.locations.pop_back().is_some() {
            let dropped = self.cached.pop_back().map_or(0, |bytes| bytes.len() as u64);
            self.cached_bytes -= dropped;
        }
        self.first = self.first.min(from);
    }

    /// Drops the entries below `first`; beyond the end, that is all, and the next one is `first`.
    pub(crate) fn trim(&mut self, first: u64) {
        while self.first < first && self.locations.pop_front().is_some() {
            self.first += 1;
        }
        while self.cached.len() > self.locations.len() {
            self.evict();
        }
        self.first = self.first.max(first);
    }

    /// The position of the oldest entry.
    pub(crate) fn oldest(&self) -> Option<LogPosition> {
        self.locations.front().map(|location| location.position)
    }

    /// The position of the oldest entry whose bytes are in memory.
    pub(crate) fn oldest_cached(&self) -> Option<LogPosition> {
        let uncached = self.locations.len() - self.cached.len();
        self.locations.get(uncached).map(|location| location.position)
    }

    /// Drops the bytes of the oldest entry whose bytes are in memory.
    pub(crate) fn evict(&mut self) {
        let dropped = self.cached.pop_front().map_or(0, |bytes| bytes.len() as u64);
        self.cached_bytes -= dropped;
    }
}
