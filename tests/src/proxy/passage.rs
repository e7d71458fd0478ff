//! Bytes on their way in one direction of a connection.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How much may be on its way, beyond which nothing more is read.
const BYTES_MAX: usize = 16 << 20;

/// Chunks in the order in which they came, each with when it did.
#[derive(Debug, Default)]
pub(super) struct Passage {
    chunks: VecDeque<(Instant, Vec<u8>)>,
    bytes: usize,
}

impl Passage {
    /// A chunk has come.
    pub(super) fn push(&mut self, chunk: &[u8], now: Instant) {
        self.bytes += chunk.len();
        self.chunks.push_back((now, chunk.to_vec()));
    }

    /// The next chunk, if it came so long ago.
    pub(super) fn take(&mut self, now: Instant, delay: Duration) -> Option<Vec<u8>> {
        self.chunks.front().filter(|(came, _)| *came + delay <= now)?;
        let (_, chunk) = self.chunks.pop_front()?;
        self.bytes -= chunk.len();
        Some(chunk)
    }

    /// All that is on its way is lost.
    pub(super) fn clear(&mut self) {
        *self = Passage::default();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Whether nothing more may be read.
    pub(super) fn is_full(&self) -> bool {
        self.bytes >= BYTES_MAX
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "needs some moment to count from")]

    use super::*;

    #[test]
    fn chunks_are_delayed_each_and_keep_their_order() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let delay = Duration::from_millis(200);
        let mut passage = Passage::default();
        passage.push(b"one", at(0));
        passage.push(b"two", at(50));
        assert_eq!(passage.take(at(199), delay), None);
        assert_eq!(passage.take(at(200), delay).unwrap(), b"one");
        assert_eq!(passage.take(at(249), delay), None);
        assert_eq!(passage.take(at(249), Duration::ZERO).unwrap(), b"two", "the weather has cleared");
        assert!(passage.is_empty() && passage.bytes == 0);
    }

    #[test]
    fn a_passage_is_full_at_its_bound_and_empty_when_it_is_cleared() {
        let mut passage = Passage::default();
        passage.push(&vec![0; BYTES_MAX - 1], Instant::now());
        assert!(!passage.is_full());
        passage.push(b"x", Instant::now());
        assert!(passage.is_full());
        passage.clear();
        assert!(passage.is_empty() && !passage.is_full());
    }
}
