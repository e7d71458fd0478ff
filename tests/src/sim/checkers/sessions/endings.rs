//! Endings: nothing of a connection that is over takes effect any more.
//!
//! A call of unknown outcome may take effect late, but not after its session was told to have expired, or was closed, or
//! was opened again: from then on its epoch is refused at all partitions. It is done at most once. So once a call that was
//! sent after that moment has been answered and does not show the value, nothing sent after this answer may show it: it
//! would have been written in between. (If the value had been there before and was overwritten, it would not come back.)
//!
//! Values are told apart by their data or, where a Stat alone is shown, by the mzxid that some read told for the data.
//! What two calls may have written is not judged; nor are sequential creates of unknown names, empty data and deletions.

use super::calls::{Call, CallIndex, Calls, End, Moment, Step};
use super::sights::{Change, Shown, Sight};
use super::writes::{Authors, Write, writes};
use super::{Report, Rule};
use bytes::Bytes;
use rustc_hash::FxHashMap;

/// A value that must not appear any more once it was found missing.
#[derive(Debug)]
struct Late<'a> {
    author: CallIndex,
    data: &'a Bytes,
    over: Moment,
    /// The first answer that does not show it, of those sent after the end.
    missing: Option<Moment>,
}

/// Judges the values of calls of unknown outcome.
pub fn judge<'a>(calls: &Calls<'a>, authors: &Authors<'a>, report: &mut Report) {
    let mut late = find(calls, authors, report);
    for (moment, step) in calls.steps() {
        if let Step::Returned(index) = step {
            let call = calls.call(index);
            for sight in &call.sights {
                for late in late.get_mut(sight.path).into_iter().flatten() {
                    late.judge(calls, call, sight, moment, authors, report);
                }
            }
        }
    }
}

/// The values of unknown calls whose connection is over for certain, by path.
fn find<'a>(
    calls: &Calls<'a>,
    authors: &Authors<'a>,
    report: &mut Report,
) -> FxHashMap<&'a str, Vec<Late<'a>>> {
    let mut late: FxHashMap<&str, Vec<Late>> = FxHashMap::default();
    for (index, call) in calls.calls.iter().enumerate() {
        let author = CallIndex(index);
        let Some(over) = calls.connection(call.connection).over else { continue };
        if !matches!(call.end, End::Unknown) {
            continue;
        }
        for (path, data) in writes(call.request).iter().filter_map(Write::value) {
            if authors.of_value(path, data) == Some(author) {
                report.unknown_values += 1;
                late.entry(path).or_default().push(Late { author, data, over, missing: None });
            }
        }
    }
    late
}

impl Late<'_> {
    fn judge(
        &mut self,
        calls: &Calls<'_>,
        call: &Call<'_>,
        sight: &Sight<'_>,
        moment: Moment,
        authors: &Authors<'_>,
        report: &mut Report,
    ) {
        if call.invoked < self.over {
            return;
        }
        let Some(is_shown) = self.is_shown(sight, authors) else { return };
        report.late_values += 1;
        match self.missing {
            None if !is_shown => self.missing = Some(moment),
            Some(missing) if is_shown && missing < call.invoked => {
                let author = calls.call(self.author);
                let text = format!(
                    "call {} shows {} as call {} of session {:#x} wrote it; that one's connection was over at entry {}, \
                     and the answer of entry {missing}, to a request sent after that, did not show it yet",
                    call.id.0, sight.path, author.id.0, author.session, self.over
                );
                report.accuse(calls, Rule::LateEffect, call.session, moment, text);
            }
            _ => {}
        }
    }

    /// Whether the value is there; `None` if that cannot be told.
    fn is_shown(&self, sight: &Sight<'_>, authors: &Authors<'_>) -> Option<bool> {
        match (sight.shown, sight.change) {
            (Shown::Absent, _) | (_, Some(Change::Created | Change::Set)) => Some(false),
            (Shown::Data(data, _), _) => Some(data == Some(self.data)),
            (Shown::Stat(stat) | Shown::Names(_, Some(stat)), _) => {
                authors.of_zxid(sight.path, stat.mzxid).map(|author| author == self.author)
            }
            (Shown::Present | Shown::Names(_, None), _) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Rule;
    use crate::sim::checkers::sessions::script::{DONE, NO_NODE, Script, at, create, get, path, set, wrote};
    use crate::sim::checkers::sessions::tests::rules;
    use volery::wire::{Reply, Request};

    /// Client 0 writes "late" to /a, and nobody is told; then something happens to its session.
    fn unknown(then: fn(&mut Script)) -> Script {
        let mut script = Script::with_clients(2);
        script.done(1, create("/a", "first"), path("/a"));
        script.send(0, set("/a", "late"));
        then(&mut script);
        script
    }

    #[test]
    fn what_took_effect_before_the_end_may_be_seen_after_it() {
        let mut script = unknown(|script| script.expire(0));
        script.done(1, get("/a"), at(5, "late"));
        script.done(1, get("/a"), at(5, "late"));
        assert_eq!(rules(&script), []);
    }

    #[test]
    fn what_appears_after_the_end_is_seen() {
        for end in [|script: &mut Script| script.expire(0), |script: &mut Script| script.move_on(0)] {
            let mut script = unknown(end);
            script.done(1, get("/a"), at(1, "first"));
            script.done(1, get("/a"), at(5, "late"));
            assert_eq!(rules(&script), [Rule::LateEffect]);
        }
    }

    #[test]
    fn a_lost_connection_ends_nothing() {
        let mut script = unknown(|script| script.lose(0));
        script.done(1, get("/a"), at(1, "first"));
        script.done(1, get("/a"), at(5, "late"));
        assert_eq!(rules(&script), []);
    }

    #[test]
    fn a_request_sent_before_the_end_tells_nothing() {
        let mut script = Script::with_clients(2);
        script.send(0, set("/a", "late"));
        let early = script.send(1, get("/a"));
        script.expire(0);
        script.answer(1, early, at(1, "first"));
        script.done(1, get("/a"), at(5, "late"));
        assert_eq!(rules(&script), []);
    }

    #[test]
    fn two_requests_at_the_same_time_tell_nothing() {
        let mut script = unknown(|script| script.expire(0));
        let [first, second] = [script.send(1, get("/a")), script.send(1, get("/a"))];
        script.answer(1, first, at(1, "first"));
        script.answer(1, second, at(5, "late"));
        assert_eq!(rules(&script), []);
    }

    #[test]
    fn what_was_overwritten_does_not_come_back() {
        let mut script = unknown(|script| script.expire(0));
        script.done(1, get("/a"), at(5, "late"));
        script.done(1, set("/a", "last"), wrote(6));
        script.done(1, get("/a"), at(5, "late"));
        assert_eq!(rules(&script), [Rule::LateEffect]);
    }

    #[test]
    fn a_create_that_appears_after_the_end_is_seen_by_its_stat() {
        let mut script = Script::with_clients(2);
        script.send(0, create("/a", "late"));
        script.expire(0);
        let exists = Request::Exists { path: "/a".into(), watch: false };
        script.done(1, exists.clone(), NO_NODE);
        script.done(1, exists, Ok(Reply::Stat(super::super::script::stat(5, 5, 5))));
        script.done(1, get("/b"), NO_NODE);
        assert_eq!(rules(&script), [], "nothing tells whose it is");
        script.done(1, get("/a"), at(5, "late"));
        assert_eq!(rules(&script), [Rule::LateEffect, Rule::LateEffect]);
    }

    #[test]
    fn a_request_sent_again_is_nobodys() {
        let mut script = unknown(|script| script.move_on(0));
        script.done(1, get("/a"), at(1, "first"));
        script.done(0, set("/a", "late"), wrote(7));
        script.done(1, get("/a"), at(7, "late"));
        script.done(0, Request::CloseSession, DONE);
        assert_eq!(rules(&script), []);
    }
}
