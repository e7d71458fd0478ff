//! The correspondence: what this node's partitions and those of other nodes tell each other, where they are not together.
//!
//! ```text
//!   node with partition p                                    node without it
//!   Replica ─ Output ─► Source ─ Retained ──── Outputs ────► Subscription ─ Mailbox (log) ─► replicas of other partitions
//!                          ▲                                    │      └─── events, answers ─► front
//!                          └──── Subscribe, Follow, Acknowledge ┘
//! ```
//!
//! Any replica of a partition may speak for it; the one that is asked does, and another when it is gone. Where a replica
//! of both partitions is on one node, they speak by calls, and nothing of this is needed.

use crate::branches::{OUTPUTS_MISSED, SOURCE_LOST, SOURCE_SILENT};
use crate::exchange::Exchange;
use crate::message::Message;
use crate::replica::Output;
use crate::service::StateMachine;
use crate::source::{Source, WINDOWS_BYTES};
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
        let window_bytes = WINDOWS_BYTES / usize::from(layout.partitions());
        let all = Destinations::all(layout.partitions());
        let elsewhere = all.iter().filter(|partition| !here.contains(*partition));
        let subscription = |partition| {
            let hosts = layout.members(RingId::of(partition)).to_vec();
            Ok((
                partition,
                Subscription::recover::<S>(partition, layout.partitions(), hosts, here, log.clone())?,
            ))
        };
        Ok(Correspondence {
            sources: here
                .iter()
                .map(|partition| {
                    (partition, Source::recover(partition, outside(partition), window_bytes, log.clone()))
                })
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
                SOURCE_LOST.reached();
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
                SOURCE_SILENT.reached();
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

    /// The front wants to be told everything of a partition from now on. Nothing to do where it is hosted, or followed already.
    pub fn follow(&mut self, partition: PartitionId) {
        let subscription = self.subscriptions.get_mut(&partition);
        self.messages.extend(subscription.and_then(|subscription| subscription.follow(self.now_ms)));
    }

    /// A node wants to hear of a partition here.
    pub fn subscribe(&mut self, from: NodeId, partition: PartitionId, number: u64, after: SharedIndex) {
        if let Some(source) = self.sources.get_mut(&partition) {
            source.subscribe(from, number, after);
        }
    }

    /// A node that hears of a partition here wants to be told everything, after what its replica has passed; `None` if a command is
    /// under way there.
    pub fn followed<S: StateMachine>(
        &mut self,
        from: NodeId,
        partition: PartitionId,
        number: u64,
        passed: Option<&Output<S>>,
    ) {
        if let Some(source) = self.sources.get_mut(&partition) {
            source.follow(from, number, passed);
        }
    }

    /// A node has what a partition here has sent to it, up to `command`.
    pub fn acknowledge(&mut self, from: NodeId, partition: PartitionId, command: SharedIndex) {
        if let Some(source) = self.sources.get_mut(&partition) {
            source.acknowledge(from, command);
        }
    }

    /// A node has heard so many bytes of what a partition here tells it.
    pub fn heard(&mut self, from: NodeId, partition: PartitionId, number: u64, bytes: u64) {
        if let Some(source) = self.sources.get_mut(&partition) {
            source.heard(from, number, bytes);
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
            Ok(Some(heard)) => {
                self.messages.extend(subscription.tell_heard().map(|message| (from, message)));
                return heard;
            }
            Ok(None) => {
                OUTPUTS_MISSED.reached();
                tracing::info!(%from, %partition, "something was missed: it is asked for again");
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::{Answer, Outcome};
    use crate::client::node_client;
    use crate::codec;
    use crate::service::{PartitioningOracle, Variables};
    use crate::source::SILENCE_MS;
    use crate::stamp::{Stamp, StampNumber};
    use crate::view::{Interrupt, View};
    use multicast::disk::MemoryDisk;
    use multicast::log::{LogLimits, LogNonce, NodeLog};
    use multicast::{CommandId, Position};
    use std::sync::Arc;

    const P: PartitionId = PartitionId(0);
    /// Nodes 0 and 1 host the partition, this one does not.
    const OUTSIDE: usize = 2;

    /// A service with nothing but events; those that are `true` concern all.
    #[derive(Clone, Debug)]
    enum Bell {}
    struct Nowhere;
    struct Nothing;

    impl StateMachine for Bell {
        type Command = ();
        type Reply = ();
        type Key = bool;
        type Value = bool;
        type Event = bool;
        type Oracle = Nowhere;
        type Variables = Nothing;

        fn execute((): &(), _: &mut View<'_, Bell>) -> Result<(), Interrupt> {
            Ok(())
        }

        fn concerns_all(event: &bool) -> bool {
            *event
        }

        fn fits(key: &bool, value: &bool) -> bool {
            key == value
        }
    }

    impl PartitioningOracle<Bell> for Nowhere {
        fn partitions(&self) -> u16 {
            1
        }

        fn partition_of(&self, _: &bool) -> PartitionId {
            P
        }
    }

    impl Variables<Bell> for Nothing {
        fn new(_: Arc<Nowhere>, _: PartitionId) -> Nothing {
            Nothing
        }

        fn get(&self, _: &bool) -> Option<bool> {
            None
        }

        fn set(&mut self, _: bool, _: Option<bool>) {}
    }

    struct World {
        nodes: Vec<Correspondence>,
        /// How far the replicas are.
        place: u64,
        /// Whether a command is under way at them.
        is_under_way: bool,
        now_ms: u64,
    }

    impl World {
        /// The third node hears of the partition from the first.
        fn new() -> World {
            let node = |me| {
                let layout = Layout::new(NodeId(me), (0..3).map(NodeId).collect(), 1, 2);
                let log =
                    NodeLog::recover(Arc::new(MemoryDisk::new()), LogLimits::default(), LogNonce::default())
                        .expect("a log");
                Correspondence::recover::<Bell>(&layout, &SharedLog::new(log)).expect("an empty log")
            };
            let mut world =
                World { nodes: (0..3).map(node).collect(), place: 0, is_under_way: false, now_ms: 0 };
            [0, 1].into_iter().for_each(|host| world.nodes[OUTSIDE].found(NodeId(host)));
            assert_eq!(world.carry(), [""; 0]);
            world
        }

        /// A command is complete at both replicas, which tells two events, and is answered to a node.
        fn happens(&mut self, origin: usize) {
            self.begins();
            self.ends(origin);
        }

        /// A command is under way at both replicas, and has told one event.
        fn begins(&mut self) {
            self.is_under_way = true;
            self.put_out(&[self.event(false)]);
        }

        /// It is complete, with another event and an answer.
        fn ends(&mut self, origin: usize) {
            let event = self.event(true);
            self.is_under_way = false;
            self.place += 1;
            let position = place(self.place);
            let answer = Output::Answer(Answer {
                origin: Some(NodeId(origin as u16)),
                id: CommandId { client: node_client(2), epoch: 1, run: 1, i: 0 },
                partition: P,
                position,
                stamp: Stamp::default(),
                seen: nothing_seen(),
                outcome: Arc::new(Outcome::Reply(())),
            });
            self.put_out(&[event, passed(self.place), answer]);
        }

        fn event(&self, event: bool) -> Output<Bell> {
            Output::Event { position: place(self.place + 1), seen: nothing_seen(), event }
        }

        fn put_out(&mut self, outputs: &[Output<Bell>]) {
            for output in outputs {
                self.nodes[..OUTSIDE].iter_mut().for_each(|node| node.put_out::<Bell>(P, output));
            }
        }

        /// Carries what the nodes have to say until that is all; returns what the third one's front hears.
        fn carry(&mut self) -> Vec<String> {
            let mut heard = Vec::new();
            loop {
                let told = |from: usize, node: &mut Correspondence| {
                    node.drain().into_iter().map(move |(to, message)| (from, usize::from(to.0), message))
                };
                let messages: Vec<_> =
                    self.nodes.iter_mut().enumerate().flat_map(|(from, node)| told(from, node)).collect();
                if messages.is_empty() {
                    return heard;
                }
                for (from, to, message) in messages {
                    heard.extend(self.tell(NodeId(from as u16), to, message).iter().map(name));
                }
            }
        }

        fn tell(&mut self, from: NodeId, to: usize, message: Message) -> Vec<Output<Bell>> {
            let here = (!self.is_under_way).then(|| passed(self.place));
            let node = &mut self.nodes[to];
            match message {
                Message::Subscribe { number, after, follows, .. } => {
                    node.subscribe(from, P, number, after);
                    if follows {
                        node.followed(from, P, number, here.as_ref());
                    }
                }
                Message::Follow { number, .. } => node.followed(from, P, number, here.as_ref()),
                Message::Acknowledge { command, .. } => node.acknowledge(from, P, command),
                Message::Outputs { number, sequence, outputs, .. } => {
                    return node.hear(from, P, (number, sequence), outputs);
                }
                Message::Heard { number, bytes, .. } => node.heard(from, P, number, bytes),
                other => unreachable!("{other:?} is not told by sources and subscriptions"),
            }
            Vec::new()
        }

        fn outside(&mut self) -> &mut Correspondence {
            &mut self.nodes[OUTSIDE]
        }

        fn wait(&mut self, ms: u64) -> Vec<String> {
            self.now_ms += ms;
            self.nodes.iter_mut().for_each(|node| node.tick(self.now_ms));
            self.carry()
        }
    }

    fn nothing_seen() -> crate::exchange::Seen {
        vec![Position::default()].into()
    }

    fn place(index: u64) -> Position {
        Position { configuration: 0, index }
    }

    fn passed(index: u64) -> Output<Bell> {
        let nothing = StampNumber::default();
        Output::Passed { position: place(index), proposal: nothing, stamp: nothing }
    }

    fn name(output: &Output<Bell>) -> String {
        match output {
            Output::Event { position, event: true, .. } => format!("{}: for all", position.index),
            Output::Event { position, event: false, .. } => format!("{}: event", position.index),
            Output::Passed { position, .. } => format!("{}: passed", position.index),
            Output::Answer(answer) => format!("{}: answer", answer.position.index),
            other => unreachable!("{other:?} is not told to the front of another node"),
        }
    }

    #[test]
    fn a_stream_goes_no_further_than_its_window_and_goes_on_as_it_is_heard() {
        let mut world = World::new();
        world.outside().follow(P);
        world.carry();
        let position = place(1);
        let event = Output::Event { position, seen: vec![position].into(), event: false };
        let many = WINDOWS_BYTES / 8;
        (0..many).for_each(|_| world.nodes[0].put_out::<Bell>(P, &event));
        let told = world.nodes[0].drain();
        let bytes = |(_, message): &(NodeId, Message)| match message {
            Message::Outputs { outputs, .. } => outputs.len(),
            other => panic!("{other:?}"),
        };
        let bytes = told.iter().map(bytes).sum::<usize>();
        assert!((WINDOWS_BYTES - 64..=WINDOWS_BYTES).contains(&bytes), "{bytes} on their way");
        assert!(world.nodes[0].drain().is_empty(), "nothing was heard of it");
        world.nodes[0].check_invariants();
        let heard =
            told.into_iter().map(|(_, message)| world.tell(NodeId(0), OUTSIDE, message).len()).sum::<usize>();
        assert_eq!(heard + world.carry().len(), many);
        world.nodes[0].check_invariants();
    }

    #[test]
    fn a_letter_with_a_value_of_the_wrong_kind_is_refused() {
        for (value, fits) in [(None, true), (Some(true), true), (Some(false), false)] {
            let mut world = World::new();
            let (command, values) = (SharedIndex(7), vec![(true, value)]);
            let letter = Exchange { command, from: P, to: PartitionId(1), signal: None, values };
            let mut bytes = Vec::new();
            codec::encode_into(&Output::<Bell>::Exchange(letter), &mut bytes).expect("a letter");
            let outputs = [&(bytes.len() as u32).to_le_bytes()[..], &bytes].concat().into();
            world.tell(
                NodeId(0),
                OUTSIDE,
                Message::Outputs { partition: P, number: 1, sequence: 0, outputs },
            );
            assert_eq!(world.outside().take_broken().is_empty(), fits, "{value:?}");
        }
    }

    #[test]
    fn who_does_not_follow_is_told_its_answers_and_what_concerns_all() {
        let mut world = World::new();
        world.happens(OUTSIDE);
        assert_eq!(world.carry(), ["1: for all", "1: answer"]);
        world.happens(0);
        assert_eq!(world.carry(), ["2: for all"]);
    }

    #[test]
    fn following_begins_with_a_place_and_misses_nothing_behind_it() {
        let mut world = World::new();
        world.happens(0);
        assert_eq!(world.carry(), ["1: for all"]);
        world.outside().follow(P);
        assert_eq!(world.carry(), ["1: passed"]);
        world.happens(OUTSIDE);
        assert_eq!(world.carry(), ["2: event", "2: for all", "2: passed", "2: answer"]);
        world.outside().follow(P);
        assert!(world.outside().drain().is_empty(), "it is followed");
    }

    #[test]
    fn following_begins_at_the_end_of_a_command_that_is_under_way() {
        let mut world = World::new();
        world.begins();
        world.outside().follow(P);
        assert_eq!(world.carry(), [""; 0], "some of its events are missed");
        world.ends(0);
        assert_eq!(world.carry(), ["1: for all", "1: passed"]);
        world.begins();
        world.outside().lost(NodeId(0));
        assert_eq!(world.carry(), [""; 0], "the next source is asked in its midst");
        world.ends(0);
        assert_eq!(world.carry(), ["2: for all", "2: passed"]);
        world.happens(0);
        assert_eq!(world.carry(), ["3: event", "3: for all", "3: passed"]);
    }

    #[test]
    fn another_source_is_followed_as_the_one_before_was() {
        let mut world = World::new();
        world.outside().lost(NodeId(0));
        assert_eq!(world.carry(), [""; 0]);
        world.outside().found(NodeId(0));
        world.outside().follow(P);
        assert_eq!(world.carry(), ["0: passed"]);
        world.happens(0);
        world.outside().lost(NodeId(1));
        assert_eq!(world.carry(), ["1: passed"], "what the lost one had to tell is lost");
        assert_eq!(world.outside().take_broken(), [P, P]);
        world.happens(0);
        assert_eq!(world.carry(), ["2: event", "2: for all", "2: passed"]);
    }

    #[test]
    fn who_follows_before_there_is_a_source_follows_the_first() {
        let mut world = World::new();
        [0, 1].into_iter().for_each(|host| world.outside().lost(NodeId(host)));
        world.outside().follow(P);
        world.happens(0);
        assert_eq!(world.carry(), [""; 0]);
        world.outside().found(NodeId(1));
        assert_eq!(world.carry(), ["1: passed"]);
    }

    #[test]
    fn a_wish_to_follow_that_is_lost_is_told_again() {
        let mut world = World::new();
        world.outside().follow(P);
        let lost = world.outside().drain();
        assert!(matches!(lost[..], [(_, Message::Follow { .. })]), "{lost:?}");
        for _ in 1..4 {
            assert_eq!(world.wait(SILENCE_MS), [""; 0], "the source says that there is nothing to say");
        }
        assert_eq!(world.wait(SILENCE_MS), ["0: passed"]);
        assert_eq!(world.outside().take_broken(), [P]);
        for _ in 0..8 {
            assert_eq!(world.wait(SILENCE_MS), [""; 0]);
        }
        assert!(world.outside().take_broken().is_empty(), "now it is told");
    }
}
