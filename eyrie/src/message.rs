//! What nodes tell each other beside the rings' own messages.
//!
//! ```text
//! message   version u8 | kind u8 | rest
//! kind 0    from front to front: anything
//! kind 1    subscribe: partition u16 | number u64 | after u64 | follows u8: 0 or 1
//! kind 2    acknowledge: partition u16 | command u64
//! kind 3    outputs: partition u16 | number u64 | sequence u64 | a piece of the stream: length u32 | output, …
//! kind 4    follow: partition u16 | number u64
//! kind 5    from multicast to multicast: what keeps no order with the rest
//! ```

use bytes::{Buf, BufMut, Bytes, BytesMut};
use multicast::{PartitionId, SharedIndex};
use thiserror::Error;

const VERSION: u8 = 1;
const FRONT: u8 = 0;
const SUBSCRIBE: u8 = 1;
const ACKNOWLEDGE: u8 = 2;
const OUTPUTS: u8 = 3;
const FOLLOW: u8 = 4;
const FREE: u8 = 5;
const HEADER_BYTES: usize = 24;

/// A message between nodes, on the channel that never waits behind bulk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// From front to front.
    Front(Bytes),
    /// From multicast to multicast: heartbeats and the like, which keep no order with the rest and do not wait behind it.
    Free(Bytes),
    /// To a node that hosts a partition: tell me what it puts out for me from now on, and its letters for commands after
    /// `after`.
    Subscribe {
        /// The partition.
        partition: PartitionId,
        /// Comes back with what is told.
        number: u64,
        /// The last command of which everything has come.
        after: SharedIndex,
        /// Whether all events are wanted, and how far the partition is.
        follows: bool,
    },
    /// To a node that hosts a partition: its letters for me up to this command are in my synced log.
    Acknowledge {
        /// The partition.
        partition: PartitionId,
        /// The command.
        command: SharedIndex,
    },
    /// To a subscriber: what the partition's replica has put out.
    Outputs {
        /// The partition.
        partition: PartitionId,
        /// The number of the subscription.
        number: u64,
        /// Counts the subscription's messages.
        sequence: u64,
        /// A piece of the stream of outputs.
        outputs: Bytes,
    },
    /// To a node that was asked for what a partition puts out: from now on tell me all its events, and how far it is.
    Follow {
        /// The partition.
        partition: PartitionId,
        /// The number of the subscription.
        number: u64,
    },
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
        let carried = match self {
            Message::Front(rest) | Message::Free(rest) | Message::Outputs { outputs: rest, .. } => rest.len(),
            Message::Subscribe { .. } | Message::Acknowledge { .. } | Message::Follow { .. } => 0,
        };
        let mut bytes = BytesMut::with_capacity(HEADER_BYTES + carried);
        bytes.put_u8(VERSION);
        match self {
            Message::Front(rest) => {
                bytes.put_u8(FRONT);
                bytes.put_slice(rest);
            }
            Message::Free(rest) => {
                bytes.put_u8(FREE);
                bytes.put_slice(rest);
            }
            Message::Subscribe { partition, number, after, follows } => {
                bytes.put_u8(SUBSCRIBE);
                bytes.put_u16_le(partition.0);
                bytes.put_u64_le(*number);
                bytes.put_u64_le(after.0);
                bytes.put_u8(u8::from(*follows));
            }
            Message::Acknowledge { partition, command } => {
                bytes.put_u8(ACKNOWLEDGE);
                bytes.put_u16_le(partition.0);
                bytes.put_u64_le(command.0);
            }
            Message::Outputs { partition, number, sequence, outputs } => {
                bytes.put_u8(OUTPUTS);
                bytes.put_u16_le(partition.0);
                bytes.put_u64_le(*number);
                bytes.put_u64_le(*sequence);
                bytes.put_slice(outputs);
            }
            Message::Follow { partition, number } => {
                bytes.put_u8(FOLLOW);
                bytes.put_u16_le(partition.0);
                bytes.put_u64_le(*number);
            }
        }
        bytes.freeze()
    }

    /// Reads a message.
    pub fn decode(mut bytes: Bytes) -> Result<Message, MalformedMessage> {
        let malformed = MalformedMessage { length: bytes.len() };
        Message::read(&mut bytes).ok_or(malformed)
    }

    fn read(bytes: &mut Bytes) -> Option<Message> {
        if bytes.try_get_u8().ok()? != VERSION {
            return None;
        }
        let kind = bytes.try_get_u8().ok()?;
        if kind == FRONT {
            return Some(Message::Front(std::mem::take(bytes)));
        }
        if kind == FREE {
            return Some(Message::Free(std::mem::take(bytes)));
        }
        let partition = PartitionId(bytes.try_get_u16_le().ok()?);
        let number = bytes.try_get_u64_le().ok()?;
        match kind {
            ACKNOWLEDGE => Some(Message::Acknowledge { partition, command: SharedIndex(number) }),
            SUBSCRIBE => {
                let after = SharedIndex(bytes.try_get_u64_le().ok()?);
                let follows = match bytes.try_get_u8().ok()? {
                    0 => false,
                    1 => true,
                    _ => return None,
                };
                Some(Message::Subscribe { partition, number, after, follows })
            }
            OUTPUTS => {
                let sequence = bytes.try_get_u64_le().ok()?;
                Some(Message::Outputs { partition, number, sequence, outputs: std::mem::take(bytes) })
            }
            FOLLOW => Some(Message::Follow { partition, number }),
            _ => None,
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
        let free = Message::Free(Bytes::from_static(b"ab"));
        assert_eq!(free.encode().as_ref(), [1, 5, b'a', b'b']);
        assert_eq!(Message::decode(free.encode()), Ok(free));
        let partition = PartitionId(3);
        let subscribe = Message::Subscribe { partition, number: 7, after: SharedIndex(9), follows: true };
        let bytes = [1, 1, 3, 0, 7, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 1];
        assert_eq!(subscribe.encode().as_ref(), bytes);
        let neither = [&bytes[..20], &[2]].concat();
        assert_eq!(Message::decode(neither.into()), Err(MalformedMessage { length: 21 }));
        assert_eq!(Message::decode(subscribe.encode()), Ok(subscribe));
        let acknowledge = Message::Acknowledge { partition, command: SharedIndex(9) };
        assert_eq!(acknowledge.encode().as_ref(), [1, 2, 3, 0, 9, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(Message::decode(acknowledge.encode()), Ok(acknowledge));
        let follow = Message::Follow { partition, number: 7 };
        assert_eq!(follow.encode().as_ref(), [1, 4, 3, 0, 7, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(Message::decode(follow.encode()), Ok(follow));
        let outputs =
            Message::Outputs { partition, number: 7, sequence: 1, outputs: Bytes::from_static(b"x") };
        assert_eq!(outputs.encode().len(), 21);
        assert_eq!(Message::decode(outputs.encode().slice(..11)), Err(MalformedMessage { length: 11 }));
        assert_eq!(Message::decode(outputs.encode()), Ok(outputs));
        assert_eq!(Message::decode(Bytes::from_static(&[2, 0])), Err(MalformedMessage { length: 2 }));
        assert_eq!(Message::decode(Bytes::from_static(&[1, 9])), Err(MalformedMessage { length: 2 }));
    }
}
