//! A simulator of one ring: members with bad disks, links that break, clients, in virtual time from one seed.
//!
//! The members are real ([`PaxosRing`](super::PaxosRing) over a [`NodeLog`](crate::log::NodeLog) over a
//! [`MemoryDisk`](crate::disk::MemoryDisk)); the [`World`](world::World) is their host, and keeps the contract of the
//! ring's chapter unless a [`Fault`] is planted. A run is chaos, then peace, then a probe, and often a power loss of all
//! members at the end. The [`Checker`](checker::Checker) judges every decision when it is made.

mod campaign_test;
mod checker;
mod links;
mod member;
mod profile;
mod slow_test;
mod world;

pub(super) use profile::Profile;
pub(super) use world::World;

/// One thing done wrong, to see that the simulator notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The host sends at once what waits for the log.
    SendBeforeSync,
    /// The leader counts its own vote before it is synced, so a quorum forms on a vote that is not true yet.
    VoteBeforeSync,
    /// Bytes of an old connection are handled in a new one.
    NoFencing,
    /// A stranded member waits for others to help it.
    NoWatchdog,
    /// The consensus crate is not told of a new connection, and leaders append no heartbeats.
    NoReconnect,
    /// Time-outs do not follow what is observed.
    NoPace,
    /// A piece that comes late lowers what is accepted.
    LateInstalled,
    /// Entries above an installed piece are dropped.
    AboveDropped,
    /// A candidate that is found to be behind does not stand again when it is level.
    CandidacyForgotten,
    /// An installed piece sets the promise to the accepted round.
    PromiseReset,
}
