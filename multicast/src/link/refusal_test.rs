//! Every refusal: both ends know it and tell the same reason, the dialler comes again slowly, and nothing else is
//! disturbed.

use super::connection_epoch::ConnectionEpoch;
use super::frame::{FrameKind, put_frame};
use super::hello::Hello;
use super::peer::Peer;
use super::starts::Directory;
use super::world_test::{World, config, directory, identity, knows, met, starts};
use super::*;
use crate::NodeId;
use crate::fixed::{Fixed, FixedKey};
use bytes::{Bytes, BytesMut};

const N1: NodeId = NodeId(1);
const N2: NodeId = NodeId(2);
/// Each is dialled, and refused.
const CHANNELS: usize = Channel::ALL.len();

/// Node 1 dials node 2, which refuses; nodes 3 and 2 are linked all the while.
fn refused_by_listener(first: LinkConfig, second: LinkConfig, reason: Reason) {
    let mut world = World::new([first, second, config(3, 3)], 1);
    world.run(1_000);
    let told = |by, peer| (Some(peer), by, reason);
    assert_eq!(world.node(1).refusals(), [told(Refuser::Them, N2); CHANNELS]);
    assert_eq!(world.node(2).refusals(), [told(Refuser::Us, N1); CHANNELS]);
    check_slow_and_undisturbed(&mut world);
}

fn knowing(config: LinkConfig, peer: u16, acquaintance: Acquaintance) -> LinkConfig {
    let mut peers = config.peers.clone();
    peers.insert(NodeId(peer), acquaintance);
    LinkConfig { peers, ..config }
}

/// Node 1 dials node 2, which refuses its directory.
fn fenced_by_listener(first: LinkConfig, second: LinkConfig, reason: Reason) {
    let mut world = World::new([first, second, config(3, 3)], 1);
    world.run(1_000);
    let told = |by, peer| (Some(peer), by, reason);
    assert_eq!(world.node(1).refusals(), [told(Refuser::Them, N2); CHANNELS]);
    assert_eq!(world.node(2).refusals(), [told(Refuser::Us, N1); CHANNELS]);
    check_fenced(&mut world, 1, reason);
}

/// Node 1 dials node 2, and refuses the directory that it shows in its answer.
fn fenced_by_dialler(first: LinkConfig, second: LinkConfig, reason: Reason) {
    let mut world = World::new([first, second, config(3, 3)], 1);
    world.run(1_000);
    let told = |by, peer| (Some(peer), by, reason);
    assert_eq!(world.node(1).refusals(), [told(Refuser::Us, N2); CHANNELS]);
    assert_eq!(world.node(2).refusals(), [told(Refuser::Them, N1); CHANNELS]);
    check_fenced(&mut world, 2, reason);
}

/// A node whose directory was refused by one peer has no link to another one either, and the others are linked.
fn check_fenced(world: &mut World, id: u16, reason: Reason) {
    world.run(60_000);
    assert_eq!(world.node(id).count(|event| *event == LinkEvent::Fenced { reason }), 1);
    for peer in (1..=3).filter(|peer| *peer != id) {
        let other = 6 - peer - id;
        for channel in Channel::ALL {
            assert_eq!(world.node(id).links.epoch(NodeId(peer), channel), None);
            assert_eq!(world.node(peer).links.epoch(NodeId(id), channel), None);
            assert!(world.node(peer).links.epoch(NodeId(other), channel).is_some());
        }
    }
}

fn dials(world: &mut World) -> usize {
    world.node(1).count(|event| matches!(event, LinkEvent::Dial { peer: N2, .. }))
}

fn check_slow_and_undisturbed(world: &mut World) {
    world.run(BACK_OFF_REFUSED_MS / 2 - 1_500);
    assert_eq!(dials(world), CHANNELS, "not before half of the wait");
    world.run(BACK_OFF_REFUSED_MS / 2 + 2_000);
    assert_eq!(dials(world), 2 * CHANNELS, "once more for each channel");
    for (id, other) in [(1, N2), (2, N1)] {
        let node = world.node(id);
        let came_up = |event: &LinkEvent| matches!(event, LinkEvent::Up { peer, .. } if *peer == other);
        assert_eq!(node.count(came_up), 0);
        assert_eq!(node.count(|event| matches!(event, LinkEvent::Down { .. })), 0);
    }
    for channel in Channel::ALL {
        assert!(world.node(2).links.epoch(NodeId(3), channel).is_some());
    }
}

#[test]
fn another_cluster() {
    let stranger = LinkConfig { cluster: "fish".into(), ..config(1, 2) };
    refused_by_listener(stranger, config(2, 3), Reason::Cluster);
}

#[test]
fn another_number_of_partitions() {
    refused_by_listener(LinkConfig { partitions: 5, ..config(1, 2) }, config(2, 3), Reason::Partitions(4));
}

#[test]
fn something_else_that_is_fixed_for_the_life_of_the_cluster() {
    let deeper = |config| LinkConfig { fixed: Fixed::default().with(FixedKey::new("depth"), "3"), ..config };
    refused_by_listener(deeper(config(1, 2)), config(2, 3), Reason::Fixed(FixedKey::new("depth")));
}

#[test]
fn a_node_that_is_not_in_the_file() {
    let mut second = config(2, 3);
    second.peers.remove(&N1);
    refused_by_listener(config(1, 2), second, Reason::UnknownNode);
}

#[test]
fn a_start_older_than_one_already_met() {
    let met = |config, peer| knowing(config, peer, knows(9, peer as u8));
    fenced_by_listener(config(1, 3), met(config(2, 3), 1), Reason::Replaced(Incarnation(9)));
    fenced_by_dialler(met(config(1, 3), 2), config(2, 3), Reason::Replaced(Incarnation(9)));
}

#[test]
fn a_disk_that_is_another() {
    let met = |config, peer| knowing(config, peer, knows(9, 0xee));
    fenced_by_listener(config(1, 3), met(config(2, 3), 1), Reason::Amnesiac);
    fenced_by_dialler(met(config(1, 3), 2), config(2, 3), Reason::Amnesiac);
}

#[test]
fn a_disk_that_was_lost_while_the_peers_ran() {
    for (lost, other, by) in [(1, N2, Refuser::Them), (2, N1, Refuser::Them)] {
        let mut world = World::new([config(1, 2), config(2, 2)], 1);
        world.run(1_000);
        assert!(world.all_up());
        let blank = identity(1, 0xee);
        world.node(lost).config.identity = blank;
        world.node(lost).config.starts = starts(1, 0xee);
        world.restart(lost, true);
        world.run(5_000);
        assert_eq!(world.node(lost).refusals(), [(Some(other), by, Reason::Amnesiac); CHANNELS]);
        assert_eq!(world.node(lost).count(|event| matches!(event, LinkEvent::Up { .. })), 0);
    }
}

/// A run of three nodes in which node `id` starts so often, its log at `start * 100` at the end of each. Returns its directory
/// after each start.
fn run_starts(world: &mut World, id: u16, count: u64) -> Vec<Starts> {
    let mut directories = Vec::new();
    for start in 1..=count {
        world.run_until(30_000, World::all_up);
        directories.push(world.node(id).config.starts.clone());
        world.node(id).sync(100);
        world.run(2_500);
        if start < count {
            world.restart(id, true);
        }
    }
    directories
}

/// Node `id` comes back so often from a copy, and each time it is refused for that reason and has no link.
fn check_copy_refused(world: &mut World, id: u16, copy: &Starts, end: u64, again: u8, reason: Reason) {
    let mut starts = copy.clone();
    for again in 0..again {
        world.restore(id, &starts, end, StartNonce(0xc0 + u64::from(again)));
        starts = world.node(id).config.starts.clone();
        let fenced =
            |world: &World| world.nodes[&NodeId(id)].count(|event| *event == LinkEvent::Fenced { reason });
        world.run_until(3 * BACK_OFF_REFUSED_MS, |world| fenced(world) > 0);
        world.run(1_000);
        let node = world.node(id);
        assert_eq!(node.count(|event| matches!(event, LinkEvent::Up { .. })), 0, "start {again} of the copy");
        assert_eq!(
            node.count(|event| *event == LinkEvent::Fenced { reason }),
            1,
            "start {again} of the copy"
        );
    }
}

#[test]
fn a_directory_that_is_an_older_copy_whatever_its_count_reaches() {
    for id in [1, 2, 3] {
        let mut world = World::new([config(1, 3), config(2, 3), config(3, 3)], u64::from(id));
        let directories = run_starts(&mut world, id, 3);
        let reason = Reason::RolledBack(Incarnation(3));
        // Counts as many starts as were met after one more, and more after two.
        check_copy_refused(&mut world, id, &directories[1], 200, 1, reason);
        check_copy_refused(&mut world, id, &directories[1], 200, 4, reason);
        // A copy made while the last start ran, which has said more of its log since.
        check_copy_refused(&mut world, id, &directories[2], 250, 3, reason);
        // The newest directory is taken.
        world.restore(id, &directories[2], 300, StartNonce(0xd0));
        world.run_until(30_000, World::all_up);
    }
}

#[test]
fn a_node_that_was_down_learns_from_the_others_what_they_have_met() {
    for id in [1, 2, 3] {
        let (knower, absent) = (id % 3 + 1, (id + 1) % 3 + 1);
        let mut world = World::new([config(1, 3), config(2, 3), config(3, 3)], u64::from(id));
        world.run_until(1_000, World::all_up);
        let copy = world.node(id).config.starts.clone();
        // What is met while one is down only the other one knows.
        let LinkConfig { peers, .. } = world.node(absent).config.clone();
        let peers = peers.keys().map(|peer| (*peer, knows(1, peer.0 as u8))).collect();
        world.remove(absent);
        world.restart(id, true);
        world.run(3_000);
        let directory = world.node(id).config.clone();
        assert!(
            world
                .node(knower)
                .links
                .acquaintance(NodeId(id))
                .met
                .is_some_and(|known| known == met(2, id as u8))
        );
        world.remove(id);
        // The absent one is back and hears of it. Then the one that has met it is gone, and the older copy comes.
        world.add(LinkConfig { peers, ..config(absent, 3) });
        let told = |world: &World| world.nodes[&NodeId(absent)].links.acquaintance(NodeId(id)).told;
        world.run_until(30_000, |world| told(world) == Some(met(2, id as u8)));
        world.remove(knower);
        world.unreachable.insert(NodeId(knower));
        world.add(LinkConfig { starts: copy.clone(), identity: identity(1, id as u8), ..directory });
        check_copy_refused(&mut world, id, &copy, 0, 3, Reason::RolledBack(Incarnation(2)));
    }
}

#[test]
fn a_link_to_an_older_copy_is_broken_once_another_node_tells_of_what_it_has_met() {
    let mut peer = Peer::new(N1, N2, Acquaintance::default(), 1);
    let shown = Directory { starts: starts(3, 2), durable: crate::log::LogPosition(0) };
    assert!(peer.meet(identity(3, 2), shown));
    assert_eq!(peer.hear_of(met(2, 2)), Ok(false), "the directory goes back to it");
    assert_eq!(peer.acquaintance().told, None);
    let other = Met { start: StartNonce(7), ..met(2, 2) };
    assert_eq!(peer.hear_of(other), Err(Reason::RolledBack(Incarnation(2))));
    assert_eq!(peer.acquaintance().told, Some(other));
    peer.forget_shown();
    assert_eq!(peer.hear_of(other), Ok(false), "it is no news");
    assert_eq!(peer.hear_of(met(4, 2)), Ok(true), "it comes in a later start, and shows its directory then");
    let shown = Directory { starts: starts(4, 2), durable: crate::log::LogPosition(0) };
    assert_eq!(peer.check_directory(identity(4, 2), &shown), Ok(()));
    let longer = Met { vouched: crate::log::LogPosition(9), ..met(3, 2) };
    peer.meet(identity(4, 2), shown);
    assert_eq!(peer.hear_of(longer), Err(Reason::RolledBack(Incarnation(3))), "its log did not come so far");
    assert_eq!(peer.hear_of(met(5, 2)), Err(Reason::Replaced(Incarnation(5))));
    assert_eq!(peer.hear_of(met(1, 0xee)), Err(Reason::Amnesiac));
}

#[test]
fn a_start_that_is_not_the_one_of_the_hello_is_not_understood() {
    let mut links = Links::new(config(2, 3));
    links.tick(0);
    links.accepted(ConnectionId(1));
    links.received(ConnectionId(1), &hello_frame(&hello(), |_| ()));
    links.received(ConnectionId(1), &frame(FrameKind::Starts, &directory(2, 1)));
    let lane = Some((N1, Channel::Ring));
    assert!(std::iter::from_fn(|| links.next_event()).any(|event| event == refused(lane, Reason::Malformed)));
}

#[test]
fn a_node_that_reaches_itself() {
    let mut world = World::new([config(1, 2)], 1);
    world.routes.insert(N2, N1);
    world.run(1_000);
    let mut refusals = world.node(1).refusals();
    refusals.sort_by_key(|(peer, ..)| *peer);
    let us = (Some(N1), Refuser::Us, Reason::Myself);
    // What was reached had been meant to be node 2.
    let them = (Some(N2), Refuser::Them, Reason::Myself);
    assert_eq!(refusals, [[us; CHANNELS], [them; CHANNELS]].concat());
    assert_eq!(dials(&mut world), CHANNELS);
}

#[test]
fn an_address_that_leads_to_another_node() {
    let mut world = World::new([config(1, 3), config(2, 3), config(3, 3)], 1);
    world.routes.insert(N2, NodeId(3));
    world.run(1_000);
    let wrong = Reason::WrongNode(NodeId(3));
    assert_eq!(world.node(1).refusals(), [(Some(N2), Refuser::Them, wrong); CHANNELS]);
    assert_eq!(world.node(3).refusals(), [(Some(N1), Refuser::Us, wrong); CHANNELS]);
    for channel in Channel::ALL {
        assert!(world.node(3).links.epoch(N1, channel).is_some(), "the true link is undisturbed");
    }
}

#[test]
fn a_frame_over_the_cap_ends_its_channel_alone() {
    let short = LinkLimits { frame_bytes: 100, ..LinkLimits::default() };
    let mut world = World::new([config(1, 2), LinkConfig { limits: short, ..config(2, 2) }], 1);
    world.run(1_000);
    world.node(1).send(N2, Channel::Exchange, 0, None, 200);
    world.run(1_000);
    assert_eq!(world.node(1).refusals(), [(Some(N2), Refuser::Them, Reason::TooLong(100))]);
    assert_eq!(world.node(2).refusals(), [(Some(N1), Refuser::Us, Reason::TooLong(100))]);
    for (id, other) in [(1, N2), (2, N1)] {
        assert_eq!(world.node(id).links.epoch(other, Channel::Exchange), None);
        assert!(world.node(id).links.epoch(other, Channel::Ring).is_some());
    }
    world.run(BACK_OFF_REFUSED_MS);
    assert!(world.all_up(), "it is tried again");
}

/// What a listener does with the bytes of somebody who dials; its events but `Close`, and its farewell.
fn dialled_by(bytes: &[u8]) -> (Vec<LinkEvent>, Bytes) {
    let mut links = Links::new(config(2, 3));
    links.tick(0);
    links.accepted(ConnectionId(1));
    links.received(ConnectionId(1), bytes);
    let (mut events, mut last) = (Vec::new(), Bytes::new());
    while let Some(event) = links.next_event() {
        match event {
            LinkEvent::Close { farewell, .. } => last = farewell,
            LinkEvent::Dial { .. } => {}
            event => events.push(event),
        }
    }
    links.check_invariants();
    (events, last)
}

fn hello() -> Hello {
    let epoch = ConnectionEpoch { incarnation: Incarnation(1), dial: 1 };
    let LinkConfig { cluster, partitions, identity, fixed, .. } = config(1, 3);
    let fixed = fixed.digests();
    Hello { cluster, partitions, from: N1, to: N2, identity, channel: Channel::Ring, epoch, fixed }
}

fn frame(kind: FrameKind, body: &[u8]) -> BytesMut {
    let mut bytes = BytesMut::new();
    put_frame(&mut bytes, kind, body);
    bytes
}

fn hello_frame(hello: &Hello, change: impl Fn(&mut BytesMut)) -> BytesMut {
    let mut body = BytesMut::new();
    hello.encode(&mut body);
    change(&mut body);
    frame(FrameKind::Hello, &body)
}

fn refused(lane: Option<(NodeId, Channel)>, reason: Reason) -> LinkEvent {
    let (peer, channel) = lane.unzip();
    LinkEvent::Refused { connection: ConnectionId(1), peer, channel, by: Refuser::Us, reason }
}

/// The farewell tells the reason to a node that has dialled.
fn check_farewell(farewell: &[u8], reason: Reason) {
    let mut links = Links::new(config(1, 2));
    links.tick(0);
    links.dialled(ConnectionId(9), N2, Channel::Ring);
    links.received(ConnectionId(9), farewell);
    let told = LinkEvent::Refused {
        connection: ConnectionId(9),
        peer: Some(N2),
        channel: Some(Channel::Ring),
        by: Refuser::Them,
        reason,
    };
    assert!(std::iter::from_fn(|| links.next_event()).any(|event| event == told), "{reason}");
}

#[test]
fn another_version() {
    let reason = Reason::Version(PROTOCOL_VERSION);
    let (events, farewell) = dialled_by(&hello_frame(&hello(), |body| {
        body[4] = 9;
        body.extend_from_slice(b"what version 9 appends");
    }));
    assert_eq!(events, [refused(None, reason)]);
    check_farewell(&farewell, reason);
}

#[test]
fn the_answer_of_another_version() {
    let mut links = Links::new(config(1, 2));
    links.tick(0);
    links.dialled(ConnectionId(1), N2, Channel::Ring);
    links.received(ConnectionId(1), &hello_frame(&hello(), |body| body[4] = 9));
    let lane = Some((N2, Channel::Ring));
    let told = refused(lane, Reason::Version(PROTOCOL_VERSION));
    assert!(std::iter::from_fn(|| links.next_event()).any(|event| event == told));
}

#[test]
fn a_node_that_should_have_been_dialled() {
    let from = NodeId(3);
    let (events, farewell) = dialled_by(&hello_frame(&Hello { from, ..hello() }, |_| ()));
    assert_eq!(events, [refused(Some((from, Channel::Ring)), Reason::NotDialler)]);
    check_farewell(&farewell, Reason::NotDialler);
}

#[test]
fn what_is_not_this_protocol() {
    let (events, farewell) = dialled_by(b"GET / HTTP/1.1\r\n\r\n");
    assert_eq!(events, [refused(None, Reason::TooLong(512))]);
    check_farewell(&farewell, Reason::TooLong(512));
    for kind in [FrameKind::Message, FrameKind::Heartbeat, FrameKind::Welcome] {
        let (events, farewell) = dialled_by(&frame(kind, b""));
        assert_eq!(events, [refused(None, Reason::Malformed)], "{kind:?} before a hello");
        check_farewell(&farewell, Reason::Malformed);
    }
    let (events, _) = dialled_by(&hello_frame(&hello(), |body| body[0] = b'x'));
    assert_eq!(events, [refused(None, Reason::Malformed)]);
}

#[test]
fn a_forged_epoch_or_a_second_hello() {
    let lane = Some((N1, Channel::Ring));
    let epoch = ConnectionEpoch { incarnation: Incarnation(8), dial: 1 };
    let (events, _) = dialled_by(&hello_frame(&Hello { epoch, ..hello() }, |_| ()));
    assert_eq!(events, [refused(lane, Reason::Malformed)]);
    let mut twice = hello_frame(&hello(), |_| ());
    twice.extend_from_slice(&twice.clone());
    assert_eq!(dialled_by(&twice).0, [refused(lane, Reason::Malformed)]);
    let mut thrice = hello_frame(&hello(), |_| ());
    thrice.extend_from_slice(&frame(FrameKind::Starts, &directory(1, 1)));
    thrice.extend_from_slice(&hello_frame(&hello(), |_| ()));
    let (events, farewell) = dialled_by(&thrice);
    assert_eq!(events, [refused(lane, Reason::Malformed)]);
    assert_eq!(farewell[4], FrameKind::Hello as u8, "the answer was on its way, the refusal follows");
}

#[test]
fn an_answer_from_somebody_else_or_for_another_connection() {
    let forged = |change: fn(&mut Hello)| {
        let mut links = Links::new(config(1, 3));
        links.tick(0);
        links.dialled(ConnectionId(1), N2, Channel::Ring);
        let mut answer = Hello { from: N2, to: N1, identity: identity(1, 2), ..hello() };
        change(&mut answer);
        links.received(ConnectionId(1), &hello_frame(&answer, |_| ()));
        links.received(ConnectionId(1), &frame(FrameKind::Starts, &directory(1, 2)));
        let reasons = std::iter::from_fn(|| links.next_event()).filter_map(|event| match event {
            LinkEvent::Refused { reason, .. } => Some(reason),
            LinkEvent::Up { .. } => Some(Reason::Other(0)),
            _ => None,
        });
        reasons.collect::<Vec<_>>()
    };
    assert_eq!(forged(|_| ()), [Reason::Other(0)], "an honest answer brings the channel up");
    assert_eq!(forged(|hello| hello.from = NodeId(3)), [Reason::WrongNode(NodeId(3))]);
    assert_eq!(forged(|hello| hello.to = NodeId(3)), [Reason::WrongNode(N1)]);
    assert_eq!(forged(|hello| hello.epoch.dial = 2), [Reason::Malformed]);
    assert_eq!(forged(|hello| hello.channel = Channel::Exchange), [Reason::Malformed]);
}

#[test]
fn a_node_that_has_started_again_is_linked_at_once_also_to_those_who_hear_of_it_first_from_another() {
    for id in 1..=3 {
        let (teller, told) = (id % 3 + 1, (id + 1) % 3 + 1);
        let mut world = World::new((1..=3).map(|id| config(id, 3)), 1);
        world.run_until(3_000, World::all_up);
        for channel in Channel::ALL {
            let connection = world.connection(told, id, channel);
            world.stall(connection);
        }
        let towards: Vec<_> =
            Channel::ALL.into_iter().map(|channel| world.connection(teller, id, channel)).collect();
        world.restart(id, false);
        towards.into_iter().for_each(|connection| world.cut(connection));
        let latest = |world: &World| {
            world.nodes[&NodeId(teller)]
                .links
                .acquaintance(NodeId(id))
                .demands()
                .any(|had| had.identity.incarnation.0 == 2)
        };
        world.run_until(3_000, latest);
        world.run_until(3_000, World::all_up);
    }
}

#[test]
fn a_damaged_frame_breaks_the_connection_and_is_not_held_against_the_peer() {
    let mut world = World::new([config(1, 2), config(2, 2)], 1);
    world.run(1_000);
    let connection = world.connection(2, 1, Channel::Ring);
    let mut damaged = frame(FrameKind::Heartbeat, b"");
    damaged[8] ^= 1;
    world.node(2).links.received(connection, &damaged);
    world.run(1_000);
    assert_eq!(world.node(2).refusals(), [(Some(N1), Refuser::Us, Reason::Corrupt)]);
    assert!(world.all_up());
}

#[test]
fn more_strangers_than_may_be_are_closed_at_once() {
    let mut links = Links::new(config(2, 2));
    links.tick(0);
    for id in 0..=HANDSHAKES_MAX as u64 {
        links.accepted(ConnectionId(id));
    }
    links.check_invariants();
    let last = ConnectionId(HANDSHAKES_MAX as u64);
    assert_eq!(links.next_event(), Some(LinkEvent::Close { connection: last, farewell: Bytes::new() }));
    assert_eq!((links.next_event(), links.counts().crowded_out), (None, 1));
    for now_ms in (0..=HANDSHAKE_MS_MAX).step_by(500) {
        links.tick(now_ms);
    }
    assert_eq!(std::iter::from_fn(|| links.next_event()).count(), HANDSHAKES_MAX, "they had their time");
}
