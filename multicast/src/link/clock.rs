//! The time in which this node was awake.

/// The most that one tick counts, in milliseconds.
pub const STEP_MS_MAX: u64 = 1_000;

/// A clock that counts a pause of its own node as [`STEP_MS_MAX`]. What came from peers during a pause is not read yet
/// when it ends, so their silence must not be measured by it.
#[derive(Debug, Default)]
pub(super) struct Clock {
    last_ms: Option<u64>,
    awake_ms: u64,
}

impl Clock {
    /// Moves on to `now_ms`. Says whether any time has passed; the first time always counts as news.
    pub fn advance(&mut self, now_ms: u64) -> bool {
        let last_ms = self.last_ms.replace(now_ms);
        let step_ms = now_ms.saturating_sub(last_ms.unwrap_or(now_ms)).min(STEP_MS_MAX);
        self.awake_ms += step_ms;
        last_ms.is_none() || step_ms > 0
    }

    /// Milliseconds awake since the first tick.
    pub fn now_ms(&self) -> u64 {
        self.awake_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_counts_as_one_step() {
        let mut clock = Clock::default();
        assert!(clock.advance(5_000));
        assert_eq!(clock.now_ms(), 0);
        assert!(clock.advance(5_300));
        assert!(!clock.advance(5_300));
        assert!(clock.advance(95_300));
        assert!(!clock.advance(95_000), "time does not go back");
        assert_eq!(clock.now_ms(), 300 + STEP_MS_MAX);
    }
}
