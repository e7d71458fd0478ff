//! Which messages the consensus crate is given.

use super::codec::PaxosMessage;
use super::membership::Membership;
use omnipaxos::ballot_leader_election::Ballot;
use omnipaxos::messages::Message;
use omnipaxos::messages::ballot_leader_election::HeartbeatMsg;
use omnipaxos::messages::sequence_paxos::{AcceptSync, PaxosMsg};
use omnipaxos::util::NodeId as Pid;

/// What this member holds, to judge a message by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) decided: u64,
    pub(super) accepted: u64,
    pub(super) promise: Ballot,
}

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The crate handles it.
    Handle,
    /// It is dropped; a member that keeps to the protocol may have sent it.
    Drop,
    /// No member sends it.
    Forged(&'static str),
}

/// Judges a message that came over the link from member `from`. The crate believes every number it is given: pids index
/// vectors, and a decided index is taken as it is.
pub(super) fn judge(membership: &Membership, from: Pid, held: Held, message: &PaxosMessage) -> Verdict {
    if message.get_sender() != from {
        return Verdict::Forged("a message in another member's name");
    }
    if message.get_receiver() != membership.me() {
        return Verdict::Forged("a message to another member");
    }
    if ballots(message).into_iter().flatten().any(|ballot| !names(membership, ballot)) {
        return Verdict::Forged("a ballot of no member");
    }
    match message {
        Message::SequencePaxos(message) => judge_paxos(from, membership.me(), held, &message.msg),
        Message::BLE(_) => Verdict::Handle,
    }
}

fn judge_paxos<T: omnipaxos::storage::Entry>(
    from: Pid,
    me: Pid,
    held: Held,
    message: &PaxosMsg<T>,
) -> Verdict {
    let led_by_sender = |n: &Ballot| {
        if n.pid == from {
            Verdict::Handle
        } else {
            Verdict::Forged("an order by a member that does not lead")
        }
    };
    match message {
        PaxosMsg::PrepareReq(_) | PaxosMsg::NotAccepted(_) | PaxosMsg::Promise(_) => Verdict::Handle,
        PaxosMsg::Prepare(prepare) => led_by_sender(&prepare.n),
        PaxosMsg::AcceptSync(sync) => match led_by_sender(&sync.n) {
            Verdict::Handle => judge_sync(held, sync),
            forged => forged,
        },
        PaxosMsg::AcceptDecide(accept) => led_by_sender(&accept.n),
        PaxosMsg::Decide(decide) => led_by_sender(&decide.n),
        PaxosMsg::Accepted(accepted) => {
            let is_mine = accepted.n == held.promise && accepted.n.pid == me;
            if is_mine && accepted.accepted_idx as u64 > held.accepted {
                return Verdict::Forged("an accepted index beyond what was proposed");
            }
            Verdict::Handle
        }
        PaxosMsg::ProposalForward(_)
        | PaxosMsg::Compaction(_)
        | PaxosMsg::AcceptStopSign(_)
        | PaxosMsg::ForwardStopSign(_) => Verdict::Drop,
    }
}

/// A synchronization of the ballot promised here joins the log and leaves what is decided; where it does not, the crate
/// would corrupt the log, so it is dropped and asked for again.
fn judge_sync<T: omnipaxos::storage::Entry>(held: Held, sync: &AcceptSync<T>) -> Verdict {
    let (from, length) = (sync.log_sync.sync_idx as u64, sync.log_sync.suffix.len() as u64);
    let Some(end) = from.checked_add(length) else {
        return Verdict::Forged("a synchronization without end");
    };
    if sync.decided_idx as u64 > end {
        return Verdict::Forged("a decided index beyond the log");
    }
    if sync.log_sync.decided_snapshot.is_some() || sync.log_sync.stopsign.is_some() {
        return Verdict::Forged("a snapshot or a stop sign");
    }
    let joins = held.decided <= from && from <= held.accepted;
    if sync.n == held.promise && !joins { Verdict::Drop } else { Verdict::Handle }
}

/// Every ballot a message names.
fn ballots(message: &PaxosMessage) -> [Option<Ballot>; 2] {
    match message {
        Message::BLE(message) => match &message.msg {
            HeartbeatMsg::Request(_) => [None, None],
            HeartbeatMsg::Reply(reply) => [Some(reply.ballot), Some(reply.leader)],
        },
        Message::SequencePaxos(message) => match &message.msg {
            PaxosMsg::PrepareReq(message) => [Some(message.n), None],
            PaxosMsg::Prepare(message) => [Some(message.n), Some(message.n_accepted)],
            PaxosMsg::Promise(message) => [Some(message.n), Some(message.n_accepted)],
            PaxosMsg::AcceptSync(message) => [Some(message.n), None],
            PaxosMsg::AcceptDecide(message) => [Some(message.n), None],
            PaxosMsg::Accepted(message) => [Some(message.n), None],
            PaxosMsg::NotAccepted(message) => [Some(message.n), None],
            PaxosMsg::Decide(message) => [Some(message.n), None],
            PaxosMsg::ProposalForward(_)
            | PaxosMsg::Compaction(_)
            | PaxosMsg::AcceptStopSign(_)
            | PaxosMsg::ForwardStopSign(_) => [None, None],
        },
    }
}

/// A member's ballot, or the one that says none was promised.
fn names(membership: &Membership, ballot: Ballot) -> bool {
    ballot == Ballot::default() || membership.contains(ballot.pid)
}
