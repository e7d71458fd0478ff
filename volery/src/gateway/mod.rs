//! The gateway: the ZooKeeper-protocol front of a node.
//!
//! It turns bytes into requests and requests into commands, keeps each session's `pipeline`, holds the
//! `watches` of its connections beside the replicas whose events it hears, runs the timers (`expiry`) of the sessions whose
//! home this node leads, and tells other leaders of the clients that it hears (`hearings`). It decides nothing about znodes: partitions do.
//!
//! **No session sees a change before the event it asked for.** Events of one partition reach the gateway before the
//! answer of the command that caused them, so within a partition the order is that of the calls. Across partitions an
//! answer carries the places that it may depend on ([`Answer::seen`](eyrie::Answer::seen)), and its reply is held until this node's replicas
//! of the partitions where the session has watches have passed them. What a session was shown, by an answer or an event, goes along
//! with its later requests ([`CausalHistory`](eyrie::CausalHistory)): whoever sees what it wrote is held for what it had read. A
//! session that moves here takes its history along, for the command that moves it passes everywhere where it is attached.
//!
//! **A reply's header carries a low-water mark**: the minimum, over the partitions where the session has watches, of a
//! zxid below which every event has left for this client. The client sends it back in SetWatches, where it decides what
//! fires again: a doubtful change fires, so events are repeated rather than lost. Partitions whose marks lag are advanced
//! (`marks`), so that little is in doubt.
//!
//! **Reads of a client that has gone are dropped**, and its commands that are not answered are not sent again: whether they took
//! effect is unknown to it, as after any lost connection. One that was ordered already is executed. What a node submits in its own
//! name goes on until it is answered: the commands that open, attach, move and close sessions.
//!
//! **A partition without a replica here is followed once somebody here watches something there.** What may arm a watch waits until
//! the partition is heard of: what happened before could not be told. So replies are held for followed partitions alone.

mod authentication;
mod bursts;
mod connection;
mod expiry;
mod four_letter;
mod front;
mod handshake;
mod hearings;
mod latency;
mod marks;
mod outcome;
mod pipeline;
mod plan;
mod rearm;
mod recent;
mod reigns;
mod telling;
mod usage;
mod watches;

#[cfg(test)]
mod tests;

use crate::branches::{MARK_HELD_BACK, REPLY_HELD, TERM_BEGUN, TIMER_INHERITED};
use crate::command::Reply;
use crate::config::GatewayConfig;
use crate::faults::{NEWEST_IN_HEADER, NO_GRACE, PONG_AT_ONCE, REPLY_NOT_HELD};
use crate::service::Volery;
use crate::session::SessionId;
use crate::status::Status;
use crate::wire::{self, BadRequest, ConnectRequest, ErrorCode, Reader, Record, Request, RequestHeader};
use crate::zxid::Zxid;
use authentication::authenticate;
use bytes::Bytes;
use connection::{Connection, Phase};
use expiry::{Expiry, Left};
use eyrie::{Commands, ConnectionId, Destinations, Epoch, NodeId, Outcome, PartitionId, Ticket};
use hearings::{Hearings, Ping};
use latency::Latency;
use marks::Marks;
use pipeline::{Due, Next, SendLimits, Sending, Unanswered};
use plan::{Here, Plan};
use recent::Recent;
use reigns::Reigns;
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use telling::Telling;
use usage::Usage;
use watches::{Armed, Kinds, Watches};

pub use usage::Bound;

/// The longest handshake; a connection that has no session yet gets no more room than that.
const HANDSHAKE_BYTES_MAX: usize = 1_024;
/// A gap between two ticks in which clients may have been heard but were not: their timers stood.
const STALL_MS: u64 = 1_000;
/// How long a leader that is none any more may still confirm what it hears, at most: what it is sure for
/// (`multicast::LEADS_SURELY_MS`), and a quarter more for clocks that run unevenly.
const REIGN_GRACE_MS: u64 = 2_500;
/// How often connections are looked at that may have taken too long.
const SWEEP_EVERY_MS: u64 = 1_000;

/// What an errand of the gateway is for.
#[derive(Debug)]
enum Purpose {
    Open {
        connection: ConnectionId,
        request: ConnectRequest,
        session: SessionId,
    },
    Pipeline(ConnectionId),
    /// The beginning of a reign of this partition.
    Reign(PartitionId),
    /// The end of a session whose home this is.
    Expire(PartitionId),
    /// Nothing that is waited for.
    Chore,
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
    hearings: Hearings,
    reigns: Reigns,
    marks: Marks,
    recent: Recent,
    /// The greatest zxid that this node knows of.
    newest: Zxid,
    /// What clients had asked for that have gone.
    gone: Vec<Unanswered>,
    /// Connections to be settled at the end of the turn: something was answered, or a reply waits for watch sources.
    unsettled: Vec<ConnectionId>,
    /// Connections that wait for the answer to four letters.
    asking: Vec<(ConnectionId, String)>,
    /// Connections whose output the host is to look at.
    ready: Vec<ConnectionId>,
    /// What is held for all connections.
    usage: Usage,
    /// Bytes of replies made in this turn.
    made_bytes: usize,
    /// Whether more could have been made.
    is_behind: bool,
    opened: u32,
    now_ms: u64,
    /// How long this node has stood still, in sum.
    stood_ms: u64,
    swept_ms: u64,
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
            hearings: Hearings::new(partitions),
            reigns: Reigns::new(partitions),
            marks: Marks::new(partitions),
            recent: Recent::new(partitions),
            newest: Zxid::ZERO,
            gone: Vec::new(),
            unsettled: Vec::new(),
            asking: Vec::new(),
            ready: Vec::new(),
            usage: Usage::default(),
            made_bytes: 0,
            is_behind: false,
            opened: 0,
            now_ms: 0,
            stood_ms: 0,
            swept_ms: 0,
            wall_ms: 0,
            latency: Latency::default(),
            received: 0,
            sent_by_closed: 0,
            status: Status::default(),
        }
    }

    /// Takes a connection as far as it goes: reads frames, sends requests, replies, until none of it moves. A reply makes
    /// room for a frame, and what waited for a reply may be sent.
    fn work(&mut self, id: ConnectionId, commands: &mut Commands<Volery>) {
        loop {
            let parsed = self.parse(id, commands);
            let replied = self.advance(id, commands);
            if !parsed && !replied {
                return;
            }
        }
    }

    /// Whether a request of a connection may be taken in.
    fn takes_requests(&self, id: ConnectionId) -> bool {
        let Some(connection) = self.connections.get(&id) else { return false };
        connection.takes_requests(self.config.limits.outstanding) && self.has_room_for_output(connection)
    }

    /// Whether more bytes of a connection are wanted: not if its requests, or those of all, take too much. A request that has
    /// come in part may come whole.
    fn wants_bytes(&self, id: ConnectionId) -> bool {
        let Some(connection) = self.connections.get(&id) else { return false };
        let Bound { each, all } = self.config.limits.accepted();
        let each = if connection.is_idle() { usize::MAX } else { each };
        let (held, clients) = (connection.usage().accepted, self.connections.len());
        self.takes_requests(id) && Bound { each, all }.has_room(held, self.usage.accepted, clients)
    }

    /// Whether a connection may have more output. Its client should read first, or other clients.
    fn has_room_for_output(&self, connection: &Connection) -> bool {
        let held = connection.usage().output;
        self.config.limits.output().has_room(held, self.usage.output, self.connections.len())
    }

    /// Counts what a connection holds, after anything was done to it.
    fn count(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.note_pace(self.now_ms);
            connection.note_input(self.now_ms);
            let usage = connection.usage();
            self.usage.replace(connection.counted, usage);
            connection.counted = usage;
        }
    }

    /// Reads whole frames off a connection while there is room for them; says whether there was one.
    fn parse(&mut self, id: ConnectionId, commands: &mut Commands<Volery>) -> bool {
        let mut parsed = false;
        while let Some(connection) = self.connections.get_mut(&id) {
            if matches!(connection.phase, Phase::New) && self.four_letters(id) {
                return false;
            }
            if !self.takes_requests(id) {
                break;
            }
            let Some(connection) = self.connections.get_mut(&id) else { return false };
            if commands.in_flight() >= self.config.limits.in_flight {
                self.unsettle(id);
                break;
            }
            let bytes_max = match connection.phase {
                Phase::New => HANDSHAKE_BYTES_MAX,
                _ => self.config.frame_bytes_max,
            };
            match wire::take_frame(&mut connection.input, bytes_max) {
                Ok(Some(frame)) => self.frame(id, frame, commands),
                Ok(None) => break,
                Err(error) => {
                    tracing::warn!(peer = %connection.peer, %error, "connection closed");
                    self.cut_off(id, commands);
                }
            }
            parsed = true;
        }
        parsed
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
                return self.cut_off(id, commands);
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
                tracing::debug!(peer = %connection.peer, op = header.op, %error, "a malformed request");
                self.enqueue(id, header.xid, Plan::Answer(Err(ErrorCode::MarshallingError)));
            }
        }
    }

    fn request(&mut self, id: ConnectionId, xid: i32, request: Request, commands: &mut Commands<Volery>) {
        match request {
            Request::Ping => self.ping(id, xid),
            Request::Auth { scheme, auth, .. } => self.authenticate(id, xid, (&scheme, &auth), commands),
            Request::SetWatches(_) if !self.may_watch(id) => {
                tracing::warn!(
                    connection = id.0,
                    "connection closed: its watches take as many bytes as they may"
                );
                self.cut_off(id, commands);
            }
            Request::SetWatches(watches) => self.set_watches(id, xid, watches, commands),
            request if request.asks_for_watch() && !self.may_watch(id) => {
                self.enqueue(id, xid, Plan::Answer(Err(ErrorCode::ThrottledOp)));
            }
            request => {
                let plan = Plan::of(request);
                let destinations = plan.destinations(commands.oracle());
                self.push(id, xid, plan, destinations);
            }
        }
    }

    /// Whether a connection's watches leave room for another one.
    fn may_watch(&self, id: ConnectionId) -> bool {
        let (held, held_by_all) = self.watches.bytes(id);
        self.config.limits.watches().has_room(held, held_by_all, self.connections.len())
    }

    /// Takes in what goes nowhere.
    fn enqueue(&mut self, id: ConnectionId, xid: i32, plan: Plan) {
        self.push(id, xid, plan, Destinations::NONE);
    }

    fn push(&mut self, id: ConnectionId, xid: i32, plan: Plan, destinations: Destinations) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let Connection { phase: Phase::Open(pipeline), caller, .. } = connection else { return };
        pipeline.push(xid, caller, plan, destinations, self.now_ms);
    }

    /// A ping is answered once the leader of the session's home knows of it. So is one on a connection whose session has
    /// moved on, as by a handshake that its client has given up long ago: that client is here, and lives.
    fn ping(&mut self, id: ConnectionId, xid: i32) {
        let Some(pipeline) = self.connections.get_mut(&id).and_then(Connection::pipeline) else { return };
        let session = pipeline.session();
        let home = session.home(self.marks.partitions());
        let is_confirmed = self.reigns.of(home).is_some() && self.expiry.touch(session);
        if is_confirmed || PONG_AT_ONCE.is_planted() {
            return self.enqueue(id, xid, Plan::Here(Here::Nothing));
        }
        self.hearings.ping(home, Ping { connection: id, xid, session });
    }

    /// These pings may be answered.
    fn pong(&mut self, pings: Vec<Ping>) {
        for Ping { connection, xid, .. } in pings {
            self.enqueue(connection, xid, Plan::Here(Here::Nothing));
            self.unsettle(connection);
        }
    }

    /// A session was heard of.
    fn hear(&mut self, session: SessionId) {
        let home = session.home(self.marks.partitions());
        if self.reigns.of(home).is_some() {
            self.expiry.touch(session);
            return;
        }
        self.hearings.hear(home, session);
    }

    /// Whether this node surely leads a partition.
    fn leads(&self, partition: PartitionId) -> bool {
        self.hearings.leader(partition) == Some(NodeId(self.config.node))
    }

    /// What came of the claim on a partition. Where the claim was not taken, since too much was under way here, another one is made:
    /// without a reign no session of the partition would ever expire.
    fn claimed(&mut self, partition: PartitionId, outcome: &Outcome<Volery>) {
        match outcome {
            Outcome::Reply(Reply::Reign(reign)) => self.begin_reign(partition, *reign),
            _ if self.leads(partition) => self.reigns.claim(partition),
            _ => {}
        }
    }

    /// From here on what an earlier leader has ordered against sessions is void, and this node decides about them.
    fn begin_reign(&mut self, partition: PartitionId, reign: Epoch) {
        if !self.leads(partition) {
            return;
        }
        TERM_BEGUN.reached();
        let grace_ms = if NO_GRACE.is_planted() { 0 } else { REIGN_GRACE_MS };
        self.reigns.begin(partition, reign, self.expiry.now_ms() + grace_ms);
        let partitions = self.marks.partitions();
        self.expiry.begin_reign(reign, grace_ms, |session| session.home(partitions) == partition);
        // Timers may go on as they were left before these were heard of.
        let pings = self.hearings.confirmed_here(partition, |session| self.expiry.touch(session));
        self.pong(pings);
    }

    /// From here on nothing is confirmed that is heard of a partition's sessions.
    fn end_reign(&mut self, partition: PartitionId) {
        let partitions = self.marks.partitions();
        if let Some(reign) = self.reigns.end(partition) {
            self.expiry.end_reign(reign, |session| session.home(partitions) == partition);
        }
    }

    /// Tells those that lead now how reigns of this node have left their sessions' timers.
    fn hand_over(&mut self, commands: &mut Commands<Volery>) {
        let partitions = self.marks.partitions();
        for (partition, reign) in self.reigns.take_handed_over() {
            let Some(leader) = self.hearings.leader(partition) else { continue };
            let left = self.expiry.left(reign, |session| session.home(partitions) == partition);
            for telling in Telling::of_left(partition, reign, &left) {
                commands.tell(leader, telling.encode());
            }
        }
    }

    /// Another node tells how its reign has left some timers.
    fn inherit(&mut self, partition: PartitionId, reign: Epoch, ended_ms_ago: u64, timers: &[Left]) {
        let partitions = self.marks.partitions();
        if partition.0 >= partitions {
            return;
        }
        let current = self.reigns.of(partition);
        for left in timers.iter().filter(|left| left.session.home(partitions) == partition) {
            if self.expiry.inherit(*left, reign, ended_ms_ago, current) {
                TIMER_INHERITED.reached();
            }
        }
    }

    /// Credentials count for the requests behind them at once; the reply keeps its place in the order.
    fn authenticate(
        &mut self,
        id: ConnectionId,
        xid: i32,
        (scheme, auth): (&str, &[u8]),
        commands: &mut Commands<Volery>,
    ) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if authenticate(&mut connection.caller, scheme, auth, self.config.super_digest.as_deref()) {
            let plan = authentication::plan();
            let destinations = plan.destinations(commands.oracle());
            return self.push(id, xid, plan, destinations);
        }
        tracing::warn!(peer = %connection.peer, scheme, "authentication failed");
        self.advance(id, commands);
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let zxid = Zxid::ZERO.to_wire();
        connection.reply(xid, zxid, Err(ErrorCode::AuthFailed), self.config.limits.reply_bytes);
        self.drop_connection(id);
    }

    /// Ends a connection whose bytes are no requests any more. What came before them has its effect all the same, as if it
    /// had come in a read of its own.
    fn cut_off(&mut self, id: ConnectionId, commands: &mut Commands<Volery>) {
        self.advance(id, commands);
        self.drop_connection(id);
    }

    /// Sends what may be sent and replies what may be replied; says whether there was a reply.
    fn advance(&mut self, id: ConnectionId, commands: &mut Commands<Volery>) -> bool {
        self.send(id, commands);
        let mut replied = false;
        while self.reply_next(id, commands) {
            replied = true;
        }
        self.make_ready(id);
        replied
    }

    fn send(&mut self, id: ConnectionId, commands: &mut Commands<Volery>) {
        if self
            .connections
            .get_mut(&id)
            .and_then(Connection::pipeline)
            .is_some_and(|pipeline| pipeline.is_spent())
        {
            return self.drop_connection(id);
        }
        if self.holds_back(id) {
            return;
        }
        let Some(pipeline) = self.connections.get_mut(&id).and_then(Connection::pipeline) else { return };
        let limits = SendLimits {
            znode_bytes: self.config.frame_bytes_max,
            promised_bytes: self.config.limits.promised_bytes,
        };
        match pipeline.send(commands, limits, |partition| self.marks.hears(partition)) {
            Sending::Done => {}
            Sending::Errand(ticket) => {
                self.purposes.insert(ticket, Purpose::Pipeline(id));
            }
            Sending::Held => self.unsettle(id),
        }
    }

    /// Whether nothing is done for a connection now, since its client should read first, or other clients. It goes on when
    /// some of its output is written; if it has none, in another turn.
    fn holds_back(&mut self, id: ConnectionId) -> bool {
        let Some(connection) = self.connections.get(&id) else { return false };
        let is_full = !self.has_room_for_output(connection);
        if is_full && connection.output.is_empty() {
            self.unsettle(id);
        }
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.stalled = is_full;
        }
        is_full
    }

    /// Sends the next reply, if it may leave.
    fn reply_next(&mut self, id: ConnectionId, commands: &mut Commands<Volery>) -> bool {
        if self.holds_back(id) {
            return false;
        }
        let sources = self.watches.sources(id);
        let Some(pipeline) = self.connections.get_mut(&id).and_then(Connection::pipeline) else {
            return false;
        };
        let marks = &self.marks;
        let (mut held, mut unheard) = (false, Destinations::NONE);
        let next = pipeline.next(|due| {
            held = !match due {
                Due::Reply(seen) => marks.have_passed(sources, seen) || REPLY_NOT_HELD.is_planted(),
                Due::Here(here, history) => {
                    let sources = here.sources(commands.oracle());
                    let hears = |partition| commands.is_hosted(partition) || marks.hears(partition);
                    unheard = sources.iter().filter(|partition| !hears(*partition)).collect();
                    let passed = |partition| marks.has_passed(partition, history.place(partition));
                    unheard.is_empty() && sources.iter().all(passed)
                }
            };
            !held
        });
        unheard.iter().for_each(|partition| commands.follow(partition));
        if held {
            REPLY_HELD.reached();
            self.unsettle(id);
        }
        // Clients that come back send their credentials before their watches, and some take every header's zxid for their mark:
        // it would say that they were told of all that they have missed. ZooKeeper's has no zxid either.
        let is_markless = matches!(next, Next::Here(_, Here::Authenticated));
        let (xid, result, ends) = match next {
            Next::Nothing => return false,
            Next::Reply { xid, result, ends, received_ms } => {
                if result.is_some() {
                    self.latency.record(self.now_ms - received_ms);
                }
                (xid, result, ends)
            }
            Next::Here(xid, here) => (xid, Some(self.here(id, here, commands)), false),
        };
        // A client whose session is not here any more has been told nothing: it must not take this for its mark.
        let lost = ends && matches!(result, Some(Err(_)));
        let zxid = if lost || is_markless { Zxid::ZERO } else { self.header_zxid(id) };
        let Some(connection) = self.connections.get_mut(&id) else { return false };
        let output_bytes = connection.output.len();
        if let Some(result) = result {
            connection.reply(xid, zxid.to_wire(), result, self.config.limits.reply_bytes);
        }
        if let Some(pipeline) = connection.pipeline() {
            pipeline.saw(zxid);
            self.marks.note(sources, pipeline.seen());
        }
        connection.send_deferred();
        self.made_bytes += connection.output.len() - output_bytes;
        self.count(id);
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
        let by = match self.connections.get_mut(&id).and_then(Connection::pipeline) {
            Some(pipeline) => pipeline.base().saturating_sub(1),
            None => return Err(ErrorCode::SessionExpired),
        };
        let armed = Armed { by, ..Armed::default() };
        match here {
            Here::Authenticated | Here::Nothing => Ok(wire::Reply::Empty),
            Here::AddWatch(path, mode) => {
                self.arm(id, &path, mode.into(), armed, commands);
                Ok(wire::Reply::WatchAdded)
            }
            Here::Arm(persistent, recursive) => {
                persistent.iter().for_each(|path| self.arm(id, path, Kinds::PERSISTENT, armed, commands));
                recursive.iter().for_each(|path| self.arm(id, path, Kinds::RECURSIVE, armed, commands));
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
        armed: Armed,
        commands: &Commands<Volery>,
    ) {
        let oracle = commands.oracle();
        let sources = match kinds {
            Kinds::RECURSIVE => Destinations::all(oracle.partitions()),
            _ => oracle.of(path).into(),
        };
        let heard = self.marks.heard(oracle.of(path));
        self.watches.arm(id, path, kinds, sources, armed, heard);
    }

    /// The low-water mark of a connection: of what its watch sources have passed, and of what it was told of that.
    fn header_zxid(&self, id: ConnectionId) -> Zxid {
        let sources = self.watches.sources(id);
        let low_water = self.marks.low_water(sources).filter(|_| !NEWEST_IN_HEADER.is_planted());
        let told = self.connections.get(&id).and_then(Connection::told_up_to);
        let passed = low_water.unwrap_or(self.newest);
        if told.is_some_and(|told| told < passed) {
            MARK_HELD_BACK.reached();
        }
        told.map_or(passed, |told| told.min(passed))
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

    /// Ends connections that have taken too long: to their handshake, or to take the output that they end with.
    fn sweep(&mut self) {
        if self.now_ms < self.swept_ms + SWEEP_EVERY_MS {
            return;
        }
        self.swept_ms = self.now_ms;
        let overdue: Vec<ConnectionId> =
            self.order.iter().copied().filter(|id| self.is_overdue(*id)).collect();
        // Those that are closed may make room enough for the others.
        for id in overdue {
            if self.is_overdue(id)
                && let Some(connection) = self.connections.get_mut(&id)
            {
                tracing::warn!(peer = %connection.peer, "connection closed: its client is too slow");
                connection.output.clear();
                self.drop_connection(id);
            }
        }
    }

    fn is_overdue(&self, id: ConnectionId) -> bool {
        let Some(connection) = self.connections.get(&id) else { return false };
        let is_late = connection.deadline_ms.is_some_and(|deadline_ms| deadline_ms < self.now_ms);
        is_late || self.is_slow(connection)
    }

    /// Whether a connection has taken none of its output for too long, or takes too long for a request that others wait for.
    fn is_slow(&self, connection: &Connection) -> bool {
        let limits = &self.config.limits;
        let longer =
            |since_ms: Option<u64>, most_ms: u64| since_ms.is_some_and(|since| since + most_ms < self.now_ms);
        let slow_ms = match self.usage.output >= limits.output_bytes_of_all {
            true => limits.slow_when_full_ms,
            false => limits.slow_ms.max(u64::from(connection.timeout_ms)),
        };
        let input_is_full = self.usage.accepted >= limits.accepted_bytes_of_all;
        longer(connection.slow_since_ms, slow_ms)
            || (input_is_full && longer(connection.partial_since_ms, limits.slow_when_full_ms))
    }

    fn drop_connection(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if let Phase::Open(pipeline) = &connection.phase {
            let session = pipeline.session();
            self.gone.push(pipeline.unanswered());
            if self.sessions.get(&session) == Some(&id) {
                self.sessions.remove(&session);
            }
            self.hearings.forget(session.home(self.marks.partitions()), id);
        }
        connection.close(self.now_ms);
        self.watches.forget(id);
        self.make_ready(id);
        self.count(id);
    }

    /// Has a connection's new output looked at; one whose client does not read is ended.
    fn relieve(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id)
            && connection.notified_bytes() > self.config.limits.notified_bytes
        {
            tracing::warn!(peer = %connection.peer, "connection closed: its client does not read");
            connection.output.clear();
            self.drop_connection(id);
        }
        self.make_ready(id);
        self.count(id);
    }

    /// The session is in this epoch now. A connection that has it in an earlier one has lost it, and is told so when it asks
    /// for something. It is not closed before: its client, if there still is one, would come back at once and take the
    /// session away from where it is now. Meanwhile its pings keep the session alive, as in ZooKeeper.
    fn session_opened(&mut self, session: SessionId, epoch: Epoch, timeout_ms: u32) {
        let home = session.home(self.marks.partitions());
        self.expiry.start(session, epoch, timeout_ms, self.reigns.alone_ms(home));
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

impl Gateway {
    fn forget(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.remove(&id) {
            self.sent_by_closed += connection.sent;
            self.usage.replace(connection.counted, Usage::default());
        }
        self.order.remove(&id);
    }
}

fn found(found: bool) -> Result<wire::Reply, ErrorCode> {
    if found { Ok(wire::Reply::Empty) } else { Err(ErrorCode::NoWatcher) }
}
