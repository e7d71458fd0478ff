//! Partitions and sets of them.

use serde::{Deserialize, Serialize};
use std::fmt;

/// One disjoint part of the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PartitionId(pub u16);

/// How many partitions a cluster may have: a [`Destinations`] is one machine word.
pub const PARTITIONS_MAX: u16 = 64;

impl PartitionId {
    /// The partition's place in a table of all partitions.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// Every partition of a cluster that has `count` of them.
    pub fn all(count: u16) -> impl Iterator<Item = PartitionId> {
        (0..count).map(PartitionId)
    }
}

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{}", self.0)
    }
}

/// The set of partitions that a command is addressed to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Destinations(u64);

impl Destinations {
    /// No partition at all; nothing addressed so can be submitted.
    pub const NONE: Destinations = Destinations(0);

    /// One partition.
    pub fn one(partition: PartitionId) -> Destinations {
        assert!(
            partition.0 < PARTITIONS_MAX,
            "{partition} is past the {PARTITIONS_MAX} partitions of a cluster"
        );
        Destinations(1 << partition.0)
    }

    /// Every partition of a cluster that has `count` of them.
    pub fn all(count: u16) -> Destinations {
        PartitionId::all(count).collect()
    }

    /// The set as a word, bit `i` standing for partition `i`.
    pub fn bits(self) -> u64 {
        self.0
    }

    /// The set whose word is `bits`.
    pub fn from_bits(bits: u64) -> Destinations {
        Destinations(bits)
    }

    /// Adds one partition.
    pub fn insert(&mut self, partition: PartitionId) {
        *self = self.union(Destinations::one(partition));
    }

    /// Whether `partition` is addressed.
    pub fn contains(self, partition: PartitionId) -> bool {
        partition.0 < PARTITIONS_MAX && self.0 & (1 << partition.0) != 0
    }

    /// Whether every partition of `other` is addressed too.
    pub fn covers(self, other: Destinations) -> bool {
        other.0 & !self.0 == 0
    }

    /// What either set addresses.
    pub fn union(self, other: Destinations) -> Destinations {
        Destinations(self.0 | other.0)
    }

    /// The set without one partition: those that it must hear from.
    pub fn without(self, partition: PartitionId) -> Destinations {
        Destinations(self.0 & !Destinations::one(partition).0)
    }

    /// How many partitions are addressed.
    pub fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// Whether nothing is addressed.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The only partition addressed, if it is one.
    pub fn single(self) -> Option<PartitionId> {
        (self.len() == 1).then(|| self.first())
    }

    /// The partitions in ascending order.
    pub fn iter(self) -> impl Iterator<Item = PartitionId> {
        let mut bits = self.0;
        std::iter::from_fn(move || {
            let first = (bits != 0).then(|| PartitionId(bits.trailing_zeros() as u16))?;
            bits &= bits - 1;
            Some(first)
        })
    }

    fn first(self) -> PartitionId {
        assert!(!self.is_empty(), "an empty set of destinations has no first partition");
        PartitionId(self.0.trailing_zeros() as u16)
    }
}

impl From<PartitionId> for Destinations {
    fn from(partition: PartitionId) -> Destinations {
        Destinations::one(partition)
    }
}

impl FromIterator<PartitionId> for Destinations {
    fn from_iter<I: IntoIterator<Item = PartitionId>>(partitions: I) -> Destinations {
        partitions.into_iter().fold(Destinations::NONE, |set, partition| set.union(partition.into()))
    }
}

impl fmt::Display for Destinations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(|partition| partition.0)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_lists_its_partitions_in_order() {
        let set: Destinations = [PartitionId(63), PartitionId(0), PartitionId(7)].into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), [PartitionId(0), PartitionId(7), PartitionId(63)]);
        assert_eq!(set.to_string(), "{0, 7, 63}");
        assert_eq!(set.without(PartitionId(7)).len(), 2);
        assert_eq!(set.single(), None);
        assert!(Destinations::all(64).covers(set) && !set.covers(Destinations::all(2)));
    }
}
