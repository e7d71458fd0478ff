//! Which of a pair's connections something travels on.

use std::fmt;

/// One connection between a pair of nodes. Each is ordered in itself; nothing is ordered between them.
///
/// The numbers stand in the hello and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Channel {
    /// The rings' own messages, and submissions on their way to a leader.
    Ring = 1,
    /// Signals and variables, which so never wait behind the rings.
    Exchange = 2,
    /// Pieces of the decided log for a member that is behind, which so never hold up the others.
    Bulk = 3,
}

/// What becomes of a message for which the outbox has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// The connection is broken and started anew: its messages have no gaps, and those above begin again after every
    /// [`Up`](super::LinkEvent::Up).
    Reconnect,
    /// The message is dropped and counted: who misses it asks again.
    Drop,
}

impl Channel {
    /// Every channel.
    pub const ALL: [Channel; 3] = [Channel::Ring, Channel::Exchange, Channel::Bulk];

    /// What a full outbox does.
    pub fn overflow(self) -> Overflow {
        match self {
            Channel::Ring => Overflow::Reconnect,
            Channel::Exchange | Channel::Bulk => Overflow::Drop,
        }
    }

    pub(super) fn index(self) -> usize {
        self as usize - 1
    }

    pub(super) fn from_code(code: u8) -> Option<Channel> {
        Channel::ALL.into_iter().find(|channel| *channel as u8 == code)
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Channel::Ring => "ring",
            Channel::Exchange => "exchange",
            Channel::Bulk => "bulk",
        })
    }
}
