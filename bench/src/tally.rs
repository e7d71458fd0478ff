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
    /// Latencies in microseconds, of replies without an error.
    pub latency_us: Histogram<u64>,
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
        Tally { latency_us, errors: BTreeMap::new(), bytes_sent: 0, bytes_received: 0 }
    }

    /// Counts a reply.
    pub fn reply(&mut self, latency: Duration, error: Option<ErrorCode>) {
        match error {
            None => self.latency_us.saturating_record(latency.as_micros() as u64),
            Some(code) => *self.errors.entry(code).or_default() += 1,
        }
    }

    /// Adds what another worker has counted.
    pub fn add(&mut self, other: &Tally) {
        self.latency_us.add(&other.latency_us).expect("all have the same bounds");
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
        all.add(&other);
        assert_eq!(all.latency_us.len(), 2);
        assert_eq!(all.latency_us.min(), 100);
        assert!(all.latency_us.max() >= LATENCY_MAX.as_micros() as u64);
        assert_eq!(all.errors, BTreeMap::from([(ErrorCode::NoNode, 2)]));
    }
}
