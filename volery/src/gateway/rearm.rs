//! SetWatches: a client that lost its server tells which watches it had, and up to which zxid it has seen events.
//!
//! Looks at each partition tell what has changed since; that fires, and the rest is armed at just the place of its look in the
//! partition's sequence. A look probes so many paths at most, so that no look takes long. The list itself is read and sorted in
//! one turn.

use super::Gateway;
use super::connection::{Connection, Phase};
use super::pipeline::Rearmed;
use super::plan::{Here, Plan};
use super::watches::{Armed, Kinds};
use crate::branches::{REARM_ARMS, REARM_FIRES};
use crate::command::Found;
use crate::faults::{EVENTS_FOR_ALL, NEXT_TAKEN_FOR_SEEN, NOTHING_FIRES_ON_REARM};
use crate::service::Volery;
use crate::wire::{EventType, SetWatches};
use crate::zxid::Zxid;
use eyrie::{Commands, ConnectionId, Destinations, PartitionId, Position};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How many paths one look at a partition probes. Each look has a place in the partition's sequence by which it arms.
pub const PROBED_MAX: usize = 500;

impl Gateway {
    /// Watches that the client had before: one look per partition tells what changed since, and arms the rest.
    pub(super) fn set_watches(
        &mut self,
        id: ConnectionId,
        xid: i32,
        watches: SetWatches,
        commands: &mut Commands<Volery>,
    ) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let Connection { phase: Phase::Open(pipeline), caller, .. } = connection else { return };
        let relative = Zxid::from_wire(watches.relative_zxid);
        let mut parts: BTreeMap<PartitionId, Vec<Rearmed>> = BTreeMap::new();
        for rearmed in rearmed(&watches) {
            parts.entry(commands.oracle().of(&rearmed.path)).or_default().push(rearmed);
        }
        for (partition, part) in parts {
            let mut rest = part.into_iter();
            while rest.len() > 0 {
                pipeline.push_probe(caller, relative, rest.by_ref().take(PROBED_MAX).collect(), partition);
            }
        }
        let rest = Plan::Here(Here::Arm(watches.persistent, watches.persistent_recursive));
        pipeline.push(xid, caller, rest, Destinations::NONE, self.now_ms);
    }

    /// Fires what has changed since the client's mark, and arms the rest, as ZooKeeper's `DataTree.setWatches` does. What has
    /// happened to a znode that the client may not read fires nothing; that there is none, everybody may know.
    pub(super) fn rearm(
        &mut self,
        id: ConnectionId,
        armed: Armed,
        partition: PartitionId,
        relative: Zxid,
        rearmed: &Rearmed,
        found: Option<Found>,
    ) {
        let verdict = |asked: bool, fires: Option<EventType>, kinds| asked.then_some((fires, kinds));
        let (data, child, exist) = match found {
            None => (Some(EventType::NodeDeleted), Some(EventType::NodeDeleted), None),
            Some(Found { readable: false, .. }) if !EVENTS_FOR_ALL.is_planted() => (None, None, None),
            Some(Found { mzxid, pzxid, .. }) => (
                is_news(mzxid, relative).then_some(EventType::NodeDataChanged),
                is_news(pzxid, relative).then_some(EventType::NodeChildrenChanged),
                Some(EventType::NodeCreated),
            ),
        };
        let zxid = found.map_or(relative, |found| found.mzxid.max(found.pzxid));
        let verdicts = [
            verdict(rearmed.data, data, Kinds::DATA),
            verdict(rearmed.exist, exist, Kinds::DATA),
            verdict(rearmed.child, child, Kinds::CHILD),
        ];
        let mut told = BTreeSet::new();
        for (fires, kinds) in verdicts.into_iter().flatten() {
            let Some(connection) = self.connections.get_mut(&id) else { return };
            match fires.filter(|_| !NOTHING_FIRES_ON_REARM.is_planted()) {
                Some(event) if told.insert(event.number()) => {
                    REARM_FIRES.reached();
                    connection.notify((partition, Position::default()), event, &rearmed.path, zxid, 0);
                }
                Some(_) => {}
                None => {
                    REARM_ARMS.reached();
                    let heard = self.marks.heard(partition);
                    self.watches.arm(id, &rearmed.path, kinds, partition.into(), armed, heard);
                }
            }
        }
        self.relieve(id);
    }
}

/// Whether a change may have happened since the client's mark.
fn is_news(zxid: Zxid, mark: Zxid) -> bool {
    zxid > mark && !(NEXT_TAKEN_FOR_SEEN.is_planted() && zxid.before() == mark)
}

/// The paths that SetWatches names, each with the watches on it.
fn rearmed(watches: &SetWatches) -> Vec<Rearmed> {
    let none = |path: &Arc<str>| Rearmed { path: path.clone(), data: false, exist: false, child: false };
    let data = watches.data.iter().map(|path| Rearmed { data: true, ..none(path) });
    let exist = watches.exist.iter().map(|path| Rearmed { exist: true, ..none(path) });
    let child = watches.child.iter().map(|path| Rearmed { child: true, ..none(path) });
    let mut all: Vec<Rearmed> = data.chain(exist).chain(child).collect();
    all.sort_by(|a, b| a.path.cmp(&b.path));
    all.dedup_by(|next, first| {
        let is_same = next.path == first.path;
        if is_same {
            first.data |= next.data;
            first.exist |= next.exist;
            first.child |= next.child;
        }
        is_same
    });
    all
}
