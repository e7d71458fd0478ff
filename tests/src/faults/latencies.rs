//! How long single writes took through nodes that were there all the time.

use std::fmt;
use std::time::Duration;

/// Of one stage of an absence.
#[derive(Clone, Debug, Default)]
pub(super) struct Latencies(Vec<Duration>);

impl Latencies {
    /// One more write.
    pub(super) fn add(&mut self, took: Duration) {
        self.0.push(took);
    }

    /// So many thousandths of the writes took no longer than this.
    fn quantile_ms(&self, per_mille: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let at = (sorted.len() * per_mille / 1_000).min(sorted.len().saturating_sub(1));
        sorted.get(at).copied().unwrap_or_default().as_secs_f64() * 1_000.0
    }
}

impl fmt::Display for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [half, most, all] = [500, 990, 1_000].map(|per_mille| self.quantile_ms(per_mille));
        write!(f, "p50 {half:.1} ms, p99 {most:.1} ms, longest {all:.1} ms of {}", self.0.len())
    }
}

/// An absence as the others' writes show it.
#[derive(Debug, Default)]
pub(super) struct Stages {
    /// Before the node left.
    pub(super) before: Latencies,
    /// While it was away, before much was written.
    pub(super) without: Latencies,
    /// From its coming back until it was level.
    pub(super) during: Latencies,
    /// From then on.
    pub(super) after: Latencies,
}

impl fmt::Display for Stages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stages { before, without, during, after } = self;
        let ratio = during.quantile_ms(990) / before.quantile_ms(990).max(0.001);
        write!(f, "before: {before}; without it: {without}; until it was level: {during}; after: {after}; ")?;
        write!(f, "p99 while it caught up is {ratio:.2} times that before")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ms: impl IntoIterator<Item = u64>) -> Latencies {
        Latencies(ms.into_iter().map(Duration::from_millis).collect())
    }

    #[test]
    fn latencies_are_told_by_quantiles() {
        let told = of((1..=200).rev()).to_string();
        assert_eq!(told, "p50 101.0 ms, p99 199.0 ms, longest 200.0 ms of 200");
        assert_eq!(Latencies::default().to_string(), "p50 0.0 ms, p99 0.0 ms, longest 0.0 ms of 0");
    }

    #[test]
    fn a_catch_up_is_compared_with_what_was_before() {
        let stages = Stages { before: of([4; 100]), during: of([10; 100]), ..Stages::default() };
        assert!(stages.to_string().ends_with("p99 while it caught up is 2.50 times that before"));
        assert!(Stages::default().to_string().ends_with("is 0.00 times that before"));
    }
}
