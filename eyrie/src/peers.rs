//! The peers: what a node says to the others, on the links that carry it. Sans-IO.
//!
//! ```text
//!   Node ── Sent ──► Peers ──► Links ──► bytes, per connection
//!   Node ◄─ step, meet, told ── Peers ◄─ LinkEvent ── Links ◄── bytes
//! ```
//!
//! What of the rings is *free* ([`Sent::is_free`](multicast::Sent::is_free)), heartbeats above all, goes over the exchange channel, where
//! it does not wait behind entries: a full link does not look like a dead leader. It needs no order with the rest of the ring's
//! messages, and it is taken only while the peer's ring channel is up too, so that a member whose ring messages cannot come is
//! not heard. A free message of an older exchange connection is dropped with it; one that was sent before the ring channel
//! came up anew may be taken after that, and says what was so when it was sent, as any heartbeat does. While the exchange
//! channel is down free messages go over the ring channel. What the exchange channel carries beside is bounded by its outbox
//! and by who asked for it; where a node follows partitions that it does not host, heartbeats share the way with these.
//!
//! The edge keeps the links' contract (see [`multicast::link`]): it hands in what happened to its sockets, calls
//! [`hear`](Peers::hear), does the [`Deed`]s, later calls [`speak`](Peers::speak), does the deeds again, and writes.

use crate::front::Front;
use crate::message::Message;
use crate::node::Node;
use crate::service::StateMachine;
use bytes::{Bytes, BytesMut};
use multicast::NodeId;
use multicast::link::{
    Acquaintance, Channel, ConnectionId, LinkConfig, LinkCounts, LinkEvent, Links, Nonce, StreamId,
};
use multicast::log::LogPosition;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How often a node keeps durably how far its peers' logs are durable.
const REMEMBER_EVERY_MS: u64 = 1_000;

/// What the edge is to do with its sockets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Dial a peer, and tell the outcome by [`Peers::dialled`] or [`Peers::dial_failed`].
    Dial(NodeId, Channel),
    /// Write what the socket takes of the farewell, and close it.
    Close(ConnectionId, Bytes),
}

/// What one node says to the others and hears of them.
pub struct Peers {
    links: Links,
    /// The disk that each peer has shown.
    nonces: BTreeMap<NodeId, Nonce>,
    /// The channels that are up.
    up: BTreeSet<(NodeId, Channel)>,
    /// Up to where the log must be durable before a peer is told anything of the rings: then it is durable that this start of
    /// it was met.
    met_at: BTreeMap<NodeId, LogPosition>,
    deeds: VecDeque<Deed>,
    now_ms: u64,
    remembered_ms: u64,
}

impl Peers {
    /// The peers of a node that has just started. Its incarnation is durable.
    pub fn new(config: LinkConfig) -> Peers {
        let nonce =
            |(peer, known): (&NodeId, &Acquaintance)| known.met.map(|met| (*peer, met.identity.nonce));
        let met = config.peers.iter().filter_map(nonce);
        Peers {
            nonces: met.collect(),
            links: Links::new(config),
            up: BTreeSet::new(),
            met_at: BTreeMap::new(),
            deeds: VecDeque::new(),
            now_ms: 0,
            remembered_ms: 0,
        }
    }

    /// Time has passed; `now_ms` is monotonic. Comes before the turn's bytes.
    pub fn tick(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
        self.links.tick(now_ms);
    }

    /// Somebody has connected.
    pub fn accepted(&mut self, connection: ConnectionId) {
        self.links.accepted(connection);
    }

    /// The edge has dialled.
    pub fn dialled(&mut self, connection: ConnectionId, peer: NodeId, channel: Channel) {
        self.links.dialled(connection, peer, channel);
    }

    /// The edge could not dial.
    pub fn dial_failed(&mut self, peer: NodeId, channel: Channel) {
        self.links.dial_failed(peer, channel);
    }

    /// Bytes have come. They may begin and end anywhere.
    pub fn received(&mut self, connection: ConnectionId, bytes: &[u8]) {
        self.links.received(connection, bytes);
    }

    /// A connection has ended or broken.
    pub fn closed(&mut self, connection: ConnectionId) {
        self.links.closed(connection);
    }

    /// The log is durable up to `position`: what waited for it leaves.
    pub fn durable(&mut self, position: LogPosition) {
        self.links.durable(position);
    }

    /// Hands the node whatever has come.
    pub fn hear<S: StateMachine, F: Front<S>>(&mut self, node: &mut Node<S, F>) {
        while let Some(event) = self.links.next_event() {
            match event {
                LinkEvent::Dial { peer, channel } => self.deeds.push_back(Deed::Dial(peer, channel)),
                LinkEvent::Close { connection, farewell } => {
                    self.deeds.push_back(Deed::Close(connection, farewell))
                }
                LinkEvent::Met { peer, identity } => {
                    tracing::info!(%peer, incarnation = %identity.incarnation, "met");
                    self.nonces.insert(peer, identity.nonce);
                    node.acquaint(peer);
                    let durable_at = self.remember(node, peer);
                    self.met_at.insert(peer, durable_at);
                }
                LinkEvent::Learned { peer } => {
                    self.remember(node, peer);
                }
                LinkEvent::Fenced { reason } => {
                    tracing::error!("this node takes no part any more, for a peer has refused it: {reason}");
                }
                LinkEvent::Up { peer, channel, .. } => {
                    self.up.insert((peer, channel));
                    self.up(node, peer, channel);
                }
                LinkEvent::Down { peer, channel } => {
                    tracing::info!(%peer, %channel, "a link is down");
                    self.up.remove(&(peer, channel));
                    match channel {
                        Channel::Ring => node.ring_lost(peer),
                        Channel::Exchange => node.lost(peer),
                        Channel::Bulk => {}
                    }
                }
                LinkEvent::Message { peer, channel: Channel::Ring | Channel::Bulk, bytes } => {
                    step(node, peer, bytes)
                }
                LinkEvent::Message { peer, channel: Channel::Exchange, bytes } => {
                    self.told(node, peer, bytes)
                }
                LinkEvent::Refused { connection, peer, channel, by, reason } => {
                    let peer = peer.map_or("somebody".to_string(), |peer| peer.to_string());
                    let channel = channel.map_or(String::new(), |channel| format!(", {channel} link"));
                    tracing::warn!(connection = connection.0, "{by} refused {peer}{channel}: {reason}");
                }
            }
        }
        self.remember_all(node);
    }

    /// Hands the links whatever the node has to say.
    pub fn speak<S: StateMachine, F: Front<S>>(&mut self, node: &mut Node<S, F>) {
        for sent in node.drain_sent() {
            if sent.is_free && self.up.contains(&(sent.to, Channel::Exchange)) {
                let message = Message::Free(sent.message).encode();
                self.links.send(sent.to, Channel::Exchange, StreamId(0), None, message);
                continue;
            }
            let after = sent.after.max(self.met_at.get(&sent.to).copied());
            self.links.send(sent.to, sent.channel, sent.stream, after, sent.message);
        }
        for (to, message) in node.drain_told() {
            self.links.send(to, Channel::Exchange, StreamId(0), None, message.encode());
        }
    }

    /// The next thing to do.
    pub fn next_deed(&mut self) -> Option<Deed> {
        self.deeds.pop_front()
    }

    /// The connections with new output since the last call.
    pub fn take_ready(&mut self) -> Vec<ConnectionId> {
        self.links.take_ready()
    }

    /// What is to be written to a connection; the edge removes what it has written. `None` once it is gone.
    pub fn output(&mut self, connection: ConnectionId) -> Option<&mut BytesMut> {
        self.links.output(connection)
    }

    /// Plain counts since the start.
    pub fn counts(&self) -> LinkCounts {
        self.links.counts()
    }

    /// Has the node keep what is known of a peer, for its own next start. It is durable once the log is up to this position.
    fn remember<S: StateMachine, F: Front<S>>(&self, node: &mut Node<S, F>, peer: NodeId) -> LogPosition {
        node.remember(peer, self.links.acquaintance(peer))
    }

    /// Has the node keep, now and then, how far its peers' logs are durable; never by a write that is made for it alone, which
    /// the peers would have to keep in turn.
    fn remember_all<S: StateMachine, F: Front<S>>(&mut self, node: &mut Node<S, F>) {
        if self.now_ms < self.remembered_ms + REMEMBER_EVERY_MS || !node.is_writing() {
            return;
        }
        self.remembered_ms = self.now_ms;
        for peer in self.nonces.keys() {
            self.remember(node, *peer);
        }
    }

    fn told<S: StateMachine, F: Front<S>>(&self, node: &mut Node<S, F>, peer: NodeId, bytes: Bytes) {
        match Message::decode(bytes) {
            Ok(Message::Free(_)) if !self.up.contains(&(peer, Channel::Ring)) => {}
            Ok(message) => node.told(peer, message),
            Err(error) => tracing::warn!(%peer, %error, "a message was not understood"),
        }
    }

    fn up<S: StateMachine, F: Front<S>>(&self, node: &mut Node<S, F>, peer: NodeId, channel: Channel) {
        tracing::info!(%peer, %channel, "a link is up");
        match channel {
            Channel::Exchange => node.found(peer),
            Channel::Bulk => node.bulk_connected(peer),
            Channel::Ring => {
                let nonce = self.nonces.get(&peer).expect("a peer is met before its links are up");
                if let Err(amnesiac) = node.meet(peer, short(*nonce)) {
                    tracing::error!("{amnesiac}: what it says of the rings is not heard");
                }
            }
        }
    }
}

fn step<S: StateMachine, F: Front<S>>(node: &mut Node<S, F>, peer: NodeId, message: Bytes) {
    if let Err(error) = node.step(peer, message) {
        tracing::debug!(%peer, %error, "a message was not handled");
    }
}

/// As much of a nonce as rings keep.
fn short(nonce: Nonce) -> u64 {
    u64::from_le_bytes(nonce.0[..8].try_into().expect("a nonce has 16 bytes"))
}
