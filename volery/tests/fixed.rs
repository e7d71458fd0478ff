//! What a cluster file may not change once a node has started, with real processes: the node does not start, and one line
//! names the key, what is recorded and what is written.
#![allow(clippy::disallowed_methods, reason = "an edge: edits real files")]

mod server;

use server::nodes::{Node, Plan};
use server::{serve, until};
use std::fs;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use volery::client::Client;
use volery::wire::CreateMode;

/// Writes a znode through a node, which so has recorded everything.
fn serve_once(plan: &Plan, directory: &Path, ids: &[usize]) {
    let _nodes: Vec<Node> = ids.iter().map(|id| Node::start(plan, directory, *id)).collect();
    let session = || Client::connect(plan.client(ids[0]), Duration::from_secs(10)).ok();
    let mut client = until("a session", session);
    client.create("/a", "1", CreateMode::Persistent).expect("a znode");
}

/// The znode is there, through a node of the unchanged file.
fn serves_again(plan: &Plan, directory: &Path, ids: &[usize]) {
    let _nodes: Vec<Node> = ids.iter().map(|id| Node::start(plan, directory, *id)).collect();
    let session = || Client::connect(plan.client(ids[0]), Duration::from_secs(10)).ok();
    let mut client = until("a session", session);
    assert!(client.exists("/a").expect("an answer").is_some());
}

/// What a node says that starts with the file changed so. The file is as before afterwards.
fn edited(plan: &Plan, directory: &Path, from: &str, to: &str) -> String {
    let file = plan.file(directory);
    let text = fs::read_to_string(&file).expect("a file");
    assert!(text.contains(from), "{text}");
    fs::write(&file, text.replacen(from, to, 1)).expect("room");
    let said = Node::refused(plan, directory, 1);
    fs::write(&file, text).expect("room");
    said
}

#[test]
fn a_node_of_three_refuses_another_file_and_names_what_differs() {
    let plan = Plan { lines: ["replicas = 3", "[placement]\ndepth = 2\n"], ..Plan::new(3) };
    let directory = TempDir::new().expect("a directory");
    let directory = directory.path();
    serve_once(&plan, directory, &[1, 2]);
    let names = |said: &str, key: &str, found: &str, written: &str| {
        let told = format!("{key} is {found:?} there and {written:?} in the configuration");
        assert!(said.contains(&told) && said.contains("fixed for the life"), "{said}");
    };
    names(&edited(&plan, directory, "depth = 2", "depth = 3"), "placement.depth", "2", "3");
    names(&edited(&plan, directory, "replicas = 3", "replicas = 1"), "replicas", "3", "1");
    let rules = "rules = { \"/kafka\" = { depth = 4 } }\ndepth = 2";
    names(&edited(&plan, directory, "depth = 2", rules), "placement.rules", "", "/kafka = depth 4");
    let file = fs::read_to_string(plan.file(directory)).expect("a file");
    let first = &file[file.find("[[nodes]]").expect("nodes")..file.find("[placement]").expect("placement")];
    let mut nodes: Vec<String> = first.split_inclusive("[[nodes]]").map(str::to_owned).collect();
    nodes.remove(0);
    let entries: Vec<String> =
        nodes.iter().map(|node| format!("[[nodes]]{}", node.trim_end_matches("[[nodes]]"))).collect();
    let swapped = [entries[1].as_str(), &entries[0], &entries[2]].concat();
    names(&edited(&plan, directory, first, &swapped), "nodes", "1 2 3", "2 1 3");
    let fewer = [entries[0].as_str(), &entries[1]].concat();
    let said = edited(&plan, directory, &format!("replicas = 3\n{first}"), &format!("replicas = 2\n{fewer}"));
    names(&said, "nodes", "1 2 3", "1 2");
    let said = edited(&plan, directory, "partitions = 2", "partitions = 3");
    assert!(said.contains("was made for 2 partitions, not for 3"), "{said}");
    serves_again(&plan, directory, &[1, 2]);
}

#[test]
fn addresses_may_change() {
    let plan = Plan::new(1);
    let directory = TempDir::new().expect("a directory");
    serve_once(&plan, directory.path(), &[1]);
    let elsewhere = Plan { ports: Plan::new(1).ports, ..plan.clone() };
    fs::remove_file(plan.file(directory.path())).expect("the file");
    serves_again(&elsewhere, directory.path(), &[1]);
}

#[test]
fn one_node_does_not_become_three() {
    let three = Plan::new(3);
    let one = Plan { ports: three.ports[..1].to_vec(), ..three.clone() };
    let directory = TempDir::new().expect("a directory");
    serve_once(&one, directory.path(), &[1]);
    fs::remove_file(one.file(directory.path())).expect("the file");
    let said = Node::refused(&three, directory.path(), 1);
    let told = "it is that of a node alone (nodes = \"1\"), and the cluster file has nodes = \"1 2 3\"";
    assert!(said.contains(told) && said.contains("make a new cluster with new data directories"), "{said}");
    fs::remove_file(three.file(directory.path())).expect("the file");
    serves_again(&one, directory.path(), &[1]);
}

#[test]
fn the_embedded_default_keeps_its_directory_from_a_cluster_file() {
    let plan = Plan { cluster: "embedded", ..Plan::new(2) };
    let directory = TempDir::new().expect("a directory");
    let data = directory.path().join("node-1");
    let mut child = serve(plan.ports[0].0, &data, &[]).spawn().expect("the binary");
    until("its identity", || data.join("identity").exists().then_some(()));
    child.kill().and_then(|()| child.wait()).expect("a child");
    let said = Node::refused(&plan, directory.path(), 1);
    assert!(said.contains("belongs to node 0, not to node 1"), "{said}");
}
