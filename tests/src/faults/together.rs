//! All nodes are killed at once.

use super::Faults;
use crate::violation::Violation;
use std::time::Duration;

impl Faults<'_> {
    /// Kills and restarts all nodes again and again.
    pub(super) fn together(&mut self, kills: u32, between: Duration) -> Result<(), Violation> {
        let nodes = self.cluster.count();
        let whom = if nodes == 1 { String::new() } else { format!(" of all {nodes} nodes") };
        let mut longest = Duration::ZERO;
        for kill in 1..=kills {
            self.load(between)?;
            let (up, back) = self.restart_and_wait()?;
            longest = longest.max(self.world.record.take_silence());
            let line = format!(
                "kill {kill}/{kills}{whom}: up after {} ms, acknowledging after {} ms",
                up.as_millis(),
                back.as_millis()
            );
            self.report.fault(&line, &self.world.record);
        }
        self.report.phase("killed together", longest, None);
        self.load(between)
    }

    /// How long after a kill all nodes accepted connections, and a write was acknowledged. Returns when each answers.
    fn restart_and_wait(&mut self) -> Result<(Duration, Duration), Violation> {
        let killed = self.begin();
        self.restart_all()?;
        let up = killed.elapsed();
        self.wait_for_acknowledgement()?;
        let back = killed.elapsed();
        self.wait_for_all()?;
        Ok((up, back))
    }

    /// Waits until every node has answered once more.
    fn wait_for_all(&mut self) -> Result<(), Violation> {
        let before: Vec<u64> = self.world.nodes.iter().map(|node| node.answers()).collect();
        before.into_iter().enumerate().try_for_each(|(node, before)| self.wait_for_answer(node, before))
    }
}
