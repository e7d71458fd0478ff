//! How a replica executes reads, beside its commands: see [`crate::read`] for when it may.

use super::{Delivered, Output, Replica};
use crate::answer::Outcome;
use crate::branches::{READ_BEHIND_DELIVERED, READ_HELD, READ_PAUSED};
use crate::faults::READ_AT_DELIVERY;
use crate::read::Read;
use crate::service::StateMachine;
use crate::view::{Interrupt, Origin, View};
use multicast::{ClientId, CommandId};

impl<S: StateMachine> Replica<S> {
    /// Takes in a read; this question for the read index was asked after it had arrived.
    pub fn read(&mut self, read: Read<S>, question: u64) {
        assert_eq!(read.partition, self.partition, "a read of another partition");
        self.reads.put(read, question);
    }

    /// Forgets reads that nobody waits for.
    pub fn forget_reads(&mut self, gone: impl Fn(&Read<S>) -> bool) {
        if self.reading.take_if(|read| gone(read)).is_some() {
            self.looking.clear();
        }
        self.reads.forget(gone);
    }

    /// A question for the read index is answered, and everything up to there is delivered.
    pub fn answer_reads(&mut self, question: u64) {
        let undelivered = self.queue.back().filter(|_| !READ_AT_DELIVERY.is_planted());
        if undelivered.is_some() {
            READ_BEHIND_DELIVERED.reached();
        }
        let delivered = undelivered.map_or(self.completed.0, |last| last.position);
        self.reads.answer(question, delivered);
        self.read_all();
    }

    /// Goes on with the read that has paused, and with those behind it.
    pub(super) fn go_on_reading(&mut self) {
        if let Some(read) = self.reading.take() {
            self.execute_read(read);
        }
        if self.reads_left {
            self.read_all();
        }
    }

    /// The head is complete: reads may go on that waited for it.
    pub(super) fn read_behind(&mut self, head: &Delivered<S>) {
        if self.reads.complete(head.position) || self.reads_left {
            self.read_all();
        } else {
            self.read_for(head.id.client, None);
        }
    }

    fn read_all(&mut self) {
        self.reads.complete(self.completed.0);
        self.reads_left = !self.reads.sessions().into_iter().all(|session| self.read_for(session, None));
    }

    /// Executes what a session may read now, `next` being its request that is about to be executed, if one is. Says whether it has
    /// come to the end of that: the rest is for the next turn.
    pub(super) fn read_for(&mut self, session: ClientId, next: Option<CommandId>) -> bool {
        while !self.reads.is_empty() {
            if self.holds_reads() {
                READ_HELD.reached();
                return false;
            }
            if self.is_spent() || self.reading.is_some() {
                self.reads_left = true;
                return false;
            }
            let clients = &self.clients;
            let in_order = |place| clients.has_reached(place).unwrap_or(true);
            let Some(read) = self.reads.take(session, next, in_order) else { return true };
            self.execute_read(read);
        }
        self.reading.is_none()
    }

    /// Executes a read; one that pauses goes on in the next turn.
    fn execute_read(&mut self, read: Read<S>) {
        let outcome = match self.clients.has_reached(read.place) {
            Ok(_) => self.look(&read),
            Err(refusal) => Some(Outcome::Refused(refusal)),
        };
        let Some(outcome) = outcome else {
            READ_PAUSED.reached();
            self.counts.paused += 1;
            self.reading = Some(read);
            return;
        };
        let answer = self.answer_at(self.completed, None, read.place, outcome);
        self.outputs.push_back(Output::Read(read.asker, answer));
    }

    /// Executes a command that changes nothing, from where it has paused; `None` if it pauses.
    fn look(&mut self, read: &Read<S>) -> Option<Outcome<S>> {
        loop {
            let result = self.look_slice(read);
            assert!(self.looking.are_none(), "a read has changed something");
            let outcome = match result {
                Err(Interrupt::Paused) if self.is_spent() => return None,
                Err(Interrupt::Paused) => continue,
                Ok(reply) => Outcome::Reply(reply),
                Err(Interrupt::Retry { needed }) => Outcome::Retry(needed),
                Err(Interrupt::Missing) => unreachable!("a read is of one partition"),
            };
            self.counts.read += 1;
            return Some(outcome);
        }
    }

    fn look_slice(&mut self, read: &Read<S>) -> Result<S::Reply, Interrupt> {
        let CommandId { client, epoch, .. } = read.place;
        if self.looking.kept.is_none() {
            self.looking.clear();
        }
        let mut view = View {
            variables: &self.variables,
            oracle: self.oracle.as_ref(),
            partition: self.partition,
            origin: Origin { client, epoch, destinations: self.partition.into() },
            stamp: self.completed.1,
            effects: &mut self.looking,
            remote: None,
            steps: self.steps.left(),
            has_begun: false,
        };
        let result = S::execute(&read.command, &mut view);
        self.steps.take(1 + std::mem::take(&mut self.looking.steps));
        self.looking.drop_kept_unless_paused(&result);
        result
    }
}
