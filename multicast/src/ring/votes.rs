//! Votes: how much of the log each member has accepted and synced, in a reign of this one.
//!
//! A leader sends its entries before it has synced them, so that its sync and its followers' overlap. The consensus crate counts
//! the leader's vote when an entry is appended. So what the followers accept is kept from it until it is true without that: an
//! index is *chosen* when a quorum has synced all before it, whoever that is, and no Accepted goes beyond it.

use crate::log::LogPosition;
use omnipaxos::util::NodeId as Pid;
use std::collections::{BTreeMap, VecDeque};

/// The votes of one reign. Entries are counted from the first of the log.
///
/// Invariants:
/// - `unsynced` ascends; all of it lies beyond `synced`.
/// - what was counted of a member is at most what it has accepted.
#[derive(Debug, Default)]
pub(super) struct Votes {
    /// How many entries this member held, and where in the node's log the last of them ended.
    unsynced: VecDeque<(u64, LogPosition)>,
    /// How many of them are synced.
    synced: u64,
    accepted: BTreeMap<Pid, u64>,
    counted: BTreeMap<Pid, u64>,
}

impl Votes {
    /// This member holds so many entries, the last of which ends there.
    pub(super) fn append(&mut self, entries: u64, end: LogPosition) {
        self.unsynced.push_back((entries, end));
    }

    /// The node's log is durable up to there.
    pub(super) fn sync(&mut self, durable: LogPosition) {
        while let Some((entries, _)) = self.unsynced.front().filter(|(_, end)| *end <= durable) {
            self.synced = *entries;
            self.unsynced.pop_front();
        }
    }

    /// Another member has synced so many.
    pub(super) fn accept(&mut self, member: Pid, entries: u64) {
        let accepted = self.accepted.entry(member).or_default();
        *accepted = entries.max(*accepted);
    }

    /// A connection to another member begins: it will say again what it has.
    pub(super) fn forget(&mut self, member: Pid) {
        self.accepted.remove(&member);
        self.counted.remove(&member);
    }

    /// What may be counted now that was not, of each other member.
    pub(super) fn take(&mut self, quorum: usize) -> Vec<(Pid, u64)> {
        let chosen = self.chosen(quorum);
        let mut due = Vec::new();
        for (member, accepted) in &self.accepted {
            let countable = chosen.min(*accepted);
            let counted = self.counted.entry(*member).or_default();
            if *counted < countable {
                *counted = countable;
                due.push((*member, countable));
            }
        }
        due
    }

    /// How many entries a quorum has synced.
    fn chosen(&self, quorum: usize) -> u64 {
        let mut synced: Vec<u64> = self.accepted.values().copied().chain([self.synced]).collect();
        synced.sort_unstable_by(|a, b| b.cmp(a));
        synced.get(quorum - 1).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUORUM: usize = 2;

    fn at(position: u64) -> LogPosition {
        LogPosition(position)
    }

    #[test]
    fn a_vote_counts_when_the_leaders_own_is_true() {
        let mut votes = Votes::default();
        votes.append(1, at(10));
        votes.append(3, at(20));
        votes.accept(2, 3);
        assert_eq!(votes.take(QUORUM), []);
        votes.sync(at(10));
        assert_eq!(votes.take(QUORUM), [(2, 1)], "as far as both have synced");
        assert_eq!(votes.take(QUORUM), []);
        votes.sync(at(25));
        assert_eq!(votes.take(QUORUM), [(2, 3)]);
    }

    #[test]
    fn a_quorum_needs_not_be_the_leaders() {
        let mut votes = Votes::default();
        votes.append(5, at(10));
        votes.accept(2, 5);
        votes.accept(3, 4);
        assert_eq!(votes.take(QUORUM), [(2, 4), (3, 4)]);
        votes.accept(3, 5);
        assert_eq!(votes.take(QUORUM), [(2, 5), (3, 5)]);
    }

    #[test]
    fn who_connects_again_says_again_what_it_has() {
        let mut votes = Votes::default();
        votes.append(5, at(10));
        votes.sync(at(10));
        votes.accept(2, 5);
        assert_eq!(votes.take(QUORUM), [(2, 5)]);
        votes.forget(2);
        votes.accept(2, 2);
        assert_eq!(votes.take(QUORUM), [(2, 2)]);
    }
}
