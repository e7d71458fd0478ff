//! Knowledge: which changes each client had been shown, and when.

use super::state::{Children, Data};
use crate::sim::checkers::sessions::calls::{Calls, Moment, Step};
use rustc_hash::FxHashMap;

/// What a client had been shown of a znode by some moment. Each part only rises.
#[derive(Clone, Copy, Debug)]
struct Shown {
    returned: Moment,
    mzxid: i64,
    pzxid: i64,
    /// When the last request was sent whose reply showed it absent, there, changed by the request, or with children
    /// changed by the request.
    absent: Option<Moment>,
    there: Option<Moment>,
    changed: Option<Moment>,
    children_changed: Option<Moment>,
}

impl Default for Shown {
    fn default() -> Shown {
        Shown {
            returned: Moment(0),
            mzxid: i64::MIN,
            pzxid: i64::MIN,
            absent: None,
            there: None,
            changed: None,
            children_changed: None,
        }
    }
}

/// What all clients had been shown.
#[derive(Debug, Default)]
pub struct Knowledge<'a> {
    shown: FxHashMap<(usize, &'a str), Vec<Shown>>,
}

impl<'a> Knowledge<'a> {
    /// Collects it.
    pub fn of(calls: &Calls<'a>) -> Knowledge<'a> {
        let mut knowledge = Knowledge::default();
        for (moment, step) in calls.steps() {
            let Step::Returned(index) = step else { continue };
            let call = calls.call(index);
            for sight in &call.sights {
                let shown = knowledge.next(call.client, sight.path, moment);
                let mark = |known: &mut Option<Moment>| *known = (*known).max(Some(call.invoked));
                mark(if sight.is_there() { &mut shown.there } else { &mut shown.absent });
                if sight.change.is_some() {
                    mark(&mut shown.changed);
                }
                if let Some(stat) = sight.stat() {
                    shown.mzxid = shown.mzxid.max(stat.mzxid).max(stat.czxid);
                    shown.pzxid = shown.pzxid.max(stat.pzxid).max(stat.czxid);
                }
                if let Some(parent) = sight.changed_parent() {
                    mark(&mut knowledge.next(call.client, parent, moment).children_changed);
                }
            }
        }
        knowledge
    }

    /// Whether a client had been shown, before `before`, a change of the data since a watch was armed on `state`, whose
    /// call was answered at `since`.
    pub fn has_data_change(
        &self,
        client: usize,
        path: &str,
        before: Moment,
        state: Data,
        since: Moment,
    ) -> bool {
        let Some(shown) = self.by(client, path, before) else { return false };
        let sent_later = |sent: Option<Moment>| sent.is_some_and(|sent| sent > since);
        let other = match state {
            Data::Unknown => false,
            Data::Absent => sent_later(shown.there),
            Data::There { mzxid } => shown.mzxid > mzxid || sent_later(shown.absent),
        };
        other || sent_later(shown.changed)
    }

    /// The same of the children.
    pub fn has_children_change(
        &self,
        client: usize,
        path: &str,
        before: Moment,
        state: &Children<'_>,
        since: Moment,
    ) -> bool {
        let Some(shown) = self.by(client, path, before) else { return false };
        let sent_later = |sent: Option<Moment>| sent.is_some_and(|sent| sent > since);
        let by_zxid = state.pzxid.is_some_and(|pzxid| shown.pzxid > pzxid);
        by_zxid || sent_later(shown.absent) || sent_later(shown.children_changed)
    }

    /// What a client has been shown of a znode so far, to be added to.
    fn next(&mut self, client: usize, path: &'a str, moment: Moment) -> &mut Shown {
        let all = self.shown.entry((client, path)).or_default();
        let before = all.last().copied().unwrap_or_default();
        all.push(Shown { returned: moment, ..before });
        all.last_mut().expect("it was just added")
    }

    fn by(&self, client: usize, path: &str, before: Moment) -> Option<Shown> {
        let all = self.shown.get(&(client, path))?;
        all.partition_point(|shown| shown.returned < before).checked_sub(1).map(|last| all[last])
    }
}
