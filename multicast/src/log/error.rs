//! Why a log cannot be recovered or read.

use std::io;
use std::sync::Arc;

use crate::disk::{Disk, Generation};

/// A fault of the disk or of what is on it. The node cannot go on with this log.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LogError {
    /// The disk failed.
    #[error("log file {file}: {source}")]
    Disk {
        /// The file, or "list" if they could not be listed.
        file: String,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// The disk failed to read.
    #[error(
        "log file {file} cannot be read at offset {offset}: {source}; see to the disk, and start the node again"
    )]
    Unread {
        /// The file.
        file: String,
        /// The offset in the file, in bytes, from which on it was read.
        offset: u64,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// Bytes that had been synced are no longer what was written. This node may have promised what it no longer knows,
    /// so it may not vote.
    #[error(
        "log file {file} is corrupt at offset {offset}: {what}; see to the disk, and bring back the file as it was: without it this \
         node may not vote"
    )]
    Corrupt {
        /// The file.
        file: String,
        /// The offset in the file, in bytes, of the block or entry that is damaged.
        offset: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// There is no log, and there was one.
    #[error(
        "log file {file}: missing, and so is every other: the data directory says that there was a log, so its volume may not be \
         mounted; bring back the newest log: without it this node has forgotten what it promised and may not vote"
    )]
    Lost {
        /// A file of the log as it would be called.
        file: String,
    },
    /// Files before, or between, those that are there are missing.
    #[error(
        "log file {file}: missing, and the log goes on in {next}: bring back the missing files: without them this node has \
         forgotten what it promised and may not vote"
    )]
    Missing {
        /// The last file that is missing.
        file: String,
        /// The file that follows.
        next: String,
    },
    /// A file is of another log.
    #[error(
        "log file {file}: of another log, not of the one that this data directory's identity names: two directories are \
         mixed; bring back the files that belong to it"
    )]
    Foreign {
        /// The file.
        file: String,
    },
    /// The log was written by another version of this program.
    #[error("log file {file} has format version {found}, this program reads {known}")]
    Version {
        /// The file.
        file: String,
        /// The version in the file.
        found: u16,
        /// The version this program writes.
        known: u16,
    },
}

impl LogError {
    pub(crate) fn disk(disk: &dyn Disk, segment: Generation, source: io::Error) -> LogError {
        LogError::Disk { file: disk.describe(segment), source: Arc::new(source) }
    }

    pub(crate) fn unread(disk: &dyn Disk, segment: Generation, offset: u64, source: io::Error) -> LogError {
        LogError::Unread { file: disk.describe(segment), offset, source: Arc::new(source) }
    }

    pub(crate) fn corrupt(disk: &dyn Disk, segment: Generation, offset: u64, what: &'static str) -> LogError {
        LogError::Corrupt { file: disk.describe(segment), offset, what }
    }
}
