//! The load: clients that work while their server is killed, and note what they were told.
//!
//! - A [`Worker`] keeps one session for the whole trial, attaches to it again after every kill, and increments counters,
//!   writes and reads pairs, and creates sequential children in pipelines.
//! - The [mortals](Mortals) are sessions that live for a moment and are closed or left to their timeout.
//! - An [`Observer`] at each node reads the ephemerals of all of these, and knows what it must find.
//! - A [`TimerWatch`] at each node sees when timers of sessions start afresh.
//! - A [`Witness`] at each node reads what was just written, wherever that was.
//!
//! Workers and mortals know all nodes and begin at one after the other; a lost connection is replaced at the next node.

mod attached;
mod attendant;
mod mailbox;
mod mortals;
mod node;
mod observer;
mod sessions;
mod timer_watch;
mod witness;
mod worker;
mod world;

pub use attached::{Attached, Verdict};
pub use attendant::Attendant;
pub use mailbox::{Mailbox, Notice};
pub use mortals::Mortals;
pub use node::Node;
pub use observer::{Observer, sweep};
pub use sessions::{Row, Sessions};
pub use timer_watch::TimerWatch;
pub use witness::Witness;
pub use worker::{Told, Worker};
pub use world::{COUNTERS, PAIRS, Target, World};
