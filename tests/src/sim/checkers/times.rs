//! # Times
//!
//! Judges the times that stats show: while the wall clocks of a majority of the machines are right, what is created or set has the
//! time at which that happened, whichever clocks are wrong and whoever leads. Where partitions have one replica, all clocks must be
//! right: its leader asks nobody before its first proposal.
//!
//! # What is taken for granted
//!
//! A leader hears within `HEARD_MS` that a clock was set right.
//!
//! # What is left out
//!
//! Whatever may have happened while fewer than a majority were right: then a wrong clock is believed.

use super::sessions::calls::Calls;
use super::sessions::sights::Change;
use super::sessions::violation::Violation;
use crate::sim::history::History;

/// By how much a time may be off: what clocks may be apart, and what they are off when they are right.
const OFF_MS_MAX: u64 = 20_000;
/// How long it takes until a leader knows that clocks are right again.
const HEARD_MS: u64 = 10_000;

/// What a time is promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// It is the time at which the change was made.
    WrongTime,
}

/// What was judged, and what is wrong.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Changes whose time was judged.
    pub judged: usize,
    /// What is wrong.
    pub violations: Vec<Violation<Rule>>,
}

/// Judges a history's times. The run began at `epoch_ms`; in these spans of it fewer than a majority of the clocks were right.
pub fn check_times(history: &History, epoch_ms: u64, wrong_us: &[(u64, u64)]) -> Report {
    let calls = Calls::of(history);
    let mut report = Report::default();
    for call in &calls.calls {
        let Some(returned) = call.returned() else { continue };
        let (from_ms, until_ms) = (calls.time_ms(call.invoked), calls.time_ms(returned));
        let is_wrong = |(from_us, to_us): &(u64, u64)| {
            from_us / 1_000 <= until_ms && from_ms <= (to_us / 1_000).saturating_add(HEARD_MS)
        };
        if wrong_us.iter().any(is_wrong) {
            continue;
        }
        let changes = |change| matches!(change, Some(Change::Created | Change::Set));
        for sight in call.sights.iter().filter(|sight| changes(sight.change)) {
            let Some(stat) = sight.stat() else { continue };
            report.judged += 1;
            let least = (epoch_ms + from_ms).saturating_sub(OFF_MS_MAX);
            let most = epoch_ms + until_ms + OFF_MS_MAX;
            let is_right = u64::try_from(stat.mtime).is_ok_and(|mtime| (least..=most).contains(&mtime));
            if !is_right {
                let text = format!(
                    "call {} changed {} between {} and {} ms of the run, and its time is {} ms from the beginning",
                    call.id.0,
                    sight.path,
                    from_ms,
                    until_ms,
                    stat.mtime.saturating_sub_unsigned(epoch_ms),
                );
                report.violations.push(Violation::new(&calls, Rule::WrongTime, call.session, returned, text));
            }
        }
    }
    report
}

#[cfg(test)]
mod tests {
    use super::super::sessions::script::{Script, set, stat};
    use super::*;
    use volery::wire::{Reply, Stat};

    const EPOCH_MS: u64 = 1_000_000;

    fn judged(mtime_ms: u64, wrong_us: &[(u64, u64)]) -> (usize, usize) {
        let mut script = Script::with_clients(1);
        let mtime = mtime_ms as i64;
        script.done(0, set("/a", "x"), Ok(Reply::Stat(Stat { mtime, ..stat(1, 2, 1) })));
        let report = check_times(&script.history, EPOCH_MS, wrong_us);
        (report.judged, report.violations.len())
    }

    #[test]
    fn a_change_has_its_own_time() {
        assert_eq!(judged(EPOCH_MS + 5, &[]), (1, 0));
        assert_eq!(judged(EPOCH_MS - OFF_MS_MAX - 1, &[]), (1, 1));
        assert_eq!(judged(EPOCH_MS + 2 * OFF_MS_MAX, &[]), (1, 1));
    }

    #[test]
    fn nothing_is_judged_while_most_clocks_are_wrong() {
        assert_eq!(judged(0, &[(0, u64::MAX)]), (0, 0));
        assert_eq!(judged(0, &[(0, 0)]), (0, 0), "nor just after");
        assert_eq!(judged(0, &[(1_000_000_000, u64::MAX)]), (1, 1));
    }
}
