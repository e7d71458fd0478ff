//! Nodes of a cluster through the death of any of them: every command takes effect once, at all replicas; also where no
//! node has replicas of all partitions, and signals and variables cross between nodes.

mod bank;

use bank::{Bank, Branches, Command, Teller};
use bytes::Bytes;
use eyrie::{
    Disk, Layout, LogLimits, MemoryDisk, Message, Node, NodeId, NodeLog, PartitionId, RingTiming, SharedLog,
};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

const ACCOUNTS: u32 = 10;

/// How many nodes there are, and how many of them have a replica of a partition.
#[derive(Clone, Copy)]
struct Shape {
    nodes: usize,
    replicas: u16,
}

const TOGETHER: Shape = Shape { nodes: 3, replicas: 3 };
const APART: Shape = Shape { nodes: 4, replicas: 3 };

/// What travels from one node to another.
enum Parcel {
    /// A message of rings.
    Ring(Bytes),
    /// Another one, as bytes.
    Told(Bytes),
}

/// Nodes, their disks, and the messages between them, pair by pair in order.
struct World {
    shape: Shape,
    rng: SmallRng,
    disks: Vec<Arc<MemoryDisk>>,
    nodes: Vec<Option<Node<Bank, Teller>>>,
    travelling: Vec<Vec<VecDeque<Parcel>>>,
    /// Deposits acknowledged by tellers that died, and deposits whose teller died without an answer.
    acknowledged: i64,
    unknown: i64,
    now_ms: u64,
}

fn start(shape: Shape, node: usize, disk: &Arc<MemoryDisk>) -> Node<Bank, Teller> {
    let disk: Arc<dyn Disk> = disk.clone();
    let limits = LogLimits { segment_bytes: 64 * 1024, ..LogLimits::default() };
    let log = SharedLog::new(NodeLog::recover(disk, limits).expect("a log"));
    let nodes = (0..shape.nodes as u16).map(NodeId).collect();
    let layout = Layout::new(NodeId(node as u16), nodes, 2, shape.replicas);
    Node::clustered(&layout, RingTiming::default(), Arc::new(Branches), log, Teller::default())
        .expect("a log")
}

impl World {
    fn new(shape: Shape, seed: u64) -> World {
        let nodes = shape.nodes;
        let mut world = World {
            shape,
            rng: SmallRng::seed_from_u64(seed),
            disks: (0..nodes).map(|_| Arc::new(MemoryDisk::new())).collect(),
            nodes: (0..nodes).map(|_| None).collect(),
            travelling: (0..nodes).map(|_| (0..nodes).map(|_| VecDeque::new()).collect()).collect(),
            acknowledged: 0,
            unknown: 0,
            now_ms: 0,
        };
        (0..nodes).for_each(|node| world.start(node));
        world
    }

    fn start(&mut self, node: usize) {
        self.nodes[node] = Some(start(self.shape, node, &self.disks[node]));
        let there = |peer: &usize| *peer != node && self.nodes[*peer].is_some();
        for peer in (0..self.shape.nodes).filter(there).collect::<Vec<_>>() {
            for (at, with) in [(node, peer), (peer, node)] {
                self.travelling[at][with].clear();
                let node = self.nodes[at].as_mut().expect("it has just started, or was there");
                assert_eq!(node.meet(NodeId(with as u16), 100 + with as u64), Ok(()));
                node.found(NodeId(with as u16));
            }
        }
    }

    fn kill(&mut self, node: usize) {
        if let Some(mut dead) = self.nodes[node].take() {
            let teller = dead.front();
            self.acknowledged += teller.deposited;
            self.unknown +=
                teller.out.values().filter(|order| matches!(order, Command::Deposit(_))).count() as i64;
        }
        self.disks[node].crash(self.rng.random());
        for peer in 0..self.shape.nodes {
            self.travelling[node][peer].clear();
            self.travelling[peer][node].clear();
            if let Some(alive) = &mut self.nodes[peer] {
                alive.lost(NodeId(node as u16));
            }
        }
    }

    fn turn(&mut self, place: usize, orders: bool) {
        let Some(node) = &mut self.nodes[place] else { return };
        if orders {
            let accounts = [self.rng.random_range(0..ACCOUNTS), self.rng.random_range(0..ACCOUNTS)];
            let transfer = self.rng.random_bool(0.5) && accounts[0] != accounts[1];
            let order = if transfer {
                Command::Transfer(accounts[0], accounts[1])
            } else {
                Command::Deposit(accounts[0])
            };
            if node.front().orders.len() < 10 {
                node.front().orders.push(order);
            }
        }
        node.tick(self.now_ms, 1_000_000 + self.now_ms);
        for peer in 0..self.shape.nodes {
            for _ in 0..self.rng.random_range(0..8) {
                let Some(message) = self.travelling[peer][place].pop_front() else { break };
                let peer = NodeId(peer as u16);
                match message {
                    Parcel::Ring(message) => {
                        node.step(peer, message).expect("a message of a node that was met");
                    }
                    Parcel::Told(bytes) => {
                        node.told(peer, Message::decode(bytes).expect("a message of a node"));
                    }
                }
            }
        }
        if let Some(buffer) = node.propose().expect("a log that can be followed") {
            buffer.write(self.disks[place].as_ref()).expect("a disk that works");
            node.synced(buffer.position());
        }
        for sent in node.drain_sent() {
            self.travelling[place][usize::from(sent.to.0)].push_back(Parcel::Ring(sent.message));
        }
        node.deliver().expect("a log that can be followed");
        for (to, message) in node.drain_told() {
            // What is told may be lost; whoever misses it asks again.
            if !self.rng.random_bool(0.02) {
                self.travelling[place][usize::from(to.0)].push_back(Parcel::Told(message.encode()));
            }
        }
        node.check_invariants();
    }

    fn run(&mut self, turns: usize, orders: bool) {
        for _ in 0..turns {
            self.now_ms += self.rng.random_range(1..30);
            let place = self.rng.random_range(0..self.shape.nodes);
            let orders = orders && self.rng.random_bool(0.5);
            self.turn(place, orders);
        }
    }

    fn check(&mut self, seed: u64) {
        let mut hashes: BTreeMap<PartitionId, Vec<u64>> = BTreeMap::new();
        let mut totals: BTreeMap<PartitionId, i64> = BTreeMap::new();
        let mut acknowledged = self.acknowledged;
        for node in self.nodes.iter_mut().flatten() {
            assert!(node.front().out.is_empty(), "seed {seed}: an errand has no answer");
            acknowledged += node.front().deposited;
            node.show_status(0);
            let held = node.front().totals.clone();
            for (replica, total) in node.status().replicas.iter().zip(held) {
                hashes.entry(replica.partition).or_default().push(replica.state_hash);
                totals.insert(replica.partition, total);
            }
        }
        assert!(
            hashes.values().all(
                |of| of.len() == usize::from(self.shape.replicas) && of.iter().all(|hash| *hash == of[0])
            ),
            "seed {seed}: {hashes:?}"
        );
        let range = acknowledged..=acknowledged + self.unknown;
        assert!(
            range.contains(&totals.values().sum::<i64>()),
            "seed {seed}: {totals:?} are not in {range:?}"
        );
        assert!(acknowledged > 50, "seed {seed}: only {acknowledged} deposits");
    }
}

fn kill_any_node(shape: Shape, seeds: std::ops::Range<u64>) {
    for seed in seeds {
        let mut world = World::new(shape, seed);
        world.run(400, true);
        for _ in 0..4 {
            let victim = world.rng.random_range(0..shape.nodes);
            world.kill(victim);
            world.run(400, true);
            world.start(victim);
            world.run(300, true);
        }
        world.run(6_000, false);
        world.check(seed);
    }
}

fn kill_all_nodes(shape: Shape, seeds: std::ops::Range<u64>) {
    for seed in seeds {
        let mut world = World::new(shape, seed);
        for _ in 0..3 {
            world.run(600, true);
            (0..shape.nodes).for_each(|node| world.kill(node));
            (0..shape.nodes).for_each(|node| world.start(node));
        }
        world.run(6_000, false);
        world.check(seed);
    }
}

#[test]
fn every_command_takes_effect_once_through_the_death_of_any_node() {
    kill_any_node(TOGETHER, 0..40);
}

#[test]
fn every_command_takes_effect_once_through_the_death_of_all_nodes() {
    kill_all_nodes(TOGETHER, 100..120);
}

#[test]
fn where_replicas_are_apart_every_command_takes_effect_once_through_the_death_of_any_node() {
    kill_any_node(APART, 200..240);
}

#[test]
fn where_replicas_are_apart_every_command_takes_effect_once_through_the_death_of_all_nodes() {
    kill_all_nodes(APART, 300..320);
}
