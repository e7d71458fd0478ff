//! What all clients of a trial share.

#![allow(clippy::disallowed_methods, reason = "notes when the server came up, and waits")]

use super::sessions::Sessions;
use crate::checks::Freshness;
use crate::record::Record;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Counters.
pub const COUNTERS: usize = 8;
/// Pairs: so many that with two partitions about half of them lie in both.
pub const PAIRS: usize = 16;
/// How long to wait between two attempts to do what cannot be done while the server is down.
const RETRY_INTERVAL: Duration = Duration::from_millis(10);

/// What all clients of a trial share.
#[derive(Debug)]
pub struct World {
    /// Where the server is.
    pub address: SocketAddr,
    /// What has been seen of counters and pairs.
    pub freshness: Freshness,
    /// The sessions with ephemerals.
    pub sessions: Sessions,
    /// What has happened.
    pub record: Record,
    /// The number of the current round, one more after each kill. Sequential children have a parent per round.
    pub round: AtomicUsize,
    last_up: Mutex<Instant>,
    stopping: AtomicBool,
}

impl World {
    /// A world in which nothing has happened yet.
    pub fn new(address: SocketAddr) -> World {
        World {
            address,
            freshness: Freshness::new(COUNTERS + PAIRS),
            sessions: Sessions::default(),
            record: Record::default(),
            round: AtomicUsize::new(0),
            last_up: Mutex::new(Instant::now()),
            stopping: AtomicBool::new(false),
        }
    }

    /// The server accepts connections again.
    pub fn is_up(&self) {
        *self.last_up.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// `moment`, or when the server came up if that was later: a server that was down starts all timeouts afresh.
    pub fn heard_since(&self, moment: Instant) -> Instant {
        moment.max(*self.last_up.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes all clients finish.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
    }

    /// Whether the clients are to finish.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
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

    /// Where a counter stands in the table of versions.
    pub fn counter_slot(index: usize) -> usize {
        index
    }

    /// Where a pair stands in the table of versions; both halves have one version.
    pub fn pair_slot(index: usize) -> usize {
        COUNTERS + index
    }

    /// The parent of a round's sequential children.
    pub fn sequence(round: usize) -> String {
        format!("/sequence/r{round}")
    }
}
