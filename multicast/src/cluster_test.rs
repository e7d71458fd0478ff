//! Three nodes' multicasts through deaths: their sequences agree, and whatever was submitted by who lives is delivered.

use crate::disk::{Disk, MemoryDisk};
use crate::log::{LogLimits, NodeLog, SharedLog};
use crate::ring::RingTiming;
use crate::{
    ClientId, CommandId, Delivery, Destinations, Envelope, Layout, Multicast, NodeId, PartitionId, RingId,
    Sent, SharedIndex,
};
use bytes::Bytes;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

const PARTITIONS: u16 = 2;
const NODES: u16 = 3;

/// One node: its disk, its life if it lives, and its sequences as remembered through deaths.
struct Node {
    disk: Arc<MemoryDisk>,
    multicast: Option<Multicast>,
    delivered: Vec<Vec<Delivery>>,
    again: Vec<usize>,
}

/// Three nodes and the messages between them, pair by pair in order. A pair's connection ends with either's death.
struct World {
    rng: SmallRng,
    nodes: Vec<Node>,
    travelling: Vec<Vec<VecDeque<Bytes>>>,
    submitted: u32,
    /// What a node that has lived since submitted.
    kept: Vec<BTreeSet<CommandId>>,
    now_ms: u64,
}

fn recover(node: usize, disk: &Arc<MemoryDisk>) -> Multicast {
    let disk: Arc<dyn Disk> = disk.clone();
    let limits = LogLimits { segment_bytes: 64 * 1024, ..LogLimits::default() };
    let log = SharedLog::new(NodeLog::recover(disk, limits).expect("a log"));
    let layout = Layout::new(NodeId(node as u16), (0..NODES).map(NodeId).collect(), PARTITIONS);
    Multicast::clustered(&layout, RingTiming::default(), log).expect("a log of this version")
}

impl World {
    fn new(seed: u64) -> World {
        let count = usize::from(NODES);
        let node = |_| Node {
            disk: Arc::new(MemoryDisk::new()),
            multicast: None,
            delivered: vec![Vec::new(); usize::from(PARTITIONS)],
            again: vec![0; usize::from(PARTITIONS)],
        };
        let mut world = World {
            rng: SmallRng::seed_from_u64(seed),
            nodes: (0..count).map(node).collect(),
            travelling: vec![vec![VecDeque::new(); count]; count],
            submitted: 0,
            kept: vec![BTreeSet::new(); count],
            now_ms: 0,
        };
        (0..count).for_each(|node| world.start(node));
        world
    }

    fn start(&mut self, node: usize) {
        let multicast = recover(node, &self.nodes[node].disk);
        self.nodes[node].multicast = Some(multicast);
        self.nodes[node].again.fill(0);
        for peer in (0..self.nodes.len()).filter(|peer| *peer != node) {
            self.connect(node, peer);
        }
    }

    /// Both ends meet; what was on its way is gone.
    fn connect(&mut self, a: usize, b: usize) {
        self.travelling[a][b].clear();
        self.travelling[b][a].clear();
        if self.nodes[a].multicast.is_some() && self.nodes[b].multicast.is_some() {
            for (at, peer) in [(a, b), (b, a)] {
                let multicast = self.nodes[at].multicast.as_mut().expect("it lives");
                multicast.meet(NodeId(peer as u16), 100 + peer as u64).expect("the disk it had");
            }
        }
    }

    fn kill(&mut self, node: usize) {
        self.nodes[node].multicast = None;
        let seed = self.rng.random();
        self.nodes[node].disk.crash(seed);
        self.kept[node].clear();
        for peer in 0..self.nodes.len() {
            self.travelling[node][peer].clear();
            self.travelling[peer][node].clear();
        }
    }

    fn submit(&mut self, node: usize) {
        let Some(multicast) = &mut self.nodes[node].multicast else { return };
        let destinations = Destinations::from_bits(self.rng.random_range(1..1 << PARTITIONS));
        let id = CommandId { client: ClientId(node as u64), epoch: 0, run: 0, i: self.submitted };
        self.submitted += 1;
        multicast.submit(Envelope { id, destinations, body: Bytes::from_static(b"body") }).expect("room");
        self.kept[node].insert(id);
    }

    /// One turn of one node: what has come, what is proposed, one sync, what is decided, what is sent.
    fn turn(&mut self, node: usize) {
        let Some(mut multicast) = self.nodes[node].multicast.take() else { return };
        multicast.tick(self.now_ms, 1_000_000 + self.now_ms);
        multicast.resend();
        for peer in 0..self.nodes.len() {
            for _ in 0..self.rng.random_range(0..8) {
                let Some(message) = self.travelling[peer][node].pop_front() else { break };
                multicast.step(NodeId(peer as u16), message).expect("a message of a node that was met");
            }
        }
        multicast.propose().expect("a log that can be followed");
        if let Some(buffer) = multicast.take_buffer() {
            buffer.write(self.nodes[node].disk.as_ref()).expect("a disk that works");
            multicast.synced(buffer.position());
        }
        for Sent { to, message, .. } in multicast.drain() {
            self.travelling[node][usize::from(to.0)].push_back(message);
        }
        self.deliver(node, &mut multicast);
        self.nodes[node].multicast = Some(multicast);
    }

    fn deliver(&mut self, node: usize, multicast: &mut Multicast) {
        for partition in PartitionId::all(PARTITIONS) {
            while let Some(delivery) = multicast.deliver(partition).expect("a log that can be followed") {
                if multicast.withdraw(delivery.envelope.id) {
                    self.kept[node].remove(&delivery.envelope.id);
                }
                let Node { delivered, again, .. } = &mut self.nodes[node];
                let place = partition.index();
                match delivered[place].get(again[place]) {
                    Some(before) => {
                        assert_eq!(*before, delivery, "what was delivered is delivered again, alike")
                    }
                    None => delivered[place].push(delivery),
                }
                again[place] += 1;
            }
        }
    }

    fn run(&mut self, turns: usize, submit: bool) {
        for _ in 0..turns {
            self.now_ms += self.rng.random_range(1..30);
            let node = self.rng.random_range(0..self.nodes.len());
            if submit && self.rng.random_bool(0.3) {
                self.submit(node);
            }
            self.turn(node);
        }
    }

    fn check(&self, seed: u64) {
        for partition in PartitionId::all(PARTITIONS) {
            let place = partition.index();
            let first = &self.nodes[0].delivered[place];
            for node in &self.nodes {
                assert_eq!(node.delivered[place], *first, "seed {seed}: all nodes deliver {partition} alike");
            }
            let shared: Vec<SharedIndex> = first.iter().filter_map(|delivery| delivery.shared).collect();
            assert!(shared.is_sorted_by(|a, b| a < b), "seed {seed}: shared envelopes come once, in order");
        }
        let both = |place: usize| -> Vec<SharedIndex> {
            self.nodes[0].delivered[place].iter().filter_map(|delivery| delivery.shared).collect()
        };
        assert_eq!(both(0), both(1), "seed {seed}: both partitions take what addresses both");
        assert!(self.kept.iter().all(BTreeSet::is_empty), "seed {seed}: {:?} was not delivered", self.kept);
    }
}

#[test]
fn nodes_agree_through_the_death_of_any_of_them() {
    for seed in 0..60 {
        let mut world = World::new(seed);
        world.run(400, true);
        for _ in 0..4 {
            let victim = world.rng.random_range(0..3);
            world.kill(victim);
            world.run(400, true);
            world.start(victim);
            world.run(200, true);
        }
        world.run(3_000, false);
        world.check(seed);
        assert!(world.submitted > 300, "seed {seed}: {} submitted", world.submitted);
    }
}

#[test]
fn everybody_dies_at_once_and_comes_back_with_what_was_synced() {
    for seed in 0..20 {
        let mut world = World::new(seed);
        world.run(600, true);
        (0..3).for_each(|node| world.kill(node));
        (0..3).for_each(|node| world.start(node));
        world.run(3_000, false);
        world.check(seed);
        assert!(!world.nodes[0].delivered[0].is_empty(), "seed {seed}");
    }
}

#[test]
fn leaders_come_to_be_where_they_are_preferred() {
    let mut world = World::new(7);
    world.run(3_000, true);
    let layout = Layout::new(NodeId(0), (0..NODES).map(NodeId).collect(), PARTITIONS);
    for ring in layout.rings() {
        let leads = |node: &Node, ring: RingId| {
            let status = node.multicast.as_ref().expect("it lives").status();
            status.iter().any(|status| status.id == ring && status.leads)
        };
        let leaders: Vec<usize> = (0..3).filter(|node| leads(&world.nodes[*node], ring)).collect();
        assert_eq!(leaders, [usize::from(layout.preferred(ring).0)], "{ring}");
    }
}
