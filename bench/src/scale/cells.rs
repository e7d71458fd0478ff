//! Throughput of nodes of one replica each that are confined to a share of a core.

use super::{Answer, Options, SIZE, demands, rate};
use crate::cgroup::Quota;
use crate::cluster::Volery;
use crate::failure::Failure;
use crate::lab::{Lab, Subject};
use crate::op::Op;
use crate::report;
use crate::shape::Shape;
use crate::trials::Trials;

/// A cell sleeps most of the time, so much has to lie ready for it when it wakes.
const CONNECTIONS_PER_PARTITION: usize = 4;
const OUTSTANDING: usize = 100;
/// Few, since they are prepared by one of the confined nodes.
const KEYS: usize = 20;
impl Options {
    /// Each configuration is started for each of its measurements, since many idle nodes would use what the loaded ones
    /// need.
    pub(super) fn cells(&self, lab: &mut Lab) -> Result<Answer, Failure> {
        let quota = Quota::of_percent(self.quota_percent);
        if let Err(reason) = self.first_cell(lab, quota)? {
            let reason = format!("Cells under a CPU quota are left out: {reason}.");
            return Ok(Answer::LeftOut(reason, vec![demands::CELLS]));
        }
        let about = format!(
            "Cells of {} % of a core each ({} of every {} us): one node and one replica per partition, set of {SIZE} B, \
             {CONNECTIONS_PER_PARTITION} connections with {OUTSTANDING} outstanding each per partition.",
            self.quota_percent, quota.quota_us, quota.period_us
        );
        let names = self.partition_names();
        let trials = Trials::measure(about, names.clone(), self.rounds as usize, |index| {
            report::progress(&format!("cells: {}", names[index]));
            let partitions = self.partitions[index];
            let mut subject = self.nodes_of_one_replica(lab, partitions)?;
            subject.confine(quota)?;
            let closed = Shape::closed(CONNECTIONS_PER_PARTITION * partitions, OUTSTANDING, SIZE);
            let shape = Shape { keys: KEYS, ..closed };
            subject.load(Op::Set, &shape, None, self.lengths(), lab.interrupt)
        })?;
        let verdict = self.judge(demands::CELLS, &trials, rate);
        Ok(Answer::Told(vec![trials], vec![verdict]))
    }

    /// Whether a process can be confined here, and else why not.
    fn first_cell(&self, lab: &mut Lab, quota: Quota) -> Result<Result<(), Failure>, Failure> {
        let mut subject = self.nodes_of_one_replica(lab, 1)?;
        Ok(subject.confine(quota))
    }

    fn nodes_of_one_replica(&self, lab: &mut Lab, partitions: usize) -> Result<Subject, Failure> {
        let volery =
            Volery { binary: &self.setting.volery, partitions, replicas: Some(1), sync_delay_ms: None };
        lab.volery(volery, u16::try_from(partitions).expect("there are few partitions"))
    }
}
