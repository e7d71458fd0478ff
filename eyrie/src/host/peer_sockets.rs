//! The sockets between this node and its peers.

use super::connection::{Connection, Read};
use crate::front::Front;
use crate::node::Node;
use crate::peers::{Deed, Peers};
use crate::service::StateMachine;
use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use multicast::link::{Channel, ConnectionId, Identity, Incarnation, LinkConfig, LinkLimits, Nonce};
use multicast::log::LogPosition;
use multicast::{Fixed, NodeId};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;

/// Where the peers' tokens begin.
pub(super) const FIRST_TOKEN: usize = 1 << (usize::BITS - 2);
/// Who dials a peer says so here.
pub(super) const LISTENER: Token = Token(usize::MAX - 2);
const SCRATCH_BYTES: usize = 256 * 1024;

/// How a node and its peers reach each other.
#[derive(Debug)]
pub struct PeerConfig {
    /// The cluster's name.
    pub cluster: String,
    /// How many partitions it has.
    pub partitions: u16,
    /// What else is fixed for the life of the cluster.
    pub fixed: Fixed,
    /// How many nodes keep each of them.
    pub replicas: u16,
    /// The nonce of this node's disk.
    pub nonce: [u8; 16],
    /// Where this node is dialled.
    pub listener: std::net::TcpListener,
    /// Where the others are.
    pub addresses: BTreeMap<NodeId, SocketAddr>,
}

impl PeerConfig {
    /// What the links of this start of the node are told.
    fn links<S: StateMachine, F: Front<S>>(&self, node: &Node<S, F>) -> LinkConfig {
        let (me, incarnation) = (node.id(), u64::from(node.incarnation()));
        LinkConfig {
            me,
            identity: Identity { incarnation: Incarnation(incarnation), nonce: Nonce(self.nonce) },
            starts: node.starts().clone(),
            durable: node.durable(),
            cluster: self.cluster.clone(),
            partitions: self.partitions,
            fixed: self.fixed.clone(),
            peers: self.addresses.keys().map(|peer| (*peer, node.acquaintance(*peer))).collect(),
            limits: LinkLimits::default(),
            seed: (u64::from(me.0) << 48) ^ incarnation,
        }
    }
}

/// The peers, and the sockets to them.
pub(super) struct PeerSockets {
    peers: Peers,
    listener: TcpListener,
    addresses: BTreeMap<NodeId, SocketAddr>,
    sockets: FxHashMap<ConnectionId, Connection>,
    readable: Vec<ConnectionId>,
    next: u64,
    /// Somebody may wait to be accepted.
    knocked: bool,
    scratch: Box<[u8]>,
}

impl PeerSockets {
    /// Listens, and dials at the first tick. The incarnation is durable.
    pub(super) fn open<S: StateMachine, F: Front<S>>(
        config: PeerConfig,
        node: &Node<S, F>,
        registry: &Registry,
    ) -> io::Result<PeerSockets> {
        let peers = Peers::new(config.links(node));
        config.listener.set_nonblocking(true)?;
        let mut listener = TcpListener::from_std(config.listener);
        registry.register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(PeerSockets {
            peers,
            listener,
            addresses: config.addresses,
            sockets: FxHashMap::default(),
            readable: Vec::new(),
            next: 0,
            knocked: true,
            scratch: vec![0; SCRATCH_BYTES].into(),
        })
    }

    /// Somebody has dialled.
    pub(super) fn knock(&mut self) {
        self.knocked = true;
    }

    /// A socket of this token has something to say.
    pub(super) fn mark(&mut self, token: Token, event: &Event) {
        let id = ConnectionId((token.0 - FIRST_TOKEN) as u64);
        let Some(socket) = self.sockets.get_mut(&id) else { return };
        let ended = event.is_read_closed() || event.is_error();
        if (event.is_readable() || ended) && socket.set_readable(ended) {
            self.readable.push(id);
        }
        if event.is_writable() {
            self.flush_one(id);
        }
    }

    /// Takes in what has come, and hands it to the node. Says whether something is left for the next turn.
    pub(super) fn take_in<S: StateMachine, F: Front<S>>(
        &mut self,
        now_ms: u64,
        node: &mut Node<S, F>,
        registry: &Registry,
    ) -> bool {
        self.peers.tick(now_ms);
        if self.knocked {
            self.accept(registry);
        }
        let left = self.read();
        self.peers.hear(node);
        self.act(registry);
        left
    }

    /// The log is durable up to `position`.
    pub(super) fn durable(&mut self, position: LogPosition) {
        self.peers.durable(position);
    }

    /// Writes what the node has to say, once to each peer.
    pub(super) fn give_out<S: StateMachine, F: Front<S>>(
        &mut self,
        node: &mut Node<S, F>,
        registry: &Registry,
    ) {
        self.peers.speak(node);
        self.peers.hear(node);
        self.act(registry);
        for id in self.peers.take_ready() {
            self.flush_one(id);
        }
    }

    fn accept(&mut self, registry: &Registry) {
        loop {
            match self.listener.accept() {
                Ok((stream, address)) => {
                    if let Some(id) = self.insert(stream, address, registry) {
                        self.peers.accepted(id);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return self.knocked = false,
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => return tracing::warn!(%error, "a peer was not accepted"),
            }
        }
    }

    fn insert(
        &mut self,
        stream: TcpStream,
        address: SocketAddr,
        registry: &Registry,
    ) -> Option<ConnectionId> {
        let id = ConnectionId(self.next);
        self.next += 1;
        match Connection::open(stream, registry, Token(FIRST_TOKEN + id.0 as usize)) {
            Ok(socket) => {
                tracing::debug!(connection = id.0, %address, "a connection to a peer");
                self.sockets.insert(id, socket);
                Some(id)
            }
            Err(error) => {
                tracing::warn!(%address, %error, "a connection to a peer could not be set up");
                None
            }
        }
    }

    fn read(&mut self) -> bool {
        let mut left = Vec::new();
        for id in std::mem::take(&mut self.readable) {
            let Some(socket) = self.sockets.get_mut(&id) else { continue };
            let read = socket.read(&mut self.scratch);
            if let Ok((length, _)) = read {
                self.peers.received(id, &self.scratch[..length]);
            }
            match read {
                Ok((_, Read::All)) => {}
                Ok((_, Read::More)) => left.push(id),
                Ok((_, Read::Closed)) | Err(_) => self.lose(id),
            }
        }
        self.readable = left;
        !self.readable.is_empty()
    }

    fn lose(&mut self, id: ConnectionId) {
        if self.sockets.remove(&id).is_some() {
            self.peers.closed(id);
        }
    }

    fn act(&mut self, registry: &Registry) {
        while let Some(deed) = self.peers.next_deed() {
            match deed {
                Deed::Dial(peer, channel) => self.dial(peer, channel, registry),
                Deed::Close(id, farewell) => {
                    if let Some(mut socket) = self.sockets.remove(&id) {
                        // Whoever does not take it learns nothing more than that the connection has ended.
                        let _ = socket.write(&mut farewell.into());
                    }
                }
            }
        }
    }

    fn dial(&mut self, peer: NodeId, channel: Channel, registry: &Registry) {
        let address = self.addresses[&peer];
        let dialled = TcpStream::connect(address);
        match dialled.ok().and_then(|stream| self.insert(stream, address, registry)) {
            Some(id) => self.peers.dialled(id, peer, channel),
            None => self.peers.dial_failed(peer, channel),
        }
    }

    fn flush_one(&mut self, id: ConnectionId) {
        let Some(socket) = self.sockets.get_mut(&id) else { return };
        let Some(output) = self.peers.output(id) else { return };
        if socket.write(output).is_err() {
            self.lose(id);
        }
    }
}
