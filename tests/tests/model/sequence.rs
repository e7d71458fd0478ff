//! A short sequence that is copied with the state it is part of.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

/// At most `N` items. The places behind the last one hold the default, so that equal sequences are equal bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sequence<T, const N: usize> {
    length: u8,
    items: [T; N],
}

impl<T: Copy + Default, const N: usize> Sequence<T, N> {
    /// Adds an item at the end. Panics if there are `N`: the bounds of a scenario are too wide for the state.
    pub fn push(&mut self, item: T) {
        assert!(self.len() < N, "a sequence of {N} is full");
        self.items[self.len()] = item;
        self.length += 1;
    }

    /// Drops the first `count` items.
    pub fn drop_front(&mut self, count: usize) {
        self.items.copy_within(count.., 0);
        self.length -= count as u8;
        self.items[usize::from(self.length)..].fill(T::default());
    }

    /// Keeps the first `length` items.
    pub fn truncate(&mut self, length: usize) {
        while self.len() > length {
            self.length -= 1;
            self.items[self.len()] = T::default();
        }
    }
}

impl<T: Copy + Default, const N: usize> Default for Sequence<T, N> {
    fn default() -> Sequence<T, N> {
        Sequence { length: 0, items: [T::default(); N] }
    }
}

impl<T, const N: usize> Deref for Sequence<T, N> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.items[..usize::from(self.length)]
    }
}

impl<T: Hash, const N: usize> Hash for Sequence<T, N> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        (**self).hash(hasher);
    }
}

impl<T: fmt::Debug, const N: usize> fmt::Debug for Sequence<T, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
