//! Sequential children: each create has data of its own, and pipelines are cut by lost connections.

use crate::violation::Violation;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Digits at the end of a sequential znode's name.
const NUMBER_DIGITS: usize = 10;

/// What a client was told of one create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is there, by this path.
    Created(Arc<str>),
    /// Nobody was told.
    Unknown,
    /// It was refused and has no effect.
    Refused,
}

/// One create.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Its data, which no other has.
    pub token: String,
    /// What came of it.
    pub outcome: Outcome,
}

/// Creates that one session sent in one pipeline.
#[derive(Clone, Debug)]
pub struct Burst {
    /// Which client.
    pub creator: usize,
    /// In the order sent.
    pub attempts: Vec<Attempt>,
}

/// Judges all children of `parent`, given as name and data, against what was sent, in each client's order.
pub fn judge_sequence(parent: &str, bursts: &[Burst], children: &[(String, String)]) -> Vec<Violation> {
    let found = Found::new(parent, children);
    let mut violations = found.judge_alone();
    violations.extend(found.judge_unasked(bursts));
    for burst in bursts {
        violations.extend(found.judge_pipeline(burst));
    }
    violations.extend(found.judge_rising(bursts));
    violations
}

/// The children that are there.
struct Found<'a> {
    parent: &'a str,
    /// Sorted by name, hence by number.
    children: Vec<&'a (String, String)>,
    names: BTreeMap<&'a str, &'a str>,
}

impl<'a> Found<'a> {
    fn new(parent: &'a str, children: &'a [(String, String)]) -> Found<'a> {
        let mut sorted: Vec<_> = children.iter().collect();
        sorted.sort();
        let names = sorted.iter().map(|(name, data)| (data.as_str(), name.as_str())).collect();
        Found { parent, children: sorted, names }
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.parent)
    }

    /// No number and no data are there twice.
    fn judge_alone(&self) -> Vec<Violation> {
        let mut violations = Vec::new();
        let mut by_number = BTreeMap::new();
        let mut by_data = BTreeMap::new();
        for (name, data) in &self.children {
            let path = self.path(name);
            if let Some(first) = by_number.insert(number(name), path.clone()) {
                violations.push(Violation::NumberTwice { first, second: path.clone() });
            }
            if let Some(first) = by_data.insert(data, path.clone()) {
                violations.push(Violation::ChildTwice { first, second: path });
            }
        }
        violations
    }

    /// Nothing is there that was not sent, or that was refused.
    fn judge_unasked(&self, bursts: &[Burst]) -> Vec<Violation> {
        let attempts = bursts.iter().flat_map(|burst| &burst.attempts);
        let asked = attempts.filter(|attempt| attempt.outcome != Outcome::Refused);
        let asked: BTreeMap<&str, ()> = asked.map(|attempt| (attempt.token.as_str(), ())).collect();
        let unasked = self.children.iter().filter(|(_, data)| !asked.contains_key(data.as_str()));
        unasked
            .map(|(name, data)| Violation::ChildUnasked { path: self.path(name), data: data.clone() })
            .collect()
    }

    /// What was acknowledged is there by its name; of the rest those that were sent first.
    fn judge_pipeline(&self, burst: &Burst) -> Vec<Violation> {
        let mut violations = Vec::new();
        let mut missing: Option<&Attempt> = None;
        for attempt in burst.attempts.iter().filter(|attempt| attempt.outcome != Outcome::Refused) {
            let path = self.names.get(attempt.token.as_str()).map(|name| self.path(name));
            match (&attempt.outcome, &path) {
                (Outcome::Created(acknowledged), None) => {
                    violations.push(Violation::ChildLost { path: acknowledged.to_string() });
                }
                (Outcome::Created(acknowledged), Some(path)) if **acknowledged != **path => {
                    let acknowledged = acknowledged.to_string();
                    violations.push(Violation::ChildRenamed { path: path.clone(), acknowledged });
                }
                _ => {}
            }
            match (path, missing) {
                (None, None) => missing = Some(attempt),
                (Some(path), Some(missing)) => {
                    violations.push(Violation::PipelineGap { path, missing: missing.token.clone() });
                }
                _ => {}
            }
        }
        violations
    }

    /// A client's creates have rising numbers, in the order sent.
    fn judge_rising(&self, bursts: &[Burst]) -> Vec<Violation> {
        let mut last: BTreeMap<usize, &str> = BTreeMap::new();
        let mut violations = Vec::new();
        for burst in bursts {
            for attempt in &burst.attempts {
                let Some(&name) = self.names.get(attempt.token.as_str()) else { continue };
                if let Some(before) = last.insert(burst.creator, name)
                    && number(before) >= number(name)
                {
                    let (earlier, later) = (self.path(before), self.path(name));
                    violations.push(Violation::NumberNotRising { earlier, later });
                }
            }
        }
        violations
    }
}

/// A name's number; digits of equal count compare as text.
fn number(name: &str) -> &str {
    name.len().checked_sub(NUMBER_DIGITS).and_then(|start| name.get(start..)).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn child(number: u32, data: &str) -> (String, String) {
        (format!("n-{number:010}"), data.to_owned())
    }

    fn created(token: &str, number: u32) -> Attempt {
        Attempt { token: token.to_owned(), outcome: Outcome::Created(format!("/s/n-{number:010}").into()) }
    }

    fn other(token: &str, outcome: Outcome) -> Attempt {
        Attempt { token: token.to_owned(), outcome }
    }

    fn burst(creator: usize, attempts: Vec<Attempt>) -> Burst {
        Burst { creator, attempts }
    }

    fn judged(bursts: &[Burst], children: &[(String, String)]) -> Vec<String> {
        judge_sequence("/s", bursts, children).iter().map(Violation::to_string).collect()
    }

    #[test]
    fn unknown_creates_may_be_there_as_the_first_of_their_pipeline() {
        let bursts = [
            burst(0, vec![created("a", 0), other("b", Outcome::Unknown), other("c", Outcome::Unknown)]),
            burst(1, vec![other("r", Outcome::Refused), created("d", 2)]),
        ];
        let (a, d) = (child(0, "a"), child(2, "d"));
        assert!(judged(&bursts, &[a.clone(), d.clone()]).is_empty());
        assert!(judged(&bursts, &[a.clone(), child(1, "b"), d.clone()]).is_empty());
        assert!(judged(&bursts, &[a, child(1, "b"), d, child(7, "c")]).is_empty());
    }

    #[test]
    fn a_duplicate_number_is_seen() {
        let bursts = [burst(0, vec![created("a", 0)]), burst(1, vec![other("b", Outcome::Unknown)])];
        let twice = ("m-0000000000".to_owned(), "b".to_owned());
        let seen = judged(&bursts, &[child(0, "a"), twice]);
        assert_eq!(seen, ["/s/m-0000000000 and /s/n-0000000000 have the same number"]);
    }

    #[test]
    fn a_create_that_was_done_twice_is_seen() {
        let bursts = [burst(0, vec![other("a", Outcome::Unknown)])];
        let seen = judged(&bursts, &[child(0, "a"), child(1, "a")]);
        assert_eq!(seen, ["/s/n-0000000000 and /s/n-0000000001: one create made both"]);
    }

    #[test]
    fn a_lost_and_a_renamed_child_are_seen() {
        let bursts = [burst(0, vec![created("a", 0)]), burst(1, vec![created("b", 1)])];
        let seen = judged(&bursts, &[child(2, "a")]);
        let renamed = "/s/n-0000000002: it was created as /s/n-0000000000";
        assert_eq!(seen, [renamed, "/s/n-0000000001: it was created and is not there"]);
    }

    #[test]
    fn numbers_that_fall_are_seen() {
        let bursts = [burst(0, vec![created("a", 5)]), burst(1, vec![]), burst(0, vec![created("b", 4)])];
        let seen = judged(&bursts, &[child(5, "a"), child(4, "b")]);
        assert_eq!(seen, ["/s/n-0000000004 was created after /s/n-0000000005 by the same client"]);
    }

    #[test]
    fn a_gap_in_a_pipeline_is_seen() {
        let bursts = [burst(0, vec![other("a", Outcome::Unknown), other("b", Outcome::Unknown)])];
        let seen = judged(&bursts, &[child(0, "b")]);
        assert_eq!(
            seen,
            ["/s/n-0000000000: it is there, and \"a\", sent before it by the same session, is not"]
        );
    }

    #[test]
    fn what_nobody_created_and_what_was_refused_are_seen() {
        let bursts = [burst(0, vec![other("a", Outcome::Refused)])];
        assert_eq!(judged(&bursts, &[child(0, "a"), child(1, "x")]).len(), 2);
    }
}
