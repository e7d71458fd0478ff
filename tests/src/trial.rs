//! One trial: load, faults, and the judgement at the end.

#![allow(clippy::disallowed_methods, reason = "starts the clients' threads, and takes the time of the load")]

use crate::checks::Reads;
use crate::cluster::Cluster;
use crate::faults::Faults;
use crate::judgement::{connect, judge};
use crate::record::Totals;
use crate::report::Report;
use crate::schedule::{Needs, Phase};
use crate::software::Software;
use crate::violation::Violation;
use crate::workload::{COUNTERS, Mortals, Observer, PAIRS, TimerWatch, Told, Witness, Worker, World};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use thiserror::Error;
use volery::client::ClientError;
use volery::wire::{Acl, Create, CreateMode, MultiOp};

/// What to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Which server.
    pub software: Software,
    /// How many nodes.
    pub nodes: u16,
    /// What its reads promise.
    pub reads: Reads,
    /// What is done to the nodes, in this order.
    pub phases: Vec<Phase>,
    /// Clients that work all the time.
    pub connections: usize,
    /// How long each of them rests between what it does.
    pub pace: Duration,
    /// Decides all choices.
    pub seed: u64,
    /// The least that proves anything.
    pub floor: Floor,
}

/// How many writes must be acknowledged at the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Floor {
    /// In the whole trial.
    Whole(u64),
    /// In each second of load, faults included, on average.
    PerSecond(u64),
}

impl Floor {
    fn of(self, load: Duration) -> u64 {
        match self {
            Floor::Whole(floor) => floor,
            Floor::PerSecond(floor) => floor.saturating_mul(load.as_secs()),
        }
    }
}

/// Why a trial could not begin.
#[derive(Debug, Error)]
pub enum TrialError {
    /// The servers do not start.
    #[error(transparent)]
    Server(#[from] io::Error),
    /// The servers do not serve.
    #[error("preparing: {0}")]
    Client(#[from] ClientError),
}

/// Carries a plan through on an empty directory, reporting as it goes.
pub fn run(plan: &Plan, directory: &Path, report: &mut Report) -> Result<Totals, TrialError> {
    let mut cluster = Cluster::start(&plan.software, plan.nodes, directory, Needs::of(&plan.phases))?;
    let world = Arc::new(World::new(cluster.addresses(), plan.reads, plan.pace));
    prepare(&world, plan)?;
    let began = Instant::now();
    let clients = Clients::start(&world, plan);
    let mut faults = Faults::new(&mut cluster, &world, report, plan.seed);
    let standing = faults.carry_out(&plan.phases);
    let floor = plan.floor.of(began.elapsed());
    world.stop();
    let told = clients.join();
    let judged = standing.and_then(|()| {
        judge_effort(&world, floor);
        judge_after_one_more_kill(&mut faults, &world, told)
    });
    judged.unwrap_or_else(|violation| world.record.violate(violation));
    report.violations(&world.record);
    Ok(world.record.totals())
}

/// Creates everything that the load works on.
fn prepare(world: &World, plan: &Plan) -> Result<(), ClientError> {
    let mut client = connect(world, &world.servers())?;
    for parent in ["/counters", "/pairs", "/sequence", "/ephemerals"] {
        client.create(parent, "", CreateMode::Persistent)?;
    }
    for counter in 0..COUNTERS {
        client.create(&World::counter(counter), "0", CreateMode::Persistent)?;
    }
    for pair in 0..PAIRS {
        client.multi(World::pair(pair).map(|path| pair_half(&path)).to_vec())?;
    }
    let faults: usize = plan.phases.iter().map(|phase| phase.faults(world.nodes.len())).sum();
    for round in 0..=faults {
        client.create(&World::sequence(round), "", CreateMode::Persistent)?;
    }
    client.close()
}

fn pair_half(path: &str) -> MultiOp {
    let (mode, acl) = (Ok(CreateMode::Persistent), Acl::open_unsafe());
    MultiOp::Create(Create { path: path.into(), data: Some("new".into()), acl, mode, with_stat: false })
}

/// Nothing is in flight any more, and what was acknowledged must outlive one more kill of all nodes.
fn judge_after_one_more_kill(
    faults: &mut Faults<'_>,
    world: &World,
    told: Vec<Told>,
) -> Result<(), Violation> {
    faults.restart_all()?;
    faults.say("judging what is there after one more kill, and waiting for sessions to expire");
    judge(world, told)
        .map_err(|error| Violation::Unexpected { what: "judging".to_owned(), answer: error.to_string() })
}

/// Who did little has proven little.
fn judge_effort(world: &World, floor: u64) {
    let acknowledged = world.record.acknowledged();
    if acknowledged < floor {
        world.record.violate(Violation::TooFewWrites { acknowledged, floor });
    }
    let unread = world.nodes.iter().enumerate().filter(|(_, node)| node.echoes() == 0);
    for (node, _) in unread.filter(|_| world.nodes.len() > 1) {
        world.record.violate(Violation::EchoNone { node: node + 1 });
    }
}

/// The threads of the load.
struct Clients {
    workers: Vec<JoinHandle<Told>>,
    others: Vec<JoinHandle<()>>,
}

impl Clients {
    fn start(world: &Arc<World>, plan: &Plan) -> Clients {
        let seed = plan.seed.wrapping_mul(1000);
        let workers = (0..plan.connections).map(|index| {
            let world = Arc::clone(world);
            std::thread::spawn(move || Worker::run(world, index, seed))
        });
        let workers = workers.collect();
        let mortals = Arc::clone(world);
        let mut others = vec![std::thread::spawn(move || Mortals::run(&mortals, seed.wrapping_sub(1)))];
        for node in 0..world.nodes.len() {
            let (observed, seed) = (Arc::clone(world), seed.wrapping_sub(2 + node as u64));
            others.push(std::thread::spawn(move || Observer::run(observed, node, seed)));
        }
        for node in (0..world.nodes.len()).filter(|_| matches!(plan.software, Software::Volery(_))) {
            let watched = Arc::clone(world);
            others.push(std::thread::spawn(move || TimerWatch::run(&watched, node)));
        }
        // Where there is one node, a write is read through no other.
        for node in (0..world.nodes.len()).filter(|_| world.nodes.len() > 1) {
            let witnessed = Arc::clone(world);
            others.push(std::thread::spawn(move || Witness::run(witnessed, node)));
        }
        Clients { workers, others }
    }

    /// Waits until all have finished.
    ///
    /// # Panics
    /// If one of them has.
    fn join(self) -> Vec<Told> {
        for other in self.others {
            assert!(other.join().is_ok(), "a client's thread has panicked");
        }
        let told = self.workers.into_iter().map(|worker| {
            let told = worker.join();
            assert!(told.is_ok(), "a worker's thread has panicked");
            told.ok()
        });
        told.flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_little_work_and_a_node_that_nobody_read_through_are_seen() {
        let address = |port: u16| ([127, 0, 0, 1], port).into();
        let world = World::new(vec![address(1), address(2)], Reads::Linearizable, Duration::ZERO);
        world.record.acknowledge();
        world.nodes[0].echo();
        judge_effort(&world, Floor::PerSecond(1).of(Duration::from_secs(2)));
        let few = Violation::TooFewWrites { acknowledged: 1, floor: 2 };
        assert_eq!(world.record.take_violations_from(0), [few, Violation::EchoNone { node: 2 }]);
        let alone = World::new(vec![address(1)], Reads::Linearizable, Duration::ZERO);
        judge_effort(&alone, Floor::Whole(0).of(Duration::from_secs(2)));
        assert_eq!(alone.record.take_violations_from(0), []);
    }
}
