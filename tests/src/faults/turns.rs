//! One node after the other is killed.

use super::{Faults, process_fault};
use crate::schedule::Spells;
use crate::violation::Violation;
use std::time::Duration;

impl Faults<'_> {
    /// Kills one node after the other, each as often as planned, and judges for how long no write was acknowledged.
    pub(super) fn turns(&mut self, spells: &Spells) -> Result<(), Violation> {
        self.load(spells.every - spells.length)?;
        let mut longest = Duration::ZERO;
        for kill in 0..spells.count {
            let node = kill as usize % self.cluster.count();
            let back = self.kill_and_restart(node, spells)?;
            let fault = format!("node {} was killed", node + 1);
            let silence = self.end_spell(spells, &fault);
            longest = longest.max(silence);
            let line = format!(
                "kill {}/{} of node {}: longest without an acknowledgement {} ms, answering {} ms after its restart",
                kill + 1,
                spells.count,
                node + 1,
                silence.as_millis(),
                back.as_millis()
            );
            self.report.fault(&line, &self.world.record);
        }
        self.report.phase("killed in turns", longest, spells.silence_max);
        Ok(())
    }

    /// One turn, up to where the next may begin. Returns how long the node needed to answer after its restart.
    fn kill_and_restart(&mut self, node: usize, spells: &Spells) -> Result<Duration, Violation> {
        let killed = self.begin();
        self.cluster.kill(node).map_err(process_fault)?;
        self.wait_until(killed + spells.length)?;
        let back = self.restart_and_wait_for(node)?;
        self.wait_until(killed + spells.every)?;
        Ok(back)
    }
}
