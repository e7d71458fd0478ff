//! Frames: what a link carries for a ring.
//!
//! ```text
//! whole   version u8 | 0 | message
//! part    version u8 | 1 | total u32 | offset u32 | bytes offset.. of the message
//! ```
//! Little-endian. A promise or a synchronization carries all that a peer lacks, so a message may be as large as a log. It
//! is cut into parts, between which a link can carry a heartbeat, and which no frame limit refuses.

use super::codec::Malformed;
use bytes::{Buf, BufMut, Bytes, BytesMut};

/// A longer message is cut into parts of this many bytes.
pub(super) const PART_BYTES: usize = 256 << 10;
/// A longer message is not sent: a peer that lacks so much needs a checkpoint.
pub(super) const MESSAGE_BYTES_MAX: usize = 64 << 20;

const VERSION: u8 = 1;
const WHOLE: u8 = 0;
const PART: u8 = 1;
/// What stands before the bytes of a whole message.
pub(super) const WHOLE_HEAD: [u8; 2] = [VERSION, WHOLE];
const PART_HEAD_BYTES: usize = 2 + 4 + 4;

/// The frames of a message, which comes behind [`WHOLE_HEAD`]: itself, unless it is too long. The parts of one that is
/// longer than [`MESSAGE_BYTES_MAX`] would be refused, so there are none.
pub(super) fn frames(whole: Bytes) -> Vec<Bytes> {
    let length = whole.len() - WHOLE_HEAD.len();
    if length <= PART_BYTES {
        return vec![whole];
    }
    if length > MESSAGE_BYTES_MAX {
        return Vec::new();
    }
    let message = whole.slice(WHOLE_HEAD.len()..);
    (0..length).step_by(PART_BYTES).map(|offset| part(&message, offset)).collect()
}

fn part(message: &Bytes, offset: usize) -> Bytes {
    let end = message.len().min(offset + PART_BYTES);
    let mut frame = BytesMut::with_capacity(PART_HEAD_BYTES + end - offset);
    frame.put_slice(&[VERSION, PART]);
    frame.put_u32_le(message.len() as u32);
    frame.put_u32_le(offset as u32);
    frame.put_slice(&message[offset..end]);
    frame.freeze()
}

/// Joins one peer's frames. Whole messages may come between the parts of another.
#[derive(Debug, Default)]
pub(super) struct Joiner {
    total: usize,
    joined: BytesMut,
}

impl Joiner {
    /// Takes a frame, and gives the message that it completes.
    pub(super) fn take(&mut self, mut frame: Bytes) -> Result<Option<Bytes>, Malformed> {
        if frame.len() < WHOLE_HEAD.len() {
            return Err(Malformed);
        }
        match (frame.get_u8(), frame.get_u8()) {
            (VERSION, WHOLE) => Ok(Some(frame)),
            (VERSION, PART) => self.join(frame),
            _ => Err(Malformed),
        }
    }

    fn join(&mut self, mut part: Bytes) -> Result<Option<Bytes>, Malformed> {
        let total = part.try_get_u32_le().map_err(|_| Malformed)? as usize;
        let offset = part.try_get_u32_le().map_err(|_| Malformed)? as usize;
        if offset == 0 {
            self.joined.clear();
            self.total = total;
        }
        let fits = total == self.total && offset == self.joined.len() && part.len() <= total - offset;
        if !fits || part.is_empty() || total > MESSAGE_BYTES_MAX {
            return Err(Malformed);
        }
        self.joined.put_slice(&part);
        Ok((self.joined.len() == total).then(|| std::mem::take(&mut self.joined).freeze()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn whole(message: &[u8]) -> Bytes {
        Bytes::from([&WHOLE_HEAD, message].concat())
    }

    fn join(frames: impl IntoIterator<Item = Bytes>) -> Result<Vec<Bytes>, Malformed> {
        let mut joiner = Joiner::default();
        frames.into_iter().filter_map(|frame| joiner.take(frame).transpose()).collect()
    }

    #[test]
    fn a_long_message_is_cut_and_joined_and_others_pass_between_its_parts() {
        let long: Vec<u8> = (0..PART_BYTES * 2 + 5).map(|byte| byte as u8).collect();
        let parts = frames(whole(&long));
        assert_eq!(parts.len(), 3);
        assert!(parts.iter().all(|part| part.len() <= PART_BYTES + PART_HEAD_BYTES));
        let short = whole(b"heartbeat");
        let sent = [parts[0].clone(), short, parts[1].clone(), parts[2].clone()];
        assert_eq!(join(sent), Ok(vec![Bytes::from_static(b"heartbeat"), Bytes::from(long)]));
        assert_eq!(frames(whole(&[7; PART_BYTES])), [whole(&[7; PART_BYTES])]);
    }

    #[test]
    fn a_message_begun_again_is_joined_from_its_beginning() {
        let parts = frames(whole(&[1; PART_BYTES + 1]));
        let sent = [parts[0].clone(), parts[0].clone(), parts[1].clone()];
        assert_eq!(join(sent).expect("parts").len(), 1);
    }

    #[test]
    fn parts_that_do_not_join_are_refused() {
        let parts = frames(whole(&[1; PART_BYTES * 2 + 1]));
        assert_eq!(join([parts[1].clone()]), Err(Malformed));
        assert_eq!(join([parts[0].clone(), parts[2].clone()]), Err(Malformed));
        let other = frames(whole(&[1; PART_BYTES * 3]));
        assert_eq!(join([parts[0].clone(), other[1].clone()]), Err(Malformed));
        assert_eq!(join([Bytes::from_static(&[2, 0])]), Err(Malformed));
        assert!(frames(whole(&vec![0; MESSAGE_BYTES_MAX + 1])).is_empty());
    }

    #[test]
    fn the_format_of_a_part_is_fixed() {
        let part = &frames(whole(&[9; PART_BYTES + 1]))[1];
        assert_eq!(part.as_ref(), [1, 1, 1, 0, 4, 0, 0, 0, 4, 0, 9]);
    }

    proptest! {
        #[test]
        fn foreign_bytes_are_an_error_and_no_panic(frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..30), 0..5)) {
            let _ = join(frames.into_iter().map(Bytes::from));
        }
    }
}
