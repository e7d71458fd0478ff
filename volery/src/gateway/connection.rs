//! One client's connection.

use crate::acl::Caller;
use crate::gateway::pipeline::Pipeline;
use crate::wire::{ErrorCode, EventType, KeeperState, OpCode, Reply, ReplyHeader, WatcherEvent};
use crate::zxid::Zxid;
use bytes::BytesMut;
use eyrie::PartitionId;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

/// How many bytes may wait to be written to one connection; it is closed beyond, for its client does not read.
pub const OUTPUT_BYTES_MAX: usize = 64 << 20;
/// A connection with more output than this is neither read nor replied to until some of it is written.
pub const OUTPUT_BYTES_PAUSE: usize = 1 << 20;
/// How long a connection may take to its handshake.
pub const HANDSHAKE_MS: u64 = 10_000;
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
    Open(Pipeline),
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
    /// When it is ended if it is not further by then, in the gateway's time.
    pub deadline_ms: Option<u64>,
    /// Whether something has changed for it that is settled at the end of the turn.
    pub unsettled: bool,
    /// Whether the host is to look at its output.
    pub ready: bool,
    deferred: VecDeque<Deferred>,
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
            deadline_ms: None,
            unsettled: false,
            ready: false,
            deferred: VecDeque::new(),
        }
    }

    /// The pipeline, once there is a session.
    pub fn pipeline(&mut self) -> Option<&mut Pipeline> {
        if let Phase::Open(pipeline) = &mut self.phase { Some(pipeline) } else { None }
    }

    /// Whether more bytes are wanted.
    pub fn reading(&self) -> bool {
        let room = match &self.phase {
            Phase::Open(pipeline) => pipeline.has_room(),
            Phase::Asking | Phase::Opening | Phase::Closed => false,
            Phase::New => true,
        };
        room && !self.is_full()
    }

    /// Whether its client should read first.
    pub fn is_full(&self) -> bool {
        self.output.len() >= OUTPUT_BYTES_PAUSE
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

    /// Sends a notification, or keeps it until the reply to request `armed_by` has left. Events of one partition stay in
    /// order.
    pub fn notify(
        &mut self,
        partition: PartitionId,
        kind: EventType,
        path: &Arc<str>,
        zxid: Zxid,
        armed_by: u64,
    ) {
        let Phase::Open(pipeline) = &self.phase else { return };
        let event = WatcherEvent { kind, state: KeeperState::SyncConnected, path: path.clone() };
        let earlier = self.deferred.iter().rev().find(|deferred| deferred.partition == partition);
        let after = earlier.map_or(armed_by, |earlier| earlier.after.max(armed_by));
        if earlier.is_some() || armed_by >= pipeline.base() {
            self.deferred.push_back(Deferred { after, partition, zxid, event });
        } else {
            self.send_event(zxid, &event);
        }
    }

    /// Sends the notifications whose replies have left.
    pub fn send_deferred(&mut self) {
        let Phase::Open(pipeline) = &self.phase else { return };
        let base = pipeline.base();
        for deferred in std::mem::take(&mut self.deferred) {
            if deferred.after < base {
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
        self.deferred.clear();
    }

    fn send_event(&mut self, zxid: Zxid, event: &WatcherEvent) {
        self.sent += 1;
        if let Phase::Open(pipeline) = &mut self.phase {
            pipeline.saw(zxid);
        }
        event.write_frame(zxid.to_wire(), &mut self.output);
    }
}
