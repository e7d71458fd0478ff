//! What all threads of a trial add to: violations, acknowledged writes, checked reads.

#![allow(clippy::disallowed_methods, reason = "takes the time of acknowledgements")]

use crate::violation::Violation;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Violations that are kept; more are counted.
const VIOLATIONS_MAX: usize = 200;

/// What has happened so far.
#[derive(Debug)]
pub struct Record {
    acknowledgements: Mutex<Acknowledgements>,
    violations: Mutex<Vec<Violation>>,
    violation_count: AtomicU64,
    unknown: AtomicU64,
    reads: AtomicU64,
    reconnects: AtomicU64,
}

/// The acknowledged writes.
#[derive(Clone, Copy, Debug)]
pub struct Acknowledgements {
    /// How many.
    pub count: u64,
    /// When the last came.
    pub last: Instant,
    /// The longest time between two.
    pub longest_gap: Duration,
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
    /// Connections that were lost and replaced.
    pub reconnects: u64,
    /// Violations.
    pub violations: u64,
    /// The longest time without an acknowledgement.
    pub longest_gap: Duration,
}

impl Default for Record {
    fn default() -> Record {
        let acknowledgements =
            Acknowledgements { count: 0, last: Instant::now(), longest_gap: Duration::ZERO };
        Record {
            acknowledgements: Mutex::new(acknowledgements),
            violations: Mutex::default(),
            violation_count: AtomicU64::new(0),
            unknown: AtomicU64::new(0),
            reads: AtomicU64::new(0),
            reconnects: AtomicU64::new(0),
        }
    }
}

impl Record {
    /// A write was acknowledged.
    pub fn acknowledge(&self) {
        let now = Instant::now();
        let mut acknowledgements = lock(&self.acknowledgements);
        acknowledgements.count += 1;
        let gap = now.saturating_duration_since(acknowledgements.last);
        acknowledgements.longest_gap = acknowledgements.longest_gap.max(gap);
        acknowledgements.last = now;
    }

    /// A write was sent and its outcome is unknown.
    pub fn lose_sight(&self) {
        self.unknown.fetch_add(1, Ordering::Relaxed);
    }

    /// A read was judged.
    pub fn read(&self) {
        self.reads.fetch_add(1, Ordering::Relaxed);
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

    /// The acknowledged writes so far.
    pub fn acknowledgements(&self) -> Acknowledgements {
        *lock(&self.acknowledgements)
    }

    /// All numbers so far.
    pub fn totals(&self) -> Totals {
        let acknowledgements = self.acknowledgements();
        Totals {
            acknowledged: acknowledgements.count,
            unknown: self.unknown.load(Ordering::Relaxed),
            reads: self.reads.load(Ordering::Relaxed),
            reconnects: self.reconnects.load(Ordering::Relaxed),
            violations: self.violation_count.load(Ordering::Relaxed),
            longest_gap: acknowledgements.longest_gap,
        }
    }
}

/// A panic elsewhere leaves whole values behind.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
