//! Ephemerals: they are there while their session lives, and go with it, from all partitions at one point.
//!
//! An ephemeral whose create was answered and that nobody has asked to delete since can be absent for one reason only: its
//! session is over. So an answer that shows it absent ends the session as surely as the word that it expired. From there
//! on nothing sent later may show any of its ephemerals, wherever they live; and nothing that the session sends later may
//! be answered as a write. A reply that shows several znodes at one point shows all of them or none.
//!
//! Only writes that succeed prove that a session lives: they pass its home or the partitions where it is attached, and are refused once
//! it is over. Gateways answer some requests by themselves, and reads may one day be.

use super::calls::{Call, CallIndex, Calls, Ending, Moment, Step};
use super::numbers;
use super::sights::{Change, Shown, Sight};
use super::writes::{Write, is_ephemeral, is_sequential, writes};
use super::{Report, Rule};
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use volery::path;
use volery::wire::Request;

/// An ephemeral that was created for certain.
#[derive(Clone, Copy, Debug)]
struct Ephemeral {
    session: i64,
    invoked: Moment,
    returned: Moment,
}

/// Why a session is over.
#[derive(Clone, Copy, Debug)]
enum Why<'a> {
    Ended(Ending),
    Absent(Place<'a>),
}

impl fmt::Display for Why<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Ended(ending) => write!(f, "it {ending}"),
            Why::Absent((parent, name)) => write!(f, "its {} was found absent", path::join(parent, name)),
        }
    }
}

/// Parent and name.
type Place<'a> = (&'a str, &'a str);

struct Judge<'a, 'c> {
    calls: &'c Calls<'a>,
    report: &'c mut Report,
    ephemerals: BTreeMap<Place<'a>, Ephemeral>,
    over: FxHashMap<i64, (Moment, Why<'a>)>,
    /// When each session sent the last of what proves that it lived.
    lived: FxHashMap<i64, Moment>,
    deletions: FxHashMap<&'a str, Vec<(Moment, Option<Moment>)>>,
    /// How many calls may have created a path.
    creators: FxHashMap<&'a str, usize>,
    restarted: FxHashSet<&'a str>,
}

/// Judges when ephemerals are there.
pub fn judge(calls: &Calls<'_>, report: &mut Report) {
    let mut judge = Judge {
        calls,
        report,
        ephemerals: BTreeMap::new(),
        over: FxHashMap::default(),
        lived: FxHashMap::default(),
        deletions: FxHashMap::default(),
        creators: FxHashMap::default(),
        restarted: numbers::restarted(calls),
    };
    judge.prepare();
    for (moment, step) in calls.steps() {
        match step {
            Step::Ended(session, ending) => judge.end(session, moment, Why::Ended(ending)),
            Step::Returned(index) => judge.returned(index, moment),
            _ => {}
        }
    }
}

impl<'a> Judge<'a, '_> {
    /// Looks ahead: who lives how long, who deletes what, who may have created it.
    fn prepare(&mut self) {
        for call in &self.calls.calls {
            if proves_life(call) {
                self.lived.insert(call.session, call.invoked);
            }
            for write in writes(call.request) {
                match write {
                    Write::Delete(delete) => {
                        let deletions = self.deletions.entry(&delete.path).or_default();
                        deletions.push((call.invoked, call.returned()));
                    }
                    Write::Create(create) if !is_sequential(create) => {
                        *self.creators.entry(&create.path).or_default() += 1;
                    }
                    Write::Create(_) | Write::Set(_) => {}
                }
            }
        }
        for (moment, step) in self.calls.steps() {
            if let Step::Opened(connection, true) = step {
                let lived = self.lived.entry(self.calls.connection(connection).session).or_insert(moment);
                *lived = (*lived).max(moment);
            }
        }
    }

    fn end(&mut self, session: i64, moment: Moment, why: Why<'a>) {
        self.over.entry(session).or_insert((moment, why));
    }

    fn returned(&mut self, index: CallIndex, moment: Moment) {
        let calls = self.calls;
        let call = calls.call(index);
        if matches!(call.request, Request::CloseSession) && call.succeeded() {
            self.end(call.session, moment, Why::Ended(Ending::Closed));
        }
        for sight in &call.sights {
            self.judge_presence(call, sight, moment);
        }
        let absent: BTreeSet<Place<'a>> =
            call.sights.iter().flat_map(|sight| self.absent(call, sight, moment)).collect();
        for place in absent {
            self.judge_absence(call, place, moment);
        }
        self.note_created(call, moment);
    }

    /// What is shown as an ephemeral of a session must not be there after that session's end.
    fn judge_presence(&mut self, call: &Call<'a>, sight: &Sight<'a>, moment: Moment) {
        if let Some(stat) = sight.stat().filter(|stat| stat.ephemeral_owner != 0) {
            self.report.owners += 1;
            self.judge_owner(call, stat.ephemeral_owner, sight.path, moment);
        }
        if let Shown::Names(names, _) = sight.shown {
            let known: Vec<_> = names
                .iter()
                .filter_map(|name| Some((name, self.ephemerals.get(&(sight.path, name))?.session)))
                .collect();
            self.report.owners += known.len();
            for (name, owner) in known {
                if self.over.contains_key(&owner) && !self.restarted.contains(sight.path) {
                    let path = path::join(sight.path, name);
                    if self.creators.get(&*path).is_none_or(|creators| *creators <= 1) {
                        self.judge_owner(call, owner, &path, moment);
                    }
                }
            }
        }
    }

    fn judge_owner(&mut self, call: &Call<'a>, owner: i64, path: &str, moment: Moment) {
        if let Some((over, why)) = self.over.get(&owner).filter(|(over, _)| *over < call.invoked) {
            let text = format!(
                "call {} shows {path}, an ephemeral of session {owner:#x}; {why} at entry {over}, before the call was sent",
                call.id.0
            );
            self.report.accuse(self.calls, Rule::EphemeralStays, call.session, moment, text);
        }
    }

    /// The ephemerals that a sight shows to be absent with their session.
    fn absent(&mut self, call: &Call<'a>, sight: &Sight<'a>, moment: Moment) -> Vec<Place<'a>> {
        let mut missing: Vec<Place<'a>> = Vec::new();
        match sight.shown {
            Shown::Absent if sight.change.is_none() => {
                missing.extend(place(sight.path).filter(|place| self.ephemerals.contains_key(place)));
            }
            Shown::Names(names, _) => {
                let below = self.ephemerals.range((sight.path, "")..).map(|(place, _)| *place);
                let mut below = below.take_while(|(parent, _)| *parent == sight.path).peekable();
                if below.peek().is_some() {
                    let names: FxHashSet<&str> = names.iter().collect();
                    missing.extend(below.filter(|(_, name)| !names.contains(name)));
                }
            }
            _ => {}
        }
        missing.retain(|place| {
            self.ephemerals.get(place).is_some_and(|ephemeral| ephemeral.returned < call.invoked)
        });
        missing.retain(|place| !self.forget_deleted(*place, moment));
        missing
    }

    /// Whether somebody may have deleted an ephemeral; then nothing is known of it any more.
    fn forget_deleted(&mut self, place: Place<'a>, moment: Moment) -> bool {
        let Some(ephemeral) = self.ephemerals.get(&place) else { return true };
        let path = path::join(place.0, place.1);
        let meets = |(invoked, returned): &(Moment, Option<Moment>)| {
            *invoked < moment && returned.is_none_or(|returned| returned > ephemeral.invoked)
        };
        let deleted = self.deletions.get(&*path).is_some_and(|deletions| deletions.iter().any(meets));
        if deleted {
            self.ephemerals.remove(&place);
        }
        deleted
    }

    fn judge_absence(&mut self, call: &Call<'a>, place: Place<'a>, moment: Moment) {
        let Some(Ephemeral { session, returned, .. }) = self.ephemerals.remove(&place) else { return };
        let path = path::join(place.0, place.1);
        let id = call.id.0;
        self.report.absences += 1;
        if let Some(lived) = self.lived.get(&session).copied().filter(|lived| *lived > moment) {
            let text = format!(
                "call {id} shows {path} absent, an ephemeral of session {session:#x} that was created at entry {returned} \
                 and that nobody has deleted; the session lived at entry {lived}"
            );
            return self.report.accuse(self.calls, Rule::EphemeralGone, call.session, moment, text);
        }
        let shows = |sight: &&Sight| sight.stat().is_some_and(|stat| stat.ephemeral_owner == session);
        if let Some(other) = call.sights.iter().find(shows) {
            let text = format!(
                "call {id} shows, at one point, {} of session {session:#x} there and {path} of the same session absent",
                other.path
            );
            self.report.accuse(self.calls, Rule::EphemeralsHalf, call.session, moment, text);
        }
        self.end(session, moment, Why::Absent(place));
    }

    /// Notes the ephemerals that a call has created.
    fn note_created(&mut self, call: &Call<'a>, returned: Moment) {
        let creates = writes(call.request).into_iter().filter_map(|write| match write {
            Write::Create(create) => Some(create),
            Write::Delete(_) | Write::Set(_) => None,
        });
        let created = call.sights.iter().filter(|sight| sight.change == Some(Change::Created));
        for (_, sight) in creates.zip(created).filter(|(create, _)| is_ephemeral(create)) {
            let ephemeral = Ephemeral { session: call.session, invoked: call.invoked, returned };
            if let Some(place) = place(sight.path) {
                self.ephemerals.insert(place, ephemeral);
            }
        }
    }
}

fn place(path: &str) -> Option<Place<'_>> {
    path::split(path).filter(|_| path != path::ROOT)
}

/// Whether the reply to a call proves that its session lived when it was sent.
fn proves_life(call: &Call<'_>) -> bool {
    let changed = call.sights.iter().any(|sight| sight.change.is_some());
    changed || (matches!(call.request, Request::SetAcl { .. }) && call.succeeded())
}

#[cfg(test)]
mod tests {
    use super::Rule;
    use crate::sim::checkers::sessions::script::{
        DONE, NO_NODE, Script, create, delete, ephemeral, get, list, multi_read, names, owned, path, results,
        set, wrote,
    };
    use crate::sim::checkers::sessions::tests::rules;
    use volery::wire::{Reply, Request};

    /// Client 0, whose session is 1, has the ephemerals /e/a and /f/b.
    fn script() -> Script {
        let mut script = Script::with_clients(2);
        script.done(0, ephemeral("/e/a"), path("/e/a"));
        script.done(0, ephemeral("/f/b"), path("/f/b"));
        script
    }

    fn there(script: &mut Script, path: &str) {
        script.done(1, get(path), Ok(Reply::Data { data: None, stat: owned(1) }));
    }

    #[test]
    fn they_are_there_and_then_gone() {
        let mut script = script();
        there(&mut script, "/e/a");
        script.done(1, list("/f"), names(1, &["b"]));
        script.expire(0);
        script.done(1, get("/e/a"), NO_NODE);
        script.done(1, list("/f"), names(1, &[]));
        assert_eq!(rules(&script), []);
    }

    #[test]
    fn one_that_is_gone_while_its_session_lives_is_seen() {
        for request in [get("/e/a"), list("/e")] {
            let mut script = script();
            let shown = if request == get("/e/a") { NO_NODE } else { names(1, &["c"]) };
            script.done(1, request, shown);
            assert_eq!(rules(&script), [], "the session may be over");
            script.done(0, set("/x", "1"), wrote(10));
            assert_eq!(rules(&script), [Rule::EphemeralGone]);
        }
    }

    #[test]
    fn a_session_that_is_opened_again_lived() {
        let mut script = script();
        script.done(1, get("/e/a"), NO_NODE);
        script.move_on(0);
        assert_eq!(rules(&script), [Rule::EphemeralGone]);
    }

    #[test]
    fn a_request_that_was_sent_before_proves_nothing() {
        let mut script = script();
        let write = script.send(0, set("/x", "1"));
        script.done(1, get("/e/a"), NO_NODE);
        script.answer(0, write, wrote(10));
        assert_eq!(rules(&script), []);
    }

    #[test]
    fn whoever_asks_to_delete_excuses_it() {
        let mut script = script();
        script.send(1, delete("/e/a"));
        script.lose(1);
        script.open(1, 9);
        script.done(1, get("/e/a"), NO_NODE);
        script.done(0, set("/x", "1"), wrote(10));
        assert_eq!(rules(&script), []);
    }

    #[test]
    fn a_deletion_that_was_answered_before_the_create_excuses_nothing() {
        let mut script = Script::with_clients(2);
        script.done(1, delete("/e/a"), NO_NODE);
        script.done(0, ephemeral("/e/a"), path("/e/a"));
        script.done(1, get("/e/a"), NO_NODE);
        script.done(0, set("/x", "1"), wrote(10));
        assert_eq!(rules(&script), [Rule::EphemeralGone]);
    }

    #[test]
    fn one_that_outlives_its_session_is_seen() {
        let ends: [fn(&mut Script); 2] =
            [|script| script.expire(0), |script| script.done(0, Request::CloseSession, DONE)];
        for end in ends {
            let mut script = script();
            let early = script.send(1, get("/e/a"));
            end(&mut script);
            script.answer(1, early, Ok(Reply::Data { data: None, stat: owned(1) }));
            assert_eq!(rules(&script), [], "sent before the end");
            there(&mut script, "/e/a");
            script.done(1, list("/f"), names(1, &["b"]));
            assert_eq!(rules(&script), [Rule::EphemeralStays, Rule::EphemeralStays]);
        }
    }

    #[test]
    fn a_name_that_another_may_have_created_is_nobodys() {
        let mut script = script();
        script.expire(0);
        script.send(1, create("/f/b", "x"));
        script.done(1, list("/f"), names(1, &["b"]));
        assert!(!rules(&script).contains(&Rule::EphemeralStays));
    }

    #[test]
    fn half_of_them_at_one_point_is_seen() {
        let judged = |stats: &[_]| {
            let mut script = script();
            script.done(1, multi_read(&["/e/a", "/f/b"]), results(stats));
            rules(&script)
        };
        assert_eq!(judged(&[Some(owned(1)), Some(owned(1))]), []);
        assert_eq!(judged(&[None, None]), []);
        assert_eq!(judged(&[None, Some(owned(1))]), [Rule::EphemeralsHalf]);
        assert_eq!(judged(&[Some(owned(1)), None]), [Rule::EphemeralsHalf]);
    }

    #[test]
    fn one_that_is_there_after_another_was_gone_is_seen() {
        let mut script = script();
        script.done(1, get("/e/a"), NO_NODE);
        there(&mut script, "/f/b");
        assert_eq!(rules(&script), [Rule::EphemeralStays]);
        let mut script = self::script();
        let [gone, other] = [script.send(1, get("/e/a")), script.send(1, get("/f/b"))];
        script.answer(1, gone, NO_NODE);
        script.answer(1, other, Ok(Reply::Data { data: None, stat: owned(1) }));
        assert_eq!(rules(&script), [], "both were sent at the same time");
    }
}
