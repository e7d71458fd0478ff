//! The three partitions and sets of them.

/// A partition. Each has one variable: Y has a, 1 has b, X has c.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Partition {
    Y,
    One,
    X,
}

impl Partition {
    /// All of them.
    pub const ALL: [Partition; 3] = [Partition::Y, Partition::One, Partition::X];

    /// Its place in a table of all.
    pub fn index(self) -> usize {
        self as usize
    }
}

/// A set of partitions; bit `i` stands for the partition of index `i`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partitions(u8);

impl Partitions {
    /// No partition.
    pub const NONE: Partitions = Partitions(0);

    /// The set and one more.
    pub const fn with(self, partition: Partition) -> Partitions {
        Partitions(self.0 | 1 << partition as u8)
    }

    /// The set without one of them.
    pub fn without(self, partition: Partition) -> Partitions {
        Partitions(self.0 & !(1 << partition.index()))
    }

    /// Whether the partition is one of them.
    pub fn contains(self, partition: Partition) -> bool {
        self.0 & 1 << partition.index() != 0
    }

    /// Whether all of the other set are in it.
    pub fn covers(self, other: Partitions) -> bool {
        other.0 & !self.0 == 0
    }

    /// How many they are.
    pub fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// Its members, in ascending order.
    pub fn iter(self) -> impl Iterator<Item = Partition> {
        let mut bits = self.0;
        std::iter::from_fn(move || {
            let first = Partition::ALL.get(bits.trailing_zeros() as usize)?;
            bits &= bits - 1;
            Some(*first)
        })
    }
}

impl FromIterator<Partition> for Partitions {
    fn from_iter<I: IntoIterator<Item = Partition>>(partitions: I) -> Partitions {
        partitions.into_iter().fold(Partitions::NONE, Partitions::with)
    }
}
