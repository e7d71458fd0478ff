//! Sees when timers of sessions start afresh.
//!
//! A leader whose predecessor has died gives all its sessions their whole timeout once more, since it does not know of whom that one
//! has heard. So where nodes die every few seconds, as the faults of a trial make them do, a session that was left ends only once they
//! do not any more.

#![allow(clippy::disallowed_methods, reason = "looks at the clock, and at servers from time to time")]

use super::world::World;
use crate::status::status;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often a node is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Watches over one of Volery's nodes.
#[derive(Debug)]
pub struct TimerWatch;

impl TimerWatch {
    /// Looks until the trial is over. A node that does not answer is looked at again.
    pub fn run(world: &Arc<World>, node: usize) {
        let mut known = None;
        while !world.is_stopping() {
            if let Some(status) = status(world.nodes[node].address) {
                let count = Some((status.incarnation, status.timers_restarted));
                if std::mem::replace(&mut known, count) != count && !world.is_stopping() {
                    world.timers_restarted(Instant::now());
                }
            }
            world.sleep(LOOK_INTERVAL);
        }
    }
}
