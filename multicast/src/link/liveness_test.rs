//! Dead peers, full outboxes, heartbeats, and the waits between dials.

use super::world_test::{STEP_MS, World, config};
use super::*;
use crate::NodeId;
use crate::log::LogPosition;
use bytes::Bytes;

const N1: NodeId = NodeId(1);
const N2: NodeId = NodeId(2);

fn is_down(event: &LinkEvent) -> bool {
    matches!(event, LinkEvent::Down { .. })
}

fn small() -> LinkLimits {
    LinkLimits {
        frame_bytes: 1_000,
        ring_outbox_bytes: 3_000,
        exchange_outbox_bytes: 3_000,
        bulk_outbox_bytes: 3_000,
    }
}

fn pair(limits: LinkLimits) -> World {
    let configs = [config(1, 2), config(2, 2)].map(|config| LinkConfig { limits, ..config });
    let mut world = World::new(configs, 1);
    world.run_until(1_000, World::all_up);
    world
}

#[test]
fn the_first_tick_dials_and_who_has_the_greater_id_waits() {
    let mut world = World::new([config(1, 2), config(2, 2)], 1);
    world.step();
    let dial = |channel| LinkEvent::Dial { peer: N2, channel };
    assert_eq!(world.node(1).events, Channel::ALL.map(dial));
    world.run(10_000);
    assert_eq!(world.node(2).count(|event| matches!(event, LinkEvent::Dial { .. })), 0);
}

#[test]
fn an_idle_link_beats_and_stays() {
    let mut world = pair(LinkLimits::default());
    world.run(60_000);
    for id in [1, 2] {
        assert_eq!(world.node(id).count(is_down), 0);
        let beats = world.node(id).links.counts().heartbeats_sent;
        assert!((150..=3 * 60).contains(&beats), "{beats} in a minute on three channels");
    }
}

#[test]
fn a_busy_link_does_not_beat() {
    let mut world = pair(LinkLimits::default());
    for _ in 0..1_000 {
        for channel in Channel::ALL {
            world.node(1).send(N2, channel, 0, None, 10);
        }
        world.step();
    }
    assert_eq!(world.node(1).links.counts().heartbeats_sent, 0);
}

#[test]
fn both_ends_of_a_half_open_connection_break_it() {
    let mut world = pair(LinkLimits::default());
    let begun_ms = world.now_ms;
    world.void(world.connection(1, 2, Channel::Ring));
    world.run_until(SILENCE_MS_MAX + 100, |world| {
        world.nodes[&N1].count(is_down) + world.nodes[&N2].count(is_down) > 0
    });
    assert!(world.now_ms - begun_ms >= SILENCE_MS_MAX - HEARTBEAT_MS - 100);
    world.run(1_500);
    assert!(world.all_up());
    for id in [1, 2] {
        assert_eq!(world.node(id).count(is_down), 1, "and the other channel stays");
    }
    assert!(world.node(1).links.counts().broken_silent > 0);
}

#[test]
fn a_connection_on_which_one_end_cannot_write_is_broken_too() {
    let mut world = pair(LinkLimits::default());
    let connection = world.connection(2, 1, Channel::Exchange);
    world.stall(connection);
    world.node(2).send(N1, Channel::Exchange, 0, None, 10);
    world.run(SILENCE_MS_MAX - 500);
    assert_eq!(world.node(2).count(is_down), 0);
    world.run(1_500);
    assert_eq!(world.node(2).count(is_down), 1);
    assert!(world.all_up());
}

#[test]
fn a_pause_of_this_node_is_not_held_against_its_peers() {
    let mut world = pair(LinkLimits::default());
    world.now_ms += 10 * SILENCE_MS_MAX;
    world.run(2_000);
    assert_eq!(world.node(1).count(is_down) + world.node(2).count(is_down), 0);
}

#[test]
fn a_full_outbox_breaks_the_ring_channel_and_what_follows_has_no_gap() {
    let mut world = pair(small());
    let connection = world.connection(1, 2, Channel::Ring);
    world.stall(connection);
    for _ in 0..10 {
        world.node(1).send(N2, Channel::Ring, 0, None, 900);
        world.node(1).links.check_invariants();
    }
    let counts = world.node(1).links.counts();
    assert_eq!((counts.broken_full, counts.dropped_full, counts.dropped_down), (1, 0, 7));
    world.run(1_000);
    assert!(world.all_up());
    world.node(1).send(N2, Channel::Ring, 0, None, 10);
    world.run(100);
    assert_eq!((world.node(2).messages, world.node(2).count(is_down)), (1, 1));
}

#[test]
fn a_full_outbox_of_the_exchange_drops_and_counts() {
    let mut world = pair(small());
    let links = &mut world.node(1).links;
    let message = Bytes::from(vec![1; 900]);
    for _ in 0..10 {
        links.send(N2, Channel::Exchange, StreamId(0), None, message.clone());
        links.check_invariants();
    }
    assert_eq!((links.counts().messages_sent, links.counts().dropped_full), (3, 7));
    let up = links.epoch(N2, Channel::Exchange);
    assert!(up.is_some());
}

#[test]
fn what_is_held_counts_for_the_bound() {
    let mut world = pair(small());
    let links = &mut world.node(1).links;
    let message = Bytes::from(vec![1; 900]);
    for stream in 0..10 {
        links.send(N2, Channel::Exchange, StreamId(stream), Some(LogPosition(1)), message.clone());
    }
    assert_eq!((links.counts().messages_sent, links.counts().dropped_full), (0, 7));
    links.durable(LogPosition(1));
    assert_eq!(links.counts().messages_sent, 3);
}

#[test]
#[should_panic(expected = "a message of 1001 bytes was made, 1000 may be")]
fn a_message_over_the_cap_is_its_makers_fault() {
    let mut world = pair(small());
    world.node(1).links.send(N2, Channel::Ring, StreamId(0), None, Bytes::from(vec![0; 1_001]));
}

#[test]
fn dials_that_fail_come_ever_slower_up_to_the_cap_and_then_succeed() {
    let mut world = World::new([config(1, 2), config(2, 2)], 1);
    world.unreachable.insert(N2);
    let mut dials_ms = Vec::new();
    for _ in 0..6_000 {
        let before = world.node(1).links.counts().dials_failed;
        world.step();
        if world.node(1).links.counts().dials_failed > before {
            dials_ms.push(world.now_ms);
        }
    }
    let failed = world.node(1).links.counts().dials_failed;
    assert!((60..=140).contains(&failed), "{failed} in a minute on two channels");
    assert!(dials_ms.windows(2).all(|two| two[1] - two[0] <= BACK_OFF_LAST_MS + STEP_MS));
    world.unreachable.clear();
    world.run_until(BACK_OFF_LAST_MS + 100, World::all_up);
}

#[test]
fn a_connection_that_lasted_is_dialled_again_soon_and_one_that_did_not_is_not() {
    let mut world = pair(LinkLimits::default());
    world.run(SILENCE_MS_MAX);
    let mut waits_ms = Vec::new();
    for _ in 0..8 {
        world.cut(world.connection(1, 2, Channel::Ring));
        world.run_until(1_000, |world| !world.all_up());
        let begun_ms = world.now_ms;
        world.run_until(BACK_OFF_LAST_MS + 100, World::all_up);
        waits_ms.push(world.now_ms - begun_ms);
    }
    assert!(waits_ms[0] <= BACK_OFF_FIRST_MS + 50, "{waits_ms:?}");
    assert!(waits_ms[7] >= BACK_OFF_LAST_MS / 2, "{waits_ms:?}");
    world.run(SILENCE_MS_MAX);
    world.cut(world.connection(1, 2, Channel::Ring));
    world.run_until(1_000, |world| !world.all_up());
    world.run_until(BACK_OFF_FIRST_MS + 50, World::all_up);
}

#[test]
fn a_listener_that_never_answers_is_dialled_again() {
    let mut world = World::new([config(1, 2), config(2, 2)], 1);
    world.step();
    for id in world.open(1) {
        world.void(id);
    }
    world.run(HANDSHAKE_MS_MAX - 100);
    assert!(!world.all_up());
    world.run(400);
    assert!(world.all_up());
}
