//! What the clients of a run do more often than is drawn, where a planted bug needs many of it.

use super::client::Manner;
use super::workload::Kind;

/// What clients do more often. Nothing, by default.
#[derive(Clone, Copy, Debug, Default)]
pub struct Emphasis {
    /// Requests, each as frequent as all that is drawn.
    pub requests: &'static [Kind],
    /// Moves to another server, in 1,000 requests.
    pub moves: u32,
    /// Absences, in 1,000 requests.
    pub absences: u32,
    /// How often a request that can set a watch does so.
    pub watched: f64,
}

impl Emphasis {
    /// A manner with these habits.
    pub fn upon(&self, manner: Manner) -> Manner {
        Manner { moves: manner.moves.max(self.moves), absences: manner.absences.max(self.absences), ..manner }
    }
}
