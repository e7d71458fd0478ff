//! A session's pipeline: its requests in the order received, from the client's bytes to the reply.
//!
//! Requests take effect in the order sent, and are answered in that order. Those that address the same partitions follow
//! each other as a *run* without waiting; a run with other destinations starts when everything before it is answered. The
//! first request that needs a partition where the session is not attached goes out as `Attach`, alone.
//!
//! **Reads.** What only reads in one partition is not ordered: it is asked for in its place among the session's requests. Where the
//! partition has a replica on another node only, what the session orders next waits for the answer.
//! A read that arms a watch in such a partition is ordered all the same: its answer must come in the order of the events.
//!
//! **Reads of several partitions** are ordered, and answered in parts. A part that comes from another node can be lost; then the read
//! is asked for again under a new id. So it goes alone: after everything before it is answered, and nothing is sent behind it.
//! Where all its partitions have replicas here, no part is lost, and it goes like any other request.
//!
//! A session that spreads its requests over several partitions would wait at every change of destinations. Where several such
//! changes stand in line, what waits goes out as one command over all of their partitions, a *burst* (`bursts`).

use super::bursts::Burst;
use crate::acl::Caller;
use crate::branches::{BURST, BURST_BEHIND, HELD_FOR_FOLLOWING, RUN_WAITS};
use crate::command::{Change, Command, Look, Operation};
use crate::faults::{ATTACHED_FOR_EPHEMERALS, BURST_OF_ANY_CALLER, RUNS_OVERLAP};
use crate::gateway::plan::{Arm, Here, Plan};
use crate::service::Volery;
use crate::session::SessionId;
use crate::wire::{ErrorCode, Reply, XID_SET_WATCHES};
use crate::zxid::Zxid;
use eyrie::{
    Answer, Asker, CausalHistory, ClientId, CommandId, Commands, Destinations, Epoch, PartitionId,
    PartitioningOracle, Position, Read, Request, Seen, Ticket,
};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

/// What one request takes beside its bytes, roughly.
const REQUEST_BYTES: usize = 64;
/// What the replies of requests take whose replies are short, and at least.
const REPLY_BYTES: usize = 128;
/// What a reply is thought to take as long as none was seen.
const REPLY_BYTES_FIRST: usize = 16 << 10;
/// A pipeline that is empty gives room for more requests than this back.
const IDLE_REQUESTS: usize = 64;

/// How often in a row a read of several partitions is asked for again; then its client must come back.
const LOST_MAX: u32 = 8;

/// How many requests a run may have; numbers within it have half of a word to spare.
const RUN_MAX: u32 = 1 << 31;

/// A path of SetWatches, and the watches the client had on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rearmed {
    /// The znode's path.
    pub path: Arc<str>,
    /// It was watched by getData, or by exists while it existed.
    pub data: bool,
    /// It was watched by exists while it was absent.
    pub exist: bool,
    /// It was watched by getChildren.
    pub child: bool,
}

/// What becomes of an operation's outcome, beside the reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    None,
    /// It may arm a watch.
    Arm(Arm),
    /// It tells whether these watches fire or are armed again; there is no reply.
    Rearm {
        /// What the client has seen.
        relative: Zxid,
        /// The watches, path by path as probed.
        watches: Vec<Rearmed>,
    },
}

impl Effect {
    /// The paths whose watches it may arm.
    pub fn paths(&self) -> impl Iterator<Item = &Arc<str>> {
        let (arm, watches) = match self {
            Effect::None => (None, [].as_slice()),
            Effect::Arm(arm) => (Some(&arm.path), [].as_slice()),
            Effect::Rearm { watches, .. } => (None, watches.as_ref()),
        };
        arm.into_iter().chain(watches.iter().map(|rearmed| &rearmed.path))
    }
}

/// The reply to a request, once its outcome is known.
#[derive(Clone, Debug)]
pub struct Response {
    /// The outcome; `None` where there is nothing to say to the client.
    pub result: Option<Result<Reply, ErrorCode>>,
    /// Where it was answered, if it was.
    pub at: Option<(PartitionId, Position)>,
    /// The places that the watch sources must have passed before it leaves.
    pub seen: Seen,
}

impl Response {
    /// The place of a partition that it may show: nothing that happens behind it.
    fn place(&self, partition: PartitionId) -> Position {
        let here = self.at.filter(|(answered, _)| *answered == partition).map(|(_, place)| place);
        here.or_else(|| self.seen.get(partition.index()).copied()).unwrap_or_default()
    }
}

#[derive(Debug)]
enum Stage {
    /// Not sent yet.
    Waiting(Operation),
    /// Sent, and not answered.
    Sent,
    /// Answered.
    Done(Response),
    /// For the gateway itself, when all before it is answered.
    Here(Here),
    /// The end of the session, not sent yet.
    Close,
}

#[derive(Debug)]
struct Item {
    xid: i32,
    caller: Option<Caller>,
    effect: Effect,
    stage: Stage,
    /// Where an operation goes.
    destinations: Destinations,
    /// Whether its reply is the last one.
    ends: bool,
    /// Whether it is read at another node.
    is_elsewhere: bool,
    received_ms: u64,
    /// What it takes.
    bytes: usize,
    /// What its reply takes: what was thought when it was sent, and when it is answered what it is.
    promised: usize,
}

impl Item {
    /// Takes out what is sent.
    fn take(&mut self) -> (Caller, Operation) {
        let Stage::Waiting(operation) = std::mem::replace(&mut self.stage, Stage::Sent) else {
            unreachable!("only what waits is sent");
        };
        (self.caller.take().expect("what is ordered has a caller"), operation)
    }
}

/// How far requests may be sent.
#[derive(Clone, Copy, Debug)]
pub struct SendLimits {
    /// What a znode holds takes so much at most.
    pub znode_bytes: usize,
    /// The replies of requests that are sent may take so much, by what was seen of the session.
    pub promised_bytes: usize,
}

/// What the gateway does next for a session.
pub enum Next {
    /// Do it, and answer the request of this xid.
    Here(i32, Here),
    /// Send this reply to the request of this xid.
    Reply {
        /// The request's xid.
        xid: i32,
        /// What to say, if anything.
        result: Option<Result<Reply, ErrorCode>>,
        /// Whether the connection ends with it.
        ends: bool,
        /// When the request came.
        received_ms: u64,
    },
    /// Nothing can leave yet.
    Nothing,
}

/// What sending came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sending {
    /// All that may be sent for now is.
    Done,
    /// It ends with this errand: nothing is sent before its answer.
    Errand(Ticket),
    /// What is next may arm a watch in a partition that is not heard of yet.
    Held,
}

/// What is next to leave, if the watch sources are far enough.
pub enum Due<'a> {
    /// A reply that may depend on these places.
    Reply(&'a Seen),
    /// What the gateway does itself, for a session that has seen all that.
    Here(&'a Here, &'a CausalHistory),
}

/// The requests in flight of one run.
#[derive(Debug, Default)]
struct Run {
    number: u32,
    destinations: Destinations,
    /// Whether its commands are bursts: then one may go to more partitions than it needs.
    is_bursts: bool,
    next: u32,
    /// The requests of each command that is not answered, or follows one that is not; the first of them is the run's
    /// `acknowledged`-th.
    sent: VecDeque<Range<u64>>,
    acknowledged: u32,
}

impl Run {
    /// Whether a request with these destinations may be the run's next.
    fn takes(&self, destinations: Destinations) -> bool {
        self.number > 0 && self.destinations == destinations && self.next < RUN_MAX
    }
}

/// A read that may have to be asked for again, as it was; it is the only request under way.
#[derive(Debug)]
struct Alone {
    number: u64,
    caller: Caller,
    operation: Operation,
    /// How often it was lost.
    lost: u32,
}

/// What a client had asked for when it left.
#[derive(Debug)]
pub struct Unanswered {
    /// The client.
    pub client: ClientId,
    /// Its epoch.
    pub epoch: Epoch,
    /// The commands that were sent for it and are not answered.
    pub commands: Vec<CommandId>,
}

/// One session's requests on one connection.
///
/// Invariants:
/// - `items[..unsent]` are sent, answered or need no sending; `items[unsent..]` wait.
/// - `in_flight` of them are sent and not answered; while an errand is out, or something goes `alone`, it is the only one.
/// - `bytes` and `promised` are the sums over all items.
#[derive(Debug)]
pub struct Pipeline {
    session: SessionId,
    epoch: Epoch,
    attached: Destinations,
    items: VecDeque<Item>,
    /// The number of the first item.
    base: u64,
    unsent: usize,
    in_flight: usize,
    errand: Option<(Ticket, u64, Destinations)>,
    alone: Option<Box<Alone>>,
    /// How often the request was lost that waits to go alone again.
    lost: Option<u32>,
    /// How many of its reads at other nodes are not answered.
    unanswered_elsewhere: usize,
    run: Run,
    history: CausalHistory,
    closing: bool,
    bytes: usize,
    promised: usize,
    /// What a reply of this session's takes, by those seen lately.
    reply_bytes: usize,
}

impl Pipeline {
    /// The empty pipeline of a session that is open in `epoch` and attached at these partitions.
    pub fn new(session: SessionId, epoch: Epoch, attached: Destinations) -> Pipeline {
        Pipeline {
            session,
            epoch,
            attached,
            items: VecDeque::new(),
            base: 0,
            unsent: 0,
            in_flight: 0,
            errand: None,
            alone: None,
            lost: None,
            unanswered_elsewhere: 0,
            run: Run::default(),
            history: CausalHistory::default(),
            closing: false,
            bytes: 0,
            promised: 0,
            reply_bytes: REPLY_BYTES_FIRST,
        }
    }

    /// The session.
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// How many requests wait for their replies.
    pub fn outstanding(&self) -> usize {
        self.items.len()
    }

    /// Whether another request may come, of so many that may wait for their replies.
    pub fn has_room(&self, outstanding_max: usize) -> bool {
        self.items.len() < outstanding_max && !self.closing
    }

    /// What the requests take that wait for their replies.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether the session is being closed by its client.
    pub fn closing(&self) -> bool {
        self.closing
    }

    /// A reply carried this zxid: what the session asks for from now on gets a greater one.
    pub fn saw(&mut self, zxid: Zxid) {
        self.history.saw_stamp(zxid.stamp());
    }

    /// The session has an answer: what it asks for from now on comes after that.
    pub fn saw_answer(&mut self, answer: &Answer<Volery>) {
        self.history.saw_answer(answer);
    }

    /// The session was told what happened at a place of a partition.
    pub fn saw_event(&mut self, partition: PartitionId, place: Position, seen: &Seen) {
        self.history.saw(partition, place, seen);
    }

    /// The greatest zxid that the session has seen.
    pub fn seen(&self) -> Zxid {
        self.history.stamp().into()
    }

    /// The number of the next reply to leave.
    pub fn base(&self) -> u64 {
        self.base
    }

    /// What the replies take that are made and wait, or may be made for what was sent.
    #[cfg(test)]
    pub fn promised(&self) -> usize {
        self.promised
    }

    /// The last of the replies that have come and have not left, and that show what was there before a place of a partition: what
    /// happens there is told behind them, in the order in which it happened.
    pub fn shows_before(&self, partition: PartitionId, place: Position) -> Option<u64> {
        let is_before = |(_, item): &(u64, &Item)| match &item.stage {
            Stage::Done(response) => response.place(partition) < place,
            // What the gateway does itself is done in its turn.
            Stage::Here(_) => true,
            Stage::Waiting(_) | Stage::Sent | Stage::Close => false,
        };
        let ready = (self.base..).zip(&self.items).take_while(is_before);
        ready.filter(|(_, item)| matches!(item.stage, Stage::Done(_))).last().map(|(number, _)| number)
    }

    /// Takes in a request, and where it goes.
    pub fn push(
        &mut self,
        xid: i32,
        caller: &Caller,
        plan: Plan,
        destinations: Destinations,
        received_ms: u64,
    ) {
        let bytes = REQUEST_BYTES + plan.bytes();
        let (stage, effect) = match plan {
            Plan::Operate(operation, arm) => {
                (Stage::Waiting(operation), arm.map_or(Effect::None, Effect::Arm))
            }
            Plan::Here(here) => (Stage::Here(here), Effect::None),
            Plan::Close => (Stage::Close, Effect::None),
            Plan::Answer(result) => (done(Some(result)), Effect::None),
        };
        let ends = matches!(stage, Stage::Close);
        self.closing |= ends;
        let caller = matches!(stage, Stage::Waiting(_)).then(|| caller.clone());
        let promised = 0;
        self.bytes += bytes;
        self.items.push_back(Item {
            xid,
            caller,
            effect,
            stage,
            destinations,
            ends,
            is_elsewhere: false,
            received_ms,
            bytes,
            promised,
        });
    }

    /// Takes in a part of SetWatches: the watches on paths of one partition.
    pub fn push_probe(
        &mut self,
        caller: &Caller,
        relative: Zxid,
        watches: Vec<Rearmed>,
        partition: PartitionId,
    ) {
        let paths: Vec<_> = watches.iter().map(|rearmed| rearmed.path.clone()).collect();
        let bytes = REQUEST_BYTES * paths.len() + paths.iter().map(|path| path.len()).sum::<usize>();
        self.bytes += bytes;
        self.items.push_back(Item {
            xid: XID_SET_WATCHES,
            caller: Some(caller.clone()),
            effect: Effect::Rearm { relative, watches },
            stage: Stage::Waiting(Operation::Probe(paths)),
            destinations: partition.into(),
            ends: false,
            is_elsewhere: false,
            received_ms: 0,
            bytes,
            promised: 0,
        });
    }

    /// Sends what may be sent now; `hears` says which partitions are heard of, beside those that are hosted here.
    pub fn send(
        &mut self,
        commands: &mut Commands<Volery>,
        limits: SendLimits,
        hears: impl Fn(PartitionId) -> bool,
    ) -> Sending {
        while self.errand.is_none() && self.alone.is_none() && self.unsent < self.items.len() {
            if !self.may_promise(0, &self.items[self.unsent].stage, limits.promised_bytes) {
                return Sending::Done;
            }
            let number = self.base + self.unsent as u64;
            let item = &mut self.items[self.unsent];
            match &mut item.stage {
                // What follows would be executed before the watch is armed.
                Stage::Here(here) if here.concerns_watches() => return Sending::Done,
                Stage::Done(_) | Stage::Here(_) | Stage::Sent => self.unsent += 1,
                Stage::Close if self.in_flight == 0 => {
                    item.stage = Stage::Sent;
                    let (session, epoch) = (self.session, self.epoch);
                    return Sending::Errand(self.go(number, commands, Command::Close { session, epoch }));
                }
                Stage::Close => return Sending::Done,
                Stage::Waiting(operation) => {
                    let arms = item.destinations.single().filter(|_| item.effect != Effect::None);
                    // What happens between the look and the first that is heard would be missed.
                    if let Some(partition) = arms.filter(|p| !commands.is_hosted(*p) && !hears(*p)) {
                        HELD_FOR_FOLLOWING.reached();
                        commands.follow(partition);
                        return Sending::Held;
                    }
                    let attached = self.attached.covers(item.destinations) || is_left_out(operation);
                    if !attached {
                        return match self.in_flight {
                            0 => Sending::Errand(self.attach(number, commands)),
                            _ => Sending::Done,
                        };
                    }
                    if !self.send_first(number, commands, limits) {
                        return Sending::Done;
                    }
                }
            }
        }
        Sending::Done
    }

    /// Sends the first request that waits, alone or with others behind it; says whether it could.
    fn send_first(&mut self, number: u64, commands: &mut Commands<Volery>, limits: SendLimits) -> bool {
        if let Some(burst) = self.next_burst(commands, limits) {
            (if self.in_flight > 0 { BURST_BEHIND } else { BURST }).reached();
            self.send_burst(number, &burst, commands);
            return true;
        }
        let item = &self.items[self.unsent];
        let destinations = item.destinations;
        let Stage::Waiting(operation) = &item.stage else { unreachable!("only what waits is sent") };
        let off_log = readable(operation, item, commands);
        let goes_alone = goes_alone(operation, destinations, commands);
        if !self.may_send(destinations, off_log, goes_alone) {
            RUN_WAITS.reached();
            return false;
        }
        self.promise(self.unsent);
        let (caller, operation) = self.items[self.unsent].take();
        self.unsent += 1;
        if goes_alone {
            let lost = self.lost.take().unwrap_or(0);
            self.alone =
                Some(Box::new(Alone { number, caller: caller.clone(), operation: operation.clone(), lost }));
        }
        let command = Command::Operate { caller, operation };
        match off_log {
            Some(partition) => self.look(number, partition, command, commands),
            None => self.follow(number..number + 1, destinations, command, commands),
        }
        true
    }

    /// Whether the next request may be sent beside those under way.
    fn may_send(&self, destinations: Destinations, off_log: Option<PartitionId>, goes_alone: bool) -> bool {
        let is_of_run = self.in_flight == 0 || self.run.takes(destinations) || RUNS_OVERLAP.is_planted();
        let may_overtake = off_log.is_some() || self.unanswered_elsewhere == 0;
        is_of_run && may_overtake && (self.in_flight == 0 || !goes_alone)
    }

    /// What went alone waits again: it may be asked for now.
    pub fn ask_again(&mut self) {
        if let Some(alone) = self.alone.take() {
            let Alone { number, caller, operation, lost } = *alone;
            let place = self.index(number);
            let item = &mut self.items[place];
            (item.stage, item.caller) = (Stage::Waiting(operation), Some(caller));
            self.promised -= std::mem::take(&mut item.promised);
            self.unsent = place;
            self.in_flight -= 1;
            self.lost = Some(lost);
            // Its id is used up.
            self.run.destinations = Destinations::NONE;
        }
    }

    /// What went alone is lost, and is asked for again under another id; says whether it may be.
    pub fn ask_lost_again(&mut self) -> bool {
        match &mut self.alone {
            Some(alone) if alone.lost < LOST_MAX => {
                alone.lost += 1;
                self.ask_again();
                true
            }
            _ => false,
        }
    }

    /// What is under way, for a client that leaves.
    pub fn unanswered(&self) -> Unanswered {
        let client = ClientId(self.session.0);
        let (epoch, run) = (self.epoch, self.run.number);
        let id = |place: usize| CommandId { client, epoch, run, i: self.run.acknowledged + place as u32 };
        Unanswered { client, epoch, commands: (0..self.run.sent.len()).map(id).collect() }
    }

    /// The burst that goes out now, if one is worth its while.
    fn next_burst(&self, commands: &Commands<Volery>, limits: SendLimits) -> Option<Burst> {
        let (within, behind_others) = match self.in_flight {
            0 => (self.attached, false),
            _ if self.run.is_bursts => (self.run.destinations, true),
            _ => return None,
        };
        if !behind_others && !self.turns() {
            return None;
        }
        let caller = self.items[self.unsent].caller.as_ref();
        let mut burst = Burst::default();
        let mut promised = 0;
        for item in self.items.range(self.unsent..) {
            let Stage::Waiting(operation) = &item.stage else { break };
            // One that arms a watch goes alone: what a command changes is told before its answer, not after it.
            let arms = item.effect != Effect::None;
            let alike = may_share(item.caller.as_ref(), caller) && within.covers(item.destinations);
            let is_here = item.destinations.iter().all(|partition| commands.is_hosted(partition));
            let is_read = readable(operation, item, commands).is_some();
            let has_room = self.may_promise(promised, &item.stage, limits.promised_bytes);
            let may = alike && is_here && has_room && (!arms || burst.requests() == 0);
            if !may || !burst.take(operation, item.destinations, is_read, limits.znode_bytes) || arms {
                break;
            }
            promised += self.thought(&item.stage);
        }
        match behind_others {
            true => burst.behind_others(within),
            false => burst.first(),
        }
    }

    /// Whether what waits goes anywhere else than the first of it: mostly it does not.
    fn turns(&self) -> bool {
        let first = self.items[self.unsent].destinations;
        let mut waiting = self.items.range(self.unsent..);
        waiting.any(|item| matches!(item.stage, Stage::Waiting(_)) && item.destinations != first)
    }

    fn send_burst(&mut self, number: u64, burst: &Burst, commands: &mut Commands<Volery>) {
        (self.unsent..self.unsent + burst.requests()).for_each(|place| self.promise(place));
        let requests = self.items.range_mut(self.unsent..self.unsent + burst.requests());
        let (callers, operations): (Vec<Caller>, Vec<Operation>) = requests.map(Item::take).unzip();
        self.unsent += operations.len();
        let numbers = number..number + operations.len() as u64;
        let caller = callers.into_iter().next().expect("a burst holds something");
        let command = Command::Operate { caller, operation: Operation::Burst(operations) };
        self.follow(numbers, burst.destinations(), command, commands);
        self.run.is_bursts = true;
    }

    /// Sends requests as the next command of their run, or the first of a new one.
    fn follow(
        &mut self,
        numbers: Range<u64>,
        destinations: Destinations,
        command: Command,
        commands: &mut Commands<Volery>,
    ) {
        let id = self.next_of_run(destinations);
        self.run.next += 1;
        self.in_flight += (numbers.end - numbers.start) as usize;
        self.run.sent.push_back(numbers);
        let (origin, acknowledged) = (commands.node(), u64::from(self.run.acknowledged));
        let past = self.history.past(destinations);
        commands.submit(id, destinations, &Request { origin, acknowledged, past, command });
    }

    /// Has a request read off the log, in its place among those of its run.
    fn look(
        &mut self,
        number: u64,
        partition: PartitionId,
        command: Command,
        commands: &mut Commands<Volery>,
    ) {
        let place = self.next_of_run(partition.into());
        self.in_flight += 1;
        if !commands.is_hosted(partition) {
            self.unanswered_elsewhere += 1;
            let place = self.index(number);
            self.items[place].is_elsewhere = true;
        }
        commands.read(Read { partition, place, asker: Asker::Front(number), command });
    }

    /// What the next request of the run is named, or the first of another one where it goes elsewhere.
    fn next_of_run(&mut self, destinations: Destinations) -> CommandId {
        if !self.run.takes(destinations) {
            self.run = Run { number: self.run.number + 1, destinations, ..Run::default() };
        }
        let client = ClientId(self.session.0);
        CommandId { client, epoch: self.epoch, run: self.run.number, i: self.run.next }
    }

    /// Sends the first request that needs other partitions: everything before it is answered. One that only reads attaches the
    /// session, and is asked for then.
    fn attach(&mut self, number: u64, commands: &mut Commands<Volery>) -> Ticket {
        self.promise(self.unsent);
        let (caller, operation) = self.items[self.unsent].take();
        if operation.only_reads() {
            let (caller, operation) = (caller.clone(), operation.clone());
            self.alone = Some(Box::new(Alone { number, caller, operation, lost: 0 }));
        }
        let (session, epoch) = (self.session, self.epoch);
        self.go(number, commands, Command::Attach { session, epoch, caller, operation })
    }

    fn go(&mut self, number: u64, commands: &mut Commands<Volery>, command: Command) -> Ticket {
        let destinations = commands.oracle().destinations(&command);
        // It may come to need other destinations.
        let everywhere = Destinations::all(commands.oracle().partitions());
        let ticket = commands.errand(command, self.history.past(everywhere));
        self.errand = Some((ticket, number, destinations));
        self.in_flight += 1;
        self.unsent += 1;
        ticket
    }

    /// The requests of the run's command `id`, if it waits for its answer.
    pub fn sent(&self, id: CommandId) -> Option<Range<u64>> {
        let mine = id.epoch == self.epoch && id.run == self.run.number;
        let place = id.i.checked_sub(self.run.acknowledged)?;
        self.run.sent.get(place as usize).cloned().filter(|_| mine)
    }

    /// Whether a read of this place and number waits for its answer here.
    pub fn reads(&self, place: CommandId, number: u64) -> bool {
        let item = number.checked_sub(self.base).and_then(|place| self.items.get(place as usize));
        place.epoch == self.epoch && item.is_some_and(|item| matches!(item.stage, Stage::Sent))
    }

    /// The request that an errand was for; if it attached the session, then wherever it went.
    pub fn done(&mut self, ticket: Ticket, attached: bool) -> Option<u64> {
        let (_, number, destinations) = self.errand.take_if(|(out, ..)| *out == ticket)?;
        if attached {
            self.attached = self.attached.union(destinations);
        }
        Some(number)
    }

    /// Whether the session has had as many runs as an epoch can count: its client must come back in another.
    pub fn is_spent(&self) -> bool {
        self.run.number == u32::MAX
    }

    /// What a request's outcome may do to watches.
    pub fn effect(&mut self, number: u64) -> Effect {
        let place = self.index(number);
        std::mem::replace(&mut self.items[place].effect, Effect::None)
    }

    /// The outcome of a request is known.
    pub fn answered(&mut self, number: u64, response: Response) {
        let place = self.index(number);
        if !matches!(self.items[place].stage, Stage::Sent) {
            return;
        }
        self.unanswered_elsewhere -= usize::from(self.items[place].is_elsewhere);
        self.keep_promise(place, &response);
        self.items[place].stage = Stage::Done(response);
        self.in_flight -= 1;
        self.alone.take_if(|alone| alone.number == number);
        self.acknowledge();
    }

    /// The next thing that leaves, given what may.
    pub fn next(&mut self, may: impl FnOnce(Due<'_>) -> bool) -> Next {
        let free = match self.items.front().map(|item| &item.stage) {
            Some(Stage::Done(response)) => may(Due::Reply(&response.seen)),
            Some(Stage::Here(here)) => may(Due::Here(here, &self.history)),
            Some(Stage::Waiting(_) | Stage::Sent | Stage::Close) | None => false,
        };
        match self.pop_if(free) {
            Some(Item { xid, stage: Stage::Done(Response { result, .. }), ends, received_ms, .. }) => {
                let lost = matches!(result, Some(Err(ErrorCode::SessionExpired | ErrorCode::SessionMoved)));
                Next::Reply { xid, result, ends: ends || lost, received_ms }
            }
            Some(Item { xid, stage: Stage::Here(here), .. }) => Next::Here(xid, here),
            _ => Next::Nothing,
        }
    }

    fn pop_if(&mut self, free: bool) -> Option<Item> {
        let item = if free { self.items.pop_front() } else { None }?;
        self.base += 1;
        self.bytes -= item.bytes;
        self.promised -= item.promised;
        if self.items.is_empty() && self.items.capacity() > IDLE_REQUESTS {
            self.items = VecDeque::new();
        }
        self.unsent = self.unsent.saturating_sub(1);
        Some(item)
    }

    /// What the reply to a request that is not sent is thought to take.
    fn thought(&self, stage: &Stage) -> usize {
        let Stage::Waiting(operation) = stage else { return 0 };
        match operation {
            Operation::Change(_) | Operation::Sync(_) | Operation::Look(Look::Exists(_)) => REPLY_BYTES,
            // A path of SetWatches may be told of several times.
            Operation::Probe(_) => 4 * operation.bytes(),
            Operation::Multi(changes) => REPLY_BYTES * changes.len(),
            _ => self.reply_bytes,
        }
    }

    /// Whether a request may be sent now, if `more` is promised before: the first one always may.
    fn may_promise(&self, more: usize, stage: &Stage, promised_bytes: usize) -> bool {
        let promised = self.promised + more;
        promised == 0 || promised + self.thought(stage) <= promised_bytes
    }

    fn promise(&mut self, place: usize) {
        let thought = self.thought(&self.items[place].stage);
        self.items[place].promised = thought;
        self.promised += thought;
    }

    /// A request is answered: what its reply takes is known.
    fn keep_promise(&mut self, place: usize, response: &Response) {
        let bytes = match &response.result {
            Some(Ok(reply)) => REPLY_BYTES + reply.bytes(),
            _ => REPLY_BYTES,
        };
        let item = &mut self.items[place];
        self.promised = self.promised - item.promised + bytes;
        item.promised = bytes;
        self.reply_bytes = bytes.max(self.reply_bytes - self.reply_bytes / 8);
    }

    fn index(&self, number: u64) -> usize {
        let place = number.checked_sub(self.base).expect("a request that is not answered is in the pipeline");
        place as usize
    }

    /// Drops the run's answered requests from its front.
    fn acknowledge(&mut self) {
        while let Some(numbers) = self.run.sent.front() {
            let answered = match (numbers.end - 1).checked_sub(self.base) {
                Some(place) => matches!(self.items[place as usize].stage, Stage::Done(_)),
                None => true,
            };
            if !answered {
                return;
            }
            self.run.sent.pop_front();
            self.run.acknowledged += 1;
        }
    }
}

/// Whether requests of these callers may go in one command: it is executed as one of them.
fn may_share(caller: Option<&Caller>, first: Option<&Caller>) -> bool {
    caller == first || BURST_OF_ANY_CALLER.is_planted()
}

/// The partition of which one replica may tell what is asked without its being ordered.
fn readable(operation: &Operation, item: &Item, commands: &Commands<Volery>) -> Option<PartitionId> {
    let in_order = |partition| commands.is_hosted(partition) || item.effect == Effect::None;
    item.destinations.single().filter(|partition| operation.only_reads() && in_order(*partition))
}

/// Whether an operation is answered in parts of which some come from other nodes.
fn goes_alone(operation: &Operation, destinations: Destinations, commands: &Commands<Volery>) -> bool {
    let is_split = operation.only_reads() && destinations.single().is_none();
    is_split && !destinations.iter().all(|partition| commands.is_hosted(partition))
}

/// Whether an operation goes unattached: with a planted fault only.
fn is_left_out(operation: &Operation) -> bool {
    let ephemeral = |change: &Change| matches!(change, Change::Create { mode, .. } if mode.is_ephemeral());
    ATTACHED_FOR_EPHEMERALS.is_planted()
        && !matches!(operation, Operation::Change(change) if ephemeral(change))
}

fn done(result: Option<Result<Reply, ErrorCode>>) -> Stage {
    Stage::Done(Response { result, at: None, seen: Seen::default() })
}
