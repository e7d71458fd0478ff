//! The host: the one loop in which a node lives. Clock, sockets and the log's writer are touched here and nowhere else.
//!
//! A turn polls all sockets once, reads every connection that has something, hands the log one buffer, executes what has
//! become durable and writes every connection that has output, once. While one buffer syncs the next one fills, so
//! batching is a property of the loop and needs no timer: under load turns carry more, at low load a command costs one
//! sync.
#![allow(clippy::disallowed_methods, reason = "an edge: reads the clocks")]

mod connection;
mod listening;
mod peer_sockets;

pub use listening::listen;
pub use peer_sockets::PeerConfig;

use crate::front::{ConnectionId, Front};
use crate::node::Node;
use crate::service::StateMachine;
use connection::{Connection, Read};
use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token, Waker};
use multicast::FollowError;
use multicast::disk::Disk;
use multicast::log::{Buffer, LogWriter};
use peer_sockets::PeerSockets;
use rustc_hash::FxHashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use thiserror::Error;

/// How long a turn waits for something to happen before time is told on.
pub const TICK: Duration = Duration::from_millis(50);
/// The same among peers: a ring's clock stands still while the loop waits.
pub const TICK_AMONG_PEERS: Duration = Duration::from_millis(10);
/// How many connections a node serves at most, if the system lets it open so many; a further one is closed at once.
pub const CONNECTIONS_MAX: usize = 20_000;
/// How many connections are accepted in one turn; more are accepted in the next, which comes at once.
const ACCEPTED_MAX: usize = 512;

const LISTENER: Token = Token(usize::MAX);
const WAKER: Token = Token(usize::MAX - 1);
const EVENTS_MAX: usize = 1_024;
const SCRATCH_BYTES: usize = 64 * 1024;

/// Why a node stopped. All of them are the end of the process: what is durable is not known any more, or not followed.
#[derive(Debug, Error)]
pub enum HostError {
    /// The log could not be written or synced.
    #[error("the log cannot be written: {0}")]
    Log(io::Error),
    /// The log could not be followed.
    #[error("the log cannot be followed: {0}")]
    Follow(#[from] FollowError),
    /// Sockets could not be polled or accepted.
    #[error("sockets cannot be served: {0}")]
    Socket(io::Error),
}

/// One loop: a node, its connections and the writer of its log.
pub struct Host<S: StateMachine, F: Front<S>> {
    node: Node<S, F>,
    writer: LogWriter,
    in_flight: bool,
    busy: bool,
    poll: Poll,
    listener: Option<TcpListener>,
    connections: FxHashMap<ConnectionId, Connection>,
    connections_max: usize,
    /// Somebody may wait to be accepted.
    knocked: bool,
    /// How the peers are reached, until the node has taken up what its log held.
    peer_config: Option<PeerConfig>,
    peers: Option<PeerSockets>,
    readable: Vec<ConnectionId>,
    next: u64,
    started: Instant,
    /// How long the log took in this turn.
    wrote_us: u64,
    now_ms: u64,
    scratch: Box<[u8]>,
    stop: Arc<AtomicBool>,
}

impl<S: StateMachine, F: Front<S>> Host<S, F> {
    /// A host that serves `node`, at most `connections_max` clients at a time, among `peers` if there are any. It stops within
    /// a [`TICK`] of `stop` being set.
    pub fn new(
        node: Node<S, F>,
        disk: Arc<dyn Disk>,
        connections_max: usize,
        peers: Option<PeerConfig>,
        stop: Arc<AtomicBool>,
    ) -> io::Result<Host<S, F>> {
        let poll = Poll::new()?;
        Ok(Host {
            node,
            writer: writer(disk, peers.as_ref().is_some_and(|peers| peers.replicas > 1), &poll)?,
            in_flight: false,
            busy: false,
            poll,
            listener: None,
            connections: FxHashMap::default(),
            connections_max: connections_max.min(CONNECTIONS_MAX),
            knocked: false,
            peer_config: peers,
            peers: None,
            readable: Vec::new(),
            next: 0,
            started: Instant::now(),
            wrote_us: 0,
            now_ms: 0,
            scratch: vec![0; SCRATCH_BYTES].into(),
            stop,
        })
    }

    /// Takes up what the log holds: executes all that is decided, relays what was left, and returns when nothing moves.
    /// Neither clients nor peers are heard before that, and the incarnation is durable after it.
    pub fn replay(&mut self) -> Result<(), HostError> {
        self.tick();
        self.node.deliver()?;
        self.node.propose()?;
        while !self.stop.load(Ordering::Relaxed)
            && let Some(buffer) = self.node.take_buffer()
        {
            self.write(buffer)?;
            while self.in_flight {
                self.wait(TICK)?;
                self.take_durable()?;
            }
            self.node.deliver()?;
            self.node.propose()?;
        }
        self.tick();
        self.node.restarted();
        if let Some(config) = self.peer_config.take() {
            let peers = PeerSockets::open(config, &self.node, self.poll.registry());
            self.peers = Some(peers.map_err(HostError::Socket)?);
        }
        Ok(())
    }

    /// Serves the clients that come to `listener` until told to stop. What was acknowledged is durable at any moment, so
    /// stopping is only leaving.
    pub fn run(&mut self, listener: std::net::TcpListener) -> Result<(), HostError> {
        listener.set_nonblocking(true).map_err(HostError::Socket)?;
        let listener = self.listener.insert(TcpListener::from_std(listener));
        self.poll.registry().register(listener, LISTENER, Interest::READABLE).map_err(HostError::Socket)?;
        while !self.stop.load(Ordering::Relaxed) {
            self.turn()?;
        }
        Ok(())
    }

    /// The node that it serves.
    pub fn node(&mut self) -> &mut Node<S, F> {
        &mut self.node
    }

    fn turn(&mut self) -> Result<(), HostError> {
        let idle = if self.peers.is_some() { TICK_AMONG_PEERS } else { TICK };
        let timeout = if std::mem::take(&mut self.busy) { Duration::ZERO } else { idle };
        self.wait(timeout)?;
        let began_us = self.now_us();
        self.wrote_us = 0;
        self.tick();
        if self.knocked {
            self.accept();
        }
        self.busy |= self.read();
        if let Some(peers) = &mut self.peers {
            self.busy |= peers.take_in(self.now_ms, &mut self.node, self.poll.registry());
        }
        self.take_durable()?;
        self.node.propose()?;
        self.node.proposed(self.now_us());
        if !self.in_flight
            && let Some(buffer) = self.node.take_buffer()
        {
            // What does not wait for the sync leaves before it: the followers sync meanwhile.
            self.give_out();
            self.write(buffer)?;
        }
        self.node.clock(self.now_us());
        self.node.deliver()?;
        self.node.clock(self.now_us());
        self.busy |= self.node.is_behind();
        self.give_out();
        self.node.check_reads()?;
        if self.node.wants_status() {
            self.node.show_status(open_files());
        }
        self.flush();
        let now_us = self.now_us();
        self.node.turned(now_us, now_us - began_us - self.wrote_us);
        Ok(())
    }

    fn now_us(&self) -> u64 {
        self.started.elapsed().as_micros() as u64
    }

    fn tick(&mut self) {
        self.now_ms = self.started.elapsed().as_millis() as u64;
        let wall_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |wall| wall.as_millis() as u64);
        self.node.tick(self.now_ms, wall_ms);
        self.node.clock(self.now_us());
    }

    /// Waits for sockets, the writer or the time-out.
    fn wait(&mut self, timeout: Duration) -> Result<(), HostError> {
        let mut events = Events::with_capacity(EVENTS_MAX);
        match self.poll.poll(&mut events, Some(timeout)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            other => other.map_err(HostError::Socket)?,
        }
        for event in &events {
            match event.token() {
                LISTENER => self.knocked = true,
                WAKER => {}
                peer_sockets::LISTENER => {
                    if let Some(peers) = &mut self.peers {
                        peers.knock();
                    }
                }
                token if token.0 >= peer_sockets::FIRST_TOKEN => {
                    if let Some(peers) = &mut self.peers {
                        peers.mark(token, event);
                    }
                }
                Token(token) => self.mark(ConnectionId(token as u64), event),
            }
        }
        Ok(())
    }

    fn mark(&mut self, id: ConnectionId, event: &mio::event::Event) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if (event.is_readable() || event.is_read_closed()) && connection.set_readable(event.is_read_closed())
        {
            self.readable.push(id);
        }
        if event.is_writable() {
            self.flush_one(id);
        }
    }

    /// Accepts whoever waits. After an error, such as too many open files, it is tried again in the next turn: the
    /// listener knocks only once for those who wait already.
    fn accept(&mut self) {
        for _ in 0..ACCEPTED_MAX {
            let Some(listener) = &self.listener else { return };
            match listener.accept() {
                Ok((stream, peer)) => self.open(stream, peer),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return self.knocked = false,
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => return tracing::warn!(%error, "a connection was not accepted"),
            }
        }
        self.busy = true;
    }

    fn open(&mut self, stream: mio::net::TcpStream, peer: SocketAddr) {
        if self.connections.len() >= self.connections_max {
            connection::turn_away(stream);
            return tracing::warn!(%peer, open = self.connections.len(), "refused: too many connections are open");
        }
        let id = ConnectionId(self.next);
        self.next += 1;
        match Connection::open(stream, self.poll.registry(), Token(id.0 as usize)) {
            Ok(connection) => {
                self.connections.insert(id, connection);
                self.node.connected(id, peer);
            }
            Err(error) => tracing::warn!(%peer, %error, "a connection could not be set up"),
        }
    }

    /// Reads what the front wants to have. Says whether something is left for the next turn.
    fn read(&mut self) -> bool {
        let mut left = Vec::new();
        for id in std::mem::take(&mut self.readable) {
            if !self.connections.contains_key(&id) {
                continue;
            }
            if !self.node.front().reading(id) {
                left.push((id, false));
                continue;
            }
            match self.read_one(id) {
                Read::All => {}
                Read::More => left.push((id, true)),
                Read::Closed => self.forget(id),
            }
        }
        let more = left.iter().any(|(_, more)| *more);
        self.readable.extend(left.into_iter().map(|(id, _)| id));
        more
    }

    fn read_one(&mut self, id: ConnectionId) -> Read {
        let Host { connections, node, scratch, .. } = self;
        let Some(connection) = connections.get_mut(&id) else { return Read::All };
        match connection.read(scratch) {
            Ok((length, read)) => {
                if length > 0 {
                    node.received(id, &scratch[..length]);
                }
                read
            }
            Err(error) => {
                tracing::debug!(connection = id.0, %error, "a connection broke");
                Read::Closed
            }
        }
    }

    fn forget(&mut self, id: ConnectionId) {
        if self.connections.remove(&id).is_some() {
            self.node.disconnected(id);
        }
    }

    /// Hands a buffer to the writer; an inline one is done at once.
    fn write(&mut self, buffer: Buffer) -> Result<(), HostError> {
        self.in_flight = true;
        let began_us = self.now_us();
        let durable = self.writer.submit(buffer).map_err(HostError::Log)?;
        self.wrote_us = self.now_us() - began_us;
        self.settle(durable);
        Ok(())
    }

    fn take_durable(&mut self) -> Result<(), HostError> {
        if self.in_flight {
            let durable = self.writer.try_durable().map_err(HostError::Log)?;
            self.settle(durable);
        }
        Ok(())
    }

    fn settle(&mut self, durable: Option<multicast::log::LogPosition>) {
        if let Some(position) = durable {
            self.in_flight = false;
            self.busy = true;
            self.node.synced(position);
            if let Some(peers) = &mut self.peers {
                peers.durable(position);
            }
        }
    }

    fn give_out(&mut self) {
        if let Some(peers) = &mut self.peers {
            peers.give_out(&mut self.node, self.poll.registry());
        }
    }

    fn flush(&mut self) {
        for id in self.node.front().take_ready() {
            self.flush_one(id);
        }
    }

    fn flush_one(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let front = self.node.front();
        let written = match front.output(id) {
            Some(output) => connection.write(output).map(|()| output.is_empty()),
            None => Ok(true),
        };
        self.busy |= front.written(id);
        match written {
            Ok(true) if front.closing(id) => {
                front.closed(id);
                self.connections.remove(&id);
            }
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(connection = id.0, %error, "a connection broke");
                self.forget(id);
            }
        }
    }
}

/// How many files and sockets this process has open, where the system tells.
fn open_files() -> u64 {
    std::fs::read_dir("/proc/self/fd").map_or(0, |files| files.count() as u64)
}

/// Where commands have one replica, there is nothing to do for them but to sync them: the loop writes, and two switches of
/// threads are saved. Where they have several, much goes on meanwhile.
fn writer(disk: Arc<dyn Disk>, replicated: bool, poll: &Poll) -> io::Result<LogWriter> {
    if !replicated {
        return Ok(LogWriter::inline(disk));
    }
    let waker = Waker::new(poll.registry(), WAKER)?;
    LogWriter::thread(disk, move || {
        let _ = waker.wake();
    })
}
