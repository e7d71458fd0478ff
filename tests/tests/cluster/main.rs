//! Nodes of a cluster through the death of any of them: every command takes effect once, at all replicas; also where no
//! node has replicas of all partitions, and signals and variables cross between nodes.

mod bank;
mod world;

use rand::Rng as _;
use std::ops::Range;
use world::{Shape, World};

const TOGETHER: Shape = Shape { nodes: 3, replicas: 3 };
const APART: Shape = Shape { nodes: 4, replicas: 3 };

fn kill_any_node(shape: Shape, seeds: Range<u64>) {
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
        world.run(8_000, false);
        world.check(seed);
    }
}

fn kill_all_nodes(shape: Shape, seeds: Range<u64>) {
    for seed in seeds {
        let mut world = World::new(shape, seed);
        for _ in 0..3 {
            world.run(600, true);
            (0..shape.nodes).for_each(|node| world.kill(node));
            (0..shape.nodes).for_each(|node| world.start(node));
        }
        world.run(8_000, false);
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
