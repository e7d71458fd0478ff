//! What nodes tell each other beside the rings' own messages.
//!
//! ```text
//! message   version u8 | kind u8 | rest
//! kind 0    from front to front: anything
//! kind 1    subscribe: partition u16 | number u64 | after u64 | follows u8: 0 or 1
//! kind 2    acknowledge: partition u16 | command u64
//! kind 3    outputs: partition u16 | number u64 | sequence u64 | a piece of the stream: length u32 | output, …
//! kind 4    follow: partition u16 | number u64
//! kind 5    heard: partition u16 | number u64 | bytes u64
//! kind 6    read: partition u16 | number u64 | place | a command
//! kind 7    part: partition u16 | number u64 | command id
//! kind 8    piece: partition u16 | number u64 | total u64 | offset u64 | bytes
//! kind 9    more: partition u16 | number u64 | offset u64
//! kind 10   drop: partition u16 | number u64
//! kind 11   none: partition u16 | number u64
//! kind 12   withdraw: partition u16 | client u64 | epoch u32 | run u32 | i u32
//! kind 13   from multicast to multicast: what keeps no order with the rest
//! id        client u64 | epoch u32 | run u32 | i u32; a place is one too
//! ```
//!
//! Kinds 5 to 13 are new in version 2.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use multicast::{ClientId, CommandId, PartitionId, SharedIndex};
use thiserror::Error;

const VERSION: u8 = 2;
const FRONT: u8 = 0;
const SUBSCRIBE: u8 = 1;
const ACKNOWLEDGE: u8 = 2;
const OUTPUTS: u8 = 3;
const FOLLOW: u8 = 4;
const HEARD: u8 = 5;
const READ: u8 = 6;
const PART: u8 = 7;
const PIECE: u8 = 8;
const MORE: u8 = 9;
const DROP: u8 = 10;
const NONE: u8 = 11;
const WITHDRAW: u8 = 12;
const FREE: u8 = 13;
const HEADER_BYTES: usize = 32;

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
    /// To a source: so much of what it has told under this number has come.
    Heard {
        /// The partition.
        partition: PartitionId,
        /// The number of the subscription.
        number: u64,
        /// How many bytes of outputs.
        bytes: u64,
    },
    /// To a node that hosts a partition: execute a read there.
    Read {
        /// The partition.
        partition: PartitionId,
        /// The number of the enquiry: whatever concerns it carries that.
        number: u64,
        /// Its place in its session's order.
        place: CommandId,
        /// What is executed.
        command: Bytes,
    },
    /// To a node that hosts a partition: tell me its part of the answer to a command, as soon as there is one.
    Part {
        /// The partition.
        partition: PartitionId,
        /// The number of the enquiry.
        number: u64,
        /// The command.
        id: CommandId,
    },
    /// To a node that has enquired: a piece of the answer.
    Piece {
        /// The partition.
        partition: PartitionId,
        /// The number of the enquiry.
        number: u64,
        /// How long the answer is.
        total: u64,
        /// Where in it the piece begins.
        offset: u64,
        /// The piece.
        bytes: Bytes,
    },
    /// To a node that has told a piece: the next one.
    More {
        /// The partition.
        partition: PartitionId,
        /// The number of the enquiry.
        number: u64,
        /// Where the piece begins.
        offset: u64,
    },
    /// To a node that was asked: the answer is not wanted any more.
    Drop {
        /// The partition.
        partition: PartitionId,
        /// The number of the enquiry.
        number: u64,
    },
    /// To a node that has enquired: there is no such answer here, and there will be none.
    None {
        /// The partition.
        partition: PartitionId,
        /// The number of the enquiry.
        number: u64,
    },
    /// To a node that hosts a partition: nobody will ask for this part any more.
    Withdraw {
        /// The partition.
        partition: PartitionId,
        /// The command.
        id: CommandId,
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
            Message::Front(rest)
            | Message::Free(rest)
            | Message::Outputs { outputs: rest, .. }
            | Message::Read { command: rest, .. }
            | Message::Piece { bytes: rest, .. } => rest.len(),
            _ => 0,
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
            Message::Follow { partition, number } => put(&mut bytes, FOLLOW, *partition, *number),
            Message::Heard { partition, number, bytes: heard } => {
                put(&mut bytes, HEARD, *partition, *number);
                bytes.put_u64_le(*heard);
            }
            Message::Read { partition, number, place, command } => {
                put(&mut bytes, READ, *partition, *number);
                put_id(&mut bytes, *place);
                bytes.put_slice(command);
            }
            Message::Part { partition, number, id } => {
                put(&mut bytes, PART, *partition, *number);
                put_id(&mut bytes, *id);
            }
            Message::Piece { partition, number, total, offset, bytes: piece } => {
                put(&mut bytes, PIECE, *partition, *number);
                bytes.put_u64_le(*total);
                bytes.put_u64_le(*offset);
                bytes.put_slice(piece);
            }
            Message::More { partition, number, offset } => {
                put(&mut bytes, MORE, *partition, *number);
                bytes.put_u64_le(*offset);
            }
            Message::Drop { partition, number } => put(&mut bytes, DROP, *partition, *number),
            Message::None { partition, number } => put(&mut bytes, NONE, *partition, *number),
            Message::Withdraw { partition, id } => {
                bytes.put_u8(WITHDRAW);
                bytes.put_u16_le(partition.0);
                put_id(&mut bytes, *id);
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
            HEARD => Some(Message::Heard { partition, number, bytes: bytes.try_get_u64_le().ok()? }),
            READ => {
                let place = read_id(bytes.try_get_u64_le().ok()?, bytes)?;
                Some(Message::Read { partition, number, place, command: std::mem::take(bytes) })
            }
            PART => {
                let id = read_id(bytes.try_get_u64_le().ok()?, bytes)?;
                Some(Message::Part { partition, number, id })
            }
            PIECE => {
                let (total, offset) = (bytes.try_get_u64_le().ok()?, bytes.try_get_u64_le().ok()?);
                Some(Message::Piece { partition, number, total, offset, bytes: std::mem::take(bytes) })
            }
            MORE => Some(Message::More { partition, number, offset: bytes.try_get_u64_le().ok()? }),
            DROP => Some(Message::Drop { partition, number }),
            NONE => Some(Message::None { partition, number }),
            WITHDRAW => Some(Message::Withdraw { partition, id: read_id(number, bytes)? }),
            _ => None,
        }
    }
}

fn put(bytes: &mut BytesMut, kind: u8, partition: PartitionId, number: u64) {
    bytes.put_u8(kind);
    bytes.put_u16_le(partition.0);
    bytes.put_u64_le(number);
}

fn put_id(bytes: &mut BytesMut, id: CommandId) {
    bytes.put_u64_le(id.client.0);
    bytes.put_u32_le(id.epoch);
    bytes.put_u32_le(id.run);
    bytes.put_u32_le(id.i);
}

/// The rest of an id whose client is known.
fn read_id(client: u64, bytes: &mut Bytes) -> Option<CommandId> {
    let mut number = || bytes.try_get_u32_le().ok();
    Some(CommandId { client: ClientId(client), epoch: number()?, run: number()?, i: number()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_fixed() {
        let message = Message::Front(Bytes::from_static(b"ab"));
        assert_eq!(message.encode().as_ref(), [2, 0, b'a', b'b']);
        assert_eq!(Message::decode(message.encode()), Ok(message));
        let free = Message::Free(Bytes::from_static(b"ab"));
        assert_eq!(free.encode().as_ref(), [2, 13, b'a', b'b']);
        assert_eq!(Message::decode(free.encode()), Ok(free));
        let partition = PartitionId(3);
        let subscribe = Message::Subscribe { partition, number: 7, after: SharedIndex(9), follows: true };
        let bytes = [2, 1, 3, 0, 7, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 1];
        assert_eq!(subscribe.encode().as_ref(), bytes);
        let neither = [&bytes[..20], &[2]].concat();
        assert_eq!(Message::decode(neither.into()), Err(MalformedMessage { length: 21 }));
        assert_eq!(Message::decode(subscribe.encode()), Ok(subscribe));
        let acknowledge = Message::Acknowledge { partition, command: SharedIndex(9) };
        assert_eq!(acknowledge.encode().as_ref(), [2, 2, 3, 0, 9, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(Message::decode(acknowledge.encode()), Ok(acknowledge));
        let follow = Message::Follow { partition, number: 7 };
        assert_eq!(follow.encode().as_ref(), [2, 4, 3, 0, 7, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(Message::decode(follow.encode()), Ok(follow));
        let outputs =
            Message::Outputs { partition, number: 7, sequence: 1, outputs: Bytes::from_static(b"x") };
        assert_eq!(outputs.encode().len(), 21);
        assert_eq!(Message::decode(outputs.encode().slice(..11)), Err(MalformedMessage { length: 11 }));
        assert_eq!(Message::decode(outputs.encode()), Ok(outputs));
        assert_eq!(Message::decode(Bytes::from_static(&[1, 0])), Err(MalformedMessage { length: 2 }));
        assert_eq!(Message::decode(Bytes::from_static(&[2, 14])), Err(MalformedMessage { length: 2 }));
    }

    #[test]
    fn the_format_of_enquiries_is_fixed() {
        let (partition, number) = (PartitionId(3), 7);
        let id = CommandId { client: ClientId(1), epoch: 2, run: 4, i: 5 };
        let written_id = [1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0];
        let header = |kind| vec![2, kind, 3, 0, 7, 0, 0, 0, 0, 0, 0, 0];
        let nine = [9, 0, 0, 0, 0, 0, 0, 0];
        let bytes = Bytes::from_static(b"xy");
        let fixed = [
            (Message::Heard { partition, number, bytes: 9 }, [header(5), nine.to_vec()].concat()),
            (
                Message::Read { partition, number, place: id, command: bytes.clone() },
                [header(6), written_id.to_vec(), b"xy".to_vec()].concat(),
            ),
            (Message::Part { partition, number, id }, [header(7), written_id.to_vec()].concat()),
            (
                Message::Piece { partition, number, total: 9, offset: 9, bytes },
                [header(8), nine.to_vec(), nine.to_vec(), b"xy".to_vec()].concat(),
            ),
            (Message::More { partition, number, offset: 9 }, [header(9), nine.to_vec()].concat()),
            (Message::Drop { partition, number }, header(10)),
            (Message::None { partition, number }, header(11)),
            (Message::Withdraw { partition, id }, [vec![2, 12, 3, 0], written_id.to_vec()].concat()),
        ];
        for (message, written) in fixed {
            assert_eq!(message.encode().as_ref(), written, "{message:?}");
            assert_eq!(Message::decode(written.into()), Ok(message.clone()));
            assert!(Message::decode(message.encode().slice(..11)).is_err(), "{message:?}, cut off");
        }
    }
}
