//! The checks: plain functions from what clients were told and what was found to violations. No I/O and no clock, so
//! that each is tested with histories that are wrong in one way.

mod echo;
mod ephemerals;
mod freshness;
mod pair;
mod sequence;
mod silence;
mod updates;

pub use echo::Written;
pub use ephemerals::{Ended, Expected, Fate, expected, judge_ephemerals};
pub use freshness::{Freshness, Reads};
pub use pair::judge_pair;
pub use sequence::{Attempt, Burst, Outcome, judge_sequence};
pub use silence::Silence;
pub use updates::{Updates, judge_counter};
