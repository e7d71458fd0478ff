//! What a checker holds against a history.

use super::calls::{Calls, Moment};
use std::fmt;

/// Something that must not have happened. Shown in one line: the rule, who, when, and what was expected and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation<R> {
    /// The rule that is broken.
    pub rule: R,
    /// The client that saw it, counted from 0.
    pub client: usize,
    /// The session by which it saw it.
    pub session: i64,
    /// The entry that shows it.
    pub moment: Moment,
    /// When that was, in milliseconds of the run.
    pub time_ms: u64,
    /// What was seen, what was expected, and why.
    pub text: String,
}

impl<R> Violation<R> {
    /// What the client of a session saw at `moment`.
    pub fn new(calls: &Calls<'_>, rule: R, session: i64, moment: Moment, text: String) -> Violation<R> {
        let (client, time_ms) = (calls.client(moment), calls.time_ms(moment));
        Violation { rule, client, session, moment, time_ms, text }
    }
}

impl<R: fmt::Debug> fmt::Display for Violation<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Violation { rule, client, session, moment, time_ms, text } = self;
        write!(f, "{rule:?}: client {client}, session {session:#x}, entry {moment} at {time_ms} ms: {text}")
    }
}
