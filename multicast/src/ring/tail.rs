//! The tail: what a leader has appended and not seen decided.

use std::collections::VecDeque;

/// The weights of a leader's undecided entries. A member that votes for them may be sent all of them at once, so they are bounded.
///
/// Invariant: `weight` is the sum of `weights`, which are those of the entries from `first` on.
#[derive(Debug, Default)]
pub(super) struct Tail {
    first: u64,
    weights: VecDeque<u64>,
    weight: u64,
}

impl Tail {
    /// The tail with which a reign begins: entries from `first` on.
    pub(super) fn of(first: u64, weights: impl Iterator<Item = u64>) -> Tail {
        let mut tail = Tail { first, ..Tail::default() };
        weights.for_each(|weight| tail.push(weight));
        tail
    }

    /// An entry is appended.
    pub(super) fn push(&mut self, weight: u64) {
        self.weights.push_back(weight);
        self.weight += weight;
    }

    /// So many entries of the log are decided.
    pub(super) fn decide(&mut self, decided: u64) {
        while self.first < decided
            && let Some(weight) = self.weights.pop_front()
        {
            self.weight -= weight;
            self.first += 1;
        }
    }

    /// The weight of all of it.
    pub(super) fn weight(&self) -> u64 {
        self.weight
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_decided_weighs_nothing() {
        let mut tail = Tail::of(3, [5, 7].into_iter());
        tail.push(2);
        assert_eq!(tail.weight(), 14);
        tail.decide(4);
        assert_eq!(tail.weight(), 9);
        tail.decide(4);
        tail.decide(6);
        assert_eq!(tail.weight(), 0);
        tail.push(1);
        assert_eq!(tail.weight(), 1);
    }
}
