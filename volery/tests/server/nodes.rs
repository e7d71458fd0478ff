//! Nodes of a cluster file as real processes.
#![allow(clippy::disallowed_methods, dead_code, reason = "drives real processes; each test uses its part")]

use super::{BINARY, PATIENCE, until};
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Where ports are looked for: below those that the system gives to whoever connects, for a node's ports must stay free while
/// it is down.
const PORTS: std::ops::Range<u32> = 20_000..30_000;

/// A port that no other test here gets.
pub fn port() -> u16 {
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
pub type Ports = (u16, u16);

/// A cluster file.
#[derive(Clone)]
pub struct Plan {
    pub cluster: &'static str,
    pub partitions: u16,
    pub ports: Vec<Ports>,
    /// Further lines of the file, before the nodes and behind them.
    pub lines: [&'static str; 2],
}

impl Plan {
    pub fn new(nodes: usize) -> Plan {
        let ports = (0..nodes).map(|_| (port(), port())).collect();
        Plan { cluster: "east", partitions: 2, ports, lines: [""; 2] }
    }

    /// The file of this plan, written at first; the nodes' data are below it.
    pub fn file(&self, directory: &Path) -> PathBuf {
        let path = directory.join("cluster.toml");
        if path.exists() {
            return path;
        }
        fs::create_dir_all(directory).expect("a directory");
        let [before, behind] = self.lines;
        let mut text = format!("cluster = {:?}\npartitions = {}\n{before}\n", self.cluster, self.partitions);
        for (id, (client, peer)) in (1..).zip(&self.ports) {
            text += &format!(
                "[[nodes]]\nid = {id}\nclient = \"127.0.0.1:{client}\"\npeer = \"127.0.0.1:{peer}\"\ndata = \"node-{id}\"\n"
            );
        }
        text += behind;
        fs::write(&path, text).expect("room");
        path
    }

    pub fn client(&self, id: usize) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.ports[id - 1].0).into()
    }

    pub fn peer(&self, id: usize) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.ports[id - 1].1).into()
    }
}

/// A node as a process. Dropping it kills it.
pub struct Node {
    child: Child,
    errors: PathBuf,
}

impl Node {
    pub fn start(plan: &Plan, directory: &Path, id: usize) -> Node {
        let file = plan.file(directory);
        let errors = directory.join(format!("{id}.errors"));
        let mut command = Command::new(BINARY);
        command.arg("serve").arg("--config").arg(file).arg("--node").arg(id.to_string());
        command.stdout(Stdio::null()).stderr(File::create(&errors).expect("room"));
        Node { child: command.spawn().expect("the binary"), errors }
    }

    /// Starts a node that must end by itself; returns the one line in which it says why.
    pub fn refused(plan: &Plan, directory: &Path, id: usize) -> String {
        let mut node = Node::start(plan, directory, id);
        let status = until("the node to end", || node.child.try_wait().expect("a child"));
        let errors = fs::read_to_string(&node.errors).expect("what it said");
        assert_eq!(status.code(), Some(1), "{errors}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
        errors
    }

    /// Whether the process has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_some()
    }

    /// Whether one line contains `text`.
    pub fn has_said(&self, text: &str) -> bool {
        let errors = fs::read_to_string(&self.errors).unwrap_or_default();
        errors.lines().any(|line| line.contains(text))
    }

    /// Waits until one line contains `text`.
    pub fn says(&self, text: &str) {
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
