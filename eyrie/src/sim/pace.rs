//! Pace: what work takes, in runs that ask how fast a cluster would be.
//!
//! Otherwise a seed draws how slow disks and networks are, and turns take next to no time, since such runs ask what can go
//! wrong. With a pace every machine has one core, which a turn keeps busy for as long as what was done in it takes; what
//! comes meanwhile waits for the next turn. What a turn sends leaves as the turn begins, so latencies are too small by what a
//! turn takes; throughput is not.

use super::network::Conditions;
use crate::witness::Witnessed;

/// More than is ever on the way in one direction of a connection.
const WINDOW_BYTES: usize = 1 << 20;

/// What work takes, on machines that are all alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// To take a command from a client, to submit it and to answer it, in nanoseconds of the node that the client is connected to.
    pub serve_ns: u64,
    /// To log, deliver and execute a command, in nanoseconds of each node that has a replica.
    pub execute_ns: u64,
    /// To write and sync a buffer of the log, in microseconds.
    pub sync_us: u64,
    /// From one end of a connection to the other, in microseconds.
    pub latency_us: u64,
}

impl Pace {
    /// How long a turn keeps its core busy.
    pub(super) fn turn_us(&self, witnessed: &[Witnessed]) -> u64 {
        let ns = |witnessed: &Witnessed| match witnessed {
            Witnessed::Answered(_) => self.serve_ns,
            Witnessed::Completed(_) => self.execute_ns,
            _ => 0,
        };
        witnessed.iter().map(ns).sum::<u64>() / 1_000
    }

    pub(super) fn conditions(&self) -> Conditions {
        Conditions {
            latency_us: self.latency_us,
            jitter_us: 0,
            window_bytes: WINDOW_BYTES,
            bytes_per_s: None,
        }
    }
}
