//! What cluster a run has: how many nodes, partitions and replicas, which ids, and where znodes live; how large values are, and how many clients ask for little.
//!
//! Most runs have a cluster of the usual size, since large ones take long; every kind of cluster comes up in some.

use super::emphasis::Emphasis;
use eyrie::NodeId;
use eyrie::sim::Shape;
use rand::Rng as _;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;
use std::collections::BTreeSet;
use volery::placement::{PlacementConfig, Rule};
use volery::wire::REPLY_BYTES_MAX;

/// The most nodes that a run has.
pub const NODES_MAX: usize = 7;
/// The most replicas of a partition.
const REPLICAS_MAX: u16 = 5;

/// How often, in 100 runs, a cluster has so many nodes.
const NODES: [(usize, u32); 7] = [(1, 6), (2, 7), (3, 47), (4, 20), (5, 10), (6, 5), (7, 5)];
/// How often each partition has so many replicas, where there are as many nodes.
const REPLICAS: [(u16, u32); 5] = [(1, 9), (2, 11), (3, 65), (4, 6), (5, 9)];
/// Subtrees of the workload that a rule may be for, from its parents down to single znodes.
const RULED: [&str; 8] = ["/d", "/g", "/q", "/e", "/d/k0", "/d/k1", "/g/a0", "/d/k0/x"];

/// Draws the shape of a cluster.
pub fn shape(rng: &mut SmallRng) -> Shape {
    let nodes = weighted(&NODES, rng);
    let partitions = match rng.random_range(0..100) {
        0..8 => 1,
        8..84 => rng.random_range(2..=4),
        84..94 => rng.random_range(5..=8),
        _ => rng.random_range(9..=16),
    };
    let replicas = weighted(&REPLICAS, rng).min(nodes as u16).min(REPLICAS_MAX);
    Shape { nodes, partitions, replicas }
}

/// Draws as many ids as a cluster may have nodes, ascending: without gaps from 1, or from 0 as the embedded default has it, or
/// any.
pub fn ids(rng: &mut SmallRng) -> Vec<NodeId> {
    if rng.random_bool(0.5) {
        let first = rng.random_range(0..=1);
        return (first..first + NODES_MAX as u16).map(NodeId).collect();
    }
    let mut ids = BTreeSet::new();
    while ids.len() < NODES_MAX {
        ids.insert(NodeId(rng.random_range(1..=255)));
    }
    ids.into_iter().collect()
}

/// Draws where znodes live: mostly by the default depth, with a few rules in some runs.
pub fn placement(rng: &mut SmallRng, partitions: u16) -> PlacementConfig {
    let depth = if rng.random_bool(0.6) { 2 } else { rng.random_range(1..=4) };
    let count = if rng.random_bool(0.6) { 0 } else { rng.random_range(1..=4) };
    let rule = |path: &&str, rng: &mut SmallRng| {
        let rule = if rng.random() {
            Rule::Depth(rng.random_range(1..=4))
        } else {
            Rule::Partition(rng.random_range(0..partitions))
        };
        (path.to_string(), rule)
    };
    let ruled: Vec<&&str> = RULED.choose_multiple(rng, count).collect();
    PlacementConfig { depth, rules: ruled.into_iter().map(|path| rule(path, rng)).collect() }
}

/// How large values are, and what is let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// The longest request, in bytes.
    pub frame_bytes: usize,
    /// The longest reply.
    pub reply_bytes: usize,
    /// Of 100 values, how many are longer than a few bytes.
    pub long: u32,
}

impl Sizes {
    /// Small values, and nothing that would be too long.
    pub const USUAL: Sizes = Sizes { frame_bytes: 1 << 20, reply_bytes: REPLY_BYTES_MAX, long: 0 };

    /// Whether a reply may be too long.
    pub fn are_scaled(self) -> bool {
        self != Sizes::USUAL
    }

    /// Draws by how many bytes a value is longer than it need be: up to what a request has room for, and a few beyond.
    pub fn padding(self, rng: &mut SmallRng) -> usize {
        if self.long == 0 || rng.random_range(0..100) >= self.long {
            return 0;
        }
        match rng.random_range(0..4) {
            0 => (self.frame_bytes - AROUND_BYTES).saturating_add(rng.random_range(0..2 * AROUND_BYTES)),
            1 => rng.random_range(0..self.frame_bytes),
            _ => rng.random_range(0..self.frame_bytes / 8),
        }
    }
}

/// A request is longer than its value by less than this.
const AROUND_BYTES: usize = 120;

/// Draws sizes: in a few runs the limits are so low that values reach them.
pub fn sizes(rng: &mut SmallRng) -> Sizes {
    if rng.random_bool(0.85) {
        return Sizes::USUAL;
    }
    let frame_bytes = *[4_000, 8_000, 20_000].choose(rng).expect("three");
    // As with the limits that are built in, the reply with any value that was let through is let through too.
    let reply_bytes = frame_bytes + AROUND_BYTES + frame_bytes * rng.random_range(0..20) / 10;
    Sizes { frame_bytes, reply_bytes, long: rng.random_range(1..25) }
}

/// Draws how many clients there are that ask for little: hundreds in a few runs.
pub fn crowd(rng: &mut SmallRng) -> usize {
    if rng.random_bool(0.97) { 0 } else { rng.random_range(100..=300) }
}

/// Draws what clients do more often than is drawn for each of them.
pub fn habits(rng: &mut SmallRng) -> Emphasis {
    let mut often = |most: u32| if rng.random_bool(0.9) { 0 } else { rng.random_range(0..most) };
    let (moves, absences, watched) = (often(100), often(30), often(90));
    Emphasis { moves, absences, watched: f64::from(watched) / 100.0, ..Emphasis::default() }
}

/// Draws whether a run goes on until everything is gone that goes by itself.
pub fn outlasts(rng: &mut SmallRng) -> bool {
    rng.random_bool(0.15)
}

/// What a run of this shape costs beside one with a node less or more: the rings' members, and the nodes themselves.
pub fn weight(shape: Shape) -> u64 {
    let members = u64::from(shape.partitions) * u64::from(shape.replicas);
    members / 4 + shape.nodes as u64 / 2
}

fn weighted<T: Copy>(table: &[(T, u32)], rng: &mut SmallRng) -> T {
    table.choose_weighted(rng, |(_, weight)| *weight).expect("something weighs something").0
}
