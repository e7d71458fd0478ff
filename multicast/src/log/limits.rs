//! The bounds of a node's log.

use super::block::PAGE_BYTES;

/// The default size of a segment file in bytes, its header included.
pub const SEGMENT_BYTES: u64 = 16 << 20;

/// The default cap on the entries held in memory over all rings, in bytes.
pub const CACHE_BYTES: u64 = 32 << 20;

/// The default number of recycled segments kept for reuse; more are removed.
pub const SPARE_SEGMENTS: usize = 4;

/// What the log may take. A log may be recovered under other limits than it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLimits {
    /// Size of a segment file: a multiple of 4096, at least 8192. A larger block gets a larger segment.
    pub segment_bytes: u64,
    /// Cap on cached entries. Entries that are not durable yet are held beyond it.
    pub cache_bytes: u64,
    /// Recycled segments kept for reuse.
    pub spare_segments: usize,
}

impl Default for LogLimits {
    fn default() -> LogLimits {
        LogLimits { segment_bytes: SEGMENT_BYTES, cache_bytes: CACHE_BYTES, spare_segments: SPARE_SEGMENTS }
    }
}

impl LogLimits {
    pub(crate) fn check(&self) {
        let page = PAGE_BYTES as u64;
        assert!(self.segment_bytes.is_multiple_of(page), "a segment is whole pages");
        assert!(self.segment_bytes >= 2 * page, "a segment has room for its header and a block");
    }
}
