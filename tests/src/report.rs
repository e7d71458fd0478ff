//! What a trial prints: a line per fault, per phase and per violation, and one at the end.

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

    /// A fault, what followed in `line`, and what was done since the one before.
    pub fn fault(&mut self, line: &str, record: &Record) {
        let totals = record.totals();
        let more = totals.acknowledged - self.acknowledged;
        self.acknowledged = totals.acknowledged;
        self.say(&format!(
            "{line}; writes {} (+{more}), unknown {}, reads {}, violations {}",
            totals.acknowledged, totals.unknown, totals.reads, totals.violations
        ));
        self.violations(record);
    }

    /// A phase is over, in which no write was acknowledged for so long, and may have been for no longer than `allowed`.
    pub fn phase(&mut self, phase: &str, silence: Duration, allowed: Option<Duration>) {
        let allowed = allowed.map(|allowed| format!(", {} ms are allowed", allowed.as_millis()));
        let (silence_ms, allowed) = (silence.as_millis(), allowed.unwrap_or_default());
        self.say(&format!("{phase}: longest without an acknowledgement {silence_ms} ms{allowed}"));
    }

    /// Prints the violations that are new.
    pub fn violations(&mut self, record: &Record) {
        for violation in record.take_violations_from(self.printed) {
            self.say(&format!("VIOLATION {violation}"));
            self.printed += 1;
        }
    }

    /// The last line; `faults` is what was done.
    pub fn summary(&mut self, faults: &str, seed: u64, totals: &Totals) {
        self.say(&format!(
            "{}: {faults}, seed {seed}: {} writes acknowledged, {} unknown, {} reads judged, {} echoes judged, \
             {} reconnects, longest without an acknowledgement {} ms, {} violations",
            if totals.violations == 0 { "ok" } else { "FAILED" },
            totals.acknowledged,
            totals.unknown,
            totals.reads,
            totals.echoes,
            totals.reconnects,
            totals.longest_gap.as_millis(),
            totals.violations
        ));
    }
}
