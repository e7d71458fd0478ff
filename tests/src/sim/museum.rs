//! The museum: bugs of one line, each planted in the code as built, each of which the simulator must find.

use super::campaign::{follow, guarded};
use super::draw::Sizes;
use super::emphasis::Emphasis;
use super::run::{Outcome, Plan, TROUBLE_US_MAX};
use super::scripts::{SCRIPTS, Script};
use super::workload::Kind::{CreateTtl, Get, Multi, MultiRead, Set};
use eyrie::Fault;
use eyrie::sim::Misfortune::{
    self, Blackout, BlankDisk, BreakClients, BreakLinks, ClockAtStart, ClockLeap, ClocksLeap, CutOneWay,
    FailedRead, Isolate, Kill, LostPiece, OlderCopy, Pause, PowerLoss, SlowDisk, SlowNetwork,
};
use eyrie::sim::Swarm;

/// A bug, and the runs in which it is looked for.
#[derive(Clone, Copy)]
pub struct Exhibit {
    /// The bug.
    pub fault: Fault,
    /// Its runs.
    pub runs: Runs,
}

/// Runs in which a bug is looked for.
#[derive(Clone, Copy)]
pub enum Runs {
    /// Drawn from the seed.
    Drawn(fn(u64) -> Plan),
    /// By hand.
    Script(&'static Script),
}

impl Exhibit {
    /// What a seed decides, if its runs are drawn.
    pub fn plan(&self, seed: u64) -> Option<Plan> {
        match self.runs {
            Runs::Drawn(plan) => Some(plan(seed)),
            Runs::Script(_) => None,
        }
    }

    /// One run, with the bug planted or without it.
    pub fn show(&self, seed: u64, planted: bool, trace: bool) -> Outcome {
        let fault = planted.then_some(self.fault);
        match self.runs {
            Runs::Drawn(plan) => guarded(&plan(seed), fault, trace),
            Runs::Script(script) => follow(script, seed, fault),
        }
    }
}

/// All bugs, of all crates.
pub fn exhibits() -> Vec<Exhibit> {
    let all = [eyrie::multicast_faults::FAULTS, eyrie::faults::FAULTS, volery::faults::FAULTS];
    all.into_iter().flatten().map(|fault| Exhibit { fault: *fault, runs: runs_for(*fault) }).collect()
}

fn runs_for(fault: Fault) -> Runs {
    match SCRIPTS.iter().find(|script| script.fault == Some(fault)) {
        Some(script) => Runs::Script(script),
        None => Runs::Drawn(plan_for(fault)),
    }
}

/// Where a bug shows in few runs only, runs are drawn that have what it takes.
fn plan_for(fault: Fault) -> fn(u64) -> Plan {
    use eyrie::faults::{
        LETTER_ACKNOWLEDGED_UNSYNCED, PART_AT_DELIVERY, PARTS_OF_TWO_ATTEMPTS, PROPOSALS_FALL, VALUES_DROPPED,
    };
    use eyrie::multicast_faults::{
        ACKNOWLEDGE_BEFORE_SYNC, AMNESIAC_VOTER, CLOCK_NEVER_OVERRULED, CURSOR_KEPT,
        FAILED_READ_TAKEN_FOR_EMPTY, LOST_LOG_ACCEPTED, NO_FENCING, NO_PREV_CHECK, OLDER_COPY_ACCEPTED,
        PIECE_INSTALLED_TWICE, PIECE_SKIPS_ENTRY, PIECE_UNDECIDED, SEND_BEFORE_SYNC,
    };
    use volery::faults::{BURST_SHOWS_BEFORE, DUE_NEVER_REAPED, NEXT_TAKEN_FOR_SEEN, REAPED_THOUGH_CHANGED};
    match fault {
        AMNESIAC_VOTER => |seed| meeting(seed, &[(BlankDisk, 3_000), (Isolate, 700), (Kill, 1_500)]),
        OLDER_COPY_ACCEPTED => {
            |seed| lasting(meeting(seed, &[(OlderCopy, 1_000), (Isolate, 700), (Kill, 2_500)]))
        }
        LOST_LOG_ACCEPTED => |seed| meeting(seed, &[(LostPiece, 1_000)]),
        FAILED_READ_TAKEN_FOR_EMPTY => {
            |seed| lasting(meeting(seed, &[(FailedRead, 500), (Isolate, 700), (Kill, 2_500)]))
        }
        SEND_BEFORE_SYNC | ACKNOWLEDGE_BEFORE_SYNC => {
            |seed| meeting(seed, &[(Blackout, 1_500), (SlowDisk, 1_500)])
        }
        CURSOR_KEPT => |seed| lasting(meeting(seed, &[(Isolate, 500), (SlowNetwork, 2_000)])),
        NO_PREV_CHECK | NO_FENCING => {
            |seed| meeting(seed, &[(Isolate, 700), (BreakLinks, 700), (Pause, 1_500), (CutOneWay, 700)])
        }
        PIECE_SKIPS_ENTRY => |seed| lasting(meeting(seed, &[(Isolate, 1_000), (Kill, 1_500)])),
        PIECE_INSTALLED_TWICE | PIECE_UNDECIDED => |seed| {
            lasting(meeting(seed, &[(Isolate, 700), (Kill, 1_500), (BreakLinks, 500), (SlowNetwork, 2_000)]))
        },
        CLOCK_NEVER_OVERRULED => |seed| meeting(seed, &[(ClockLeap, 700), (ClockAtStart, 2_000)]),
        VALUES_DROPPED => |seed| apart(meeting(seed, &[(PowerLoss, 1_500), (BreakLinks, 1_500)])),
        LETTER_ACKNOWLEDGED_UNSYNCED => |seed| apart(meeting(seed, &[(PowerLoss, 700), (SlowDisk, 700)])),
        PROPOSALS_FALL => |seed| meeting(seed, &[(ClockLeap, 1_000)]),
        BURST_SHOWS_BEFORE => Plan::usual,
        PART_AT_DELIVERY => |seed| apart(Plan::usual(seed)),
        PARTS_OF_TWO_ATTEMPTS => |seed| {
            let plan = apart(meeting(seed, &[(Kill, 1_500), (BreakLinks, 700)]));
            long(with(plan, Emphasis { requests: &[Multi, MultiRead], ..Emphasis::default() }))
        },
        NEXT_TAKEN_FOR_SEEN => |seed| {
            let plan = meeting(seed, &[(ClocksLeap, 2_000), (BreakClients, 500)]);
            with(plan, Emphasis { requests: &[Set, Get], moves: 20, watched: 0.8, ..Emphasis::default() })
        },
        REAPED_THOUGH_CHANGED => |seed| {
            let emphasis = Emphasis { requests: &[CreateTtl, Set], ..Emphasis::default() };
            with(Plan::usual(seed), emphasis)
        },
        DUE_NEVER_REAPED => |seed| {
            let plan = Plan { outlasts: true, ..Plan::usual(seed) };
            with(plan, Emphasis { requests: &[CreateTtl], ..Emphasis::default() })
        },
        _ => Plan::of,
    }
}

/// A run that meets these misfortunes, so often, and what it draws beside.
fn meeting(seed: u64, misfortunes: &[(Misfortune, u64)]) -> Plan {
    let mut plan = Plan::usual(seed);
    plan.swarm = Swarm(misfortunes.iter().copied().collect());
    plan
}

/// The same, in which clients do this more often.
fn with(mut plan: Plan, emphasis: Emphasis) -> Plan {
    plan.emphasis = emphasis;
    plan
}

/// The same, with long values.
fn long(mut plan: Plan) -> Plan {
    plan.sizes = Sizes { frame_bytes: 20_000, reply_bytes: 40_000, long: 40 };
    plan
}

/// The same, for as long as any.
fn lasting(mut plan: Plan) -> Plan {
    plan.trouble_us = TROUBLE_US_MAX;
    plan
}

/// The same, where no node has replicas of all partitions.
fn apart(mut plan: Plan) -> Plan {
    plan.shape.nodes = 4;
    plan
}
