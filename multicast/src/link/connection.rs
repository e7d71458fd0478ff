//! One connection.

use super::channel::Channel;
use super::connection_epoch::ConnectionEpoch;
use super::frame::Inbox;
use super::hello::HELLO_BYTES_MAX;
use super::identity::Identity;
use super::outbox::Outbox;
use super::starts::{Directory, STARTS_BYTES_MAX};
use crate::NodeId;

/// A connection on which nothing was sent for so long gets a heartbeat.
pub const HEARTBEAT_MS: u64 = 1_000;
/// A connection on which nothing came for so long is broken: its peer is dead or cut off. So is, by its peer, one on which
/// this node can write nothing.
pub const SILENCE_MS_MAX: u64 = 5_000;
/// How long both ends may take to introduce themselves.
pub const HANDSHAKE_MS_MAX: u64 = 5_000;

/// One of a pair's channels, seen from this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LaneId {
    pub peer: NodeId,
    pub channel: Channel,
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It was accepted, and whose it is will be said. Once a hello has come this is what it claims.
    Accepted { claimed: Option<LaneId> },
    /// It was accepted, and its hello was taken; the starts of its directory are awaited.
    Greeted { lane: LaneId, epoch: ConnectionEpoch, identity: Identity },
    /// This node dialled and has said hello.
    Dialled { lane: LaneId, epoch: ConnectionEpoch },
    /// This node dialled, and the answer to its hello was taken; the starts of the other end's directory are awaited.
    Recognized { lane: LaneId, epoch: ConnectionEpoch, identity: Identity },
    /// This node was dialled and has answered; the answer's welcome is awaited.
    Answered { lane: LaneId, epoch: ConnectionEpoch, identity: Identity },
    /// Messages pass. Those handed in pass once those above have taken the `Up`, which makes it `open`.
    Up { lane: LaneId, epoch: ConnectionEpoch, since_ms: u64, open: bool },
}

impl Phase {
    /// Whose connection it is, as far as was said.
    pub fn lane(self) -> Option<LaneId> {
        match self {
            Phase::Accepted { claimed } => claimed,
            Phase::Greeted { lane, .. }
            | Phase::Dialled { lane, .. }
            | Phase::Recognized { lane, .. }
            | Phase::Answered { lane, .. }
            | Phase::Up { lane, .. } => Some(lane),
        }
    }
}

/// One connection: what came and was not understood yet, what is to be written, and how far it is.
#[derive(Debug)]
pub(super) struct Connection {
    pub phase: Phase,
    pub inbox: Inbox,
    pub outbox: Outbox,
    /// What the other end has shown of its directory, until its welcome is taken.
    pub shown: Option<Directory>,
    /// Whether the host is to look at its output.
    pub ready: bool,
    begun_ms: u64,
    heard_ms: u64,
}

impl Connection {
    pub fn new(phase: Phase, now_ms: u64) -> Connection {
        Connection {
            phase,
            inbox: Inbox::default(),
            outbox: Outbox::new(now_ms),
            shown: None,
            ready: false,
            begun_ms: now_ms,
            heard_ms: now_ms,
        }
    }

    /// Bytes have come.
    pub fn hear(&mut self, bytes: &[u8], now_ms: u64) {
        self.heard_ms = now_ms;
        self.inbox.push(bytes);
    }

    /// The most bytes a frame may carry: little, before both ends know each other.
    pub fn frame_bytes_max(&self, limit: usize) -> usize {
        match self.phase {
            Phase::Up { .. } => limit,
            Phase::Greeted { .. } | Phase::Recognized { .. } => STARTS_BYTES_MAX,
            Phase::Accepted { .. } | Phase::Dialled { .. } | Phase::Answered { .. } => HELLO_BYTES_MAX,
        }
    }

    /// Whether messages pass.
    pub fn is_up(&self) -> bool {
        matches!(self.phase, Phase::Up { .. })
    }

    /// Whether it was accepted and is not up yet.
    pub fn is_stranger(&self) -> bool {
        matches!(self.phase, Phase::Accepted { .. } | Phase::Greeted { .. } | Phase::Answered { .. })
    }

    /// Whether to give it up.
    pub fn is_overdue(&self, now_ms: u64) -> bool {
        if self.is_up() {
            now_ms - self.heard_ms >= SILENCE_MS_MAX
        } else {
            now_ms - self.begun_ms >= HANDSHAKE_MS_MAX
        }
    }

    /// Whether the peer should be told that this node lives.
    pub fn wants_heartbeat(&self, now_ms: u64) -> bool {
        self.is_up() && self.outbox.idle_ms(now_ms) >= HEARTBEAT_MS
    }
}
