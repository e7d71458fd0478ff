//! An entry: a batch of envelopes in one blob, encoded once and iterated in place.
//!
//! ```text
//! entry     version u8 | wall_ms u64 | age_ms u64 | envelope*
//! envelope  road u8 | [k u64 | prev u64] | client u64 | epoch u32 | run u32 | i u32 | destinations u64 | length u32 | body
//! ```
//! All numbers are little-endian. `road` is 0 for an envelope proposed to this ring, 1 for one relayed from the
//! shared ring.

use crate::Destinations;
use crate::envelope::{ClientId, CommandId, Envelope, Relayed, SharedIndex};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use thiserror::Error;

const VERSION: u8 = 2;
const PROPOSED: u8 = 0;
const RELAYED: u8 = 1;
const HEADER_BYTES: usize = 1 + 8 + 8;
const ENVELOPE_BYTES: usize = 1 + 8 + 4 + 4 + 4 + 8 + 4;
const RELAYED_BYTES: usize = 8 + 8;

/// The two times that an entry carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EntryTime {
    /// The wall-clock time of its leader, in milliseconds since 1970. It may step back from one entry to the next.
    pub wall_ms: u64,
    /// How long the ring's leaders have led it, by their monotonic clocks.
    pub age_ms: u64,
}

/// An entry that is not one: its ring holds bytes that no version of this crate wrote.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MalformedEntry {
    /// The first byte names no version known here.
    #[error("entry of format version {0}, this is version {VERSION}")]
    Version(u8),
    /// The blob ends within an envelope.
    #[error("entry ends within an envelope")]
    Short,
    /// An envelope came by no road known here.
    #[error("envelope of unknown road {0}")]
    Road(u8),
}

/// Builds one entry; envelopes are appended to one growing blob.
#[derive(Debug, Default)]
pub struct EntryBuilder {
    blob: BytesMut,
    envelopes: u32,
}

impl EntryBuilder {
    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.blob.len()
    }

    /// Whether no envelope was put in.
    pub fn is_empty(&self) -> bool {
        self.envelopes == 0
    }

    /// Appends an envelope, with the facts of the shared log if it was relayed.
    pub fn push(&mut self, envelope: &Envelope, relayed: Option<Relayed>) {
        if self.blob.is_empty() {
            self.blob.put_bytes(0, HEADER_BYTES);
        }
        self.blob.reserve(ENVELOPE_BYTES + RELAYED_BYTES + envelope.body.len());
        match relayed {
            None => self.blob.put_u8(PROPOSED),
            Some(Relayed { k, prev }) => {
                self.blob.put_u8(RELAYED);
                self.blob.put_u64_le(k.0);
                self.blob.put_u64_le(prev.0);
            }
        }
        self.blob.put_u64_le(envelope.id.client.0);
        self.blob.put_u32_le(envelope.id.epoch);
        self.blob.put_u32_le(envelope.id.run);
        self.blob.put_u32_le(envelope.id.i);
        self.blob.put_u64_le(envelope.destinations.bits());
        let length = u32::try_from(envelope.body.len()).expect("a command is smaller than 4 GiB");
        self.blob.put_u32_le(length);
        self.blob.put_slice(&envelope.body);
        self.envelopes += 1;
    }

    /// The finished entry, stamped with the proposer's times; the builder is empty again.
    pub fn take(&mut self, time: EntryTime) -> Bytes {
        assert!(!self.is_empty(), "an entry holds at least one envelope");
        self.envelopes = 0;
        let mut blob = self.blob.split();
        blob[0] = VERSION;
        blob[1..9].copy_from_slice(&time.wall_ms.to_le_bytes());
        blob[9..HEADER_BYTES].copy_from_slice(&time.age_ms.to_le_bytes());
        blob.freeze()
    }
}

/// Iterates the envelopes of one entry in place: bodies are slices of the entry.
#[derive(Clone, Debug)]
pub struct Entry {
    rest: Bytes,
    time: EntryTime,
}

impl Entry {
    /// An entry of no envelopes, which moves no position: a ring's leader appends it where a tail
    /// stays undecided, so that what was lost is missed.
    pub fn heartbeat() -> Bytes {
        const HEARTBEAT: [u8; HEADER_BYTES] = [VERSION, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        Bytes::from_static(&HEARTBEAT)
    }

    /// Reads the header of an entry.
    pub fn open(mut blob: Bytes) -> Result<Entry, MalformedEntry> {
        if blob.len() < HEADER_BYTES {
            return Err(MalformedEntry::Short);
        }
        match blob.get_u8() {
            VERSION => {
                let time = EntryTime { wall_ms: blob.get_u64_le(), age_ms: blob.get_u64_le() };
                Ok(Entry { time, rest: blob })
            }
            other => Err(MalformedEntry::Version(other)),
        }
    }

    /// The proposer's times.
    pub fn time(&self) -> EntryTime {
        self.time
    }

    /// The next envelope and, if it was relayed, its place in the shared log.
    pub fn next_envelope(&mut self) -> Result<Option<(Envelope, Option<Relayed>)>, MalformedEntry> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let relayed = self.road()?;
        self.need(ENVELOPE_BYTES - 1)?;
        let id = CommandId {
            client: ClientId(self.rest.get_u64_le()),
            epoch: self.rest.get_u32_le(),
            run: self.rest.get_u32_le(),
            i: self.rest.get_u32_le(),
        };
        let destinations = Destinations::from_bits(self.rest.get_u64_le());
        let length = self.rest.get_u32_le() as usize;
        self.need(length)?;
        Ok(Some((Envelope { id, destinations, body: self.rest.split_to(length) }, relayed)))
    }

    fn road(&mut self) -> Result<Option<Relayed>, MalformedEntry> {
        match self.rest.get_u8() {
            PROPOSED => Ok(None),
            RELAYED => {
                self.need(RELAYED_BYTES)?;
                let (k, prev) = (SharedIndex(self.rest.get_u64_le()), SharedIndex(self.rest.get_u64_le()));
                Ok(Some(Relayed { k, prev }))
            }
            other => Err(MalformedEntry::Road(other)),
        }
    }

    fn need(&self, bytes: usize) -> Result<(), MalformedEntry> {
        if self.rest.len() < bytes { Err(MalformedEntry::Short) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PartitionId;
    use proptest::prelude::*;

    fn envelope(i: u32, body: &[u8]) -> Envelope {
        let id = CommandId { client: ClientId(7), epoch: 1, run: 2, i };
        Envelope { id, destinations: PartitionId(1).into(), body: Bytes::copy_from_slice(body) }
    }

    fn all(blob: Bytes) -> Result<Vec<(Envelope, Option<Relayed>)>, MalformedEntry> {
        let mut entry = Entry::open(blob)?;
        std::iter::from_fn(|| entry.next_envelope().transpose()).collect()
    }

    #[test]
    fn the_format_is_fixed() {
        let mut builder = EntryBuilder::default();
        builder.push(&envelope(3, b"ab"), None);
        builder.push(&envelope(4, b""), Some(Relayed { k: SharedIndex(9), prev: SharedIndex(8) }));
        let hex: String = builder
            .take(EntryTime { wall_ms: 0x0102, age_ms: 0x0304 })
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(
            hex,
            "0202010000000000000403000000000000\
             00070000000000000001000000020000000300000002000000000000000200000061\
             62\
             010900000000000000080000000000000007000000000000000100000002000000\
             04000000020000000000000000000000"
        );
    }

    #[test]
    fn a_heartbeat_is_an_entry_of_no_envelopes() {
        assert_eq!(Entry::open(Entry::heartbeat()).expect("a header").time(), EntryTime::default());
        assert_eq!(all(Entry::heartbeat()), Ok(Vec::new()));
    }

    proptest! {
        #[test]
        fn what_is_put_in_comes_out(bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..20), time in any::<(u64, u64)>()) {
            let mut builder = EntryBuilder::default();
            let put: Vec<_> = bodies.iter().enumerate().map(|(i, body)| {
                let relayed = (i % 3 == 0).then_some(Relayed { k: SharedIndex(i as u64 + 1), prev: SharedIndex(i as u64) });
                (envelope(i as u32, body), relayed)
            }).collect();
            for (envelope, relayed) in &put { builder.push(envelope, *relayed); }
            let time = EntryTime { wall_ms: time.0, age_ms: time.1 };
            let blob = builder.take(time);
            prop_assert_eq!(Entry::open(blob.clone()).expect("a header").time(), time);
            prop_assert_eq!(all(blob).expect("an entry"), put);
        }

        #[test]
        fn foreign_bytes_are_an_error_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = all(Bytes::from(bytes));
        }
    }
}
