//! A world for nodes: disks that lose what is not synced, links that are late and break, deaths; all from one seed.

use crate::bank::{Bank, Branches, Command, Teller};
use bytes::Bytes;
use eyrie::{
    Buffer, Disk, Layout, LogLimits, LogPosition, MemoryDisk, Message, Node, NodeId, NodeLog, PartitionId,
    RingTiming, SharedLog, link,
};
use link::StreamId;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

const ACCOUNTS: u32 = 10;
const PARTITIONS: u16 = 2;

/// How many nodes there are, and how many of them have a replica of a partition.
#[derive(Clone, Copy)]
pub struct Shape {
    pub nodes: usize,
    pub replicas: u16,
}

/// What travels from one node to another.
enum Parcel {
    /// A message of rings.
    Ring(Bytes),
    /// Another one, as bytes.
    Told(Bytes),
}

/// The way from one node to another.
#[derive(Default)]
struct Way {
    /// What waits until the sender's log is durable, stream by stream.
    held: BTreeMap<StreamId, VecDeque<(LogPosition, Bytes)>>,
    travelling: VecDeque<Parcel>,
}

impl Way {
    fn send(&mut self, stream: StreamId, after: Option<LogPosition>, message: Bytes, durable: LogPosition) {
        let held = self.held.entry(stream).or_default();
        match after {
            Some(after) if after > durable || !held.is_empty() => held.push_back((after, message)),
            _ => self.travelling.push_back(Parcel::Ring(message)),
        }
    }

    fn release(&mut self, durable: LogPosition) {
        for held in self.held.values_mut() {
            while held.front().is_some_and(|(after, _)| *after <= durable) {
                self.travelling.extend(held.pop_front().map(|(_, message)| Parcel::Ring(message)));
            }
        }
    }
}

/// A node that runs, and what of its log is on the way to the disk.
struct Running {
    node: Node<Bank, Teller>,
    in_flight: Option<Buffer>,
    durable: LogPosition,
}

/// Nodes, their disks, and the ways between them.
pub struct World {
    shape: Shape,
    pub rng: SmallRng,
    disks: Vec<Arc<MemoryDisk>>,
    nodes: Vec<Option<Running>>,
    ways: Vec<Vec<Way>>,
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
    let layout = Layout::new(NodeId(node as u16), nodes, PARTITIONS, shape.replicas);
    Node::clustered(&layout, RingTiming::default(), Arc::new(Branches), log, Teller::default())
        .expect("a log")
}

impl World {
    pub fn new(shape: Shape, seed: u64) -> World {
        let nodes = shape.nodes;
        let mut world = World {
            shape,
            rng: SmallRng::seed_from_u64(seed),
            disks: (0..nodes).map(|_| Arc::new(MemoryDisk::new())).collect(),
            nodes: (0..nodes).map(|_| None).collect(),
            ways: (0..nodes).map(|_| (0..nodes).map(|_| Way::default()).collect()).collect(),
            acknowledged: 0,
            unknown: 0,
            now_ms: 0,
        };
        (0..nodes).for_each(|node| world.start(node));
        world
    }

    pub fn start(&mut self, node: usize) {
        let fresh = start(self.shape, node, &self.disks[node]);
        let durable = LogPosition::default();
        self.nodes[node] = Some(Running { node: fresh, in_flight: None, durable });
        (0..self.shape.nodes).for_each(|peer| self.connect(node, peer));
    }

    pub fn kill(&mut self, node: usize) {
        if let Some(mut dead) = self.nodes[node].take() {
            let teller = dead.node.front();
            self.acknowledged += teller.deposited;
            let deposits = teller.out.values().filter(|order| matches!(order, Command::Deposit(_)));
            self.unknown += deposits.count() as i64;
        }
        self.disks[node].crash(self.rng.random());
        (0..self.shape.nodes).for_each(|peer| self.disconnect(node, peer));
    }

    /// The link between two nodes breaks, and is there again.
    pub fn reconnect(&mut self, a: usize, b: usize) {
        self.disconnect(a, b);
        self.connect(a, b);
    }

    fn connect(&mut self, a: usize, b: usize) {
        if a == b || self.nodes[a].is_none() || self.nodes[b].is_none() {
            return;
        }
        for (at, with) in [(a, b), (b, a)] {
            self.ways[at][with] = Way::default();
            let Some(Running { node, .. }) = &mut self.nodes[at] else { continue };
            let peer = NodeId(with as u16);
            let late = node.drain_sent().into_iter().filter(|sent| sent.to != peer).collect::<Vec<_>>();
            assert_eq!(node.meet(peer, 100 + with as u64), Ok(()));
            node.found(peer);
            self.send(at, late);
        }
    }

    fn disconnect(&mut self, a: usize, b: usize) {
        for (at, with) in [(a, b), (b, a)] {
            self.ways[at][with] = Way::default();
            if let Some(Running { node, .. }) = &mut self.nodes[at] {
                node.lost(NodeId(with as u16));
            }
        }
    }

    fn send(&mut self, from: usize, sent: Vec<eyrie::Sent>) {
        let Some(Running { durable, .. }) = &self.nodes[from] else { return };
        for sent in sent {
            self.ways[from][usize::from(sent.to.0)].send(sent.stream, sent.after, sent.message, *durable);
        }
    }

    fn order(&mut self) -> Command {
        let accounts = [self.rng.random_range(0..ACCOUNTS), self.rng.random_range(0..ACCOUNTS)];
        match self.rng.random_bool(0.5) && accounts[0] != accounts[1] {
            true => Command::Transfer(accounts[0], accounts[1]),
            false => Command::Deposit(accounts[0]),
        }
    }

    fn turn(&mut self, place: usize, orders: bool) {
        let order = orders.then(|| self.order());
        let World { rng, disks, nodes, ways, now_ms, .. } = self;
        let Some(Running { node, in_flight, durable }) = &mut nodes[place] else { return };
        if node.front().orders.len() < 10 {
            node.front().orders.extend(order);
        }
        node.tick(*now_ms, 1_000_000 + *now_ms);
        for (from, ways) in (0..).map(NodeId).zip(ways.iter_mut()) {
            for _ in 0..rng.random_range(0..8) {
                let Some(parcel) = ways[place].travelling.pop_front() else { break };
                take_in(node, from, parcel);
            }
        }
        if in_flight.is_none() {
            *in_flight = node.propose().expect("a log that can be followed");
        }
        // A disk takes its time: others go on meanwhile, and a death loses what is on the way.
        if let Some(buffer) = in_flight.take_if(|_| rng.random_bool(0.7)) {
            buffer.write(disks[place].as_ref()).expect("a disk that works");
            *durable = buffer.position();
            node.synced(*durable);
            ways[place].iter_mut().for_each(|way| way.release(*durable));
        }
        let sent = node.drain_sent();
        node.deliver().expect("a log that can be followed");
        for (to, message) in node.drain_told() {
            // What is told may be lost; whoever misses it asks again.
            if !rng.random_bool(0.02) {
                ways[place][usize::from(to.0)].travelling.push_back(Parcel::Told(message.encode()));
            }
        }
        node.check_invariants();
        self.send(place, sent);
    }

    /// So many turns of nodes drawn at random; tellers get orders if `orders`, and links break now and then.
    pub fn run(&mut self, turns: usize, orders: bool) {
        for _ in 0..turns {
            self.now_ms += self.rng.random_range(1..30);
            let place = self.rng.random_range(0..self.shape.nodes);
            let ordered = orders && self.rng.random_bool(0.5);
            self.turn(place, ordered);
            if orders && self.rng.random_bool(0.004) {
                let other = self.rng.random_range(0..self.shape.nodes);
                self.reconnect(place, other);
            }
        }
    }

    /// Everything is answered, counted once, and the same at all replicas.
    pub fn check(&mut self, seed: u64) {
        let mut hashes: BTreeMap<PartitionId, Vec<u64>> = BTreeMap::new();
        let mut totals: BTreeMap<PartitionId, i64> = BTreeMap::new();
        let mut acknowledged = self.acknowledged;
        for Running { node, .. } in self.nodes.iter_mut().flatten() {
            assert!(node.front().out.is_empty(), "seed {seed}: an errand has no answer");
            acknowledged += node.front().deposited;
            node.show_status(0);
            let held = node.front().totals.clone();
            for (replica, total) in node.status().replicas.iter().zip(held) {
                hashes.entry(replica.partition).or_default().push(replica.state_hash);
                totals.insert(replica.partition, total);
            }
        }
        let replicas = usize::from(self.shape.replicas);
        let agree = |of: &Vec<u64>| of.len() == replicas && of.iter().all(|hash| *hash == of[0]);
        assert!(
            hashes.len() == usize::from(PARTITIONS) && hashes.values().all(agree),
            "seed {seed}: {hashes:?}"
        );
        let range = acknowledged..=acknowledged + self.unknown;
        let total: i64 = totals.values().sum();
        assert!(range.contains(&total), "seed {seed}: {total} is not in {range:?}");
        assert!(acknowledged > 50, "seed {seed}: only {acknowledged} deposits");
    }
}

fn take_in(node: &mut Node<Bank, Teller>, from: NodeId, parcel: Parcel) {
    match parcel {
        Parcel::Ring(message) => node.step(from, message).expect("a message of a node that was met"),
        Parcel::Told(bytes) => node.told(from, Message::decode(bytes).expect("a message of a node")),
    }
}
