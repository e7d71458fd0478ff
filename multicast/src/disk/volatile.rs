//! A disk that a power failure can be tried on.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Disk, Generation, SegmentFile};

/// Keeps what was written and not synced in this process, so that SIGKILL loses it as a power failure would. With the
/// disk underneath alone it would live on in the system's page cache, and a missing sync would never be seen.
///
/// Names are not kept back: creating, renaming and removing are durable when they return, and nobody syncs after them.
/// Whether the disk underneath keeps its word there is not tried.
pub struct VolatileDisk {
    disk: Arc<dyn Disk>,
    /// Segments with something that is not synced.
    unsynced: Mutex<BTreeMap<Generation, Vec<Write>>>,
}

struct Write {
    offset: u64,
    bytes: Vec<u8>,
}

impl Write {
    fn end(&self) -> u64 {
        self.offset + self.bytes.len() as u64
    }

    /// Copies what it has of the bytes from `offset` on.
    fn show(&self, offset: u64, into: &mut [u8]) {
        let (from, to) = (self.offset.max(offset), self.end().min(offset + into.len() as u64));
        if from < to {
            let seen = &self.bytes[(from - self.offset) as usize..(to - self.offset) as usize];
            into[(from - offset) as usize..(to - offset) as usize].copy_from_slice(seen);
        }
    }
}

impl VolatileDisk {
    /// The same disk, on which nothing is there after a kill but what was synced.
    pub fn new(disk: Arc<dyn Disk>) -> VolatileDisk {
        VolatileDisk { disk, unsynced: Mutex::default() }
    }

    fn unsynced(&self) -> MutexGuard<'_, BTreeMap<Generation, Vec<Write>>> {
        self.unsynced.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the last of them ends, which may be behind the end of the file.
fn end(writes: &[Write]) -> u64 {
    writes.iter().map(Write::end).max().unwrap_or(0)
}

impl Disk for VolatileDisk {
    fn segments(&self) -> io::Result<Vec<SegmentFile>> {
        let unsynced = self.unsynced();
        let mut files = self.disk.segments()?;
        for file in &mut files {
            file.bytes = file.bytes.max(unsynced.get(&file.generation).map_or(0, |writes| end(writes)));
        }
        Ok(files)
    }

    fn create(&self, segment: Generation, bytes: u64) -> io::Result<()> {
        self.disk.create(segment, bytes)
    }

    fn rename(&self, from: Generation, to: Generation) -> io::Result<()> {
        let mut unsynced = self.unsynced();
        self.disk.rename(from, to)?;
        if let Some(writes) = unsynced.remove(&from) {
            unsynced.insert(to, writes);
        }
        Ok(())
    }

    fn remove(&self, segment: Generation) -> io::Result<()> {
        let mut unsynced = self.unsynced();
        self.disk.remove(segment)?;
        unsynced.remove(&segment);
        Ok(())
    }

    fn read_at(&self, segment: Generation, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let unsynced = self.unsynced();
        let there = self.disk.read_at(segment, offset, into)?;
        let Some(writes) = unsynced.get(&segment) else { return Ok(there) };
        let length = (end(writes).saturating_sub(offset)).min(into.len() as u64) as usize;
        let length = length.max(there);
        into[there..length].fill(0);
        writes.iter().for_each(|write| write.show(offset, &mut into[..length]));
        Ok(length)
    }

    fn write_at(&self, segment: Generation, offset: u64, bytes: &[u8]) -> io::Result<()> {
        // Whether there is such a file is known now: the error must not wait for the sync.
        self.disk.read_at(segment, offset, &mut [])?;
        self.unsynced().entry(segment).or_default().push(Write { offset, bytes: bytes.to_vec() });
        Ok(())
    }

    fn sync(&self, segment: Generation) -> io::Result<()> {
        // Reads find the bytes here or there at any moment, and do not wait for the disk.
        let mut unsynced = self.unsynced();
        for write in unsynced.get(&segment).into_iter().flatten() {
            self.disk.write_at(segment, write.offset, &write.bytes)?;
        }
        unsynced.remove(&segment);
        drop(unsynced);
        self.disk.sync(segment)
    }

    fn describe(&self, segment: Generation) -> String {
        self.disk.describe(segment)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::disk::{FileDisk, MemoryDisk};
    use crate::log::{LogLimits, LogNonce, NodeLog};
    use crate::ring_id::RingId;

    const SEGMENT: Generation = Generation(1);

    fn read(disk: &dyn Disk, segment: Generation, length: usize) -> Vec<u8> {
        let mut bytes = vec![7; length];
        let there = disk.read_at(segment, 0, &mut bytes).unwrap();
        bytes.truncate(there);
        bytes
    }

    #[test]
    fn what_was_not_synced_is_gone_with_the_process_and_what_was_is_there() {
        let directory = tempfile::tempdir().unwrap();
        let open = || VolatileDisk::new(Arc::new(FileDisk::open(directory.path()).unwrap()));
        let disk = open();
        disk.create(SEGMENT, 10).unwrap();
        disk.write_at(SEGMENT, 0, b"synced").unwrap();
        disk.sync(SEGMENT).unwrap();
        disk.write_at(SEGMENT, 3, b"lost").unwrap();
        disk.write_at(SEGMENT, 4, b"O").unwrap();
        assert_eq!(read(&disk, SEGMENT, 10), b"synlOst\0\0\0", "reads see the newest bytes");
        drop(disk);
        assert_eq!(read(&open(), SEGMENT, 10), b"synced\0\0\0\0");
    }

    #[test]
    fn a_file_takes_what_is_not_synced_to_its_new_name() {
        let disk = VolatileDisk::new(Arc::new(MemoryDisk::new()));
        disk.create(SEGMENT, 4).unwrap();
        disk.write_at(SEGMENT, 0, b"name").unwrap();
        disk.rename(SEGMENT, Generation(2)).unwrap();
        assert!(disk.write_at(SEGMENT, 0, b"?").is_err(), "nothing has that name any more");
        assert_eq!(read(&disk, Generation(2), 9), b"name");
        disk.remove(Generation(2)).unwrap();
        disk.create(Generation(2), 4).unwrap();
        assert_eq!(read(&disk, Generation(2), 9), [0; 4], "another file of the same name");
    }

    #[test]
    fn a_file_that_was_cut_short_grows_by_what_is_written_behind_its_end() {
        let disk = VolatileDisk::new(Arc::new(MemoryDisk::new()));
        disk.create(SEGMENT, 2).unwrap();
        disk.write_at(SEGMENT, 4, b"end").unwrap();
        assert_eq!(read(&disk, SEGMENT, 9), b"\0\0\0\0end");
        assert_eq!(disk.segments().unwrap(), [SegmentFile { generation: SEGMENT, bytes: 7 }]);
        disk.sync(SEGMENT).unwrap();
        assert_eq!(read(disk.disk.as_ref(), SEGMENT, 9), b"\0\0\0\0end");
    }

    #[test]
    fn a_log_finds_what_its_writer_has_synced_and_not_what_it_has_only_written() {
        let files = Arc::new(MemoryDisk::new());
        let recover = || {
            let disk: Arc<dyn Disk> = Arc::new(VolatileDisk::new(files.clone()));
            (NodeLog::recover(disk.clone(), LogLimits::default(), LogNonce::default()).unwrap(), disk)
        };
        let (mut log, disk) = recover();
        for entry in 0..2 {
            log.append(RingId(0), entry, Bytes::from_static(b"entry"));
            let buffer = log.take_buffer().unwrap();
            if entry == 0 {
                buffer.write(disk.as_ref()).unwrap();
                log.synced(buffer.position());
            } else {
                disk.write_at(buffer.segment, buffer.offset, &buffer.bytes).unwrap();
            }
        }
        assert_eq!(recover().0.len(RingId(0)), 1);
    }
}
