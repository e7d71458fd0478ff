//! The network between the nodes of a cluster.

#![allow(clippy::disallowed_methods, reason = "waits for proxies to listen")]

use crate::proxy::{Proxy, Weather};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How long a proxy that was cut may take to listen again.
const LISTEN_MAX: Duration = Duration::from_secs(10);

/// A proxy from every node to every other, or none at all. Nodes are numbered from 0.
#[derive(Debug, Default)]
pub struct Network {
    proxies: BTreeMap<(usize, usize), Proxy>,
}

impl Network {
    /// A network in which nobody stands between the nodes.
    pub fn direct() -> Network {
        Network::default()
    }

    /// A network for nodes that listen at `peers`; its proxies listen at loopback ports from `first_port` on, of which there
    /// are [`Network::ports`].
    pub fn start(peers: &[SocketAddr], first_port: u16) -> io::Result<Network> {
        let nodes = peers.len();
        let pairs = (0..nodes).flat_map(|from| (0..nodes).map(move |to| (from, to)));
        let mut proxies = BTreeMap::new();
        for ((from, to), port) in pairs.filter(|(from, to)| from != to).zip(first_port..) {
            let address = SocketAddr::new(peers[from].ip(), port);
            proxies.insert((from, to), Proxy::start(address, peers[to])?);
        }
        Ok(Network { proxies })
    }

    /// How many ports the proxies between so many nodes need.
    pub fn ports(nodes: u16) -> u16 {
        nodes * (nodes - 1)
    }

    /// Where a node reaches another.
    pub fn address(&self, from: usize, to: usize) -> Option<SocketAddr> {
        self.proxies.get(&(from, to)).map(Proxy::address)
    }

    /// Gives every proxy, by who dials and who is dialled, its weather.
    pub fn set(&self, weather: impl Fn(usize, usize) -> Weather) {
        self.proxies.iter().for_each(|((from, to), proxy)| proxy.set(weather(*from, *to)));
    }

    /// Strands the connections between these pairs of nodes.
    pub fn strand(&self, is_stranded: impl Fn(usize, usize) -> bool) {
        let proxies = self.proxies.iter().filter(|((from, to), _)| is_stranded(*from, *to));
        proxies.for_each(|(_, proxy)| proxy.strand());
    }

    /// Whether no stranded connection is left.
    pub fn has_delivered(&self) -> bool {
        self.proxies.values().all(|proxy| proxy.stranded() == 0)
    }

    /// How many connections have delivered bytes late.
    pub fn late(&self) -> usize {
        self.proxies.values().map(Proxy::late).sum()
    }

    /// Clears the weather everywhere, and returns when all proxies listen.
    pub fn clear(&self) -> io::Result<()> {
        self.set(|_, _| Weather::Clear);
        let deadline = Instant::now() + LISTEN_MAX;
        while let Some(deaf) = self.proxies.values().find(|proxy| !proxy.is_listening()) {
            if Instant::now() > deadline {
                let address = deaf.address();
                return Err(io::Error::other(format!("the proxy at {address} does not listen again")));
            }
            std::thread::yield_now();
        }
        Ok(())
    }

    /// The pairs of nodes, and how many connections are up between them.
    pub fn connections(&self) -> BTreeMap<(usize, usize), usize> {
        let mut connections = BTreeMap::new();
        for ((from, to), proxy) in &self.proxies {
            *connections.entry((*from.min(to), *from.max(to))).or_default() += proxy.up();
        }
        connections
    }
}
