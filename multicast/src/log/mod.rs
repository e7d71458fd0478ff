//! # The write-ahead log
//!
//! One log per node, shared by all the rings that have a member there, so that one `fdatasync` covers whatever a turn of
//! the node's loop brought. [`NodeLog`] does no I/O but reading old entries back: it collects a turn's records in memory
//! and hands them out as one [`Buffer`]; [`LogWriter`], the edge, writes and syncs it; the log is told how far it is
//! durable.
//!
//! ```text
//!   append, put, truncate, trim ─► records ─► take_buffer ─► write, sync ─► synced(position)
//!
//!   segment 7          segment 8                      one block, at a multiple of 4096
//!  ┌──────┬──┬───┐    ┌──────┬────┬──┬─ ─ ─ ─         ┌───────────────────────────────────────────────┐
//!  │header│a │b  │    │header│c   │d │ zeros           │magic version generation position length chain │
//!  └──────┴──┴───┘    └──────┴────┴──┴─ ─ ─ ─         │checksum │ record record record … │ zeros      │
//!                                                     └───────────────────────────────────────────────┘
//! ```
//!
//! A buffer is one *block*, and a block is there whole or not at all: everything appended in one turn is atomic. Blocks
//! lie end to end; a [`LogPosition`] counts their bytes from the log's beginning, rises for ever, and does not care for
//! segments. A *segment* is one pre-allocated file; it begins with a header that says at which position, and after which
//! checksum, its first block stands. A block that does not fit into what is left of a segment begins the next one, and
//! one that is larger than a segment gets a segment of its own size.
//!
//! # Invariants
//!
//! - One buffer is in flight at a time: it is written and synced before the next is written. So whatever lies before a
//!   block that is there had been synced.
//! - Bytes that were synced are never written again, but with the same bytes: blocks share no page.
//! - A block counts only at its own position, in a segment of its own generation, with its own checksum, and behind the
//!   block whose checksum it names. So neither the former contents of a recycled segment nor anything an entry contains
//!   is taken for a block.
//! - After recovery everything behind the end is zeros. So what was cut off is never found again.
//! - An entry is in memory until it is durable.
//! - Each segment's header names the position and the checksum at which the one before ends, and the nonce of the log: none
//!   can be missing between others, or be of another log, unseen.
//! - The log begins at position 0, or at or before the position of its last *begin* record, which [`NodeLog::recycle`] writes
//!   before it gives segments up: the first cannot be missing unseen.
//!
//! # Recovery
//!
//! The blocks are read in order, up to the first that is bad. If no valid block follows it, in this segment or by
//! another segment that begins beyond, it is the torn tail of a buffer that was never synced: it is cut off. If one
//! follows, the bad block had been synced and has been damaged since: recovery refuses and names the place, because this
//! node may have promised what it no longer knows. The last block is written and synced once more: the process may have
//! died between its write and its sync, or after a sync that failed, and then it stands in the page cache alone.
//!
//! Whether there was a log at all is not for the log to know: the identity beside it says so ([`NodeLog::begin`] and
//! [`NodeLog::open`], see [`crate::disk::DataDirectory`]).
//!
//! # Recycling
//!
//! [`NodeLog::trim`] forgets entries, and [`NodeLog::recycle`] gives up the oldest segments in which no entry is left,
//! writing forward what else they hold (values, and where rings begin). Their files become later segments under new
//! generations: that is a rename, where creating one writes [`SEGMENT_BYTES`] of zeros.
//!
//! # Errors
//!
//! An error of a write or a sync ends the process. It is never retried: a kernel may report a failed sync once and mark
//! the pages clean, and then the next sync succeeds without having written them.
//!
//! # Caveats
//!
//! - If the last segments are missing, or all of the log is an older copy of itself, it is whole and only older. Nothing here
//!   tells; peers do (see [`crate::link`]).
//! - If the very last block is damaged after it was synced, nothing distinguishes it from a torn one, and it is cut off.
//! - The cap on cached entries counts their own bytes. An entry that is a slice of something larger keeps all of that.
//! - The index is in memory, 16 bytes an entry, and is bounded by trimming only.

mod block;
mod buffer;
mod counts;
mod error;
mod limits;
mod node_log;
mod position;
mod record;
mod recovery;
mod ring_index;
mod rings;
mod segment;
mod shared;
mod writer;

#[cfg(test)]
mod faults_test;
#[cfg(test)]
mod golden_test;
#[cfg(test)]
mod model_test;

pub use buffer::Buffer;
pub use counts::LogCounts;
pub use error::LogError;
pub use limits::{CACHE_BYTES, LogLimits, SEGMENT_BYTES, SPARE_SEGMENTS};
pub use node_log::NodeLog;
pub use position::LogPosition;
pub use segment::LogNonce;
pub use shared::SharedLog;
pub use writer::LogWriter;
