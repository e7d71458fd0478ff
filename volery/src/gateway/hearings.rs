//! Hearings: what this gateway has heard of its clients, and who must know.
//!
//! A session is expired by the leader of its home partition, and only by it. So the gateway that hears of the client
//! tells that leader, and answers a ping only once the leader has confirmed that it was told: from then on the session
//! lives for a timeout, and the client, which hears nothing more, gives its connection up after two thirds of that. So a
//! client is disconnected before its session can be expired. Where this node leads the home itself, there is nobody to tell.
//!
//! The leader names those of the sessions that it can not confirm: their ends are ordered, or they have ended. Their pings are
//! not answered; their clients are told of the end, or that there is none after all when they ping again.
//!
//! A ping makes the gateway tell at the end of the turn, everything else within [`TELL_EVERY_MS`]. What is not confirmed is
//! told again.

use super::telling::Telling;
use crate::session::SessionId;
use eyrie::{ConnectionId, NodeId, PartitionId};
use std::collections::BTreeMap;

/// How often a leader is told of sessions that do not ping.
const TELL_EVERY_MS: u64 = 500;

/// A ping that is answered when its session was told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ping {
    /// Whose it is.
    pub connection: ConnectionId,
    /// Its xid.
    pub xid: i32,
    /// The session.
    pub session: SessionId,
}

/// What must be told to the leader of one partition.
///
/// Invariant: nothing waits for a round later than `round`.
#[derive(Debug, Default)]
struct Home {
    leader: Option<NodeId>,
    /// The round that what is heard now will be told in.
    round: u64,
    /// Sessions and the round in which each was heard last, until that is confirmed.
    heard: BTreeMap<SessionId, u64>,
    /// At most one of each connection, with its round: an answer to the last answers those before it.
    pings: BTreeMap<ConnectionId, (u64, Ping)>,
    pinged: bool,
    told_ms: u64,
}

/// What this gateway has heard of sessions whose homes other nodes lead.
#[derive(Debug)]
pub struct Hearings {
    homes: Vec<Home>,
    now_ms: u64,
}

impl Hearings {
    /// Nothing heard yet, and nobody leads any of so many partitions.
    pub fn new(partitions: u16) -> Hearings {
        Hearings { homes: (0..partitions).map(|_| Home::default()).collect(), now_ms: 0 }
    }

    /// Moves time on.
    pub fn tick(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
    }

    /// Who leads a partition has changed: whoever does now is to be told of everything that is not confirmed.
    pub fn led(&mut self, partition: PartitionId, leader: Option<NodeId>) {
        let home = &mut self.homes[partition.index()];
        home.leader = leader;
        home.pinged |= !home.pings.is_empty();
    }

    /// Who leads a partition.
    pub fn leader(&self, partition: PartitionId) -> Option<NodeId> {
        self.homes[partition.index()].leader
    }

    /// A session was heard of.
    pub fn hear(&mut self, home: PartitionId, session: SessionId) {
        let home = &mut self.homes[home.index()];
        home.heard.insert(session, home.round);
    }

    /// A session pings.
    pub fn ping(&mut self, home: PartitionId, ping: Ping) {
        self.hear(home, ping.session);
        let home = &mut self.homes[home.index()];
        home.pings.insert(ping.connection, (home.round, ping));
        home.pinged = true;
    }

    /// A connection has gone: there is nobody to answer.
    pub fn forget(&mut self, home: PartitionId, connection: ConnectionId) {
        self.homes[home.index()].pings.remove(&connection);
    }

    /// What is to be told now, and to whom.
    pub fn take_tellings(&mut self) -> Vec<(NodeId, Telling)> {
        let now_ms = self.now_ms;
        let homes = self.homes.iter_mut().zip(PartitionId::all(u16::MAX));
        homes.filter_map(|(home, partition)| home.tell(partition, now_ms)).collect()
    }

    /// A leader has confirmed a round, but for what came too late. Returns the pings that may be answered.
    pub fn confirmed(
        &mut self,
        from: NodeId,
        partition: PartitionId,
        round: u64,
        late: &[SessionId],
    ) -> Vec<Ping> {
        match self.homes.get_mut(partition.index()) {
            Some(home) if home.leader == Some(from) => home.confirmed(round, late),
            _ => Vec::new(),
        }
    }

    /// This node leads the partition itself. Each session that was heard of is given to `touch`, which says whether that counts.
    /// Returns the pings that may be answered.
    pub fn confirmed_here(
        &mut self,
        partition: PartitionId,
        mut touch: impl FnMut(SessionId) -> bool,
    ) -> Vec<Ping> {
        let home = &mut self.homes[partition.index()];
        let late: Vec<SessionId> = home.heard.keys().copied().filter(|session| !touch(*session)).collect();
        home.confirmed(home.round, &late)
    }
}

impl Home {
    fn tell(&mut self, partition: PartitionId, now_ms: u64) -> Option<(NodeId, Telling)> {
        let due = self.pinged || now_ms >= self.told_ms + TELL_EVERY_MS;
        let leader = self.leader.filter(|_| due && !self.heard.is_empty())?;
        let (round, sessions) = (self.round, self.heard.keys().copied().collect());
        self.pinged = false;
        self.told_ms = now_ms;
        self.round += 1;
        Some((leader, Telling::Hearing { partition, round, sessions }))
    }

    fn confirmed(&mut self, round: u64, late: &[SessionId]) -> Vec<Ping> {
        self.heard.retain(|_, heard| *heard > round);
        let answered: Vec<Ping> =
            self.pings.values().filter(|(asked, _)| *asked <= round).map(|(_, ping)| *ping).collect();
        self.pings.retain(|_, (asked, _)| *asked > round);
        answered.into_iter().filter(|ping| !late.contains(&ping.session)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: PartitionId = PartitionId(0);
    const A: SessionId = SessionId(7);
    const B: SessionId = SessionId(8);
    const LEADER: NodeId = NodeId(2);

    fn ping(connection: u64, session: SessionId) -> Ping {
        Ping { connection: ConnectionId(connection), xid: -2, session }
    }

    fn hearing(round: u64, sessions: &[SessionId]) -> (NodeId, Telling) {
        (LEADER, Telling::Hearing { partition: HOME, round, sessions: sessions.to_vec() })
    }

    #[test]
    fn a_ping_is_answered_when_the_leader_knows_of_it() {
        let mut hearings = Hearings::new(1);
        hearings.ping(HOME, ping(1, A));
        assert!(hearings.take_tellings().is_empty(), "nobody leads");
        hearings.led(HOME, Some(LEADER));
        assert_eq!(hearings.take_tellings(), [hearing(0, &[A])]);
        hearings.ping(HOME, ping(2, B));
        assert_eq!(hearings.take_tellings(), [hearing(1, &[A, B])], "A is not confirmed yet");
        assert_eq!(hearings.confirmed(NodeId(3), HOME, 1, &[]), [], "it does not lead");
        assert_eq!(hearings.confirmed(LEADER, HOME, 0, &[]), [ping(1, A)]);
        assert_eq!(hearings.confirmed(LEADER, HOME, 1, &[]), [ping(2, B)]);
        assert!(hearings.take_tellings().is_empty());
    }

    #[test]
    fn what_the_leader_hears_of_too_late_is_not_answered() {
        let mut hearings = Hearings::new(1);
        hearings.led(HOME, Some(LEADER));
        hearings.ping(HOME, ping(1, A));
        hearings.ping(HOME, ping(2, B));
        assert_eq!(hearings.take_tellings(), [hearing(0, &[A, B])]);
        assert_eq!(hearings.confirmed(LEADER, HOME, 0, &[A]), [ping(2, B)]);
        assert!(hearings.take_tellings().is_empty(), "its client would have to ping again");
    }

    #[test]
    fn what_was_heard_is_told_again_to_the_next_leader() {
        let mut hearings = Hearings::new(1);
        hearings.led(HOME, Some(NodeId(1)));
        hearings.ping(HOME, ping(1, A));
        assert_eq!(hearings.take_tellings().len(), 1);
        hearings.led(HOME, Some(LEADER));
        assert_eq!(hearings.take_tellings(), [hearing(1, &[A])]);
        assert_eq!(hearings.confirmed(LEADER, HOME, 1, &[]), [ping(1, A)]);
    }

    #[test]
    fn sessions_that_do_not_ping_are_told_of_in_batches() {
        let mut hearings = Hearings::new(1);
        hearings.led(HOME, Some(LEADER));
        hearings.hear(HOME, A);
        hearings.tick(TELL_EVERY_MS - 1);
        assert!(hearings.take_tellings().is_empty());
        hearings.tick(TELL_EVERY_MS);
        assert_eq!(hearings.take_tellings(), [hearing(0, &[A])]);
    }
}
