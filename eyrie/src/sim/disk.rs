//! A machine's disk: one in memory, that remembers where it was written last.

use multicast::disk::{Disk, Generation, MemoryDisk, SegmentFile};
use rand::Rng as _;
use rand::rngs::SmallRng;
use std::collections::VecDeque;
use std::io;
use std::sync::{Mutex, PoisonError};

/// How many writes are remembered.
const WRITES_MAX: usize = 64;

/// A disk whose older bytes can be damaged.
#[derive(Debug, Default)]
pub struct SimDisk {
    memory: MemoryDisk,
    /// Where blocks were written, and how many bytes.
    writes: Mutex<VecDeque<(Generation, u64, usize)>>,
}

impl SimDisk {
    /// The disk behind it.
    pub fn memory(&self) -> &MemoryDisk {
        &self.memory
    }

    /// A copy of what it holds now.
    pub fn copy(&self) -> SimDisk {
        let writes = self.writes.lock().unwrap_or_else(PoisonError::into_inner);
        SimDisk { memory: self.memory.copy(), writes: Mutex::new(writes.clone()) }
    }

    /// Flips a bit of a block that was synced, and not of the last one: that cannot be told from a torn one (see the log's
    /// chapter). Says whether there was one.
    pub fn rot(&self, rng: &mut SmallRng) -> bool {
        let writes = self.writes.lock().unwrap_or_else(PoisonError::into_inner);
        let older = writes.len().saturating_sub(3);
        if older == 0 {
            return false;
        }
        let (segment, offset, bytes) = writes[rng.random_range(0..older)];
        self.memory.rot(segment, offset + rng.random_range(0..bytes as u64));
        true
    }
}

impl Disk for SimDisk {
    fn segments(&self) -> io::Result<Vec<SegmentFile>> {
        self.memory.segments()
    }

    fn create(&self, segment: Generation, bytes: u64) -> io::Result<()> {
        self.memory.create(segment, bytes)
    }

    fn rename(&self, from: Generation, to: Generation) -> io::Result<()> {
        self.memory.rename(from, to)
    }

    fn remove(&self, segment: Generation) -> io::Result<()> {
        self.memory.remove(segment)
    }

    fn read_at(&self, segment: Generation, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.memory.read_at(segment, offset, into)
    }

    fn write_at(&self, segment: Generation, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.memory.write_at(segment, offset, bytes)?;
        let mut writes = self.writes.lock().unwrap_or_else(PoisonError::into_inner);
        if offset > 0 {
            writes.push_back((segment, offset, bytes.len()));
        }
        if writes.len() > WRITES_MAX {
            writes.pop_front();
        }
        Ok(())
    }

    fn sync(&self, segment: Generation) -> io::Result<()> {
        self.memory.sync(segment)
    }

    fn describe(&self, segment: Generation) -> String {
        self.memory.describe(segment)
    }
}
