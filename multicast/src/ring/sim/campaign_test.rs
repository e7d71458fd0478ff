//! Campaigns over many seeds.
//!
//! A debug build runs a few seeds of each. A release build runs more, and `RING_SEEDS` says how many:
//!
//! ```text
//! RING_SEEDS=10000 cargo test --release -p multicast ring::sim
//! ```
//! A failure names its seed; `RING_FIRST=<seed> RING_SEEDS=1` runs that one alone.

use super::checker::Violation;
use super::world::Outcome;
use super::{Fault, Profile, World};
use std::env;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|number| number.parse().expect("a number"))
}

fn seeds() -> Range<u64> {
    let (first, debug) =
        (number("RING_FIRST").unwrap_or(0), if cfg!(debug_assertions) { 100 } else { 2_000 });
    first..first + number("RING_SEEDS").unwrap_or(debug)
}

fn run(seed: u64, profile: Profile, fault: Option<Fault>) -> Result<Outcome, Violation> {
    catch_unwind(AssertUnwindSafe(|| World::run(seed, profile, fault)))
        .unwrap_or_else(|_| Err("a member panicked".to_string()))
}

/// No seed goes wrong, and what the profile is for did happen.
fn is_clean(profile: Profile, happened: impl Fn(&Outcome) -> bool) {
    let mut sum = Outcome::default();
    for seed in seeds() {
        match run(seed, profile, None) {
            Ok(outcome) => sum.add(&outcome),
            Err(violation) => panic!("seed {seed}: {violation}"),
        }
    }
    println!("{:?}: {sum:?}", seeds());
    let is_whole = seeds().end - seeds().start >= 100;
    assert!(sum.acknowledged > 0 && (!is_whole || happened(&sum)), "nothing happened: {sum:?}");
}

/// Within so many seeds the fault is noticed.
fn is_caught(fault: Fault, profile: Profile, seeds: Range<u64>, by: &str) {
    let end = seeds.end;
    let caught = seeds.into_iter().find_map(|seed| Some((seed, run(seed, profile, Some(fault)).err()?)));
    let (seed, violation) = caught.unwrap_or_else(|| panic!("{fault:?} was not noticed before seed {end}"));
    assert!(violation.contains(by), "seed {seed}: {violation}");
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..5 {
        assert_eq!(run(seed, Profile::MIXED, None), run(seed, Profile::MIXED, None));
    }
}

#[test]
fn row_01_power_losses_lose_nothing() {
    is_clean(Profile::POWER, |sum| sum.reigns > 0);
}

#[test]
fn row_01_a_message_sent_before_the_sync_is_caught() {
    is_caught(Fault::SendBeforeSync, Profile::POWER, 0..20, "synced by");
}

#[test]
fn row_02_slow_disks_and_crashes_lose_nothing() {
    is_clean(Profile::MIXED, |sum| sum.reigns > 0);
}

#[test]
fn row_02_a_quorum_on_the_leaders_unsynced_vote_is_caught() {
    is_caught(Fault::VoteBeforeSync, Profile::POWER, 0..20, "synced by");
}

#[test]
fn row_03_connections_that_follow_each_other_confuse_nobody() {
    is_clean(Profile::FLAPPING, |sum| sum.heartbeats > 0);
}

#[test]
fn row_03_bytes_of_an_older_connection_are_caught() {
    is_caught(Fault::NoFencing, Profile::FLAPPING, 0..200, "");
}

#[test]
fn row_07_nobody_stays_stranded() {
    is_clean(Profile::RESTARTS, |sum| sum.rescues > 0);
}

#[test]
fn row_07_a_stranded_member_is_caught() {
    is_caught(Fault::NoWatchdog, Profile::RESTARTS, 0..200, "not decided everywhere");
}

#[test]
fn slow_members_lose_nothing() {
    is_clean(Profile::SLOW, |sum| sum.reigns > 0);
}

#[test]
fn row_08_what_a_link_loses_comes_again() {
    is_clean(Profile::LOSSY, |sum| sum.heartbeats > 0);
}

#[test]
fn row_12_members_that_were_away_catch_up_in_pieces() {
    is_clean(Profile::ABSENCES, |sum| sum.pieces > 0 && sum.caught_up > 0 && sum.refused > 0);
}

#[test]
fn row_12_a_late_piece_that_is_installed_is_caught() {
    is_caught(Fault::LateInstalled, Profile::ABSENCES, 0..200, "");
}

#[test]
fn row_12_entries_dropped_above_a_piece_are_caught() {
    is_caught(Fault::AboveDropped, Profile::ABSENCES, 0..500, "");
}

/// The first is seed 239; those before it take too long in a debug build.
#[test]
fn row_12_a_candidacy_that_is_not_resumed_is_caught() {
    is_caught(Fault::CandidacyForgotten, Profile::ABSENCES, 200..300, "stranded after it had caught up");
}

/// The first is seed 1547; those before it take too long in a debug build.
#[test]
fn row_12_a_promise_reset_by_a_piece_is_caught() {
    is_caught(Fault::PromiseReset, Profile::ABSENCES, 1_500..1_600, "");
}

#[test]
fn row_08_a_lost_tail_is_caught() {
    is_caught(Fault::NoReconnect, Profile::LOSSY, 0..500, "not decided everywhere");
}
