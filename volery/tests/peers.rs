//! What nodes refuse of each other, with real processes: one line at both ends says why, and nothing else is disturbed.
#![allow(clippy::disallowed_methods, reason = "an edge: waits for real processes, each wait with a deadline")]

mod server;

use server::nodes::{Node, Plan};
use server::{PATIENCE, until};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;
use tempfile::TempDir;
use volery::client::Client;
use volery::wire::CreateMode;

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
fn nodes_whose_files_differ_in_what_is_fixed_for_life() {
    for (key, lines) in [
        ("placement.depth", ["", "[placement]\ndepth = 3\n"]),
        ("placement.rules", ["", "[placement]\nrules = { \"/a\" = { partition = 1 } }\n"]),
        ("replicas", ["replicas = 1", ""]),
    ] {
        let plan = Plan::new(2);
        let other = Plan { lines, ..plan.clone() };
        refuse_each_other(&plan, &other, &format!("the nodes differ in {key}, which is fixed"));
    }
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
    both[0].says("link: the node has lost its disk, and with it its promises");
    both[1].says("link: the node has lost its disk, and with it its promises");
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
