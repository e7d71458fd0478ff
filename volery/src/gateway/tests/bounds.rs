//! Bounds of connections beside those on output and requests: at each, one less, one more, and ten times as much.

use super::*;
use crate::gateway::HANDSHAKE_BYTES_MAX;
use crate::gateway::connection::{HANDSHAKE_MS, LINGER_MS, OPENING_MS};
use crate::znode::TTL_MS_MAX;

/// Connections are looked at for what is overdue once in so many ms.
const SOON_MS: u64 = 2_000;

#[test]
fn a_handshake_beyond_its_length_closes_the_connection() {
    for (bytes, closed) in [(-1, false), (0, false), (1, true), (9 * HANDSHAKE_BYTES_MAX as i32, true)] {
        let mut world = World::new(small());
        let id = world.connect(1);
        world.send_bytes(id, &(HANDSHAKE_BYTES_MAX as i32 + bytes).to_be_bytes());
        world.settle();
        assert_eq!(world.closed.contains(&id), closed, "{bytes} bytes more than may be");
    }
}

#[test]
fn a_client_that_says_nothing_is_closed_after_its_time() {
    let mut world = World::new(small());
    let id = world.connect(1);
    world.pass(HANDSHAKE_MS - 500);
    assert!(!world.closed.contains(&id));
    world.pass(SOON_MS);
    assert!(world.closed.contains(&id));
}

#[test]
fn a_session_that_cannot_be_opened_in_its_time_is_given_up() {
    let mut world = World::new(small());
    let id = world.connect(1);
    world.stalls = true;
    world.greet(id, 100);
    world.turn();
    world.pass(OPENING_MS - 1_000);
    assert!(!world.closed.contains(&id));
    world.pass(SOON_MS);
    assert!(world.closed.contains(&id));
    world.stalls = false;
    world.settle();
    world.open(2, 100_000);
}

#[test]
fn no_more_requests_are_taken_while_a_node_has_so_many_without_an_answer() {
    const IN_FLIGHT: usize = 8;
    for sent in [IN_FLIGHT - 1, IN_FLIGHT, IN_FLIGHT + 1, 10 * IN_FLIGHT] {
        let mut world = World::new(GatewayLimits { in_flight: IN_FLIGHT as u64, ..small() });
        let ids: Vec<_> = (1..=10).map(|number| world.open(number, 100_000)).collect();
        world.stalls = true;
        for n in 0..sent {
            let mut output = BytesMut::new();
            create(&format!("/{n}"), 0).write_frame(n as i32, &mut output);
            world.send_bytes(ids[n % 10], &output);
            world.turn();
        }
        let in_flight = world.node.status().multicast.in_flight;
        assert!(in_flight <= IN_FLIGHT as u64, "{in_flight} of {sent}");
        world.stalls = false;
        world.settle();
        assert_eq!(ids.iter().map(|id| world.headers(*id).len()).sum::<usize>(), sent);
    }
}

#[test]
fn a_client_that_does_not_take_its_last_reply_is_forgotten_after_a_while() {
    let mut world = World::new(small());
    let id = world.open(1, 100_000);
    world.stop_reading(id);
    world.send(id, &[Request::CloseSession]);
    world.settle();
    world.pass(LINGER_MS - 500);
    assert!(!world.closed.contains(&id), "the reply waits for it");
    world.pass(SOON_MS);
    assert!(world.closed.contains(&id));
    assert_eq!(world.node.front().usage.output, 0);
}

#[test]
fn the_replies_of_one_turn_are_bounded() {
    let mut world = World::new(small());
    let ids: Vec<_> = (1..=20).map(|number| world.open(number, 100_000)).collect();
    world.make(ids[0], "/a", 900);
    ids.iter().for_each(|id| world.send(*id, &[get("/a")]));
    let mut sizes = vec![0];
    let taken = |world: &World| world.clients.values().map(|client| client.input.len()).sum::<usize>();
    while world.turn() || sizes.len() < 10 {
        sizes.push(taken(&world));
    }
    let most = sizes.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    let reply = 900 + BESIDE;
    assert!(most <= small().turn_bytes + reply, "{most} bytes in a turn");
    assert!(most >= small().turn_bytes, "they fill several turns");
    assert_eq!(taken(&world), 20 * reply);
}

#[test]
fn a_time_to_live_has_a_longest() {
    let mut world = World::new(small());
    let id = world.open(1, 100_000);
    let cases = [(1, true), (TTL_MS_MAX - 1, true), (TTL_MS_MAX, true), (TTL_MS_MAX + 1, false)];
    for (n, (ttl_ms, fits)) in cases.into_iter().chain([(10 * TTL_MS_MAX, false), (0, false)]).enumerate() {
        let create = Request::Create(Create {
            path: format!("/{n}").as_str().into(),
            data: None,
            acl: Acl::open_unsafe(),
            mode: Ok(CreateMode::Ttl(ttl_ms)),
            with_stat: true,
        });
        let error = if fits { None } else { Some(ErrorCode::BadArguments) };
        assert_eq!(world.errors(id, &[create]), [error], "{ttl_ms} ms");
    }
}
