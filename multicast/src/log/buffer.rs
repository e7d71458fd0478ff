//! What the log wants written.

use std::io;

use super::position::LogPosition;
use super::segment::SegmentHeader;
use crate::disk::{Disk, Generation};

/// One block and where it goes: all that was appended before it was taken. It is written once, by whoever the host
/// lets write; then the log is told its position.
#[derive(Debug)]
pub struct Buffer {
    pub(crate) segment: Generation,
    pub(crate) offset: u64,
    pub(crate) bytes: Vec<u8>,
    pub(crate) end: LogPosition,
    /// Set if the block begins a segment.
    pub(crate) begin: Option<Box<BeginSegment>>,
}

/// How a segment begins.
#[derive(Debug)]
pub(crate) struct BeginSegment {
    pub(crate) header: SegmentHeader,
    /// The recycled file that becomes the segment.
    pub(crate) reused: Option<Generation>,
    /// Recycled files that are not wanted any more.
    pub(crate) removed: Vec<Generation>,
}

impl Buffer {
    /// What is durable once this is written.
    pub fn position(&self) -> LogPosition {
        self.end
    }

    /// How many bytes it writes.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Writes and syncs it, beginning its segment first if it is the first of one. An error ends the log: what is on
    /// the disk is then for recovery to find out.
    pub fn write(&self, disk: &dyn Disk) -> io::Result<()> {
        if let Some(begin) = &self.begin {
            begin.write(disk)?;
        }
        disk.write_at(self.segment, self.offset, &self.bytes)?;
        disk.sync(self.segment)
    }
}

impl BeginSegment {
    /// The header is synced before the first block is written, so that a block never stands in a segment without one.
    pub(crate) fn write(&self, disk: &dyn Disk) -> io::Result<()> {
        for file in &self.removed {
            disk.remove(*file)?;
        }
        let segment = self.header.segment;
        match self.reused {
            Some(file) => disk.rename(file, segment.generation)?,
            None => disk.create(segment.generation, segment.capacity)?,
        }
        disk.write_at(segment.generation, 0, &self.header.encode())?;
        disk.sync(segment.generation)
    }
}
