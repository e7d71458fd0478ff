//! What all clients of a trial share.

#![allow(clippy::disallowed_methods, reason = "notes when the service came up, and waits")]

use super::mailbox::Notice;
use super::node::Node;
use super::sessions::Sessions;
use crate::checks::{Freshness, Reads};
use crate::record::Record;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use volery::wire::ReadOp;

/// Counters.
pub const COUNTERS: usize = 8;
/// Pairs: so many that with two partitions about half of them lie in both.
pub const PAIRS: usize = 16;
/// How much later than its timeout a session of a server that is alone may be ended: servers look from time to time.
const EXPIRY_MARGIN: Duration = Duration::from_secs(5);
/// The same in a cluster, where every change of leaders starts the timeouts afresh. One node's death makes two, since
/// leadership returns to it; then it is long another's turn.
const EXPIRY_MARGIN_OF_CLUSTER: Duration = Duration::from_secs(20);
/// The same where it is known when timers have started afresh ([`TimerWatch`](super::TimerWatch)): a new leader gives 2.5 s more, and the
/// end of a session may wait for another election.
const EXPIRY_MARGIN_OF_WATCHED: Duration = Duration::from_secs(10);
/// How long to wait between two attempts to do what cannot be done while the server is down.
const RETRY_INTERVAL: Duration = Duration::from_millis(10);

/// What is written and read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A counter, by index.
    Counter(usize),
    /// A pair, by index.
    Pair(usize),
}

impl Target {
    /// Where it stands in the table of versions; both halves of a pair have one.
    pub fn slot(self) -> usize {
        match self {
            Target::Counter(index) => index,
            Target::Pair(index) => COUNTERS + index,
        }
    }
}

/// What all clients of a trial share.
#[derive(Debug)]
pub struct World {
    /// The nodes, in the cluster's order.
    pub nodes: Vec<Node>,
    /// What reads promise.
    pub reads: Reads,
    /// How long a client rests between what it does: a restarted node replays all of it.
    pace: Duration,
    /// What has been seen of counters and pairs.
    pub freshness: Freshness,
    /// The sessions with ephemerals.
    pub sessions: Sessions,
    /// What has happened.
    pub record: Record,
    /// The number of the current round, one more with each fault. Sequential children have a parent per round.
    pub round: AtomicUsize,
    /// Where the next client begins.
    start: AtomicUsize,
    last_up: Mutex<Instant>,
    /// When timers of sessions were last seen to start afresh, if that is watched.
    timers_restarted: Mutex<Option<Instant>>,
    stopping: AtomicBool,
}

impl World {
    /// A world in which nothing has happened yet.
    pub fn new(addresses: Vec<SocketAddr>, reads: Reads, pace: Duration) -> World {
        World {
            nodes: addresses.into_iter().map(Node::new).collect(),
            reads,
            pace,
            freshness: Freshness::new(COUNTERS + PAIRS, reads),
            sessions: Sessions::default(),
            record: Record::default(),
            round: AtomicUsize::new(0),
            start: AtomicUsize::new(0),
            last_up: Mutex::new(Instant::now()),
            timers_restarted: Mutex::default(),
            stopping: AtomicBool::new(false),
        }
    }

    /// The list of servers for one client; each begins at another.
    pub fn servers(&self) -> Vec<SocketAddr> {
        let mut addresses: Vec<SocketAddr> = self.nodes.iter().map(|node| node.address).collect();
        let start = self.start.fetch_add(1, Ordering::Relaxed) % addresses.len();
        addresses.rotate_left(start);
        addresses
    }

    /// Which node is at an address.
    ///
    /// # Panics
    /// If none is: clients are only given those of nodes.
    pub fn node_at(&self, address: SocketAddr) -> usize {
        let node = self.nodes.iter().position(|node| node.address == address);
        node.unwrap_or_else(|| unreachable!("{address} is no node's"))
    }

    /// A write was acknowledged: all witnesses are told.
    pub fn tell(&self, notice: &Notice) {
        self.nodes.iter().for_each(|node| node.mailbox.post(notice.clone()));
    }

    /// Whether at `now` a session must have ended that was left to this timeout at `left`.
    pub fn is_overdue(&self, left: Instant, timeout: Duration, now: Instant) -> bool {
        let watched = *lock(&self.timers_restarted);
        let margin = match watched {
            Some(_) => EXPIRY_MARGIN_OF_WATCHED,
            None if self.nodes.len() == 1 => EXPIRY_MARGIN,
            None => EXPIRY_MARGIN_OF_CLUSTER,
        };
        let heard = self.heard_since(left);
        watched.map_or(heard, |restarted| heard.max(restarted)) + timeout + margin < now
    }

    /// Timers of sessions have started afresh at a node, as they do where a leader is elected.
    pub fn timers_restarted(&self, now: Instant) {
        *lock(&self.timers_restarted) = Some(now);
    }

    /// The service was down as a whole, and its nodes accept connections again.
    pub fn is_up(&self) {
        *lock(&self.last_up) = Instant::now();
    }

    /// `moment`, or when the service came up if that was later: one that was down starts all timeouts afresh.
    pub fn heard_since(&self, moment: Instant) -> Instant {
        moment.max(*lock(&self.last_up))
    }

    /// Makes all clients finish, and whoever watches timers.
    pub fn stop(&self) {
        *lock(&self.timers_restarted) = None;
        self.stopping.store(true, Ordering::SeqCst);
    }

    /// Whether the clients are to finish.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Rests before the next thing to do.
    pub fn rest(&self) {
        if !self.pace.is_zero() {
            std::thread::sleep(self.pace);
        }
    }

    /// Waits for so long, or until the trial is over.
    pub fn sleep(&self, length: Duration) {
        let end = Instant::now() + length;
        while !self.is_stopping() && Instant::now() < end {
            self.pause();
        }
    }

    /// Waits a little before the next attempt.
    pub fn pause(&self) {
        std::thread::sleep(RETRY_INTERVAL);
    }

    /// The path of a counter.
    pub fn counter(index: usize) -> String {
        format!("/counters/c{index}")
    }

    /// The paths of a pair. Each is placed by itself, so many pairs span partitions.
    pub fn pair(index: usize) -> [String; 2] {
        [format!("/pairs/a{index}"), format!("/pairs/b{index}")]
    }

    /// Reads both halves of a pair.
    pub fn pair_reads(index: usize) -> Vec<ReadOp> {
        let read = |path: String| ReadOp::GetData { path: path.into() };
        World::pair(index).map(read).to_vec()
    }

    /// The parent of a round's sequential children.
    pub fn sequence(round: usize) -> String {
        format!("/sequence/r{round}")
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(4);

    fn world() -> World {
        let nodes = (1..=3).map(|port: u16| ([127, 0, 0, 1], port).into()).collect();
        World::new(nodes, Reads::Linearizable, Duration::ZERO)
    }

    /// A leader of the session's home is elected every five seconds, and each gives its sessions their whole timeout.
    #[test]
    fn a_session_is_overdue_only_a_timeout_after_timers_have_last_started_afresh() {
        let (world, left) = (world(), Instant::now());
        let at = |seconds| left + Duration::from_secs(seconds);
        for seconds in (0..=30).step_by(5) {
            world.timers_restarted(at(seconds));
            assert!(!world.is_overdue(left, TIMEOUT, at(seconds + 5)), "{seconds} s");
        }
        assert!(!world.is_overdue(left, TIMEOUT, at(44)));
        assert!(world.is_overdue(left, TIMEOUT, at(45)));
    }

    #[test]
    fn where_timers_are_not_watched_a_node_may_die_and_lead_again() {
        let (world, left) = (world(), Instant::now());
        let is_overdue = |seconds| world.is_overdue(left, TIMEOUT, left + Duration::from_secs(seconds));
        assert_eq!([24, 26].map(is_overdue), [false, true]);
    }
}
