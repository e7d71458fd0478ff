//! # A world for whole clusters
//!
//! Nodes exactly as they run in production, in one thread, on virtual time, from one seed: what goes wrong, when, and in which
//! order things happen is drawn from it, so a run that fails can be had again. It is generic over the service; whoever writes
//! another one brings its front and clients, and has everything else.
//!
//! ```text
//!   outside: clients ── dial, write, read ──► Network ──► Process: Node, Peers, Front   (a turn, as the host takes it)
//!                                                │              │
//!                                             cuts, breaks    SimDisk: loses, tears, rots, fails, fills
//!   Swarm ── misfortunes ──► World ── agenda ────┘
//!                              └── Audit: what replicas say held against each other; Order: one sequence explains it all
//! ```
//!
//! - A [`World`] is made from a [`Blueprint`] and a [`Swarm`]; [`World::next`] goes on until something concerns those outside.
//! - After [`World::heal`] nothing goes wrong any more, and everything must finish: [`World::settled`].
//! - [`World::violation`] tells what contradicts what while it runs; [`Audit::judge`] judges the order at the end.
//! - [`World::paced`] asks another question: not what can go wrong, but how fast a cluster on machines of a given [`Pace`] is.
//! - [`Trace::digest`] is the same for two runs exactly if they went alike.
//!
//! Clocks of machines drift and leap, disks take their time, connections have windows, and bytes come in pieces of any
//! size. A machine that loses its disk, or on which a bit flips, is lost for good: a run has at most one, since nothing
//! brings such a machine back yet. The last block of a log is never damaged: see the caveat of the log's chapter.

mod audit;
mod disk;
mod machine;
mod misfortune;
mod network;
mod order;
mod pace;
mod process;
mod trace;
mod world;

pub use audit::Audit;
pub use machine::{Blueprint, EPOCH_MS, Shape};
pub use misfortune::{Misfortune, Swarm};
pub use network::EndId;
pub use pace::Pace;
pub use trace::{LINES_MAX, Trace};
pub use world::{Notice, World};
