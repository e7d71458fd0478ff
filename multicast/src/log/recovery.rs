//! Reading the log again after a restart.

use std::sync::Arc;

use bytes::Bytes;

use super::block::{BlockHeader, HEADER_BYTES, PAGE_BYTES};
use super::error::LogError;
use super::limits::LogLimits;
use super::position::LogPosition;
use super::record::Records;
use super::rings::Rings;
use super::segment::{BadHeader, LogNonce, Segment, SegmentHeader, Segments};
use crate::branches::{BEHIND_END_CLEARED, TORN_TAIL, UNBEGUN_SEGMENT};
use crate::disk::{Disk, Generation, SegmentFile};

/// What the log says, and where it ends.
#[derive(Debug, Default)]
pub(crate) struct Recovered {
    pub(crate) rings: Rings,
    pub(crate) segments: Segments,
    pub(crate) end: LogPosition,
    /// The checksum of the last block.
    pub(crate) chain: u32,
    /// The highest generation there has been.
    pub(crate) generation: Generation,
}

/// Reads the log, cuts off a torn tail, and makes sure that what was read is durable.
pub(crate) fn recover(disk: &dyn Disk, limits: &LogLimits, nonce: LogNonce) -> Result<Recovered, LogError> {
    let mut files = disk
        .segments()
        .map_err(|source| LogError::Disk { file: "list".to_string(), source: Arc::new(source) })?;
    let mut recovery = Recovery { disk, limits, nonce, read: Recovered::default(), last: None };
    recovery.read.generation = files.last().map_or(Generation::default(), |file| file.generation);
    let unbegun = recovery.unbegun(&files)?;
    files.pop_if(|file| Some(file.generation) == unbegun);
    for (at, file) in files.iter().enumerate() {
        recovery.segment(file, at == 0)?;
    }
    recovery.begins_where_it_should()?;
    recovery.finish()?;
    recovery.remove(unbegun)?;
    Ok(recovery.read)
}

struct Recovery<'a> {
    disk: &'a dyn Disk,
    limits: &'a LogLimits,
    nonce: LogNonce,
    read: Recovered,
    last: Option<Last>,
}

/// The segment read last, with what is written once more.
struct Last {
    header: SegmentHeader,
    /// The last block in it.
    block: Option<(u64, Bytes)>,
}

impl Recovery<'_> {
    /// The last file if the process died while it was made a segment: then it has no header, and no block that a header
    /// had preceded.
    fn unbegun(&self, files: &[SegmentFile]) -> Result<Option<Generation>, LogError> {
        let Some(file) = files.last() else { return Ok(None) };
        if self.header(file)?.is_some() {
            return Ok(None);
        }
        for offset in (PAGE_BYTES as u64..file.bytes).step_by(PAGE_BYTES) {
            if self.block(file.generation, offset, file.bytes)?.is_some() {
                return Err(LogError::corrupt(self.disk, file.generation, 0, "a bad header before blocks"));
            }
        }
        Ok(Some(file.generation))
    }

    /// Removes the file that was not begun. A log that is refused keeps it: without it the file before would be the last
    /// one, and might be taken for one that was not begun.
    fn remove(&self, unbegun: Option<Generation>) -> Result<(), LogError> {
        let Some(generation) = unbegun else { return Ok(()) };
        UNBEGUN_SEGMENT.reached();
        self.disk.remove(generation).map_err(|error| self.failed(generation, error))
    }

    fn header(&self, file: &SegmentFile) -> Result<Option<SegmentHeader>, LogError> {
        match SegmentHeader::decode(&self.read(file.generation, 0, PAGE_BYTES)?) {
            Ok(header) if header.nonce != self.nonce => {
                Err(LogError::Foreign { file: self.disk.describe(file.generation) })
            }
            Ok(header) if header.segment.may_be(file.generation) => Ok(Some(header)),
            Ok(_) | Err(BadHeader::Broken) => Ok(None),
            Err(BadHeader::Version(found)) => Err(LogError::Version {
                file: self.disk.describe(file.generation),
                found,
                known: super::block::VERSION,
            }),
        }
    }

    fn segment(&mut self, file: &SegmentFile, is_first: bool) -> Result<(), LogError> {
        let Some(header) = self.header(file)? else {
            return Err(LogError::corrupt(
                self.disk,
                file.generation,
                0,
                "a bad header before another segment",
            ));
        };
        if is_first {
            self.read.end = header.segment.first;
            self.read.chain = header.previous;
        }
        self.continues_at(&header)?;
        self.read.segments.push(header.segment);
        self.last = Some(Last { header, block: None });
        self.blocks(&header.segment)
    }

    /// A segment that does not begin where the blocks before it end proves that there were more.
    fn continues_at(&self, header: &SegmentHeader) -> Result<(), LogError> {
        if header.segment.first == self.read.end && header.previous == self.read.chain {
            return Ok(());
        }
        let (segment, offset) = match &self.last {
            Some(last) if last.header.segment.generation.next() != header.segment.generation => {
                return Err(self.missing_before(&header.segment));
            }
            Some(last) => (last.header.segment.generation, last.header.segment.offset_of(self.read.end)),
            None => (header.segment.generation, 0),
        };
        Err(LogError::corrupt(self.disk, segment, offset, "a bad block, and another segment follows it"))
    }

    /// The first segment follows nothing, or segments that were given up: else they are missing.
    fn begins_where_it_should(&self) -> Result<(), LogError> {
        let first = self.read.segments.first().filter(|first| first.first > self.read.rings.begin());
        first.map_or(Ok(()), |first| Err(self.missing_before(first)))
    }

    fn missing_before(&self, next: &Segment) -> LogError {
        let before = Generation(next.generation.0.saturating_sub(1));
        LogError::Missing { file: self.disk.describe(before), next: self.disk.describe(next.generation) }
    }

    fn blocks(&mut self, segment: &Segment) -> Result<(), LogError> {
        loop {
            let offset = segment.offset_of(self.read.end);
            match self.block_in(segment, offset)? {
                Some((header, block)) if header.previous == self.read.chain => {
                    self.records(segment, offset, &block)?;
                    self.read.end = self.read.end.after(header.padded_bytes());
                    self.read.chain = header.checksum;
                    if let Some(last) = &mut self.last {
                        last.block = Some((offset, block));
                    }
                }
                _ => return Ok(()),
            }
        }
    }

    fn records(&mut self, segment: &Segment, offset: u64, block: &Bytes) -> Result<(), LogError> {
        for record in Records::new(block, HEADER_BYTES) {
            let Ok((at, record)) = record else {
                return Err(LogError::corrupt(
                    self.disk,
                    segment.generation,
                    offset,
                    "a record of unknown form",
                ));
            };
            if self.read.rings.apply(self.read.end.after(at), record).is_err() {
                if let Some(first) = self.read.segments.first().filter(|first| first.first.0 > 0) {
                    return Err(self.missing_before(first));
                }
                return Err(LogError::corrupt(self.disk, segment.generation, offset, "an entry after a gap"));
            }
        }
        self.read.rings.evict(self.limits.cache_bytes, LogPosition(u64::MAX));
        Ok(())
    }

    /// Settles the end of the last segment: refuses if the log went on there, clears it if not.
    fn finish(&mut self) -> Result<(), LogError> {
        let Some(last) = self.last.take() else { return Ok(()) };
        let segment = last.header.segment;
        let end = segment.offset_of(self.read.end);
        for offset in (end..segment.capacity).step_by(PAGE_BYTES) {
            if self.block_in(&segment, offset)?.is_some() {
                let what = "a bad block, and a good one follows it";
                return Err(LogError::corrupt(self.disk, segment.generation, end, what));
            }
        }
        self.clear(&segment, end)?;
        self.write_again(&last)
    }

    /// Zeros everything behind the end: what was cut off must never be found again.
    fn clear(&self, segment: &Segment, end: u64) -> Result<(), LogError> {
        let torn = self.block_header(segment.generation, end)?;
        let mut cleared = 0;
        for offset in (end..segment.capacity).step_by(PAGE_BYTES) {
            let mut page = [0; PAGE_BYTES];
            let there = self.read_into(segment.generation, offset, &mut page)?;
            if there < PAGE_BYTES || page.iter().any(|byte| *byte != 0) {
                self.write(segment.generation, offset, &[0; PAGE_BYTES])?;
                cleared += 1;
            }
        }
        let file = self.disk.describe(segment.generation);
        if torn.is_some_and(|header| header.position == self.read.end) {
            TORN_TAIL.reached();
            tracing::warn!(file, offset = end, "cut off the torn tail of the log");
        } else if cleared > 0 {
            BEHIND_END_CLEARED.reached();
            tracing::warn!(
                file,
                offset = end,
                pages = cleared,
                "cleared what stood behind the end of the log"
            );
        }
        Ok(())
    }

    fn write_again(&self, last: &Last) -> Result<(), LogError> {
        let segment = last.header.segment.generation;
        self.write(segment, 0, &last.header.encode())?;
        if let Some((offset, block)) = &last.block {
            self.write(segment, *offset, block)?;
        }
        self.disk.sync(segment).map_err(|error| self.failed(segment, error))
    }

    /// The block at an offset of a segment, if it is whole and belongs there.
    fn block_in(&self, segment: &Segment, offset: u64) -> Result<Option<(BlockHeader, Bytes)>, LogError> {
        let block = self.block(segment.generation, offset, segment.capacity)?;
        Ok(block.filter(|(header, _)| segment.position_at(offset) == header.position))
    }

    /// The block at an offset, if it is whole and of this generation.
    fn block(
        &self,
        segment: Generation,
        offset: u64,
        capacity: u64,
    ) -> Result<Option<(BlockHeader, Bytes)>, LogError> {
        let Some(header) = self.block_header(segment, offset)? else { return Ok(None) };
        if offset + header.padded_bytes() as u64 > capacity {
            return Ok(None);
        }
        let block = self.read(segment, offset, header.length as usize)?;
        Ok(header.is_checksum_of(&block).then(|| (header, Bytes::from(block))))
    }

    fn block_header(&self, segment: Generation, offset: u64) -> Result<Option<BlockHeader>, LogError> {
        let page = self.read(segment, offset, HEADER_BYTES)?;
        Ok(BlockHeader::decode(&page).filter(|header| header.generation == segment))
    }

    /// Reads bytes; where the file ends early, zeros.
    fn read(&self, segment: Generation, offset: u64, length: usize) -> Result<Vec<u8>, LogError> {
        let mut bytes = vec![0; length];
        self.read_into(segment, offset, &mut bytes)?;
        Ok(bytes)
    }

    fn read_into(&self, segment: Generation, offset: u64, into: &mut [u8]) -> Result<usize, LogError> {
        let unread = |error| LogError::unread(self.disk, segment, offset, error);
        self.disk.read_at(segment, offset, into).map_err(unread)
    }

    fn write(&self, segment: Generation, offset: u64, bytes: &[u8]) -> Result<(), LogError> {
        self.disk.write_at(segment, offset, bytes).map_err(|error| self.failed(segment, error))
    }

    fn failed(&self, segment: Generation, error: std::io::Error) -> LogError {
        LogError::disk(self.disk, segment, error)
    }
}
