//! What a run measured.

use crate::load::Shape;
use crate::op::Op;
use crate::table::{Table, figure, thousands};
use crate::tally::Tally;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

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
    /// Of the requests answered without an error.
    pub latency_us: Latency,
    /// How often each error was replied, by its name.
    pub errors: BTreeMap<&'static str, u64>,
    /// Bytes sent within the window.
    pub bytes_sent: u64,
    /// Bytes received within the window.
    pub bytes_received: u64,
    /// What processes used: the generator first, then those asked for.
    pub processes: Vec<ProcessUse>,
}

/// Latencies in microseconds, from the hand-over of a request to the receipt of its reply.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Latency {
    /// Half of all are not above it.
    pub p50: u64,
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

impl Outcome {
    /// The figures of a tally that was filled in so long a window.
    pub fn new(
        op: Op,
        shape: &Shape,
        tally: &Tally,
        window: Duration,
        processes: Vec<ProcessUse>,
    ) -> Outcome {
        let latency = &tally.latency_us;
        let at = |quantile| latency.value_at_quantile(quantile);
        Outcome {
            op: op.to_string(),
            shape: shape.clone(),
            seconds: window.as_secs_f64(),
            operations: latency.len(),
            operations_per_second: latency.len() as f64 / window.as_secs_f64(),
            latency_us: Latency { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: latency.max() },
            errors: tally.errors.iter().map(|(code, count)| (code.name(), *count)).collect(),
            bytes_sent: tally.bytes_sent,
            bytes_received: tally.bytes_received,
            processes,
        }
    }

    /// A process's CPU time per operation in microseconds; not a number if there was no operation.
    pub fn cpu_us_per_operation(&self, process: &ProcessUse) -> f64 {
        process.cpu_us as f64 / self.operations as f64
    }

    /// The figures, one to a row.
    pub fn table(&self) -> Table {
        let mut table = Table::default();
        let whole = |number: u64| thousands(number as i64);
        table.row(["operation", &self.op]);
        table.row(["operations", &whole(self.operations)]);
        table.row(["seconds", &figure(self.seconds)]);
        table.row(["operations/s", &figure(self.operations_per_second)]);
        table.row(["p50 us", &whole(self.latency_us.p50)]);
        table.row(["p99 us", &whole(self.latency_us.p99)]);
        table.row(["p99.9 us", &whole(self.latency_us.p999)]);
        table.row(["max us", &whole(self.latency_us.max)]);
        table.row(["errors", &whole(self.errors.values().sum())]);
        for (code, count) in &self.errors {
            table.row([&format!("  {code}"), &whole(*count)]);
        }
        table.row(["MB sent", &figure(self.bytes_sent as f64 / 1e6)]);
        table.row(["MB received", &figure(self.bytes_received as f64 / 1e6)]);
        for (index, process) in self.processes.iter().enumerate() {
            let who = match index {
                0 => "generator".to_owned(),
                _ => format!("{} {}", process.name, process.pid),
            };
            table.row([&format!("CPU us/operation, {who}"), &figure(self.cpu_us_per_operation(process))]);
            table.row([&format!("resident MiB, {who}"), &figure(process.resident_bytes as f64 / MIB)]);
        }
        table
    }
}

/// Bytes as MiB, for a table.
pub fn mib(bytes: f64) -> String {
    figure(bytes / MIB)
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::op::Span;
    use crate::workload::Spread;
    use volery::wire::ErrorCode;

    /// An outcome of 1,000 operations in two seconds: 1,000 us each, but one of 5,000.
    pub fn outcome() -> Outcome {
        let shape = Shape {
            connections: 16,
            outstanding: 25,
            size: 100,
            keys: 100,
            spread: Spread::Directory,
            get_percent: 90,
            span: Span::One,
            threads: 1,
        };
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
        Outcome::new(Op::Set, &shape, &tally, Duration::from_secs(2), processes)
    }

    #[test]
    fn the_table_has_every_figure() {
        let expected = "\
operation                      set
operations                   1,000
seconds                       2.00
operations/s                   500
p50 us                       1,000
p99 us                       1,000
p99.9 us                     1,000
max us                       5,003
errors                           1
  NoNode                         1
MB sent                       0.00
MB received                   0.00
CPU us/operation, generator   3.00
resident MiB, generator       3.00
CPU us/operation, java 42     24.5
resident MiB, java 42         3.00
";
        assert_eq!(outcome().table().to_string(), expected);
    }

    #[test]
    fn the_json_has_the_codes_by_name() {
        let json = serde_json::to_value(outcome()).unwrap();
        assert_eq!(json["errors"]["NoNode"], 1);
        assert_eq!(json["operations_per_second"], 500.0);
        assert_eq!(json["shape"]["spread"], "directory");
        assert_eq!(json["processes"][1]["name"], "java");
    }
}
