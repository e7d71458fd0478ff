//! Linearizable reads: none is older than what anybody knew before it began.

use crate::violation::Violation;
use std::sync::atomic::{AtomicI32, Ordering};

/// What a server promises of its reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// None is older than what anybody had been told before it was sent.
    Linearizable,
    /// They may be old, as those of a ZooKeeper ensemble, where each node answers from what it has.
    Sequential,
}

/// For every znode the highest version that some client has been told of, shared by all of them.
///
/// A read notes the version known before it is sent, and may not bring an older one. Versions that were read count as
/// well as acknowledged writes: what one read has seen, no later read may miss.
#[derive(Debug)]
pub struct Freshness {
    known: Vec<AtomicI32>,
    reads: Reads,
}

impl Freshness {
    /// For this many znodes, all at version 0.
    pub fn new(znodes: usize, reads: Reads) -> Freshness {
        Freshness { known: (0..znodes).map(|_| AtomicI32::new(0)).collect(), reads }
    }

    /// The version known now, to be asked for before a read is sent.
    pub fn known(&self, znode: usize) -> i32 {
        self.known[znode].load(Ordering::SeqCst)
    }

    /// A write was acknowledged with this version.
    pub fn learn(&self, znode: usize, version: i32) {
        self.known[znode].fetch_max(version, Ordering::SeqCst);
    }

    /// Judges a read of `znode` that began when `known` was known.
    pub fn judge(&self, znode: usize, path: &str, known: i32, seen: i32) -> Option<Violation> {
        self.learn(znode, seen);
        let is_stale = seen < known && self.reads == Reads::Linearizable;
        is_stale.then(|| Violation::Stale { path: path.to_owned(), seen, known })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_older_than_an_acknowledged_write_is_seen() {
        let freshness = Freshness::new(2, Reads::Linearizable);
        freshness.learn(1, 5);
        let known = freshness.known(1);
        let stale = Violation::Stale { path: "/b".to_owned(), seen: 4, known: 5 };
        assert_eq!(freshness.judge(1, "/b", known, 4), Some(stale));
        assert_eq!(freshness.judge(1, "/b", known, 5), None);
        assert_eq!(freshness.judge(0, "/a", freshness.known(0), 0), None);
    }

    #[test]
    fn a_read_may_miss_what_was_acknowledged_after_it_began() {
        let freshness = Freshness::new(1, Reads::Linearizable);
        let known = freshness.known(0);
        freshness.learn(0, 5);
        assert_eq!(freshness.judge(0, "/a", known, 4), None);
    }

    #[test]
    fn where_reads_may_be_old_nothing_is_stale() {
        let freshness = Freshness::new(1, Reads::Sequential);
        freshness.learn(0, 5);
        assert_eq!(freshness.judge(0, "/a", freshness.known(0), 4), None);
    }

    #[test]
    fn what_was_read_once_is_known() {
        let freshness = Freshness::new(1, Reads::Linearizable);
        assert_eq!(freshness.judge(0, "/a", 0, 3), None);
        assert!(freshness.judge(0, "/a", freshness.known(0), 2).is_some());
    }
}
