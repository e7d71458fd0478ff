//! One member: its disk, and its process while it lives.

use crate::disk::{Disk, MemoryDisk};
use crate::log::{Buffer, LogLimits, LogNonce, NodeLog, SharedLog};
use crate::ring::sim::Fault;
use crate::ring::{Allowances, Outgoing, PaxosRing, Ring, RingConfig, RingLimits, RingTiming};
use crate::{Entry, NodeId, RingId};
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;

pub(crate) const RING: RingId = RingId(0);
pub(crate) const TICK_US: u64 = 20_000;
const TIMING: RingTiming = RingTiming { tick_ms: TICK_US / 1000, election_ticks: 4, resend_ticks: 9 };
/// Small, so that members fall behind and catch up in several pieces: some entries each.
const RING_LIMITS: RingLimits = RingLimits { lag: 10 << 10, piece: 4 << 10, tail: 30 << 10, pace: 128 << 10 };
/// Small, so that a restart begins with a fresh segment now and then.
const LIMITS: LogLimits = LogLimits { segment_bytes: 64 << 10, cache_bytes: 8 << 10, spare_segments: 1 };

/// A member of the simulated ring.
pub(crate) struct Member {
    pub(crate) disk: Arc<MemoryDisk>,
    /// Drawn with the disk.
    pub(crate) nonce: u64,
    /// How often it has been started.
    pub(crate) incarnation: u32,
    pub(crate) running: Option<Running>,
    /// The ids of the entries that are known to be synced.
    synced: Vec<u64>,
    /// Until when its disk is slow.
    pub(crate) slow_until_us: u64,
    limits: RingLimits,
}

/// The process.
pub(crate) struct Running {
    pub(crate) log: SharedLog,
    pub(crate) ring: PaxosRing,
    pub(crate) allowances: Allowances,
    /// The buffer that is being written, from which entry on it changes the log, and the ids from there.
    pub(crate) flying: Option<(Buffer, usize, Vec<u64>)>,
    /// What waits for the log, in order.
    pub(crate) held: VecDeque<Outgoing>,
    /// Up to where its decisions were looked at.
    pub(crate) checked: u64,
    /// What was appended here and is not decided: index and id.
    pub(crate) proposed: VecDeque<(u64, u64)>,
}

/// An entry that can be told from all others, of some length.
pub(crate) fn entry(id: u64, padding: usize) -> Bytes {
    let mut bytes = vec![0; 10 + padding];
    bytes[..8].copy_from_slice(&id.to_le_bytes());
    Bytes::from(bytes)
}

/// The entry's number, 0 for a heartbeat.
fn id(entry: &Bytes) -> u64 {
    if *entry == Entry::heartbeat() {
        return 0;
    }
    u64::from_le_bytes(entry[..8].try_into().expect("an entry with a number"))
}

impl Member {
    pub(crate) fn new(nonce: u64, pace: u64) -> Member {
        let limits = RingLimits { pace, ..RING_LIMITS };
        let disk = Arc::new(MemoryDisk::new());
        Member { disk, nonce, incarnation: 0, running: None, synced: Vec::new(), slow_until_us: 0, limits }
    }

    pub(crate) fn start(&mut self, at: usize, members: usize, planted: Option<Fault>) {
        let disk: Arc<dyn Disk> = self.disk.clone();
        let log =
            SharedLog::new(NodeLog::recover(disk, LIMITS, LogNonce::default()).expect("a log that recovers"));
        let config = RingConfig {
            ring: RING,
            node: NodeId(at as u16),
            members: (0..members as u16).map(NodeId).collect(),
            preferred: NodeId(0),
            timing: TIMING,
            limits: self.limits,
        };
        let mut ring = PaxosRing::recover(config, log.clone()).expect("values that were put");
        ring.planted = planted;
        let (held, proposed, allowances) = (VecDeque::new(), VecDeque::new(), Allowances::new(self.limits));
        self.running = Some(Running { log, ring, allowances, flying: None, held, checked: 0, proposed });
        self.incarnation += 1;
        let accepted = self.ring().accepted();
        self.synced = (0..accepted).map(|index| self.id_of(index)).collect();
    }

    /// The process ends. Of what it was writing, the first `changes` changes reach the disk; if the power goes with it,
    /// the disk loses of the rest whatever `seed` says.
    pub(crate) fn crash(&mut self, changes: u64, power_loss: Option<u64>) {
        let Some(running) = self.running.take() else { return };
        let flying = running.flying.map(|(buffer, ..)| buffer);
        if let Some(buffer) = flying.or_else(|| running.log.lock().take_buffer()) {
            self.disk.stop_after(changes);
            let _ = buffer.write(self.disk.as_ref());
            self.disk.resume();
        }
        if let Some(seed) = power_loss {
            self.disk.crash(seed);
        }
    }

    pub(crate) fn ring(&self) -> &PaxosRing {
        &self.running.as_ref().expect("a member that runs").ring
    }

    pub(crate) fn id_of(&self, index: u64) -> u64 {
        id(&self.ring().read(index).expect("an entry that is held"))
    }

    pub(crate) fn has_synced(&self, index: u64, id: u64) -> bool {
        self.synced.get(index as usize) == Some(&id)
    }

    /// Takes what the log wants written, if nothing is being written.
    pub(crate) fn take_buffer(&mut self) -> bool {
        let running = self.running.as_ref().expect("a member that runs");
        if running.flying.is_some() {
            return false;
        }
        let Some(buffer) = running.log.lock().take_buffer() else { return false };
        let accepted = running.ring.accepted() as usize;
        let mut from = accepted.min(self.synced.len());
        while from > 0 && !self.is_unchanged(from - 1) {
            from -= 1;
        }
        let ids = (from..accepted).map(|index| self.id_of(index as u64)).collect();
        self.running.as_mut().expect("a member that runs").flying = Some((buffer, from, ids));
        true
    }

    /// Ids are unique, so what stands before one that is the same is the same, too; heartbeats say nothing.
    fn is_unchanged(&self, index: usize) -> bool {
        let id = self.id_of(index as u64);
        id != 0 && self.synced[index] == id
    }

    /// The buffer is written and synced. Returns what may leave now.
    pub(crate) fn synced(&mut self) -> Vec<Outgoing> {
        let running = self.running.as_mut().expect("a member that runs");
        let (buffer, from, ids) = running.flying.take().expect("a buffer in flight");
        buffer.write(self.disk.as_ref()).expect("a disk that works");
        self.synced.truncate(from);
        self.synced.extend(ids);
        let durable = buffer.position();
        running.log.lock().synced(durable);
        running.ring.synced(durable);
        let waits = |outgoing: &Outgoing| outgoing.after.is_some_and(|after| after > durable);
        let ready = running.held.iter().position(waits).unwrap_or(running.held.len());
        running.held.drain(..ready).collect()
    }
}
