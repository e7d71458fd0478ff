//! # Multicast
//!
//! Atomic multicast: envelopes of opaque bytes, each addressed to some partitions, are delivered by every replica of
//! those partitions, in orders that never contradict each other. It knows no commands.
//!
//! ```text
//!                     one partition                       several partitions
//!   submit ───────────────┬──────────────────────────────────────┬─────────────
//!                         ▼                                      ▼
//!                  ┌─────────────┐    relay: (k, prev)    ┌─────────────┐
//!                  │ partition   │ ◄───────────────────── │ shared ring │
//!                  │ ring        │    by each partition   └──────┬──────┘
//!                  └──────┬──────┘    ring's leader              │
//!                         │ decided                              │
//!                         ▼                                      ▼
//!                  the partition's sequence           (nobody delivers from it)
//!
//!   every ring ──► the node's log ──► one buffer, one sync a turn
//! ```
//!
//! - A *ring* ([`Ring`]) is one replicated log. It orders entries; an entry ([`EntryBuilder`], [`Entry`]) is one blob that
//!   holds a turn's envelopes.
//! - An envelope for one partition is proposed to that partition's ring, and nothing else happens: other rings, idle or
//!   slow, cost it nothing.
//! - An envelope for several is proposed to the *shared ring*; the leader of each addressed partition ring copies it into
//!   its own ring ([`Relay`]). So a partition's sequence ([`Sequence`]) is exactly its own log, and partitions that are not
//!   addressed see nothing of it.
//! - Why that is atomic multicast: all partitions take the shared ring's envelopes in its order, and any other
//!   envelope belongs to one sequence only, so the union of the orders has no cycle.
//! - An envelope may be delivered more than once: it is kept and sent again until those above withdraw it
//!   ([`Submissions`]). Exactly-once is theirs to make, from the envelope's id.
//! - Everything is on one write-ahead log per node ([`log`]), over a disk behind a trait ([`disk`]).
//!
//! A node that is alone has rings of one member, which decide what they have synced ([`SoloRing`], [`Multicast::solo`]); nodes
//! of a cluster ([`Layout`]) have rings of several, on OmniPaxos ([`PaxosRing`], [`Multicast::clustered`]), and tell each
//! other their [`Message`]s over [`link`]s. A partition's ring has as many members as the partition has replicas; the shared
//! ring has as many, and at least three where there are three nodes. A node that is no member of a ring follows it ([`FollowerRing`]): it learns from the members who
//! leads, so that anybody may submit anything, and it fetches what the shared ring has decided, so that whoever leads a
//! partition ring can relay. Only a ring's leader appends: an envelope goes to whoever leads now, and again
//! when somebody else does. Whoever leads a partition ring and cannot hear the shared ring's leader has a member lead there
//! that it hears. A member learns up to where it must follow a ring, so that what is read then misses nothing that was decided
//! before, by asking another ([`Multicast::ask`]). Nothing in this crate but [`disk`] and the log's writer does I/O: time, and how far the log is
//! durable, are arguments.
//!
//! Caveats: the log is not trimmed yet, so a start begins by counting the shared ring from its first entry; who is a
//! member of what never changes, and there is one configuration, so every [`Position`] is in configuration 0.

mod address;
mod branch;
pub mod branches;
mod clock;
#[cfg(test)]
mod cluster_test;
pub mod disk;
mod entry;
mod envelope;
mod fault;
pub mod faults;
mod fixed;
mod lane;
mod layout;
pub mod link;
pub mod log;
mod message;
mod multicast;
#[cfg(test)]
mod multicast_test;
mod node_id;
mod partition;
mod read_index;
mod relay;
mod ring;
mod ring_id;
mod sequence;
mod submission;

pub use address::Misaddressed;
pub use branch::Branch;
pub use clock::{CLOCKS_APART_MS, TELL_EVERY_MS};
pub use entry::{Entry, EntryBuilder, EntryTime, MalformedEntry};
pub use envelope::{ClientId, CommandId, Envelope, Relayed, SharedIndex};
pub use fault::Fault;
pub use fixed::{FIXED_KEY_BYTES_MAX, FIXED_KEYS_MAX, Fixed, FixedKey};
pub use layout::Layout;
pub use message::{MalformedMessage, Message};
pub use multicast::{ENTRY_BYTES, LEADS_SURELY_MS, Multicast, MulticastCounts, PeerError, RingStatus, Sent};
pub use node_id::NodeId;
pub use partition::{Destinations, PARTITIONS_MAX, PartitionId};
pub use relay::{FollowError, Relay, Survey, Taken};
pub use ring::{
    Allowances, Amnesiac, CatchUpCounts, FOLLOW_PATIENCE_MS, FollowerRing, Following, LAG_WEIGHT_MAX,
    Outgoing, PACE_BYTES, PIECE_WEIGHT_MAX, PaxosRing, RecoverError, Ring, RingConfig, RingCounts,
    RingLimits, RingTiming, SoloRing, StepError, TAIL_WEIGHT_MAX,
};
pub use ring_id::RingId;
pub use sequence::{Delivery, Position, Sequence};
pub use submission::{
    COMMAND_BYTES_MAX, RESEND_BYTES_PER_MS, RESEND_FIRST_MS, RESEND_LAST_MS, SUBMISSIONS_MAX, Submissions,
    SubmitError,
};
