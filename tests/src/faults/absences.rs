//! One node is away while much is written, and comes back; then another one is killed.

use super::{Faults, RECOVERY_MAX, process_fault};
use crate::judgement::connect;
use crate::schedule::Absences;
use crate::violation::Violation;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use volery::client::Client;
use volery::wire::CreateMode;

/// How long the others are measured before each absence.
const BEFORE: Duration = Duration::from_secs(5);
/// How much one write of what is missed holds.
const VALUE_BYTES: usize = 512 << 10;
/// Over so many znodes it is spread, and so over the partitions.
const VALUES: usize = 8;

/// How long single writes took through nodes that were there all the time.
#[derive(Debug, Default)]
struct Latencies(Vec<Duration>);

impl Latencies {
    fn quantile(&mut self, per_mille: usize) -> Duration {
        self.0.sort_unstable();
        let at = self.0.len() * per_mille / 1_000;
        self.0.get(at.min(self.0.len().saturating_sub(1))).copied().unwrap_or_default()
    }
}

impl fmt::Display for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sorted = Latencies(self.0.clone());
        let [half, most, all] = [500, 990, 1_000].map(|per_mille| sorted.quantile(per_mille).as_millis());
        write!(f, "p50 {half} ms, p99 {most} ms, longest {all} ms of {}", self.0.len())
    }
}

impl Faults<'_> {
    /// Each node in turn is away while as much is written as said: stopped or killed, one after the other.
    pub(super) fn absences(&mut self, absences: &Absences) -> Result<(), Violation> {
        let nodes = self.cluster.count();
        for absence in 0..absences.count {
            let away = absence as usize % nodes;
            let is_killed = absence % 2 == 1;
            let others: Vec<SocketAddr> =
                (0..nodes).filter(|node| *node != away).map(|node| self.world.nodes[node].address).collect();
            let mut client =
                connect(self.world, &others).map_err(|error| answered("a probe connects", error))?;
            let name = format!("/away{absence}");
            client
                .create(&name, "", CreateMode::Persistent)
                .map_err(|error| answered("a probe creates", error))?;
            self.begin();
            let before = self.probe(&mut client, &name, |began, _| began.elapsed() > BEFORE)?;
            let silence_before = self.world.record.take_silence();
            // A process that starts counts from 0.
            let known = if is_killed { 0 } else { self.monitored(away, "volery_catch_ups") };
            self.leave(away, is_killed)?;
            let written = Instant::now();
            self.write(&mut client, &name, absences.bytes)?;
            let write_ms = written.elapsed().as_millis();
            let returned = self.come_back(away, is_killed)?;
            let during = self.probe(&mut client, &name, |_, world| world.is_level(away, known))?;
            let level = returned.elapsed();
            let silence = self.world.record.take_silence();
            let catch_ups = self.monitored(away, "volery_catch_ups") - known;
            let next = (away + 1) % nodes;
            let acknowledging = self.kill_another(next)?;
            let line = format!(
                "absence {}/{} of node {}, {}: {} MiB missed in {write_ms} ms, level {} ms after it came back, having caught up in {catch_ups} rings; \
                 the others before: {before}, longest without an acknowledgement {} ms; until it was level: {during}, {} ms; \
                 acknowledging {} ms after node {} was killed",
                absence + 1,
                absences.count,
                away + 1,
                if is_killed { "killed" } else { "stopped" },
                absences.bytes >> 20,
                level.as_millis(),
                silence_before.as_millis(),
                silence.as_millis(),
                acknowledging.as_millis(),
                next + 1,
            );
            self.report.fault(&line, &self.world.record);
            self.judge_absence(absences, away, silence, catch_ups);
            self.restart_and_wait_for(next)?;
            self.wait_for_all()?;
        }
        Ok(())
    }

    /// One write after the other, until `is_over`.
    fn probe(
        &mut self,
        client: &mut Client,
        path: &str,
        is_over: impl Fn(Instant, &Faults<'_>) -> bool,
    ) -> Result<Latencies, Violation> {
        let (began, mut latencies) = (Instant::now(), Latencies::default());
        while !is_over(began, self) {
            if began.elapsed() > BEFORE + RECOVERY_MAX {
                return Err(Violation::NoProgress { seconds: RECOVERY_MAX.as_secs() });
            }
            let sent = Instant::now();
            self.set(client, path, Vec::new())?;
            latencies.0.push(sent.elapsed());
            self.wait_until(Instant::now() + Duration::from_millis(5))?;
        }
        Ok(latencies)
    }

    fn write(&mut self, client: &mut Client, name: &str, bytes: u64) -> Result<(), Violation> {
        for value in 0..VALUES {
            client
                .create(&format!("{name}/v{value}"), "", CreateMode::Persistent)
                .map_err(|error| answered("a probe creates", error))?;
        }
        for write in 0..(bytes as usize).div_ceil(VALUE_BYTES) {
            self.set(client, &format!("{name}/v{}", write % VALUES), vec![write as u8; VALUE_BYTES])?;
        }
        Ok(())
    }

    /// Sets a znode, at another node if the connection is lost.
    fn set(&mut self, client: &mut Client, path: &str, data: Vec<u8>) -> Result<(), Violation> {
        let deadline = Instant::now() + RECOVERY_MAX;
        loop {
            match client.set(path, data.clone(), -1) {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() > deadline => return Err(answered("a probe sets", error)),
                Err(_) => {
                    // The next attempt tells if this one fails.
                    let _ = client.reconnect();
                    self.wait_until(Instant::now() + Duration::from_millis(20))?;
                }
            }
        }
    }

    fn leave(&mut self, node: usize, is_killed: bool) -> Result<(), Violation> {
        if is_killed { self.cluster.kill(node) } else { self.cluster.pause(node) }.map_err(process_fault)
    }

    fn come_back(&mut self, node: usize, is_killed: bool) -> Result<Instant, Violation> {
        let now = Instant::now();
        if is_killed { self.cluster.restart(node) } else { self.cluster.resume(node) }
            .map_err(process_fault)?;
        Ok(now)
    }

    /// Whether a node answers, has caught up more often than `known` since, and lacks nothing of any ring.
    fn is_level(&self, node: usize, known: u64) -> bool {
        let Some(lines) = monitor(self.world.nodes[node].address) else { return false };
        let is_zero = |name: &str| number(&lines, name) == Some(0);
        let has_caught_up = number(&lines, "volery_catch_ups").is_some_and(|count| count > known);
        has_caught_up && is_zero("volery_rings_catching_up") && is_zero("volery_entries_lacked")
    }

    fn monitored(&self, node: usize, name: &str) -> u64 {
        monitor(self.world.nodes[node].address).and_then(|lines| number(&lines, name)).unwrap_or(0)
    }

    /// Kills a node, and says how long it took until a write was acknowledged.
    fn kill_another(&mut self, node: usize) -> Result<Duration, Violation> {
        let killed = Instant::now();
        self.cluster.kill(node).map_err(process_fault)?;
        self.wait_for_acknowledgement()?;
        Ok(killed.elapsed())
    }

    fn judge_absence(&self, absences: &Absences, away: usize, silence: Duration, catch_ups: u64) {
        let fault = format!("node {} was away", away + 1);
        let late = absences.judge_silence(&fault, silence);
        let unused = (catch_ups == 0).then(|| Violation::Unexpected {
            what: fault,
            answer: "it lacked too little to catch up in pieces".to_owned(),
        });
        late.into_iter().chain(unused).for_each(|violation| self.world.record.violate(violation));
    }
}

/// What a node answers to `mntr`, if it does.
fn monitor(address: SocketAddr) -> Option<String> {
    let ask = || -> io::Result<String> {
        let second = Duration::from_secs(1);
        let mut stream = TcpStream::connect_timeout(&address, second)?;
        stream.set_read_timeout(Some(second))?;
        stream.write_all(b"mntr")?;
        let mut lines = String::new();
        stream.read_to_string(&mut lines)?;
        Ok(lines)
    };
    ask().ok()
}

fn number(lines: &str, name: &str) -> Option<u64> {
    let line = lines.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('\t'))?;
    line.parse().ok()
}

#[expect(clippy::needless_pass_by_value, reason = "goes into map_err")]
fn answered(what: &str, error: volery::client::ClientError) -> Violation {
    Violation::Unexpected { what: what.to_owned(), answer: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_found_by_its_whole_name() {
        let lines = "volery_catch_ups_more\t1\nvolery_catch_ups\t2\n";
        assert_eq!(number(lines, "volery_catch_ups"), Some(2));
        assert_eq!(number(lines, "volery"), None);
    }

    #[test]
    fn latencies_are_told_by_quantiles() {
        let latencies = Latencies((1..=200).map(Duration::from_millis).collect());
        assert_eq!(latencies.to_string(), "p50 101 ms, p99 199 ms, longest 200 ms of 200");
        assert_eq!(Latencies::default().to_string(), "p50 0 ms, p99 0 ms, longest 0 ms of 0");
    }
}
