//! Carries a schedule out: faults under load, one kind after the other, and waits for what must follow each.

#![allow(clippy::disallowed_methods, reason = "waits between faults, and for nodes")]

mod absences;
mod cuts;
mod episode;
mod full_disks;
mod latencies;
mod lost_pieces;
mod pauses;
mod sizes;
mod together;
mod turns;

use crate::cluster::Cluster;
use crate::report::Report;
use crate::schedule::{Phase, Spells};
use crate::violation::Violation;
use crate::workload::World;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::io;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long a restarted node may take to answer, and the service to acknowledge a write.
pub(crate) const RECOVERY_MAX: Duration = Duration::from_secs(60);
/// How often a waiting thread looks.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// A cluster under load, and who hears of its faults.
pub(crate) struct Faults<'a> {
    cluster: &'a mut Cluster,
    world: &'a World,
    report: &'a mut Report,
    rng: SmallRng,
}

impl<'a> Faults<'a> {
    /// Nothing has been done yet; `seed` decides what is left to chance.
    pub(crate) fn new(
        cluster: &'a mut Cluster,
        world: &'a World,
        report: &'a mut Report,
        seed: u64,
    ) -> Faults<'a> {
        Faults { cluster, world, report, rng: SmallRng::seed_from_u64(seed) }
    }

    /// Carries out one phase after the other. The error is why the service does not stand in the end.
    pub(crate) fn carry_out(&mut self, phases: &[Phase]) -> Result<(), Violation> {
        (0..self.cluster.count()).try_for_each(|node| self.wait_for_answer(node, 0))?;
        self.world.record.begin();
        phases.iter().try_for_each(|phase| match phase {
            Phase::Together { kills, between } => self.together("kill", *kills, *between),
            Phase::Turns(spells) => self.turns(spells),
            Phase::Pauses { length } => self.pauses(*length),
            Phase::PowerFailures { failures, between } => self.together("power failure", *failures, *between),
            Phase::Cuts(spells) => self.cuts(spells),
            Phase::FullDisks(spells) => self.full_disks(spells),
            Phase::LostPieces(spells) => self.lost_pieces(spells),
            Phase::Sizes(spells) => self.sizes(spells),
            Phase::Absences(absences) => self.absences(absences),
        })
    }

    /// Prints one line.
    pub(crate) fn say(&mut self, line: &str) {
        self.report.say(line);
    }

    /// Kills and restarts all nodes; all timeouts start afresh.
    pub(crate) fn restart_all(&mut self) -> Result<(), Violation> {
        self.cluster.restart_all().map_err(process_fault)?;
        self.world.is_up();
        Ok(())
    }

    /// The next fault begins, and a new window for the longest time without an acknowledgement.
    fn begin(&self) -> Instant {
        self.world.round.fetch_add(1, Ordering::SeqCst);
        self.world.record.take_silence();
        Instant::now()
    }

    /// Lets the clients work for a while, half to one and a half times as long as said.
    fn load(&mut self, average: Duration) -> Result<(), Violation> {
        let length = average.mul_f64(self.rng.random_range(0.5..1.5));
        self.wait_until(Instant::now() + length)
    }

    /// Lets the clients work until then. No node may end by itself.
    fn wait_until(&mut self, deadline: Instant) -> Result<(), Violation> {
        self.wait_for(deadline, |_| false).map(drop)
    }

    /// Waits until a node has answered more often than `before`.
    fn wait_for_answer(&mut self, node: usize, before: u64) -> Result<(), Violation> {
        let deadline = Instant::now() + RECOVERY_MAX;
        let has_answered = self.wait_for(deadline, |world| world.nodes[node].answers() > before)?;
        let silent = Violation::NodeSilent { node: node + 1, seconds: RECOVERY_MAX.as_secs() };
        if has_answered { Ok(()) } else { Err(silent) }
    }

    /// Starts a node that has ended, and returns how long it needed to answer.
    fn restart_and_wait_for(&mut self, node: usize) -> Result<Duration, Violation> {
        let before = self.world.nodes[node].answers();
        let restarted = Instant::now();
        self.cluster.restart(node).map_err(process_fault)?;
        self.wait_for_answer(node, before)?;
        Ok(restarted.elapsed())
    }

    /// Waits until every node has answered once more.
    fn wait_for_all(&mut self) -> Result<(), Violation> {
        let before: Vec<u64> = self.world.nodes.iter().map(|node| node.answers()).collect();
        before.into_iter().enumerate().try_for_each(|(node, before)| self.wait_for_answer(node, before))
    }

    /// Ends the window of a spell, and returns its longest silence, which is judged; `fault` says what happened.
    fn end_spell(&self, spells: &Spells, fault: &str) -> Duration {
        let silence = self.world.record.take_silence();
        let violation = spells.judge_silence(fault, silence);
        violation.into_iter().for_each(|violation| self.world.record.violate(violation));
        silence
    }

    /// Waits until a write is acknowledged.
    fn wait_for_acknowledgement(&mut self) -> Result<(), Violation> {
        let before = self.world.record.acknowledged();
        let deadline = Instant::now() + RECOVERY_MAX;
        let is_acknowledging = self.wait_for(deadline, |world| world.record.acknowledged() > before)?;
        let stuck = Violation::NoProgress { seconds: RECOVERY_MAX.as_secs() };
        if is_acknowledging { Ok(()) } else { Err(stuck) }
    }

    /// Waits for a condition or the deadline, and returns whether the condition came first. No node may end by itself.
    fn wait_for(&mut self, deadline: Instant, condition: impl Fn(&World) -> bool) -> Result<bool, Violation> {
        while !condition(self.world) {
            self.cluster.check().map_err(process_fault)?;
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            std::thread::sleep(left.min(LOOK_INTERVAL));
        }
        Ok(true)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "goes into map_err")]
fn process_fault(fault: io::Error) -> Violation {
    Violation::Unexpected { what: "the server's process".to_owned(), answer: fault.to_string() }
}
