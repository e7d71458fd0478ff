//! The steps of the system: those that it makes by itself, and those that befall it.

use crate::cluster::Cluster;
use crate::command::CommandId;
use crate::partition::Partition;
use crate::scenario::Scenario;

/// One step. A replica is meant by its place in the state, where the two of a partition are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A client's command for one partition reaches the ring's leader; it is sent again when it was lost.
    Propose(CommandId),
    /// A partition's leader appends the next copy from the shared ring.
    Follow(Partition, CommandId),
    /// A replica delivers the next entry of its partition's log.
    Deliver(Partition, usize),
    /// To the partition's replica comes the signal of another partition for the command at its head.
    Hear(Partition, usize, Partition),
    /// The partition's other member leads, and has this many entries of the log.
    ChangeLeader(Partition, usize),
    /// A copy that was lost with its leader arrives late.
    Resurface(Partition, CommandId),
}

impl Step {
    /// What the system can do by itself.
    pub fn progress(scenario: &Scenario, cluster: &Cluster) -> impl Iterator<Item = Step> {
        let partitions = Partition::ALL.into_iter();
        let followed = partitions.clone().filter(|partition| may_append(scenario, cluster, *partition));
        let follow = followed.flat_map(|partition| {
            cluster.next_copies(scenario, partition).iter().map(move |id| Step::Follow(partition, id))
        });
        let replicas = partitions.flat_map(|partition| of_replicas(scenario, cluster, partition));
        proposals(scenario, cluster).chain(follow).chain(replicas)
    }

    /// What can befall it.
    pub fn faults(scenario: &Scenario, cluster: &Cluster) -> impl Iterator<Item = Step> {
        Partition::ALL.into_iter().flat_map(move |partition| {
            let ring = cluster.ring(partition);
            let more = ring.reign() < scenario.changes_max(partition);
            let kept = (cluster.decided(partition)..=ring.log().len()).filter(move |_| more);
            let kept = kept.filter(|kept| ring.change_matters(*kept, scenario.variant));
            let late = ring.strays().iter().filter(move |_| may_append(scenario, cluster, partition));
            kept.map(move |kept| Step::ChangeLeader(partition, kept))
                .chain(late.map(move |id| Step::Resurface(partition, id)))
        })
    }

    /// The state after it.
    pub fn make(self, scenario: &Scenario, cluster: &Cluster) -> Option<Cluster> {
        let mut next = *cluster;
        match self {
            Step::Propose(id) => next.propose(scenario.command(id).home()?, id),
            Step::Follow(partition, id) => next.follow(scenario, partition, id),
            Step::Deliver(partition, i) => next.deliver(scenario, partition, i),
            Step::Hear(partition, i, from) => next.hear(scenario, partition, i, from),
            Step::ChangeLeader(partition, kept) => next.change_leader(scenario, partition, kept),
            Step::Resurface(partition, id) => next.resurface(scenario, partition, id),
        }
        next.settle(scenario);
        Some(next)
    }
}

/// Whether it matters that something is appended now: it may still be lost, or a replica has delivered all there is.
fn may_append(scenario: &Scenario, cluster: &Cluster, partition: Partition) -> bool {
    let ring = cluster.ring(partition);
    ring.reign() < scenario.changes_max(partition) || ring.log().len() == cluster.decided(partition)
}

fn proposals(scenario: &Scenario, cluster: &Cluster) -> impl Iterator<Item = Step> {
    scenario.ids().filter_map(|id| {
        let command = scenario.command(id);
        let home = command.home()?;
        let may = command.after.is_none_or(|before| cluster.history().told(before).is_some());
        let there = cluster.ring(home).log().iter().any(|entry| entry.command == id)
            || cluster.replicas(home).iter().any(|replica| replica.taken().contains(&id));
        (may && !there && may_append(scenario, cluster, home)).then_some(Step::Propose(id))
    })
}

fn of_replicas(scenario: &Scenario, cluster: &Cluster, partition: Partition) -> impl Iterator<Item = Step> {
    let replicas = cluster.replicas(partition);
    let different = if replicas[0] == replicas[1] { 1 } else { 2 };
    (0..different).flat_map(move |i| {
        let more = usize::from(replicas[i].delivered) < cluster.ring(partition).log().len();
        let heard = cluster.news(scenario, partition, i).iter();
        let hear = heard.map(move |from| Step::Hear(partition, i, from));
        more.then_some(Step::Deliver(partition, i)).into_iter().chain(hear)
    })
}
