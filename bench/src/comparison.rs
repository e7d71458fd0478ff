//! What came of a comparison: its table and its figures.

use crate::median::median;
use crate::outcome::{Outcome, ProcessUse, mib};
use crate::plot::{BarSeries, Bars, Curve, Figure, Lines, Panel};
use crate::table::{Table, figure, thousands};
use serde::Serialize;
use std::collections::BTreeSet;

/// What came of a comparison. Field names are those of the JSON.
#[derive(Serialize)]
pub struct Comparison {
    /// What was measured how, for people.
    pub caption: String,
    /// Volery first, then ZooKeeper; or the only one.
    pub servers: Vec<Contestant>,
    /// One for each operation and size.
    pub ops: Vec<Rounds>,
    /// How long all of it took.
    pub wall_seconds: f64,
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
    /// The same in an open loop at half of what ZooKeeper did, if that was measured.
    pub at_half: Option<AtHalf>,
}

/// Measurements at a rate that both contestants sustain, so that their latencies can be compared.
#[derive(Serialize)]
pub struct AtHalf {
    /// Half of ZooKeeper's median, in operations per second.
    pub rate: u64,
    /// The rounds of each contestant, in the contestants' order.
    pub rounds: Vec<Vec<Outcome>>,
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

impl Comparison {
    /// Figures by their names: what was sustained, and the latencies at half of ZooKeeper's maximum if they were measured.
    pub fn figures(&self) -> Vec<(&'static str, Figure)> {
        let panels = vec![
            self.bars("Throughput", "operations/s", |outcome| outcome.operations_per_second),
            self.bars("Servers' CPU time", "us per operation", server_cpu),
            self.bars("Median latency, closed loop", "ms", |outcome| outcome.latency_us.p50 as f64 / 1e3),
            self.bars("Latency of the slowest of 100, closed loop", "ms", |outcome| {
                outcome.latency_us.p99 as f64 / 1e3
            }),
        ];
        let title = self.caption.lines().last().unwrap_or_default().to_owned();
        let mut figures = vec![("comparison", Figure { title, panels })];
        let at_half: Vec<Panel> = self.ops.iter().filter_map(|rounds| self.distributions(rounds)).collect();
        if !at_half.is_empty() {
            let title = "Latency in an open loop at half of ZooKeeper's maximum".to_owned();
            figures.push(("at-half", Figure { title, panels: at_half }));
        }
        figures
    }

    fn bars(&self, title: &str, axis: &str, of: impl Fn(&Outcome) -> f64) -> Panel {
        let heights = |contestant: usize| {
            let of_op = |rounds: &Rounds| medians(&rounds.rounds, |outcome| Some(of(outcome)))[contestant];
            self.ops.iter().map(of_op).collect()
        };
        let series = self.servers.iter().enumerate().map(|(index, contestant)| BarSeries {
            name: contestant.name.clone(),
            heights: heights(index),
            labels: None,
        });
        Panel::Bars(Bars {
            title: title.to_owned(),
            axis: axis.to_owned(),
            groups: self.ops.iter().map(|rounds| rounds.op.clone()).collect(),
            series: series.collect(),
            stacked: false,
        })
    }

    /// The distributions of the latencies at half, of each contestant's first round.
    fn distributions(&self, rounds: &Rounds) -> Option<Panel> {
        let AtHalf { rate, rounds: at_half } = rounds.at_half.as_ref()?;
        let series = self.servers.iter().zip(at_half).filter_map(|(contestant, outcomes)| {
            Some(Curve { name: contestant.name.clone(), points: outcomes.first()?.distribution_ms() })
        });
        Some(Panel::Lines(Lines::of_distributions(
            format!("{}, {}/s", rounds.op, thousands(*rate as i64)),
            series.collect(),
        )))
    }
}

impl Rounds {
    fn rows(&self, table: &mut Table) {
        self.row(table, "operations/s", |outcome| Some(outcome.operations_per_second), figure);
        let ranges = self.rounds.iter().map(|outcomes| range(outcomes));
        table.row(std::iter::once(format!("{}: operations/s, least to most", self.op)).chain(ranges));
        self.row(table, "p50 us", |outcome| Some(outcome.latency_us.p50 as f64), figure);
        self.row(table, "p99 us", |outcome| Some(outcome.latency_us.p99 as f64), figure);
        self.row(table, "bytes sent/operation", |outcome| Some(outcome.bytes_sent_per_operation()), figure);
        let received = |outcome: &Outcome| Some(outcome.bytes_received_per_operation());
        self.row(table, "bytes received/operation", received, figure);
        let loopback = |outcome: &Outcome| Some(outcome.loopback_bytes_per_operation());
        self.row(table, "loopback bytes/operation", loopback, figure);
        self.row(table, "server CPU us/operation", |outcome| Some(server_cpu(outcome)), figure);
        self.row(table, "server resident MiB", |outcome| Some(server_resident(outcome)), mib);
        self.node_rows(table);
        self.log_rows(table);
        self.row(table, "errors", |outcome| Some(outcome.errors.values().sum::<u64>() as f64), figure);
        for code in self.codes() {
            let count = |outcome: &Outcome| Some(*outcome.errors.get(code).unwrap_or(&0) as f64);
            self.row(table, &format!("errors, {code}"), count, figure);
        }
        self.row(table, "resting other's CPU, % of a core", resting_cpu, figure);
        self.at_half_rows(table);
    }

    fn at_half_rows(&self, table: &mut Table) {
        let Some(AtHalf { rate, rounds }) = &self.at_half else { return };
        let mut row = |what: &str, of: fn(&Outcome) -> f64| {
            let what =
                format!("{} at half ZooKeeper's maximum, {}/s: {what}", self.op, thousands(*rate as i64));
            add(table, &what, &medians(rounds, |outcome| Some(of(outcome))), figure);
        };
        row("operations/s", |outcome| outcome.operations_per_second);
        row("p50 us", |outcome| outcome.latency_us.p50 as f64);
        row("p90 us", |outcome| outcome.latency_us.p90 as f64);
        row("p99 us", |outcome| outcome.latency_us.p99 as f64);
        row("p99.9 us", |outcome| outcome.latency_us.p999 as f64);
        row("server CPU us/operation", server_cpu);
    }

    /// What each server used, if there are several.
    fn node_rows(&self, table: &mut Table) {
        for node in (0..self.node_count()).filter(|_| self.node_count() > 1) {
            let of = |outcome: &Outcome| servers(outcome).0.get(node).cloned();
            let cpu = |outcome: &Outcome| Some(outcome.cpu_us_per_operation(&[of(outcome)?]));
            self.row(table, &format!("server CPU us/operation, node {}", node + 1), cpu, figure);
            let resident = |outcome: &Outcome| Some(of(outcome)?.resident_bytes as f64);
            self.row(table, &format!("server resident MiB, node {}", node + 1), resident, mib);
        }
    }

    fn node_count(&self) -> usize {
        self.rounds.iter().flatten().map(|outcome| outcome.logs.len()).max().unwrap_or(0)
    }

    /// What the servers did to their logs: over all, and each by itself if there are several.
    fn log_rows(&self, table: &mut Table) {
        self.row(table, "syncs/s", Outcome::syncs_per_second, figure);
        self.row(table, "commands/sync", Outcome::commands_per_sync, figure);
        for node in (0..self.node_count()).filter(|_| self.node_count() > 1) {
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
        let medians = medians(&self.rounds, of);
        if medians.iter().any(Option::is_some) {
            add(table, &format!("{}: {what}", self.op), &medians, show);
        }
    }
}

/// The median of a figure for each contestant; `None` where a round has no such figure.
fn medians(rounds: &[Vec<Outcome>], of: impl Fn(&Outcome) -> Option<f64>) -> Vec<Option<f64>> {
    let of_contestant = |outcomes: &Vec<Outcome>| {
        let figures: Option<Vec<f64>> = outcomes.iter().map(&of).collect();
        figures.map(median)
    };
    rounds.iter().map(of_contestant).collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::tests::{log, outcome};

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
            ops: vec![Rounds {
                op: "set".to_owned(),
                rounds: vec![vec![fast], vec![slow(), slow()]],
                at_half: None,
            }],
            wall_seconds: 1.0,
        };
        let expected =
            "                                       Volery 2 partitions  ZooKeeper 3.8.0  Volery / ZooKeeper
idle: resident MiB                                    10.0              200                0.05
set: operations/s                                    1,000              500                2.00
set: operations/s, least to most             1,000 - 1,000        500 - 500
set: p50 us                                          1,000            1,000                1.00
set: p99 us                                          1,000            1,000                1.00
set: bytes sent/operation                              150              150                1.00
set: bytes received/operation                         88.0             88.0                1.00
set: loopback bytes/operation                        1,000            1,000                1.00
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
            ops: vec![Rounds { op: "set".to_owned(), rounds: vec![vec![outcome]], at_half: None }],
            wall_seconds: 1.0,
        };
        let expected = "                                      Volery 1 partition on 2 nodes
idle: resident MiB                                             10.0
set: operations/s                                               500
set: operations/s, least to most                          500 - 500
set: p50 us                                                   1,000
set: p99 us                                                   1,000
set: bytes sent/operation                                       150
set: bytes received/operation                                  88.0
set: loopback bytes/operation                                 1,000
set: server CPU us/operation                                   49.0
set: server resident MiB                                       6.00
set: server CPU us/operation, node 1                           24.5
set: server resident MiB, node 1                               3.00
set: server CPU us/operation, node 2                           24.5
set: server resident MiB, node 2                               3.00
set: syncs/s                                                    200
set: commands/sync                                             10.0
set: syncs/s, node 1                                           50.0
set: commands/sync, node 1                                     20.0
set: syncs/s, node 2                                            150
set: commands/sync, node 2                                     6.67
set: errors                                                    1.00
set: errors, NoNode                                            1.00
";
        assert_eq!(comparison.table().to_string(), expected);
    }

    fn both(at_half: Option<AtHalf>) -> Comparison {
        Comparison {
            caption: "In turn;\n16 connections".to_owned(),
            servers: vec![contestant("Volery 2 partitions", 10), contestant("ZooKeeper 3.8.0", 200)],
            ops: vec![Rounds {
                op: "set".to_owned(),
                rounds: vec![vec![outcome()], vec![outcome()]],
                at_half,
            }],
            wall_seconds: 1.0,
        }
    }

    #[test]
    fn latencies_at_half_have_rows_and_a_figure_of_their_own() {
        let at_half = AtHalf { rate: 9_500, rounds: vec![vec![outcome()], vec![slow()]] };
        let comparison = both(Some(at_half));
        let table = comparison.table().to_string();
        let rows = table.lines().filter(|row| row.starts_with("set at half ZooKeeper's maximum, 9,500/s: "));
        assert_eq!(rows.count(), 6, "{table}");
        let names = |comparison: &Comparison| -> Vec<_> {
            comparison.figures().into_iter().map(|(name, figure)| (name, figure.panels.len())).collect()
        };
        assert_eq!(names(&comparison), [("comparison", 4), ("at-half", 1)]);
        assert_eq!(names(&both(None)), [("comparison", 4)]);
    }

    #[test]
    fn a_figure_shows_the_table_s_figures() {
        let (_, figure) = both(None).figures().remove(0);
        let Panel::Bars(throughput) = &figure.panels[0] else { panic!("throughput is bars") };
        assert_eq!(throughput.groups, ["set"]);
        assert_eq!(throughput.series[1].name, "ZooKeeper 3.8.0");
        assert_eq!(throughput.series[1].heights, [Some(500.0)]);
    }
}
