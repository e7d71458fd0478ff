//! Numbers: what sequential creates are named.
//!
//! The number is how many creates the parent has seen. So under one parent no two are alike, whatever stands before them;
//! they rise from a create that was answered to one that was sent after that, and along the creates of one session in the
//! order sent, pipelined ones too.
//!
//! A parent that is deleted and created again counts from the beginning: one that somebody asks to delete, or that may go by
//! itself, is not judged. Nor are numbers that have run over.

use super::calls::{Call, CallIndex, Calls, Moment, Step};
use super::sights::Change;
use super::writes::{Write, is_sequential, writes};
use super::{Report, Rule};
use rustc_hash::{FxHashMap, FxHashSet};
use volery::path;
use volery::wire::CreateMode;

/// How many digits a number has.
const DIGITS: usize = 10;

/// One znode that the server has named.
#[derive(Clone, Copy, Debug)]
struct Named<'a> {
    parent: &'a str,
    number: u32,
}

#[derive(Debug, Default)]
struct Numbers<'a> {
    given: FxHashMap<(&'a str, u32), CallIndex>,
    /// The greatest number answered so far.
    answered: FxHashMap<&'a str, (u32, Moment)>,
    /// What was answered under a parent when a call was sent.
    floors: FxHashMap<(CallIndex, &'a str), (u32, Moment)>,
    /// The last number of each session.
    last: FxHashMap<(i64, &'a str), (u32, CallIndex)>,
}

/// Judges the numbers of sequential creates.
pub fn judge(calls: &Calls<'_>, report: &mut Report) {
    let restarted = restarted(calls);
    let mut numbers = Numbers::default();
    for (moment, step) in calls.steps() {
        match step {
            Step::Invoked(index) => numbers.sent(calls, index),
            Step::Returned(index) => {
                for named in named(calls, index, moment, report) {
                    if !restarted.contains(named.parent) {
                        report.numbers += 1;
                        numbers.judge(calls, index, named, moment, report);
                    }
                }
            }
            _ => {}
        }
    }
}

/// The parents that may have been there more than once.
pub fn restarted<'a>(calls: &Calls<'a>) -> FxHashSet<&'a str> {
    let mut paths = FxHashSet::default();
    for call in &calls.calls {
        for write in writes(call.request) {
            let goes = match write {
                Write::Delete(_) => true,
                Write::Create(create) => {
                    matches!(create.mode, Ok(CreateMode::Container | CreateMode::Ttl(_)))
                }
                Write::Set(_) => false,
            };
            if goes {
                paths.insert(write.path());
            }
        }
    }
    paths
}

/// The znodes that a call's reply names, in order. A name that is not the path asked for and a number is a violation.
fn named<'a>(calls: &Calls<'a>, index: CallIndex, moment: Moment, report: &mut Report) -> Vec<Named<'a>> {
    let call: &Call<'a> = calls.call(index);
    let creates = writes(call.request).into_iter().filter_map(|write| match write {
        Write::Create(create) => Some(create),
        Write::Delete(_) | Write::Set(_) => None,
    });
    let created = call.sights.iter().filter(|sight| sight.change == Some(Change::Created));
    let mut named = Vec::new();
    for (create, sight) in creates.zip(created).filter(|(create, _)| is_sequential(create)) {
        match sight.path.strip_prefix(&*create.path).filter(|number| number.len() >= DIGITS) {
            Some(number) => {
                let parent = path::parent(sight.path).unwrap_or(path::ROOT);
                named.extend(number.parse().ok().map(|number| Named { parent, number }));
            }
            None => {
                let text = format!(
                    "call {} asked for {} and a number and was given {}",
                    call.id.0, create.path, sight.path
                );
                report.accuse(calls, Rule::NumberName, call.session, moment, text);
            }
        }
    }
    named
}

impl<'a> Numbers<'a> {
    /// A call is sent: what was answered under its parent before it, its number must exceed.
    fn sent(&mut self, calls: &Calls<'a>, index: CallIndex) {
        for write in writes(calls.call(index).request) {
            if let Write::Create(create) = write
                && is_sequential(create)
                && let Some(parent) = path::parent(&create.path)
                && let Some(floor) = self.answered.get(parent)
            {
                self.floors.insert((index, parent), *floor);
            }
        }
    }

    fn judge(
        &mut self,
        calls: &Calls<'a>,
        index: CallIndex,
        named: Named<'a>,
        moment: Moment,
        report: &mut Report,
    ) {
        let Named { parent, number } = named;
        let call = calls.call(index);
        let id = call.id.0;
        if let Some(other) = self.given.insert((parent, number), index) {
            let other = calls.call(other).id.0;
            let text = format!("calls {other} and {id} were both given the number {number} under {parent}");
            report.accuse(calls, Rule::NumberTwice, call.session, moment, text);
        }
        if let Some((before, at)) = self.floors.get(&(index, parent))
            && number < *before
        {
            let text = format!(
                "call {id} was given {number} under {parent}, and {before} was answered at entry {at}, before it was sent"
            );
            report.accuse(calls, Rule::NumberFalls, call.session, moment, text);
        } else if let Some((before, other)) = self.last.get(&(call.session, parent))
            && number < *before
        {
            let other = calls.call(*other).id.0;
            let text = format!(
                "call {id} was given {number} under {parent}, and {before} was given to call {other}, which the same \
                 session sent before"
            );
            report.accuse(calls, Rule::NumberFalls, call.session, moment, text);
        }
        self.last.insert((call.session, parent), (number, index));
        let answered = self.answered.entry(parent).or_insert((number, moment));
        if answered.0 < number {
            *answered = (number, moment);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Rule;
    use crate::sim::checkers::sessions::script::{DONE, Script, delete, multi, path, sequential};
    use crate::sim::checkers::sessions::tests::rules;
    use volery::wire::{OpResult, Reply};

    fn create(script: &mut Script, client: usize, name: &str) {
        script.done(client, sequential("/q/n-"), path(&format!("/q/n-{name}")));
    }

    #[test]
    fn numbers_that_rise_with_gaps_are_right() {
        let mut script = Script::with_clients(2);
        create(&mut script, 0, "0000000000");
        create(&mut script, 1, "0000000007");
        script.done(0, sequential("/q/other-"), path("/q/other-0000000008"));
        script.done(0, sequential("/r/n-"), path("/r/n-0000000000"));
        assert_eq!(rules(&script), []);
    }

    #[test]
    fn concurrent_creates_may_be_answered_in_any_order() {
        let mut script = Script::with_clients(2);
        let [first, second] = [0, 1].map(|client| script.send(client, sequential("/q/n-")));
        script.answer(1, second, path("/q/n-0000000001"));
        script.answer(0, first, path("/q/n-0000000000"));
        assert_eq!(rules(&script), []);
    }

    #[test]
    fn a_number_given_twice_is_seen() {
        let mut script = Script::with_clients(2);
        let [first, second] = [script.send(0, sequential("/q/n-")), script.send(1, sequential("/q/m-"))];
        script.answer(0, first, path("/q/n-0000000003"));
        script.answer(1, second, path("/q/m-0000000003"));
        assert_eq!(rules(&script), [Rule::NumberTwice]);
    }

    #[test]
    fn a_number_that_falls_is_seen() {
        let mut script = Script::with_clients(2);
        create(&mut script, 0, "0000000003");
        create(&mut script, 1, "0000000002");
        assert_eq!(rules(&script), [Rule::NumberFalls]);
    }

    #[test]
    fn a_number_that_falls_within_a_pipeline_is_seen() {
        let mut script = Script::with_clients(1);
        let [first, second] = [0, 0].map(|client| script.send(client, sequential("/q/n-")));
        script.answer(0, first, path("/q/n-0000000001"));
        script.answer(0, second, path("/q/n-0000000000"));
        assert_eq!(rules(&script), [Rule::NumberFalls]);
        let mut script = Script::with_clients(1);
        let request = multi(vec![sequential("/q/n-"), sequential("/q/n-")]);
        let made = |number| OpResult::Created { path: format!("/q/n-{number:010}").into() };
        script.done(0, request, Ok(Reply::Results(vec![made(1), made(0)])));
        assert_eq!(rules(&script), [Rule::NumberFalls]);
    }

    #[test]
    fn each_parent_counts_by_itself() {
        let mut script = Script::with_clients(1);
        create(&mut script, 0, "0000000007");
        let request = multi(vec![sequential("/q/n-"), sequential("/r/n-")]);
        let made = ["/q/n-0000000008", "/r/n-0000000000"].map(|path| OpResult::Created { path: path.into() });
        script.done(0, request, Ok(Reply::Results(made.to_vec())));
        assert_eq!(rules(&script), []);
    }

    #[test]
    fn a_parent_that_is_deleted_counts_from_the_beginning() {
        let mut script = Script::with_clients(1);
        create(&mut script, 0, "0000000003");
        script.done(0, delete("/q"), DONE);
        create(&mut script, 0, "0000000000");
        assert_eq!(rules(&script), []);
    }

    #[test]
    fn a_name_without_a_number_is_seen() {
        let mut script = Script::with_clients(1);
        script.done(0, sequential("/q/n-"), path("/q/n-"));
        assert_eq!(rules(&script), [Rule::NumberName]);
    }
}
