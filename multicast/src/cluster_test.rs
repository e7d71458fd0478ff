//! Nodes' multicasts through deaths: their sequences agree, and whatever was submitted by who lives is delivered.
//!
//! Three nodes are members of everything. Four nodes with three replicas are not: nodes 0 to 2 have partition 0, which node
//! 0 leads where it can; nodes 1 to 3 have partition 1, led by node 1; and the shared ring is on nodes 2, 3 and 0. So the
//! leader of partition 1 follows the ring that it relays from, and nodes 0 and 3 submit where they have no replica.

mod read_index;

use crate::disk::{Disk, MemoryDisk};
use crate::log::{LogLimits, LogNonce, NodeLog, SharedLog};
use crate::ring::{RingLimits, RingTiming};
use crate::{
    ClientId, CommandId, Delivery, Destinations, Envelope, Layout, Message, Multicast, NodeId, PartitionId,
    PeerError, RingId, Sent, SharedIndex, StepError,
};
use bytes::Bytes;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

const PARTITIONS: u16 = 2;
const REPLICAS: u16 = 3;

/// One node: its disk, its life if it lives, and its sequences as remembered through deaths.
struct Node {
    disk: Arc<MemoryDisk>,
    multicast: Option<Multicast>,
    delivered: Vec<Vec<Delivery>>,
    again: Vec<usize>,
}

/// Nodes and the messages between them, pair by pair in order. A pair's connection ends with either's death.
struct World {
    rng: SmallRng,
    layouts: Vec<Layout>,
    nodes: Vec<Node>,
    travelling: Vec<Vec<VecDeque<Bytes>>>,
    /// Pairs between which nothing arrives.
    cuts: BTreeSet<(usize, usize)>,
    /// Who asked whom to lead, and when.
    asked: Vec<(u64, usize, usize)>,
    /// Who asks to be led by another is not heard.
    is_asked_in_vain: bool,
    submitted: u32,
    /// When each command was submitted, and when some replica of each partition first delivered it.
    submitted_ms: BTreeMap<CommandId, u64>,
    delivered_ms: BTreeMap<(CommandId, PartitionId), u64>,
    /// Who submitted what, as far as no replica has delivered it.
    unanswered: BTreeMap<CommandId, usize>,
    /// What a node that has lived since submitted.
    kept: Vec<BTreeSet<CommandId>>,
    now_ms: u64,
}

fn layout(node: usize, nodes: usize) -> Layout {
    let nodes = (0..nodes as u16).map(NodeId).collect();
    Layout::new(NodeId(node as u16), nodes, PARTITIONS, REPLICAS)
}

fn recover(layout: &Layout, disk: &Arc<MemoryDisk>) -> Multicast {
    let disk: Arc<dyn Disk> = disk.clone();
    let limits = LogLimits { segment_bytes: 64 * 1024, ..LogLimits::default() };
    let log = SharedLog::new(NodeLog::recover(disk, limits, LogNonce::default()).expect("a log"));
    Multicast::clustered(layout, RingTiming::default(), RingLimits::default(), log)
        .expect("a log of this version")
}

impl World {
    fn new(seed: u64, count: usize) -> World {
        World::of(seed, (0..count).map(|node| layout(node, count)).collect())
    }

    fn of_replicas(seed: u64, count: usize, replicas: u16) -> World {
        let nodes: Vec<NodeId> = (0..count as u16).map(NodeId).collect();
        let layout = |node| Layout::new(node, nodes.clone(), PARTITIONS, replicas);
        World::of(seed, nodes.iter().copied().map(layout).collect())
    }

    fn of(seed: u64, layouts: Vec<Layout>) -> World {
        let count = layouts.len();
        let node = |_| Node {
            disk: Arc::new(MemoryDisk::new()),
            multicast: None,
            delivered: vec![Vec::new(); usize::from(PARTITIONS)],
            again: vec![0; usize::from(PARTITIONS)],
        };
        let mut world = World {
            rng: SmallRng::seed_from_u64(seed),
            layouts,
            nodes: (0..count).map(node).collect(),
            travelling: vec![vec![VecDeque::new(); count]; count],
            cuts: BTreeSet::new(),
            asked: Vec::new(),
            is_asked_in_vain: false,
            submitted: 0,
            submitted_ms: BTreeMap::new(),
            delivered_ms: BTreeMap::new(),
            unanswered: BTreeMap::new(),
            kept: vec![BTreeSet::new(); count],
            now_ms: 0,
        };
        (0..count).for_each(|node| world.start(node));
        world
    }

    fn start(&mut self, node: usize) {
        let multicast = recover(&self.layouts[node], &self.nodes[node].disk);
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

    fn cut(&mut self, a: usize, b: usize) {
        self.cuts.extend([(a, b), (b, a)]);
    }

    fn heal(&mut self) {
        for (a, b) in std::mem::take(&mut self.cuts) {
            if a < b {
                self.connect(a, b);
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
        let destinations = Destinations::from_bits(self.rng.random_range(1..1 << PARTITIONS));
        self.submit_to(node, destinations);
    }

    fn submit_to(&mut self, node: usize, destinations: Destinations) {
        let Some(multicast) = &mut self.nodes[node].multicast else { return };
        let id = CommandId { client: ClientId(node as u64), epoch: 0, run: 0, i: self.submitted };
        self.submitted += 1;
        multicast.submit(Envelope { id, destinations, body: Bytes::from_static(b"body") }).expect("room");
        self.submitted_ms.insert(id, self.now_ms);
        self.unanswered.insert(id, node);
        self.kept[node].insert(id);
    }

    /// A replica has executed a command: whoever submitted it hears of that.
    fn answer(&mut self, id: CommandId) {
        let Some(node) = self.unanswered.remove(&id) else { return };
        let is_withdrawn =
            self.nodes[node].multicast.as_mut().is_some_and(|multicast| multicast.withdraw(id));
        assert_eq!(
            is_withdrawn,
            self.kept[node].remove(&id),
            "{id} is kept by who lives since it was submitted"
        );
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
            self.send(node, usize::from(to.0), message);
        }
        let delivered = self.deliver(node, &mut multicast);
        self.nodes[node].multicast = Some(multicast);
        delivered.into_iter().for_each(|id| self.answer(id));
    }

    fn send(&mut self, from: usize, to: usize, message: Bytes) {
        let asks = matches!(Message::decode(message.clone()), Ok(Message::Lead(_)));
        if asks {
            self.asked.push((self.now_ms, from, to));
        }
        let is_lost = self.cuts.contains(&(from, to)) || (asks && self.is_asked_in_vain);
        if !is_lost {
            self.travelling[from][to].push_back(message);
        }
    }

    fn deliver(&mut self, node: usize, multicast: &mut Multicast) -> Vec<CommandId> {
        let mut ids = Vec::new();
        for partition in PartitionId::all(PARTITIONS) {
            while let Some(delivery) = multicast.deliver(partition).expect("a log that can be followed") {
                ids.push(delivery.envelope.id);
                self.delivered_ms.entry((delivery.envelope.id, partition)).or_insert(self.now_ms);
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
        ids
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

    /// Turns of random nodes until something holds, which it must come to.
    fn run_until(&mut self, what: &str, holds: impl Fn(&World) -> bool) {
        for _ in 0..20_000 {
            if holds(self) {
                return;
            }
            self.run(1, false);
        }
        panic!("never: {what}");
    }

    /// Turns of all nodes, as often as a ring looks at the clock. What addresses all partitions comes from one of them.
    fn pass(&mut self, for_ms: u64, submitter: Option<usize>) {
        let end_ms = self.now_ms + for_ms;
        while self.now_ms < end_ms {
            self.now_ms += RingTiming::default().tick_ms;
            if let Some(node) = submitter.filter(|_| self.now_ms.is_multiple_of(100)) {
                self.submit_to(node, Destinations::all(PARTITIONS));
            }
            (0..self.nodes.len()).for_each(|node| self.turn(node));
        }
    }

    /// How long each command that was submitted in a time has waited for the last partition to deliver it, or still does.
    fn waits_ms(&self, submitted: std::ops::Range<u64>) -> Vec<u64> {
        let waited = |(id, then_ms): (&CommandId, &u64)| {
            let delivered = |p| self.delivered_ms.get(&(*id, p)).copied().unwrap_or(self.now_ms);
            PartitionId::all(PARTITIONS).map(delivered).max().expect("a partition") - then_ms
        };
        self.submitted_ms.iter().filter(|(_, then_ms)| submitted.contains(then_ms)).map(waited).collect()
    }

    /// A member of the shared ring is asked to lead it.
    fn ask_to_lead(&mut self, node: usize, by: usize) -> Result<(), PeerError> {
        let multicast = self.nodes[node].multicast.as_mut().expect("it lives");
        multicast.step(NodeId(by as u16), Message::Lead(RingId::SHARED).encode())
    }

    /// Nodes that lead what they are preferred for, but that one of them leads the shared ring.
    fn led_by(seed: u64, count: usize, leader: usize) -> World {
        let mut world = World::new(seed, count);
        world.pass(10_000, None);
        if leader != 2 {
            world.ask_to_lead(leader, 2).expect("a member asks a member");
            world.pass(500, None);
        }
        let leaders = [0, 1, RingId::SHARED.0].map(|ring| world.leader(RingId(ring)));
        assert_eq!(leaders, [Some(0), Some(1), Some(leader)]);
        world
    }

    fn leader(&self, ring: RingId) -> Option<usize> {
        let leads =
            |node: &usize| self.life(*node).status().iter().any(|status| status.id == ring && status.leads);
        (0..self.nodes.len()).find(leads)
    }

    fn life(&self, node: usize) -> &Multicast {
        self.nodes[node].multicast.as_ref().expect("it lives")
    }

    /// A partition's sequence at the replicas' nodes, alike at all of them.
    fn sequence(&self, partition: PartitionId, seed: u64) -> &[Delivery] {
        let delivered = |node: usize| &self.nodes[node].delivered[partition.index()];
        let nodes = 0..self.nodes.len();
        let (hosts, others): (Vec<_>, Vec<_>) = nodes.partition(|node| self.layouts[*node].hosts(partition));
        assert_eq!(hosts.len(), usize::from(self.layouts[0].replicas()));
        for node in &hosts {
            assert_eq!(
                delivered(*node),
                delivered(hosts[0]),
                "seed {seed}: replicas deliver {partition} alike"
            );
        }
        assert!(
            others.iter().all(|node| delivered(*node).is_empty()),
            "seed {seed}: {partition} is elsewhere"
        );
        delivered(hosts[0])
    }

    fn check(&self, seed: u64) {
        let shared = |partition: PartitionId| -> Vec<SharedIndex> {
            self.sequence(partition, seed).iter().filter_map(|delivery| delivery.shared).collect()
        };
        let first = shared(PartitionId(0));
        assert!(first.is_sorted_by(|a, b| a < b), "seed {seed}: shared envelopes come once, in order");
        assert_eq!(first, shared(PartitionId(1)), "seed {seed}: both partitions take what addresses both");
        assert!(self.kept.iter().all(BTreeSet::is_empty), "seed {seed}: {:?} was not delivered", self.kept);
    }
}

#[test]
fn a_connection_begins_with_the_clock_which_travels_with_the_rings() {
    let mut multicast = recover(&layout(0, 3), &Arc::new(MemoryDisk::new()));
    multicast.tick(0, 1_700_000_000_000);
    multicast.meet(NodeId(1), 7).expect("a disk it has not met");
    let sent = multicast.drain();
    let first = sent.iter().find(|sent| sent.to == NodeId(1)).expect("a clock");
    assert_eq!(Message::decode(first.message.clone()), Ok(Message::Clock(1_700_000_000_000)));
    assert_eq!((first.is_free, first.after), (false, None), "it travels where the rings' messages do");
}

#[test]
fn nodes_agree_through_the_death_of_any_of_them() {
    for (seed, nodes) in (0..60).zip([3, 4].into_iter().cycle()) {
        let mut world = World::new(seed, nodes);
        world.run(400, true);
        for _ in 0..4 {
            let victim = world.rng.random_range(0..nodes);
            world.kill(victim);
            world.run(400, true);
            world.start(victim);
            world.run(200, true);
        }
        world.run(1_000 * nodes, false);
        world.check(seed);
        assert!(world.submitted > 300, "seed {seed}: {} submitted", world.submitted);
    }
}

/// Each of four nodes dies in its turn, also those that follow a ring and those that are asked about one. Meanwhile what
/// addresses both partitions comes from nodes that have a replica of only one.
#[test]
fn four_nodes_with_three_replicas_agree_through_the_death_of_each_of_them() {
    for seed in 0..20 {
        let mut world = World::new(seed, 4);
        world.run(400, true);
        for victim in 0..4 {
            world.kill(victim);
            for _ in 0..40 {
                world.submit_to(0, Destinations::all(PARTITIONS));
                world.submit_to(0, PartitionId(1).into());
                world.submit_to(3, PartitionId(0).into());
                world.submit_to(3, Destinations::all(PARTITIONS));
                world.run(10, true);
            }
            world.start(victim);
            world.run(200, true);
        }
        world.run(4_000, false);
        world.check(seed);
        let delivered =
            world.sequence(PartitionId(0), seed).iter().filter(|delivery| delivery.shared.is_some());
        let by = |node: u64| delivered.clone().filter(|d| d.envelope.id.client == ClientId(node)).count();
        assert!(by(0) > 100 && by(3) > 100, "seed {seed}: {} and {}", by(0), by(3));
    }
}

/// Rings of two to seven, even numbers too: a ring of four survives one death as a ring of three does, one of seven three.
#[test]
fn rings_of_any_size_agree_through_the_deaths_that_they_survive() {
    for (seed, (nodes, replicas)) in
        (0..12).zip([(5, 5), (7, 7), (7, 5), (4, 4), (6, 6), (3, 2)].iter().cycle())
    {
        let mut world = World::of_replicas(seed, *nodes, *replicas);
        world.run(400, true);
        for _ in 0..3 {
            let first = world.rng.random_range(0..*nodes);
            let dead = (usize::from(*replicas) - 1) / 2;
            let victims: Vec<usize> = (0..dead.max(1)).map(|i| (first + i) % nodes).collect();
            victims.iter().for_each(|victim| world.kill(*victim));
            world.run(100 * nodes, true);
            victims.iter().for_each(|victim| world.start(*victim));
            world.run(50 * nodes, true);
        }
        world.run(1_000 * nodes, false);
        world.check(seed);
        assert!(world.submitted > 300, "seed {seed}: {} submitted", world.submitted);
    }
}

/// With two of five dead, what addresses one partition is decided, and what addresses both is.
#[test]
fn five_replicas_go_on_with_any_two_of_five_dead() {
    for (a, b) in [(0, 1), (1, 2), (2, 3), (0, 4)] {
        let mut world = World::of_replicas(9, 5, 5);
        world.pass(5_000, None);
        world.kill(a);
        world.kill(b);
        world.pass(3_000, None);
        let submitter = (0..5).find(|node| *node != a && *node != b).expect("three live");
        let begin_ms = world.now_ms;
        world.pass(5_000, Some(submitter));
        let waits_ms = world.waits_ms(begin_ms..world.now_ms - 1_000);
        assert!(waits_ms.len() >= 39 && waits_ms.iter().all(|ms| *ms < 2_000), "{a}, {b}: {waits_ms:?}");
    }
}

/// A round of heartbeats takes 200 ms where nothing is slow.
#[test]
fn a_dead_leader_is_missed_within_a_second_on_quiet_machines() {
    for victim in [0, 1, 2] {
        let mut world = World::led_by(6, 3, 2);
        world.kill(victim);
        world.pass(900, None);
        let nodes: Vec<usize> = (0..3).filter(|node| *node != victim).collect();
        for ring in [RingId(0), RingId(1), RingId::SHARED] {
            let leads = |node: &&usize| {
                world.life(**node).status().iter().any(|status| status.id == ring && status.leads)
            };
            assert!(nodes.iter().find(leads).is_some(), "{ring} without node {victim}");
        }
    }
}

/// Connections break at any time; a request to a member, or its answer, is lost with them.
#[test]
fn nodes_agree_though_their_links_break() {
    for seed in 0..20 {
        let mut world = World::new(seed, 4);
        for _ in 0..60 {
            world.run(20, true);
            let (a, by) = (world.rng.random_range(0..4), world.rng.random_range(1..4));
            world.connect(a, (a + by) % 4);
        }
        world.run(4_000, false);
        world.check(seed);
    }
}

#[test]
fn everybody_dies_at_once_and_comes_back_with_what_was_synced() {
    for (seed, nodes) in (0..40).zip([3, 4].into_iter().cycle()) {
        let mut world = World::new(seed, nodes);
        world.run(200 * nodes, true);
        (0..nodes).for_each(|node| world.kill(node));
        (0..nodes).for_each(|node| world.start(node));
        world.run(1_000 * nodes, false);
        world.check(seed);
        assert!(!world.sequence(PartitionId(0), seed).is_empty(), "seed {seed}");
    }
}

#[test]
fn leaders_come_to_be_where_they_are_preferred_and_everybody_knows() {
    for count in [3, 4] {
        let mut world = World::new(7, count);
        world.run(1_000 * count, true);
        let layout = layout(0, count);
        for ring in layout.rings() {
            let leads = |node: &Node, ring: RingId| {
                let status = node.multicast.as_ref().expect("it lives").status();
                status.iter().any(|status| status.id == ring && status.leads)
            };
            let leaders: Vec<usize> = (0..count).filter(|node| leads(&world.nodes[*node], ring)).collect();
            assert_eq!(leaders, [usize::from(layout.preferred(ring).0)], "{ring}");
        }
        for partition in PartitionId::all(PARTITIONS) {
            let preferred = layout.preferred(RingId::of(partition));
            for node in 0..count {
                assert_eq!(world.life(node).leader(partition), Some(preferred), "{partition} at {node}");
            }
        }
    }
}

#[test]
fn a_node_shows_the_rings_that_it_is_a_member_of() {
    let world = World::new(1, 4);
    let rings =
        |node: usize| -> Vec<RingId> { world.life(node).status().iter().map(|status| status.id).collect() };
    let [zero, one] = [0, 1].map(RingId);
    assert_eq!(rings(0), [zero, RingId::SHARED]);
    assert_eq!(rings(1), [zero, one]);
    assert_eq!(rings(2), [zero, one, RingId::SHARED]);
    assert_eq!(rings(3), [one, RingId::SHARED]);
}

/// Node 0 still hears from node 3, which has no say in partition 0.
#[test]
fn who_hears_from_no_quorum_of_its_ring_does_not_surely_lead_it() {
    let mut world = World::new(3, 4);
    let partition = PartitionId(0);
    world.run_until("its preferred node leads", |world| world.life(0).leads_surely(partition));
    world.kill(1);
    world.kill(2);
    let deaths_ms = world.now_ms;
    world.run_until("it is unsure", |world| !world.life(0).leads_surely(partition));
    assert!(world.life(0).leads(partition), "nobody has told it otherwise");
    assert!(world.now_ms - deaths_ms >= 500, "it heard from them until they died");
    world.start(2);
    world.run_until("it is sure again", |world| world.life(0).leads_surely(partition));
}

/// Rings of one member need no votes; other nodes are told by the member that it leads.
#[test]
fn one_replica_is_submitted_to_from_everywhere() {
    for seed in 0..10 {
        let nodes = |node: u16| Layout::new(NodeId(node), vec![NodeId(0), NodeId(1)], PARTITIONS, 1);
        let mut world = World::of(seed, (0..2).map(nodes).collect());
        world.run(1_000, true);
        world.kill(1);
        world.run(200, true);
        world.start(1);
        world.run(4_000, false);
        world.check(seed);
        assert!(!world.sequence(PartitionId(1), seed).is_empty());
    }
}

/// What was sent to the leader is lost; it is sent again when it is asked for, without the wait.
#[test]
fn what_addresses_a_partition_is_sent_again_when_asked() {
    let mut world = World::new(5, 4);
    let (near, far) = (PartitionId(0), PartitionId(1));
    world.run_until("node 0 knows who leads", |world| world.life(0).leader(far) == Some(NodeId(1)));
    world.run_until("node 0 leads", |world| world.life(0).leads(near));
    world.submit_to(0, near.into());
    world.submit_to(0, far.into());
    let submitted = |multicast: &mut Multicast| -> Vec<(NodeId, RingId)> {
        let sent = multicast.drain().into_iter();
        sent.filter_map(|sent| match Message::decode(sent.message).expect("a message") {
            Message::Submit(ring, _) => Some((sent.to, ring)),
            _ => None,
        })
        .collect()
    };
    let multicast = world.nodes[0].multicast.as_mut().expect("it lives");
    assert_eq!(submitted(multicast), [(NodeId(1), RingId(1))]);
    multicast.resend_for(near);
    assert_eq!(submitted(multicast), [], "it is proposed here");
    multicast.resend_for(far);
    assert_eq!(submitted(multicast), [(NodeId(1), RingId(1))]);
}

/// Node 0 leads partition 0, node 1 partition 1; node 2 is the preferred leader of the shared ring, and of four nodes node 1 is
/// no member of that. Whoever cannot hear its leader is heard by others: they see no reason to elect another.
#[test]
fn commands_go_on_though_leaders_of_partitions_do_not_hear_who_leads_the_shared_ring() {
    for (count, leader, cuts, submitter) in [
        (3, 2, &[(0, 2)][..], 1),
        (3, 0, &[(0, 2)], 1),
        (3, 2, &[(1, 2)], 0),
        (3, 0, &[(0, 1)], 2),
        (3, 1, &[(0, 1)], 2),
        (3, 2, &[(0, 2), (1, 2)], 0),
        (4, 2, &[(0, 2)], 3),
        (4, 2, &[(0, 2), (1, 2)], 3),
    ] {
        for seed in 0..4 {
            let what = format!("seed {seed}: {leader} of {count} leads, {cuts:?} are cut");
            let mut world = World::led_by(seed, count, leader);
            cuts.iter().for_each(|(a, b)| world.cut(*a, *b));
            let cut_ms = world.now_ms;
            world.pass(20_000, Some(submitter));
            let waits_ms = world.waits_ms(cut_ms..world.now_ms - 2_000);
            assert!(waits_ms.len() >= 179 && waits_ms.iter().all(|ms| *ms < 2_000), "{what}: {waits_ms:?}");
            let long = waits_ms.iter().filter(|ms| **ms > 200).count();
            assert!(3 * long < waits_ms.len(), "{what}: {long} of {} waited long", waits_ms.len());
            world.heal();
            world.pass(30_000, Some(submitter));
            world.pass(1_000, None);
            world.check(seed);
            assert_eq!(world.leader(RingId::SHARED), Some(2), "{what}");
        }
    }
}

#[test]
fn who_does_not_hear_the_leader_asks_ever_more_rarely_and_only_whom_it_hears() {
    let mut world = World::led_by(1, 3, 2);
    world.is_asked_in_vain = true;
    let cut_ms = world.now_ms;
    world.cut(0, 2);
    world.pass(20_000, Some(1));
    let asked = world.asked.iter().map(|(ms, from, to)| {
        assert_eq!((*from, *to), (0, 1));
        (ms - cut_ms) / 1_000
    });
    assert_eq!(asked.collect::<Vec<_>>(), [1, 3, 7, 15]);
    assert!(world.waits_ms(cut_ms..cut_ms + 1_000).iter().all(|ms| *ms > 18_000), "nobody else takes over");

    world.asked.clear();
    world.cut(0, 1);
    world.pass(10_000, None);
    assert_eq!(world.asked, [], "it hears nobody");
    assert!(world.life(0).leads(PartitionId(0)));
}

/// It follows the one that leads the shared ring and leads no partition, or it still hears of what is decided.
#[test]
fn who_does_not_need_the_shared_ring_asks_nobody() {
    for (count, cut) in [(4, (2, 3)), (4, (0, 3)), (3, (0, 1))] {
        let mut world = World::led_by(2, count, 2);
        world.cut(cut.0, cut.1);
        world.pass(10_000, Some(2));
        assert_eq!(world.asked, [], "{cut:?} of {count}");
    }
}

#[test]
fn a_member_that_is_asked_leads_but_not_again_at_once() {
    let mut world = World::led_by(3, 4, 2);
    for (asked, leader, for_ms) in [(0, 0, 300), (2, 2, 300), (0, 2, 300), (2, 2, 500), (0, 0, 300)] {
        world.ask_to_lead(asked, 3).expect("a member asks a member");
        world.pass(for_ms, None);
        assert_eq!(world.leader(RingId::SHARED), Some(leader), "{asked} was asked at {}", world.now_ms);
    }
    assert_eq!(world.ask_to_lead(1, 3), Err(PeerError::NoRing(RingId::SHARED)), "it is no member");
    let stranger = StepError::Stranger(NodeId(1));
    assert_eq!(world.ask_to_lead(3, 1), Err(PeerError::Step(stranger)), "only members ask");
}

/// Node 0 is no member of partition 1, whose leader stays the same: that it is met again is all that node 0 can know.
#[test]
fn what_was_submitted_over_a_broken_link_is_sent_again_when_it_is_mended() {
    let mut world = World::led_by(4, 4, 2);
    world.cut(0, 1);
    world.submit_to(0, PartitionId(1).into());
    world.pass(15_000, None);
    assert_eq!(world.unanswered.len(), 1, "it has not arrived");
    world.heal();
    world.pass(300, None);
    assert_eq!(world.unanswered.len(), 0, "the next time would have been after 30 s");
}
