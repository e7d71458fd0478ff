//! A machine: a disk, clocks, and the process that runs there, if it does.

use super::disk::SimDisk;
use super::process::{Membership, Process};
use crate::desk::AnswerLimits;
use crate::front::Front;
use crate::node::Node;
use crate::service::StateMachine;
use multicast::disk::{Disk, Reads};
use multicast::link::{Nonce, StartNonce};
use multicast::log::{LogLimits, LogNonce, NodeLog, SharedLog};
use multicast::{Layout, NodeId, PartitionId, RingId, RingLimits, RingTiming};
use rand::Rng as _;
use rand::rngs::SmallRng;
use std::sync::Arc;

/// When the runs of this world begin, in milliseconds since 1970.
pub const EPOCH_MS: u64 = 1_700_000_000_000;

/// For how long a start must have run before its machine may be given an older copy: by then it is durable at its peers that
/// they have met it.
const COPY_AFTER_US: u64 = 2_000_000;

/// By how much a clock that is right may be off.
const CLOCK_OFF_MS_MAX: i64 = 3_000;

/// How many nodes there are, how many partitions, and how many nodes have a replica of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Nodes.
    pub nodes: usize,
    /// Partitions.
    pub partitions: u16,
    /// Replicas of each.
    pub replicas: u16,
}

impl Shape {
    /// Ids without gaps, from 0 on, one for each node.
    pub fn dense_ids(&self) -> Vec<NodeId> {
        (0..self.nodes as u16).map(NodeId).collect()
    }
}

/// How nodes are made, whenever they start.
pub struct Blueprint<S: StateMachine, F: Front<S>> {
    /// How many of what.
    pub shape: Shape,
    /// The id of each node, ascending. A single node whose id is 0 runs as the embedded default does, without peers; any
    /// other single node is a cluster of one.
    pub ids: Vec<NodeId>,
    /// The oracle of all of them.
    pub oracle: Arc<S::Oracle>,
    /// The front of a node.
    pub front: Box<dyn Fn(NodeId) -> F>,
    /// How large the log's files are, and what of it stays in memory.
    pub limits: LogLimits,
    /// How far a member of a ring may be behind before it catches up in pieces.
    pub rings: RingLimits,
    /// How large answers between nodes may be.
    pub answers: AnswerLimits,
    /// How many steps the replicas of a node take in a turn.
    pub steps: u32,
}

/// How a machine's clocks run.
#[derive(Clone, Copy, Debug)]
struct Clocks {
    /// Millionths by which the monotonic clock is fast or slow.
    drift_ppm: i64,
    /// By how much the wall clock is ahead.
    wall_ahead_ms: i64,
}

/// A machine.
pub(super) struct Machine<S: StateMachine, F: Front<S>> {
    pub(super) me: usize,
    pub(super) disk: Arc<SimDisk>,
    pub(super) process: Option<Process<S, F>>,
    /// Its disk is damaged, or was replaced by an empty one: whatever it held counts as lost.
    pub(super) lost: bool,
    /// It cannot start any more.
    pub(super) broken: bool,
    /// When its next turn is.
    pub(super) turn_us: Option<u64>,
    /// Until when it stands still.
    pub(super) paused_us: u64,
    /// How long its disk takes, in microseconds.
    pub(super) sync_us: u64,
    pub(super) started_us: u64,
    nonce: Nonce,
    /// Its directory has no log yet.
    is_new: bool,
    /// A copy of its directory, and how often it had started then.
    copy: Option<(SimDisk, u64)>,
    clocks: Clocks,
    /// Entries of each ring that its disk holds, as last known.
    durable: Vec<(RingId, u64)>,
}

impl<S: StateMachine, F: Front<S>> Machine<S, F> {
    pub(super) fn new(me: usize, rng: &mut SmallRng) -> Machine<S, F> {
        Machine {
            me,
            disk: Arc::default(),
            process: None,
            lost: false,
            broken: false,
            turn_us: None,
            paused_us: 0,
            sync_us: rng.random_range(50..1_000),
            started_us: 0,
            nonce: Nonce(rng.random()),
            is_new: true,
            copy: None,
            clocks: Clocks {
                drift_ppm: rng.random_range(-2_000..=2_000),
                wall_ahead_ms: rng.random_range(-CLOCK_OFF_MS_MAX..=CLOCK_OFF_MS_MAX),
            },
            durable: Vec::new(),
        }
    }

    /// Starts a process on whatever the disk holds. The error is the log's.
    pub(super) fn start(&mut self, blueprint: &Blueprint<S, F>, now_us: u64) -> Result<(), String> {
        let Shape { partitions, replicas, .. } = blueprint.shape;
        let disk: Arc<dyn Disk> = self.disk.clone();
        let take_up = if self.is_new { NodeLog::begin } else { NodeLog::open };
        let log =
            take_up(disk, blueprint.limits, LogNonce(self.nonce.0)).map_err(|error| error.to_string())?;
        self.is_new = false;
        let rings = PartitionId::all(partitions).map(RingId::of).chain([RingId::SHARED]);
        self.durable = rings.map(|ring| (ring, log.next_index(ring))).collect();
        let ids = &blueprint.ids;
        let me = ids[self.me];
        // No machine starts twice at one time.
        let start = StartNonce(now_us << 8 | self.me as u64);
        let (front, log, oracle) = ((blueprint.front)(me), SharedLog::new(log), blueprint.oracle.clone());
        let mut node = if ids[..] == [NodeId(0)] {
            Node::solo(0, start, oracle, log, front)
        } else {
            let layout = Layout::new(me, ids.clone(), partitions, replicas);
            Node::clustered(&layout, start, RingTiming::default(), blueprint.rings, oracle, log, front)
                .map_err(|error| error.to_string())?
        };
        node.limit_answers(blueprint.answers);
        node.limit_steps(blueprint.steps);
        let membership = Membership { me: self.me, ids: ids.clone(), partitions, nonce: self.nonce };
        self.process = Some(Process::new(node, membership, self.durable.clone()));
        self.started_us = now_us;
        self.paused_us = 0;
        Ok(())
    }

    /// The process dies. With the power, what was not synced may be lost.
    pub(super) fn stop(&mut self, power: bool, rng: &mut SmallRng) {
        let Some(process) = self.process.take() else { return };
        self.durable = process.durable().to_vec();
        // The log's recovery cannot tell its last block, with a bit flipped, from a torn one.
        if self.disk.memory().reads() == Reads::Flip {
            self.disk.memory().set_reads(Reads::Sound);
        }
        if let Some(buffer) = process.into_writing() {
            // Whatever it got done before it died: half of the time the write, and not its sync.
            let done = if rng.random_bool(0.5) { 1 } else { rng.random_range(0..8) };
            self.disk.memory().stop_after(done);
            let _ = buffer.write(self.disk.as_ref());
            self.disk.memory().resume();
        }
        if power {
            self.disk.memory().crash(rng.random());
        }
        self.turn_us = None;
    }

    /// Puts an empty disk in.
    pub(super) fn blank(&mut self, rng: &mut SmallRng) {
        self.disk = Arc::default();
        self.nonce = Nonce(rng.random());
        self.is_new = true;
        self.durable.clear();
        self.lost = true;
    }

    /// Whether a copy of its directory was made.
    pub(super) fn has_copy(&self) -> bool {
        self.copy.is_some()
    }

    /// Makes a copy of its directory, if a process runs there. Says whether it did.
    pub(super) fn keep_copy(&mut self) -> bool {
        let Some(process) = self.process.as_mut().filter(|process| process.serves()) else { return false };
        self.copy = Some((self.disk.copy(), process.node().starts().incarnation().0));
        true
    }

    /// Whether it has started since the copy was made, and has run for a while.
    pub(super) fn is_beyond_copy(&mut self, now_us: u64) -> bool {
        let copied = self.copy.as_ref().map_or(u64::MAX, |(_, starts)| *starts);
        let runs = self.process.as_mut().filter(|process| process.serves());
        let starts = runs.map_or(0, |process| process.node().starts().incarnation().0);
        starts > copied && now_us > self.started_us + COPY_AFTER_US
    }

    /// Whether it knows by what it has met itself that the last start of a peer is this one.
    pub(super) fn has_met(&mut self, peer: NodeId, start: u64) -> bool {
        let runs = self.process.as_mut().filter(|process| process.serves());
        let met = runs.and_then(|process| process.node().acquaintance(peer).met);
        met.is_some_and(|met| met.identity.incarnation.0 == start)
    }

    /// How often it has started, if it runs.
    pub(super) fn starts(&mut self) -> Option<u64> {
        self.process.as_mut().map(|process| process.node().starts().incarnation().0)
    }

    /// Puts the copy of its disk in, and starts it in vain until it counts at least so many starts. The error is the log's.
    pub(super) fn restore(
        &mut self,
        blueprint: &Blueprint<S, F>,
        starts: u64,
        now_us: u64,
    ) -> Result<(), String> {
        let Some((disk, copied)) = self.copy.take() else { return Ok(()) };
        self.disk = Arc::new(disk);
        self.lost = true;
        for again in copied..starts {
            self.start(blueprint, now_us + again)?;
            let Some(mut process) = self.process.take() else { return Ok(()) };
            if let Some(buffer) = process.node().take_buffer() {
                buffer.write(self.disk.as_ref()).map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }

    /// Takes a piece of its directory away, and starts a process on the rest, which must not be. Says which piece it was, and
    /// whether the process was there.
    pub(super) fn lose_piece(
        &mut self,
        blueprint: &Blueprint<S, F>,
        rng: &mut SmallRng,
        now_us: u64,
    ) -> (&'static str, Result<(), String>) {
        self.lost = true;
        let segments = self.disk.segments().unwrap_or_default();
        let piece = match (rng.random_range(0..3), &segments[..]) {
            (0, _) | (_, [] | [_]) => {
                self.disk = Arc::default();
                "its log"
            }
            (1, [first, ..]) => {
                let _ = self.disk.remove(first.generation);
                "the first file of its log"
            }
            _ => {
                self.nonce = Nonce(rng.random());
                "its identity"
            }
        };
        (piece, self.start(blueprint, now_us))
    }

    /// From now on the wall clock is ahead by so much.
    pub(super) fn set_clock_ahead(&mut self, by_ms: i64) {
        self.clocks.wall_ahead_ms = by_ms;
    }

    /// Whether the wall clock is right, to a few seconds.
    pub(super) fn has_right_clock(&self) -> bool {
        self.clocks.wall_ahead_ms.abs() <= CLOCK_OFF_MS_MAX
    }

    /// What its clocks say: monotonic since the start, and since 1970.
    pub(super) fn clocks(&self, now_us: u64) -> (u64, u64) {
        let since_us = (now_us - self.started_us) as i64;
        let monotonic_ms = (since_us + since_us / 1_000 * self.clocks.drift_ppm / 1_000) / 1_000;
        let wall_ms = EPOCH_MS as i64 + (now_us / 1_000) as i64 + self.clocks.wall_ahead_ms;
        (monotonic_ms as u64, wall_ms.max(0) as u64)
    }

    /// How many entries of a ring its disk holds for certain.
    pub(super) fn durable(&self, ring: RingId) -> u64 {
        let durable = self.process.as_ref().map_or(&self.durable[..], Process::durable);
        durable.iter().find(|(id, _)| *id == ring).map_or(0, |(_, entries)| *entries)
    }
}
