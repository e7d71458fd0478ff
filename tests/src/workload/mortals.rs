//! Sessions that live for a moment.

use super::attached::Attached;
use super::world::World;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::sync::Arc;
use std::time::Duration;

/// Their timeout: the shortest that servers commonly agree to.
const SESSION_TIMEOUT: Duration = Duration::from_secs(4);
/// Sessions that wait for their timeout at a time; beyond that all are closed.
const LEAVING_MAX: usize = 64;
/// The longest life, in pauses.
const LIFE_PAUSES_MAX: u32 = 10;

/// One session after the other.
#[derive(Debug)]
pub struct Mortals;

impl Mortals {
    /// Opens sessions with ephemerals, and closes some and leaves the others to their timeout, until the trial is over.
    pub fn run(world: &Arc<World>, seed: u64) {
        let mut rng = SmallRng::seed_from_u64(seed);
        while !world.is_stopping() {
            let Some(mortal) = Attached::open(Arc::clone(world), SESSION_TIMEOUT) else { return };
            for _ in 0..rng.random_range(0..LIFE_PAUSES_MAX) {
                world.pause();
            }
            if rng.random_bool(0.5) || world.sessions.leaving() >= LEAVING_MAX {
                mortal.close();
            } else {
                mortal.abandon();
            }
        }
    }
}
