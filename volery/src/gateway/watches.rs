//! The watches of the connections of one gateway: soft state, beside the replicas whose events it hears.
//!
//! ZooKeeper's rules: getData and exists share one kind of watch, getChildren has another; both fire once. A persistent
//! watch is both and stays; a recursive one covers the subtree, without NodeChildrenChanged. One event makes at most one
//! notification per connection.
//!
//! A one-shot watch is armed by a request that has looked at the znode at some *place* of its partition's sequence. Another
//! partition's replica may have answered that request while the one here is behind: what happened up to that place was seen,
//! and fires nothing.
//!
//! An event of a znode that a session may not read, by the znode's list and the session's identities when the event comes, is no
//! event for that session: it fires nothing, and what it would have fired stays armed. (ZooKeeper says nothing either, but
//! disarms a one-shot watch, in which its client still believes; checkWatches would tell that something has happened.)

use crate::faults::WATCH_FIRES_AGAIN;
use crate::path;
use crate::wire::{AddWatchMode, EventType, WatcherType};
use eyrie::{ConnectionId, Destinations, PartitionId, Position};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A set of kinds of watch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds(u8);

impl Kinds {
    /// Fires once when the znode is created, deleted or set.
    pub const DATA: Kinds = Kinds(1);
    /// Fires once when the znode is deleted or its children change.
    pub const CHILD: Kinds = Kinds(2);
    /// Fires whenever the znode or its children change.
    pub const PERSISTENT: Kinds = Kinds(4);
    /// Fires whenever a znode of the subtree is created, deleted or set.
    pub const RECURSIVE: Kinds = Kinds(8);

    const ALL: Kinds = Kinds(15);

    fn with(self, other: Kinds) -> Kinds {
        Kinds(self.0 | other.0)
    }

    fn without(self, other: Kinds) -> Kinds {
        Kinds(self.0 & !other.0)
    }

    fn among(self, other: Kinds) -> Kinds {
        Kinds(self.0 & other.0)
    }

    fn touches(self, other: Kinds) -> bool {
        self.0 & other.0 != 0
    }

    fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What a watch of this type may be registered as.
    fn of(watcher: WatcherType) -> Kinds {
        match watcher {
            WatcherType::Children => Kinds::CHILD,
            WatcherType::Data => Kinds::DATA,
            WatcherType::Any => Kinds::ALL,
            WatcherType::Persistent => Kinds::PERSISTENT,
            WatcherType::PersistentRecursive => Kinds::RECURSIVE,
        }
    }
}

impl From<AddWatchMode> for Kinds {
    fn from(mode: AddWatchMode) -> Kinds {
        match mode {
            AddWatchMode::Persistent => Kinds::PERSISTENT,
            AddWatchMode::PersistentRecursive => Kinds::RECURSIVE,
        }
    }
}

/// What armed a kind that fires once: the requests whose looks no event has followed yet, in the order of their places.
///
/// Mostly one. A session that does not wait for its replies may look, change and look again before the change is heard of
/// here: then the change fires what the first look has armed, and not what the second one has.
#[derive(Clone, Debug, Default)]
struct Arming(Vec<Armed>);

impl Arming {
    /// A request has looked; everything up to `heard` was told already, so what was armed before that and is still armed is
    /// one with it.
    fn add(&mut self, armed: Armed, heard: Position) {
        match self.0.last_mut().filter(|last| armed.at <= last.at.max(heard)) {
            Some(last) => last.by = armed.by,
            None => self.0.push(armed),
        }
    }

    /// An event at a place: the last of the requests that it comes behind, whose reply must leave before it; if it fires
    /// anything.
    fn due(&self, place: Position) -> Option<u64> {
        self.0.iter().rev().find(|armed| armed.at < place).map(|armed| armed.by)
    }

    /// The event has fired. Says whether nothing is armed any more.
    fn fire(&mut self, place: Position) -> bool {
        self.0.retain(|armed| armed.at >= place);
        self.0.is_empty()
    }
}

/// One connection's watch on one path.
#[derive(Clone, Debug, Default)]
struct Watch {
    kinds: Kinds,
    data: Arming,
    children: Arming,
    /// The request that armed the kind that stays.
    stays: u64,
}

impl Watch {
    fn once(&mut self) -> [(Kinds, &mut Arming); 2] {
        [(Kinds::DATA, &mut self.data), (Kinds::CHILD, &mut self.children)]
    }

    /// A request arms it.
    fn arm(&mut self, kinds: Kinds, armed: Armed, heard: Position) {
        if kinds.touches(STAYING) {
            self.stays = armed.by;
        }
        for (_, arming) in self.once().into_iter().filter(|(kind, _)| kinds.touches(*kind)) {
            arming.add(armed, heard);
        }
        self.kinds = self.kinds.with(kinds);
    }

    fn disarm(&mut self, kinds: Kinds) {
        for (_, arming) in self.once().into_iter().filter(|(kind, _)| kinds.touches(*kind)) {
            arming.0.clear();
        }
        self.kinds = self.kinds.without(kinds);
    }

    /// The request whose reply must leave before an event at a place that fires these kinds, if it does.
    fn due(&self, fires: Kinds, place: Position) -> Option<u64> {
        let fires = self.kinds.among(fires);
        let data = if fires.touches(Kinds::DATA) { self.data.due(place) } else { None };
        let children = if fires.touches(Kinds::CHILD) { self.children.due(place) } else { None };
        let stays = fires.touches(STAYING).then_some(self.stays);
        [data, children, stays].into_iter().flatten().max()
    }

    /// An event has fired these kinds: those of them that nothing arms any more.
    fn spent(&mut self, fires: Kinds, place: Position) -> Kinds {
        let armed = self.kinds;
        let of_these = |(kind, _): &(Kinds, &mut Arming)| fires.touches(*kind) && armed.touches(*kind);
        let once = self.once().into_iter().filter(of_these);
        let spent = once.filter_map(|(kind, arming)| arming.fire(place).then_some(kind));
        spent.fold(Kinds::default(), Kinds::with)
    }
}

/// The kinds that stay when they have fired.
const STAYING: Kinds = Kinds(Kinds::PERSISTENT.0 | Kinds::RECURSIVE.0);

/// What armed a watch.
#[derive(Clone, Copy, Debug, Default)]
pub struct Armed {
    /// The request.
    pub by: u64,
    /// Where it looked at the znode, if it did.
    pub at: Position,
}

/// A notification that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fired {
    /// Whom to tell.
    pub connection: ConnectionId,
    /// The request whose reply must leave first.
    pub armed_by: u64,
}

/// How many bytes a watched path takes beside its own length, roughly.
pub const WATCH_BYTES: usize = 256;

/// One connection's watches, from its own side: the paths, and the partitions that may tell it events.
///
/// Invariant: `bytes` is the sum over `paths`.
#[derive(Debug, Default)]
struct Watcher {
    paths: BTreeMap<Arc<str>, Destinations>,
    bytes: usize,
    /// How many of the paths each partition is a source for.
    sources: BTreeMap<PartitionId, usize>,
}

impl Watcher {
    fn add(&mut self, path: &Arc<str>, sources: Destinations) {
        let known = self.paths.get(path).copied().unwrap_or(Destinations::NONE);
        for partition in sources.iter().filter(|partition| !known.contains(*partition)) {
            *self.sources.entry(partition).or_default() += 1;
        }
        if self.paths.insert(path.clone(), known.union(sources)).is_none() {
            self.bytes += WATCH_BYTES + path.len();
        }
    }

    fn remove(&mut self, path: &str) {
        let Some(sources) = self.paths.remove(path) else { return };
        self.bytes -= WATCH_BYTES + path.len();
        for partition in sources.iter() {
            if let Some(count) = self.sources.get_mut(&partition) {
                *count -= 1;
                if *count == 0 {
                    self.sources.remove(&partition);
                }
            }
        }
    }
}

/// All watches of a gateway.
///
/// Invariants: `paths` and `connections` name the same pairs, and no watch is without a kind; `bytes` is the sum over
/// `connections`.
#[derive(Debug, Default)]
pub struct Watches {
    paths: FxHashMap<Arc<str>, BTreeMap<ConnectionId, Watch>>,
    connections: FxHashMap<ConnectionId, Watcher>,
    recursive: usize,
    armed: usize,
    bytes: usize,
}

impl Watches {
    /// Arms a watch for `connection`; its events come from the partitions `sources`. Of the path's own, everything up to `heard`
    /// was told already.
    pub fn arm(
        &mut self,
        connection: ConnectionId,
        path: &Arc<str>,
        kinds: Kinds,
        sources: Destinations,
        armed: Armed,
        heard: Position,
    ) {
        let watcher = self.connections.entry(connection).or_default();
        let before = watcher.bytes;
        watcher.add(path, sources);
        self.bytes += watcher.bytes - before;
        let watch = self.paths.entry(path.clone()).or_default().entry(connection).or_default();
        self.armed += usize::from(watch.kinds.is_empty());
        if kinds.touches(Kinds::RECURSIVE) && !watch.kinds.touches(Kinds::RECURSIVE) {
            self.recursive += 1;
        }
        // A path holds one of the two modes that stay: the later one counts, as in ZooKeeper.
        if kinds.touches(STAYING) && watch.kinds.touches(STAYING.without(kinds)) {
            self.recursive -=
                usize::from(watch.kinds.touches(Kinds::RECURSIVE) && !kinds.touches(Kinds::RECURSIVE));
            watch.disarm(STAYING);
        }
        watch.arm(kinds, armed, heard);
    }

    /// Whether a connection has a watch of this type on a path.
    pub fn has(&self, connection: ConnectionId, path: &str, watcher: WatcherType) -> bool {
        let watch = self.paths.get(path).and_then(|watches| watches.get(&connection));
        watch.is_some_and(|watch| watch.kinds.touches(Kinds::of(watcher)))
    }

    /// Takes a connection's watches of this type on a path away; says whether there were any.
    pub fn remove(&mut self, connection: ConnectionId, path: &str, watcher: WatcherType) -> bool {
        let had = self.has(connection, path, watcher);
        if had {
            self.disarm(connection, path, Kinds::of(watcher));
        }
        had
    }

    /// Forgets a connection.
    pub fn forget(&mut self, connection: ConnectionId) {
        let watcher = self.connections.remove(&connection).unwrap_or_default();
        self.bytes -= watcher.bytes;
        for path in watcher.paths.keys() {
            self.disarm(connection, path, Kinds::ALL);
        }
    }

    /// What an event at `path`, at this place of its partition's sequence, fires for those who may read the znode; one-shot
    /// watches that have fired are gone afterwards.
    pub fn fire(
        &mut self,
        path: &str,
        event: EventType,
        place: Position,
        may_read: impl Fn(ConnectionId) -> bool,
    ) -> Vec<Fired> {
        let mut fired = Vec::new();
        if self.armed == 0 {
            return fired;
        }
        self.fire_here(path, event, place, &may_read, &mut fired);
        if self.recursive > 0 && event != EventType::NodeChildrenChanged {
            let mut ancestor = Some(path);
            while let Some(covering) = ancestor {
                self.fire_recursive(covering, &may_read, &mut fired);
                ancestor = path::parent(covering);
            }
        }
        fired
    }

    /// The partitions that may tell a connection events.
    pub fn sources(&self, connection: ConnectionId) -> Destinations {
        match self.connections.get(&connection) {
            Some(watcher) => watcher.sources.keys().copied().collect(),
            None => Destinations::NONE,
        }
    }

    /// How many bytes a connection's watches take, roughly, and those of all.
    pub fn bytes(&self, connection: ConnectionId) -> (usize, usize) {
        (self.connections.get(&connection).map_or(0, |watcher| watcher.bytes), self.bytes)
    }

    /// How many pairs of connection and path are watched.
    pub fn len(&self) -> usize {
        self.armed
    }

    fn fire_here(
        &mut self,
        path: &str,
        event: EventType,
        place: Position,
        may_read: &impl Fn(ConnectionId) -> bool,
        fired: &mut Vec<Fired>,
    ) {
        let fires = match event {
            EventType::NodeChildrenChanged => Kinds::CHILD.with(Kinds::PERSISTENT),
            EventType::NodeDeleted => Kinds::DATA.with(Kinds::CHILD).with(Kinds::PERSISTENT),
            _ => Kinds::DATA.with(Kinds::PERSISTENT),
        };
        let Some(watches) = self.paths.get_mut(path) else { return };
        let mut spent = Vec::new();
        for (connection, watch) in watches.iter_mut() {
            let Some(armed_by) = watch.due(fires, place).filter(|_| may_read(*connection)) else { continue };
            fired.push(Fired { connection: *connection, armed_by });
            if !WATCH_FIRES_AGAIN.is_planted() {
                spent.push((*connection, watch.spent(fires, place)));
            }
        }
        for (connection, kinds) in spent.into_iter().filter(|(_, kinds)| !kinds.is_empty()) {
            self.disarm(connection, path, kinds);
        }
    }

    fn fire_recursive(&self, path: &str, may_read: &impl Fn(ConnectionId) -> bool, fired: &mut Vec<Fired>) {
        for (connection, watch) in self.paths.get(path).into_iter().flatten() {
            let told = fired.iter().any(|fired| fired.connection == *connection);
            if watch.kinds.touches(Kinds::RECURSIVE) && !told && may_read(*connection) {
                fired.push(Fired { connection: *connection, armed_by: watch.stays });
            }
        }
    }

    fn disarm(&mut self, connection: ConnectionId, path: &str, kinds: Kinds) {
        let Some(watches) = self.paths.get_mut(path) else { return };
        let Some(watch) = watches.get_mut(&connection) else { return };
        if watch.kinds.touches(Kinds::RECURSIVE) && kinds.touches(Kinds::RECURSIVE) {
            self.recursive -= 1;
        }
        watch.disarm(kinds);
        if watch.kinds.is_empty() {
            watches.remove(&connection);
            if watches.is_empty() {
                self.paths.remove(path);
            }
            self.armed -= 1;
            self.forget_path(connection, path);
        }
    }

    fn forget_path(&mut self, connection: ConnectionId, path: &str) {
        if let Some(watcher) = self.connections.get_mut(&connection) {
            let before = watcher.bytes;
            watcher.remove(path);
            self.bytes -= before - watcher.bytes;
            if watcher.paths.is_empty() {
                self.connections.remove(&connection);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ConnectionId = ConnectionId(1);
    const B: ConnectionId = ConnectionId(2);
    const HERE: Destinations = Destinations::NONE;

    const LATER: Position = place(9);

    const fn place(index: u64) -> Position {
        Position { configuration: 0, index }
    }

    fn by(request: u64) -> Armed {
        Armed { by: request, at: Position::default() }
    }

    fn anybody(_: ConnectionId) -> bool {
        true
    }

    fn told(watches: &mut Watches, path: &str, event: EventType) -> Vec<u64> {
        watches.fire(path, event, LATER, anybody).iter().map(|fired| fired.connection.0).collect()
    }

    #[test]
    fn one_shot_watches_fire_once_and_for_their_own_events() {
        let mut watches = Watches::default();
        let path: Arc<str> = "/a".into();
        watches.arm(A, &path, Kinds::DATA, HERE, by(1), Position::default());
        watches.arm(B, &path, Kinds::CHILD, HERE, by(1), Position::default());
        assert_eq!(told(&mut watches, "/a", EventType::NodeDataChanged), [1]);
        assert_eq!(told(&mut watches, "/a", EventType::NodeDataChanged), [0; 0]);
        assert_eq!(told(&mut watches, "/a", EventType::NodeChildrenChanged), [2]);
        assert_eq!(watches.len(), 0);
    }

    #[test]
    fn a_deletion_tells_a_connection_once_though_it_watches_data_and_children() {
        let mut watches = Watches::default();
        let path: Arc<str> = "/a".into();
        watches.arm(A, &path, Kinds::DATA, HERE, by(1), Position::default());
        watches.arm(A, &path, Kinds::CHILD, HERE, by(2), Position::default());
        assert_eq!(
            watches.fire("/a", EventType::NodeDeleted, LATER, anybody),
            [Fired { connection: A, armed_by: 2 }]
        );
        assert_eq!(watches.len(), 0);
    }

    #[test]
    fn what_was_seen_when_a_watch_was_armed_does_not_fire_it() {
        let mut watches = Watches::default();
        let path: Arc<str> = "/a".into();
        let changed = EventType::NodeDataChanged;
        let fired = |watches: &mut Watches, index| watches.fire("/a", changed, place(index), anybody).len();
        watches.arm(A, &path, Kinds::DATA, HERE, Armed { by: 1, at: place(5) }, Position::default());
        assert_eq!((fired(&mut watches, 4), fired(&mut watches, 5), watches.len()), (0, 0, 1));
        watches.arm(A, &path, Kinds::DATA, HERE, Armed { by: 2, at: place(7) }, Position::default());
        assert_eq!(fired(&mut watches, 6), 1, "the first is still owed what came after it");
        watches.arm(A, &path, Kinds::DATA, HERE, Armed { by: 3, at: place(8) }, Position::default());
        watches.arm(A, &path, Kinds::PERSISTENT, HERE, by(4), Position::default());
        assert_eq!(fired(&mut watches, 7), 1, "the persistent one");
        assert!(watches.has(A, "/a", WatcherType::Data), "has seen that");
    }

    #[test]
    fn a_change_between_two_looks_fires_what_the_first_has_armed() {
        let mut watches = Watches::default();
        let path: Arc<str> = "/a".into();
        let fired = |watches: &mut Watches, index| {
            let fired = watches.fire("/a", EventType::NodeDataChanged, place(index), anybody);
            fired.iter().map(|fired| fired.armed_by).collect::<Vec<u64>>()
        };
        watches.arm(A, &path, Kinds::DATA, HERE, Armed { by: 1, at: place(5) }, place(5));
        watches.arm(A, &path, Kinds::DATA, HERE, Armed { by: 2, at: place(7) }, place(5));
        assert_eq!((fired(&mut watches, 6), fired(&mut watches, 8), watches.len()), (vec![1], vec![2], 0));
        watches.arm(A, &path, Kinds::DATA, HERE, Armed { by: 3, at: place(9) }, place(9));
        watches.arm(A, &path, Kinds::DATA, HERE, Armed { by: 4, at: place(11) }, place(11));
        assert_eq!(fired(&mut watches, 12), [4], "nothing has happened between them");
        assert_eq!((fired(&mut watches, 13), watches.len()), (vec![], 0));
    }

    #[test]
    fn a_recursive_watch_covers_the_subtree_and_stays_until_removed() {
        let mut watches = Watches::default();
        watches.arm(A, &"/a".into(), Kinds::RECURSIVE, HERE, by(1), Position::default());
        watches.arm(B, &"/".into(), Kinds::RECURSIVE, HERE, by(1), Position::default());
        assert_eq!(told(&mut watches, "/a/b/c", EventType::NodeCreated), [1, 2]);
        assert_eq!(told(&mut watches, "/ab", EventType::NodeCreated), [2]);
        assert_eq!(told(&mut watches, "/a", EventType::NodeChildrenChanged), [0; 0]);
        assert!(watches.remove(A, "/a", WatcherType::PersistentRecursive));
        assert!(!watches.remove(A, "/a", WatcherType::Any));
        watches.forget(B);
        assert_eq!((watches.len(), watches.recursive), (0, 0));
    }

    #[test]
    fn a_connections_sources_are_those_of_its_watches() {
        let mut watches = Watches::default();
        let one = |partition| Destinations::one(PartitionId(partition));
        watches.arm(A, &"/a".into(), Kinds::DATA, one(0), by(1), Position::default());
        watches.arm(A, &"/b".into(), Kinds::DATA, one(1), by(1), Position::default());
        watches.arm(A, &"/a".into(), Kinds::CHILD, one(0), by(1), Position::default());
        assert_eq!(watches.sources(A), Destinations::all(2));
        watches.fire("/a", EventType::NodeDataChanged, LATER, anybody);
        assert_eq!(watches.sources(A), Destinations::all(2), "the children are still watched");
        watches.fire("/a", EventType::NodeChildrenChanged, LATER, anybody);
        assert_eq!(watches.sources(A), one(1));
        watches.forget(A);
        assert_eq!(watches.sources(A), Destinations::NONE);
    }

    #[test]
    fn a_persistent_watch_fires_for_data_and_children_again_and_again() {
        let mut watches = Watches::default();
        watches.arm(A, &"/a".into(), Kinds::PERSISTENT, HERE, by(1), Position::default());
        for event in [EventType::NodeDataChanged, EventType::NodeChildrenChanged, EventType::NodeDeleted] {
            assert_eq!(told(&mut watches, "/a", event), [1]);
        }
        assert!(watches.has(A, "/a", WatcherType::Any) && !watches.has(A, "/a", WatcherType::Data));
    }

    #[test]
    fn an_event_is_none_for_who_may_not_read_the_znode() {
        use EventType::{NodeChildrenChanged, NodeCreated, NodeDataChanged, NodeDeleted};
        for kinds in [Kinds::DATA, Kinds::CHILD, Kinds::PERSISTENT, Kinds::RECURSIVE] {
            for event in [NodeCreated, NodeDataChanged, NodeDeleted, NodeChildrenChanged] {
                for above in [false, true] {
                    let mut watches = Watches::default();
                    let path: Arc<str> = if above { "/" } else { "/a" }.into();
                    for connection in [A, B] {
                        watches.arm(connection, &path, kinds, HERE, by(1), Position::default());
                    }
                    let fired = watches.fire("/a", event, LATER, |connection| connection == B);
                    assert!(fired.iter().all(|fired| fired.connection == B), "{kinds:?} {event:?} {above}");
                    assert!(watches.has(A, &path, WatcherType::Any), "it stays armed");
                    let stays = kinds.touches(STAYING) || fired.is_empty();
                    assert_eq!(watches.has(B, &path, WatcherType::Any), stays, "{kinds:?} {event:?} {above}");
                    let later = watches.fire("/a", event, place(10), anybody);
                    let told = later.iter().any(|fired| fired.connection == A);
                    assert_eq!(
                        told,
                        !fired.is_empty(),
                        "what B was told of once, A is told of the next time"
                    );
                }
            }
        }
    }
}
