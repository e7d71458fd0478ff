//! The longest time in which nothing was acknowledged to anybody.

use std::time::{Duration, Instant};

/// Follows acknowledgements and knows the longest time between two. It is asked once per window, and a silence that
/// spans two windows counts whole in the second: cut at the border it would look half as long.
#[derive(Clone, Copy, Debug)]
pub struct Silence {
    /// The last acknowledgement.
    last: Instant,
    /// The longest time between two of which the later lies in this window.
    longest: Duration,
    /// The longest of all windows.
    ever: Duration,
}

impl Silence {
    /// Begins at a moment that counts as an acknowledgement.
    pub fn new(now: Instant) -> Silence {
        Silence { last: now, longest: Duration::ZERO, ever: Duration::ZERO }
    }

    /// Something was acknowledged.
    pub fn end(&mut self, now: Instant) {
        self.longest = self.longest_until(now);
        self.ever = self.ever.max(self.longest);
        self.last = self.last.max(now);
    }

    /// Ends a window and returns its longest silence, the one that still lasts included.
    pub fn take(&mut self, now: Instant) -> Duration {
        let longest = self.longest_until(now);
        self.ever = self.ever.max(longest);
        self.longest = Duration::ZERO;
        longest
    }

    /// The longest silence of all windows.
    pub fn ever(&self) -> Duration {
        self.ever
    }

    fn longest_until(&self, now: Instant) -> Duration {
        self.longest.max(now.saturating_duration_since(self.last))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "needs some moment to count from")]

    use super::*;

    /// The longest silences of windows that end at these times, of acknowledgements at those.
    fn taken(acknowledgements: &[u64], windows: &[u64]) -> Vec<u64> {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let mut silence = Silence::new(start);
        let mut left = acknowledgements.iter().peekable();
        let longest = windows.iter().map(|&end| {
            while let Some(&ms) = left.next_if(|ms| **ms <= end) {
                silence.end(at(ms));
            }
            silence.take(at(end)).as_millis() as u64
        });
        longest.collect()
    }

    #[test]
    fn the_longest_of_a_window_is_found() {
        assert_eq!(taken(&[10, 20, 3_500, 3_510], &[3_520]), [3_480]);
        assert_eq!(taken(&[10, 20, 30, 40], &[20, 40]), [10, 10]);
    }

    #[test]
    fn a_silence_that_still_lasts_counts_and_goes_on_into_the_next_window() {
        assert_eq!(taken(&[100], &[2_000]), [1_900]);
        assert_eq!(taken(&[100, 3_200], &[2_000, 3_300]), [1_900, 3_100]);
        assert_eq!(taken(&[], &[1_000, 2_000]), [1_000, 2_000]);
    }

    #[test]
    fn a_window_knows_nothing_of_the_one_before_and_the_whole_does() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let mut silence = Silence::new(start);
        silence.end(at(5_000));
        assert_eq!(silence.take(at(5_001)), Duration::from_millis(5_000));
        silence.end(at(5_002));
        assert_eq!(silence.take(at(5_003)), Duration::from_millis(2));
        assert_eq!(silence.ever(), Duration::from_millis(5_000));
    }
}
