//! One trial: load, kills, and the judgement at the end.

#![allow(clippy::disallowed_methods, reason = "starts the clients' threads, and waits between kills")]

use crate::checks::{Burst, Updates, judge_counter, judge_pair, judge_sequence};
use crate::record::Totals;
use crate::report::Report;
use crate::server::{Kind, Server};
use crate::violation::Violation;
use crate::workload::{COUNTERS, Mortals, Observer, PAIRS, Told, Worker, World, sweep};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use thiserror::Error;
use volery::client::{Client, ClientError};
use volery::wire::{Acl, Create, CreateMode, MultiOp, ReadOp, Reply, Request};

/// How long a restarted server may take to acknowledge a write.
const RECOVERY_MAX: Duration = Duration::from_secs(60);
/// How often the waiting thread looks.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);
/// The timeout of the sessions of this thread.
const SESSION_TIMEOUT: Duration = Duration::from_secs(10);
/// Children whose data are read in one pipeline.
const READ_PIPELINE: usize = 512;

/// What to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Which server.
    pub kind: Kind,
    /// How often to kill it.
    pub kills: u32,
    /// How long to load it before each kill and after the last, on average.
    pub between: Duration,
    /// Clients that work all the time.
    pub connections: usize,
    /// Decides all choices.
    pub seed: u64,
    /// The least writes acknowledged that prove anything.
    pub floor: u64,
}

/// Why a trial could not begin.
#[derive(Debug, Error)]
pub enum TrialError {
    /// The server does not start.
    #[error(transparent)]
    Server(#[from] io::Error),
    /// The server does not serve.
    #[error("preparing: {0}")]
    Client(#[from] ClientError),
}

/// Carries a plan through on an empty directory, reporting as it goes.
pub fn run(plan: &Plan, directory: &Path, report: &mut Report) -> Result<Totals, TrialError> {
    let mut server = Server::start(plan.kind.clone(), directory)?;
    let world = Arc::new(World::new(server.address()));
    prepare(&world, plan.kills)?;
    let clients = Clients::start(&world, plan);
    let standing = kill_again_and_again(plan, &mut server, &world, report);
    world.stop();
    let told = clients.join();
    let record = &world.record;
    let judged = standing.and_then(|()| judge_after_one_more_kill(&mut server, &world, told, report));
    judged.unwrap_or_else(|violation| record.violate(violation));
    let acknowledged = record.totals().acknowledged;
    if acknowledged < plan.floor {
        record.violate(Violation::TooFewWrites { acknowledged, floor: plan.floor });
    }
    report.violations(record);
    Ok(record.totals())
}

/// Creates everything that the load works on.
fn prepare(world: &World, kills: u32) -> Result<(), ClientError> {
    let mut client = connect(world)?;
    for parent in ["/counters", "/pairs", "/sequence", "/ephemerals"] {
        client.create(parent, "", CreateMode::Persistent)?;
    }
    for counter in 0..COUNTERS {
        client.create(&World::counter(counter), "0", CreateMode::Persistent)?;
    }
    for pair in 0..PAIRS {
        client.multi(World::pair(pair).map(|path| pair_half(&path)).to_vec())?;
    }
    for round in 0..=kills as usize {
        client.create(&World::sequence(round), "", CreateMode::Persistent)?;
    }
    client.close()
}

fn pair_half(path: &str) -> MultiOp {
    let (mode, acl) = (Ok(CreateMode::Persistent), Acl::open_unsafe());
    MultiOp::Create(Create { path: path.into(), data: Some("new".into()), acl, mode, with_stat: false })
}

/// Opens a session at a server that may just have been started, within the time it has for that.
fn connect(world: &World) -> Result<Client, ClientError> {
    let deadline = Instant::now() + RECOVERY_MAX;
    loop {
        match Client::connect(world.address, SESSION_TIMEOUT) {
            Err(_) if Instant::now() < deadline => world.pause(),
            done => return done,
        }
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
        let (first, second) = (Arc::clone(world), Arc::clone(world));
        let mortals = std::thread::spawn(move || Mortals::run(&first, seed.wrapping_sub(1)));
        let observer = std::thread::spawn(move || Observer::run(second, seed.wrapping_sub(2)));
        Clients { workers, others: vec![mortals, observer] }
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

/// Kills the server under load as often as planned. The error is why it does not stand in the end.
fn kill_again_and_again(
    plan: &Plan,
    server: &mut Server,
    world: &World,
    report: &mut Report,
) -> Result<(), Violation> {
    let mut rng = SmallRng::seed_from_u64(plan.seed);
    for kill in 1..=plan.kills {
        load(plan, &mut rng, server)?;
        world.round.fetch_add(1, Ordering::SeqCst);
        let killed = Instant::now();
        restart(server, world)?;
        let up = killed.elapsed();
        let recovered = wait_for_acknowledgement(world);
        report.kill(kill, plan.kills, up, killed.elapsed(), &world.record);
        if !recovered {
            return Err(Violation::NoProgress { seconds: RECOVERY_MAX.as_secs() });
        }
    }
    load(plan, &mut rng, server)
}

fn restart(server: &mut Server, world: &World) -> Result<(), Violation> {
    server.kill().and_then(|()| server.restart()).map_err(|error| process_fault(&error.to_string()))?;
    world.is_up();
    Ok(())
}

/// Lets the clients work for a while, half to one and a half times as long as planned. The server may not end by itself.
fn load(plan: &Plan, rng: &mut SmallRng, server: &mut Server) -> Result<(), Violation> {
    std::thread::sleep(plan.between.mul_f64(rng.random_range(0.5..1.5)));
    match server.ended() {
        Ok(None) => Ok(()),
        Ok(Some(status)) => Err(process_fault(&format!("it ended: {status}"))),
        Err(error) => Err(process_fault(&error.to_string())),
    }
}

fn process_fault(fault: &str) -> Violation {
    Violation::Unexpected { what: "the server's process".to_owned(), answer: fault.to_owned() }
}

fn wait_for_acknowledgement(world: &World) -> bool {
    let before = world.record.acknowledgements().count;
    let deadline = Instant::now() + RECOVERY_MAX;
    while world.record.acknowledgements().count == before {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(LOOK_INTERVAL);
    }
    true
}

/// Nothing is in flight any more, and what was acknowledged must outlive one more kill.
fn judge_after_one_more_kill(
    server: &mut Server,
    world: &World,
    told: Vec<Told>,
    report: &mut Report,
) -> Result<(), Violation> {
    restart(server, world)?;
    report.say("judging what is there after one more kill, and waiting for sessions to expire");
    judge(world, told)
        .map_err(|error| Violation::Unexpected { what: "judging".to_owned(), answer: error.to_string() })
}

/// Judges what is there in the end against what the workers were told.
fn judge(world: &World, told: Vec<Told>) -> Result<(), ClientError> {
    let mut client = connect(world)?;
    let mut counters = vec![Updates::default(); COUNTERS];
    let mut pairs = vec![Updates::default(); PAIRS];
    let mut bursts: BTreeMap<usize, Vec<Burst>> = BTreeMap::new();
    for one in told {
        counters.iter_mut().zip(one.counters).for_each(|(all, one)| all.absorb(one));
        pairs.iter_mut().zip(one.pairs).for_each(|(all, one)| all.absorb(one));
        one.bursts.into_iter().for_each(|(round, more)| bursts.entry(round).or_default().extend(more));
    }
    let mut violations = judge_counters(&mut client, &counters)?;
    violations.extend(judge_pairs(&mut client, &pairs)?);
    for (round, bursts) in &bursts {
        let parent = World::sequence(*round);
        let children = children(&mut client, &parent)?;
        violations.extend(judge_sequence(&parent, bursts, &children));
    }
    violations.into_iter().for_each(|violation| world.record.violate(violation));
    sweep(world, &mut client)?;
    client.close()
}

fn judge_counters(client: &mut Client, counters: &[Updates]) -> Result<Vec<Violation>, ClientError> {
    let mut violations = Vec::new();
    for (index, updates) in counters.iter().enumerate() {
        let path = World::counter(index);
        let (value, stat) = client.get(&path)?;
        violations.extend(judge_counter(&path, &value, stat.version));
        violations.extend(updates.judge(&path, stat.version));
    }
    Ok(violations)
}

fn judge_pairs(client: &mut Client, pairs: &[Updates]) -> Result<Vec<Violation>, ClientError> {
    let mut violations = Vec::new();
    for (index, updates) in pairs.iter().enumerate() {
        let paths = World::pair(index);
        let reads = paths.each_ref().map(|path| ReadOp::GetData { path: path.as_str().into() });
        match judge_pair(&paths, &client.multi_read(reads.to_vec())?) {
            Ok(version) => violations.extend(updates.judge(&paths[0], version)),
            Err(violation) => violations.push(violation),
        }
    }
    Ok(violations)
}

/// All children with their data.
fn children(client: &mut Client, parent: &str) -> Result<Vec<(String, String)>, ClientError> {
    let names = client.children(parent)?;
    let mut children = Vec::with_capacity(names.len());
    for names in names.chunks(READ_PIPELINE) {
        for name in names {
            client.send(Request::GetData { path: format!("{parent}/{name}").into(), watch: false })?;
        }
        for name in names {
            let data = match client.receive()?.1? {
                Reply::Data { data, .. } => data.unwrap_or_default(),
                other => unreachable!("the codec read {other:?} for a getData"),
            };
            children.push((name.to_string(), String::from_utf8_lossy(&data).into_owned()));
        }
    }
    Ok(children)
}
