//! A file that is written around the page cache, where the file system allows it.
//!
//! The log writes whole pages, once, and syncs each write; it reads them back after a restart, or for a node that lags.
//! Through the page cache each page would be copied into memory that must be found first, and written from there in the sync:
//! with values of 1,000 bytes that was a third of all CPU time. So whole pages go to the disk directly, from a buffer that is aligned
//! as direct I/O demands. Whatever else is written, and everything on file systems without direct I/O, goes through the
//! cache; the kernel keeps both ways coherent, and one sync covers both.
#![allow(clippy::disallowed_methods, reason = "an edge: reads and writes real files")]

use rustix::fs::OFlags;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Direct I/O is of multiples of this, in the file and in memory.
const PAGE_BYTES: usize = 4_096;
/// The most that goes to the disk in one piece.
const PIECE_BYTES: usize = 1 << 20;
/// How many zeros go to the disk in one piece.
pub(super) const ZEROS_BYTES: usize = 256 << 10;

/// One file, opened in both ways.
#[derive(Debug)]
pub(super) struct DirectFile {
    cached: File,
    direct: Option<File>,
}

impl DirectFile {
    /// Creates an empty file, or empties the one that is there.
    pub(super) fn create(path: &Path) -> io::Result<DirectFile> {
        DirectFile::over(
            path,
            OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?,
        )
    }

    /// Opens a file.
    pub(super) fn open(path: &Path) -> io::Result<DirectFile> {
        DirectFile::over(path, OpenOptions::new().read(true).write(true).open(path)?)
    }

    fn over(path: &Path, cached: File) -> io::Result<DirectFile> {
        let flags = OFlags::DIRECT.bits().cast_signed();
        let direct = match OpenOptions::new().write(true).custom_flags(flags).open(path) {
            Ok(direct) => Some(direct),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => None,
            Err(error) => return Err(error),
        };
        Ok(DirectFile { cached, direct })
    }

    /// The file, to be read and synced.
    pub(super) fn file(&self) -> &File {
        &self.cached
    }

    /// Has the pages written that the cache holds, if there are any: the next sync of another file need not wait for them.
    pub(super) fn let_no_pages_gather(&self) -> io::Result<()> {
        if self.direct.is_some() { Ok(()) } else { self.cached.sync_data() }
    }

    /// Writes all of `bytes`, through `scratch` if they are whole pages.
    pub(super) fn write_all_at(&self, bytes: &[u8], offset: u64, scratch: &mut Scratch) -> io::Result<()> {
        if self.direct.is_none() || !are_pages(bytes.len(), offset) {
            return self.cached.write_all_at(bytes, offset);
        }
        let mut at = offset;
        for piece in bytes.chunks(PIECE_BYTES) {
            self.write_aligned(scratch.aligned(piece), at)?;
            at += piece.len() as u64;
        }
        Ok(())
    }

    /// Writes so many zeros, at most [`ZEROS_BYTES`].
    pub(super) fn write_zeros_at(&self, length: usize, offset: u64) -> io::Result<()> {
        static ZEROS: Aligned<ZEROS_BYTES> = Aligned([0; ZEROS_BYTES]);
        let zeros = &ZEROS.0[..length];
        if are_pages(length, offset) {
            self.write_aligned(zeros, offset)
        } else {
            self.cached.write_all_at(zeros, offset)
        }
    }

    fn write_aligned(&self, pages: &[u8], offset: u64) -> io::Result<()> {
        let Some(direct) = &self.direct else { return self.cached.write_all_at(pages, offset) };
        match direct.write_all_at(pages, offset) {
            // It asks for another alignment, and has written nothing.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                self.cached.write_all_at(pages, offset)
            }
            written => written,
        }
    }
}

fn are_pages(length: usize, offset: u64) -> bool {
    length.is_multiple_of(PAGE_BYTES) && offset.is_multiple_of(PAGE_BYTES as u64)
}

/// Bytes at an address that direct I/O takes.
#[repr(C, align(4096))]
struct Aligned<const BYTES: usize>([u8; BYTES]);

/// Memory that is aligned as direct I/O demands.
#[derive(Debug)]
pub(super) struct Scratch {
    bytes: Vec<u8>,
    begin: usize,
}

impl Scratch {
    /// Memory for one piece.
    pub(super) fn new() -> Scratch {
        let bytes = vec![0; PIECE_BYTES + PAGE_BYTES];
        let begin = bytes.as_ptr().align_offset(PAGE_BYTES);
        Scratch { bytes, begin }
    }

    /// A copy of `bytes`, at most a piece.
    fn aligned(&mut self, bytes: &[u8]) -> &[u8] {
        let copy = &mut self.bytes[self.begin..self.begin + bytes.len()];
        copy.copy_from_slice(bytes);
        copy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_and_other_bytes_are_read_back_in_the_order_written() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("file");
        let file = DirectFile::create(&path).expect("a file");
        let mut scratch = Scratch::new();
        let mut expected = vec![1; 3 * PIECE_BYTES];
        let mut write = |bytes: &[u8], offset: usize| {
            file.write_all_at(bytes, offset as u64, &mut scratch).expect("a write");
            expected[offset..offset + bytes.len()].copy_from_slice(bytes);
            let mut read = vec![0; expected.len()];
            let length = file.file().read_at(&mut read, 0).expect("a read");
            assert_eq!(read[..length], expected[..length]);
        };
        write(&vec![1; 3 * PIECE_BYTES], 0);
        write(b"within a page", 5_000);
        write(&vec![2; 2 * PIECE_BYTES + PAGE_BYTES], PAGE_BYTES);
        write(&[3; 100], PAGE_BYTES + 50);
        write(&[4; PAGE_BYTES], 2 * PAGE_BYTES);
        for (length, offset) in [(3 * PAGE_BYTES, PAGE_BYTES), (100, 2 * PAGE_BYTES - 50)] {
            file.write_zeros_at(length, offset as u64).expect("a write");
            let mut read = vec![1; length];
            file.file().read_exact_at(&mut read, offset as u64).expect("a read");
            assert_eq!(read, vec![0; length]);
        }
        let reopened = DirectFile::open(&path).expect("the file");
        assert_eq!(reopened.file().metadata().expect("the file").len(), 3 * PIECE_BYTES as u64);
    }
}
