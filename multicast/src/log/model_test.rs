//! The log against a plain model, through power losses, kills and recycling.
//!
//! A run draws everything from its seed. The model is the state after every record; whatever happens, the recovered
//! state is the one of the last buffer known to be durable or the one of the buffer that was in flight, whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::{Buffer, LogLimits, LogNonce, NodeLog};
use crate::disk::MemoryDisk;
use crate::ring_id::RingId;

const SEEDS: u64 = 4000;
const STEPS: usize = 100;
const RINGS: u16 = 3;
const SLOTS: u8 = 3;

#[derive(Clone, Debug, Default, PartialEq)]
struct ModelRing {
    first: u64,
    entries: Vec<Bytes>,
    values: BTreeMap<u8, Bytes>,
}

type Model = BTreeMap<RingId, ModelRing>;

impl ModelRing {
    fn next(&self) -> u64 {
        self.first + self.entries.len() as u64
    }
}

struct Run {
    random: SmallRng,
    disk: Arc<MemoryDisk>,
    limits: LogLimits,
    log: NodeLog,
    now: Model,
    durable: Model,
    in_flight: Option<(Buffer, Model)>,
    seen: Seen,
}

/// What the runs went through, so that they cannot all be about nothing.
#[derive(Debug, Default)]
struct Seen {
    crashes: usize,
    in_flight_kept: usize,
    in_flight_lost: usize,
    recoveries_interrupted: usize,
    read_backs: u64,
    segments: u64,
    reused: u64,
}

impl Run {
    fn new(seed: u64) -> Run {
        let mut random = SmallRng::seed_from_u64(seed);
        let disk = Arc::new(MemoryDisk::new());
        let limits = LogLimits {
            segment_bytes: 4096 * random.random_range(2..6),
            cache_bytes: random.random_range(0..6000),
            spare_segments: random.random_range(0..3),
        };
        let log = NodeLog::recover(disk.clone(), limits, LogNonce::default()).unwrap();
        let now: Model = (0..RINGS).map(|ring| (RingId(ring), ModelRing::default())).collect();
        Run { random, disk, limits, log, durable: now.clone(), now, in_flight: None, seen: Seen::default() }
    }

    fn step(&mut self) {
        match self.random.random_range(0..100) {
            0..28 => self.append(),
            28..31 => self.truncate(),
            31..35 => self.put(),
            35..42 => self.trim(),
            42..52 => {
                self.log.recycle();
            }
            52..72 => self.take(),
            72..96 => self.sync(),
            96..98 => self.crash(),
            _ => self.check_reads(),
        }
    }

    fn bytes(&mut self) -> Bytes {
        let length = match self.random.random_range(0..10) {
            0 => 0,
            1..6 => self.random.random_range(1..300),
            6..9 => self.random.random_range(300..4000),
            _ => self.random.random_range(4000..30_000),
        };
        let fill: u8 = self.random.random();
        Bytes::from(vec![fill; length])
    }

    fn ring(&mut self) -> RingId {
        RingId(self.random.random_range(0..RINGS))
    }

    fn model(&mut self, ring: RingId) -> &mut ModelRing {
        self.now.get_mut(&ring).unwrap()
    }

    fn append(&mut self) {
        let (ring, bytes) = (self.ring(), self.bytes());
        let (first, next) = (self.model(ring).first, self.model(ring).next());
        let index = if self.random.random_bool(0.1) { self.random.random_range(first..=next) } else { next };
        self.log.append(ring, index, bytes.clone());
        let model = self.model(ring);
        model.entries.truncate((index - first) as usize);
        model.entries.push(bytes);
    }

    fn truncate(&mut self) {
        let ring = self.ring();
        let (first, next) = (self.model(ring).first, self.model(ring).next());
        let from = self.random.random_range(first..=next + 2);
        self.log.truncate(ring, from);
        self.model(ring).entries.truncate((from - first) as usize);
    }

    fn trim(&mut self) {
        let ring = self.ring();
        let model = self.now.get_mut(&ring).unwrap();
        let first = match self.random.random_range(0..3) {
            0 => self.random.random_range(model.first.saturating_sub(2)..=model.next() + 2),
            _ => model.next(),
        };
        self.log.trim(ring, first);
        if first > model.first {
            let count = ((first - model.first) as usize).min(model.entries.len());
            model.entries.drain(..count);
            model.first = first;
        }
    }

    fn put(&mut self) {
        let (ring, slot, bytes) = (self.ring(), self.random.random_range(0..SLOTS), self.bytes());
        self.log.put(ring, slot, bytes.clone());
        self.model(ring).values.insert(slot, bytes);
    }

    fn take(&mut self) {
        if self.in_flight.is_some() {
            return;
        }
        let appended = self.log.appended();
        match self.log.take_buffer() {
            Some(buffer) => {
                assert_eq!(buffer.position(), appended);
                self.in_flight = Some((buffer, self.now.clone()));
            }
            None => assert_eq!(self.log.durable(), appended),
        }
    }

    fn sync(&mut self) {
        if let Some((buffer, model)) = self.in_flight.take() {
            buffer.write(self.disk.as_ref()).unwrap();
            self.log.synced(buffer.position());
            assert_eq!(self.log.durable(), buffer.position());
            self.durable = model;
            let unsynced = self.log.appended() != self.log.durable();
            assert!(unsynced || self.log.counts().cached_bytes <= self.limits.cache_bytes);
        }
    }

    /// Kills the process while it writes, at a time of the seed's choosing, with or without a power loss.
    fn crash(&mut self) {
        self.seen.crashes += 1;
        if let Some((buffer, _)) = &self.in_flight {
            self.disk.stop_after(self.random.random_range(0..8));
            let _ = buffer.write(self.disk.as_ref());
        }
        self.lose_power_or_not();
        while self.random.random_bool(0.3) {
            self.disk.stop_after(self.random.random_range(0..6));
            self.seen.recoveries_interrupted += 1;
            let _ = NodeLog::recover(self.disk.clone(), self.limits, LogNonce::default());
            self.lose_power_or_not();
        }
        self.recover();
    }

    fn lose_power_or_not(&mut self) {
        if self.random.random_bool(0.7) {
            self.disk.crash(self.random.random());
        } else {
            self.disk.resume();
        }
    }

    fn recover(&mut self) {
        self.note_counts();
        self.log = NodeLog::recover(self.disk.clone(), self.limits, LogNonce::default()).unwrap();
        let recovered = self.recovered();
        let in_flight = self.in_flight.take().map(|(_, model)| model);
        if in_flight.as_ref() == Some(&recovered) {
            self.seen.in_flight_kept += 1;
        } else {
            assert!(recovered == self.durable, "recovered {recovered:?}\n instead of {:?}", self.durable);
            self.seen.in_flight_lost += usize::from(in_flight.is_some());
        }
        assert!(self.log.counts().cached_bytes <= self.limits.cache_bytes);
        self.durable = recovered.clone();
        self.now = recovered;
        // What recovery has seen once must not vanish in a power loss that follows.
        if self.random.random_bool(0.3) {
            self.disk.crash(self.random.random());
            self.log = NodeLog::recover(self.disk.clone(), self.limits, LogNonce::default()).unwrap();
            assert_eq!(self.recovered(), self.durable);
        }
    }

    fn recovered(&self) -> Model {
        (0..RINGS).map(|ring| (RingId(ring), self.recovered_ring(RingId(ring)))).collect()
    }

    fn recovered_ring(&self, ring: RingId) -> ModelRing {
        let first = self.log.first(ring);
        let range = first..self.log.next_index(ring);
        let entries = self.log.read_range(ring, range, usize::MAX).unwrap();
        let values = (0..SLOTS).filter_map(|slot| Some((slot, self.log.value(ring, slot)?.clone())));
        ModelRing { first, entries, values: values.collect() }
    }

    fn check_reads(&self) {
        assert_eq!(self.recovered(), self.now);
    }

    fn note_counts(&mut self) {
        let counts = self.log.counts();
        self.seen.read_backs += counts.read_backs;
        self.seen.segments += counts.segments;
        self.seen.reused += counts.segments_reused;
    }
}

#[test]
fn the_log_is_its_model_through_crashes() {
    let mut total = Seen::default();
    for seed in 0..SEEDS {
        let run = std::panic::catch_unwind(|| {
            let mut run = Run::new(seed);
            for _ in 0..STEPS {
                run.step();
            }
            run.crash();
            run.seen
        });
        let Ok(seen) = run else { panic!("seed {seed} failed, see above") };
        total.crashes += seen.crashes;
        total.in_flight_kept += seen.in_flight_kept;
        total.in_flight_lost += seen.in_flight_lost;
        total.recoveries_interrupted += seen.recoveries_interrupted;
        total.read_backs += seen.read_backs;
        total.segments += seen.segments;
        total.reused += seen.reused;
    }
    let floors = [
        total.crashes,
        total.in_flight_kept * 10,
        total.in_flight_lost * 10,
        total.recoveries_interrupted,
        total.read_backs as usize,
        total.segments as usize,
        total.reused as usize * 4,
    ];
    assert!(floors.iter().all(|seen| *seen > SEEDS as usize), "too little happened: {total:?}");
}
