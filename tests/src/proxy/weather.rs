//! What happens to what two nodes say to each other.

use std::time::Duration;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the node that has dialled.
    Forth,
    /// To it.
    Back,
}

/// What happens to what two nodes say to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// It arrives.
    Clear,
    /// Connections are closed, and new ones refused.
    Cut,
    /// Connections stand, and what goes this way is swallowed; so is that an end has closed.
    Swallow(Direction),
    /// It arrives later by so much, in order.
    Slow(Duration),
    /// Connections stand, and everything waits.
    Hold,
}
