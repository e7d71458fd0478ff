//! Reads the ephemerals of all sessions, and knows which must be there.

#![allow(clippy::disallowed_methods, reason = "reads the clock to know which sessions are overdue")]

use super::attendant::Attendant;
use super::sessions::Row;
use super::world::World;
use crate::checks::{Expected, Reads, expected, judge_ephemerals};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::sync::Arc;
use std::time::Instant;
use volery::client::{Client, ClientError};
use volery::wire::OpResult;

/// Every other read is of one of these many newest sessions.
const NEWEST: usize = 16;

/// Watches over the ephemerals through one node.
#[derive(Debug)]
pub struct Observer {
    attendant: Attendant,
    rng: SmallRng,
}

impl Observer {
    /// Reads until the trial is over.
    pub fn run(world: Arc<World>, node: usize, seed: u64) {
        let Some(attendant) = Attendant::open(world, node) else { return };
        let mut observer = Observer { attendant, rng: SmallRng::seed_from_u64(seed) };
        while !observer.attendant.world.is_stopping() {
            observer.turn();
            observer.attendant.world.rest();
        }
    }

    fn turn(&mut self) {
        let world = Arc::clone(&self.attendant.world);
        let count = world.sessions.count();
        if count == 0 {
            return world.pause();
        }
        let newest = count.saturating_sub(NEWEST);
        let from = if self.rng.random_bool(0.5) { newest } else { 0 };
        let sight = Sight::new(&world, world.sessions.row(self.rng.random_range(from..count)));
        if let Some(results) = self.attendant.ask(|client| client.multi_read(sight.row.reads())) {
            sight.judge(&world, world.reads, &results);
        }
    }
}

/// Reads the ephemerals of every session there ever was, and waits for those whose time has not come. All clients have
/// finished, and the reads of this one are not old.
pub fn sweep(world: &World, client: &mut Client) -> Result<(), ClientError> {
    for number in 0..world.sessions.count() {
        loop {
            let sight = Sight::new(world, world.sessions.row(number));
            let results = client.multi_read(sight.row.reads())?;
            if sight.judge(world, Reads::Linearizable, &results) != Expected::Either {
                break;
            }
            world.pause();
        }
    }
    Ok(())
}

/// What is known of a session's ephemerals when a read of them is about to be sent.
struct Sight {
    row: Row,
    /// The session's timeout has been over for long enough.
    is_overdue: bool,
}

impl Sight {
    fn new(world: &World, row: Row) -> Sight {
        Sight { row, is_overdue: world.is_overdue(row.since, row.timeout, Instant::now()) }
    }

    /// Judges what was read, and returns what was expected.
    fn judge(&self, world: &World, reads: Reads, results: &[OpResult]) -> Expected {
        let after = world.sessions.row(self.row.number);
        let expected = expected(reads, self.row.fate, after.fate, self.is_overdue);
        if let Some(violation) =
            judge_ephemerals(self.row.session, expected, self.row.since.elapsed(), results)
        {
            world.record.violate(violation);
        }
        world.record.read();
        expected
    }
}
