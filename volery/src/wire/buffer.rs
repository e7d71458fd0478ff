//! Jute, the encoding inside a frame: a checked reader over a frame's bytes, and the writers to match.

use super::Unknown;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use std::sync::Arc;
use thiserror::Error;

/// Bytes that are not the record they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Malformed {
    /// The frame ends inside a record.
    #[error("the record needs {wanted} more bytes and the frame has {left} left")]
    Truncated {
        /// Bytes that the next item takes.
        wanted: usize,
        /// Bytes that there are.
        left: usize,
    },
    /// A length or count below -1, which would be null.
    #[error("a length of {0} is negative")]
    NegativeLength(i32),
    /// A vector that announces more elements than the rest of the frame can hold.
    #[error("a vector of {count} elements does not fit the {left} bytes left of the frame")]
    VectorTooLong {
        /// Elements announced.
        count: usize,
        /// Bytes that there are.
        left: usize,
    },
    /// A string that is not UTF-8.
    #[error("a string is not UTF-8")]
    NotUtf8,
    /// A number that stands for nothing.
    #[error(transparent)]
    Unknown(#[from] Unknown),
}

/// Something that is read from a frame, and written to one, by itself.
pub trait Record: Sized {
    /// The fewest bytes that one takes, against which a vector's count is checked before anything is allocated.
    const BYTES_MIN: usize;

    /// Reads one, and leaves what follows it.
    fn read(reader: &mut Reader) -> Result<Self, Malformed>;

    /// Appends it.
    fn write(&self, output: &mut BytesMut);
}

/// What is left to read of one frame. Buffers come out as slices of the frame, without a copy.
#[derive(Clone, Debug)]
pub struct Reader {
    rest: Bytes,
}

impl Reader {
    /// A reader at the start of a frame's body.
    pub fn new(frame: Bytes) -> Reader {
        Reader { rest: frame }
    }

    /// How many bytes are left.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Reads a record.
    pub fn record<R: Record>(&mut self) -> Result<R, Malformed> {
        R::read(self)
    }

    /// Reads a boolean; anything but 0 is true, as in Java.
    pub fn bool(&mut self) -> Result<bool, Malformed> {
        self.need(1)?;
        Ok(self.rest.get_u8() != 0)
    }

    /// Reads an int.
    pub fn int(&mut self) -> Result<i32, Malformed> {
        self.need(4)?;
        Ok(self.rest.get_i32())
    }

    /// Reads a long.
    pub fn long(&mut self) -> Result<i64, Malformed> {
        self.need(8)?;
        Ok(self.rest.get_i64())
    }

    /// Reads a buffer, a slice of the frame; `None` is jute's null.
    pub fn buffer(&mut self) -> Result<Option<Bytes>, Malformed> {
        Ok(self.length()?.map(|length| self.rest.split_to(length)))
    }

    /// Reads a string into any owner of text; null becomes the empty one.
    pub fn string<S: for<'a> From<&'a str>>(&mut self) -> Result<S, Malformed> {
        Ok(self.string_or_null()?.unwrap_or_else(|| S::from("")))
    }

    /// Reads a string into any owner of text; `None` is jute's null.
    pub fn string_or_null<S: for<'a> From<&'a str>>(&mut self) -> Result<Option<S>, Malformed> {
        let Some(length) = self.length()? else { return Ok(None) };
        let text = std::str::from_utf8(&self.rest[..length]).map_err(|_| Malformed::NotUtf8)?;
        let string = S::from(text);
        self.rest.advance(length);
        Ok(Some(string))
    }

    /// Reads a vector; null becomes the empty one.
    pub fn vector<R: Record>(&mut self) -> Result<Vec<R>, Malformed> {
        let count = self.non_negative()?.unwrap_or(0);
        let left = self.remaining();
        if count > left / R::BYTES_MIN {
            return Err(Malformed::VectorTooLong { count, left });
        }
        let mut elements = Vec::with_capacity(count);
        for _ in 0..count {
            elements.push(R::read(self)?);
        }
        Ok(elements)
    }

    /// Reads the length of something whose bytes follow, and checks that they do.
    fn length(&mut self) -> Result<Option<usize>, Malformed> {
        let length = self.non_negative()?;
        self.need(length.unwrap_or(0))?;
        Ok(length)
    }

    /// Reads a length or count; `None` is -1, jute's null.
    fn non_negative(&mut self) -> Result<Option<usize>, Malformed> {
        match self.int()? {
            -1 => Ok(None),
            number => usize::try_from(number).map(Some).map_err(|_| Malformed::NegativeLength(number)),
        }
    }

    fn need(&self, wanted: usize) -> Result<(), Malformed> {
        let left = self.remaining();
        if wanted > left { Err(Malformed::Truncated { wanted, left }) } else { Ok(()) }
    }
}

/// A string in a vector, or a record of one string.
impl Record for Arc<str> {
    const BYTES_MIN: usize = 4;

    fn read(reader: &mut Reader) -> Result<Self, Malformed> {
        reader.string()
    }

    fn write(&self, output: &mut BytesMut) {
        put_string(output, self);
    }
}

/// Appends a boolean.
pub fn put_bool(output: &mut BytesMut, value: bool) {
    output.put_u8(u8::from(value));
}

/// Appends the length of a buffer or the count of a vector.
///
/// # Panics
/// If it does not fit an `i32`: no frame could hold that much.
pub fn put_count(output: &mut BytesMut, count: usize) {
    assert!(i32::try_from(count).is_ok(), "{count} is more than a frame can hold");
    output.put_i32(count as i32);
}

/// How many bytes a count or length takes.
pub(super) const COUNT_BYTES: usize = 4;

/// How many bytes a buffer takes.
pub(super) fn buffer_bytes(buffer: Option<&Bytes>) -> usize {
    COUNT_BYTES + buffer.map_or(0, Bytes::len)
}

/// How many bytes a string takes.
pub(super) fn string_bytes(string: &str) -> usize {
    COUNT_BYTES + string.len()
}

/// Appends a buffer; `None` is jute's null.
pub fn put_buffer(output: &mut BytesMut, buffer: Option<&[u8]>) {
    match buffer {
        None => output.put_i32(-1),
        Some(bytes) => {
            put_count(output, bytes.len());
            output.put_slice(bytes);
        }
    }
}

/// Appends a string.
pub fn put_string(output: &mut BytesMut, string: &str) {
    put_buffer(output, Some(string.as_bytes()));
}

/// Appends a vector.
pub fn put_vector<R: Record>(output: &mut BytesMut, elements: &[R]) {
    put_count(output, elements.len());
    for element in elements {
        element.write(output);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reader(bytes: &[u8]) -> Reader {
        Reader::new(Bytes::copy_from_slice(bytes))
    }

    proptest! {
        #[test]
        fn primitives_round_trip(
            flag: bool, int: i32, long: i64, data: Option<Vec<u8>>, text: String, names: Vec<String>,
        ) {
            let names: Vec<Arc<str>> = names.into_iter().map(Arc::from).collect();
            let mut output = BytesMut::new();
            put_bool(&mut output, flag);
            output.put_i32(int);
            output.put_i64(long);
            put_buffer(&mut output, data.as_deref());
            put_string(&mut output, &text);
            put_vector(&mut output, &names);
            let mut reader = Reader::new(output.freeze());
            prop_assert_eq!(reader.bool(), Ok(flag));
            prop_assert_eq!(reader.int(), Ok(int));
            prop_assert_eq!(reader.long(), Ok(long));
            prop_assert_eq!(reader.buffer(), Ok(data.map(Bytes::from)));
            prop_assert_eq!(reader.string::<String>(), Ok(text));
            prop_assert_eq!(reader.vector::<Arc<str>>(), Ok(names));
            prop_assert_eq!(reader.remaining(), 0);
        }
    }

    #[test]
    fn buffers_are_slices_of_the_frame() {
        let frame = Bytes::from_static(b"\0\0\0\x02hi");
        let buffer = Reader::new(frame.clone()).buffer().unwrap().unwrap();
        assert_eq!(buffer.as_ptr(), frame[4..].as_ptr());
    }

    #[test]
    fn null_is_not_empty_for_a_buffer_and_is_for_a_string_and_a_vector() {
        let null = [0xff; 4];
        assert_eq!(reader(&null).buffer(), Ok(None));
        assert_eq!(reader(&[0; 4]).buffer(), Ok(Some(Bytes::new())));
        assert_eq!(reader(&null).string_or_null::<String>(), Ok(None));
        assert_eq!(reader(&null).string::<String>(), Ok(String::new()));
        assert_eq!(reader(&null).vector::<Arc<str>>(), Ok(Vec::new()));
    }

    #[test]
    fn any_byte_but_zero_is_true() {
        assert_eq!(reader(&[2]).bool(), Ok(true));
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        let huge = i32::MAX.to_be_bytes();
        let truncated = Malformed::Truncated { wanted: i32::MAX as usize, left: 0 };
        assert_eq!(reader(&huge).buffer(), Err(truncated));
        assert_eq!(reader(&huge).string::<String>(), Err(truncated));
        let minus_two = (-2i32).to_be_bytes();
        assert_eq!(reader(&minus_two).buffer(), Err(Malformed::NegativeLength(-2)));
        assert_eq!(reader(&minus_two).string::<String>(), Err(Malformed::NegativeLength(-2)));
        assert_eq!(reader(&minus_two).vector::<Arc<str>>(), Err(Malformed::NegativeLength(-2)));
    }

    /// An element whose reading is a failure of the test: reached, the count has been believed.
    struct Unreachable;

    impl Record for Unreachable {
        const BYTES_MIN: usize = 4;

        fn read(_: &mut Reader) -> Result<Self, Malformed> {
            panic!("the count was believed")
        }

        fn write(&self, _: &mut BytesMut) {}
    }

    #[test]
    fn a_count_is_held_against_the_bytes_left_before_any_element_is_read() {
        let mut bytes = 3i32.to_be_bytes().to_vec();
        bytes.extend([0; 11]);
        let refused = reader(&bytes).vector::<Unreachable>().err();
        assert_eq!(refused, Some(Malformed::VectorTooLong { count: 3, left: 11 }));
        let refused = reader(&i32::MAX.to_be_bytes()).vector::<Unreachable>().err();
        assert_eq!(refused, Some(Malformed::VectorTooLong { count: i32::MAX as usize, left: 0 }));
    }

    #[test]
    fn text_that_is_not_utf8_is_refused() {
        assert_eq!(reader(b"\0\0\0\x01\xff").string::<String>(), Err(Malformed::NotUtf8));
    }
}
