//! The handshake: how a connection becomes a channel, and what is done with every frame before and after.

use super::channel::Channel;
use super::connection::{LaneId, Phase};
use super::connection_epoch::ConnectionEpoch;
use super::connection_id::ConnectionId;
use super::event::{LinkEvent, Refuser};
use super::frame::FrameKind;
use super::hello::Hello;
use super::identity::Identity;
use super::lane::Loss;
use super::links::Links;
use super::peer::Peer;
use super::reason::Reason;
use crate::NodeId;
use bytes::{Bytes, BytesMut};

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
        };
        if let Err(reason) = taken {
            self.refuse(id, reason);
        }
    }

    /// Says hello.
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
    }

    fn hello(&mut self, id: ConnectionId, phase: Phase, body: &[u8]) -> Result<(), Reason> {
        match phase {
            Phase::Accepted { .. } => self.answer(id, &Hello::decode(body)?),
            Phase::Dialled { lane, epoch } => self.take_answer(id, lane, epoch, &Hello::decode(body)?),
            Phase::Answered { .. } | Phase::Up { .. } => Err(Reason::Malformed),
        }
    }

    /// Answers a hello with this node's own. Nothing that is up is disturbed yet: the other end may not take the answer.
    fn answer(&mut self, id: ConnectionId, hello: &Hello) -> Result<(), Reason> {
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
        self.set_phase(id, Phase::Answered { lane, epoch, identity: hello.identity });
        self.introduce(id, lane, epoch);
        Ok(())
    }

    /// Takes the answer to this node's hello, and says so.
    fn take_answer(
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
        self.put(id, FrameKind::Welcome, &[]);
        self.meet(lane.peer, hello.identity);
        self.raise(id, lane, epoch);
        Ok(())
    }

    /// The dialler has taken this node's answer. Meanwhile another connection may have come up, so all is judged again.
    fn welcome(&mut self, id: ConnectionId, phase: Phase) -> Result<(), Reason> {
        let Phase::Answered { lane, epoch, identity } = phase else { return Err(Reason::Malformed) };
        self.peer(lane.peer)?.check(lane.channel, identity, epoch)?;
        self.meet(lane.peer, identity);
        self.raise(id, lane, epoch);
        Ok(())
    }

    /// The other end will not have the connection.
    fn refused(&mut self, id: ConnectionId, body: &[u8]) -> Result<(), Reason> {
        let reason = Reason::decode(body)?;
        self.tell_refused(id, Refuser::Them, reason);
        self.counts.refused_by_them += 1;
        self.close(id, if reason.lasts() { Loss::Refused } else { Loss::Failed });
        Ok(())
    }

    fn message(&mut self, phase: Phase, bytes: Bytes) -> Result<(), Reason> {
        let LaneId { peer, channel } = must_be_up(phase)?;
        self.counts.messages_received += 1;
        self.events.push_back(LinkEvent::Message { peer, channel, bytes });
        Ok(())
    }

    /// Remembers who a peer is. A later start ends what the one before has left behind.
    fn meet(&mut self, id: NodeId, identity: Identity) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        if !peer.meet(identity) {
            return;
        }
        let left = Channel::ALL.map(|channel| peer.lane(channel).up());
        for connection in left.into_iter().flatten() {
            self.close(connection, Loss::Failed);
        }
        self.events.push_back(LinkEvent::Met { peer: id, identity });
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
