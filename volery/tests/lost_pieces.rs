//! A lost piece of a data directory is a lost disk, with real processes: the node does not start, or its peers refuse it; one
//! line says what is missing and what to do, and its vote never counts.
#![allow(clippy::disallowed_methods, reason = "an edge: removes and copies real files")]

mod server;

use server::nodes::{Node, Plan};
use server::until;
use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use volery::client::Client;
use volery::wire::CreateMode;

const THREE: [usize; 3] = [1, 2, 3];

/// A cluster whose nodes start and end, and whose files are taken away meanwhile.
struct Cluster {
    plan: Plan,
    directory: TempDir,
}

impl Cluster {
    fn new(nodes: usize) -> Cluster {
        Cluster { plan: Plan::new(nodes), directory: TempDir::new().expect("a directory") }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn data(&self, id: usize) -> PathBuf {
        self.path().join(format!("node-{id}"))
    }

    fn start(&self, ids: &[usize]) -> Vec<Node> {
        ids.iter().map(|id| Node::start(&self.plan, self.path(), *id)).collect()
    }

    fn client(&self, id: usize) -> Client {
        let connect = || Client::connect(self.plan.client(id), Duration::from_secs(10)).ok();
        until("a session", connect)
    }

    /// Starts these nodes, has them order a new znode, and ends them.
    fn write(&self, ids: &[usize], path: &str) {
        let _nodes = self.start(ids);
        self.create(ids[0], path);
    }

    fn create(&self, id: usize, path: &str) {
        let created = || self.client(id).create(path, "1", CreateMode::Persistent).ok();
        until("a znode", created);
    }

    fn refused(&self, id: usize) -> String {
        Node::refused(&self.plan, self.path(), id)
    }

    fn segments(&self, id: usize) -> Vec<PathBuf> {
        let files = fs::read_dir(self.data(id).join("log")).expect("a log");
        let files = files.map(|file| file.expect("a file").path());
        let mut files: Vec<PathBuf> =
            files.filter(|file| file.extension().is_some_and(|extension| extension == "log")).collect();
        files.sort();
        files
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry").path();
        let there = to.join(entry.file_name().expect("a name"));
        match entry.is_dir() {
            true => copy(&entry, &there),
            false => drop(fs::copy(&entry, &there).expect("room")),
        }
    }
}

fn replace(from: &Path, to: &Path) {
    fs::remove_dir_all(to).expect("a directory");
    copy(from, to);
}

#[test]
fn a_node_that_has_lost_its_log_does_not_start_and_does_not_vote() {
    let cluster = Cluster::new(3);
    cluster.write(&THREE, "/a");
    fs::remove_dir_all(cluster.data(3).join("log")).expect("a log");
    for _ in 0..3 {
        let said = cluster.refused(3);
        assert!(said.contains("/log/00000000000000000001.log: missing, and so is every other"), "{said}");
        assert!(said.contains("may not be mounted") && said.contains("may not vote"), "{said}");
    }
    cluster.write(&[1, 2], "/b");
}

#[test]
fn a_node_alone_that_has_lost_its_log_or_its_identity_does_not_start() {
    let cluster = Cluster::new(1);
    cluster.write(&[1], "/a");
    copy(&cluster.data(1), &cluster.path().join("copy"));
    fs::remove_dir_all(cluster.data(1).join("log")).expect("a log");
    assert!(cluster.refused(1).contains("missing, and so is every other"));
    replace(&cluster.path().join("copy"), &cluster.data(1));
    fs::remove_file(cluster.data(1).join("identity")).expect("an identity");
    let said = cluster.refused(1);
    assert!(said.contains("its identity file is missing, and its log is there"), "{said}");
    replace(&cluster.path().join("copy"), &cluster.data(1));
    let _node = cluster.start(&[1]);
    assert!(cluster.client(1).exists("/a").expect("an answer").is_some());
}

#[test]
fn a_node_whose_identity_and_log_are_of_two_directories_does_not_start() {
    let cluster = Cluster::new(3);
    cluster.write(&THREE, "/a");
    let other = Cluster { plan: cluster.plan.clone(), directory: TempDir::new().expect("a directory") };
    other.write(&THREE, "/b");
    replace(&other.data(2).join("log"), &cluster.data(2).join("log"));
    let said = cluster.refused(2);
    assert!(
        said.contains("00001.log: of another log") && said.contains("two directories are mixed"),
        "{said}"
    );
    replace(&cluster.data(1), &cluster.data(3));
    assert!(cluster.refused(3).contains("belongs to node 1, not to node 3"));
}

#[test]
fn a_node_whose_log_lacks_a_segment_or_has_one_of_another_does_not_start() {
    let cluster = Cluster::new(1);
    {
        let _node = cluster.start(&[1]);
        let mut client = cluster.client(1);
        let data = vec![7; 900_000];
        for number in 0..60 {
            client.create(&format!("/{number}"), data.clone(), CreateMode::Persistent).expect("a znode");
        }
    }
    let segments = cluster.segments(1);
    assert!(segments.len() > 3, "{segments:?}");
    let kept = cluster.path().join("kept");
    for (place, next) in [(0, 1), (1, 2), (2, 3)] {
        fs::rename(&segments[place], &kept).expect("a segment");
        let said = cluster.refused(1);
        let told = format!(
            "{}: missing, and the log goes on in {}",
            segments[place].display(),
            segments[next].display()
        );
        assert!(said.contains(&told), "{said}");
        fs::rename(&kept, &segments[place]).expect("a segment");
    }
    let other = Cluster::new(1);
    other.write(&[1], "/a");
    fs::rename(&segments[1], &kept).expect("a segment");
    fs::copy(&other.segments(1)[0], &segments[1]).expect("room");
    let said = cluster.refused(1);
    assert!(said.contains(&format!("{}: of another log", segments[1].display())), "{said}");
    fs::rename(&kept, &segments[1]).expect("a segment");
    let _node = cluster.start(&[1]);
    assert!(cluster.client(1).exists("/59").expect("an answer").is_some());
}

/// Nodes 1 to 3, of which `id` goes on after a copy of its directory was made, and comes back on the copy.
fn restores_an_older_copy(id: usize) {
    let cluster = Cluster::new(3);
    let others: Vec<usize> = THREE.into_iter().filter(|other| *other != id).collect();
    let (older, newest) = (cluster.path().join("older"), cluster.path().join("newest"));
    {
        let _nodes = cluster.start(&THREE);
        cluster.create(id, "/a");
    }
    copy(&cluster.data(id), &older);
    {
        let _nodes = cluster.start(&THREE);
        cluster.create(id, "/b");
    }
    copy(&cluster.data(id), &newest);
    replace(&older, &cluster.data(id));
    // Its second start is another one than the second start that was met; its last counts more starts than were met.
    for _ in 0..4 {
        let _alone = cluster.start(&[id]);
        until("a port", || TcpStream::connect(cluster.plan.client(id)).ok());
    }
    let node = Node::start(&cluster.plan, cluster.path(), id);
    let nodes = cluster.start(&others);
    node.says("this node takes no part any more, for a peer has refused it: the node's data directory is not the newest");
    node.says("it lacks what it held in its start number 2");
    let refuses =
        |node: &Node| node.has_said("link: the node's data directory is not the newest").then_some(());
    until("a refusal", || nodes.iter().find_map(refuses));
    cluster.create(others[0], "/c");
    cluster.create(others[1], "/d");
    drop(node);
    let paths = ["/a", "/b", "/c", "/d"];
    let all_exist = |node: usize| {
        let mut client = cluster.client(node);
        paths.iter().all(|path| client.exists(path).expect("an answer").is_some())
    };
    assert!(others.iter().all(|other| all_exist(*other)), "what was acknowledged is there");
    replace(&newest, &cluster.data(id));
    drop(nodes);
    let _nodes = cluster.start(&THREE);
    assert!(all_exist(id), "the newest directory is taken");
}

#[test]
fn a_node_on_an_older_copy_is_refused_whatever_its_count_reaches_and_the_others_go_on() {
    restores_an_older_copy(3);
}

#[test]
fn the_node_that_the_others_are_dialled_by_is_refused_on_an_older_copy() {
    restores_an_older_copy(1);
}

#[test]
fn a_blank_directory_is_refused_by_a_node_that_hears_of_the_lost_one_from_another() {
    let cluster = Cluster::new(3);
    {
        // Node 1 meets nobody but node 2 yet.
        let _nodes = cluster.start(&[1, 2]);
        cluster.create(1, "/a");
    }
    {
        let _nodes = cluster.start(&[2, 3]);
        cluster.create(3, "/b");
    }
    fs::remove_dir_all(cluster.data(3)).expect("a directory");
    // Node 2 tells node 1, which has never met node 3.
    let nodes = cluster.start(&[1, 2]);
    cluster.create(1, "/c");
    let blank = Node::start(&cluster.plan, cluster.path(), 3);
    blank.says("this node takes no part any more, for a peer has refused it: the node has lost its disk");
    let refuses = |node: &Node| node.has_said("link: the node has lost its disk").then_some(());
    until("a refusal", || nodes.iter().find_map(refuses));
    drop(blank);
    // Whichever of them is left, it refuses the blank one.
    drop(nodes);
    for other in [1, 2] {
        let blank = Node::start(&cluster.plan, cluster.path(), 3);
        let alone = cluster.start(&[other]);
        blank.says("this node takes no part any more, for a peer has refused it: the node has lost its disk");
        until("a refusal", || alone.iter().find_map(refuses));
    }
    let _nodes = cluster.start(&[1, 2]);
    let mut client = cluster.client(1);
    for path in ["/a", "/b", "/c"] {
        assert!(client.exists(path).expect("an answer").is_some(), "{path}");
    }
}
