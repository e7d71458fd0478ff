//! Events that must come, and before what.

use super::{Line, TIMEOUT_MS, calm, create, get, path_of, set_to, sync, unless, wait};
use eyrie::PartitionId;
use eyrie::sim::Misfortune;
use volery::wire::{Reply, Request, SetWatches, XID_AUTH, XID_SET_WATCHES};

/// A change in one partition, read by a client who then writes in another: one who watches the former and reads the latter is
/// told of the change before it sees what was written after it, also where its node cannot hear of the change. Its
/// connection may end instead: then it is told when it comes back.
pub(super) fn read_then_written_elsewhere(seed: u64) -> Option<String> {
    let deaf_to = [0, 2][(seed % 2) as usize];
    let mut world = calm(seed / 2, 4);
    let [a, b] = [PartitionId(0), PartitionId(1)].map(|partition| path_of(&world, partition));
    let (mut changer, _) = Line::open(&mut world, 2, TIMEOUT_MS * 10, None);
    let (mut writer, _) = Line::open(&mut world, 1, TIMEOUT_MS * 10, None);
    let (mut watcher, _) = Line::open(&mut world, 3, TIMEOUT_MS * 10, None);
    for (path, xid) in [(&a, 1), (&b, 2)] {
        changer.call(&mut world, xid, &create(path)).expect("created");
        writer.call(&mut world, xid, &get(path, false)).expect("read");
        watcher.call(&mut world, xid, &get(path, *path == a)).expect("read");
    }
    wait(&mut world, 1_000_000);
    let until_us = world.now_us() + 3_000_000;
    world.meet(Misfortune::CutPair, 3, deaf_to, until_us);
    changer.call(&mut world, 3, &set_to(&a, 0)).expect("changed");
    writer.call(&mut world, 3, &get(&a, false)).expect("read");
    writer.call(&mut world, 4, &set_to(&b, 0)).expect("written");
    while let Some(reply) = watcher.try_call(&mut world, 3, &get(&b, false)) {
        if matches!(reply, Ok(Reply::Data { stat, .. }) if stat.version == 1) {
            return unless(watcher.fired == 1, || {
                "it saw what came after the change it watches for".to_owned()
            });
        }
    }
    None
}

/// A client watches a znode of a partition of which its node hears nothing for a while, and goes on in another one. When it comes
/// back at another node, it is told of what it has missed: the zxids that it was shown do not say that it has seen that.
pub(super) fn comes_back_without_an_event(seed: u64) -> Option<String> {
    let mut world = calm(seed / 3, 4);
    let [a, b] = [PartitionId(0), PartitionId(1)].map(|partition| path_of(&world, partition));
    let (mut changer, _) = Line::open(&mut world, 2, TIMEOUT_MS * 10, None);
    let (mut watcher, session) = Line::open(&mut world, 3, TIMEOUT_MS * 10, None);
    for (path, xid) in [(&a, 1), (&b, 2)] {
        changer.call(&mut world, xid, &create(path)).expect("created");
        watcher.call(&mut world, xid, &get(path, *path == a)).expect("read");
    }
    let until_us = world.now_us() + 3_000_000;
    world.meet(Misfortune::CutPair, 3, (seed % 3) as usize, until_us);
    changer.call(&mut world, 3, &set_to(&a, 0)).expect("changed");
    watcher.try_call(&mut world, 3, &set_to(&b, 0));
    let (missed, relative_zxid) = (watcher.fired == 0, watcher.zxid);
    watcher.close(&mut world);
    let (mut watcher, _) = Line::open(&mut world, 1, TIMEOUT_MS * 10, Some(&session));
    let data = vec![a.clone()];
    let watches = Request::SetWatches(SetWatches { relative_zxid, data, ..SetWatches::default() });
    watcher.try_call(&mut world, XID_SET_WATCHES, &watches)?.expect("set");
    watcher.try_call(&mut world, 4, &get(&a, false))?.expect("read");
    unless(!missed || watcher.fired == 1, || "it was not told what it had missed".to_owned())
}

/// A client that takes the zxid of every header for its mark comes back, proves who it is, and loses the connection before it
/// has listed its watches. When it lists them at last, it is told of what it has missed.
pub(super) fn proves_who_it_is_before_it_lists_its_watches(seed: u64) -> Option<String> {
    let mut world = calm(seed, 3);
    let path = path_of(&world, PartitionId((seed % 2) as u16));
    let (mut changer, _) = Line::open(&mut world, 2, TIMEOUT_MS * 10, None);
    let (mut watcher, session) = Line::open(&mut world, 0, TIMEOUT_MS * 10, None);
    changer.call(&mut world, 1, &create(&path)).expect("created");
    watcher.call(&mut world, 1, &get(&path, true)).expect("read");
    let mut relative_zxid = watcher.zxid;
    watcher.close(&mut world);
    changer.call(&mut world, 2, &set_to(&path, 0)).expect("changed");
    let (mut watcher, _) = Line::open(&mut world, 1, TIMEOUT_MS * 10, Some(&session));
    let credentials = Request::Auth { kind: 0, scheme: "digest".into(), auth: "ann:a".into() };
    watcher.call(&mut world, XID_AUTH, &credentials).expect("authenticated");
    if watcher.zxid > 0 {
        relative_zxid = watcher.zxid;
    }
    watcher.close(&mut world);
    let (mut watcher, _) = Line::open(&mut world, 2, TIMEOUT_MS * 10, Some(&session));
    let watches = SetWatches { relative_zxid, data: vec![path.clone()], ..SetWatches::default() };
    watcher.call(&mut world, XID_SET_WATCHES, &Request::SetWatches(watches)).expect("set");
    watcher.call(&mut world, 2, &sync(&path)).expect("synced");
    unless(watcher.fired == 1, || "it was not told what it had missed".to_owned())
}

/// The answer that arms a watch is lost with the connection between two nodes, and comes again from another replica when the
/// znode has been changed meanwhile. The client is told of the change all the same, or must come back. Somebody else watches there
/// before, so that the node hears of the partition and the request need not wait for that.
pub(super) fn answer_comes_late(seed: u64) -> Option<String> {
    let mut world = calm(seed / 3, 4);
    let path = path_of(&world, PartitionId(0));
    let (mut changer, _) = Line::open(&mut world, 2, TIMEOUT_MS * 10, None);
    let (mut watcher, _) = Line::open(&mut world, 3, TIMEOUT_MS * 10, None);
    changer.call(&mut world, 1, &create(&path)).expect("created");
    watcher.call(&mut world, 1, &get(&path, false)).expect("read");
    let (mut before, _) = Line::open(&mut world, 3, TIMEOUT_MS * 10, None);
    before.call(&mut world, 1, &get(&path, true)).expect("read");
    let until_us = world.now_us() + 3_000_000;
    world.meet(Misfortune::CutPair, 3, (seed % 3) as usize, until_us);
    watcher.send(&mut world, 2, &get(&path, true));
    wait(&mut world, 100_000);
    changer.call(&mut world, 2, &set_to(&path, 0)).expect("changed");
    let read = watcher.reply(&mut world, 2, &get(&path, true));
    let has_seen = matches!(read, Some(Ok(Reply::Data { stat, .. })) if stat.version == 1);
    let is_there = watcher.try_call(&mut world, 3, &sync(&path)).is_some();
    unless(has_seen || !is_there || watcher.fired == 1, || "it was not told of the change".to_owned())
}
