//! A segment: one file of the log.
//!
//! ```text
//!   0 magic "vseg"      8 generation            24 capacity of the file    36 crc32c of 0..36
//!   4 version 6 zero   16 position of the       32 checksum of the block   40 nonce of the log
//!                         first block              before the first        56 crc32c of 0..56
//!                                                                          60 whatever, up to 4096; then blocks
//! ```
//! Later versions keep the first 40 bytes, so that another version is recognised.

use std::collections::VecDeque;

use bytes::{Buf, BufMut};

use super::block::{PAGE_BYTES, VERSION};
use super::position::LogPosition;
use crate::disk::Generation;

const MAGIC: &[u8; 4] = b"vseg";
const CHECKED_BYTES: usize = 36;
const NONCE_AT: usize = 40;
const NONCE_CHECKSUM_AT: usize = 56;
const HEADER_BYTES: usize = 60;

/// Drawn when a node's directory is set up, and the same in all segments of its log: one of another log is told by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogNonce(pub [u8; 16]);

/// One file of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) generation: Generation,
    /// Where its first block stands.
    pub(crate) first: LogPosition,
    /// The size of the file.
    pub(crate) capacity: u64,
}

/// What the first page of a segment says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) segment: Segment,
    /// The checksum of the block before the first.
    pub(crate) previous: u32,
    /// Whose segment it is.
    pub(crate) nonce: LogNonce,
}

/// Why a page is no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadHeader {
    /// It was not written, or not whole, or is damaged.
    Broken,
    /// It is one, of this version.
    Version(u16),
}

impl Segment {
    /// Where in the file a position is that lies in this segment.
    pub(crate) fn offset_of(&self, position: LogPosition) -> u64 {
        PAGE_BYTES as u64 + (position.0 - self.first.0)
    }

    /// The position that lies at an offset behind the header.
    pub(crate) fn position_at(&self, offset: u64) -> LogPosition {
        LogPosition(self.first.0 + (offset - PAGE_BYTES as u64))
    }

    /// Whether a file of this name may be the segment: its positions can be counted.
    pub(crate) fn may_be(&self, file: Generation) -> bool {
        self.generation == file && self.first.0.checked_add(self.capacity).is_some()
    }

    /// The size of a segment that holds one block of `bytes`.
    pub(crate) fn capacity_for(bytes: usize) -> u64 {
        (PAGE_BYTES + bytes) as u64
    }

    /// Whether `bytes` fit in from `position` on.
    pub(crate) fn has_room(&self, position: LogPosition, bytes: usize) -> bool {
        self.offset_of(position) + bytes as u64 <= self.capacity
    }
}

impl SegmentHeader {
    /// The first page of the file.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut page = Vec::with_capacity(PAGE_BYTES);
        page.put_slice(MAGIC);
        page.put_u16_le(VERSION);
        page.put_u16_le(0);
        page.put_u64_le(self.segment.generation.0);
        page.put_u64_le(self.segment.first.0);
        page.put_u64_le(self.segment.capacity);
        page.put_u32_le(self.previous);
        page.put_u32_le(crc32c::crc32c(&page));
        page.put_slice(&self.nonce.0);
        page.put_u32_le(crc32c::crc32c(&page));
        page.resize(PAGE_BYTES, 0);
        page
    }

    pub(crate) fn decode(page: &[u8]) -> Result<SegmentHeader, BadHeader> {
        if page.len() < HEADER_BYTES || !page.starts_with(MAGIC) {
            return Err(BadHeader::Broken);
        }
        let (mut checked, mut checksum) = page[..NONCE_AT].split_at(CHECKED_BYTES);
        if crc32c::crc32c(checked) != checksum.get_u32_le() {
            return Err(BadHeader::Broken);
        }
        checked.advance(MAGIC.len());
        let version = checked.get_u16_le();
        if version != VERSION {
            return Err(BadHeader::Version(version));
        }
        let (all, mut checksum) = page[..HEADER_BYTES].split_at(NONCE_CHECKSUM_AT);
        if crc32c::crc32c(all) != checksum.get_u32_le() {
            return Err(BadHeader::Broken);
        }
        checked.advance(2);
        let segment = Segment {
            generation: Generation(checked.get_u64_le()),
            first: LogPosition(checked.get_u64_le()),
            capacity: checked.get_u64_le(),
        };
        let mut nonce = LogNonce::default();
        nonce.0.copy_from_slice(&page[NONCE_AT..NONCE_CHECKSUM_AT]);
        Ok(SegmentHeader { segment, previous: checked.get_u32_le(), nonce })
    }
}

/// The segments of the log, oldest first: each begins where the one before it ends.
#[derive(Debug, Default)]
pub(crate) struct Segments(VecDeque<Segment>);

impl Segments {
    pub(crate) fn push(&mut self, segment: Segment) {
        assert!(
            self.0.back().is_none_or(|last| last.first <= segment.first),
            "segments begin one after the other"
        );
        self.0.push_back(segment);
    }

    /// The oldest.
    pub(crate) fn first(&self) -> Option<&Segment> {
        self.0.front()
    }

    /// The segment that is written.
    pub(crate) fn last(&self) -> Option<&Segment> {
        self.0.back()
    }

    /// The segment and offset in it of a position that the log still holds.
    pub(crate) fn find(&self, position: LogPosition) -> (Generation, u64) {
        let after = self.0.partition_point(|segment| segment.first <= position);
        assert!(after > 0, "position {position} lies in a segment that was given up");
        let segment = &self.0[after - 1];
        (segment.generation, segment.offset_of(position))
    }

    /// Where the segments begin that would be left if all that end at or before `needed` were given up. The last one is
    /// always left.
    pub(crate) fn begin_of(&self, needed: LogPosition) -> LogPosition {
        let after = self.0.partition_point(|segment| segment.first <= needed);
        self.0.get(after.saturating_sub(1)).map_or(needed, |segment| segment.first)
    }

    /// Takes out the oldest segment if it ends at or before `begin`.
    pub(crate) fn pop_before(&mut self, begin: LogPosition) -> Option<Segment> {
        let second = self.0.get(1)?;
        if second.first <= begin { self.0.pop_front() } else { None }
    }
}
