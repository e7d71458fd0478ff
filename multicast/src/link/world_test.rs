//! A network of bytes in virtual time, in which the tests' nodes live.
//!
//! It cuts what is written anywhere, delays it, keeps its order, and loses it when a connection is cut. Even what comes of
//! a connection that its node has closed is handed to the links, as by a host that had read it before.

use super::starts::Directory;
use super::*;
use crate::NodeId;
use crate::fixed::{Fixed, FixedKey};
use crate::log::LogPosition;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub(super) const STEP_MS: u64 = 10;

pub(super) fn identity(incarnation: u64, nonce: u8) -> Identity {
    Identity { incarnation: Incarnation(incarnation), nonce: Nonce([nonce; 16]) }
}

/// What a start draws whose number this is.
pub(super) fn start_nonce(incarnation: u64, nonce: u8) -> StartNonce {
    StartNonce(incarnation << 8 | u64::from(nonce))
}

/// A start of a disk as a peer keeps it that has met it.
pub(super) fn met(incarnation: u64, nonce: u8) -> Met {
    let (identity, start) = (identity(incarnation, nonce), start_nonce(incarnation, nonce));
    Met { identity, start, vouched: LogPosition(0) }
}

/// What a peer knows that has met it.
pub(super) fn knows(incarnation: u64, nonce: u8) -> Acquaintance {
    Acquaintance { met: Some(met(incarnation, nonce)), told: None }
}

/// So many starts of a disk, on a log that stayed empty.
pub(super) fn starts(incarnation: u64, nonce: u8) -> Starts {
    let begin = |kept: Option<Starts>, start| {
        let kept = kept.map(|kept| kept.encode());
        Starts::begin(kept.as_deref(), start_nonce(start, nonce), LogPosition(0))
    };
    (1..=incarnation).fold(None, begin).expect("at least one start")
}

/// What a node shows of a directory with so many starts.
pub(super) fn directory(incarnation: u64, nonce: u8) -> Bytes {
    Directory { starts: starts(incarnation, nonce), durable: LogPosition(0) }.encode()
}

/// Node `me` of a cluster of `nodes`, numbered from 1, in its first start; its disk's nonce is its number.
pub(super) fn config(me: u16, nodes: u16) -> LinkConfig {
    LinkConfig {
        me: NodeId(me),
        identity: identity(1, me as u8),
        starts: starts(1, me as u8),
        durable: LogPosition(0),
        cluster: "birds".into(),
        partitions: 4,
        fixed: Fixed::default().with(FixedKey::new("depth"), "2"),
        peers: (1..=nodes).filter(|id| *id != me).map(|id| (NodeId(id), Acquaintance::default())).collect(),
        limits: LinkLimits::default(),
        seed: 7,
    }
}

/// What a test's message says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tag {
    pub epoch: ConnectionEpoch,
    pub stream: u16,
    pub number: u64,
    pub after: u64,
}

impl Tag {
    fn encode(self, padding: usize) -> Bytes {
        let mut bytes = BytesMut::new();
        for number in [self.epoch.incarnation.0, self.epoch.dial, self.stream.into(), self.number, self.after]
        {
            bytes.put_u64_le(number);
        }
        bytes.put_bytes(7, padding);
        bytes.freeze()
    }

    fn decode(mut bytes: Bytes) -> Tag {
        let mut next = || bytes.get_u64_le();
        Tag {
            epoch: ConnectionEpoch { incarnation: Incarnation(next()), dial: next() },
            stream: next() as u16,
            number: next(),
            after: next(),
        }
    }
}

/// A node, and what those above its links know. Every event is checked as it is taken.
pub(super) struct Node {
    pub links: Links,
    pub config: LinkConfig,
    /// Everything taken since the start, `Dial` and `Close` too.
    pub events: Vec<LinkEvent>,
    pub messages: u64,
    up: BTreeMap<(NodeId, Channel), ConnectionEpoch>,
    epochs: BTreeMap<(NodeId, Channel), ConnectionEpoch>,
    sent: BTreeMap<(NodeId, Channel, u16), u64>,
    received: BTreeMap<(NodeId, Channel, u16), u64>,
    durable: u64,
}

impl Node {
    fn new(config: LinkConfig) -> Node {
        Node {
            links: Links::new(config.clone()),
            durable: config.durable.0,
            config,
            events: Vec::new(),
            messages: 0,
            up: BTreeMap::new(),
            epochs: BTreeMap::new(),
            sent: BTreeMap::new(),
            received: BTreeMap::new(),
        }
    }

    /// Sends the next message of a stream, after `ahead` more bytes of the log are durable.
    pub fn send(&mut self, peer: NodeId, channel: Channel, stream: u16, ahead: Option<u64>, padding: usize) {
        let Some(epoch) = self.up.get(&(peer, channel)) else { return };
        let number = self.sent.entry((peer, channel, stream)).or_default();
        let after = ahead.map(|ahead| LogPosition(self.durable + ahead));
        let tag = Tag { epoch: *epoch, stream, number: *number, after: after.map_or(0, |after| after.0) };
        *number += 1;
        self.links.send(peer, channel, StreamId(stream), after, tag.encode(padding));
    }

    pub fn sync(&mut self, bytes: u64) {
        self.durable += bytes;
        self.links.durable(LogPosition(self.durable));
    }

    /// The epoch of a channel that is up.
    pub fn up(&self, peer: NodeId, channel: Channel) -> Option<ConnectionEpoch> {
        self.up.get(&(peer, channel)).copied()
    }

    /// What a copy of its directory holds: the starts, and how far the log came.
    pub fn copy(&self) -> (Starts, u64) {
        (self.config.starts.clone(), self.durable)
    }

    pub fn refusals(&self) -> Vec<(Option<NodeId>, Refuser, Reason)> {
        self.events
            .iter()
            .filter_map(|event| match event {
                LinkEvent::Refused { peer, by, reason, .. } => Some((*peer, *by, *reason)),
                _ => None,
            })
            .collect()
    }

    pub fn count(&self, counted: impl Fn(&LinkEvent) -> bool) -> usize {
        self.events.iter().filter(|event| counted(event)).count()
    }

    fn check(&mut self, event: &LinkEvent) {
        match event {
            LinkEvent::Up { peer, channel, epoch } => self.check_up((*peer, *channel), *epoch),
            LinkEvent::Down { peer, channel } => {
                assert!(self.up.remove(&(*peer, *channel)).is_some(), "only what is up goes down");
            }
            LinkEvent::Message { peer, channel, bytes } => {
                self.messages += 1;
                self.check_message((*peer, *channel), Tag::decode(bytes.clone()));
            }
            _ => {}
        }
    }

    fn check_up(&mut self, lane: (NodeId, Channel), epoch: ConnectionEpoch) {
        assert_eq!(self.up.insert(lane, epoch), None, "what is up does not come up");
        assert!(self.epochs.insert(lane, epoch) < Some(epoch), "epochs rise");
        self.sent.retain(|(peer, channel, _), _| (*peer, *channel) != lane);
        self.received.retain(|(peer, channel, _), _| (*peer, *channel) != lane);
    }

    fn check_message(&mut self, lane: (NodeId, Channel), tag: Tag) {
        assert_eq!(self.up.get(&lane), Some(&tag.epoch), "a message belongs to the connection that is up");
        let expected = self.received.entry((lane.0, lane.1, tag.stream)).or_default();
        assert_eq!(tag.number, *expected, "a stream has no gap and no repeat");
        *expected += 1;
    }
}

enum Item {
    Accept,
    Bytes(Vec<u8>),
    End,
}

/// One end of a connection, with what is on its way to it.
struct End {
    node: NodeId,
    other: ConnectionId,
    coming: VecDeque<(u64, Item)>,
    open: bool,
    /// What is written here vanishes.
    void: bool,
    /// Nothing can be written here.
    stalled: bool,
}

pub(super) struct World {
    pub nodes: BTreeMap<NodeId, Node>,
    pub rng: SmallRng,
    pub delay_ms_max: u64,
    /// Where the address of a node leads, if not to it.
    pub routes: BTreeMap<NodeId, NodeId>,
    /// Nodes that cannot be dialled.
    pub unreachable: BTreeSet<NodeId>,
    /// Nodes that stand still.
    pub asleep: BTreeSet<NodeId>,
    pub now_ms: u64,
    ends: BTreeMap<ConnectionId, End>,
    next: u64,
}

impl World {
    pub fn new(configs: impl IntoIterator<Item = LinkConfig>, seed: u64) -> World {
        World {
            nodes: configs.into_iter().map(|config| (config.me, Node::new(config))).collect(),
            rng: SmallRng::seed_from_u64(seed),
            delay_ms_max: 3,
            routes: BTreeMap::new(),
            unreachable: BTreeSet::new(),
            asleep: BTreeSet::new(),
            now_ms: 1_000,
            ends: BTreeMap::new(),
            next: 0,
        }
    }

    pub fn node(&mut self, id: u16) -> &mut Node {
        self.nodes.get_mut(&NodeId(id)).unwrap()
    }

    /// Some time passes, in steps.
    pub fn run(&mut self, time_ms: u64) {
        for _ in 0..time_ms / STEP_MS {
            self.step();
        }
    }

    /// Steps until something is so; panics after `time_ms`.
    pub fn run_until(&mut self, time_ms: u64, is_so: impl Fn(&World) -> bool) {
        let deadline_ms = self.now_ms + time_ms;
        while !is_so(self) {
            assert!(self.now_ms < deadline_ms, "not within {time_ms} ms");
            self.step();
        }
    }

    /// One turn of every node.
    pub fn step(&mut self) {
        self.now_ms += STEP_MS;
        let awake = |id: &&NodeId| !self.asleep.contains(id);
        let nodes: Vec<_> = self.nodes.keys().filter(awake).copied().collect();
        for id in nodes {
            self.nodes.get_mut(&id).unwrap().links.tick(self.now_ms);
            self.deliver(id);
            self.take_events(id);
            self.flush(id);
            self.nodes[&id].links.check_invariants();
        }
    }

    /// One more node starts, or the process of one that has just died is another one.
    pub fn add(&mut self, config: LinkConfig) {
        self.nodes.insert(config.me, Node::new(config));
    }

    /// A node is gone for good.
    pub fn remove(&mut self, id: u16) {
        self.open(id).into_iter().for_each(|connection| self.cut(connection));
        self.nodes.remove(&NodeId(id));
        for end in self.ends.values_mut().filter(|end| end.node == NodeId(id)) {
            (end.open, end.void) = (false, true);
        }
    }

    /// Whether every node has both channels to every peer, and both ends the same epoch.
    pub fn all_up(&self) -> bool {
        self.nodes.iter().all(|(id, node)| {
            node.config.peers.keys().all(|peer| {
                Channel::ALL.into_iter().all(|channel| {
                    let epoch = node.up.get(&(*peer, channel));
                    epoch.is_some() && epoch == self.nodes[peer].up.get(&(*id, channel))
                })
            })
        })
    }

    /// Forgets connections that are over at both ends, which nobody may name any more.
    pub fn prune(&mut self) {
        let is_over = |end: &End| !end.open && end.coming.is_empty();
        let over = |(id, end): (&ConnectionId, &End)| {
            (is_over(end) && self.ends.get(&end.other).is_none_or(is_over)).then_some(*id)
        };
        let over: BTreeSet<ConnectionId> = self.ends.iter().filter_map(over).collect();
        self.ends.retain(|id, _| !over.contains(id));
    }

    /// The connections that a node's host has open.
    pub fn open(&self, id: u16) -> Vec<ConnectionId> {
        let open = self.ends.iter().filter(|(_, end)| end.node == NodeId(id) && end.open);
        open.map(|(connection, _)| *connection).collect()
    }

    /// Both ends of a connection learn that it is broken; what was on its way may be lost.
    pub fn cut(&mut self, connection: ConnectionId) {
        for id in [connection, self.ends[&connection].other] {
            let end = self.ends.get_mut(&id).unwrap();
            end.coming.retain(|(_, item)| matches!(item, Item::Accept));
            end.coming.push_back((self.now_ms, Item::End));
        }
    }

    /// Nothing passes on a connection any more, and neither end learns of it.
    pub fn void(&mut self, connection: ConnectionId) {
        for id in [connection, self.ends[&connection].other] {
            self.ends.get_mut(&id).unwrap().void = true;
        }
    }

    /// Whatever is on its way on a connection takes so much longer.
    pub fn detain(&mut self, connection: ConnectionId, time_ms: u64) {
        for (due_ms, _) in &mut self.ends.get_mut(&connection).unwrap().coming {
            *due_ms += time_ms;
        }
    }

    /// A connection takes no output any more.
    pub fn stall(&mut self, connection: ConnectionId) {
        self.ends.get_mut(&connection).unwrap().stalled = true;
    }

    /// The connection of a channel that is up.
    pub fn connection(&self, id: u16, peer: u16, channel: Channel) -> ConnectionId {
        self.nodes[&NodeId(id)].links.lane(connection::LaneId { peer: NodeId(peer), channel }).up().unwrap()
    }

    /// A node dies and starts again from a directory that is not its last one: one that has had these starts.
    pub fn restore(&mut self, id: u16, starts: &Starts, durable: u64, start: StartNonce) {
        let begun =
            Starts::begin(Some(&starts.encode()), start, LogPosition(durable)).expect("what was encoded");
        self.restart(id, true);
        let config = self.node(id).config.clone();
        let identity = Identity { incarnation: begun.incarnation(), ..config.identity };
        self.add(LinkConfig { identity, starts: begun, durable: LogPosition(durable), ..config });
    }

    /// A node dies and starts again. Its peers learn of the end of its connections only if `politely`.
    pub fn restart(&mut self, id: u16, politely: bool) {
        let config = self.node(id).config.clone();
        let Identity { incarnation: Incarnation(starts), nonce } = config.identity;
        let identity = Identity { incarnation: Incarnation(starts + 1), nonce };
        let durable = LogPosition(self.node(id).durable);
        let start = start_nonce(starts + 1, nonce.0[0]);
        let starts = Starts::begin(Some(&config.starts.encode()), start, durable).expect("what was encoded");
        let known = |peer: &NodeId| (*peer, self.nodes[&NodeId(id)].links.acquaintance(*peer));
        let peers = config.peers.keys().map(known).collect();
        for connection in self.open(id) {
            let end = self.ends.get_mut(&connection).unwrap();
            end.open = false;
            end.void = true;
            let other = end.other;
            if politely {
                self.arrive(other, Item::End);
            }
        }
        self.nodes.insert(NodeId(id), Node::new(LinkConfig { identity, starts, durable, peers, ..config }));
    }

    fn deliver(&mut self, id: NodeId) {
        let due: Vec<_> = self.ends.iter().filter(|(_, end)| end.node == id).map(|(end, _)| *end).collect();
        for connection in due {
            while let Some((due_ms, _)) = self.ends[&connection].coming.front()
                && *due_ms <= self.now_ms
            {
                let end = self.ends.get_mut(&connection).unwrap();
                let links = &mut self.nodes.get_mut(&id).unwrap().links;
                match end.coming.pop_front().unwrap().1 {
                    Item::Accept => {
                        end.open = true;
                        links.accepted(connection);
                    }
                    Item::Bytes(bytes) => links.received(connection, &bytes),
                    Item::End => {
                        end.open = false;
                        links.closed(connection);
                    }
                }
            }
        }
    }

    pub fn take_events(&mut self, id: NodeId) {
        while let Some(event) = self.nodes.get_mut(&id).unwrap().links.next_event() {
            self.nodes.get_mut(&id).unwrap().check(&event);
            match &event {
                LinkEvent::Dial { peer, channel } => self.dial(id, *peer, *channel),
                LinkEvent::Close { connection, farewell } => {
                    self.write(*connection, farewell);
                    self.ends.get_mut(connection).unwrap().open = false;
                    let other = self.ends[connection].other;
                    if !self.ends[connection].void {
                        self.arrive(other, Item::End);
                    }
                }
                _ => {}
            }
            self.nodes.get_mut(&id).unwrap().events.push(event);
        }
    }

    fn dial(&mut self, id: NodeId, peer: NodeId, channel: Channel) {
        let target = self.routes.get(&peer).copied().unwrap_or(peer);
        let links = &mut self.nodes.get_mut(&id).unwrap().links;
        if self.unreachable.contains(&target) {
            return links.dial_failed(peer, channel);
        }
        let (here, there) = (ConnectionId(self.next), ConnectionId(self.next + 1));
        self.next += 2;
        let end = |node, other, open| End {
            node,
            other,
            coming: VecDeque::new(),
            open,
            void: false,
            stalled: false,
        };
        self.ends.insert(here, end(id, there, true));
        self.ends.insert(there, end(target, here, false));
        links.dialled(here, peer, channel);
        self.arrive(there, Item::Accept);
    }

    /// Writes what a node has to write.
    pub fn flush(&mut self, id: NodeId) {
        let ready = self.nodes.get_mut(&id).unwrap().links.take_ready();
        let open = self.open(id.0);
        for connection in open {
            if self.ends[&connection].stalled {
                continue;
            }
            let links = &mut self.nodes.get_mut(&id).unwrap().links;
            let Some(output) = links.output(connection) else { continue };
            let bytes = output.split();
            assert!(bytes.is_empty() || ready.contains(&connection), "what is to be written is told");
            self.write(connection, &bytes);
        }
    }

    fn write(&mut self, connection: ConnectionId, mut bytes: &[u8]) {
        let End { other, void, .. } = self.ends[&connection];
        while !void && !bytes.is_empty() {
            let cut = self.rng.random_range(1..=bytes.len());
            self.arrive(other, Item::Bytes(bytes[..cut].to_vec()));
            bytes = &bytes[cut..];
        }
    }

    fn arrive(&mut self, connection: ConnectionId, item: Item) {
        let due_ms = self.now_ms + self.rng.random_range(1..=self.delay_ms_max);
        let coming = &mut self.ends.get_mut(&connection).unwrap().coming;
        let last_ms = coming.back().map_or(0, |(due_ms, _)| *due_ms);
        coming.push_back((due_ms.max(last_ms), item));
    }
}
