//! The load: clients that work while their server is killed, and note what they were told.
//!
//! - A [`Worker`] keeps one session for the whole trial, attaches to it again after every kill, and increments counters,
//!   writes and reads pairs, and creates sequential children in pipelines.
//! - The [mortals](Mortals) are sessions that live for a moment and are closed or left to their timeout.
//! - The [`Observer`] reads the ephemerals of all of these, and knows what it must find.

mod attached;
mod mortals;
mod observer;
mod sessions;
mod worker;
mod world;

pub use attached::{Attached, Verdict};
pub use mortals::Mortals;
pub use observer::{Observer, sweep};
pub use sessions::{Row, Sessions};
pub use worker::{Told, Worker};
pub use world::{COUNTERS, PAIRS, World};
