//! How a replica executes reads, beside its commands: see [`crate::read`] for when it may.

use super::{Delivered, Output, Replica};
use crate::answer::Outcome;
use crate::branches::READ_BEHIND_DELIVERED;
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

    /// The head is complete: reads may go on that waited for it.
    pub(super) fn read_behind(&mut self, head: &Delivered<S>) {
        if self.reads.complete(head.position) {
            self.read_all();
        } else {
            self.read_for(head.id.client, None);
        }
    }

    fn read_all(&mut self) {
        self.reads.complete(self.completed.0);
        for session in self.reads.sessions() {
            self.read_for(session, None);
        }
    }

    /// Executes what a session may read now, `next` being its request that is about to be executed, if one is.
    pub(super) fn read_for(&mut self, session: ClientId, next: Option<CommandId>) {
        while !self.reads.is_empty() {
            let clients = &self.clients;
            let in_order = |place| clients.has_reached(place).unwrap_or(true);
            let Some(read) = self.reads.take(session, next, in_order) else { return };
            self.execute_read(read);
        }
    }

    fn execute_read(&mut self, read: Read<S>) {
        let outcome = match self.clients.has_reached(read.place) {
            Ok(_) => self.look(&read),
            Err(refusal) => Outcome::Refused(refusal),
        };
        let answer = self.answer_at(self.completed, None, read.place, outcome);
        self.outputs.push_back(Output::Read(read.asker, answer));
    }

    /// Executes a command that changes nothing.
    fn look(&mut self, read: &Read<S>) -> Outcome<S> {
        let CommandId { client, epoch, .. } = read.place;
        self.effects.clear();
        let mut view = View {
            variables: &self.variables,
            oracle: self.oracle.as_ref(),
            partition: self.partition,
            origin: Origin { client, epoch, destinations: self.partition.into() },
            stamp: self.completed.1,
            effects: &mut self.effects,
            remote: None,
        };
        let result = S::execute(&read.command, &mut view);
        assert!(self.effects.are_none(), "a read has changed something");
        self.counts.read += 1;
        match result {
            Ok(reply) => Outcome::Reply(reply),
            Err(Interrupt::Retry { needed }) => Outcome::Retry(needed),
            Err(Interrupt::Missing) => unreachable!("a read is of one partition"),
        }
    }
}
