//! Leaders that were cut off, and disks that lose power.

use super::{Line, TIMEOUT_MS, calm, create, create_with, get, path_of, set_data, set_to, unless, wait};
use crate::sim::cluster::Cluster;
use eyrie::PartitionId;
use eyrie::sim::Misfortune;
use volery::wire::{MultiOp, Reply, Request};

/// A client reads at a leader that is cut off, when another has taken its place and a write is done: it must not be told what was
/// there before.
pub(super) fn read_at_an_old_leader(seed: u64) -> Option<String> {
    let mut world = calm(seed / 6, 3);
    let path = path_of(&world, PartitionId((seed % 2) as u16));
    let old = (seed / 2 % 3) as usize;
    let (mut reader, _) = Line::open(&mut world, old, TIMEOUT_MS * 10, None);
    let (mut writer, _) = Line::open(&mut world, (old + 1) % 3, TIMEOUT_MS * 10, None);
    writer.call(&mut world, 1, &create(&path)).expect("created");
    reader.call(&mut world, 1, &get(&path, false)).expect("read");
    let until_us = world.now_us() + 5_000_000;
    world.meet(Misfortune::Isolate, old, 0, until_us);
    writer.call(&mut world, 2, &set_to(&path, 0)).expect("written");
    match reader.try_call(&mut world, 2, &get(&path, false)) {
        Some(Ok(Reply::Data { stat, .. })) => unless(stat.version == 1, || {
            format!("it read version {} after version 1 was written", stat.version)
        }),
        _ => None,
    }
}

/// A command of two partitions is complete at one node. At another it waits, delivered in the one partition, for the other one's
/// leader is cut off from there: who reads the first partition there must not be told what was there before.
pub(super) fn read_where_a_command_waits(seed: u64) -> Option<String> {
    let mut world = calm(seed, 3);
    let [a, b] = [PartitionId(0), PartitionId(1)].map(|partition| path_of(&world, partition));
    let (mut reader, _) = Line::open(&mut world, 0, TIMEOUT_MS * 10, None);
    let (mut writer, _) = Line::open(&mut world, 2, TIMEOUT_MS * 10, None);
    for (path, xid) in [(&a, 1), (&b, 2)] {
        writer.call(&mut world, xid, &create(path)).expect("created");
        reader.call(&mut world, xid, &get(path, false)).expect("read");
    }
    let until_us = world.now_us() + 3_000_000;
    world.meet(Misfortune::CutPair, 0, 1, until_us);
    let both = [&a, &b].map(|path| MultiOp::SetData(set_data(path, 0)));
    writer.call(&mut world, 3, &Request::Multi(both.into())).expect("written");
    match reader.try_call(&mut world, 3, &get(&a, false)) {
        Some(Ok(Reply::Data { stat, .. })) => unless(stat.version == 1, || {
            format!("it read version {} after version 1 was written", stat.version)
        }),
        _ => None,
    }
}

/// Nodes lose power again and again while large entries are being written: what is left of one that was not synced must not be
/// taken for one.
pub(super) fn power_lost_while_much_is_written(seed: u64) -> Option<String> {
    let mut world = calm(seed, 3);
    let (mut writer, _) = Line::open(&mut world, 0, TIMEOUT_MS * 10, None);
    for round in 0..6 {
        let (node, until_us) = (1 + round % 2, world.now_us() + 2_000_000);
        world.meet(Misfortune::SlowDisk, node, 0, until_us);
        let creates = (0..8).map(|number| create_with(&format!("/{round}-{number}").into(), 20_000));
        let creates: Vec<Request> = creates.collect();
        (1..).zip(&creates).for_each(|(xid, create)| writer.send(&mut world, xid, create));
        wait(&mut world, 2_000 + seed % 8 * 2_000);
        world.meet(Misfortune::PowerLoss, node, 0, until_us);
        for (xid, create) in (1..).zip(&creates) {
            writer.reply(&mut world, xid, create)?.expect("created");
        }
        wait(&mut world, 4_000_000);
    }
    is_sound(&mut world)
}

/// What is wrong with the nodes when all is mended and nobody asks for anything any more.
fn is_sound(world: &mut Cluster) -> Option<String> {
    world.heal();
    wait(world, 10_000_000);
    world.violation().map(str::to_owned).or_else(|| world.settled().err())
}
