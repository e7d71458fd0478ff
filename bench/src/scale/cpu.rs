//! CPU per command as partitions grow on one node.

use super::{Answer, Options, SIZE, demands, server_cpu};
use crate::cluster::Volery;
use crate::failure::Failure;
use crate::lab::Lab;
use crate::op::Op;
use crate::report;
use crate::shape::Shape;
use crate::trials::Trials;

/// A moderate load: the node is not idle between commands, nor are its batches as large as they can be.
const CONNECTIONS: usize = 16;
const OUTSTANDING: usize = 8;

impl Options {
    /// All configurations run all the time, and one at a time is loaded: an idle one uses no CPU of another's.
    pub(super) fn cpu(&self, lab: &mut Lab) -> Result<Answer, Failure> {
        let volery = |partitions| Volery {
            binary: &self.setting.volery,
            partitions,
            replicas: None,
            sync_delay_ms: None,
        };
        let subjects = self.partitions.iter().map(|partitions| lab.volery(volery(*partitions), 1));
        let mut subjects = subjects.collect::<Result<Vec<_>, _>>()?;
        let shape = Shape::closed(CONNECTIONS, OUTSTANDING, SIZE);
        let about = format!(
            "CPU per command on one node: set of {SIZE} B, {CONNECTIONS} connections with {OUTSTANDING} outstanding each."
        );
        let names = self.partition_names();
        let trials = Trials::measure(about, names.clone(), self.rounds as usize, |index| {
            report::progress(&format!("CPU per command: {}", names[index]));
            subjects[index].load(Op::Set, &shape, None, self.lengths(), lab.interrupt)
        })?;
        let verdict = self.judge(demands::CPU, &trials, server_cpu);
        Ok(Answer::Told(vec![trials], vec![verdict]))
    }
}
