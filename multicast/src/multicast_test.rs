//! A node's multicast through crashes: whatever is cut off, the partitions' sequences agree and nothing durable is lost.

use crate::disk::{Disk, MemoryDisk, Reads};
use crate::log::{LogLimits, LogNonce, NodeLog, SharedLog};
use crate::ring::SoloRing;
use crate::{
    ClientId, CommandId, Delivery, Destinations, EntryBuilder, EntryTime, Envelope, Layout, Message,
    Misaddressed, Multicast, NodeId, PartitionId, PeerError, Relayed, Ring as _, RingId, RingLimits,
    RingTiming, SharedIndex,
};
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
    Multicast::solo(
        PARTITIONS,
        SharedLog::new(NodeLog::recover(disk, limits, LogNonce::default()).expect("a log")),
    )
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
            let ages: Vec<u64> = world.delivered[p.index()].iter().map(|delivery| delivery.age_ms).collect();
            assert!(ages.is_sorted(), "seed {seed}: ages never step back");
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

fn envelope(i: u32, bits: u64) -> Envelope {
    let id = CommandId { client: ClientId(1), epoch: 0, run: 0, i };
    Envelope { id, destinations: Destinations::from_bits(bits), body: Bytes::new() }
}

fn blob(envelopes: &[(Envelope, Option<Relayed>)]) -> Bytes {
    let mut entry = EntryBuilder::default();
    envelopes.iter().for_each(|(envelope, relayed)| entry.push(envelope, *relayed));
    entry.take(EntryTime::default())
}

#[test]
fn what_a_peer_submits_to_the_wrong_place_is_refused() {
    let mut world = World::new(2);
    let submit = |world: &mut World, ring, envelope, relayed| {
        let message = Message::Submit(ring, blob(&[(envelope, relayed)]));
        world.multicast.step(NodeId(1), message.encode())
    };
    let absent = Destinations::from_bits;
    for (ring, bits, fault) in [
        (RingId(0), 0, Misaddressed::Nowhere),
        (RingId::SHARED, 0, Misaddressed::Nowhere),
        (RingId(0), 1 << 9, Misaddressed::Absent(absent(1 << 9))),
        (RingId::SHARED, 1 | 1 << 63, Misaddressed::Absent(absent(1 | 1 << 63))),
        (RingId(0), 0b10, Misaddressed::OtherRing(absent(0b10))),
        (RingId(0), 0b11, Misaddressed::OtherRing(absent(0b11))),
        (RingId::SHARED, 0b10, Misaddressed::OtherRing(absent(0b10))),
    ] {
        let refused = submit(&mut world, ring, envelope(0, bits), None);
        assert_eq!(
            refused,
            Err(PeerError::Misaddressed { ring, id: envelope(0, bits).id, fault }),
            "{bits:b}"
        );
    }
    let relayed = Relayed { k: SharedIndex(1), prev: SharedIndex(0) };
    let refused = submit(&mut world, RingId(0), envelope(0, 1), Some(relayed));
    assert!(matches!(refused, Err(PeerError::Misaddressed { fault: Misaddressed::Relayed, .. })));
    world.settle();
    assert!(world.delivered.iter().all(Vec::is_empty), "nothing was proposed");
    submit(&mut world, RingId(0), envelope(1, 1), None).expect("the ring of partition 0 orders that");
    submit(&mut world, RingId::SHARED, envelope(2, 0b11), None).expect("the shared ring orders that");
    world.settle();
    assert_eq!(world.delivered[0].len(), 2);
}

/// An older version may have put anything into a log.
#[test]
fn what_the_log_holds_and_nobody_may_deliver_is_passed_over_at_every_start() {
    let mut world = World::new(3);
    let disk: Arc<dyn Disk> = world.disk.clone();
    let limits = LogLimits { segment_bytes: 64 * 1024, ..LogLimits::default() };
    let log = SharedLog::new(NodeLog::recover(disk, limits, LogNonce::default()).expect("a log"));
    let relayed = |k, prev| Some(Relayed { k: SharedIndex(k), prev: SharedIndex(prev) });
    let mut own = SoloRing::recover(RingId(0), log.clone());
    let wrong = [(envelope(0, 0), None), (envelope(1, 1 << 40), None), (envelope(2, 0b11), None)];
    own.append(blob(&wrong));
    own.append(blob(&[(envelope(3, 0b110), relayed(9, 0)), (envelope(4, 1), None)]));
    let cut = blob(&[(envelope(5, 1), None), (envelope(6, 1), None)]);
    own.append(cut.slice(..cut.len() - 1));
    own.append(Bytes::from_static(b"?"));
    let mut shared = SoloRing::recover(RingId::SHARED, log.clone());
    shared.append(blob(&[
        (envelope(7, 0b11 | 1 << 50), None),
        (envelope(8, 0b10), None),
        (envelope(9, 0b11), None),
    ]));
    shared.append(Bytes::new());
    let buffer = log.lock().take_buffer().expect("something to write");
    buffer.write(world.disk.as_ref()).expect("a disk that works");

    for _ in 0..3 {
        world.crash();
        world.settle();
    }
    let numbers = |place: usize| world.delivered[place].iter().map(|delivery| delivery.envelope.id.i);
    assert_eq!(numbers(0).collect::<Vec<_>>(), [4, 5]);
    assert_eq!(numbers(1).collect::<Vec<_>>(), [9]);
}

/// A node of two, of which the other one is never heard. Its log has no cache, so all that is synced is read from the disk.
fn half(disk: &Arc<MemoryDisk>) -> Multicast {
    let shown: Arc<dyn Disk> = disk.clone();
    let limits = LogLimits { segment_bytes: 64 * 1024, cache_bytes: 0, ..LogLimits::default() };
    let log = SharedLog::new(NodeLog::recover(shown, limits, LogNonce::default()).expect("a log"));
    let layout = Layout::new(NodeId(1), vec![NodeId(1), NodeId(2)], 2, 1);
    Multicast::clustered(&layout, RingTiming::default(), RingLimits::default(), log)
        .expect("a log of its own")
}

#[test]
fn nothing_leaves_a_node_once_a_read_of_its_log_has_failed() {
    for reads in [Reads::Sound, Reads::Fail, Reads::Flip] {
        let disk = Arc::new(MemoryDisk::new());
        let mut multicast = half(&disk);
        multicast.tick(1, 1_000);
        let own = PartitionId::all(2).find(|partition| multicast.leads(*partition)).expect("one of two");
        multicast.submit(envelope(0, 1 << own.0)).expect("room");
        multicast.propose().expect("a log that can be followed");
        let buffer = multicast.take_buffer().expect("something to write");
        buffer.write(disk.as_ref()).expect("a disk that works");
        multicast.synced(buffer.position());
        disk.set_reads(reads);

        let delivered = multicast.deliver(own);
        multicast.resend_for(own);
        multicast.submit(envelope(1, 1 << (1 - own.0))).expect("room");
        multicast.meet(NodeId(2), 7).expect("a disk that was not met before");
        let (sent, proposed) = (multicast.drain(), multicast.propose());
        if reads == Reads::Sound {
            assert!(delivered.expect("a log that can be followed").is_some() && !sent.is_empty());
            proposed.expect("a log that can be followed");
            continue;
        }
        let error = delivered.expect_err("a log that cannot be read").to_string();
        assert!(error.contains("log file memory:00000000000000000001.log "), "{error}");
        assert_eq!(sent, [], "what was made since may lack what was not read");
        assert_eq!(proposed.expect_err("the same").to_string(), error);
        disk.set_reads(Reads::Sound);
        assert!(multicast.propose().is_err() && multicast.drain().is_empty(), "for good");
    }
}
