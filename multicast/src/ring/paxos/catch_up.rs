//! What a member does that is behind, and what its peers do for it.
//!
//! A connection begins with levels ([`Session`]). A member that lacks too much of a peer's decided entries opens no session with
//! it. It asks one peer that is ahead for a *piece* of the decided log, installs it below the consensus crate, begins every
//! session anew, and so on until what it lacks may come as a synchronization.
//!
//! A peer keeps the latest request until another level comes from the one that asked. So it gives the piece again if the connection
//! is lost on which it went. A member whose peer is lost asks another one at once, and waits for the levels of those alone to which it
//! has a connection.

use super::super::allowance::Allowances;
use super::super::following::Answer;
use super::super::fragment::Stream;
use super::super::level::Level;
use super::super::patience::Patience;
use super::super::session::Session;
use super::super::storage::DECIDED;
use super::*;
use crate::branches::{
    CAUGHT_UP_IN_PIECES, LEVEL_AGAIN, PIECE_INSTALLED, PIECE_MISSED, SERVED_AGAIN, SERVER_LOST,
};
use crate::faults::{PIECE_INSTALLED_TWICE, PIECE_SKIPS_ENTRY, PIECE_UNDECIDED};
use crate::ring::codec::encode_number;

/// What an entry counts for beyond its bytes: many small entries cost as much to read as few large ones.
const ENTRY_WEIGHT: u64 = 1 << 10;
/// After how many election timeouts without a piece another peer is asked.
const PIECE_TIMEOUTS: u64 = 5;
/// For how many election timeouts a leader waits for the decisions that a peer has told, before it gives up its reign for them.
const LEADER_TIMEOUTS: u64 = 3;

/// How much a member may lack and leave undecided, as weights: bytes, and a kilobyte for each entry. Alike at every member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingLimits {
    /// A member that lacks more of a peer's decided entries is behind, and fetches them in pieces.
    pub lag: u64,
    /// A piece ends with the entry that reaches this, or earlier, where pieces are paced.
    pub piece: u64,
    /// A leader whose undecided entries reach this appends no more.
    pub tail: u64,
    /// So many bytes a second a node gives to a peer that is behind, at the least; in all its rings together.
    pub pace: u64,
}

impl Default for RingLimits {
    fn default() -> RingLimits {
        RingLimits { lag: LAG_WEIGHT_MAX, piece: PIECE_WEIGHT_MAX, tail: TAIL_WEIGHT_MAX, pace: PACE_BYTES }
    }
}

/// A member that lacks more than this of a peer's decided entries fetches them in pieces: bytes, and a kilobyte for each entry.
pub const LAG_WEIGHT_MAX: u64 = 4 << 20;
/// A piece of the decided log ends with the entry that reaches this: bytes, and a kilobyte for each entry.
pub const PIECE_WEIGHT_MAX: u64 = 1 << 20;

/// Bytes that a node gives to a peer that is behind in a second, in all rings together, where these decide without it. It gives
/// more if its log grows for long at more than half of that.
pub const PACE_BYTES: u64 = 16 << 20;

/// A leader whose undecided entries reach this appends no more until some are decided: bytes, and a kilobyte for each entry.
pub const TAIL_WEIGHT_MAX: u64 = 16 << 20;

/// What an entry of so many bytes weighs.
pub(super) fn weight_of(length: u32) -> u64 {
    u64::from(length) + ENTRY_WEIGHT
}

/// How far a member is behind, and how it came to be level before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CatchUpCounts {
    /// Whether it fetches what it lacks in pieces.
    pub is_under_way: bool,
    /// Decided entries that it lacks, as far as its peers have told when it was compared with them.
    pub lacks: u64,
    /// Times this member was behind and has become level again.
    pub ended: u64,
    /// How long the last of them took.
    pub last_ms: u64,
    /// Pieces installed.
    pub installed: u64,
    /// Pieces sent to other members.
    pub served: u64,
}

/// A peer's request for a piece.
#[derive(Clone, Copy, Debug)]
struct Request {
    /// The level in which it stands.
    number: u64,
    /// From which entry on.
    from: u64,
    /// Whether a piece was given for it, which may be lost.
    is_served: bool,
}

/// This member's catching up, and what it owes to others that catch up.
///
/// Invariants:
/// - one piece is asked for at a time, of `asked`.
/// - of each peer only the latest request waits.
pub(super) struct CatchUp {
    pub(super) limits: RingLimits,
    asked: Option<NodeId>,
    piece: Patience,
    leader: Patience,
    /// When it was found to be behind, and how many entries were decided then.
    began: Option<(u64, u64)>,
    /// Which peers have asked for a piece in their latest level.
    requests: BTreeMap<NodeId, Request>,
    pub(super) counts: CatchUpCounts,
}

impl CatchUp {
    pub(super) fn new(limits: RingLimits, timing: &RingTiming) -> CatchUp {
        CatchUp {
            limits,
            asked: None,
            piece: Patience::new(PIECE_TIMEOUTS * timing.election_ticks),
            leader: Patience::new(LEADER_TIMEOUTS * timing.election_ticks),
            began: None,
            requests: BTreeMap::new(),
            counts: CatchUpCounts::default(),
        }
    }
}

impl PaxosRing {
    /// Whether this member catches up. Then it does not stand for leadership.
    pub(super) fn is_behind(&self) -> bool {
        self.catch_up.began.is_some()
    }

    /// How far this member is behind.
    pub(super) fn catch_up_counts(&self) -> CatchUpCounts {
        CatchUpCounts { is_under_way: self.is_behind(), lacks: self.lacks(), ..self.catch_up.counts }
    }

    /// How many decided entries this member is known to lack.
    fn lacks(&self) -> u64 {
        let told = self.sessions.values().filter(|session| session.is_connected()).map(Session::decided);
        told.max().unwrap_or(0).saturating_sub(self.decided)
    }

    /// A connection to a peer has begun: whatever was under way is lost, and both ends tell their levels.
    pub(super) fn connect(&mut self, peer: NodeId) {
        self.end_session(peer);
        self.outbox.forget(peer);
        self.catch_up.requests.remove(&peer);
        self.session(peer).connect();
        self.tell(peer);
    }

    /// Ends the session with a peer, and tells a new level, to which the decided index is added that the peer has told.
    pub(super) fn begin_with(&mut self, peer: NodeId, decided: Option<u64>) {
        self.end_session(peer);
        let session = self.session(peer);
        session.begin();
        decided.into_iter().for_each(|decided| session.note_decided(decided));
        self.tell(peer);
    }

    /// Drops what was made for the session and has not left.
    fn end_session(&mut self, peer: NodeId) {
        let pid = self.membership.peer(peer).expect("sessions are with peers of the ring");
        self.collect();
        self.outbox.drop_queued(peer);
        self.joiners.retain(|(node, _), _| *node != peer);
        self.votes.forget(pid);
    }

    fn session(&mut self, peer: NodeId) -> &mut Session {
        self.sessions.entry(peer).or_default()
    }

    fn tell(&mut self, peer: NodeId) {
        let level = Level {
            asks: self.catch_up.asked == Some(peer),
            compacted: self.log.lock().first(self.id),
            decided: self.decided,
            accepted: self.accepted(),
            ..Level::default()
        };
        let lacks = self.lacked_from(self.sessions.get(&peer).map_or(0, Session::decided));
        let level = self.session(peer).tell(level, lacks);
        self.outbox.push_level(peer, level.frame());
    }

    /// What a peer lacks of this member's decided entries that knows so many to be decided. It is counted no further than it matters.
    pub(super) fn lacked_from(&self, decided: u64) -> u64 {
        let log = self.log.lock();
        if decided < log.first(self.id) {
            return u64::MAX;
        }
        let lacked = decided..self.decided.max(decided);
        let enough = 2 * self.catch_up.limits.lag;
        let mut weight = 0;
        log.lengths(self.id, lacked)
            .take_while(|length| {
                weight += weight_of(*length);
                weight <= enough
            })
            .for_each(drop);
        weight
    }

    /// Takes a peer's level.
    pub(super) fn hear_level(&mut self, from: NodeId, level: &Level) {
        let was_open = self.session(from).is_open();
        self.session(from).hear(level);
        if was_open && !self.session(from).is_open() {
            self.end_session(from);
        }
        match level.asks {
            true => self.hear_request(from, level),
            false => drop(self.catch_up.requests.remove(&from)),
        }
        if !self.session(from).is_told() {
            self.tell(from);
        }
        self.open(from);
        self.pursue();
    }

    /// A level may come again, as an answer to another of this end's. Then its request is the same.
    fn hear_request(&mut self, from: NodeId, level: &Level) {
        let Level { number, decided, .. } = *level;
        let request = Request { number, from: decided, is_served: false };
        let known = self.catch_up.requests.entry(from).or_insert(request);
        if (known.number, known.from) != (number, decided) {
            *known = request;
        }
    }

    /// The connection to a peer has ended. If it was to give a piece, another one is asked.
    pub(super) fn disconnect(&mut self, peer: NodeId) {
        self.session(peer).disconnect();
        self.catch_up.requests.remove(&peer);
        if self.catch_up.asked.take_if(|asked| *asked == peer).is_some() {
            SERVER_LOST.reached();
        }
        if self.sessions.values().any(Session::is_connected) {
            self.pursue();
        }
    }

    /// A piece that was given before the bulk connection to a peer began may be lost. The peer's next request tells if it is not.
    pub(super) fn serve_again(&mut self, peer: NodeId) {
        if let Some(request) = self.catch_up.requests.get_mut(&peer).filter(|request| request.is_served) {
            SERVED_AGAIN.reached();
            request.is_served = false;
        }
    }

    /// Opens the session with a peer, if both are level. What the crate has made for it before belongs to no session.
    fn open(&mut self, peer: NodeId) {
        let lag = self.catch_up.limits.lag;
        self.collect();
        if !self.session(peer).open(lag) {
            return;
        }
        let pid = self.membership.peer(peer).expect("sessions are with peers of the ring");
        if self.tells_crate() {
            self.paxos.reconnected(pid);
        }
        self.observe();
    }

    /// The peer that is furthest ahead of this member, of those that are too far ahead.
    fn most_ahead(&self) -> Option<(u64, NodeId)> {
        let lag = self.catch_up.limits.lag;
        self.sessions.iter().filter_map(|(peer, session)| Some((session.ahead(lag)?, *peer))).max()
    }

    /// Asks a peer that is ahead for a piece, unless one was asked; ends the catching up where none is ahead.
    fn pursue(&mut self) {
        self.catch_up.asked.take_if(|peer| {
            let session = &self.sessions[peer];
            session.is_answered() && session.ahead(self.catch_up.limits.lag).is_none()
        });
        if self.catch_up.asked.is_some() {
            return;
        }
        match self.most_ahead() {
            // The peer's answer was to an older level: another is told at the next tick.
            Some((decided, _)) if decided <= self.decided => {}
            Some((decided, _)) if self.is_about_to_decide(decided) => {}
            Some((_, peer)) => self.ask(peer),
            None if self.waits_for_levels() => {}
            None => self.end_catching_up(),
        }
    }

    /// Whether this member leads, its own log holds what was decided, and its quorum is about to say so.
    fn is_about_to_decide(&self, decided: u64) -> bool {
        self.leads() && decided <= self.accepted() && (self.waits_for_levels() || self.has_open_quorum())
    }

    fn has_open_quorum(&self) -> bool {
        let is_open = |session: &&Session| session.is_open() && session.is_connected();
        self.sessions.values().filter(is_open).count() + 1 >= self.membership.quorum()
    }

    fn ask(&mut self, peer: NodeId) {
        self.catch_up.asked = Some(peer);
        self.catch_up.piece.relieve();
        if self.is_behind() {
            self.begin_with(peer, None);
        } else {
            self.begin_catching_up(peer);
        }
    }

    /// This member gives up its reign or its candidacy, if it has one.
    fn begin_catching_up(&mut self, peer: NodeId) {
        let (decided, lacks) = (self.decided, self.lacks());
        tracing::info!(ring = %self.id, %peer, decided, lacks, "behind: fetches decided entries in pieces");
        CAUGHT_UP_IN_PIECES.reached();
        self.catch_up.began = Some((self.next_tick_ms, decided));
        self.collect();
        self.recover_crate(decided);
        self.begin_anew();
    }

    /// This member is level, as far as the peers that are connected have told.
    fn end_catching_up(&mut self) {
        let Some((began_ms, decided)) = self.catch_up.began.take() else { return };
        let (took_ms, entries) = (self.next_tick_ms - began_ms, self.decided - decided);
        LEVEL_AGAIN.reached();
        self.catch_up.counts.ended += 1;
        self.catch_up.counts.last_ms = took_ms;
        self.interrupted = interrupted(&self.paxos, &self.membership).filter(|_| self.resumes());
        tracing::info!(ring = %self.id, took_ms, entries, "level with the other members again");
    }

    fn waits_for_levels(&self) -> bool {
        self.sessions.values().any(|session| session.is_connected() && !session.is_answered())
    }

    /// Another tick has passed. A peer from which no piece comes is no longer taken for ahead until it has answered again, and one that
    /// does not answer is not waited for.
    pub(super) fn watch_level(&mut self) {
        match (self.catch_up.asked, self.most_ahead()) {
            (Some(peer), _) if self.catch_up.piece.endure() => {
                PIECE_MISSED.reached();
                self.catch_up.asked = None;
                self.catch_up.piece.relieve();
                self.begin_with(peer, None);
                self.pursue();
            }
            (Some(_), _) => {}
            (None, Some((decided, peer))) if self.decided >= decided => self.begin_with(peer, None),
            (None, Some((decided, peer)))
                if !self.is_about_to_decide(decided) || self.catch_up.leader.endure() =>
            {
                self.ask(peer);
            }
            (None, Some(_)) => {}
            (None, None) => {
                self.catch_up.leader.relieve();
                if self.is_behind() && self.catch_up.piece.endure() {
                    self.end_catching_up();
                }
            }
        }
    }

    /// Reads one piece for a peer that asked for it, if any did that may have one and it can be read.
    pub(super) fn serve_piece(&mut self, allowances: &mut Allowances, into: &mut Vec<Outgoing>) -> bool {
        let Some((to, weight)) = self.served_next(allowances) else { return false };
        let request = self.catch_up.requests.get_mut(&to).expect("it has asked");
        request.is_served = true;
        let Request { number, from, .. } = *request;
        match self.read_piece(from, weight) {
            Ok(entries) if entries.is_empty() => return false,
            Ok(entries) => {
                allowances.take(to, entries.iter().map(|entry| entry.len() as u64).sum());
                let piece = Answer { number, leader: self.leader(), from, entries };
                let frames = piece.piece_frames().into_iter();
                into.extend(frames.map(|message| Outgoing { to, message, after: None, is_free: false }));
                self.catch_up.counts.served += 1;
            }
            Err(error) => {
                tracing::warn!(ring = %self.id, %to, %error, "a member that is behind is not served")
            }
        }
        true
    }

    /// A peer that has asked and may have a piece now, and of which weight.
    fn served_next(&self, allowances: &Allowances) -> Option<(NodeId, u64)> {
        let piece = self.catch_up.limits.piece;
        let is_paced = self.decides();
        let mut peers = self.catch_up.requests.iter().filter(|(_, request)| !request.is_served);
        peers.find_map(|(peer, _)| match is_paced {
            true => Some((*peer, allowances.piece_for(*peer)?.min(piece))),
            false => Some((*peer, piece)),
        })
    }

    /// Whether entries are decided without the members that are behind: no heartbeats pass between them and this one.
    fn decides(&self) -> bool {
        self.is_accepting() && self.hears_quorum()
    }

    /// Decided entries from one on, as many as a piece of this weight holds; none if they are trimmed or not known to be decided.
    fn read_piece(&self, from: u64, weight_max: u64) -> Result<Vec<Bytes>, LogError> {
        let log = self.log.lock();
        let end = if PIECE_UNDECIDED.is_planted() { self.accepted() } else { self.decided };
        let from = from + u64::from(PIECE_SKIPS_ENTRY.is_planted());
        if from < log.first(self.id) || from >= end {
            return Ok(Vec::new());
        }
        let mut weight = 0;
        let held = log.lengths(self.id, from..end).take_while(|length| {
            let is_open = weight < weight_max;
            weight += weight_of(*length);
            is_open
        });
        let entries = held.count() as u64;
        log.read_range(self.id, from..from + entries, usize::MAX)
    }

    /// Takes a piece. One that was not asked for, or comes late, says nothing new.
    pub(super) fn take_piece(&mut self, mut piece: Answer) {
        if PIECE_INSTALLED_TWICE.is_planted() && piece.from < self.decided {
            piece.from = self.decided;
        }
        let end = piece.from + piece.entries.len() as u64;
        let joins = piece.from <= self.decided && self.decided < end;
        if !self.installs_late() && (!joins || self.catch_up.asked.is_none()) {
            return;
        }
        let known = self.decided.saturating_sub(piece.from) as usize;
        match self.install(end, piece.entries.into_iter().skip(known)) {
            Ok(()) => self.begin_anew(),
            Err(error) => tracing::error!(ring = %self.id, %error, "a piece was not installed"),
        }
    }

    /// Installs decided entries up to `end` below the consensus crate, which then begins again. The promise and the accepted
    /// round stay. So do the entries above, unless an entry differs: then nothing at or above that one was decided in the
    /// accepted round.
    fn install(&mut self, end: u64, entries: impl Iterator<Item = Bytes>) -> Result<(), LogError> {
        self.collect();
        let mut log = self.log.lock();
        for (index, entry) in (self.decided..).zip(entries) {
            if index >= log.next_index(self.id) || log.read(self.id, index)? != entry {
                log.append(self.id, index, entry);
            }
        }
        self.install_wrongly(&mut log, end);
        drop(log);
        PIECE_INSTALLED.reached();
        self.catch_up.counts.installed += 1;
        self.recover_crate(end);
        Ok(())
    }

    /// The consensus crate begins again with what the log holds, of which so many entries are decided. It leads no more.
    fn recover_crate(&mut self, decided: u64) {
        self.log.lock().put(self.id, DECIDED, encode_number(decided));
        let storage = RingStorage::recover(self.id, self.log.clone()).expect("values that were put");
        self.paxos = build(&self.membership, &self.timing, self.is_preferred, storage);
        self.pace.begin_anew();
        self.observe();
    }

    /// A later leader has decided what this one has not proposed: this reign has ended, and only this member does not know. A
    /// member that has promised no later ballot learns such decisions in pieces, and would be sent entries for other indices.
    pub(super) fn give_up(&mut self) {
        self.counts.given_up += 1;
        self.collect();
        self.recover_crate(self.decided);
        self.begin_anew();
    }

    /// Begins the session with every peer anew: their messages may speak of a log that this member does not have any more.
    fn begin_anew(&mut self) {
        self.catch_up.piece.relieve();
        let connected = |(peer, session): (&NodeId, &Session)| session.is_connected().then_some(*peer);
        let peers: Vec<NodeId> = self.sessions.iter().filter_map(connected).collect();
        peers.into_iter().for_each(|peer| self.begin_with(peer, None));
    }

    /// Takes a frame that is not a message of the consensus crate.
    pub(super) fn step_beside(
        &mut self,
        from: NodeId,
        stream: Stream,
        bytes: Bytes,
    ) -> Result<(), StepError> {
        let malformed = |what| StepError::Malformed { from, what };
        match stream {
            Stream::Message => unreachable!("the crate's messages are stepped elsewhere"),
            Stream::Level => {
                let level = Level::decode(bytes).map_err(|_| malformed("bytes that are no level"))?;
                self.hear_level(from, &level);
            }
            Stream::Piece => {
                let piece = Answer::decode(bytes).map_err(|_| malformed("bytes that are no piece"))?;
                self.take_piece(piece);
            }
        }
        Ok(())
    }
}

#[cfg(not(test))]
impl PaxosRing {
    fn resumes(&self) -> bool {
        true
    }

    fn tells_crate(&self) -> bool {
        true
    }

    fn installs_late(&self) -> bool {
        false
    }

    fn install_wrongly(&self, _: &mut crate::log::NodeLog, _: u64) {}
}

#[cfg(test)]
impl PaxosRing {
    fn resumes(&self) -> bool {
        self.planted != Some(crate::ring::sim::Fault::CandidacyForgotten)
    }

    fn tells_crate(&self) -> bool {
        self.planted != Some(crate::ring::sim::Fault::NoReconnect)
    }

    fn installs_late(&self) -> bool {
        self.planted == Some(crate::ring::sim::Fault::LateInstalled)
    }

    fn install_wrongly(&self, log: &mut crate::log::NodeLog, end: u64) {
        use crate::ring::sim::Fault;
        use crate::ring::storage::{ACCEPTED_ROUND, PROMISE};
        match self.planted {
            Some(Fault::LateInstalled | Fault::AboveDropped) => log.truncate(self.id, end),
            Some(Fault::PromiseReset) => {
                if let Some(round) = log.value(self.id, ACCEPTED_ROUND).cloned() {
                    log.put(self.id, PROMISE, round);
                }
            }
            _ => {}
        }
    }
}
