//! # Answers
//!
//! Judges each answer by itself and by who asked, where the other checkers have nothing to say:
//!
//! - `codes`: an error is one that its request may meet;
//! - `guarded`: a znode whose access-control list never changes is open to whom the list names, and to nobody else, as a part of
//!   many too; a connection is whom it has proved to be;
//! - `owned`: a session is told of its ephemerals, of all of them, and of no other's.
//!
//! A connection counts as a user from the moment on at which it has sent that user's credentials, for whatever it sends
//! behind them.

mod codes;
mod guarded;
mod owned;

use super::sessions::calls::{Call, Calls, ConnectionIndex, Moment, Step};
use super::sessions::violation::Violation;
use crate::sim::draw::Sizes;
use crate::sim::history::History;
use crate::sim::workload::users::User;
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;

/// What an answer must obey.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// The request cannot meet this error.
    Code,
    /// The list does not let the caller do that.
    Trespass,
    /// The list lets the caller do that.
    Refused,
    /// A list is shown as it is, and without hashes to whom they do not concern.
    List,
    /// A connection is the users whose credentials it has sent.
    WhoAmI,
    /// A session is told of an ephemeral that is not its own.
    NotOwned,
    /// A session is not told of an ephemeral of its own.
    Unlisted,
}

/// What was judged, and what is wrong.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Answers whose error was judged.
    pub errors: usize,
    /// Operations on znodes whose list is known.
    pub guarded: usize,
    /// Lists of a session's ephemerals.
    pub lists: usize,
    /// What is wrong.
    pub violations: Vec<Violation<Rule>>,
}

impl Report {
    fn accuse(&mut self, calls: &Calls<'_>, rule: Rule, call: &Call<'_>, moment: Moment, text: String) {
        self.violations.push(Violation::new(calls, rule, call.session, moment, text));
    }
}

/// Users by connection.
#[derive(Debug, Default)]
struct Users(FxHashMap<ConnectionIndex, BTreeSet<User>>);

impl Users {
    fn sent(&mut self, call: &Call<'_>) {
        if let Some(user) = User::of(call.request) {
            self.0.entry(call.connection).or_default().insert(user);
        }
    }

    /// Whom a connection counts as now.
    fn of(&self, connection: ConnectionIndex) -> BTreeSet<User> {
        self.0.get(&connection).cloned().unwrap_or_default()
    }
}

/// Judges a history's answers, where so large ones are let through.
pub fn check_answers(history: &History, sizes: Sizes) -> Report {
    let calls = Calls::of(history);
    let mut report = Report::default();
    let mut users = Users::default();
    let mut callers: Vec<BTreeSet<User>> = Vec::new();
    for (moment, step) in calls.steps() {
        match step {
            // Calls are numbered as they are sent.
            Step::Invoked(index) => {
                let call = calls.call(index);
                callers.push(users.of(call.connection));
                users.sent(call);
            }
            Step::Returned(index) => {
                let (call, now) = (calls.call(index), users.of(calls.call(index).connection));
                codes::judge(&calls, call, moment, sizes, &mut report);
                let then = &callers[index.0];
                guarded::judge(&calls, call, guarded::Callers { then, now: &now }, moment, &mut report);
            }
            _ => {}
        }
    }
    owned::judge(&calls, &mut report);
    report
}

#[cfg(test)]
mod tests;
