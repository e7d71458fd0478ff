//! # Rings
//!
//! The ring's face: one replicated log, whoever replicates it.
//!
//! A ring orders entries. Only its leader appends; an entry is *decided* when a quorum of the members has synced it,
//! and only decided entries are read by those above. What a member writes goes to the node's log, and it vouches to the
//! others for nothing that is not durable there.
//!
//! [`SoloRing`] is a ring of one member. [`FollowerRing`] is a ring on a node that is no member of it. [`PaxosRing`] is one
//! of several, on OmniPaxos, whose demands on its caller are met in this module:
//!
//! ```text
//!   frames ──► Joiner ──► judge ──► OmniPaxos ──► Outbox ──► Outgoing { to, message, after }
//!                                      │
//!                                 RingStorage ──► the node's log
//! ```
//!
//! # The contract of the host
//!
//! A turn: step and tick, append, let the log's buffer be taken, [`drain`](Ring::drain), send what may leave.
//!
//! 1. What is drained with `after: Some(p)` leaves only when the log is durable up to `p`; with `None` it may leave at
//!    once. Of the messages to one peer, those with a position leave in the order in which they were drained; those
//!    without one may overtake them. Positions to one peer never fall, so one queue for all of them will do.
//! 2. A link is FIFO and loses nothing but by breaking. Every connection has an epoch: what was sent or drained in an
//!    older one is dropped at both ends, and not handled after a newer one has begun.
//! 3. When a connection begins, both ends call [`meet`](Ring::meet) and then [`reconnected`](Ring::reconnected), before
//!    they step the first message of it. What was lost with the old connection is not sent again otherwise.
//!    What [`serve`](Ring::serve) gives travels on a connection of its own, and has no order with the rest. When that one begins,
//!    the host calls [`bulk_connected`](Ring::bulk_connected): a piece that was lost is given again. When a connection has ended,
//!    both ends call [`lost`](Ring::lost), so that a member that is behind turns to another peer at once.
//! 4. Peers are authenticated: `from` is who the link says it is.
//!
//! # When a message leaves
//!
//! | message | waits for | why |
//! |---|---|---|
//! | heartbeat request and reply | nothing | an election's ballot is an opinion; what it leads to begins with a Prepare. So a slow disk does not look like a dead node |
//! | Prepare | the log | it says how much of which round the sender holds, and the promises that answer it are cut to fit. A candidate that forgot its own promise may stand under the same ballot again with a shorter log; fencing keeps the old answers from it, and one sync an election makes that not the only thing that does |
//! | Promise | the log | it vouches for the promise and for the entries it names |
//! | AcceptSync | the log | it ends an election, as a Prepare begins one; what it says was held before is |
//! | AcceptDecide | the messages before it | it asks for votes and is none: the leader's own counts once it is synced (`Votes`), so its sync and its followers' overlap |
//! | Accepted | the log | it is the vote |
//! | Decide | the messages before it | what it says needs no sync here, but it is numbered in one sequence with AcceptSync and AcceptDecide: overtaking one, it would look like a loss |
//! | level | the messages before it | it vouches for nothing, and ends the session of the messages before it |
//! | piece | nothing | it holds what a quorum has synced |
//! | PrepareReq, NotAccepted | the messages before them | they vouch for nothing; in order, an answer never meets a state that the messages before it would have changed |
//! | ProposalForward, Compaction, AcceptStopSign, ForwardStopSign | never sent | only a leader appends, the log is trimmed by its owner, and there is one configuration |
//!
//! # Sessions, and members that are behind
//!
//! What answers a Prepare or a Promise carries all that the other member lacks. So two members tell each other their *levels*
//! (first entry held, decided, accepted) when a connection begins, before any message of the consensus crate. Each computes what
//! the other lacks of its decided entries, and tells it in its answer; the session opens only where neither lacks more than
//! [`LAG_WEIGHT_MAX`] (`session.rs` shows the exchange). Before that, the crate's messages pass in neither direction,
//! heartbeats included. So to the others a member that is behind is as good as dead: it votes in nothing, they elect nobody on its
//! word, and it sees no quorum that would make it stand for election.
//!
//! A member that is behind gives up its reign or candidacy, if it has one, and asks one peer that is ahead for a *piece*, of
//! [`PIECE_WEIGHT_MAX`]. It installs the piece below the crate, and lets the crate recover from the log, as after a restart:
//!
//! - The promise and the accepted round stay. They speak of what this member has voted for, and a piece is no vote.
//! - Entries that equal the piece's stay, and so do those above. Where an entry differs, the piece's replaces it and all above it:
//!   nothing there was decided in the accepted round, or the entries would not differ.
//! - The decided index rises. A piece that ends at or below it, or begins beyond it, changes nothing.
//! - Every session begins anew with new levels, and the piece's successor is asked for.
//!
//! So one piece is under way per ring at a time, and a node reads one a turn, for all its rings. Nothing of this waits for the
//! log: the entries were synced by a quorum, and a promise or a vote that follows vouches for the log as it is then.
//!
//! A Prepare or Promise over an open session whose sender has come to lack twice [`LAG_WEIGHT_MAX`] is not handled: the session begins
//! anew by levels. A leader that is told of decisions which its own log holds waits for them before it fetches them.
//!
//! Pieces come at a pace ([`PACE_BYTES`], `allowance.rs`), so that they take little from those who are level, as long as a quorum of
//! these decides.
//!
//! A quorum may need a member that is behind: of three members one has died, and one lacks a gigabyte. Then nothing is decided
//! until that member is level, and no piece waits: it takes as long as it takes to fetch and write what it lacks, and an election more.
//!
//! # Following
//!
//! A node that is no member of a ring still needs to know who leads it, to submit there; and if it may lead a partition
//! ring, it needs what the shared ring has decided, to relay it. It pulls:
//!
//! ```text
//!   FollowerRing ── "request 7: I know leader 2, entries from 40?" ──► a member's Followers
//!                ◄─ "to 7: leader 2, entries 40, 41, 42" ─────────────  once it has news
//!                ── "request 8: I know leader 2, entries from 43?" ──►
//! ```
//!
//! The member keeps a follower's latest request, and answers it when it has decided something beyond or knows of another
//! leader. One answer at a time, of about a megabyte at most, so a slow follower fills no queue. Where none comes in
//! [`FOLLOW_PATIENCE_MS`] the next member is asked; so several members may hold a request of an idle ring, and the first
//! news come from each of them, once. Only the answer to the latest request says who leads and makes the next one.
//! What is decided is the same at every member, so entries may come from any. Nothing here vouches for anything: neither
//! a request nor an answer waits for the log.
//!
//! # Slow is not dead
//!
//! How long a member waits for heartbeats follows what it has observed: see `pace.rs`. Heartbeats are *free*
//! ([`Outgoing::is_free`]): they travel on another connection than entries do, so they never wait behind these. They need no order
//! with the rest. A request has no state. A reply counts only in the round in which it was asked, by this process; it says what
//! its sender promised and whom it follows at that time, which may be over when it comes, as it may be on any connection.
//!
//! # Who is not heard
//!
//! Where one link is broken and the others are not, a quorum may hear the leader, and one member not: nobody elects
//! another, and that member learns nothing of what is decided as long as the link is broken. It may also follow somebody
//! who is deposed and heard, or lead still without being told otherwise. Where it needs what is decided, as the leader of a partition
//! ring needs the shared ring, it asks a member that it hears to lead ([`need`](Ring::need)), which then takes over
//! ([`take_over`](Ring::take_over)) without an election: whoever is heard by one that does not hear the leader, and hears a
//! quorum, serves all. Heartbeats tell who is heard and whom it follows. The preferred leader, which is none the wiser, claims
//! its place back after ever longer waits; each claim that comes while the link is broken costs the wait that comes before asking.
//!
//! # Invariants
//!
//! - A member decides only what a quorum has synced.
//! - `decided()` does not fall while the process lives. After a restart it may be less than was decided before, because
//!   the index is no reason for a sync.
//! - A ring's own memory is bounded: what is proposed is in the log at once, and nothing is proposed without leading.
//! - What a leader leaves undecided is bounded by [`TAIL_WEIGHT_MAX`], what a member may lack by twice [`LAG_WEIGHT_MAX`]; so is what a
//!   Promise or an AcceptSync carries.
//!
//! # Caveats
//!
//! - A leader that is cut off goes on leading until it hears of another; what it appends meanwhile stays undecided.
//! - Only what a node relays makes it ask for another leader: what it submits to one that it cannot reach waits for the link.
//! - A member that lacks entries which its peers have trimmed stays behind until checkpoints exist.
//! - A member that is behind becomes level only if it fetches faster than the others write. Their pace allows that; disks and links
//!   may not.
//! - The members are those the log was begun with; nothing records them.
//! - A follower that lacks what the members have trimmed waits for ever.
//! - Members may name different leaders while some are cut off; a follower believes each as long as it asks it.

mod admission;
mod allowance;
mod codec;
mod follower;
mod followers;
mod following;
mod fragment;
mod level;
mod membership;
mod nonces;
mod outbox;
mod pace;
mod patience;
mod paxos;
#[cfg(test)]
mod rows_test;
mod session;
#[cfg(test)]
mod sim;
mod solo;
mod storage;
mod tail;
mod votes;

pub use allowance::Allowances;
pub use follower::{FOLLOW_PATIENCE_MS, FollowerRing, Following};
pub(crate) use followers::Followers;
pub use paxos::{
    CatchUpCounts, LAG_WEIGHT_MAX, PACE_BYTES, PIECE_WEIGHT_MAX, PaxosRing, RecoverError, RingConfig,
    RingCounts, RingLimits, RingTiming, TAIL_WEIGHT_MAX,
};
pub use solo::SoloRing;

use crate::NodeId;
use crate::log::{LogError, LogPosition};
use crate::ring_id::RingId;
use bytes::Bytes;
use thiserror::Error;

/// A message to another member, and what it waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The member it is for.
    pub to: NodeId,
    /// What that member is to step.
    pub message: Bytes,
    /// It leaves only when the node's log is durable up to here; at once if none.
    pub after: Option<LogPosition>,
    /// Whether it keeps no order with anything else, and must not wait behind anything.
    pub is_free: bool,
}

/// Why a message was not handled. The link that brought it is of no use as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum StepError {
    /// The sender is no other member of the ring.
    #[error("{0} is no peer in the ring")]
    Stranger(NodeId),
    /// The sender has not been met, or as an amnesiac.
    #[error("{0} has not shown the disk it had")]
    Unmet(NodeId),
    /// No member sends that.
    #[error("{from} sent {what}")]
    Malformed {
        /// Over whose link it came.
        from: NodeId,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// A peer whose disk is not the one that was met first: it has forgotten what it promised, so it may not vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{peer} has disk {shown:x} and was known by disk {known:x}: it has forgotten its promises")]
pub struct Amnesiac {
    /// Who it is.
    pub peer: NodeId,
    /// The nonce of the disk it had.
    pub known: u64,
    /// The nonce of the disk it has.
    pub shown: u64,
}

/// A ballot that a member has promised, so that it can be compared with another's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Promise(pub u128);

/// One replicated log, as this node sees it, which is a member of it or follows it. Entries are numbered from 0.
pub trait Ring {
    /// Which ring it is.
    fn id(&self) -> RingId;

    /// Whether this node may append now: it leads, and its log is what its predecessors may have decided.
    fn leads(&self) -> bool;

    /// Who leads, as far as this node has heard; it may be this node. A ring of one member names nobody: it leads there,
    /// and its followers are told so.
    fn leader(&self) -> Option<NodeId>;

    /// When a peer was asked last to which it has answered that it follows this member's reign: it had promised nothing beyond
    /// that then. Counted from the question, because an answer may be long under way. A deposed leader may hear from a quorum
    /// for ever, and still be followed by none.
    fn support(&self, _peer: NodeId) -> Option<u64> {
        None
    }

    /// Whether those above need now what the ring decides. Then a member that has not heard for a while from whoever leads,
    /// or still leads though no quorum follows it, gives out another, which it hears and which is to be asked to lead.
    fn need(&mut self, _is_needed: bool) -> Option<NodeId> {
        None
    }

    /// A member that does not hear who leads asks this one to lead. It does if it follows and hears from a quorum.
    fn take_over(&mut self) {}

    /// How many terms of leadership, anybody's, this member has seen begin since this process started.
    fn elections(&self) -> u64 {
        0
    }

    /// How many times this process has begun to lead. It tells a reign from one that began and ended unseen.
    fn reigns(&self) -> u64;

    /// How many entries the log held when this member last began to lead. Only when all of these are decided does the
    /// decided index cover everything that an earlier leader acknowledged.
    fn entered_accept_with(&self) -> u64;

    /// The highest ballot that this member has promised: it takes part in none below. Always the same where there is but one
    /// member; a node that is none has promised nothing.
    fn promise(&self) -> Promise {
        Promise::default()
    }

    /// How far this member is behind the others, and how it has caught up before.
    fn catch_ups(&self) -> CatchUpCounts {
        CatchUpCounts::default()
    }

    /// Whether an entry may be appended now, as far as what is not decided yet is bounded. A leader without a quorum has no room in
    /// the end.
    fn has_room(&self) -> bool {
        true
    }

    /// Appends one entry. Panics unless this member leads: the ring never forwards.
    fn append(&mut self, entry: Bytes);

    /// A connection to a peer begins; it shows the nonce of its disk, which is drawn when a disk is first used. The
    /// first nonce met is kept in the log. An amnesiac's messages are not handled.
    fn meet(&mut self, peer: NodeId, nonce: u64) -> Result<(), Amnesiac>;

    /// A connection to a peer has begun: whatever was under way on the one before is lost.
    fn reconnected(&mut self, peer: NodeId);

    /// Handles a message that came over the link from `from`. After an error nothing has changed.
    fn step(&mut self, from: NodeId, message: Bytes) -> Result<(), StepError>;

    /// Moves monotonic time on.
    fn tick(&mut self, now_ms: u64);

    /// The node's log is durable up to `durable`.
    fn synced(&mut self, durable: LogPosition);

    /// Appends to `into` what is to be sent for all that was done before.
    fn drain(&mut self, into: &mut Vec<Outgoing>);

    /// The connection to a peer has ended: nothing is fetched from it, nor is it waited for, until it is
    /// [`reconnected`](Ring::reconnected).
    fn lost(&mut self, _peer: NodeId) {}

    /// The connection to a peer on which what [`serve`](Ring::serve) gives travels has begun: what was given before may be lost.
    fn bulk_connected(&mut self, _peer: NodeId) {}

    /// Appends to `into` one piece of the decided log for a member that is behind and has asked for it, if any has and may have one.
    /// It is bulk, and has no order with the rest. Says whether anything was read for it.
    fn serve(&mut self, _allowances: &mut Allowances, _into: &mut Vec<Outgoing>) -> bool {
        false
    }

    /// How many entries are decided, from the first one on, as far as this node has heard or fetched.
    fn decided(&self) -> u64;

    /// How many entries this node holds, the undecided tail included.
    fn accepted(&self) -> u64;

    /// Reads one entry that this node holds.
    fn read(&self, index: u64) -> Result<Bytes, LogError>;
}
