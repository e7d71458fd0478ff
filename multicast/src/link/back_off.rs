//! How long to wait before dialling again.

/// The longest wait after the first failure, in milliseconds; each further one doubles it.
pub const BACK_OFF_FIRST_MS: u64 = 50;
/// The longest wait after many.
pub const BACK_OFF_LAST_MS: u64 = 2_000;
/// The longest wait after a refusal, which only an operator can mend.
pub const BACK_OFF_REFUSED_MS: u64 = 30_000;

/// Waits that double up to a cap. Each is drawn from the upper half of its range, so that nodes which lost a peer
/// together do not come back together; the draws follow from the seed.
#[derive(Debug)]
pub(super) struct BackOff {
    seed: u64,
    draws: u64,
    failures: u32,
}

impl BackOff {
    pub fn new(seed: u64) -> BackOff {
        BackOff { seed, draws: 0, failures: 0 }
    }

    /// The wait after one more failure, in milliseconds.
    pub fn failed(&mut self) -> u64 {
        let most_ms = (BACK_OFF_FIRST_MS << self.failures.min(16)).min(BACK_OFF_LAST_MS);
        self.failures = self.failures.saturating_add(1);
        self.draw(most_ms)
    }

    /// The wait after a refusal, in milliseconds.
    pub fn refused(&mut self) -> u64 {
        self.draw(BACK_OFF_REFUSED_MS)
    }

    /// The failures are over.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    fn draw(&mut self, most_ms: u64) -> u64 {
        self.draws += 1;
        let least_ms = most_ms / 2;
        least_ms + mix(self.seed ^ mix(self.draws)) % (most_ms - least_ms + 1)
    }
}

/// The finalizer of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): every bit of the input reaches every bit.
pub(super) fn mix(value: u64) -> u64 {
    let z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(seed: u64) -> Vec<u64> {
        let mut back_off = BackOff::new(seed);
        (0..40).map(|_| back_off.failed()).collect()
    }

    #[test]
    fn waits_double_up_to_the_cap_and_follow_from_the_seed() {
        for (failures, wait_ms) in waits(7).into_iter().enumerate() {
            let most_ms = (BACK_OFF_FIRST_MS << failures.min(16)).min(BACK_OFF_LAST_MS);
            assert!((most_ms / 2..=most_ms).contains(&wait_ms), "{wait_ms} after {failures}");
        }
        assert_eq!(waits(7), waits(7));
        assert_ne!(waits(7), waits(8));
    }

    #[test]
    fn a_refusal_waits_long_and_does_not_count_as_a_failure() {
        let mut back_off = BackOff::new(1);
        assert!(back_off.refused() >= BACK_OFF_REFUSED_MS / 2);
        assert!(back_off.failed() <= BACK_OFF_FIRST_MS);
        back_off.failed();
        back_off.reset();
        assert!(back_off.failed() <= BACK_OFF_FIRST_MS);
    }
}
