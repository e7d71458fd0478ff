//! What the multicasts of two nodes tell each other.
//!
//! ```text
//! message   version u8 | kind u8 | ring u16 | rest
//! kind 0    rest is what the ring's member is to step
//! kind 1    rest is an entry of the envelopes to be proposed there: the receiver leads the ring, or forgets them
//! kind 2    rest is a request of a node that follows the ring: the receiver is a member, and answers by kind 0
//! kind 3    no rest: a member asks the receiver, another one, to lead the ring
//! kind 4    rest is the number of a question for the ring's read index, of a member to another
//! kind 5    rest is the answer
//! kind 6    rest is the sender's wall clock: milliseconds since 1970 u64; about no ring, 0 stands there
//! ```

use crate::RingId;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use thiserror::Error;

const VERSION: u8 = 1;
const HEADER_BYTES: usize = 4;
const STEP: u8 = 0;
const SUBMIT: u8 = 1;
const FOLLOW: u8 = 2;
const LEAD: u8 = 3;
const ASK: u8 = 4;
const TELL: u8 = 5;
const CLOCK: u8 = 6;

/// A message between nodes, about one ring or about none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// From a member to another, or to a node that follows the ring.
    Step(RingId, Bytes),
    /// From a submitter to the leader: envelopes, as the blob of an entry.
    Submit(RingId, Bytes),
    /// From a node that follows the ring to a member: a request.
    Follow(RingId, Bytes),
    /// From a member that cannot hear who leads to another that it hears: to lead in its stead.
    Lead(RingId),
    /// From a member to another: the number of a question for the read index.
    Ask(RingId, u64),
    /// Back again: the answer.
    Tell(RingId, Bytes),
    /// From any node to any other: what the sender's wall clock says, in milliseconds since 1970.
    Clock(u64),
}

/// Bytes that are no message of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a message of {length} bytes that no node of this version sends")]
pub struct MalformedMessage {
    /// Its length.
    pub length: usize,
}

impl Message {
    /// The message as bytes.
    pub fn encode(&self) -> Bytes {
        let (kind, ring, rest) = match self {
            Message::Step(ring, rest) => (STEP, ring, rest),
            Message::Submit(ring, rest) => (SUBMIT, ring, rest),
            Message::Follow(ring, rest) => (FOLLOW, ring, rest),
            Message::Lead(ring) => (LEAD, ring, &Bytes::new()),
            Message::Ask(ring, number) => (ASK, ring, &Bytes::copy_from_slice(&number.to_le_bytes())),
            Message::Tell(ring, rest) => (TELL, ring, rest),
            Message::Clock(wall_ms) => (CLOCK, &RingId(0), &Bytes::copy_from_slice(&wall_ms.to_le_bytes())),
        };
        let mut bytes = BytesMut::with_capacity(HEADER_BYTES + rest.len());
        bytes.put_u8(VERSION);
        bytes.put_u8(kind);
        bytes.put_u16_le(ring.0);
        bytes.put_slice(rest);
        bytes.freeze()
    }

    /// Reads a message.
    pub fn decode(mut bytes: Bytes) -> Result<Message, MalformedMessage> {
        let malformed = MalformedMessage { length: bytes.len() };
        if bytes.len() < HEADER_BYTES || bytes.get_u8() != VERSION {
            return Err(malformed);
        }
        let (kind, ring) = (bytes.get_u8(), RingId(bytes.get_u16_le()));
        match kind {
            STEP => Ok(Message::Step(ring, bytes)),
            SUBMIT => Ok(Message::Submit(ring, bytes)),
            FOLLOW => Ok(Message::Follow(ring, bytes)),
            LEAD if bytes.is_empty() => Ok(Message::Lead(ring)),
            ASK if bytes.len() == size_of::<u64>() => Ok(Message::Ask(ring, bytes.get_u64_le())),
            TELL => Ok(Message::Tell(ring, bytes)),
            CLOCK if bytes.len() == size_of::<u64>() && ring.0 == 0 => Ok(Message::Clock(bytes.get_u64_le())),
            _ => Err(malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_format_is_fixed() {
        let message = Message::Submit(RingId(0x0102), Bytes::from_static(b"ab"));
        assert_eq!(message.encode().as_ref(), [1, 1, 2, 1, b'a', b'b']);
        assert_eq!(Message::decode(message.encode()), Ok(message));
        let step = Message::Step(RingId::SHARED, Bytes::new());
        assert_eq!(step.encode().as_ref(), [1, 0, 64, 0]);
        assert_eq!(Message::decode(step.encode()), Ok(step));
        let follow = Message::Follow(RingId(3), Bytes::from_static(b"c"));
        assert_eq!(follow.encode().as_ref(), [1, 2, 3, 0, b'c']);
        assert_eq!(Message::decode(follow.encode()), Ok(follow));
        let lead = Message::Lead(RingId(3));
        assert_eq!(lead.encode().as_ref(), [1, 3, 3, 0]);
        assert_eq!(Message::decode(lead.encode()), Ok(lead));
        assert!(Message::decode(Bytes::from_static(&[1, 3, 3, 0, 0])).is_err());
        let ask = Message::Ask(RingId(3), 7);
        assert_eq!(ask.encode().as_ref(), [1, 4, 3, 0, 7, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(Message::decode(ask.encode()), Ok(ask));
        assert!(Message::decode(Bytes::from_static(&[1, 4, 3, 0])).is_err());
        let tell = Message::Tell(RingId(3), Bytes::from_static(b"d"));
        assert_eq!(tell.encode().as_ref(), [1, 5, 3, 0, b'd']);
        assert_eq!(Message::decode(tell.encode()), Ok(tell));
        let clock = Message::Clock(7);
        assert_eq!(clock.encode().as_ref(), [1, 6, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(Message::decode(clock.encode()), Ok(clock));
        assert!(Message::decode(Bytes::from_static(&[1, 6, 0, 0])).is_err());
        assert!(Message::decode(Bytes::from_static(&[1, 7, 3, 0])).is_err());
    }

    proptest! {
        #[test]
        fn foreign_bytes_are_an_error_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..20)) {
            let _ = Message::decode(Bytes::from(bytes));
        }
    }
}
