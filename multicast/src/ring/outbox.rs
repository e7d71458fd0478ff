//! When a message may leave.

use super::Outgoing;
use super::codec::{PaxosMessage, encode_message};
use super::fragment::{WHOLE_HEAD, frames};
use super::membership::Membership;
use crate::NodeId;
use crate::faults::SEND_BEFORE_SYNC;
use crate::log::{LogPosition, SharedLog};
use bytes::Bytes;
use omnipaxos::messages::Message;
use omnipaxos::messages::sequence_paxos::PaxosMsg;
use std::collections::BTreeMap;

/// What a message waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Nothing. It belongs to the election, which has no order with the rest.
    Free,
    /// The messages before it in its stream.
    InOrder,
    /// The log as it is now, because it vouches for it.
    Vouching,
}

/// The class of a message, as the chapter's table says.
pub(super) fn class(message: &PaxosMessage) -> Class {
    let Message::SequencePaxos(message) = message else { return Class::Free };
    match message.msg {
        PaxosMsg::Promise(_) | PaxosMsg::Accepted(_) if SEND_BEFORE_SYNC.is_planted() => Class::InOrder,
        PaxosMsg::Prepare(_) | PaxosMsg::Promise(_) | PaxosMsg::AcceptSync(_) | PaxosMsg::Accepted(_) => {
            Class::Vouching
        }
        PaxosMsg::AcceptDecide(_)
        | PaxosMsg::PrepareReq(_)
        | PaxosMsg::NotAccepted(_)
        | PaxosMsg::Decide(_) => Class::InOrder,
        PaxosMsg::ProposalForward(_)
        | PaxosMsg::Compaction(_)
        | PaxosMsg::AcceptStopSign(_)
        | PaxosMsg::ForwardStopSign(_) => unreachable!("a ring neither forwards, trims nor stops"),
    }
}

/// What a ring wants sent.
///
/// Invariant: of the messages to one peer, those that are not free wait for positions that never fall.
#[derive(Debug)]
pub(super) struct Outbox {
    log: SharedLog,
    queue: Vec<Outgoing>,
    /// What the last message to a peer waits for.
    last: BTreeMap<NodeId, LogPosition>,
}

impl Outbox {
    pub(super) fn new(log: SharedLog) -> Outbox {
        Outbox { log, queue: Vec::new(), last: BTreeMap::new() }
    }

    /// Takes messages that were made before anything else was appended.
    pub(super) fn push(
        &mut self,
        membership: &Membership,
        messages: impl Iterator<Item = PaxosMessage>,
        class: impl Fn(&PaxosMessage) -> Class,
    ) {
        let log = self.log.lock();
        let (appended, durable) = (log.appended(), log.durable());
        drop(log);
        for message in messages {
            let to = membership.node(message.get_receiver());
            let class = class(&message);
            let position = self.position(to, class, appended).filter(|position| *position > durable);
            self.encode(to, &message, position, class == Class::Free);
        }
    }

    /// The messages that have not been drained, to anyone.
    pub(super) fn drain(&mut self, into: &mut Vec<Outgoing>) {
        into.append(&mut self.queue);
    }

    /// Drops what has not been drained to this peer: it belongs to a connection that is over.
    pub(super) fn forget(&mut self, peer: NodeId) {
        self.queue.retain(|outgoing| outgoing.to != peer);
        self.last.remove(&peer);
    }

    /// Drops what has not been drained to this peer: it belongs to a session that is over. What is drained still leaves, and
    /// what comes later leaves behind it.
    pub(super) fn drop_queued(&mut self, peer: NodeId) {
        self.queue.retain(|outgoing| outgoing.to != peer);
    }

    /// Takes a level, which leaves behind the messages of the session before.
    pub(super) fn push_level(&mut self, to: NodeId, message: Bytes) {
        let durable = self.log.lock().durable();
        let after = self.last.get(&to).copied().filter(|position| *position > durable);
        self.queue.push(Outgoing { to, message, after, is_free: false });
    }

    fn position(&mut self, to: NodeId, class: Class, appended: LogPosition) -> Option<LogPosition> {
        match class {
            Class::Free => None,
            Class::InOrder => self.last.get(&to).copied(),
            Class::Vouching => {
                self.last.insert(to, appended);
                Some(appended)
            }
        }
    }

    fn encode(&mut self, to: NodeId, message: &PaxosMessage, after: Option<LogPosition>, is_free: bool) {
        let mut whole = WHOLE_HEAD.to_vec();
        encode_message(message, &mut whole);
        let frames = frames(Bytes::from(whole));
        self.queue.extend(frames.into_iter().map(|message| Outgoing { to, message, after, is_free }));
    }
}
