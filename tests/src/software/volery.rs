//! Volery, by its command line.

use super::{Site, loopback};
use crate::network::Network;
use crate::ports::free_ports;
use crate::schedule::Needs;
use crate::server::{Avowal, Launch};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

/// What chooses the disk that loses what is not synced.
const VOLATILE_DISK: (&str, &str) = ("VOLERY_DISK", "volatile");
/// How to come by a binary with such disks.
const HINT: &str = "build it by `cargo build --release -p volery --features faults`";
const LOSES_UNSYNCED: Avowal = Avowal { line: "built with faults: what is not synced is lost", hint: HINT };
const CAN_BE_FULL: Avowal = Avowal { line: "built with faults: the disk is full while", hint: HINT };

/// A program and what a cluster of it looks like.
#[derive(Clone, Debug)]
pub struct Volery {
    /// The program.
    pub binary: PathBuf,
    /// How many partitions it has.
    pub partitions: u16,
    /// How many replicas a partition has, if not as many as is usual.
    pub replicas: Option<u16>,
}

impl Volery {
    pub(super) fn site(&self, nodes: u16, directory: &Path, needs: Needs) -> io::Result<Site> {
        // The ports of clients, of peers, and of what is between these, in a row.
        let client_port = free_ports(2 * nodes + Network::ports(nodes))?;
        let launch = |node: u16, arguments: Vec<OsString>| Launch {
            address: loopback(client_port + node - 1),
            log: directory.join(format!("node-{node}.log")),
            program: self.binary.clone(),
            arguments,
            environment: needs.volatile_disks.then_some(VOLATILE_DISK).into_iter().collect(),
            avowals: avowals(needs),
            data: data(directory, node),
        };
        if nodes == 1 {
            let alone = launch(1, self.serve_alone(client_port, &data(directory, 1)));
            return Ok(Site { launches: vec![alone], network: Network::direct() });
        }
        self.init(nodes, client_port, directory)?;
        let config = directory.join("cluster.toml");
        let (network, configs) = if needs.network {
            let peers: Vec<SocketAddr> =
                (0..nodes).map(|node| loopback(client_port + nodes + node)).collect();
            let network = Network::start(&peers, client_port + 2 * nodes)?;
            let configs = write_copies(&config, &peers, &network)?;
            (network, configs)
        } else {
            (Network::direct(), vec![config; usize::from(nodes)])
        };
        let launches = (1..=nodes).zip(configs).map(|(node, config)| launch(node, serve(&config, node)));
        Ok(Site { launches: launches.collect(), network })
    }

    fn serve_alone(&self, port: u16, data: &Path) -> Vec<OsString> {
        let partitions = self.partitions.to_string();
        let numbers = ["serve", "--port", &port.to_string(), "--partitions", &partitions].map(OsString::from);
        [&numbers[..], &["--data-dir".into(), data.into()]].concat()
    }

    /// Writes the cluster file: the nodes' own ports follow those of their clients.
    fn init(&self, nodes: u16, client_port: u16, directory: &Path) -> io::Result<()> {
        let mut command = Command::new(&self.binary);
        command.args(["init", "--cluster", "load-and-check", "--dir"]).arg(directory);
        let numbers = [
            ("--nodes", Some(nodes)),
            ("--partitions", Some(self.partitions)),
            ("--replicas", self.replicas),
            ("--client-port", Some(client_port)),
            ("--peer-port", Some(client_port + nodes)),
        ];
        for (option, number) in numbers {
            command.args(number.map(|number| [option.to_owned(), number.to_string()]).into_iter().flatten());
        }
        let output = command.output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        output.status.success().then_some(()).ok_or_else(|| io::Error::other(format!("volery init: {said}")))
    }
}

/// Where `volery init` lets a node keep its data.
fn data(directory: &Path, node: u16) -> PathBuf {
    directory.join(format!("node-{node}"))
}

/// What nodes that can do this say.
fn avowals(needs: Needs) -> Vec<Avowal> {
    let wanted = [(needs.volatile_disks, LOSES_UNSYNCED), (needs.limited_disks, CAN_BE_FULL)];
    wanted.into_iter().filter_map(|(is_wanted, avowal)| is_wanted.then_some(avowal)).collect()
}

/// Writes each node's copy of the cluster file beside it. Nodes do not compare addresses, so these may differ.
fn write_copies(config: &Path, peers: &[SocketAddr], network: &Network) -> io::Result<Vec<PathBuf>> {
    let text = fs::read_to_string(config)?;
    let copies = (0..peers.len()).map(|node| {
        let copy = config.with_file_name(format!("cluster-of-node-{}.toml", node + 1));
        fs::write(&copy, seen_by_one(&text, peers, |other| network.address(node, other))?)?;
        Ok(copy)
    });
    copies.collect()
}

/// The cluster file with the peers where one node reaches them, as far as that is elsewhere.
fn seen_by_one(
    text: &str,
    peers: &[SocketAddr],
    seen_at: impl Fn(usize) -> Option<SocketAddr>,
) -> io::Result<String> {
    let mut text = text.to_owned();
    for (other, peer) in peers.iter().enumerate() {
        let Some(address) = seen_at(other) else { continue };
        let [named, seen] = [*peer, address].map(|address| format!("peer = \"{address}\""));
        if text.matches(&named).count() != 1 {
            return Err(io::Error::other(format!("the cluster file does not say {named} once")));
        }
        text = text.replace(&named, &seen);
    }
    Ok(text)
}

fn serve(config: &Path, node: u16) -> Vec<OsString> {
    vec!["serve".into(), "--config".into(), config.into(), "--node".into(), node.to_string().into()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_node_sees_itself_where_it_listens_and_the_others_at_their_proxies() {
        let peers = [7001, 7002, 7003].map(loopback);
        let text = |ports: [u16; 3]| ports.map(|port| format!("peer = \"127.0.0.1:{port}\"\n")).concat();
        let seen_at = |other| (other != 1).then(|| loopback(7011 + other as u16));
        let seen = seen_by_one(&text([7001, 7002, 7003]), &peers, seen_at).unwrap();
        assert_eq!(seen, text([7011, 7002, 7013]));
        let error = seen_by_one("peer = \"elsewhere\"", &peers, seen_at).unwrap_err().to_string();
        assert!(error.starts_with("the cluster file does not say peer = "), "{error}");
    }

    #[test]
    fn what_is_needed_must_be_avowed() {
        assert_eq!(avowals(Needs::default()), []);
        let needs = Needs { volatile_disks: true, limited_disks: true, network: true };
        assert_eq!(avowals(needs), [LOSES_UNSYNCED, CAN_BE_FULL]);
    }
}
