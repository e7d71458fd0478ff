//! What the simulator has found, kept as scripts of their own; and that it is what it says it is.

mod line;

use eyrie::sim::{Shape, Swarm};
use line::Line;
use tests::sim::campaign::guarded;
use tests::sim::cluster::{Cluster, blueprint};
use tests::sim::run::Plan;
use volery::wire::{ErrorCode, Request, XID_PING};

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
