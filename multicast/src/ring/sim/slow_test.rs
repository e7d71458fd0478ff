//! Members that are slow are not taken for dead, and one that is dead is missed soon.

use super::member::TICK_US;
use super::{Fault, Profile, World};

const QUIET_US: u64 = 3_000_000;
const SLOW_US: u64 = 20_000_000;
/// The least round of heartbeats here.
const ROUND_US: u64 = 4 * TICK_US;
/// How long a slow member waits for a processor at most. Two whole rounds without a word would be too much for a ring that was
/// quiet till then.
const STALLS_US: u64 = 3 * ROUND_US / 2;

/// A ring that has a leader, on quiet machines.
fn quiet(seed: u64, fault: Option<Fault>) -> World {
    let mut world = World::new(seed, if seed % 4 == 3 { 5 } else { 3 }, Profile::CALM, fault);
    world.ask();
    world.until(QUIET_US).expect("nothing goes wrong");
    assert_eq!(world.leader(), Some(0), "seed {seed}: the preferred member leads");
    world
}

/// How many elections there are while all members wait again and again for more than a round.
fn elections_of_slow_members(seed: u64, fault: Option<Fault>) -> u64 {
    let mut world = quiet(seed, fault);
    let before = world.elections();
    world.profile.stalls_us = STALLS_US;
    world.until(QUIET_US + SLOW_US).expect("nothing goes wrong");
    world.elections() - before
}

#[test]
fn slow_members_elect_nobody_else() {
    for seed in 0..40 {
        assert_eq!(elections_of_slow_members(seed, None), 0, "seed {seed}");
    }
}

#[test]
fn time_outs_that_do_not_follow_what_is_observed_are_caught() {
    let elections = (0..10).map(|seed| elections_of_slow_members(seed, Some(Fault::NoPace))).sum::<u64>();
    assert!(elections > 10, "{elections} elections");
}

#[test]
fn a_dead_leader_is_missed_within_a_few_rounds_also_after_slow_times() {
    for seed in 0..40 {
        let mut world = quiet(seed, None);
        let mut now_us = QUIET_US;
        if seed % 2 == 1 {
            world.profile.stalls_us = STALLS_US;
            world.until(QUIET_US + SLOW_US).expect("nothing goes wrong");
            world.profile.stalls_us = 0;
            now_us = QUIET_US + 2 * SLOW_US;
            world.until(now_us).expect("nothing goes wrong");
        }
        world.crash(0, false);
        world.until(now_us + 6 * ROUND_US).expect("nothing goes wrong");
        assert!(world.leader().is_some(), "seed {seed}: nobody leads");
    }
}
