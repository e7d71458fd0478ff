//! What the log says: entries and values of every ring.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::position::LogPosition;
use super::record::Record;
use super::ring_index::{Location, RingIndex};
use crate::ring_id::RingId;

/// The state that the records make, the same when they are appended and when they are read again.
#[derive(Debug, Default)]
pub(crate) struct Rings {
    rings: BTreeMap<RingId, RingState>,
    cached_bytes: u64,
    begin: LogPosition,
}

#[derive(Debug, Default)]
struct RingState {
    /// None until a record says where the ring is: the log may begin behind the ring's first record.
    entries: Option<RingIndex>,
    /// Where the last trim stands.
    trimmed_at: Option<LogPosition>,
    values: BTreeMap<u8, Value>,
}

#[derive(Debug)]
struct Value {
    position: LogPosition,
    bytes: Bytes,
}

/// An entry that does not follow the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gap;

impl Rings {
    /// The first entry held, or the next one if none is.
    pub(crate) fn first(&self, ring: RingId) -> u64 {
        self.entries(ring).map_or(0, RingIndex::first)
    }

    /// The index behind the last entry.
    pub(crate) fn next(&self, ring: RingId) -> u64 {
        self.entries(ring).map_or(0, RingIndex::next)
    }

    /// The place of an entry that is held, and its bytes if they are in memory.
    pub(crate) fn entry(&self, ring: RingId, index: u64) -> (Location, Option<&Bytes>) {
        self.entries(ring).expect("a ring that holds the entry").get(index)
    }

    pub(crate) fn value(&self, ring: RingId, slot: u8) -> Option<&Bytes> {
        self.rings.get(&ring)?.values.get(&slot).map(|value| &value.bytes)
    }

    pub(crate) fn cached_bytes(&self) -> u64 {
        self.cached_bytes
    }

    /// Segments before this were given up, as the last record of it says.
    pub(crate) fn begin(&self) -> LogPosition {
        self.begin
    }

    /// Takes the record that begins at `position`.
    pub(crate) fn apply(&mut self, position: LogPosition, record: Record) -> Result<(), Gap> {
        match record {
            Record::Entry { ring, index, checksum, bytes } => {
                let location = Location { position, length: bytes.len() as u32, checksum };
                self.append(ring, index, location, bytes)?;
            }
            Record::Truncate { ring, from } => {
                self.with_entries(ring, from, |entries| entries.truncate(from))
            }
            Record::Trim { ring, first } => {
                self.with_entries(ring, first, |entries| entries.trim(first));
                self.rings.entry(ring).or_default().trimmed_at = Some(position);
            }
            Record::Begin { position } => self.begin = position,
            Record::Value { ring, slot, bytes } => {
                self.rings.entry(ring).or_default().values.insert(slot, Value { position, bytes });
            }
        }
        Ok(())
    }

    /// Drops the oldest bytes, of whatever ring, until no more than `bytes_max` are left. Those at or behind `durable`
    /// stay.
    pub(crate) fn evict(&mut self, bytes_max: u64, durable: LogPosition) {
        while self.cached_bytes > bytes_max {
            let caches = self
                .rings
                .iter()
                .filter_map(|(ring, state)| Some((state.entries.as_ref()?.oldest_cached()?, *ring)));
            match caches.min() {
                Some((position, ring)) if position < durable => {
                    self.with_entries(ring, 0, RingIndex::evict);
                }
                _ => break,
            }
        }
    }

    /// The position of the oldest entry of all rings.
    pub(crate) fn oldest(&self) -> Option<LogPosition> {
        self.rings.values().filter_map(|state| state.entries.as_ref()?.oldest()).min()
    }

    /// What must be written again so that nothing but entries is needed from before `begin`.
    pub(crate) fn carried(&self, begin: LogPosition) -> Vec<Record> {
        let mut records = Vec::new();
        for (ring, state) in &self.rings {
            if state.trimmed_at.is_some_and(|position| position < begin) {
                records.push(Record::Trim { ring: *ring, first: self.first(*ring) });
            }
            let old = state.values.iter().filter(|(_, value)| value.position < begin);
            records.extend(old.map(|(slot, value)| Record::Value {
                ring: *ring,
                slot: *slot,
                bytes: value.bytes.clone(),
            }));
        }
        records
    }

    fn entries(&self, ring: RingId) -> Option<&RingIndex> {
        self.rings.get(&ring)?.entries.as_ref()
    }

    /// Where no entry is held, any index joins: the log may begin behind the entries before it, with a trim that says
    /// only where those began.
    fn append(&mut self, ring: RingId, index: u64, location: Location, bytes: Bytes) -> Result<(), Gap> {
        let gap = self.entries(ring).is_some_and(|entries| !entries.is_empty() && index > entries.next());
        if gap || index == u64::MAX {
            return Err(Gap);
        }
        self.with_entries(ring, index, |entries| {
            entries.truncate(index);
            if entries.is_empty() {
                entries.trim(index);
            }
            entries.push(location, bytes);
        });
        Ok(())
    }

    /// Changes a ring's entries, which start at `start` if nothing was known of them.
    fn with_entries(&mut self, ring: RingId, start: u64, change: impl FnOnce(&mut RingIndex)) {
        let state = self.rings.entry(ring).or_default();
        let entries = state.entries.get_or_insert_with(|| RingIndex::starting_at(start));
        self.cached_bytes -= entries.cached_bytes();
        change(entries);
        self.cached_bytes += entries.cached_bytes();
    }
}
