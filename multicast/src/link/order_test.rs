//! What waits for the log leaves not before it is durable, not later than then, and in the order of its stream.

use super::frame::{FrameKind, Inbox};
use super::world_test::{World, config};
use super::*;
use crate::NodeId;
use crate::log::LogPosition;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use proptest::prelude::*;
use std::collections::{BTreeMap, VecDeque};

const PEERS: [NodeId; 2] = [NodeId(2), NodeId(3)];

#[derive(Clone, Debug)]
enum Op {
    Send { peer: usize, channel: usize, stream: u16, ahead: Option<u64> },
    Sync(u64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => (0..2_usize, 0..3_usize, 0..3_u16, prop::option::of(0..40_u64))
            .prop_map(|(peer, channel, stream, ahead)| Op::Send { peer, channel, stream, ahead }),
        1 => (0..30_u64).prop_map(Op::Sync),
    ]
}

type Lane = (NodeId, Channel);

/// The model: one list per peer, channel and stream, of which the head leaves while it may.
#[derive(Default)]
struct Model {
    waiting: BTreeMap<(Lane, u16), VecDeque<(u64, u64)>>,
    durable: u64,
    next: u64,
}

impl Model {
    fn send(&mut self, lane: Lane, stream: u16, ahead: Option<u64>) -> (Option<LogPosition>, Bytes) {
        self.next += 1;
        let after = ahead.map(|ahead| self.durable + ahead);
        self.waiting.entry((lane, stream)).or_default().push_back((after.unwrap_or(0), self.next));
        let mut message = BytesMut::new();
        message.put_u16_le(stream);
        message.put_u64_le(self.next);
        (after.map(LogPosition), message.freeze())
    }

    /// What leaves now, stream by stream.
    fn leave(&mut self) -> BTreeMap<(Lane, u16), Vec<u64>> {
        let mut left: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (stream, queue) in &mut self.waiting {
            while queue.front().is_some_and(|(after, _)| *after <= self.durable) {
                left.entry(*stream).or_default().extend(queue.pop_front().map(|(_, number)| number));
            }
        }
        left
    }
}

/// What a node's outputs hold, which is removed.
fn written(world: &mut World) -> BTreeMap<(Lane, u16), Vec<u64>> {
    let mut left: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for peer in PEERS {
        for channel in Channel::ALL {
            let connection = world.connection(1, peer.0, channel);
            let mut inbox = Inbox::default();
            inbox.push(&world.node(1).links.output(connection).unwrap().split());
            while let Some((kind, mut body)) = inbox.next_frame(1_000).unwrap() {
                if matches!(kind, FrameKind::Durable | FrameKind::Known) {
                    continue;
                }
                assert_eq!(kind, FrameKind::Message);
                let stream = ((peer, channel), body.get_u16_le());
                left.entry(stream).or_default().push(body.get_u64_le());
            }
        }
    }
    left
}

proptest! {
    #[test]
    fn messages_leave_as_in_the_model(ops in prop::collection::vec(op(), 1..80)) {
        let mut world = World::new((1..=3).map(|id| config(id, 3)), 1);
        world.run_until(1_000, World::all_up);
        let mut model = Model::default();
        for op in ops {
            let links = &mut world.node(1).links;
            match op {
                Op::Send { peer, channel, stream, ahead } => {
                    let lane = (PEERS[peer], Channel::ALL[channel]);
                    let (after, message) = model.send(lane, stream, ahead);
                    links.send(lane.0, lane.1, StreamId(stream), after, message);
                }
                Op::Sync(bytes) => {
                    model.durable += bytes;
                    links.durable(LogPosition(model.durable));
                }
            }
            links.check_invariants();
            prop_assert_eq!(written(&mut world), model.leave());
        }
    }
}

#[test]
fn a_held_message_holds_its_stream_to_its_peer_and_nothing_else() {
    let mut world = World::new((1..=3).map(|id| config(id, 3)), 1);
    world.run_until(1_000, World::all_up);
    let links = &mut world.node(1).links;
    let mut send = |peer, channel, stream, after: Option<u64>| {
        let message = Bytes::from_static(&[0; 10]);
        links.send(NodeId(peer), channel, StreamId(stream), after.map(LogPosition), message);
        links.counts().messages_sent
    };
    assert_eq!(send(2, Channel::Ring, 0, Some(5)), 0);
    assert_eq!(send(2, Channel::Ring, 0, None), 0, "behind it");
    assert_eq!(send(2, Channel::Ring, 1, None), 1, "another stream");
    assert_eq!(send(2, Channel::Exchange, 0, None), 2, "another channel");
    assert_eq!(send(3, Channel::Ring, 0, None), 3, "another peer");
    let links = &mut world.node(1).links;
    links.durable(LogPosition(4));
    assert_eq!(links.counts().messages_sent, 3);
    links.take_ready();
    links.durable(LogPosition(5));
    assert_eq!(links.counts().messages_sent, 5);
    let ready = links.take_ready();
    assert_eq!(ready, [world.connection(1, 2, Channel::Ring)], "the host is told");
}
