//! A campaign: links of a few nodes through troubles drawn from a seed, and what must hold of them.
//!
//! Nodes start again, stand still and cannot be dialled; connections break, carry nothing, take nothing, or are late. One node at
//! a time is started on an older copy of its directory or on a blank one, and later on its newest one again.
//!
//! - At any time: no node has a link to a peer whose directory lacks what the node demands of it.
//! - When all has been mended: whoever lacks what any other node demands of it is linked to nobody. All others are linked to each
//!   other, soon if they never had another directory than their newest.
//!
//! A debug build runs a few seeds, and a release build more; `LINK_SEEDS` says how many, and `LINK_FIRST` the first.

use super::back_off::{BACK_OFF_LAST_MS, BACK_OFF_REFUSED_MS};
use super::connection::{HANDSHAKE_MS_MAX, SILENCE_MS_MAX};
use super::starts::Directory;
use super::world_test::*;
use super::*;
use crate::NodeId;
use crate::fault::Fault;
use crate::faults::{OLDER_COPY_ACCEPTED, RETURN_DIALLED_LATE};
use crate::log::LogPosition;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Troubles last for so long.
const TROUBLE_MS: u64 = 20_000;
/// How often links are looked at.
const CHECK_EVERY_MS: u64 = 100;
/// What was broken unseen is missed after a silence or a handshake, and dialled again after a wait.
const SOON_MS: u64 = SILENCE_MS_MAX + HANDSHAKE_MS_MAX + BACK_OFF_LAST_MS;
/// Who was refused, or has refused, is dialled again after a longer wait.
const LATE_MS: u64 = SOON_MS + BACK_OFF_REFUSED_MS;

/// A run.
struct Run {
    world: World,
    rng: SmallRng,
    /// Copies of directories: their starts, and how far their logs came.
    copies: BTreeMap<u16, (Starts, u64)>,
    /// Who is on another directory than its newest, and how it would start on that.
    replaced: Option<(u16, LinkConfig)>,
    /// Who knew that directory to lack something when it came.
    know_better: BTreeSet<NodeId>,
    /// Who ever was.
    were_replaced: BTreeSet<u16>,
    /// When who stands still, or cannot be dialled, is no longer so.
    ends: Vec<(u64, NodeId)>,
    drawn: u64,
    /// How often what is rare has happened: restarts, other directories, and those that others demanded more of.
    counts: [u64; 3],
}

impl Run {
    fn new(seed: u64) -> Run {
        let mut rng = SmallRng::seed_from_u64(seed);
        let nodes = rng.random_range(3..=5);
        let world = World::new((1..=nodes).map(|me| config(me, nodes)), rng.random());
        Run {
            world,
            rng,
            copies: BTreeMap::new(),
            replaced: None,
            know_better: BTreeSet::new(),
            were_replaced: BTreeSet::new(),
            ends: Vec::new(),
            drawn: 1 << 32,
            counts: [0; 3],
        }
    }

    fn carry_out(seed: u64) -> [u64; 3] {
        let mut run = Run::new(seed);
        run.trouble();
        run.mend();
        run.judge();
        run.counts
    }

    fn trouble(&mut self) {
        let end_ms = self.world.now_ms + TROUBLE_MS;
        while self.world.now_ms < end_ms {
            self.strike();
            let time_ms = self.rng_ms(1_200);
            self.go_on(time_ms);
        }
    }

    fn rng_ms(&mut self, most_ms: u64) -> u64 {
        self.rng.random_range(STEP_MS..most_ms)
    }

    fn go_on(&mut self, time_ms: u64) {
        for _ in 0..time_ms.div_ceil(STEP_MS) {
            let now_ms = self.world.now_ms;
            let over: Vec<NodeId> =
                self.ends.extract_if(.., |(until_ms, _)| *until_ms <= now_ms).map(|(_, node)| node).collect();
            for node in over {
                self.world.asleep.remove(&node);
                self.world.unreachable.remove(&node);
            }
            let node = self.any();
            self.world.node(node).sync(7);
            self.world.step();
            if self.world.now_ms.is_multiple_of(CHECK_EVERY_MS) {
                self.world.prune();
                self.check_links();
            }
        }
    }

    fn any(&mut self) -> u16 {
        let nodes: Vec<u16> = self.world.nodes.keys().map(|node| node.0).collect();
        *nodes.choose(&mut self.rng).expect("nodes")
    }

    fn strike(&mut self) {
        let (id, until_ms) = (self.any(), self.world.now_ms + self.rng_ms(8_000));
        match self.rng.random_range(0..24) {
            0..5 => self.restart(id),
            5..7 => {
                self.world.asleep.insert(NodeId(id));
                self.ends.push((until_ms, NodeId(id)));
            }
            7..9 => {
                self.world.unreachable.insert(NodeId(id));
                self.ends.push((until_ms, NodeId(id)));
            }
            9..17 => self.disturb(id),
            17 => self.world.delay_ms_max = *[3, 3, 30, 300].choose(&mut self.rng).expect("four"),
            18..20 => drop(self.copies.entry(id).or_insert_with(|| self.world.nodes[&NodeId(id)].copy())),
            20..22 => self.replace(id),
            _ => self.put_back(),
        }
    }

    /// Something happens to one of a node's connections.
    fn disturb(&mut self, id: u16) {
        let Some(connection) = self.world.open(id).choose(&mut self.rng).copied() else { return };
        match self.rng.random_range(0..6) {
            0..3 => self.world.cut(connection),
            3 => self.world.void(connection),
            4 => self.world.stall(connection),
            _ => self.world.detain(connection, 3_000),
        }
    }

    fn restart(&mut self, id: u16) {
        let politely = self.rng.random();
        self.start_again(id, politely);
        self.counts[0] += 1;
    }

    /// A node dies and starts again, with a nonce that no other start has: also not one on another copy of its directory.
    fn start_again(&mut self, id: u16, politely: bool) {
        let (starts, durable) = self.world.node(id).copy();
        self.world.restart(id, politely);
        let (start, end) = (StartNonce(self.draw()), LogPosition(durable));
        let starts = Starts::begin(Some(&starts.encode()), start, end).expect("starts");
        let config = self.world.node(id).config.clone();
        self.world.add(LinkConfig { starts, ..config });
    }

    /// A node starts on another directory than its newest: an older copy, which may have been started before, or a blank one.
    fn replace(&mut self, id: u16) {
        if self.replaced.is_some() {
            return;
        }
        let config = match self.copies.get(&id).cloned() {
            Some((starts, durable)) => self.on_copy(id, starts, durable),
            None => self.on_blank(id),
        };
        self.start_again(id, true);
        self.replaced = Some((id, self.world.node(id).config.clone()));
        self.were_replaced.insert(id);
        let knows = |(_, node): &(&NodeId, &Node)| {
            node.config.me != NodeId(id)
                && node.links.acquaintance(NodeId(id)).demands().any(|met| !holds(&config, met))
        };
        self.know_better = self.world.nodes.iter().filter(knows).map(|(node, _)| *node).collect();
        self.world.add(config);
        self.counts[1] += 1;
        self.counts[2] += u64::from(!self.know_better.is_empty());
    }

    fn draw(&mut self) -> u64 {
        self.drawn += 1;
        self.drawn
    }

    fn on_copy(&mut self, id: u16, mut starts: Starts, durable: u64) -> LinkConfig {
        for _ in 0..self.rng.random_range(1..4) {
            let start = StartNonce(self.draw());
            starts = Starts::begin(Some(&starts.encode()), start, LogPosition(durable)).expect("starts");
        }
        let config = self.world.node(id).config.clone();
        let identity = Identity { incarnation: starts.incarnation(), ..config.identity };
        LinkConfig { identity, starts, durable: LogPosition(durable), ..config }
    }

    fn on_blank(&mut self, id: u16) -> LinkConfig {
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&self.draw().to_le_bytes());
        let starts = Starts::begin(None, StartNonce(self.draw()), LogPosition(0)).expect("a first start");
        let config = self.world.node(id).config.clone();
        let identity = Identity { incarnation: Incarnation(1), nonce: Nonce(nonce) };
        let strangers = config.peers.keys().map(|peer| (*peer, Acquaintance::default())).collect();
        LinkConfig { identity, starts, durable: LogPosition(0), peers: strangers, ..config }
    }

    /// The node gets its newest directory again; unless another node has met what the other one had, and so would refuse it.
    fn put_back(&mut self) {
        let Some((id, newest)) = self.replaced.take() else { return };
        let demanded = self.demanded(NodeId(id));
        if demanded.into_iter().all(|met| holds(&newest, met)) {
            self.copies.remove(&id);
            self.world.restart(id, true);
            self.world.add(newest);
        } else {
            self.replaced = Some((id, newest));
        }
    }

    /// What the others demand of a node's directory.
    fn demanded(&self, id: NodeId) -> Vec<Met> {
        let others = self.world.nodes.iter().filter(|(other, _)| **other != id);
        others.flat_map(|(_, node)| node.links.acquaintance(id).demands()).collect()
    }

    fn is_lacking(&self, id: NodeId) -> bool {
        let config = &self.world.nodes[&id].config;
        self.demanded(id).into_iter().any(|met| !holds(config, met))
    }

    /// No node has a link to a peer's present start that lacks what the node demands.
    fn check_links(&self) {
        for (id, node) in &self.world.nodes {
            for peer in node.config.peers.keys().filter(|peer| is_linked(node, **peer)) {
                let (config, known) = (&self.world.nodes[peer].config, node.links.acquaintance(*peer));
                let is_present = known.met.is_some_and(|met| met.start == config.starts.nonce());
                let is_replaced = self.replaced.as_ref().is_some_and(|(replaced, _)| replaced == &peer.0);
                let lacks = known.demands().any(|met| !holds(config, met))
                    || is_replaced && self.know_better.contains(id);
                assert!(!is_present || !lacks, "{id} has a link to {peer}, of which it demands {known:?}");
            }
        }
    }

    fn mend(&mut self) {
        self.world.delay_ms_max = 3;
        self.world.asleep.clear();
        self.world.unreachable.clear();
        self.ends.clear();
        if self.rng.random() {
            self.put_back();
        }
    }

    fn judge(&mut self) {
        self.go_on(SOON_MS);
        let all: Vec<u16> = self.world.nodes.keys().map(|node| node.0).collect();
        let sound: Vec<u16> = all.iter().copied().filter(|id| !self.were_replaced.contains(id)).collect();
        self.check_linked(&sound, "soon");
        if self.were_replaced.is_empty() {
            return;
        }
        self.go_on(LATE_MS - SOON_MS);
        let (lacking, whole): (Vec<u16>, Vec<u16>) =
            all.into_iter().partition(|id| self.is_lacking(NodeId(*id)));
        assert!(lacking.iter().all(|id| self.were_replaced.contains(id)), "{lacking:?} lack something");
        self.check_linked(&whole, "late");
        for (id, node) in &self.world.nodes {
            let linked = node.config.peers.keys().find(|peer| {
                is_linked(node, **peer) && (lacking.contains(&id.0) || lacking.contains(&peer.0))
            });
            assert_eq!(linked, None, "{id} is linked, and of {lacking:?} somebody demands more");
        }
    }

    fn check_linked(&self, nodes: &[u16], when: &str) {
        for (id, peer) in nodes.iter().flat_map(|id| nodes.iter().map(move |peer| (id, peer))) {
            let (node, other) = (&self.world.nodes[&NodeId(*id)], &self.world.nodes[&NodeId(*peer)]);
            for channel in Channel::ALL.into_iter().filter(|_| id != peer) {
                let (here, there) = (node.up(NodeId(*peer), channel), other.up(NodeId(*id), channel));
                assert!(here.is_some() && here == there, "{id} has no {channel} link to {peer} {when}");
            }
        }
    }
}

fn holds(config: &LinkConfig, met: Met) -> bool {
    let directory = Directory { starts: config.starts.clone(), durable: config.durable };
    config.identity.nonce == met.identity.nonce && directory.holds(met)
}

fn is_linked(node: &Node, peer: NodeId) -> bool {
    Channel::ALL.into_iter().any(|channel| node.links.epoch(peer, channel).is_some())
}

fn number(variable: &str, default: u64) -> u64 {
    env::var(variable).map_or(default, |number| number.parse().expect("a number"))
}

fn run(seed: u64, fault: Option<Fault>) -> Result<[u64; 3], String> {
    Fault::plant(fault);
    let result = catch_unwind(AssertUnwindSafe(|| Run::carry_out(seed)));
    Fault::plant(None);
    result.map_err(|panic| panic.downcast_ref::<String>().cloned().unwrap_or_default())
}

#[test]
fn sound_nodes_are_linked_soon_and_others_never() {
    let (first, seeds) =
        (number("LINK_FIRST", 0), number("LINK_SEEDS", if cfg!(debug_assertions) { 40 } else { 300 }));
    let mut counts = [0; 3];
    for seed in first..first + seeds {
        let run = run(seed, None).unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
        counts.iter_mut().zip(run).for_each(|(sum, count)| *sum += count);
    }
    println!(
        "{seeds} seeds: {} restarts, {} other directories, {} of them lacking",
        counts[0], counts[1], counts[2]
    );
    assert!(seeds < 100 || counts.iter().all(|count| *count > 0), "{counts:?}");
}

fn is_caught(fault: Fault, by: &str) {
    let caught = (0..300).find_map(|seed| Some((seed, run(seed, Some(fault)).err()?)));
    let (seed, wrong) = caught.unwrap_or_else(|| panic!("{} is not noticed", fault.name()));
    assert!(wrong.contains(by), "seed {seed}: {wrong}");
    println!("{}: seed {seed}: {wrong}", fault.name());
}

#[test]
fn a_node_that_has_started_again_and_is_dialled_late_is_caught() {
    is_caught(RETURN_DIALLED_LATE, "soon");
}

#[test]
fn an_older_copy_that_is_accepted_is_caught() {
    is_caught(OLDER_COPY_ACCEPTED, "demands");
}
