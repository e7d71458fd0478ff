//! The znodes that a measurement works on.

use bytes::Bytes;
use rand::Rng;
use std::sync::Arc;
use volery::wire::{Acl, Create, CreateMode, Request, SetData};

/// Above everything that the bench creates.
const ROOT: &str = "/bench";

/// Directories below `/bench` with keys `k0`, `k1`, … in each. With a placement by the first two components each directory
/// lies in one partition. They outlive the run, and the next run takes them over.
///
/// Directory `d` belongs to group `d % groups`. What is known to lie in different partitions is in different groups; where
/// nothing is known, each directory is a group of its own.
pub struct Tree {
    directories: Vec<Arc<str>>,
    keys: Vec<Vec<Arc<str>>>,
    groups: usize,
}

impl Tree {
    /// A tree of directories `d0`, `d1`, … with `keys` keys in each; there is at least one of both.
    pub fn new(directories: usize, keys: usize) -> Tree {
        Tree::of_groups((0..directories).map(|d| format!("d{d}")).collect(), directories, keys)
    }

    /// A tree of directories of these names in so many groups. Where there are fewer directories than groups, some groups
    /// are empty.
    pub fn of_groups(names: Vec<String>, groups: usize, keys: usize) -> Tree {
        assert!(!names.is_empty() && keys > 0, "an empty tree has nothing to work on");
        assert!(groups > 0, "a directory belongs to a group");
        let directories: Vec<Arc<str>> = names.iter().map(|name| Tree::path(name).into()).collect();
        let keys =
            directories.iter().map(|d| (0..keys).map(|k| format!("{d}/k{k}").into()).collect()).collect();
        Tree { directories, keys, groups: groups.min(names.len()) }
    }

    /// The path of the directory of this name.
    pub fn path(name: &str) -> String {
        format!("{ROOT}/{name}")
    }

    /// A random directory of another group; where there is one group, another directory of it.
    pub fn directory_but(&self, directory: usize, random: &mut impl Rng) -> usize {
        let count = self.directories.len();
        assert!(count > 1, "there is no second directory");
        if self.groups == 1 {
            return (directory + random.random_range(1..count)) % count;
        }
        let group = (directory + random.random_range(1..self.groups)) % self.groups;
        let members = (count - group).div_ceil(self.groups);
        group + self.groups * random.random_range(0..members)
    }

    /// How many directories there are.
    pub fn directory_count(&self) -> usize {
        self.directories.len()
    }

    /// The path of a directory.
    pub fn directory(&self, directory: usize) -> &Arc<str> {
        &self.directories[directory]
    }

    /// The paths of a directory's keys.
    pub fn keys(&self, directory: usize) -> &[Arc<str>] {
        &self.keys[directory]
    }

    /// What brings the tree about, whatever part of it exists already: batches, each of which needs the one before. The
    /// keys are set after they are created, so that those of an earlier run get the right size too.
    pub fn preparation(&self, data: &Bytes) -> [Vec<Request>; 4] {
        let keys = || self.keys.iter().flatten();
        [
            vec![create(ROOT.into(), Bytes::new())],
            self.directories.iter().map(|directory| create(Arc::clone(directory), Bytes::new())).collect(),
            keys().map(|key| create(Arc::clone(key), data.clone())).collect(),
            keys().map(|key| Request::SetData(set(Arc::clone(key), data.clone()))).collect(),
        ]
    }
}

/// The creation of a persistent znode that is open to everybody.
pub fn create(path: Arc<str>, data: Bytes) -> Request {
    let mode = Ok(CreateMode::Persistent);
    Request::Create(Create { path, data: Some(data), acl: Acl::open_unsafe(), mode, with_stat: false })
}

/// A write over whatever version there is.
pub fn set(path: Arc<str>, data: Bytes) -> SetData {
    SetData { path, data: Some(data), version: -1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::SmallRng;
    use std::collections::BTreeSet;

    fn paths(batch: &[Request]) -> Vec<&str> {
        let path = |request: &Request| match request {
            Request::Create(create) => create.path.clone(),
            Request::SetData(set) => set.path.clone(),
            other => panic!("{other:?} prepares nothing"),
        };
        batch.iter().map(path).map(|path| &*Box::leak(path.to_string().into_boxed_str())).collect()
    }

    #[test]
    fn another_directory_is_of_another_group_if_there_is_one() {
        let mut random = SmallRng::seed_from_u64(1);
        for (directories, groups) in [(8, 8), (8, 4), (7, 2), (5, 1), (3, 8)] {
            let names = (0..directories).map(|d| d.to_string()).collect();
            let tree = Tree::of_groups(names, groups, 1);
            for first in 0..directories {
                let drawn: BTreeSet<usize> =
                    (0..500).map(|_| tree.directory_but(first, &mut random)).collect();
                let other = |d: &usize| if groups == 1 { *d != first } else { d % groups != first % groups };
                let expected: BTreeSet<usize> = (0..directories).filter(other).collect();
                assert_eq!(drawn, expected, "{directories} directories in {groups} groups, not {first}");
            }
        }
    }

    #[test]
    fn parents_are_prepared_in_an_earlier_batch_than_children() {
        let [root, directories, keys, values] = Tree::new(2, 2).preparation(&Bytes::from_static(b"x"));
        assert_eq!(paths(&root), ["/bench"]);
        assert_eq!(paths(&directories), ["/bench/d0", "/bench/d1"]);
        assert_eq!(paths(&keys), ["/bench/d0/k0", "/bench/d0/k1", "/bench/d1/k0", "/bench/d1/k1"]);
        assert_eq!(paths(&values), paths(&keys));
    }
}
