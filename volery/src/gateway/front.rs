//! The gateway as eyrie's host sees it.

use super::connection::{Connection, HANDSHAKE_MS, Phase};
use super::telling::Telling;
use super::watches::Fired;
use super::{Gateway, Purpose, STALL_MS};
use crate::branches::{ADVANCED, EXPIRED, LATE_PING, STALLED, TERM_CLAIMED_AGAIN, WATCHERS_SENT_AWAY};
use crate::command::{Command, Event, Reply};
use crate::faults::{EVENTS_FOR_ALL, EXPIRY_BY_WALL_CLOCK, LATE_PING_ANSWERED};
use crate::service::Volery;
use crate::session::SessionId;
use crate::status::Status;
use crate::variables::Slots;
use crate::wire::EventType;
use crate::zxid::Zxid;
use bytes::{Bytes, BytesMut};
use eyrie::{
    Answer, Commands, ConnectionId, Front, NodeId, NodeStatus, Outcome, PartitionId, Past, Position, Seen,
    StampNumber, Ticket,
};
use std::net::SocketAddr;

impl Front<Volery> for Gateway {
    fn connected(&mut self, id: ConnectionId, peer: SocketAddr, _now_ms: u64) {
        self.order.insert(id);
        let mut connection = Connection::new(peer, self.wall_ms);
        connection.deadline_ms = Some(self.now_ms + HANDSHAKE_MS);
        self.connections.insert(id, connection);
    }

    fn received(&mut self, id: ConnectionId, bytes: &[u8], commands: &mut Commands<Volery>) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if connection.closing {
            return;
        }
        connection.input.extend_from_slice(bytes);
        if let Phase::Open(pipeline) = &connection.phase {
            let session = pipeline.session();
            self.hear(session);
        }
        // What is sent is decided once a turn, when all its bytes are there.
        self.parse(id, commands);
        self.count(id);
        self.unsettle(id);
    }

    fn disconnected(&mut self, id: ConnectionId, _commands: &mut Commands<Volery>) {
        self.drop_connection(id);
        self.forget(id);
    }

    fn answered(&mut self, answer: &Answer<Volery>, commands: &mut Commands<Volery>) {
        let Some(id) = self.sessions.get(&SessionId(answer.id.client.0)).copied() else { return };
        let Some(pipeline) = self.connections.get_mut(&id).and_then(Connection::pipeline) else { return };
        if let Some(numbers) = pipeline.sent(answer.id) {
            self.operated(id, numbers, answer, commands);
            self.unsettle(id);
        }
    }

    fn read(&mut self, number: u64, answer: &Answer<Volery>, commands: &mut Commands<Volery>) {
        let Some(id) = self.sessions.get(&SessionId(answer.id.client.0)).copied() else { return };
        let Some(pipeline) = self.connections.get_mut(&id).and_then(Connection::pipeline) else { return };
        if pipeline.reads(answer.id, number) {
            self.operated(id, number..number + 1, answer, commands);
            self.unsettle(id);
        }
    }

    fn done(&mut self, ticket: Ticket, answer: &Answer<Volery>, commands: &mut Commands<Volery>) {
        match self.purposes.remove(&ticket) {
            Some(Purpose::Open { connection, request, session }) => {
                match answer.outcome.as_ref() {
                    Outcome::Reply(reply) => self.opened(connection, &request, session, answer, reply),
                    Outcome::Retry(_) | Outcome::Refused(_) | Outcome::Lost | Outcome::TooLarge => {
                        self.drop_connection(connection);
                    }
                }
                self.unsettle(connection);
            }
            Some(Purpose::Pipeline(id)) => {
                let pipeline = self.connections.get_mut(&id).and_then(Connection::pipeline);
                if let Some(number) = pipeline.and_then(|pipeline| pipeline.done(ticket, is_attached(answer)))
                {
                    self.operated(id, number..number + 1, answer, commands);
                }
                self.unsettle(id);
            }
            Some(Purpose::Reign(partition)) => self.claimed(partition, &answer.outcome),
            Some(Purpose::Expire(home)) => {
                // A reign that an earlier leader had asked for may have begun late, and made this one's void.
                if matches!(answer.outcome.as_ref(), Outcome::Reply(Reply::Reign(_))) && self.leads(home) {
                    TERM_CLAIMED_AGAIN.reached();
                    self.end_reign(home);
                    self.reigns.claim(home);
                }
            }
            Some(Purpose::Chore) | None => {}
        }
    }

    fn happened(&mut self, partition: PartitionId, position: Position, seen: &Seen, event: Event) {
        let (kind, path, zxid, readers) = match event {
            Event::Created { path, zxid, readers } => (EventType::NodeCreated, path, zxid, readers),
            Event::Deleted { path, zxid, readers } => (EventType::NodeDeleted, path, zxid, readers),
            Event::DataChanged { path, zxid, readers } => (EventType::NodeDataChanged, path, zxid, readers),
            Event::ChildrenChanged { path, zxid, readers } => {
                (EventType::NodeChildrenChanged, path, zxid, readers)
            }
            Event::SessionOpened { session, epoch, timeout_ms } => {
                return self.session_opened(session, epoch, timeout_ms);
            }
            Event::SessionClosed { session } => return self.session_closed(session),
        };
        self.newest = self.newest.max(zxid);
        self.recent.note(partition, position, &path);
        let connections = &self.connections;
        let may_read = |id: ConnectionId| {
            let caller = connections.get(&id).map(|connection| &connection.caller);
            caller.is_some_and(|caller| readers.include(caller)) || EVENTS_FOR_ALL.is_planted()
        };
        for Fired { connection: id, armed_by } in self.watches.fire(&path, kind, position, may_read) {
            if let Some(connection) = self.connections.get_mut(&id) {
                connection.notify((partition, position), kind, &path, zxid, armed_by);
                if let Some(pipeline) = connection.pipeline() {
                    pipeline.saw_event(partition, position, seen);
                }
                self.relieve(id);
            }
        }
    }

    fn passed(
        &mut self,
        partition: PartitionId,
        position: Position,
        proposal: StampNumber,
        stamp: StampNumber,
    ) {
        self.marks.pass(partition, position, proposal);
        let mark = Zxid::from(proposal).before_next_of(partition);
        self.newest = self.newest.max(stamp.into()).max(mark);
    }

    fn tick(&mut self, now_ms: u64, wall_ms: u64, commands: &mut Commands<Volery>) {
        let stood_ms = now_ms.saturating_sub(self.now_ms);
        let stalled = stood_ms > STALL_MS;
        (self.now_ms, self.wall_ms) = (now_ms, wall_ms);
        if stalled {
            STALLED.reached();
            self.connections.values_mut().for_each(|connection| connection.forgive(stood_ms));
            self.stood_ms += stood_ms;
        }
        self.made_bytes = 0;
        self.sweep();
        self.hearings.tick(now_ms);
        let heard_ms = now_ms - self.stood_ms;
        let expiry_ms = if EXPIRY_BY_WALL_CLOCK.is_planted() { wall_ms } else { heard_ms };
        for (session, epoch) in self.expiry.tick(expiry_ms) {
            let home = session.home(self.marks.partitions());
            let Some(reign) = self.reigns.of(home) else { continue };
            tracing::info!(%session, "not heard of for its timeout: expiring");
            let ticket = commands.errand(Command::Expire { session, epoch, reign }, Past::default());
            self.purposes.insert(ticket, Purpose::Expire(home));
            EXPIRED.reached();
            self.expiry.end(session);
        }
        for partition in self.reigns.take_claims().iter() {
            let ticket = commands.errand(Command::Reign { partition }, Past::default());
            self.purposes.insert(ticket, Purpose::Reign(partition));
        }
        for partition in self.marks.due(now_ms).iter() {
            ADVANCED.reached();
            let ticket = commands.errand(Command::Advance { partition }, Past::at(self.newest.stamp()));
            self.purposes.insert(ticket, Purpose::Chore);
        }
    }

    fn settle(&mut self, commands: &mut Commands<Volery>) {
        let me = NodeId(self.config.node);
        for (leader, telling) in self.hearings.take_tellings().into_iter().filter(|(leader, _)| *leader != me)
        {
            commands.tell(leader, telling.encode());
        }
        self.hand_over(commands);
        for gone in std::mem::take(&mut self.gone) {
            commands.abandon(gone.client, gone.epoch, gone.commands);
        }
        let mut unsettled = std::mem::take(&mut self.unsettled).into_iter();
        while self.made_bytes < self.config.limits.turn_bytes
            && let Some(id) = unsettled.next()
        {
            if let Some(connection) = self.connections.get_mut(&id) {
                connection.unsettled = false;
                self.work(id, commands);
                self.count(id);
            }
        }
        // Those that were not reached are first in the next turn.
        self.is_behind = unsettled.len() > 0;
        self.unsettled.splice(0..0, unsettled);
    }

    fn is_behind(&self) -> bool {
        self.is_behind
    }

    fn led(&mut self, partition: PartitionId, leader: Option<NodeId>) {
        self.hearings.led(partition, leader);
        self.end_reign(partition);
        if self.leads(partition) {
            self.reigns.claim(partition);
        } else if leader.is_some() {
            self.reigns.hand_over(partition);
        }
    }

    /// Watches may have missed an event: their clients come back, and tell what they had.
    fn broken(&mut self, partition: PartitionId) {
        self.marks.interrupt(partition);
        let watching = |id: &ConnectionId| self.watches.sources(*id).contains(partition);
        for id in self.order.iter().copied().filter(watching).collect::<Vec<_>>() {
            WATCHERS_SENT_AWAY.reached();
            self.drop_connection(id);
        }
    }

    fn told(&mut self, from: NodeId, message: Bytes, commands: &mut Commands<Volery>) {
        match Telling::decode(message) {
            Some(Telling::Hearing { partition, round, sessions }) => {
                if partition.0 < self.marks.partitions() && self.reigns.of(partition).is_some() {
                    let mut is_late = |session: &SessionId| {
                        !self.expiry.touch(*session) && !LATE_PING_ANSWERED.is_planted()
                    };
                    let late: Vec<SessionId> =
                        sessions.into_iter().filter(|session| is_late(session)).collect();
                    late.iter().for_each(|_| LATE_PING.reached());
                    commands.tell(from, Telling::Heard { partition, round, late }.encode());
                }
            }
            Some(Telling::Heard { partition, round, late }) => {
                let pings = self.hearings.confirmed(from, partition, round, &late);
                self.pong(pings);
            }
            Some(Telling::Left { partition, reign, ended_ms_ago, timers }) => {
                self.inherit(partition, reign, ended_ms_ago, &timers);
            }
            None => tracing::warn!(%from, "a gateway said what this one does not understand"),
        }
    }

    fn restart(&mut self, now_ms: u64) {
        let _ = self.expiry.tick(now_ms - self.stood_ms);
        self.expiry.restart();
    }

    fn observe(&mut self, node: &NodeStatus, variables: &[&Slots]) {
        self.status = Status::of(node, variables);
        self.status.connections = self.connections.len() as u64;
        self.status.watches = self.watches.len() as u64;
        self.status.timers_restarted = self.expiry.restarts();
        self.answer_words();
    }

    fn wants_status(&self) -> bool {
        !self.asking.is_empty()
    }

    fn take_ready(&mut self) -> Vec<ConnectionId> {
        let ready = std::mem::take(&mut self.ready);
        for id in &ready {
            if let Some(connection) = self.connections.get_mut(id) {
                connection.ready = false;
            }
        }
        ready
    }

    fn output(&mut self, id: ConnectionId) -> Option<&mut BytesMut> {
        self.connections.get_mut(&id).map(|connection| &mut connection.output)
    }

    fn closing(&self, id: ConnectionId) -> bool {
        self.connections.get(&id).is_none_or(|connection| connection.closing)
    }

    fn closed(&mut self, id: ConnectionId) {
        self.forget(id);
    }

    fn reading(&self, id: ConnectionId) -> bool {
        self.wants_bytes(id)
    }

    fn written(&mut self, id: ConnectionId) -> bool {
        let Some(connection) = self.connections.get_mut(&id) else { return false };
        let takes_some = connection.stalled && connection.output.len() < connection.counted.output;
        // It is not read meanwhile, so that its pings are not heard.
        if takes_some && let Some(pipeline) = connection.pipeline() {
            let session = pipeline.session();
            self.hear(session);
        }
        self.count(id);
        let resumes = self
            .connections
            .get(&id)
            .is_some_and(|connection| connection.stalled && self.has_room_for_output(connection));
        if resumes {
            self.unsettle(id);
        }
        resumes
    }
}

/// Whether an operation was executed, so that its session is attached wherever it went.
fn is_attached(answer: &Answer<Volery>) -> bool {
    matches!(
        answer.outcome.as_ref(),
        Outcome::Reply(Reply::Operation { .. } | Reply::Burst(_) | Reply::Probed(_) | Reply::Attached)
    )
}
