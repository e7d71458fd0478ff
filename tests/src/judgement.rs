//! The judgement at the end: what is there, against what clients were told.

#![allow(clippy::disallowed_methods, reason = "waits for servers that have just been started")]

use crate::checks::{Burst, Reads, Updates, judge_counter, judge_pair, judge_sequence};
use crate::faults::RECOVERY_MAX;
use crate::violation::Violation;
use crate::workload::{COUNTERS, PAIRS, Told, World, sweep};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use volery::client::{Client, ClientError};
use volery::wire::{Reply, Request};

/// The timeout of this thread's sessions.
const SESSION_TIMEOUT: Duration = Duration::from_secs(10);
/// Children whose data are read in one pipeline.
const READ_PIPELINE: usize = 512;

/// Opens a session at a server that may just have been started, within the time it has for that.
pub(crate) fn connect(world: &World, servers: &[SocketAddr]) -> Result<Client, ClientError> {
    let deadline = Instant::now() + RECOVERY_MAX;
    loop {
        match Client::connect(servers, SESSION_TIMEOUT) {
            Err(_) if Instant::now() < deadline => world.pause(),
            done => return done,
        }
    }
}

/// What all workers together were told.
struct Judgement {
    counters: Vec<Updates>,
    pairs: Vec<Updates>,
    bursts: BTreeMap<usize, Vec<Burst>>,
}

/// Judges what is there in the end, through every node, against what the workers were told.
pub(crate) fn judge(world: &World, told: Vec<Told>) -> Result<(), ClientError> {
    let judgement = Judgement::new(told);
    for (node, attendee) in world.nodes.iter().enumerate() {
        let mut client = connect(world, &[attendee.address])?;
        if world.reads == Reads::Sequential {
            client.call(Request::Sync { path: "/".into() })?;
        }
        let mut violations = judgement.judge_counters(&mut client)?;
        violations.extend(judgement.judge_pairs(&mut client)?);
        let rounds = judgement.bursts.keys().filter(|round| *round % world.nodes.len() == node);
        for round in rounds {
            violations.extend(judgement.judge_round(&mut client, *round)?);
        }
        violations.into_iter().for_each(|violation| world.record.violate(violation));
        sweep(world, &mut client)?;
        client.close()?;
    }
    Ok(())
}

impl Judgement {
    fn new(told: Vec<Told>) -> Judgement {
        let mut all = Judgement {
            counters: vec![Updates::default(); COUNTERS],
            pairs: vec![Updates::default(); PAIRS],
            bursts: BTreeMap::new(),
        };
        for one in told {
            all.counters.iter_mut().zip(one.counters).for_each(|(all, one)| all.absorb(one));
            all.pairs.iter_mut().zip(one.pairs).for_each(|(all, one)| all.absorb(one));
            one.bursts
                .into_iter()
                .for_each(|(round, more)| all.bursts.entry(round).or_default().extend(more));
        }
        all
    }

    fn judge_counters(&self, client: &mut Client) -> Result<Vec<Violation>, ClientError> {
        let mut violations = Vec::new();
        for (index, updates) in self.counters.iter().enumerate() {
            let path = World::counter(index);
            let (value, stat) = client.get(&path)?;
            violations.extend(judge_counter(&path, &value, stat.version));
            violations.extend(updates.judge(&path, stat.version));
        }
        Ok(violations)
    }

    fn judge_pairs(&self, client: &mut Client) -> Result<Vec<Violation>, ClientError> {
        let mut violations = Vec::new();
        for (index, updates) in self.pairs.iter().enumerate() {
            let paths = World::pair(index);
            match judge_pair(&paths, &client.multi_read(World::pair_reads(index))?) {
                Ok(version) => violations.extend(updates.judge(&paths[0], version)),
                Err(violation) => violations.push(violation),
            }
        }
        Ok(violations)
    }

    fn judge_round(&self, client: &mut Client, round: usize) -> Result<Vec<Violation>, ClientError> {
        let parent = World::sequence(round);
        Ok(judge_sequence(&parent, &self.bursts[&round], &children(client, &parent)?))
    }
}

/// All children with their data.
fn children(client: &mut Client, parent: &str) -> Result<Vec<(String, String)>, ClientError> {
    let names = client.children(parent)?;
    let mut children = Vec::with_capacity(names.len());
    for names in names.chunks(READ_PIPELINE) {
        for name in names {
            client.send(Request::GetData { path: format!("{parent}/{name}").into(), watch: false })?;
        }
        for name in names {
            let data = match client.receive()?.1? {
                Reply::Data { data, .. } => data.unwrap_or_default(),
                other => unreachable!("the codec read {other:?} for a getData"),
            };
            children.push((name.to_string(), String::from_utf8_lossy(&data).into_owned()));
        }
    }
    Ok(children)
}
