//! The handshake: a connection gets its session, a new one or one that moves here.

use super::connection::{OPENING_MS, Phase};
use super::pipeline::Pipeline;
use super::{Gateway, Purpose};
use crate::branches::CLIENT_FROM_AHEAD;
use crate::command::{Command, Reply};
use crate::service::Volery;
use crate::session::{Password, SessionId};
use crate::wire::{self, ConnectRequest, ConnectResponse, Reader, Record};
use crate::zxid::Zxid;
use bytes::Bytes;
use eyrie::{Answer, Commands, ConnectionId, PARTITIONS_MAX, PartitionId, Past, StampNumber};

/// By how much the clock of another node may be ahead: what is numbered by it is of a partition that is perhaps not heard of here.
const CLOCKS_APART_MS: u64 = 10_000;

impl Gateway {
    pub(super) fn handshake(
        &mut self,
        id: ConnectionId,
        reader: &mut Reader,
        commands: &mut Commands<Volery>,
    ) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let request = match ConnectRequest::read(reader) {
            Ok(request) => request,
            Err(error) => {
                tracing::warn!(peer = %connection.peer, %error, "connection closed: not a handshake");
                return self.drop_connection(id);
            }
        };
        // Zxids count from the clock: one that is neither known nor of about now is of another cluster, or of a partition whose
        // clock is far ahead. That would be known if it were heard of; the client may come again.
        let about_now =
            StampNumber::at(self.wall_ms.saturating_add(CLOCKS_APART_MS), PartitionId(PARTITIONS_MAX - 1));
        if Zxid::from_wire(request.last_zxid_seen) > self.newest.max(about_now.into()) {
            CLIENT_FROM_AHEAD.reached();
            tracing::info!(peer = %connection.peer, "connection closed: its client has seen more than this node");
            PartitionId::all(self.marks.partitions()).for_each(|partition| commands.follow(partition));
            return self.drop_connection(id);
        }
        connection.phase = Phase::Opening;
        let timeout_ms = self.config.negotiate(request.timeout_ms);
        connection.deadline_ms = Some(self.now_ms + OPENING_MS.max(u64::from(timeout_ms)));
        let (session, command) = if request.session_id == 0 {
            let session = self.next_session(commands);
            let password = self.config.password_of(session);
            (session, Command::CreateSession { session, password, timeout_ms })
        } else {
            let session = SessionId(request.session_id as u64);
            let password = Password(request.password.as_ref().try_into().unwrap_or_default());
            (session, Command::Move { session, password, timeout_ms })
        };
        let seen = Zxid::from_wire(request.last_zxid_seen);
        let ticket = commands.errand(command, Past::at(seen.stamp()));
        self.purposes.insert(ticket, Purpose::Open { connection: id, request, session });
    }

    /// A session's id: the node, its incarnation and a count, so that none is ever given twice.
    pub(super) fn next_session(&mut self, commands: &Commands<Volery>) -> SessionId {
        self.opened += 1;
        SessionId::made(self.config.node, commands.incarnation(), self.opened)
    }

    /// The session is open here, or it is not.
    pub(super) fn opened(
        &mut self,
        id: ConnectionId,
        request: &ConnectRequest,
        session: SessionId,
        answer: &Answer<Volery>,
        reply: &Reply,
    ) {
        let password = self.password_shown(session, request);
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if !matches!(connection.phase, Phase::Opening) {
            return;
        }
        let Reply::Session { epoch, timeout_ms, attached } = *reply else {
            tracing::info!(peer = %connection.peer, %session, "the session has expired, or the password is another's");
            wire::write_frame(&mut connection.output, |output| {
                ConnectResponse::expired(request).write(output)
            });
            return self.drop_connection(id);
        };
        let response = ConnectResponse {
            protocol_version: 0,
            timeout_ms: timeout_ms as i32,
            session_id: session.0 as i64,
            password,
            read_only: request.read_only.map(|_| false),
        };
        wire::write_frame(&mut connection.output, |output| response.write(output));
        let mut pipeline = Pipeline::new(session, epoch, attached);
        pipeline.saw(Zxid::from_wire(request.last_zxid_seen));
        // It comes after all that the session saw before, wherever it was attached.
        pipeline.saw_answer(answer);
        self.newest = self.newest.max(answer.stamp.number.into());
        connection.phase = Phase::Open(Box::new(pipeline));
        connection.deadline_ms = None;
        connection.timeout_ms = timeout_ms;
        if let Some(before) = self.sessions.insert(session, id) {
            self.drop_connection(before);
        }
        self.hear(session);
    }

    pub(super) fn password_shown(&self, session: SessionId, request: &ConnectRequest) -> Bytes {
        match request.session_id {
            0 => Bytes::copy_from_slice(&self.config.password_of(session).0),
            _ => request.password.clone(),
        }
    }
}
