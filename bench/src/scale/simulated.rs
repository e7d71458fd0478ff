//! Throughput of clusters of many machines, simulated with what work takes here.
//!
//! With commands over two partitions cores are idle much of the time: a replica takes its commands in order, and each of these
//! waits there for a signal of the other partition, which may itself wait for another. S-SMR VI-D calls that the convoy
//! effect; here it is seen without the noise of a machine that all servers share.

use super::{Answer, Options, SIZE};
use crate::ceilings;
use crate::cluster::Volery;
use crate::failure::Failure;
use crate::lab::Lab;
use crate::mix::Mix;
use crate::op::{Op, Span};
use crate::outcome::{Outcome, ProcessUse};
use crate::report;
use crate::shape::{Lengths, Shape};
use crate::simulated::Simulation;
use crate::table::many;
use crate::trials::Trials;
use eyrie::sim::{self, Pace};
use std::time::Duration;

const CONNECTIONS_PER_PARTITION: usize = 50;
const OUTSTANDING: usize = 8;
/// How many of a hundred commands are over two partitions.
const GLOBAL_PERCENT: [u8; 2] = [0, 10];
/// A network of one room.
const LATENCY_US: u64 = 50;
/// About what a busy node's log writes at a time.
const SYNC_BYTES: usize = 64 << 10;

impl Options {
    /// Measured on this machine: the CPU time per set of a leader and of a follower, and a sync. What a leader takes more than a
    /// follower is for its clients.
    pub(super) fn simulated(&self, lab: &mut Lab) -> Result<Answer, Failure> {
        let pace = self.pace(lab)?;
        let mut tables = Vec::new();
        for replicas in [1, 3] {
            for percent in GLOBAL_PERCENT {
                tables.push(self.simulate(lab, pace, replicas, percent)?);
            }
        }
        Ok(Answer::Told(tables, Vec::new()))
    }

    fn pace(&self, lab: &mut Lab) -> Result<Pace, Failure> {
        report::progress("simulated: what a leader and a follower take here");
        let volery =
            Volery { binary: &self.setting.volery, partitions: 1, replicas: None, sync_delay_ms: None };
        let mut subject = lab.volery(volery, 3)?;
        let shape = Shape::closed(CONNECTIONS_PER_PARTITION, OUTSTANDING, SIZE);
        let outcome = subject.load(Op::Set, &shape, None, self.lengths(), lab.interrupt)?;
        let (serve_ns, execute_ns) = costs(&outcome);
        let sync = ceilings::syncs(lab.directory(), SYNC_BYTES, Duration::from_secs(1), lab.interrupt)?;
        Ok(Pace { serve_ns, execute_ns, sync_us: sync.p50_us.max(1), latency_us: LATENCY_US })
    }

    fn simulate(&self, lab: &Lab, pace: Pace, replicas: u16, percent: u8) -> Result<Trials, Failure> {
        let about = format!(
            "Simulated, {} of each partition, {percent} % over two partitions: set of {SIZE} B, and multis of two such, \
             {CONNECTIONS_PER_PARTITION} connections with {OUTSTANDING} outstanding each per partition, as many machines of one \
             core as partitions, at least {replicas}. {}",
            many(usize::from(replicas), "replica"),
            told(pace)
        );
        let names = self.partition_names();
        // Nothing is drawn, so another round would come to the same.
        Trials::measure(about, names.clone(), 1, |index| {
            report::progress(&format!("simulated: {} x {replicas}, {percent} % over two", names[index]));
            let partitions = self.partitions[index];
            let cluster = sim::Shape {
                nodes: partitions.max(usize::from(replicas)),
                partitions: u16::try_from(partitions).expect("there are few partitions"),
                replicas,
            };
            let load = Shape::closed(CONNECTIONS_PER_PARTITION * partitions, OUTSTANDING, SIZE);
            let op = Op::Mix(Mix::of_multis(percent), Span::Two);
            Simulation::start(cluster, pace, lab.interrupt)?.load(op, &load, self.virtual_lengths())
        })
    }

    fn virtual_lengths(&self) -> Lengths {
        let measure = Duration::from_millis(if self.quick { 50 } else { 200 });
        Lengths { warm_up: Duration::from_millis(100), measure }
    }
}

/// What the simulation was told, for people.
fn told(pace: Pace) -> String {
    let Pace { serve_ns, execute_ns, sync_us, latency_us } = pace;
    let us = |ns| ns as f64 / 1e3;
    format!(
        "Measured here: {:.2} us of CPU to serve a set, {:.2} us to log and execute it at each replica, {sync_us} us for a \
         sync. Assumed: {latency_us} us from machine to machine.",
        us(serve_ns),
        us(execute_ns)
    )
}

/// The CPU time of a leader and of a follower per set, in nanoseconds: what only the leader does, and what both do.
fn costs(outcome: &Outcome) -> (u64, u64) {
    let ns = |process: &ProcessUse| process.cpu_us as f64 * 1e3 / outcome.operations as f64;
    let mut nodes: Vec<f64> = outcome.processes[1..].iter().map(ns).collect();
    nodes.sort_by(f64::total_cmp);
    let leader = nodes.pop().expect("somebody leads");
    let follower = nodes.iter().sum::<f64>() / nodes.len() as f64;
    ((leader - follower) as u64, follower as u64)
}
