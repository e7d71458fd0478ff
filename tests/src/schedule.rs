//! What is done to the nodes, and when.

use crate::violation::Violation;
use std::time::Duration;

/// Faults of one kind, one after the other under load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// All nodes are killed at once and started again.
    Together {
        /// How often.
        kills: u32,
        /// How long they run before each kill and after the last, on average.
        between: Duration,
    },
    /// One node after the other is killed, and dead for the length of a spell.
    Turns(Spells),
    /// Each node in turn is stopped, with its connections standing, and goes on.
    Pauses {
        /// How long it is stopped.
        length: Duration,
    },
    /// All nodes are killed at once, with disks that lose what is not synced, and started again.
    PowerFailures {
        /// How often.
        failures: u32,
        /// How long they run before each failure and after the last, on average.
        between: Duration,
    },
    /// The network between the nodes is bad in one way after the other.
    Cuts(Spells),
    /// A node's disk is full, which ends it.
    FullDisks(Spells),
    /// A node loses a piece of its data directory, or comes back on an older copy of it.
    LostPieces(Spells),
    /// Clients ask a node for giants and do not read.
    Sizes(Spells),
    /// One node after the other is away while much is written.
    Absences(Absences),
}

/// Absences of one node each. When it is level again another node is killed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absences {
    /// How many.
    pub count: u32,
    /// How many bytes of values are written meanwhile.
    pub bytes: u64,
    /// Whether another node is killed as soon as the one that was away is back, so that it is needed, and not when it is level.
    pub is_needed: bool,
    /// Until the node is level, no write may take longer than this to be acknowledged.
    pub silence_max: Option<Duration>,
}

impl Absences {
    /// Judges the longest time without an acknowledgement from the beginning of an absence until the node was level again.
    pub fn judge_silence(&self, fault: &str, silence: Duration) -> Option<Violation> {
        judge_silence(self.silence_max, fault, silence)
    }
}

/// Faults that last for a while each, one after the other, and always leave most nodes to go on with the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spells {
    /// How many.
    pub count: u32,
    /// From the beginning of one to that of the next, at the least: none begins while all is not well again.
    pub every: Duration,
    /// From the beginning of one to its end; shorter than `every`.
    pub length: Duration,
    /// It must take less than this until a write is acknowledged again.
    pub silence_max: Option<Duration>,
}

impl Spells {
    /// How many fit into a time, one at the least.
    pub fn within(total: Duration, every: Duration) -> u32 {
        let count = total.as_millis() / every.as_millis().max(1);
        u32::try_from(count).unwrap_or(u32::MAX).max(1)
    }

    /// Judges the longest time without an acknowledgement from the beginning of a spell to the next. `fault` says what
    /// happened, in one clause.
    pub fn judge_silence(&self, fault: &str, silence: Duration) -> Option<Violation> {
        judge_silence(self.silence_max, fault, silence)
    }
}

fn judge_silence(allowed: Option<Duration>, fault: &str, silence: Duration) -> Option<Violation> {
    let allowed = allowed.filter(|allowed| silence >= *allowed)?;
    let (silent_ms, allowed_ms) = (silence.as_millis(), allowed.as_millis());
    Some(Violation::SilentTooLong { fault: fault.to_owned(), silent_ms, allowed_ms })
}

/// What phases need of the nodes beyond being killed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Disks that lose what is not synced.
    pub volatile_disks: bool,
    /// Disks that can be filled.
    pub limited_disks: bool,
    /// A network that can be bad.
    pub network: bool,
}

impl Needs {
    /// What all of these need together.
    pub fn of(phases: &[Phase]) -> Needs {
        let any = |is_one: fn(&Phase) -> bool| phases.iter().any(is_one);
        Needs {
            volatile_disks: any(|phase| matches!(phase, Phase::PowerFailures { .. })),
            limited_disks: any(|phase| matches!(phase, Phase::FullDisks(_))),
            network: any(|phase| matches!(phase, Phase::Cuts(_))),
        }
    }
}

impl Phase {
    /// How many faults there are, given how many nodes.
    pub fn faults(&self, nodes: usize) -> usize {
        match self {
            Phase::Together { kills: count, .. } | Phase::PowerFailures { failures: count, .. } => {
                *count as usize
            }
            Phase::Turns(spells)
            | Phase::Cuts(spells)
            | Phase::FullDisks(spells)
            | Phase::LostPieces(spells)
            | Phase::Sizes(spells) => spells.count as usize,
            Phase::Pauses { .. } => nodes,
            Phase::Absences(absences) => absences.count as usize,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spells(silence_max: Option<Duration>) -> Spells {
        Spells { count: 1, every: Duration::from_secs(12), length: Duration::from_secs(6), silence_max }
    }

    #[test]
    fn a_silence_of_what_is_allowed_is_seen_and_nothing_is_where_it_is_only_printed() {
        let second = Duration::from_secs(1);
        let judge = |silence_max, silence| {
            spells(silence_max).judge_silence("node 2 was killed", silence).map(|seen| seen.to_string())
        };
        assert_eq!(judge(Some(3 * second), Duration::from_millis(2_999)), None);
        let seen = judge(Some(3 * second), 3 * second).unwrap();
        assert_eq!(seen, "node 2 was killed, and no write was acknowledged for 3000 ms, of 3000");
        assert_eq!(judge(None, 60 * second), None);
    }

    #[test]
    fn spells_fill_their_time_with_one_at_the_least() {
        let count = |total: u64| Spells::within(Duration::from_secs(total), Duration::from_secs(12));
        assert_eq!([count(600), count(40), count(5)], [50, 3, 1]);
    }

    #[test]
    fn each_phase_that_needs_something_of_the_nodes_says_so() {
        let killed = Phase::Turns(spells(None));
        assert_eq!(Needs::of(std::slice::from_ref(&killed)), Needs::default());
        let failures = Phase::PowerFailures { failures: 1, between: Duration::ZERO };
        let all = [killed, failures, Phase::Cuts(spells(None)), Phase::FullDisks(spells(None))];
        assert_eq!(Needs::of(&all), Needs { volatile_disks: true, limited_disks: true, network: true });
        assert_eq!(all.map(|phase| phase.faults(3)), [1; 4]);
    }
}
