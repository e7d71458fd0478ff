//! # Sessions
//!
//! Judges what a history tells of sessions, by ZooKeeper's promises as Volery keeps them. Each rule has a file, with its
//! reasoning:
//!
//! - `replies`: replies come in the order sent; their headers do not fall;
//! - `zxids`: what a session changes later has a greater zxid than what it changed or saw before;
//! - `endings`: nothing of a connection that is over takes effect;
//! - `numbers`: the names of sequential creates;
//! - `ephemerals`: they are there as long as their session, and go at one point.
//!
//! # What is taken for granted
//!
//! - All operations are linearizable, reads too: what was sent after something was answered comes after it.
//! - A value is written by one call only. A value of two is not judged.
//! - The place of an entry in the history is its moment. What is not ordered by answers and later requests may have happened
//!   in any order, and is not judged: a missed violation is better than a false one.
//!
//! # Caveats
//!
//! Whether values are right is judged elsewhere: here only how they hang together with sessions.

pub mod calls;
mod endings;
mod ephemerals;
mod numbers;
mod replies;
#[cfg(test)]
pub mod script;
pub mod sights;
pub mod violation;
pub mod writes;
mod zxids;

use super::sessions::calls::{Calls, Moment};
use super::sessions::violation::Violation;
use super::sessions::writes::Authors;
use crate::sim::history::History;

/// What a session is promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// Replies come in the order sent, one for each request.
    ReplyOrder,
    /// The zxids of a connection's headers do not fall, unless a watch is armed.
    HeaderFalls,
    /// A write's zxid is beyond those of the session's writes that were answered before.
    ZxidAfterAnswered,
    /// A write's zxid is beyond those of the session's writes that were sent before.
    ZxidPipelined,
    /// A write's zxid is beyond what the session was shown before.
    ZxidAfterSeen,
    /// Nothing of a connection that is over takes effect.
    LateEffect,
    /// A sequential znode is named by the path asked for and a number.
    NumberName,
    /// No number is given twice under one parent.
    NumberTwice,
    /// Numbers rise.
    NumberFalls,
    /// An ephemeral is there while its session lives.
    EphemeralGone,
    /// An ephemeral is not there after its session.
    EphemeralStays,
    /// A session's ephemerals go at one point.
    EphemeralsHalf,
}

/// What was judged, and what is wrong.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Replies whose place was judged.
    pub replies: usize,
    /// Headers that were compared with an earlier one.
    pub headers: usize,
    /// Writes whose zxid was compared with what came before.
    pub zxids: usize,
    /// Values of unknown outcome whose connection is over.
    pub unknown_values: usize,
    /// Sights of znodes that such a value may appear in, after that.
    pub late_values: usize,
    /// Numbers of sequential znodes.
    pub numbers: usize,
    /// Ephemerals found absent that nobody has deleted.
    pub absences: usize,
    /// Ephemerals found there.
    pub owners: usize,
    /// What is wrong.
    pub violations: Vec<Violation<Rule>>,
}

impl Report {
    fn accuse(&mut self, calls: &Calls<'_>, rule: Rule, session: i64, moment: Moment, text: String) {
        self.violations.push(Violation::new(calls, rule, session, moment, text));
    }
}

/// Judges a history's sessions.
pub fn check_sessions(history: &History) -> Report {
    let calls = Calls::of(history);
    let authors = Authors::of(&calls);
    let mut report = Report::default();
    replies::judge(&calls, &mut report);
    zxids::judge(&calls, &mut report);
    endings::judge(&calls, &authors, &mut report);
    numbers::judge(&calls, &mut report);
    ephemerals::judge(&calls, &mut report);
    report
}

#[cfg(test)]
mod tests {
    use super::script::{Script, at, get, set, wrote};
    use super::{Rule, check_sessions};

    /// The rules that a history breaks.
    pub fn rules(script: &Script) -> Vec<Rule> {
        check_sessions(&script.history).violations.iter().map(|violation| violation.rule).collect()
    }

    #[test]
    fn a_violation_says_who_when_and_why() {
        let mut script = Script::with_clients(2);
        script.done(1, set("/a", "1"), wrote(16));
        script.done(1, set("/a", "2"), wrote(15));
        let report = check_sessions(&script.history);
        assert_eq!(
            report.violations[0].to_string(),
            "ZxidAfterAnswered: client 1, session 0x2, entry 5 at 5 ms: call 2, sent at entry 4, has zxid 0xf: an earlier \
             write of the session was answered with 0x10 at entry 3"
        );
        assert_eq!((report.replies, report.zxids), (2, 2));
    }

    #[test]
    fn an_empty_history_is_right() {
        let mut script = Script::with_clients(1);
        assert_eq!(rules(&script), []);
        script.done(0, get("/a"), at(1, "a"));
        let report = check_sessions(&script.history);
        assert_eq!((report.headers, report.violations.len()), (0, 0));
    }
}
