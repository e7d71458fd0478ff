//! The servers under test, which together are one service.

use crate::server::Server;
use crate::software::Software;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

/// All nodes of a service, numbered from 0. Dropping it kills them.
#[derive(Debug)]
pub struct Cluster {
    servers: Vec<Server>,
}

impl Cluster {
    /// So many nodes that keep everything in `directory`, started and accepting connections.
    pub fn start(software: &Software, nodes: u16, directory: &Path) -> io::Result<Cluster> {
        let launches = software.launches(nodes, directory)?;
        let mut cluster = Cluster { servers: launches.into_iter().map(Server::new).collect() };
        cluster.start_all()?;
        Ok(cluster)
    }

    /// How many nodes there are.
    pub fn count(&self) -> usize {
        self.servers.len()
    }

    /// Where clients connect, by node.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.servers.iter().map(Server::address).collect()
    }

    /// Kills all nodes and starts them again; returns when all accept connections.
    pub fn restart_all(&mut self) -> io::Result<()> {
        self.servers.iter_mut().try_for_each(Server::kill)?;
        self.start_all()
    }

    /// Kills one node.
    pub fn kill(&mut self, node: usize) -> io::Result<()> {
        self.servers[node].kill()
    }

    /// Starts a node that was killed, and does not wait for it.
    ///
    /// # Panics
    /// If it still runs.
    pub fn restart(&mut self, node: usize) -> io::Result<()> {
        self.servers[node].start()
    }

    /// Stops one node's process.
    pub fn pause(&self, node: usize) -> io::Result<()> {
        self.servers[node].pause()
    }

    /// Lets it go on.
    pub fn resume(&self, node: usize) -> io::Result<()> {
        self.servers[node].resume()
    }

    /// The error is that a node has ended by itself.
    pub fn check(&mut self) -> io::Result<()> {
        self.servers.iter_mut().try_for_each(Server::check)
    }

    /// All before the first is waited for: a node may need others to come up.
    fn start_all(&mut self) -> io::Result<()> {
        self.servers.iter_mut().try_for_each(Server::start)?;
        self.servers.iter_mut().try_for_each(Server::wait_until_up)
    }
}
