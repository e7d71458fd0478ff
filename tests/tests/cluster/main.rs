//! Another service than Volery in the simulator's world: a bank, of which every command can be counted afterwards. Every command
//! takes effect once, at all replicas, whatever goes wrong; also where no node has replicas of all partitions, and signals
//! and variables cross between nodes.

mod bank;

use bank::{Bank, Branches, Ledger, Teller};
use eyrie::sim::{Blueprint, Misfortune, Shape, Swarm, World};
use eyrie::{AnswerLimits, LogLimits, NodeId, RingLimits, STEPS_MAX};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

const TOGETHER: Shape = Shape { nodes: 3, partitions: 2, replicas: 3 };
const FIVE: Shape = Shape { nodes: 5, partitions: 2, replicas: 5 };
const SEVEN: Shape = Shape { nodes: 7, partitions: 2, replicas: 7 };
const APART: Shape = Shape { nodes: 4, partitions: 2, replicas: 3 };
/// How many errands a teller does in each of its lives.
const ERRANDS: u32 = 60;
const TROUBLE_US: u64 = 8_000_000;
const SETTLE_US: u64 = 120_000_000;

fn blueprint(shape: Shape, ledger: &Rc<RefCell<Ledger>>) -> Blueprint<Bank, Teller> {
    let ledger = ledger.clone();
    let front = move |node: NodeId| Teller::new(ledger.clone(), node.0.into(), ERRANDS);
    let limits = LogLimits { segment_bytes: 64 << 10, ..LogLimits::default() };
    let (ids, oracle) = (shape.dense_ids(), Arc::new(Branches));
    let (rings, answers) = (RingLimits::default(), AnswerLimits::default());
    Blueprint { shape, ids, oracle, front: Box::new(front), limits, rings, answers, steps: 3 }
}

fn run(seed: u64, shape: Shape, swarm: &[(Misfortune, u64)]) {
    let ledger = Rc::default();
    let swarm = Swarm(swarm.iter().copied().collect());
    let mut world = World::new(seed, blueprint(shape, &ledger), swarm);
    assert_eq!(world.next(TROUBLE_US), None, "nobody is outside");
    world.heal();
    while world.violation().is_none() && world.settled().is_err() && world.now_us() < SETTLE_US {
        let until_us = world.now_us() + 100_000;
        world.next(until_us);
    }
    assert_eq!(world.violation(), None, "seed {seed}");
    assert_eq!(world.settled(), Ok(()), "seed {seed}");
    assert_eq!(world.audit().judge::<Bank>(&Arc::new(Branches)), Ok(()), "seed {seed}");
    count(seed, &mut world, &ledger.borrow());
}

/// What is there was asked for, and what was acknowledged is there.
fn count(seed: u64, world: &mut World<Bank, Teller>, ledger: &Ledger) {
    let mut totals = BTreeMap::new();
    for place in 0..world.shape().nodes {
        let node = world.node(place).expect("a node that runs");
        node.show_status(0);
        let held = node.front().totals.clone();
        totals.extend(node.status().replicas.iter().map(|replica| replica.partition).zip(held));
    }
    let total: i64 = totals.values().sum();
    let range = ledger.answered..=ledger.asked;
    assert!(range.contains(&total), "seed {seed}: {total} is not in {range:?}");
    assert!(ledger.answered > 50, "seed {seed}: only {} deposits", ledger.answered);
}

fn run_all(seeds: Range<u64>, shape: Shape, swarm: &[(Misfortune, u64)]) {
    seeds.for_each(|seed| run(seed, shape, swarm));
}

const DEATHS: [(Misfortune, u64); 3] =
    [(Misfortune::Kill, 2_000), (Misfortune::PowerLoss, 2_000), (Misfortune::BreakLinks, 1_000)];
const BLACKOUTS: [(Misfortune, u64); 2] = [(Misfortune::Blackout, 2_000), (Misfortune::SlowDisk, 2_000)];

#[test]
fn every_command_takes_effect_once_through_the_death_of_any_node() {
    run_all(0..30, TOGETHER, &DEATHS);
}

#[test]
fn every_command_takes_effect_once_through_the_death_of_all_nodes() {
    run_all(100..120, TOGETHER, &BLACKOUTS);
}

#[test]
fn every_command_takes_effect_once_at_five_and_at_seven_replicas() {
    run_all(400..406, FIVE, &DEATHS);
    run_all(410..412, SEVEN, &DEATHS);
}

/// A cluster in which nothing goes wrong, whose leaders are settled and whose tellers have nothing to do yet.
fn calm(seed: u64, shape: Shape) -> World<Bank, Teller> {
    let ledger: Rc<RefCell<Ledger>> = Rc::default();
    let front = move |node: NodeId| Teller::new(ledger.clone(), node.0.into(), 0);
    let (ids, oracle, limits) = (shape.dense_ids(), Arc::new(Branches), LogLimits::default());
    let answers = AnswerLimits::default();
    let (front, rings, steps) = (Box::new(front), RingLimits::default(), STEPS_MAX);
    let blueprint = Blueprint { shape, ids, oracle, front, limits, rings, answers, steps };
    let mut world = World::new(seed, blueprint, Swarm(BTreeMap::new()));
    assert_eq!(world.next(QUIET_US), None, "nobody is outside");
    world
}

/// Gives each teller errands to do, whose deposits are wrapped in `paper_bytes`.
fn give_errands(world: &mut World<Bank, Teller>, errands: u32, paper_bytes: usize) {
    for place in 0..world.shape().nodes {
        let teller = world.node(place).expect("a node that runs").front();
        (teller.left, teller.paper_bytes) = (errands, paper_bytes);
    }
}

/// How many terms of leadership the nodes have seen begin.
fn elections(world: &mut World<Bank, Teller>) -> u64 {
    let mut sum = 0;
    for place in 0..world.shape().nodes {
        let node = world.node(place).expect("a node that runs");
        sum += node.status().rings.iter().map(|ring| ring.elections).sum::<u64>();
    }
    sum
}

fn delivered(world: &mut World<Bank, Teller>) -> u64 {
    world.node(0).expect("a node that runs").status().multicast.delivered
}

/// Leaders are where they are preferred by then.
const QUIET_US: u64 = 12_000_000;

/// A command of 128 KiB takes more than a second to reach a follower, six times as long as a follower waits for a heartbeat
/// on a quiet machine, and heartbeats do not wait behind it.
#[test]
fn full_links_depose_nobody() {
    for seed in 500..501 {
        let mut world = calm(seed, TOGETHER);
        world.narrow(100_000);
        give_errands(&mut world, 6, 128 << 10);
        let (before, had) = (elections(&mut world), delivered(&mut world));
        assert_eq!(world.next(QUIET_US + 45_000_000), None, "nobody is outside");
        assert_eq!(world.violation(), None, "seed {seed}");
        assert_eq!(elections(&mut world) - before, 0, "seed {seed}: leaders have changed");
        assert!(delivered(&mut world) > had, "seed {seed}: nothing was delivered");
    }
}

/// Every process waits for its processor again and again, for longer than a round of heartbeats takes on a quiet machine.
#[test]
fn slow_processes_depose_nobody() {
    for seed in 510..514 {
        let mut world = calm(seed, TOGETHER);
        world.crowd(250_000);
        give_errands(&mut world, 500, 0);
        let (before, had) = (elections(&mut world), delivered(&mut world));
        assert_eq!(world.next(QUIET_US + 30_000_000), None, "nobody is outside");
        assert_eq!(world.violation(), None, "seed {seed}");
        assert_eq!(elections(&mut world) - before, 0, "seed {seed}: leaders have changed");
        assert!(delivered(&mut world) > had, "seed {seed}: nothing was delivered");
    }
}

#[test]
fn where_replicas_are_apart_every_command_takes_effect_once_through_the_death_of_any_node() {
    run_all(200..230, APART, &DEATHS);
}

#[test]
fn where_replicas_are_apart_every_command_takes_effect_once_through_the_death_of_all_nodes() {
    run_all(300..320, APART, &BLACKOUTS);
}
