//! Whatever comes from outside, and in whatever order: no panic, and the invariants hold.

use super::frame::{FrameKind, put_frame};
use super::hello::Hello;
use super::world_test::{World, config, directory, identity};
use super::*;
use crate::NodeId;
use crate::log::LogPosition;
use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

const KINDS: [FrameKind; 8] = [
    FrameKind::Hello,
    FrameKind::Welcome,
    FrameKind::Refuse,
    FrameKind::Heartbeat,
    FrameKind::Message,
    FrameKind::Starts,
    FrameKind::Durable,
    FrameKind::Known,
];

#[derive(Clone, Debug)]
enum Input {
    Accepted,
    Dialled(u16, usize),
    DialFailed(u16, usize),
    Raw(u64, Vec<u8>),
    Frame(u64, usize, Vec<u8>),
    Hello(u64, u16, u16, u64, u8, u64),
    Closed(u64),
    Tick(u64),
    Send(u16, usize, u16, Option<u64>, usize),
    Durable(u64),
    Drain,
    Flush(u64),
}

/// Node 2 of three: it dials 3 and is dialled by 1.
const PEERS: [u16; 2] = [1, 3];

fn peer() -> impl Strategy<Value = u16> {
    prop::sample::select(PEERS.to_vec())
}

fn from_host() -> impl Strategy<Value = Input> {
    let lane = || (peer(), 0..3_usize);
    prop_oneof![
        2 => Just(Input::Accepted),
        2 => lane().prop_map(|(peer, channel)| Input::Dialled(peer, channel)),
        1 => lane().prop_map(|(peer, channel)| Input::DialFailed(peer, channel)),
        1 => (0..12_u64).prop_map(Input::Closed),
        2 => (0..1_500_u64).prop_map(Input::Tick),
        1 => (0..12_u64).prop_map(Input::Flush),
    ]
}

fn from_above() -> impl Strategy<Value = Input> {
    let message = (peer(), 0..3_usize, 0..2_u16, prop::option::of(0..20_u64), 0..300_usize);
    prop_oneof![
        2 => message.prop_map(|(peer, channel, stream, after, bytes)| {
            Input::Send(peer, channel, stream, after, bytes)
        }),
        1 => (0..20_u64).prop_map(Input::Durable),
        1 => Just(Input::Drain),
    ]
}

fn from_afar() -> impl Strategy<Value = Input> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..60);
    let id = || 0..12_u64;
    let hello = (id(), 0..5_u16, 0..5_u16, 0..3_u64, 0..4_u8, 0..4_u64);
    prop_oneof![
        1 => (id(), bytes()).prop_map(|(id, bytes)| Input::Raw(id, bytes)),
        1 => (id(), 0..8_usize, bytes()).prop_map(|(id, kind, body)| Input::Frame(id, kind, body)),
        3 => hello.prop_map(|(id, from, to, start, nonce, dial)| {
            Input::Hello(id, from, to, start, nonce, dial)
        }),
        3 => (id(), prop::sample::select(vec![1, 3, 4])).prop_map(|(id, kind)| Input::Frame(id, kind, vec![])),
    ]
}

fn input() -> impl Strategy<Value = Input> {
    prop_oneof![from_host(), from_above(), from_afar()]
}

struct Driver {
    links: Links,
    next: u64,
    now_ms: u64,
    ups: u64,
}

impl Driver {
    fn fresh(&mut self) -> ConnectionId {
        self.next += 1;
        ConnectionId(self.next - 1)
    }

    fn frame(&mut self, id: u64, kind: FrameKind, body: &[u8]) {
        let mut bytes = BytesMut::new();
        put_frame(&mut bytes, kind, body);
        self.links.received(ConnectionId(id), &bytes);
    }

    fn step(&mut self, input: Input) {
        match input {
            Input::Accepted => {
                let id = self.fresh();
                self.links.accepted(id);
            }
            Input::Dialled(peer, channel) => {
                let id = self.fresh();
                self.links.dialled(id, NodeId(peer), Channel::ALL[channel]);
            }
            Input::DialFailed(peer, channel) => self.links.dial_failed(NodeId(peer), Channel::ALL[channel]),
            Input::Raw(id, bytes) => self.links.received(ConnectionId(id), &bytes),
            Input::Frame(id, kind, body) => self.frame(id, KINDS[kind], &body),
            Input::Hello(id, from, to, start, nonce, dial) => {
                let mut body = BytesMut::new();
                let identity = identity(start, nonce);
                let epoch = ConnectionEpoch { incarnation: identity.incarnation, dial };
                let (from, to, channel) = (NodeId(from), NodeId(to), Channel::ALL[dial as usize % 3]);
                let (cluster, partitions) = ("birds".into(), 4);
                let fixed = config(2, 3).fixed.digests();
                Hello { cluster, partitions, from, to, identity, channel, epoch, fixed }.encode(&mut body);
                self.frame(id, FrameKind::Hello, &body);
                self.frame(id, FrameKind::Starts, &directory(start.clamp(1, 9), nonce));
            }
            Input::Closed(id) => self.links.closed(ConnectionId(id)),
            Input::Tick(ms) => {
                self.now_ms += ms;
                self.links.tick(self.now_ms);
            }
            Input::Send(peer, channel, stream, after, bytes) => self.links.send(
                NodeId(peer),
                Channel::ALL[channel],
                StreamId(stream),
                after.map(LogPosition),
                Bytes::from(vec![0; bytes]),
            ),
            Input::Durable(position) => self.links.durable(LogPosition(position)),
            Input::Drain => while self.links.next_event().is_some() {},
            Input::Flush(id) => {
                self.links.take_ready();
                if let Some(output) = self.links.output(ConnectionId(id)) {
                    output.clear();
                }
            }
        }
        self.ups = self.links.counts().ups;
    }
}

fn driver() -> Driver {
    let limits = LinkLimits {
        frame_bytes: 500,
        ring_outbox_bytes: 1_000,
        exchange_outbox_bytes: 1_000,
        bulk_outbox_bytes: 1_000,
    };
    let mut links = Links::new(LinkConfig { limits, ..config(2, 3) });
    links.tick(0);
    Driver { links, next: 0, now_ms: 0, ups: 0 }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]
    #[test]
    fn any_inputs_in_any_order(inputs in prop::collection::vec(input(), 1..80)) {
        let mut driver = driver();
        for input in inputs {
            driver.step(input);
            driver.links.check_invariants();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn any_bytes_on_a_connection_that_is_up(bytes in prop::collection::vec(any::<u8>(), 1..300), small in any::<bool>()) {
        let mut world = World::new([config(1, 2), config(2, 2)], 1);
        world.run_until(1_000, World::all_up);
        let connection = world.connection(2, 1, Channel::Ring);
        let mut bytes = bytes;
        if small && bytes.len() >= 4 { bytes[1..4].fill(0); }
        world.node(2).links.received(connection, &bytes);
        world.node(2).links.check_invariants();
        // A header may claim what never comes: then it is silence that ends the connection, and it comes back.
        world.run_until(2 * SILENCE_MS_MAX + BACK_OFF_REFUSED_MS, World::all_up);
    }
}

#[test]
fn the_inputs_reach_deep_enough_to_matter() {
    let mut driver = driver();
    for input in [
        Input::Accepted,
        Input::Hello(0, 1, 2, 1, 1, 2),
        Input::Frame(0, 1, vec![]),
        Input::Drain,
        Input::Dialled(3, 0),
        Input::Frame(0, 4, vec![]),
    ] {
        driver.step(input);
    }
    assert_eq!((driver.ups, driver.links.counts().messages_received), (1, 1));
}
