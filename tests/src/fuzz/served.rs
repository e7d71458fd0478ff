//! A node that is alone, on a disk in memory and in a time of its own.

use bytes::BytesMut;
use eyrie::link::StartNonce;
use eyrie::{ConnectionId, Disk, Front as _, LogLimits, LogNonce, MemoryDisk, Node, NodeLog, SharedLog};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use volery::config::{GatewayConfig, GatewayLimits};
use volery::gateway::Gateway;
use volery::placement::{Placement, PlacementConfig};
use volery::service::Volery;

const PARTITIONS: u16 = 2;
/// What its wall clock says at first, in milliseconds since 1970.
pub const WALL_MS: u64 = 1_700_000_000_000;
/// More turns than anything takes that was asked for.
const TURNS_MAX: usize = 1_000;

/// What a client has been sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// All of it.
    pub bytes: BytesMut,
    /// Whether the node has closed the connection after it.
    pub closed: bool,
}

/// The node, and what its clients have been sent.
pub struct Served {
    node: Node<Volery, Gateway>,
    disk: Arc<MemoryDisk>,
    now_ms: u64,
    /// By how much its wall clock is off.
    wall_off_ms: i64,
    sent: BTreeMap<ConnectionId, Sent>,
    /// The states of the partitions as the log had them, before this start of the node did anything.
    found: Vec<u64>,
}

/// The gateway's configuration: the shortest session timeout is 2 s.
pub fn config() -> GatewayConfig {
    GatewayConfig {
        node: 0,
        port: 2181,
        data_directory: PathBuf::from("data"),
        tick_ms: 1_000,
        session_timeout_min_ms: 2_000,
        session_timeout_max_ms: 20_000,
        frame_bytes_max: 4_096,
        limits: GatewayLimits::default(),
        super_digest: None,
        secret: [7; 20],
    }
}

impl Served {
    /// A node on an empty disk.
    pub fn on_empty_disk() -> Served {
        Served::with_clock_off(0)
    }

    /// The same, with a wall clock that is off by so much when it starts.
    pub fn with_clock_off(by_ms: i64) -> Served {
        Served::on(Arc::new(MemoryDisk::new()), 0, by_ms)
    }

    /// The node again, on what its disk holds, after it has taken that up. Its clients are gone.
    pub fn restarted(self) -> Served {
        Served::on(self.disk, self.now_ms + 1, self.wall_off_ms)
    }

    /// From now on its wall clock is off by so much.
    pub fn set_clock_off(&mut self, by_ms: i64) {
        self.wall_off_ms = by_ms;
    }

    fn on(disk: Arc<MemoryDisk>, now_ms: u64, wall_off_ms: i64) -> Served {
        let limits = LogLimits { segment_bytes: 256 << 10, ..LogLimits::default() };
        let on_disk: Arc<dyn Disk> = disk.clone();
        let log = SharedLog::new(
            NodeLog::recover(on_disk, limits, LogNonce::default()).expect("nothing was damaged"),
        );
        let placement = Placement::new(PARTITIONS, &PlacementConfig::default()).expect("a placement");
        let node = Node::solo(0, StartNonce(1), Arc::new(placement), log, Gateway::new(config(), PARTITIONS));
        let mut served = Served { node, disk, now_ms, wall_off_ms, sent: BTreeMap::new(), found: Vec::new() };
        served.node.deliver().expect("a log that can be followed");
        served.found = served.state_hashes();
        served.settle();
        served.node.restarted();
        served
    }

    /// A client has connected.
    pub fn connect(&mut self, id: ConnectionId) {
        self.sent.insert(id, Sent::default());
        self.node.connected(id, ([127, 0, 0, 1], 40_000).into());
    }

    /// Whether a client is there still.
    pub fn is_connected(&self, id: ConnectionId) -> bool {
        self.sent.get(&id).is_some_and(|sent| !sent.closed)
    }

    /// Bytes of a client have come.
    pub fn receive(&mut self, id: ConnectionId, bytes: &[u8]) {
        if self.is_connected(id) {
            self.node.received(id, bytes);
        }
    }

    /// A client has gone.
    pub fn hang_up(&mut self, id: ConnectionId) {
        if self.is_connected(id) {
            self.node.disconnected(id);
            self.sent.entry(id).or_default().closed = true;
        }
    }

    /// Time passes, in turns of half a second.
    pub fn wait(&mut self, halves: usize) {
        for _ in 0..halves {
            self.now_ms += 499;
            self.turn();
        }
    }

    /// One turn of the host's loop, a millisecond after the one before, with a log that is durable at once. Says whether
    /// anything was written.
    pub fn turn(&mut self) -> bool {
        self.now_ms += 1;
        self.node.tick(self.now_ms, (WALL_MS + self.now_ms).saturating_add_signed(self.wall_off_ms));
        self.node.propose().expect("a log that can be followed");
        let buffer = self.node.take_buffer();
        if let Some(buffer) = &buffer {
            buffer.write(self.disk.as_ref()).expect("a disk that works");
            self.node.synced(buffer.position());
        }
        self.node.deliver().expect("a log that can be followed");
        if self.node.wants_status() {
            self.node.show_status(0);
        }
        self.flush();
        self.node.check_invariants();
        buffer.is_some()
    }

    /// Turns until the node has nothing more to write.
    pub fn settle(&mut self) {
        let quiet = (0..TURNS_MAX).any(|_| !self.turn() && !self.turn());
        assert!(quiet, "the node never comes to rest");
    }

    /// What the clients have been sent so far.
    pub fn sent(&self) -> &BTreeMap<ConnectionId, Sent> {
        &self.sent
    }

    /// The states of the partitions as the log had them at the start.
    pub fn found(&self) -> &[u64] {
        &self.found
    }

    /// The states of the partitions.
    pub fn state_hashes(&self) -> Vec<u64> {
        self.node.status().replicas.iter().map(|replica| replica.state_hash).collect()
    }

    fn flush(&mut self) {
        let front = self.node.front();
        for id in front.take_ready() {
            let Some(sent) = self.sent.get_mut(&id).filter(|sent| !sent.closed) else { continue };
            if let Some(output) = front.output(id) {
                sent.bytes.unsplit(output.split());
            }
            front.written(id);
            if front.closing(id) {
                front.closed(id);
                sent.closed = true;
            }
        }
    }
}
