//! Draws choices from the bytes of an input.
//!
//! Ours and not a library's: the corpus means the same for as long as this file does.

/// What is left of an input. Beyond its end there are zeros, so no draw fails.
#[derive(Clone, Debug)]
pub struct Draw<'a> {
    rest: &'a [u8],
}

impl<'a> Draw<'a> {
    /// Everything is left.
    pub fn new(bytes: &'a [u8]) -> Draw<'a> {
        Draw { rest: bytes }
    }

    /// Whether nothing is left.
    pub fn is_done(&self) -> bool {
        self.rest.is_empty()
    }

    /// Everything that is left.
    pub fn rest(self) -> &'a [u8] {
        self.rest
    }

    /// One byte.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.rest.split_first() else { return 0 };
        self.rest = rest;
        *first
    }

    /// A number of two bytes.
    pub fn short(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    /// A number of eight bytes.
    pub fn number(&mut self) -> u64 {
        u64::from_le_bytes(std::array::from_fn(|_| self.byte()))
    }

    /// A number below `bound`, which is at most 256.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound
    }

    /// Yes or no.
    pub fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// Yes once in `times`, at most 256.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == times - 1
    }

    /// One of several.
    pub fn choose<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// At most `most` bytes, as many as there are.
    pub fn bytes(&mut self, most: usize) -> &'a [u8] {
        let length = self.below(most + 1).min(self.rest.len());
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_end_there_are_zeros() {
        let mut draw = Draw::new(&[7, 2, 9]);
        assert_eq!((draw.below(4), draw.bytes(10), draw.is_done()), (3, &[9][..], true));
        assert_eq!((draw.byte(), draw.number(), draw.flag(), draw.once_in(2)), (0, 0, false, false));
        assert_eq!((draw.choose(&["a", "b"]), draw.bytes(3)), ("a", &[][..]));
    }
}
