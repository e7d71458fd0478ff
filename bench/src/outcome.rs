//! What a run measured.

use crate::load::Window;
use crate::op::Op;
use crate::plot::{Curve, Figure, Lines, Panel};
use crate::shape::Shape;
use crate::table::{Table, figure, thousands};
use crate::tally::Tally;
use hdrhistogram::Histogram;
use serde::Serialize;
use std::collections::BTreeMap;

const MIB: f64 = 1_048_576.0;

/// The figures of one run. Field names are those of the JSON.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// What was asked, for people.
    pub op: String,
    /// What the load looked like.
    pub shape: Shape,
    /// The length of the measured window.
    pub seconds: f64,
    /// Requests answered without an error within the window.
    pub operations: u64,
    /// The same per second.
    pub operations_per_second: f64,
    /// In an open loop: requests that were due and not answered as the window ended.
    pub overdue: u64,
    /// Of the requests answered without an error; in an open loop from when they were due, and with those overdue.
    pub latency_us: Latency,
    /// The distribution of these latencies.
    pub distribution: Vec<Share>,
    /// How often each error was replied, by its name.
    pub errors: BTreeMap<&'static str, u64>,
    /// Bytes sent within the window.
    pub bytes_sent: u64,
    /// Bytes received within the window.
    pub bytes_received: u64,
    /// Bytes that went over the loopback interface within the window, whoever sent them.
    pub loopback_bytes: u64,
    /// What processes used: the generator first, then those asked for.
    pub processes: Vec<ProcessUse>,
    /// What each server did to its log, if it tells.
    pub logs: Vec<Option<LogUse>>,
}

/// A point of a cumulative distribution.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Share {
    /// A latency in microseconds.
    pub us: u64,
    /// The share of requests whose latency is not above it, at most 1.
    pub of_all: f64,
}

/// Latencies in microseconds, from the hand-over of a request, or in an open loop from when it was due, to the receipt of
/// its reply.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Latency {
    /// Their sum by their number; 0 if there are none.
    pub mean: f64,
    /// Half of all are not above it.
    pub p50: u64,
    /// 9 of 10 are not above it.
    pub p90: u64,
    /// 99 of 100 are not above it.
    pub p99: u64,
    /// 999 of 1,000 are not above it.
    pub p999: u64,
    /// The longest.
    pub max: u64,
}

/// What a process used within the window.
#[derive(Clone, Debug, Serialize)]
pub struct ProcessUse {
    /// Its id.
    pub pid: u32,
    /// Its name, cut to 15 bytes.
    pub name: String,
    /// User and system time, in microseconds.
    pub cpu_us: u64,
    /// Memory in RAM at the end of the window, in bytes.
    pub resident_bytes: u64,
}

/// What a server did to its write-ahead log within the window.
#[derive(Clone, Debug, Serialize)]
pub struct LogUse {
    /// Its address.
    pub server: String,
    /// The time between its two answers.
    pub seconds: f64,
    /// Times synced.
    pub syncs: u64,
    /// Commands that the syncs were for. A replicated command is one at each of its replicas.
    pub commands: u64,
}

impl Outcome {
    /// The figures of a tally that was filled in a window.
    pub fn new(op: Op, shape: &Shape, tally: &Tally, window: Window) -> Outcome {
        let latency = &tally.latency_us;
        let seconds = window.length.as_secs_f64();
        let at = |quantile| latency.value_at_quantile(quantile);
        Outcome {
            op: op.to_string(),
            shape: shape.clone(),
            seconds,
            operations: tally.operations(),
            operations_per_second: tally.operations() as f64 / seconds,
            overdue: tally.overdue,
            latency_us: Latency {
                mean: latency.mean(),
                p50: at(0.5),
                p90: at(0.9),
                p99: at(0.99),
                p999: at(0.999),
                max: latency.max(),
            },
            distribution: distribution(latency),
            errors: tally.errors.iter().map(|(code, count)| (code.name(), *count)).collect(),
            bytes_sent: tally.bytes_sent,
            bytes_received: tally.bytes_received,
            loopback_bytes: window.used.loopback_bytes,
            processes: window.used.processes,
            logs: window.used.logs,
        }
    }

    /// The distribution of the latencies.
    pub fn figure(&self) -> Figure {
        let curve = Curve { name: self.op.clone(), points: self.distribution_ms() };
        let title = format!("{}/s", figure(self.operations_per_second));
        let panel = Panel::Lines(Lines::of_distributions(title, vec![curve]));
        Figure { title: format!("Latency of {}", self.op), panels: vec![panel] }
    }

    /// The distribution as points of a curve: milliseconds, and the share of requests.
    pub fn distribution_ms(&self) -> Vec<(f64, f64)> {
        self.distribution.iter().map(|share| (share.us as f64 / 1e3, share.of_all)).collect()
    }

    /// Bytes sent per operation; not a number if there was none.
    pub fn bytes_sent_per_operation(&self) -> f64 {
        self.bytes_sent as f64 / self.operations as f64
    }

    /// Bytes received per operation; not a number if there was none.
    pub fn bytes_received_per_operation(&self) -> f64 {
        self.bytes_received as f64 / self.operations as f64
    }

    /// Bytes over the loopback interface per operation; not a number if there was none.
    pub fn loopback_bytes_per_operation(&self) -> f64 {
        self.loopback_bytes as f64 / self.operations as f64
    }

    /// The CPU time of processes per operation in microseconds; not a number if there was no operation.
    pub fn cpu_us_per_operation(&self, processes: &[ProcessUse]) -> f64 {
        processes.iter().map(|process| process.cpu_us).sum::<u64>() as f64 / self.operations as f64
    }

    /// Syncs per second of all servers; `None` if one does not tell.
    pub fn syncs_per_second(&self) -> Option<f64> {
        self.logs.iter().map(|log| Some(log.as_ref()?.syncs_per_second())).sum()
    }

    /// Commands per sync, over all servers; `None` if one does not tell, or nothing was synced.
    pub fn commands_per_sync(&self) -> Option<f64> {
        let logs: Vec<&LogUse> = self.logs.iter().map(Option::as_ref).collect::<Option<_>>()?;
        let sum = |of: fn(&LogUse) -> u64| logs.iter().map(|log| of(log)).sum();
        ratio(sum(|log| log.commands), sum(|log| log.syncs))
    }

    /// The figures, one to a row.
    pub fn table(&self) -> Table {
        let mut table = Table::default();
        let whole = |number: u64| thousands(number as i64);
        table.row(["operation", &self.op]);
        table.row(["operations", &whole(self.operations)]);
        table.row(["seconds", &figure(self.seconds)]);
        if let Some(rate) = self.shape.rate {
            table.row(["operations/s asked for", &whole(rate)]);
        }
        table.row(["operations/s", &figure(self.operations_per_second)]);
        if self.shape.rate.is_some() {
            table.row(["overdue at the end", &whole(self.overdue)]);
        }
        table.row(["p50 us", &whole(self.latency_us.p50)]);
        table.row(["p90 us", &whole(self.latency_us.p90)]);
        table.row(["p99 us", &whole(self.latency_us.p99)]);
        table.row(["p99.9 us", &whole(self.latency_us.p999)]);
        table.row(["max us", &whole(self.latency_us.max)]);
        table.row(["errors", &whole(self.errors.values().sum())]);
        for (code, count) in &self.errors {
            table.row([&format!("  {code}"), &whole(*count)]);
        }
        table.row(["bytes sent/operation", &figure(self.bytes_sent_per_operation())]);
        table.row(["bytes received/operation", &figure(self.bytes_received_per_operation())]);
        table.row(["loopback bytes/operation", &figure(self.loopback_bytes_per_operation())]);
        for (index, process) in self.processes.iter().enumerate() {
            let who = match index {
                0 => "generator".to_owned(),
                _ => format!("{} {}", process.name, process.pid),
            };
            let cpu = figure(self.cpu_us_per_operation(std::slice::from_ref(process)));
            table.row([&format!("CPU us/operation, {who}"), &cpu]);
            table.row([&format!("resident MiB, {who}"), &figure(process.resident_bytes as f64 / MIB)]);
        }
        if self.processes.len() > 2 {
            let cpu = figure(self.cpu_us_per_operation(&self.processes[1..]));
            table.row(["CPU us/operation, all but the generator", &cpu]);
        }
        self.log_rows(&mut table);
        table
    }

    /// The logs of the servers that tell, and their sum if there are several.
    fn log_rows(&self, table: &mut Table) {
        let mut row = |who: &str, syncs_per_second, commands_per_sync: Option<f64>| {
            table.row([format!("syncs/s, {who}"), figure(syncs_per_second)]);
            let commands = commands_per_sync.map_or("-".to_owned(), figure);
            table.row([format!("commands/sync, {who}"), commands]);
        };
        for log in self.logs.iter().flatten() {
            row(&log.server, log.syncs_per_second(), log.commands_per_sync());
        }
        match self.syncs_per_second() {
            Some(syncs) if self.logs.len() > 1 => row("all servers", syncs, self.commands_per_sync()),
            _ => {}
        }
    }
}

impl LogUse {
    /// Syncs per second.
    pub fn syncs_per_second(&self) -> f64 {
        self.syncs as f64 / self.seconds
    }

    /// Commands per sync; `None` if nothing was synced.
    pub fn commands_per_sync(&self) -> Option<f64> {
        ratio(self.commands, self.syncs)
    }
}

/// The distribution at every 200th, closer towards the end: 98, 99, 99.5, … 99.99 of 100.
fn distribution(latency: &Histogram<u64>) -> Vec<Share> {
    let last = [0.995, 0.999, 0.9995, 0.9999, 1.0];
    let shares = (1..=198).map(|index| f64::from(index) / 200.0).chain(last);
    let shares = shares.filter(|_| !latency.is_empty());
    shares.map(|of_all| Share { us: latency.value_at_quantile(of_all), of_all }).collect()
}

fn ratio(of: u64, to: u64) -> Option<f64> {
    (to > 0).then(|| of as f64 / to as f64)
}

/// Bytes as MiB, for a table.
pub fn mib(bytes: f64) -> String {
    figure(bytes / MIB)
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::witness::Used;
    use std::time::Duration;
    use volery::wire::ErrorCode;

    /// An outcome of 1,000 operations in two seconds: 1,000 us each, but one of 5,000. Its one server does not tell.
    pub fn outcome() -> Outcome {
        let shape = Shape::closed(16, 25, 100);
        let mut tally = Tally::new();
        (0..999).for_each(|_| tally.reply(Duration::from_micros(1_000), None));
        tally.reply(Duration::from_micros(5_000), None);
        tally.reply(Duration::from_micros(1), Some(ErrorCode::NoNode));
        let process = |pid, name: &str, cpu_us| ProcessUse {
            pid,
            name: name.to_owned(),
            cpu_us,
            resident_bytes: 3 * 1_048_576,
        };
        let processes = vec![process(1, "bench", 3_000), process(42, "java", 24_500)];
        (tally.bytes_sent, tally.bytes_received) = (150_000, 88_000);
        let used = Used { processes, logs: vec![None], loopback_bytes: 1_000_000 };
        let window = Window { length: Duration::from_secs(2), used };
        Outcome::new(Op::Set, &shape, &tally, window)
    }

    /// What a server that tells did within two seconds.
    pub fn log(server: &str, syncs: u64, commands: u64) -> Option<LogUse> {
        Some(LogUse { server: server.to_owned(), seconds: 2.0, syncs, commands })
    }

    #[test]
    fn the_table_has_every_figure() {
        let expected = "\
operation                      set
operations                   1,000
seconds                       2.00
operations/s                   500
p50 us                       1,000
p90 us                       1,000
p99 us                       1,000
p99.9 us                     1,000
max us                       5,003
errors                           1
  NoNode                         1
bytes sent/operation           150
bytes received/operation      88.0
loopback bytes/operation     1,000
CPU us/operation, generator   3.00
resident MiB, generator       3.00
CPU us/operation, java 42     24.5
resident MiB, java 42         3.00
";
        assert_eq!(outcome().table().to_string(), expected);
    }

    #[test]
    fn an_open_loop_tells_what_was_asked_for() {
        let mut outcome = outcome();
        outcome.shape.rate = Some(600);
        outcome.overdue = 7;
        let table = squeezed(&outcome.table().to_string());
        let place = table.iter().position(|row| row == "operations/s asked for 600").unwrap();
        assert_eq!(table[place + 1..place + 3], ["operations/s 500", "overdue at the end 7"]);
    }

    #[test]
    fn the_distribution_rises_to_all() {
        let distribution = outcome().distribution;
        let share = |us| distribution.iter().filter(move |share| share.us <= us).map(|share| share.of_all);
        assert_eq!(share(1_000).fold(0.0, f64::max), 0.999);
        assert_eq!(share(5_010).fold(0.0, f64::max), 1.0);
        assert!(distribution.is_sorted_by(|a, b| a.us <= b.us && a.of_all < b.of_all));
    }

    #[test]
    fn servers_that_tell_of_their_logs_are_added_up() {
        let tables_end = |logs| {
            let table = Outcome { logs, ..outcome() }.table().to_string();
            let rows = table.lines().skip_while(|row| !row.starts_with("resident MiB, java 42")).skip(1);
            rows.map(str::to_owned).collect::<Vec<_>>().join("\n")
        };
        let expected = "\
syncs/s, a                 2.00
commands/sync, a           10.0
syncs/s, b                 4.00
commands/sync, b           2.50
syncs/s, all servers       6.00
commands/sync, all servers 5.00";
        let told = tables_end(vec![log("a", 4, 40), log("b", 8, 20)]);
        assert_eq!(squeezed(&told), squeezed(expected));
        let idle = tables_end(vec![log("a", 0, 0), None]);
        assert_eq!(squeezed(&idle), squeezed("syncs/s, a 0.00\ncommands/sync, a -"));
    }

    /// With single spaces: how wide columns are is the table's own concern.
    fn squeezed(text: &str) -> Vec<String> {
        text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }

    #[test]
    fn processes_besides_the_generator_are_added_up_if_there_are_several() {
        let mut outcome = outcome();
        outcome.processes.push(outcome.processes[1].clone());
        let table = outcome.table().to_string();
        assert!(table.contains("CPU us/operation, all but the generator   49.0"), "{table}");
    }

    #[test]
    fn the_json_has_the_codes_by_name() {
        let json = serde_json::to_value(outcome()).unwrap();
        assert_eq!(json["errors"]["NoNode"], 1);
        assert_eq!(json["operations_per_second"], 500.0);
        assert_eq!(json["shape"]["spread"], "directory");
        assert_eq!(json["processes"][1]["name"], "java");
        assert!(json["logs"][0].is_null());
    }
}
