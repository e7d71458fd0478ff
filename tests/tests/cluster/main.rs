//! Three nodes of a cluster through the death of any of them: every command takes effect once, at all replicas.

mod bank;

use bank::{Bank, Branches, Command, Teller};
use bytes::Bytes;
use eyrie::{Disk, Layout, LogLimits, MemoryDisk, Node, NodeId, NodeLog, RingTiming, SharedLog};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use std::collections::VecDeque;
use std::sync::Arc;

const NODES: usize = 3;
const ACCOUNTS: u32 = 10;

/// Three nodes, their disks, and the messages between them, pair by pair in order.
struct World {
    rng: SmallRng,
    disks: Vec<Arc<MemoryDisk>>,
    nodes: Vec<Option<Node<Bank, Teller>>>,
    travelling: Vec<Vec<VecDeque<Bytes>>>,
    /// Deposits acknowledged by tellers that died, and deposits whose teller died without an answer.
    acknowledged: i64,
    unknown: i64,
    now_ms: u64,
}

fn start(node: usize, disk: &Arc<MemoryDisk>) -> Node<Bank, Teller> {
    let disk: Arc<dyn Disk> = disk.clone();
    let limits = LogLimits { segment_bytes: 64 * 1024, ..LogLimits::default() };
    let log = SharedLog::new(NodeLog::recover(disk, limits).expect("a log"));
    let layout = Layout::new(NodeId(node as u16), (0..NODES as u16).map(NodeId).collect(), 2);
    Node::clustered(&layout, RingTiming::default(), Arc::new(Branches), log, Teller::default())
        .expect("a log")
}

impl World {
    fn new(seed: u64) -> World {
        let mut world = World {
            rng: SmallRng::seed_from_u64(seed),
            disks: (0..NODES).map(|_| Arc::new(MemoryDisk::new())).collect(),
            nodes: (0..NODES).map(|_| None).collect(),
            travelling: vec![vec![VecDeque::new(); NODES]; NODES],
            acknowledged: 0,
            unknown: 0,
            now_ms: 0,
        };
        (0..NODES).for_each(|node| world.start(node));
        world
    }

    fn start(&mut self, node: usize) {
        self.nodes[node] = Some(start(node, &self.disks[node]));
        for peer in (0..NODES).filter(|peer| *peer != node && self.nodes[*peer].is_some()).collect::<Vec<_>>()
        {
            for (at, with) in [(node, peer), (peer, node)] {
                self.travelling[at][with].clear();
                let met =
                    self.nodes[at].as_mut().map(|node| node.meet(NodeId(with as u16), 100 + with as u64));
                assert_eq!(met, Some(Ok(())));
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
        for peer in 0..NODES {
            self.travelling[node][peer].clear();
            self.travelling[peer][node].clear();
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
        for peer in 0..NODES {
            for _ in 0..self.rng.random_range(0..8) {
                let Some(message) = self.travelling[peer][place].pop_front() else { break };
                node.step(NodeId(peer as u16), message).expect("a message of a node that was met");
            }
        }
        if let Some(buffer) = node.propose().expect("a log that can be followed") {
            buffer.write(self.disks[place].as_ref()).expect("a disk that works");
            node.synced(buffer.position());
        }
        for sent in node.drain_sent() {
            self.travelling[place][usize::from(sent.to.0)].push_back(sent.message);
        }
        node.deliver().expect("a log that can be followed");
        node.check_invariants();
    }

    fn run(&mut self, turns: usize, orders: bool) {
        for _ in 0..turns {
            self.now_ms += self.rng.random_range(1..30);
            let place = self.rng.random_range(0..NODES);
            let orders = orders && self.rng.random_bool(0.5);
            self.turn(place, orders);
        }
    }

    fn check(&mut self, seed: u64) {
        let mut hashes = Vec::new();
        let mut totals = Vec::new();
        let mut acknowledged = self.acknowledged;
        for node in self.nodes.iter_mut().flatten() {
            assert!(node.front().out.is_empty(), "seed {seed}: an errand has no answer");
            acknowledged += node.front().deposited;
            node.show_status(0);
            totals.push(node.front().total);
            hashes.push(node.status().replicas.iter().map(|replica| replica.state_hash).collect::<Vec<_>>());
        }
        assert!(
            hashes.len() == NODES && hashes.iter().all(|hash| *hash == hashes[0]),
            "seed {seed}: {hashes:?}"
        );
        let range = acknowledged..=acknowledged + self.unknown;
        assert!(
            totals.iter().all(|total| range.contains(total)),
            "seed {seed}: {totals:?} is not in {range:?}"
        );
        assert!(acknowledged > 50, "seed {seed}: only {acknowledged} deposits");
    }
}

#[test]
fn every_command_takes_effect_once_through_the_death_of_any_node() {
    for seed in 0..40 {
        let mut world = World::new(seed);
        world.run(400, true);
        for _ in 0..4 {
            let victim = world.rng.random_range(0..NODES);
            world.kill(victim);
            world.run(400, true);
            world.start(victim);
            world.run(300, true);
        }
        world.run(4_000, false);
        world.check(seed);
    }
}

#[test]
fn every_command_takes_effect_once_through_the_death_of_all_nodes() {
    for seed in 100..120 {
        let mut world = World::new(seed);
        for _ in 0..3 {
            world.run(600, true);
            (0..NODES).for_each(|node| world.kill(node));
            (0..NODES).for_each(|node| world.start(node));
        }
        world.run(4_000, false);
        world.check(seed);
    }
}
