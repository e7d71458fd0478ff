//! A node's disk is full.

use super::{Faults, LOOK_INTERVAL, RECOVERY_MAX, process_fault};
use crate::schedule::Spells;
use crate::violation::Violation;
use rand::Rng as _;
use std::time::{Duration, Instant};

impl Faults<'_> {
    /// Fills one node's disk after the other: the node ends and says why, the others go on. Then there is room again, and it
    /// is started.
    pub(super) fn full_disks(&mut self, spells: &Spells) -> Result<(), Violation> {
        self.load(spells.every - spells.length)?;
        let mut longest = Duration::ZERO;
        for number in 1..=spells.count {
            let node = self.rng.random_range(0..self.cluster.count());
            let (ended, back) = self.fill_and_restart(node, spells)?;
            let fault = format!("the disk of node {} was full", node + 1);
            let silence = self.end_spell(spells, &fault);
            longest = longest.max(silence);
            let line = format!(
                "full disk {number}/{} of node {}: it ended after {} ms, longest without an acknowledgement {} ms, \
                 answering {} ms after its restart",
                spells.count,
                node + 1,
                ended.as_millis(),
                silence.as_millis(),
                back.as_millis()
            );
            self.report.fault(&line, &self.world.record);
        }
        self.report.phase("full disks", longest, spells.silence_max);
        Ok(())
    }

    /// One full disk, up to where the next may begin. Returns when the node ended, and how long it needed to answer after
    /// its restart.
    fn fill_and_restart(&mut self, node: usize, spells: &Spells) -> Result<(Duration, Duration), Violation> {
        let filled = self.begin();
        self.cluster.set_disk_full(node, true).map_err(process_fault)?;
        self.wait_for_end(node)?;
        let ended = filled.elapsed();
        let line = self.cluster.last_words(node).map_err(process_fault)?;
        self.report.say(&format!("node {} ended: {line}", node + 1));
        if !is_clear(&line) {
            self.world.record.violate(Violation::LastWordsUnclear { node: node + 1, line });
        }
        self.wait_until(filled + spells.length)?;
        self.cluster.set_disk_full(node, false).map_err(process_fault)?;
        let back = self.restart_and_wait_for(node)?;
        self.wait_until(filled + spells.every)?;
        Ok((ended, back))
    }

    /// Waits until a node whose disk is full has ended. The others may not.
    fn wait_for_end(&mut self, node: usize) -> Result<(), Violation> {
        let deadline = Instant::now() + RECOVERY_MAX;
        while self.cluster.is_running(node) {
            if Instant::now() > deadline {
                return Err(Violation::RunsOnFullDisk { node: node + 1, seconds: RECOVERY_MAX.as_secs() });
            }
            self.wait_until(Instant::now() + LOOK_INTERVAL)?;
        }
        Ok(())
    }
}

/// Whether a line says where the disk is full, and that it is.
fn is_clear(line: &str) -> bool {
    let Some((place, reason)) = line.strip_prefix("volery serve: ").and_then(|line| line.split_once(": "))
    else {
        return false;
    };
    place.ends_with("/log") && reason.contains("no storage space")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_clear_that_says_what_and_where() {
        assert!(is_clear(
            "volery serve: /data/node-1/log: the log cannot be written: no storage space; make room"
        ));
        assert!(!is_clear("volery serve: the log cannot be written: no storage space"));
        assert!(!is_clear("volery serve: /data/node-1/log: the log cannot be written"));
        assert!(!is_clear("thread 'main' panicked at src/main.rs:1: no storage space"));
    }
}
