//! The longest turn of late: for so long a node served nobody else.

/// Turns are forgotten after one to two times as long as this, in microseconds.
const KEPT_US: u64 = 60_000_000;

/// One turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// How long it took, without the time that the log took to write and sync.
    pub us: u64,
    /// How many commands were delivered in it.
    pub delivered: u64,
}

/// The longest turn of a node, of the last minute or two. Sans-IO: it knows the time as it is told.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    since_us: u64,
    longest: Turn,
    longest_before: Turn,
    /// How many commands were delivered up to the last turn.
    delivered: u64,
}

impl Turns {
    /// A turn has ended, after so long; so many commands were delivered up to now.
    pub(crate) fn turned(&mut self, now_us: u64, us: u64, delivered: u64) {
        if now_us >= self.since_us + KEPT_US {
            self.since_us = now_us;
            self.longest_before = std::mem::take(&mut self.longest);
        }
        if us > self.longest.us {
            self.longest = Turn { us, delivered: delivered - self.delivered };
        }
        self.delivered = delivered;
    }

    /// The longest turn of late.
    pub(crate) fn longest(&self) -> Turn {
        if self.longest.us > self.longest_before.us { self.longest } else { self.longest_before }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_turn_is_kept_with_its_commands_for_one_minute_at_least_and_two_at_most() {
        let mut turns = Turns::default();
        let second = 1_000_000;
        turns.turned(second, 10, 5);
        turns.turned(2 * second, 90, 8);
        turns.turned(3 * second, 20, 9);
        assert_eq!(turns.longest(), Turn { us: 90, delivered: 3 });
        turns.turned(61 * second, 30, 9);
        assert_eq!(turns.longest(), Turn { us: 90, delivered: 3 });
        turns.turned(122 * second, 5, 10);
        assert_eq!(turns.longest(), Turn { us: 30, delivered: 0 });
    }
}
