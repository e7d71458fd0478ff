//! The links of one node.

use super::channel::{Channel, Overflow};
use super::clock::Clock;
use super::config::LinkConfig;
use super::connection::{Connection, LaneId, Phase, SILENCE_MS_MAX};
use super::connection_epoch::ConnectionEpoch;
use super::connection_id::ConnectionId;
use super::counts::LinkCounts;
use super::event::{LinkEvent, Refuser};
use super::frame::FrameKind;
use super::identity::Acquaintance;
use super::lane::{Lane, Loss};
use super::limits::HANDSHAKES_MAX;
use super::outbox::{Pushed, TOLD_EVERY_MS};
use super::peer::Peer;
use super::reason::Reason;
use super::stream_id::StreamId;
use crate::NodeId;
use crate::faults::{NO_FENCING, RETURN_DIALLED_LATE};
use crate::log::LogPosition;
use bytes::{Bytes, BytesMut};
use std::collections::{BTreeMap, VecDeque};

/// All connections of a node to its peers.
///
/// Invariants:
/// - A lane that is up, or being dialled, has a connection in that phase; a connection in such a phase is its lane's.
/// - A connection that is not in `connections` is closed or about to be: nothing it brings is taken.
/// - Of accepted connections, at most [`HANDSHAKES_MAX`] are not up.
#[derive(Debug)]
pub struct Links {
    pub(super) config: LinkConfig,
    pub(super) peers: BTreeMap<NodeId, Peer>,
    pub(super) connections: BTreeMap<ConnectionId, Connection>,
    pub(super) events: VecDeque<LinkEvent>,
    pub(super) counts: LinkCounts,
    ready: Vec<ConnectionId>,
    pub(super) durable: LogPosition,
    /// This node's directory was refused: it takes no part any more.
    pub(super) is_fenced: bool,
    /// What is known of peers has changed since the others were told.
    pub(super) has_news: bool,
    told_ms: u64,
    clock: Clock,
}

impl Links {
    /// The links of a node that has just started. The first tick dials.
    ///
    /// Panics if the configuration names the node as its own peer, or the cluster by too long a name.
    pub fn new(config: LinkConfig) -> Links {
        config.check();
        let peer = |(id, met): (&NodeId, &_)| (*id, Peer::new(config.me, *id, *met, config.seed));
        let peers = config.peers.iter().map(peer).collect();
        let durable = config.durable;
        Links {
            config,
            peers,
            connections: BTreeMap::new(),
            events: VecDeque::new(),
            counts: LinkCounts::default(),
            ready: Vec::new(),
            durable,
            is_fenced: false,
            has_news: false,
            told_ms: 0,
            clock: Clock::default(),
        }
    }

    /// Time has passed; `now_ms` is monotonic. Called every turn, before the turn's bytes, at least every
    /// [`STEP_MS_MAX`](super::STEP_MS_MAX): a longer pause counts as that.
    pub fn tick(&mut self, now_ms: u64) {
        if !self.clock.advance(now_ms) {
            return;
        }
        let connections: Vec<_> = self.connections.keys().copied().collect();
        for connection in connections {
            self.tick_connection(connection);
        }
        if !self.is_fenced {
            self.tell_news();
            self.dial();
        }
    }

    /// Somebody has connected to this node.
    pub fn accepted(&mut self, connection: ConnectionId) {
        if self.is_fenced || self.strangers() >= HANDSHAKES_MAX {
            self.counts.crowded_out += u64::from(!self.is_fenced);
            self.events.push_back(LinkEvent::Close { connection, farewell: Bytes::new() });
        } else {
            self.insert(connection, Phase::Accepted { claimed: None });
        }
    }

    /// The host has dialled. It may say so before the socket is connected: what fails then is `closed`.
    pub fn dialled(&mut self, connection: ConnectionId, peer: NodeId, channel: Channel) {
        let lane = LaneId { peer, channel };
        if self.is_fenced {
            self.dial_failed(peer, channel);
        }
        match self.lane_mut(lane).dialled(connection) {
            None => self.events.push_back(LinkEvent::Close { connection, farewell: Bytes::new() }),
            Some(dial) => {
                let epoch = ConnectionEpoch { incarnation: self.config.identity.incarnation, dial };
                self.insert(connection, Phase::Dialled { lane, epoch });
                self.introduce(connection, lane, epoch);
            }
        }
    }

    /// The host could not dial.
    pub fn dial_failed(&mut self, peer: NodeId, channel: Channel) {
        let now_ms = self.clock.now_ms();
        if self.lane_mut(LaneId { peer, channel }).dial_failed(now_ms) {
            self.counts.dials_failed += 1;
        }
    }

    /// Bytes have come. They may begin and end anywhere.
    pub fn received(&mut self, id: ConnectionId, bytes: &[u8]) {
        let now_ms = self.clock.now_ms();
        let Some(connection) = self.connections.get_mut(&id) else {
            self.counts.bytes_late += bytes.len() as u64;
            return;
        };
        self.counts.bytes_received += bytes.len() as u64;
        connection.hear(bytes, now_ms);
        while let Some(connection) = self.connections.get_mut(&id) {
            let bytes_max = connection.frame_bytes_max(self.config.limits.frame_bytes);
            match connection.inbox.next_frame(bytes_max) {
                Ok(None) => return,
                Ok(Some((kind, body))) => self.step(id, kind, body),
                Err(reason) => self.refuse(id, reason),
            }
        }
    }

    /// A connection has ended or broken. Not called for what was closed by [`LinkEvent::Close`].
    pub fn closed(&mut self, connection: ConnectionId) {
        self.forget(connection, Loss::Failed);
    }

    /// Hands in a message. It leaves behind everything that was handed in before it for the same peer, channel and
    /// stream, and not before the log is durable up to `after`. What is handed in while the channel is down, or comes up
    /// and the [`LinkEvent::Up`] was not taken yet, is dropped. If there is no room, what happens is the
    /// channel's [`Overflow`].
    ///
    /// Panics if the node is not a peer, or the message longer than the cap on frames.
    pub fn send(
        &mut self,
        peer: NodeId,
        channel: Channel,
        stream: StreamId,
        after: Option<LogPosition>,
        message: Bytes,
    ) {
        let bytes_max = self.config.limits.frame_bytes;
        assert!(
            message.len() <= bytes_max,
            "a message of {} bytes was made, {bytes_max} may be",
            message.len()
        );
        let lane = self.peers.get(&peer).expect("messages are for peers").lane(channel);
        let up = lane.up().and_then(|id| self.connections.get_mut(&id).map(|connection| (id, connection)));
        let Some((id, Connection { phase: Phase::Up { open: true, .. }, outbox, .. })) = up else {
            self.counts.dropped_down += 1;
            return;
        };
        let outbox_bytes = self.config.limits.outbox_bytes(channel);
        let held = (after, message);
        match outbox.push(stream, held, self.durable, outbox_bytes, self.clock.now_ms(), &mut self.counts) {
            Ok(Pushed::Put) => self.mark_ready(id),
            Ok(Pushed::Held) => {}
            Err(_) => self.overflow(id, channel),
        }
    }

    /// The log is durable up to `position`: what waited for it leaves.
    pub fn durable(&mut self, position: LogPosition) {
        self.durable = self.durable.max(position);
        for (id, connection) in &mut self.connections {
            let released = connection.outbox.release(self.durable, self.clock.now_ms(), &mut self.counts);
            if released && !connection.ready {
                connection.ready = true;
                self.ready.push(*id);
            }
        }
    }

    /// The next thing to do or to know, in the order in which they happened. The host takes all of them every turn, so
    /// they are bounded by what it reads in one.
    pub fn next_event(&mut self) -> Option<LinkEvent> {
        let event = self.events.pop_front()?;
        if let LinkEvent::Up { peer, channel, epoch } = event {
            self.open(LaneId { peer, channel }, epoch);
        }
        Some(event)
    }

    /// The connections with new output since the last call.
    pub fn take_ready(&mut self) -> Vec<ConnectionId> {
        for id in &self.ready {
            if let Some(connection) = self.connections.get_mut(id) {
                connection.ready = false;
            }
        }
        std::mem::take(&mut self.ready)
    }

    /// What is to be written to a connection; the host removes what it has written. `None` once it is gone.
    pub fn output(&mut self, connection: ConnectionId) -> Option<&mut BytesMut> {
        self.connections.get_mut(&connection).map(|connection| connection.outbox.output())
    }

    /// The epoch of a channel that is up. Panics if the node is not a peer.
    pub fn epoch(&self, peer: NodeId, channel: Channel) -> Option<ConnectionEpoch> {
        let lane = self.peers.get(&peer).expect("links are to peers").lane(channel);
        lane.up().and(lane.epoch())
    }

    /// What is to be kept of a peer: whoever keeps it durably, and gives it to the next start, recognizes a peer that loses its
    /// disk, or comes back on an older one, while this node is down. Panics if the node is not a peer.
    pub fn acquaintance(&self, peer: NodeId) -> Acquaintance {
        self.peers.get(&peer).expect("links are to peers").acquaintance()
    }

    /// What was done so far.
    pub fn counts(&self) -> LinkCounts {
        self.counts
    }

    /// Panics unless the invariants hold.
    pub fn check_invariants(&self) {
        assert!(self.strangers() <= HANDSHAKES_MAX);
        for (id, connection) in &self.connections {
            connection.outbox.check_invariants(self.durable);
            assert!(!connection.ready || self.ready.contains(id), "what is ready is told");
            match connection.phase {
                Phase::Up { lane, epoch, .. } => {
                    assert_eq!(self.lane(lane).up(), Some(*id));
                    assert_eq!(self.lane(lane).epoch(), Some(epoch));
                }
                Phase::Dialled { lane, .. } | Phase::Recognized { lane, .. } => {
                    assert_eq!(self.lane(lane).shaking(), Some(*id));
                }
                Phase::Accepted { .. } | Phase::Greeted { .. } | Phase::Answered { .. } => {}
            }
        }
        for lane in self.peers.values().flat_map(|peer| Channel::ALL.map(|channel| peer.lane(channel))) {
            lane.check_invariants();
            let phase = |id| self.connections.get(&id).map(|connection| connection.phase);
            assert!(lane.up().is_none_or(|id| matches!(phase(id), Some(Phase::Up { .. }))));
            let shakes = |id| matches!(phase(id), Some(Phase::Dialled { .. } | Phase::Recognized { .. }));
            assert!(lane.shaking().is_none_or(shakes));
        }
    }

    /// Puts a frame of the links themselves.
    pub(super) fn put(&mut self, id: ConnectionId, kind: FrameKind, body: &[u8]) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.outbox.put(kind, body, self.clock.now_ms(), &mut self.counts);
            self.mark_ready(id);
        }
    }

    /// Tells the other end, and those above, why a connection will not be, and closes it.
    pub(super) fn refuse(&mut self, id: ConnectionId, reason: Reason) {
        // That was a former start of a node which has started again since: its next answer is the present one's.
        let is_over = matches!(reason, Reason::Replaced(_)) && !RETURN_DIALLED_LATE.is_planted();
        self.end(id, reason, if reason.lasts() && !is_over { Loss::Refused } else { Loss::Failed });
    }

    /// Ends a connection for a reason, and says so to the other end.
    pub(super) fn end(&mut self, id: ConnectionId, reason: Reason, loss: Loss) {
        let mut body = BytesMut::new();
        reason.encode(&mut body);
        self.put(id, FrameKind::Refuse, &body);
        self.tell_refused(id, Refuser::Us, reason);
        self.counts.refused_by_us += 1;
        if let Some(mut connection) = self.forget(id, loss) {
            let farewell = connection.outbox.output().split().freeze();
            self.events.push_back(LinkEvent::Close { connection: id, farewell });
        }
    }

    /// Closes a connection without a word.
    pub(super) fn close(&mut self, id: ConnectionId, loss: Loss) {
        if self.forget(id, loss).is_some() {
            self.events.push_back(LinkEvent::Close { connection: id, farewell: Bytes::new() });
        }
    }

    pub(super) fn tell_refused(&mut self, id: ConnectionId, by: Refuser, reason: Reason) {
        let lane = self.connections.get(&id).and_then(|connection| connection.phase.lane());
        let (peer, channel) = (lane.map(|lane| lane.peer), lane.map(|lane| lane.channel));
        self.events.push_back(LinkEvent::Refused { connection: id, peer, channel, by, reason });
    }

    /// Messages pass on a connection from now on, and on no other of its lane; unless this node takes no part any more.
    pub(super) fn raise(&mut self, id: ConnectionId, lane: LaneId, epoch: ConnectionEpoch) {
        if self.is_fenced {
            return self.close(id, Loss::Refused);
        }
        if let Some(older) = self.lane(lane).up().filter(|_| !NO_FENCING.is_planted()) {
            self.close(older, Loss::Failed);
        }
        let since_ms = self.clock.now_ms();
        self.counts.ups += 1;
        self.counts.reconnects += u64::from(self.lane(lane).epoch().is_some());
        self.lane_mut(lane).raise(id, epoch);
        let connection = self.connections.get_mut(&id).expect("a handshake is a connection's");
        connection.phase = Phase::Up { lane, epoch, since_ms, open: false };
        self.events.push_back(LinkEvent::Up { peer: lane.peer, channel: lane.channel, epoch });
        if lane.channel == Channel::Ring {
            self.tell_known(id, lane.peer);
        }
    }

    fn insert(&mut self, id: ConnectionId, phase: Phase) {
        let earlier = self.connections.insert(id, Connection::new(phase, self.clock.now_ms()));
        assert!(earlier.is_none(), "a connection's name is used once");
    }

    /// Forgets a connection, whose lane rests for a while.
    fn forget(&mut self, id: ConnectionId, loss: Loss) -> Option<Connection> {
        let now_ms = self.clock.now_ms();
        let connection = self.connections.remove(&id)?;
        match connection.phase {
            Phase::Up { lane, since_ms, .. } => {
                let lasted = loss == Loss::Failed && now_ms - since_ms >= SILENCE_MS_MAX;
                self.lane_mut(lane).lose(id, if lasted { Loss::Lasted } else { loss }, now_ms);
                self.counts.dropped_down += connection.outbox.held();
                self.events.push_back(LinkEvent::Down { peer: lane.peer, channel: lane.channel });
            }
            Phase::Dialled { lane, .. } | Phase::Recognized { lane, .. } => {
                self.lane_mut(lane).lose(id, loss, now_ms);
            }
            Phase::Accepted { .. } | Phase::Greeted { .. } | Phase::Answered { .. } => {}
        }
        Some(connection)
    }

    fn overflow(&mut self, id: ConnectionId, channel: Channel) {
        tracing::warn!(connection = id.0, %channel, "a peer takes too little: the channel's outbox is full");
        match channel.overflow() {
            Overflow::Drop => self.counts.dropped_full += 1,
            Overflow::Reconnect => {
                self.counts.broken_full += 1;
                self.counts.dropped_down += 1;
                self.close(id, Loss::Failed);
            }
        }
    }

    fn tick_connection(&mut self, id: ConnectionId) {
        let now_ms = self.clock.now_ms();
        let Some(connection) = self.connections.get(&id) else { return };
        let wants_heartbeat = connection.wants_heartbeat(now_ms);
        if connection.is_overdue(now_ms) {
            self.counts.broken_silent += 1;
            self.close(id, Loss::Failed);
        } else if self.tell_durable(id) {
            self.mark_ready(id);
        } else if wants_heartbeat {
            self.counts.heartbeats_sent += 1;
            self.put(id, FrameKind::Heartbeat, &[]);
        }
    }

    /// Tells a peer how far the log is durable, now and then, on the channel of its rings.
    fn tell_durable(&mut self, id: ConnectionId) -> bool {
        let (durable, now_ms) = (self.durable, self.clock.now_ms());
        let Some(connection) = self.connections.get_mut(&id) else { return false };
        let on_ring = matches!(connection.phase, Phase::Up { lane, .. } if lane.channel == Channel::Ring);
        on_ring && connection.outbox.tell(durable, now_ms, &mut self.counts)
    }

    /// Tells every peer what was learned of the others, at most once in [`TOLD_EVERY_MS`].
    fn tell_news(&mut self) {
        let now_ms = self.clock.now_ms();
        if self.has_news && now_ms >= self.told_ms + TOLD_EVERY_MS {
            (self.has_news, self.told_ms) = (false, now_ms);
            self.tell_all();
        }
    }

    fn dial(&mut self) {
        let now_ms = self.clock.now_ms();
        for (id, peer) in &mut self.peers {
            for channel in Channel::ALL {
                if peer.lane_mut(channel).ask(now_ms) {
                    self.events.push_back(LinkEvent::Dial { peer: *id, channel });
                }
            }
        }
    }

    /// Those above have taken the `Up` of this epoch.
    fn open(&mut self, lane: LaneId, taken: ConnectionEpoch) {
        let connection = self.lane(lane).up().and_then(|id| self.connections.get_mut(&id));
        if let Some(Connection { phase: Phase::Up { epoch, open, .. }, .. }) = connection {
            *open |= *epoch == taken;
        }
    }

    fn mark_ready(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id)
            && !connection.ready
        {
            connection.ready = true;
            self.ready.push(id);
        }
    }

    fn strangers(&self) -> usize {
        self.connections.values().filter(|connection| connection.is_stranger()).count()
    }

    pub(super) fn lane(&self, lane: LaneId) -> &Lane {
        self.peers.get(&lane.peer).expect("lanes are to peers").lane(lane.channel)
    }

    fn lane_mut(&mut self, lane: LaneId) -> &mut Lane {
        self.peers.get_mut(&lane.peer).expect("lanes are to peers").lane_mut(lane.channel)
    }
}
