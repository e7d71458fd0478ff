//! Frames: a length and that many bytes.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use thiserror::Error;

/// ZooKeeper's default of `jute.maxbuffer`, in bytes: the longest frame that is accepted.
pub const FRAME_BYTES_MAX_DEFAULT: usize = 0xf_ffff;

/// Bytes of the length before a frame.
const LENGTH_BYTES: usize = 4;

/// A length that no frame may have. What follows it cannot be told apart, so the connection is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a frame of {length} bytes; the length is 0 to {bytes_max}")]
pub struct BadFrame {
    /// The length announced.
    pub length: i32,
    /// The cap.
    pub bytes_max: usize,
}

/// Takes the first frame off what a connection has received, without copying it and without its length.
///
/// `None` means that more has to be received. A length above `bytes_max` is refused when it is seen, not when so much
/// has come.
pub fn take_frame(input: &mut BytesMut, bytes_max: usize) -> Result<Option<Bytes>, BadFrame> {
    let Some(&prefix) = input.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
    let announced = i32::from_be_bytes(prefix);
    let length = match usize::try_from(announced) {
        Ok(length) if length <= bytes_max => length,
        _ => return Err(BadFrame { length: announced, bytes_max }),
    };
    if input.len() < LENGTH_BYTES + length {
        return Ok(None);
    }
    input.advance(LENGTH_BYTES);
    Ok(Some(input.split_to(length).freeze()))
}

/// Appends a frame whose body `write` appends: the length is patched in afterwards, so nothing is copied.
///
/// # Panics
/// If the body does not fit an `i32`.
pub fn write_frame(output: &mut BytesMut, write: impl FnOnce(&mut BytesMut)) {
    let start = output.len();
    output.put_i32(0);
    write(output);
    let length = output.len() - start - LENGTH_BYTES;
    assert!(i32::try_from(length).is_ok(), "a frame of {length} bytes cannot be sent");
    output[start..start + LENGTH_BYTES].copy_from_slice(&(length as i32).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn take_all(input: &mut BytesMut) -> Result<Vec<Bytes>, BadFrame> {
        std::iter::from_fn(|| take_frame(input, FRAME_BYTES_MAX_DEFAULT).transpose()).collect()
    }

    proptest! {
        #[test]
        fn frames_come_out_whole_however_they_are_cut(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6), cut in 1..9usize,
        ) {
            let mut sent = BytesMut::new();
            for body in &bodies {
                write_frame(&mut sent, |output| output.put_slice(body));
            }
            let mut input = BytesMut::new();
            let mut received = Vec::new();
            for piece in sent.chunks(cut) {
                input.put_slice(piece);
                received.extend(take_all(&mut input).unwrap());
            }
            prop_assert_eq!(received, bodies);
            prop_assert!(input.is_empty());
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>, bytes_max in 0..64usize) {
            let mut input = BytesMut::from(&bytes[..]);
            let mut taken = 0;
            while let Ok(Some(frame)) = take_frame(&mut input, bytes_max) {
                prop_assert!(frame.len() <= bytes_max);
                taken += LENGTH_BYTES + frame.len();
            }
            prop_assert_eq!(&bytes[taken..], &input[..]);
        }
    }

    #[test]
    fn the_cap_is_inclusive() {
        let mut input = BytesMut::from(&b"\0\0\0\x02hi"[..]);
        assert_eq!(take_frame(&mut input.clone(), 1), Err(BadFrame { length: 2, bytes_max: 1 }));
        assert_eq!(take_frame(&mut input, 2), Ok(Some(Bytes::from_static(b"hi"))));
    }

    #[test]
    fn a_bad_length_is_refused_before_the_body_has_come() {
        let refusal =
            |prefix: i32| take_frame(&mut BytesMut::from(&prefix.to_be_bytes()[..]), 100).unwrap_err();
        assert_eq!(refusal(-1).length, -1);
        assert_eq!(refusal(101).to_string(), "a frame of 101 bytes; the length is 0 to 100");
        assert_eq!(refusal(i32::from_be_bytes(*b"ruok")).bytes_max, 100);
    }
}
