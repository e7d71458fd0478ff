//! One node's share of the atomic multicast: its rings, the relay between them, what it submits and what it delivers.

use crate::entry::Entry;
use crate::entry::EntryBuilder;
use crate::envelope::{CommandId, Envelope, Relayed};
use crate::layout::Layout;
use crate::link::StreamId;
use crate::log::{Buffer, LogPosition, SharedLog};
use crate::message::{MalformedMessage, Message};
use crate::relay::{FollowError, Relay};
use crate::ring::{
    Amnesiac, Outgoing, PaxosRing, RecoverError, Ring, RingConfig, RingTiming, SoloRing, StepError,
};
use crate::ring_id::RingId;
use crate::sequence::{Delivery, Position, Sequence};
use crate::submission::{Submissions, SubmitError};
use crate::{Destinations, NodeId, PARTITIONS_MAX, PartitionId};
use bytes::Bytes;
use std::collections::BTreeMap;
use thiserror::Error;

/// An entry is proposed as soon as it holds this many bytes; the rest of a turn goes into the next one.
pub const ENTRY_BYTES: usize = 32 * 1024;
/// How far beyond the time that has passed here one entry may move log time.
pub const TIME_LEAP_MAX_MS: u64 = 10_000;

/// Who has not heard from a quorum of a ring for so long is not sure to lead it any more.
pub const LEADS_SURELY_MS: u64 = 1_000;

/// A ring together with the entry that this turn builds for it.
struct Lane {
    ring: Box<dyn Ring>,
    batch: EntryBuilder,
    proposed: bool,
    /// Who led when submissions were last sent there.
    leader: Option<NodeId>,
}

impl Lane {
    fn new(ring: Box<dyn Ring>) -> Lane {
        Lane { ring, batch: EntryBuilder::default(), proposed: false, leader: None }
    }

    fn push(&mut self, envelope: &Envelope, relayed: Option<Relayed>, time_ms: u64) {
        self.batch.push(envelope, relayed);
        if self.batch.len() >= ENTRY_BYTES {
            self.propose(time_ms);
        }
    }

    fn propose(&mut self, time_ms: u64) {
        if self.batch.is_empty() {
            return;
        }
        let entry = self.batch.take(time_ms);
        // Leadership may have been lost since; what was submitted is sent again, to whoever leads.
        if self.ring.leads() {
            self.ring.append(entry);
            self.proposed = true;
        }
    }

    /// Who leads now, if that is another than before.
    fn take_new_leader(&mut self) -> Option<NodeId> {
        let leader = self.ring.leader();
        if std::mem::replace(&mut self.leader, leader) == leader { None } else { leader }
    }

    /// Whether anything was proposed since the last call.
    fn take_proposed(&mut self) -> bool {
        std::mem::take(&mut self.proposed)
    }
}

/// A partition's ring, what is delivered from it and, while this node leads it, the relay into it.
struct PartitionLane {
    lane: Lane,
    sequence: Sequence,
    /// The relay of a reign, and the reign's number.
    relay: Option<(u64, Relay)>,
}

impl PartitionLane {
    fn new(partition: PartitionId, ring: Box<dyn Ring>) -> PartitionLane {
        PartitionLane { lane: Lane::new(ring), sequence: Sequence::new(partition), relay: None }
    }

    /// Appends what the shared ring has decided for this partition, if this node leads it.
    fn relay(&mut self, partition: PartitionId, shared: &dyn Ring, time_ms: u64) -> Result<(), FollowError> {
        if !self.lane.ring.leads() {
            self.relay = None;
            return Ok(());
        }
        let reign = self.lane.ring.reigns();
        let mut relay = match self.relay.take() {
            Some((began, relay)) if began == reign => relay,
            _ => Relay::begin(partition, self.sequence.fold(self.lane.ring.as_ref())?),
        };
        relay.follow(shared, |envelope, relayed| self.lane.push(envelope, Some(relayed), time_ms))?;
        self.relay = Some((reign, relay));
        Ok(())
    }
}

/// Plain counts of what a node's multicast did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MulticastCounts {
    /// Envelopes submitted here.
    pub submitted: u64,
    /// Envelopes sent again.
    pub resent: u64,
    /// Envelopes delivered, over all partitions.
    pub delivered: u64,
    /// Envelopes whose reply is not here yet.
    pub in_flight: u64,
}

/// One ring as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingStatus {
    /// Which ring.
    pub id: RingId,
    /// Whether this node leads it.
    pub leads: bool,
    /// Entries decided.
    pub decided: u64,
    /// Entries held, the undecided tail included.
    pub accepted: u64,
    /// The last place delivered; none for the shared ring, which nobody delivers from.
    pub delivered: Option<Position>,
}

/// The clock of a proposer: wall time, held back when it leaps from one entry to the next.
#[derive(Debug, Default)]
struct Clock {
    now_ms: u64,
    time_ms: u64,
    /// Both, when the last entry was proposed.
    proposed: Option<(u64, u64)>,
}

impl Clock {
    /// Moves on to monotonic `now_ms`; the wall clock says `wall_ms`.
    fn tick(&mut self, now_ms: u64, wall_ms: u64) {
        self.now_ms = now_ms;
        self.time_ms = match self.proposed {
            None => wall_ms,
            Some((then_ms, time_ms)) => {
                wall_ms.clamp(time_ms, time_ms + now_ms.saturating_sub(then_ms) + TIME_LEAP_MAX_MS)
            }
        };
    }

    /// An entry was proposed at this time.
    fn propose(&mut self) {
        self.proposed = Some((self.now_ms, self.time_ms));
    }
}

/// A message from this node's multicast to another's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The node it is for.
    pub to: NodeId,
    /// What it keeps its order with.
    pub stream: StreamId,
    /// It leaves only when the node's log is durable up to here; at once if none.
    pub after: Option<LogPosition>,
    /// What that node's multicast is to [`step`](Multicast::step).
    pub message: Bytes,
}

/// Why a message from another node was not handled: the link that brought it is of no use as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PeerError {
    /// It is no message.
    #[error(transparent)]
    Malformed(#[from] MalformedMessage),
    /// Its ring refuses it.
    #[error(transparent)]
    Step(#[from] StepError),
    /// There is no such ring here.
    #[error("there is no ring {0}")]
    NoRing(RingId),
}

/// The atomic multicast of one node. Sans-IO: it is told the time and how far the log is synced.
///
/// A turn is: [`submit`](Multicast::submit) what came in, [`propose`](Multicast::propose),
/// [`take_buffer`](Multicast::take_buffer), write and sync it elsewhere, [`synced`](Multicast::synced), then
/// [`deliver`](Multicast::deliver) until nothing comes.
pub struct Multicast {
    log: SharedLog,
    shared: Lane,
    partitions: Vec<PartitionLane>,
    submissions: Submissions,
    clock: Clock,
    /// When each other member last said something about a ring, and how many members there are.
    heard: BTreeMap<NodeId, u64>,
    members: usize,
    submitted: u64,
    delivered: u64,
    sent: Vec<Sent>,
}

impl Multicast {
    /// The multicast of a node that is alone: every ring has one member. Takes up whatever the log holds.
    pub fn solo(partitions: u16, log: SharedLog) -> Multicast {
        assert!(
            (1..=PARTITIONS_MAX).contains(&partitions),
            "1 to {PARTITIONS_MAX} partitions, not {partitions}"
        );
        let ring = |id| -> Box<dyn Ring> { Box::new(SoloRing::recover(id, log.clone())) };
        let lanes =
            PartitionId::all(partitions).map(|p| PartitionLane::new(p, ring(RingId::of(p)))).collect();
        let shared = ring(RingId::SHARED);
        Multicast::over(lanes, shared, log)
    }

    /// The multicast of a node among others: every ring has all of them as members. Takes up whatever the log holds.
    pub fn clustered(layout: &Layout, timing: RingTiming, log: SharedLog) -> Result<Multicast, RecoverError> {
        let ring = |id| -> Result<Box<dyn Ring>, RecoverError> {
            let config = RingConfig {
                ring: id,
                node: layout.me(),
                members: layout.nodes().to_vec(),
                preferred: layout.preferred(id),
                timing,
            };
            Ok(Box::new(PaxosRing::recover(config, log.clone())?))
        };
        let lanes =
            PartitionId::all(layout.partitions()).map(|p| Ok(PartitionLane::new(p, ring(RingId::of(p))?)));
        let lanes = lanes.collect::<Result<_, RecoverError>>()?;
        let shared = ring(RingId::SHARED)?;
        let multicast = Multicast::over(lanes, shared, log);
        Ok(Multicast { members: layout.nodes().len(), ..multicast })
    }

    fn over(partitions: Vec<PartitionLane>, shared: Box<dyn Ring>, log: SharedLog) -> Multicast {
        Multicast {
            shared: Lane::new(shared),
            partitions,
            log,
            submissions: Submissions::default(),
            clock: Clock::default(),
            heard: BTreeMap::new(),
            members: 1,
            submitted: 0,
            delivered: 0,
            sent: Vec::new(),
        }
    }

    /// How many partitions there are.
    pub fn partitions(&self) -> u16 {
        self.partitions.len() as u16
    }

    /// Multicasts an envelope, now and again until it is [withdrawn](Multicast::withdraw).
    pub fn submit(&mut self, envelope: Envelope) -> Result<(), SubmitError> {
        let destinations = envelope.destinations;
        if destinations.is_empty() || !Destinations::all(self.partitions()).covers(destinations) {
            return Err(SubmitError::Destinations);
        }
        self.submissions.keep(envelope.clone(), self.clock.now_ms)?;
        self.submitted += 1;
        self.send(&envelope);
        Ok(())
    }

    /// The reply to a command is here: it need not be sent again. Says whether it was submitted here.
    pub fn withdraw(&mut self, id: CommandId) -> bool {
        self.submissions.withdraw(id)
    }

    /// Moves the clocks on: `now_ms` is monotonic, `wall_ms` counts from 1970.
    pub fn tick(&mut self, now_ms: u64, wall_ms: u64) {
        self.clock.tick(now_ms, wall_ms);
        for lane in self.lanes() {
            lane.ring.tick(now_ms);
        }
        self.send_to_new_leaders();
    }

    /// A connection to another node begins, which shows the nonce of its disk. What was drained for it and has not left
    /// is to be thrown away before.
    pub fn meet(&mut self, peer: NodeId, nonce: u64) -> Result<(), Amnesiac> {
        self.gather();
        self.sent.retain(|sent| sent.to != peer);
        for lane in self.lanes() {
            lane.ring.meet(peer, nonce)?;
            lane.ring.reconnected(peer);
        }
        Ok(())
    }

    /// Handles a message of another node's multicast. After an error nothing has changed.
    pub fn step(&mut self, from: NodeId, message: Bytes) -> Result<(), PeerError> {
        match Message::decode(message)? {
            Message::Step(ring, message) => {
                self.lane(ring)?.ring.step(from, message)?;
                self.heard.insert(from, self.clock.now_ms);
            }
            Message::Submit(ring, envelopes) => self.take_submitted(ring, envelopes)?,
        }
        self.send_to_new_leaders();
        Ok(())
    }

    /// What is to be sent to other nodes for all that was done before. Called after [`take_buffer`](Multicast::take_buffer).
    pub fn drain(&mut self) -> Vec<Sent> {
        self.gather();
        std::mem::take(&mut self.sent)
    }

    /// Sends again what has waited too long for its reply.
    pub fn resend(&mut self) {
        for envelope in self.submissions.due(self.clock.now_ms) {
            self.send(&envelope);
        }
    }

    /// Proposes what this turn brought: relayed envelopes first, then every open batch.
    pub fn propose(&mut self) -> Result<(), FollowError> {
        let time_ms = self.clock.time_ms;
        self.shared.propose(time_ms);
        for (place, partition) in self.partitions.iter_mut().enumerate() {
            partition.relay(PartitionId(place as u16), self.shared.ring.as_ref(), time_ms)?;
            partition.lane.propose(time_ms);
        }
        let lanes = self.partitions.iter_mut().map(|partition| &mut partition.lane);
        if lanes.chain([&mut self.shared]).fold(false, |any, lane| lane.take_proposed() | any) {
            self.clock.propose();
        }
        Ok(())
    }

    /// What the log must write and sync next, if anything. One buffer is in flight at a time.
    pub fn take_buffer(&mut self) -> Option<Buffer> {
        self.log.lock().take_buffer()
    }

    /// The node's log is durable up to `position`.
    pub fn synced(&mut self, position: LogPosition) {
        self.log.lock().synced(position);
        self.shared.ring.synced(position);
        for partition in &mut self.partitions {
            partition.lane.ring.synced(position);
        }
    }

    /// The next envelope of one partition's sequence, if one is decided.
    pub fn deliver(&mut self, partition: PartitionId) -> Result<Option<Delivery>, FollowError> {
        let PartitionLane { lane, sequence, .. } = &mut self.partitions[partition.index()];
        let delivery = sequence.next(lane.ring.as_ref())?;
        self.delivered += u64::from(delivery.is_some());
        Ok(delivery)
    }

    /// Whether this node leads the partition's ring.
    pub fn leads(&self, partition: PartitionId) -> bool {
        self.partitions[partition.index()].lane.ring.leads()
    }

    /// Whether this node leads the partition's ring and has heard from a quorum within [`LEADS_SURELY_MS`], so that nobody
    /// else has led it for long.
    pub fn leads_surely(&self, partition: PartitionId) -> bool {
        let now_ms = self.clock.now_ms;
        let heard = self.heard.values().filter(|then_ms| now_ms < **then_ms + LEADS_SURELY_MS).count();
        self.leads(partition) && 2 * (heard + 1) > self.members
    }

    /// Who else leads the partition's ring, as far as its member here has heard.
    pub fn leader(&self, partition: PartitionId) -> Option<NodeId> {
        self.partitions[partition.index()].lane.ring.leader()
    }

    /// Counts since the start.
    pub fn counts(&self) -> MulticastCounts {
        MulticastCounts {
            submitted: self.submitted,
            resent: self.submissions.resent(),
            delivered: self.delivered,
            in_flight: self.submissions.len() as u64,
        }
    }

    /// Every ring with a member here, the shared one last.
    pub fn status(&self) -> Vec<RingStatus> {
        let status = |ring: &dyn Ring, delivered| RingStatus {
            id: ring.id(),
            leads: ring.leads(),
            decided: ring.decided(),
            accepted: ring.accepted(),
            delivered,
        };
        let partitions = self.partitions.iter();
        partitions
            .map(|partition| status(partition.lane.ring.as_ref(), Some(partition.sequence.position())))
            .chain([status(self.shared.ring.as_ref(), None)])
            .collect()
    }

    /// Sends an envelope towards the ring that covers its destinations: into its batch if this node leads it, else to
    /// whoever does. If nobody is known to lead, it waits until somebody is.
    fn send(&mut self, envelope: &Envelope) {
        let time_ms = self.clock.time_ms;
        let lane = match envelope.destinations.single() {
            Some(partition) => &mut self.partitions[partition.index()].lane,
            None => &mut self.shared,
        };
        if lane.ring.leads() {
            return lane.push(envelope, None, time_ms);
        }
        if let Some(leader) = lane.leader {
            let mut one = EntryBuilder::default();
            one.push(envelope, None);
            let ring = lane.ring.id();
            let message = Message::Submit(ring, one.take(time_ms)).encode();
            self.sent.push(Sent { to: leader, stream: unordered(ring), after: None, message });
        }
    }

    /// Proposes what another node submitted, if this one leads; else forgets it, for it will be sent again.
    fn take_submitted(&mut self, ring: RingId, envelopes: Bytes) -> Result<(), PeerError> {
        let time_ms = self.clock.time_ms;
        let lane = self.lane(ring)?;
        let malformed = MalformedMessage { length: envelopes.len() };
        let mut entry = Entry::open(envelopes).map_err(|_| malformed)?;
        while let Some((envelope, _)) = entry.next_envelope().map_err(|_| malformed)? {
            if lane.ring.leads() {
                lane.push(&envelope, None, time_ms);
            }
        }
        Ok(())
    }

    /// Where another node has come to lead a ring, what waits for that ring is sent there, in the order submitted.
    fn send_to_new_leaders(&mut self) {
        let changed: Vec<RingId> =
            self.lanes().filter_map(|lane| lane.take_new_leader().map(|_| lane.ring.id())).collect();
        if changed.is_empty() {
            return;
        }
        for envelope in self.submissions.all() {
            let ring = envelope.destinations.single().map_or(RingId::SHARED, RingId::of);
            if changed.contains(&ring) {
                self.send(&envelope);
            }
        }
    }

    /// Takes over what the rings want to send.
    fn gather(&mut self) {
        let mut outgoing = Vec::new();
        let Multicast { partitions, shared, sent, .. } = self;
        for lane in partitions.iter_mut().map(|partition| &mut partition.lane).chain([shared]) {
            let ring = lane.ring.id();
            lane.ring.drain(&mut outgoing);
            sent.extend(outgoing.drain(..).map(|Outgoing { to, message, after }| Sent {
                to,
                stream: if after.is_some() { ordered(ring) } else { unordered(ring) },
                after,
                message: Message::Step(ring, message).encode(),
            }));
        }
    }

    fn lanes(&mut self) -> impl Iterator<Item = &mut Lane> {
        self.partitions.iter_mut().map(|partition| &mut partition.lane).chain([&mut self.shared])
    }

    fn lane(&mut self, ring: RingId) -> Result<&mut Lane, PeerError> {
        self.lanes().find(|lane| lane.ring.id() == ring).ok_or(PeerError::NoRing(ring))
    }
}

/// The stream of what a ring says about its log, in order.
fn ordered(ring: RingId) -> StreamId {
    StreamId(ring.0 * 2)
}

/// The stream of what need not wait for that.
fn unordered(ring: RingId) -> StreamId {
    StreamId(ring.0 * 2 + 1)
}
