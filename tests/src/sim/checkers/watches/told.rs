//! Told: the notifications of one connection, in their order.
//!
//! Events of one partition are told in the order of its log. Their zxids need not rise with it: a command over several
//! partitions has the greatest of their proposals, which feeds no later one. What is certain is that they rise along each
//! znode, along everything if there is one partition, and that what was answered before something else was sent is told
//! before it. What is told for SetWatches is left out: it may have been told before, by another zxid.

use super::changes::Changed;
use crate::sim::checkers::sessions::calls::Moment;
use crate::sim::checkers::sessions::sights::Sight;
use eyrie::PartitionId;
use rustc_hash::{FxHashMap, FxHashSet};
use volery::wire::EventType;

/// How many of a znode's last notifications a sight is compared with.
const AHEAD_MAX: usize = 4;

/// One notification.
#[derive(Clone, Copy, Debug)]
struct Event {
    kind: EventType,
    zxid: i64,
    moment: Moment,
    retold: bool,
}

/// What a connection was told.
#[derive(Debug, Default)]
pub struct Told<'a> {
    by_path: FxHashMap<&'a str, Vec<Event>>,
    events: FxHashSet<(&'a str, EventType, i64)>,
    zxids: FxHashSet<(&'a str, i64)>,
    greatest: Option<i64>,
    /// Of the calls whose changes were told, the last sent, by partition.
    sent: FxHashMap<PartitionId, Moment>,
}

impl<'a> Told<'a> {
    /// Takes in a notification.
    pub fn note(&mut self, kind: EventType, path: &'a str, zxid: i64, moment: Moment, retold: bool) {
        self.by_path.entry(path).or_default().push(Event { kind, zxid, moment, retold });
        self.zxids.insert((path, zxid));
        if !retold {
            self.events.insert((path, kind, zxid));
            self.greatest = self.greatest.max(Some(zxid));
        }
    }

    /// The last zxid told of a znode before, if this one is less; of any znode, if there is one partition only.
    pub fn fallen(&self, path: &str, zxid: i64, one_partition: bool) -> Option<i64> {
        let of_znode = self.events(path).iter().rev().find(|event| !event.retold).map(|event| event.zxid);
        let before = if one_partition { self.greatest } else { of_znode };
        before.filter(|before| *before > zxid)
    }

    /// When the change was sent that was told before this one of the same partition, and that this one comes before.
    pub fn overtaken_by(&mut self, partition: PartitionId, cause: &Changed) -> Option<Moment> {
        let sent = self.sent.entry(partition).or_insert(cause.invoked);
        let overtaken = (cause.returned < *sent).then_some(*sent);
        *sent = (*sent).max(cause.invoked);
        overtaken
    }

    /// Whether just this event was told already.
    pub fn has(&self, kind: EventType, path: &str, zxid: i64) -> bool {
        self.events.contains(&(path, kind, zxid))
    }

    /// Whether anything was told of a znode at a zxid.
    pub fn has_zxid(&self, path: &str, zxid: i64) -> bool {
        self.zxids.contains(&(path, zxid))
    }

    /// Whether a deletion beyond a zxid was told.
    pub fn has_deletion_after(&self, path: &str, zxid: i64) -> bool {
        let deletion = |event: &Event| event.kind == EventType::NodeDeleted && event.zxid > zxid;
        self.events(path).iter().any(deletion)
    }

    /// A change that was told before a request was sent, and that what the request found does not show.
    pub fn ahead_of(&self, sight: &Sight<'_>, invoked: Moment) -> Option<(EventType, i64, Moment)> {
        let stat = sight.stat()?;
        let events = self.events(sight.path).iter().rev();
        let missing = |event: &&Event| match event.kind {
            EventType::NodeCreated | EventType::NodeDataChanged => stat.mzxid < event.zxid,
            EventType::NodeChildrenChanged => stat.pzxid < event.zxid,
            EventType::NodeDeleted => stat.czxid < event.zxid,
            _ => false,
        };
        let mut known = events.filter(|event| !event.retold && event.moment < invoked).take(AHEAD_MAX);
        known.find(missing).map(|event| (event.kind, event.zxid, event.moment))
    }

    /// The changes of a znode that were told since a request was sent, and that its reply does not show.
    pub fn missing_from(&self, sight: &Sight<'_>, invoked: Moment) -> impl Iterator<Item = i64> {
        let shown = sight.stat().map_or(i64::MAX, |stat| stat.mzxid);
        let events = self.events(sight.path).iter().rev().take_while(move |event| event.moment > invoked);
        let is_change =
            |event: &&Event| matches!(event.kind, EventType::NodeCreated | EventType::NodeDataChanged);
        let later = events.filter(is_change).filter(move |event| !event.retold && event.zxid > shown);
        later.map(|event| event.zxid)
    }

    fn events(&self, path: &str) -> &[Event] {
        self.by_path.get(path).map_or(&[], Vec::as_slice)
    }
}
