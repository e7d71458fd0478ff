//! The source: what a partition hosted here tells to nodes that have no replica of it.
//!
//! A node without a replica subscribes to what one replica puts out for it: letters for partitions of its own, the answers
//! that its clients wait for, and what concerns every node. Mostly none of its clients watches anything there, and a partition
//! puts out much: so it is told the events, and how far the replica is, only from when it *follows* the partition. It gets
//! everything in the order in which it was put out, so a partition that it follows looks to it as one of its own.
//!
//! The subscriber says from time to time how many bytes it has heard. No more than a window goes out beyond that, so a stream that
//! has much to tell, such as the letters that a node has missed, does not fill the link that it shares.

use crate::codec;
use crate::message::Message;
use crate::replica::Output;
use crate::retained::{Letter, RETAINED_BYTES_MAX, Retained};
use crate::service::StateMachine;
use bytes::{BufMut, Bytes, BytesMut};
use multicast::log::SharedLog;
use multicast::{Destinations, NodeId, PartitionId, SharedIndex};
use std::collections::{BTreeMap, VecDeque};

/// How long a source is silent before it says that there is nothing to say.
pub const SILENCE_MS: u64 = 500;
/// What is put out is one stream, cut into messages of so many bytes at most.
const MESSAGE_BYTES: usize = 256 << 10;
/// How many bytes of all streams to one node are on their way at most; each partition's stream has an equal share.
pub const WINDOWS_BYTES: usize = 8 << 20;
/// How many bytes wait for one subscriber at most. One that is further behind is told nothing more, and subscribes anew.
pub const QUEUE_BYTES_MAX: usize = RETAINED_BYTES_MAX + (64 << 20);
/// Before each output stands its length.
const LENGTH_BYTES: usize = 4;

/// An output that waits.
#[derive(Debug)]
struct Queued {
    output: Bytes,
    /// Whether it says how far the replica is: a later one takes its place.
    is_passed: bool,
}

/// One node that is told what the partition's replica puts out.
///
/// Invariants: `queued_bytes` counts those of `queue`, with their lengths. No more than the window is sent beyond what the
/// subscriber has said to have heard.
#[derive(Debug)]
struct Subscriber {
    /// The subscription's number, which the subscriber chose.
    number: u64,
    /// Whether it is told all events, and how far the replica is.
    follows: bool,
    /// Whether it follows from the end of the command on that is under way: it would miss what was put out of that before.
    follows_next: bool,
    /// How many messages it was sent.
    sequence: u64,
    queue: VecDeque<Queued>,
    queued_bytes: usize,
    /// Taken off the queue, and not sent.
    batch: BytesMut,
    sent_bytes: u64,
    heard_bytes: u64,
    told_ms: u64,
}

impl Subscriber {
    fn new(number: u64) -> Subscriber {
        Subscriber {
            number,
            follows: false,
            follows_next: false,
            sequence: 0,
            queue: VecDeque::new(),
            queued_bytes: 0,
            batch: BytesMut::new(),
            sent_bytes: 0,
            heard_bytes: 0,
            told_ms: 0,
        }
    }

    /// It follows from here on; where a command is under way, and nothing can be said to have `passed`, from its end on.
    fn follow<S: StateMachine>(&mut self, passed: Option<&Output<S>>) {
        let Some(passed) = passed else {
            self.follows_next = true;
            return;
        };
        self.follows = true;
        self.push(encode(passed), true);
    }

    fn push(&mut self, output: Bytes, is_passed: bool) {
        let is_replaced = self.queue.back().is_some_and(|last| is_passed && last.is_passed);
        if let Some(last) = if is_replaced { self.queue.pop_back() } else { None } {
            self.queued_bytes -= LENGTH_BYTES + last.output.len();
        }
        self.queued_bytes += LENGTH_BYTES + output.len();
        self.queue.push_back(Queued { output, is_passed });
    }

    fn heard(&mut self, bytes: u64) {
        if bytes <= self.sent_bytes {
            self.heard_bytes = self.heard_bytes.max(bytes);
        }
    }

    fn take(&mut self, partition: PartitionId, window_bytes: usize, now_ms: u64) -> Vec<Message> {
        let silent = now_ms >= self.told_ms + SILENCE_MS;
        let mut messages = Vec::new();
        while let Some(outputs) = self.take_outputs(window_bytes) {
            messages.push(self.message(partition, outputs));
        }
        if silent && messages.is_empty() {
            messages.push(self.message(partition, Bytes::new()));
        }
        if !messages.is_empty() {
            self.told_ms = now_ms;
        }
        messages
    }

    fn message(&mut self, partition: PartitionId, outputs: Bytes) -> Message {
        let (number, sequence) = (self.number, self.sequence);
        self.sequence += 1;
        Message::Outputs { partition, number, sequence, outputs }
    }

    /// The next piece of the stream, as far as the window goes.
    fn take_outputs(&mut self, window_bytes: usize) -> Option<Bytes> {
        let on_the_way = (self.sent_bytes - self.heard_bytes) as usize;
        let room = window_bytes.saturating_sub(on_the_way).min(MESSAGE_BYTES);
        while self.batch.len() < room
            && let Some(next) = self.queue.pop_front()
        {
            self.queued_bytes -= LENGTH_BYTES + next.output.len();
            self.batch.put_u32_le(u32::try_from(next.output.len()).expect("an output is smaller than 4 GiB"));
            self.batch.put_slice(&next.output);
        }
        let piece = self.batch.split_to(self.batch.len().min(room)).freeze();
        self.sent_bytes += piece.len() as u64;
        (!piece.is_empty()).then_some(piece)
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
    window_bytes: usize,
}

impl Source {
    /// The source of a partition that these nodes do not host; with what each of them hosts. So many bytes are on their way
    /// to each at most.
    pub fn recover(
        partition: PartitionId,
        outside: BTreeMap<NodeId, Destinations>,
        window_bytes: usize,
        log: SharedLog,
    ) -> Source {
        let retained = Retained::recover(partition, outside.clone(), log);
        Source { partition, retained, outside, subscribers: BTreeMap::new(), window_bytes }
    }

    /// A node wants what the replica puts out for it from now on, and the letters for commands after `after`.
    pub fn subscribe(&mut self, node: NodeId, number: u64, after: SharedIndex) {
        let Some(hosts) = self.outside.get(&node).copied() else { return };
        let mut subscriber = Subscriber::new(number);
        match self.retained.after(after, hosts) {
            Ok(letters) => {
                letters.into_iter().for_each(|letter| subscriber.push(letter.bytes.clone(), false))
            }
            Err(given_up) => tracing::error!(
                %node,
                partition = %self.partition,
                "was away too long: what was sent up to shared command {} is not kept any more; the node needs the state \
                 of another",
                given_up.0
            ),
        }
        self.subscribers.insert(node, subscriber);
    }

    /// A node that has subscribed under this number wants to be told everything from now on, and how far the replica is. It has
    /// `passed` so much; `None` if a command is under way: then everything from the end of that on.
    pub fn follow<S: StateMachine>(&mut self, node: NodeId, number: u64, passed: Option<&Output<S>>) {
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

    /// A node that has subscribed under this number has heard so many bytes.
    pub fn heard(&mut self, node: NodeId, number: u64, bytes: u64) {
        let subscriber = self.subscribers.get_mut(&node).filter(|subscriber| subscriber.number == number);
        subscriber.into_iter().for_each(|subscriber| subscriber.heard(bytes));
    }

    /// The replica has put something out.
    pub fn put_out<S: StateMachine>(&mut self, output: &Output<S>) {
        match output {
            Output::Exchange(letter) => self.keep(letter.command, letter.to, output),
            Output::Read(..) | Output::Part(_) | Output::PartAgain(..) => {}
            Output::Event { event, .. } if S::concerns_all(event) => self.tell(output, |_, _| true),
            Output::Event { .. } => self.tell(output, |_, subscriber| subscriber.follows),
            Output::Passed { .. } => {
                for subscriber in self.subscribers.values_mut() {
                    subscriber.follows |= std::mem::take(&mut subscriber.follows_next);
                }
                self.tell(output, |_, subscriber| subscriber.follows);
            }
            Output::Answer(answer) => self.tell(output, |node, _| answer.origin == Some(node)),
        }
    }

    /// What is to be told now.
    pub fn take(&mut self, now_ms: u64) -> Vec<(NodeId, Message)> {
        let mut messages = Vec::new();
        self.subscribers.retain(|node, subscriber| {
            let keeps_up = subscriber.queued_bytes <= QUEUE_BYTES_MAX;
            if !keeps_up {
                tracing::warn!(%node, partition = %self.partition, "does not keep up: it is told nothing more until it asks anew");
            }
            keeps_up
        });
        for (node, subscriber) in &mut self.subscribers {
            let told = subscriber.take(self.partition, self.window_bytes, now_ms);
            messages.extend(told.into_iter().map(|message| (*node, message)));
        }
        messages
    }

    /// Panics unless the invariants hold.
    pub fn check_invariants(&self) {
        self.retained.check_invariants();
        assert!(self.subscribers.keys().all(|node| self.outside.contains_key(node)));
        for subscriber in self.subscribers.values() {
            let bytes = subscriber.queue.iter().map(|queued| LENGTH_BYTES + queued.output.len());
            assert_eq!(subscriber.queued_bytes, bytes.sum::<usize>());
            assert!(subscriber.sent_bytes - subscriber.heard_bytes <= self.window_bytes as u64);
        }
    }

    fn keep<S: StateMachine>(&mut self, command: SharedIndex, to: PartitionId, output: &Output<S>) {
        if !self.outside.values().any(|hosts| hosts.contains(to)) {
            return;
        }
        let bytes = encode(output);
        for (node, subscriber) in &mut self.subscribers {
            if self.outside[node].contains(to) {
                subscriber.push(bytes.clone(), false);
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
            wanting.for_each(|(_, subscriber)| subscriber.push(bytes.clone(), is_passed));
        }
    }
}

fn encode<S: StateMachine>(output: &Output<S>) -> Bytes {
    let mut bytes = Vec::with_capacity(128);
    codec::encode_into(output, &mut bytes).expect("an output can be encoded into memory");
    Bytes::from(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use multicast::disk::MemoryDisk;
    use multicast::log::{LogLimits, LogNonce, NodeLog};
    use std::sync::Arc;

    const P: PartitionId = PartitionId(0);
    const OUTSIDE: NodeId = NodeId(2);

    #[test]
    fn a_stream_goes_in_messages_of_bounded_length() {
        for bytes in [MESSAGE_BYTES - 1, MESSAGE_BYTES, MESSAGE_BYTES + 1, 10 * MESSAGE_BYTES] {
            let mut subscriber = Subscriber::new(1);
            subscriber.push(vec![0; bytes - LENGTH_BYTES].into(), false);
            let told = subscriber.take(P, usize::MAX, 0);
            let length = |message: &Message| match message {
                Message::Outputs { outputs, .. } => outputs.len(),
                other => panic!("{other:?}"),
            };
            let lengths: Vec<usize> = told.iter().map(length).collect();
            assert!(lengths.iter().all(|length| *length <= MESSAGE_BYTES), "{lengths:?}");
            assert_eq!((lengths.iter().sum(), lengths.len()), (bytes, bytes.div_ceil(MESSAGE_BYTES)));
        }
    }

    #[test]
    fn a_subscriber_that_does_not_keep_up_is_told_nothing_more() {
        const MIB: usize = 1 << 20;
        let output = Bytes::from(vec![0; MIB - LENGTH_BYTES]);
        let most = QUEUE_BYTES_MAX / MIB;
        for (outputs, keeps_up) in [(most - 1, true), (most, true), (most + 1, false), (10 * most, false)] {
            let log =
                NodeLog::recover(Arc::new(MemoryDisk::new()), LogLimits::default(), LogNonce::default());
            let log = SharedLog::new(log.expect("a log"));
            let mut source = Source::recover(P, [(OUTSIDE, P.into())].into(), 0, log);
            let mut subscriber = Subscriber::new(1);
            (0..outputs).for_each(|_| subscriber.push(output.clone(), false));
            source.subscribers.insert(OUTSIDE, subscriber);
            source.take(0);
            assert_eq!(source.subscribers.contains_key(&OUTSIDE), keeps_up, "{outputs} MiB");
        }
    }
}
