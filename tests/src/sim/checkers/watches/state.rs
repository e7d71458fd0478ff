//! States: what is known of a znode at the time at which a watch on it was armed, and what shows that it has changed since.
//!
//! A watch that is still armed has seen no change. So what is not known of the state may be learnt from a later reply on the
//! same connection: it shows the state in which the watch was armed, or else the watch should have fired.

use crate::sim::checkers::sessions::sights::{Shown, Sight};
use std::collections::BTreeSet;

/// What a watch on the data was armed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Data {
    /// It is not known.
    #[default]
    Unknown,
    /// The znode was not there.
    Absent,
    /// The znode was there.
    There {
        /// The zxid that had modified its data last.
        mzxid: i64,
    },
}

/// What a watch on the children was armed on. The znode was there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Children<'a> {
    /// The zxid that had modified the set of children last.
    pub pzxid: Option<i64>,
    /// Their names.
    pub names: Option<BTreeSet<&'a str>>,
}

impl Data {
    /// Whether a sight of the znode shows a change of the data or of the existence.
    pub fn has_changed(&self, sight: &Sight<'_>) -> bool {
        match self {
            _ if sight.change.is_some() => true,
            Data::Unknown => false,
            Data::Absent => sight.is_there(),
            Data::There { .. } if !sight.is_there() => true,
            Data::There { mzxid } => {
                sight.stat().is_some_and(|stat| stat.mzxid > *mzxid || stat.czxid > *mzxid)
            }
        }
    }

    /// Learns from a sight that shows no change.
    pub fn learn(&mut self, sight: &Sight<'_>) {
        if *self == Data::Unknown {
            *self = match (sight.stat(), sight.is_there()) {
                (_, false) => Data::Absent,
                (Some(stat), true) => Data::There { mzxid: stat.mzxid },
                (None, true) => Data::Unknown,
            };
        }
    }
}

impl<'a> Children<'a> {
    /// Whether a sight of the znode shows a change of its set of children or of the existence.
    pub fn have_changed(&self, sight: &Sight<'a>) -> bool {
        let by_stat = match (self.pzxid, sight.stat()) {
            (Some(pzxid), Some(stat)) => stat.pzxid > pzxid || stat.czxid > pzxid,
            _ => false,
        };
        let by_names = match (&self.names, names(sight)) {
            (Some(before), Some(after)) => *before != after,
            _ => false,
        };
        !sight.is_there() || by_stat || by_names
    }

    /// Learns from a sight that shows no change.
    pub fn learn(&mut self, sight: &Sight<'a>) {
        self.pzxid = self.pzxid.or(sight.stat().map(|stat| stat.pzxid));
        if self.names.is_none() {
            self.names = names(sight);
        }
    }
}

fn names<'a>(sight: &Sight<'a>) -> Option<BTreeSet<&'a str>> {
    match sight.shown {
        Shown::Names(names, _) => Some(names.iter().collect()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::checkers::sessions::script::stat;

    fn sight(shown: Shown<'_>) -> Sight<'_> {
        Sight { path: "/a", shown, change: None }
    }

    #[test]
    fn data_change_by_zxid_and_by_existence() {
        let (old, new) = (stat(1, 5, 9), stat(1, 6, 9));
        let there = Data::There { mzxid: 5 };
        assert!(
            !there.has_changed(&sight(Shown::Stat(&old))) && there.has_changed(&sight(Shown::Stat(&new)))
        );
        assert!(there.has_changed(&sight(Shown::Absent)) && !there.has_changed(&sight(Shown::Present)));
        assert!(Data::Absent.has_changed(&sight(Shown::Present)));
        assert!(!Data::Absent.has_changed(&sight(Shown::Absent)));
        let mut unknown = Data::Unknown;
        assert!(!unknown.has_changed(&sight(Shown::Absent)));
        unknown.learn(&sight(Shown::Stat(&old)));
        assert_eq!(unknown, there);
    }

    #[test]
    fn children_change_by_zxid_and_by_names() {
        let names = |names: &[&str]| names.iter().collect::<volery::wire::Names>();
        let (both, swapped, one) = (names(&["x", "y"]), names(&["y", "x"]), names(&["x"]));
        let mut children = Children::default();
        children.learn(&sight(Shown::Names(&both, None)));
        assert!(!children.have_changed(&sight(Shown::Names(&swapped, None))));
        assert!(children.have_changed(&sight(Shown::Names(&one, None))));
        let (old, new) = (stat(1, 9, 5), stat(1, 9, 6));
        assert!(!children.have_changed(&sight(Shown::Stat(&new))), "its pzxid is not known");
        children.learn(&sight(Shown::Stat(&old)));
        assert!(children.have_changed(&sight(Shown::Stat(&new))));
        assert!(children.have_changed(&sight(Shown::Absent)));
    }
}
