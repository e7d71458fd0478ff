//! What a cluster file must not say: each refusal is one line that names the value.

use super::{CLUSTER_BYTES_MAX, ClusterConfig, FRAME_BYTES_MAX, NODE_ID_MAX, NODES_MAX, NodeConfig};
use eyrie::PARTITIONS_MAX;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

/// Says what is wrong, if something is.
pub(super) fn check(config: &ClusterConfig) -> Result<(), String> {
    check_counts(config)?;
    check_ids(&config.nodes)?;
    check_peers(&config.nodes)?;
    check_addresses(&config.nodes)?;
    check_directories(&config.nodes)?;
    check_timeouts(config)
}

fn check_counts(config: &ClusterConfig) -> Result<(), String> {
    let (partitions, nodes) = (config.partitions, config.nodes.len());
    if !(1..=PARTITIONS_MAX).contains(&partitions) {
        return Err(format!("partitions = {partitions}, and there must be 1 to {PARTITIONS_MAX}"));
    }
    if !(1..=CLUSTER_BYTES_MAX).contains(&config.cluster.len()) {
        let (name, bytes) = (&config.cluster, config.cluster.len());
        return Err(format!(
            "cluster = {name:?} has {bytes} bytes, and there must be 1 to {CLUSTER_BYTES_MAX}"
        ));
    }
    if !(1..=NODES_MAX).contains(&nodes) {
        return Err(format!("nodes: {nodes} are named, and there must be 1 to {NODES_MAX}"));
    }
    if config.frame_bytes_max > FRAME_BYTES_MAX {
        let bytes = config.frame_bytes_max;
        return Err(format!("frame_bytes_max = {bytes}, and there may be {FRAME_BYTES_MAX}"));
    }
    match config.replicas {
        Some(replicas) if !(1..=nodes).contains(&usize::from(replicas)) => {
            Err(format!("replicas = {replicas}, and there must be 1 to {nodes}, one per node at most"))
        }
        _ => Ok(()),
    }
}

/// Ids stand in one byte of what is made of them, and none is 0, which is the node that needs no file.
pub(super) fn check_id_range(nodes: &[NodeConfig]) -> Result<(), String> {
    match nodes.iter().find(|node| !(1..=NODE_ID_MAX).contains(&node.id)) {
        Some(node) => Err(format!("a node has id = {}, and there may be 1 to {NODE_ID_MAX}", node.id)),
        None => Ok(()),
    }
}

fn check_ids(nodes: &[NodeConfig]) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    match nodes.iter().find(|node| !seen.insert(node.id)) {
        Some(node) => Err(format!("two nodes have id = {}", node.id)),
        None => Ok(()),
    }
}

/// Several nodes need a peer address each, and one that the others can connect to.
fn check_peers(nodes: &[NodeConfig]) -> Result<(), String> {
    for node in nodes {
        match node.peer {
            None if nodes.len() > 1 => {
                return Err(format!("node {} has no peer address, where the other nodes connect", node.id));
            }
            Some(peer) if peer.ip().is_unspecified() || peer.port() == 0 => {
                return Err(format!("node {}: nobody can connect to peer = \"{peer}\"", node.id));
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_addresses(nodes: &[NodeConfig]) -> Result<(), String> {
    let mut owners: BTreeMap<SocketAddr, String> = BTreeMap::new();
    for node in nodes {
        let client = (node.client, format!("node {}'s client address", node.id));
        let peer = node.peer.map(|peer| (peer, format!("node {}'s peer address", node.id)));
        for (address, owner) in [Some(client), peer].into_iter().flatten() {
            if let Some(first) = owners.insert(address, owner.clone()) {
                return Err(format!("{address} is both {first} and {owner}"));
            }
        }
    }
    Ok(())
}

/// Nodes of one machine need directories of their own; on different machines the same path is another directory.
fn check_directories(nodes: &[NodeConfig]) -> Result<(), String> {
    let mut owners: BTreeMap<(IpAddr, &Path), u16> = BTreeMap::new();
    for node in nodes {
        let machine = node.peer.unwrap_or(node.client).ip();
        if let Some(first) = owners.insert((machine, &node.data), node.id) {
            let (second, data) = (node.id, node.data.display());
            return Err(format!(
                "nodes {first} and {second} of one machine have the same data directory {data}"
            ));
        }
    }
    Ok(())
}

fn check_timeouts(config: &ClusterConfig) -> Result<(), String> {
    let (min, max) = (config.timeout_min_ms(), config.timeout_max_ms());
    match 0 < min && min <= max && max <= i32::MAX as u32 {
        true => Ok(()),
        false => Err(format!("session timeouts from {min} to {max} ms with a tick of {} ms", config.tick_ms)),
    }
}
