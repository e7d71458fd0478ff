//! Reads the ephemerals of all sessions, and knows which must be there.

#![allow(clippy::disallowed_methods, reason = "reads the clock to know which sessions are overdue")]

use super::attached::connect;
use super::sessions::Row;
use super::world::World;
use crate::checks::{Expected, expected, judge_ephemerals};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::sync::Arc;
use std::time::{Duration, Instant};
use volery::client::{Client, ClientError};

/// The observer's own timeout.
const SESSION_TIMEOUT: Duration = Duration::from_secs(10);
/// How much later than its timeout a session may be ended: servers look at them from time to time.
const MARGIN: Duration = Duration::from_secs(5);
/// Every other read is of one of these many newest sessions.
const NEWEST: usize = 16;

/// Watches over the ephemerals.
pub struct Observer {
    world: Arc<World>,
    rng: SmallRng,
    client: Client,
}

impl Observer {
    /// Reads until the trial is over.
    pub fn run(world: Arc<World>, seed: u64) {
        let Some(client) = connect(&world, SESSION_TIMEOUT) else { return };
        let mut observer = Observer { world, rng: SmallRng::seed_from_u64(seed), client };
        while !observer.world.is_stopping() {
            if observer.turn().is_err() {
                observer.mend();
            }
        }
    }

    fn turn(&mut self) -> Result<(), ClientError> {
        let count = self.world.sessions.count();
        if count == 0 {
            self.world.pause();
            return Ok(());
        }
        let newest = count.saturating_sub(NEWEST);
        let from = if self.rng.random_bool(0.5) { newest } else { 0 };
        let row = self.world.sessions.row(self.rng.random_range(from..count));
        observe(&self.world, &mut self.client, row).map(drop)
    }

    /// Whatever happened to the observer's own session, it needs one.
    fn mend(&mut self) {
        self.world.pause();
        if let Err(ClientError::Expired) = self.client.reconnect()
            && let Some(client) = connect(&self.world, SESSION_TIMEOUT)
        {
            self.client = client;
        }
    }
}

/// Reads the ephemerals of every session there ever was, and waits for those whose time has not come. All clients have
/// finished.
pub fn sweep(world: &World, client: &mut Client) -> Result<(), ClientError> {
    for number in 0..world.sessions.count() {
        while observe(world, client, world.sessions.row(number))? == Expected::Either {
            world.pause();
        }
    }
    Ok(())
}

/// Reads one session's ephemerals and judges what was found. Returns what was expected.
fn observe(world: &World, client: &mut Client, before: Row) -> Result<Expected, ClientError> {
    let overdue = world.heard_since(before.since) + before.timeout + MARGIN < Instant::now();
    let results = client.multi_read(before.reads())?;
    let after = world.sessions.row(before.number);
    let expected = expected(before.fate, after.fate, overdue);
    if let Some(violation) = judge_ephemerals(before.session, expected, &results) {
        world.record.violate(violation);
    }
    world.record.read();
    Ok(expected)
}
