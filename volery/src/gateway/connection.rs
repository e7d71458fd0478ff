//! One client's connection.

use crate::acl::Caller;
use crate::branches::EVENT_WAITS;
use crate::gateway::pipeline::Pipeline;
use crate::gateway::usage::Usage;
use crate::wire::{ErrorCode, EventType, KeeperState, OpCode, Reply, ReplyHeader, WatcherEvent};
use crate::zxid::Zxid;
use bytes::BytesMut;
use eyrie::{PartitionId, Position};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

/// A buffer that is empty and has more room than this is given back.
const IDLE_BYTES: usize = 64 << 10;
/// How long a connection may take to its handshake.
pub const HANDSHAKE_MS: u64 = 10_000;
/// How long a session may take to be opened once its client has asked for it; a longer session timeout counts instead.
pub const OPENING_MS: u64 = 30_000;
/// How long a connection that is to be closed may take to take its output.
pub const LINGER_MS: u64 = 5_000;

/// How far a connection is.
#[derive(Debug)]
pub enum Phase {
    /// Nothing is known of it: it may send a handshake or four letters.
    New,
    /// It has asked by four letters.
    Asking,
    /// Its session is being opened or moved here.
    Opening,
    /// It has a session.
    Open(Box<Pipeline>),
    /// Nothing more is heard.
    Closed,
}

/// A notification that must not leave before a reply.
#[derive(Debug)]
struct Deferred {
    after: u64,
    partition: PartitionId,
    zxid: Zxid,
    event: WatcherEvent,
}

/// One client's connection: what came and was not understood yet, what is to be written, and its session's pipeline.
#[derive(Debug)]
pub struct Connection {
    /// Where the client is.
    pub peer: SocketAddr,
    /// Who it is.
    pub caller: Caller,
    /// What came and is not a whole frame yet, or has no room.
    pub input: BytesMut,
    /// What is to be written.
    pub output: BytesMut,
    /// How far it is.
    pub phase: Phase,
    /// Whether it is closed as soon as the output is written.
    pub closing: bool,
    /// Requests received.
    pub received: u64,
    /// Replies and notifications sent.
    pub sent: u64,
    /// When the client connected, in milliseconds since 1970.
    pub since_ms: u64,
    /// The session timeout agreed.
    pub timeout_ms: u32,
    /// What was asked for last.
    pub last_op: OpCode,
    /// The header zxid of the last reply.
    pub last_zxid: i64,
    /// Whether replies are held back until output is written.
    pub stalled: bool,
    /// Since when it has taken none of its output, if it has any.
    pub slow_since_ms: Option<u64>,
    /// Since when a request has come in part, and none waits for its reply.
    pub partial_since_ms: Option<u64>,
    /// What was counted of it in the gateway's usage.
    pub counted: Usage,
    /// When it is ended if it is not further by then, in the gateway's time.
    pub deadline_ms: Option<u64>,
    /// Whether something has changed for it that is settled at the end of the turn.
    pub unsettled: bool,
    /// Whether the host is to look at its output.
    pub ready: bool,
    deferred: VecDeque<Deferred>,
    deferred_bytes: usize,
}

impl Connection {
    /// A client has connected, at this time since 1970.
    pub fn new(peer: SocketAddr, since_ms: u64) -> Connection {
        Connection {
            peer,
            caller: Caller::from(peer.ip()),
            input: BytesMut::new(),
            output: BytesMut::new(),
            phase: Phase::New,
            closing: false,
            received: 0,
            sent: 0,
            since_ms,
            timeout_ms: 0,
            last_op: OpCode::CreateSession,
            last_zxid: 0,
            stalled: false,
            slow_since_ms: None,
            partial_since_ms: None,
            counted: Usage::default(),
            deadline_ms: None,
            unsettled: false,
            ready: false,
            deferred: VecDeque::new(),
            deferred_bytes: 0,
        }
    }

    /// The pipeline, once there is a session.
    pub fn pipeline(&mut self) -> Option<&mut Pipeline> {
        if let Phase::Open(pipeline) = &mut self.phase { Some(pipeline) } else { None }
    }

    /// Whether another request may come, of so many that may wait for their replies.
    pub fn takes_requests(&self, outstanding_max: usize) -> bool {
        match &self.phase {
            Phase::Open(pipeline) => pipeline.has_room(outstanding_max),
            Phase::Asking | Phase::Opening | Phase::Closed => false,
            Phase::New => true,
        }
    }

    /// Whether no request waits for its reply.
    pub fn is_idle(&self) -> bool {
        if let Phase::Open(pipeline) = &self.phase { pipeline.outstanding() == 0 } else { true }
    }

    /// The bytes that are held for it.
    pub fn usage(&self) -> Usage {
        let requests = if let Phase::Open(pipeline) = &self.phase { pipeline.bytes() } else { 0 };
        Usage { accepted: self.input.len() + requests, output: self.output.len() }
    }

    /// The bytes of its output and of the notifications behind it.
    pub fn notified_bytes(&self) -> usize {
        self.output.len() + self.deferred_bytes
    }

    /// For so long nothing was heard or written, because the node stood still.
    pub fn forgive(&mut self, stood_ms: u64) {
        for since in [&mut self.deadline_ms, &mut self.slow_since_ms, &mut self.partial_since_ms] {
            *since = since.map(|since_ms| since_ms + stood_ms);
        }
    }

    /// Some of its output may have been written or made since it was `counted`.
    pub fn note_pace(&mut self, now_ms: u64) {
        let output_bytes = self.output.len();
        if output_bytes == 0 {
            self.slow_since_ms = None;
            give_back(&mut self.output);
        } else if self.slow_since_ms.is_none() || output_bytes < self.counted.output {
            self.slow_since_ms = Some(now_ms);
        }
    }

    /// Some of its input may have come or been taken.
    pub fn note_input(&mut self, now_ms: u64) {
        if self.input.is_empty() {
            give_back(&mut self.input);
        }
        if self.input.is_empty() || !self.is_idle() {
            self.partial_since_ms = None;
        } else {
            self.partial_since_ms.get_or_insert(now_ms);
        }
    }

    /// Sends a reply: a MarshallingError, if its body would be longer than `bytes_max`.
    pub fn reply(&mut self, xid: i32, zxid: i64, result: Result<Reply, ErrorCode>, bytes_max: usize) {
        self.sent += 1;
        self.last_zxid = zxid;
        let too_long = |reply: &Reply| reply.bytes() > bytes_max;
        match result {
            Ok(reply) if too_long(&reply) => {
                let error = Some(ErrorCode::MarshallingError);
                ReplyHeader { xid, zxid, error }.write_frame(&mut self.output);
            }
            Ok(reply) => reply.write_frame(xid, zxid, &mut self.output),
            Err(code) => ReplyHeader { xid, zxid, error: Some(code) }.write_frame(&mut self.output),
        }
    }

    /// Sends a notification of what has happened at a place of a partition, or keeps it until the reply to request `armed_by` has
    /// left, and all that show what was there before. Events of one partition stay in order.
    pub fn notify(
        &mut self,
        (partition, place): (PartitionId, Position),
        kind: EventType,
        path: &Arc<str>,
        zxid: Zxid,
        armed_by: u64,
    ) {
        let Phase::Open(pipeline) = &self.phase else { return };
        let event = WatcherEvent { kind, state: KeeperState::SyncConnected, path: path.clone() };
        let after = pipeline.shows_before(partition, place).map_or(armed_by, |last| last.max(armed_by));
        let earlier = self.deferred.iter().rev().find(|deferred| deferred.partition == partition);
        let after = earlier.map_or(after, |earlier| earlier.after.max(after));
        if earlier.is_some() || after >= pipeline.base() {
            self.deferred_bytes += event.path.len();
            EVENT_WAITS.reached();
            self.deferred.push_back(Deferred { after, partition, zxid, event });
        } else {
            self.send_event(zxid, &event);
        }
    }

    /// The last zxid before all that has happened and is not told yet: a client that loses its connection now must be told of it
    /// when it comes back.
    pub fn told_up_to(&self) -> Option<Zxid> {
        self.deferred.iter().map(|deferred| deferred.zxid.before()).min()
    }

    /// Sends the notifications whose replies have left.
    pub fn send_deferred(&mut self) {
        let Phase::Open(pipeline) = &self.phase else { return };
        let base = pipeline.base();
        for deferred in std::mem::take(&mut self.deferred) {
            if deferred.after < base {
                self.deferred_bytes -= deferred.event.path.len();
                self.send_event(deferred.zxid, &deferred.event);
            } else {
                self.deferred.push_back(deferred);
            }
        }
    }

    /// Hears no more, and is closed once the output is written.
    pub fn close(&mut self, now_ms: u64) {
        self.phase = Phase::Closed;
        if !std::mem::replace(&mut self.closing, true) {
            self.deadline_ms = Some(now_ms + LINGER_MS);
        }
        self.deferred = VecDeque::new();
        self.deferred_bytes = 0;
        self.input = BytesMut::new();
    }

    fn send_event(&mut self, zxid: Zxid, event: &WatcherEvent) {
        self.sent += 1;
        if let Phase::Open(pipeline) = &mut self.phase {
            pipeline.saw(zxid);
        }
        event.write_frame(zxid.to_wire(), &mut self.output);
    }
}

/// Frees the memory of an empty buffer that was large once.
fn give_back(buffer: &mut BytesMut) {
    if buffer.capacity() > IDLE_BYTES {
        *buffer = BytesMut::new();
    }
}
