//! What was counted while a run was measured.

use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::time::Duration;
use volery::wire::ErrorCode;

/// Latencies above this count as this.
const LATENCY_MAX: Duration = Duration::from_secs(120);
/// Three digits: latencies are off by at most a thousandth.
const SIGNIFICANT_DIGITS: u8 = 3;

/// Counts of one worker, or of all.
pub struct Tally {
    /// Latencies in microseconds, of replies without an error; in an open loop also of what is overdue, so far as it is known.
    pub latency_us: Histogram<u64>,
    /// In an open loop: requests that were due and not answered as the window ended.
    pub overdue: u64,
    /// How often each error was replied.
    pub errors: BTreeMap<ErrorCode, u64>,
    /// Bytes sent.
    pub bytes_sent: u64,
    /// Bytes received.
    pub bytes_received: u64,
}

impl Tally {
    /// Nothing counted yet.
    pub fn new() -> Tally {
        let max = LATENCY_MAX.as_micros() as u64;
        let latency_us = Histogram::new_with_max(max, SIGNIFICANT_DIGITS).expect("the bounds are legal");
        Tally { latency_us, overdue: 0, errors: BTreeMap::new(), bytes_sent: 0, bytes_received: 0 }
    }

    /// Counts a reply.
    pub fn reply(&mut self, latency: Duration, error: Option<ErrorCode>) {
        match error {
            None => self.latency_us.saturating_record(latency.as_micros() as u64),
            Some(code) => *self.errors.entry(code).or_default() += 1,
        }
    }

    /// How many replies without an error there were.
    pub fn operations(&self) -> u64 {
        self.latency_us.len() - self.overdue
    }

    /// Counts a request that was due so long ago and is not answered: its latency will be greater, and leaving it out
    /// would hide a server that has stalled.
    pub fn overdue(&mut self, so_far: Duration) {
        self.overdue += 1;
        self.latency_us.saturating_record(so_far.as_micros() as u64);
    }

    /// Adds what another worker has counted.
    pub fn add(&mut self, other: &Tally) {
        self.latency_us.add(&other.latency_us).expect("all have the same bounds");
        self.overdue += other.overdue;
        for (code, count) in &other.errors {
            *self.errors.entry(*code).or_default() += count;
        }
        self.bytes_sent += other.bytes_sent;
        self.bytes_received += other.bytes_received;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tallies_add_up_and_errors_are_no_operations() {
        let (mut all, mut other) = (Tally::new(), Tally::new());
        all.reply(Duration::from_micros(100), None);
        all.reply(Duration::from_micros(5), Some(ErrorCode::NoNode));
        other.reply(Duration::from_secs(1_000), None);
        other.reply(Duration::from_micros(5), Some(ErrorCode::NoNode));
        other.overdue(Duration::from_millis(1));
        all.add(&other);
        assert_eq!((all.operations(), all.overdue), (2, 1));
        assert_eq!(all.latency_us.len(), 3);
        assert_eq!(all.latency_us.min(), 100);
        assert!(all.latency_us.max() >= LATENCY_MAX.as_micros() as u64);
        assert_eq!(all.errors, BTreeMap::from([(ErrorCode::NoNode, 2)]));
    }
}
