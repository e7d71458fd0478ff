//! What the simulator has found, kept as scripts of their own; and that it is what it says it is.

mod line;

use eyrie::faults::PAST_FORGOTTEN;
use eyrie::sim::{Misfortune, Shape, Swarm};
use eyrie::{Fault, PartitionId};
use line::Line;
use std::sync::Arc;
use tests::sim::campaign::guarded;
use tests::sim::cluster::{Cluster, blueprint};
use tests::sim::run::Plan;
use volery::faults::ARMED_TOO_LATE;
use volery::wire::{Acl, Create, CreateMode, ErrorCode, Reply, Request, SetData, XID_PING};

const TIMEOUT_MS: i32 = 1_000;

fn calm(seed: u64) -> Cluster {
    Cluster::new(seed, blueprint(Shape { nodes: 3, partitions: 2, replicas: 3 }), Swarm::calm())
}

fn wait(world: &mut Cluster, us: u64) {
    let until_us = world.now_us() + us;
    while world.next(until_us).is_some() {}
}

/// A client gives a handshake up and takes another server; the first one, late, moves the session all the same. The client,
/// who only pings, must keep its session, and is told that it has moved when it asks for something.
#[test]
fn a_session_lives_while_its_client_pings_though_a_late_handshake_has_moved_it() {
    for seed in 0..10 {
        let mut world = calm(seed);
        // Leaders are elected meanwhile.
        wait(&mut world, 5_000_000);
        let (mut line, session) = Line::open(&mut world, 0, TIMEOUT_MS, None);
        let (late, moved) = Line::open(&mut world, 1, TIMEOUT_MS, Some(&session));
        assert_eq!(moved.session_id, session.session_id, "seed {seed}");
        late.close(&mut world);
        for _ in 0..20 {
            wait(&mut world, 200_000);
            assert!(line.call(&mut world, XID_PING, &Request::Ping).is_ok(), "seed {seed}");
        }
        let asked = line.call(&mut world, 1, &Request::Sync { path: "/".into() });
        assert_eq!(asked, Err(ErrorCode::SessionMoved), "seed {seed}");
        let (_, answer) = Line::open(&mut world, 2, TIMEOUT_MS, Some(&session));
        assert_eq!(answer.session_id, session.session_id, "seed {seed}: the session was ended");
    }
}

/// A ping that reaches the leader of the session's home too late, because its node was cut off, is not answered: the session's end
/// was ordered meanwhile. An answer would say that it lives.
#[test]
fn a_ping_that_comes_too_late_is_not_answered() {
    let mut ended = 0;
    for seed in 0..24 {
        let mut world = calm(seed);
        wait(&mut world, 5_000_000);
        let (mut line, session) = Line::open(&mut world, 2, TIMEOUT_MS, None);
        wait(&mut world, 700_000);
        let until_us = world.now_us() + 200_000 + seed * 20_000;
        world.meet(Misfortune::Isolate, 2, 0, until_us);
        wait(&mut world, 50_000);
        line.send(&mut world, XID_PING, &Request::Ping);
        let answered = line.is_answered(&mut world, XID_PING);
        if answered {
            let asked = line.try_call(&mut world, 1, &Request::Sync { path: "/".into() });
            assert!(matches!(asked, Some(Ok(_))), "seed {seed}: it was told that it lived: {asked:?}");
        } else {
            ended += 1;
            let (_, answer) = Line::open(&mut world, 1, TIMEOUT_MS, Some(&session));
            assert_eq!(answer.session_id, 0, "seed {seed}: it was not answered and lives");
        }
    }
    assert!((4..24).contains(&ended), "{ended} of 24 sessions ended");
}

/// A change in one partition, read by a client who then writes in another: one who watches the former and reads the latter is
/// told of the change before it sees what was written after it, also where its node cannot hear of the change. Without what
/// the writer has seen going along with its write, it is not.
#[test]
fn what_was_read_goes_along_with_what_is_written_elsewhere() {
    let seeds = || (0..6).flat_map(|seed| [(seed, 0), (seed, 2)]);
    for (seed, deaf_to) in seeds() {
        assert!(is_told_first(seed, deaf_to), "seed {seed}, node 3 deaf to node {deaf_to}");
    }
    Fault::plant(Some(PAST_FORGOTTEN));
    let late = seeds().filter(|(seed, deaf_to)| !is_told_first(*seed, *deaf_to)).count();
    Fault::plant(None);
    assert!(late > 0, "the schedule does not show what it is to show");
}

/// Whether who watches a znode at node 3, deaf to the node from which it may hear of that partition, is told of a change before
/// it reads elsewhere what was written after that. Its connection may end instead: then it is told when it comes back.
fn is_told_first(seed: u64, deaf_to: usize) -> bool {
    let mut world =
        Cluster::new(seed, blueprint(Shape { nodes: 4, partitions: 2, replicas: 3 }), Swarm::calm());
    let [a, b] = [PartitionId(0), PartitionId(1)].map(|partition| path_of(&world, partition));
    wait(&mut world, 5_000_000);
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
    changer.call(&mut world, 3, &set(&a)).expect("changed");
    writer.call(&mut world, 3, &get(&a, false)).expect("read");
    writer.call(&mut world, 4, &set(&b)).expect("written");
    while let Some(reply) = watcher.try_call(&mut world, 3, &get(&b, false)) {
        if matches!(reply, Ok(Reply::Data { stat, .. }) if stat.version == 1) {
            return watcher.fired == 1;
        }
    }
    true
}

/// The answer that arms a watch is lost, and comes again from another replica when the znode has been changed meanwhile: the
/// client is told of the change all the same, or must come back.
#[test]
fn a_watch_is_told_what_happened_before_the_answer_that_armed_it_came() {
    let schedules = || (0..6).flat_map(|seed| (0..3).map(move |deaf_to| (seed, deaf_to)));
    for (seed, deaf_to) in schedules() {
        assert!(is_told_or_lost(seed, deaf_to), "seed {seed}, node 3 deaf to node {deaf_to}");
    }
    Fault::plant(Some(ARMED_TOO_LATE));
    let missed = schedules().filter(|(seed, deaf_to)| !is_told_or_lost(*seed, *deaf_to)).count();
    Fault::plant(None);
    assert!(missed > 0, "the schedule does not show what it is to show");
}

/// Whether who looks at a znode and watches it from node 3, which cannot hear the other node meanwhile, is told of a change
/// that it has not seen, or loses its connection.
fn is_told_or_lost(seed: u64, deaf_to: usize) -> bool {
    let mut world =
        Cluster::new(seed, blueprint(Shape { nodes: 4, partitions: 2, replicas: 3 }), Swarm::calm());
    let path = path_of(&world, PartitionId(0));
    wait(&mut world, 5_000_000);
    let (mut changer, _) = Line::open(&mut world, 2, TIMEOUT_MS * 10, None);
    let (mut watcher, _) = Line::open(&mut world, 3, TIMEOUT_MS * 10, None);
    changer.call(&mut world, 1, &create(&path)).expect("created");
    watcher.call(&mut world, 1, &get(&path, false)).expect("read");
    let until_us = world.now_us() + 3_000_000;
    world.meet(Misfortune::CutPair, 3, deaf_to, until_us);
    watcher.send(&mut world, 2, &get(&path, true));
    wait(&mut world, 100_000);
    changer.call(&mut world, 2, &set(&path)).expect("changed");
    let read = watcher.reply(&mut world, 2, &get(&path, true));
    let has_seen = matches!(read, Some(Ok(Reply::Data { stat, .. })) if stat.version == 1);
    let is_there = watcher.try_call(&mut world, 3, &Request::Sync { path }).is_some();
    has_seen || !is_there || watcher.fired == 1
}

fn path_of(world: &Cluster, partition: PartitionId) -> Arc<str> {
    let mut paths = (0..).map(|number| Arc::<str>::from(format!("/{number}")));
    paths.find(|path| world.oracle().of(path) == partition).expect("a path")
}

fn create(path: &Arc<str>) -> Request {
    let (acl, mode) = (Acl::open_unsafe(), Ok(CreateMode::Persistent));
    Request::Create(Create { path: path.clone(), data: None, acl, mode, with_stat: false })
}

fn get(path: &Arc<str>, watch: bool) -> Request {
    Request::GetData { path: path.clone(), watch }
}

fn set(path: &Arc<str>) -> Request {
    Request::SetData(SetData { path: path.clone(), data: None, version: -1 })
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..4 {
        let digest = || guarded(&Plan::of(seed), None, false).digest;
        assert_eq!(digest(), digest(), "seed {seed}");
    }
}

#[test]
fn nothing_is_wrong_in_some_runs() {
    for seed in 0..12 {
        let outcome = guarded(&Plan::of(seed), None, false);
        assert_eq!(outcome.violation, None, "seed {seed}");
    }
}
