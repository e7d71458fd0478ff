//! Owned: what getEphemerals lists.
//!
//! Whatever is listed has the prefix, and was asked for by the session as an ephemeral. Whatever the session was told to
//! have created before it asked is listed, unless somebody may have deleted it; it was sent on one connection or on several,
//! in this order.

use super::{Report, Rule};
use crate::sim::checkers::sessions::calls::{Call, CallIndex, Calls, End, Moment, Step};
use crate::sim::checkers::sessions::sights::Change;
use crate::sim::checkers::sessions::writes::{Write, is_ephemeral, is_sequential, writes};
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::{BTreeMap, BTreeSet};
use volery::wire::{Reply, Request};

/// What is known of ephemerals so far.
#[derive(Default)]
struct Owned<'a> {
    /// What each session has asked to create: paths, and the beginnings of sequential ones.
    asked: FxHashMap<i64, (FxHashSet<&'a str>, FxHashSet<&'a str>)>,
    /// What each session has created for certain, and when that was known.
    created: FxHashMap<i64, BTreeMap<&'a str, Moment>>,
    /// Paths that somebody has asked to delete.
    deleted: FxHashSet<&'a str>,
}

/// Judges all lists of ephemerals.
pub fn judge(calls: &Calls<'_>, report: &mut Report) {
    let mut owned = Owned::default();
    for (moment, step) in calls.steps() {
        match step {
            Step::Invoked(index) => owned.invoked(calls, index),
            Step::Returned(index) => {
                let call = calls.call(index);
                owned.created(call, moment);
                owned.judge(calls, call, moment, report);
            }
            _ => {}
        }
    }
}

impl<'a> Owned<'a> {
    fn invoked(&mut self, calls: &Calls<'a>, index: CallIndex) {
        let call = calls.call(index);
        for write in writes(call.request) {
            match write {
                Write::Create(create) if is_ephemeral(create) => {
                    let (paths, prefixes) = self.asked.entry(call.session).or_default();
                    if is_sequential(create) { prefixes } else { paths }.insert(&create.path);
                }
                Write::Delete(delete) => {
                    self.deleted.insert(&delete.path);
                }
                Write::Create(_) | Write::Set(_) => {}
            }
        }
    }

    fn created(&mut self, call: &Call<'a>, moment: Moment) {
        let creates = writes(call.request).into_iter().filter_map(|write| match write {
            Write::Create(create) => Some(create),
            Write::Delete(_) | Write::Set(_) => None,
        });
        let created = call.sights.iter().filter(|sight| sight.change == Some(Change::Created));
        for (_, sight) in creates.zip(created).filter(|(create, _)| is_ephemeral(create)) {
            self.created.entry(call.session).or_default().insert(sight.path, moment);
        }
    }

    fn judge(&self, calls: &Calls<'a>, call: &Call<'a>, moment: Moment, report: &mut Report) {
        let (Request::GetEphemerals { prefix }, End::Returned { result: Ok(Reply::Names(paths)), .. }) =
            (call.request, call.end)
        else {
            return;
        };
        report.lists += 1;
        let others =
            paths.iter().filter(|path| !path.starts_with(&**prefix) || !self.is_own(call.session, path));
        let others: Vec<&str> = others.collect();
        if !others.is_empty() {
            let text = format!("call {} lists {others:?} for the prefix {prefix:?}", call.id.0);
            report.accuse(calls, Rule::NotOwned, call, moment, text);
        }
        let listed: BTreeSet<&str> = paths.iter().collect();
        let created = self.created.get(&call.session).into_iter().flatten();
        let must = created.filter(|(path, known)| {
            path.starts_with(&**prefix) && **known < call.invoked && !self.deleted.contains(*path)
        });
        let missing: Vec<&&str> =
            must.map(|(path, _)| path).filter(|path| !listed.contains(**path)).collect();
        if !missing.is_empty() {
            let text = format!("call {} lists {paths:?}, without {missing:?}", call.id.0);
            report.accuse(calls, Rule::Unlisted, call, moment, text);
        }
    }

    fn is_own(&self, session: i64, path: &str) -> bool {
        self.asked.get(&session).is_some_and(|(paths, prefixes)| {
            paths.contains(path) || prefixes.iter().any(|prefix| path.starts_with(prefix))
        })
    }
}
