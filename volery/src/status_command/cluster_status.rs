//! What all nodes of a cluster say of themselves.

use super::question::{NoAnswer, ask_status};
use crate::config::{ClusterConfig, NodeConfig};
use crate::status::{PartitionStatus, RingStatus, Status};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

/// How often replicas that seem to differ are asked again. A node's position runs ahead of its state while a command
/// waits for another partition, so what differs once may be on its way.
const QUESTIONS_MAX: usize = 5;

/// What became of one question.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Answer {
    Status(Box<Status>),
    Error(String),
}

/// One node and what it says.
#[derive(Clone, Debug, Serialize)]
pub(super) struct NodeAnswer {
    pub(super) node: u16,
    pub(super) address: SocketAddr,
    #[serde(flatten)]
    pub(super) answer: Answer,
}

/// What all nodes say, in the order of the cluster file.
pub(super) struct ClusterStatus {
    pub(super) nodes: Vec<NodeAnswer>,
}

/// Replicas of one partition at one position with different states: a broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Divergence {
    partition: u16,
    position: String,
    /// Which nodes have which hash.
    nodes: BTreeMap<String, Vec<u16>>,
}

impl ClusterStatus {
    /// Asks all nodes at once, and again while replicas differ.
    pub(super) fn ask(config: &ClusterConfig, patience: Duration) -> ClusterStatus {
        let mut status = ClusterStatus::ask_once(config, patience);
        for _ in 1..QUESTIONS_MAX {
            if status.divergences().is_empty() {
                break;
            }
            status = ClusterStatus::ask_once(config, patience);
        }
        status
    }

    fn ask_once(config: &ClusterConfig, patience: Duration) -> ClusterStatus {
        let ask = |node| move || ask_node(node, patience);
        let nodes = thread::scope(|scope| {
            let asked: Vec<_> = config.nodes.iter().map(|node| scope.spawn(ask(node))).collect();
            asked.into_iter().map(|thread| thread.join().expect("asking does not panic")).collect()
        });
        ClusterStatus { nodes }
    }

    /// The nodes that answered, with what they said.
    pub(super) fn answers(&self) -> impl Iterator<Item = (u16, &Status)> {
        self.nodes.iter().filter_map(|node| match &node.answer {
            Answer::Status(status) => Some((node.node, status.as_ref())),
            Answer::Error(_) => None,
        })
    }

    /// What is said of each ring, by name: the partitions' in their order, then the shared one.
    pub(super) fn rings(&self) -> Vec<(&str, Vec<(u16, &RingStatus)>)> {
        let mut rings: BTreeMap<(usize, &str), Vec<_>> = BTreeMap::new();
        for (node, status) in self.answers() {
            for ring in &status.rings {
                // By length first: p9 comes before p10, and `shared` last.
                rings.entry((ring.ring.len(), &ring.ring)).or_default().push((node, ring));
            }
        }
        rings.into_iter().map(|((_, name), members)| (name, members)).collect()
    }

    /// What is said of each partition.
    pub(super) fn partitions(&self) -> BTreeMap<u16, Vec<(u16, &PartitionStatus)>> {
        let mut partitions: BTreeMap<u16, Vec<_>> = BTreeMap::new();
        for (node, status) in self.answers() {
            for partition in &status.partitions {
                partitions.entry(partition.partition).or_default().push((node, partition));
            }
        }
        partitions
    }

    /// Where replicas at equal positions have different states.
    pub(super) fn divergences(&self) -> Vec<Divergence> {
        let mut divergences = Vec::new();
        for (partition, replicas) in self.partitions() {
            let positions: BTreeSet<&String> =
                replicas.iter().map(|(_, replica)| &replica.position).collect();
            for position in positions {
                let mut nodes: BTreeMap<String, Vec<u16>> = BTreeMap::new();
                for (node, replica) in replicas.iter().filter(|(_, replica)| replica.position == *position) {
                    nodes.entry(replica.state_hash.clone()).or_default().push(*node);
                }
                if nodes.len() > 1 {
                    divergences.push(Divergence { partition, position: position.clone(), nodes });
                }
            }
        }
        divergences
    }
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Divergence { partition, position, nodes } = self;
        let groups = nodes.iter().map(|(hash, nodes)| {
            let nodes: Vec<String> = nodes.iter().map(u16::to_string).collect();
            format!("{hash} at node {}", nodes.join(" and "))
        });
        let groups = groups.collect::<Vec<_>>().join(", ");
        write!(f, "partition {partition} DIFFERS between replicas at position {position}: {groups}")
    }
}

fn ask_node(node: &NodeConfig, patience: Duration) -> NodeAnswer {
    let status = ask_status(node.client, patience).and_then(|status| match status.node {
        id if id == node.id => Ok(status),
        id => Err(NoAnswer::OtherNode(id)),
    });
    let answer = match status {
        Ok(status) => Answer::Status(Box::new(status)),
        Err(reason) => Answer::Error(reason.to_string()),
    };
    NodeAnswer { node: node.id, address: node.client, answer }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::question::tests::{PATIENCE, address_where_nobody_listens, server_that_says};
    use super::*;
    use std::path::Path;

    /// Nodes 1, 2, … of which those without a status do not answer.
    pub fn cluster(statuses: Vec<Option<Status>>) -> ClusterStatus {
        let node = |(id, status): (u16, Option<Status>)| NodeAnswer {
            node: id,
            address: format!("127.0.0.1:{}", 2180 + id).parse().unwrap(),
            answer: status.map_or(Answer::Error("refused".into()), |status| Answer::Status(Box::new(status))),
        };
        ClusterStatus { nodes: (1..).zip(statuses).map(node).collect() }
    }

    pub fn replica(partition: u16, position: &str, state_hash: &str) -> PartitionStatus {
        let (position, state_hash) = (position.into(), state_hash.into());
        PartitionStatus { partition, position, state_hash, ..PartitionStatus::default() }
    }

    pub fn holding(partitions: Vec<PartitionStatus>) -> Option<Status> {
        Some(Status { partitions, ..Status::default() })
    }

    fn config(clients: &[SocketAddr]) -> ClusterConfig {
        let mut text = "cluster = \"x\"\npartitions = 1\n".to_owned();
        for (id, client) in (1..).zip(clients) {
            text += &format!(
                "[[nodes]]\nid = {id}\nclient = \"{client}\"\npeer = \"127.0.0.2:{id}\"\ndata = \"{id}\"\n"
            );
        }
        ClusterConfig::parse(&text, Path::new("test")).unwrap()
    }

    fn json(status: &Status) -> String {
        serde_json::to_string(status).unwrap()
    }

    #[test]
    fn all_nodes_are_asked_and_none_is_taken_for_another() {
        let first = Status { node: 1, znodes: 9, ..Status::default() };
        let addresses = [
            server_that_says(json(&first)),
            address_where_nobody_listens(),
            server_that_says(json(&Status { node: 5, ..Status::default() })),
        ];
        let status = ClusterStatus::ask(&config(&addresses), PATIENCE);
        assert_eq!(status.answers().collect::<Vec<_>>(), [(1, &first)]);
        let json = serde_json::to_value(&status.nodes).unwrap();
        assert_eq!(json[0]["status"]["znodes"], 9);
        assert_eq!(json[0].get("error"), None);
        assert_eq!(
            (&json[1]["node"], json[1]["address"].as_str()),
            (&2.into(), Some(&*addresses[1].to_string()))
        );
        assert!(json[1]["error"].as_str().unwrap().contains("refused"));
        assert_eq!(json[2]["error"], "node 5 answers there");
    }

    #[test]
    fn replicas_differ_only_at_equal_positions() {
        let same = cluster(vec![
            holding(vec![replica(0, "0:5", "a"), replica(1, "0:7", "b")]),
            holding(vec![replica(0, "0:5", "a"), replica(1, "0:8", "c")]),
            None,
        ]);
        assert_eq!(same.divergences(), []);
        let different = cluster(vec![
            holding(vec![replica(0, "0:5", "a"), replica(1, "0:7", "b")]),
            holding(vec![replica(0, "0:5", "a"), replica(1, "0:7", "c")]),
            holding(vec![replica(0, "0:4", "x"), replica(1, "0:7", "b")]),
        ]);
        let told: Vec<String> = different.divergences().iter().map(Divergence::to_string).collect();
        assert_eq!(
            told,
            ["partition 1 DIFFERS between replicas at position 0:7: b at node 1 and 3, c at node 2"]
        );
    }

    #[test]
    fn rings_come_in_the_order_of_their_partitions() {
        let ring = |ring: &str| RingStatus { ring: ring.into(), ..RingStatus::default() };
        let member = |rings: &[&str]| {
            Some(Status { rings: rings.iter().map(|name| ring(name)).collect(), ..Status::default() })
        };
        let status = cluster(vec![member(&["p10", "shared"]), member(&["p9", "p10"])]);
        let rings = status.rings().into_iter();
        let members =
            rings.map(|(name, members)| (name, members.into_iter().map(|(node, _)| node).collect()));
        let expected: [(&str, Vec<u16>); 3] = [("p9", vec![2]), ("p10", vec![1, 2]), ("shared", vec![1])];
        assert_eq!(members.collect::<Vec<_>>(), expected);
    }
}
