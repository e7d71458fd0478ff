//! Nothing of an older connection is taken on a newer one, whatever connections do.

use super::frame::{FrameKind, put_frame};
use super::hello::Hello;
use super::world_test::{World, config, directory, identity};
use super::*;
use crate::NodeId;
use crate::log::LogPosition;
use bytes::{Bytes, BytesMut};
use rand::Rng;

const N1: NodeId = NodeId(1);
const N2: NodeId = NodeId(2);

fn pair(seed: u64) -> World {
    let mut world = World::new([config(1, 2), config(2, 2)], seed);
    world.run_until(1_000, World::all_up);
    world
}

#[test]
fn a_new_connection_takes_the_place_of_one_whose_end_was_not_noticed() {
    let mut world = pair(1);
    let (here, there) = (world.connection(1, 2, Channel::Ring), world.connection(2, 1, Channel::Ring));
    world.node(1).send(N2, Channel::Ring, 0, None, 100);
    world.flush(N1);
    // The dialler alone notices; the other end has bytes of the old connection still to come.
    world.detain(there, 2_000);
    world.node(1).links.closed(here);
    world.run(1_000);
    assert!(world.all_up());
    assert_ne!(world.connection(2, 1, Channel::Ring), there);
    let lane = |event: &&LinkEvent| {
        matches!(
            event,
            LinkEvent::Up { channel: Channel::Ring, .. } | LinkEvent::Down { channel: Channel::Ring, .. }
        )
    };
    let lanes: Vec<_> = world.node(2).events.iter().filter(lane).cloned().collect();
    let epoch = |dial| ConnectionEpoch { incarnation: Incarnation(1), dial };
    let (peer, channel) = (N1, Channel::Ring);
    let up = |dial| LinkEvent::Up { peer, channel, epoch: epoch(dial) };
    assert_eq!(lanes, [up(1), LinkEvent::Down { peer, channel }, up(2)]);
    world.run(3_000);
    assert_eq!(world.node(2).messages, 0);
    assert!(world.node(2).links.counts().bytes_late > 100, "they came, and were not taken");
}

#[test]
fn what_was_held_or_is_handed_in_around_a_reconnection_is_dropped() {
    let mut world = pair(2);
    world.node(1).send(N2, Channel::Ring, 0, Some(10), 0);
    world.cut(world.connection(1, 2, Channel::Ring));
    world.run_until(1_000, |world| !world.all_up());
    world.run_until(1_000, World::all_up);
    world.node(1).sync(100);
    world.run(100);
    assert_eq!((world.node(2).messages, world.node(1).links.counts().dropped_down), (0, 1));
}

#[test]
fn nothing_is_taken_before_those_above_know_that_the_channel_is_up() {
    let mut links = Links::new(config(1, 2));
    let mut other = Links::new(config(2, 2));
    links.tick(0);
    other.tick(0);
    links.dialled(ConnectionId(1), N2, Channel::Ring);
    other.accepted(ConnectionId(2));
    let hello = links.output(ConnectionId(1)).unwrap().split();
    other.received(ConnectionId(2), &hello);
    let answer = other.output(ConnectionId(2)).unwrap().split();
    links.received(ConnectionId(1), &answer);
    let send = |links: &mut Links| {
        links.send(N2, Channel::Ring, StreamId(0), None, Bytes::from_static(b"x"));
        links.counts().messages_sent
    };
    assert!(links.epoch(N2, Channel::Ring).is_some());
    assert_eq!(send(&mut links), 0, "it may have been made for the connection before");
    while links.next_event().is_some() {}
    assert_eq!(send(&mut links), 1);
}

#[test]
fn dials_that_cross_settle_to_the_newest() {
    let mut superseded = 0;
    for seed in 0..12 {
        let mut world = World::new([config(1, 2), config(2, 2)], seed);
        // Handshakes often take longer than they may, so that an older hello may come after a newer one's.
        world.delay_ms_max = 8_000;
        world.run(60_000);
        world.delay_ms_max = 3;
        world.run_until(60_000, World::all_up);
        world.run(20_000);
        assert!(world.all_up());
        assert_eq!((world.open(1).len(), world.open(2).len()), (3, 3), "seed {seed}");
        let refusals = world.node(2).refusals();
        superseded += refusals.iter().filter(|(.., reason)| *reason == Reason::Superseded).count();
    }
    assert!(superseded > 0, "some did cross");
}

#[test]
fn an_older_hello_does_not_disturb_what_is_up() {
    let mut world = World::new([config(1, 2), config(2, 2)], 3);
    world.step();
    // The first dials' hellos are on their way for longer than a handshake may take.
    let late: Vec<_> = (0..4).map(ConnectionId).filter(|id| id.0 % 2 == 1).collect();
    for connection in &late {
        world.detain(*connection, 12_000);
    }
    world.run_until(11_000, World::all_up);
    world.run(12_000);
    assert!(world.all_up());
    let superseded = (Some(N1), Refuser::Us, Reason::Superseded);
    assert_eq!(world.node(2).refusals(), [superseded; 2]);
    for id in [1, 2] {
        assert_eq!(world.node(id).count(|event| matches!(event, LinkEvent::Down { .. })), 0);
    }
}

#[test]
fn a_later_start_of_a_peer_ends_what_the_one_before_left() {
    for restarted in [1, 2] {
        let mut world = pair(4);
        let other = 3 - restarted;
        world.restart(restarted, false);
        world.run_until(10_000, |world| {
            let up = |id| world.nodes[&NodeId(id)].links.epoch(NodeId(3 - id), Channel::Ring).is_some();
            world.nodes[&NodeId(restarted)].count(|event| matches!(event, LinkEvent::Up { .. })) > 0
                && up(other)
        });
        world.run_until(1_000, World::all_up);
        let met = LinkEvent::Met { peer: NodeId(restarted), identity: identity(2, restarted as u8) };
        assert_eq!(world.node(other).count(|event| *event == met), 1);
        world.run(20_000);
        assert_eq!(world.node(other).count(|event| matches!(event, LinkEvent::Down { .. })), 3);
        assert_eq!(world.node(other).links.counts().reconnects, 3);
    }
}

#[test]
fn a_dial_that_was_not_asked_for_is_closed() {
    let mut world = pair(5);
    let links = &mut world.node(1).links;
    links.dialled(ConnectionId(99), N2, Channel::Ring);
    let close = LinkEvent::Close { connection: ConnectionId(99), farewell: Bytes::new() };
    assert_eq!(links.next_event(), Some(close));
    links.dial_failed(N2, Channel::Ring);
    assert_eq!(links.counts().dials_failed, 0);
    assert!(world.all_up());
}

/// Node 2, and a node 1 that says whatever the test wants.
struct Listener(Links);

impl Listener {
    fn new() -> Listener {
        let mut links = Links::new(config(2, 2));
        links.tick(0);
        Listener(links)
    }

    fn frame(&mut self, id: u64, kind: FrameKind, body: &[u8]) {
        let mut bytes = BytesMut::new();
        put_frame(&mut bytes, kind, body);
        self.0.received(ConnectionId(id), &bytes);
        self.0.check_invariants();
    }

    fn hello(&mut self, id: u64, channel: Channel, start: u64, dial: u64) {
        let LinkConfig { cluster, partitions, fixed, .. } = config(1, 2);
        let epoch = ConnectionEpoch { incarnation: Incarnation(start), dial };
        let mut body = BytesMut::new();
        let identity = identity(start, 1);
        let fixed = fixed.digests();
        Hello { cluster, partitions, from: N1, to: N2, identity, channel, epoch, fixed }.encode(&mut body);
        self.0.accepted(ConnectionId(id));
        self.frame(id, FrameKind::Hello, &body);
        self.frame(id, FrameKind::Starts, &directory(start, 1));
    }

    fn welcome(&mut self, id: u64) {
        self.frame(id, FrameKind::Welcome, &[]);
    }

    fn up(&self, channel: Channel) -> Option<(u64, u64)> {
        self.0.epoch(N1, channel).map(|epoch| (epoch.incarnation.0, epoch.dial))
    }

    fn reasons(&mut self) -> Vec<Reason> {
        let events = std::iter::from_fn(|| self.0.next_event());
        events
            .filter_map(
                |event| if let LinkEvent::Refused { reason, .. } = event { Some(reason) } else { None },
            )
            .collect()
    }
}

#[test]
fn a_later_start_on_one_channel_ends_the_other() {
    let mut listener = Listener::new();
    for (id, channel) in [(1, Channel::Ring), (2, Channel::Exchange)] {
        listener.hello(id, channel, 1, 1);
        listener.welcome(id);
    }
    listener.hello(3, Channel::Ring, 2, 1);
    let ups = |listener: &Listener| Channel::ALL.map(|channel| listener.up(channel));
    assert_eq!(ups(&listener), [Some((1, 1)), Some((1, 1)), None], "a hello alone disturbs nothing");
    listener.welcome(3);
    assert_eq!(ups(&listener), [Some((2, 1)), None, None]);
}

#[test]
fn of_two_handshakes_the_newer_wins_whichever_ends_first() {
    let mut listener = Listener::new();
    listener.hello(1, Channel::Ring, 1, 1);
    listener.hello(2, Channel::Ring, 1, 2);
    listener.welcome(2);
    listener.welcome(1);
    assert_eq!((listener.up(Channel::Ring), listener.reasons()), (Some((1, 2)), vec![Reason::Superseded]));
    listener.hello(3, Channel::Ring, 1, 3);
    listener.hello(4, Channel::Ring, 2, 1);
    listener.welcome(4);
    listener.welcome(3);
    let replaced = Reason::Replaced(Incarnation(2));
    assert_eq!((listener.up(Channel::Ring), listener.reasons()), (Some((2, 1)), vec![replaced]));
}

#[test]
fn an_up_that_is_out_of_date_when_taken_opens_nothing() {
    let mut listener = Listener::new();
    for id in [1, 2] {
        listener.hello(id, Channel::Ring, 1, id);
        listener.welcome(id);
    }
    let mut sent_after = |is_taken: fn(&LinkEvent) -> bool| {
        while !is_taken(&listener.0.next_event().unwrap()) {}
        listener.0.send(N1, Channel::Ring, StreamId(0), None, Bytes::new());
        listener.0.counts().messages_sent
    };
    assert_eq!(sent_after(|event| matches!(event, LinkEvent::Up { epoch, .. } if epoch.dial == 1)), 0);
    assert_eq!(sent_after(|event| matches!(event, LinkEvent::Down { .. })), 0);
    assert_eq!(sent_after(|event| matches!(event, LinkEvent::Up { epoch, .. } if epoch.dial == 2)), 1);
}

#[derive(Clone, Copy)]
enum Fault {
    Cut,
    Void,
    Detain,
    Stall,
    Restart,
    Unreachable,
}

const FAULTS: [Fault; 6] =
    [Fault::Cut, Fault::Void, Fault::Detain, Fault::Stall, Fault::Restart, Fault::Unreachable];

/// One fault at a place that the seed chooses.
fn strike(world: &mut World) {
    let node = world.rng.random_range(1..=3);
    let open = world.open(node);
    if open.is_empty() {
        return;
    }
    let connection = open[world.rng.random_range(0..open.len())];
    match FAULTS[world.rng.random_range(0..FAULTS.len())] {
        Fault::Cut => world.cut(connection),
        Fault::Void => world.void(connection),
        Fault::Detain => world.detain(connection, 3_000),
        Fault::Stall => world.stall(connection),
        Fault::Restart => {
            let politely = world.rng.random_bool(0.5);
            world.restart(node, politely);
        }
        Fault::Unreachable => {
            world.unreachable.insert(NodeId(node));
        }
    }
}

/// Everybody sends something, and some of it waits for a log that is synced now and then.
fn chatter(world: &mut World) {
    for id in 1..=3 {
        let peer = NodeId((id + world.rng.random_range(0..2)) % 3 + 1);
        let channel = Channel::ALL[world.rng.random_range(0..3)];
        let ahead = world.rng.random_bool(0.4).then(|| world.rng.random_range(0..50));
        let (stream, padding) = (world.rng.random_range(0..3), world.rng.random_range(0..2_000));
        let synced = world.rng.random_range(0..20);
        let node = world.node(id);
        if peer != NodeId(id) {
            node.send(peer, channel, stream, ahead, padding);
        }
        node.sync(synced);
    }
}

#[test]
fn a_trio_under_faults_keeps_order_and_fences_and_comes_back() {
    let (mut messages, mut reconnects) = (0, 0);
    for seed in 0..8 {
        let mut world = World::new((1..=3).map(|id| config(id, 3)), seed);
        for step in 0..3_000 {
            if world.rng.random_bool(0.01) {
                strike(&mut world);
            }
            if step % 300 == 0 {
                world.unreachable.clear();
            }
            chatter(&mut world);
            world.step();
        }
        world.unreachable.clear();
        world.run_until(60_000, World::all_up);
        world.run(SILENCE_MS_MAX * 3);
        assert!(world.all_up(), "seed {seed}");
        for id in 1..=3 {
            assert_eq!(world.open(id).len(), 6, "seed {seed}: three channels to each of two peers");
            messages += world.node(id).messages;
            reconnects += world.node(id).links.counts().reconnects;
        }
    }
    assert!(messages > 5_000 && reconnects > 80, "{messages} messages, {reconnects} reconnections");
}

#[test]
fn the_same_seed_is_the_same_run() {
    let run = || {
        let mut world = World::new((1..=3).map(|id| config(id, 3)), 11);
        for _ in 0..1_000 {
            strike(&mut world);
            chatter(&mut world);
            world.step();
        }
        world.nodes.into_values().map(|node| node.events).collect::<Vec<_>>()
    };
    assert_eq!(run(), run());
}

#[test]
fn positions_are_of_the_node_and_not_of_a_connection() {
    let mut world = pair(6);
    world.node(1).links.durable(LogPosition(50));
    world.node(1).links.durable(LogPosition(10));
    world.node(1).links.send(N2, Channel::Ring, StreamId(0), Some(LogPosition(50)), Bytes::new());
    assert_eq!(world.node(1).links.counts().messages_sent, 1, "what is durable stays so");
}
