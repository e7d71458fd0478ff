//! A list of names or paths, as it stands on the wire.
//!
//! A list may have a hundred thousand names, and is told to many. So it is one buffer: a clone shares it, its length is known, and a
//! reply copies it in one piece.

use super::buffer::COUNT_BYTES;
use super::{Malformed, Reader, put_string};
use bytes::{BufMut, Bytes, BytesMut};
use serde::de::{SeqAccess, Visitor};
use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::sync::Arc;

/// A list of names. Cheap to clone.
///
/// Invariant: `bytes` holds `count` strings in jute's encoding, none of them null.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Names {
    count: usize,
    bytes: Bytes,
}

impl Names {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many bytes the vector takes.
    pub fn wire_bytes(&self) -> usize {
        COUNT_BYTES + self.bytes.len()
    }

    /// The names, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let mut rest = &self.bytes[..];
        std::iter::from_fn(move || {
            let (length, behind) = rest.split_first_chunk()?;
            let (name, behind) = behind.split_at_checked(u32::from_be_bytes(*length) as usize)?;
            rest = behind;
            std::str::from_utf8(name).ok()
        })
    }

    /// Reads a vector of strings; null becomes the empty one.
    pub fn read(reader: &mut Reader) -> Result<Names, Malformed> {
        Ok(reader.vector::<Arc<str>>()?.into_iter().collect())
    }

    /// Appends the vector.
    pub fn write(&self, output: &mut BytesMut) {
        output.put_i32(self.count as i32);
        output.extend_from_slice(&self.bytes);
    }
}

/// A list that is being made.
#[derive(Debug, Default)]
pub struct NamesBuilder {
    count: usize,
    bytes: BytesMut,
}

impl NamesBuilder {
    /// Appends a name.
    pub fn push(&mut self, name: &str) {
        self.count += 1;
        put_string(&mut self.bytes, name);
    }

    /// How many bytes the vector takes so far.
    pub fn wire_bytes(&self) -> usize {
        COUNT_BYTES + self.bytes.len()
    }

    /// The list.
    pub fn build(self) -> Names {
        Names { count: self.count, bytes: self.bytes.freeze() }
    }
}

impl<S: AsRef<str>> FromIterator<S> for Names {
    fn from_iter<I: IntoIterator<Item = S>>(names: I) -> Names {
        let mut builder = NamesBuilder::default();
        names.into_iter().for_each(|name| builder.push(name.as_ref()));
        builder.build()
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Between nodes it is a sequence of strings.
impl Serialize for Names {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut names = serializer.serialize_seq(Some(self.count))?;
        self.iter().try_for_each(|name| names.serialize_element(name))?;
        names.end()
    }
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Names, D::Error> {
        deserializer.deserialize_seq(NamesVisitor)
    }
}

struct NamesVisitor;

impl<'de> Visitor<'de> for NamesVisitor {
    type Value = Names;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("names")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<Names, A::Error> {
        let mut builder = NamesBuilder::default();
        while let Some(name) = names.next_element::<String>()? {
            builder.push(&name);
        }
        Ok(builder.build())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_in_order_by_wire_and_between_nodes() {
        let names: Names = ["b", "", "a"].into_iter().collect();
        assert_eq!(names.iter().collect::<Vec<_>>(), ["b", "", "a"]);
        let mut output = BytesMut::new();
        names.write(&mut output);
        assert_eq!(&output[..], [0, 0, 0, 3, 0, 0, 0, 1, b'b', 0, 0, 0, 0, 0, 0, 0, 1, b'a']);
        assert_eq!(output.len(), names.wire_bytes());
        assert_eq!(Names::read(&mut Reader::new(output.freeze())), Ok(names.clone()));
        let text = serde_json::to_string(&names).unwrap();
        assert_eq!(text, r#"["b","","a"]"#, "as a sequence of strings");
        assert_eq!(serde_json::from_str::<Names>(&text).ok(), Some(names));
    }
}
