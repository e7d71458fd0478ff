//! Changes: what certainly happened to each znode, by calls that were answered with success.

use crate::sim::checkers::sessions::calls::{CallIndex, Calls, End, Moment};
use crate::sim::checkers::sessions::sights::{Change, Sight};
use crate::sim::checkers::sessions::writes::{Write, writes};
use rustc_hash::{FxHashMap, FxHashSet};
use volery::wire::EventType;

/// One change of one znode.
#[derive(Clone, Copy, Debug)]
pub struct Changed {
    /// Whose.
    pub call: CallIndex,
    /// When the call was sent.
    pub invoked: Moment,
    /// When it was answered.
    pub returned: Moment,
    /// The change's zxid, if the reply tells it.
    pub zxid: Option<i64>,
}

/// The changes of a history.
#[derive(Debug, Default)]
pub struct Changes<'a> {
    data: FxHashMap<&'a str, Vec<Changed>>,
    children: FxHashMap<&'a str, Vec<Changed>>,
    data_causes: FxHashMap<(&'a str, i64), Changed>,
    children_causes: FxHashMap<(&'a str, i64), Changed>,
    /// Znodes whose data somebody may have set without being told at which zxid.
    open: FxHashSet<&'a str>,
    /// The zxids at which data were set.
    set: FxHashSet<(&'a str, i64)>,
    /// Znodes that one multi changes more than once.
    twice: FxHashSet<&'a str>,
}

impl<'a> Changes<'a> {
    /// Collects them.
    pub fn of(calls: &Calls<'a>) -> Changes<'a> {
        let mut changes = Changes::default();
        for (index, call) in calls.calls.iter().enumerate() {
            changes.note_asked(writes(call.request), matches!(call.end, End::Returned { .. }));
            if let Some(returned) = call.returned() {
                let zxid = call.sights.iter().find_map(Sight::written);
                let changed = Changed { call: CallIndex(index), invoked: call.invoked, returned, zxid };
                call.sights.iter().for_each(|sight| changes.note_done(sight, changed));
            }
        }
        changes
    }

    /// The changes of a znode's data or existence, in the order sent.
    pub fn of_data(&self, path: &str) -> &[Changed] {
        self.data.get(path).map_or(&[], Vec::as_slice)
    }

    /// The changes of a znode's set of children, in the order sent.
    pub fn of_children(&self, path: &str) -> &[Changed] {
        self.children.get(path).map_or(&[], Vec::as_slice)
    }

    /// The call that an event comes from, if it is known.
    pub fn cause(&self, kind: EventType, path: &str, zxid: i64) -> Option<Changed> {
        let causes = match kind {
            EventType::NodeChildrenChanged => &self.children_causes,
            _ => &self.data_causes,
        };
        causes.get(&(path, zxid)).copied()
    }

    /// Whether data were set there at this zxid, for all that is known.
    pub fn may_have_set(&self, path: &str, zxid: i64) -> bool {
        self.open.contains(path) || self.set.contains(&(path, zxid))
    }

    /// Whether one event may be told twice under one zxid.
    pub fn may_repeat(&self, path: &str) -> bool {
        self.twice.contains(path)
    }

    fn note_asked(&mut self, writes: Vec<Write<'a>>, answered: bool) {
        for (place, write) in writes.iter().enumerate() {
            if matches!(write, Write::Set(_)) && !answered {
                self.open.insert(write.path());
            }
            if writes[..place].iter().any(|earlier| earlier.path() == write.path()) {
                self.twice.insert(write.path());
            }
        }
    }

    fn note_done(&mut self, sight: &Sight<'a>, changed: Changed) {
        let Some(change) = sight.change else { return };
        self.data.entry(sight.path).or_default().push(changed);
        if let Some(zxid) = changed.zxid {
            self.data_causes.insert((sight.path, zxid), changed);
        }
        if let Some(parent) = sight.changed_parent() {
            self.children.entry(parent).or_default().push(changed);
            if let Some(zxid) = changed.zxid {
                self.children_causes.insert((parent, zxid), changed);
            }
        }
        if let (Change::Set, Some(stat)) = (change, sight.stat()) {
            self.set.insert((sight.path, stat.mzxid));
        }
    }
}

/// The first of the changes, in the order sent, that was sent after one moment and answered before another.
pub fn between(changes: &[Changed], after: Moment, before: Moment) -> Option<&Changed> {
    let first = changes.partition_point(|changed| changed.invoked <= after);
    changes[first..].iter().find(|changed| changed.returned < before)
}
