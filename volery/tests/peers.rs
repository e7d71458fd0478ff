//! What nodes refuse of each other, with real processes: one line at both ends says why, and nothing else is disturbed.
#![allow(clippy::disallowed_methods, reason = "an edge: waits for real processes, each wait with a deadline")]

mod server;

use server::{BINARY, PATIENCE, until};
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use volery::client::Client;
use volery::wire::CreateMode;

/// Where ports are looked for: below those that the system gives to whoever connects, for a node's ports must stay free while
/// it is down.
const PORTS: std::ops::Range<u32> = 20_000..30_000;

/// A port that no other test here gets.
fn port() -> u16 {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    loop {
        let place = std::process::id().wrapping_mul(97).wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed));
        let port = (PORTS.start + place % (PORTS.end - PORTS.start)) as u16;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

/// The ports of a node: its clients', and its peers'.
type Ports = (u16, u16);

/// A cluster file.
#[derive(Clone)]
struct Plan {
    cluster: &'static str,
    partitions: u16,
    ports: Vec<Ports>,
}

impl Plan {
    fn new(nodes: usize) -> Plan {
        let ports = (0..nodes).map(|_| (port(), port())).collect();
        Plan { cluster: "east", partitions: 2, ports }
    }

    /// The file of this plan, written at first; the nodes' data are below it.
    fn file(&self, directory: &Path) -> PathBuf {
        let path = directory.join("cluster.toml");
        if path.exists() {
            return path;
        }
        fs::create_dir_all(directory).expect("a directory");
        let mut text = format!("cluster = {:?}\npartitions = {}\n", self.cluster, self.partitions);
        for (id, (client, peer)) in (1..).zip(&self.ports) {
            text += &format!(
                "[[nodes]]\nid = {id}\nclient = \"127.0.0.1:{client}\"\npeer = \"127.0.0.1:{peer}\"\ndata = \"node-{id}\"\n"
            );
        }
        fs::write(&path, text).expect("room");
        path
    }

    fn client(&self, id: usize) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.ports[id - 1].0).into()
    }

    fn peer(&self, id: usize) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.ports[id - 1].1).into()
    }
}

/// A node as a process. Dropping it kills it.
struct Node {
    child: Child,
    errors: PathBuf,
}

impl Node {
    fn start(plan: &Plan, directory: &Path, id: usize) -> Node {
        let file = plan.file(directory);
        let errors = directory.join(format!("{id}.errors"));
        let mut command = Command::new(BINARY);
        command.arg("serve").arg("--config").arg(file).arg("--node").arg(id.to_string());
        command.stdout(Stdio::null()).stderr(File::create(&errors).expect("room"));
        Node { child: command.spawn().expect("the binary"), errors }
    }

    /// Waits until one line contains `text`.
    fn says(&self, text: &str) {
        let errors = || fs::read_to_string(&self.errors).unwrap_or_default();
        let deadline = Instant::now() + PATIENCE;
        while !errors().lines().any(|line| line.contains(text)) {
            assert!(Instant::now() < deadline, "it does not say {text:?} but:\n{}", errors());
            thread::park_timeout(Duration::from_millis(10));
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Two nodes that have different plans refuse each other for this reason.
fn refuse_each_other(first: &Plan, second: &Plan, reason: &str) {
    let directory = TempDir::new().expect("a directory");
    let one = Node::start(first, &directory.path().join("one"), 1);
    let two = Node::start(second, &directory.path().join("two"), 2);
    one.says(&format!("refused n2, ring link: {reason}"));
    two.says(&format!("refused n1, ring link: {reason}"));
}

#[test]
fn nodes_of_different_clusters() {
    let plan = Plan::new(2);
    let west = Plan { cluster: "west", ..plan.clone() };
    refuse_each_other(&plan, &west, "the nodes are of different clusters");
}

#[test]
fn nodes_with_different_numbers_of_partitions() {
    let plan = Plan::new(2);
    let more = Plan { partitions: 3, ..plan.clone() };
    refuse_each_other(&plan, &more, "the numbers of partitions differ: the refusing node has");
}

#[test]
fn a_node_that_the_file_does_not_have() {
    let plan = Plan::new(3);
    let fewer = Plan { ports: plan.ports[..2].to_vec(), ..plan.clone() };
    let directory = TempDir::new().expect("a directory");
    let three = Node::start(&plan, &directory.path().join("three"), 3);
    let two = Node::start(&fewer, &directory.path().join("two"), 2);
    let dialled_by_two = Plan { ports: vec![plan.ports[1], plan.ports[2]], ..plan.clone() };
    drop(two);
    // Its second node is where the third one listens.
    let one = Node::start(&dialled_by_two, &directory.path().join("one"), 1);
    one.says("refused n2, ring link: another node than the one meant was reached: n3");
    three.says("another node than the one meant was reached: n3");
}

#[test]
fn a_node_that_has_lost_its_disk() {
    let plan = Plan::new(2);
    let directory = TempDir::new().expect("a directory");
    let start = |id| Node::start(&plan, directory.path(), id);
    let both = [start(1), start(2)];
    let mut client = until("a session", || Client::connect(plan.client(1), Duration::from_secs(10)).ok());
    client.create("/a", "1", CreateMode::Persistent).expect("a znode");
    drop(both);
    fs::remove_dir_all(directory.path().join("node-2")).expect("its data");
    let both = [start(1), start(2)];
    both[0].says("refused n2, ring link: the node has lost its disk, and with it its promises");
    both[1].says("refused n1, ring link: the node has lost its disk, and with it its promises");
}

#[test]
fn what_is_no_peer() {
    let plan = Plan::new(2);
    let directory = TempDir::new().expect("a directory");
    let node = Node::start(&plan, directory.path(), 1);
    let connect = || until("the peer port", || TcpStream::connect(plan.peer(1)).ok());
    for (bytes, reason) in [
        (b"GET / HTTP/1.0\r\n\r\n".to_vec(), "this node refused somebody: "),
        (
            [&[0xff, 0xff, 0xff, 0x7f, 1][..], &[0; 60]].concat(),
            "this node refused somebody: a frame is longer than",
        ),
    ] {
        let mut stream = connect();
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        stream.write_all(&bytes).expect("a connection");
        let mut farewell = Vec::new();
        // It ends, by a farewell or a reset.
        let _ = stream.read_to_end(&mut farewell);
        node.says(reason);
    }
    let mut stream = TcpStream::connect(plan.client(1)).expect("the client port");
    stream.write_all(b"ruok").expect("a connection");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert_eq!(answer, "imok");
}
