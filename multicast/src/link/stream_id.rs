//! The name of a stream.

/// One ordered sequence of messages within a channel to a peer, such as a ring's. The sender chooses the number, and it
/// does not travel: it only says what may wait for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u16);
