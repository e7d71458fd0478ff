//! Configuration: the cluster file, what the command line overrides, and what is made of both.

use crate::placement::PlacementConfig;
use crate::session::{Password, SessionId};
use crate::wire::FRAME_BYTES_MAX_DEFAULT;
use eyrie::PARTITIONS_MAX;
use serde::Deserialize;
use sha1::{Digest, Sha1};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The port that ZooKeeper's clients expect.
pub const PORT_DEFAULT: u16 = 2181;
/// How many partitions the embedded default has.
pub const PARTITIONS_DEFAULT: u16 = 2;
/// Where the embedded default keeps its data.
pub const DATA_DIRECTORY_DEFAULT: &str = "./volery-data";

const TICK_MS: u32 = 2_000;
const TIMEOUT_MIN_TICKS: u32 = 2;
const TIMEOUT_MAX_TICKS: u32 = 20;

/// A configuration that cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A key is unknown, missing or of the wrong kind.
    #[error("{}: {message}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Which key, where, and what is expected.
        message: String,
    },
    /// The values contradict each other.
    #[error("{place}: {message}")]
    Contradiction {
        /// The file or the flag.
        place: String,
        /// What is wrong.
        message: String,
    },
}

/// One node, as the cluster file names it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeConfig {
    /// Its number, unlike any other's.
    pub id: u16,
    /// Where clients connect.
    pub client: SocketAddr,
    /// Its data directory.
    pub data: PathBuf,
}

/// The cluster file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterConfig {
    /// The cluster's name: nodes of different clusters do not mix.
    pub cluster: String,
    /// How many partitions the state is cut into; fixed for the life of the cluster.
    pub partitions: u16,
    /// The nodes.
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
            nodes: vec![NodeConfig { id: 0, client, data }],
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
        let config: ClusterConfig = toml::from_str(&text).map_err(|error| ConfigError::Malformed {
            path: path.into(),
            message: one_line(&text, &error),
        })?;
        config.checked(&path.display().to_string())
    }

    /// The node of this number.
    pub fn node(&self, id: u16, place: &str) -> Result<&NodeConfig, ConfigError> {
        let known = || self.nodes.iter().map(|node| node.id.to_string()).collect::<Vec<_>>().join(", ");
        self.nodes
            .iter()
            .find(|node| node.id == id)
            .ok_or_else(|| contradiction(place, format!("there is no node {id}; the file names {}", known())))
    }

    fn checked(self, place: &str) -> Result<ClusterConfig, ConfigError> {
        if !(1..=PARTITIONS_MAX).contains(&self.partitions) {
            let message =
                format!("partitions = {}, and there must be 1 to {PARTITIONS_MAX}", self.partitions);
            return Err(contradiction(place, message));
        }
        if self.nodes.len() != 1 {
            let message = format!("{} nodes are named; this version runs clusters of one", self.nodes.len());
            return Err(contradiction(place, message));
        }
        let sane = 0 < self.timeout_min_ms()
            && self.timeout_min_ms() <= self.timeout_max_ms()
            && self.timeout_max_ms() <= i32::MAX as u32;
        if !sane {
            let (min, max) = (self.timeout_min_ms(), self.timeout_max_ms());
            let message =
                format!("session timeouts from {min} to {max} ms with a tick of {} ms", self.tick_ms);
            return Err(contradiction(place, message));
        }
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
            super_digest: self.super_digest.clone(),
            secret,
        }
    }
}

/// What a gateway needs to know.
#[derive(Clone, Debug)]
pub struct GatewayConfig {
    /// The node's number.
    pub node: u16,
    /// Where clients connect.
    pub port: u16,
    /// Where the node keeps its data.
    pub data_directory: PathBuf,
    /// ZooKeeper's tick.
    pub tick_ms: u32,
    /// The shortest session timeout.
    pub session_timeout_min_ms: u32,
    /// The longest session timeout.
    pub session_timeout_max_ms: u32,
    /// The longest request in bytes.
    pub frame_bytes_max: usize,
    /// The digest of the superuser.
    pub super_digest: Option<String>,
    /// What session passwords are made of.
    pub secret: [u8; 20],
}

impl GatewayConfig {
    /// The timeout that a client gets for the one it asks for.
    pub fn negotiate(&self, asked_ms: i32) -> u32 {
        let asked_ms = u32::try_from(asked_ms).unwrap_or(0);
        asked_ms.clamp(self.session_timeout_min_ms, self.session_timeout_max_ms)
    }

    /// A session's password: nobody who does not know the secret can guess it.
    pub fn password_of(&self, session: SessionId) -> Password {
        let hash = Sha1::new().chain_update(self.secret).chain_update(session.0.to_be_bytes()).finalize();
        let mut password = [0; 16];
        password.copy_from_slice(&hash[..16]);
        Password(password)
    }
}

fn contradiction(place: &str, message: String) -> ConfigError {
    ConfigError::Contradiction { place: place.into(), message }
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
        ClusterConfig::read(file.path()).map_err(|error| error.to_string())
    }

    const GOOD: &str = r#"
        cluster = "test"
        partitions = 4
        nodes = [{ id = 1, client = "127.0.0.1:2181", data = "/tmp/data" }]
        [placement]
        depth = 3
        rules = { "/kafka" = { depth = 4 }, "/locks" = { partition = 3 } }
    "#;

    #[test]
    fn a_cluster_file_is_read() {
        let config = read(GOOD).expect("a good file");
        assert_eq!((config.partitions, config.placement.depth), (4, 3));
        assert_eq!(config.node(1, "file").expect("node 1").client.port(), 2181);
        assert!(config.node(2, "the file").expect_err("no node 2").to_string().contains("names 1"));
    }

    #[test]
    fn what_is_wrong_is_told_in_one_line_with_its_place() {
        for (text, told) in [
            (GOOD.replace("partitions = 4", "partitoins = 4"), "partitoins"),
            (GOOD.replace("partitions = 4", "partitions = 65"), "1 to 64"),
            (GOOD.replace("partitions = 4", "partitions = \"x\""), "line 3"),
            (GOOD.replace("127.0.0.1:2181", "nowhere"), "line 4"),
        ] {
            let error = read(&text).expect_err("a bad file");
            assert!(error.contains(told) && error.lines().count() == 1, "{error}");
        }
    }

    #[test]
    fn timeouts_are_negotiated_between_two_and_twenty_ticks() {
        let config = ClusterConfig::embedded(2, 2181, "data".into()).expect("the default");
        let gateway = config.gateway(&config.nodes[0], [0; 20]);
        assert_eq!([-1, 10_000, 100_000].map(|asked| gateway.negotiate(asked)), [4_000, 10_000, 40_000]);
    }
}
