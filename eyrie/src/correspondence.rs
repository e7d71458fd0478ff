//! The correspondence: what this node's partitions and those of other nodes tell each other, where they are not together.
//!
//! ```text
//!   node with partition p                                    node without it
//!   Replica ─ Output ─► Source ─ Retained ──── Outputs ────► Subscription ─ Mailbox (log) ─► replicas of other partitions
//!                          ▲                                    │      └─── events, answers ─► front
//!                          └──────── Subscribe, Acknowledge ────┘
//! ```
//!
//! Any replica of a partition may speak for it; the one that is asked does, and another when it is gone. Where a replica
//! of both partitions is on one node, they speak by calls, and nothing of this is needed.

use crate::exchange::Exchange;
use crate::message::Message;
use crate::replica::Output;
use crate::service::StateMachine;
use crate::source::Source;
use crate::subscription::Subscription;
use multicast::log::{LogError, LogPosition, SharedLog};
use multicast::{Destinations, Layout, NodeId, PartitionId, RingId, SharedIndex};
use std::collections::{BTreeMap, BTreeSet};

/// How often hosts are told what they need not keep.
const ACKNOWLEDGE_EVERY_MS: u64 = 500;

/// What a node tells and hears of partitions that are not on both sides of a link.
pub struct Correspondence {
    sources: BTreeMap<PartitionId, Source>,
    subscriptions: BTreeMap<PartitionId, Subscription>,
    up: BTreeSet<NodeId>,
    messages: Vec<(NodeId, Message)>,
    /// Partitions of which something may have been missed.
    broken: Vec<PartitionId>,
    now_ms: u64,
    acknowledged_ms: u64,
}

impl Correspondence {
    /// The correspondence of a node that has just started. Takes up what the log holds.
    pub fn recover<S: StateMachine>(layout: &Layout, log: &SharedLog) -> Result<Correspondence, LogError> {
        let me = layout.me();
        let here = hosted(layout, me);
        let outside = |partition| {
            let others = layout.nodes().iter().map(|node| (*node, hosted(layout, *node)));
            others.filter(|(_, hosts)| !hosts.contains(partition)).collect()
        };
        let all = Destinations::all(layout.partitions());
        let elsewhere = all.iter().filter(|partition| !here.contains(*partition));
        let subscription = |partition| {
            let hosts = layout.members(RingId::of(partition)).to_vec();
            Ok((partition, Subscription::recover::<S>(partition, hosts, here, log.clone())?))
        };
        Ok(Correspondence {
            sources: here
                .iter()
                .map(|partition| (partition, Source::recover(partition, outside(partition), log.clone())))
                .collect(),
            subscriptions: elsewhere.map(subscription).collect::<Result<_, LogError>>()?,
            up: BTreeSet::new(),
            messages: Vec::new(),
            broken: Vec::new(),
            now_ms: 0,
            acknowledged_ms: 0,
        })
    }

    /// The link to a node is up.
    pub fn found(&mut self, peer: NodeId) {
        self.lost(peer);
        self.up.insert(peer);
        for subscription in self.subscriptions.values_mut().filter(|known| known.source().is_none()) {
            self.messages.extend(subscription.ask_next(&self.up, self.now_ms));
        }
    }

    /// The link to a node is down.
    pub fn lost(&mut self, peer: NodeId) {
        self.up.remove(&peer);
        self.sources.values_mut().for_each(|source| source.lost(peer));
        for (partition, subscription) in &mut self.subscriptions {
            if subscription.source() == Some(peer) {
                self.messages.extend(subscription.ask_next(&self.up, self.now_ms));
                self.broken.push(*partition);
            }
        }
    }

    /// Time has passed; `now_ms` is monotonic.
    pub fn tick(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
        for (partition, subscription) in &mut self.subscriptions {
            if subscription.is_silent(now_ms) {
                self.messages.extend(subscription.ask_next(&self.up, now_ms));
                self.broken.push(*partition);
            }
        }
        if now_ms >= self.acknowledged_ms + ACKNOWLEDGE_EVERY_MS {
            self.acknowledged_ms = now_ms;
            let acknowledgements = self.subscriptions.values().flat_map(Subscription::acknowledgements);
            self.messages.extend(acknowledgements.filter(|(host, _)| self.up.contains(host)));
        }
    }

    /// A node wants to hear of a partition here, whose replica has passed so much.
    pub fn subscribe<S: StateMachine>(
        &mut self,
        from: NodeId,
        partition: PartitionId,
        (number, after): (u64, SharedIndex),
        passed: &Output<S>,
    ) {
        if let Some(source) = self.sources.get_mut(&partition) {
            source.subscribe(from, number, after, passed);
        }
    }

    /// A node has what a partition here has sent to it, up to `command`.
    pub fn acknowledge(&mut self, from: NodeId, partition: PartitionId, command: SharedIndex) {
        if let Some(source) = self.sources.get_mut(&partition) {
            source.acknowledge(from, command);
        }
    }

    /// What a source says of its partition. Returns what the front is to hear, in order.
    pub fn hear<S: StateMachine>(
        &mut self,
        from: NodeId,
        partition: PartitionId,
        (number, sequence): (u64, u64),
        outputs: bytes::Bytes,
    ) -> Vec<Output<S>> {
        let Some(subscription) = self.subscriptions.get_mut(&partition) else { return Vec::new() };
        if subscription.source() != Some(from) {
            return Vec::new();
        }
        match subscription.hear(number, sequence, outputs, self.now_ms) {
            Ok(Some(heard)) => return heard,
            Ok(None) => tracing::info!(%from, %partition, "something was missed: it is asked for again"),
            Err(error) => tracing::warn!(%from, %partition, %error, "asked for again"),
        }
        self.messages.extend(subscription.ask_again(self.now_ms));
        self.broken.push(partition);
        Vec::new()
    }

    /// A replica here has put something out.
    pub fn put_out<S: StateMachine>(&mut self, partition: PartitionId, output: &Output<S>) {
        if let Some(source) = self.sources.get_mut(&partition) {
            source.put_out(output);
        }
    }

    /// The letters of other partitions for one here, for commands up to `command`.
    pub fn letters<S: StateMachine>(
        &mut self,
        to: PartitionId,
        command: SharedIndex,
    ) -> Result<Vec<Exchange<S>>, LogError> {
        let mut letters = Vec::new();
        for subscription in self.subscriptions.values_mut() {
            while let Some(letter) = subscription.take(to, command)? {
                letters.push(letter);
            }
        }
        Ok(letters)
    }

    /// The log is durable up to `position`.
    pub fn synced(&mut self, position: LogPosition) {
        self.subscriptions.values_mut().for_each(|subscription| subscription.synced(position));
    }

    /// The partitions of which something may have been missed since the last call.
    pub fn take_broken(&mut self) -> Vec<PartitionId> {
        std::mem::take(&mut self.broken)
    }

    /// What is to be told to other nodes.
    pub fn drain(&mut self) -> Vec<(NodeId, Message)> {
        let mut messages = std::mem::take(&mut self.messages);
        for source in self.sources.values_mut() {
            messages.extend(source.take(self.now_ms));
        }
        messages
    }

    /// Panics unless every part's invariants hold.
    pub fn check_invariants(&self) {
        self.sources.values().for_each(Source::check_invariants);
    }
}

/// The partitions of which a node has a replica.
fn hosted(layout: &Layout, node: NodeId) -> Destinations {
    let partitions = PartitionId::all(layout.partitions());
    partitions.filter(|partition| layout.members(RingId::of(*partition)).contains(&node)).collect()
}
