//! # Whole clusters in one thread, on virtual time
//!
//! Volery's nodes, exactly as built, in [`eyrie::sim`]'s world; clients as ZooKeeper's are; and checkers that judge what both
//! have left behind. One seed decides everything, so what fails once fails again:
//!
//! ```text
//! cargo run --release -p tests --bin campaign -- --seeds 2000        many runs, and a summary
//! cargo run --release -p tests --bin campaign -- --hours 1           the same, for an hour
//! cargo run --release -p tests --bin campaign -- --replay 45         one run, and what happened in it
//! cargo run --release -p tests --bin campaign -- --museum            every planted bug must be found
//! ```
//!
//! ## A run
//!
//! ```text
//!   Plan ──► trouble: misfortunes, clients at work ──► healed: nothing goes wrong, clients go on ──► quiet ──► judgement
//! ```
//!
//! A [`Plan`](run::Plan) is drawn from the seed: a [shape, ids and a placement](draw), which kinds of misfortune, a
//! [workload], and a few [clients](client), each of its own manner: it pipelines, sets watches, moves to other
//! gateways, closes its session, falls silent until it expires. When all is mended, everything must come to rest: no
//! request without an answer, all replicas of a partition in one state.
//!
//! ## The judgement
//!
//! - White box, while it runs: replicas that contradict each other, an answer before a quorum has synced, and whatever the
//!   structs assert ([`eyrie::sim::World::violation`]). At the end: one order explains everything that was executed
//!   ([`eyrie::sim::Audit::judge`]).
//! - Black box, from the clients' [history] alone: each znode, and znodes that a multi touches together, are
//!   [linearizable](checkers::linearizability); [sessions](checkers::sessions) and [watches](checkers::watches) keep what is
//!   promised; every [answer](checkers::answers) is one that its request and its caller may get.
//! - A client keeps its session for a timeout after the last thing that was confirmed to it.
//!
//! ## The museum
//!
//! A checker that finds nothing may be blind. So bugs of one line stand planted in the code, each under a name, behind one
//! switch that the shipped binary lacks; the [museum] runs each until a checker finds it, and says after how many seeds. Where
//! a bug needs a certain misfortune, its runs are drawn to have it, and where it needs many things at once they follow a
//! [script](scripts); a run that fails without the bug does not count.
//!
//! Caveats: nothing brings back a machine that has lost its disk, so a run has at most one such; the checks that
//! `NO_SIGNAL` and its like stand for are also kept as schedules of their own, in `tests/atomicity` and the model.

pub mod campaign;
pub mod checkers;
pub mod client;
pub mod cluster;
pub mod counts;
pub mod draw;
pub mod emphasis;
pub mod history;
pub mod museum;
pub mod registry;
pub mod run;
pub mod scripts;
pub mod workload;
