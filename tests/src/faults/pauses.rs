//! Each node in turn is stopped for a while, and does not know it.

use super::{Faults, process_fault};
use crate::violation::Violation;
use std::time::{Duration, Instant};

/// How long all nodes run before each pause and after the last, on average.
const BETWEEN: Duration = Duration::from_secs(5);

impl Faults<'_> {
    /// Stops every node once, and lets it go on.
    pub(super) fn pauses(&mut self, length: Duration) -> Result<(), Violation> {
        let mut longest = Duration::ZERO;
        let nodes = self.cluster.count();
        for node in 0..nodes {
            self.load(BETWEEN)?;
            let back = self.pause_and_resume(node, length)?;
            let silence = self.world.record.take_silence();
            longest = longest.max(silence);
            let line = format!(
                "pause {}/{nodes} of node {}: longest without an acknowledgement {} ms, answering {} ms after it went on",
                node + 1,
                node + 1,
                silence.as_millis(),
                back.as_millis()
            );
            self.report.fault(&line, &self.world.record);
        }
        self.report.phase("paused", longest, None);
        self.load(BETWEEN)
    }

    /// One pause. Returns how long the node needed to answer after it went on.
    fn pause_and_resume(&mut self, node: usize, length: Duration) -> Result<Duration, Violation> {
        let paused = self.begin();
        self.cluster.pause(node).map_err(process_fault)?;
        self.wait_until(paused + length)?;
        let before = self.world.nodes[node].answers();
        let resumed = Instant::now();
        self.cluster.resume(node).map_err(process_fault)?;
        self.wait_for_answer(node, before)?;
        Ok(resumed.elapsed())
    }
}
