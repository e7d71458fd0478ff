//! The shape of a cluster on one machine, as the command line asks for it.

use crate::config::{
    ClusterConfig, ConfigError, NODES_MAX, PARTITIONS_DEFAULT, PEER_PORT_DEFAULT, PORT_DEFAULT,
    REPLICAS_DEFAULT,
};
use clap::{Args, value_parser};
use std::net::SocketAddr;

const NODES_DEFAULT: u16 = 3;
const NAME_DEFAULT: &str = "local";

const HEADER: &str = "\
# A cluster of Volery: its nodes, and how they keep its state. All nodes read the same file; each is started by
#     volery serve --config cluster.toml --node ID
# The name and the number of partitions are fixed by the first start. A node's `client` is where ZooKeeper's clients
# connect, its `peer` where the other nodes do; its `data`, if relative, counts from the directory of this file.
";

/// The shape of a cluster on one machine. What is not asked for is the default in a new cluster, and in one that is
/// there already whatever it says.
#[derive(Clone, Debug, Default, Args)]
pub struct ClusterShape {
    /// How many nodes there are [default: 3].
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(1..=NODES_MAX as i64))]
    pub nodes: Option<u16>,
    /// How many partitions the state is cut into, fixed for the life of the cluster [default: 2].
    #[arg(long, value_name = "P")]
    pub partitions: Option<u16>,
    /// How many nodes keep each partition [default: 3, or all where there are fewer].
    #[arg(long, value_name = "R")]
    pub replicas: Option<u16>,
    /// The port on loopback where clients connect to the first node; the others follow it [default: 2181].
    #[arg(long, value_name = "PORT", value_parser = value_parser!(u16).range(1..))]
    pub client_port: Option<u16>,
    /// The port on loopback where nodes connect to the first node; the others follow it [default: 2881].
    #[arg(long, value_name = "PORT", value_parser = value_parser!(u16).range(1..))]
    pub peer_port: Option<u16>,
    /// The name of the cluster; nodes of different clusters do not mix [default: local].
    #[arg(long, value_name = "NAME")]
    pub cluster: Option<String>,
}

impl ClusterShape {
    /// The cluster file of a new cluster. Ports that do not exist are refused here, the rest when the text is read.
    pub(crate) fn text(&self) -> Result<String, ConfigError> {
        let nodes = self.nodes.unwrap_or(NODES_DEFAULT);
        let name = toml::Value::from(self.cluster.as_deref().unwrap_or(NAME_DEFAULT));
        let partitions = self.partitions.unwrap_or(PARTITIONS_DEFAULT);
        let replicas = self.replicas.unwrap_or(REPLICAS_DEFAULT.min(nodes));
        let mut text =
            format!("{HEADER}cluster = {name}\npartitions = {partitions}\nreplicas = {replicas}\n");
        for id in 1..=nodes {
            let client = port("--client-port", self.client_port.unwrap_or(PORT_DEFAULT), id)?;
            let peer = port("--peer-port", self.peer_port.unwrap_or(PEER_PORT_DEFAULT), id)?;
            text += &format!(
                "\n[[nodes]]\nid = {id}\nclient = \"127.0.0.1:{client}\"\npeer = \"127.0.0.1:{peer}\"\n\
                 data = \"node-{id}\"\n"
            );
        }
        Ok(text)
    }

    /// What is asked for and what a cluster is instead, if it is something else.
    pub(crate) fn difference(&self, config: &ClusterConfig) -> Option<String> {
        let first = config.nodes.first();
        let client_port = port_of(first.map(|node| node.client));
        let peer_port = port_of(first.and_then(|node| node.peer));
        differs("--nodes", self.nodes, config.nodes.len())
            .or_else(|| differs("--partitions", self.partitions, config.partitions))
            .or_else(|| differs("--replicas", self.replicas, config.replicas()))
            .or_else(|| differs("--client-port", self.client_port, client_port))
            .or_else(|| differs("--peer-port", self.peer_port, peer_port))
            .or_else(|| differs("--cluster", self.cluster.as_deref(), &config.cluster))
    }
}

fn differs(flag: &str, asked: Option<impl ToString>, found: impl ToString) -> Option<String> {
    let (asked, found) = (asked?.to_string(), found.to_string());
    (asked != found).then(|| format!("the cluster there has {found} where {flag} asks for {asked}"))
}

fn port_of(address: Option<SocketAddr>) -> String {
    address.map_or("none".into(), |address| address.port().to_string())
}

/// The `id`-th of the ports that begin with `first`.
fn port(flag: &str, first: u16, id: u16) -> Result<u16, ConfigError> {
    first.checked_add(id - 1).ok_or_else(|| ConfigError::Contradiction {
        place: flag.into(),
        message: format!(
            "node {id} would have port {}, and the last is {}",
            u32::from(first) + u32::from(id) - 1,
            u16::MAX
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn shape() -> ClusterShape {
        ClusterShape {
            nodes: Some(2),
            partitions: Some(7),
            replicas: Some(1),
            client_port: Some(4000),
            peer_port: Some(5000),
            cluster: Some("it's \"new\"\n\\ é\u{1}".into()),
        }
    }

    fn read(shape: &ClusterShape) -> ClusterConfig {
        ClusterConfig::parse(&shape.text().expect("ports"), Path::new("there/cluster.toml"))
            .expect("a good text")
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let config = read(&shape());
        assert_eq!(Some(&config.cluster), shape().cluster.as_ref());
        assert_eq!((config.partitions, config.replicas), (7, Some(1)));
        let nodes = config.nodes.iter().map(|node| {
            let peer = node.peer.expect("a peer address");
            (node.id, node.client.to_string(), peer.to_string(), node.data.display().to_string())
        });
        let node = |id, client: &str, peer: &str, data: &str| (id, client.into(), peer.into(), data.into());
        let expected = [
            node(1, "127.0.0.1:4000", "127.0.0.1:5000", "there/node-1"),
            node(2, "127.0.0.1:4001", "127.0.0.1:5001", "there/node-2"),
        ];
        assert_eq!(nodes.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn the_default_is_three_nodes_with_everything_on_each() {
        let config = read(&ClusterShape::default());
        assert_eq!((config.nodes.len(), config.partitions, config.replicas), (3, 2, Some(3)));
        assert_eq!(config.connect_string(), "127.0.0.1:2181,127.0.0.1:2182,127.0.0.1:2183");
        assert_eq!(read(&ClusterShape { nodes: Some(2), ..ClusterShape::default() }).replicas, Some(2));
    }

    #[test]
    fn ports_that_do_not_exist_are_refused() {
        let last = ClusterShape { client_port: Some(65_533), ..ClusterShape::default() };
        assert_eq!(read(&last).nodes[2].client.port(), 65_535);
        let beyond = ClusterShape { client_port: Some(65_534), ..ClusterShape::default() };
        let error = beyond.text().expect_err("no port 65536").to_string();
        assert_eq!(error, "--client-port: node 3 would have port 65536, and the last is 65535");
    }

    #[test]
    fn a_cluster_agrees_with_its_own_shape_and_with_no_wishes() {
        let config = read(&shape());
        assert_eq!(shape().difference(&config), None);
        assert_eq!(ClusterShape::default().difference(&config), None);
    }

    #[test]
    fn what_differs_is_told() {
        let config = read(&shape());
        let wish = ClusterShape::default;
        for (wish, told) in [
            (ClusterShape { nodes: Some(3), ..wish() }, "2 where --nodes asks for 3"),
            (ClusterShape { partitions: Some(2), ..wish() }, "7 where --partitions asks for 2"),
            (ClusterShape { replicas: Some(2), ..wish() }, "1 where --replicas asks for 2"),
            (ClusterShape { client_port: Some(1), ..wish() }, "4000 where --client-port asks for 1"),
            (ClusterShape { peer_port: Some(1), ..wish() }, "5000 where --peer-port asks for 1"),
            (ClusterShape { cluster: Some("b".into()), ..wish() }, "--cluster asks for b"),
        ] {
            let difference = wish.difference(&config).expect("a difference");
            assert!(difference.contains(told), "{difference}");
        }
    }
}
