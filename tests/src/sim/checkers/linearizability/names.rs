//! Short names for paths and data, so that the search compares numbers.

use bytes::Bytes;
use rustc_hash::FxHashMap;
use std::sync::Arc;
use volery::path;

/// A path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathId(u32);

/// A znode's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Data {
    id: u32,
    /// Bytes, as a Stat counts them.
    pub length: i32,
}

/// What has a short name.
#[derive(Debug, Default)]
pub struct Names {
    paths: Vec<Arc<str>>,
    path_ids: FxHashMap<Arc<str>, PathId>,
    parents: Vec<Option<PathId>>,
    data: Vec<Option<Bytes>>,
    data_ids: FxHashMap<Option<Bytes>, u32>,
}

impl PathId {
    /// Its place in a table of paths.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl Names {
    /// The name of a path; its ancestors get one too.
    pub fn path(&mut self, path: &str) -> PathId {
        if let Some(&id) = self.path_ids.get(path) {
            return id;
        }
        let parent = path::parent(path).map(|parent| self.path(parent));
        let id = PathId(self.paths.len() as u32);
        let path: Arc<str> = path.into();
        self.paths.push(path.clone());
        self.parents.push(parent);
        self.path_ids.insert(path, id);
        id
    }

    /// The name of a child's path.
    pub fn child(&mut self, parent: &str, name: &str) -> PathId {
        self.path(&path::join(parent, name))
    }

    /// The name of data; none and empty ones differ.
    pub fn data(&mut self, data: &Option<Bytes>) -> Data {
        let length = data.as_ref().map_or(0, |data| data.len() as i32);
        if let Some(&id) = self.data_ids.get(data) {
            return Data { id, length };
        }
        let id = self.data.len() as u32;
        self.data.push(data.clone());
        self.data_ids.insert(data.clone(), id);
        Data { id, length }
    }

    /// All paths.
    pub fn paths(&self) -> impl Iterator<Item = PathId> + use<> {
        (0..self.paths.len() as u32).map(PathId)
    }

    /// The path of this name.
    pub fn path_of(&self, id: PathId) -> &Arc<str> {
        &self.paths[id.index()]
    }

    /// The parent's name; `None` for the root.
    pub fn parent(&self, id: PathId) -> Option<PathId> {
        self.parents[id.index()]
    }

    /// The data of this name.
    pub fn data_of(&self, data: Data) -> &Option<Bytes> {
        &self.data[data.id as usize]
    }
}
