//! # The disk
//!
//! All that the write-ahead log wants of a disk: numbered, pre-allocated files that are read and written at an offset
//! and synced. [`FileDisk`] is a directory of real files. [`MemoryDisk`] forgets, tears, rots and fails as real disks
//! do, and does it again for the same seed. [`DataDirectory`] is the directory a node owns: it holds the lock that
//! keeps a second process out and the identity that keeps another node's configuration out. With the feature `faults`,
//! which the shipped binary lacks, a real disk can lose what was not synced, be full and be slow as well, each by a disk around it.
//!
//! Offsets and lengths are bytes. The calls take `&self`, because the log reads old entries while its writer's thread
//! writes new ones; the two never touch the same bytes.

mod direct;
mod directory;
mod file;
#[cfg(feature = "faults")]
mod limited;
mod memory;
#[cfg(feature = "faults")]
mod slow;
mod spare;
#[cfg(feature = "faults")]
mod volatile;

pub use directory::{DataDirectory, DirectoryError, Identity};
pub use file::FileDisk;
#[cfg(feature = "faults")]
pub use limited::LimitedDisk;
pub use memory::{MemoryDisk, Reads};
#[cfg(feature = "faults")]
pub use slow::SlowDisk;
#[cfg(feature = "faults")]
pub use volatile::VolatileDisk;

use std::io;

/// The number that names a segment file. It rises with every segment the log begins, also where the file is one that
/// was another segment before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u64);

impl Generation {
    /// The generation of the segment that follows this one.
    pub fn next(self) -> Generation {
        Generation(self.0 + 1)
    }
}

/// One line of [`Disk::segments`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentFile {
    /// The file's name.
    pub generation: Generation,
    /// The file's length in bytes, less than its capacity if its creation was interrupted.
    pub bytes: u64,
}

/// Numbered files. An error is an operating fault that the caller does not retry: see [`crate::log`].
pub trait Disk: Send + Sync {
    /// All segment files, in the order of their generations.
    fn segments(&self) -> io::Result<Vec<SegmentFile>>;

    /// Creates a file of `bytes` zeros, of which none has to be allocated later. File and name are durable on return.
    /// Interrupted, it may leave a file of any length.
    fn create(&self, segment: Generation, bytes: u64) -> io::Result<()>;

    /// Gives a file another name and keeps its bytes, atomically and durably.
    fn rename(&self, from: Generation, to: Generation) -> io::Result<()>;

    /// Removes a file, atomically and durably.
    fn remove(&self, segment: Generation) -> io::Result<()>;

    /// Fills `into` from `offset` on and returns how many bytes there were: less than asked for only where the file
    /// ends.
    fn read_at(&self, segment: Generation, offset: u64, into: &mut [u8]) -> io::Result<usize>;

    /// Writes all of `bytes`. They are durable after the next [`Disk::sync`] of the segment; until then a power loss
    /// may leave any of them.
    fn write_at(&self, segment: Generation, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes everything written to the segment durable. After an error nobody can say what is durable, and a second
    /// call may report success for bytes that are lost.
    fn sync(&self, segment: Generation) -> io::Result<()>;

    /// What an operator would call this file, for messages.
    fn describe(&self, segment: Generation) -> String;
}
