//! Replies: one for each request, in the order sent, with headers that do not fall.
//!
//! The zxid of a header is the least mark of the partitions where the session has watches, or the newest zxid known where
//! it has none. So it may fall when a watch is armed in a partition that it had none in, and it says so on purpose: what
//! that partition has not told yet must fire again after a reconnection. A watch is armed at some point between its call
//! and the reply to it. So the headers of two replies are compared only if no call that may arm a watch is outstanding
//! from the earlier reply to the later one. That a watch fires makes the mark rise, if anything.

use super::calls::{CallIndex, Calls, ConnectionIndex, End, Moment, Step};
use super::{Report, Rule};
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use volery::wire::Request;

#[derive(Debug, Default)]
struct Replies {
    outstanding: VecDeque<CallIndex>,
    /// How many of the outstanding may arm a watch.
    arming: usize,
    /// The last header that the next must not fall below.
    header: Option<(i64, Moment)>,
}

/// Judges the order of the replies and their headers.
pub fn judge(calls: &Calls<'_>, report: &mut Report) {
    let mut connections: FxHashMap<ConnectionIndex, Replies> = FxHashMap::default();
    for (moment, step) in calls.steps() {
        match step {
            Step::Invoked(index) => {
                let call = calls.call(index);
                connections.entry(call.connection).or_default().sent(index, may_arm(call.request));
            }
            Step::Returned(index) => {
                let replies = connections.entry(calls.call(index).connection).or_default();
                report.replies += 1;
                replies.judge_order(calls, index, moment, report);
                replies.judge_header(calls, index, moment, report);
            }
            Step::Stray(id) => {
                let text = format!("a reply to call {}, which waits for none", id.0);
                report.accuse(calls, Rule::ReplyOrder, 0, moment, text);
            }
            Step::Opened(..) | Step::Ended(..) | Step::Notified(..) | Step::Nothing => {}
        }
    }
}

impl Replies {
    fn sent(&mut self, index: CallIndex, arms: bool) {
        self.outstanding.push_back(index);
        if arms {
            self.arming += 1;
            self.header = None;
        }
    }

    fn judge_order(&mut self, calls: &Calls<'_>, index: CallIndex, moment: Moment, report: &mut Report) {
        let oldest = self.outstanding.front().copied();
        if oldest == Some(index) {
            self.outstanding.pop_front();
            return;
        }
        self.outstanding.retain(|waiting| *waiting != index);
        let call = calls.call(index);
        let expected = oldest.map_or(0, |oldest| calls.call(oldest).id.0);
        let text = format!("call {} is answered before call {expected}, which was sent earlier", call.id.0);
        report.accuse(calls, Rule::ReplyOrder, call.session, moment, text);
    }

    fn judge_header(&mut self, calls: &Calls<'_>, index: CallIndex, moment: Moment, report: &mut Report) {
        let call = calls.call(index);
        // Nought is what a connection is told that has lost its session: clients do not take it for a mark.
        let End::Returned { zxid: zxid @ 1.., .. } = call.end else { return };
        if let Some((before, at)) = self.header {
            report.headers += 1;
            if zxid < before {
                let text = format!(
                    "the header of the reply to call {} has zxid {zxid:#x}, that of entry {at} had {before:#x}, and no \
                     watch was armed since",
                    call.id.0
                );
                report.accuse(calls, Rule::HeaderFalls, call.session, moment, text);
            }
        }
        self.arming -= usize::from(may_arm(call.request));
        self.header = (self.arming == 0).then_some((zxid, moment));
    }
}

/// Whether a request may arm a watch.
fn may_arm(request: &Request) -> bool {
    match request {
        Request::Exists { watch, .. }
        | Request::GetData { watch, .. }
        | Request::GetChildren { watch, .. }
        | Request::GetChildren2 { watch, .. } => *watch,
        Request::AddWatch { .. } | Request::SetWatches(_) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::Rule;
    use crate::sim::checkers::sessions::script::{Script, at, get, watch};
    use crate::sim::checkers::sessions::tests::rules;

    #[test]
    fn replies_come_in_the_order_sent() {
        let mut script = Script::with_clients(2);
        let [first, second] = [script.send(0, get("/a")), script.send(0, get("/b"))];
        let other = script.send(1, get("/a"));
        script.answer(0, first, at(1, "a"));
        script.answer(1, other, at(1, "a"));
        script.answer(0, second, at(1, "b"));
        assert_eq!(rules(&script), []);
    }

    #[test]
    fn a_reply_that_overtakes_and_one_that_comes_twice_are_seen() {
        let mut script = Script::with_clients(1);
        let [first, second] = [script.send(0, get("/a")), script.send(0, get("/b"))];
        script.answer(0, second, at(1, "b"));
        script.answer(0, first, at(1, "a"));
        script.answer(0, first, at(1, "a"));
        assert_eq!(rules(&script), [Rule::ReplyOrder, Rule::ReplyOrder]);
    }

    #[test]
    fn a_reply_on_a_later_connection_is_seen() {
        let mut script = Script::with_clients(1);
        let lost = script.send(0, get("/a"));
        script.move_on(0);
        script.answer(0, lost, at(1, "a"));
        assert_eq!(rules(&script), [Rule::ReplyOrder]);
    }

    #[test]
    fn a_header_that_falls_is_seen_unless_a_watch_was_armed() {
        let falls = |request| {
            let mut script = Script::with_clients(1);
            script.header = 9;
            script.done(0, get("/a"), at(1, "a"));
            script.header = 8;
            script.done(0, request, at(1, "a"));
            rules(&script)
        };
        assert_eq!(falls(get("/a")), [Rule::HeaderFalls]);
        assert_eq!(falls(watch("/a")), []);
    }

    #[test]
    fn a_watch_may_be_armed_before_the_reply_to_its_call() {
        let mut script = Script::with_clients(1);
        script.header = 9;
        let [read, arming] = [script.send(0, get("/a")), script.send(0, watch("/a"))];
        script.answer(0, read, at(1, "a"));
        script.header = 8;
        script.answer(0, arming, at(1, "a"));
        script.header = 7;
        script.done(0, get("/a"), at(1, "a"));
        assert_eq!(rules(&script), [Rule::HeaderFalls]);
    }

    #[test]
    fn a_new_connection_begins_anew() {
        let mut script = Script::with_clients(1);
        script.header = 9;
        script.done(0, get("/a"), at(1, "a"));
        script.move_on(0);
        script.header = 8;
        script.done(0, get("/a"), at(1, "a"));
        assert_eq!(rules(&script), []);
    }
}
