//! Several operations in given proportions.

use rand::Rng;
use serde::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// What a mix may be made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// getData of a random key.
    Get,
    /// setData of a random key.
    Set,
    /// getChildren of a directory.
    Children,
    /// create of a znode that did not exist, or a delete where there is no room for another.
    Create,
    /// delete of a znode that was created, or a create where none is left.
    Delete,
    /// A multi of two setData.
    Multi,
}

const PARTS: [(Part, &str); 6] = [
    (Part::Get, "get"),
    (Part::Set, "set"),
    (Part::Children, "children"),
    (Part::Create, "create"),
    (Part::Delete, "delete"),
    (Part::Multi, "multi"),
];

/// Weights of the parts, in the order of [`PARTS`]. One of them is not zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mix {
    weights: [u16; PARTS.len()],
}

/// Text that is not a mix.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadMix {
    /// A part that is not of the form `name=weight`.
    #[error("{0:?} is not of the form get=80")]
    Form(String),
    /// A part whose name is none.
    #[error("{0:?} is none of get, set, children, create, delete, multi")]
    Name(String),
    /// A part that is named twice.
    #[error("{0} is named twice")]
    Twice(&'static str),
    /// Nothing to choose from.
    #[error("all weights are zero")]
    Empty,
}

impl Mix {
    /// getData and setData, so many of a hundred being getData.
    pub fn of_gets(percent: u8) -> Mix {
        assert!(percent <= 100, "a share of a hundred");
        let mut weights = [0; PARTS.len()];
        weights[0] = percent.into();
        weights[1] = (100 - percent).into();
        Mix { weights }
    }

    /// setData and multis, so many of a hundred being multis.
    pub fn of_multis(percent: u8) -> Mix {
        assert!(percent <= 100, "a share of a hundred");
        let mut weights = [0; PARTS.len()];
        weights[1] = (100 - percent).into();
        weights[5] = percent.into();
        Mix { weights }
    }

    /// Whether this part ever comes.
    pub fn has(&self, part: Part) -> bool {
        PARTS.iter().zip(self.weights).any(|((named, _), weight)| *named == part && weight > 0)
    }

    /// A part at random, by the weights.
    pub fn pick(&self, random: &mut impl Rng) -> Part {
        let sum = self.weights.iter().copied().map(u32::from).sum();
        let mut left = random.random_range(0..sum);
        for ((part, _), weight) in PARTS.iter().zip(self.weights.map(u32::from)) {
            if left < weight {
                return *part;
            }
            left -= weight;
        }
        unreachable!("what is left is less than the weights that are left")
    }
}

impl FromStr for Mix {
    type Err = BadMix;

    fn from_str(text: &str) -> Result<Mix, BadMix> {
        let mut weights = [0; PARTS.len()];
        let mut seen = [false; PARTS.len()];
        for part in text.split(',') {
            let form = || BadMix::Form(part.to_owned());
            let (name, weight) = part.split_once('=').ok_or_else(form)?;
            let index = PARTS.iter().position(|(_, known)| *known == name.trim());
            let index = index.ok_or_else(|| BadMix::Name(name.to_owned()))?;
            if std::mem::replace(&mut seen[index], true) {
                return Err(BadMix::Twice(PARTS[index].1));
            }
            weights[index] = weight.trim().parse().map_err(|_| form())?;
        }
        if weights == [0; PARTS.len()] { Err(BadMix::Empty) } else { Ok(Mix { weights }) }
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = PARTS.iter().zip(self.weights).filter(|(_, weight)| *weight > 0);
        let parts: Vec<String> = parts.map(|((_, name), weight)| format!("{name}={weight}")).collect();
        f.write_str(&parts.join(" "))
    }
}

impl Serialize for Mix {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    #[test]
    fn parts_come_as_often_as_they_weigh() {
        let mix: Mix = "get=60,create=30,multi=10".parse().unwrap();
        let mut random = SmallRng::seed_from_u64(1);
        let picked: Vec<Part> = (0..10_000).map(|_| mix.pick(&mut random)).collect();
        let times = |part| picked.iter().filter(|picked| **picked == part).count();
        assert!((5_800..6_200).contains(&times(Part::Get)), "{}", times(Part::Get));
        assert!((2_800..3_200).contains(&times(Part::Create)), "{}", times(Part::Create));
        assert!((900..1_100).contains(&times(Part::Multi)), "{}", times(Part::Multi));
        assert_eq!(times(Part::Set) + times(Part::Children) + times(Part::Delete), 0);
        assert!(mix.has(Part::Multi) && !mix.has(Part::Set));
    }

    #[test]
    fn bounds_of_a_share_leave_one_part() {
        let mut random = SmallRng::seed_from_u64(1);
        for (mix, only) in [(Mix::of_gets(100), Part::Get), (Mix::of_multis(0), Part::Set)] {
            assert!((0..1_000).all(|_| mix.pick(&mut random) == only), "{mix}");
        }
    }

    #[test]
    fn text_is_read_and_told_back() {
        assert_eq!("set=10,get=80,delete=0".parse::<Mix>().unwrap().to_string(), "get=80 set=10");
        let bad = |text: &str| text.parse::<Mix>().unwrap_err();
        assert_eq!(bad("get"), BadMix::Form("get".to_owned()));
        assert_eq!(bad("get=x"), BadMix::Form("get=x".to_owned()));
        assert_eq!(bad("got=1"), BadMix::Name("got".to_owned()));
        assert_eq!(bad("get=1,get=2"), BadMix::Twice("get"));
        assert_eq!(bad("get=0"), BadMix::Empty);
    }
}
