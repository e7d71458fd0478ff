//! How long a member puts up with something.

/// Longest wait, in doublings of the first.
const DOUBLINGS_MAX: u32 = 6;

/// Counts the ticks that something has lasted and says when it is too long; each further time only after twice as many,
/// so that members that act on it do not chase each other for ever.
#[derive(Clone, Debug)]
pub(super) struct Patience {
    first_ticks: u64,
    doublings: u32,
    waited_ticks: u64,
}

impl Patience {
    pub(super) fn new(first_ticks: u64) -> Patience {
        assert!(first_ticks > 0, "patience lasts at least one tick");
        Patience { first_ticks, doublings: 0, waited_ticks: 0 }
    }

    /// It lasts for one more tick. Says whether that is too long.
    pub(super) fn endure(&mut self) -> bool {
        self.waited_ticks += 1;
        let ends = self.waited_ticks >= self.first_ticks << self.doublings;
        if ends {
            self.waited_ticks = 0;
            self.doublings = (self.doublings + 1).min(DOUBLINGS_MAX);
        }
        ends
    }

    /// It has stopped, perhaps not for long: the next wait is as long as this one was to be.
    pub(super) fn pause(&mut self) {
        self.waited_ticks = 0;
    }

    /// It is over: the next wait is the first again.
    pub(super) fn relieve(&mut self) {
        self.waited_ticks = 0;
        self.doublings = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(patience: &mut Patience, ticks: u64) -> Vec<u64> {
        (1..=ticks).filter(|_| patience.endure()).collect()
    }

    #[test]
    fn every_wait_is_twice_as_long_up_to_a_bound_and_relief_begins_again() {
        let mut patience = Patience::new(3);
        assert_eq!(ends(&mut patience, 21), [3, 9, 21]);
        patience.pause();
        assert_eq!(ends(&mut patience, 24), [24]);
        patience.relieve();
        assert_eq!(ends(&mut patience, 3), [3]);
        assert!(ends(&mut patience, 10_000).len() > 10_000 / (3 << DOUBLINGS_MAX));
    }
}
