//! What happened in a run, or in many, counted.

use eyrie::sim::Misfortune;
use std::collections::BTreeMap;
use std::fmt;

/// Counts.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Of the runs' own time, in microseconds.
    pub simulated_us: u64,
    /// Misfortunes, by kind.
    pub met: BTreeMap<Misfortune, u64>,
    /// Requests that were answered.
    pub returned: u64,
    /// Requests that were not.
    pub unknown: u64,
    /// Watches that fired.
    pub notified: u64,
    /// Commands executed by partitions.
    pub executed: u64,
    /// Histories judged from outside: of one znode, or of a few together.
    pub histories: u64,
    /// Histories on which the judge gave up.
    pub given_up: u64,
    /// How often each rare branch was reached, by name.
    pub reached: BTreeMap<&'static str, u64>,
}

impl Counts {
    /// Adds another run's.
    pub fn add(&mut self, other: Counts) {
        for (kind, times) in other.met {
            *self.met.entry(kind).or_default() += times;
        }
        for (branch, times) in other.reached {
            *self.reached.entry(branch).or_default() += times;
        }
        self.simulated_us += other.simulated_us;
        self.returned += other.returned;
        self.unknown += other.unknown;
        self.notified += other.notified;
        self.executed += other.executed;
        self.histories += other.histories;
        self.given_up += other.given_up;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { simulated_us, met, returned, unknown, notified, executed, histories, given_up, .. } =
            self;
        let (hours, met) = (*simulated_us as f64 / 3.6e9, met.values().sum::<u64>());
        write!(f, "{hours:.2} simulated hours, {met} misfortunes, {returned} requests answered, ")?;
        write!(f, "{unknown} without an answer, {notified} watches fired, {executed} commands executed, ")?;
        write!(f, "{histories} histories judged, {given_up} given up")
    }
}
