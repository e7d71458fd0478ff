//! The client table: at-most-once execution, and the order of each client's requests, decided in log order.
//!
//! Two kinds of client submit commands.
//! - A *session* is opened and closed by commands of the service ([`View::open_client`](crate::View::open_client)). Its
//!   requests take effect in the order sent: a partition takes one only as the next of its run or as the first of a later
//!   run. A new run starts when everything before it is answered.
//! - A *node* submits what belongs to no session. Its commands are independent of each other: each is taken once, in any
//!   order. A node needs no opening; its epoch is its incarnation.
//!
//! A repeat is answered from the table, a gap is not taken (its predecessor will be sent again), and an unknown client is
//! refused, never taken for a new one.

use crate::faults::{
    ANSWER_FORGOTTEN_EARLY, CLOSED_CLIENT_TAKEN, EPOCH_NOT_CHECKED, READ_BEFORE_OWN_WRITE, REPEAT_TAKEN,
    STAMP_LOST_ON_MOVE,
};
use crate::kept::KeptAnswers;
use crate::stamp::StampNumber;
use multicast::{ClientId, CommandId};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use thiserror::Error;

/// How often a session has moved, or a node has started.
pub type Epoch = u32;

/// How many requests of one run may be unacknowledged; what comes beyond is not taken.
pub const WINDOW_MAX: u32 = 4_096;

const NODES: u64 = 0xffff << 48;

/// The client that a node is.
pub fn node_client(node: u16) -> ClientId {
    ClientId(NODES | u64::from(node))
}

/// Whether a client is a node.
pub fn is_node(client: ClientId) -> bool {
    client.0 & NODES == NODES
}

/// Why a command was not and will not be executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Error, Serialize, Deserialize)]
pub enum Refusal {
    /// The client is not open at one of the destinations.
    #[error("the client is not known")]
    UnknownClient,
    /// The client has moved on to a later epoch.
    #[error("the client has moved")]
    OldEpoch,
    /// The bytes are no command of this service.
    #[error("the command cannot be read")]
    Malformed,
    /// The node has too much in flight, or there is no such partition.
    #[error("the command cannot be submitted")]
    Unsubmitted,
    /// The values that one partition would send to others are too large.
    #[error("the command reads more than one partition may send to another")]
    TooLarge,
    /// The command was executed, and its answer is no longer kept: too many were given since.
    #[error("the command was executed, and its answer is no longer kept")]
    Forgotten,
}

/// What a partition makes of a delivered envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// It is the next one.
    Taken,
    /// It was taken before.
    Repeat,
    /// Its predecessor is missing.
    Gap,
    /// It never will be taken.
    Refused(Refusal),
}

/// The answer to a command that a partition has taken, as far as it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kept<A> {
    /// The command is not complete.
    Unfinished,
    /// The answer.
    Answer(A),
    /// Too many others were given since.
    Dropped,
}

#[derive(Debug)]
struct Session<A> {
    epoch: Epoch,
    run: u32,
    /// The request of `run` that is taken next.
    next: u32,
    /// The answers of the run's last requests, those from `next - answers.len()` on.
    answers: VecDeque<Kept<A>>,
    /// The greatest stamp that a command of the session had here.
    stamp: StampNumber,
}

impl<A> Session<A> {
    fn new(epoch: Epoch, stamp: StampNumber) -> Session<A> {
        Session { epoch, run: 0, next: 0, answers: VecDeque::new(), stamp }
    }

    fn judge(&mut self, id: CommandId, acknowledged: u64) -> Verdict {
        if id.run > self.run && id.i == 0 {
            (self.run, self.next) = (id.run, 0);
            self.answers.clear();
        }
        if id.run < self.run || (id.run == self.run && id.i < self.next) {
            return if REPEAT_TAKEN.is_planted() { Verdict::Taken } else { Verdict::Repeat };
        }
        if id.run > self.run || id.i > self.next {
            return Verdict::Gap;
        }
        self.forget(acknowledged);
        if self.answers.len() as u32 >= WINDOW_MAX {
            return Verdict::Gap;
        }
        self.next += 1;
        self.answers.push_back(Kept::Unfinished);
        Verdict::Taken
    }

    fn forget(&mut self, acknowledged: u64) {
        let first = u64::from(self.next) - self.answers.len() as u64;
        let gone = no_more_repeated(acknowledged).saturating_sub(first).min(self.answers.len() as u64);
        self.answers.drain(..gone as usize);
    }

    fn answer(&mut self, id: CommandId) -> Option<&mut Kept<A>> {
        let first = self.next - self.answers.len() as u32;
        let place = id.i.checked_sub(first)?;
        if id.run == self.run { self.answers.get_mut(place as usize) } else { None }
    }
}

/// The number of the first request that may still be sent again: the first that is not acknowledged.
fn no_more_repeated(acknowledged: u64) -> u64 {
    acknowledged + u64::from(ANSWER_FORGOTTEN_EARLY.is_planted())
}

#[derive(Debug)]
struct Node<A> {
    epoch: Epoch,
    acknowledged: u64,
    answers: BTreeMap<u64, Kept<A>>,
}

impl<A> Node<A> {
    fn judge(&mut self, id: CommandId, acknowledged: u64) -> Verdict {
        if acknowledged > self.acknowledged {
            self.acknowledged = acknowledged;
            self.answers = self.answers.split_off(&acknowledged);
        }
        let number = sequence_number(id);
        if number < self.acknowledged || self.answers.contains_key(&number) {
            return Verdict::Repeat;
        }
        self.answers.insert(number, Kept::Unfinished);
        Verdict::Taken
    }
}

/// A node's commands are numbered through: `run` holds the high half, `i` the low half.
pub(crate) fn sequence_number(id: CommandId) -> u64 {
    (u64::from(id.run) << 32) | u64::from(id.i)
}

/// One partition's table of the clients it knows. `A` is a command's answer.
#[derive(Debug)]
pub struct Clients<A> {
    sessions: FxHashMap<ClientId, Session<A>>,
    nodes: BTreeMap<ClientId, Node<A>>,
    kept: KeptAnswers,
}

impl<A: Clone> Default for Clients<A> {
    fn default() -> Clients<A> {
        Clients { sessions: FxHashMap::default(), nodes: BTreeMap::new(), kept: KeptAnswers::default() }
    }
}

impl<A: Clone> Clients<A> {
    /// Keeps so many bytes of answers at most: for tests. Alike at all replicas.
    pub fn limit_kept(&mut self, bytes_max: usize) {
        self.kept.limit(bytes_max);
    }

    /// Opens a session in `epoch`; what it sent in earlier epochs is refused from here on.
    pub fn open(&mut self, client: ClientId, epoch: Epoch) {
        assert!(!is_node(client), "nodes need no opening");
        let known = self.sessions.get(&client).map(|session| (session.epoch, session.stamp));
        let stamp = known.filter(|_| !STAMP_LOST_ON_MOVE.is_planted());
        let stamp = stamp.map_or(StampNumber::default(), |(_, stamp)| stamp);
        if known.is_none_or(|(known, _)| known < epoch) {
            self.sessions.insert(client, Session::new(epoch, stamp));
        }
    }

    /// The greatest stamp that a command of the session had here; its next one gets a greater one.
    pub fn stamp(&self, client: ClientId) -> StampNumber {
        self.sessions.get(&client).map_or(StampNumber::default(), |session| session.stamp)
    }

    /// A command of the session had this stamp.
    pub fn stamped(&mut self, client: ClientId, stamp: StampNumber) {
        if let Some(session) = self.sessions.get_mut(&client) {
            session.stamp = session.stamp.max(stamp);
        }
    }

    /// Closes a session: nothing of it is taken any more.
    pub fn close(&mut self, client: ClientId) {
        if !CLOSED_CLIENT_TAKEN.is_planted() {
            self.sessions.remove(&client);
        }
    }

    /// Whether a read of this place may be executed: the session's requests before it are complete. A refusal if the session is
    /// not open here, or in another epoch.
    pub fn has_reached(&self, place: CommandId) -> Result<bool, Refusal> {
        match self.sessions.get(&place.client) {
            Some(session) if session.epoch == place.epoch || EPOCH_NOT_CHECKED.is_planted() => {
                let reached = (session.run, session.next) >= (place.run, place.i);
                Ok(reached || place.i == 0 || READ_BEFORE_OWN_WRITE.is_planted())
            }
            Some(session) if session.epoch > place.epoch => Err(Refusal::OldEpoch),
            _ => Err(Refusal::UnknownClient),
        }
    }

    /// Decides on a delivered envelope, and marks it if it is taken. `acknowledged` is the number of the client's first
    /// request, in the run, that may still be sent again.
    pub fn judge(&mut self, id: CommandId, acknowledged: u64) -> Verdict {
        if is_node(id.client) {
            return self.judge_node(id, acknowledged);
        }
        match self.sessions.get_mut(&id.client) {
            Some(session) if session.epoch == id.epoch || EPOCH_NOT_CHECKED.is_planted() => {
                session.judge(id, acknowledged)
            }
            Some(session) if session.epoch > id.epoch => Verdict::Refused(Refusal::OldEpoch),
            _ => Verdict::Refused(Refusal::UnknownClient),
        }
    }

    fn judge_node(&mut self, id: CommandId, acknowledged: u64) -> Verdict {
        let fresh = || Node { epoch: id.epoch, acknowledged, answers: BTreeMap::new() };
        let node = self.nodes.entry(id.client).or_insert_with(fresh);
        if node.epoch > id.epoch {
            return Verdict::Refused(Refusal::OldEpoch);
        }
        if node.epoch < id.epoch {
            *node = fresh();
        }
        node.judge(id, acknowledged)
    }

    /// Keeps the answer of a command that was taken, of so many bytes, until the client acknowledges it or [too
    /// many others](crate::kept) were given.
    pub fn answered(&mut self, id: CommandId, answer: A, bytes: usize) {
        let Some(kept) = self.answer(id) else { return };
        *kept = Kept::Answer(answer);
        self.kept.put(id, bytes);
        while let Some(oldest) = self.kept.overflow() {
            if let Some(kept) = self.answer(oldest) {
                *kept = Kept::Dropped;
            }
        }
    }

    /// The answer to a repeat, as far as there is one; nothing once it was acknowledged.
    pub(crate) fn repeat(&mut self, id: CommandId) -> Option<Kept<A>> {
        self.answer(id).cloned()
    }

    /// How many clients are known.
    pub fn len(&self) -> usize {
        self.sessions.len() + self.nodes.len()
    }

    fn answer(&mut self, id: CommandId) -> Option<&mut Kept<A>> {
        if is_node(id.client) {
            let node = self.nodes.get_mut(&id.client).filter(|node| node.epoch == id.epoch)?;
            return node.answers.get_mut(&sequence_number(id));
        }
        self.sessions.get_mut(&id.client).filter(|session| session.epoch == id.epoch)?.answer(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: ClientId = ClientId(5);

    fn id(epoch: Epoch, run: u32, i: u32) -> CommandId {
        CommandId { client: CLIENT, epoch, run, i }
    }

    fn opened() -> Clients<&'static str> {
        let mut clients = Clients::default();
        clients.open(CLIENT, 1);
        clients
    }

    #[test]
    fn a_run_is_taken_in_order_and_once() {
        let mut clients = opened();
        assert_eq!(clients.judge(id(1, 1, 1), 0), Verdict::Gap, "its predecessor is missing");
        assert_eq!(clients.judge(id(1, 1, 0), 0), Verdict::Taken);
        assert_eq!(clients.judge(id(1, 1, 0), 0), Verdict::Repeat);
        assert_eq!(clients.repeat(id(1, 1, 0)), Some(Kept::Unfinished));
        clients.answered(id(1, 1, 0), "done", 4);
        assert_eq!(clients.repeat(id(1, 1, 0)), Some(Kept::Answer("done")));
        assert_eq!(clients.judge(id(1, 1, 1), 1), Verdict::Taken);
        assert_eq!(clients.repeat(id(1, 1, 0)), None, "it was acknowledged");
        assert_eq!(clients.judge(id(1, 2, 0), 0), Verdict::Taken, "a later run");
        assert_eq!(clients.judge(id(1, 1, 2), 0), Verdict::Repeat, "an earlier run is over");
    }

    #[test]
    fn unknown_moved_and_closed_clients_are_refused() {
        let mut clients = opened();
        let stranger = CommandId { client: ClientId(6), ..id(1, 1, 0) };
        assert_eq!(clients.judge(stranger, 0), Verdict::Refused(Refusal::UnknownClient));
        clients.open(CLIENT, 2);
        assert_eq!(clients.judge(id(1, 1, 0), 0), Verdict::Refused(Refusal::OldEpoch));
        assert_eq!(clients.judge(id(2, 1, 0), 0), Verdict::Taken);
        clients.open(CLIENT, 2);
        assert_eq!(
            clients.judge(id(2, 1, 0), 0),
            Verdict::Repeat,
            "opened again in the same epoch changes nothing"
        );
        clients.close(CLIENT);
        assert_eq!(clients.judge(id(2, 1, 1), 0), Verdict::Refused(Refusal::UnknownClient));
    }

    #[test]
    fn a_window_is_bounded() {
        let mut clients = opened();
        for i in 0..WINDOW_MAX {
            assert_eq!(clients.judge(id(1, 1, i), 0), Verdict::Taken);
        }
        assert_eq!(clients.judge(id(1, 1, WINDOW_MAX), 0), Verdict::Gap);
        assert_eq!(clients.judge(id(1, 1, WINDOW_MAX), 1), Verdict::Taken);
    }

    #[test]
    fn a_nodes_commands_are_taken_once_in_any_order() {
        let mut clients: Clients<&str> = Clients::default();
        let node = |epoch, i| CommandId { client: node_client(3), epoch, run: 0, i };
        assert_eq!(clients.judge(node(1, 4), 2), Verdict::Taken);
        assert_eq!(clients.judge(node(1, 2), 2), Verdict::Taken);
        assert_eq!(clients.judge(node(1, 4), 2), Verdict::Repeat);
        assert_eq!(clients.judge(node(1, 1), 2), Verdict::Repeat, "acknowledged before");
        clients.answered(node(1, 4), "four", 4);
        assert_eq!(clients.repeat(node(1, 4)), Some(Kept::Answer("four")));
        assert_eq!(clients.judge(node(2, 0), 0), Verdict::Taken, "a new incarnation starts afresh");
        assert_eq!(clients.judge(node(1, 9), 2), Verdict::Refused(Refusal::OldEpoch));
    }

    /// One client is idle, and one is not.
    #[test]
    fn the_answers_that_were_given_last_are_kept() {
        use crate::kept::ANSWER_BYTES;
        let mut clients = opened();
        clients.limit_kept(4 * ANSWER_BYTES);
        let node = |i| CommandId { client: node_client(3), epoch: 1, run: 0, i };
        for i in 0..2 {
            assert_eq!(clients.judge(id(1, 1, i), 0), Verdict::Taken);
            clients.answered(id(1, 1, i), "idle", 0);
        }
        let mut give = |i, bytes| {
            assert_eq!(clients.judge(node(i), u64::from(i)), Verdict::Taken);
            clients.answered(node(i), "busy", bytes);
            [id(1, 1, 0), id(1, 1, 1), node(i)].map(|id| clients.repeat(id))
        };
        let (idle, busy) = (Some(Kept::Answer("idle")), Some(Kept::Answer("busy")));
        assert_eq!(give(0, ANSWER_BYTES), [idle.clone(), idle.clone(), busy.clone()], "at the bound");
        assert_eq!(give(1, 0), [Some(Kept::Dropped), idle, busy.clone()], "beyond it");
        assert_eq!(
            give(2, 100 * ANSWER_BYTES),
            [Some(Kept::Dropped), Some(Kept::Dropped), busy],
            "one alone is kept"
        );
    }
}
