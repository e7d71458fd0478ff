//! What two members tell each other before any message of a session: how far each is.
//!
//! ```text
//! level   number u64 | answers u64 | asks u8 | compacted u64 | decided u64 | accepted u64 | lacks u64
//! ```
//! Little-endian. It travels in a frame of its own kind, which has a version.

use super::codec::Malformed;
use super::fragment::LEVEL_HEAD;
use bytes::{Buf, BufMut, Bytes, BytesMut, TryGetError};

/// How far a member is, as it tells one other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Level {
    /// Rises with every session that the sender begins with the receiver. The first is 1.
    pub(super) number: u64,
    /// The last number that the sender has heard from the receiver on this connection, 0 for none.
    pub(super) answers: u64,
    /// Whether the sender wants a piece of the decided log, from `decided` on.
    pub(super) asks: bool,
    /// The first entry that the sender holds.
    pub(super) compacted: u64,
    /// How many entries are decided, as far as the sender knows.
    pub(super) decided: u64,
    /// How many entries the sender holds.
    pub(super) accepted: u64,
    /// The weight of what the receiver lacks of the sender's decided entries, by the level that is answered. It is counted no
    /// further than it matters.
    pub(super) lacks: u64,
}

impl Level {
    /// The frame that carries it.
    pub(super) fn frame(&self) -> Bytes {
        let mut bytes = BytesMut::from(&LEVEL_HEAD[..]);
        bytes.put_u64_le(self.number);
        bytes.put_u64_le(self.answers);
        bytes.put_u8(u8::from(self.asks));
        for number in [self.compacted, self.decided, self.accepted, self.lacks] {
            bytes.put_u64_le(number);
        }
        bytes.freeze()
    }

    /// Reads what was taken from a frame. Indices that contradict each other are malformed.
    pub(super) fn decode(mut bytes: Bytes) -> Result<Level, Malformed> {
        let level = Level::take(&mut bytes).map_err(|_| Malformed)?.ok_or(Malformed)?;
        let is_sound =
            level.number > 0 && level.compacted <= level.decided && level.decided <= level.accepted;
        if bytes.is_empty() && is_sound { Ok(level) } else { Err(Malformed) }
    }

    fn take(bytes: &mut Bytes) -> Result<Option<Level>, TryGetError> {
        let (number, answers) = (bytes.try_get_u64_le()?, bytes.try_get_u64_le()?);
        let asks = match bytes.try_get_u8()? {
            0 => false,
            1 => true,
            _ => return Ok(None),
        };
        Ok(Some(Level {
            number,
            answers,
            asks,
            compacted: bytes.try_get_u64_le()?,
            decided: bytes.try_get_u64_le()?,
            accepted: bytes.try_get_u64_le()?,
            lacks: bytes.try_get_u64_le()?,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn level() -> Level {
        Level { number: 2, answers: 1, asks: true, compacted: 3, decided: 4, accepted: 5, lacks: 0x0102 }
    }

    #[test]
    fn the_format_is_fixed() {
        let hex: String = level().frame().iter().map(|byte| format!("{byte:02x}")).collect();
        let expected = "0102 0200000000000000 0100000000000000 01 0300000000000000 0400000000000000 \
                        0500000000000000 0201000000000000";
        assert_eq!(hex, expected.replace(' ', ""));
        assert_eq!(Level::decode(level().frame().slice(2..)), Ok(level()));
    }

    #[test]
    fn what_no_member_tells_is_refused() {
        let refuse = |level: Level| assert_eq!(Level::decode(level.frame().slice(2..)), Err(Malformed));
        refuse(Level { number: 0, ..level() });
        refuse(Level { compacted: 5, ..level() });
        refuse(Level { decided: 6, ..level() });
        let bytes = level().frame().slice(2..);
        assert_eq!(Level::decode(bytes.slice(..bytes.len() - 1)), Err(Malformed));
        assert_eq!(Level::decode(Bytes::from([&bytes[..], &[0]].concat())), Err(Malformed));
    }

    proptest! {
        #[test]
        fn foreign_bytes_are_an_error_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = Level::decode(Bytes::from(bytes));
        }
    }
}
