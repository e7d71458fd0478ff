//! The phases of a run, and which of them it is in.

use crate::op::Op;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// The longest that deleting what a run has created may take. What is left then stays.
const DRAIN_MAX: Duration = Duration::from_secs(180);

/// What a phase is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To warm the server up.
    WarmUp,
    /// To create what will be deleted.
    Fill,
    /// To be counted.
    Measure,
    /// To delete what is left and close the sessions.
    Drain,
}

impl Purpose {
    /// Whether an open loop keeps to its rate in it: filling and draining are done as fast as they can be.
    pub fn is_paced(self) -> bool {
        matches!(self, Purpose::WarmUp | Purpose::Measure)
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Purpose::WarmUp => "warm-up",
            Purpose::Fill => "fill",
            Purpose::Measure => "measure",
            Purpose::Drain => "drain",
        })
    }
}

/// A part of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phase {
    /// What it is for.
    pub purpose: Purpose,
    /// What is sent in it.
    pub op: Op,
    /// How long it lasts at most. All but the drain last so long unless a workload is exhausted.
    pub length: Duration,
}

/// The phases of a run in their order. The conductor moves on, all workers look, before each request that they send.
pub struct Schedule {
    phases: Vec<Phase>,
    current: AtomicUsize,
    replies: AtomicU64,
}

impl Schedule {
    /// The phases that measure `op`. A delete is filled for twice as long as it is measured, since servers delete faster
    /// than they create.
    pub fn new(op: Op, warm_up: Duration, measure: Duration) -> Schedule {
        let mut phases = vec![Phase { purpose: Purpose::WarmUp, op: op.warm_up(), length: warm_up }];
        if op == Op::Delete {
            phases.push(Phase { purpose: Purpose::Fill, op: Op::Create, length: 2 * measure });
        }
        phases.push(Phase { purpose: Purpose::Measure, op, length: measure });
        phases.push(Phase { purpose: Purpose::Drain, op: Op::Delete, length: DRAIN_MAX });
        Schedule { phases, current: AtomicUsize::new(0), replies: AtomicU64::new(0) }
    }

    /// One phase, measured until the run is ended, after which nothing is deleted and no session closed.
    pub fn until_ended(op: Op) -> Schedule {
        let phases = vec![Phase { purpose: Purpose::Measure, op, length: Duration::MAX }];
        Schedule { phases, current: AtomicUsize::new(0), replies: AtomicU64::new(0) }
    }

    /// The index of the current phase, and the phase; `None` when the run is over.
    pub fn current(&self) -> (usize, Option<Phase>) {
        let index = self.current.load(Ordering::Acquire);
        (index, self.phases.get(index).copied())
    }

    /// Goes to the next phase.
    pub fn advance(&self) {
        self.current.fetch_add(1, Ordering::AcqRel);
    }

    /// Ends the run, in whatever phase it is.
    pub fn end(&self) {
        self.current.store(self.phases.len(), Ordering::Release);
    }

    /// Counts replies, for the line of progress only.
    pub fn count_replies(&self, more: u64) {
        self.replies.fetch_add(more, Ordering::Relaxed);
    }

    /// How many replies there were so far.
    pub fn replies(&self) -> u64 {
        self.replies.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn purposes(op: Op) -> Vec<(Purpose, Op)> {
        let schedule = Schedule::new(op, Duration::from_secs(1), Duration::from_secs(2));
        let mut purposes = Vec::new();
        while let (_, Some(phase)) = schedule.current() {
            purposes.push((phase.purpose, phase.op));
            schedule.advance();
        }
        purposes
    }

    #[test]
    fn every_run_warms_up_measures_and_drains() {
        use Purpose::{Drain, Measure, WarmUp};
        assert_eq!(purposes(Op::Set), [(WarmUp, Op::Set), (Measure, Op::Set), (Drain, Op::Delete)]);
    }

    #[test]
    fn creating_does_not_pile_up_in_the_warm_up() {
        assert_eq!(purposes(Op::Create)[0], (Purpose::WarmUp, Op::CreateDelete));
    }

    #[test]
    fn a_delete_is_filled_before_it_is_measured() {
        let purposes = purposes(Op::Delete);
        assert_eq!(purposes[1..3], [(Purpose::Fill, Op::Create), (Purpose::Measure, Op::Delete)]);
    }
}
