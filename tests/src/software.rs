//! What is under test: how its nodes are set up and started.

mod volery;
mod zookeeper;

pub use volery::Volery;

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

impl Software {
    /// How to start each of so many nodes that keep everything in `directory`; what they need there is written.
    pub fn launches(&self, nodes: u16, directory: &Path) -> io::Result<Vec<Launch>> {
        match self {
            Software::Volery(volery) => volery.launches(nodes, directory),
            Software::ZooKeeper => zookeeper::launches(nodes, directory),
        }
    }
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}
