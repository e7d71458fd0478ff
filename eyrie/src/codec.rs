//! How commands, replies and variables become bytes: bincode, chosen in this one place, with its format fixed by test.

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bincode::error::{DecodeError, EncodeError};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The largest encoded value that is decoded; more is refused before anything is allocated.
pub const DECODED_BYTES_MAX: usize = 64 << 20;

type Config = Configuration<LittleEndian, Varint, Limit<DECODED_BYTES_MAX>>;

fn config() -> Config {
    bincode::config::standard().with_limit::<DECODED_BYTES_MAX>()
}

/// Appends the encoding of `value`.
pub fn encode_into<T: Serialize>(value: &T, bytes: &mut Vec<u8>) -> Result<(), EncodeError> {
    bincode::serde::encode_into_std_write(value, bytes, config()).map(|_| ())
}

/// How many bytes the encoding of `value` has, without making it.
pub fn encoded_len<T: Serialize>(value: &T) -> usize {
    let mut counted = Counted(0);
    let _ = bincode::serde::encode_into_std_write(value, &mut counted, config());
    counted.0
}

/// Counts what is written, and keeps nothing of it.
struct Counted(usize);

impl std::io::Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Decodes a value that fills `bytes` from the start; what follows it is not looked at.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    bincode::serde::decode_from_slice(bytes, config()).map(|(value, _)| value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Serialize, Deserialize, Debug, PartialEq)]
    enum Sample {
        Unit,
        Fields { number: u64, name: String, maybe: Option<i32> },
    }

    #[test]
    fn the_format_is_fixed() {
        let sample = Sample::Fields { number: 300, name: "ab".into(), maybe: Some(-1) };
        let mut bytes = Vec::new();
        encode_into(&sample, &mut bytes).expect("a sample");
        encode_into(&Sample::Unit, &mut bytes).expect("a sample");
        assert_eq!(bytes, [1, 251, 44, 1, 2, b'a', b'b', 1, 1, 0]);
        assert_eq!(encoded_len(&sample) + encoded_len(&Sample::Unit), bytes.len());
        assert_eq!(decode::<Sample>(&bytes).expect("the same"), sample);
    }

    #[test]
    fn a_length_that_lies_is_refused() {
        let huge = [253, 255, 255, 255, 255, 255, 255, 255, 255];
        assert!(decode::<String>(&huge).is_err());
        assert!(decode::<Vec<u64>>(&huge).is_err());
    }
}
