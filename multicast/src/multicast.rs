//! One node's share of the atomic multicast: its rings, the relay between them, what it submits and what it delivers.

use crate::address::{self, Misaddressed};
use crate::branches::{NOBODY_LEADS_HERE, READ_FAILED, SENT_TO_NEW_LEADER};
use crate::clock::Clock;
use crate::entry::Entry;
use crate::envelope::{CommandId, Envelope};
use crate::lane::{Lane, PartitionLane};
use crate::layout::Layout;
use crate::link::{Channel, StreamId};
use crate::log::{Buffer, LogPosition, SharedLog};
use crate::message::{MalformedMessage, Message};
use crate::read_index::Told;
use crate::relay::FollowError;
use crate::ring::{
    Allowances, Amnesiac, CatchUpCounts, FollowerRing, Following, PaxosRing, RecoverError, Ring, RingConfig,
    RingLimits, RingTiming, SoloRing, StepError,
};
use crate::ring_id::RingId;
use crate::sequence::{Delivery, Position};
use crate::submission::{Submissions, SubmitError};
use crate::{Destinations, NodeId, PartitionId};
use bytes::Bytes;
use std::convert::Infallible;
use thiserror::Error;

/// An entry is proposed as soon as it holds this many bytes; the rest of a turn goes into the next one.
pub const ENTRY_BYTES: usize = 32 * 1024;

/// Whom a quorum of a ring has not said to follow for so long, is not sure to lead it any more. It is longer than a round of
/// heartbeats and its answers where everything is slow.
pub const LEADS_SURELY_MS: u64 = 2_000;

/// The stream of clocks: none of a ring.
const CLOCKS: StreamId = StreamId(u16::MAX);

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
    /// Entries proposed here by the median of the nodes' clocks, since the own one was too far off.
    pub clock_overruled: u64,
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
    /// Terms of leadership, anybody's, that this node has seen begin there since it started.
    pub elections: u64,
    /// Of these, its own.
    pub terms: u64,
    /// How far this member is behind the others, and how it has caught up before.
    pub catch_ups: CatchUpCounts,
    /// The last place delivered; none for the shared ring, which nobody delivers from.
    pub delivered: Option<Position>,
}

/// A message from this node's multicast to another's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The node it is for.
    pub to: NodeId,
    /// On which of the connections it travels.
    pub channel: Channel,
    /// What it keeps its order with.
    pub stream: StreamId,
    /// It leaves only when the node's log is durable up to here; at once if none.
    pub after: Option<LogPosition>,
    /// Whether it keeps no order with anything else, and must not wait behind anything: it may go by another connection.
    pub is_free: bool,
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
    /// There is no such ring, or no member of it here that could be asked.
    #[error("there is no ring {0} here")]
    NoRing(RingId),
    /// It submits what the ring does not order.
    #[error("command {id} is submitted to ring {ring}: {fault}")]
    Misaddressed {
        /// The ring.
        ring: RingId,
        /// The command.
        id: CommandId,
        /// What is wrong with its address.
        fault: Misaddressed,
    },
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
    /// The other nodes.
    peers: Vec<NodeId>,
    submitted: u64,
    delivered: u64,
    sent: Vec<Sent>,
    /// Whether this turn may still read a piece of a decided log for a member that is behind.
    may_serve: bool,
    /// How much each peer may have of that.
    allowances: Allowances,
    /// The lane that is asked first for the next one.
    serves_next: usize,
}

impl Multicast {
    /// The multicast of a node that is alone: every ring has one member. Takes up whatever the log holds.
    pub fn solo(partitions: u16, log: SharedLog) -> Multicast {
        let me = NodeId(0);
        let layout = Layout::new(me, vec![me], partitions, 1);
        let recover = |id| Ok(Box::new(SoloRing::recover(id, log.clone())) as Box<dyn Ring>);
        let Ok(multicast) =
            Multicast::over::<Infallible>(&layout, RingLimits::default(), log.clone(), recover);
        multicast
    }

    /// The multicast of a node among others, a member of the rings that the layout says, and a follower of the others.
    /// Takes up whatever the log holds.
    pub fn clustered(
        layout: &Layout,
        timing: RingTiming,
        limits: RingLimits,
        log: SharedLog,
    ) -> Result<Multicast, RecoverError> {
        Multicast::over(layout, limits, log.clone(), |id| recover(layout, timing, limits, id, log.clone()))
    }

    fn over<E>(
        layout: &Layout,
        limits: RingLimits,
        log: SharedLog,
        mut recover: impl FnMut(RingId) -> Result<Box<dyn Ring>, E>,
    ) -> Result<Multicast, E> {
        let mut lane = |id| Ok(Lane::new(layout, recover(id)?));
        let partitions = PartitionId::all(layout.partitions());
        let count = layout.partitions();
        let partitions = partitions.map(|p| Ok(PartitionLane::new(p, count, lane(RingId::of(p))?)));
        Ok(Multicast {
            partitions: partitions.collect::<Result<_, E>>()?,
            shared: lane(RingId::SHARED)?,
            log,
            submissions: Submissions::default(),
            clock: Clock::default(),
            peers: layout.nodes().iter().copied().filter(|node| *node != layout.me()).collect(),
            submitted: 0,
            delivered: 0,
            sent: Vec::new(),
            may_serve: false,
            allowances: Allowances::new(limits),
            serves_next: 0,
        })
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
        self.submissions.keep(envelope.clone(), self.now_ms())?;
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
        let last_ms = self.partitions.iter().map(|partition| partition.sequence.last_ms()).max();
        self.clock.tick(now_ms, wall_ms, last_ms.unwrap_or_default());
        self.may_serve = true;
        self.allowances.tick(now_ms, self.log.lock().appended());
        for lane in self.lanes() {
            lane.ring_mut().tick(now_ms);
        }
        self.partitions.iter_mut().for_each(|partition| partition.tick_age(now_ms));
        self.tell_clock();
        self.need_shared();
        self.ask_again();
        self.send_to_new_leaders();
    }

    /// A connection to another node begins, which shows the nonce of its disk. What was drained for it and has not left
    /// is to be thrown away before.
    pub fn meet(&mut self, peer: NodeId, nonce: u64) -> Result<(), Amnesiac> {
        self.gather();
        self.sent.retain(|sent| sent.to != peer);
        // It travels before anything of the rings, on their channel: a leader knows a majority's clocks before it proposes.
        self.sent.push(Sent { is_free: false, ..clock_for(peer, self.clock.own_ms()) });
        for lane in self.lanes() {
            lane.meet(peer, nonce)?;
        }
        Ok(())
    }

    /// The connection to another node has ended.
    pub fn lost(&mut self, peer: NodeId) {
        self.lanes().for_each(|lane| lane.ring_mut().lost(peer));
    }

    /// A connection to another node begins on [`Channel::Bulk`]: pieces that were drained for it before may be lost.
    pub fn bulk_connected(&mut self, peer: NodeId) {
        self.lanes().for_each(|lane| lane.ring_mut().bulk_connected(peer));
    }

    /// Handles a message of another node's multicast. Whatever it holds is checked here. After an error nothing has changed, but
    /// that envelopes before the wrong one may have been taken.
    pub fn step(&mut self, from: NodeId, message: Bytes) -> Result<(), PeerError> {
        match Message::decode(message)? {
            Message::Step(ring, message) => {
                self.lane(ring)?.step(from, message)?;
            }
            Message::Submit(ring, envelopes) => self.take_submitted(ring, envelopes)?,
            Message::Follow(ring, request) => {
                self.lane(ring)?.follow(from, request).ok_or(PeerError::NoRing(ring))??;
            }
            Message::Lead(ring) => self.lane(ring)?.lead(from).ok_or(PeerError::NoRing(ring))??,
            Message::Ask(ring, number) => {
                let told = self.lane(ring)?.asked(from, number).ok_or(PeerError::NoRing(ring))??;
                self.sent.push(told);
            }
            Message::Tell(ring, told) => {
                let malformed = MalformedMessage { length: told.len() };
                let told = Told::decode(told).ok_or(malformed)?;
                self.lane(ring)?.told(from, told)?;
            }
            Message::Clock(wall_ms) => self.clock.hear(from, wall_ms),
        }
        self.send_to_new_leaders();
        Ok(())
    }

    /// What is to be sent to other nodes for all that was done before. Called after [`take_buffer`](Multicast::take_buffer). Nothing,
    /// once a read of the log has failed: what was made since may lack what was not read.
    pub fn drain(&mut self) -> Vec<Sent> {
        self.gather();
        let sent = std::mem::take(&mut self.sent);
        if self.check_reads().is_ok() { sent } else { Vec::new() }
    }

    /// Whether the log could be read so far. The error is the end of the process, as one of [`propose`](Multicast::propose) is.
    pub fn check_reads(&self) -> Result<(), FollowError> {
        self.log.lock().check_reads().inspect_err(|_| READ_FAILED.reached())?;
        Ok(())
    }

    /// Sends again what has waited too long for its reply.
    pub fn resend(&mut self) {
        for envelope in self.submissions.due(self.now_ms()) {
            self.send(&envelope);
        }
    }

    /// Sends again at once whatever addresses the partition and has no reply yet, in the order submitted.
    pub fn resend_for(&mut self, partition: PartitionId) {
        for envelope in self.submissions.all() {
            if envelope.destinations.contains(partition) {
                self.send(&envelope);
            }
        }
    }

    /// Proposes what this turn brought: relayed envelopes first, then every open batch. After an error no buffer is taken.
    pub fn propose(&mut self) -> Result<(), FollowError> {
        let now = self.clock.now();
        self.shared.propose(now);
        for partition in &mut self.partitions {
            partition.relay(self.shared.ring(), now)?;
            partition.lane.propose(now);
        }
        let proposed = self.lanes().map(Lane::take_proposed).sum();
        self.clock.proposed(proposed);
        self.check_reads()
    }

    /// What the log must write and sync next, if anything. One buffer is in flight at a time.
    pub fn take_buffer(&mut self) -> Option<Buffer> {
        self.log.lock().take_buffer()
    }

    /// The node's log is durable up to `position`.
    pub fn synced(&mut self, position: LogPosition) {
        self.log.lock().synced(position);
        for lane in self.lanes() {
            lane.ring_mut().synced(position);
        }
    }

    /// The next envelope of one partition's sequence, if one is decided. A partition without a replica here has none.
    pub fn deliver(&mut self, partition: PartitionId) -> Result<Option<Delivery>, FollowError> {
        let PartitionLane { lane, sequence, .. } = &mut self.partitions[partition.index()];
        let delivery = sequence.next(lane.ring())?;
        self.delivered += u64::from(delivery.is_some());
        Ok(delivery)
    }

    /// The entry of a partition's ring that holds the last envelope delivered, counted from 0.
    pub fn delivered_entry(&self, partition: PartitionId) -> u64 {
        self.partitions[partition.index()].sequence.entry()
    }

    /// Asks up to where the partition's sequence must be followed so that nothing is missing that was decided anywhere before.
    /// The question's number; asked at most once a turn, for all that waits. Panics if there is no replica here.
    pub fn ask(&mut self, partition: PartitionId) -> u64 {
        let now_ms = self.now_ms();
        let (number, sent) = self.partitions[partition.index()].lane.ask(now_ms);
        self.sent.extend(sent);
        number
    }

    /// The last question whose answer has come, if everything up to there is delivered; each is given out once. It answers
    /// those before it too.
    pub fn take_answered(&mut self, partition: PartitionId) -> Option<u64> {
        let PartitionLane { lane, sequence, .. } = &mut self.partitions[partition.index()];
        lane.read_index.take(sequence.whole_entries())
    }

    /// Whether this node leads the partition's ring.
    pub fn leads(&self, partition: PartitionId) -> bool {
        self.partitions[partition.index()].lane.ring().leads()
    }

    /// Whether this node leads the partition's ring and a quorum of its members has said so within [`LEADS_SURELY_MS`], so that
    /// nobody else has led it for long.
    pub fn leads_surely(&self, partition: PartitionId) -> bool {
        self.partitions[partition.index()].lane.leads_surely(self.now_ms())
    }

    /// How long the partition's leaders have led it, by their monotonic clocks, as far as this node knows.
    pub fn age_ms(&self, partition: PartitionId) -> u64 {
        self.partitions[partition.index()].age_ms(self.now_ms())
    }

    /// Who else leads the partition's ring, as far as its member here has heard, or as the members have told this node.
    pub fn leader(&self, partition: PartitionId) -> Option<NodeId> {
        self.partitions[partition.index()].lane.ring().leader()
    }

    /// Counts since the start.
    pub fn counts(&self) -> MulticastCounts {
        MulticastCounts {
            submitted: self.submitted,
            resent: self.submissions.resent(),
            delivered: self.delivered,
            in_flight: self.submissions.len() as u64,
            clock_overruled: self.clock.entries_overruled(),
        }
    }

    /// Every ring with a member here, the shared one last.
    pub fn status(&self) -> Vec<RingStatus> {
        let partitions = self.partitions.iter().map(|p| (&p.lane, Some(p.sequence.position())));
        let lanes = partitions.chain([(&self.shared, None)]);
        lanes
            .filter(|(lane, _)| lane.is_member())
            .map(|(lane, delivered)| status(lane.ring(), delivered))
            .collect()
    }

    /// Sends an envelope towards the ring that covers its destinations: into its batch if this node leads it, else to
    /// whoever does. If nobody is known to lead, it waits until somebody is.
    fn send(&mut self, envelope: &Envelope) {
        let now = self.clock.now();
        let lane = match envelope.destinations.single() {
            Some(partition) => &mut self.partitions[partition.index()].lane,
            None => &mut self.shared,
        };
        if lane.ring().leads() {
            lane.push(envelope, None, now);
        } else {
            self.sent.extend(lane.forward(envelope));
        }
    }

    /// Proposes what another node submitted, if this one leads; else forgets it, for it will be sent again.
    fn take_submitted(&mut self, ring: RingId, envelopes: Bytes) -> Result<(), PeerError> {
        let (now, partitions) = (self.clock.now(), self.partitions());
        let lane = self.lane(ring)?;
        let malformed = MalformedMessage { length: envelopes.len() };
        let mut entry = Entry::open(envelopes).map_err(|_| malformed)?;
        while let Some((envelope, relayed)) = entry.next_envelope().map_err(|_| malformed)? {
            let id = envelope.id;
            let checked = match relayed {
                None => address::check(&envelope, ring, partitions),
                Some(_) => Err(Misaddressed::Relayed),
            };
            checked.map_err(|fault| PeerError::Misaddressed { ring, id, fault })?;
            if lane.ring().leads() {
                lane.push(&envelope, None, now);
            } else {
                NOBODY_LEADS_HERE.reached();
            }
        }
        Ok(())
    }

    /// Where another node has come to lead a ring, what waits for that ring is sent there, in the order submitted.
    fn send_to_new_leaders(&mut self) {
        let changed: Vec<RingId> =
            self.lanes().filter_map(|lane| lane.take_new_leader().map(|_| lane.id())).collect();
        if changed.is_empty() {
            return;
        }
        for envelope in self.submissions.all() {
            let ring = address::ring_of(envelope.destinations);
            if changed.contains(&ring) {
                SENT_TO_NEW_LEADER.reached();
                self.send(&envelope);
            }
        }
    }

    /// Who leads a partition ring relays into it, and must hear what the shared ring decides.
    fn need_shared(&mut self) {
        let is_needed = self.partitions.iter().any(|partition| partition.lane.ring().leads());
        self.sent.extend(self.shared.need(is_needed));
    }

    /// Asks again where questions wait for too long.
    fn ask_again(&mut self) {
        let now_ms = self.now_ms();
        for partition in &mut self.partitions {
            self.sent.extend(partition.lane.ask_again(now_ms));
        }
    }

    /// Tells the other nodes this one's clock, now and then.
    fn tell_clock(&mut self) {
        if let Some(wall_ms) = self.clock.take_telling() {
            self.sent.extend(self.peers.iter().map(|peer| clock_for(*peer, wall_ms)));
        }
    }

    fn now_ms(&self) -> u64 {
        self.clock.now().monotonic_ms
    }

    /// Takes over what the rings want to send.
    fn gather(&mut self) {
        let Multicast { partitions, shared, sent, log, .. } = self;
        for lane in partitions.iter_mut().map(|partition| &mut partition.lane).chain([shared]) {
            lane.drain(log, sent);
        }
        self.serve();
    }

    /// Reads at most one piece a turn, of one ring, so that a member that is behind holds nobody up. The rings take turns.
    fn serve(&mut self) {
        if !std::mem::take(&mut self.may_serve) {
            return;
        }
        let lanes = self.partitions.len() + 1;
        for lane in (0..lanes).map(|step| (self.serves_next + step) % lanes) {
            let Multicast { partitions, shared, sent, allowances, .. } = self;
            let lane_of = partitions.get_mut(lane).map_or(shared, |partition| &mut partition.lane);
            let served = lane_of.serve(allowances, sent);
            if served {
                self.serves_next = lane + 1;
                return;
            }
        }
    }

    fn lanes(&mut self) -> impl Iterator<Item = &mut Lane> {
        self.partitions.iter_mut().map(|partition| &mut partition.lane).chain([&mut self.shared])
    }

    fn lane(&mut self, ring: RingId) -> Result<&mut Lane, PeerError> {
        self.lanes().find(|lane| lane.id() == ring).ok_or(PeerError::NoRing(ring))
    }
}

/// A node's clock, for another.
fn clock_for(to: NodeId, wall_ms: u64) -> Sent {
    let message = Message::Clock(wall_ms).encode();
    Sent { to, channel: Channel::Ring, stream: CLOCKS, after: None, is_free: true, message }
}

/// A ring as the layout has it on this node. A ring of one member needs no consensus.
fn recover(
    layout: &Layout,
    timing: RingTiming,
    limits: RingLimits,
    ring: RingId,
    log: SharedLog,
) -> Result<Box<dyn Ring>, RecoverError> {
    let (node, members) = (layout.me(), layout.members(ring));
    if !members.contains(&node) {
        let following = following(layout, ring, log);
        return Ok(Box::new(FollowerRing::new(ring, node, members, following)));
    }
    if members.len() == 1 {
        return Ok(Box::new(SoloRing::recover(ring, log)));
    }
    let config = RingConfig { ring, node, members, preferred: layout.preferred(ring), timing, limits };
    Ok(Box::new(PaxosRing::recover(config, log)?))
}

/// Whoever may lead a partition ring relays into it, and needs what the shared ring decides.
fn following(layout: &Layout, ring: RingId, log: SharedLog) -> Following {
    let may_lead = PartitionId::all(layout.partitions()).any(|partition| layout.hosts(partition));
    if ring == RingId::SHARED && may_lead { Following::Entries(log) } else { Following::Leader }
}

fn status(ring: &dyn Ring, delivered: Option<Position>) -> RingStatus {
    RingStatus {
        id: ring.id(),
        leads: ring.leads(),
        decided: ring.decided(),
        accepted: ring.accepted(),
        elections: ring.elections(),
        terms: ring.reigns(),
        catch_ups: ring.catch_ups(),
        delivered,
    }
}
