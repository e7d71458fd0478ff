//! Configuration: the cluster file, what the command line overrides, and what is made of both.
//!
//! All nodes of a cluster read the same file. A relative data directory counts from the file's own directory, so that a
//! cluster can be made anywhere and started from anywhere.

mod check;
mod error;
mod fixed;
mod gateway;

pub use error::ConfigError;
pub use fixed::NODES_KEY;
pub use gateway::{GatewayConfig, GatewayLimits};

use crate::placement::PlacementConfig;
use crate::wire::FRAME_BYTES_MAX_DEFAULT;
use error::contradiction;
use serde::Deserialize;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// The port that ZooKeeper's clients expect.
pub const PORT_DEFAULT: u16 = 2181;
/// The port where nodes expect each other, or the first of several on one machine.
pub const PEER_PORT_DEFAULT: u16 = 2881;
/// How many partitions the embedded default has.
pub const PARTITIONS_DEFAULT: u16 = 2;
/// How many nodes keep a partition, where there are as many.
pub const REPLICAS_DEFAULT: u16 = 3;
/// Where the embedded default keeps its data.
pub const DATA_DIRECTORY_DEFAULT: &str = "./volery-data";
/// The longest request that a cluster file may allow, in bytes: with what surrounds it, it must fit a frame between nodes.
pub const FRAME_BYTES_MAX: usize = 8 << 20;
/// How many nodes a cluster may have; a file that names more is refused.
pub const NODES_MAX: usize = 64;
/// The greatest number of a node: it stands in one byte of the ids of its sessions.
pub const NODE_ID_MAX: u16 = 255;
/// The longest name of a cluster in bytes, well within what a link's greeting carries.
pub const CLUSTER_BYTES_MAX: usize = 64;

const TICK_MS: u32 = 2_000;
const TIMEOUT_MIN_TICKS: u32 = 2;
const TIMEOUT_MAX_TICKS: u32 = 20;

/// One node, as the cluster file names it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeConfig {
    /// Its number, 1 to [`NODE_ID_MAX`] and unlike any other's. Only the embedded default, which needs no file, is node 0.
    pub id: u16,
    /// Where clients connect.
    pub client: SocketAddr,
    /// Where the other nodes connect: there as soon as there are others.
    pub peer: Option<SocketAddr>,
    /// Its data directory.
    pub data: PathBuf,
}

/// The cluster file.
///
/// Invariants, which reading refuses to break: 1 to [`PARTITIONS_MAX`](eyrie::PARTITIONS_MAX) partitions and 1 to
/// [`NODES_MAX`] nodes; ids and addresses are each one node's, and so is a data directory on its machine; among several
/// nodes each has a peer address.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterConfig {
    /// The cluster's name: nodes of different clusters do not mix.
    pub cluster: String,
    /// How many partitions the state is cut into; fixed for the life of the cluster.
    pub partitions: u16,
    /// How many nodes keep each partition, if the file says so; [`ClusterConfig::replicas`] is what holds.
    pub replicas: Option<u16>,
    /// The nodes.
    #[serde(default)]
    pub nodes: Vec<NodeConfig>,
    /// Where znodes live.
    #[serde(default)]
    pub placement: PlacementConfig,
    /// ZooKeeper's tick in milliseconds: timeouts are negotiated between 2 and 20 of them.
    #[serde(default = "tick_ms")]
    pub tick_ms: u32,
    /// The shortest session timeout, if not 2 ticks.
    pub session_timeout_min_ms: Option<u32>,
    /// The longest session timeout, if not 20 ticks.
    pub session_timeout_max_ms: Option<u32>,
    /// The longest request in bytes, as ZooKeeper's jute.maxbuffer.
    #[serde(default = "frame_bytes_max")]
    pub frame_bytes_max: usize,
    /// The digest (`user:base64(sha1(user:password))`) of the user whom no access-control list keeps out.
    pub super_digest: Option<String>,
}

fn tick_ms() -> u32 {
    TICK_MS
}

fn frame_bytes_max() -> usize {
    FRAME_BYTES_MAX_DEFAULT
}

impl ClusterConfig {
    /// The embedded default: one node on loopback, which needs no file.
    pub fn embedded(partitions: u16, port: u16, data: PathBuf) -> Result<ClusterConfig, ConfigError> {
        let client = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let config = ClusterConfig {
            cluster: "embedded".into(),
            partitions,
            replicas: None,
            nodes: vec![NodeConfig { id: 0, client, peer: None, data }],
            placement: PlacementConfig::default(),
            tick_ms: TICK_MS,
            session_timeout_min_ms: None,
            session_timeout_max_ms: None,
            frame_bytes_max: FRAME_BYTES_MAX_DEFAULT,
            super_digest: None,
        };
        config.checked("--partitions")
    }

    /// Reads a cluster file.
    pub fn read(path: &Path) -> Result<ClusterConfig, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.into(), source })?;
        ClusterConfig::parse(&text, path)
    }

    /// The configuration that this text is when it stands in the file `path`.
    pub(crate) fn parse(text: &str, path: &Path) -> Result<ClusterConfig, ConfigError> {
        let mut config: ClusterConfig = toml::from_str(text)
            .map_err(|error| ConfigError::Malformed { path: path.into(), message: one_line(text, &error) })?;
        let directory = path.parent().unwrap_or(Path::new(""));
        for node in &mut config.nodes {
            node.data = directory.join(&node.data);
        }
        let place = path.display().to_string();
        check::check_id_range(&config.nodes).map_err(|message| contradiction(&place, message))?;
        config.checked(&place)
    }

    /// The node of this number.
    pub fn node(&self, id: u16, place: &str) -> Result<&NodeConfig, ConfigError> {
        let known = || self.nodes.iter().map(|node| node.id.to_string()).collect::<Vec<_>>().join(", ");
        self.nodes
            .iter()
            .find(|node| node.id == id)
            .ok_or_else(|| contradiction(place, format!("there is no node {id}; the file names {}", known())))
    }

    /// How many nodes keep each partition: what the file says, or three where there are as many nodes.
    pub fn replicas(&self) -> u16 {
        self.replicas.unwrap_or_else(|| REPLICAS_DEFAULT.min(self.nodes.len() as u16))
    }

    /// What a ZooKeeper client is given to connect to: the nodes' client addresses, separated by commas.
    pub fn connect_string(&self) -> String {
        self.nodes.iter().map(|node| node.client.to_string()).collect::<Vec<_>>().join(",")
    }

    fn checked(self, place: &str) -> Result<ClusterConfig, ConfigError> {
        check::check(&self).map_err(|message| contradiction(place, message))?;
        Ok(self)
    }

    fn timeout_min_ms(&self) -> u32 {
        self.session_timeout_min_ms.unwrap_or(TIMEOUT_MIN_TICKS.saturating_mul(self.tick_ms))
    }

    fn timeout_max_ms(&self) -> u32 {
        self.session_timeout_max_ms.unwrap_or(TIMEOUT_MAX_TICKS.saturating_mul(self.tick_ms))
    }

    /// What a node's gateway needs; `secret` is the node's own.
    pub fn gateway(&self, node: &NodeConfig, secret: [u8; 20]) -> GatewayConfig {
        GatewayConfig {
            node: node.id,
            port: node.client.port(),
            data_directory: node.data.clone(),
            tick_ms: self.tick_ms,
            session_timeout_min_ms: self.timeout_min_ms(),
            session_timeout_max_ms: self.timeout_max_ms(),
            frame_bytes_max: self.frame_bytes_max,
            limits: GatewayLimits::default(),
            super_digest: self.super_digest.clone(),
            secret,
        }
    }
}

/// A parser's message on one line, with the line of the file in front.
fn one_line(text: &str, error: &toml::de::Error) -> String {
    let line = error.span().map_or(1, |span| text[..span.start].lines().count().max(1));
    let message = error.message().split('\n').collect::<Vec<_>>().join(" ");
    format!("line {line}: {message}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn read(text: &str) -> Result<ClusterConfig, String> {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(text.as_bytes()).expect("room");
        let read = ClusterConfig::read(file.path());
        read.map_err(|error| {
            let error = error.to_string();
            assert!(error.starts_with(&file.path().display().to_string()), "names no file: {error}");
            error
        })
    }

    const GOOD: &str = r#"
        cluster = "test"
        partitions = 4
        nodes = [{ id = 1, client = "127.0.0.1:2181", data = "/tmp/data" }]
        [placement]
        depth = 3
        rules = { "/kafka" = { depth = 4 }, "/locks" = { partition = 3 } }
    "#;

    const THREE: &str = r#"
        cluster = "test"
        partitions = 2
        [[nodes]]
        id = 1
        client = "127.0.0.1:2181"
        peer = "127.0.0.1:2881"
        data = "one"
        [[nodes]]
        id = 2
        client = "127.0.0.1:2182"
        peer = "127.0.0.1:2882"
        data = "two"
        [[nodes]]
        id = 3
        client = "127.0.0.1:2183"
        peer = "10.0.0.3:2883"
        data = "/var/three"
    "#;

    #[test]
    fn a_cluster_file_is_read() {
        let config = read(GOOD).expect("a good file");
        assert_eq!((config.partitions, config.placement.depth), (4, 3));
        assert_eq!(config.node(1, "file").expect("node 1").client.port(), 2181);
        assert!(config.node(2, "the file").expect_err("no node 2").to_string().contains("names 1"));
    }

    #[test]
    fn relative_directories_count_from_the_file() {
        let parsed = |path: &str| {
            let config = ClusterConfig::parse(THREE, Path::new(path)).expect("a good file");
            config.nodes.into_iter().map(|node| node.data).collect::<Vec<_>>()
        };
        assert_eq!(
            parsed("/etc/x/cluster.toml"),
            ["/etc/x/one", "/etc/x/two", "/var/three"].map(PathBuf::from)
        );
        assert_eq!(parsed("cluster.toml"), ["one", "two", "/var/three"].map(PathBuf::from));
    }

    #[test]
    fn there_are_three_replicas_unless_the_file_says_otherwise_or_nodes_are_fewer() {
        assert_eq!(read(GOOD).expect("one node").replicas(), 1);
        assert_eq!(read(THREE).expect("three nodes").replicas(), 3);
        let two = THREE.replace("partitions = 2", "partitions = 2\nreplicas = 2");
        assert_eq!(read(&two).expect("three nodes").replicas(), 2);
        let fourth = "[[nodes]]\nid = 4\nclient = \"127.0.0.1:1\"\npeer = \"127.0.0.1:2\"\ndata = \"four\"\n";
        assert_eq!(read(&format!("{THREE}{fourth}")).expect("four nodes").replicas(), 3);
    }

    #[test]
    fn what_is_wrong_is_told_in_one_line_with_its_place() {
        for (text, told) in [
            (GOOD.replace("partitions = 4", "partitoins = 4"), "partitoins"),
            (GOOD.replace("partitions = 4", "partitions = 65"), "1 to 64"),
            (GOOD.replace("partitions = 4", "partitions = \"x\""), "line 3"),
            (GOOD.replace("127.0.0.1:2181", "nowhere"), "line 4"),
            ("cluster = \"test\"\npartitions = 2".into(), "nodes: 0 are named"),
            (GOOD.replace("\"test\"", "\"\""), "cluster = \"\" has 0 bytes"),
            (GOOD.replace("\"test\"", &format!("{:?}", "x".repeat(65))), "has 65 bytes"),
            (GOOD.replace("[placement]", "tick_ms = 0\n[placement]"), "a tick of 0 ms"),
            (THREE.replace("partitions = 2", "partitions = 2\nreplicas = 0"), "replicas = 0"),
            (THREE.replace("partitions = 2", "partitions = 2\nreplicas = 4"), "replicas = 4"),
            (THREE.replace("id = 2", "id = 0"), "a node has id = 0, and there may be 1 to 255"),
            (THREE.replace("id = 2", "id = 256"), "a node has id = 256, and there may be 1 to 255"),
            (THREE.replace("id = 2", "id = 3"), "two nodes have id = 3"),
            (THREE.replace("peer = \"127.0.0.1:2882\"", ""), "node 2 has no peer address"),
            (
                THREE.replace("127.0.0.1:2882", "0.0.0.0:2882"),
                "nobody can connect to peer = \"0.0.0.0:2882\"",
            ),
            (THREE.replace("127.0.0.1:2882", "127.0.0.1:0"), "nobody can connect to peer = \"127.0.0.1:0\""),
            (
                THREE.replace("127.0.0.1:2182", "127.0.0.1:2181"),
                "127.0.0.1:2181 is both node 1's client address and node 2's client address",
            ),
            (
                THREE.replace("127.0.0.1:2882", "127.0.0.1:2881"),
                "127.0.0.1:2881 is both node 1's peer address and node 2's peer address",
            ),
            (
                THREE.replace("127.0.0.1:2881", "127.0.0.1:2183"),
                "127.0.0.1:2183 is both node 1's peer address and node 3's client address",
            ),
            (
                THREE.replace("127.0.0.1:2881", "127.0.0.1:2181"),
                "127.0.0.1:2181 is both node 1's client address and node 1's peer address",
            ),
            (
                THREE.replace("\"two\"", "\"./one/\""),
                "nodes 1 and 2 of one machine have the same data directory",
            ),
        ] {
            let error = read(&text).expect_err("a bad file");
            assert!(error.contains(told) && error.lines().count() == 1, "{error}");
        }
    }

    #[test]
    fn a_directory_may_be_named_for_two_machines() {
        let config = read(&THREE.replace("/var/three", "two")).expect("node 3 is elsewhere");
        assert_eq!(config.nodes[1].data, config.nodes[2].data);
    }

    #[test]
    fn there_are_64_nodes_at_most() {
        let cluster = |nodes: u16| {
            let node = |id| {
                let (client, peer) = (2000 + id, 3000 + id);
                format!(
                    "[[nodes]]\nid = {id}\nclient = \"[::1]:{client}\"\npeer = \"[::1]:{peer}\"\ndata = \"{id}\"\n"
                )
            };
            read(&format!("cluster = \"x\"\npartitions = 1\n{}", (1..=nodes).map(node).collect::<String>()))
        };
        assert_eq!(cluster(64).expect("64 nodes").nodes.len(), 64);
        assert!(cluster(65).expect_err("65 nodes").contains("65 are named"));
    }

    #[test]
    fn timeouts_are_negotiated_between_two_and_twenty_ticks() {
        let config = ClusterConfig::embedded(2, 2181, "data".into()).expect("the default");
        let gateway = config.gateway(&config.nodes[0], [0; 20]);
        assert_eq!([-1, 10_000, 100_000].map(|asked| gateway.negotiate(asked)), [4_000, 10_000, 40_000]);
    }
}
