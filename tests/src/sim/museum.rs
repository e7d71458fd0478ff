//! The museum: bugs of one line, each planted in the code as built, each of which the simulator must find.

use super::run::Plan;
use eyrie::Fault;
use eyrie::sim::{Misfortune, Swarm};

/// A bug, and the plans by which it is looked for.
#[derive(Clone, Copy)]
pub struct Exhibit {
    /// The bug.
    pub fault: Fault,
    /// The plan of a seed.
    pub plan: fn(u64) -> Plan,
}

/// All bugs, of all crates.
pub fn exhibits() -> Vec<Exhibit> {
    let all = [eyrie::multicast_faults::FAULTS, eyrie::faults::FAULTS, volery::faults::FAULTS];
    all.into_iter().flatten().map(|fault| Exhibit { fault: *fault, plan: plan_for(*fault) }).collect()
}

/// Where a bug shows in few runs only, runs are drawn that have what it takes.
fn plan_for(fault: Fault) -> fn(u64) -> Plan {
    use eyrie::faults::{LETTER_ACKNOWLEDGED_UNSYNCED, VALUES_DROPPED};
    use eyrie::multicast_faults::{
        ACKNOWLEDGE_BEFORE_SYNC, AMNESIAC_VOTER, CURSOR_KEPT, NO_FENCING, NO_PREV_CHECK, SEND_BEFORE_SYNC,
        TORN_RECORD,
    };
    if fault == AMNESIAC_VOTER {
        |seed| {
            meeting(
                seed,
                &[
                    (Misfortune::BlankDisk, 2_000),
                    (Misfortune::Blackout, 4_000),
                    (Misfortune::Isolate, 3_000),
                ],
            )
        }
    } else if [SEND_BEFORE_SYNC, ACKNOWLEDGE_BEFORE_SYNC, TORN_RECORD].contains(&fault) {
        |seed| meeting(seed, &[(Misfortune::Blackout, 1_500), (Misfortune::SlowDisk, 1_500)])
    } else if [CURSOR_KEPT, NO_PREV_CHECK, NO_FENCING].contains(&fault) {
        |seed| {
            meeting(
                seed,
                &[(Misfortune::Isolate, 1_500), (Misfortune::BreakLinks, 1_000), (Misfortune::Pause, 2_000)],
            )
        }
    } else if [VALUES_DROPPED, LETTER_ACKNOWLEDGED_UNSYNCED].contains(&fault) {
        |seed| Plan {
            shape: apart(seed),
            ..meeting(seed, &[(Misfortune::PowerLoss, 1_500), (Misfortune::BreakLinks, 1_500)])
        }
    } else {
        Plan::of
    }
}

/// A run that meets these misfortunes, so often, and what it draws beside.
fn meeting(seed: u64, misfortunes: &[(Misfortune, u64)]) -> Plan {
    let mut plan = Plan::of(seed);
    plan.swarm = Swarm(misfortunes.iter().copied().collect());
    plan
}

/// A cluster in which no node has replicas of all partitions.
fn apart(seed: u64) -> eyrie::sim::Shape {
    eyrie::sim::Shape { nodes: 4, ..Plan::of(seed).shape }
}
