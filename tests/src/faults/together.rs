//! All nodes are killed at once.

use super::Faults;
use crate::violation::Violation;
use std::time::Duration;

impl Faults<'_> {
    /// Kills and restarts all nodes again and again. `fault` is what that is: where disks lose what is not synced, a kill is
    /// a power failure.
    pub(super) fn together(&mut self, fault: &str, count: u32, between: Duration) -> Result<(), Violation> {
        let nodes = self.cluster.count();
        let whom = if nodes == 1 { String::new() } else { format!(" of all {nodes} nodes") };
        let mut longest = Duration::ZERO;
        for number in 1..=count {
            self.load(between)?;
            let (up, back) = self.restart_and_wait()?;
            longest = longest.max(self.world.record.take_silence());
            let line = format!(
                "{fault} {number}/{count}{whom}: up after {} ms, acknowledging after {} ms",
                up.as_millis(),
                back.as_millis()
            );
            self.report.fault(&line, &self.world.record);
        }
        self.report.phase(&format!("each {fault}{whom}"), longest, None);
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
}
