//! A place in the log.

use std::fmt;

/// A byte of the log, counted from its beginning over all segments. Positions rise for ever: recycling a segment does
/// not give its positions back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogPosition(pub u64);

impl LogPosition {
    /// The position `bytes` further on.
    pub(crate) fn after(self, bytes: usize) -> LogPosition {
        LogPosition(self.0 + bytes as u64)
    }
}

impl fmt::Display for LogPosition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)
    }
}
