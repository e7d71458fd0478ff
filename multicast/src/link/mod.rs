//! # The links between nodes
//!
//! Between every pair of nodes there are three connections, the *channels*: [`Channel::Ring`] for the rings' messages,
//! [`Channel::Exchange`] for signals and variables, which so never wait behind those, and [`Channel::Bulk`] for what a member that is
//! behind fetches, for which nothing else waits. [`Links`] holds all of one node's. It opens no socket and reads no clock: it
//! is given bytes and times, and gives back bytes and [`LinkEvent`]s.
//!
//! ```text
//!           send(peer, channel, stream, after, message)          durable(position)
//!                               │                                    │
//!                  ┌────────────▼─────────────┐                      │
//!                  │ outbox of a connection   │   stream 0: c b a ◄──┤ a waits for the log, b and c for a
//!                  │                          │   stream 7:          │
//!                  │ output: ▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒ │ ◄────────────────────┘ one contiguous buffer
//!                  └────────────┬─────────────┘
//!                               ▼ written once a turn
//!   ════════════════ one connection: frames in order ════════════════
//!                               ▼ received(connection, bytes)
//!                   Up ─► Message, Message, … ─► Down                    next_event()
//! ```
//!
//! # The handshake
//!
//! The node with the smaller id dials; so there is no race about which of two connections stays.
//!
//! ```text
//!   dialler                                   listener
//!     │  Hello{from, to, identity, channel, epoch}│
//!     │ ─────────────────────────────────────────►│  judges: cluster, partitions, nodes, disk, start, epoch
//!     │                  Hello{…, the same epoch} │
//!     │ ◄─────────────────────────────────────────│  nothing is disturbed yet
//!  Up │  Welcome                                  │
//!     │ ─────────────────────────────────────────►│  judges again, ends the older connection, Up
//!     │  Message, Heartbeat …                     │
//!     │ ◄────────────────────────────────────────►│
//! ```
//!
//! Either end may answer with `Refuse{reason}` instead, at any time, and closes: both then tell of it by
//! [`LinkEvent::Refused`], and the dialler tries again only slowly. Everything else that ends a connection is a failure,
//! after which the waits between dials double from [`BACK_OFF_FIRST_MS`] to [`BACK_OFF_LAST_MS`].
//!
//! A hello names who speaks and who is meant, so that a wrong address, even a node's own, is noticed. It names the
//! [`Identity`]: the *incarnation* (a process is refused once a later start of its node was met) and the disk's *nonce* (a
//! node that comes with another disk has forgotten its promises, and is refused as a voter).
//!
//! # Fencing
//!
//! A message of an older connection must never be taken on a newer one: a ring's late message would undo what was
//! decided since. So every connection of a channel has a [`ConnectionEpoch`], greater than all before it; only the
//! newest one is up; what an older one brings, holds or is handed is dropped. [`LinkEvent::Up`] tells those above, in
//! order with the messages, and [`Links::send`] takes nothing for a channel between its `Up` and the moment at
//! which that is taken from [`Links::next_event`].
//!
//! # After the log is synced
//!
//! What vouches for this node's log is handed in with the position that must be durable before. It holds back later
//! messages of its stream, a ring's for example, and of no other: within a stream the order is kept, between streams
//! there is none.
//!
//! # The driver's contract
//!
//! Every turn, in this order: `tick`; `accepted`, `dialled`, `dial_failed`, `received`, `closed`; then all of
//! `next_event`, doing what `Dial` and `Close` ask and handing the rest up; `send` and `durable`; again all of
//! `next_event`, for an overflow may have closed something; last, for each connection that `take_ready` names, and
//! each that became writable, one write of `output`, which removes what was written. On [`LinkEvent::Up`] those above
//! first throw away what they have made for that peer and not handed in.
//!
//! # Frames
//!
//! ```text
//!   ┌───────────┬─────────┬──────────────┬───────────────┐    length counts the body alone; integers are little-endian;
//!   │ length: 4 │ kind: 1 │ checksum: 4  │ body: length  │    the checksum (CRC-32C) covers length, kind and body
//!   └───────────┴─────────┴──────────────┴───────────────┘
//! ```
//!
//! The kinds are the links' own: hello, welcome, refuse, heartbeat, message. A message's body is opaque here; those above
//! best make it one closed `enum` whose first byte is the variant (a ring's message with the ring's id; a submission) so
//! that what is sent and what may come are one list. This frame, the refusal's reason and the start of a hello (magic,
//! version, in at most 512 bytes) stay as they are in every version of the protocol, so that versions can refuse each other.
//!
//! # Bounds
//!
//! A frame is at most [`FRAME_BYTES_MAX`] long, which is judged by its header. An outbox that is full breaks the connection
//! on [`Channel::Ring`] and drops the message on the others ([`Overflow`]). At most [`HANDSHAKES_MAX`] accepted
//! connections may be unknown. A connection idle for [`HEARTBEAT_MS`] gets a heartbeat; one on which nothing came for
//! [`SILENCE_MS_MAX`] is broken.
//!
//! # Caveats
//!
//! - Nothing is authenticated: who can reach the port can claim to be a node. A hello guards against mistakes.
//! - Two processes on copies of one disk, started equally often, are not told apart.
//! - A node that lost its disk is recognized by peers that have met it: in this start of theirs, or in an earlier one
//!   whose [`LinkEvent::Met`] was kept.
//! - The number of starts must rise durably before [`Links::new`]. A start that repeats a number is refused as superseded
//!   until its dials have passed those of the one before.

mod back_off;
mod channel;
mod clock;
mod config;
mod connection;
mod connection_epoch;
mod connection_id;
mod counts;
mod event;
mod frame;
mod handshake;
mod hello;
mod identity;
mod lane;
mod limits;
mod links;
mod outbox;
mod peer;
mod reason;
mod stream_id;

#[cfg(test)]
mod arbitrary_test;
#[cfg(test)]
mod fencing_test;
#[cfg(test)]
mod liveness_test;
#[cfg(test)]
mod order_test;
#[cfg(test)]
mod refusal_test;
#[cfg(test)]
mod world_test;

pub use back_off::{BACK_OFF_FIRST_MS, BACK_OFF_LAST_MS, BACK_OFF_REFUSED_MS};
pub use channel::{Channel, Overflow};
pub use clock::STEP_MS_MAX;
pub use config::LinkConfig;
pub use connection::{HANDSHAKE_MS_MAX, HEARTBEAT_MS, SILENCE_MS_MAX};
pub use connection_epoch::ConnectionEpoch;
pub use connection_id::ConnectionId;
pub use counts::LinkCounts;
pub use event::{LinkEvent, Refuser};
pub use hello::{CLUSTER_BYTES_MAX, PROTOCOL_VERSION};
pub use identity::{Identity, Incarnation, Nonce};
pub use limits::{
    BULK_OUTBOX_BYTES_MAX, EXCHANGE_OUTBOX_BYTES_MAX, FRAME_BYTES_MAX, HANDSHAKES_MAX, LinkLimits,
    RING_OUTBOX_BYTES_MAX,
};
pub use links::Links;
pub use reason::Reason;
pub use stream_id::StreamId;
