//! Reads through one node what was just written through another.

use super::attendant::Attendant;
use super::mailbox::Notice;
use super::world::{Target, World};
use crate::checks::{judge_counter, judge_pair};
use crate::violation::Violation;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use volery::wire::OpResult;

/// How long a witness waits for a write before it sees whether the trial is over.
const PATIENCE: Duration = Duration::from_millis(100);

/// A client of one node that reads what it hears was written, as soon as it hears it.
#[derive(Debug)]
pub struct Witness {
    attendant: Attendant,
}

impl Witness {
    /// Reads until the trial is over.
    pub fn run(world: Arc<World>, node: usize) {
        let Some(attendant) = Attendant::open(world, node) else { return };
        let mut witness = Witness { attendant };
        while !witness.attendant.world.is_stopping() {
            let world = Arc::clone(&witness.attendant.world);
            if let Some(notice) = world.nodes[node].mailbox.take(PATIENCE) {
                witness.look(&world, &notice);
            }
            world.rest();
        }
    }

    fn look(&mut self, world: &World, notice: &Notice) {
        let (slot, path) = (notice.target.slot(), &notice.written.path);
        let known = world.freshness.known(slot);
        let Some(seen) = self.read(notice.target) else { return };
        match seen {
            Err(violation) => world.record.violate(violation),
            Ok((version, data)) => {
                let node = self.attendant.node;
                let echo = notice.written.judge_echo(world.reads, node, version, &data);
                let violation = echo.or_else(|| world.freshness.judge(slot, path, known, version));
                violation.into_iter().for_each(|violation| world.record.violate(violation));
            }
        }
        world.record.echo();
        world.nodes[self.attendant.node].echo();
    }

    /// The version and the data that are there, or what is wrong with them alone. `None` is that there was no answer.
    fn read(&mut self, target: Target) -> Option<Result<(i32, Bytes), Violation>> {
        match target {
            Target::Counter(index) => {
                let path = World::counter(index);
                let (data, stat) = self.attendant.ask(|client| client.get(&path))?;
                Some(judge_counter(&path, &data, stat.version).map_or(Ok((stat.version, data)), Err))
            }
            Target::Pair(index) => {
                let results = self.attendant.ask(|client| client.multi_read(World::pair_reads(index)))?;
                Some(judge_pair(&World::pair(index), &results).map(|version| (version, first_data(&results))))
            }
        }
    }
}

fn first_data(results: &[OpResult]) -> Bytes {
    match results {
        [OpResult::Data { data: Some(data), .. }, ..] => data.clone(),
        _ => Bytes::new(),
    }
}
