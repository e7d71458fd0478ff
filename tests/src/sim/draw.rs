//! What cluster a run has: how many nodes, partitions and replicas, which ids, and where znodes live.
//!
//! Most runs have a cluster of the usual size, since large ones take long; every kind of cluster comes up in some.

use eyrie::NodeId;
use eyrie::sim::Shape;
use rand::Rng as _;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;
use std::collections::BTreeSet;
use volery::placement::{PlacementConfig, Rule};

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

/// What a run of this shape costs beside one with a node less or more: the rings' members, and the nodes themselves.
pub fn weight(shape: Shape) -> u64 {
    let members = u64::from(shape.partitions) * u64::from(shape.replicas);
    members / 4 + shape.nodes as u64 / 2
}

fn weighted<T: Copy>(table: &[(T, u32)], rng: &mut SmallRng) -> T {
    table.choose_weighted(rng, |(_, weight)| *weight).expect("something weighs something").0
}
