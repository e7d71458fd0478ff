//! The trace: what happened in a run, as one number and, if wanted, as lines to read.

use rustc_hash::FxHasher;
use std::collections::VecDeque;
use std::hash::{Hash, Hasher};

/// How many lines are kept: the last ones.
pub const LINES_MAX: usize = 4_000;

/// What happened. Two runs with the same digest went alike.
#[derive(Default)]
pub struct Trace {
    hasher: FxHasher,
    lines: Option<VecDeque<String>>,
}

impl Trace {
    /// Keeps lines from now on.
    pub fn keep_lines(&mut self) {
        self.lines.get_or_insert_default();
    }

    /// Adds to the digest.
    pub fn mark(&mut self, what: impl Hash) {
        what.hash(&mut self.hasher);
    }

    /// Adds a line, if lines are kept.
    pub fn tell(&mut self, now_us: u64, line: impl FnOnce() -> String) {
        let Some(lines) = &mut self.lines else { return };
        if lines.len() == LINES_MAX {
            lines.pop_front();
        }
        lines.push_back(format!("{:>10.3} {}", now_us as f64 / 1_000.0, line()));
    }

    /// The digest of everything so far.
    pub fn digest(&self) -> u64 {
        self.hasher.finish()
    }

    /// The last lines, in order, each beginning with its time in milliseconds.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().flatten().map(String::as_str)
    }
}
