//! Steps: how much a replica does in one turn, counted and not timed.
//!
//! A step is a read, a write or an event of an execution, or a write or an event when it is applied. Each takes about two
//! microseconds at most. All replicas of a node together take [`STEPS_MAX`] steps in a turn, in equal shares, and one unit of work
//! more each: then the rest waits for the next turn, which comes at once. So what replicas do in a turn stays below [`TURN_US`], but
//! for what one unit of work may take; and between two turns everybody else is served: other partitions, heartbeats, connections.
//!
//! A command that takes more goes in *slices*. [`View::pause`](crate::View::pause) ends a slice of its execution, and its effects
//! are applied in slices too. Slices decide when something is done and never what: the command executes on the state at its place
//! in the sequence, because its replica executes nothing else, no read either, until it is complete.

/// How long a turn takes at most, in microseconds, without the time that the log takes: what [`STEPS_MAX`] is chosen for.
pub const TURN_US: u64 = 5_000;
/// How many steps the replicas of a node take in a turn.
pub const STEPS_MAX: u32 = 2_048;

/// How many bytes of a command are decoded in the time of a step.
const DECODED_BYTES: usize = 256;

/// The steps that a replica may still take in this turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Steps {
    left: u32,
    taken: u32,
}

impl Steps {
    /// As many as it takes.
    pub(crate) const UNLIMITED: Steps = Steps::of(u32::MAX);

    /// So many.
    pub(crate) const fn of(left: u32) -> Steps {
        Steps { left, taken: 0 }
    }

    /// How many are left.
    pub(crate) fn left(self) -> u32 {
        self.left
    }

    /// How many were taken.
    pub(crate) fn taken(self) -> u32 {
        self.taken
    }

    /// Whether none is left.
    pub(crate) fn are_spent(self) -> bool {
        self.left == 0
    }

    /// A command of so many bytes was decoded, in one unit of work: what a long one takes is taken from the rest of the turn.
    pub(crate) fn decoded(&mut self, bytes: usize) {
        let taken = self.taken;
        self.take(u32::try_from(bytes / DECODED_BYTES).unwrap_or(u32::MAX));
        self.taken = taken;
    }

    /// So many are taken. Whoever takes them may go beyond what is left, by one unit of work.
    pub(crate) fn take(&mut self, steps: u32) {
        self.left = if self.left == u32::MAX { u32::MAX } else { self.left.saturating_sub(steps) };
        self.taken = self.taken.saturating_add(steps);
    }
}
