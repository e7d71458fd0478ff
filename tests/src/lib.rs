//! What crosses crates: client suites, regression schedules, and load-and-check.
//!
//! # Load-and-check
//!
//! ```text
//!   trial ──kill -9, restart──> server <──requests── workers, mortals, observer
//!     |                                                   | what they were told
//!     '───── what is there in the end ──> checks <────────'
//! ```
//!
//! The program `load_and_check` runs a real server, loads it from several sessions, and kills it with SIGKILL again and
//! again. What is promised is checked from outside, by what clients are told and what they find:
//!
//! - *Updates.* Every acknowledged update of a znode is in its version once, one of unknown outcome at most once. A
//!   counter's value is its version in every read.
//! - *Pairs.* Two znodes, often of different partitions, that are only written by one multi are equal in every multiRead.
//! - *Sequences.* Numbers are unique and rise in each client's order; of a pipeline that was cut a first part is there.
//! - *Ephemerals.* Those of a session that lives are there in every read; those of one that has ended are gone, from all
//!   partitions at once.
//! - *Reads.* None is older than what anybody had been told before it was sent.
//!
//! The [`checks`] are plain functions and tested with histories that are wrong in one way; `--server zookeeper` shows
//! that they accept what is right.
//!
//! # Caveats
//!
//! - The seed decides what clients do and when the server is killed, but not how their requests fall together.
//! - A killed process loses no page cache: a missing fsync is not found here.

pub mod checks;
pub mod record;
pub mod report;
pub mod server;
pub mod trial;
pub mod violation;
pub mod workload;
