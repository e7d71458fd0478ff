//! The gateway: the ZooKeeper-protocol front of a node.
//!
//! It turns bytes into requests and requests into commands, keeps each session's [pipeline](pipeline), holds the
//! [watches] of its connections beside the replicas whose events it hears, and runs the [timers](expiry) of the sessions
//! whose home this node leads. It decides nothing about znodes: partitions do.
//!
//! **No session sees a change before the event it asked for.** Events of one partition reach the gateway before the
//! answer of the command that caused them, so within a partition the order is that of the calls. Across partitions an
//! answer carries the places that it may depend on ([`Answer::seen`]), and its reply is held until this node's replicas
//! of the partitions where the session has watches have passed them.
//!
//! **A reply's header carries a low-water mark**: the minimum, over the partitions where the session has watches, of a
//! zxid below which every event has left for this client. The client sends it back in SetWatches, where it decides what
//! fires again: a doubtful change fires, so events are repeated rather than lost.

mod authentication;
mod connection;
mod expiry;
mod four_letter;
mod latency;
mod pipeline;
mod plan;
mod watches;

use crate::command::{Command, Event, Reply};
use crate::config::GatewayConfig;
use crate::service::Volery;
use crate::session::{Password, SessionId};
use crate::status::Status;
use crate::variables::Slots;
use crate::wire::{
    self, BadRequest, ConnectRequest, ConnectResponse, ErrorCode, EventType, Reader, Record, Request,
    RequestHeader, SetWatches,
};
use crate::zxid::Zxid;
use authentication::authenticate;
use bytes::{Bytes, BytesMut};
use connection::{Connection, OUTPUT_BYTES_MAX, Phase};
use expiry::Expiry;
use eyrie::{
    Answer, Commands, ConnectionId, Destinations, Epoch, Front, NodeStatus, Outcome, PARTITIONS_MAX,
    PartitionId, Position, Refusal, Seen, StampNumber, Ticket,
};
use latency::Latency;
use pipeline::{Effect, Next, Pipeline, Rearmed, Response};
use plan::{Here, Plan};
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use watches::{Fired, Kinds, Watches};

/// How many commands of this gateway may be in flight before it stops reading its clients.
const IN_FLIGHT_MAX: u64 = 50_000;

/// What an errand of the gateway is for.
#[derive(Debug)]
enum Purpose {
    Open { connection: ConnectionId, request: ConnectRequest, session: SessionId },
    Pipeline(ConnectionId),
    Expire,
}

/// How far this node's replica of a partition is.
#[derive(Clone, Copy, Debug, Default)]
struct Passed {
    position: Position,
    /// Every later event of the partition has a greater zxid.
    mark: StampNumber,
}

/// The front of one node. See the module's chapter.
pub struct Gateway {
    config: GatewayConfig,
    connections: FxHashMap<ConnectionId, Connection>,
    /// The connections in the order opened: maps are never iterated.
    order: BTreeSet<ConnectionId>,
    sessions: FxHashMap<SessionId, ConnectionId>,
    purposes: BTreeMap<Ticket, Purpose>,
    watches: Watches,
    expiry: Expiry,
    passed: Vec<Passed>,
    /// The greatest zxid that this node knows of.
    newest: Zxid,
    /// Connections to be settled at the end of the turn: something was answered, or a reply waits for watch sources.
    unsettled: Vec<ConnectionId>,
    /// Connections that wait for the answer to four letters.
    asking: Vec<(ConnectionId, String)>,
    /// Connections whose output the host is to look at.
    ready: Vec<ConnectionId>,
    opened: u32,
    over_limit: bool,
    now_ms: u64,
    wall_ms: u64,
    latency: Latency,
    received: u64,
    sent_by_closed: u64,
    status: Status,
}

impl Gateway {
    /// A gateway without clients, for a cluster with so many partitions.
    pub fn new(config: GatewayConfig, partitions: u16) -> Gateway {
        Gateway {
            config,
            connections: FxHashMap::default(),
            order: BTreeSet::new(),
            sessions: FxHashMap::default(),
            purposes: BTreeMap::new(),
            watches: Watches::default(),
            expiry: Expiry::default(),
            passed: vec![Passed::default(); usize::from(partitions)],
            newest: Zxid::ZERO,
            unsettled: Vec::new(),
            asking: Vec::new(),
            ready: Vec::new(),
            opened: 0,
            over_limit: false,
            now_ms: 0,
            wall_ms: 0,
            latency: Latency::default(),
            received: 0,
            sent_by_closed: 0,
            status: Status::default(),
        }
    }

    /// Reads whole frames off a connection while there is room for them.
    fn parse(&mut self, id: ConnectionId, commands: &mut Commands<Volery>) {
        while let Some(connection) = self.connections.get_mut(&id) {
            if matches!(connection.phase, Phase::New) && self.four_letters(id) {
                return;
            }
            let Some(connection) = self.connections.get_mut(&id) else { return };
            if !connection.reading() {
                break;
            }
            match wire::take_frame(&mut connection.input, self.config.frame_bytes_max) {
                Ok(Some(frame)) => self.frame(id, frame, commands),
                Ok(None) => break,
                Err(error) => {
                    tracing::warn!(peer = %connection.peer, %error, "connection closed");
                    self.drop_connection(id);
                }
            }
        }
        self.advance(id, commands);
    }

    fn frame(&mut self, id: ConnectionId, frame: Bytes, commands: &mut Commands<Volery>) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.received += 1;
        self.received += 1;
        let mut reader = Reader::new(frame);
        if matches!(connection.phase, Phase::New) {
            return self.handshake(id, &mut reader, commands);
        }
        let header = match RequestHeader::read(&mut reader) {
            Ok(header) => header,
            Err(error) => {
                tracing::warn!(peer = %connection.peer, %error, "connection closed: a request without a header");
                return self.drop_connection(id);
            }
        };
        let request = Request::read(header.op, &mut reader);
        if let Ok(request) = &request {
            connection.last_op = request.op();
        }
        match request {
            Ok(request) => self.request(id, header.xid, request, commands),
            Err(BadRequest::Unimplemented(op)) => {
                tracing::debug!(peer = %connection.peer, op, "an operation that is not served");
                self.enqueue(id, header.xid, Plan::Answer(Err(ErrorCode::Unimplemented)));
            }
            Err(BadRequest::Malformed(error)) => {
                tracing::warn!(peer = %connection.peer, op = header.op, %error, "a malformed request");
                self.enqueue(id, header.xid, Plan::Answer(Err(ErrorCode::MarshallingError)));
            }
        }
    }

    fn request(&mut self, id: ConnectionId, xid: i32, request: Request, commands: &mut Commands<Volery>) {
        match request {
            Request::Auth { scheme, auth, .. } => self.authenticate(id, xid, &scheme, &auth),
            Request::SetWatches(watches) => self.set_watches(id, xid, watches, commands),
            request => self.enqueue(id, xid, Plan::of(request)),
        }
    }

    fn enqueue(&mut self, id: ConnectionId, xid: i32, plan: Plan) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let Connection { phase: Phase::Open(pipeline), caller, .. } = connection else { return };
        pipeline.push(xid, caller, plan, self.now_ms);
    }

    /// Credentials count for the requests behind them at once; the reply keeps its place in the order.
    fn authenticate(&mut self, id: ConnectionId, xid: i32, scheme: &str, auth: &[u8]) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if authenticate(&mut connection.caller, scheme, auth, self.config.super_digest.as_deref()) {
            return self.enqueue(id, xid, Plan::Here(Here::Nothing));
        }
        tracing::warn!(peer = %connection.peer, scheme, "authentication failed");
        let zxid = connection.last_zxid;
        connection.reply(xid, zxid, Err(ErrorCode::AuthFailed));
        self.drop_connection(id);
    }

    /// Watches that the client had before: one look per partition tells what changed since, and arms the rest.
    fn set_watches(
        &mut self,
        id: ConnectionId,
        xid: i32,
        watches: SetWatches,
        commands: &mut Commands<Volery>,
    ) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let Connection { phase: Phase::Open(pipeline), caller, .. } = connection else { return };
        let relative = Zxid::from_wire(watches.relative_zxid);
        let mut parts: BTreeMap<PartitionId, Vec<Rearmed>> = BTreeMap::new();
        for rearmed in rearmed(&watches) {
            parts.entry(commands.oracle().of(&rearmed.path)).or_default().push(rearmed);
        }
        for part in parts.into_values() {
            pipeline.push_probe(caller, relative, part);
        }
        let rest = Plan::Here(Here::Arm(watches.persistent, watches.persistent_recursive));
        pipeline.push(xid, caller, rest, self.now_ms);
    }

    /// Sends what may be sent and replies what may be replied, until neither moves.
    fn advance(&mut self, id: ConnectionId, commands: &mut Commands<Volery>) {
        self.send(id, commands);
        while self.reply_next(id, commands) {}
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.send_deferred();
            if connection.output.len() > OUTPUT_BYTES_MAX {
                tracing::warn!(peer = %connection.peer, "connection closed: its client does not read");
                connection.output.clear();
                self.drop_connection(id);
            }
        }
        self.make_ready(id);
    }

    fn send(&mut self, id: ConnectionId, commands: &mut Commands<Volery>) {
        if let Some(pipeline) = self.connections.get_mut(&id).and_then(Connection::pipeline)
            && let Some(ticket) = pipeline.send(commands)
        {
            self.purposes.insert(ticket, Purpose::Pipeline(id));
        }
    }

    /// Sends the next reply, if it may leave.
    fn reply_next(&mut self, id: ConnectionId, commands: &Commands<Volery>) -> bool {
        let sources = self.watches.sources(id);
        let Some(pipeline) = self.connections.get_mut(&id).and_then(Connection::pipeline) else {
            return false;
        };
        let passed = &self.passed;
        let mut held = false;
        let next = pipeline.next(|seen| {
            held = !has_passed(passed, sources, seen);
            !held
        });
        if held {
            self.unsettle(id);
        }
        let (xid, result, ends) = match next {
            Next::Nothing => return false,
            Next::Reply { xid, result, ends, received_ms } => {
                self.latency.record(self.now_ms - received_ms);
                (xid, result, ends)
            }
            Next::Here(xid, here) => (xid, Some(self.here(id, here, commands)), false),
        };
        let zxid = self.header_zxid(id);
        let Some(connection) = self.connections.get_mut(&id) else { return false };
        if let Some(result) = result {
            connection.reply(xid, zxid.to_wire(), result);
        }
        if let Some(pipeline) = connection.pipeline() {
            pipeline.saw(zxid);
        }
        connection.send_deferred();
        if ends {
            self.drop_connection(id);
        }
        true
    }

    /// Does what needs no partition.
    fn here(
        &mut self,
        id: ConnectionId,
        here: Here,
        commands: &Commands<Volery>,
    ) -> Result<wire::Reply, ErrorCode> {
        let armed_by = match self.connections.get_mut(&id).and_then(Connection::pipeline) {
            Some(pipeline) => pipeline.base().saturating_sub(1),
            None => return Err(ErrorCode::SessionExpired),
        };
        match here {
            Here::Nothing => Ok(wire::Reply::Empty),
            Here::AddWatch(path, mode) => {
                self.arm(id, &path, mode.into(), armed_by, commands);
                Ok(wire::Reply::WatchAdded)
            }
            Here::Arm(persistent, recursive) => {
                persistent.iter().for_each(|path| self.arm(id, path, Kinds::PERSISTENT, armed_by, commands));
                recursive.iter().for_each(|path| self.arm(id, path, Kinds::RECURSIVE, armed_by, commands));
                Ok(wire::Reply::Empty)
            }
            Here::CheckWatches(path, kind) => found(self.watches.has(id, &path, kind)),
            Here::RemoveWatches(path, kind) => found(self.watches.remove(id, &path, kind)),
            Here::WhoAmI => {
                let caller = self.connections.get(&id).map(|connection| connection.caller.clone());
                Ok(wire::Reply::Identities(caller.map(|caller| caller.who_am_i()).unwrap_or_default()))
            }
        }
    }

    /// Arms a watch. A recursive one may hear of any partition, others of the path's own.
    fn arm(
        &mut self,
        id: ConnectionId,
        path: &Arc<str>,
        kinds: Kinds,
        armed_by: u64,
        commands: &Commands<Volery>,
    ) {
        let oracle = commands.oracle();
        let sources = match kinds {
            Kinds::RECURSIVE => Destinations::all(oracle.partitions()),
            _ => oracle.of(path).into(),
        };
        self.watches.arm(id, path, kinds, sources, armed_by);
    }

    /// The low-water mark of a connection.
    fn header_zxid(&self, id: ConnectionId) -> Zxid {
        let sources = self.watches.sources(id);
        let mark = sources.iter().map(|partition| self.passed[partition.index()].mark).min();
        mark.map_or(self.newest, Zxid::from)
    }

    /// Has a connection looked at at the end of the turn.
    fn unsettle(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id)
            && !std::mem::replace(&mut connection.unsettled, true)
        {
            self.unsettled.push(id);
        }
    }

    /// Has the host look at a connection's output.
    fn make_ready(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id)
            && !std::mem::replace(&mut connection.ready, true)
        {
            self.ready.push(id);
        }
    }

    fn drop_connection(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if let Phase::Open(pipeline) = &connection.phase {
            let session = pipeline.session();
            if self.sessions.get(&session) == Some(&id) {
                self.sessions.remove(&session);
            }
        }
        connection.close();
        self.watches.forget(id);
        self.make_ready(id);
    }

    fn handshake(&mut self, id: ConnectionId, reader: &mut Reader, commands: &mut Commands<Volery>) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let request = match ConnectRequest::read(reader) {
            Ok(request) => request,
            Err(error) => {
                tracing::warn!(peer = %connection.peer, %error, "connection closed: not a handshake");
                return self.drop_connection(id);
            }
        };
        // Zxids count from the clock: one that is neither known nor of the past is of another cluster, or of a node ahead.
        let known = self.newest.max(StampNumber::at(self.wall_ms, PartitionId(PARTITIONS_MAX - 1)).into());
        if Zxid::from_wire(request.last_zxid_seen) > known {
            tracing::info!(peer = %connection.peer, "connection closed: its client has seen more than this node");
            return self.drop_connection(id);
        }
        connection.phase = Phase::Opening;
        let timeout_ms = self.config.negotiate(request.timeout_ms);
        let (session, command) = if request.session_id == 0 {
            let session = self.next_session(commands);
            let password = self.config.password_of(session);
            (session, Command::CreateSession { session, password, timeout_ms })
        } else {
            let session = SessionId(request.session_id as u64);
            let password = Password(request.password.as_ref().try_into().unwrap_or_default());
            (session, Command::Move { session, password, timeout_ms })
        };
        let ticket = commands.errand(command);
        self.purposes.insert(ticket, Purpose::Open { connection: id, request, session });
    }

    /// A session's id: the node, its incarnation and a count, so that none is ever given twice.
    fn next_session(&mut self, commands: &Commands<Volery>) -> SessionId {
        self.opened += 1;
        let node = u64::from(self.config.node) + 1;
        SessionId(
            (node << 56) | (u64::from(commands.incarnation() & 0xff_ffff) << 32) | u64::from(self.opened),
        )
    }

    /// The session is open here, or it is not.
    fn opened(&mut self, id: ConnectionId, request: &ConnectRequest, session: SessionId, reply: &Reply) {
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
        connection.phase = Phase::Open(Pipeline::new(session, epoch, attached));
        connection.timeout_ms = timeout_ms;
        if let Some(before) = self.sessions.insert(session, id) {
            self.drop_connection(before);
        }
        self.expiry.touch(session);
    }

    fn password_shown(&self, session: SessionId, request: &ConnectRequest) -> Bytes {
        match request.session_id {
            0 => Bytes::copy_from_slice(&self.config.password_of(session).0),
            _ => request.password.clone(),
        }
    }

    /// An operation's outcome has come: what it arms is armed at just this place of the partition's sequence.
    fn operated(
        &mut self,
        id: ConnectionId,
        number: u64,
        answer: &Answer<Volery>,
        commands: &Commands<Volery>,
    ) {
        self.saw(id, answer.stamp.number.into());
        let Some(pipeline) = self.connections.get_mut(&id).and_then(Connection::pipeline) else { return };
        let effect = pipeline.effect(number);
        let result = match answer.outcome.as_ref() {
            Outcome::Reply(reply) => self.outcome(id, number, effect, answer, reply, commands),
            Outcome::Refused(refusal) => Some(Err(code_of(*refusal))),
            Outcome::Retry(_) => Some(Err(ErrorCode::SystemError)),
        };
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let Some(pipeline) = connection.pipeline() else { return };
        let response = Response { result, seen: answer.seen.clone() };
        pipeline.answered(number, response);
    }

    fn outcome(
        &mut self,
        id: ConnectionId,
        number: u64,
        effect: Effect,
        answer: &Answer<Volery>,
        reply: &Reply,
        commands: &Commands<Volery>,
    ) -> Option<Result<wire::Reply, ErrorCode>> {
        match (reply, effect) {
            (Reply::Operation { zxid, result }, effect) => {
                self.saw(id, *zxid);
                if let Effect::Arm(arm) = effect
                    && (result.is_ok() || (arm.absent_too && *result == Err(ErrorCode::NoNode)))
                {
                    self.arm(id, &arm.path, arm.kinds, number, commands);
                }
                Some(result.clone())
            }
            (Reply::Probed(found), Effect::Rearm { relative, watches }) => {
                for (rearmed, found) in watches.iter().zip(found) {
                    self.rearm(id, number, answer.partition, relative, rearmed, *found);
                }
                None
            }
            (Reply::SessionMoved, _) => Some(Err(ErrorCode::SessionMoved)),
            (Reply::NoSession, _) => Some(Err(ErrorCode::SessionExpired)),
            (Reply::Done | Reply::Session { .. } | Reply::Probed(_), _) => Some(Ok(wire::Reply::Empty)),
        }
    }

    /// A session's command had this zxid: its next one gets a greater one.
    fn saw(&mut self, id: ConnectionId, zxid: Zxid) {
        self.newest = self.newest.max(zxid);
        if let Some(pipeline) = self.connections.get_mut(&id).and_then(Connection::pipeline) {
            pipeline.saw(zxid);
        }
    }

    /// Fires what has changed since the client's mark, and arms the rest, as ZooKeeper's `DataTree.setWatches` does.
    fn rearm(
        &mut self,
        id: ConnectionId,
        number: u64,
        partition: PartitionId,
        relative: Zxid,
        rearmed: &Rearmed,
        found: Option<(Zxid, Zxid)>,
    ) {
        let verdict = |asked: bool, fires: Option<EventType>, kinds| asked.then_some((fires, kinds));
        let (data, child) = match found {
            None => (Some(EventType::NodeDeleted), Some(EventType::NodeDeleted)),
            Some((mzxid, pzxid)) => (
                (mzxid > relative).then_some(EventType::NodeDataChanged),
                (pzxid > relative).then_some(EventType::NodeChildrenChanged),
            ),
        };
        let exist = found.map(|_| EventType::NodeCreated);
        let zxid = found.map_or(relative, |(mzxid, pzxid)| mzxid.max(pzxid));
        let verdicts = [
            verdict(rearmed.data, data, Kinds::DATA),
            verdict(rearmed.exist, exist, Kinds::DATA),
            verdict(rearmed.child, child, Kinds::CHILD),
        ];
        let mut told = BTreeSet::new();
        for (fires, kinds) in verdicts.into_iter().flatten() {
            let Some(connection) = self.connections.get_mut(&id) else { return };
            match fires {
                Some(event) if told.insert(event.number()) => {
                    connection.notify(partition, event, &rearmed.path, zxid, 0);
                }
                Some(_) => {}
                None => self.watches.arm(id, &rearmed.path, kinds, partition.into(), number),
            }
        }
    }

    fn tell(&mut self, partition: PartitionId, kind: EventType, path: &Arc<str>, zxid: Zxid) {
        self.newest = self.newest.max(zxid);
        for Fired { connection: id, armed_by } in self.watches.fire(path, kind) {
            if let Some(connection) = self.connections.get_mut(&id) {
                connection.notify(partition, kind, path, zxid, armed_by);
                self.make_ready(id);
            }
        }
    }

    /// The session is in this epoch now: a connection that has it in an earlier one has lost it.
    fn session_opened(&mut self, session: SessionId, epoch: Epoch, timeout_ms: u32) {
        self.expiry.start(session, epoch, timeout_ms);
        if let Some(id) = self.sessions.get(&session).copied()
            && let Some(pipeline) = self.connections.get_mut(&id).and_then(Connection::pipeline)
            && pipeline.epoch() < epoch
        {
            self.drop_connection(id);
        }
    }

    fn session_closed(&mut self, session: SessionId) {
        self.expiry.stop(session);
        if let Some(id) = self.sessions.get(&session).copied()
            && let Some(pipeline) = self.connections.get_mut(&id).and_then(Connection::pipeline)
            && !pipeline.closing()
        {
            tracing::info!(%session, "the session has expired");
            self.drop_connection(id);
        }
    }
}

impl Front<Volery> for Gateway {
    fn connected(&mut self, id: ConnectionId, peer: SocketAddr, _now_ms: u64) {
        self.order.insert(id);
        self.connections.insert(id, Connection::new(peer, self.wall_ms));
    }

    fn received(&mut self, id: ConnectionId, bytes: &[u8], commands: &mut Commands<Volery>) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if connection.closing {
            return;
        }
        connection.input.extend_from_slice(bytes);
        if let Phase::Open(pipeline) = &connection.phase {
            self.expiry.touch(pipeline.session());
        }
        self.parse(id, commands);
    }

    fn disconnected(&mut self, id: ConnectionId, _commands: &mut Commands<Volery>) {
        self.drop_connection(id);
        self.forget(id);
    }

    fn answered(&mut self, answer: &Answer<Volery>, commands: &mut Commands<Volery>) {
        let Some(id) = self.sessions.get(&SessionId(answer.id.client.0)).copied() else { return };
        let Some(pipeline) = self.connections.get_mut(&id).and_then(Connection::pipeline) else { return };
        if let Some(number) = pipeline.sent(answer.id) {
            self.operated(id, number, answer, commands);
            self.unsettle(id);
        }
    }

    fn done(&mut self, ticket: Ticket, answer: &Answer<Volery>, commands: &mut Commands<Volery>) {
        match self.purposes.remove(&ticket) {
            Some(Purpose::Open { connection, request, session }) => {
                let reply = match answer.outcome.as_ref() {
                    Outcome::Reply(reply) => reply.clone(),
                    Outcome::Retry(_) | Outcome::Refused(_) => Reply::NoSession,
                };
                self.opened(connection, &request, session, &reply);
                self.unsettle(connection);
            }
            Some(Purpose::Pipeline(id)) => {
                let pipeline = self.connections.get_mut(&id).and_then(Connection::pipeline);
                if let Some(number) = pipeline.and_then(|pipeline| pipeline.attached(ticket)) {
                    self.operated(id, number, answer, commands);
                }
                self.unsettle(id);
            }
            Some(Purpose::Expire) | None => {}
        }
    }

    fn happened(&mut self, partition: PartitionId, _position: Position, event: Event) {
        match event {
            Event::Created { path, zxid } => self.tell(partition, EventType::NodeCreated, &path, zxid),
            Event::Deleted { path, zxid } => self.tell(partition, EventType::NodeDeleted, &path, zxid),
            Event::DataChanged { path, zxid } => {
                self.tell(partition, EventType::NodeDataChanged, &path, zxid)
            }
            Event::ChildrenChanged { path, zxid } => {
                self.tell(partition, EventType::NodeChildrenChanged, &path, zxid);
            }
            Event::SessionOpened { session, epoch, timeout_ms } => {
                self.session_opened(session, epoch, timeout_ms);
            }
            Event::SessionClosed { session } => self.session_closed(session),
        }
    }

    fn passed(
        &mut self,
        partition: PartitionId,
        position: Position,
        proposal: StampNumber,
        stamp: StampNumber,
    ) {
        let passed = &mut self.passed[partition.index()];
        passed.position = passed.position.max(position);
        passed.mark = passed.mark.max(proposal);
        self.newest = self.newest.max(stamp.into()).max(proposal.into());
    }

    fn tick(&mut self, now_ms: u64, wall_ms: u64, commands: &mut Commands<Volery>) {
        (self.now_ms, self.wall_ms) = (now_ms, wall_ms);
        for (session, epoch) in self.expiry.tick(now_ms) {
            tracing::info!(%session, "not heard of for its timeout: expiring");
            let ticket = commands.errand(Command::Expire { session, epoch });
            self.purposes.insert(ticket, Purpose::Expire);
        }
        self.over_limit = commands.in_flight() >= IN_FLIGHT_MAX;
    }

    fn settle(&mut self, commands: &mut Commands<Volery>) {
        for id in std::mem::take(&mut self.unsettled) {
            if let Some(connection) = self.connections.get_mut(&id) {
                connection.unsettled = false;
                self.parse(id, commands);
            }
        }
    }

    fn restart(&mut self, now_ms: u64) {
        let _ = self.expiry.tick(now_ms);
        self.expiry.restart();
    }

    fn observe(&mut self, node: &NodeStatus, variables: &[&Slots]) {
        self.status = Status::of(node, variables);
        self.status.connections = self.connections.len() as u64;
        self.status.watches = self.watches.len() as u64;
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
        !self.over_limit && self.connections.get(&id).is_some_and(Connection::reading)
    }
}

impl Gateway {
    fn forget(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.remove(&id) {
            self.sent_by_closed += connection.sent;
        }
        self.order.remove(&id);
    }
}

fn has_passed(passed: &[Passed], watched: Destinations, seen: &Seen) -> bool {
    watched.iter().all(|partition| match seen.get(partition.index()) {
        Some(position) => passed[partition.index()].position >= *position,
        None => true,
    })
}

fn found(found: bool) -> Result<wire::Reply, ErrorCode> {
    if found { Ok(wire::Reply::Empty) } else { Err(ErrorCode::NoWatcher) }
}

fn code_of(refusal: Refusal) -> ErrorCode {
    match refusal {
        Refusal::UnknownClient => ErrorCode::SessionExpired,
        Refusal::OldEpoch => ErrorCode::SessionMoved,
        Refusal::Malformed => ErrorCode::MarshallingError,
        Refusal::Unsubmitted => ErrorCode::ThrottledOp,
    }
}

/// The paths that SetWatches names, each with the watches on it.
fn rearmed(watches: &SetWatches) -> Vec<Rearmed> {
    let mut paths: BTreeMap<Arc<str>, Rearmed> = BTreeMap::new();
    let mut note = |path: &Arc<str>, set: fn(&mut Rearmed)| {
        let fresh = || Rearmed { path: path.clone(), data: false, exist: false, child: false };
        set(paths.entry(path.clone()).or_insert_with(fresh));
    };
    watches.data.iter().for_each(|path| note(path, |rearmed| rearmed.data = true));
    watches.exist.iter().for_each(|path| note(path, |rearmed| rearmed.exist = true));
    watches.child.iter().for_each(|path| note(path, |rearmed| rearmed.child = true));
    paths.into_values().collect()
}
