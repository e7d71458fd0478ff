//! What crosses crates: simulated clusters ([`sim`]), fuzzed parts ([`fuzz`]), client suites, regression schedules, a model,
//! and load-and-check.
//!
//! # Load-and-check
//!
//! ```text
//!   trial ── faults: kill -9 and restart, one node or all;    workers, mortals: all nodes, one after the other
//!     |      SIGSTOP; power failures; full disks; cuts        observer, witness: one of each per node
//!     |              '──> network ──> cluster <─── requests ────'        |
//!     |                                                   | what they were told
//!     '─ judgement: what is there in the end ──> checks <─'
//! ```
//!
//! The program `load_and_check` runs a real server or a cluster of them, loads it from several sessions, and does to its
//! nodes, disks and network what happens to such, by a schedule of phases: one kind of fault after the other.
//!
//! - *Kills* in turns and together, and *pauses*: signals to the nodes' processes.
//! - *Power failures*: all nodes are killed with disks that keep in the process what is not synced, so that it is lost. The
//!   system's page cache would keep it.
//! - *Cuts*: every node reaches every other through a [`proxy`] of this program. A node is isolated, two are parted, a node
//!   is heard by none or hears none on connections that stand, its links are slow, or what it said on connections that broke
//!   comes when there are others. Then the network is mended, and all must find each other.
//! - *Full disks*: a node's disk refuses to grow. It must end and say why; there is room again when it is started.
//!
//! Disks that do so are only in a binary that is built with volery's feature `faults`; the shipped one lacks it. A binary
//! says that it has them, and the trial does not begin with one that does not.
//!
//! What is promised is checked from outside, by what clients are told and what they find:
//!
//! - *Updates.* Every acknowledged update of a znode is in its version once, one of unknown outcome at most once. A
//!   counter's value is its version in every read.
//! - *Pairs.* Two znodes, often of different partitions, that are only written by one multi are equal in every multiRead.
//! - *Sequences.* Numbers are unique and rise in each client's order; of a pipeline that was cut a first part is there.
//! - *Ephemerals.* Those of a session that lives are there in every read; those of one that has ended are gone, from all
//!   partitions at once.
//! - *Reads.* None is older than what anybody had been told before it was sent.
//! - *Echoes.* What was just written through one node is read through every other.
//! - *Silence.* While one node of several is dead, coming back, cut off, or has its disk full, writes are acknowledged all
//!   the same.
//!
//! The [`checks`] are plain functions and tested with histories that are wrong in one way; `--server zookeeper` shows
//! that they accept what is right.
//!
//! # Caveats
//!
//! - The seed decides what clients do and when all nodes are killed, but not how their requests fall together.
//! - A killed process loses no page cache: a missing fsync is found by power failures alone, and there only one of the
//!   log's. Names of files, and what else is in a data directory, outlive them.
//! - A power failure here loses all that was not synced; a real one may leave any of it. That is for the log's own tests.
//! - A ZooKeeper ensemble's reads may be old, so there neither they nor ephemerals are judged while nodes die; what is
//!   there in the end is, after a sync.
//! - A ZooKeeper 3.8.0 ensemble does not always pass `--pauses`: a node that was stopped may come back without what was
//!   written meanwhile, at the same zxid as the others.
//! - A leader's death starts the timeouts of sessions afresh, so while leaders die a session may be ended late: Volery's nodes tell
//!   when, and a session is overdue 10 s after its timeout from then on; a ZooKeeper ensemble has 20 s.

pub mod checks;
pub mod cluster;
mod faults;
pub mod fuzz;
mod guard;
mod judgement;
pub mod network;
mod ports;
mod process;
pub mod proxy;
pub mod record;
pub mod report;
pub mod schedule;
pub mod server;
pub mod sim;
pub mod software;
mod status;
pub mod trial;
pub mod violation;
pub mod workload;
