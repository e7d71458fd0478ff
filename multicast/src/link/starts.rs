//! The starts of a node's directory, as it shows them to its peers.

use super::identity::Met;
use super::identity::{Incarnation, StartNonce};
use crate::log::LogPosition;
use bytes::{Buf, BufMut, Bytes};

/// How many of its starts a directory keeps: the last ones. A peer that has not met the node for so many starts refuses it.
pub const STARTS_MAX: usize = 4_096;
/// The most bytes of the frame that shows a directory.
pub(super) const STARTS_BYTES_MAX: usize = 8 + 9 + STARTS_MAX * START_BYTES;

const START_BYTES: usize = 16;

const VERSION: u8 = 1;

/// A directory, as its node shows it: its starts, and how far its log is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Directory {
    pub starts: Starts,
    pub durable: LogPosition,
}

impl Directory {
    pub fn encode(&self) -> Bytes {
        let mut bytes = self.durable.0.to_le_bytes().to_vec();
        bytes.extend(self.starts.encode());
        bytes.into()
    }

    /// `None` if the bytes are no directory.
    pub fn decode(mut body: &[u8]) -> Option<Directory> {
        let durable = LogPosition(body.try_get_u64_le().ok()?);
        Some(Directory { durable, starts: Starts::decode(body)? })
    }

    /// Whether the directory goes back to a start that was met, and its log came then as far as the node itself had said. The
    /// start that runs has said so itself, perhaps since it has shown this.
    pub fn holds(&self, met: Met) -> bool {
        let shown = self.starts.show(met.identity.incarnation);
        shown.is_some_and(|(start, end)| start == met.start && end.is_none_or(|end| end >= met.vouched))
    }
}

/// All starts of a node on its directory, or the last [`STARTS_MAX`]: what each drew, and where the log ended when it
/// began. The node keeps them in its log.
///
/// Invariants: there is at least one, the one that runs; the ends do not fall.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Starts {
    /// The number of the first that is kept.
    first: u64,
    starts: Vec<(StartNonce, LogPosition)>,
}

impl Starts {
    /// One more start, which has drawn `nonce` and found the log to end at `end`. Before it were those that the log holds.
    /// `None` if what it holds is not of this version.
    pub fn begin(kept: Option<&[u8]>, nonce: StartNonce, end: LogPosition) -> Option<Starts> {
        let mut starts = match kept {
            None => Starts { first: 1, starts: Vec::new() },
            Some(bytes) => Starts::decode(bytes)?,
        };
        starts.starts.push((nonce, end));
        if starts.starts.len() > STARTS_MAX {
            starts.starts.remove(0);
            starts.first += 1;
        }
        Some(starts)
    }

    /// The number of the start that runs.
    pub fn incarnation(&self) -> Incarnation {
        Incarnation(self.first + self.starts.len() as u64 - 1)
    }

    /// The nonce of the start that runs.
    pub fn nonce(&self) -> StartNonce {
        self.starts.last().expect("there is a start that runs").0
    }

    /// The nonce of a start, and where the log ended when the next one found it, if there was a next one. `None` if there was
    /// no such start, or it is not kept any more.
    fn show(&self, start: Incarnation) -> Option<(StartNonce, Option<LogPosition>)> {
        let place = usize::try_from(start.0.checked_sub(self.first)?).ok()?;
        let (nonce, _) = *self.starts.get(place)?;
        Some((nonce, self.starts.get(place + 1).map(|(_, end)| *end)))
    }

    /// The form in which the log keeps them.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(9 + self.starts.len() * START_BYTES);
        bytes.put_u8(VERSION);
        bytes.put_u64_le(self.first);
        for (start, end) in &self.starts {
            bytes.put_u64_le(start.0);
            bytes.put_u64_le(end.0);
        }
        bytes
    }

    fn decode(mut bytes: &[u8]) -> Option<Starts> {
        let (version, first) = (bytes.try_get_u8().ok()?, bytes.try_get_u64_le().ok()?);
        let count = bytes.len() / START_BYTES;
        let mut starts = Vec::with_capacity(count.min(STARTS_MAX));
        while !bytes.is_empty() && starts.len() < STARTS_MAX {
            let start = StartNonce(bytes.try_get_u64_le().ok()?);
            starts.push((start, LogPosition(bytes.try_get_u64_le().ok()?)));
        }
        let is_whole = version == VERSION && bytes.is_empty() && !starts.is_empty();
        let is_numbered = first > 0 && first.checked_add(STARTS_MAX as u64).is_some();
        (is_whole && is_numbered).then_some(Starts { first, starts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn starts(ends: &[u64]) -> Starts {
        let begin = |kept: Option<Vec<u8>>, end: &u64| {
            Some(Starts::begin(kept.as_deref(), StartNonce(end + 1), LogPosition(*end)).unwrap().encode())
        };
        Starts::decode(&ends.iter().fold(None, begin).unwrap()).unwrap()
    }

    #[test]
    fn a_start_is_shown_with_the_end_that_the_next_one_found() {
        let starts = starts(&[0, 100, 300]);
        let show = |start| starts.show(Incarnation(start));
        let shown = |start, end: Option<u64>| Some((StartNonce(start), end.map(LogPosition)));
        assert_eq!((starts.incarnation(), starts.nonce()), (Incarnation(3), StartNonce(301)));
        assert_eq!([1, 2, 3].map(show), [shown(1, Some(100)), shown(101, Some(300)), shown(301, None)]);
        assert_eq!([0, 4].map(show), [None, None]);
    }

    #[test]
    fn the_last_starts_are_kept() {
        let ends: Vec<u64> = (0..STARTS_MAX as u64 + 2).collect();
        let starts = starts(&ends);
        assert_eq!(starts.incarnation(), Incarnation(STARTS_MAX as u64 + 2));
        let show = |start| starts.show(Incarnation(start));
        assert_eq!((show(2), show(3).map(|(start, _)| start)), (None, Some(StartNonce(3))));
    }

    #[test]
    fn the_form_in_the_log_is_fixed() {
        let starts = starts(&[0, 0x0102]);
        let expected = [
            &[1, 1, 0, 0, 0, 0, 0, 0, 0][..],
            &[1, 0, 0, 0, 0, 0, 0, 0],
            &[0; 8],
            &[3, 1, 0, 0, 0, 0, 0, 0],
            &[2, 1, 0, 0, 0, 0, 0, 0],
        ];
        assert_eq!(starts.encode(), expected.concat());
        assert_eq!(Starts::decode(&starts.encode()[..24]), None);
        assert_eq!(Starts::decode(&[9; 25]), None);
    }
}
