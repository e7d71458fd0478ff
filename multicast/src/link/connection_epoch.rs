//! Which of a channel's connections is the newer one.

use super::identity::Incarnation;
use std::fmt;

/// The number of a connection among all that a channel of a pair ever has. The node that dials assigns it, from what
/// rises with every start and with every dial, so it rises for ever and nobody has to remember anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionEpoch {
    /// The start of the node that dialled.
    pub incarnation: Incarnation,
    /// Its dials of this channel since then, from 1.
    pub dial: u64,
}

impl fmt::Display for ConnectionEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.incarnation, self.dial)
    }
}
