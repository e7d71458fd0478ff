//! # Lifetimes
//!
//! Judges znodes that the servers delete by themselves:
//!
//! - A znode with a time to live is there for that time after its creation, and after each later change of its data, unless a
//!   client may have deleted it.
//! - Once nothing has happened for longer than any time to live, it is not there; nor is a container that has had children and has
//!   none.
//!
//! # Caveats
//!
//! - The second is judged by what is asked for at the end of a run, when nobody changes anything.

use super::sessions::calls::{Call, Calls, End, Moment, Step};
use super::sessions::sights::{Change, Sight};
use super::sessions::violation::Violation;
use super::sessions::writes::{Write, writes};
use crate::sim::history::History;
use crate::sim::workload::TTL_LASTING_MS;
use rustc_hash::FxHashMap;
use volery::wire::{CreateMode, Stat};

/// By so many thousandths, and so many milliseconds, clocks may run unevenly.
const UNEVEN: u64 = 10;
const UNEVEN_MS: u64 = 20;

/// What a znode that goes by itself is promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// It is there for its time to live.
    EndedEarly,
    /// It is not there for ever.
    Outlived,
}

/// What was judged, and what is wrong.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Absent znodes that had a time to live.
    pub absences: usize,
    /// Znodes looked at in the end.
    pub looks: usize,
    /// What is wrong.
    pub violations: Vec<Violation<Rule>>,
}

/// A creation or a change of a znode with a time to live.
#[derive(Clone, Copy, Debug)]
struct Touch {
    invoked: Moment,
    returned: Moment,
    /// Until then it is there, in milliseconds of the run.
    lives_until_ms: u64,
}

/// Judges a history's lifetimes. What is asked for from `rest_ms` on comes after a rest that outlasts every time to live.
pub fn check_lifetimes(history: &History, rest_ms: Option<u64>) -> Report {
    let calls = Calls::of(history);
    let mut judge = Judge::of(&calls, rest_ms);
    for (moment, step) in calls.steps() {
        if let Step::Returned(index) = step {
            judge.returned(calls.call(index), moment);
        }
    }
    judge.report
}

struct Judge<'a, 'c> {
    calls: &'c Calls<'a>,
    rest_ms: Option<u64>,
    /// By path and creation.
    ttl_ms: FxHashMap<(&'a str, i64), u64>,
    touches: FxHashMap<&'a str, Vec<Touch>>,
    /// By path, when deletions were sent and when they were over, if they were.
    deletions: FxHashMap<&'a str, Vec<(Moment, Option<Moment>)>>,
    /// How znodes are created that the servers delete.
    mortal: FxHashMap<&'a str, CreateMode>,
    report: Report,
}

impl<'a, 'c> Judge<'a, 'c> {
    fn of(calls: &'c Calls<'a>, rest_ms: Option<u64>) -> Judge<'a, 'c> {
        let mut judge = Judge {
            calls,
            rest_ms,
            ttl_ms: FxHashMap::default(),
            touches: FxHashMap::default(),
            deletions: FxHashMap::default(),
            mortal: FxHashMap::default(),
            report: Report::default(),
        };
        for call in &calls.calls {
            for write in writes(call.request) {
                judge.note_write(call, &write);
            }
        }
        judge
    }

    fn note_write(&mut self, call: &Call<'a>, write: &Write<'a>) {
        match write {
            Write::Delete(_) => {
                // A failed one has deleted nothing, but one of a multi that failed is not told apart.
                let over = call.returned();
                self.deletions.entry(write.path()).or_default().push((call.invoked, over));
            }
            Write::Create(create) => match create.mode {
                Ok(mode @ CreateMode::Container) => drop(self.mortal.insert(&create.path, mode)),
                Ok(mode @ CreateMode::Ttl(ttl_ms)) if ttl_ms < TTL_LASTING_MS => {
                    self.mortal.insert(&create.path, mode);
                }
                _ => {}
            },
            Write::Set(_) => {}
        }
    }

    fn returned(&mut self, call: &Call<'a>, moment: Moment) {
        for (place, sight) in call.sights.iter().enumerate() {
            // A multi may change a znode twice, and what its parts show between is of its own making.
            let is_of_several = call.sights.iter().filter(|other| other.path == sight.path).count() > 1;
            let was_absent = !sight.is_there() || sight.change == Some(Change::Created);
            if was_absent && !is_of_several && sight.change != Some(Change::Deleted) {
                self.judge_absence(call, sight, moment);
            }
            self.judge_rest(call, sight, moment);
            if !call.sights[place + 1..].iter().any(|later| later.path == sight.path) {
                self.learn(call, sight, moment);
            }
        }
    }

    /// A znode is absent, or was just before it was created.
    fn judge_absence(&mut self, call: &Call<'a>, sight: &Sight<'a>, moment: Moment) {
        let Some(touches) = self.touches.get(sight.path) else { return };
        let before = touches.iter().filter(|touch| touch.returned < call.invoked);
        let Some(last) = before.max_by_key(|touch| touch.lives_until_ms).copied() else { return };
        self.report.absences += 1;
        let now_ms = self.calls.time_ms(moment);
        if now_ms < last.lives_until_ms && !self.may_be_deleted(sight.path, last.invoked, moment) {
            let text = format!(
                "call {} shows {} absent, which nobody has deleted and which lives until {} ms by the change sent at entry {}",
                call.id.0, sight.path, last.lives_until_ms, last.invoked
            );
            self.accuse(Rule::EndedEarly, call, moment, text);
        }
    }

    /// Whether a client may have deleted a znode between two moments.
    fn may_be_deleted(&self, path: &str, from: Moment, until: Moment) -> bool {
        let between = |(invoked, over): &(Moment, Option<Moment>)| {
            *invoked < until && over.is_none_or(|over| over > from)
        };
        self.deletions.get(path).is_some_and(|deletions| deletions.iter().any(between))
    }

    fn judge_rest(&mut self, call: &Call<'a>, sight: &Sight<'a>, moment: Moment) {
        let has_rested = self.rest_ms.is_some_and(|rest_ms| self.calls.time_ms(call.invoked) >= rest_ms);
        let Some(mode) = self.mortal.get(sight.path).copied().filter(|_| has_rested) else { return };
        self.report.looks += 1;
        let is_due = |stat: &Stat| match mode {
            CreateMode::Container => stat.num_children == 0 && stat.cversion > 0,
            _ => stat.num_children == 0,
        };
        if sight.stat().is_some_and(is_due) {
            let text = format!("call {} shows {}, which should have gone by itself", call.id.0, sight.path);
            self.accuse(Rule::Outlived, call, moment, text);
        }
    }

    fn learn(&mut self, call: &Call<'a>, sight: &Sight<'a>, moment: Moment) {
        let Some(stat) = sight.stat() else { return };
        match sight.change {
            Some(Change::Created) => {
                if let Some(ttl_ms) = ttl_of(call) {
                    self.ttl_ms.insert((sight.path, stat.czxid), ttl_ms);
                }
            }
            Some(Change::Set) => {}
            Some(Change::Deleted) | None => return,
        }
        let Some(ttl_ms) = self.ttl_ms.get(&(sight.path, stat.czxid)).copied() else { return };
        let (invoked, returned) = (call.invoked, moment);
        let lives_ms = (ttl_ms - ttl_ms * UNEVEN / 1_000).saturating_sub(UNEVEN_MS);
        let lives_until_ms = self.calls.time_ms(invoked) + lives_ms;
        self.touches.entry(sight.path).or_default().push(Touch { invoked, returned, lives_until_ms });
    }

    fn accuse(&mut self, rule: Rule, call: &Call<'a>, moment: Moment, text: String) {
        self.report.violations.push(Violation::new(self.calls, rule, call.session, moment, text));
    }
}

/// The time to live of what a create has made.
fn ttl_of(call: &Call<'_>) -> Option<u64> {
    let End::Returned { .. } = call.end else { return None };
    writes(call.request).iter().find_map(|write| match write {
        Write::Create(create) => match create.mode {
            Ok(CreateMode::Ttl(ttl_ms) | CreateMode::TtlSequential(ttl_ms)) if ttl_ms < TTL_LASTING_MS => {
                u64::try_from(ttl_ms).ok()
            }
            _ => None,
        },
        _ => None,
    })
}

#[cfg(test)]
mod tests;
