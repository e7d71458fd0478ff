//! The watches that a client believes it has, as ZooKeeper's own client keeps them.

use std::collections::BTreeSet;
use std::sync::Arc;
use volery::wire::{
    AddWatchMode, ErrorCode, EventType, Reply, Request, SetWatches, WatcherEvent, WatcherType,
};

/// A client's watches.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    data: BTreeSet<Arc<str>>,
    exist: BTreeSet<Arc<str>>,
    child: BTreeSet<Arc<str>>,
    persistent: BTreeSet<Arc<str>>,
    recursive: BTreeSet<Arc<str>>,
}

impl Registry {
    /// A request is answered: it may have set a watch.
    pub fn answered(&mut self, request: &Request, result: &Result<Reply, ErrorCode>) {
        match (request, result) {
            (Request::GetData { path, watch: true } | Request::Exists { path, watch: true }, Ok(_)) => {
                self.data.insert(path.clone());
            }
            (Request::Exists { path, watch: true }, Err(ErrorCode::NoNode)) => {
                self.exist.insert(path.clone());
            }
            (
                Request::GetChildren { path, watch: true } | Request::GetChildren2 { path, watch: true },
                Ok(_),
            ) => {
                self.child.insert(path.clone());
            }
            (Request::AddWatch { path, mode }, Ok(_)) => {
                let watches = match mode {
                    AddWatchMode::Persistent => &mut self.persistent,
                    AddWatchMode::PersistentRecursive => &mut self.recursive,
                };
                watches.insert(path.clone());
            }
            (Request::RemoveWatches { path, kind }, Ok(_)) => self.remove(path, *kind),
            _ => {}
        }
    }

    fn remove(&mut self, path: &Arc<str>, kind: WatcherType) {
        let gone: &mut [&mut BTreeSet<Arc<str>>] = match kind {
            WatcherType::Children => &mut [&mut self.child],
            WatcherType::Data => &mut [&mut self.data, &mut self.exist],
            WatcherType::Persistent => &mut [&mut self.persistent],
            WatcherType::PersistentRecursive => &mut [&mut self.recursive],
            WatcherType::Any => &mut [
                &mut self.data,
                &mut self.exist,
                &mut self.child,
                &mut self.persistent,
                &mut self.recursive,
            ],
        };
        for watches in gone.iter_mut() {
            watches.remove(path);
        }
    }

    /// A watch has fired.
    pub fn fired(&mut self, event: &WatcherEvent) {
        let path = &event.path;
        let used: &mut [&mut BTreeSet<Arc<str>>] = match event.kind {
            EventType::NodeCreated | EventType::NodeDataChanged => &mut [&mut self.data, &mut self.exist],
            EventType::NodeDeleted => &mut [&mut self.data, &mut self.exist, &mut self.child],
            EventType::NodeChildrenChanged => &mut [&mut self.child],
            _ => &mut [],
        };
        for watches in used.iter_mut() {
            watches.remove(path);
        }
    }

    /// What a client that is back tells its new server, if it has watches.
    pub fn set_watches(&self, relative_zxid: i64) -> Option<Request> {
        let list = |watches: &BTreeSet<Arc<str>>| watches.iter().cloned().collect::<Vec<_>>();
        let watches = SetWatches {
            relative_zxid,
            data: list(&self.data),
            exist: list(&self.exist),
            child: list(&self.child),
            persistent: list(&self.persistent),
            persistent_recursive: list(&self.recursive),
        };
        (!self.paths().is_empty()).then_some(Request::SetWatches(watches))
    }

    /// All paths that are watched.
    pub fn paths(&self) -> BTreeSet<Arc<str>> {
        let all = [&self.data, &self.exist, &self.child, &self.persistent, &self.recursive];
        all.into_iter().flatten().cloned().collect()
    }
}
