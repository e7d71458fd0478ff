//! The mailbox: what one partition's replicas elsewhere have sent to one of another partition here.
//!
//! Signals and variables that come over a link are kept in the node's log until the replica needs them, and after: it may
//! restart, replay its sequence, and need each value as of its command again. So the sender need keep them only until
//! this log is synced. They are taken out in the order of their commands and no further than the replica is, so little of
//! them is in memory.

use crate::codec;
use crate::exchange::Exchange;
use crate::service::StateMachine;
use bytes::Bytes;
use multicast::log::{LogError, SharedLog};
use multicast::{PartitionId, RingId, SharedIndex};

/// Mailboxes stand in the log under numbers of their own, beyond those of rings.
const FIRST_NUMBER: u16 = 1 << 12;
const PARTITION_BITS: u16 = 6;

/// What came from one partition for another, in the order of the commands.
///
/// Invariant: entries before `read` were taken out.
pub struct Mailbox {
    number: RingId,
    log: SharedLog,
    read: u64,
}

impl Mailbox {
    /// What the log holds, nothing of it taken out.
    pub fn recover(from: PartitionId, to: PartitionId, log: SharedLog) -> Mailbox {
        let number = RingId(FIRST_NUMBER | (from.0 << PARTITION_BITS) | to.0);
        Mailbox { number, log, read: 0 }
    }

    /// The command of the last letter.
    pub fn last<S: StateMachine>(&self) -> Result<SharedIndex, LogError> {
        match self.len().checked_sub(1) {
            None => Ok(SharedIndex::ZERO),
            Some(last) => self.open::<S>(last).map(|letter| letter.command),
        }
    }

    /// Puts a letter in. It stands in the log from the next buffer on.
    pub fn put<S: StateMachine>(&mut self, letter: &Exchange<S>) {
        let mut bytes = Vec::with_capacity(128);
        codec::encode_into(letter, &mut bytes).expect("a letter can be encoded into memory");
        let index = self.len();
        self.log.lock().append(self.number, index, Bytes::from(bytes));
    }

    /// Takes the next letter out, if it is for a command up to `command`.
    pub fn take<S: StateMachine>(&mut self, command: SharedIndex) -> Result<Option<Exchange<S>>, LogError> {
        if self.read == self.len() {
            return Ok(None);
        }
        let letter = self.open::<S>(self.read)?;
        if letter.command > command {
            return Ok(None);
        }
        self.read += 1;
        Ok(Some(letter))
    }

    fn len(&self) -> u64 {
        self.log.lock().next_index(self.number)
    }

    fn open<S: StateMachine>(&self, index: u64) -> Result<Exchange<S>, LogError> {
        let bytes = self.log.lock().read(self.number, index)?;
        Ok(codec::decode(&bytes).expect("the log holds what this version has put there"))
    }
}
