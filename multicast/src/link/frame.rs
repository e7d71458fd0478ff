//! Frames: how bytes on a connection fall into pieces.

use super::reason::Reason;
use bytes::{Buf, BufMut, Bytes, BytesMut};

/// A frame's header: how many bytes it carries (4), its kind (1), the checksum of those five and what it carries (4).
pub(super) const FRAME_HEADER_BYTES: usize = 9;
const CHECKED_BYTES: usize = 5;

/// What a frame is. The numbers are the same in every version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum FrameKind {
    /// Carries a hello: the first frame from either end.
    Hello = 1,
    /// Carries nothing: who dialled takes the answer to its hello, and the channel is up.
    Welcome = 2,
    /// Carries a reason: the last frame from its sender.
    Refuse = 3,
    /// Carries nothing: its sender lives.
    Heartbeat = 4,
    /// Carries a message of those above.
    Message = 5,
    /// Carries the starts of its sender's directory: the second frame from either end.
    Starts = 6,
    /// Carries a position: its sender's log is durable so far. It precedes what vouches for the log.
    Durable = 7,
    /// Carries the starts of other nodes that its sender knows of.
    Known = 8,
}

impl FrameKind {
    fn from_code(code: u8) -> Option<FrameKind> {
        use FrameKind::{Durable, Heartbeat, Hello, Known, Message, Refuse, Starts, Welcome};
        [Hello, Welcome, Refuse, Heartbeat, Message, Starts, Durable, Known]
            .into_iter()
            .find(|kind| *kind as u8 == code)
    }
}

/// Appends a frame to `out`; says how many bytes that were.
pub(super) fn put_frame(out: &mut BytesMut, kind: FrameKind, body: &[u8]) -> usize {
    let length = u32::try_from(body.len()).expect("the cap on frames is far below 4 GiB");
    let mut checked = [0; CHECKED_BYTES];
    checked[..4].copy_from_slice(&length.to_le_bytes());
    checked[4] = kind as u8;
    out.reserve(FRAME_HEADER_BYTES + body.len());
    out.put_slice(&checked);
    out.put_u32_le(checksum(&checked, body));
    out.put_slice(body);
    FRAME_HEADER_BYTES + body.len()
}

/// What has come on a connection and is not a whole frame yet. It holds less than one frame of the longest kind between
/// calls, whatever length a header claims.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    bytes: BytesMut,
}

impl Inbox {
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Takes the next frame, once it is there whole. A header that claims more than `bytes_max` is an error at once.
    pub fn next_frame(&mut self, bytes_max: usize) -> Result<Option<(FrameKind, Bytes)>, Reason> {
        let Some((checked, expected)) = self.header() else { return Ok(None) };
        let [a, b, c, d, code] = checked;
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        if length > bytes_max {
            return Err(Reason::TooLong(bytes_max as u64));
        }
        if self.bytes.len() < FRAME_HEADER_BYTES + length {
            return Ok(None);
        }
        self.bytes.advance(FRAME_HEADER_BYTES);
        let body = self.bytes.split_to(length).freeze();
        if checksum(&checked, &body) != expected {
            return Err(Reason::Corrupt);
        }
        let kind = FrameKind::from_code(code).ok_or(Reason::Malformed)?;
        Ok(Some((kind, body)))
    }

    fn header(&self) -> Option<([u8; CHECKED_BYTES], u32)> {
        let (checked, rest) = self.bytes.split_first_chunk()?;
        let expected = rest.first_chunk()?;
        Some((*checked, u32::from_le_bytes(*expected)))
    }
}

fn checksum(checked: &[u8], body: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(checked), body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CAP: usize = 100;

    fn frame(kind: FrameKind, body: &[u8]) -> BytesMut {
        let mut bytes = BytesMut::new();
        assert_eq!(put_frame(&mut bytes, kind, body), bytes.len());
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Option<(FrameKind, Bytes)>, Reason> {
        let mut inbox = Inbox::default();
        inbox.push(bytes);
        inbox.next_frame(CAP)
    }

    #[test]
    fn the_bytes_are_fixed() {
        let hex = |bytes: BytesMut| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(hex(frame(FrameKind::Message, b"nest")), "0400000005d1b3fed36e657374");
        assert_eq!(hex(frame(FrameKind::Heartbeat, b"")), "00000000042ae1e882");
    }

    #[test]
    fn a_length_over_the_cap_is_refused_by_the_header_alone() {
        let mut long = frame(FrameKind::Message, &[7; CAP + 1]);
        long.truncate(FRAME_HEADER_BYTES);
        assert_eq!(read(&long), Err(Reason::TooLong(CAP as u64)));
        let full = frame(FrameKind::Message, &[7; CAP]);
        assert_eq!(read(&full).unwrap().unwrap().1.len(), CAP);
    }

    #[test]
    fn every_flipped_bit_is_seen() {
        let whole = frame(FrameKind::Message, b"egg");
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            // A length that has grown is known only when as much has come.
            bytes.resize(FRAME_HEADER_BYTES + CAP, 0);
            assert!(read(&bytes).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn an_unknown_kind_is_malformed() {
        let mut bytes = frame(FrameKind::Message, b"");
        bytes[4] = 9;
        let checksum = checksum(&bytes[..5], b"");
        bytes[5..9].copy_from_slice(&checksum.to_le_bytes());
        assert_eq!(read(&bytes), Err(Reason::Malformed));
    }

    proptest! {
        #[test]
        fn frames_come_out_as_they_went_in_however_bytes_are_cut(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..CAP), 0..20),
            cuts in prop::collection::vec(1..60_usize, 1..20),
        ) {
            let mut bytes = BytesMut::new();
            for body in &bodies { put_frame(&mut bytes, FrameKind::Message, body); }
            let (mut inbox, mut out) = (Inbox::default(), Vec::new());
            let mut cuts = cuts.iter().cycle();
            while !bytes.is_empty() {
                let cut = *cuts.next().unwrap();
                inbox.push(&bytes.split_to(cut.min(bytes.len())));
                while let Some((kind, body)) = inbox.next_frame(CAP).unwrap() {
                    prop_assert_eq!(kind, FrameKind::Message);
                    out.push(body.to_vec());
                }
            }
            prop_assert_eq!(out, bodies);
        }

        #[test]
        fn foreign_bytes_are_a_reason_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), small in any::<bool>()) {
            let mut bytes = bytes;
            if small && bytes.len() >= 4 { bytes[1..4].fill(0); }
            let _ = read(&bytes);
        }
    }
}
