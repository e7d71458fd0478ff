//! Part of target `peer`: a node among others that say anything, through its turns and restarts.

use super::draw::Draw;
use super::requests::path;
use super::served::config;
use bytes::{BufMut, Bytes};
use eyrie::link::StartNonce;
use eyrie::{
    ClientId, CommandId, Destinations, Disk, Envelope, Front as _, Layout, LogLimits, LogNonce, MemoryDisk,
    Node, NodeId, NodeLog, PartitionId, Past, Position, Request, RingId, RingLimits, RingTiming, SharedIndex,
    SharedLog, StampNumber, node_client,
};
use multicast::{EntryBuilder, EntryTime, Relayed};
use std::sync::Arc;
use volery::acl::Caller;
use volery::command::{Command, Look, Operation};
use volery::gateway::Gateway;
use volery::placement::Placement;
use volery::service::Volery;
use volery::session::{Password, SessionId};

const PARTITIONS: u16 = 3;
const ME: NodeId = NodeId(2);
const PEERS: [NodeId; 2] = [NodeId(1), NodeId(3)];
const STEPS_MAX: usize = 64;

/// The node, and its disk.
struct Hearer {
    layout: Layout,
    disk: Arc<MemoryDisk>,
    node: Node<Volery, Gateway>,
    now_ms: u64,
}

/// Tells a node whatever is drawn. It must neither panic, nor find after a restart another state than it had.
pub fn hostile(bytes: &[u8]) {
    let mut draw = Draw::new(bytes);
    let mut hearer = Hearer::new(draw.flag());
    for _ in 0..STEPS_MAX {
        if draw.is_done() {
            break;
        }
        hearer.step(&mut draw);
    }
    hearer.turn();
    hearer.turn();
    hearer.restart();
}

impl Hearer {
    /// A node that is alone orders everything itself; among others it hears of what it does not host.
    fn new(is_alone: bool) -> Hearer {
        let nodes = if is_alone { vec![ME] } else { vec![PEERS[0], ME, PEERS[1]] };
        let layout = Layout::new(ME, nodes, PARTITIONS, 1);
        let disk = Arc::new(MemoryDisk::new());
        let node = recover(&layout, &disk);
        let mut hearer = Hearer { layout, disk, node, now_ms: 0 };
        hearer.turn();
        hearer
    }

    fn step(&mut self, draw: &mut Draw) {
        let from = draw.choose(&PEERS);
        match draw.below(16) {
            0 if self.layout.nodes().len() > 1 => {
                self.node.meet(from, 100 + u64::from(from.0)).expect("the disk it had");
                self.node.found(from);
            }
            1 if self.layout.nodes().len() > 1 => self.node.lost(from),
            2 => self.restart(),
            0..=4 => self.turn(),
            5..=11 => _ = self.node.step(from, message(draw).encode()),
            12 => _ = self.node.step(from, Bytes::copy_from_slice(draw.bytes(60))),
            _ => self.node.told(from, telling(draw)),
        }
    }

    fn turn(&mut self) {
        self.now_ms += 10;
        self.node.tick(self.now_ms, 1_700_000_000_000 + self.now_ms);
        self.node.propose().expect("a log that can be followed");
        if let Some(buffer) = self.node.take_buffer() {
            buffer.write(self.disk.as_ref()).expect("a disk that works");
            self.node.synced(buffer.position());
        }
        self.node.deliver().expect("a log that can be followed");
        let _ = (self.node.drain_sent(), self.node.drain_told(), self.node.front().take_ready());
        self.node.check_invariants();
    }

    fn restart(&mut self) {
        self.turn();
        let before = hashes(&self.node);
        self.node = recover(&self.layout, &self.disk);
        self.node.deliver().expect("a log that can be followed");
        if self.layout.nodes().len() == 1 {
            assert_eq!(hashes(&self.node), before, "a restart finds another state");
        }
    }
}

fn recover(layout: &Layout, disk: &Arc<MemoryDisk>) -> Node<Volery, Gateway> {
    let on_disk: Arc<dyn Disk> = disk.clone();
    let limits = LogLimits { segment_bytes: 256 << 10, ..LogLimits::default() };
    let log =
        SharedLog::new(NodeLog::recover(on_disk, limits, LogNonce::default()).expect("nothing was damaged"));
    let oracle = Arc::new(Placement::over(PARTITIONS));
    let front = Gateway::new(config(), PARTITIONS);
    Node::clustered(layout, StartNonce(1), RingTiming::default(), RingLimits::default(), oracle, log, front)
        .expect("a log of this version")
}

fn hashes(node: &Node<Volery, Gateway>) -> Vec<u64> {
    node.status().replicas.iter().map(|replica| replica.state_hash).collect()
}

fn message(draw: &mut Draw) -> multicast::Message {
    use multicast::Message;
    let ring = RingId(draw.choose(&[0, 1, 2, RingId::SHARED.0, RingId::SHARED.0, 3, 65, 9]));
    match draw.below(12) {
        0 => Message::Step(ring, Bytes::copy_from_slice(draw.bytes(60))),
        1 => Message::Follow(ring, Bytes::copy_from_slice(draw.bytes(30))),
        2 => Message::Lead(ring),
        3 => Message::Ask(ring, draw.number()),
        4 => Message::Tell(ring, Bytes::copy_from_slice(draw.bytes(40))),
        _ => Message::Submit(ring, entry(draw)),
    }
}

/// Envelopes, some of them such as no node of this version submits.
fn entry(draw: &mut Draw) -> Bytes {
    let mut entry = EntryBuilder::default();
    for _ in 0..1 + draw.below(3) {
        let relayed = Relayed { k: SharedIndex(draw.byte().into()), prev: SharedIndex(draw.byte().into()) };
        entry.push(&envelope(draw), draw.once_in(8).then_some(relayed));
    }
    let blob = entry.take(EntryTime::default());
    let kept = if draw.once_in(16) { draw.below(256).min(blob.len()) } else { blob.len() };
    blob.slice(..kept)
}

fn envelope(draw: &mut Draw) -> Envelope {
    let client = match draw.below(4) {
        0 => ClientId(draw.number()),
        1 => ClientId(7),
        _ => node_client(draw.choose(&[1, 2, 3])),
    };
    let id =
        CommandId { client, epoch: draw.choose(&[0, 1, u32::MAX]), run: draw.byte().into(), i: number(draw) };
    let bits = draw.choose(&[1, 2, 4, 3, 6, 7, 0, 8, 9, 1 << 63, u64::MAX]);
    let body = if draw.once_in(8) { Bytes::copy_from_slice(draw.bytes(60)) } else { body(draw) };
    Envelope { id, destinations: Destinations::from_bits(bits), body }
}

fn number(draw: &mut Draw) -> u32 {
    draw.choose(&[0, 0, 0, 1, 2, u32::MAX])
}

fn body(draw: &mut Draw) -> Bytes {
    let places = (0..draw.below(3))
        .map(|_| {
            (PartitionId(draw.short()), Position { configuration: draw.byte().into(), index: draw.number() })
        })
        .collect();
    let past = Past { stamp: StampNumber(draw.number() >> 2), places };
    let origin = NodeId(draw.choose(&[1, 2, 3, 9]));
    Request::<Volery>::encode(&Request {
        origin,
        acknowledged: draw.byte().into(),
        past,
        command: command(draw),
    })
}

fn command(draw: &mut Draw) -> Command {
    let session = SessionId(draw.choose(&[7, 8, 0, u64::MAX]));
    let (epoch, password) = (draw.choose(&[0, 1, u32::MAX]), Password([1; 16]));
    let caller = Caller::from([127, 0, 0, 1].into());
    match draw.below(10) {
        0 => Command::CreateSession { session, password, timeout_ms: number(draw) },
        1 => Command::Move { session, password, timeout_ms: number(draw) },
        2 => Command::Close { session, epoch },
        3 => Command::Expire { session, epoch, reign: number(draw) },
        4 => Command::Advance { partition: PartitionId(draw.short()) },
        5 => Command::Reign { partition: PartitionId(draw.choose(&[0, 1, 2, 3, 63, 64, 999])) },
        6 | 7 => Command::Attach { session, epoch, caller, operation: operation(draw) },
        _ => Command::Operate { caller, operation: operation(draw) },
    }
}

fn operation(draw: &mut Draw) -> Operation {
    let one = |draw: &mut Draw| match draw.below(5) {
        0 => Operation::Probe(vec![path(draw)]),
        1 => Operation::Look(Look::GetChildren { path: path(draw), with_stat: draw.flag() }),
        2 => Operation::CountDescendants(path(draw)),
        3 => Operation::Multi(vec![]),
        _ => Operation::Sync(path(draw)),
    };
    if draw.flag() { one(draw) } else { Operation::Burst((0..draw.below(4)).map(|_| one(draw)).collect()) }
}

fn telling(draw: &mut Draw) -> eyrie::Message {
    use eyrie::Message;
    let partition = PartitionId(draw.choose(&[0, 1, 2, 3, 64, u16::MAX]));
    let number = draw.choose(&[0, 1, 2, u64::MAX]);
    match draw.below(6) {
        0 => Message::Front(Bytes::copy_from_slice(draw.bytes(60))),
        1 => {
            Message::Subscribe { partition, number, after: SharedIndex(draw.number()), follows: draw.flag() }
        }
        2 => Message::Acknowledge { partition, command: SharedIndex(draw.number()) },
        3 => Message::Follow { partition, number },
        _ => {
            let output = draw.bytes(80);
            let mut outputs = Vec::new();
            outputs.put_u32_le(output.len() as u32);
            outputs.put_slice(output);
            let sequence = draw.choose(&[0, 0, 1, u64::MAX]);
            Message::Outputs { partition, number, sequence, outputs: outputs.into() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::SmallRng;
    use rand::{Rng as _, SeedableRng as _};

    /// A fuzzer finds more; this finds again what was found.
    #[test]
    fn whatever_peers_say_breaks_nothing() {
        for seed in 0..400 {
            let mut rng = SmallRng::seed_from_u64(seed);
            let bytes: Vec<u8> = (0..rng.random_range(20..600)).map(|_| rng.random()).collect();
            hostile(&bytes);
        }
    }
}
