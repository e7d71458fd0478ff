//! The znodes that a measurement works on.

use bytes::Bytes;
use std::sync::Arc;
use volery::wire::{Acl, Create, CreateMode, Request, SetData};

/// Above everything that the bench creates.
const ROOT: &str = "/bench";

/// Directories `/bench/d0`, `/bench/d1`, … with keys `k0`, `k1`, … in each. With a placement by the first two components
/// each directory lies in one partition. They outlive the run, and the next run takes them over.
pub struct Tree {
    directories: Vec<Arc<str>>,
    keys: Vec<Vec<Arc<str>>>,
}

impl Tree {
    /// A tree of `directories` directories with `keys` keys in each; there is at least one of both.
    pub fn new(directories: usize, keys: usize) -> Tree {
        assert!(directories > 0 && keys > 0, "an empty tree has nothing to work on");
        let directories: Vec<Arc<str>> = (0..directories).map(|d| format!("{ROOT}/d{d}").into()).collect();
        let keys =
            directories.iter().map(|d| (0..keys).map(|k| format!("{d}/k{k}").into()).collect()).collect();
        Tree { directories, keys }
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

    fn paths(batch: &[Request]) -> Vec<&str> {
        let path = |request: &Request| match request {
            Request::Create(create) => create.path.clone(),
            Request::SetData(set) => set.path.clone(),
            other => panic!("{other:?} prepares nothing"),
        };
        batch.iter().map(path).map(|path| &*Box::leak(path.to_string().into_boxed_str())).collect()
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
