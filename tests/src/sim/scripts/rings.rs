//! Leaders that were cut off, and disks that lose power.

use super::{
    Line, TIMEOUT_MS, calm, calm_with, create, create_with, get, leader_of, leads, path_of, set_data, set_to,
    unless, wait, wait_until,
};
use crate::sim::cluster::Cluster;
use eyrie::PartitionId;
use eyrie::sim::{Misfortune, Shape};
use volery::wire::{MultiOp, OpResult, ReadOp, Reply, Request};

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

/// A leader does not hear that another one has replaced it, and the third member hears both: it reads what it is asked for only if that
/// one still follows it.
pub(super) fn read_at_a_leader_that_was_replaced(seed: u64) -> Option<String> {
    let mut world = calm(seed / 2, 3);
    let partition = PartitionId((seed % 2) as u16);
    let path = path_of(&world, partition);
    let preferred = leader_of(&mut world, partition)?;
    let back_us = world.now_us() + 3_000_000;
    world.meet(Misfortune::Kill, preferred, 0, back_us);
    let is_led = |world: &mut Cluster| leader_of(world, partition).is_some();
    let old = wait_until(&mut world, 2_500_000, is_led).then(|| leader_of(&mut world, partition))??;
    let third = 3 - preferred - old;
    let (mut reader, _) = Line::open(&mut world, old, TIMEOUT_MS * 10, None);
    let (mut writer, _) = Line::open(&mut world, third, TIMEOUT_MS * 10, None);
    writer.call(&mut world, 1, &create(&path)).expect("created");
    reader.call(&mut world, 1, &get(&path, false)).expect("read");
    let followed_us = (back_us + 300_000 + seed % 8 * 150_000).saturating_sub(world.now_us());
    wait(&mut world, followed_us);
    let until_us = world.now_us() + 8_000_000;
    world.meet(Misfortune::CutPair, preferred, old, until_us);
    if !wait_until(&mut world, 4_000_000, |world| leads(world, preferred, partition)) {
        return None;
    }
    writer.try_call(&mut world, 2, &set_to(&path, 0))?.expect("written");
    match reader.try_call(&mut world, 2, &get(&path, false)) {
        Some(Ok(Reply::Data { stat, .. })) => unless(stat.version == 1, || {
            format!("it read version {} after version 1 was written", stat.version)
        }),
        _ => None,
    }
}

/// A leader is cut off as soon as a client knows that its write is done, so that the others have the write and do not know that it is
/// decided. Their disks are slow: while the next leader has it decided, it is asked for what was written.
pub(super) fn read_at_a_new_leader(seed: u64) -> Option<String> {
    let mut world = calm(seed / 2, 3);
    let partition = PartitionId((seed % 2) as u16);
    let path = path_of(&world, partition);
    let old = leader_of(&mut world, partition)?;
    let others = [(old + 1) % 3, (old + 2) % 3];
    let (mut writer, _) = Line::open(&mut world, old, TIMEOUT_MS * 10, None);
    let (mut reader, _) = Line::open(&mut world, others[(seed / 2 % 2) as usize], TIMEOUT_MS * 10, None);
    writer.call(&mut world, 1, &create(&path)).expect("created");
    reader.call(&mut world, 1, &get(&path, false)).expect("read");
    let until_us = world.now_us() + 9_000_000;
    for other in others {
        world.meet(Misfortune::SlowDisk, other, 0, until_us);
    }
    writer.call(&mut world, 2, &set_to(&path, 0)).expect("written");
    world.meet(Misfortune::Isolate, old, 0, until_us);
    let (first, last) = (2, 1_000);
    for xid in first..=last {
        reader.send(&mut world, xid, &get(&path, false));
        wait(&mut world, 3_000);
    }
    (first..=last).find_map(|xid| match reader.reply(&mut world, xid, &get(&path, false))? {
        Ok(Reply::Data { stat, .. }) => unless(stat.version == 1, || {
            format!("it read version {} after version 1 was written", stat.version)
        }),
        _ => None,
    })
}

/// A node reads two partitions together that other nodes have. The host of one dies when it has given its part, before that has
/// come, and the read comes again behind a change of both: what is told must be from one moment.
pub(super) fn read_of_two_partitions_is_repeated(seed: u64) -> Option<String> {
    let mut world = calm_with(seed / 12, Shape { nodes: 3, partitions: 2, replicas: 1 });
    let [a, b] = [PartitionId(0), PartitionId(1)].map(|partition| path_of(&world, partition));
    let hosts = [PartitionId(0), PartitionId(1)].map(|partition| leader_of(&mut world, partition));
    let (dying, other) = (hosts[0]?, hosts[1]?);
    let (mut reader, _) = Line::open(&mut world, 3 - dying - other, TIMEOUT_MS * 10, None);
    let (mut writer, _) = Line::open(&mut world, other, TIMEOUT_MS * 10, None);
    for (path, xid) in [(&a, 1), (&b, 2)] {
        writer.call(&mut world, xid, &create(path)).expect("created");
        reader.call(&mut world, xid, &get(path, false)).expect("read");
    }
    let read = Request::MultiRead([&a, &b].map(|path| ReadOp::GetData { path: path.clone() }).into());
    reader.call(&mut world, 3, &read).expect("read");
    reader.send(&mut world, 4, &read);
    wait(&mut world, 500 + seed % 12 * 500);
    let until_us = world.now_us() + 2_000_000;
    world.meet(Misfortune::CutPair, dying, 3 - dying - other, until_us);
    wait(&mut world, 3_000);
    world.meet(Misfortune::Kill, dying, 0, world.now_us() + 500_000);
    let both = [&a, &b].map(|path| MultiOp::SetData(set_data(path, 0)));
    writer.send(&mut world, 3, &Request::Multi(both.into()));
    match reader.reply(&mut world, 4, &read)? {
        Ok(Reply::Results(results)) => match &results[..] {
            [OpResult::Data { stat: first, .. }, OpResult::Data { stat: second, .. }] => {
                unless(first.version == second.version, || {
                    format!("it read versions {} and {}", first.version, second.version)
                })
            }
            _ => None,
        },
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

/// What is wrong with the nodes when all is mended and nobody asks for anything any more. A session may just be expiring.
fn is_sound(world: &mut Cluster) -> Option<String> {
    world.heal();
    wait(world, 10_000_000);
    for _ in 0..100 {
        if world.settled().is_ok() {
            break;
        }
        wait(world, 100_000);
    }
    world.violation().map(str::to_owned).or_else(|| world.settled().err())
}
