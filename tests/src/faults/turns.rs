//! One node after the other is killed.

use super::{Faults, process_fault};
use crate::schedule::Turns;
use crate::violation::Violation;
use std::time::{Duration, Instant};

impl Faults<'_> {
    /// Kills one node after the other, each as often as planned, and judges for how long no write was acknowledged.
    pub(super) fn turns(&mut self, turns: &Turns) -> Result<(), Violation> {
        self.load(turns.every - turns.dead)?;
        let mut longest = Duration::ZERO;
        for kill in 0..turns.kills {
            let node = kill as usize % self.cluster.count();
            let back = self.kill_and_restart(node, turns)?;
            let silence = self.world.record.take_silence();
            longest = longest.max(silence);
            let violation = turns.judge_silence(node, silence);
            violation.into_iter().for_each(|violation| self.world.record.violate(violation));
            let line = format!(
                "kill {}/{} of node {}: longest without an acknowledgement {} ms, answering {} ms after its restart",
                kill + 1,
                turns.kills,
                node + 1,
                silence.as_millis(),
                back.as_millis()
            );
            self.report.fault(&line, &self.world.record);
        }
        self.report.phase("killed in turns", longest, turns.silence_max);
        Ok(())
    }

    /// One turn, up to where the next may begin. Returns how long the node needed to answer after its restart.
    fn kill_and_restart(&mut self, node: usize, turns: &Turns) -> Result<Duration, Violation> {
        let killed = self.begin();
        self.cluster.kill(node).map_err(process_fault)?;
        self.wait_until(killed + turns.dead)?;
        let before = self.world.nodes[node].answers();
        let restarted = Instant::now();
        self.cluster.restart(node).map_err(process_fault)?;
        self.wait_for_answer(node, before)?;
        let back = restarted.elapsed();
        self.wait_until(killed + turns.every)?;
        Ok(back)
    }
}
