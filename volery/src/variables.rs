//! One partition's variables in memory.
//!
//! Each path has one slot, found by one look-up, which holds the znode's facts, its data and its children's names. A slot
//! is there for a znode of this partition, and for nothing else, once a command is complete. Beside the slots stand
//! indices, each kept by the write that concerns it:
//! - a session's ephemerals here, and its ephemerals whose parents are here: what its end removes;
//! - the znodes that go by themselves, by the age at which they are due;
//! - the *tops*: znodes here whose parents live elsewhere. With them the descendants of any path can be counted, since
//!   every other znode here hangs below a top or the root.
//!
//! **A time to live is measured by the partition's age**: for how long its leaders have led it, by their monotonic clocks, as the
//! log's entries carry it. A slot notes the age at which its data were last set; what has lived longer is due. So a wall
//! clock that is wrong, at one node or at all, ends no znode early and keeps none alive, and the age is a function of the
//! log, so that a restart comes to the same one. Time without a leader is not counted: a znode may go late.
//!
//! Maps keyed by hash are never iterated: replicas must not differ by an order that nobody chose.

use crate::key::{Key, Value};
use crate::path;
use crate::placement::Placement;
use crate::service::Volery;
use crate::session::{SessionId, SessionRecord};
use crate::wire::Permissions;
use crate::znode::Facts;
use crate::zxid::Zxid;
use bytes::Bytes;
use eyrie::{Epoch, PartitionId};
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

/// Everything that is known here of one path. A command's writes come variable by variable, in the order it made them, so
/// each part may be absent for a moment.
#[derive(Debug, Default)]
struct Slot {
    facts: Option<Facts>,
    data: Option<Option<Bytes>>,
    /// The owner of those that are ephemeral.
    children: BTreeMap<Arc<str>, Option<SessionId>>,
    /// The partition's age when the data were last set.
    set_at_ms: u64,
}

impl Slot {
    fn is_empty(&self) -> bool {
        self.facts.is_none() && self.data.is_none() && self.children.is_empty()
    }
}

/// What the indices go by.
#[derive(Clone, Copy)]
struct Marks {
    owner: Option<SessionId>,
    due_ms: Option<u64>,
    data_bytes: u64,
}

impl Marks {
    /// Of a znode whose data were set at an age.
    fn of(facts: &Facts, set_at_ms: u64) -> Marks {
        let due_ms = facts.lifetime_ms().map(|lifetime_ms| set_at_ms.saturating_add(lifetime_ms));
        Marks { owner: facts.owner(), due_ms, data_bytes: facts.data_length as u64 }
    }
}

/// Paths by session.
#[derive(Debug, Default)]
struct BySession(FxHashMap<SessionId, BTreeSet<Arc<str>>>);

impl BySession {
    fn insert(&mut self, session: SessionId, path: Arc<str>) {
        self.0.entry(session).or_default().insert(path);
    }

    fn remove(&mut self, session: SessionId, path: &str) {
        if let Some(paths) = self.0.get_mut(&session) {
            paths.remove(path);
            if paths.is_empty() {
                self.0.remove(&session);
            }
        }
    }

    fn of(&self, session: SessionId) -> impl Iterator<Item = &Arc<str>> {
        self.0.get(&session).into_iter().flatten()
    }
}

/// How much a partition holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// Znodes.
    pub znodes: u64,
    /// Those of them that are ephemeral.
    pub ephemerals: u64,
    /// Bytes of paths and data.
    pub data_bytes: u64,
    /// Sessions whose home this is.
    pub sessions: u64,
    /// Sessions that may write here.
    pub attached: u64,
}

/// One partition's variables on one replica; see the chapter above.
#[derive(Debug)]
pub struct Slots {
    placement: Arc<Placement>,
    partition: PartitionId,
    slots: FxHashMap<Arc<str>, Slot>,
    ephemerals: BySession,
    ephemeral_children: BySession,
    due: BTreeSet<(u64, Arc<str>)>,
    tops: BTreeSet<Arc<str>>,
    sessions: BTreeMap<SessionId, SessionRecord>,
    attachments: FxHashMap<SessionId, Epoch>,
    /// The number of the partition's reign.
    reign: Option<Epoch>,
    /// The partition's age at the last command.
    age_ms: u64,
    holdings: Holdings,
}

impl Slots {
    /// How much is held.
    pub fn holdings(&self) -> Holdings {
        let (sessions, attached) = (self.sessions.len() as u64, self.attachments.len() as u64);
        Holdings { sessions, attached, ..self.holdings }
    }

    /// The sessions whose home this is, in the order of their ids.
    pub fn sessions(&self) -> impl Iterator<Item = (SessionId, &SessionRecord)> {
        self.sessions.iter().map(|(session, record)| (*session, record))
    }

    /// The partition.
    pub fn partition(&self) -> PartitionId {
        self.partition
    }

    /// Whether a znode here has a time to live, and at the age `age_ms` the log was not told any for more than `max_ms`.
    pub fn forgets_age(&self, age_ms: u64, max_ms: u64) -> bool {
        !self.due.is_empty() && age_ms > self.age_ms.saturating_add(max_ms)
    }

    /// Up to `max` znodes that are due to go by themselves at the age `age_ms`, the longest due first.
    pub fn due(&self, age_ms: u64, max: usize) -> impl Iterator<Item = (&Arc<str>, &Facts)> {
        let due = self.due.iter().take_while(move |(due_ms, _)| *due_ms < age_ms).take(max);
        due.filter_map(|(_, path)| Some((path, self.facts(path)?)))
    }

    /// The facts of a znode of this partition.
    pub fn facts(&self, path: &str) -> Option<&Facts> {
        self.slots.get(path)?.facts.as_ref()
    }

    fn children(&self, path: &str) -> Option<Arc<[Arc<str>]>> {
        let slot = self.slots.get(path)?;
        slot.facts.as_ref().map(|_| slot.children.keys().cloned().collect())
    }

    /// The newest zxid of what goes with a session, and of the parents here that it leaves.
    fn owned(&self, session: SessionId) -> Option<Zxid> {
        let parents = self.ephemeral_children.of(session).filter_map(|path| path::parent(path));
        let paths = self.ephemerals.of(session).map(|path| &**path).chain(parents);
        paths.filter_map(|path| self.facts(path)).map(Facts::newest).max()
    }

    /// How many znodes here are below `ancestor`: below it by parents here, or at and below a top that is below it.
    fn descendants(&self, ancestor: &str) -> u64 {
        let prefix = if ancestor == path::ROOT { path::ROOT.to_owned() } else { format!("{ancestor}/") };
        let below = (Bound::Excluded(&*prefix), Bound::Unbounded);
        let tops = self.tops.range::<str, _>(below).take_while(|top| top.starts_with(&prefix));
        let mut count = 0;
        let mut unvisited: Vec<Arc<str>> = tops.cloned().collect();
        if self.facts(ancestor).is_some() {
            unvisited.extend(self.children_here(ancestor));
        }
        while let Some(path) = unvisited.pop() {
            count += 1;
            unvisited.extend(self.children_here(&path));
        }
        count
    }

    /// The paths of those children of a znode here that are here too.
    fn children_here<'a>(&'a self, parent: &'a str) -> impl Iterator<Item = Arc<str>> + 'a {
        let names = self.slots.get(parent).into_iter().flat_map(|slot| slot.children.keys());
        names.map(move |name| path::join(parent, name)).filter(|path| self.facts(path).is_some())
    }

    fn set_facts(&mut self, path: Arc<str>, facts: Option<Facts>) {
        let age_ms = self.age_ms;
        let (before, after) = self.in_slot(&path, facts.is_none(), |slot| {
            let before = slot.facts.as_ref().map(|facts| Marks::of(facts, slot.set_at_ms));
            let mzxid = |facts: &Option<Facts>| facts.as_ref().map(|facts| facts.mzxid);
            if mzxid(&slot.facts) != mzxid(&facts) {
                slot.set_at_ms = age_ms;
            }
            slot.facts = facts;
            (before, slot.facts.as_ref().map(|facts| Marks::of(facts, slot.set_at_ms)))
        });
        self.index(&path, before, after);
    }

    /// Brings the indices from one state of a znode to the next.
    fn index(&mut self, path: &Arc<str>, before: Option<Marks>, after: Option<Marks>) {
        if before.is_none() != after.is_none() && self.is_top(path) {
            match after {
                Some(_) => self.tops.insert(path.clone()),
                None => self.tops.remove(path),
            };
        }
        let (old, new) = (before.and_then(|marks| marks.owner), after.and_then(|marks| marks.owner));
        if old != new {
            old.inspect(|owner| self.ephemerals.remove(*owner, path));
            new.inspect(|owner| self.ephemerals.insert(*owner, path.clone()));
        }
        let (old, new) = (before.and_then(|marks| marks.due_ms), after.and_then(|marks| marks.due_ms));
        if old != new {
            old.inspect(|due_ms| _ = self.due.remove(&(*due_ms, path.clone())));
            new.inspect(|due_ms| _ = self.due.insert((*due_ms, path.clone())));
        }
        self.count(path, before, u64::wrapping_sub);
        self.count(path, after, u64::wrapping_add);
    }

    fn count(&mut self, path: &str, marks: Option<Marks>, add: fn(u64, u64) -> u64) {
        if let Some(marks) = marks {
            self.holdings.znodes = add(self.holdings.znodes, 1);
            self.holdings.ephemerals = add(self.holdings.ephemerals, u64::from(marks.owner.is_some()));
            self.holdings.data_bytes = add(self.holdings.data_bytes, path.len() as u64 + marks.data_bytes);
        }
    }

    fn is_top(&self, path: &str) -> bool {
        path::parent(path).is_some_and(|parent| self.placement.of(parent) != self.partition)
    }

    fn set_data(&mut self, path: Arc<str>, data: Option<Option<Bytes>>) {
        self.in_slot(&path, data.is_none(), |slot| slot.data = data);
    }

    fn set_child(&mut self, parent: Arc<str>, name: Arc<str>, child: Option<Option<SessionId>>) {
        let key = name.clone();
        let before = self.in_slot(&parent, child.is_none(), |slot| match child {
            Some(owner) => slot.children.insert(key, owner),
            None => slot.children.remove(&key),
        });
        let (old, new) = (before.flatten(), child.flatten());
        if old != new {
            let path = path::join(&parent, &name);
            old.inspect(|owner| self.ephemeral_children.remove(*owner, &path));
            new.inspect(|owner| self.ephemeral_children.insert(*owner, path.clone()));
        }
    }

    /// Changes the slot of a path, which need not be there before, nor after something was removed.
    fn in_slot<T>(&mut self, path: &Arc<str>, removes: bool, change: impl FnOnce(&mut Slot) -> T) -> T {
        let slot = self.slots.entry(path.clone()).or_default();
        let before = change(slot);
        if removes && slot.is_empty() {
            self.slots.remove(path);
        }
        before
    }

    fn set_session(&mut self, session: SessionId, record: Option<SessionRecord>) {
        match record {
            Some(record) => self.sessions.insert(session, record),
            None => self.sessions.remove(&session),
        };
    }

    fn set_attachment(&mut self, session: SessionId, epoch: Option<Epoch>) {
        match epoch {
            Some(epoch) => self.attachments.insert(session, epoch),
            None => self.attachments.remove(&session),
        };
    }

    /// Puts in what ZooKeeper's fresh tree holds. Nobody but a superuser may write the configuration.
    fn plant(&mut self) {
        let children = [(path::ROOT, 1), (path::ZOOKEEPER, 2), (path::QUOTA, 0)];
        for (path, num_children) in children {
            self.plant_znode(path, Facts::from_the_start(num_children, Permissions::ALL));
        }
        let config = Facts { aversion: -1, ..Facts::from_the_start(0, Permissions::READ) };
        self.plant_znode(path::CONFIG, config);
    }

    fn plant_znode(&mut self, path: &str, facts: Facts) {
        self.set_facts(path.into(), Some(facts));
        self.set_data(path.into(), Some(Some(Bytes::new())));
        if let Some(parent) = path::parent(path) {
            self.set_child(parent.into(), path::name(path).into(), Some(None));
        }
    }

    /// Panics unless the invariants hold: slots are of znodes alone, whose counts are those of their children.
    #[cfg(test)]
    pub(crate) fn check_invariants(&self) {
        for (path, slot) in &self.slots {
            let facts = slot.facts.as_ref().expect("a slot is a znode's");
            assert!(slot.data.is_some(), "{path} has data");
            assert_eq!(slot.children.len(), facts.num_children as usize, "{path}");
            assert_eq!(self.placement.of(path), self.partition, "{path}");
            assert_eq!(self.tops.contains(path), self.is_top(path), "{path}");
        }
        assert_eq!(self.slots.len() as u64, self.holdings.znodes);
        let tops_are_here = self.tops.iter().all(|top| self.slots.contains_key(top));
        assert!(tops_are_here && self.due.iter().all(|(_, path)| self.slots.contains_key(path)));
    }
}

impl eyrie::Variables<Volery> for Slots {
    fn new(placement: Arc<Placement>, partition: PartitionId) -> Slots {
        let mut slots = Slots {
            placement,
            partition,
            slots: FxHashMap::default(),
            ephemerals: BySession::default(),
            ephemeral_children: BySession::default(),
            due: BTreeSet::new(),
            tops: BTreeSet::new(),
            sessions: BTreeMap::new(),
            attachments: FxHashMap::default(),
            reign: None,
            age_ms: 0,
            holdings: Holdings::default(),
        };
        if partition == crate::placement::PINNED {
            slots.plant();
        }
        slots
    }

    fn tick(&mut self, age_ms: u64) {
        self.age_ms = age_ms;
    }

    fn get(&self, key: &Key) -> Option<Value> {
        Some(match key {
            Key::Facts(path) => Value::Facts(self.facts(path)?.clone()),
            Key::Data(path) => Value::Data(self.slots.get(path)?.data.clone()?),
            Key::Child(parent, name) => Value::Child(*self.slots.get(parent)?.children.get(name)?),
            Key::Session(session) => Value::Session(self.sessions.get(session)?.clone()),
            Key::Attachment(_, session) => Value::Epoch(*self.attachments.get(session)?),
            Key::Reign(_) => Value::Epoch(self.reign?),
            Key::Children(path) => Value::Names(self.children(path)?),
            Key::Descendants(_, path) => Value::Count(self.descendants(path)),
            Key::Ephemerals(_, session) => Value::Names(self.ephemerals.of(*session).cloned().collect()),
            Key::EphemeralChildren(_, session) => {
                Value::Names(self.ephemeral_children.of(*session).cloned().collect())
            }
            Key::Owned(_, session) => Value::Newest(self.owned(*session)?),
        })
    }

    fn set(&mut self, key: Key, value: Option<Value>) {
        match key {
            Key::Facts(path) => self.set_facts(path, value.map(Value::into_facts)),
            Key::Data(path) => self.set_data(path, value.map(Value::into_data)),
            Key::Child(parent, name) => self.set_child(parent, name, value.map(Value::into_child)),
            Key::Session(session) => self.set_session(session, value.map(Value::into_session)),
            Key::Attachment(_, session) => self.set_attachment(session, value.map(Value::into_epoch)),
            Key::Reign(_) => self.reign = value.map(Value::into_epoch),
            Key::Children(_)
            | Key::Descendants(..)
            | Key::Ephemerals(..)
            | Key::EphemeralChildren(..)
            | Key::Owned(..) => panic!("{key:?} is derived, and never written"),
        }
    }
}
