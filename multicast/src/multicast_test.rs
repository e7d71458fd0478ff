//! A node's multicast through crashes: whatever is cut off, the partitions' sequences agree and nothing durable is lost.

use crate::disk::{Disk, MemoryDisk};
use crate::log::{LogLimits, NodeLog, SharedLog};
use crate::{ClientId, CommandId, Delivery, Destinations, Envelope, Multicast, PartitionId, SharedIndex};
use bytes::Bytes;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use std::sync::Arc;

const PARTITIONS: u16 = 3;

/// A node, its disk, and the deliveries of each partition as remembered through crashes.
struct World {
    rng: SmallRng,
    disk: Arc<MemoryDisk>,
    multicast: Multicast,
    delivered: Vec<Vec<Delivery>>,
    /// How many of them this life of the node has delivered again.
    again: Vec<usize>,
    submitted: u32,
    now_ms: u64,
}

fn recover(disk: &Arc<MemoryDisk>) -> Multicast {
    let disk: Arc<dyn Disk> = disk.clone();
    let limits = LogLimits { segment_bytes: 64 * 1024, ..LogLimits::default() };
    Multicast::solo(PARTITIONS, SharedLog::new(NodeLog::recover(disk, limits).expect("a log")))
}

impl World {
    fn new(seed: u64) -> World {
        let disk = Arc::new(MemoryDisk::new());
        World {
            rng: SmallRng::seed_from_u64(seed),
            multicast: recover(&disk),
            disk,
            delivered: vec![Vec::new(); usize::from(PARTITIONS)],
            again: vec![0; usize::from(PARTITIONS)],
            submitted: 0,
            now_ms: 0,
        }
    }

    fn submit(&mut self) {
        let destinations = Destinations::from_bits(self.rng.random_range(1..1 << PARTITIONS));
        let id = CommandId { client: ClientId(1), epoch: 0, run: 0, i: self.submitted };
        self.submitted += 1;
        let body = Bytes::from(vec![7; self.rng.random_range(0..2_000)]);
        self.multicast.submit(Envelope { id, destinations, body }).expect("room");
    }

    /// A turn that may be cut off by a power failure at any point.
    fn turn(&mut self) {
        self.now_ms += self.rng.random_range(0..2_000);
        self.multicast.tick(self.now_ms, 1_000_000 + self.now_ms);
        for _ in 0..self.rng.random_range(0..4) {
            self.submit();
        }
        self.multicast.resend();
        self.multicast.propose().expect("a log that can be followed");
        if let Some(buffer) = self.multicast.take_buffer() {
            if self.rng.random_bool(0.1) {
                return self.crash();
            }
            buffer.write(self.disk.as_ref()).expect("a disk that works");
            if self.rng.random_bool(0.1) {
                return self.crash();
            }
            self.multicast.synced(buffer.position());
        }
        self.deliver();
    }

    fn crash(&mut self) {
        self.disk.crash(self.rng.random());
        self.multicast = recover(&self.disk);
        self.again.fill(0);
        self.now_ms = 0;
    }

    fn deliver(&mut self) {
        for partition in PartitionId::all(PARTITIONS) {
            while let Some(delivery) = self.multicast.deliver(partition).expect("a log that can be followed")
            {
                self.remember(partition.index(), delivery);
            }
        }
    }

    /// What was delivered before a crash is delivered after it, alike.
    fn remember(&mut self, place: usize, delivery: Delivery) {
        match self.delivered[place].get(self.again[place]) {
            Some(before) => assert_eq!(*before, delivery),
            None => self.delivered[place].push(delivery),
        }
        self.again[place] += 1;
    }

    fn settle(&mut self) {
        while let Some(buffer) = {
            self.multicast.propose().expect("a log that can be followed");
            self.multicast.take_buffer()
        } {
            buffer.write(self.disk.as_ref()).expect("a disk that works");
            self.multicast.synced(buffer.position());
        }
        self.deliver();
    }

    fn shared(&self, partition: PartitionId) -> Vec<(SharedIndex, Destinations)> {
        let delivered = self.delivered[partition.index()].iter();
        delivered.filter_map(|one| one.shared.map(|k| (k, one.envelope.destinations))).collect()
    }
}

#[test]
fn partitions_agree_through_power_failures() {
    for seed in 0..300 {
        let mut world = World::new(seed);
        for _ in 0..60 {
            world.turn();
        }
        world.settle();
        for p in PartitionId::all(PARTITIONS) {
            let mine = world.shared(p);
            assert!(
                mine.is_sorted_by(|a, b| a.0 < b.0),
                "seed {seed}: {p} takes shared envelopes once, in order"
            );
            for q in PartitionId::all(PARTITIONS).filter(|q| *q > p) {
                let both = |list: &[(SharedIndex, Destinations)]| -> Vec<SharedIndex> {
                    let both = list.iter().filter(|(_, to)| to.contains(p) && to.contains(q));
                    both.map(|(k, _)| *k).collect()
                };
                assert_eq!(
                    both(&mine),
                    both(&world.shared(q)),
                    "seed {seed}: {p} and {q} take what addresses both"
                );
            }
            let times: Vec<u64> =
                world.delivered[p.index()].iter().map(|delivery| delivery.time_ms).collect();
            assert!(times.is_sorted(), "seed {seed}: log time runs forward");
        }
        assert!(world.multicast.counts().delivered > 0, "seed {seed}");
    }
}

#[test]
fn an_envelope_is_sent_again_until_it_is_withdrawn() {
    let mut world = World::new(1);
    let id = CommandId { client: ClientId(1), epoch: 0, run: 0, i: 0 };
    let destinations = Destinations::all(2);
    world.multicast.submit(Envelope { id, destinations, body: Bytes::new() }).expect("room");
    world.settle();
    world.multicast.tick(60_000, 60_000);
    world.multicast.resend();
    world.settle();
    assert_eq!(world.delivered[0].len(), 2, "a repeat is delivered: those above know it by its id");
    assert!(world.multicast.withdraw(id));
    world.multicast.tick(120_000, 120_000);
    world.multicast.resend();
    world.settle();
    assert_eq!(world.delivered[0].len(), 2);
}
