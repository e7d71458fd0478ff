//! Reads off the log: commands that change nothing, at one replica, at a moment of its choice.
//!
//! A read has a *place* in its session's order, beside the commands: it comes behind the session's request before that of its
//! place, and before that one. It is executed as soon as
//!
//! - everything is complete here that was decided anywhere when it arrived, by the ring's read index
//!   ([`Multicast::ask`](multicast::Multicast::ask)); and
//! - the session's requests before it are complete here.
//!
//! At the latest that is just before the session's next request executes, whatever the index: that request was submitted when
//! the read had arrived, so what had been decided then is before it in the log.
//!
//! # Why that is linearizable, beside commands of several partitions too
//!
//! A read stands in its partition's sequence behind the last command that was complete at its replica. Say that a command
//! *precedes* another if it comes before it in the sequence of some partition, or was answered before the other was submitted.
//!
//! - *Lemma.* When a command is complete at any replica, whatever precedes it is decided in all its partitions. In a partition's
//!   sequence: all that the command addresses have signalled it, so it was ready there, so what is before it there is complete
//!   there, so all that *that* addresses have signalled it, and a replica signals only what was decided. In real time: what was
//!   answered was complete. And so on, step by step.
//! - What was answered before the read arrived is seen by it: it was decided in this partition, hence lies below the index.
//! - What was submitted after the read was answered is not seen by it.
//! - A read that arrives after another was answered, in the same partition or elsewhere, stands before nothing that the other has
//!   seen, nor before what precedes that: by the lemma all of it was decided, so it lies below the later read's index.
//!
//! So the order of commands, which has no cycle, has none with the reads put in their places. That a command was *delivered* is not
//! enough for the last point: between delivery and completion a read would see less than another has seen elsewhere.
//!
//! Nothing of a read is replicated, and nothing that is replicated depends on one.
//!
//! # From another node
//!
//! A node without a replica of the partition asks one that has one ([`Enquiries`](crate::enquiry::Enquiries)). The read
//! arrives there and is executed as any other. The session's next command waits until its reads at other nodes are answered, so
//! that none of them can be overtaken.

use crate::branches::LAST_MOMENT;
use crate::service::StateMachine;
use multicast::{ClientId, CommandId, NodeId, PartitionId, Position};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// The submitter of a read, and the number by which it knows the read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Asker {
    /// The front of this node.
    Front(u64),
    /// Another node.
    Node(NodeId, u64),
}

/// A read that a front asks for.
pub struct Read<S: StateMachine> {
    /// The partition that it reads from.
    pub partition: PartitionId,
    /// Its place: the request of this session that it comes before, submitted or not.
    pub place: CommandId,
    /// The submitter.
    pub asker: Asker,
    /// What it executes: it reads variables of that partition, and writes none.
    pub command: S::Command,
}

struct Waiting<S: StateMachine> {
    read: Read<S>,
    question: u64,
}

/// The reads that wait at one replica.
///
/// Invariants:
/// - questions ascend along `answered` and along each session's reads.
/// - no session has an empty queue.
pub struct Reads<S: StateMachine> {
    /// By session, in its order.
    waiting: BTreeMap<ClientId, VecDeque<Waiting<S>>>,
    /// Questions answered, and the place that must be complete for each.
    answered: VecDeque<(u64, Position)>,
    /// The last question for whose answer everything is complete.
    reached: u64,
}

impl<S: StateMachine> Default for Reads<S> {
    fn default() -> Reads<S> {
        Reads { waiting: BTreeMap::new(), answered: VecDeque::new(), reached: 0 }
    }
}

impl<S: StateMachine> Reads<S> {
    /// A read has arrived; this question was asked after that.
    pub fn put(&mut self, read: Read<S>, question: u64) {
        self.waiting.entry(read.place.client).or_default().push_back(Waiting { read, question });
    }

    /// A question is answered: what is delivered ends here.
    pub fn answer(&mut self, question: u64, delivered: Position) {
        self.answered.push_back((question, delivered));
    }

    /// Everything up to a place is complete. Says whether that answers a question.
    pub fn complete(&mut self, place: Position) -> bool {
        let before = self.reached;
        while let Some((question, _)) = self.answered.front().filter(|(_, needed)| *needed <= place) {
            self.reached = *question;
            self.answered.pop_front();
        }
        self.reached > before
    }

    /// Forgets what these read: nobody waits for it.
    pub fn forget(&mut self, gone: impl Fn(&Read<S>) -> bool) {
        self.waiting.values_mut().for_each(|reads| reads.retain(|waiting| !gone(&waiting.read)));
        self.waiting.retain(|_, reads| !reads.is_empty());
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The sessions that have something to read.
    pub fn sessions(&self) -> Vec<ClientId> {
        self.waiting.keys().copied().collect()
    }

    /// A session's next read, if the index has been reached and the session's requests before it are complete; or if
    /// it comes before `next`, which is about to be executed.
    pub fn take(
        &mut self,
        session: ClientId,
        next: Option<CommandId>,
        is_next_in_order: impl Fn(CommandId) -> bool,
    ) -> Option<Read<S>> {
        let reads = self.waiting.get_mut(&session)?;
        let first = reads.front()?;
        let is_last_moment = next.is_some_and(|next| comes_before(first.read.place, next));
        let is_reached = first.question <= self.reached;
        let is_free = is_reached || is_last_moment;
        let read = if is_free && is_next_in_order(first.read.place) { reads.pop_front() } else { None };
        if read.is_some() && !is_reached {
            LAST_MOMENT.reached();
        }
        if reads.is_empty() {
            self.waiting.remove(&session);
        }
        read.map(|waiting| waiting.read)
    }

    /// Panics unless the invariants hold.
    pub fn check_invariants(&self) {
        assert!(self.waiting.values().all(|reads| !reads.is_empty()), "a session without reads waits");
        let mut questions = self.answered.iter().zip(self.answered.iter().skip(1));
        assert!(questions.all(|(earlier, later)| earlier.0 < later.0 && earlier.1 <= later.1));
        assert!(self.answered.iter().all(|(question, _)| *question > self.reached));
    }
}

/// Whether a read of this place comes before a request of the same session.
fn comes_before(place: CommandId, next: CommandId) -> bool {
    (place.epoch, place.run, place.i) <= (next.epoch, next.run, next.i)
}
