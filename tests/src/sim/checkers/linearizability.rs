//! Whether what the clients were told can be explained by one order of all calls, each between its invocation and its return.
//!
//! ```text
//!   history -> deeds -> per znode, per group of few -> calls -> search for an order -> findings
//!              what each call says     states and edges       (Wing, Gong, Lowe)
//!              of which znodes
//! ```
//!
//! Linearizability is local: a history is linearizable if that of each object is. So every znode is searched by itself, as
//! an object that is absent or has data, a version, an owner and the zxids of its creation and last change. An operation
//! counts for every znode of which it says something: a create tells of the parent too, a list of children tells of every
//! znode below whether it was there. What one multi or multiRead touches is checked once more as one object, so that half a
//! multi is seen.
//!
//! - *Lost replies.* The call happened at any time until the session is known to have gone on, or never. A lost create of a
//!   sequence may have created any of its names.
//! - *Sessions.* Calls of one take effect in the order sent. Its end deletes its ephemerals: by closeSession, or by an expiry
//!   after its last sign of life, which has happened when the client is told. A session changes nothing after its end.
//! - *Zxids* rise along a znode, and are the same wherever a change is shown. One that no reply shows is left open until one
//!   does.
//!
//! # Caveats
//!
//! - Znodes that the servers may delete by themselves, containers that have had children and those with a short time to live,
//!   are left out, and so are those that are there from the start.
//! - Counters of children, times and ACLs are not judged; an operation that an ACL forbids says nothing.
//! - Groups of more than four znodes are cut into what single multis touch, and the larger of those are not judged.

mod account;
mod change;
mod deed;
mod group;
mod groups;
mod names;
mod reading;
mod story;
mod wording;
mod znode;

use super::wgl::{self, Call, Verdict};
use crate::sim::history::{Happening, History};
use account::Account;
use deed::Misfit;
use group::{Group, Operation, Znodes};
use groups::Groups;
use names::PathId;
use std::collections::BTreeSet;

/// Configurations of one search, after which it gives up.
const SEARCH_BUDGET: usize = 300_000;
/// Configurations of all searches of a history.
const HISTORY_BUDGET: usize = 3_000_000;
/// Violations told of one history.
const VIOLATIONS_MAX: usize = 8;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Searches made: one for each znode, and one for each group.
    pub histories: usize,
    /// Calls in them; one counts for every znode of which it says something.
    pub operations: usize,
    /// Searches that came to no end. They have not passed.
    pub gave_up: usize,
    /// Multis and multiReads over too many znodes to check these together, those over the same ones counted once.
    pub too_large: usize,
    /// What no order explains, each in some lines: the znodes, their states, and the calls that matter.
    pub violations: Vec<String>,
}

/// Checks a history.
pub fn check(history: &History) -> Findings {
    let account = Account::of(history);
    let groups = Groups::of(&account);
    let (findings, wrong) = (Findings::default(), BTreeSet::new());
    let mut check = Check { history, account: &account, findings, budget: HISTORY_BUDGET, wrong };
    check.findings.too_large = groups.too_large;
    for misfit in &account.misfits {
        check.findings.violations.push(misfit_text(history, misfit));
    }
    for znode in account.znodes() {
        check.group(&[znode]);
    }
    for group in &groups.groups {
        match *group.as_slice() {
            [a, b] => check.group(&[a, b]),
            [a, b, c] => check.group(&[a, b, c]),
            [a, b, c, d] => check.group(&[a, b, c, d]),
            _ => unreachable!("{} znodes are no group", group.len()),
        }
    }
    check.findings
}

struct Check<'a> {
    history: &'a History,
    account: &'a Account,
    findings: Findings,
    /// Configurations left.
    budget: usize,
    /// The znodes that are wrong by themselves: no group needs to say so again.
    wrong: BTreeSet<PathId>,
}

impl Check<'_> {
    fn group<const N: usize>(&mut self, members: &[PathId; N]) {
        let is_known = members.iter().any(|member| self.wrong.contains(member));
        if is_known || self.findings.violations.len() >= VIOLATIONS_MAX {
            return;
        }
        self.findings.histories += 1;
        let Some(items) = group::items(self.account, members) else {
            self.findings.gave_up += 1;
            return;
        };
        self.findings.operations += items.len();
        match self.search::<N>(&group::calls(self.account, items)) {
            Verdict::Linearizable => {}
            Verdict::GaveUp => self.findings.gave_up += 1,
            Verdict::Violation(stuck) => {
                let story = story::story(self.history, self.account, members, stuck);
                self.findings.violations.push(story);
                self.wrong.extend(members);
            }
        }
    }

    fn search<const N: usize>(&mut self, calls: &[Call<Operation>]) -> Verdict<Znodes<N>> {
        let given = self.budget.min(SEARCH_BUDGET);
        let mut left = given;
        let verdict = wgl::check(&Group::<N>, calls, &mut left);
        self.budget -= given - left;
        verdict
    }
}

fn misfit_text(history: &History, misfit: &Misfit) -> String {
    let told = [misfit.invoked, misfit.returned].map(|moment| match &history.entries[moment].happening {
        Happening::Invoked { request, .. } => wording::request(request),
        Happening::Returned { result: Ok(reply), .. } => wording::reply(reply),
        other => format!("{other:?}"),
    });
    let [request, reply] = told;
    format!("{}..{}: {request} cannot be answered by {reply}", misfit.invoked, misfit.returned)
}

#[cfg(test)]
mod tests;
