//! A disk that is slower than it is, by the same time at every sync.
#![allow(clippy::disallowed_methods, reason = "an edge: it waits in real time")]

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::{Disk, Generation, SegmentFile};

/// A disk whose syncs take so much longer: then the log is what limits a node, and not the cores it shares with others.
pub struct SlowDisk {
    disk: Arc<dyn Disk>,
    delay: Duration,
}

impl SlowDisk {
    /// The same disk, every sync of which takes `delay` longer.
    pub fn new(disk: Arc<dyn Disk>, delay: Duration) -> SlowDisk {
        SlowDisk { disk, delay }
    }
}

impl Disk for SlowDisk {
    fn segments(&self) -> io::Result<Vec<SegmentFile>> {
        self.disk.segments()
    }

    fn create(&self, segment: Generation, bytes: u64) -> io::Result<()> {
        self.disk.create(segment, bytes)
    }

    fn rename(&self, from: Generation, to: Generation) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, segment: Generation) -> io::Result<()> {
        self.disk.remove(segment)
    }

    fn read_at(&self, segment: Generation, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.disk.read_at(segment, offset, into)
    }

    fn write_at(&self, segment: Generation, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.disk.write_at(segment, offset, bytes)
    }

    fn sync(&self, segment: Generation) -> io::Result<()> {
        std::thread::sleep(self.delay);
        self.disk.sync(segment)
    }

    fn describe(&self, segment: Generation) -> String {
        self.disk.describe(segment)
    }
}
