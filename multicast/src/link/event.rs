//! What the links have to say.

use super::channel::Channel;
use super::connection_epoch::ConnectionEpoch;
use super::connection_id::ConnectionId;
use super::identity::Identity;
use super::reason::Reason;
use crate::NodeId;
use bytes::Bytes;
use std::fmt;

/// Which end refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refuser {
    /// This node.
    Us,
    /// The node at the other end.
    Them,
}

impl fmt::Display for Refuser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refuser::Us => "this node",
            Refuser::Them => "the other end",
        })
    }
}

/// What the links ask of the host and tell those above, in the order in which it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkEvent {
    /// The host dials the peer, and tells the outcome once, by `dialled` or `dial_failed`.
    Dial {
        /// Whom.
        peer: NodeId,
        /// For what.
        channel: Channel,
    },
    /// The host closes the connection, which is forgotten already. It first writes the farewell, or what the socket
    /// takes of it at once: that is how the other end learns why it was refused.
    Close {
        /// Which.
        connection: ConnectionId,
        /// What to write before.
        farewell: Bytes,
    },
    /// A peer was met for the first time, or in a new start. Who keeps this durably, and gives it to the next start,
    /// recognizes a peer that loses its disk while this node is down. It comes before the `Up`.
    Met {
        /// Who.
        peer: NodeId,
        /// Its start, and its disk.
        identity: Identity,
    },
    /// Another node has told something new of a peer, which [`Links::acquaintance`](super::Links::acquaintance) gives and which is
    /// to be kept like it.
    Learned {
        /// Of whom.
        peer: NodeId,
    },
    /// A peer has refused this node, whose directory is not the one that was met: in this start the node takes no part any more.
    Fenced {
        /// Why.
        reason: Reason,
    },
    /// A channel is up. Whatever was made for the peer before this is taken belongs to an older connection and must not
    /// be sent any more.
    Up {
        /// To whom.
        peer: NodeId,
        /// Which.
        channel: Channel,
        /// Rises from one `Up` of the channel to the next; both ends have the same.
        epoch: ConnectionEpoch,
    },
    /// A channel that was up is not any more. Nothing more comes of it.
    Down {
        /// To whom.
        peer: NodeId,
        /// Which.
        channel: Channel,
    },
    /// A message has come: after its channel's `Up`, before its `Down`, in the order of its stream.
    Message {
        /// From whom.
        peer: NodeId,
        /// On which channel.
        channel: Channel,
        /// What was handed in there. It is a slice of what was read at once, and keeps all of that in memory.
        bytes: Bytes,
    },
    /// A connection was refused by one of its ends; it is closed. One line of a log, with the connection's address.
    Refused {
        /// Which.
        connection: ConnectionId,
        /// Whose it is or claims to be, if it got so far.
        peer: Option<NodeId>,
        /// On which channel, likewise.
        channel: Option<Channel>,
        /// Who will not have it.
        by: Refuser,
        /// Why.
        reason: Reason,
    },
}
