//! Campaigns: many runs, on all cores, and what they came to.

use super::counts::Counts;
use super::museum::{Exhibit, exhibits};
use super::run::{Outcome, Plan, run};
use super::scripts::Script;
use eyrie::{Branch, Fault};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// What many runs came to.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Runs.
    pub runs: u64,
    /// What happened in them.
    pub counts: Counts,
    /// What was wrong, by seed.
    pub violations: BTreeMap<u64, String>,
}

impl Totals {
    fn add(&mut self, seed: u64, outcome: Outcome) {
        self.runs += 1;
        self.counts.add(outcome.counts);
        if let Some(violation) = outcome.violation {
            self.violations.insert(seed, violation);
        }
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} seeds, {}, {} violations", self.runs, self.counts, self.violations.len())
    }
}

thread_local! {
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Has panics kept as the violations that they are, rather than printed.
pub fn keep_panics() {
    std::panic::set_hook(Box::new(|panic| PANIC.set(panic.to_string())));
}

/// One run, in which a panic is a violation too.
pub fn guarded(plan: &Plan, fault: Option<Fault>, trace: bool) -> Outcome {
    guard(fault, || run(plan, trace))
}

/// One run of a script, likewise.
pub fn follow(script: &Script, seed: u64, fault: Option<Fault>) -> Outcome {
    guard(fault, || Outcome { violation: (script.run)(seed), ..Outcome::default() })
}

fn guard(fault: Option<Fault>, run: impl FnOnce() -> Outcome) -> Outcome {
    Fault::plant(fault);
    let outcome = catch_unwind(AssertUnwindSafe(run));
    Fault::plant(None);
    let mut outcome = outcome.unwrap_or_else(|_| {
        let violation = Some(PANIC.with_borrow(Clone::clone));
        Outcome { violation, ..Outcome::default() }
    });
    outcome.counts.reached = Branch::take_reached();
    outcome
}

/// Runs the plans of the seeds from `first` on, as long as `goes_on` says so of the number of runs begun; `tell` hears of each.
pub fn carry_out(
    plan: fn(u64) -> Plan,
    first: u64,
    threads: usize,
    goes_on: impl Fn(u64) -> bool + Sync,
    tell: impl Fn(&Totals) + Sync,
) -> Totals {
    let (begun, totals) = (AtomicU64::new(0), Mutex::new(Totals::default()));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let number = begun.fetch_add(1, Ordering::Relaxed);
                    if !goes_on(number) {
                        return;
                    }
                    let outcome = guarded(&plan(first + number), None, false);
                    let mut totals = totals.lock().expect("nobody panics with it");
                    totals.add(first + number, outcome);
                    tell(&totals);
                }
            });
        }
    });
    totals.into_inner().expect("nobody panics with it")
}

/// The seeds among these whose two runs do not go alike.
pub fn unlike(first: u64, seeds: u64, threads: usize) -> Vec<u64> {
    let (next, unlike) = (AtomicU64::new(first), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + seeds {
                        return;
                    }
                    let digest = || guarded(&Plan::of(seed), None, false).digest;
                    if digest() != digest() {
                        unlike.lock().expect("nobody panics with it").push(seed);
                    }
                }
            });
        }
    });
    unlike.into_inner().expect("nobody panics with it")
}

/// The rare branches of all crates, and how often each was reached.
pub fn coverage(totals: &Totals) -> Vec<(Branch, u64)> {
    let all = [eyrie::multicast_branches::BRANCHES, eyrie::branches::BRANCHES, volery::branches::BRANCHES];
    let times = |branch: &Branch| totals.counts.reached.get(branch.name()).copied().unwrap_or_default();
    all.into_iter().flatten().map(|branch| (*branch, times(branch))).collect()
}

/// How a bug was found.
#[derive(Clone, Debug)]
pub struct Catch {
    /// The bug.
    pub fault: Fault,
    /// After how many seeds, and by which violation; nothing if it was not found.
    pub found: Option<(u64, String)>,
}

/// Looks for each bug of the museum, in at most so many seeds each; `tell` hears of each that is done with.
pub fn visit(only: Option<&str>, seeds: u64, threads: usize, tell: impl Fn(&Catch) + Sync) -> Vec<Catch> {
    let exhibits: Vec<Exhibit> = exhibits()
        .into_iter()
        .filter(|exhibit| only.is_none_or(|only| exhibit.fault.name().contains(only)))
        .collect();
    let (next, caught) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(exhibit) = exhibits.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
                    let caught_now = look_for(exhibit, seeds);
                    tell(&caught_now);
                    caught.lock().expect("nobody panics with it").push(caught_now);
                }
            });
        }
    });
    caught.into_inner().expect("nobody panics with it")
}

fn look_for(exhibit: &Exhibit, seeds: u64) -> Catch {
    let violation = |seed, planted| exhibit.show(seed, planted, false).violation;
    // What is found without the bug too is not the bug.
    let found = (0..seeds).find_map(|seed| {
        let violation_with = violation(seed, true)?;
        violation(seed, false).is_none().then_some((seed + 1, violation_with))
    });
    Catch { fault: exhibit.fault, found }
}
