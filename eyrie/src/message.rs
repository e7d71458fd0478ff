//! What nodes tell each other beside the rings' own messages.
//!
//! ```text
//! message   version u8 | kind u8 | rest
//! kind 0    rest is from front to front
//! ```

use bytes::{Buf, BufMut, Bytes, BytesMut};
use thiserror::Error;

const VERSION: u8 = 1;
const FRONT: u8 = 0;

/// A message between nodes, on the channel that never waits behind bulk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// From front to front.
    Front(Bytes),
}

/// Bytes that are no message of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{length} bytes that no node of this version sends")]
pub struct MalformedMessage {
    /// How many.
    pub length: usize,
}

impl Message {
    /// The message as bytes.
    pub fn encode(&self) -> Bytes {
        let (kind, rest) = match self {
            Message::Front(rest) => (FRONT, rest),
        };
        let mut bytes = BytesMut::with_capacity(2 + rest.len());
        bytes.put_u8(VERSION);
        bytes.put_u8(kind);
        bytes.put_slice(rest);
        bytes.freeze()
    }

    /// Reads a message.
    pub fn decode(mut bytes: Bytes) -> Result<Message, MalformedMessage> {
        let malformed = MalformedMessage { length: bytes.len() };
        if bytes.len() < 2 || bytes.get_u8() != VERSION {
            return Err(malformed);
        }
        match bytes.get_u8() {
            FRONT => Ok(Message::Front(bytes)),
            _ => Err(malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_fixed() {
        let message = Message::Front(Bytes::from_static(b"ab"));
        assert_eq!(message.encode().as_ref(), [1, 0, b'a', b'b']);
        assert_eq!(Message::decode(message.encode()), Ok(message));
        assert_eq!(Message::decode(Bytes::from_static(&[2, 0])), Err(MalformedMessage { length: 2 }));
        assert_eq!(Message::decode(Bytes::from_static(&[1, 9])), Err(MalformedMessage { length: 2 }));
    }
}
