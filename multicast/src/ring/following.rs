//! What a node that is no member of a ring asks its members, and what they answer.
//!
//! ```text
//! request   version u8 | number u64 | leader | 0 u8, or 1 u8 and from u64
//! answer    number u64 | leader | from u64 | (length u32 | entry)*
//! leader    0 u8, or 1 u8 and node u16
//! ```
//! Little-endian. An answer travels in frames, which have a version and cut what is long. A member that is behind is sent
//! answers too: its request is a level, whose number the answer repeats.

use super::codec::Malformed;
use super::fragment::{PIECE_HEAD, WHOLE_HEAD, frames};
use crate::NodeId;
use bytes::{Buf, BufMut, Bytes, BytesMut, TryGetError};

const VERSION: u8 = 1;

/// Asks a member to tell what is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// Which of the asker's requests about this ring it is.
    pub(super) number: u64,
    /// Who leads, as far as the asker knows.
    pub(super) leader: Option<NodeId>,
    /// Decided entries are wanted from this one on; none if there is no such place.
    pub(super) from: Option<u64>,
}

/// What is new to whoever asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// The request's number.
    pub(super) number: u64,
    /// Who leads, as far as the member knows.
    pub(super) leader: Option<NodeId>,
    /// The index of the first of `entries`.
    pub(super) from: u64,
    /// Decided entries, one after the other.
    pub(super) entries: Vec<Bytes>,
}

impl Request {
    pub(super) fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::new();
        bytes.put_u8(VERSION);
        bytes.put_u64_le(self.number);
        put_leader(&mut bytes, self.leader);
        bytes.put_u8(u8::from(self.from.is_some()));
        if let Some(from) = self.from {
            bytes.put_u64_le(from);
        }
        bytes.freeze()
    }

    pub(super) fn decode(mut bytes: Bytes) -> Result<Request, Malformed> {
        let request = Request::take(&mut bytes)?;
        if bytes.is_empty() { Ok(request) } else { Err(Malformed) }
    }

    fn take(bytes: &mut Bytes) -> Result<Request, Malformed> {
        if bytes.try_get_u8().map_err(short)? != VERSION {
            return Err(Malformed);
        }
        let number = bytes.try_get_u64_le().map_err(short)?;
        let leader = take_leader(bytes)?;
        let from = take_option(bytes, Bytes::try_get_u64_le)?;
        Ok(Request { number, leader, from })
    }
}

impl Answer {
    /// The frames that carry it.
    pub(super) fn frames(&self) -> Vec<Bytes> {
        self.frames_behind(WHOLE_HEAD)
    }

    /// The frames that carry it to a member, as a piece of the decided log.
    pub(super) fn piece_frames(&self) -> Vec<Bytes> {
        self.frames_behind(PIECE_HEAD)
    }

    fn frames_behind(&self, head: [u8; 2]) -> Vec<Bytes> {
        let mut bytes = BytesMut::from(&head[..]);
        bytes.put_u64_le(self.number);
        put_leader(&mut bytes, self.leader);
        bytes.put_u64_le(self.from);
        for entry in &self.entries {
            bytes.put_u32_le(u32::try_from(entry.len()).expect("an entry is smaller than 4 GiB"));
            bytes.put_slice(entry);
        }
        frames(bytes.freeze())
    }

    /// Reads what was joined from frames. The entries do not share its memory, which may be much larger than they are.
    pub(super) fn decode(mut bytes: Bytes) -> Result<Answer, Malformed> {
        let number = bytes.try_get_u64_le().map_err(short)?;
        let leader = take_leader(&mut bytes)?;
        let from = bytes.try_get_u64_le().map_err(short)?;
        let mut entries = Vec::new();
        while !bytes.is_empty() {
            let length = bytes.try_get_u32_le().map_err(short)? as usize;
            let entry = bytes.get(..length).ok_or(Malformed)?;
            entries.push(Bytes::copy_from_slice(entry));
            bytes.advance(length);
        }
        Ok(Answer { number, leader, from, entries })
    }
}

fn put_leader(bytes: &mut BytesMut, leader: Option<NodeId>) {
    bytes.put_u8(u8::from(leader.is_some()));
    if let Some(leader) = leader {
        bytes.put_u16_le(leader.0);
    }
}

fn take_leader(bytes: &mut Bytes) -> Result<Option<NodeId>, Malformed> {
    Ok(take_option(bytes, Bytes::try_get_u16_le)?.map(NodeId))
}

fn take_option<T>(
    bytes: &mut Bytes,
    take: impl FnOnce(&mut Bytes) -> Result<T, TryGetError>,
) -> Result<Option<T>, Malformed> {
    match bytes.try_get_u8().map_err(short)? {
        0 => Ok(None),
        1 => take(bytes).map(Some).map_err(short),
        _ => Err(Malformed),
    }
}

fn short(_: TryGetError) -> Malformed {
    Malformed
}

#[cfg(test)]
mod tests {
    use super::super::fragment::Joiner;
    use super::*;
    use proptest::prelude::*;

    fn joined(answer: &Answer) -> Bytes {
        let mut joiner = Joiner::default();
        let mut frames = answer.frames().into_iter();
        frames.find_map(|frame| joiner.take(frame).expect("a frame")).expect("a whole answer")
    }

    #[test]
    fn the_formats_are_fixed() {
        let request = Request { number: 3, leader: Some(NodeId(0x0102)), from: Some(4) };
        assert_eq!(
            request.encode().as_ref(),
            [1, 3, 0, 0, 0, 0, 0, 0, 0, 1, 2, 1, 1, 4, 0, 0, 0, 0, 0, 0, 0]
        );
        let least = Request { number: 3, leader: None, from: None };
        assert_eq!(least.encode().as_ref(), [1, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        let entries = vec![Bytes::from_static(b"ab"), Bytes::new()];
        let answer = Answer { number: 3, leader: Some(NodeId(5)), from: 4, entries };
        let golden = [
            &[1, 0, 3, 0, 0, 0, 0, 0, 0, 0, 1, 5, 0, 4, 0, 0, 0, 0, 0, 0, 0][..],
            &[2, 0, 0, 0, b'a', b'b', 0, 0, 0, 0],
        ];
        assert_eq!(answer.frames(), [golden.concat()]);
        assert_eq!(answer.piece_frames()[0][..2], [1, 4]);
        assert_eq!(answer.piece_frames()[0][2..], golden.concat()[2..]);
    }

    #[test]
    fn another_version_and_a_longer_request_are_refused() {
        let bytes = Request { number: 3, leader: None, from: None }.encode();
        assert_eq!(Request::decode(Bytes::from([&bytes[..], &[0]].concat())), Err(Malformed));
        assert_eq!(Request::decode(Bytes::from([&[2], &bytes[1..]].concat())), Err(Malformed));
        assert_eq!(Request::decode(bytes.slice(..bytes.len() - 1)), Err(Malformed));
    }

    proptest! {
        #[test]
        fn what_is_put_in_comes_out(
            number in any::<u64>(),
            leader in any::<Option<u16>>(),
            from in any::<Option<u64>>(),
            entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..5),
        ) {
            let request = Request { number, leader: leader.map(NodeId), from };
            prop_assert_eq!(Request::decode(request.encode()), Ok(request));
            let entries = entries.into_iter().map(Bytes::from).collect();
            let answer = Answer { number, leader: leader.map(NodeId), from: from.unwrap_or(0), entries };
            prop_assert_eq!(Answer::decode(joined(&answer)), Ok(answer));
        }

        #[test]
        fn foreign_bytes_are_an_error_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let bytes = Bytes::from(bytes);
            let _ = (Request::decode(bytes.clone()), Answer::decode(bytes));
        }
    }
}
