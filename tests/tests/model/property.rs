//! What must hold in every state, and what must occur in some.

use crate::cluster::Cluster;
use crate::command::CommandId;
use crate::partition::Partition;
use crate::scenario::Scenario;
use crate::step::Step;
use stateright::{Model, Property};

/// The answers and their order in time.
pub const LINEARIZABLE: &str = "what clients saw is linearizable";
/// The relay.
pub const IN_SHARED_ORDER: &str = "every partition takes what addresses it once, in shared order";
/// Replicas.
pub const AGREED: &str = "replicas go the same way and say the same";
/// Liveness: where no step is left but those that befall the system, it has done everything.
pub const FINISHES: &str = "whatever stops is finished";
/// Occurs: the interleaving by which signals on delivery go wrong.
pub const RUNS_AHEAD: &str = "1 delivers z1 while z0 is not complete there";
/// Occurs: a copy that is not taken, since the one before it was lost.
pub const GAP: &str = "a copy is delivered before its predecessor";

impl Model for Scenario {
    type State = Cluster;
    type Action = Step;

    fn init_states(&self) -> Vec<Cluster> {
        vec![Cluster::default()]
    }

    fn actions(&self, cluster: &Cluster, steps: &mut Vec<Step>) {
        steps.extend(Step::progress(self, cluster).chain(Step::faults(self, cluster)));
    }

    fn next_state(&self, cluster: &Cluster, step: Step) -> Option<Cluster> {
        step.make(self, cluster)
    }

    fn properties(&self) -> Vec<Property<Scenario>> {
        vec![
            Property::always(LINEARIZABLE, |scenario, cluster: &Cluster| {
                cluster.history().is_linearizable(scenario)
            }),
            Property::always(IN_SHARED_ORDER, |scenario, cluster: &Cluster| {
                cluster.is_in_shared_order(scenario)
            }),
            Property::always(AGREED, |_, cluster: &Cluster| cluster.is_agreed()),
            Property::always(FINISHES, finishes),
            Property::sometimes(RUNS_AHEAD, |_, cluster| runs_ahead(cluster)),
            Property::sometimes(GAP, has_gap),
        ]
    }
}

fn finishes(scenario: &Scenario, cluster: &Cluster) -> bool {
    Step::progress(scenario, cluster).next().is_some() || cluster.is_finished(scenario)
}

/// Whether partition 1 has delivered `z1` while `z0` waits.
pub fn runs_ahead(cluster: &Cluster) -> bool {
    let [z0, z1] = [CommandId(0), CommandId(1)];
    let ahead = |taken: &[CommandId]| taken.starts_with(&[z0, z1]);
    cluster
        .replicas(Partition::One)
        .iter()
        .any(|replica| replica.head() == Some(z0) && ahead(replica.taken()))
}

fn has_gap(scenario: &Scenario, cluster: &Cluster) -> bool {
    let gap_at = |partition| cluster.ring(partition).has_gap(cluster.decided(partition), scenario.variant);
    Partition::ALL.into_iter().any(gap_at)
}
