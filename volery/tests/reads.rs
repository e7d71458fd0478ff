//! Large reads through nodes without replicas of what is read: they are served or refused, nothing of them is logged, and others
//! are served meanwhile.
#![allow(clippy::disallowed_methods, reason = "an edge: drives real processes, each wait with a deadline")]

mod server;

use server::nodes::{Node, Plan};
use server::{PATIENCE, get, until};
use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use volery::client::{Client, ClientError};
use volery::wire::{CreateMode, ErrorCode, OpResult, REPLY_BYTES_MAX, ReadOp, Request};

const ZNODE_BYTES: usize = 1_000_000;
/// What a getData takes in the reply to a multiRead, beside its data.
const BESIDE_BYTES: usize = 9 + 4 + 68;

/// A cluster of four nodes, none of which has replicas of all three partitions.
struct Cluster {
    nodes: Vec<Node>,
    plan: Plan,
    directory: TempDir,
}

impl Cluster {
    fn start() -> Cluster {
        let directory = TempDir::new().expect("a directory");
        let mut plan = Plan::new(4);
        plan.partitions = 3;
        plan.lines[0] = "replicas = 1";
        let nodes = (1..=4).map(|id| Node::start(&plan, directory.path(), id)).collect();
        Cluster { nodes, plan, directory }
    }

    fn client(&self, id: usize) -> Client {
        until("a session", || Client::connect(self.plan.client(id), PATIENCE).ok())
    }

    /// Znodes of the same size in all partitions.
    fn fill(&self, count: usize) -> Vec<String> {
        let mut client = self.client(1);
        let paths: Vec<String> = (0..count).map(|number| format!("/z{number}")).collect();
        for path in &paths {
            let created = client.create(path, vec![7; ZNODE_BYTES], CreateMode::Persistent);
            created.expect("room");
        }
        paths
    }

    fn log_bytes(&self) -> u64 {
        (1..=4).map(|id| bytes_of(&self.directory.path().join(format!("node-{id}")))).sum()
    }
}

fn bytes_of(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry"));
    entries
        .map(|entry| match entry.metadata().expect("a file") {
            data if data.is_dir() => bytes_of(&entry.path()),
            data => data.len(),
        })
        .sum()
}

fn data(path: &str) -> ReadOp {
    ReadOp::GetData { path: path.into() }
}

#[test]
fn a_multi_read_of_up_to_the_limit_is_served_and_a_longer_one_refused_and_neither_is_logged() {
    let cluster = Cluster::start();
    let paths = cluster.fill(33);
    let mut client = cluster.client(4);
    let room = REPLY_BYTES_MAX - OpResult::END_BYTES - 33 * (ZNODE_BYTES + BESIDE_BYTES) - BESIDE_BYTES;
    let logged = cluster.log_bytes();
    for (last, fits) in [(room - 1, true), (room, true), (room + 1, false), (room - 1, true)] {
        client.delete("/last", -1).ok();
        client.create("/last", vec![1; last], CreateMode::Persistent).expect("room");
        let ops: Vec<ReadOp> = paths.iter().map(String::as_str).chain(["/last"]).map(data).collect();
        match client.multi_read(ops) {
            Ok(results) => {
                let bytes = results.iter().map(|result| match result {
                    OpResult::Data { data: Some(data), .. } => data.len(),
                    other => panic!("{other:?}"),
                });
                assert_eq!((bytes.sum::<usize>(), fits), (33 * ZNODE_BYTES + last, true));
            }
            Err(ClientError::Refused(ErrorCode::MarshallingError)) => assert!(!fits, "{last} bytes"),
            Err(error) => panic!("{last} bytes: {error}"),
        }
    }
    let ten_times: Vec<ReadOp> = (0..10).flat_map(|_| &paths).map(|path| data(path)).collect();
    let refused = client.multi_read(ten_times).expect_err("far too large");
    assert!(matches!(refused, ClientError::Refused(ErrorCode::MarshallingError)), "{refused}");
    assert!(cluster.client(2).exists("/z0").expect("an answer").is_some());
    let grown = cluster.log_bytes().saturating_sub(logged);
    assert!(grown < 20 * ZNODE_BYTES as u64, "the logs have grown by {grown} bytes");
}

#[test]
fn reads_of_clients_that_leave_are_dropped_and_others_are_served_meanwhile() {
    let cluster = Cluster::start();
    let paths = cluster.fill(6);
    let away = (1..=4).find(|id| cluster.client(*id).exists("/z0").is_ok()).expect("a node");
    let mut leaving: Vec<_> = (0..4)
        .map(|_| {
            let stream = TcpStream::connect(cluster.plan.client(away)).expect("a node that listens");
            stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
            let mut raw = server::Raw::on(stream);
            raw.greet();
            raw.expect_welcome();
            let requests: Vec<Request> = (0..400).map(|number| get(&paths[number % paths.len()])).collect();
            raw.send(&requests);
            raw
        })
        .collect();
    let mut client = cluster.client(away);
    let served = |client: &mut Client| {
        let began = Instant::now();
        client.exists("/z1").expect("an answer");
        client.get("/z2").expect("an answer");
        began.elapsed()
    };
    for _ in 0..5 {
        let took = served(&mut client);
        assert!(took < Duration::from_secs(10), "while others do not read: {took:?}");
    }
    leaving.iter_mut().for_each(|raw| raw.stream.flush().expect("a connection"));
    drop(leaving);
    let took = served(&mut client);
    assert!(took < Duration::from_secs(10), "when they have gone: {took:?}");
    until("nothing to be under way", || {
        let words = server::four_letters(cluster.plan.client(away), "mntr");
        let is_none = |name: &str| words.lines().any(|line| line == format!("{name}\t0"));
        (is_none("zk_outstanding_requests") && is_none("volery_commands_in_flight")).then_some(())
    });
    assert_eq!(cluster.nodes.len(), 4);
}
