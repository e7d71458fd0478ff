//! Misfortunes: what goes wrong in a run, drawn from its seed.
//!
//! A run does not meet everything: it draws which kinds it meets, and how often (*swarm testing*: Groce et al., ISSTA 2012). So a
//! kind that hides another one, such as deaths that leave no time for slow disks, does not do so in all runs.

use rand::Rng as _;
use rand::rngs::SmallRng;
use std::collections::BTreeMap;

/// A kind of misfortune.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Misfortune {
    /// A process dies, and what it held in memory with it.
    Kill,
    /// A machine loses power: what was not synced may be lost, torn or there.
    PowerLoss,
    /// All machines lose power.
    Blackout,
    /// A process stands still for a while.
    Pause,
    /// All connections between two nodes break.
    BreakLinks,
    /// All clients' connections to a node break.
    BreakClients,
    /// Nothing arrives in one direction between two nodes.
    CutOneWay,
    /// Nothing arrives in either direction between two nodes.
    CutPair,
    /// A node is cut off from all others.
    Isolate,
    /// The nodes fall in two parts.
    Split,
    /// The network becomes slow and uneven.
    SlowNetwork,
    /// A disk becomes slow.
    SlowDisk,
    /// A disk fails to sync, once.
    FailedSync,
    /// A disk is full.
    FullDisk,
    /// A disk fails to read for a while, or gives other bytes than it holds until its process ends.
    FailedRead,
    /// A bit of what a disk holds flips, on one machine only.
    Rot,
    /// A disk is replaced by an empty one, on one machine only.
    BlankDisk,
    /// A copy of what a disk holds is made, and the next time the disk is replaced by that copy, on one machine only; then the
    /// machine starts more often than its peers had met it.
    OlderCopy,
    /// All files of a log, the newest file of it, or its identity are lost, on one machine only.
    LostPiece,
    /// A wall clock leaps, or leaps back.
    ClockLeap,
    /// A machine is started again with a wall clock that is wrong.
    ClockAtStart,
    /// The wall clocks of a majority of the machines, or of all, leap alike, and back after a while.
    ClocksLeap,
}

use Misfortune::*;

impl Misfortune {
    /// All kinds.
    pub const ALL: [Misfortune; 22] = [
        Kill,
        PowerLoss,
        Blackout,
        Pause,
        BreakLinks,
        BreakClients,
        CutOneWay,
        CutPair,
        Isolate,
        Split,
        SlowNetwork,
        SlowDisk,
        FailedSync,
        FullDisk,
        FailedRead,
        Rot,
        BlankDisk,
        OlderCopy,
        LostPiece,
        ClockLeap,
        ClockAtStart,
        ClocksLeap,
    ];

    /// Whether it costs a machine for good: a run has at most one such.
    pub fn is_for_good(self) -> bool {
        matches!(self, Rot | BlankDisk | OlderCopy | LostPiece)
    }
}

/// By how much a clock is ahead that has leapt: seconds, hours, 70 or 250 years, either way.
pub(super) fn leap_ms(rng: &mut SmallRng) -> i64 {
    const YEAR_MS: i64 = 365 * 86_400_000;
    let ahead_ms = match rng.random_range(0..5) {
        0 => rng.random_range(4_000..60_000),
        1 | 2 => rng.random_range(3_600_000..24 * 3_600_000),
        3 => 70 * YEAR_MS,
        _ => 250 * YEAR_MS,
    };
    if rng.random() { ahead_ms } else { -ahead_ms }
}

/// Which kinds a run meets, and the mean time between two of a kind, in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swarm(pub BTreeMap<Misfortune, u64>);

impl Swarm {
    /// A run in which nothing goes wrong.
    pub fn calm() -> Swarm {
        Swarm::default()
    }

    /// Draws kinds and how often they come.
    pub fn draw(rng: &mut SmallRng) -> Swarm {
        let mut swarm = Swarm::default();
        for kind in Misfortune::ALL {
            let chance = if kind.is_for_good() { 0.08 } else { 0.3 };
            if rng.random_bool(chance) {
                swarm.0.insert(kind, rng.random_range(1_000..12_000));
            }
        }
        swarm
    }

    /// When the next one of each kind comes, from now on.
    pub(super) fn wait_us(&self, kind: Misfortune, rng: &mut SmallRng) -> Option<u64> {
        let mean_ms = *self.0.get(&kind)?;
        Some(rng.random_range(0..2_000 * mean_ms))
    }
}
