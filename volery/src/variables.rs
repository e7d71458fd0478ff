//! One partition's variables in memory.
//!
//! Each path has one slot, found by one look-up, which holds the znode's facts, its data and its children's names. A slot
//! is there for a znode of this partition, and for nothing else, once a command is complete. Beside the slots stand
//! indices, each kept by the write that concerns it:
//! - a session's ephemerals here, and its ephemerals whose parents are here: what its end removes;
//! - the znodes that go by themselves, by the age at which they are due;
//! - how many znodes here are below each path, whether that is a znode of this partition or not. A create and a delete count at
//!   each ancestor, so that a count is one look-up.
//!
//! The list of a znode's children is made in pieces, as it is asked for, and kept until the children change.
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
use crate::wire::{Names, NamesBuilder, Permissions, REPLY_BYTES_MAX};
use crate::znode::Facts;
use crate::zxid::Zxid;
use bytes::Bytes;
use eyrie::{Epoch, PartitionId};
use rustc_hash::FxHashMap;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

/// How many paths of a session are read at once.
pub const PATHS_MAX: usize = 4;
/// How many names are added to the list of a znode's children at once.
pub const LISTED_MAX: usize = 64;

/// The list of a znode's children, while it is made and after.
#[derive(Debug)]
enum Listing {
    Partial(NamesBuilder, Option<Arc<str>>),
    Whole(Names),
}

/// Everything that is known here of one path. A command's writes come variable by variable, in the order it made them, so
/// each part may be absent for a moment.
#[derive(Debug, Default)]
struct Slot {
    facts: Option<Facts>,
    data: Option<Option<Bytes>>,
    /// The owner of those that are ephemeral.
    children: BTreeMap<Arc<str>, Option<SessionId>>,
    /// The list of their names, if it was asked for since they changed.
    listing: RefCell<Option<Box<Listing>>>,
    /// The partition's age when the data were last set.
    set_at_ms: u64,
}

impl Slot {
    fn is_empty(&self) -> bool {
        self.facts.is_none() && self.data.is_none() && self.children.is_empty()
    }

    /// Makes another piece of the list of children; the list, if it is whole, or longer than any reply.
    fn list(&self) -> Option<Names> {
        let mut listing = self.listing.borrow_mut();
        let (mut names, last) = match listing.take().map(|listing| *listing) {
            None => (NamesBuilder::default(), None),
            Some(Listing::Partial(names, last)) => (names, last),
            Some(Listing::Whole(names)) => {
                *listing = Some(Box::new(Listing::Whole(names.clone())));
                return Some(names);
            }
        };
        let behind = last.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut piece = self.children.range::<str, _>((behind, Bound::Unbounded)).map(|(name, _)| name);
        let mut last = None;
        for name in piece.by_ref().take(LISTED_MAX) {
            names.push(name);
            last = Some(name.clone());
        }
        if names.wire_bytes() > REPLY_BYTES_MAX {
            return Some(names.build());
        }
        if piece.next().is_some() {
            *listing = Some(Box::new(Listing::Partial(names, last)));
            return None;
        }
        let names = names.build();
        *listing = Some(Box::new(Listing::Whole(names.clone())));
        Some(names)
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

    fn has(&self, session: SessionId) -> bool {
        self.0.contains_key(&session)
    }

    /// The next paths behind one.
    fn page(&self, session: SessionId, behind: &str) -> Arc<[Arc<str>]> {
        let range = (Bound::Excluded(behind), Bound::Unbounded);
        let paths = self.0.get(&session).into_iter().flat_map(|paths| paths.range::<str, _>(range));
        paths.take(PATHS_MAX).cloned().collect()
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
    partition: PartitionId,
    slots: FxHashMap<Arc<str>, Slot>,
    ephemerals: BySession,
    ephemeral_children: BySession,
    due: BTreeSet<(u64, Arc<str>)>,
    /// How many znodes here are below each path.
    below: FxHashMap<Arc<str>, u64>,
    /// No znode here has ever been newer.
    newest: Zxid,
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

    /// Whether a znode here goes with a session, or has a child that does: then a zxid that no such znode is newer than.
    fn owned(&self, session: SessionId) -> Option<Zxid> {
        let owns = self.ephemerals.has(session) || self.ephemeral_children.has(session);
        owns.then_some(self.newest)
    }

    fn set_facts(&mut self, path: Arc<str>, facts: Option<Facts>) {
        let age_ms = self.age_ms;
        self.newest = facts.as_ref().map_or(self.newest, |facts| self.newest.max(facts.newest()));
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
        match (before, after) {
            (None, Some(_)) => self.count_above(path),
            (Some(_), None) => self.discount_above(path),
            _ => {}
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

    /// A znode is there: each of its ancestors has one more below it.
    fn count_above(&mut self, path: &str) {
        for ancestor in path::ancestors(path) {
            match self.below.get_mut(ancestor) {
                Some(count) => *count += 1,
                None => _ = self.below.insert(ancestor.into(), 1),
            }
        }
    }

    /// A znode is there no more.
    fn discount_above(&mut self, path: &str) {
        for ancestor in path::ancestors(path) {
            if let Some(count) = self.below.get_mut(ancestor) {
                *count -= 1;
                if *count == 0 {
                    self.below.remove(ancestor);
                }
            }
        }
    }

    fn set_data(&mut self, path: Arc<str>, data: Option<Option<Bytes>>) {
        self.in_slot(&path, data.is_none(), |slot| slot.data = data);
    }

    fn set_child(&mut self, parent: Arc<str>, name: Arc<str>, child: Option<Option<SessionId>>) {
        let key = name.clone();
        let before = self.in_slot(&parent, child.is_none(), |slot| {
            *slot.listing.get_mut() = None;
            match child {
                Some(owner) => slot.children.insert(key, owner),
                None => slot.children.remove(&key),
            }
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
    pub(crate) fn check_invariants(&self, placement: &Placement) {
        for (path, slot) in &self.slots {
            let facts = slot.facts.as_ref().expect("a slot is a znode's");
            assert!(slot.data.is_some(), "{path} has data");
            assert_eq!(slot.children.len(), facts.num_children as usize, "{path}");
            assert_eq!(placement.of(path), self.partition, "{path}");
            let below = self.slots.keys().filter(|other| *other != path && path::is_within(other, path));
            assert_eq!(self.below.get(path).copied().unwrap_or(0), below.count() as u64, "{path}");
        }
        assert_eq!(self.slots.len() as u64, self.holdings.znodes);
        assert!(self.below.values().all(|count| *count > 0));
        assert!(self.due.iter().all(|(_, path)| self.slots.contains_key(path)));
    }
}

impl eyrie::Variables<Volery> for Slots {
    fn new(_: Arc<Placement>, partition: PartitionId) -> Slots {
        let mut slots = Slots {
            partition,
            slots: FxHashMap::default(),
            ephemerals: BySession::default(),
            ephemeral_children: BySession::default(),
            due: BTreeSet::new(),
            below: FxHashMap::default(),
            newest: Zxid::ZERO,
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
            Key::Children(path) => {
                let slot = self.slots.get(path).filter(|slot| slot.facts.is_some())?;
                Value::Listing(slot.list())
            }
            Key::Descendants(_, path) => Value::Count(self.below.get(path).copied().unwrap_or(0)),
            Key::Ephemerals(_, session, behind) => Value::Names(self.ephemerals.page(*session, behind)),
            Key::EphemeralChildren(_, session, behind) => {
                Value::Names(self.ephemeral_children.page(*session, behind))
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
