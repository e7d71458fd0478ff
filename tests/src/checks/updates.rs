//! Updates of one znode: each raises its version by one, so the version counts them.

use crate::violation::Violation;

/// What clients were told about their updates of one znode.
#[derive(Clone, Debug, Default)]
pub struct Updates {
    /// The versions that acknowledged updates were told.
    acknowledged: Vec<i32>,
    /// Updates whose outcome nobody was told.
    unknown: i64,
}

impl Updates {
    /// An update was acknowledged with this version.
    pub fn acknowledge(&mut self, version: i32) {
        self.acknowledged.push(version);
    }

    /// An update was sent and its outcome is unknown.
    pub fn lose_sight(&mut self) {
        self.unknown += 1;
    }

    /// Adds what another client was told.
    pub fn absorb(&mut self, other: Updates) {
        self.acknowledged.extend(other.acknowledged);
        self.unknown += other.unknown;
    }

    /// Judges the version that the znode, created with version 0, has in the end: every acknowledged update is in it
    /// once, an unknown one at most once, and none else.
    pub fn judge(&self, path: &str, version: i32) -> Vec<Violation> {
        let mut violations = self.judge_acknowledged(path, version);
        let (acknowledged, unknown) = (self.acknowledged.len() as i64, self.unknown);
        let (path, reached) = (path.to_owned(), i64::from(version));
        if reached < acknowledged {
            violations.push(Violation::UpdatesLost { path, acknowledged, version: reached });
        } else if reached > acknowledged + unknown {
            violations.push(Violation::UpdatesRepeated { path, acknowledged, unknown, version: reached });
        }
        violations
    }

    /// Each acknowledged update has a version of its own, and the znode has got that far.
    fn judge_acknowledged(&self, path: &str, reached: i32) -> Vec<Violation> {
        let mut sorted = self.acknowledged.clone();
        sorted.sort_unstable();
        let twice = sorted.windows(2).filter(|pair| pair[0] == pair[1]);
        let twice = twice.map(|pair| Violation::VersionTwice { path: path.to_owned(), version: pair[0] });
        let ahead = sorted.last().filter(|last| **last > reached);
        let ahead = ahead.map(|&version| Violation::VersionAhead { path: path.to_owned(), version, reached });
        twice.chain(ahead).collect()
    }
}

/// A counter is created as 0 and only ever incremented, so its value is its version, in every read.
pub fn judge_counter(path: &str, value: &[u8], version: i32) -> Option<Violation> {
    let value = String::from_utf8_lossy(value);
    let differs = value != version.to_string();
    differs.then(|| Violation::ValueDiffers { path: path.to_owned(), value: value.into_owned(), version })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn updates(acknowledged: &[i32], unknown: i64) -> Updates {
        Updates { acknowledged: acknowledged.to_vec(), unknown }
    }

    #[test]
    fn unknown_updates_may_be_there_or_not() {
        for version in 3..=5 {
            assert_eq!(updates(&[1, 3, 2], 2).judge("/a", version), []);
        }
    }

    #[test]
    fn a_lost_increment_is_seen() {
        let seen = updates(&[1, 2, 3], 0).judge("/a", 2);
        let path = || "/a".to_owned();
        let ahead = Violation::VersionAhead { path: path(), version: 3, reached: 2 };
        assert_eq!(seen, [ahead, Violation::UpdatesLost { path: path(), acknowledged: 3, version: 2 }]);
    }

    #[test]
    fn an_increment_that_overwrote_another_is_seen() {
        let seen = updates(&[1, 2, 2], 1).judge("/a", 3);
        assert_eq!(seen, [Violation::VersionTwice { path: "/a".to_owned(), version: 2 }]);
    }

    #[test]
    fn an_increment_applied_twice_is_seen() {
        let seen = updates(&[1, 3], 1).judge("/a", 4);
        let repeated =
            Violation::UpdatesRepeated { path: "/a".to_owned(), acknowledged: 2, unknown: 1, version: 4 };
        assert_eq!(seen, [repeated]);
    }

    #[test]
    fn an_unknown_update_does_not_hide_a_lost_one() {
        let seen = updates(&[1, 2, 3], 5).judge("/a", 2);
        assert_eq!(seen.len(), 2);
    }

    #[test]
    fn a_counter_is_its_version() {
        assert_eq!(judge_counter("/a", b"7", 7), None);
        assert!(judge_counter("/a", b"6", 7).is_some());
        assert!(judge_counter("/a", b"", 0).is_some());
    }
}
