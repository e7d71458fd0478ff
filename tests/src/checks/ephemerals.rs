//! Ephemeral znodes: they are there as long as their session, and go in all partitions at once.

use super::Reads;
use crate::violation::Violation;
use std::fmt;
use std::time::Duration;
use volery::wire::OpResult;

/// What is known of a session. It only ever moves downward in this list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Its ephemerals are being created.
    Opening,
    /// They were, and the session is kept.
    Living,
    /// It is being closed, or is left to its timeout.
    Leaving,
    /// Its close was acknowledged.
    Closed,
}

/// Why a session must have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Its close was acknowledged.
    Closed,
    /// It was left, and its timeout is over.
    Overdue,
}

impl fmt::Display for Ended {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Ended::Closed => "its close was acknowledged",
            Ended::Overdue => "its client left it",
        })
    }
}

/// What a read must find of a session's ephemerals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// All of them.
    Present,
    /// None of them.
    Gone(Ended),
    /// All or none.
    Either,
}

/// What a read must find, given the fate before it was sent and after it was answered, and whether before it the
/// session's timeout had been over for long enough. A read that may be old may find either at any time.
pub fn expected(reads: Reads, before: Fate, after: Fate, overdue: bool) -> Expected {
    match (before, after) {
        _ if reads == Reads::Sequential => Expected::Either,
        (Fate::Living, Fate::Living) => Expected::Present,
        (Fate::Closed, _) => Expected::Gone(Ended::Closed),
        (Fate::Leaving, _) if overdue => Expected::Gone(Ended::Overdue),
        _ => Expected::Either,
    }
}

/// Judges one multiRead of the data of all ephemerals of `session`, whose fate has been the same for `age`.
pub fn judge_ephemerals(
    session: i64,
    expected: Expected,
    age: Duration,
    results: &[OpResult],
) -> Option<Violation> {
    let owners = results.iter().filter_map(|result| match result {
        OpResult::Data { stat, .. } => Some(stat.ephemeral_owner),
        _ => None,
    });
    let owners: Vec<i64> = owners.collect();
    if let Some(&owner) = owners.iter().find(|owner| **owner != session) {
        return Some(Violation::EphemeralOwner { session, owner });
    }
    let (there, all) = (owners.len(), results.len());
    match expected {
        _ if there > 0 && there < all => Some(Violation::EphemeralsHalf { session, there, all }),
        Expected::Present if there == 0 => Some(Violation::EphemeralsGone { session }),
        Expected::Gone(ended) if there > 0 => {
            Some(Violation::EphemeralsLeft { session, ended, ms: age.as_millis() })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use volery::wire::{ErrorCode, Stat};

    fn there(owner: i64) -> OpResult {
        OpResult::Data { data: None, stat: Stat { ephemeral_owner: owner, ..Stat::default() } }
    }

    const GONE: OpResult = OpResult::Failed(ErrorCode::NoNode);

    #[test]
    fn all_or_none_is_right_where_it_is_expected() {
        use Expected::{Either, Gone, Present};
        let age = Duration::from_millis(9);
        let all = [there(7), there(7)];
        let none = [GONE, GONE];
        let judged = |expected, results: &[OpResult]| judge_ephemerals(7, expected, age, results);
        assert_eq!([judged(Present, &all), judged(Either, &all), judged(Either, &none)], [None, None, None]);
        assert_eq!(judged(Gone(Ended::Closed), &none), None);
        assert_eq!(judged(Present, &none), Some(Violation::EphemeralsGone { session: 7 }));
        for ended in [Ended::Closed, Ended::Overdue] {
            let left = Some(Violation::EphemeralsLeft { session: 7, ended, ms: 9 });
            assert_eq!(judged(Gone(ended), &all), left);
        }
    }

    #[test]
    fn half_of_them_is_never_right() {
        for expected in [Expected::Present, Expected::Gone(Ended::Closed), Expected::Either] {
            let half = judge_ephemerals(7, expected, Duration::ZERO, &[there(7), GONE]);
            assert_eq!(half, Some(Violation::EphemeralsHalf { session: 7, there: 1, all: 2 }));
        }
    }

    #[test]
    fn the_owner_is_the_session() {
        let other = judge_ephemerals(7, Expected::Either, Duration::ZERO, &[there(7), there(8)]);
        assert_eq!(other, Some(Violation::EphemeralOwner { session: 7, owner: 8 }));
    }

    #[test]
    fn only_a_fate_that_held_throughout_the_read_binds_it() {
        let expected = |before, after, overdue| expected(Reads::Linearizable, before, after, overdue);
        assert_eq!(expected(Fate::Living, Fate::Living, false), Expected::Present);
        assert_eq!(expected(Fate::Opening, Fate::Living, false), Expected::Either);
        assert_eq!(expected(Fate::Living, Fate::Closed, false), Expected::Either);
        assert_eq!(expected(Fate::Leaving, Fate::Closed, false), Expected::Either);
        assert_eq!(expected(Fate::Leaving, Fate::Leaving, true), Expected::Gone(Ended::Overdue));
        assert_eq!(expected(Fate::Closed, Fate::Closed, false), Expected::Gone(Ended::Closed));
    }

    #[test]
    fn an_old_read_is_bound_by_no_fate() {
        let expected = |fate| expected(Reads::Sequential, fate, fate, true);
        assert_eq!([Fate::Living, Fate::Leaving, Fate::Closed].map(expected), [Expected::Either; 3]);
    }
}
