//! What goes wrong how often.

/// A kind of weather. Weights are relative to each other; times are in microseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Profile {
    /// How long the chaos lasts.
    pub(crate) chaos_us: u64,
    /// Mean time between two faults.
    pub(crate) pause_us: u64,
    /// A link breaks.
    pub(crate) breaks: u32,
    /// A link carries nothing one way, until it breaks.
    pub(crate) cuts: u32,
    /// All links of a member break for long.
    pub(crate) isolations: u32,
    /// A member loses power or is killed.
    pub(crate) crashes: u32,
    /// All members at once do.
    pub(crate) blackouts: u32,
    /// A member's disk is slow for a while.
    pub(crate) slow_disks: u32,
    /// Of a thousand messages, how many take long.
    pub(crate) late_per_mille: u32,
    /// Longest time until a broken link is back.
    pub(crate) reconnect_us: u64,
    /// A member does not run for up to so long, again and again.
    pub(crate) stalls_us: u64,
}

impl Profile {
    /// Some of everything.
    pub(crate) const MIXED: Profile = Profile {
        chaos_us: 1_500_000,
        pause_us: 60_000,
        breaks: 6,
        cuts: 3,
        isolations: 2,
        crashes: 5,
        blackouts: 1,
        slow_disks: 3,
        late_per_mille: 10,
        reconnect_us: 100_000,
        stalls_us: 0,
    };

    /// Nothing goes wrong.
    pub(crate) const CALM: Profile = Profile { late_per_mille: 0, ..Profile::MIXED };

    /// Members that wait for their processors.
    pub(crate) const SLOW: Profile = Profile { stalls_us: 60_000, ..Profile::MIXED };

    /// Power losses while much is not synced.
    pub(crate) const POWER: Profile = Profile { crashes: 8, blackouts: 4, slow_disks: 6, ..Profile::MIXED };

    /// Connections that follow each other while bytes of the old ones are still under way.
    pub(crate) const FLAPPING: Profile = Profile {
        pause_us: 15_000,
        breaks: 30,
        cuts: 1,
        isolations: 0,
        crashes: 1,
        blackouts: 0,
        late_per_mille: 60,
        reconnect_us: 3_000,
        ..Profile::MIXED
    };

    /// Candidates that die half way.
    pub(crate) const RESTARTS: Profile =
        Profile { pause_us: 30_000, crashes: 12, isolations: 4, cuts: 4, slow_disks: 2, ..Profile::MIXED };

    /// Links that lose the last thing said.
    pub(crate) const LOSSY: Profile =
        Profile { pause_us: 30_000, breaks: 20, cuts: 8, crashes: 1, blackouts: 0, ..Profile::MIXED };

    /// Members that are away for long, while much is decided.
    pub(crate) const ABSENCES: Profile = Profile {
        isolations: 10,
        crashes: 8,
        blackouts: 1,
        breaks: 4,
        cuts: 3,
        late_per_mille: 20,
        ..Profile::MIXED
    };

    pub(crate) fn weights(&self) -> u32 {
        self.breaks + self.cuts + self.isolations + self.crashes + self.blackouts + self.slow_disks
    }
}
