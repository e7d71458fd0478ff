//! Which znodes are checked together.

use super::account::Account;
use super::group::ZNODES_MAX;
use super::names::PathId;
use std::collections::{BTreeMap, BTreeSet};

/// Groups of several znodes to check.
pub struct Groups {
    /// Each with at most [`ZNODES_MAX`] znodes.
    pub groups: Vec<Vec<PathId>>,
    /// The sets of znodes of one multi or multiRead that are more than that.
    pub too_large: usize,
}

impl Groups {
    /// The znodes that multis and multiReads connect, if they are few. Else the znodes of each multi and multiRead by
    /// themselves, if no other has them all; what else connects them is then not judged.
    pub fn of(account: &Account) -> Groups {
        let sets = account.touched_together();
        let mut connected = Connected::default();
        sets.iter().for_each(|set| connected.connect(set));
        let mut groups = BTreeSet::new();
        let mut too_large = 0;
        for set in &sets {
            let all = connected.with(set[0]);
            if all.len() <= ZNODES_MAX {
                groups.insert(all);
            } else if set.len() > ZNODES_MAX {
                too_large += 1;
            } else if !sets.iter().any(|other| other.len() <= ZNODES_MAX && is_part(set, other)) {
                groups.insert(set.clone());
            }
        }
        Groups { groups: groups.into_iter().collect(), too_large }
    }
}

fn is_part(set: &[PathId], other: &[PathId]) -> bool {
    set.len() < other.len() && set.iter().all(|path| other.contains(path))
}

/// Which paths are connected.
#[derive(Default)]
struct Connected {
    /// The number of each path's group.
    numbers: BTreeMap<PathId, usize>,
    /// The groups; those that have joined another are empty.
    groups: Vec<Vec<PathId>>,
}

impl Connected {
    fn connect(&mut self, set: &[PathId]) {
        let number = self.groups.len();
        let mut all = Vec::new();
        for &path in set {
            match self.numbers.get(&path) {
                Some(&earlier) => all.append(&mut self.groups[earlier]),
                None => all.push(path),
            }
        }
        all.sort_unstable();
        all.dedup();
        self.numbers.extend(all.iter().map(|&path| (path, number)));
        self.groups.push(all);
    }

    fn with(&self, path: PathId) -> Vec<PathId> {
        self.groups[self.numbers[&path]].clone()
    }
}
