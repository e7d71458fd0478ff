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
    /// One node after the other is killed.
    Turns(Turns),
    /// Each node in turn is stopped, with its connections standing, and goes on.
    Pauses {
        /// How long it is stopped.
        length: Duration,
    },
}

/// One node after the other is killed, and is dead for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turns {
    /// How often a node is killed.
    pub kills: u32,
    /// From one kill to the next, at the least: nobody is killed while a node is not back.
    pub every: Duration,
    /// From a kill to the start of the same node; shorter than `every`.
    pub dead: Duration,
    /// It must take less than this until a write is acknowledged again.
    pub silence_max: Option<Duration>,
}

impl Turns {
    /// As many kills as fit into a time, one at the least.
    pub fn within(total: Duration, every: Duration, dead: Duration, silence_max: Option<Duration>) -> Turns {
        let kills = total.as_millis() / every.as_millis().max(1);
        Turns { kills: u32::try_from(kills).unwrap_or(u32::MAX).max(1), every, dead, silence_max }
    }

    /// Judges the longest time without an acknowledgement from the kill of `node` to the next.
    pub fn judge_silence(&self, node: usize, silence: Duration) -> Option<Violation> {
        let allowed = self.silence_max.filter(|allowed| silence >= *allowed)?;
        let (silent_ms, allowed_ms) = (silence.as_millis(), allowed.as_millis());
        Some(Violation::SilentTooLong { node: node + 1, silent_ms, allowed_ms })
    }
}

impl Phase {
    /// How many faults there are, given how many nodes.
    pub fn faults(&self, nodes: usize) -> usize {
        match self {
            Phase::Together { kills, .. } | Phase::Turns(Turns { kills, .. }) => *kills as usize,
            Phase::Pauses { .. } => nodes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_of_what_is_allowed_is_seen_and_nothing_is_where_it_is_only_printed() {
        let [second, every] = [1, 12].map(Duration::from_secs);
        let turns = |silence_max| Turns { kills: 1, every, dead: second, silence_max };
        let short = Duration::from_millis(2_999);
        let allowed = turns(Some(3 * second));
        assert_eq!(allowed.judge_silence(1, short), None);
        let seen = allowed.judge_silence(1, 3 * second).unwrap().to_string();
        assert_eq!(seen, "node 2 was killed, and no write was acknowledged for 3000 ms, of 3000");
        assert_eq!(turns(None).judge_silence(1, 60 * second), None);
    }

    #[test]
    fn turns_fill_their_time_with_one_at_the_least() {
        let kills = |total: u64| {
            let (total, every) = (Duration::from_secs(total), Duration::from_secs(12));
            Turns::within(total, every, Duration::from_secs(6), None).kills
        };
        assert_eq!([kills(600), kills(40), kills(5)], [50, 3, 1]);
    }
}
