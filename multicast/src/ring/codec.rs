//! The bytes of what a ring sends and of what it keeps in the log's slots.
//!
//! The consensus crate's own types are encoded by their serde derives: variable-length integers, little-endian. Both
//! kinds begin with a version.

use super::storage::LogEntry;
use bincode::config::{Config, standard};
use bytes::Bytes;
use omnipaxos::ballot_leader_election::Ballot;
use omnipaxos::messages::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What a member sends and handles.
pub(super) type PaxosMessage = Message<LogEntry>;

/// The version of values in the log.
const VALUE_VERSION: u8 = 1;
/// No message that is decoded may claim more: the bound of what is joined from fragments, and some for its structure.
const DECODED_BYTES_MAX: usize = super::fragment::MESSAGE_BYTES_MAX + (1 << 20);

/// Bytes that no version of this crate wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

fn config() -> impl Config {
    standard().with_limit::<DECODED_BYTES_MAX>()
}

/// Appends a message's bytes.
pub(super) fn encode_message(message: &PaxosMessage, into: &mut Vec<u8>) {
    bincode::serde::encode_into_std_write(message, into, config()).expect("a vector takes any message");
}

pub(super) fn decode_message(bytes: &[u8]) -> Result<PaxosMessage, Malformed> {
    decode(bytes)
}

/// The bytes of a value for the log.
fn encode_value(value: &impl Serialize) -> Bytes {
    let mut bytes = vec![VALUE_VERSION];
    bincode::serde::encode_into_std_write(value, &mut bytes, config()).expect("a vector takes any value");
    Bytes::from(bytes)
}

fn decode_value<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Malformed> {
    match bytes.split_first() {
        Some((&VALUE_VERSION, rest)) => decode(rest),
        _ => Err(Malformed),
    }
}

pub(super) fn encode_ballot(ballot: Ballot) -> Bytes {
    encode_value(&ballot)
}

pub(super) fn decode_ballot(bytes: &[u8]) -> Result<Ballot, Malformed> {
    decode_value(bytes)
}

pub(super) fn encode_number(number: u64) -> Bytes {
    encode_value(&number)
}

pub(super) fn decode_number(bytes: &[u8]) -> Result<u64, Malformed> {
    decode_value(bytes)
}

/// Pairs of a member's node and a number.
pub(super) fn encode_nonces(nonces: &[(u16, u64)]) -> Bytes {
    encode_value(&nonces)
}

pub(super) fn decode_nonces(bytes: &[u8]) -> Result<Vec<(u16, u64)>, Malformed> {
    decode_value(bytes)
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Malformed> {
    match bincode::serde::decode_from_slice(bytes, config()) {
        Ok((value, read)) if read == bytes.len() => Ok(value),
        _ => Err(Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::{PaxosMessage, *};
    use omnipaxos::messages::ballot_leader_election::*;
    use omnipaxos::messages::sequence_paxos::{self, *};
    use omnipaxos::util::{LogSync, SequenceNumber};
    use proptest::prelude::*;

    fn ballot() -> Ballot {
        Ballot::with(1, 300, 0, 2)
    }

    fn paxos(msg: PaxosMsg<LogEntry>) -> PaxosMessage {
        Message::SequencePaxos(sequence_paxos::PaxosMessage { from: 2, to: 3, msg })
    }

    fn entries() -> Vec<LogEntry> {
        vec![LogEntry(Bytes::from_static(b"ab")), LogEntry(Bytes::new())]
    }

    fn heartbeat(msg: HeartbeatMsg) -> PaxosMessage {
        Message::BLE(BLEMessage { from: 1, to: 2, msg })
    }

    /// Every message that a ring sends.
    fn messages() -> Vec<(PaxosMessage, &'static str)> {
        let (n, seq_num) = (ballot(), SequenceNumber { session: 4, counter: 5 });
        let log_sync = || LogSync { decided_snapshot: None, suffix: entries(), sync_idx: 6, stopsign: None };
        let prepare = Prepare { n, decided_idx: 7, n_accepted: Ballot::default(), accepted_idx: 8 };
        let promise =
            Promise { n, n_accepted: n, decided_idx: 7, accepted_idx: 8, log_sync: Some(log_sync()) };
        let reply = HeartbeatReply { round: 9, ballot: n, leader: n, happy: true };
        vec![
            (paxos(PaxosMsg::PrepareReq(PrepareReq { n })), "0002030001fb2c010002"),
            (paxos(PaxosMsg::Prepare(prepare)), "0002030101fb2c010002070000000008"),
            (
                paxos(PaxosMsg::Promise(promise)),
                "0002030201fb2c01000201fb2c01000207080100020261620006\
                 00",
            ),
            (
                paxos(PaxosMsg::AcceptSync(AcceptSync { n, seq_num, decided_idx: 7, log_sync: log_sync() })),
                "0002030301fb2c0100020405070002026162000600",
            ),
            (
                paxos(PaxosMsg::AcceptDecide(AcceptDecide {
                    n,
                    seq_num,
                    decided_idx: 7,
                    entries: entries(),
                })),
                "0002030401fb2c010002040507020261\
                 6200",
            ),
            (paxos(PaxosMsg::Accepted(Accepted { n, accepted_idx: 8 })), "0002030501fb2c01000208"),
            (paxos(PaxosMsg::NotAccepted(NotAccepted { n })), "0002030601fb2c010002"),
            (paxos(PaxosMsg::Decide(Decide { n, seq_num, decided_idx: 7 })), "0002030701fb2c010002040507"),
            (heartbeat(HeartbeatMsg::Request(HeartbeatRequest { round: 9 })), "0101020009"),
            (
                heartbeat(HeartbeatMsg::Reply(reply)),
                "01010201090\
              1fb2c01000201fb2c01000201",
            ),
        ]
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn the_formats_are_fixed() {
        for (message, golden) in messages() {
            let mut bytes = Vec::new();
            encode_message(&message, &mut bytes);
            assert_eq!(hex(&bytes), golden, "{message:?}");
            let decoded = decode_message(&bytes).expect("a message");
            assert_eq!(format!("{decoded:?}"), format!("{message:?}"));
        }
        assert_eq!(hex(&encode_ballot(ballot())), "0101fb2c010002");
        assert_eq!(decode_ballot(&encode_ballot(ballot())), Ok(ballot()));
        assert_eq!(hex(&encode_number(70_000)), "01fc70110100");
        assert_eq!(decode_number(&encode_number(70_000)), Ok(70_000));
        assert_eq!(hex(&encode_nonces(&[(1, 9)])), "01010109");
        assert_eq!(decode_nonces(&encode_nonces(&[(1, 9)])), Ok(vec![(1, 9)]));
    }

    #[test]
    fn another_version_and_a_longer_value_are_refused() {
        assert_eq!(decode_number(&[2, 1]), Err(Malformed));
        assert_eq!(decode_number(&[1, 1, 1]), Err(Malformed));
        assert_eq!(decode_number(&[]), Err(Malformed));
    }

    proptest! {
        #[test]
        fn foreign_bytes_are_an_error_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = decode_message(&bytes);
            let _ = decode_nonces(&bytes);
        }
    }
}
