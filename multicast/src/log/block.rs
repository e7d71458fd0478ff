//! A block: what one buffer is on the disk.
//!
//! ```text
//!   0 magic "vblk"      8 generation   24 length (from the magic to the last record)   32 checksum of 0..32 and
//!   4 version 6 zero   16 position     28 checksum of the block before                    36..length: crc32c
//!  36 records, then zeros up to a multiple of 4096. Integers are little-endian.
//! ```

use crate::faults::TORN_RECORD;
use bytes::{Buf, BufMut};

use super::position::LogPosition;
use super::record::Record;
use crate::disk::Generation;

/// The format version of segments and blocks.
pub(crate) const VERSION: u16 = 3;

/// Blocks begin at multiples of this, so that no write ever touches a page that holds synced bytes.
pub(crate) const PAGE_BYTES: usize = 4096;

const MAGIC: &[u8; 4] = b"vblk";
const CHECKED_BYTES: usize = 32;
pub(crate) const HEADER_BYTES: usize = 36;

/// The header of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockHeader {
    pub(crate) generation: Generation,
    pub(crate) position: LogPosition,
    pub(crate) length: u32,
    pub(crate) previous: u32,
    pub(crate) checksum: u32,
}

impl BlockHeader {
    /// Reads what looks like a header; the checksum is not looked at.
    pub(crate) fn decode(mut bytes: &[u8]) -> Option<BlockHeader> {
        if bytes.len() < HEADER_BYTES || !bytes.starts_with(MAGIC) {
            return None;
        }
        bytes.advance(MAGIC.len());
        if bytes.get_u16_le() != VERSION || bytes.get_u16_le() != 0 {
            return None;
        }
        let header = BlockHeader {
            generation: Generation(bytes.get_u64_le()),
            position: LogPosition(bytes.get_u64_le()),
            length: bytes.get_u32_le(),
            previous: bytes.get_u32_le(),
            checksum: bytes.get_u32_le(),
        };
        (header.length as usize >= HEADER_BYTES).then_some(header)
    }

    /// Whether `block`, which is `length` bytes from the magic on, is what was written.
    pub(crate) fn is_checksum_of(&self, block: &[u8]) -> bool {
        self.checksum == checksum(block) || TORN_RECORD.is_planted()
    }

    /// How much of the log the block takes, its padding included.
    pub(crate) fn padded_bytes(&self) -> usize {
        padded(self.length as usize)
    }
}

/// The records of the turn under way, as they will be written.
#[derive(Debug)]
pub(crate) struct PendingBlock {
    bytes: Vec<u8>,
}

impl PendingBlock {
    pub(crate) fn with_capacity(bytes: usize) -> PendingBlock {
        let mut block = PendingBlock { bytes: Vec::with_capacity(bytes.max(HEADER_BYTES)) };
        block.bytes.resize(HEADER_BYTES, 0);
        block
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.len() == HEADER_BYTES
    }

    /// The size of the block that this would be.
    pub(crate) fn padded_bytes(&self) -> usize {
        padded(self.bytes.len())
    }

    /// Adds a record and returns the offset in the block where it begins.
    pub(crate) fn push(&mut self, record: &Record) -> usize {
        let at = self.bytes.len();
        record.encode(&mut self.bytes);
        at
    }

    /// The block as it is written, and its checksum, which the next block names.
    pub(crate) fn seal(self, generation: Generation, at: LogPosition, previous: u32) -> (Vec<u8>, u32) {
        let mut bytes = self.bytes;
        let length = u32::try_from(bytes.len()).expect("a turn's records are less than 4 GiB");
        let mut header = &mut bytes[..CHECKED_BYTES];
        header.put_slice(MAGIC);
        header.put_u16_le(VERSION);
        header.put_u16_le(0);
        header.put_u64_le(generation.0);
        header.put_u64_le(at.0);
        header.put_u32_le(length);
        header.put_u32_le(previous);
        let checksum = checksum(&bytes);
        bytes[CHECKED_BYTES..HEADER_BYTES].copy_from_slice(&checksum.to_le_bytes());
        bytes.resize(padded(bytes.len()), 0);
        (bytes, checksum)
    }
}

fn checksum(block: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&block[..CHECKED_BYTES]), &block[HEADER_BYTES..])
}

fn padded(bytes: usize) -> usize {
    bytes.next_multiple_of(PAGE_BYTES)
}
