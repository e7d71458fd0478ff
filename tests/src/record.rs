//! What all threads of a trial add to: violations, acknowledged writes, checked reads.

#![allow(clippy::disallowed_methods, reason = "takes the time of acknowledgements")]

use crate::checks::Silence;
use crate::violation::Violation;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Violations that are kept; more are counted.
const VIOLATIONS_MAX: usize = 200;

/// What has happened so far.
#[derive(Debug)]
pub struct Record {
    silence: Mutex<Silence>,
    acknowledged: AtomicU64,
    violations: Mutex<Vec<Violation>>,
    violation_count: AtomicU64,
    unknown: AtomicU64,
    reads: AtomicU64,
    echoes: AtomicU64,
    reconnects: AtomicU64,
}

/// The numbers of a record at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totals {
    /// Writes acknowledged.
    pub acknowledged: u64,
    /// Writes whose outcome nobody was told.
    pub unknown: u64,
    /// Reads that were judged.
    pub reads: u64,
    /// Those of them that looked for a write that a node had just acknowledged.
    pub echoes: u64,
    /// Connections that were lost and replaced.
    pub reconnects: u64,
    /// Violations.
    pub violations: u64,
    /// The longest time without an acknowledgement, up to the last.
    pub longest_gap: Duration,
}

impl Default for Record {
    fn default() -> Record {
        Record {
            silence: Mutex::new(Silence::new(Instant::now())),
            acknowledged: AtomicU64::new(0),
            violations: Mutex::default(),
            violation_count: AtomicU64::new(0),
            unknown: AtomicU64::new(0),
            reads: AtomicU64::new(0),
            echoes: AtomicU64::new(0),
            reconnects: AtomicU64::new(0),
        }
    }
}

impl Record {
    /// A write was acknowledged.
    pub fn acknowledge(&self) {
        self.acknowledged.fetch_add(1, Ordering::Relaxed);
        lock(&self.silence).end(Instant::now());
    }

    /// The load begins: what was before is no silence.
    pub fn begin(&self) {
        *lock(&self.silence) = Silence::new(Instant::now());
    }

    /// Ends a window, and returns the longest time in it without an acknowledgement.
    pub fn take_silence(&self) -> Duration {
        lock(&self.silence).take(Instant::now())
    }

    /// A write was sent and its outcome is unknown.
    pub fn lose_sight(&self) {
        self.unknown.fetch_add(1, Ordering::Relaxed);
    }

    /// A read was judged.
    pub fn read(&self) {
        self.reads.fetch_add(1, Ordering::Relaxed);
    }

    /// A read looked for a write that a node had just acknowledged, and was judged.
    pub fn echo(&self) {
        self.echoes.fetch_add(1, Ordering::Relaxed);
        self.read();
    }

    /// A connection was lost and replaced.
    pub fn reconnect(&self) {
        self.reconnects.fetch_add(1, Ordering::Relaxed);
    }

    /// Something was seen that must not be.
    pub fn violate(&self, violation: Violation) {
        self.violation_count.fetch_add(1, Ordering::Relaxed);
        let mut violations = lock(&self.violations);
        if violations.len() < VIOLATIONS_MAX {
            violations.push(violation);
        }
    }

    /// The violations that were not taken before; beyond the first 200 they are only counted.
    pub fn take_violations_from(&self, seen: usize) -> Vec<Violation> {
        lock(&self.violations).iter().skip(seen).cloned().collect()
    }

    /// How many writes were acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// All numbers so far.
    pub fn totals(&self) -> Totals {
        Totals {
            acknowledged: self.acknowledged(),
            unknown: self.unknown.load(Ordering::Relaxed),
            reads: self.reads.load(Ordering::Relaxed),
            echoes: self.echoes.load(Ordering::Relaxed),
            reconnects: self.reconnects.load(Ordering::Relaxed),
            violations: self.violation_count.load(Ordering::Relaxed),
            longest_gap: lock(&self.silence).ever(),
        }
    }
}

/// A panic elsewhere leaves whole values behind.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
