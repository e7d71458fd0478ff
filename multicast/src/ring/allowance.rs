//! How much of its decided logs a node gives to a member that is behind.
//!
//! A piece costs those who are level: the serving node reads and sends it, and where disks or links are shared, the receiver's
//! writing delays everybody's. So pieces come at a pace. Every peer has an *allowance*, which grows with time up to one
//! piece, and from which its pieces of all rings are taken:
//!
//! - The pace is [`PACE_BYTES`](super::PACE_BYTES) a second at the least. It is [`GROWTHS`] times as fast as this node's log grows, if
//!   that is more: a member that fetches everything from one node becomes level whatever is written.
//! - A piece is what is allowed, from a quarter of the largest piece on. So on a short way pieces are small and come evenly, and
//!   on a long way, where one request takes as long as many of them, they are large.
//! - A ring that decides nothing without the member is not paced: there its absence costs more than its pieces.

use super::RingLimits;
use crate::NodeId;
use crate::branches::PIECE_PACED;
use crate::log::LogPosition;
use std::collections::BTreeMap;

/// How many times as fast as this node's log grows a peer may fetch.
const GROWTHS: u64 = 2;
/// Over how long the log's growth is measured: long enough that a member which comes back right behind a burst is paced.
const GROWTH_MS: u64 = 10_000;
/// The least piece is this part of the largest.
const PIECE_PARTS: u64 = 4;

/// What each peer of a node may fetch now. Sans-IO: it is told the time and the end of the log.
///
/// Invariant: no allowance is more than one piece.
#[derive(Debug)]
pub struct Allowances {
    piece: i64,
    /// Bytes a second, at the least.
    pace_min: u64,
    /// Bytes a second.
    pace: u64,
    now_ms: u64,
    /// When the log's growth began to be measured, and where the log ended then.
    measured: Option<(u64, LogPosition)>,
    /// Bytes of each peer that has fetched something; less than nothing after a piece that ended with a long entry.
    saved: BTreeMap<NodeId, i64>,
}

impl Allowances {
    /// Every peer may fetch a whole piece.
    pub fn new(limits: RingLimits) -> Allowances {
        Allowances {
            piece: limits.piece as i64,
            pace_min: limits.pace,
            pace: limits.pace,
            now_ms: 0,
            measured: None,
            saved: BTreeMap::new(),
        }
    }

    /// It is so late, and the log ends here.
    pub fn tick(&mut self, now_ms: u64, end: LogPosition) {
        let passed_ms = now_ms.saturating_sub(self.now_ms);
        self.now_ms = now_ms;
        let earned = (self.pace.saturating_mul(passed_ms) / 1_000).min(i64::MAX as u64) as i64;
        for saved in self.saved.values_mut() {
            *saved = saved.saturating_add(earned).min(self.piece);
        }
        let (since_ms, begin) = *self.measured.get_or_insert((now_ms, end));
        if now_ms >= since_ms + GROWTH_MS {
            let grown = (end.0 - begin.0) * 1_000 / (now_ms - since_ms);
            self.pace = self.pace_min.max(GROWTHS * grown);
            self.measured = Some((now_ms, end));
        }
    }

    /// How large a piece for a peer may be now, if it may have one.
    pub fn piece_for(&self, peer: NodeId) -> Option<u64> {
        let saved = self.saved.get(&peer).copied().unwrap_or(self.piece);
        let is_enough = saved > 0 && saved as u64 >= self.piece as u64 / PIECE_PARTS;
        if !is_enough {
            PIECE_PACED.reached();
        }
        is_enough.then_some(saved as u64)
    }

    /// A peer is given a piece of so many bytes, whether it might have it or not.
    pub fn take(&mut self, peer: NodeId, bytes: u64) {
        let saved = self.saved.entry(peer).or_insert(self.piece);
        *saved = saved.saturating_sub(bytes as i64).max(-self.piece);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: NodeId = NodeId(7);
    const OTHER: NodeId = NodeId(8);
    /// A piece of 400 bytes, 1,000 bytes a second.
    const LIMITS: RingLimits = RingLimits { lag: 4_000, piece: 400, tail: 4_000, pace: 1_000 };

    /// How much a peer fetches in a minute that asks every so many milliseconds, while the log grows by so much in each.
    fn fetched(every_ms: u64, growth: u64) -> (u64, Vec<u64>) {
        let mut allowances = Allowances::new(LIMITS);
        let mut pieces = Vec::new();
        for now_ms in 0..60_000 {
            allowances.tick(now_ms, LogPosition(now_ms * growth));
            if let Some(piece) = allowances.piece_for(PEER).filter(|_| now_ms % every_ms == 0) {
                allowances.take(PEER, piece);
                pieces.push(piece);
            }
        }
        (pieces.iter().sum(), pieces)
    }

    #[test]
    fn small_pieces_come_evenly_and_large_ones_where_requests_are_rare() {
        let (bytes, pieces) = fetched(1, 0);
        assert_eq!(pieces[..3], [400, 100, 100]);
        assert!((59_900..=60_400).contains(&bytes), "{bytes} in a minute");
        let (bytes, pieces) = fetched(1_000, 0);
        assert_eq!((bytes, pieces.len()), (24_000, 60), "a piece is never larger than the largest");
    }

    #[test]
    fn a_log_that_grows_for_long_is_fetched_twice_as_fast() {
        let (bytes, _) = fetched(1, 10);
        let written = 10 * 50_000;
        assert!(
            (written * 2..=written * 2 + 11_000).contains(&bytes),
            "{bytes} of {written} after ten seconds"
        );
    }

    #[test]
    fn each_peer_has_its_own_and_a_piece_beyond_it_is_paid_for() {
        let mut allowances = Allowances::new(LIMITS);
        allowances.tick(1, LogPosition(0));
        allowances.take(PEER, 500);
        assert_eq!((allowances.piece_for(PEER), allowances.piece_for(OTHER)), (None, Some(400)));
        allowances.tick(200, LogPosition(0));
        assert_eq!(allowances.piece_for(PEER), None, "199 bytes, of which 100 were taken before");
        allowances.tick(201, LogPosition(0));
        assert_eq!(allowances.piece_for(PEER), Some(100));
    }

    #[test]
    fn an_entry_of_any_length_delays_the_next_piece_by_one_at_most() {
        let mut allowances = Allowances::new(LIMITS);
        allowances.take(PEER, u64::from(u32::MAX));
        allowances.tick(500, LogPosition(0));
        assert_eq!(allowances.piece_for(PEER), Some(100));
    }
}
