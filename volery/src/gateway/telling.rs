//! Tellings: what gateways tell each other.
//!
//! ```text
//! hearing  version u8 | 0 | partition u16 | round u64 | sessions u64 each
//! heard    version u8 | 1 | partition u16 | round u64 | sessions u64 each
//! left     version u8 | 2 | partition u16 | reign u64 | ended ms ago u64 | session u64, epoch u32, remaining ms u32 each
//! ```

use super::expiry::Left;
use crate::session::SessionId;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use eyrie::{Epoch, PartitionId};

const VERSION: u8 = 1;
const HEARING: u8 = 0;
const HEARD: u8 = 1;
const LEFT: u8 = 2;
const HEADER_BYTES: usize = 12;
const LEFT_BYTES: usize = 16;

/// How many timers one telling holds at most.
const LEFT_MAX: usize = 4_096;

/// What gateways tell each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Telling {
    /// To the leader of a partition: these sessions, whose home it is, were heard of.
    Hearing { partition: PartitionId, round: u64, sessions: Vec<SessionId> },
    /// The leader was told, and surely leads. These of the sessions are too late.
    Heard { partition: PartitionId, round: u64, late: Vec<SessionId> },
    /// To the next leader of a partition: how the timers of some sessions stood when a reign of the sender had ended.
    Left { partition: PartitionId, reign: Epoch, ended_ms_ago: u64, timers: Vec<Left> },
}

impl Telling {
    /// How the timers of sessions stood when a reign had ended: each with how long ago that is.
    pub fn of_left(
        partition: PartitionId,
        reign: Epoch,
        left: &[(u64, Left)],
    ) -> impl Iterator<Item = Telling> {
        left.chunks(LEFT_MAX).map(move |left| {
            let ended_ms_ago = left.iter().map(|(ended_ms_ago, _)| *ended_ms_ago).max().unwrap_or(0);
            let timers = left.iter().map(|(_, left)| *left).collect();
            Telling::Left { partition, reign, ended_ms_ago, timers }
        })
    }

    /// The telling as bytes.
    pub fn encode(&self) -> Bytes {
        match self {
            Telling::Hearing { partition, round, sessions } => {
                encode_sessions(HEARING, *partition, *round, sessions)
            }
            Telling::Heard { partition, round, late } => encode_sessions(HEARD, *partition, *round, late),
            Telling::Left { partition, reign, ended_ms_ago, timers } => {
                let mut bytes = head(LEFT, *partition, u64::from(*reign), 8 + LEFT_BYTES * timers.len());
                bytes.put_u64_le(*ended_ms_ago);
                for Left { session, epoch, remaining_ms } in timers {
                    bytes.put_u64_le(session.0);
                    bytes.put_u32_le(*epoch);
                    bytes.put_u32_le(*remaining_ms);
                }
                bytes.freeze()
            }
        }
    }

    /// Reads a telling; `None` if no gateway of this version says that.
    pub fn decode(mut bytes: Bytes) -> Option<Telling> {
        if bytes.len() < HEADER_BYTES || bytes.get_u8() != VERSION {
            return None;
        }
        let (kind, partition, number) = (bytes.get_u8(), PartitionId(bytes.get_u16_le()), bytes.get_u64_le());
        match (kind, bytes.len() % 8) {
            (HEARING, 0) => Some(Telling::Hearing { partition, round: number, sessions: sessions(bytes) }),
            (HEARD, 0) => Some(Telling::Heard { partition, round: number, late: sessions(bytes) }),
            (LEFT, 0) if bytes.len() % LEFT_BYTES == 8 => {
                let (reign, ended_ms_ago) = (Epoch::try_from(number).ok()?, bytes.get_u64_le());
                Some(Telling::Left { partition, reign, ended_ms_ago, timers: timers(bytes) })
            }
            _ => None,
        }
    }
}

fn head(kind: u8, partition: PartitionId, number: u64, more: usize) -> BytesMut {
    let mut bytes = BytesMut::with_capacity(HEADER_BYTES + more);
    bytes.put_u8(VERSION);
    bytes.put_u8(kind);
    bytes.put_u16_le(partition.0);
    bytes.put_u64_le(number);
    bytes
}

fn encode_sessions(kind: u8, partition: PartitionId, round: u64, sessions: &[SessionId]) -> Bytes {
    let mut bytes = head(kind, partition, round, 8 * sessions.len());
    sessions.iter().for_each(|session| bytes.put_u64_le(session.0));
    bytes.freeze()
}

fn sessions(mut bytes: Bytes) -> Vec<SessionId> {
    (0..bytes.len() / 8).map(|_| SessionId(bytes.get_u64_le())).collect()
}

fn timers(bytes: Bytes) -> Vec<Left> {
    bytes.chunks_exact(LEFT_BYTES).map(timer).collect()
}

fn timer(mut bytes: &[u8]) -> Left {
    let (session, epoch) = (SessionId(bytes.get_u64_le()), bytes.get_u32_le());
    Left { session, epoch, remaining_ms: bytes.get_u32_le() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: SessionId = SessionId(7);
    const B: SessionId = SessionId(8);

    #[test]
    fn tellings_come_back_as_they_were() {
        let telling = Telling::Hearing { partition: PartitionId(0), round: 3, sessions: vec![A, B] };
        let bytes = telling.encode();
        assert_eq!(
            &bytes[..],
            [1, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0]
        );
        assert_eq!(Telling::decode(bytes.clone()), Some(telling));
        let heard = Telling::Heard { partition: PartitionId(1), round: 9, late: vec![A] };
        assert_eq!(Telling::decode(heard.encode()), Some(heard));
        for cut in [0, 5, 13] {
            assert_eq!(Telling::decode(bytes.slice(..cut)), None);
        }
    }

    #[test]
    fn timers_come_back_as_they_were() {
        let timers = vec![Left { session: A, epoch: 2, remaining_ms: 5 }];
        let telling = Telling::Left { partition: PartitionId(3), reign: 4, ended_ms_ago: 6, timers };
        let bytes = telling.encode();
        let numbers = [4, 6, 7, 2 | 5 << 32_u64].into_iter().flat_map(u64::to_le_bytes);
        assert_eq!(bytes[..], [1, 2, 3, 0].into_iter().chain(numbers).collect::<Vec<u8>>());
        assert_eq!(Telling::decode(bytes.clone()), Some(telling));
        for cut in [13, 28, 35] {
            assert_eq!(Telling::decode(bytes.slice(..cut)), None);
        }
    }

    #[test]
    fn many_timers_go_in_several_tellings() {
        for count in [LEFT_MAX - 1, LEFT_MAX, LEFT_MAX + 1, 10 * LEFT_MAX] {
            let timers =
                |n: usize| (n as u64, Left { session: SessionId(n as u64), epoch: 1, remaining_ms: 1 });
            let left: Vec<_> = (0..count).map(timers).collect();
            let told: Vec<Telling> = Telling::of_left(PartitionId(0), 1, &left).collect();
            assert_eq!(told.len(), count.div_ceil(LEFT_MAX));
            let held = told.iter().flat_map(|telling| match telling {
                Telling::Left { timers, .. } => timers.clone(),
                other => panic!("{other:?}"),
            });
            assert!(held.eq(left.into_iter().map(|(_, left)| left)));
        }
    }
}
