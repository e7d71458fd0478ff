//! A scenario, explored to the end.

use crate::property::{AGREED, FINISHES, IN_SHARED_ORDER, LINEARIZABLE};
use crate::scenario::Scenario;
use stateright::{Checker, HasDiscoveries, Model};
use std::collections::BTreeSet;

/// What was found where everything that must hold does.
#[derive(Debug)]
pub struct Exploration {
    /// Different states.
    pub states: usize,
    /// Steps of the longest run, of those that reach each state by the shortest way.
    pub depth: usize,
    /// Names of the properties that occurred.
    pub occurred: BTreeSet<&'static str>,
}

impl Exploration {
    /// Explores all states. Panics with the way to a state in which something does not hold, if there is one.
    pub fn of(scenario: Scenario) -> Exploration {
        let checker = scenario.checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
        for property in [LINEARIZABLE, IN_SHARED_ORDER, AGREED, FINISHES] {
            checker.assert_no_discovery(property);
        }
        assert!(checker.is_done(), "the exploration has ended early");
        let occurred = checker.discoveries().into_keys().collect();
        Exploration { states: checker.unique_state_count(), depth: checker.max_depth() - 1, occurred }
    }
}
