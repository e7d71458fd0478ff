//! What the simulator has found, kept as scripts of their own; and that it is what it says it is.

use tests::sim::campaign::{follow, guarded};
use tests::sim::run::Plan;
use tests::sim::scripts::SCRIPTS;

#[test]
fn every_script_holds_and_shows_its_bug() {
    for script in SCRIPTS {
        let wrong = |seeds: u64, fault| {
            (0..seeds).find_map(|seed| follow(script, seed, fault).violation.map(|what| (seed, what)))
        };
        assert_eq!(wrong(8, None), None, "{}", script.name);
        assert!(script.fault.is_none() || wrong(100, script.fault).is_some(), "not shown: {}", script.name);
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..4 {
        let digest = || guarded(&Plan::of(seed), None, false).digest;
        assert_eq!(digest(), digest(), "seed {seed}");
    }
}

#[test]
fn nothing_is_wrong_in_some_runs() {
    for seed in 0..12 {
        let outcome = guarded(&Plan::of(seed), None, false);
        assert_eq!(outcome.violation, None, "seed {seed}");
    }
}
