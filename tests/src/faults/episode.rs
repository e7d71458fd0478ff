//! One way in which a network is bad.

use crate::proxy::{Direction, Weather};
use rand::Rng;
use rand::seq::SliceRandom as _;
use std::fmt;
use std::time::Duration;

/// How much later everything comes where the network is slow.
const DELAY: Duration = Duration::from_millis(200);
/// How many kinds of episodes there are.
const KINDS: usize = 5;

/// One way in which a network is bad. In each of them most nodes reach each other. Nodes are numbered from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Episode {
    /// A node reaches no other, and knows it.
    Isolated(usize),
    /// Two nodes do not reach each other.
    Parted(usize, usize),
    /// Nobody hears a node, which hears all.
    Mute(usize),
    /// A node hears nobody, and all hear it.
    Deaf(usize),
    /// All that a node says and hears comes late.
    Slow(usize),
    /// A node's connections break, and what was on its way on them comes after there are others.
    Late(usize),
}

impl Episode {
    /// So many episodes among so many nodes. Every kind comes once before one comes again; a node that is half connected
    /// is mute or deaf.
    pub(super) fn draw(rng: &mut impl Rng, nodes: usize, count: u32) -> Vec<Episode> {
        let mut episodes = Vec::new();
        while episodes.len() < count as usize {
            let mut kinds: [usize; KINDS] = std::array::from_fn(|kind| kind);
            kinds.shuffle(rng);
            episodes.extend(kinds.map(|kind| Episode::of_kind(kind, rng, nodes)));
        }
        episodes.truncate(count as usize);
        episodes
    }

    fn of_kind(kind: usize, rng: &mut impl Rng, nodes: usize) -> Episode {
        let node = rng.random_range(0..nodes);
        let (other, is_mute) = ((node + rng.random_range(1..nodes)) % nodes, rng.random_bool(0.5));
        match kind {
            0 => Episode::Isolated(node),
            1 => Episode::Parted(node, other),
            2 if is_mute => Episode::Mute(node),
            2 => Episode::Deaf(node),
            3 => Episode::Slow(node),
            _ => Episode::Late(node),
        }
    }

    /// The weather between a node that dials and one that is dialled.
    pub(super) fn weather(self, from: usize, to: usize) -> Weather {
        let touches = |node: usize| from == node || to == node;
        match self {
            Episode::Isolated(node) if touches(node) => Weather::Cut,
            Episode::Parted(one, other) if touches(one) && touches(other) => Weather::Cut,
            Episode::Mute(node) if from == node => Weather::Swallow(Direction::Forth),
            Episode::Mute(node) if to == node => Weather::Swallow(Direction::Back),
            Episode::Deaf(node) if from == node => Weather::Swallow(Direction::Back),
            Episode::Deaf(node) if to == node => Weather::Swallow(Direction::Forth),
            Episode::Slow(node) if touches(node) => Weather::Slow(DELAY),
            Episode::Late(node) if touches(node) => Weather::Hold,
            _ => Weather::Clear,
        }
    }
}

impl fmt::Display for Episode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Episode::Isolated(node) => write!(formatter, "node {} was isolated", node + 1),
            Episode::Parted(one, other) => {
                write!(formatter, "nodes {} and {} were cut apart", one + 1, other + 1)
            }
            Episode::Mute(node) => write!(formatter, "nobody heard node {}", node + 1),
            Episode::Deaf(node) => write!(formatter, "node {} heard nobody", node + 1),
            Episode::Slow(node) => {
                write!(formatter, "the links of node {} were {} ms slower", node + 1, DELAY.as_millis())
            }
            Episode::Late(node) => write!(formatter, "what node {} said and heard was late", node + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;
    use rand::rngs::SmallRng;
    use std::collections::BTreeSet;

    fn draw(seed: u64, count: u32) -> Vec<Episode> {
        Episode::draw(&mut SmallRng::seed_from_u64(seed), 3, count)
    }

    fn kind(episode: &Episode) -> &str {
        match episode {
            Episode::Isolated(_) => "isolated",
            Episode::Parted(..) => "parted",
            Episode::Mute(_) | Episode::Deaf(_) => "half open",
            Episode::Slow(_) => "slow",
            Episode::Late(_) => "late",
        }
    }

    #[test]
    fn a_seed_draws_the_same_and_five_are_of_all_kinds() {
        for seed in 0..50 {
            let drawn = draw(seed, 12);
            assert_eq!((drawn.len(), &drawn), (12, &draw(seed, 12)));
            assert_eq!(drawn[..5].iter().map(kind).collect::<BTreeSet<_>>().len(), 5, "{drawn:?}");
            assert!(
                !drawn.iter().any(|episode| matches!(episode, Episode::Parted(one, other) if one == other))
            );
        }
        let said: BTreeSet<String> =
            (0..50).flat_map(|seed| draw(seed, 5)).map(|episode| episode.to_string()).collect();
        assert_eq!(said.len(), 5 * 3 + 6, "every node, and every pair in either order");
    }

    #[test]
    fn the_weather_is_bad_where_it_is_said() {
        use Weather::{Clear, Cut, Swallow};
        let pairs = [(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)];
        let weather = |episode: Episode| pairs.map(|(from, to)| episode.weather(from, to));
        assert_eq!(weather(Episode::Isolated(1)), [Cut, Cut, Clear, Clear, Cut, Cut]);
        assert_eq!(weather(Episode::Parted(2, 1)), [Clear, Clear, Clear, Clear, Cut, Cut]);
        let (forth, back) = (Swallow(Direction::Forth), Swallow(Direction::Back));
        assert_eq!(weather(Episode::Mute(0)), [forth, back, forth, back, Clear, Clear]);
        assert_eq!(weather(Episode::Deaf(0)), [back, forth, back, forth, Clear, Clear]);
        let slow = Weather::Slow(DELAY);
        assert_eq!(weather(Episode::Slow(2)), [Clear, Clear, slow, slow, slow, slow]);
    }
}
