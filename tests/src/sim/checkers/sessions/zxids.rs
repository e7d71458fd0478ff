//! Zxids of a session: what it changes later has a greater zxid than what it changed or saw earlier.
//!
//! A write's zxid is taken from its own reply: the mzxid of a setData, the czxid of a create that answers with a Stat, the
//! one of a multi. Writes whose reply tells none are not judged. Three promises are told apart, since the server keeps them
//! by different means: the zxid lies beyond those of the session's writes that were *answered* before the call was sent;
//! of those sent before it and not answered by then, the *pipelined* ones; and beyond every zxid that the session was shown
//! before the call was sent, in a header, a Stat or a notification (*seen*).

use super::calls::{Call, CallIndex, Calls, End, Moment, Step};
use super::sights::Sight;
use super::{Report, Rule};
use rustc_hash::FxHashMap;

/// A zxid and where it was met.
type Met = (i64, Moment);

#[derive(Debug, Default)]
struct Known {
    /// The greatest of the session's own that was answered.
    answered: Option<Met>,
    /// The greatest of the session's own that was sent.
    sent: Option<Met>,
    /// The greatest that the session was shown.
    seen: Option<Met>,
}

/// Judges the zxids of each session's writes.
pub fn judge(calls: &Calls<'_>, report: &mut Report) {
    let mut sessions: FxHashMap<i64, Known> = FxHashMap::default();
    for (moment, step) in calls.steps() {
        match step {
            Step::Invoked(index) => {
                let session = calls.call(index).session;
                sessions.entry(session).or_default().judge(calls, index, report);
            }
            Step::Returned(index) => {
                let call = calls.call(index);
                sessions.entry(call.session).or_default().learn(call, moment);
            }
            Step::Notified(connection, zxid, _) => {
                let session = calls.connection(connection).session;
                raise(&mut sessions.entry(session).or_default().seen, zxid, moment);
            }
            Step::Opened(..) | Step::Ended(..) | Step::Stray(_) | Step::Nothing => {}
        }
    }
}

impl Known {
    /// A call is sent: what its reply will tell is looked up ahead.
    fn judge(&mut self, calls: &Calls<'_>, index: CallIndex, report: &mut Report) {
        let call = calls.call(index);
        let Some(zxid) = written(call) else { return };
        report.zxids += 1;
        let promises = [
            (Rule::ZxidAfterAnswered, self.answered, "an earlier write of the session was answered with"),
            (Rule::ZxidPipelined, self.sent, "the session had sent before it, unanswered, the write of"),
            (Rule::ZxidAfterSeen, self.seen, "the session had been shown"),
        ];
        let broken = promises.into_iter().find_map(|(rule, met, why)| {
            met.filter(|(before, _)| *before >= zxid).map(|met| (rule, met, why))
        });
        if let (Some((rule, (before, at), why)), Some(returned)) = (broken, call.returned()) {
            let text = format!(
                "call {}, sent at entry {}, has zxid {zxid:#x}: {why} {before:#x} at entry {at}",
                call.id.0, call.invoked
            );
            report.accuse(calls, rule, call.session, returned, text);
        }
        raise(&mut self.sent, zxid, call.invoked);
    }

    /// A reply tells zxids.
    fn learn(&mut self, call: &Call<'_>, moment: Moment) {
        if let Some(zxid) = written(call) {
            raise(&mut self.answered, zxid, moment);
        }
        if let End::Returned { zxid, .. } = call.end {
            raise(&mut self.seen, zxid, moment);
        }
        for stat in call.sights.iter().filter_map(Sight::stat) {
            raise(&mut self.seen, stat.czxid.max(stat.mzxid).max(stat.pzxid), moment);
        }
    }
}

/// The zxid of what a call changed, if its reply tells it.
fn written(call: &Call<'_>) -> Option<i64> {
    call.sights.iter().find_map(Sight::written)
}

fn raise(known: &mut Option<Met>, zxid: i64, moment: Moment) {
    if known.is_none_or(|(before, _)| before < zxid) {
        *known = Some((zxid, moment));
    }
}

#[cfg(test)]
mod tests {
    use super::Rule;
    use crate::sim::checkers::sessions::script::{Script, at, get, set, wrote};
    use crate::sim::checkers::sessions::tests::rules;
    use volery::wire::EventType;

    #[test]
    fn zxids_that_rise_are_right() {
        let mut script = Script::with_clients(2);
        script.done(0, set("/a", "1"), wrote(10));
        script.done(1, set("/b", "2"), wrote(5));
        let [first, second] = [script.send(0, set("/a", "3")), script.send(0, set("/b", "4"))];
        script.answer(0, first, wrote(11));
        script.answer(0, second, wrote(12));
        assert_eq!(rules(&script), []);
    }

    #[test]
    fn a_zxid_below_that_of_an_answered_write_is_seen_also_on_a_later_connection() {
        let mut script = Script::with_clients(1);
        script.done(0, set("/a", "1"), wrote(10));
        script.done(0, set("/b", "2"), wrote(10));
        script.move_on(0);
        script.done(0, set("/c", "3"), wrote(9));
        assert_eq!(rules(&script), [Rule::ZxidAfterAnswered, Rule::ZxidAfterAnswered]);
    }

    #[test]
    fn a_zxid_below_that_of_a_pipelined_write_is_seen() {
        let mut script = Script::with_clients(1);
        let [first, second] = [script.send(0, set("/a", "1")), script.send(0, set("/b", "2"))];
        script.answer(0, first, wrote(10));
        script.answer(0, second, wrote(9));
        assert_eq!(rules(&script), [Rule::ZxidPipelined]);
    }

    #[test]
    fn a_zxid_below_what_was_shown_is_seen() {
        let judged = |show: fn(&mut Script)| {
            let mut script = Script::with_clients(1);
            show(&mut script);
            script.header = 0;
            script.done(0, set("/b", "2"), wrote(10));
            rules(&script)
        };
        assert_eq!(judged(|script| script.done(0, get("/a"), at(9, "a"))), []);
        assert_eq!(judged(|script| script.done(0, get("/a"), at(10, "a"))), [Rule::ZxidAfterSeen]);
        let told = judged(|script| script.told(0, EventType::NodeDataChanged, "/a", 11));
        assert_eq!(told, [Rule::ZxidAfterSeen]);
        let header = judged(|script| {
            script.header = 12;
            script.done(0, get("/a"), at(1, "a"));
        });
        assert!(header.contains(&Rule::ZxidAfterSeen));
    }

    #[test]
    fn what_is_shown_after_the_call_was_sent_binds_nothing() {
        let mut script = Script::with_clients(1);
        let write = script.send(0, set("/b", "2"));
        script.told(0, EventType::NodeDataChanged, "/a", 11);
        script.answer(0, write, wrote(10));
        assert_eq!(rules(&script), []);
    }
}
