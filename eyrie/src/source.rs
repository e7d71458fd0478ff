//! The source: what a partition hosted here tells to nodes that have no replica of it.
//!
//! A node without a replica subscribes to what one replica puts out for it: letters for partitions of its own, the answers
//! that its clients wait for, and what concerns every node. Mostly none of its clients watches anything there, and a partition
//! puts out much: so it is told the events, and how far the replica is, only from when it *follows* the partition. It gets
//! everything in the order in which it was put out, so a partition that it follows looks to it as one of its own.

use crate::codec;
use crate::message::Message;
use crate::replica::Output;
use crate::retained::{Letter, Retained};
use crate::service::StateMachine;
use bytes::{BufMut, Bytes, BytesMut};
use multicast::log::SharedLog;
use multicast::{Destinations, NodeId, PartitionId, SharedIndex};
use std::collections::BTreeMap;

/// How long a source is silent before it says that there is nothing to say.
pub const SILENCE_MS: u64 = 500;
/// What is put out is one stream, cut into messages of so many bytes.
const MESSAGE_BYTES: usize = 1 << 20;

/// One node that is told what the partition's replica puts out.
#[derive(Debug)]
struct Subscriber {
    /// The subscription's number, which the subscriber chose.
    number: u64,
    /// Whether it is told all events, and how far the replica is.
    follows: bool,
    /// How many messages it was sent.
    sequence: u64,
    batch: BytesMut,
    /// The place of the last output of the batch, if that says how far the replica is: a later one takes its place.
    passed: Option<usize>,
    told_ms: u64,
}

impl Subscriber {
    fn follow<S: StateMachine>(&mut self, passed: &Output<S>) {
        self.follows = true;
        self.push(&encode(passed), true);
    }

    fn push(&mut self, output: &[u8], is_passed: bool) {
        if let Some(place) = self.passed.take().filter(|_| is_passed) {
            self.batch.truncate(place);
        }
        self.passed = is_passed.then_some(self.batch.len());
        self.batch.put_u32_le(u32::try_from(output.len()).expect("an output is smaller than 4 GiB"));
        self.batch.put_slice(output);
    }

    fn take(&mut self, partition: PartitionId, now_ms: u64) -> Vec<Message> {
        let silent = now_ms >= self.told_ms + SILENCE_MS;
        self.passed = None;
        let mut stream = std::mem::take(&mut self.batch).freeze();
        let mut messages = Vec::new();
        while !stream.is_empty() || (silent && messages.is_empty()) {
            let outputs = stream.split_to(stream.len().min(MESSAGE_BYTES));
            let (number, sequence) = (self.number, self.sequence);
            messages.push(Message::Outputs { partition, number, sequence, outputs });
            self.sequence += 1;
            self.told_ms = now_ms;
        }
        messages
    }
}

/// What one hosted partition keeps and tells for nodes that do not host it.
#[derive(Debug)]
pub struct Source {
    partition: PartitionId,
    retained: Retained,
    /// The nodes that do not host the partition, with what they do host.
    outside: BTreeMap<NodeId, Destinations>,
    subscribers: BTreeMap<NodeId, Subscriber>,
}

impl Source {
    /// The source of a partition that these nodes do not host; with what each of them hosts.
    pub fn recover(
        partition: PartitionId,
        outside: BTreeMap<NodeId, Destinations>,
        log: SharedLog,
    ) -> Source {
        let retained = Retained::recover(partition, outside.clone(), log);
        Source { partition, retained, outside, subscribers: BTreeMap::new() }
    }

    /// A node wants what the replica puts out for it from now on, and the letters for commands after `after`. If it follows
    /// the partition, it is told how far that is.
    pub fn subscribe<S: StateMachine>(
        &mut self,
        node: NodeId,
        number: u64,
        after: SharedIndex,
        passed: Option<&Output<S>>,
    ) {
        let Some(hosts) = self.outside.get(&node).copied() else { return };
        let mut subscriber = Subscriber {
            number,
            follows: false,
            sequence: 0,
            batch: BytesMut::new(),
            passed: None,
            told_ms: 0,
        };
        match self.retained.after(after, hosts) {
            Ok(letters) => letters.into_iter().for_each(|letter| subscriber.push(&letter.bytes, false)),
            Err(given_up) => tracing::error!(
                %node,
                partition = %self.partition,
                "was away too long: what was sent up to shared command {} is not kept any more; the node needs the state \
                 of another",
                given_up.0
            ),
        }
        if let Some(passed) = passed {
            subscriber.follow(passed);
        }
        self.subscribers.insert(node, subscriber);
    }

    /// A node that has subscribed under this number wants to be told everything from now on; the replica has `passed` so
    /// much.
    pub fn follow<S: StateMachine>(&mut self, node: NodeId, number: u64, passed: &Output<S>) {
        let subscriber = self.subscribers.get_mut(&node).filter(|subscriber| subscriber.number == number);
        if let Some(subscriber) = subscriber.filter(|subscriber| !subscriber.follows) {
            subscriber.follow(passed);
        }
    }

    /// A node's link is down.
    pub fn lost(&mut self, node: NodeId) {
        self.subscribers.remove(&node);
    }

    /// A node has everything that is for it up to `command` in its synced log.
    pub fn acknowledge(&mut self, node: NodeId, command: SharedIndex) {
        self.retained.acknowledge(node, command);
    }

    /// The replica has put something out.
    pub fn put_out<S: StateMachine>(&mut self, output: &Output<S>) {
        match output {
            Output::Exchange(letter) => self.keep(letter.command, letter.to, output),
            Output::Read(..) => {}
            Output::Event { event, .. } if S::concerns_all(event) => self.tell(output, |_, _| true),
            Output::Event { .. } | Output::Passed { .. } => {
                self.tell(output, |_, subscriber| subscriber.follows);
            }
            Output::Answer(answer) => self.tell(output, |node, _| answer.origin == Some(node)),
        }
    }

    /// What is to be told now.
    pub fn take(&mut self, now_ms: u64) -> Vec<(NodeId, Message)> {
        let mut messages = Vec::new();
        for (node, subscriber) in &mut self.subscribers {
            let told = subscriber.take(self.partition, now_ms);
            messages.extend(told.into_iter().map(|message| (*node, message)));
        }
        messages
    }

    /// Panics unless the invariants hold.
    pub fn check_invariants(&self) {
        self.retained.check_invariants();
        assert!(self.subscribers.keys().all(|node| self.outside.contains_key(node)));
    }

    fn keep<S: StateMachine>(&mut self, command: SharedIndex, to: PartitionId, output: &Output<S>) {
        if !self.outside.values().any(|hosts| hosts.contains(to)) {
            return;
        }
        let bytes = encode(output);
        for (node, subscriber) in &mut self.subscribers {
            if self.outside[node].contains(to) {
                subscriber.push(&bytes, false);
            }
        }
        self.retained.keep(Letter { command, to, bytes });
    }

    /// Tells those who want it; what nobody wants is not even encoded.
    fn tell<S: StateMachine>(&mut self, output: &Output<S>, wants: impl Fn(NodeId, &Subscriber) -> bool) {
        let all = self.subscribers.iter_mut();
        let mut wanting = all.filter(|(node, subscriber)| wants(**node, subscriber)).peekable();
        if wanting.peek().is_some() {
            let (bytes, is_passed) = (encode(output), matches!(output, Output::Passed { .. }));
            wanting.for_each(|(_, subscriber)| subscriber.push(&bytes, is_passed));
        }
    }
}

fn encode<S: StateMachine>(output: &Output<S>) -> Bytes {
    let mut bytes = Vec::with_capacity(128);
    codec::encode_into(output, &mut bytes).expect("an output can be encoded into memory");
    Bytes::from(bytes)
}
