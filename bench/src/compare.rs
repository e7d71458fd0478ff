//! Volery and ZooKeeper, one after the other, on the same machine and disk.
//!
//! Both run all the time, and only one is under load: A B A B, so that what the machine does meanwhile meets both. Each
//! is warmed before its first measurement of an operation, ZooKeeper because a cold JVM is two to three times slower,
//! Volery so that both have had the same to do. Figures are medians over the rounds.
//!
//! An edge file: it says on stderr what it is about.
#![allow(clippy::print_stderr, reason = "a comparison takes minutes")]

use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::load::{self, Lengths, Shape};
use crate::op::Op;
use crate::outcome::{Outcome, mib};
use crate::server::Server;
use crate::table::{Table, figure};
use crate::usage;
use serde::Serialize;
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
    /// Measurements of each server and operation.
    pub rounds: usize,
    /// The length of a measurement.
    pub measure: Duration,
    /// Before the first measurement of each operation.
    pub warm_up: Duration,
    /// Volery's partitions.
    pub partitions: usize,
}

/// What came of a comparison. Field names are those of the JSON.
#[derive(Serialize)]
pub struct Comparison {
    /// What was measured how, for people.
    pub caption: String,
    /// Volery first, then ZooKeeper.
    pub servers: [Contestant; 2],
    /// One for each operation.
    pub ops: Vec<Pair>,
}

/// A server that took part.
#[derive(Clone, Serialize)]
pub struct Contestant {
    /// Its name, with what tells it from others of the name.
    pub name: String,
    /// Memory in RAM before any load, in bytes.
    pub idle_resident_bytes: u64,
}

/// The measurements of one operation.
#[derive(Serialize)]
pub struct Pair {
    /// The operation, for people.
    pub op: String,
    /// The rounds of each server, in the servers' order.
    pub rounds: [Vec<Outcome>; 2],
}

impl Plan {
    /// Starts both servers with their data below `directory`, compares, and stops them.
    pub fn carry_out(
        &self,
        volery: &Path,
        directory: &Path,
        interrupt: &Interrupt,
    ) -> Result<Comparison, Failure> {
        let zookeeper = Server::zookeeper(&directory.join("zookeeper"), interrupt)?;
        let volery = Server::volery(volery, self.partitions, &directory.join("volery"), interrupt)?;
        let partitions = match self.partitions {
            1 => "1 partition".to_owned(),
            many => format!("{many} partitions"),
        };
        let version = zookeeper.version().unwrap_or_default();
        let contestants = [contestant(&volery, &partitions)?, contestant(&zookeeper, &version)?];
        let mut servers = [volery, zookeeper];
        let pairs = self.ops.iter().map(|op| self.measure(*op, &mut servers, interrupt));
        Ok(Comparison {
            ops: pairs.collect::<Result<_, _>>()?,
            caption: self.caption(),
            servers: contestants,
        })
    }

    fn caption(&self) -> String {
        let Shape { connections, outstanding, size, .. } = self.shape;
        format!(
            "Medians of {} rounds of {} s each in turn, both servers on this machine, after {} s of warm-up each;\n\
             {connections} connections with {outstanding} outstanding each, {size} B values.",
            self.rounds,
            self.measure.as_secs(),
            self.warm_up.as_secs()
        )
    }

    fn measure(&self, op: Op, servers: &mut [Server; 2], interrupt: &Interrupt) -> Result<Pair, Failure> {
        for index in [0, 1] {
            eprintln!("{op}: warming {} up", servers[index].name());
            let lengths = Lengths { warm_up: self.warm_up, measure: THROWN_AWAY };
            self.load(op.warm_up(), servers, index, lengths, interrupt)?;
        }
        let mut rounds = [Vec::new(), Vec::new()];
        for round in 1..=self.rounds {
            for (index, outcomes) in rounds.iter_mut().enumerate() {
                eprintln!("{op}: round {round} of {}, {}", self.rounds, servers[index].name());
                let lengths = Lengths { warm_up: RAMP, measure: self.measure };
                outcomes.push(self.load(op, servers, index, lengths, interrupt)?);
            }
        }
        Ok(Pair { op: op.to_string(), rounds })
    }

    /// Loads one of the servers; the use of the other, which rests, is measured too. A server that ended is a better
    /// explanation than the connection that was lost by it.
    fn load(
        &self,
        op: Op,
        servers: &mut [Server; 2],
        loaded: usize,
        lengths: Lengths,
        interrupt: &Interrupt,
    ) -> Result<Outcome, Failure> {
        let address = servers[loaded].address();
        let pids = [servers[loaded].pid(), servers[1 - loaded].pid()];
        let outcome = load::run(&[address], op, &self.shape, lengths, &pids, interrupt);
        if outcome.is_err() {
            interrupt.check()?;
            servers.iter_mut().try_for_each(Server::check)?;
        }
        outcome
    }
}

fn contestant(server: &Server, detail: &str) -> Result<Contestant, Failure> {
    let name = format!("{} {detail}", server.name()).trim_end().to_owned();
    Ok(Contestant { name, idle_resident_bytes: usage::resident_bytes(server.pid())? })
}

impl Comparison {
    /// Each figure of each operation for both servers, and Volery's as a multiple of ZooKeeper's.
    pub fn table(&self) -> Table {
        let mut table = Table::default();
        let [volery, zookeeper] = &self.servers;
        table.row(["", &volery.name, &zookeeper.name, "Volery / ZooKeeper"]);
        let idle = [volery, zookeeper].map(|server| server.idle_resident_bytes as f64);
        add(&mut table, "idle: resident MiB", idle, mib);
        for pair in &self.ops {
            pair.rows(&mut table);
        }
        table
    }
}

impl Pair {
    fn rows(&self, table: &mut Table) {
        let [volery, zookeeper] = self.ranges();
        let rates = self.medians(&|outcome| outcome.operations_per_second);
        add(table, &format!("{}: operations/s", self.op), rates, figure);
        table.row([&format!("{}: operations/s, least to most", self.op), &volery, &zookeeper]);
        let mut row = |what: &str, of: &dyn Fn(&Outcome) -> f64, show: fn(f64) -> String| {
            add(table, &format!("{}: {what}", self.op), self.medians(of), show);
        };
        row("p50 us", &|outcome| outcome.latency_us.p50 as f64, figure);
        row("p99 us", &|outcome| outcome.latency_us.p99 as f64, figure);
        row("server CPU us/operation", &server_cpu, figure);
        row("server resident MiB", &server_resident, mib);
        row("errors", &|outcome| outcome.errors.values().sum::<u64>() as f64, figure);
        row("resting other's CPU, % of a core", &resting_cpu, figure);
    }

    /// How far the rounds are apart, which is what a ratio has to exceed.
    fn ranges(&self) -> [String; 2] {
        [0, 1].map(|server| {
            let rates = || self.rounds[server].iter().map(|outcome| outcome.operations_per_second);
            let least = rates().fold(f64::INFINITY, f64::min);
            format!("{} - {}", figure(least), figure(rates().fold(0.0, f64::max)))
        })
    }

    fn medians(&self, of: &dyn Fn(&Outcome) -> f64) -> [f64; 2] {
        [0, 1].map(|server| median(self.rounds[server].iter().map(of).collect()))
    }
}

/// The process after the generator is the server.
fn server_cpu(outcome: &Outcome) -> f64 {
    outcome.cpu_us_per_operation(&outcome.processes[1])
}

/// The process after that is the server that is not under load.
fn resting_cpu(outcome: &Outcome) -> f64 {
    outcome.processes[2].cpu_us as f64 / (outcome.seconds * 1e6) * 100.0
}

fn server_resident(outcome: &Outcome) -> f64 {
    outcome.processes[1].resident_bytes as f64
}

fn add(table: &mut Table, what: &str, [volery, zookeeper]: [f64; 2], show: fn(f64) -> String) {
    let ratio = if zookeeper == 0.0 { "-".to_owned() } else { format!("{:.2}", volery / zookeeper) };
    table.row([what, &show(volery), &show(zookeeper), &ratio]);
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
    use crate::outcome::tests::outcome;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![9.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 9.0]), 3.0);
    }

    #[test]
    fn the_table_says_which_figure_is_whose() {
        let contestant =
            |name: &str, mib: u64| Contestant { name: name.to_owned(), idle_resident_bytes: mib << 20 };
        let slow = || {
            let mut slow = outcome();
            slow.processes.push(slow.processes[1].clone());
            slow
        };
        let fast = Outcome { operations_per_second: 1_000.0, errors: [].into(), ..slow() };
        let comparison = Comparison {
            caption: String::new(),
            servers: [contestant("Volery 2 partitions", 10), contestant("ZooKeeper 3.8.0", 200)],
            ops: vec![Pair { op: "set".to_owned(), rounds: [vec![fast], vec![slow(), slow()]] }],
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
set: errors                                           0.00             1.00                0.00
set: resting other's CPU, % of a core                 1.23             1.23                1.00
";
        assert_eq!(comparison.table().to_string(), expected);
    }
}
