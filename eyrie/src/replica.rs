//! The replica: one partition's state machine on one node; Algorithm 1 of S-SMR with the rule of readiness.
//!
//! A command is *ready* when every earlier one is complete; it is *complete* when it has executed and a signal has come
//! from every other destination. Signals, values and answers leave only for a command that is ready, respectively
//! complete. Here commands execute one after the other, so the command at the head of the queue is the ready one.
//!
//! Signalling at delivery, as the paper's line 11 does, is linearizable only if delivery never runs ahead of execution;
//! the crate's tests keep the schedule that shows it.

mod reading;
mod slices;
mod splitting;

use crate::answer::{Answer, Outcome};
use crate::branches::{
    ANSWER_DROPPED, GAP, NOT_TAKEN_TOGETHER, OLD_EPOCH, REPEAT_ANSWERED, RETRIED, RUN_AGAIN,
    STAMP_BEYOND_PROPOSAL, STAMP_RAISED, UNKNOWN_CLIENT,
};
use crate::client::{Clients, Kept, Refusal, Verdict};
use crate::codec;
use crate::exchange::{Exchange, Inbox, LETTER_BYTES_MAX, Seen, Signal};
use crate::faults::{
    NO_SIGNAL, OWN_STAMP, PART_AT_DELIVERY, PAST_FORGOTTEN, SEEN_FORGOTTEN, SIGNAL_ON_DELIVERY, VERDICT_KEPT,
};
use crate::read::{Asker, Read, Reads};
use crate::request::Request;
use crate::service::{PartitioningOracle, StateMachine, Variables};
use crate::stamp::{Proposals, Stamp, StampNumber};
use crate::steps::Steps;
use crate::view::{Effects, Interrupt, Origin, Remote, View};
use crate::witness::{Completion, Witness, Witnessed};
use multicast::{CommandId, Delivery, Destinations, NodeId, PartitionId, Position, SharedIndex};
use rustc_hash::FxHashSet;
use serde::{Deserialize, Serialize};
use slices::Applying;
use std::collections::VecDeque;
use std::sync::Arc;

/// How many envelopes may be delivered and not complete; the sequence is not followed beyond.
pub const DELIVERED_MAX: usize = 1_024;

/// What leaves a replica, in order.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound = "")]
pub enum Output<S: StateMachine> {
    /// For the replicas of another partition.
    Exchange(Exchange<S>),
    /// For those who watch this partition: an event of the command at `position`, before its answer.
    Event {
        /// The command's place in the sequence.
        position: Position,
        /// The places of the other partitions that it may depend on.
        seen: Seen,
        /// The event.
        event: S::Event,
    },
    /// For the client.
    Answer(Answer<S>),
    /// For the one that asked for a read.
    Read(Asker, Answer<S>),
    /// This partition's part of the answer to a split read, for the node that it names.
    Part(Answer<S>),
    /// A split read came again, for this node. It is not executed again: if its part is not kept, it is lost.
    PartAgain(NodeId, CommandId),
    /// For those who wait until the partition has passed a place: after the events of the envelope there, before its
    /// answer.
    Passed {
        /// The place.
        position: Position,
        /// The partition's proposal for the envelope: every later command there has a greater stamp.
        proposal: StampNumber,
        /// The stamp of the command, if it was executed; else the proposal.
        stamp: StampNumber,
    },
}

/// Plain counts of what a replica did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplicaCounts {
    /// Envelopes completed, repeats included.
    pub completed: u64,
    /// Executions that ended in a reply.
    pub executed: u64,
    /// Executions that ran again for want of a remote variable.
    pub run_again: u64,
    /// Commands of several partitions.
    pub multi_partition: u64,
    /// Envelopes that were not executed: repeats, gaps, refusals.
    pub not_taken: u64,
    /// Reads off the log.
    pub read: u64,
    /// Split reads that a part of the answer was given for.
    pub parts: u64,
    /// Times that a command or a read waited for the next turn in its midst.
    pub paused: u64,
    /// The most steps taken in one turn.
    pub steps_max: u32,
}

/// An envelope that was delivered here and is not complete.
struct Delivered<S: StateMachine> {
    id: CommandId,
    destinations: Destinations,
    shared: Option<SharedIndex>,
    position: Position,
    proposal: Stamp,
    age_ms: u64,
    request: Option<Request<S>>,
    /// Whether it is a split read.
    is_split: bool,
    /// Whether a part of its answer is to be given.
    gives_part: bool,
}

/// The exchange of the command at the head: it is ready, and waits for the other destinations.
struct Ready<S: StateMachine> {
    /// What the client table said.
    judged: Verdict,
    /// What the signal said.
    verdict: Verdict,
    sent: FxHashSet<S::Key>,
    /// Whether it has executed and lacked a value; it executes again when something has come.
    lacks: bool,
}

/// One partition's state machine on one node. Sans-IO.
///
/// Invariants:
/// - `ready` is there exactly while the head of `queue` addresses several partitions and waits for them.
/// - positions ascend along `queue`.
/// - a command or a read is under way in slices, never both; while one is, nothing else is executed.
pub struct Replica<S: StateMachine> {
    partition: PartitionId,
    oracle: Arc<S::Oracle>,
    variables: S::Variables,
    clients: Clients<Answer<S>>,
    proposals: Proposals,
    inbox: Inbox<S>,
    queue: VecDeque<Delivered<S>>,
    ready: Option<Ready<S>>,
    /// Of the command at the head.
    effects: Effects<S>,
    /// The effects of the command at the head, while they are applied in slices.
    applying: Option<Applying<S>>,
    seen: Seen,
    reads: Reads<S>,
    /// A read that has executed in part, and its effects, of which there are none but what it has kept.
    reading: Option<Read<S>>,
    looking: Effects<S>,
    /// Whether reads may run that wait for the next turn.
    reads_left: bool,
    steps: Steps,
    letter_bytes_max: usize,
    /// The nodes that are given parts of answers; `None` if all are.
    audience: Option<Vec<NodeId>>,
    /// Whether what is delivered was delivered before, by an earlier process of this node.
    replaying: bool,
    /// The last place completed, and what its stamp was.
    completed: (Position, Stamp),
    /// The partition's proposal for the envelope there.
    proposed: StampNumber,
    state_hash: u64,
    counts: ReplicaCounts,
    witness: Witness,
    outputs: VecDeque<Output<S>>,
}

impl<S: StateMachine> Replica<S> {
    /// An empty replica, before the first delivery.
    pub fn new(partition: PartitionId, oracle: Arc<S::Oracle>) -> Replica<S> {
        let seen = vec![Position::default(); usize::from(oracle.partitions())].into();
        Replica {
            partition,
            variables: S::Variables::new(oracle.clone(), partition),
            oracle,
            clients: Clients::default(),
            proposals: Proposals::new(partition),
            inbox: Inbox::default(),
            queue: VecDeque::new(),
            ready: None,
            effects: Effects::default(),
            applying: None,
            seen,
            reads: Reads::default(),
            reading: None,
            looking: Effects::default(),
            reads_left: false,
            steps: Steps::UNLIMITED,
            letter_bytes_max: LETTER_BYTES_MAX,
            audience: None,
            replaying: false,
            completed: (Position::default(), Stamp::default()),
            proposed: StampNumber::default(),
            state_hash: 0,
            counts: ReplicaCounts::default(),
            witness: Witness::default(),
            outputs: VecDeque::new(),
        }
    }

    /// Keeps so many bytes of answers at most: for tests. Alike at all replicas.
    pub fn limit_kept(&mut self, bytes_max: usize) {
        self.clients.limit_kept(bytes_max);
    }

    /// Sends so many bytes of values for a command at most: for tests. Alike at all replicas.
    pub fn limit_letters(&mut self, letter_bytes_max: usize) {
        self.letter_bytes_max = letter_bytes_max;
    }

    /// What happened here since the last call.
    #[cfg(feature = "sim")]
    pub fn take_witnessed(&mut self) -> Vec<Witnessed> {
        self.witness.take()
    }

    /// The partition.
    pub fn partition(&self) -> PartitionId {
        self.partition
    }

    /// Whether another delivery is to be handed in now.
    pub fn wants_delivery(&self) -> bool {
        self.queue.len() < DELIVERED_MAX && !self.is_spent()
    }

    /// Takes in the next delivery of the partition's sequence.
    pub fn deliver(&mut self, delivery: Delivery) {
        assert!(self.queue.len() < DELIVERED_MAX, "a replica holds at most {DELIVERED_MAX} deliveries");
        self.steps.decoded(delivery.envelope.body.len());
        let request = Request::decode(&delivery.envelope.body);
        let request = request.filter(|request: &Request<S>| self.oracle.is_sound(&request.command));
        let floor = request.as_ref().map(|request| request.past.stamp).unwrap_or_default();
        let is_split = delivery.shared.is_some()
            && request.as_ref().is_some_and(|request| S::only_reads(&request.command));
        let delivered = Delivered {
            is_split,
            gives_part: is_split && request.as_ref().is_some_and(|request| self.is_audience(request.origin)),
            id: delivery.envelope.id,
            destinations: delivery.envelope.destinations,
            shared: delivery.shared,
            position: delivery.position,
            proposal: self.proposals.draw(delivery.time_ms, floor),
            age_ms: delivery.age_ms,
            request,
        };
        if SIGNAL_ON_DELIVERY.is_planted() && delivered.shared.is_some() {
            self.signal(&delivered, Verdict::Taken, Vec::new());
        }
        if PART_AT_DELIVERY.is_planted() {
            self.give_part_early(&delivered);
        }
        self.queue.push_back(delivered);
        if self.queue.len() == 1 {
            self.run();
        }
    }

    /// Takes in what another destination sent.
    pub fn exchange(&mut self, message: Exchange<S>) {
        assert_eq!(message.to, self.partition, "an exchange for another partition");
        let awaited = self.queue.front().is_some_and(|head| head.shared == Some(message.command));
        self.inbox.put(message);
        if let Some(ready) = self.ready.as_mut().filter(|_| awaited) {
            ready.lacks = false;
        }
        if awaited {
            self.run();
        }
    }

    /// The next thing that leaves.
    pub fn output(&mut self) -> Option<Output<S>> {
        self.outputs.pop_front()
    }

    /// How far it is: what it has said of the last place, for one who did not hear that. `None` while a command is under way, some
    /// of whose events may be out: it says so of that command when it is complete.
    pub fn passed(&self) -> Option<Output<S>> {
        (!self.is_under_way()).then(|| self.passed_last())
    }

    fn passed_last(&self) -> Output<S> {
        let (position, stamp) = self.completed;
        Output::Passed { position, proposal: self.proposed, stamp: stamp.number }
    }

    /// The partition's variables.
    pub fn variables(&self) -> &S::Variables {
        &self.variables
    }

    /// A hash over all writes, in order: equal at equal places of all replicas.
    pub fn state_hash(&self) -> u64 {
        self.state_hash
    }

    /// The command at the head, if it waits for other destinations.
    pub fn awaits(&self) -> Option<SharedIndex> {
        self.ready.as_ref()?;
        self.queue.front()?.shared
    }

    /// Counts since the start.
    pub fn counts(&self) -> ReplicaCounts {
        self.counts
    }

    /// How many clients the partition knows.
    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    /// Panics unless the invariants hold.
    pub fn check_invariants(&self) {
        let head = self.queue.front();
        assert!(self.ready.is_none() || head.is_some_and(|head| head.shared.is_some()));
        assert!(self.queue.iter().is_sorted_by(|a, b| a.position < b.position));
        assert!(self.reading.is_none() || !self.is_under_way());
        self.inbox.check_invariants();
        self.reads.check_invariants();
    }

    /// Completes commands from the head on, until one must wait, for others or for the next turn.
    fn run(&mut self) {
        while !self.is_spent()
            && self.reading.is_none()
            && let Some(head) = self.queue.pop_front()
        {
            let complete = match (self.applying.take(), head.shared) {
                (Some(applying), _) => self.apply_on(&head, applying),
                (None, None) => self.run_alone(&head),
                (None, Some(command)) => self.run_together(&head, command),
            };
            if !complete {
                self.queue.push_front(head);
                return;
            }
            self.read_behind(&head);
        }
    }

    /// A command of this partition alone.
    fn run_alone(&mut self, head: &Delivered<S>) -> bool {
        if !self.is_under_way() {
            if !self.read_for(head.id.client, Some(head.id)) {
                return false;
            }
            let verdict = self.judge(head);
            if verdict != Verdict::Taken {
                return self.not_taken(head, verdict);
            }
        }
        let stamp = self.stamp_here(head);
        match self.execute(head, stamp, None) {
            Ok(outcome) => self.complete(head, stamp, outcome),
            Err(Interrupt::Paused) => false,
            Err(_) => unreachable!("a command of one partition reads nothing remote"),
        }
    }

    /// The least stamp that the command may have by what is known here: its proposal, or beyond what its session had before.
    /// All that is before it is complete.
    fn stamp_here(&self, head: &Delivered<S>) -> Stamp {
        let before = self.clients.stamp(head.id.client);
        let number = match before < head.proposal.number {
            true => head.proposal.number,
            false => {
                STAMP_BEYOND_PROPOSAL.reached();
                before.above(self.partition)
            }
        };
        Stamp { number, ..head.proposal }
    }

    /// A command of several partitions: it signals once it is ready, and completes once it was signalled.
    fn run_together(&mut self, head: &Delivered<S>, command: SharedIndex) -> bool {
        let mut ready = match self.ready.take() {
            Some(ready) => ready,
            None => self.become_ready(head),
        };
        let complete = self.try_complete(head, command, &mut ready);
        if !complete && self.applying.is_none() {
            self.ready = Some(ready);
        }
        complete
    }

    fn become_ready(&mut self, head: &Delivered<S>) -> Ready<S> {
        self.counts.multi_partition += 1;
        let judged = self.judge(head);
        let mut verdict = judged;
        let mut sent = FxHashSet::default();
        let mut values = Vec::new();
        if let (Verdict::Taken, Some(request), false) = (verdict, &head.request, head.is_split) {
            for key in self.oracle.local_variables(&request.command, self.partition) {
                if sent.insert(key.clone()) {
                    let value = self.variables.get(&key);
                    values.push((key, value));
                }
            }
        }
        if bytes_of::<S>(&values) > self.letter_bytes_max {
            values.clear();
            verdict = Verdict::Refused(Refusal::TooLarge);
        }
        if !SIGNAL_ON_DELIVERY.is_planted() {
            self.signal(head, if VERDICT_KEPT.is_planted() { Verdict::Taken } else { verdict }, values);
        } else {
            self.send(head, None, values);
        }
        Ready { judged, verdict, sent, lacks: false }
    }

    fn try_complete(&mut self, head: &Delivered<S>, command: SharedIndex, ready: &mut Ready<S>) -> bool {
        let others = head.destinations.without(self.partition);
        let mine = self.stamp_here(head);
        let signals = self.inbox.received(command).signals();
        let signalled = signals.keys().filter(|partition| others.contains(**partition)).count();
        if ready.lacks || (signalled < others.len() as usize && !NO_SIGNAL.is_planted()) {
            return false;
        }
        let verdict = signals.values().map(|signal| signal.verdict).fold(ready.verdict, worse);
        let stamps = signals.values().filter(|_| !OWN_STAMP.is_planted()).map(|signal| signal.stamp);
        let stamp = stamps.fold(mine, Stamp::max);
        if verdict != Verdict::Taken {
            self.see_others(command);
            self.inbox.complete(command);
            return self.not_taken_together(head, ready.judged, verdict);
        }
        if head.is_split {
            let Ok(part) = self.make_part(head, stamp) else { return false };
            self.see_others(command);
            self.inbox.complete(command);
            self.complete_split(head, stamp, part);
            return true;
        }
        let outcome = match self.execute(head, stamp, Some((command, ready))) {
            Ok(outcome) => outcome,
            Err(Interrupt::Paused) => return false,
            Err(_) => {
                self.effects.clear();
                ready.lacks = true;
                self.counts.run_again += 1;
                RUN_AGAIN.reached();
                return false;
            }
        };
        self.see_others(command);
        self.inbox.complete(command);
        self.complete(head, stamp, outcome)
    }

    /// Runs the command, from where it has paused or over a fresh view; `Err` if it pauses, or a remote value is missing.
    fn execute(
        &mut self,
        head: &Delivered<S>,
        stamp: Stamp,
        mut together: Option<(SharedIndex, &mut Ready<S>)>,
    ) -> Result<Outcome<S>, Interrupt> {
        loop {
            let again = together.as_mut().map(|(command, ready)| (*command, &mut **ready));
            match self.execute_slice(head, stamp, again) {
                Err(Interrupt::Paused) => {
                    self.settle(head);
                    if self.is_spent() {
                        self.note_pause();
                        return Err(Interrupt::Paused);
                    }
                }
                ended => return ended,
            }
        }
    }

    fn execute_slice(
        &mut self,
        head: &Delivered<S>,
        stamp: Stamp,
        together: Option<(SharedIndex, &mut Ready<S>)>,
    ) -> Result<Outcome<S>, Interrupt> {
        let request = head.request.as_ref().expect("only a command that could be read is taken");
        if !self.is_under_way() {
            self.effects.clear();
        }
        let mut send = Vec::new();
        let remote = together.map(|(command, ready)| Remote {
            received: self.inbox.received(command),
            sent: &mut ready.sent,
            send: &mut send,
        });
        let origin = Origin { client: head.id.client, epoch: head.id.epoch, destinations: head.destinations };
        let mut view = View {
            variables: &self.variables,
            oracle: self.oracle.as_ref(),
            partition: self.partition,
            origin,
            stamp,
            effects: &mut self.effects,
            remote,
            steps: self.steps.left(),
            has_begun: false,
        };
        let result = S::execute(&request.command, &mut view);
        self.steps.take(1 + std::mem::take(&mut self.effects.steps));
        self.effects.drop_kept_unless_paused(&result);
        if !send.is_empty() {
            self.send(head, None, send);
        }
        let must_end = matches!(result, Err(Interrupt::Missing | Interrupt::Retry { .. }));
        assert!(!must_end || !self.effects.has_settled, "a command is interrupted that has settled");
        match result {
            Ok(reply) => Ok(Outcome::Reply(reply)),
            Err(Interrupt::Retry { needed }) => {
                RETRIED.reached();
                self.effects.clear();
                Ok(Outcome::Retry(needed))
            }
            Err(interrupt) => Err(interrupt),
        }
    }

    /// Applies the effects of the command and answers it. Says whether that is done: many effects are applied in slices.
    fn complete(&mut self, head: &Delivered<S>, stamp: Stamp, outcome: Outcome<S>) -> bool {
        self.counts.executed += u64::from(matches!(outcome, Outcome::Reply(_)));
        if self.effects.raised > stamp.number {
            STAMP_RAISED.reached();
        }
        let stamp = Stamp { number: stamp.number.max(self.effects.raised), ..stamp };
        self.see_past(head);
        self.variables.tick(head.age_ms);
        if self.effects.weight() > self.steps.left() {
            let applying = Applying::of(&mut self.effects, stamp, outcome);
            return self.apply_on(head, applying);
        }
        self.apply(head);
        self.finish(head, stamp, outcome)
    }

    /// The effects of the command are applied: it is answered.
    fn finish(&mut self, head: &Delivered<S>, stamp: Stamp, outcome: Outcome<S>) -> bool {
        self.admit();
        self.clients.stamped(head.id.client, stamp.number);
        let answer = self.answer(head, stamp, outcome);
        // A part goes to the node that has this replica: it cannot be lost, and nobody asks for it again.
        if !self.is_part(head) {
            self.keep(head.id, &answer);
        }
        self.note_completion(head, true, &answer);
        self.pass(head, stamp);
        self.outputs.push_back(Output::Answer(answer));
        true
    }

    fn is_part(&self, head: &Delivered<S>) -> bool {
        let is_part = |request: &Request<S>| S::is_answered_in_parts(&request.command);
        head.shared.is_some() && head.request.as_ref().is_some_and(is_part)
    }

    /// Notes for a simulation what an envelope came to, and what was said of it.
    fn note_completion(&mut self, head: &Delivered<S>, executed: bool, said: &impl Serialize) {
        let (partition, state_hash) = (self.partition, self.state_hash);
        let Delivered { position, id, .. } = *head;
        self.witness.note(|| {
            let digest = Completion::digest(said);
            Witnessed::Completed(Completion { partition, position, id, executed, digest, state_hash })
        });
    }

    fn pass(&mut self, head: &Delivered<S>, stamp: Stamp) {
        self.counts.completed += 1;
        self.completed = (head.position, stamp);
        self.proposed = head.proposal.number;
        self.outputs.push_back(self.passed_last());
    }

    fn answer(&self, head: &Delivered<S>, stamp: Stamp, outcome: Outcome<S>) -> Answer<S> {
        let origin = head.request.as_ref().map(|request| request.origin);
        self.answer_at((head.position, stamp), origin, head.id, outcome)
    }

    /// An answer of this partition, at a place and under the stamp of the command there.
    fn answer_at(
        &self,
        (position, stamp): (Position, Stamp),
        origin: Option<NodeId>,
        id: CommandId,
        outcome: Outcome<S>,
    ) -> Answer<S> {
        let (partition, seen, outcome) = (self.partition, self.seen.clone(), Arc::new(outcome));
        Answer { origin, id, partition, position, stamp, seen, outcome }
    }

    fn judge(&mut self, head: &Delivered<S>) -> Verdict {
        match &head.request {
            Some(request) => self.clients.judge(head.id, request.acknowledged),
            None => Verdict::Refused(Refusal::Malformed),
        }
    }

    /// A command that was not taken here, nor executed anywhere.
    fn not_taken(&mut self, head: &Delivered<S>, verdict: Verdict) -> bool {
        reached_by(verdict);
        self.counts.not_taken += 1;
        self.note_completion(head, false, &verdict);
        self.pass(head, head.proposal);
        if head.is_split && verdict == Verdict::Repeat {
            self.give_part_again(head);
            return true;
        }
        let answer = match verdict {
            Verdict::Refused(refusal) => Some(self.answer(head, head.proposal, Outcome::Refused(refusal))),
            // Its part went to the front beside this replica.
            Verdict::Repeat if self.is_part(head) => None,
            Verdict::Repeat => self.repeat(head),
            Verdict::Gap | Verdict::Taken => None,
        };
        self.outputs.extend(answer.map(Output::Answer));
        true
    }

    /// Keeps an answer, for the client may ask again.
    fn keep(&mut self, id: CommandId, answer: &Answer<S>) {
        let bytes = match answer.outcome.as_ref() {
            Outcome::Reply(reply) => S::reply_bytes(reply),
            _ => 0,
        };
        self.clients.answered(id, answer.clone(), bytes);
    }

    /// The answer that was given before, if it is kept; that it was given, if too many were since.
    fn repeat(&mut self, head: &Delivered<S>) -> Option<Answer<S>> {
        match self.clients.repeat(head.id) {
            Some(Kept::Answer(answer)) => {
                REPEAT_ANSWERED.reached();
                Some(answer)
            }
            Some(Kept::Dropped) => {
                ANSWER_DROPPED.reached();
                Some(self.answer(head, head.proposal, Outcome::Refused(Refusal::Forgotten)))
            }
            Some(Kept::Unfinished) | None => {
                self.witness.note(|| Witnessed::Forgotten(head.id));
                None
            }
        }
    }

    /// A command that was taken here or not, and not everywhere: it ends without effect at all its destinations.
    fn not_taken_together(&mut self, head: &Delivered<S>, mine: Verdict, worst: Verdict) -> bool {
        NOT_TAKEN_TOGETHER.reached();
        if let (Verdict::Taken, Verdict::Refused(refusal)) = (mine, worst) {
            let answer = self.answer(head, head.proposal, Outcome::Refused(refusal));
            self.keep(head.id, &answer);
        }
        self.not_taken(head, worst)
    }

    /// What the other destinations had seen, and where they are, is now seen here.
    fn see_others(&mut self, command: SharedIndex) {
        let mut seen = self.seen.to_vec();
        for (partition, signal) in self.inbox.received(command).signals() {
            if SEEN_FORGOTTEN.is_planted() {
                continue;
            }
            for (mine, theirs) in seen.iter_mut().zip(signal.seen.iter()) {
                *mine = (*mine).max(*theirs);
            }
            let place = &mut seen[partition.index()];
            *place = (*place).max(signal.position);
        }
        self.seen = seen.into();
    }

    /// What the client had seen is now seen here.
    fn see_past(&mut self, head: &Delivered<S>) {
        let places = head.request.iter().flat_map(|request| &request.past.places);
        for (partition, place) in places.filter(|_| !PAST_FORGOTTEN.is_planted()) {
            if self.seen.get(partition.index()).is_some_and(|seen| seen < place) {
                Arc::make_mut(&mut self.seen)[partition.index()] = *place;
            }
        }
    }

    fn signal(&mut self, head: &Delivered<S>, verdict: Verdict, values: Vec<(S::Key, Option<S::Value>)>) {
        let (stamp, position, seen) = (self.stamp_here(head), head.position, self.seen.clone());
        self.send(head, Some(Signal { verdict, stamp, position, seen }), values);
    }

    /// Sends values, in letters of a bounded size: the hint's are in one, beside them there may be any number.
    fn send(&mut self, head: &Delivered<S>, signal: Option<Signal>, values: Vec<(S::Key, Option<S::Value>)>) {
        let (mut signal, mut letter, mut bytes) = (signal, Vec::new(), 0);
        for value in values {
            let more = codec::encoded_len(&value);
            if !letter.is_empty() && bytes + more > self.letter_bytes_max {
                self.send_letter(head, signal.take(), std::mem::take(&mut letter));
                bytes = 0;
            }
            bytes += more;
            letter.push(value);
        }
        self.send_letter(head, signal, letter);
    }

    fn send_letter(&mut self, head: &Delivered<S>, signal: Option<Signal>, values: Values<S>) {
        let command = head.shared.expect("only commands of several partitions are exchanged");
        let from = self.partition;
        for to in head.destinations.without(from).iter() {
            let (signal, values) = (signal.clone(), values.clone());
            self.outputs.push_back(Output::Exchange(Exchange { command, from, to, signal, values }));
        }
    }
}

/// Counts why a command was not taken, where that is rare.
fn reached_by(verdict: Verdict) {
    match verdict {
        Verdict::Gap => GAP.reached(),
        Verdict::Refused(Refusal::OldEpoch) => OLD_EPOCH.reached(),
        Verdict::Refused(Refusal::UnknownClient) => UNKNOWN_CLIENT.reached(),
        Verdict::Taken | Verdict::Repeat | Verdict::Refused(_) => {}
    }
}

/// Values that are sent.
type Values<S> = Vec<(<S as StateMachine>::Key, Option<<S as StateMachine>::Value>)>;

fn bytes_of<S: StateMachine>(values: &[(S::Key, Option<S::Value>)]) -> usize {
    values.iter().map(codec::encoded_len).sum()
}

/// Of two verdicts on one command, the one that decides: a refusal is final, and says the same whoever folds.
fn worse(a: Verdict, b: Verdict) -> Verdict {
    let rank = |verdict| match verdict {
        Verdict::Taken => (0, None),
        Verdict::Repeat => (1, None),
        Verdict::Gap => (2, None),
        Verdict::Refused(refusal) => (3, Some(refusal)),
    };
    if rank(a) >= rank(b) { a } else { b }
}
