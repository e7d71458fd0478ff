//! The command line of clusters, with real processes: init, status and local.
#![allow(clippy::disallowed_methods, reason = "an edge: waits for real processes, each wait with a deadline")]

mod server;

use rustix::process::{Pid, Signal, kill_process};
use server::{BINARY, PATIENCE, free_port, until};
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use tempfile::TempDir;
use volery::client::Client;
use volery::wire::CreateMode;

/// A cluster of one node in a directory of its own, and the `volery local` that serves it.
struct Local {
    child: Child,
    says: BufReader<ChildStdout>,
    address: SocketAddr,
    directory: TempDir,
}

impl Local {
    fn start() -> Local {
        Local::of(1)
    }

    /// As many nodes as replicas.
    fn of(nodes: u16) -> Local {
        let directory = tempfile::tempdir().expect("a directory");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_ports(nodes)));
        let ports = [address.port(), free_ports(nodes)].map(|port| port.to_string());
        let nodes = nodes.to_string();
        let mut command = volery(&["local", "--nodes", &nodes, "--replicas", &nodes]);
        command.args(["--client-port", &ports[0], "--peer-port", &ports[1]]);
        let piped = command.arg("--dir").arg(directory.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().expect("the binary");
        let says = BufReader::new(child.stdout.take().expect("a pipe"));
        Local { child, says, address, directory }
    }

    fn cluster_file(&self) -> PathBuf {
        self.directory.path().join("cluster.toml")
    }

    /// Reads lines until one contains `text`.
    fn until_it_says(&mut self, text: &str) -> String {
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            assert!(self.says.read_line(&mut line).expect("a pipe") > 0, "it ended before it said {text:?}");
        }
        line
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("a process that runs");
    }

    /// Waits for its end; returns how it ended and what else it said.
    fn ended(&mut self) -> (ExitStatus, String, String) {
        let child = &mut self.child;
        let status = until("volery local to end", || child.try_wait().expect("a child"));
        let (mut output, mut errors) = (String::new(), String::new());
        self.says.read_to_string(&mut output).expect("text");
        let stderr = self.child.stderr.as_mut().expect("a pipe");
        stderr.read_to_string(&mut errors).expect("text");
        (status, output, errors)
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The first of so many ports in a row that are free.
fn free_ports(count: u16) -> u16 {
    let is_free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    until("free ports in a row", || {
        let first = free_port();
        (first..=first.checked_add(count - 1)?).all(is_free).then_some(first)
    })
}

fn volery(arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.args(arguments);
    command
}

fn status_of(cluster_file: &Path, more: &[&str]) -> Output {
    volery(&["status", "--config"]).arg(cluster_file).args(more).output().expect("the binary")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[test]
fn a_local_cluster_serves_and_stops_in_order() {
    let mut local = Local::start();
    let line = local.until_it_says("nodes are up");
    assert!(line.contains(&local.address.to_string()), "{line}");
    let mut client = Client::connect(local.address, PATIENCE).expect("a session");
    assert!(client.exists("/zookeeper").expect("an answer").is_some());

    let table = text(&status_of(&local.cluster_file(), &[]).stdout);
    assert!(table.contains("  up") && table.contains("shared"), "{table}");
    let json: serde_json::Value =
        serde_json::from_slice(&status_of(&local.cluster_file(), &["--json"]).stdout).expect("JSON");
    assert_eq!((&json[0]["node"], &json[0]["status"]["node"]), (&1.into(), &1.into()));

    local.signal(Signal::TERM);
    let (status, output, errors) = local.ended();
    assert!(status.success() && errors.is_empty(), "{status}: {errors}");
    assert!(output.contains("everything acknowledged"), "the node did not stop by itself: {output}");
    assert!(TcpListener::bind(local.address).is_ok());
    let down = status_of(&local.cluster_file(), &[]);
    assert_eq!(down.status.code(), Some(1));
    assert!(text(&down.stdout).contains("refused"));
}

/// Each of five nodes has a replica of everything, and reads what another has written.
#[test]
fn five_replicas_serve_reads_and_writes_at_every_node() {
    let mut local = Local::of(5);
    local.until_it_says("nodes are up");
    let at = |node: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, local.address.port() + node));
    let path = |node: u16| format!("/five-{node}");
    for node in 0..5 {
        let mut client = until("a session", || Client::connect(at(node), PATIENCE).ok());
        client.create(&path(node), "written", CreateMode::Persistent).expect("a quorum");
        for written in 0..=node {
            let (data, _) = client.get(&path(written)).expect("an answer");
            assert_eq!(data, "written", "node {node} reads what node {written} took");
        }
    }
}

#[test]
fn nodes_end_with_a_parent_that_is_killed() {
    let mut local = Local::start();
    local.until_it_says("nodes are up");
    local.signal(Signal::KILL);
    // The node holds the other end of the pipe until it ends.
    let mut rest = String::new();
    local.says.read_to_string(&mut rest).expect("text");
    until("the node's address to be free", || TcpListener::bind(local.address).ok());
}

#[test]
fn a_node_that_ends_by_itself_is_told() {
    let directory = tempfile::tempdir().expect("a directory");
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let output =
        volery(&["local", "--nodes", "1", "--client-port", &port, "--dir"]).arg(directory.path()).output();
    let output = output.expect("the binary");
    assert_eq!(output.status.code(), Some(1));
    let errors = text(&output.stderr);
    assert!(errors.contains("volery local: node 1 ended by itself (exit status: 1)"), "{errors}");
}

#[test]
fn init_writes_once_and_local_takes_only_what_it_is_asked_for() {
    let directory = tempfile::tempdir().expect("a directory");
    let run = |arguments: &[&str]| {
        volery(arguments).arg("--dir").arg(directory.path()).output().expect("the binary")
    };
    let written = run(&["init", "--nodes", "2", "--partitions", "4"]);
    assert!(written.status.success());
    assert!(text(&written.stdout).contains("cluster.toml --node 2\n"));
    for (arguments, told) in [
        (&["init", "--nodes", "2"][..], "is there already"),
        (&["local", "--nodes", "3"][..], "has 2 where --nodes asks for 3"),
        (&["init", "--nodes", "0"][..], "0 is not in 1..=64"),
    ] {
        let refused = run(arguments);
        assert!(!refused.status.success());
        assert!(text(&refused.stderr).contains(told), "{}", text(&refused.stderr));
    }
}

#[test]
fn a_node_whose_parent_is_another_does_not_start() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut command = server::serve(free_port(), directory.path(), &["--with-parent", "1"]);
    let output = command.output().expect("the binary");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("has ended"));
}
