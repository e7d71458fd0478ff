//! What the simulator has found, kept as scripts of their own; and that it is what it says it is.

use tests::sim::campaign::{follow, guarded};
use tests::sim::run::Plan;
use tests::sim::scripts::SCRIPTS;

/// That each shows its bug where that is planted is seen by the museum.
#[test]
fn every_script_holds() {
    for script in SCRIPTS {
        let wrong = (0..12).find_map(|seed| follow(script, seed, None).violation.map(|what| (seed, what)));
        assert_eq!(wrong, None, "{}", script.name);
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
