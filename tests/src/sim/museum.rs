//! The museum: bugs of one line, each planted in the code as built, each of which the simulator must find.

use super::run::Plan;
use eyrie::Fault;
use eyrie::sim::Misfortune::{
    self, Blackout, BlankDisk, BreakClients, BreakLinks, CutOneWay, CutPair, Isolate, Kill, Pause, PowerLoss,
    SlowDisk, SlowNetwork,
};
use eyrie::sim::Swarm;

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
        ACKNOWLEDGE_BEFORE_SYNC, AMNESIAC_VOTER, CURSOR_KEPT, NO_FENCING, NO_PREV_CHECK, OLD_LEADER_READS,
        SEND_BEFORE_SYNC, TORN_RECORD,
    };
    use volery::faults::{NEWEST_IN_HEADER, PONG_AT_ONCE};
    match fault {
        AMNESIAC_VOTER => |seed| meeting(seed, &[(BlankDisk, 3_000), (Isolate, 700), (Kill, 1_500)]),
        SEND_BEFORE_SYNC | ACKNOWLEDGE_BEFORE_SYNC | TORN_RECORD => {
            |seed| meeting(seed, &[(Blackout, 1_500), (SlowDisk, 1_500)])
        }
        CURSOR_KEPT | NO_PREV_CHECK | NO_FENCING => {
            |seed| meeting(seed, &[(Isolate, 700), (BreakLinks, 700), (Pause, 1_500), (CutOneWay, 700)])
        }
        OLD_LEADER_READS => |seed| meeting(seed, &[(Isolate, 1_500)]),
        PONG_AT_ONCE => |seed| meeting(seed, &[(Isolate, 1_500), (CutPair, 1_000)]),
        NEWEST_IN_HEADER => |seed| {
            meeting(seed, &[(BreakClients, 300), (CutOneWay, 1_000), (SlowNetwork, 2_000), (Pause, 1_500)])
        },
        VALUES_DROPPED => |seed| apart(meeting(seed, &[(PowerLoss, 1_500), (BreakLinks, 1_500)])),
        LETTER_ACKNOWLEDGED_UNSYNCED => |seed| apart(meeting(seed, &[(PowerLoss, 700), (SlowDisk, 700)])),
        _ => Plan::of,
    }
}

/// A run that meets these misfortunes, so often, and what it draws beside.
fn meeting(seed: u64, misfortunes: &[(Misfortune, u64)]) -> Plan {
    let mut plan = Plan::of(seed);
    plan.swarm = Swarm(misfortunes.iter().copied().collect());
    plan
}

/// The same, where no node has replicas of all partitions.
fn apart(mut plan: Plan) -> Plan {
    plan.shape.nodes = 4;
    plan
}
