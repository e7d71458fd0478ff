//! What a trial prints: a line per kill, a line per violation, a line at the end.

use crate::record::{Record, Totals};
use std::io::Write;
use std::time::Duration;

/// Prints as the trial goes.
pub struct Report {
    output: Box<dyn Write>,
    /// Violations printed so far.
    printed: usize,
    /// Writes acknowledged when the last line was printed.
    acknowledged: u64,
}

impl Report {
    /// A report that has said nothing yet.
    pub fn new(output: Box<dyn Write>) -> Report {
        Report { output, printed: 0, acknowledged: 0 }
    }

    /// Prints one line.
    pub fn say(&mut self, line: &str) {
        // A trial goes on when nobody reads: its exit code tells too.
        let _ = writeln!(self.output, "{line}");
        let _ = self.output.flush();
    }

    /// The server was killed, accepted connections after `up` and acknowledged a write after `back`.
    pub fn kill(&mut self, kill: u32, kills: u32, up: Duration, back: Duration, record: &Record) {
        let totals = record.totals();
        let more = totals.acknowledged - self.acknowledged;
        self.acknowledged = totals.acknowledged;
        self.say(&format!(
            "kill {kill}/{kills}: up after {} ms, acknowledging after {} ms; writes {} (+{more}), unknown {}, \
             reads {}, violations {}",
            up.as_millis(),
            back.as_millis(),
            totals.acknowledged,
            totals.unknown,
            totals.reads,
            totals.violations
        ));
        self.violations(record);
    }

    /// Prints the violations that are new.
    pub fn violations(&mut self, record: &Record) {
        for violation in record.take_violations_from(self.printed) {
            self.say(&format!("VIOLATION {violation}"));
            self.printed += 1;
        }
    }

    /// The last line.
    pub fn summary(&mut self, kills: u32, seed: u64, totals: &Totals) {
        self.say(&format!(
            "{}: {kills} kills, seed {seed}: {} writes acknowledged, {} unknown, {} reads judged, {} reconnects, \
             longest without an acknowledgement {} ms, {} violations",
            if totals.violations == 0 { "ok" } else { "FAILED" },
            totals.acknowledged,
            totals.unknown,
            totals.reads,
            totals.reconnects,
            totals.longest_gap.as_millis(),
            totals.violations
        ));
    }
}
