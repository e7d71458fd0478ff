//! The ring of several members: OmniPaxos over the node's log.

mod catch_up;
mod watch;

use super::admission::{Held, Verdict, judge};
use super::allowance::Allowances;
use super::codec::{Malformed, PaxosMessage, decode_message};
use super::fragment::{Joiner, Stream};
use super::membership::Membership;
use super::nonces::Nonces;
use super::outbox::{Outbox, class};
use super::pace::Pace;
use super::session::Session;
use super::storage::{LogEntry, NONCES, RingStorage};
use super::tail::Tail;
use super::votes::Votes;
use super::{Amnesiac, Outgoing, Promise, Ring, StepError};
use crate::branches::{AMNESIAC_REFUSED, LACKS_TOO_MUCH, TOOK_OVER};
#[cfg(not(test))]
use crate::faults::ACKNOWLEDGE_BEFORE_SYNC;
use crate::log::{LogError, LogPosition, SharedLog};
use crate::{NodeId, RingId};
use bytes::Bytes;
use catch_up::{CatchUp, weight_of};
use omnipaxos::ballot_leader_election::Ballot;
use omnipaxos::messages::Message;
use omnipaxos::messages::ballot_leader_election::{BLEMessage, HeartbeatMsg};
use omnipaxos::messages::sequence_paxos::{Accepted, PaxosMessage as PaxosMessageOf, PaxosMsg};
use omnipaxos::util::NodeId as Pid;
use omnipaxos::{ClusterConfig, OmniPaxos, OmniPaxosConfig, ServerConfig};
use std::collections::BTreeMap;
use std::fmt;
use thiserror::Error;
use watch::Waits;

pub use catch_up::{
    CatchUpCounts, LAG_WEIGHT_MAX, PACE_BYTES, PIECE_WEIGHT_MAX, RingLimits, TAIL_WEIGHT_MAX,
};

/// OmniPaxos numbers configurations from 1; there is one.
const CONFIGURATION: u32 = 1;
/// Room that the crate allocates for messages of a turn.
const BUFFERED_MESSAGES: usize = 64;
/// For how many election timeouts a member that was asked to lead does not do so again.
const TAKE_OVER_TIMEOUTS: u64 = 5;

/// How often a ring looks at the clock, and what it counts in these ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingTiming {
    /// Length of a tick where nothing is slow. A call that comes late makes one tick at most.
    pub tick_ms: u64,
    /// After how many ticks a heartbeat that was not answered is missed. Answers must take less than that.
    pub election_ticks: u64,
    /// After how many ticks a Prepare or Promise is sent again.
    pub resend_ticks: u64,
}

impl Default for RingTiming {
    fn default() -> RingTiming {
        RingTiming { tick_ms: 10, election_ticks: 20, resend_ticks: 40 }
    }
}

/// One member's part in a ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingConfig {
    /// Which ring.
    pub ring: RingId,
    /// This node.
    pub node: NodeId,
    /// All members, this one included; at least two, the same at every member.
    pub members: Vec<NodeId>,
    /// Who leads where it can; one of the members, the same at every member.
    pub preferred: NodeId,
    /// The clock.
    pub timing: RingTiming,
    /// How far a member may be behind.
    pub limits: RingLimits,
}

/// The log holds values of the ring that no version of this crate wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the log holds a malformed value of ring {0}")]
pub struct RecoverError(pub RingId);

/// What a ring of several members did since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RingCounts {
    /// Terms that this member has seen begin, anybody's: ballots that it has promised.
    pub elections: u64,
    /// Reigns of this member.
    pub reigns: u64,
    /// Times it stood for leadership because it was stranded.
    pub rescues: u64,
    /// Times it stood for leadership because it is preferred.
    pub preferences: u64,
    /// Times it stood for leadership because a member that did not hear the leader asked it to.
    pub take_overs: u64,
    /// Entries appended so that what was lost is missed.
    pub heartbeats: u64,
    /// Messages dropped that the consensus crate must not handle.
    pub dropped: u64,
    /// Messages dropped that belong to no open session.
    pub fenced: u64,
    /// Sessions begun anew because the peer's message showed that it lacks too much.
    pub refused: u64,
    /// Reigns given up because a follower knew more to be decided than was proposed in them.
    pub given_up: u64,
}

/// A member of a ring on OmniPaxos.
///
/// Invariants:
/// - `decided` never falls.
/// - `reign` is the ballot under which this member leads, exactly while it leads in the accept phase.
pub struct PaxosRing {
    id: RingId,
    membership: Membership,
    is_preferred: bool,
    timing: RingTiming,
    log: SharedLog,
    paxos: OmniPaxos<LogEntry, RingStorage>,
    made: Vec<PaxosMessage>,
    outbox: Outbox,
    joiners: BTreeMap<(NodeId, Stream), Joiner>,
    nonces: Nonces,
    sessions: BTreeMap<NodeId, Session>,
    catch_up: CatchUp,
    /// Of this member's reign.
    votes: Votes,
    /// Of this member's reign.
    tail: Tail,
    /// When each peer was asked last to which it has answered that it follows this member's reign.
    support: BTreeMap<NodeId, u64>,
    waits: Waits,
    pace: Pace,
    /// The last ballot promised, as of the last look.
    promised: Ballot,
    /// The ballot of its candidacy or reign, which a restart or its catching up has interrupted.
    interrupted: Option<Ballot>,
    /// Whether those above need what is decided.
    is_needed: bool,
    /// Who is to be asked to lead.
    asks: Option<NodeId>,
    /// Who was asked last.
    asked: Pid,
    /// Until then it does not take over.
    rests_until_ms: u64,
    next_tick_ms: u64,
    decided: u64,
    reign: Option<Ballot>,
    entered_accept_with: u64,
    counts: RingCounts,
    #[cfg(test)]
    pub(super) planted: Option<super::sim::Fault>,
}

impl PaxosRing {
    /// The member as the log tells it, blank or after a restart. Panics if the members are not at least two different
    /// ones, this node and the preferred one among them.
    pub fn recover(config: RingConfig, log: SharedLog) -> Result<PaxosRing, RecoverError> {
        let RingConfig { ring, node, members, preferred, timing, limits } = config;
        assert!(members.contains(&preferred), "the preferred leader {preferred} is a member");
        let membership = Membership::new(node, &members);
        let malformed = |Malformed| RecoverError(ring);
        let nonces = Nonces::recover(log.lock().value(ring, NONCES)).map_err(malformed)?;
        let storage = RingStorage::recover(ring, log.clone()).map_err(malformed)?;
        let is_preferred = preferred == node;
        let paxos = build(&membership, &timing, is_preferred, storage);
        Ok(PaxosRing {
            id: ring,
            is_preferred,
            waits: Waits::new(membership.me(), &timing),
            pace: Pace::new(timing.tick_ms, timing.election_ticks),
            promised: paxos.get_promise(),
            interrupted: interrupted(&paxos, &membership),
            membership,
            timing,
            decided: paxos.get_decided_idx() as u64,
            paxos,
            made: Vec::new(),
            outbox: Outbox::new(log.clone()),
            log,
            joiners: BTreeMap::new(),
            nonces,
            sessions: BTreeMap::new(),
            catch_up: CatchUp::new(limits, &timing),
            votes: Votes::default(),
            tail: Tail::default(),
            support: BTreeMap::new(),
            is_needed: false,
            asks: None,
            asked: 0,
            rests_until_ms: 0,
            next_tick_ms: 0,
            reign: None,
            entered_accept_with: 0,
            counts: RingCounts::default(),
            #[cfg(test)]
            planted: None,
        })
    }

    /// Whether the last ballot that it has promised is its own.
    #[cfg(test)]
    pub(super) fn has_promised_itself(&self) -> bool {
        interrupted(&self.paxos, &self.membership).is_some()
    }

    /// Counts since the start.
    pub fn counts(&self) -> RingCounts {
        self.counts
    }

    /// Takes note of what the crate has changed.
    fn observe(&mut self) {
        let decided = self.paxos.get_decided_idx() as u64;
        assert!(self.decided <= decided, "ring {} has undone decisions", self.id);
        self.decided = decided;
        let promise = self.paxos.get_promise();
        self.counts.elections += u64::from(self.promised != promise);
        self.promised = promise;
        let reign = (self.is_accepting() && promise.pid == self.membership.me()).then_some(promise);
        if reign.is_some() && reign != self.reign {
            self.entered_accept_with = self.accepted();
            self.counts.reigns += 1;
            self.votes = Votes::default();
            self.note_own_vote();
            let lengths = decided..self.accepted();
            self.tail = Tail::of(decided, self.log.lock().lengths(self.id, lengths).map(weight_of));
        }
        self.reign = reign;
        self.tail.decide(decided);
    }

    /// Takes note of what this member holds and has yet to sync.
    fn note_own_vote(&mut self) {
        let (accepted, log) = (self.accepted(), self.log.lock());
        self.votes.append(accepted, log.appended());
        self.votes.sync(if self.counts_unsynced() { log.appended() } else { log.durable() });
    }

    /// Gives the crate the votes that may be counted.
    fn count_votes(&mut self) {
        let Some(n) = self.reign else { return };
        for (from, accepted) in self.votes.take(self.membership.quorum()) {
            let msg = PaxosMsg::Accepted(Accepted { n, accepted_idx: accepted as usize });
            let message = PaxosMessageOf { from, to: self.membership.me(), msg };
            self.paxos.handle_incoming(Message::SequencePaxos(message));
        }
        self.observe();
    }

    /// Takes part in a reign, its own or another's.
    fn is_accepting(&self) -> bool {
        self.paxos.get_current_leader().is_some_and(|(_, accepting)| accepting)
    }

    fn hears_quorum(&self) -> bool {
        self.paxos.get_ui_states().heartbeats.len() + 1 >= self.membership.quorum()
    }

    pub(super) fn held(&self) -> Held {
        Held { decided: self.decided, accepted: self.accepted(), promise: self.paxos.get_promise() }
    }

    /// A heartbeat says whom its sender follows, and how long its sender takes.
    fn note_heartbeat(&mut self, from: NodeId, pid: Pid, message: &PaxosMessage) {
        let Message::BLE(BLEMessage { msg: HeartbeatMsg::Reply(reply), .. }) = message else { return };
        self.pace.answered(pid, reply.round);
        if self.reign == Some(reply.leader)
            && let Some(asked_ms) = self.pace.asked_ms(reply.round)
        {
            self.support.insert(from, asked_ms);
        }
    }

    /// Whether time-outs follow what is observed.
    #[cfg(test)]
    fn has_pace(&self) -> bool {
        self.planted != Some(super::sim::Fault::NoPace)
    }

    #[cfg(not(test))]
    fn has_pace(&self) -> bool {
        true
    }

    /// How long a tick is, as those are whose heartbeats this member needs.
    fn tick_ms(&self) -> u64 {
        if !self.has_pace() {
            return self.timing.tick_ms;
        }
        let leader = self.paxos.get_current_leader().map(|(leader, _)| leader);
        let needed = leader.filter(|leader| *leader != self.membership.me());
        self.pace.tick_ms(needed, self.membership.quorum())
    }

    fn handle(&mut self, from: NodeId, pid: u64, message: PaxosMessage) -> Result<(), StepError> {
        self.note_heartbeat(from, pid, &message);
        match judge(&self.membership, pid, self.held(), &message) {
            Verdict::Handle => self.handle_sound(from, pid, message),
            Verdict::Drop => self.counts.dropped += 1,
            Verdict::Forged(what) => return Err(StepError::Malformed { from, what }),
        }
        Ok(())
    }

    /// What answers a Prepare or a Promise carries all that its sender lacks. One that lacks too much catches up first.
    fn handle_sound(&mut self, from: NodeId, pid: u64, message: PaxosMessage) {
        if let Some(decided) = decided_in(&message)
            && self.lacked_from(decided) >= 2 * self.catch_up.limits.lag
        {
            LACKS_TOO_MUCH.reached();
            self.counts.refused += 1;
            self.begin_with(from, Some(decided));
        } else if promised_in(self.reign, &message).is_some_and(|decided| decided > self.accepted()) {
            self.give_up();
        } else if let Some(accepted) = accepted_in(self.reign, &message) {
            self.votes.accept(pid, accepted);
            self.count_votes();
        } else {
            self.paxos.handle_incoming(self.synced_from_decided(message));
            self.observe();
        }
    }

    /// A leader's crate synchronizes a member that has voted in no later round from where the reign began, at the latest. One that has
    /// caught up in pieces has decided more than that. Its accepted round is withheld, so that it is synchronized from there.
    fn synced_from_decided(&self, mut message: PaxosMessage) -> PaxosMessage {
        if let Message::SequencePaxos(PaxosMessageOf { msg: PaxosMsg::Promise(promise), .. }) = &mut message
            && self.reign == Some(promise.n)
            && promise.n_accepted != promise.n
            && promise.decided_idx as u64 > self.entered_accept_with
        {
            promise.n_accepted = Ballot::with(CONFIGURATION, 0, u32::MAX, self.membership.me());
        }
        message
    }

    /// Moves what the crate has made for open sessions into the outbox, where its position is set.
    fn collect(&mut self) {
        self.paxos.take_outgoing_messages(&mut self.made);
        let (sessions, membership) = (&self.sessions, &self.membership);
        self.made.retain(|message| {
            sessions.get(&membership.node(message.get_receiver())).is_some_and(Session::is_open)
        });
        for message in &self.made {
            if let Message::BLE(BLEMessage { msg: HeartbeatMsg::Request(request), .. }) = message {
                self.pace.asked(request.round);
            }
        }
        self.outbox.push(&self.membership, self.made.drain(..), class);
    }

    #[cfg(not(test))]
    fn counts_unsynced(&self) -> bool {
        ACKNOWLEDGE_BEFORE_SYNC.is_planted()
    }

    #[cfg(test)]
    fn counts_unsynced(&self) -> bool {
        self.planted == Some(super::sim::Fault::VoteBeforeSync)
    }
}

/// How much of the log a message says that its sender has accepted in this reign, if it does.
fn accepted_in(reign: Option<Ballot>, message: &PaxosMessage) -> Option<u64> {
    match message {
        Message::SequencePaxos(PaxosMessageOf { msg: PaxosMsg::Accepted(accepted), .. }) => {
            (reign == Some(accepted.n)).then_some(accepted.accepted_idx as u64)
        }
        _ => None,
    }
}

/// How many entries a member knows to be decided that promises this reign, if the message is such a promise.
fn promised_in(reign: Option<Ballot>, message: &PaxosMessage) -> Option<u64> {
    match message {
        Message::SequencePaxos(PaxosMessageOf { msg: PaxosMsg::Promise(promise), .. }) => {
            (reign == Some(promise.n)).then_some(promise.decided_idx as u64)
        }
        _ => None,
    }
}

/// How many entries the sender of a message knows to be decided, if what answers the message depends on that.
fn decided_in(message: &PaxosMessage) -> Option<u64> {
    let Message::SequencePaxos(message) = message else { return None };
    match &message.msg {
        PaxosMsg::Prepare(prepare) => Some(prepare.decided_idx as u64),
        PaxosMsg::Promise(promise) => Some(promise.decided_idx as u64),
        _ => None,
    }
}

/// The last ballot promised, if it is this member's own.
fn interrupted(paxos: &OmniPaxos<LogEntry, RingStorage>, membership: &Membership) -> Option<Ballot> {
    Some(paxos.get_promise()).filter(|promise| promise.pid == membership.me())
}

/// Batches of one: an entry is a batch, and the crate would batch at followers too. A preferred member's ballots win
/// over others of the same number.
fn build(
    membership: &Membership,
    timing: &RingTiming,
    is_preferred: bool,
    storage: RingStorage,
) -> OmniPaxos<LogEntry, RingStorage> {
    let cluster_config =
        ClusterConfig { configuration_id: CONFIGURATION, nodes: membership.pids(), flexible_quorum: None };
    let server_config = ServerConfig {
        pid: membership.me(),
        election_tick_timeout: timing.election_ticks,
        resend_message_tick_timeout: timing.resend_ticks,
        buffer_size: BUFFERED_MESSAGES,
        batch_size: 1,
        leader_priority: u32::from(is_preferred),
        ..ServerConfig::default()
    };
    let config = OmniPaxosConfig { cluster_config, server_config };
    config.build(storage).expect("a configuration that was checked")
}

impl Ring for PaxosRing {
    fn id(&self) -> RingId {
        self.id
    }

    fn leads(&self) -> bool {
        self.reign.is_some()
    }

    fn leader(&self) -> Option<NodeId> {
        let (pid, accepting) = self.paxos.get_current_leader()?;
        accepting.then(|| self.membership.node(pid))
    }

    fn reigns(&self) -> u64 {
        self.counts.reigns
    }

    fn elections(&self) -> u64 {
        self.counts.elections
    }

    fn support(&self, peer: NodeId) -> Option<u64> {
        self.support.get(&peer).copied()
    }

    fn entered_accept_with(&self) -> u64 {
        self.entered_accept_with
    }

    fn promise(&self) -> Promise {
        let Ballot { n, priority, pid, .. } = self.paxos.get_promise();
        Promise(u128::from(n) << 96 | u128::from(priority) << 64 | u128::from(pid))
    }

    fn need(&mut self, is_needed: bool) -> Option<NodeId> {
        self.is_needed = is_needed;
        self.asks.take()
    }

    fn take_over(&mut self) {
        let follows = self.is_accepting() && !self.leads();
        if !follows || self.is_behind() || !self.hears_quorum() || self.next_tick_ms < self.rests_until_ms {
            return;
        }
        let RingTiming { tick_ms, election_ticks, .. } = self.timing;
        self.rests_until_ms = self.next_tick_ms + TAKE_OVER_TIMEOUTS * election_ticks * tick_ms;
        self.counts.take_overs += 1;
        TOOK_OVER.reached();
        self.paxos.try_become_leader();
        self.observe();
    }

    fn catch_ups(&self) -> CatchUpCounts {
        self.catch_up_counts()
    }

    fn has_room(&self) -> bool {
        self.tail.weight() < self.catch_up.limits.tail
    }

    fn append(&mut self, entry: Bytes) {
        assert!(self.leads(), "ring {}: only the leader appends", self.id);
        let before = self.accepted();
        self.tail.push(weight_of(entry.len() as u32));
        let appended = self.paxos.append(LogEntry(entry));
        assert!(appended.is_ok() && self.accepted() == before + 1, "a leader's entry is in its log at once");
        self.note_own_vote();
        self.observe();
    }

    fn meet(&mut self, peer: NodeId, nonce: u64) -> Result<(), Amnesiac> {
        let met = self.nonces.meet(peer, nonce).inspect_err(|_| AMNESIAC_REFUSED.reached());
        if let Some(value) = met? {
            self.log.lock().put(self.id, NONCES, value);
        }
        Ok(())
    }

    fn reconnected(&mut self, peer: NodeId) {
        self.connect(peer);
        self.observe();
    }

    fn step(&mut self, from: NodeId, message: Bytes) -> Result<(), StepError> {
        let pid = self.membership.peer(from).ok_or(StepError::Stranger(from))?;
        if !self.nonces.has_met(from) {
            return Err(StepError::Unmet(from));
        }
        let malformed = |what| StepError::Malformed { from, what };
        let stream = Stream::of(&message).map_err(|Malformed| malformed("a frame of no kind"))?;
        if stream == Stream::Message && !self.sessions.get(&from).is_some_and(Session::is_open) {
            self.counts.fenced += 1;
            return Ok(());
        }
        let joined = self.joiners.entry((from, stream)).or_default().take(message);
        let Some(bytes) = joined.map_err(|Malformed| malformed("a frame that does not join"))? else {
            return Ok(());
        };
        if stream != Stream::Message {
            return self.step_beside(from, stream, bytes);
        }
        let message = decode_message(&bytes).map_err(|Malformed| malformed("bytes that are no message"))?;
        self.handle(from, pid, message)
    }

    fn tick(&mut self, now_ms: u64) {
        let counts = self.pace.tick(now_ms) || !self.has_pace();
        if now_ms < self.next_tick_ms || !counts {
            return;
        }
        self.next_tick_ms = now_ms + self.tick_ms();
        self.paxos.tick();
        self.observe();
        self.watch();
        self.observe();
    }

    fn synced(&mut self, durable: LogPosition) {
        self.votes.sync(durable);
        self.count_votes();
    }

    fn drain(&mut self, into: &mut Vec<Outgoing>) {
        self.collect();
        self.outbox.drain(into);
    }

    fn lost(&mut self, peer: NodeId) {
        self.disconnect(peer);
    }

    fn bulk_connected(&mut self, peer: NodeId) {
        self.serve_again(peer);
    }

    fn serve(&mut self, allowances: &mut Allowances, into: &mut Vec<Outgoing>) -> bool {
        self.serve_piece(allowances, into)
    }

    fn decided(&self) -> u64 {
        self.decided
    }

    fn accepted(&self) -> u64 {
        self.paxos.get_accepted_idx() as u64
    }

    fn read(&self, index: u64) -> Result<Bytes, LogError> {
        self.log.lock().read(self.id, index)
    }
}

impl fmt::Debug for PaxosRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PaxosRing")
            .field("id", &self.id)
            .field("leader", &self.leader())
            .field("decided", &self.decided)
            .field("accepted", &self.accepted())
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}
