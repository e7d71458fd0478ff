//! The leader of one partition killed: how long that partition is away, and what the others notice.

use super::Options;
use super::drill::Drill;
use super::round::Round;
use crate::failure::Failure;
use crate::lab::Lab;
use std::time::Duration;

/// Each node leads one of as many partitions.
const NODES: u16 = 3;
const PARTITIONS: usize = 3;
/// For so long after the kill the others' rate is compared with that before.
const DIP: Duration = Duration::from_secs(2);
/// So long is looked for the end of an outage; one of more is told as this.
const OUTAGE_MAX: Duration = Duration::from_secs(6);

impl Options {
    /// One round, on a cluster of its own. The rounds kill the nodes in turn, since one of them leads the shared ring too.
    pub(super) fn leader_killed(&self, lab: &mut Lab, round: usize) -> Result<Round, Failure> {
        let partition = round % PARTITIONS;
        let mut subject = lab.volery(self.volery(PARTITIONS), NODES)?;
        let cluster = subject.cluster();
        let leaders = cluster.leaders_in_turn(PARTITIONS, lab.interrupt)?;
        let killed = leaders[partition];
        let living: Vec<usize> = (0..usize::from(NODES)).filter(|node| *node != killed).collect();
        let drill = Drill {
            partitions: PARTITIONS,
            rate: self.rate,
            servers: &living,
            warm_up: self.warm_up(),
            before: self.window(),
            after: OUTAGE_MAX,
        };
        let still_lead = |cluster: &_| super::check_leaders(cluster, &leaders);
        let seen = drill.carry_out(cluster, still_lead, |cluster| cluster.kill(killed), lab.interrupt)?;
        Ok(Round::new(format!("node {} killed", killed + 1), partition, &seen, DIP))
    }
}
