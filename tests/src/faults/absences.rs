//! One node is away while much is written, and comes back; then another one is killed.

use super::latencies::{Latencies, Stages};
use super::{Faults, RECOVERY_MAX, process_fault};
use crate::judgement::connect;
use crate::schedule::Absences;
use crate::status::status;
use crate::violation::Violation;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use volery::client::Client;
use volery::status::Status;
use volery::wire::CreateMode;

/// How long the others are measured before each absence, without the node, and when it is level again.
const MEASURED: Duration = Duration::from_secs(5);
/// How much one write of what is missed holds.
const VALUE_BYTES: usize = 512 << 10;
/// Over so many znodes it is spread, and so over the partitions.
const VALUES: usize = 8;

impl Faults<'_> {
    /// Each node in turn is away while as much is written as said: stopped or killed, one after the other.
    pub(super) fn absences(&mut self, absences: &Absences) -> Result<(), Violation> {
        (0..absences.count).try_for_each(|absence| self.absence(absences, absence))
    }

    fn absence(&mut self, absences: &Absences, absence: u32) -> Result<(), Violation> {
        let nodes = self.cluster.count();
        let (away, is_killed) = (absence as usize % nodes, absence % 2 == 1);
        let others: Vec<SocketAddr> =
            (0..nodes).filter(|node| *node != away).map(|node| self.world.nodes[node].address).collect();
        let mut client = connect(self.world, &others).map_err(|error| answered("a probe connects", error))?;
        let name = format!("/away{absence}");
        client
            .create(&name, "", CreateMode::Persistent)
            .map_err(|error| answered("a probe creates", error))?;
        self.begin();
        let before = self.probe(&mut client, &name, |began| began.elapsed() > MEASURED)?;
        let silence_before = self.world.record.take_silence();
        // A process that starts counts from 0.
        let known = if is_killed { 0 } else { self.catch_ups(away) };
        self.leave(away, is_killed)?;
        let without = self.probe(&mut client, &name, |began| began.elapsed() > MEASURED)?;
        let written = Instant::now();
        self.write(&mut client, &name, absences.bytes)?;
        let write_ms = written.elapsed().as_millis();
        let missed = self.decided_without(away);
        let returned = self.come_back(away, is_killed)?;
        let next = (away + 1) % nodes;
        let mut line = format!(
            "absence {}/{} of node {}, {}: {} MiB missed in {write_ms} ms",
            absence + 1,
            absences.count,
            away + 1,
            if is_killed { "killed" } else { "stopped" },
            absences.bytes >> 20,
        );
        let acknowledging = if absences.is_needed { Some(self.kill_another(next)?) } else { None };
        let address = self.world.nodes[away].address;
        let is_level = |_| status(address).is_some_and(|status| is_level(&status, &missed));
        let during = self.probe(&mut client, &name, is_level)?;
        let level_ms = returned.elapsed().as_millis();
        let silence = self.world.record.take_silence();
        let catch_ups = self.catch_ups(away).saturating_sub(known);
        line += &format!(", level {level_ms} ms after it came back, having caught up in {catch_ups} rings; ");
        line += &match acknowledging {
            Some(acknowledging) => needed(next, acknowledging),
            None => {
                let after = self.probe(&mut client, &name, |began| began.elapsed() > MEASURED)?;
                let stages = Stages { before, without, during, after };
                let acknowledging = self.kill_another(next)?;
                unneeded(&stages, [silence_before, silence], next, acknowledging)
            }
        };
        self.report.fault(&line, &self.world.record);
        self.judge_absence(absences, away, silence, catch_ups);
        self.restart_and_wait_for(next)?;
        self.wait_for_all()
    }

    /// One write after the other, until `is_over`.
    fn probe(
        &mut self,
        client: &mut Client,
        path: &str,
        is_over: impl Fn(Instant) -> bool,
    ) -> Result<Latencies, Violation> {
        let (began, mut latencies) = (Instant::now(), Latencies::default());
        while !is_over(began) {
            if began.elapsed() > MEASURED + RECOVERY_MAX {
                return Err(Violation::NoProgress { seconds: RECOVERY_MAX.as_secs() });
            }
            let sent = Instant::now();
            self.set(client, path, Vec::new())?;
            latencies.add(sent.elapsed());
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

    /// What is decided in each ring, as far as a node other than `away` knows.
    fn decided_without(&self, away: usize) -> BTreeMap<String, u64> {
        let mut decided = BTreeMap::new();
        let others = self.world.nodes.iter().enumerate().filter(|(node, _)| *node != away);
        for ring in others.filter_map(|(_, node)| status(node.address)).flat_map(|status| status.rings) {
            let most: &mut u64 = decided.entry(ring.ring).or_default();
            *most = ring.decided.max(*most);
        }
        decided
    }

    /// How often a node has caught up in pieces since it started.
    fn catch_ups(&self, node: usize) -> u64 {
        status(self.world.nodes[node].address).map_or(0, |status| catch_ups(&status))
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

/// When nobody else was killed until the node was level.
fn unneeded(stages: &Stages, [before, since]: [Duration; 2], next: usize, acknowledging: Duration) -> String {
    format!(
        "the others {stages}; longest without an acknowledgement {} ms before, {} ms since; acknowledging {} ms after node {} was killed",
        before.as_millis(),
        since.as_millis(),
        acknowledging.as_millis(),
        next + 1,
    )
}

/// When another one was killed as soon as the node was back.
fn needed(next: usize, acknowledging: Duration) -> String {
    let ms = acknowledging.as_millis();
    format!("node {} was killed when it came back, and a write was acknowledged after {ms} ms", next + 1)
}

/// Whether a node has everything of what it had missed. It need not have fetched it in pieces: what the others have kept for its
/// connections may suffice.
fn is_level(status: &Status, missed: &BTreeMap<String, u64>) -> bool {
    status
        .rings
        .iter()
        .all(|ring| !ring.catching_up && missed.get(&ring.ring).is_none_or(|missed| ring.decided >= *missed))
}

fn catch_ups(status: &Status) -> u64 {
    status.rings.iter().map(|ring| ring.catch_ups).sum()
}

#[expect(clippy::needless_pass_by_value, reason = "goes into map_err")]
fn answered(what: &str, error: volery::client::ClientError) -> Violation {
    Violation::Unexpected { what: what.to_owned(), answer: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use volery::status::RingStatus;

    #[test]
    fn a_node_is_level_when_it_has_what_it_had_missed_in_every_ring() {
        let ring = |name: &str, decided, catching_up| RingStatus {
            ring: name.to_owned(),
            decided,
            catching_up,
            catch_ups: 1,
            ..RingStatus::default()
        };
        let of = |rings: Vec<RingStatus>| Status { rings, ..Status::default() };
        let missed = BTreeMap::from([("p0".to_owned(), 5), ("p1".to_owned(), 7)]);
        let level = of(vec![ring("p0", 5, false), ring("p1", 8, false), ring("shared", 0, false)]);
        assert!(is_level(&level, &missed));
        assert_eq!(catch_ups(&level), 3);
        assert!(!is_level(&of(vec![ring("p0", 5, false), ring("p1", 6, false)]), &missed));
        assert!(!is_level(&of(vec![ring("p0", 5, true), ring("p1", 7, false)]), &missed));
    }
}
