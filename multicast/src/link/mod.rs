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
//!     │  Starts{the starts of its directory}      │
//!     │ ─────────────────────────────────────────►│  judges: cluster, partitions, nodes, disk, starts, epoch
//!     │            Hello{…, the same epoch} Starts│
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
//! # Older copies
//!
//! A directory that was restored from a copy, or whose volume was rolled back, has forgotten promises too. A count of starts
//! does not show it, for the copy can be started until its count is high enough. So every start draws a [`StartNonce`], and a
//! directory keeps the list of its [`Starts`]: what each drew, and where the log ended when the next one found it. The node says in
//! `Durable` frames how far its log is durable, always before a message that vouches for it.
//!
//! - A peer keeps the last start that it has [`Met`] and how far that start's log was vouched for. In every handshake the node shows its
//!   list. The peer refuses it unless the list has that start, with what it drew, and an end that is not before what was vouched for
//!   ([`Reason::RolledBack`]).
//! - Nothing of the rings is sent on a link before it is durable here that this start of the peer was met (those above see to it).
//!   So no vote is counted of a start that a crash would make unknown.
//! - Peers tell each other in `Known` frames what they have met: when a link comes up, when a start is met, and
//!   otherwise at most once a second. A node demands what it was told like what it has met itself, unless the directory
//!   that the peer has shown to it holds that. If it does not, the links to that peer are broken.
//! - A node whose directory a peer has refused takes no part any more in this start ([`LinkEvent::Fenced`]): it votes nowhere, not
//!   even with peers that know less.
//!
//! The same rules refuse a blank directory: by every node that has met another one, or was told of it.
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
//! The kinds are the links' own: hello, starts, welcome, refuse, heartbeat, durable, known, message. A message's body is opaque here; those above
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
//! - An older copy, or a blank directory, is recognized by what others know. Where every node that has met the lost start, and every
//!   node that was told of it, is down or lost, it is taken, and its vote counts: nothing that is left knows better. So it is
//!   between nodes of which one was down while the lost start ran, until the first of the others can be reached.
//! - How far a log is vouched for is exact for the peer that gets the message. Other peers know it up to a second later, and keep it
//!   with their next write. A copy that is older by less than that may be taken where the peer that got the message is down.
//! - Of a machine that is brought back with its memory, as a virtual one may be, the start is the one that was met.
//! - If two copies of one directory have both been met, neither is taken any more: each lacks what the other has promised.
//! - A directory shows its last [`STARTS_MAX`] starts. A peer that has met none of these refuses it.
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
mod known;
mod lane;
mod limits;
mod links;
mod outbox;
mod peer;
mod reason;
mod starts;
mod stream_id;

#[cfg(test)]
mod arbitrary_test;
#[cfg(test)]
mod campaign_test;
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
pub use identity::{Acquaintance, Identity, Incarnation, Met, Nonce, StartNonce};
pub use limits::{
    BULK_OUTBOX_BYTES_MAX, EXCHANGE_OUTBOX_BYTES_MAX, FRAME_BYTES_MAX, HANDSHAKES_MAX, LinkLimits,
    RING_OUTBOX_BYTES_MAX,
};
pub use links::Links;
pub use reason::Reason;
pub use starts::{STARTS_MAX, Starts};
pub use stream_id::StreamId;
