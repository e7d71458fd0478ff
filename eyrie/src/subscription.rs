//! The subscription: how a node hears of a partition that it does not host.
//!
//! It asks one of the nodes that host the partition, and another when that one is gone or silent. What it has heard is
//! numbered, so that nothing is missed unnoticed; whatever may have been missed is asked for again from the last letter on,
//! and the front is told that events and answers may be missing.
//!
//! Events come only if it follows the partition: from the place on that its source says first. Whether it follows goes along
//! to the next source.

use crate::codec::{self, DECODED_BYTES_MAX};
use crate::exchange::{Exchange, Seen};
use crate::faults::LETTER_ACKNOWLEDGED_UNSYNCED;
use crate::mailbox::Mailbox;
use crate::message::Message;
use crate::replica::Output;
use crate::service::StateMachine;
use crate::source::SILENCE_MS;
use bytes::{Buf as _, Bytes, BytesMut};
use multicast::log::{LogError, LogPosition, SharedLog};
use multicast::{Destinations, NodeId, PartitionId, SharedIndex};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Before each output stands its length.
const LENGTH_BYTES: usize = 4;
/// After so many bytes heard, the source is told so.
const HEARD_BYTES: u64 = 32 << 10;
/// A source that says nothing for so long is given up.
const SILENCE_MS_MAX: u64 = 4 * SILENCE_MS;

/// Whether a node is told all events of a partition, and how far that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Following {
    /// It does not want to be.
    No,
    /// It has asked for that then, if it had anybody to ask.
    Asked(u64),
    /// It was told a place: nothing is missed from there on.
    Told,
}

/// What this node hears of one partition.
///
/// Invariant: every letter for a command before `last` has come.
pub struct Subscription {
    partition: PartitionId,
    /// How many there are.
    partitions: u16,
    hosts: Vec<NodeId>,
    source: Option<NodeId>,
    number: u64,
    sequence: u64,
    /// How many bytes were heard under this number, and of how many the source was told.
    heard_bytes: (u64, u64),
    /// The beginning of an output whose end has not come.
    partial: BytesMut,
    heard_ms: u64,
    following: Following,
    mailboxes: BTreeMap<PartitionId, Mailbox>,
    last: SharedIndex,
    /// The letters for `last` that have come since the start: a source that is asked again says them again.
    of_last: Vec<Bytes>,
    /// Up to which command everything has come, as of log positions that are not durable yet.
    unsynced: VecDeque<(LogPosition, SharedIndex)>,
    durable: SharedIndex,
    log: SharedLog,
}

/// Bytes that no source of this version sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("outputs that no node of this version sends")]
pub struct MalformedOutputs;

impl Subscription {
    /// Hears of `partition`, one of `partitions`, from one of `hosts`, for the partitions `here`. Takes up what the log holds.
    pub fn recover<S: StateMachine>(
        partition: PartitionId,
        partitions: u16,
        hosts: Vec<NodeId>,
        here: Destinations,
        log: SharedLog,
    ) -> Result<Subscription, LogError> {
        let mailbox = |to| (to, Mailbox::recover(partition, to, log.clone()));
        let mailboxes: BTreeMap<PartitionId, Mailbox> = here.iter().map(mailbox).collect();
        let lasts = mailboxes.values().map(Mailbox::last::<S>).collect::<Result<Vec<_>, _>>()?;
        let last = lasts.into_iter().max().unwrap_or_default();
        Ok(Subscription {
            partition,
            partitions,
            hosts,
            source: None,
            number: 0,
            sequence: 0,
            heard_bytes: (0, 0),
            partial: BytesMut::new(),
            heard_ms: 0,
            following: Following::No,
            mailboxes,
            last,
            of_last: Vec::new(),
            unsynced: VecDeque::new(),
            durable: before(last),
            log,
        })
    }

    /// Whom it hears from.
    pub fn source(&self) -> Option<NodeId> {
        self.source
    }

    /// Asks another host, if one of them is `up`: the next one round.
    pub fn ask_next(&mut self, up: &BTreeSet<NodeId>, now_ms: u64) -> Option<(NodeId, Message)> {
        let place = self.source.and_then(|source| self.hosts.iter().position(|host| *host == source));
        let first = place.map_or(usize::from(self.partition.0), |place| place + 1);
        let hosts = (0..self.hosts.len()).map(|step| self.hosts[(first + step) % self.hosts.len()]);
        self.source = hosts.into_iter().find(|host| up.contains(host));
        self.ask_again(now_ms)
    }

    /// Asks the same host from the last letter on.
    pub fn ask_again(&mut self, now_ms: u64) -> Option<(NodeId, Message)> {
        self.number += 1;
        self.sequence = 0;
        self.heard_bytes = (0, 0);
        self.partial.clear();
        self.heard_ms = now_ms;
        let follows = self.following != Following::No;
        if follows {
            self.following = Following::Asked(now_ms);
        }
        let (partition, number, after) = (self.partition, self.number, before(self.last));
        self.source.map(|source| (source, Message::Subscribe { partition, number, after, follows }))
    }

    /// Wants to be told everything from now on. Nothing to do if it does already.
    pub fn follow(&mut self, now_ms: u64) -> Option<(NodeId, Message)> {
        if self.following != Following::No {
            return None;
        }
        self.following = Following::Asked(now_ms);
        let (partition, number) = (self.partition, self.number);
        self.source.map(|source| (source, Message::Follow { partition, number }))
    }

    /// Whether the source has been silent for too long, of everything or of what it was asked for: what it was told may have
    /// been lost.
    pub fn is_silent(&self, now_ms: u64) -> bool {
        let since_ms = match self.following {
            Following::Asked(asked_ms) => self.heard_ms.min(asked_ms),
            Following::No | Following::Told => self.heard_ms,
        };
        self.source.is_some() && now_ms >= since_ms + SILENCE_MS_MAX
    }

    /// Takes in what the source says. Returns what the front is to hear, in order; `None` if something was missed.
    pub fn hear<S: StateMachine>(
        &mut self,
        number: u64,
        sequence: u64,
        outputs: Bytes,
        now_ms: u64,
    ) -> Result<Option<Vec<Output<S>>>, MalformedOutputs> {
        if number != self.number {
            return Ok(Some(Vec::new()));
        }
        if sequence != self.sequence {
            return Ok(None);
        }
        self.sequence += 1;
        self.heard_ms = now_ms;
        self.heard_bytes.0 += outputs.len() as u64;
        self.partial.extend_from_slice(&outputs);
        let mut heard = Vec::new();
        while let Some(output) = self.next_whole()? {
            let outputs = output;
            let output = codec::decode::<Output<S>>(&outputs).map_err(|_| MalformedOutputs)?;
            if !self.may_say(&output) {
                return Err(MalformedOutputs);
            }
            match output {
                Output::Exchange(letter) => self.put(letter, &outputs),
                output => {
                    if matches!(output, Output::Passed { .. }) {
                        self.following = Following::Told;
                    }
                    heard.push(output);
                }
            }
        }
        Ok(Some(heard))
    }

    /// Whether a source of this partition may put this out: it names partitions that there are, and speaks for its own.
    fn may_say<S: StateMachine>(&self, output: &Output<S>) -> bool {
        let is_seen = |seen: &Seen| seen.len() == usize::from(self.partitions);
        match output {
            Output::Exchange(letter) => {
                let fits = |(key, value): &(S::Key, Option<S::Value>)| {
                    value.as_ref().is_none_or(|value| S::fits(key, value))
                };
                letter.from == self.partition && letter.values.iter().all(fits)
            }
            Output::Event { seen, .. } => is_seen(seen),
            Output::Answer(answer) => answer.partition == self.partition && is_seen(&answer.seen),
            Output::Passed { .. } => true,
            Output::Read(..) | Output::Part(_) | Output::PartAgain(..) => false,
        }
    }

    /// What the source is to be told of how much has come, now and then.
    pub fn tell_heard(&mut self) -> Option<Message> {
        let (heard, told) = &mut self.heard_bytes;
        if *heard < *told + HEARD_BYTES {
            return None;
        }
        *told = *heard;
        Some(Message::Heard { partition: self.partition, number: self.number, bytes: *heard })
    }

    /// The next output that has come whole.
    fn next_whole(&mut self) -> Result<Option<Bytes>, MalformedOutputs> {
        let Some(length) = self.partial.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let length = u32::from_le_bytes(*length) as usize;
        if length > DECODED_BYTES_MAX {
            return Err(MalformedOutputs);
        }
        if self.partial.len() < LENGTH_BYTES + length {
            return Ok(None);
        }
        self.partial.advance(LENGTH_BYTES);
        Ok(Some(self.partial.split_to(length).freeze()))
    }

    /// Takes out the next letter for a partition here, if it is for a command up to `command`.
    pub fn take<S: StateMachine>(
        &mut self,
        to: PartitionId,
        command: SharedIndex,
    ) -> Result<Option<Exchange<S>>, LogError> {
        self.mailboxes.get_mut(&to).map_or(Ok(None), |mailbox| mailbox.take(command))
    }

    /// The log is durable up to `position`.
    pub fn synced(&mut self, position: LogPosition) {
        while let Some((_, command)) = self.unsynced.front().filter(|(after, _)| *after <= position) {
            self.durable = *command;
            self.unsynced.pop_front();
        }
    }

    /// What the hosts need not keep any more.
    pub fn acknowledgements(&self) -> impl Iterator<Item = (NodeId, Message)> {
        let (partition, command) = (self.partition, self.durable);
        self.hosts.iter().map(move |host| (*host, Message::Acknowledge { partition, command }))
    }

    fn put<S: StateMachine>(&mut self, letter: Exchange<S>, output: &Bytes) {
        // Who is asked again, or restarts, says some of it again.
        let is_known = letter.command == self.last && self.of_last.contains(output);
        if letter.from != self.partition || letter.command < self.last || is_known {
            return;
        }
        let Some(mailbox) = self.mailboxes.get_mut(&letter.to) else { return };
        mailbox.put(&letter);
        if letter.command > self.last {
            self.of_last.clear();
        }
        self.of_last.push(Bytes::copy_from_slice(output));
        if letter.command > self.last {
            self.last = letter.command;
            self.unsynced.push_back((self.log.lock().appended(), before(letter.command)));
            if LETTER_ACKNOWLEDGED_UNSYNCED.is_planted() {
                self.durable = before(letter.command);
            }
        }
    }
}

/// The command before. All letters for it have come once there is one for a later command.
fn before(command: SharedIndex) -> SharedIndex {
    SharedIndex(command.0.saturating_sub(1))
}
