//! Placement: which partition holds which znode.
//!
//! A path is cut to its first components, two by default, and the prefix is hashed: so `/app/locks/x` and `/app/locks/y`
//! live together, `/app/a` and `/app/b` need not. Rules give a subtree another depth, or a partition of its choice; the
//! longest prefix wins. The root and `/zookeeper` are at partition 0.
//!
//! **Numbers.** A component's trailing number, as a sequential create gives it, is left out of the hash, and so are the
//! hyphens before it: that leaves a `/locks/x-`, the same for `/locks/x-0000000007` and, once the counter has run over, for
//! `/locks/x--000000007` and `/locks/x-2147483648`, whose hyphen is the number's sign. So the partition of a sequential
//! create is known before its number is. Rules must name no numbers, or a create could not foresee which one it comes under.
//!
//! The function decides where data lie. It may never change: golden values hold it.

use crate::path;
use eyrie::PartitionId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use thiserror::Error;

/// Where the root and `/zookeeper` live.
pub const PINNED: PartitionId = PartitionId(0);

/// How a cluster's configuration says where znodes live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PlacementConfig {
    /// How many components of a path decide.
    pub depth: usize,
    /// Exceptions, by the path of the subtree.
    pub rules: BTreeMap<String, Rule>,
}

impl Default for PlacementConfig {
    fn default() -> PlacementConfig {
        PlacementConfig { depth: 2, rules: BTreeMap::new() }
    }
}

/// What holds for one subtree, its top included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rule {
    /// So many components decide, counted from the root.
    Depth(usize),
    /// All of it lives in one partition.
    Partition(u16),
}

/// A configuration that places nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadPlacement {
    /// There are none, or too many.
    #[error("{0} partitions, and there must be 1 to {max}", max = eyrie::PARTITIONS_MAX)]
    Partitions(u16),
    /// The rule's path is no legal path, or has a component with a number.
    #[error("the rule for {0:?} names no subtree that a rule may be for")]
    Path(String),
    /// The root and `/zookeeper` stay where they are.
    #[error("the rule for {0:?} is about znodes whose place is fixed")]
    Fixed(String),
    /// The rule's partition does not exist.
    #[error("the rule for {path:?} names partition {partition}, and there are {partitions}")]
    Partition {
        /// The rule's path.
        path: String,
        /// The partition that it names.
        partition: u16,
        /// How many there are.
        partitions: u16,
    },
}

/// Which partition holds which znode; see the chapter above.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    partitions: u16,
    depth: usize,
    /// The longest first.
    rules: Vec<(String, Rule)>,
}

impl Placement {
    /// The placement over so many partitions that a configuration describes.
    pub fn new(partitions: u16, config: &PlacementConfig) -> Result<Placement, BadPlacement> {
        if !(1..=eyrie::PARTITIONS_MAX).contains(&partitions) {
            return Err(BadPlacement::Partitions(partitions));
        }
        for (path, rule) in &config.rules {
            check_rule(path, *rule, partitions)?;
        }
        let mut rules: Vec<_> = config.rules.iter().map(|(path, rule)| (path.clone(), *rule)).collect();
        rules.sort_by_key(|(path, _)| std::cmp::Reverse(path.len()));
        Ok(Placement { partitions, depth: config.depth, rules })
    }

    /// The default placement.
    ///
    /// # Panics
    /// Unless there are 1 to [`PARTITIONS_MAX`](eyrie::PARTITIONS_MAX) partitions.
    pub fn over(partitions: u16) -> Placement {
        match Placement::new(partitions, &PlacementConfig::default()) {
            Ok(placement) => placement,
            Err(bad) => panic!("{bad}"),
        }
    }

    /// How many partitions there are.
    pub fn partitions(&self) -> u16 {
        self.partitions
    }

    /// The partition of a znode's facts, data and children's names.
    pub fn of(&self, path: &str) -> PartitionId {
        if self.partitions == 1 || path == path::ROOT || path::is_within(path, path::ZOOKEEPER) {
            return PINNED;
        }
        let rule = self.rules.iter().find(|(prefix, _)| path::is_within(path, prefix));
        match rule.map(|(_, rule)| *rule) {
            Some(Rule::Partition(partition)) => PartitionId(partition),
            Some(Rule::Depth(depth)) => self.hashed(path, depth),
            None => self.hashed(path, self.depth),
        }
    }

    /// The partition of the znode that a sequential create of `prefix` makes, whatever its number.
    pub fn of_sequential(&self, prefix: &str) -> PartitionId {
        self.of(&[prefix, "0000000000"].concat())
    }

    fn hashed(&self, path: &str, depth: usize) -> PartitionId {
        let mut hash = Fnv::default();
        let components =
            path.as_bytes().split(|byte| *byte == b'/').filter(|component| !component.is_empty());
        for component in components.take(depth) {
            hash.write(b"/");
            hash.write(unnumbered(component));
        }
        PartitionId((hash.finish() % u64::from(self.partitions)) as u16)
    }
}

fn check_rule(path: &str, rule: Rule, partitions: u16) -> Result<(), BadPlacement> {
    let numbered = path::components(path).any(|component| without_number(component.as_bytes()).is_some());
    if path::validate(path).is_err() || numbered {
        return Err(BadPlacement::Path(path.to_owned()));
    }
    if path == path::ROOT || path::is_within(path, path::ZOOKEEPER) {
        return Err(BadPlacement::Fixed(path.to_owned()));
    }
    match rule {
        Rule::Partition(partition) if partition >= partitions => {
            Err(BadPlacement::Partition { path: path.to_owned(), partition, partitions })
        }
        _ => Ok(()),
    }
}

/// A component as it is hashed: without its number, and without the hyphens before it.
fn unnumbered(component: &[u8]) -> &[u8] {
    let unnumbered = without_number(component).unwrap_or(component);
    let hyphens = unnumbered.iter().rev().take_while(|byte| **byte == b'-').count();
    &unnumbered[..unnumbered.len() - hyphens]
}

/// What stands before the last ten characters, if these are a number as `%010d` writes it: ten digits, or nine after a
/// hyphen. (The eleventh character of a larger negative number is a hyphen too, and goes with the others.)
fn without_number(component: &[u8]) -> Option<&[u8]> {
    let (rest, [first, digits @ ..]) = component.split_last_chunk::<10>()?;
    let number = (first.is_ascii_digit() || *first == b'-') && digits.iter().all(u8::is_ascii_digit);
    number.then_some(rest)
}

/// FNV-1a of 64 bits, with a final mix, since its low bits alone spread short names badly.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Fnv {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(self) -> u64 {
        let mut hash = self.0;
        hash = (hash ^ (hash >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        hash = (hash ^ (hash >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        hash ^ (hash >> 32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn config(rules: &[(&str, Rule)]) -> PlacementConfig {
        PlacementConfig {
            rules: rules.iter().map(|(path, rule)| (path.to_string(), *rule)).collect(),
            ..Default::default()
        }
    }

    fn place(partitions: u16, rules: &[(&str, Rule)], path: &str) -> u16 {
        Placement::new(partitions, &config(rules)).unwrap().of(path).0
    }

    #[test]
    fn the_function_never_changes() {
        let paths = [
            "/",
            "/a",
            "/b",
            "/app",
            "/app/a",
            "/app/b",
            "/app/lock-",
            "/kafka/brokers/ids",
            "/\u{e9}",
            "/zookeeper/quota",
        ];
        let placed: Vec<u16> = paths.iter().map(|path| place(64, &[], path)).collect();
        assert_eq!(placed, GOLDEN);
    }

    const GOLDEN: [u16; 10] = [0, 51, 47, 1, 3, 61, 6, 28, 12, 0];

    #[test]
    fn below_the_depth_everything_lives_together() {
        let three = |path: &str| place(3, &[], path);
        assert_eq!(three("/app/locks/x"), three("/app/locks"));
        assert_eq!(three("/app/locks/x/y/z"), three("/app/locks"));
        let spread: std::collections::BTreeSet<u16> = (0..30).map(|i| three(&format!("/app/{i}"))).collect();
        assert_eq!(spread.len(), 3);
    }

    #[test]
    fn the_root_and_zookeeper_are_pinned() {
        for path in ["/", "/zookeeper", "/zookeeper/config", "/zookeeper/quota/a/b"] {
            assert_eq!(place(64, &[], path), 0);
        }
        assert_ne!(place(64, &[], "/zookeepers"), 0);
    }

    #[test]
    fn the_longest_rule_wins() {
        let rules = [
            ("/kafka", Rule::Depth(4)),
            ("/kafka/a", Rule::Partition(7)),
            ("/kafka/a/b", Rule::Depth(1)),
            ("/locks", Rule::Partition(3)),
        ];
        let at = |path: &str| place(16, &rules, path);
        assert_eq!((at("/locks"), at("/locks/x/y"), at("/kafka/a"), at("/kafka/a/c/d")), (3, 3, 7, 7));
        assert_eq!(at("/kafka/a/b/c"), at("/kafka"));
        assert_eq!(at("/locksmith"), place(16, &[], "/locksmith"));
        let spread: std::collections::BTreeSet<u16> =
            (0..99).map(|i| at(&format!("/kafka/x/y/{i}/z"))).collect();
        assert_eq!(spread.len(), 16);
    }

    #[test]
    fn rules_that_cannot_hold_are_refused() {
        let refused = |path: &str, rule| Placement::new(4, &config(&[(path, rule)])).unwrap_err();
        let path = |path: &str| path.to_owned();
        assert_eq!(refused("/", Rule::Depth(1)), BadPlacement::Fixed(path("/")));
        assert_eq!(
            refused("/zookeeper/quota", Rule::Partition(1)),
            BadPlacement::Fixed(path("/zookeeper/quota"))
        );
        assert_eq!(refused("a", Rule::Depth(1)), BadPlacement::Path(path("a")));
        assert_eq!(refused("/x-0000000001/y", Rule::Depth(1)), BadPlacement::Path(path("/x-0000000001/y")));
        let bad = BadPlacement::Partition { path: path("/a"), partition: 4, partitions: 4 };
        assert_eq!(refused("/a", Rule::Partition(4)), bad);
        assert_eq!(Placement::new(65, &config(&[])), Err(BadPlacement::Partitions(65)));
    }

    proptest! {
        #[test]
        fn a_sequential_create_foresees_its_place(prefix in "(/[a-c0-9-]{0,12}){1,4}", number: i32, depth in 0..5usize) {
            let config = PlacementConfig { depth, ..config(&[("/a", Rule::Depth(3)), ("/b/c", Rule::Partition(5))]) };
            let placement = Placement::new(64, &config).unwrap();
            prop_assert_eq!(placement.of(&format!("{prefix}{number:010}")), placement.of_sequential(&prefix));
        }
    }
}
