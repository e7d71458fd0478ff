//! What is under test: how its nodes are set up and started.

mod volery;
mod zookeeper;

pub use volery::Volery;

use crate::network::Network;
use crate::schedule::Needs;
use crate::server::Launch;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

/// Which server.
#[derive(Clone, Debug)]
pub enum Software {
    /// Volery.
    Volery(Volery),
    /// Debian's ZooKeeper: to see that the checks accept what is right.
    ZooKeeper,
}

/// Nodes that can be started, and what is between them.
#[derive(Debug)]
pub struct Site {
    /// How to start each.
    pub launches: Vec<Launch>,
    /// How they reach each other.
    pub network: Network,
}

impl Software {
    /// How to start each of so many nodes that keep everything in `directory`; what they need there is written.
    pub fn site(&self, nodes: u16, directory: &Path, needs: Needs) -> io::Result<Site> {
        match self {
            Software::Volery(volery) => volery.site(nodes, directory, needs),
            Software::ZooKeeper if needs != Needs::default() => {
                Err(io::Error::other("only volery's disks and network can be made to fail"))
            }
            Software::ZooKeeper => {
                Ok(Site { launches: zookeeper::launches(nodes, directory)?, network: Network::direct() })
            }
        }
    }
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}
