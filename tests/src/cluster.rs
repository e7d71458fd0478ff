//! The servers under test, which together are one service.

use crate::network::Network;
use crate::schedule::Needs;
use crate::server::Server;
use crate::software::{Site, Software};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

/// All nodes of a service, numbered from 0. Dropping it kills them.
#[derive(Debug)]
pub struct Cluster {
    servers: Vec<Server>,
    /// Dropped after the nodes are dead.
    network: Arc<Network>,
}

impl Cluster {
    /// So many nodes that keep everything in `directory`, started and accepting connections. The error may be that they are
    /// not what is needed.
    pub fn start(software: &Software, nodes: u16, directory: &Path, needs: Needs) -> io::Result<Cluster> {
        let Site { launches, network } = software.site(nodes, directory, needs)?;
        let servers = launches.into_iter().map(Server::new).collect();
        let mut cluster = Cluster { servers, network: Arc::new(network) };
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

    /// What is between the nodes.
    pub fn network(&self) -> Arc<Network> {
        Arc::clone(&self.network)
    }

    /// Fills one node's disk, or makes room on it again. A node whose disk is full may end by itself.
    pub fn set_disk_full(&mut self, node: usize, is_full: bool) -> io::Result<()> {
        self.servers[node].set_disk_full(is_full)
    }

    /// Copies the data of a node that does not run.
    pub fn copy_data(&self, node: usize) -> io::Result<()> {
        self.servers[node].copy_data()
    }

    /// Puts the data of a node that does not run away, to be brought back later. Its directory is a copy of them until then.
    pub fn put_newest_away(&mut self, node: usize) -> io::Result<()> {
        self.servers[node].put_newest_away()
    }

    /// Gives a node that does not run the copy of its data that was made before.
    pub fn restore_copy(&mut self, node: usize) -> io::Result<()> {
        self.servers[node].restore_copy()
    }

    /// Starts a node without a piece of its data; it may end by itself.
    pub fn start_without(&mut self, node: usize, piece: &str) -> io::Result<()> {
        self.servers[node].start_without(piece)
    }

    /// Gives a node that does not run the data back that were put away.
    pub fn bring_newest_back(&mut self, node: usize) -> io::Result<()> {
        self.servers[node].bring_newest_back()
    }

    /// Waits until a node accepts connections.
    pub fn wait_until_up(&mut self, node: usize) -> io::Result<()> {
        self.servers[node].wait_until_up()
    }

    /// Whether a node has printed such words since its data were put away.
    pub fn has_said(&self, node: usize, words: &str) -> io::Result<bool> {
        self.servers[node].has_said(words)
    }

    /// Whether one node's process runs, as far as the last check has told.
    pub fn is_running(&self, node: usize) -> bool {
        self.servers[node].is_running()
    }

    /// The last line that one node has printed.
    pub fn last_words(&self, node: usize) -> io::Result<String> {
        self.servers[node].last_words()
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
