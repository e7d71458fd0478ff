//! The tree as one command sees it: znodes read and written by name, under one zxid.

use crate::acl::Readers;
use crate::command::Event;
use crate::execute::Stop;
use crate::faults::DELETED_CHILD_NOT_TOLD;
use crate::key::{Key, Value};
use crate::path;
use crate::service::Volery;
use crate::session::SessionId;
use crate::wire::{Acl, ErrorCode, Names};
use crate::znode::Facts;
use crate::zxid::Zxid;
use bytes::Bytes;
use eyrie::{Interrupt, View};
use std::sync::Arc;

/// How many steps a piece of a list takes.
const PIECE_STEPS: u32 = 4;

/// Reads the facts of a znode.
pub(super) fn read_facts(view: &mut View<'_, Volery>, path: &Arc<str>) -> Result<Option<Facts>, Interrupt> {
    Ok(view.read(&Key::Facts(path.clone()))?.map(Value::into_facts))
}

/// The zxid of a command that changes what had changed last at `newest`: its stamp, or the next one of the stamp's
/// partition beyond `newest`.
pub(super) fn zxid_beyond(view: &mut View<'_, Volery>, newest: Zxid) -> Zxid {
    let stamp = Zxid::from(view.stamp().number);
    let zxid = if stamp > newest { stamp } else { newest.above(stamp.stamp().partition()) };
    view.raise_stamp(zxid.stamp());
    zxid
}

/// The tree under the hands of one command.
///
/// Its zxid is found when it is first asked for: beyond all znodes read by then, which are those that the command changes.
/// So it is found from reads that all destinations make alike, and before anything is changed.
pub(super) struct Tree<'a, 'v> {
    view: &'a mut View<'v, Volery>,
    /// What the zxid must be beyond.
    newest: Zxid,
    zxid: Option<Zxid>,
    /// Whether it is only looked at, in one partition, and what is read is sent nowhere.
    is_here: bool,
}

impl<'a, 'v> Tree<'a, 'v> {
    /// The tree, to be changed under a zxid beyond `last`.
    pub(super) fn beyond(view: &'a mut View<'v, Volery>, last: Zxid) -> Tree<'a, 'v> {
        Tree { view, newest: last, zxid: None, is_here: false }
    }

    /// The tree of the partition where this runs, to be looked at.
    pub(super) fn here(view: &'a mut View<'v, Volery>) -> Tree<'a, 'v> {
        Tree { view, newest: Zxid::ZERO, zxid: None, is_here: true }
    }

    fn read(&mut self, key: &Key) -> Result<Option<Value>, Interrupt> {
        if self.is_here { Ok(self.view.read_here(key)) } else { self.view.read(key) }
    }

    /// The tree, to be changed under `zxid`.
    pub(super) fn under(view: &'a mut View<'v, Volery>, zxid: Zxid) -> Tree<'a, 'v> {
        Tree { view, newest: zxid, zxid: Some(zxid), is_here: false }
    }

    /// Ends a slice of the execution, with what it goes on from.
    pub(super) fn pause<T: 'static>(&mut self, kept: T) -> Interrupt {
        self.view.pause(kept)
    }

    /// Ends a slice of the execution, and has what it did so far take effect.
    pub(super) fn settle<T: 'static>(&mut self, kept: T) -> Interrupt {
        self.view.settle(kept)
    }

    /// What the execution goes on from, if it has paused.
    pub(super) fn resume<T: 'static>(&mut self) -> Option<T> {
        self.view.resume()
    }

    /// Whether the execution should pause.
    pub(super) fn is_spent(&mut self) -> bool {
        self.view.is_spent()
    }

    /// What of the tree a command keeps when it pauses: what its zxid must be beyond, and the zxid if it is found.
    pub(super) fn found(&self) -> (Zxid, Option<Zxid>) {
        (self.newest, self.zxid)
    }

    /// The tree as a command had it that has paused.
    pub(super) fn again(
        view: &'a mut View<'v, Volery>,
        (newest, zxid): (Zxid, Option<Zxid>),
    ) -> Tree<'a, 'v> {
        Tree { view, newest, zxid, is_here: false }
    }

    /// The command's zxid.
    pub(super) fn zxid(&mut self) -> Zxid {
        *self.zxid.get_or_insert_with(|| zxid_beyond(self.view, self.newest))
    }

    /// The command's time.
    pub(super) fn time_ms(&self) -> u64 {
        self.view.stamp().time_ms
    }

    /// The facts of a znode.
    pub(super) fn look_up(&mut self, path: &Arc<str>) -> Result<Option<Facts>, Interrupt> {
        let facts = self.read(&Key::Facts(path.clone()))?.map(Value::into_facts);
        self.newest = facts.as_ref().map_or(self.newest, |facts| self.newest.max(facts.newest()));
        Ok(facts)
    }

    /// The facts of a znode that must be there.
    pub(super) fn facts(&mut self, path: &Arc<str>) -> Result<Facts, Stop> {
        Ok(self.look_up(path)?.ok_or(ErrorCode::NoNode)?)
    }

    /// Whether a znode has a child of this name.
    pub(super) fn has_child(&mut self, parent: &Arc<str>, name: &Arc<str>) -> Result<bool, Interrupt> {
        Ok(self.view.read(&Key::Child(parent.clone(), name.clone()))?.is_some())
    }

    /// A znode's data.
    pub(super) fn data(&mut self, path: &Arc<str>) -> Result<Option<Bytes>, Interrupt> {
        Ok(self.read(&Key::Data(path.clone()))?.and_then(Value::into_data))
    }

    /// The names of a znode's children. A long list is made in pieces; where they take too many steps, the execution pauses, and
    /// begins anew with what is made of the list.
    pub(super) fn children(&mut self, path: &Arc<str>) -> Result<Names, Interrupt> {
        loop {
            match self.read(&Key::Children(path.clone()))?.map(Value::into_listing) {
                None => return Ok(Names::default()),
                Some(Some(names)) => return Ok(names),
                Some(None) if self.is_spent() => return Err(self.pause(())),
                Some(None) => self.view.spend(PIECE_STEPS),
            }
        }
    }

    /// Puts a znode under its parent, whose facts are `parent_facts`.
    pub(super) fn insert(
        &mut self,
        path: &Arc<str>,
        facts: Facts,
        data: Option<Bytes>,
        mut parent_facts: Facts,
    ) {
        let (parent, name) = parent_and_name(path);
        parent_facts.gain_child(self.zxid());
        self.tell(path, &facts.acl, |path, zxid, readers| Event::Created { path, zxid, readers });
        self.tell(&parent, &parent_facts.acl, CHILDREN_CHANGED);
        self.view.write(Key::Child(parent.clone(), name), Value::Child(facts.owner()));
        self.view.write(Key::Facts(path.clone()), Value::Facts(facts));
        self.view.write(Key::Data(path.clone()), Value::Data(data));
        self.view.write(Key::Facts(parent), Value::Facts(parent_facts));
    }

    /// Takes a znode away, whose facts are `facts`, and from its parent, whose facts are `parent_facts`.
    pub(super) fn remove(&mut self, path: &Arc<str>, facts: &Facts, parent_facts: Facts) {
        let (parent, name) = parent_and_name(path);
        self.remove_znode(path, facts);
        self.remove_child(&parent, name, parent_facts);
    }

    /// Takes a znode away, and leaves its parent to the parent's partition.
    pub(super) fn remove_znode(&mut self, path: &Arc<str>, facts: &Facts) {
        self.view.remove(Key::Data(path.clone()));
        self.view.remove(Key::Facts(path.clone()));
        self.tell(path, &facts.acl, |path, zxid, readers| Event::Deleted { path, zxid, readers });
    }

    /// Takes a child from its parent, and leaves the child to its own partition.
    pub(super) fn remove_child(&mut self, parent: &Arc<str>, name: Arc<str>, mut parent_facts: Facts) {
        parent_facts.lose_child(self.zxid());
        if !DELETED_CHILD_NOT_TOLD.is_planted() {
            self.tell(parent, &parent_facts.acl, CHILDREN_CHANGED);
        }
        self.view.remove(Key::Child(parent.clone(), name));
        self.view.write(Key::Facts(parent.clone()), Value::Facts(parent_facts));
    }

    /// Replaces a znode's data, and its facts with those of the new data.
    pub(super) fn set_data(&mut self, path: &Arc<str>, facts: Facts, data: Option<Bytes>) {
        self.tell(path, &facts.acl, |path, zxid, readers| Event::DataChanged { path, zxid, readers });
        self.set_facts(path, facts);
        self.view.write(Key::Data(path.clone()), Value::Data(data));
    }

    /// Replaces a znode's facts.
    pub(super) fn set_facts(&mut self, path: &Arc<str>, facts: Facts) {
        self.view.write(Key::Facts(path.clone()), Value::Facts(facts));
    }

    /// Paths that only the partition where this runs needs to know.
    pub(super) fn names_here(&mut self, key: &Key) -> Arc<[Arc<str>]> {
        self.view.read_here(key).map_or_else(|| Arc::from([]), Value::into_names)
    }

    /// The facts of a znode that only the partition where this runs changes.
    pub(super) fn facts_here(&mut self, path: &Arc<str>) -> Option<Facts> {
        self.view.read_here(&Key::Facts(path.clone())).map(Value::into_facts)
    }

    /// Tells an event where the znode lives that was changed; `acl` is the znode's list.
    fn tell(&mut self, path: &Arc<str>, acl: &Arc<[Acl]>, event: fn(Arc<str>, Zxid, Readers) -> Event) {
        let zxid = self.zxid();
        if self.view.is_alone() || self.view.oracle().of(path) == self.view.partition() {
            self.view.tell(event(path.clone(), zxid, Readers::of(acl)));
        }
    }
}

/// The event of a znode whose set of children has changed.
const CHILDREN_CHANGED: fn(Arc<str>, Zxid, Readers) -> Event =
    |path, zxid, readers| Event::ChildrenChanged { path, zxid, readers };

/// The parent's path and the name of what is not the root.
pub(super) fn parent_and_name(path: &str) -> (Arc<str>, Arc<str>) {
    let (parent, name) = path::split(path).expect("a znode's path has a slash");
    (parent.into(), name.into())
}

/// The session that submits the command, unless a node does.
pub(super) fn submitter(view: &View<'_, Volery>) -> Option<SessionId> {
    let client = view.origin().client;
    (!eyrie::is_node(client)).then_some(SessionId(client.0))
}
