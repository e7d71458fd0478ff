//! A node that is alone, with small limits, and clients that read or do not.

mod bounds;

use super::watches::WATCH_BYTES;
use super::{Gateway, rearm};
use crate::config::{GatewayConfig, GatewayLimits};
use crate::placement::{Placement, PlacementConfig};
use crate::service::Volery;
use crate::wire::{
    Acl, AddWatchMode, ConnectRequest, ConnectResponse, Create, CreateMode, ErrorCode, MultiOp, OpCode,
    Reader, Record, Reply, ReplyHeader, Request, SetData, SetWatches, XID_NOTIFICATION, take_frame,
    write_frame,
};
use bytes::{Buf, Bytes, BytesMut};
use eyrie::link::StartNonce;
use eyrie::{ConnectionId, Disk, Front as _, LogLimits, LogNonce, MemoryDisk, Node, NodeLog, SharedLog};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const PARTITIONS: u16 = 2;
const WALL_MS: u64 = 1_700_000_000_000;
/// What surrounds the data in the reply to a getData.
const BESIDE: usize = 4 + 16 + 4 + 68;

/// What one client has been sent and has not looked at.
#[derive(Default)]
struct Client {
    input: BytesMut,
    reads: bool,
}

struct World {
    node: Node<Volery, Gateway>,
    disk: Arc<MemoryDisk>,
    now_ms: u64,
    clients: BTreeMap<ConnectionId, Client>,
    closed: BTreeSet<ConnectionId>,
    /// What the clients have sent and the node has not read.
    unread: BTreeMap<ConnectionId, BytesMut>,
    /// The disk takes nothing, so nothing is ordered.
    stalls: bool,
}

impl World {
    fn new(limits: GatewayLimits) -> World {
        let disk = Arc::new(MemoryDisk::new());
        let on_disk: Arc<dyn Disk> = disk.clone();
        let log =
            SharedLog::new(NodeLog::recover(on_disk, LogLimits::default(), LogNonce::default()).unwrap());
        let placement = Placement::new(PARTITIONS, &PlacementConfig::default()).unwrap();
        let config = GatewayConfig {
            node: 0,
            port: 0,
            data_directory: "nowhere".into(),
            tick_ms: 1_000,
            session_timeout_min_ms: 100,
            session_timeout_max_ms: 1_000_000,
            frame_bytes_max: 10_000,
            limits,
            super_digest: None,
            secret: [7; 20],
        };
        let node = Node::solo(0, StartNonce(1), Arc::new(placement), log, Gateway::new(config, PARTITIONS));
        let (clients, closed, unread) = Default::default();
        let mut world = World { node, disk, now_ms: 0, clients, closed, unread, stalls: false };
        world.settle();
        world.node.restarted();
        world
    }

    /// Connects a client with a session.
    fn open(&mut self, number: u64, timeout_ms: i32) -> ConnectionId {
        let id = self.connect(number);
        self.greet(id, timeout_ms);
        self.settle();
        let welcome = self.frames(id).remove(0);
        assert_ne!(ConnectResponse::read(&mut Reader::new(welcome)).unwrap().session_id, 0);
        id
    }

    /// Asks for a session.
    fn greet(&mut self, id: ConnectionId, timeout_ms: i32) {
        let mut output = BytesMut::new();
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: 0,
            timeout_ms,
            session_id: 0,
            password: Bytes::from_static(&[0; 16]),
            read_only: None,
        };
        write_frame(&mut output, |output| request.write(output));
        self.send_bytes(id, &output);
    }

    fn connect(&mut self, number: u64) -> ConnectionId {
        let id = ConnectionId(number);
        self.clients.insert(id, Client { reads: true, ..Client::default() });
        self.node.connected(id, ([127, 0, 0, 1], 40_000).into());
        id
    }

    fn send_bytes(&mut self, id: ConnectionId, bytes: &[u8]) {
        self.unread.entry(id).or_default().extend_from_slice(bytes);
    }

    fn send(&mut self, id: ConnectionId, requests: &[Request]) {
        let mut output = BytesMut::new();
        for (xid, request) in (1..).zip(requests) {
            request.write_frame(xid, &mut output);
        }
        self.send_bytes(id, &output);
    }

    fn stop_reading(&mut self, id: ConnectionId) {
        self.clients.get_mut(&id).unwrap().reads = false;
    }

    fn read_on(&mut self, id: ConnectionId) {
        self.clients.get_mut(&id).unwrap().reads = true;
        self.flush(id);
    }

    /// What the node has read of a client, in pieces of 100 bytes while it wants them. Says whether there was anything.
    fn read(&mut self, id: ConnectionId) -> bool {
        let mut any = false;
        while let Some(unread) = self.unread.get_mut(&id).filter(|unread| !unread.is_empty())
            && self.node.front().reading(id)
        {
            let length = unread.len().min(100);
            let piece = unread.split_to(length);
            self.node.received(id, &piece);
            any = true;
        }
        any
    }

    fn flush(&mut self, id: ConnectionId) {
        let client = self.clients.get_mut(&id).unwrap();
        let front = self.node.front();
        let Some(output) = front.output(id) else { return };
        if client.reads {
            client.input.extend_from_slice(output);
            output.advance(output.len());
        }
        let is_empty = output.is_empty();
        front.written(id);
        if is_empty && front.closing(id) {
            front.closed(id);
            self.closed.insert(id);
        }
    }

    fn turn(&mut self) -> bool {
        self.now_ms += 1;
        self.node.tick(self.now_ms, WALL_MS + self.now_ms);
        let ids: Vec<ConnectionId> = self.clients.keys().copied().collect();
        let mut any = ids.into_iter().fold(false, |any, id| self.read(id) | any);
        self.node.propose().unwrap();
        if !self.stalls
            && let Some(buffer) = self.node.take_buffer()
        {
            buffer.write(self.disk.as_ref()).unwrap();
            self.node.synced(buffer.position());
            any = true;
        }
        self.node.deliver().unwrap();
        let ready = self.node.front().take_ready();
        any |= !ready.is_empty() || self.node.is_behind();
        ready.into_iter().for_each(|id| self.flush(id));
        self.check();
        any
    }

    fn settle(&mut self) {
        assert!((0..10_000).any(|_| !self.turn() && !self.turn()), "the node never comes to rest");
    }

    fn pass(&mut self, ms: u64) {
        for _ in 0..ms / 500 {
            self.now_ms += 499;
            self.turn();
        }
    }

    /// What is counted is what is held, and no more than may be with one reply or request beyond.
    fn check(&mut self) {
        let front = self.node.front();
        let (mut accepted, mut output) = (0, 0);
        for connection in front.connections.values() {
            let usage = connection.usage();
            accepted += usage.accepted;
            output += usage.output;
            assert!(usage.output <= front.config.limits.notified_bytes, "{usage:?}");
        }
        assert_eq!((front.usage.accepted, front.usage.output), (accepted, output));
    }

    fn output_bytes(&mut self, id: ConnectionId) -> usize {
        self.node.front().connections[&id].output.len()
    }

    fn accepted_bytes(&mut self, id: ConnectionId) -> usize {
        self.node.front().connections[&id].usage().accepted
    }

    fn frames(&mut self, id: ConnectionId) -> Vec<Bytes> {
        let input = &mut self.clients.get_mut(&id).unwrap().input;
        std::iter::from_fn(|| take_frame(input, usize::MAX >> 33).unwrap()).collect()
    }

    /// The headers of what a client has been sent.
    fn headers(&mut self, id: ConnectionId) -> Vec<ReplyHeader> {
        let frames = self.frames(id).into_iter();
        frames.map(|frame| ReplyHeader::read(&mut Reader::new(frame)).unwrap()).collect()
    }

    fn errors(&mut self, id: ConnectionId, requests: &[Request]) -> Vec<Option<ErrorCode>> {
        self.send(id, requests);
        self.settle();
        self.headers(id).into_iter().map(|header| header.error).collect()
    }

    fn make(&mut self, id: ConnectionId, path: &str, data_bytes: usize) {
        assert_eq!(self.errors(id, &[create(path, data_bytes)]), [None]);
    }
}

fn create(path: &str, data_bytes: usize) -> Request {
    Request::Create(Create {
        path: path.into(),
        data: Some(vec![7; data_bytes].into()),
        acl: Acl::open_unsafe(),
        mode: Ok(CreateMode::Persistent),
        with_stat: false,
    })
}

fn get(path: &str) -> Request {
    Request::GetData { path: path.into(), watch: false }
}

fn set(path: &str, data_bytes: usize) -> Request {
    Request::SetData(SetData { path: path.into(), data: Some(vec![8; data_bytes].into()), version: -1 })
}

fn children(path: &str) -> Request {
    Request::GetChildren { path: path.into(), watch: false }
}

fn small() -> GatewayLimits {
    GatewayLimits {
        reply_bytes: 40_000,
        outstanding: 100,
        in_flight: 1_000,
        accepted_bytes: 5_000,
        accepted_bytes_of_all: 20_000,
        promised_bytes: 4_000,
        output_bytes: 2_000,
        output_bytes_of_all: 10_000,
        notified_bytes: 20_000,
        turn_bytes: 3_000,
        watch_bytes: 2_000,
        watch_bytes_of_all: 5_000,
        slow_ms: 30_000,
        slow_when_full_ms: 5_000,
    }
}

#[test]
fn output_is_bounded_before_a_reply_is_made_and_others_are_served() {
    let mut world = World::new(small());
    let [slow, other] = [world.open(1, 100_000), world.open(2, 100_000)];
    world.make(other, "/a", 500);
    world.stop_reading(slow);
    world.send(slow, &vec![get("/a"); 500]);
    world.settle();
    let most = small().output_bytes + 500 + BESIDE;
    assert!((small().output_bytes..most).contains(&world.output_bytes(slow)));
    assert_eq!(world.errors(other, &[get("/a"), set("/a", 400)]), [None, None]);
    for _ in 0..10 {
        world.turn();
        assert!(world.output_bytes(slow) < most, "time makes no more of it");
    }
    world.read_on(slow);
    world.settle();
    let xids: Vec<i32> = world.headers(slow).iter().map(|header| header.xid).collect();
    assert_eq!(xids, (1..=500).collect::<Vec<_>>());
}

#[test]
fn output_of_all_is_bounded_and_every_client_has_its_share() {
    let mut world = World::new(small());
    let writer = world.open(100, 100_000);
    world.make(writer, "/a", 500);
    let slow: Vec<ConnectionId> = (0..20).map(|number| world.open(number, 100_000)).collect();
    for id in &slow {
        world.stop_reading(*id);
        world.send(*id, &vec![get("/a"); 50]);
    }
    world.settle();
    let of_all: usize = slow.iter().map(|id| world.output_bytes(*id)).sum();
    let all = small().output_bytes_of_all;
    let reply = 500 + BESIDE;
    assert!((all..2 * all + 20 * reply).contains(&of_all), "{of_all} bytes");
    assert_eq!(world.errors(writer, &vec![get("/a"); 30]), [None; 30]);
    slow.iter().for_each(|id| world.read_on(*id));
    world.settle();
    assert!(slow.iter().all(|id| world.headers(*id).len() == 50));
}

#[test]
fn a_client_that_takes_none_of_its_output_for_too_long_is_closed_and_one_that_takes_some_is_not() {
    let mut world = World::new(small());
    let [slow, slower] = [world.open(1, 30_000), world.open(2, 110_000)];
    world.make(slow, "/a", 500);
    for id in [slow, slower] {
        world.stop_reading(id);
        world.send(id, &vec![get("/a"); 50]);
    }
    world.settle();
    for _ in 0..3 {
        world.pass(25_000);
        let output = world.node.front().output(slow).unwrap();
        output.advance(1);
        world.node.front().written(slow);
    }
    assert!(world.node.front().connections.contains_key(&slow), "it has taken a byte now and then");
    assert!(world.node.front().connections.contains_key(&slower), "its session's timeout is longer");
    world.pass(40_000);
    assert!(world.closed.contains(&slow), "it has taken nothing for 30 s");
    assert!(world.closed.contains(&slower), "it has taken nothing for longer than its timeout");
    assert_eq!(world.node.front().usage.output, 0);
}

#[test]
fn accepted_bytes_are_bounded_before_the_socket_is_read() {
    let mut world = World::new(small());
    let ids: Vec<ConnectionId> = (0..20).map(|number| world.open(number, 100_000)).collect();
    world.make(ids[0], "/a", 0);
    for id in &ids {
        world.send(*id, &vec![set("/a", 900); 40]);
        while world.read(*id) {}
        let held = world.accepted_bytes(*id);
        assert!(held < small().accepted_bytes + 1_100, "{held} bytes of one");
    }
    let held = world.node.front().usage.accepted;
    let all = small().accepted_bytes_of_all;
    assert!((all..2 * all + 20 * 1_100).contains(&held), "{held} bytes of all");
    let last = ids[19];
    assert!(world.accepted_bytes(last) > 0, "the last one has its share");
    world.settle();
    assert!(ids.iter().all(|id| world.headers(*id).len() == 40));
    assert_eq!(world.node.front().usage.accepted, 0);
}

#[test]
fn one_request_may_be_longer_than_what_a_connection_may_have_accepted() {
    let mut world = World::new(small());
    let id = world.open(1, 100_000);
    world.make(id, "/a", 0);
    assert_eq!(world.errors(id, &[set("/a", 9_000), set("/a", 9_000), get("/a")]), [None; 3]);
}

#[test]
fn parts_of_requests_that_keep_others_from_theirs_do_not_stay() {
    let mut world = World::new(small());
    let ids: Vec<ConnectionId> = (0..3).map(|number| world.open(number, 100_000)).collect();
    for id in &ids {
        let mut part = 9_999_i32.to_be_bytes().to_vec();
        part.resize(9_000, 0);
        world.send_bytes(*id, &part);
    }
    let other = world.open(9, 100_000);
    world.settle();
    assert!(world.node.front().usage.accepted >= small().accepted_bytes_of_all);
    assert_eq!(world.errors(other, &[create("/small", 100)]), [None], "it has its share");
    world.send(other, &[create("/large", 8_000)]);
    world.settle();
    assert!(world.headers(other).is_empty());
    world.pass(10_000);
    world.settle();
    assert!(ids.iter().any(|id| world.closed.contains(id)));
    assert_eq!(world.headers(other).len(), 1);
}

#[test]
fn a_client_that_does_not_take_its_notifications_is_closed_at_the_limit() {
    let mut world = World::new(small());
    let [watcher, writer] = [world.open(1, 100_000), world.open(2, 100_000)];
    let path = format!("/{}", "x".repeat(1_000));
    world.make(writer, &path, 0);
    let watch = Request::AddWatch { path: path.as_str().into(), mode: AddWatchMode::Persistent };
    assert_eq!(world.errors(watcher, &[watch]), [None]);
    world.stop_reading(watcher);
    let event = 4 + 16 + 4 + 4 + 4 + path.len();
    let most = small().notified_bytes / event;
    for _ in 0..most {
        assert_eq!(world.errors(writer, &[set(&path, 1)]), [None]);
    }
    assert!(!world.closed.contains(&watcher));
    world.read_on(watcher);
    world.turn();
    let sent = world.headers(watcher);
    assert!(sent.len() == most && sent.iter().all(|header| header.xid == XID_NOTIFICATION));
    world.stop_reading(watcher);
    for _ in 0..=most {
        assert_eq!(world.errors(writer, &[set(&path, 1)]), [None]);
    }
    assert!(world.closed.contains(&watcher));
    assert_eq!(world.node.front().usage.output, 0);
}

fn watch(path: &str) -> Request {
    Request::Exists { path: path.into(), watch: true }
}

#[test]
fn a_watch_beyond_the_limit_is_throttled_until_another_one_is_gone() {
    let each = WATCH_BYTES + "/0".len();
    for (limit, throttled) in
        [(3 * each, 7), (3 * each + 1, 6), (4 * each - 1, 6), (4 * each, 6), (each / 10, 9)]
    {
        let mut world = World::new(GatewayLimits { watch_bytes: limit, ..small() });
        let [watcher, writer] = [world.open(1, 100_000), world.open(2, 100_000)];
        for n in 0..10 {
            let error = if n < 10 - throttled { ErrorCode::NoNode } else { ErrorCode::ThrottledOp };
            assert_eq!(world.errors(watcher, &[watch(&format!("/{n}"))]), [Some(error)], "{n} of {limit}");
        }
        world.make(writer, "/0", 0);
        world.settle();
        let told = world.headers(watcher);
        assert_eq!(told.len(), 1, "the first was armed");
        assert_eq!(world.errors(watcher, &[watch("/9")]), [Some(ErrorCode::NoNode)], "there is room again");
        let add = Request::AddWatch { path: "/8".into(), mode: AddWatchMode::Persistent };
        assert_eq!(world.errors(watcher, &[add, get("/0")]), [Some(ErrorCode::ThrottledOp), None]);
    }
}

#[test]
fn a_client_whose_old_watches_have_no_room_is_closed() {
    let mut world = World::new(GatewayLimits { watch_bytes: WATCH_BYTES, ..small() });
    let id = world.open(1, 100_000);
    assert_eq!(world.errors(id, &[watch("/0")]), [Some(ErrorCode::NoNode)]);
    let watches = SetWatches { exist: vec!["/1".into()], ..SetWatches::default() };
    world.send(id, &[Request::SetWatches(watches)]);
    world.settle();
    assert!(world.closed.contains(&id));
    assert_eq!(world.node.front().watches.bytes(id), (0, 0), "nothing is left of its watches");
}

#[test]
fn a_reply_is_a_marshalling_error_from_one_byte_beyond_its_limit() {
    let list = |count: usize| Reply::Names((0..count).map(|n| format!("{n:05}")).collect()).bytes();
    for (limit, error) in [
        (list(100) - 1, Some(ErrorCode::MarshallingError)),
        (list(100), None),
        (list(100) + 1, None),
        (list(10), Some(ErrorCode::MarshallingError)),
    ] {
        let mut world = World::new(GatewayLimits { reply_bytes: limit, ..small() });
        let id = world.open(1, 100_000);
        world.make(id, "/a", 0);
        for n in 0..100 {
            world.make(id, &format!("/a/{n:05}"), 0);
        }
        assert_eq!(world.errors(id, &[children("/a"), get("/a")]), [error, None]);
    }
}

#[test]
fn no_more_replies_are_made_than_were_promised() {
    let mut world = World::new(small());
    let [reader, writer] = [world.open(1, 100_000), world.open(2, 100_000)];
    world.make(writer, "/a", 900);
    world.stop_reading(reader);
    world.send(reader, &vec![get("/a"); 100]);
    world.settle();
    let connection = world.node.front().connections.get_mut(&reader).unwrap();
    let promised = connection.pipeline().unwrap().promised();
    assert!(promised <= small().promised_bytes + 900 + BESIDE + 200, "{promised} bytes of replies are made");
    // The next ones show what is there when they can be sent.
    assert_eq!(world.errors(writer, &[set("/a", 1)]), [None]);
    world.read_on(reader);
    world.settle();
    let frames = world.frames(reader);
    let shown = |frame: &Bytes| {
        let mut reader = Reader::new(frame.clone());
        ReplyHeader::read(&mut reader).unwrap();
        match Reply::read(OpCode::GetData, &mut reader).unwrap() {
            Reply::Data { data, .. } => data.unwrap().len(),
            other => panic!("{other:?}"),
        }
    };
    let sizes: Vec<usize> = frames.iter().map(shown).collect();
    assert!(sizes.len() == 100 && sizes.is_sorted_by(|a, b| a >= b) && sizes[99] == 1, "{sizes:?}");
}

#[test]
fn what_was_large_once_is_given_back() {
    let mut world = World::new(GatewayLimits { output_bytes: 1 << 20, promised_bytes: 1 << 20, ..small() });
    let id = world.open(1, 100_000);
    world.make(id, "/a", 9_000);
    let mut requests = vec![set("/a", 9_000); 50];
    requests.extend(vec![get("/a"); 50]);
    assert_eq!(world.errors(id, &requests), [None; 100]);
    let connection = world.node.front().connections.get_mut(&id).unwrap();
    assert!(connection.output.capacity() <= 64 << 10, "{} bytes of output", connection.output.capacity());
    assert!(connection.input.capacity() <= 64 << 10, "{} bytes of input", connection.input.capacity());
    let pipeline = connection.pipeline().unwrap();
    assert_eq!((pipeline.outstanding(), pipeline.bytes(), pipeline.promised()), (0, 0, 0));
}

/// Steps that a turn has where a test says so.
const STEPS: u32 = 40;

#[test]
fn between_the_slices_of_a_long_request_others_are_served() {
    let mut world = World::new(GatewayLimits::default());
    let (a, b) = (world.open(1, 30_000), world.open(2, 30_000));
    world.make(a, "/m", 1);
    world.make(a, "/m/n", 1);
    world.node.limit_steps(STEPS);
    world.node.restarted();
    let creates = (0..100).map(|n| match create(&format!("/m/n/{n:03}"), 1) {
        Request::Create(create) => MultiOp::Create(create),
        other => panic!("{other:?}"),
    });
    world.send(a, &[Request::Multi(creates.collect())]);
    let mut pings = 0;
    let replies = loop {
        world.send(b, &[Request::Ping]);
        world.turn();
        pings += world.headers(b).len();
        let replies = world.headers(a);
        if !replies.is_empty() {
            break replies;
        }
        assert!(pings < 1_000, "the multi is not answered");
    };
    assert!(pings > 10, "others were served {pings} times meanwhile");
    assert_eq!(replies[0].error, None);
    let counts: Vec<_> = world.node.status().replicas.iter().map(|replica| replica.counts).collect();
    assert!(counts.iter().all(|counts| counts.steps_max < 2 * STEPS), "{counts:?}");
}

#[test]
fn a_long_set_watches_is_probed_in_parts() {
    let mut world = World::new(GatewayLimits::default());
    let a = world.open(1, 30_000);
    let executed = |world: &World| {
        world.node.status().replicas.iter().map(|replica| replica.counts.executed).sum::<u64>()
    };
    let before = executed(&world);
    let paths = 2 * rearm::PROBED_MAX;
    let exist = (0..paths).map(|n| Arc::from(format!("/{n:03}"))).collect();
    let watches = SetWatches { relative_zxid: i64::MAX, exist, ..SetWatches::default() };
    world.send(a, &[Request::SetWatches(watches)]);
    world.settle();
    assert_eq!(world.node.front().watches.len(), paths);
    assert!(executed(&world) - before >= 2, "{} commands", executed(&world) - before);
}

#[test]
fn a_claim_that_was_not_taken_is_made_again_while_the_node_leads() {
    let partition = eyrie::PartitionId(1);
    let refused = eyrie::Outcome::Refused(eyrie::Refusal::Unsubmitted);
    let mut world = World::new(GatewayLimits::default());
    let gateway = world.node.front();
    gateway.led(partition, Some(eyrie::NodeId(0)));
    assert_eq!(gateway.reigns.take_claims(), partition.into());
    gateway.claimed(partition, &refused);
    assert_eq!(gateway.reigns.take_claims(), partition.into(), "no session of it would expire otherwise");
    gateway.led(partition, Some(eyrie::NodeId(1)));
    gateway.claimed(partition, &refused);
    assert!(gateway.reigns.take_claims().is_empty());
}

/// Nobody leads the session's home when it pings; the ping is answered when a reign begins, which goes on with the timers as they
/// were left.
#[test]
fn a_ping_that_a_reign_answers_counts_in_that_reign() {
    const TIMEOUT_MS: u64 = 9_000;
    let mut world = World::new(GatewayLimits::default());
    let id = world.open(1, TIMEOUT_MS as i32);
    let home =
        world.node.front().connections.get_mut(&id).unwrap().pipeline().unwrap().session().home(PARTITIONS);
    world.pass(3_000);
    world.node.front().led(home, None);
    world.send(id, &[Request::Ping]);
    world.settle();
    assert!(world.headers(id).is_empty(), "nobody could say that it was heard of");
    world.node.front().led(home, Some(eyrie::NodeId(0)));
    world.settle();
    assert_eq!(world.headers(id).len(), 1);
    world.pass(TIMEOUT_MS - 500);
    assert!(!world.closed.contains(&id), "its session has ended too early");
    world.pass(2_000);
    assert!(world.closed.contains(&id));
}
