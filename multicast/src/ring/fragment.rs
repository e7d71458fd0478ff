//! Frames: what a link carries for a ring.
//!
//! ```text
//! whole   version u8 | kind u8 | bytes
//! part    version u8 | kind u8, plus 1 | total u32 | offset u32 | bytes offset..
//! kind    0 a message of the consensus crate | 2 a level | 4 a piece of the decided log
//! ```
//! Little-endian. A promise or a synchronization carries what a peer lacks, and a piece carries entries. Where they are long
//! they are cut into parts, between which a link can carry a heartbeat, and which no frame limit refuses.

use super::codec::Malformed;
use bytes::{Buf, BufMut, Bytes, BytesMut};

/// A longer message is cut into parts of this many bytes.
pub(super) const PART_BYTES: usize = 256 << 10;
/// Nothing longer is joined. Nothing longer is made either: what a member may lack before the ring's messages are sent to it,
/// what a leader may leave undecided, and an entry are together far less.
pub(super) const MESSAGE_BYTES_MAX: usize = 64 << 20;

const VERSION: u8 = 1;
const PART: u8 = 1;
/// What stands before the bytes of a message of the consensus crate.
pub(super) const WHOLE_HEAD: [u8; 2] = [VERSION, Stream::Message as u8];
/// What stands before the bytes of a level.
pub(super) const LEVEL_HEAD: [u8; 2] = [VERSION, Stream::Level as u8];
/// What stands before the bytes of a piece.
pub(super) const PIECE_HEAD: [u8; 2] = [VERSION, Stream::Piece as u8];
const PART_HEAD_BYTES: usize = 2 + 4 + 4;

/// What a frame belongs to. Parts are joined with others of the same stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Stream {
    /// What the consensus crates of two members tell each other.
    Message = 0,
    /// How far a member is.
    Level = 2,
    /// Decided entries.
    Piece = 4,
}

impl Stream {
    pub(super) fn of(frame: &Bytes) -> Result<Stream, Malformed> {
        let kind = *frame.get(1).ok_or(Malformed)? & !PART;
        let all = [Stream::Message, Stream::Level, Stream::Piece];
        all.into_iter().find(|stream| *stream as u8 == kind).ok_or(Malformed)
    }
}

/// The frames of what comes behind one of the heads: itself, unless it is too long for one.
pub(super) fn frames(whole: Bytes) -> Vec<Bytes> {
    let length = whole.len() - WHOLE_HEAD.len();
    assert!(length <= MESSAGE_BYTES_MAX, "a ring made a message of {length} bytes, and each is bounded");
    if length <= PART_BYTES {
        return vec![whole];
    }
    let (kind, message) = (whole[1] | PART, whole.slice(WHOLE_HEAD.len()..));
    (0..length).step_by(PART_BYTES).map(|offset| part(kind, &message, offset)).collect()
}

fn part(kind: u8, message: &Bytes, offset: usize) -> Bytes {
    let end = message.len().min(offset + PART_BYTES);
    let mut frame = BytesMut::with_capacity(PART_HEAD_BYTES + end - offset);
    frame.put_slice(&[VERSION, kind]);
    frame.put_u32_le(message.len() as u32);
    frame.put_u32_le(offset as u32);
    frame.put_slice(&message[offset..end]);
    frame.freeze()
}

/// Joins one peer's frames of one [`Stream`]. Whole messages may come between the parts of another.
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
        match (frame.get_u8(), frame.get_u8() & PART) {
            (VERSION, PART) => self.join(frame),
            (VERSION, _) => Ok(Some(frame)),
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
        let mut endless = parts[0].to_vec();
        endless[2..6].copy_from_slice(&(MESSAGE_BYTES_MAX as u32 + 1).to_le_bytes());
        assert_eq!(join([Bytes::from(endless)]), Err(Malformed));
    }

    #[test]
    fn a_frame_tells_its_stream() {
        for (head, stream) in
            [(WHOLE_HEAD, Stream::Message), (LEVEL_HEAD, Stream::Level), (PIECE_HEAD, Stream::Piece)]
        {
            let frames = frames(Bytes::from([&head[..], &[7; PART_BYTES + 1]].concat()));
            assert!(frames.iter().all(|frame| Stream::of(frame) == Ok(stream)));
        }
        assert_eq!(Stream::of(&Bytes::from_static(&[1, 6])), Err(Malformed));
        assert_eq!(Stream::of(&Bytes::from_static(&[1])), Err(Malformed));
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
