//! The handshake: how a connection becomes a channel, and what is done with every frame before and after.

use super::channel::Channel;
use super::connection::{LaneId, Phase};
use super::connection_epoch::ConnectionEpoch;
use super::connection_id::ConnectionId;
use super::event::{LinkEvent, Refuser};
use super::frame::FrameKind;
use super::hello::Hello;
use super::identity::Identity;
use super::known;
use super::lane::Loss;
use super::links::Links;
use super::peer::Peer;
use super::reason::Reason;
use super::starts::Directory;
use crate::NodeId;
use crate::faults::RETURN_DIALLED_LATE;
use crate::log::LogPosition;
use bytes::{Buf as _, Bytes, BytesMut};

impl Links {
    /// A frame has come whole.
    pub(super) fn step(&mut self, id: ConnectionId, kind: FrameKind, body: Bytes) {
        let Some(connection) = self.connections.get(&id) else { return };
        let phase = connection.phase;
        let taken = match kind {
            FrameKind::Hello => self.hello(id, phase, &body),
            FrameKind::Welcome => self.welcome(id, phase),
            FrameKind::Refuse => self.refused(id, &body),
            FrameKind::Heartbeat => must_be_up(phase).map(|_| ()),
            FrameKind::Message => self.message(phase, body),
            FrameKind::Starts => self.starts(id, phase, &body),
            FrameKind::Durable => self.vouched(phase, &body),
            FrameKind::Known => self.known(phase, &body),
        };
        if let Err(reason) = taken {
            self.refuse(id, reason);
        }
    }

    /// Says hello, and shows the starts of this node's directory.
    pub(super) fn introduce(&mut self, id: ConnectionId, lane: LaneId, epoch: ConnectionEpoch) {
        let hello = Hello {
            cluster: self.config.cluster.clone(),
            partitions: self.config.partitions,
            from: self.config.me,
            to: lane.peer,
            identity: self.config.identity,
            channel: lane.channel,
            epoch,
            fixed: self.config.fixed.digests(),
        };
        let mut body = BytesMut::new();
        hello.encode(&mut body);
        self.put(id, FrameKind::Hello, &body);
        let shown = Directory { starts: self.config.starts.clone(), durable: self.durable };
        self.put(id, FrameKind::Starts, &shown.encode());
    }

    fn hello(&mut self, id: ConnectionId, phase: Phase, body: &[u8]) -> Result<(), Reason> {
        match phase {
            Phase::Accepted { .. } => self.greet(id, &Hello::decode(body)?),
            Phase::Dialled { lane, epoch } => self.recognize(id, lane, epoch, &Hello::decode(body)?),
            _ => Err(Reason::Malformed),
        }
    }

    /// The other end shows the starts of its directory.
    fn starts(&mut self, id: ConnectionId, phase: Phase, body: &[u8]) -> Result<(), Reason> {
        let shown = Directory::decode(body).ok_or(Reason::Malformed)?;
        match phase {
            Phase::Greeted { lane, epoch, identity } => self.answer(id, lane, epoch, (identity, shown)),
            Phase::Recognized { lane, epoch, identity } => {
                self.take_answer(id, lane, epoch, (identity, shown))
            }
            _ => Err(Reason::Malformed),
        }
    }

    /// Takes the hello of somebody who has dialled.
    fn greet(&mut self, id: ConnectionId, hello: &Hello) -> Result<(), Reason> {
        let (lane, epoch) = (LaneId { peer: hello.from, channel: hello.channel }, hello.epoch);
        self.set_phase(id, Phase::Accepted { claimed: Some(lane) });
        self.config.check_hello(hello)?;
        let peer = self.peer(hello.from)?;
        self.config.check_fixed(hello)?;
        if hello.from > self.config.me {
            return Err(Reason::NotDialler);
        }
        if epoch.incarnation != hello.identity.incarnation {
            return Err(Reason::Malformed);
        }
        peer.check(lane.channel, hello.identity, epoch)?;
        self.set_phase(id, Phase::Greeted { lane, epoch, identity: hello.identity });
        Ok(())
    }

    /// Answers a hello with this node's own. Nothing that is up is disturbed yet: the other end may not take the answer.
    fn answer(
        &mut self,
        id: ConnectionId,
        lane: LaneId,
        epoch: ConnectionEpoch,
        (identity, shown): (Identity, Directory),
    ) -> Result<(), Reason> {
        self.check(lane, identity, epoch, &shown)?;
        self.set_phase(id, Phase::Answered { lane, epoch, identity });
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.shown = Some(shown);
        }
        self.introduce(id, lane, epoch);
        Ok(())
    }

    fn check(
        &self,
        lane: LaneId,
        identity: Identity,
        epoch: ConnectionEpoch,
        shown: &Directory,
    ) -> Result<(), Reason> {
        let peer = self.peer(lane.peer)?;
        peer.check(lane.channel, identity, epoch)?;
        peer.check_directory(identity, shown)
    }

    /// Takes the hello with which this node's own is answered.
    fn recognize(
        &mut self,
        id: ConnectionId,
        lane: LaneId,
        epoch: ConnectionEpoch,
        hello: &Hello,
    ) -> Result<(), Reason> {
        self.config.check_hello(hello)?;
        if hello.from != lane.peer {
            return Err(Reason::WrongNode(hello.from));
        }
        self.config.check_fixed(hello)?;
        if (hello.channel, hello.epoch) != (lane.channel, epoch) {
            return Err(Reason::Malformed);
        }
        self.peer(lane.peer)?.check(lane.channel, hello.identity, epoch)?;
        self.set_phase(id, Phase::Recognized { lane, epoch, identity: hello.identity });
        Ok(())
    }

    /// Takes the answer to this node's hello, and says so.
    fn take_answer(
        &mut self,
        id: ConnectionId,
        lane: LaneId,
        epoch: ConnectionEpoch,
        (identity, shown): (Identity, Directory),
    ) -> Result<(), Reason> {
        self.check(lane, identity, epoch, &shown)?;
        self.put(id, FrameKind::Welcome, &[]);
        self.meet(lane.peer, identity, shown);
        self.raise(id, lane, epoch);
        Ok(())
    }

    /// The dialler has taken this node's answer. Meanwhile another connection may have come up, so all is judged again.
    fn welcome(&mut self, id: ConnectionId, phase: Phase) -> Result<(), Reason> {
        let Phase::Answered { lane, epoch, identity } = phase else { return Err(Reason::Malformed) };
        let shown = self.connections.get_mut(&id).and_then(|connection| connection.shown.take());
        let shown = shown.ok_or(Reason::Malformed)?;
        self.check(lane, identity, epoch, &shown)?;
        self.meet(lane.peer, identity, shown);
        self.raise(id, lane, epoch);
        Ok(())
    }

    /// The other end will not have the connection.
    fn refused(&mut self, id: ConnectionId, body: &[u8]) -> Result<(), Reason> {
        let reason = Reason::decode(body)?;
        self.tell_refused(id, Refuser::Them, reason);
        self.counts.refused_by_them += 1;
        if reason.is_of_directory() {
            self.fence(reason);
        }
        self.close(id, if reason.lasts() { Loss::Refused } else { Loss::Failed });
        Ok(())
    }

    fn message(&mut self, phase: Phase, bytes: Bytes) -> Result<(), Reason> {
        let LaneId { peer, channel } = must_be_up(phase)?;
        self.counts.messages_received += 1;
        self.events.push_back(LinkEvent::Message { peer, channel, bytes });
        Ok(())
    }

    /// Remembers who a peer is, and tells the others. A later start ends what the one before has left behind.
    fn meet(&mut self, id: NodeId, identity: Identity, shown: Directory) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        if !peer.meet(identity, shown) {
            return;
        }
        for connection in self.up_to(id) {
            self.close(connection, Loss::Failed);
        }
        self.events.push_back(LinkEvent::Met { peer: id, identity });
        self.tell_all();
    }

    fn up_to(&self, id: NodeId) -> Vec<ConnectionId> {
        let Some(peer) = self.peers.get(&id) else { return Vec::new() };
        Channel::ALL.into_iter().filter_map(|channel| peer.lane(channel).up()).collect()
    }

    /// This node's directory was refused: it takes no part any more, so that it votes nowhere.
    fn fence(&mut self, reason: Reason) {
        if std::mem::replace(&mut self.is_fenced, true) {
            return;
        }
        self.events.push_back(LinkEvent::Fenced { reason });
        let up: Vec<_> = self.peers.keys().flat_map(|peer| self.up_to(*peer)).collect();
        up.into_iter().for_each(|connection| self.close(connection, Loss::Refused));
    }

    /// A peer says how far its log is durable.
    fn vouched(&mut self, phase: Phase, mut body: &[u8]) -> Result<(), Reason> {
        let LaneId { peer, .. } = must_be_up(phase)?;
        let position = body.try_get_u64_le().map_err(|_| Reason::Malformed)?;
        if let Some(peer) = self.peers.get_mut(&peer) {
            self.has_news |= peer.vouch(LogPosition(position));
        }
        if body.is_empty() { Ok(()) } else { Err(Reason::Malformed) }
    }

    /// A peer tells which starts of other nodes it knows of.
    fn known(&mut self, phase: Phase, body: &[u8]) -> Result<(), Reason> {
        let LaneId { peer: teller, .. } = must_be_up(phase)?;
        for (id, met) in known::decode(body).ok_or(Reason::Malformed)? {
            let Some(peer) = self.peers.get_mut(&id).filter(|_| id != teller) else { continue };
            match peer.hear_of(met) {
                Ok(false) => continue,
                Ok(true) => {}
                Err(reason) => {
                    // Mostly the peer has started again: it is dialled at once, and judged when it shows its directory.
                    peer.forget_shown();
                    let loss = if RETURN_DIALLED_LATE.is_planted() { Loss::Refused } else { Loss::Failed };
                    self.up_to(id).into_iter().for_each(|up| self.end(up, reason, loss));
                }
            }
            self.has_news = true;
            self.events.push_back(LinkEvent::Learned { peer: id });
        }
        Ok(())
    }

    /// Tells every peer what this node knows of the others.
    pub(super) fn tell_all(&mut self) {
        let up: Vec<_> = self.peers.iter().map(|(id, peer)| (*id, peer.lane(Channel::Ring).up())).collect();
        for (peer, connection) in up {
            if let Some(connection) = connection {
                self.tell_known(connection, peer);
            }
        }
    }

    /// Tells a peer what this node knows of the others.
    pub(super) fn tell_known(&mut self, connection: ConnectionId, to: NodeId) {
        let others = self.peers.iter().filter(|(id, _)| **id != to);
        let known = others.flat_map(|(id, peer)| peer.demands().map(|met| (*id, met)));
        let body = known::encode(known);
        if !body.is_empty() {
            self.put(connection, FrameKind::Known, &body);
        }
    }

    fn peer(&self, id: NodeId) -> Result<&Peer, Reason> {
        self.peers.get(&id).ok_or(Reason::UnknownNode)
    }

    fn set_phase(&mut self, id: ConnectionId, phase: Phase) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.phase = phase;
        }
    }
}

fn must_be_up(phase: Phase) -> Result<LaneId, Reason> {
    if let Phase::Up { lane, .. } = phase { Ok(lane) } else { Err(Reason::Malformed) }
}
