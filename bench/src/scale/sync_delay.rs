//! Throughput of nodes of one replica each whose syncs take a fixed time.

use super::{Answer, Options, SIZE, syncs_per_node};
use crate::cluster::Volery;
use crate::failure::Failure;
use crate::lab::Lab;
use crate::op::Op;
use crate::report;
use crate::shape::Shape;
use crate::trials::Trials;

/// So few that the log is the limit and not the machine.
const CONNECTIONS_PER_PARTITION: usize = 2;
const OUTSTANDING: usize = 16;
const KEYS: usize = 20;

impl Options {
    /// Each configuration is started for each of its measurements, as with cells.
    pub(super) fn sync_delay(&self, lab: &mut Lab) -> Result<Answer, Failure> {
        let Some(binary) = &self.volery_with_faults else {
            let reason = "Throughput with a sync delay is left out: --volery-with-faults names no program that has one.";
            return Ok(Answer::LeftOut(reason.to_owned(), Vec::new()));
        };
        let delay_ms = self.sync_delay_ms;
        let about = format!(
            "Each sync {delay_ms} ms longer: one node and one replica per partition, set of {SIZE} B, \
             {CONNECTIONS_PER_PARTITION} connections with {OUTSTANDING} outstanding each per partition."
        );
        let names = self.partition_names();
        let trials = Trials::measure(about, names.clone(), self.rounds as usize, |index| {
            report::progress(&format!("sync delay: {}", names[index]));
            let partitions = self.partitions[index];
            let volery = Volery { binary, partitions, replicas: Some(1), sync_delay_ms: Some(delay_ms) };
            let nodes = u16::try_from(partitions).expect("there are few partitions");
            let mut subject = lab.volery(volery, nodes)?;
            let closed = Shape::closed(CONNECTIONS_PER_PARTITION * partitions, OUTSTANDING, SIZE);
            let shape = Shape { keys: KEYS, ..closed };
            subject.load(Op::Set, &shape, None, self.lengths(), lab.interrupt)
        })?;
        // A program without the feature syncs as fast as it can, and its figures would be a raw run's.
        let syncs = trials.median(0, syncs_per_node);
        let most = 1_000.0 / delay_ms as f64;
        if syncs > most {
            let reason = format!(
                "Throughput with a sync delay is left out: the program does not have one, since it synced {syncs:.0} times \
                 per second where {most:.0} is the most."
            );
            return Ok(Answer::LeftOut(reason, Vec::new()));
        }
        Ok(Answer::Told(vec![trials], Vec::new()))
    }
}
