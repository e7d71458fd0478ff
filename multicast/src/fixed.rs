//! What is fixed for the life of a cluster: values by key, which a node's directory records and its peers compare.
//!
//! This crate knows no more of them than that two values of a key must be the same. A service adds its own.

use std::fmt;

/// The longest key, in bytes.
pub const FIXED_KEY_BYTES_MAX: usize = 16;
/// The most keys.
pub const FIXED_KEYS_MAX: usize = 8;

/// The name of a value that is fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FixedKey([u8; FIXED_KEY_BYTES_MAX]);

impl FixedKey {
    /// The key of this name. Panics if it is empty, too long or not ASCII.
    pub fn new(name: &str) -> FixedKey {
        FixedKey::from_bytes(name.as_bytes()).expect("a key is a short name")
    }

    /// The key that these bytes name, if they name one.
    pub(crate) fn from_bytes(name: &[u8]) -> Option<FixedKey> {
        let is_name =
            (1..=FIXED_KEY_BYTES_MAX).contains(&name.len()) && name.iter().all(u8::is_ascii_graphic);
        let mut key = [0; FIXED_KEY_BYTES_MAX];
        is_name.then(|| key[..name.len()].copy_from_slice(name))?;
        Some(FixedKey(key))
    }

    /// The name.
    pub fn name(&self) -> &str {
        let length = self.0.iter().position(|byte| *byte == 0).unwrap_or(FIXED_KEY_BYTES_MAX);
        std::str::from_utf8(&self.0[..length]).expect("a key is ASCII")
    }
}

impl fmt::Display for FixedKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// What is fixed for the life of a cluster.
///
/// Invariant: at most [`FIXED_KEYS_MAX`] keys, no two alike.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fixed(Vec<(FixedKey, String)>);

impl Fixed {
    /// Adds a value. Panics if there are too many, or one of this key.
    pub fn with(mut self, key: FixedKey, value: impl Into<String>) -> Fixed {
        assert!(self.0.len() < FIXED_KEYS_MAX, "at most {FIXED_KEYS_MAX} keys");
        assert!(self.0.iter().all(|(known, _)| *known != key), "{key} is there twice");
        self.0.push((key, value.into()));
        self
    }

    /// The values, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = (FixedKey, &str)> {
        self.0.iter().map(|(key, value)| (*key, value.as_str()))
    }

    /// What is compared in place of the values.
    pub(crate) fn digests(&self) -> Vec<(FixedKey, u32)> {
        self.iter().map(|(key, value)| (key, crc32c::crc32c(value.as_bytes()))).collect()
    }
}

/// The first key that only one of two sides has, or whose values differ.
pub(crate) fn difference(ours: &[(FixedKey, u32)], theirs: &[(FixedKey, u32)]) -> Option<FixedKey> {
    let lacks = |side: &[(FixedKey, u32)], value: &&(FixedKey, u32)| !side.contains(value);
    let ours_alone = ours.iter().find(|value| lacks(theirs, value));
    ours_alone.or_else(|| theirs.iter().find(|value| lacks(ours, value))).map(|(key, _)| *key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(values: &[(&str, &str)]) -> Vec<(FixedKey, u32)> {
        let with = |fixed: Fixed, (key, value): &(&str, &str)| fixed.with(FixedKey::new(key), *value);
        values.iter().fold(Fixed::default(), with).digests()
    }

    #[test]
    fn the_first_key_that_differs_is_named() {
        let ours = fixed(&[("nodes", "1 2"), ("depth", "2")]);
        let differs = |theirs: &[(&str, &str)]| difference(&ours, &fixed(theirs)).map(|key| key.to_string());
        assert_eq!(differs(&[("depth", "2"), ("nodes", "1 2")]), None);
        assert_eq!(differs(&[("nodes", "1 2"), ("depth", "3")]), Some("depth".into()));
        assert_eq!(differs(&[("nodes", "1 2")]), Some("depth".into()));
        assert_eq!(differs(&[("nodes", "1 2"), ("depth", "2"), ("rules", "")]), Some("rules".into()));
    }

    #[test]
    fn bytes_that_are_no_name_are_no_key() {
        for name in [&b""[..], b"a b", b"\xc3\xa9", &[b'x'; FIXED_KEY_BYTES_MAX + 1]] {
            assert_eq!(FixedKey::from_bytes(name), None);
        }
        assert_eq!(FixedKey::new(&"x".repeat(FIXED_KEY_BYTES_MAX)).name().len(), FIXED_KEY_BYTES_MAX);
    }
}
