//! The checks: plain functions from what clients were told and what was found to violations. No I/O and no clock, so
//! that each is tested with histories that are wrong in one way.

mod ephemerals;
mod freshness;
mod pair;
mod sequence;
mod updates;

pub use ephemerals::{Expected, Fate, expected, judge_ephemerals};
pub use freshness::Freshness;
pub use pair::judge_pair;
pub use sequence::{Attempt, Burst, Outcome, judge_sequence};
pub use updates::{Updates, judge_counter};
