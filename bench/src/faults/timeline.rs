//! When writes were answered, and what that says of a fault.

use std::time::Duration;

/// For so long answers are counted together where they are shown over time.
pub const BUCKET: Duration = Duration::from_millis(100);

/// What each partition answered around a fault. Times count from when answers began to be looked at.
///
/// Invariants: the fault comes after that and not after the end; a partition's answers ascend, and none is after the end.
pub struct Timeline {
    fault: Duration,
    end: Duration,
    answers: Vec<Vec<Duration>>,
}

impl Timeline {
    /// What was answered up to `end`: for each partition the times, in any order. Those after the end are left out.
    pub fn new(fault: Duration, end: Duration, mut answers: Vec<Vec<Duration>>) -> Timeline {
        assert!(!fault.is_zero() && fault <= end, "something is seen before a fault");
        for of_partition in &mut answers {
            of_partition.retain(|at| *at <= end);
            of_partition.sort();
        }
        Timeline { fault, end, answers }
    }

    /// How many partitions there are.
    pub fn partitions(&self) -> usize {
        self.answers.len()
    }

    /// Answers per second of a partition before the fault.
    pub fn before(&self, partition: usize) -> f64 {
        self.count(partition, Duration::ZERO, self.fault) as f64 / self.fault.as_secs_f64()
    }

    /// Answers per second of a partition in the first so long after the fault, which is not longer than it was looked.
    pub fn after(&self, partition: usize, length: Duration) -> f64 {
        assert!(!length.is_zero() && self.fault + length <= self.end, "so long was not looked");
        self.count(partition, self.fault, self.fault + length) as f64 / length.as_secs_f64()
    }

    /// What the partitions other than this one answered per second in the first so long after the fault, all together and
    /// as a share of the same before it. Not a number if they answered nothing before.
    pub fn kept_elsewhere(&self, partition: usize, length: Duration) -> f64 {
        let others = || (0..self.partitions()).filter(|other| *other != partition);
        let after: f64 = others().map(|other| self.after(other, length)).sum();
        let before: f64 = others().map(|other| self.before(other)).sum();
        after / before
    }

    /// The longest time without an answer of a partition, from the fault to the end. A time that the end cuts off counts so
    /// far as it was seen.
    pub fn longest_gap(&self, partition: usize) -> Duration {
        let after = self.answers[partition].iter().copied().filter(|at| *at >= self.fault);
        let mut last = self.fault;
        let mut longest = Duration::ZERO;
        for at in after.chain([self.end]) {
            longest = longest.max(at - last);
            last = at;
        }
        longest
    }

    /// How many whole buckets there are before the fault, with which a bucket begins.
    pub fn fault_bucket(&self) -> usize {
        buckets_in(self.fault)
    }

    /// The answers of a partition in each whole bucket, from the first that was looked at to the last.
    pub fn buckets(&self, partition: usize) -> Vec<usize> {
        let before = self.fault_bucket();
        let first = self.fault - BUCKET * before as u32;
        let mut buckets = vec![0; before + buckets_in(self.end - self.fault)];
        for at in self.answers[partition].iter().filter(|at| **at >= first) {
            if let Some(bucket) = buckets.get_mut(buckets_in(*at - first)) {
                *bucket += 1;
            }
        }
        buckets
    }

    fn count(&self, partition: usize, from: Duration, to: Duration) -> usize {
        let answers = &self.answers[partition];
        answers.partition_point(|at| *at < to) - answers.partition_point(|at| *at < from)
    }
}

fn buckets_in(length: Duration) -> usize {
    (length.as_micros() / BUCKET.as_micros()) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(times: impl IntoIterator<Item = u64>) -> Vec<Duration> {
        times.into_iter().map(Duration::from_millis).collect()
    }

    /// A fault after 1,050 ms of 3,000.
    fn timeline(answers: Vec<Vec<Duration>>) -> Timeline {
        Timeline::new(Duration::from_millis(1_050), Duration::from_millis(3_000), answers)
    }

    #[test]
    fn the_longest_gap_is_looked_for_from_the_fault_to_the_end() {
        let gap = |times: &[u64]| timeline(vec![ms(times.iter().copied())]).longest_gap(0).as_millis();
        assert_eq!(gap(&[]), 1_950, "what never comes back is away to the end");
        assert_eq!(gap(&[0, 1_040]), 1_950, "nothing before the fault counts");
        assert_eq!(gap(&[1_040, 1_300, 2_900]), 1_600, "between two answers");
        assert_eq!(gap(&[2_900, 1_600, 1_060]), 1_300, "in whatever order they were told");
        assert_eq!(gap(&[1_900, 2_500]), 850, "up to the first");
        assert_eq!(gap(&[1_100, 1_500, 2_000, 3_400]), 1_000, "nothing after the end counts");
    }

    #[test]
    fn answers_are_counted_in_buckets_that_begin_at_the_fault() {
        let timeline = timeline(vec![ms([20, 50, 149, 150, 1_049, 1_050, 1_149, 1_150, 2_949, 2_960])]);
        let buckets = timeline.buckets(0);
        assert_eq!((timeline.fault_bucket(), buckets.len()), (10, 29));
        let counted: Vec<(usize, usize)> =
            buckets.iter().copied().enumerate().filter(|(_, answers)| *answers > 0).collect();
        assert_eq!(counted, [(0, 2), (1, 1), (9, 1), (10, 2), (11, 1), (28, 1)]);
    }

    #[test]
    fn rates_are_over_the_time_that_was_looked() {
        let timeline = timeline(vec![ms((0..300).map(|i| i * 10))]);
        assert!((timeline.before(0) - 100.0).abs() < 1e-9, "{}", timeline.before(0));
        assert!((timeline.after(0, Duration::from_millis(500)) - 100.0).abs() < 1e-9);
    }

    #[test]
    fn what_is_kept_elsewhere_leaves_the_partition_itself_out() {
        let steady = || ms((0..300).map(|i| i * 10));
        let dead = ms((0..100).map(|i| i * 10));
        let away_for_a_second = ms((0..300).filter(|i| !(105..205).contains(i)).map(|i| i * 10));
        let kept = |length| {
            let answers = vec![steady(), dead.clone(), away_for_a_second.clone()];
            timeline(answers).kept_elsewhere(1, Duration::from_millis(length))
        };
        assert!((kept(1_000) - 0.5).abs() < 1e-9, "{}", kept(1_000));
        assert!((kept(1_900) - (190.0 + 90.0) / 380.0).abs() < 1e-9, "{}", kept(1_900));
        assert!(timeline(vec![steady(), Vec::new()]).kept_elsewhere(0, BUCKET).is_nan());
    }

    #[test]
    fn what_is_caught_up_makes_good_for_what_was_late() {
        let late = (0..300).map(|i| i * 10).map(|at| if (1_050..1_500).contains(&at) { 1_500 } else { at });
        let kept = timeline(vec![Vec::new(), ms(late)]).kept_elsewhere(0, Duration::from_secs(1));
        assert!((kept - 1.0).abs() < 1e-9, "{kept}");
    }
}
