//! What a log has done.

/// Plain numbers since recovery, but `cached_bytes`, which is the number now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogCounts {
    /// Buffers taken.
    pub buffers: u64,
    /// Buffers reported durable.
    pub syncs: u64,
    /// Bytes in the buffers taken, their padding included.
    pub bytes: u64,
    /// Records appended, those that recycling wrote forward included.
    pub records: u64,
    /// Entries that were read from the disk.
    pub read_backs: u64,
    /// Segments begun.
    pub segments: u64,
    /// Segments begun in a recycled file.
    pub segments_reused: u64,
    /// Bytes of entries in memory.
    pub cached_bytes: u64,
}
