//! Volery and ZooKeeper, one after the other, on the same machine and disk, each as a cluster of as many servers.
//!
//! Both run all the time, and only one is under load: A B A B, so that what the machine does meanwhile meets both. Each
//! is warmed before its first measurement of an operation, ZooKeeper because a cold JVM is two to three times slower,
//! Volery so that both have had the same to do. Figures are medians over the rounds; what a cluster uses is the sum over
//! its processes.
//!
//! An edge file: it says on stderr what it is about.
#![allow(clippy::print_stderr, reason = "a comparison takes minutes")]

use crate::cluster::{Cluster, Kind, Site};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::load::{self, Lengths, Shape};
use crate::op::Op;
use crate::outcome::{Outcome, ProcessUse, mib};
use crate::ports::Ports;
use crate::table::{Table, figure};
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

/// Before each measurement after the first, so that new connections are past their start.
const RAMP: Duration = Duration::from_secs(2);
/// After the first warm-up of an operation, whose own measurement is thrown away.
const THROWN_AWAY: Duration = Duration::from_secs(1);

/// What to compare, and how thoroughly.
pub struct Plan {
    /// The operations.
    pub ops: Vec<Op>,
    /// The load of all of them.
    pub shape: Shape,
    /// Measurements of each contestant and operation.
    pub rounds: usize,
    /// The length of a measurement.
    pub measure: Duration,
    /// Before the first measurement of each operation.
    pub warm_up: Duration,
    /// Servers of each contestant.
    pub nodes: u16,
    /// Volery's partitions.
    pub partitions: usize,
    /// The one to measure alone, or both.
    pub only: Option<Kind>,
}

/// What came of a comparison. Field names are those of the JSON.
#[derive(Serialize)]
pub struct Comparison {
    /// What was measured how, for people.
    pub caption: String,
    /// Volery first, then ZooKeeper; or the only one.
    pub servers: Vec<Contestant>,
    /// One for each operation.
    pub ops: Vec<Rounds>,
}

/// A cluster that took part, be it of one server.
#[derive(Clone, Serialize)]
pub struct Contestant {
    /// Its name, with what tells it from others of the name.
    pub name: String,
    /// Memory in RAM before any load, in bytes. What processes share counts once for each.
    pub idle_resident_bytes: u64,
}

/// The measurements of one operation.
#[derive(Serialize)]
pub struct Rounds {
    /// The operation, for people.
    pub op: String,
    /// The rounds of each contestant, in the contestants' order.
    pub rounds: Vec<Vec<Outcome>>,
}

impl Plan {
    /// Starts the contestants with their data below `directory`, compares, and stops them.
    pub fn carry_out(
        &self,
        volery: &Path,
        directory: &Path,
        interrupt: &Interrupt,
    ) -> Result<Comparison, Failure> {
        let mut ports = Ports::new();
        let mut start = |kind: Kind| {
            eprintln!("starting {}", kind.name());
            let directory = &directory.join(kind.name().to_lowercase());
            let site = Site { nodes: self.nodes, directory, ports: &mut ports, interrupt };
            match kind {
                Kind::Volery => Cluster::volery(volery, self.partitions, site),
                Kind::ZooKeeper => Cluster::zookeeper(site),
            }
        };
        let kinds = [Kind::Volery, Kind::ZooKeeper].into_iter();
        let kinds = kinds.filter(|kind| self.only.is_none_or(|only| only == *kind));
        let mut clusters: Vec<Cluster> = kinds.map(&mut start).collect::<Result<_, _>>()?;
        let contestants =
            clusters.iter().map(|cluster| self.contestant(cluster)).collect::<Result<_, _>>()?;
        let ops = self.ops.iter().map(|op| self.measure(*op, &mut clusters, interrupt));
        Ok(Comparison { ops: ops.collect::<Result<_, _>>()?, caption: self.caption(), servers: contestants })
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
        let Shape { connections, outstanding, size, .. } = self.shape;
        let who = match (self.only, self.nodes) {
            (None, 1) => "in turn, both servers on this machine".to_owned(),
            (None, nodes) => format!("in turn, both clusters of {nodes} processes on this machine"),
            (Some(_), nodes) => format!("{} on this machine", many(nodes.into(), "process")),
        };
        format!(
            "Medians of {} of {} s each, {who}, after {} s of warm-up each;\n\
             {} with {outstanding} outstanding each, {size} B values.",
            many(self.rounds, "round"),
            self.measure.as_secs(),
            self.warm_up.as_secs(),
            many(connections, "connection"),
        )
    }

    fn measure(&self, op: Op, clusters: &mut [Cluster], interrupt: &Interrupt) -> Result<Rounds, Failure> {
        for index in 0..clusters.len() {
            eprintln!("{op}: warming {} up", clusters[index].kind().name());
            let lengths = Lengths { warm_up: self.warm_up, measure: THROWN_AWAY };
            self.load(op.warm_up(), clusters, index, lengths, interrupt)?;
        }
        let mut rounds: Vec<Vec<Outcome>> = clusters.iter().map(|_| Vec::new()).collect();
        for round in 1..=self.rounds {
            for (index, outcomes) in rounds.iter_mut().enumerate() {
                eprintln!("{op}: round {round} of {}, {}", self.rounds, clusters[index].kind().name());
                let lengths = Lengths { warm_up: RAMP, measure: self.measure };
                outcomes.push(self.load(op, clusters, index, lengths, interrupt)?);
            }
        }
        Ok(Rounds { op: op.to_string(), rounds })
    }

    /// Loads one of the clusters; the use of the other, which rests, is measured too. A server that ended is a better
    /// explanation than the connection that was lost by it.
    fn load(
        &self,
        op: Op,
        clusters: &mut [Cluster],
        loaded: usize,
        lengths: Lengths,
        interrupt: &Interrupt,
    ) -> Result<Outcome, Failure> {
        let resting = clusters.iter().enumerate().filter(|(index, _)| *index != loaded);
        let resting = resting.flat_map(|(_, cluster)| cluster.pids());
        let pids: Vec<u32> = clusters[loaded].pids().chain(resting).collect();
        let addresses = clusters[loaded].addresses();
        let outcome = load::run(&addresses, op, &self.shape, lengths, &pids, interrupt);
        if outcome.is_err() {
            interrupt.check()?;
            clusters.iter_mut().try_for_each(Cluster::check)?;
        }
        outcome
    }
}

impl Comparison {
    /// Each figure of each operation for each contestant, and Volery's as a multiple of ZooKeeper's.
    pub fn table(&self) -> Table {
        let mut table = Table::default();
        let ratio = (self.servers.len() == 2).then_some("Volery / ZooKeeper");
        let names = self.servers.iter().map(|contestant| contestant.name.as_str());
        table.row(std::iter::once("").chain(names).chain(ratio));
        let idle = self.servers.iter().map(|contestant| Some(contestant.idle_resident_bytes as f64));
        add(&mut table, "idle: resident MiB", &idle.collect::<Vec<_>>(), mib);
        for rounds in &self.ops {
            rounds.rows(&mut table);
        }
        table
    }
}

impl Rounds {
    fn rows(&self, table: &mut Table) {
        self.row(table, "operations/s", |outcome| Some(outcome.operations_per_second), figure);
        let ranges = self.rounds.iter().map(|outcomes| range(outcomes));
        table.row(std::iter::once(format!("{}: operations/s, least to most", self.op)).chain(ranges));
        self.row(table, "p50 us", |outcome| Some(outcome.latency_us.p50 as f64), figure);
        self.row(table, "p99 us", |outcome| Some(outcome.latency_us.p99 as f64), figure);
        self.row(table, "server CPU us/operation", |outcome| Some(server_cpu(outcome)), figure);
        self.row(table, "server resident MiB", |outcome| Some(server_resident(outcome)), mib);
        self.log_rows(table);
        self.row(table, "errors", |outcome| Some(outcome.errors.values().sum::<u64>() as f64), figure);
        for code in self.codes() {
            let count = |outcome: &Outcome| Some(*outcome.errors.get(code).unwrap_or(&0) as f64);
            self.row(table, &format!("errors, {code}"), count, figure);
        }
        self.row(table, "resting other's CPU, % of a core", resting_cpu, figure);
    }

    /// What the servers did to their logs: over all, and each by itself if there are several.
    fn log_rows(&self, table: &mut Table) {
        self.row(table, "syncs/s", Outcome::syncs_per_second, figure);
        self.row(table, "commands/sync", Outcome::commands_per_sync, figure);
        let nodes = self.rounds.iter().flatten().map(|outcome| outcome.logs.len()).max().unwrap_or(0);
        for node in (0..nodes).filter(|_| nodes > 1) {
            let log = |outcome: &Outcome| outcome.logs.get(node).cloned().flatten();
            let syncs = format!("syncs/s, node {}", node + 1);
            self.row(table, &syncs, |outcome| Some(log(outcome)?.syncs_per_second()), figure);
            let commands = format!("commands/sync, node {}", node + 1);
            self.row(table, &commands, |outcome| log(outcome)?.commands_per_sync(), figure);
        }
    }

    /// The errors that any contestant replied in any round, by their names.
    fn codes(&self) -> BTreeSet<&'static str> {
        self.rounds.iter().flatten().flat_map(|outcome| outcome.errors.keys().copied()).collect()
    }

    /// The medians of a figure, if there is one for any contestant.
    fn row(
        &self,
        table: &mut Table,
        what: &str,
        of: impl Fn(&Outcome) -> Option<f64>,
        show: fn(f64) -> String,
    ) {
        let of_contestant = |outcomes: &Vec<Outcome>| {
            let figures: Option<Vec<f64>> = outcomes.iter().map(&of).collect();
            figures.map(median)
        };
        let medians: Vec<Option<f64>> = self.rounds.iter().map(of_contestant).collect();
        if medians.iter().any(Option::is_some) {
            add(table, &format!("{}: {what}", self.op), &medians, show);
        }
    }
}

/// How far the rounds are apart, which is what a ratio has to exceed.
fn range(outcomes: &[Outcome]) -> String {
    let rates = || outcomes.iter().map(|outcome| outcome.operations_per_second);
    let least = rates().fold(f64::INFINITY, f64::min);
    format!("{} - {}", figure(least), figure(rates().fold(0.0, f64::max)))
}

/// The processes of the servers under load, which come after the generator and are as many as there are logs; and those
/// of the servers that rest, if there are any.
fn servers(outcome: &Outcome) -> (&[ProcessUse], &[ProcessUse]) {
    outcome.processes[1..].split_at(outcome.logs.len())
}

fn server_cpu(outcome: &Outcome) -> f64 {
    outcome.cpu_us_per_operation(servers(outcome).0)
}

fn server_resident(outcome: &Outcome) -> f64 {
    servers(outcome).0.iter().map(|process| process.resident_bytes as f64).sum()
}

fn resting_cpu(outcome: &Outcome) -> Option<f64> {
    let resting = servers(outcome).1;
    let cpu_us: u64 = resting.iter().map(|process| process.cpu_us).sum();
    (!resting.is_empty()).then(|| cpu_us as f64 / (outcome.seconds * 1e6) * 100.0)
}

/// A row of the contestants' figures; with two of them, also what the first is as a multiple of the second.
fn add(table: &mut Table, what: &str, figures: &[Option<f64>], show: fn(f64) -> String) {
    let unknown = || "-".to_owned();
    let cells = figures.iter().map(|number| number.map_or_else(unknown, show));
    let ratio = match figures {
        [Some(volery), Some(zookeeper)] if *zookeeper != 0.0 => Some(format!("{:.2}", volery / zookeeper)),
        [_, _] => Some(unknown()),
        _ => None,
    };
    table.row(std::iter::once(what.to_owned()).chain(cells).chain(ratio));
}

/// A count of things, whose name takes an s or es in the plural.
fn many(count: usize, thing: &str) -> String {
    match count {
        1 => format!("1 {thing}"),
        _ if thing.ends_with('s') => format!("{count} {thing}es"),
        _ => format!("{count} {thing}s"),
    }
}

/// The middle one, or the mean of the middle two.
fn median(mut numbers: Vec<f64>) -> f64 {
    assert!(!numbers.is_empty(), "nothing was measured");
    numbers.sort_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    if numbers.len() % 2 == 1 { numbers[middle] } else { f64::midpoint(numbers[middle - 1], numbers[middle]) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::tests::{log, outcome};

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![9.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 9.0]), 3.0);
    }

    fn contestant(name: &str, mib: u64) -> Contestant {
        Contestant { name: name.to_owned(), idle_resident_bytes: mib << 20 }
    }

    /// As slow as the other outcome, with another process that rests.
    fn slow() -> Outcome {
        let mut slow = outcome();
        slow.processes.push(slow.processes[1].clone());
        slow
    }

    #[test]
    fn the_table_says_which_figure_is_whose() {
        let fast = Outcome {
            operations_per_second: 1_000.0,
            errors: [].into(),
            logs: vec![log("a", 100, 2_000)],
            ..slow()
        };
        let comparison = Comparison {
            caption: String::new(),
            servers: vec![contestant("Volery 2 partitions", 10), contestant("ZooKeeper 3.8.0", 200)],
            ops: vec![Rounds { op: "set".to_owned(), rounds: vec![vec![fast], vec![slow(), slow()]] }],
        };
        let expected =
            "                                       Volery 2 partitions  ZooKeeper 3.8.0  Volery / ZooKeeper
idle: resident MiB                                    10.0              200                0.05
set: operations/s                                    1,000              500                2.00
set: operations/s, least to most             1,000 - 1,000        500 - 500
set: p50 us                                          1,000            1,000                1.00
set: p99 us                                          1,000            1,000                1.00
set: server CPU us/operation                          24.5             24.5                1.00
set: server resident MiB                              3.00             3.00                1.00
set: syncs/s                                          50.0                -                   -
set: commands/sync                                    20.0                -                   -
set: errors                                           0.00             1.00                0.00
set: errors, NoNode                                   0.00             1.00                0.00
set: resting other's CPU, % of a core                 1.23             1.23                1.00
";
        assert_eq!(comparison.table().to_string(), expected);
    }

    #[test]
    fn the_processes_of_a_cluster_are_added_up() {
        let mut outcome = outcome();
        outcome.processes.push(outcome.processes[1].clone());
        outcome.logs = vec![log("a", 100, 2_000), log("b", 300, 2_000)];
        let comparison = Comparison {
            caption: String::new(),
            servers: vec![contestant("Volery 1 partition on 2 nodes", 10)],
            ops: vec![Rounds { op: "set".to_owned(), rounds: vec![vec![outcome]] }],
        };
        let expected = "                                  Volery 1 partition on 2 nodes
idle: resident MiB                                         10.0
set: operations/s                                           500
set: operations/s, least to most                      500 - 500
set: p50 us                                               1,000
set: p99 us                                               1,000
set: server CPU us/operation                               49.0
set: server resident MiB                                   6.00
set: syncs/s                                                200
set: commands/sync                                         10.0
set: syncs/s, node 1                                       50.0
set: commands/sync, node 1                                 20.0
set: syncs/s, node 2                                        150
set: commands/sync, node 2                                 6.67
set: errors                                                1.00
set: errors, NoNode                                        1.00
";
        assert_eq!(comparison.table().to_string(), expected);
    }

    #[test]
    fn the_caption_says_how_many_took_part() {
        let plan = |nodes, only| Plan {
            ops: Vec::new(),
            shape: outcome().shape,
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
