//! Why a configuration cannot be used, in one line that names the place and the value.

use std::path::PathBuf;
use thiserror::Error;

/// A configuration that cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A key is unknown, missing or of the wrong kind.
    #[error("{}: {message}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Which key, where, and what is expected.
        message: String,
    },
    /// The values contradict each other.
    #[error("{place}: {message}")]
    Contradiction {
        /// The file or the flag.
        place: String,
        /// What is wrong.
        message: String,
    },
}

/// Values at `place` that contradict each other.
pub(super) fn contradiction(place: &str, message: String) -> ConfigError {
    ConfigError::Contradiction { place: place.into(), message }
}
