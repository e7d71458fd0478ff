//! A disk that a test can fill.
#![allow(clippy::disallowed_methods, reason = "an edge: looks for a real file")]

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::{Disk, Generation, SegmentFile};

/// A disk that is full as long as a file stands at some path: then nothing can be created or written on it, as on a
/// device that has no room left. What is there is read, renamed, removed and synced as ever.
pub struct LimitedDisk {
    disk: Arc<dyn Disk>,
    marker: PathBuf,
}

impl LimitedDisk {
    /// The same disk, full while there is something at `marker`.
    pub fn new(disk: Arc<dyn Disk>, marker: PathBuf) -> LimitedDisk {
        LimitedDisk { disk, marker }
    }

    fn grow(&self) -> io::Result<()> {
        if self.marker.exists() { Err(io::Error::from(io::ErrorKind::StorageFull)) } else { Ok(()) }
    }
}

impl Disk for LimitedDisk {
    fn segments(&self) -> io::Result<Vec<SegmentFile>> {
        self.disk.segments()
    }

    fn create(&self, segment: Generation, bytes: u64) -> io::Result<()> {
        self.grow()?;
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
        self.grow()?;
        self.disk.write_at(segment, offset, bytes)
    }

    fn sync(&self, segment: Generation) -> io::Result<()> {
        self.disk.sync(segment)
    }

    fn describe(&self, segment: Generation) -> String {
        self.disk.describe(segment)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::disk::MemoryDisk;

    #[test]
    fn a_disk_is_full_while_the_file_is_there() {
        let directory = tempfile::tempdir().unwrap();
        let marker = directory.path().join("full");
        let disk = LimitedDisk::new(Arc::new(MemoryDisk::new()), marker.clone());
        disk.create(Generation(1), 4).unwrap();
        fs::write(&marker, "").unwrap();
        let refused = [disk.create(Generation(2), 4), disk.write_at(Generation(1), 0, b"more")];
        assert_eq!(refused.map(|refused| refused.unwrap_err().kind()), [io::ErrorKind::StorageFull; 2]);
        disk.sync(Generation(1)).unwrap();
        let mut there = [1; 4];
        assert_eq!(disk.read_at(Generation(1), 0, &mut there).unwrap(), 4);
        assert_eq!(there, [0; 4], "what was refused is not there");
        fs::remove_file(&marker).unwrap();
        disk.write_at(Generation(1), 0, b"more").unwrap();
        disk.create(Generation(2), 4).unwrap();
    }
}
