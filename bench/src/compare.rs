//! Volery and ZooKeeper, one after the other, on the same machine and disk, each as a cluster of as many servers.
//!
//! Both run all the time, and only one is under load: A B A B, so that what the machine does meanwhile meets both. Each
//! is warmed before its first measurement of an operation, ZooKeeper because a cold JVM is two to three times slower,
//! Volery so that both have had the same to do. Figures are medians over the rounds; what a cluster uses is the sum over
//! its processes.
//!
//! An edge file: it reads the clock.
#![allow(clippy::disallowed_methods, reason = "the comparison says how long it took")]

use crate::client::Speaker;
use crate::cluster::{Cluster, Kind, Site, Volery};
use crate::comparison::{AtHalf, Comparison, Contestant, Rounds};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::layout::Layout;
use crate::load::{self, Target};
use crate::median::median;
use crate::op::Op;
use crate::outcome::Outcome;
use crate::ports::Ports;
use crate::report;
use crate::shape::{Lengths, Shape};
use crate::table::{many, thousands};
use std::path::Path;
use std::time::{Duration, Instant};

/// After the first warm-up of an operation, whose own measurement is thrown away.
const THROWN_AWAY: Duration = Duration::from_millis(500);

/// What to compare, and how thoroughly.
pub struct Plan {
    /// The operations.
    pub ops: Vec<Op>,
    /// The load of all of them, but for the size.
    pub shape: Shape,
    /// The sizes of values in bytes, each of which every operation is measured with.
    pub sizes: Vec<usize>,
    /// Measurements of each contestant and operation.
    pub rounds: usize,
    /// The length of a measurement.
    pub measure: Duration,
    /// Before the first measurement of each operation.
    pub warm_up: Duration,
    /// Before each measurement after the first, so that new connections are past their start.
    pub ramp: Duration,
    /// Whether to measure latencies in an open loop too, at half of ZooKeeper's median rate.
    pub at_half: bool,
    /// Servers of each contestant.
    pub nodes: u16,
    /// Volery's partitions.
    pub partitions: usize,
    /// The one to measure alone, or both.
    pub only: Option<Kind>,
}

impl Plan {
    /// Starts the contestants with their data below `directory`, compares, and stops them.
    pub fn carry_out(
        &self,
        binary: &Path,
        directory: &Path,
        interrupt: &Interrupt,
    ) -> Result<Comparison, Failure> {
        let begin = Instant::now();
        let mut ports = Ports::new();
        let mut start = |kind: Kind| {
            report::progress(&format!("starting {}", kind.name()));
            let directory = &directory.join(kind.name().to_lowercase());
            let site = Site { nodes: self.nodes, directory, ports: &mut ports, interrupt };
            match kind {
                Kind::Volery => Cluster::volery(
                    Volery { binary, partitions: self.partitions, replicas: None, sync_delay_ms: None },
                    site,
                ),
                Kind::ZooKeeper => Cluster::zookeeper(site),
            }
        };
        let kinds = [Kind::Volery, Kind::ZooKeeper].into_iter();
        let kinds = kinds.filter(|kind| self.only.is_none_or(|only| only == *kind));
        let mut clusters: Vec<Cluster> = kinds.map(&mut start).collect::<Result<_, _>>()?;
        let contestants =
            clusters.iter().map(|cluster| self.contestant(cluster)).collect::<Result<_, _>>()?;
        let mut ops = Vec::new();
        for op in &self.ops {
            for size in &self.sizes {
                ops.push(self.measure(*op, *size, &mut clusters, interrupt)?);
            }
        }
        let wall_seconds = begin.elapsed().as_secs_f64();
        Ok(Comparison { ops, caption: self.caption(), servers: contestants, wall_seconds })
    }

    fn contestant(&self, cluster: &Cluster) -> Result<Contestant, Failure> {
        let detail = match cluster.kind() {
            Kind::Volery => many(self.partitions, "partition"),
            Kind::ZooKeeper => cluster.version().unwrap_or_default(),
        };
        let on = match self.nodes {
            1 => String::new(),
            nodes => format!(" on {nodes} nodes"),
        };
        let name = format!("{} {detail}", cluster.kind().name());
        Ok(Contestant {
            name: name.trim_end().to_owned() + &on,
            idle_resident_bytes: cluster.resident_bytes()?,
        })
    }

    fn caption(&self) -> String {
        let Shape { connections, outstanding, rate, client, .. } = self.shape;
        let sizes: Vec<String> = self.sizes.iter().map(|size| thousands(*size as i64)).collect();
        let rate = rate.map_or_else(String::new, |rate| format!(", {}/s in all", thousands(rate as i64)));
        let client = match client {
            Speaker::Wire => "",
            Speaker::Native => " of Volery's client library",
        };
        let who = match (self.only, self.nodes) {
            (None, 1) => "in turn, both servers on this machine".to_owned(),
            (None, nodes) => format!("in turn, both clusters of {nodes} processes on this machine"),
            (Some(_), nodes) => format!("{} on this machine", many(nodes.into(), "process")),
        };
        format!(
            "Medians of {} of {} s each, {who}, after {} s of warm-up each;\n\
             {}{client} with {outstanding} outstanding each{rate}, {} B values.",
            many(self.rounds, "round"),
            self.measure.as_secs(),
            self.warm_up.as_secs(),
            many(connections, "connection"),
            sizes.join(", "),
        )
    }

    fn measure(
        &self,
        op: Op,
        size: usize,
        clusters: &mut [Cluster],
        interrupt: &Interrupt,
    ) -> Result<Rounds, Failure> {
        let shape = self.shape.of_size(size);
        let name = match self.sizes.len() {
            1 => op.to_string(),
            _ => format!("{op} {} B", thousands(size as i64)),
        };
        for index in 0..clusters.len() {
            report::progress(&format!("{name}: warming {} up", clusters[index].kind().name()));
            let lengths = Lengths { warm_up: self.warm_up, measure: THROWN_AWAY };
            load_one(op.warm_up(), &shape, clusters, index, lengths, interrupt)?;
        }
        let rounds = self.rounds(&name, op, &shape, clusters, interrupt)?;
        let at_half = match half_of_zookeeper(clusters, &rounds).filter(|_| self.at_half) {
            Some(rate) => {
                let name = format!("{name} at {}/s", thousands(rate as i64));
                Some(AtHalf { rate, rounds: self.rounds(&name, op, &shape.at(rate), clusters, interrupt)? })
            }
            None => None,
        };
        Ok(Rounds { op: name, rounds, at_half })
    }

    /// The rounds of each contestant, in turn.
    fn rounds(
        &self,
        name: &str,
        op: Op,
        shape: &Shape,
        clusters: &mut [Cluster],
        interrupt: &Interrupt,
    ) -> Result<Vec<Vec<Outcome>>, Failure> {
        let mut rounds: Vec<Vec<Outcome>> = clusters.iter().map(|_| Vec::new()).collect();
        for round in 1..=self.rounds {
            for (index, outcomes) in rounds.iter_mut().enumerate() {
                report::progress(&format!(
                    "{name}: round {round} of {}, {}",
                    self.rounds,
                    clusters[index].kind().name()
                ));
                let lengths = Lengths { warm_up: self.ramp, measure: self.measure };
                outcomes.push(load_one(op, shape, clusters, index, lengths, interrupt)?);
            }
        }
        Ok(rounds)
    }
}

/// Half of the median of ZooKeeper's rounds, at least 1; `None` if it does not take part.
fn half_of_zookeeper(clusters: &[Cluster], rounds: &[Vec<Outcome>]) -> Option<u64> {
    let index = clusters.iter().position(|cluster| cluster.kind() == Kind::ZooKeeper)?;
    let rates = rounds[index].iter().map(|outcome| outcome.operations_per_second).collect();
    Some(((median(rates) / 2.0) as u64).max(1))
}

/// Loads one of the clusters; the use of the other, which rests, is measured too. A server that ended is a better
/// explanation than the connection that was lost by it.
fn load_one(
    op: Op,
    shape: &Shape,
    clusters: &mut [Cluster],
    loaded: usize,
    lengths: Lengths,
    interrupt: &Interrupt,
) -> Result<Outcome, Failure> {
    let resting = clusters.iter().enumerate().filter(|(index, _)| *index != loaded);
    let resting = resting.flat_map(|(_, cluster)| cluster.pids());
    let pids: Vec<u32> = clusters[loaded].pids().chain(resting).collect();
    let addresses = clusters[loaded].addresses();
    let layout = Layout::round_robin(shape.connections, shape.keys, addresses.len());
    let target = Target { servers: &addresses, layout: &layout, pids: &pids };
    let outcome = load::run(target, op, shape, lengths, interrupt);
    if outcome.is_err() {
        interrupt.check()?;
        clusters.iter_mut().try_for_each(Cluster::check)?;
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caption_says_how_many_took_part() {
        let plan = |nodes, only| Plan {
            ops: Vec::new(),
            shape: Shape::closed(16, 25, 100),
            sizes: vec![100],
            ramp: Duration::ZERO,
            at_half: false,
            rounds: 3,
            measure: Duration::from_secs(10),
            warm_up: Duration::from_secs(30),
            nodes,
            partitions: 2,
            only,
        };
        let both = plan(1, None).caption();
        assert_eq!(
            both,
            "Medians of 3 rounds of 10 s each, in turn, both servers on this machine, after 30 s of warm-up each;\n\
             16 connections with 25 outstanding each, 100 B values."
        );
        assert!(plan(3, None).caption().contains("both clusters of 3 processes on this machine"));
        assert!(plan(3, Some(Kind::ZooKeeper)).caption().contains("each, 3 processes on this machine"));
    }
}
