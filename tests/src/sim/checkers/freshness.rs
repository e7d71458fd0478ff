//! # Freshness
//!
//! Judges every read of a history against its own time: a reply must not show a znode older than what anybody had been
//! answered before the request was sent, nor older than what the session's earlier requests were answered. In linear time, so
//! that no history is too large for it; the search for one order of all calls gives up on large ones.
//!
//! What a reply shows of a znode is old by one of these, each of which rises along a znode, its deletions and new creations
//! included:
//!
//! - its mzxid, or its pzxid, or within one creation its aversion, is less than one shown before;
//! - its czxid is one that is known to be deleted: a request that was sent when that creation had been shown found the znode
//!   absent, or deleted it;
//! - it is absent, or missing among its parent's children, though it was there before and nobody can have deleted it since.
//!
//! # Caveats
//!
//! - For reads that are linearizable. Where a server is told to answer from what it has, older replies are right.
//! - Absence is judged for znodes only that are created as persistent ones under their whole name: others go by themselves.

use super::sessions::calls::{Call, Calls, ConnectionIndex, End, Moment, Step};
use super::sessions::sights::{Change, Shown, Sight};
use super::sessions::violation::Violation;
use super::sessions::writes::{Write, writes};
use crate::sim::history::History;
use rustc_hash::{FxHashMap, FxHashSet};
use volery::path;
use volery::wire::{CreateMode, ErrorCode, OpResult, Reply, Stat};

/// What a reader is promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// A reply shows what had been answered before its request was sent.
    StaleRead,
    /// A reply shows what the session's earlier requests were answered.
    StaleInSession,
}

/// What was judged, and what is wrong.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Sights of znodes of which something was known.
    pub looks: usize,
    /// Sights of absent znodes that were known to be there once.
    pub absences: usize,
    /// What is wrong: one for each znode at most.
    pub violations: Vec<Violation<Rule>>,
}

/// Judges a history's reads.
pub fn check_freshness(history: &History) -> Report {
    let calls = Calls::of(history);
    let mut judge = Judge::of(&calls);
    for (moment, step) in calls.steps() {
        if let Step::Returned(index) = step {
            judge.returned(calls.call(index), moment);
        }
    }
    judge.report
}

/// What is known of a znode. Each part only rises.
#[derive(Clone, Copy, Debug, Default)]
struct Floor {
    mzxid: i64,
    pzxid: i64,
    /// The last creation shown, and its greatest aversion.
    aversion: (i64, i32),
    /// No creation up to this one is there any more.
    gone: i64,
    /// When the last request was sent that found it there.
    there: Option<Moment>,
}

impl Floor {
    /// The last change known.
    fn newest(&self) -> i64 {
        self.mzxid.max(self.pzxid).max(self.gone)
    }

    fn join(&mut self, other: Floor) {
        self.mzxid = self.mzxid.max(other.mzxid);
        self.pzxid = self.pzxid.max(other.pzxid);
        self.aversion = self.aversion.max(other.aversion);
        self.gone = self.gone.max(other.gone);
        self.there = self.there.max(other.there);
    }

    /// What a sight adds to what was `known` when its request was sent.
    fn of(sight: &Sight<'_>, invoked: Moment, known: Floor) -> Floor {
        let is_there = sight.is_there();
        let seen = |stat: &Stat| Floor {
            mzxid: stat.mzxid,
            pzxid: stat.pzxid,
            aversion: (stat.czxid, stat.aversion),
            ..Floor::default()
        };
        Floor {
            gone: if is_there { 0 } else { known.newest() },
            there: is_there.then_some(invoked),
            ..sight.stat().map(seen).unwrap_or_default()
        }
    }

    /// Why a Stat is older than this, if it is.
    fn is_newer_than(&self, stat: &Stat) -> Option<String> {
        let Floor { mzxid, pzxid, aversion: (czxid, aversion), gone, .. } = *self;
        if stat.czxid <= gone {
            Some(format!("its creation {:#x}, which had been deleted", stat.czxid))
        } else if stat.mzxid < mzxid {
            Some(format!("its mzxid {:#x} after {mzxid:#x}", stat.mzxid))
        } else if stat.pzxid < pzxid {
            Some(format!("its pzxid {:#x} after {pzxid:#x}", stat.pzxid))
        } else if stat.czxid == czxid && stat.aversion < aversion {
            Some(format!("its aversion {} after {aversion}", stat.aversion))
        } else {
            None
        }
    }
}

/// When somebody may have deleted a znode: behind the first of these moments and before the second.
#[derive(Clone, Copy, Debug)]
struct Deletion {
    invoked: Moment,
    /// The latest end of all deletions that were sent no later.
    over: Moment,
}

/// Judges the replies of a history, one after the other.
struct Judge<'a, 'c> {
    calls: &'c Calls<'a>,
    /// By znode, what was known from which moment on.
    floors: FxHashMap<&'a str, Vec<(Moment, Floor)>>,
    /// What a connection's own requests have shown.
    own: FxHashMap<(ConnectionIndex, &'a str), Floor>,
    /// By znode, in the order sent.
    deletions: FxHashMap<&'a str, Vec<Deletion>>,
    /// By parent, the znodes that are there until somebody deletes them.
    steady: FxHashMap<&'a str, Vec<&'a str>>,
    accused: FxHashSet<&'a str>,
    report: Report,
}

impl<'a, 'c> Judge<'a, 'c> {
    fn of(calls: &'c Calls<'a>) -> Judge<'a, 'c> {
        Judge {
            calls,
            floors: FxHashMap::default(),
            own: FxHashMap::default(),
            deletions: deletions(calls),
            steady: steady(calls),
            accused: FxHashSet::default(),
            report: Report::default(),
        }
    }

    fn returned(&mut self, call: &Call<'a>, moment: Moment) {
        for (place, sight) in call.sights.iter().enumerate() {
            // A multi may change a znode twice, and only the last of it is there for others.
            if call.sights[place + 1..].iter().any(|later| later.path == sight.path) {
                continue;
            }
            self.judge(call, sight, moment);
            if let Shown::Names(names, _) = sight.shown {
                self.judge_missing(call, sight.path, |name| names.iter().any(|one| one == name), moment);
            }
            self.learn(call, sight, moment);
        }
    }

    fn judge(&mut self, call: &Call<'a>, sight: &Sight<'a>, moment: Moment) {
        let all = self.known(sight.path, call.invoked);
        let own = self.own.get(&(call.connection, sight.path)).copied().unwrap_or_default();
        for (rule, floor) in [(Rule::StaleRead, all), (Rule::StaleInSession, own)] {
            if let Some(stat) = sight.stat() {
                self.report.looks += usize::from(floor.newest() > 0);
                if let Some(why) = floor.is_newer_than(stat) {
                    self.accuse(rule, call, sight.path, &why, moment);
                }
            }
            let is_found = !sight.is_there() && sight.change != Some(Change::Deleted);
            if is_found && self.is_steady(sight.path) {
                self.judge_absence(rule, call, sight.path, floor, moment);
            }
        }
    }

    /// What is not among the children of a znode is absent.
    fn judge_missing(&mut self, call: &Call<'a>, parent: &str, lists: impl Fn(&str) -> bool, moment: Moment) {
        for child in self.steady.get(parent).cloned().unwrap_or_default() {
            let name = child.rsplit('/').next().unwrap_or_default();
            if !lists(name) {
                let floor = self.known(child, call.invoked);
                self.judge_absence(Rule::StaleRead, call, child, floor, moment);
            }
        }
    }

    fn judge_absence(&mut self, rule: Rule, call: &Call<'a>, path: &'a str, floor: Floor, moment: Moment) {
        let Some(there) = floor.there else { return };
        self.report.absences += 1;
        let deletions = self.deletions.get(path).map_or(&[][..], Vec::as_slice);
        let sent = deletions.partition_point(|deletion| deletion.invoked < moment);
        let may_be_deleted = sent > 0 && deletions[sent - 1].over > there;
        if !may_be_deleted {
            let why = format!(
                "it absent; it was there when asked at entry {there}, and nobody has deleted it since"
            );
            self.accuse(rule, call, path, &why, moment);
        }
    }

    fn learn(&mut self, call: &Call<'a>, sight: &Sight<'a>, moment: Moment) {
        let mut known = self.known(sight.path, call.invoked);
        let own = self.own.entry((call.connection, sight.path)).or_default();
        known.join(*own);
        let shown = Floor::of(sight, call.invoked, known);
        own.join(shown);
        let floors = self.floors.entry(sight.path).or_default();
        let mut floor = floors.last().map(|(_, floor)| *floor).unwrap_or_default();
        floor.join(shown);
        floors.push((moment, floor));
    }

    /// What was known of a znode when a request was sent.
    fn known(&self, path: &str, invoked: Moment) -> Floor {
        let floors = self.floors.get(path).map_or(&[][..], Vec::as_slice);
        let before = floors.partition_point(|(moment, _)| *moment < invoked);
        before.checked_sub(1).map(|last| floors[last].1).unwrap_or_default()
    }

    fn is_steady(&self, path: &str) -> bool {
        let siblings = path::parent(path).and_then(|parent| self.steady.get(parent));
        siblings.is_some_and(|siblings| siblings.contains(&path))
    }

    fn accuse(&mut self, rule: Rule, call: &Call<'a>, path: &'a str, why: &str, moment: Moment) {
        if self.accused.insert(path) {
            let text = format!(
                "the reply to call {}, sent at entry {}, shows of {path} {why}",
                call.id.0, call.invoked
            );
            self.report.violations.push(Violation::new(self.calls, rule, call.session, moment, text));
        }
    }
}

/// The deletions that may have had an effect, by znode.
fn deletions<'a>(calls: &Calls<'a>) -> FxHashMap<&'a str, Vec<Deletion>> {
    let mut deletions: FxHashMap<&str, Vec<Deletion>> = FxHashMap::default();
    for call in &calls.calls {
        let Some(over) = over(calls, call) else { continue };
        for write in writes(call.request).iter().filter(|write| matches!(write, Write::Delete(_))) {
            let of_znode = deletions.entry(write.path()).or_default();
            let before = of_znode.last().map_or(over, |last| last.over);
            of_znode.push(Deletion { invoked: call.invoked, over: over.max(before) });
        }
    }
    deletions
}

/// The moment from which on a call has no effect that it has not had; nothing if it has none at all.
fn over(calls: &Calls<'_>, call: &Call<'_>) -> Option<Moment> {
    match call.end {
        End::Returned { result: Err(ErrorCode::SystemError), .. } => Some(Moment(usize::MAX)),
        End::Returned { result: Err(_), .. } => None,
        End::Returned { result: Ok(Reply::Results(results)), at, .. } => {
            let has_failed = results.iter().any(|result| matches!(result, OpResult::Failed(_)));
            (!has_failed).then_some(at)
        }
        End::Returned { at, .. } => Some(at),
        End::Unknown | End::Pending => {
            Some(calls.connection(call.connection).over.unwrap_or(Moment(usize::MAX)))
        }
    }
}

/// The znodes that are only ever created as persistent ones, by their parents.
fn steady<'a>(calls: &Calls<'a>) -> FxHashMap<&'a str, Vec<&'a str>> {
    let mut modes: FxHashMap<&str, bool> = FxHashMap::default();
    for write in calls.calls.iter().flat_map(|call| writes(call.request)) {
        if let Write::Create(create) = write {
            let is_persistent = create.mode == Ok(CreateMode::Persistent);
            *modes.entry(&create.path).or_insert(true) &= is_persistent;
        }
    }
    let mut steady: Vec<&str> =
        modes.into_iter().filter(|(_, steady)| *steady).map(|(path, _)| path).collect();
    steady.sort_unstable();
    let mut by_parent: FxHashMap<&str, Vec<&str>> = FxHashMap::default();
    for child in steady {
        if let Some(parent) = path::parent(child) {
            by_parent.entry(parent).or_default().push(child);
        }
    }
    by_parent
}

#[cfg(test)]
mod tests;
