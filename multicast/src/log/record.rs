//! A record: one change to one ring.
//!
//! ```text
//!   1 ring:u16 index:u64 length:u32 crc32c:u32 bytes     entry
//!   2 ring:u16 from:u64                                  truncate
//!   3 ring:u16 slot:u8 length:u32 bytes                  value
//!   4 ring:u16 first:u64                                 trim
//!   5 ring:u16, the node's, position:u64                 begin
//! ```

use bytes::{Buf, BufMut, Bytes, TryGetError};

use super::position::LogPosition;
use crate::ring_id::RingId;

/// Where an entry's bytes begin in its record.
pub(crate) const ENTRY_HEAD_BYTES: usize = 19;

const ENTRY: u8 = 1;
const TRUNCATE: u8 = 2;
const VALUE: u8 = 3;
const TRIM: u8 = 4;
const BEGIN: u8 = 5;

/// One change to one ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    /// The entry at `index` is this, and nothing follows it. The checksum is of `bytes`: an entry is read back without
    /// the rest of its block.
    Entry { ring: RingId, index: u64, checksum: u32, bytes: Bytes },
    /// Entries from `from` on are gone.
    Truncate { ring: RingId, from: u64 },
    /// The ring's value number `slot` is this.
    Value { ring: RingId, slot: u8, bytes: Bytes },
    /// Entries below `first` are gone, and if there were none from there on, the next one is `first`.
    Trim { ring: RingId, first: u64 },
    /// The log may begin here: segments before are given up.
    Begin { position: LogPosition },
}

impl Record {
    pub(crate) fn entry(ring: RingId, index: u64, bytes: Bytes) -> Record {
        Record::Entry { ring, index, checksum: crc32c::crc32c(&bytes), bytes }
    }

    /// Appends the record.
    pub(crate) fn encode(&self, into: &mut Vec<u8>) {
        match self {
            Record::Entry { ring, index, checksum, bytes } => {
                put_head(into, ENTRY, *ring);
                into.put_u64_le(*index);
                into.put_u32_le(length(bytes));
                into.put_u32_le(*checksum);
                into.put_slice(bytes);
            }
            Record::Truncate { ring, from } => {
                put_head(into, TRUNCATE, *ring);
                into.put_u64_le(*from);
            }
            Record::Value { ring, slot, bytes } => {
                put_head(into, VALUE, *ring);
                into.put_u8(*slot);
                into.put_u32_le(length(bytes));
                into.put_slice(bytes);
            }
            Record::Trim { ring, first } => {
                put_head(into, TRIM, *ring);
                into.put_u64_le(*first);
            }
            Record::Begin { position } => {
                put_head(into, BEGIN, RingId::NODE);
                into.put_u64_le(position.0);
            }
        }
    }
}

/// The records of a block, each with the offset in the block where it begins. Entries are slices of the block; values
/// are copies, since they are small and long-lived and would keep the block in memory.
#[derive(Debug)]
pub(crate) struct Records {
    rest: Bytes,
    end: usize,
}

/// Bytes that are no record, under a checksum that says that we wrote them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MalformedRecord;

impl Records {
    /// Reads `block` from `from` on.
    pub(crate) fn new(block: &Bytes, from: usize) -> Records {
        Records { rest: block.slice(from..), end: block.len() }
    }

    fn decode(&mut self) -> Result<Record, MalformedRecord> {
        let kind = self.rest.try_get_u8()?;
        let ring = RingId(self.rest.try_get_u16_le()?);
        match kind {
            ENTRY => {
                let index = self.rest.try_get_u64_le()?;
                let length = self.rest.try_get_u32_le()?;
                let checksum = self.rest.try_get_u32_le()?;
                Ok(Record::Entry { ring, index, checksum, bytes: self.take(length)? })
            }
            TRUNCATE => Ok(Record::Truncate { ring, from: self.rest.try_get_u64_le()? }),
            VALUE => {
                let slot = self.rest.try_get_u8()?;
                let length = self.rest.try_get_u32_le()?;
                Ok(Record::Value { ring, slot, bytes: Bytes::copy_from_slice(&self.take(length)?) })
            }
            TRIM => Ok(Record::Trim { ring, first: self.rest.try_get_u64_le()? }),
            BEGIN => Ok(Record::Begin { position: LogPosition(self.rest.try_get_u64_le()?) }),
            _ => Err(MalformedRecord),
        }
    }

    fn take(&mut self, length: u32) -> Result<Bytes, MalformedRecord> {
        let length = length as usize;
        if self.rest.len() < length {
            return Err(MalformedRecord);
        }
        Ok(self.rest.split_to(length))
    }
}

impl Iterator for Records {
    type Item = Result<(usize, Record), MalformedRecord>;

    /// The next record. After a malformed one, nothing: where the following one begins is not known.
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let at = self.end - self.rest.len();
        let item = self.decode();
        if item.is_err() {
            self.rest.clear();
        }
        Some(item.map(|record| (at, record)))
    }
}

impl From<TryGetError> for MalformedRecord {
    fn from(_: TryGetError) -> MalformedRecord {
        MalformedRecord
    }
}

fn put_head(into: &mut Vec<u8>, kind: u8, ring: RingId) {
    into.put_u8(kind);
    into.put_u16_le(ring.0);
}

fn length(bytes: &Bytes) -> u32 {
    u32::try_from(bytes.len()).expect("an entry or value is less than 4 GiB")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record() -> impl Strategy<Value = Record> {
        let ring = any::<u16>().prop_map(RingId);
        let bytes = prop::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from);
        prop_oneof![
            (ring.clone(), any::<u64>(), bytes.clone())
                .prop_map(|(ring, index, b)| Record::entry(ring, index, b)),
            (ring.clone(), any::<u64>()).prop_map(|(ring, from)| Record::Truncate { ring, from }),
            (ring.clone(), any::<u8>(), bytes).prop_map(|(ring, slot, bytes)| Record::Value {
                ring,
                slot,
                bytes
            }),
            (ring, any::<u64>()).prop_map(|(ring, first)| Record::Trim { ring, first }),
            any::<u64>().prop_map(|position| Record::Begin { position: LogPosition(position) }),
        ]
    }

    proptest! {
        #[test]
        fn records_round_trip_with_their_offsets(records in prop::collection::vec(record(), 0..8)) {
            let mut bytes = vec![0; 5];
            let mut written = Vec::new();
            for record in records {
                let at = bytes.len();
                record.encode(&mut bytes);
                if let Record::Entry { bytes: entry, .. } = &record {
                    prop_assert_eq!(&bytes[at + ENTRY_HEAD_BYTES..], &entry[..]);
                }
                written.push(Ok((at, record)));
            }
            let read: Vec<_> = Records::new(&Bytes::from(bytes), 5).collect();
            prop_assert_eq!(read, written);
        }

        #[test]
        fn any_bytes_are_records_or_malformed(bytes in prop::collection::vec(0..6u8, 0..60)) {
            let length = bytes.len();
            let read: Vec<_> = Records::new(&Bytes::from(bytes), 0).collect();
            prop_assert!(read.len() <= length / 8 + 1);
            let malformed = read.iter().position(|record| record.is_err());
            prop_assert!(malformed.is_none_or(|at| at + 1 == read.len()));
        }
    }
}
