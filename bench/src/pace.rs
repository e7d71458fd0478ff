//! When the requests of a connection are due in an open loop.
//!
//! Users come on their own: a server that stalls does not keep them away. So a request has a due time, whatever the
//! server does, and its latency counts from that and not from when it could be sent. Measured from the sending, a stall
//! of a second would be seen by the few requests in flight and by none of those that it kept from being sent
//! (*coordinated omission*).
//!
//! The due times are steady, so that a rate is met exactly, with a jitter of up to one interval, so that connections do
//! not beat together: the `i`th request of a connection is due somewhere in its `i`th interval.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::time::{Duration, Instant};

/// The due times of one connection, rising and without an end.
#[derive(Clone)]
pub struct Pace {
    start: Instant,
    interval: Duration,
    intervals: u32,
    due: Instant,
    random: SmallRng,
}

impl Pace {
    /// The share of the connection with index `connection` of `rate` requests per second over all connections, from
    /// `start` on. The jitter is the same in every run.
    pub fn new(rate: u64, connections: usize, connection: usize, start: Instant) -> Pace {
        assert!(rate > 0, "nothing would ever be due");
        let interval = Duration::from_secs_f64(connections as f64 / rate as f64);
        let random = SmallRng::seed_from_u64(connection as u64);
        let mut pace = Pace { start, interval, intervals: 0, due: start, random };
        pace.draw();
        pace
    }

    /// When the next request is due.
    pub fn due(&self) -> Instant {
        self.due
    }

    /// Takes the next request off, and tells when it was due; `None` if none is due yet.
    pub fn take(&mut self, now: Instant) -> Option<Instant> {
        let due = self.due;
        (due <= now).then(|| {
            self.advance();
            due
        })
    }

    fn advance(&mut self) {
        self.intervals += 1;
        if self.intervals == u32::MAX {
            self.start += self.interval * self.intervals;
            self.intervals = 0;
        }
        self.draw();
    }

    fn draw(&mut self) {
        let jitter = self.interval.mul_f64(self.random.random::<f64>());
        self.due = self.start + self.interval * self.intervals + jitter;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An arbitrary moment: nothing here waits for time to pass.
    #[allow(clippy::disallowed_methods, reason = "an instant has no other origin")]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn each_interval_has_one_request() {
        let start = start();
        let mut pace = Pace::new(1_000, 10, 3, start);
        let interval = Duration::from_millis(10);
        for index in 0..1_000 {
            let end = start + interval * (index + 1);
            let due = pace.take(end).unwrap();
            assert!((end - interval..=end).contains(&due), "request {index}");
        }
    }

    #[test]
    fn what_could_not_be_sent_keeps_its_due_time() {
        let start = start();
        let mut undisturbed = Pace::new(100, 1, 0, start);
        let mut stalled = undisturbed.clone();
        let late = start + Duration::from_secs(5);
        for _ in 0..300 {
            let due = undisturbed.due();
            assert_eq!(undisturbed.take(due), Some(due));
            assert_eq!(stalled.take(late), Some(due));
        }
    }

    #[test]
    fn nothing_is_sent_before_it_is_due() {
        let start = start();
        let mut pace = Pace::new(1, 1, 0, start);
        let due = pace.due();
        assert_eq!(pace.take(start), (due == start).then_some(start));
        assert_eq!(pace.take(due), Some(due));
        assert!(pace.due() >= start + Duration::from_secs(1));
    }

    #[test]
    fn connections_do_not_beat_together() {
        let start = start();
        let [a, b] = [0, 1].map(|connection| Pace::new(10, 2, connection, start).due());
        assert_ne!(a, b);
    }
}
