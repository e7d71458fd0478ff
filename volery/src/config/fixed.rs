//! What a cluster file says that is fixed for the life of the cluster.
//!
//! Every node's data directory records it, and nodes compare it before they hear each other: where it differs, they would
//! look for a znode in different places, or take different nodes for a majority.

use super::ClusterConfig;
use crate::placement::{PlacementConfig, Rule};
use eyrie::{Fixed, FixedKey, Layout, NodeId};

/// The key of the nodes' ids, in the order of the file.
pub const NODES_KEY: &str = "nodes";

impl ClusterConfig {
    /// What may not change, beside the cluster's name and its number of partitions, as one of its nodes, `me`, sees it.
    pub fn fixed(&self, me: u16) -> Fixed {
        let ids: Vec<String> = self.nodes.iter().map(|node| node.id.to_string()).collect();
        Fixed::default()
            .with(FixedKey::new(NODES_KEY), ids.join(" "))
            .with(FixedKey::new("replicas"), self.replicas().to_string())
            .with(FixedKey::new("placement.depth"), self.placement.depth.to_string())
            .with(FixedKey::new("placement.rules"), rules(&self.placement))
            .with(FixedKey::new("rings"), self.layout(me).rings_in_words())
    }

    /// Who is a member of which ring, as one of the nodes sees it.
    pub fn layout(&self, me: u16) -> Layout {
        let nodes = self.nodes.iter().map(|node| NodeId(node.id)).collect();
        Layout::new(NodeId(me), nodes, self.partitions, self.replicas())
    }
}

fn rules(placement: &PlacementConfig) -> String {
    let rule = |(path, rule): (&String, &Rule)| match rule {
        Rule::Depth(depth) => format!("{path} = depth {depth}"),
        Rule::Partition(partition) => format!("{path} = partition {partition}"),
    };
    placement.rules.iter().map(rule).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const FILE: &str = r#"
        cluster = "test"
        partitions = 2
        nodes = [
          { id = 9, client = "127.0.0.1:1", peer = "127.0.0.1:2", data = "a" },
          { id = 4, client = "127.0.0.1:3", peer = "127.0.0.1:4", data = "b" },
        ]
        [placement]
        depth = 3
        rules = { "/locks" = { partition = 1 }, "/kafka" = { depth = 4 } }
    "#;

    fn fixed(text: &str, me: u16) -> Fixed {
        ClusterConfig::parse(text, Path::new("cluster.toml")).expect("a good file").fixed(me)
    }

    #[test]
    fn what_is_fixed_is_told_by_key_and_alike_by_all_nodes() {
        let expected = [
            ("nodes", "9 4"),
            ("replicas", "2"),
            ("placement.depth", "3"),
            ("placement.rules", "/kafka = depth 4, /locks = partition 1"),
            ("rings", "p0: 4 9, p1: 9 4, shared: 4 9"),
        ];
        let fixed_here = fixed(FILE, 9);
        let told: Vec<(&str, &str)> = expected.to_vec();
        let values: Vec<(String, &str)> =
            fixed_here.iter().map(|(key, value)| (key.to_string(), value)).collect();
        assert_eq!(values.iter().map(|(key, value)| (key.as_str(), *value)).collect::<Vec<_>>(), told);
        assert_eq!(fixed(FILE, 4), fixed_here);
    }

    #[test]
    fn addresses_and_directories_may_change() {
        let moved = FILE.replace("127.0.0.1", "10.1.1.1").replace("\"a\"", "\"c\"");
        assert_eq!(fixed(&moved, 9), fixed(FILE, 9));
    }
}
