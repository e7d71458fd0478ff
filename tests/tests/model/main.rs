//! A model of the relay, of signals and of completeness, explored to the end: within its bounds every interleaving is seen,
//! not a sample of them.
//!
//! # The model
//!
//! ```text
//!   shared ring     z0 z1                 what is ordered stays
//!                    | \  '--.            leaders follow it, and append copies (k, prev)
//!   partition rings  Y   1    X           a log each: decided | tail
//!                   / \ / \  / \          decided entries are delivered
//!   replicas        .  ..  ..   .         at their own speeds; they signal, execute, answer
//! ```
//!
//! A command of several partitions is ordered in the shared ring. The leader of each partition that it addresses appends a
//! copy, with its place `k` and the place `prev` of the one before it that addresses the partition. Leaders change: of the
//! tail, any first part survives; the new leader folds the rule of taking over its log and follows from there, and a copy
//! that was lost may still arrive. A replica takes a copy only if `prev` is the last one it took. The command at its head
//! is *ready*, and it signals it; it is *complete* when a signal, with the value if one is read, has come from every other
//! destination. The shared log is trimmed as soon as it may be.
//!
//! What must hold in every state, and what must occur in some, is listed in [`property`]; the commands and bounds are in
//! [`scenario`], the steps in [`step`]. That a checker without errors checks anything is shown by [`variant`]: each
//! deviation from the protocol breaks the property that it is about.
//!
//! # One state for many
//!
//! Steps that nobody can observe happen at one certain moment, which keeps the states few and loses no outcome:
//!
//! - A command is ordered in the shared ring when a first leader follows it. An entry is decided when a first replica
//!   delivers it: one that was decided before is as good as one that survives.
//! - Where no leader will change any more, entries are appended when a replica has delivered all there is.
//! - A signal arrives while its command is at the head. One that came earlier would lie there till then, and a repeated
//!   one changes nothing.
//! - A command is invoked as late and answered as early as can be. This asks the most of the answers ([`history`]).
//! - Logs are trimmed of what both replicas have delivered; the fold over the rest goes on from there.
//! - Of a partition's replicas neither is the first. While no leader changes, they may be any distance apart; where leaders
//!   change, the one behind completes what the other has completed ([`scenario::Pace`]).
//!
//! # Caveats
//!
//! - Consensus is taken for granted: what is decided stays, and there is one leader at a time. Of an old leader nothing is
//!   left but one copy that it may have sent.
//! - Leaders change in one ring at a time, twice at most.
//! - Sessions, repeats of a client's request, `Retry`, checkpoints, restarts of replicas, overtaking and reads off the log
//!   are not modelled. Signals are never lost for good: they are kept until they are acknowledged.

#![allow(clippy::disallowed_methods, reason = "how long an exploration takes is real time")]

mod partition;

mod command;

mod scenario;
mod variant;

mod cluster;
mod history;
mod replica;
mod ring;
mod sequence;

mod exploration;
mod property;
mod step;

use cluster::Cluster;
use command::CommandId;
use exploration::Exploration;
use partition::Partition::{self, One, X, Y};
use property::{FINISHES, GAP, IN_SHARED_ORDER, LINEARIZABLE, RUNS_AHEAD};
use scenario::Scenario;
use stateright::{Checker, HasDiscoveries, Model, Path};
use std::time::Instant;
use step::Step;
use variant::Variant;

/// How often a ring's leader changes: the first one comes back.
const CHANGES_MAX: u8 = 2;

/// Without a change of leader and with replicas at any speeds, and then with changes in each of these rings; the line that
/// tells of it.
fn explore(name: &str, scenario: Scenario, changing: &[Partition]) -> String {
    let start = Instant::now();
    let changes = changing.iter().map(|partition| scenario.changing(*partition, CHANGES_MAX));
    let explorations: Vec<Exploration> =
        std::iter::once(scenario).chain(changes).map(Exploration::of).collect();
    let occurs = |name| explorations.iter().any(|exploration| exploration.occurred.contains(name));
    assert!(occurs(RUNS_AHEAD) && occurs(GAP), "what is dangerous does not occur: {explorations:?}");
    let states: usize = explorations.iter().map(|exploration| exploration.states).sum();
    let depth = explorations.iter().map(|exploration| exploration.depth).max().unwrap_or(0);
    format!(
        "model: {name}, 3 partitions, 2 replicas, {} commands, up to {CHANGES_MAX} changes of leader: \
         {states} states to depth {depth}, explored to the end, {:.1} s",
        scenario.ids().count(),
        start.elapsed().as_secs_f64()
    )
}

/// Looks for a way to break the property.
fn breaks(scenario: Scenario, property: &'static str) -> bool {
    let found = HasDiscoveries::AnyOf([property].into());
    scenario.checker().finish_when(found).spawn_dfs().join().discovery(property).is_some()
}

/// The way that shows why signalling on delivery is wrong, up to where the rule parts from it, and on from there. Partition
/// 1 delivers `z1` while `z0` waits. If `z1` is signalled then, X completes it and `x` sees the new c; only then is `y`
/// invoked, and Y delivers it before `z0`, which reads the old b. So y < z0 < z1 < x, but x ended before y began.
fn schedule() -> (Vec<Step>, Vec<Step>) {
    let [z0, z1, x, y] = [0, 1, 2, 3].map(CommandId);
    let ahead = vec![
        Step::Follow(One, z0),
        Step::Deliver(One, 0),
        Step::Follow(One, z1),
        Step::Deliver(One, 1),
        Step::Follow(X, z1),
        Step::Deliver(X, 0),
    ];
    let wrong = vec![
        Step::Hear(X, 1, One),
        Step::Propose(x),
        Step::Deliver(X, 1),
        Step::Propose(y),
        Step::Deliver(Y, 0),
        Step::Follow(Y, z0),
        Step::Deliver(Y, 1),
        Step::Hear(Y, 1, One),
    ];
    (ahead, wrong)
}

#[test]
fn two_reads() {
    println!("{}", explore("relay and signals", Scenario::two_reads(), &[Y, One, X]));
}

/// The three rings are alike, so leaders change in one of them.
#[test]
fn circle() {
    println!("{}", explore("three commands in a circle", Scenario::circle(), &[Y]));
}

/// The state to which steps lead from the start.
fn after(scenario: &Scenario, steps: &[Step]) -> Cluster {
    let path = Path::from_actions(scenario, Cluster::default(), steps).expect("steps that can be made");
    *path.last_state()
}

#[test]
fn the_rule_holds_the_schedule_back() {
    let (ahead, wrong) = schedule();
    let designed = Scenario::two_reads();
    let planted = designed.with(Variant::SignalOnDelivery);
    for (scenario, signalled) in [(designed, false), (planted, true)] {
        let cluster = after(&scenario, &ahead);
        assert!(property::runs_ahead(&cluster));
        let mut steps = Vec::new();
        scenario.actions(&cluster, &mut steps);
        assert_eq!(steps.contains(&wrong[0]), signalled, "{scenario:?}");
    }
    let cluster = after(&planted, &[ahead, wrong].concat());
    let told = [0, 1, 2, 3].map(|id| cluster.history().told(CommandId(id)));
    assert_eq!(told, [Some(10), Some(1), Some(1), Some(0)]);
    assert!(!cluster.history().is_linearizable(&planted));
}

#[test]
fn signals_on_delivery_are_not_linearizable() {
    assert!(breaks(Scenario::two_reads().with(Variant::SignalOnDelivery), LINEARIZABLE));
}

#[test]
fn completing_without_signals_is_not_linearizable() {
    assert!(breaks(Scenario::two_reads().with(Variant::NoSignal), LINEARIZABLE));
}

#[test]
fn a_copy_taken_before_its_predecessor_breaks_the_order() {
    let planted = Scenario::circle().changing(Y, 1).with(Variant::NoPrevCheck);
    assert!(breaks(planted, IN_SHARED_ORDER));
    assert!(breaks(planted, FINISHES));
}

#[test]
fn a_cursor_kept_from_an_earlier_reign_stalls() {
    assert!(breaks(Scenario::circle().changing(Y, 2).with(Variant::CursorKeptFromEarlierReign), FINISHES));
}

#[test]
fn a_shared_log_trimmed_of_what_is_only_appended_stalls() {
    assert!(breaks(Scenario::circle().changing(Y, 1).with(Variant::AppendedTakenForDecided), FINISHES));
}
