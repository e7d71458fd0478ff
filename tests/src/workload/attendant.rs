//! A client that stays with one node.

use super::world::World;
use std::sync::Arc;
use std::time::Duration;
use volery::client::{Client, ClientError};

/// The session's timeout.
const SESSION_TIMEOUT: Duration = Duration::from_secs(10);

/// A client of one node, which it comes back to again and again while that is down. It only reads, so that it matters to
/// nobody in which session.
#[derive(Debug)]
pub struct Attendant {
    /// What all clients share.
    pub world: Arc<World>,
    /// The node, from 0.
    pub node: usize,
    client: Client,
}

impl Attendant {
    /// Opens a session at the node. `None` is that the trial is over.
    pub fn open(world: Arc<World>, node: usize) -> Option<Attendant> {
        let client = connect(&world, node)?;
        Some(Attendant { world, node, client })
    }

    /// Makes a request; nothing is what the node did not answer, and what came of the request cannot be judged.
    pub fn ask<T>(&mut self, call: impl FnOnce(&mut Client) -> Result<T, ClientError>) -> Option<T> {
        let answered = call(&mut self.client).ok();
        match answered {
            Some(_) => self.world.nodes[self.node].answer(),
            None => self.mend(),
        }
        answered
    }

    fn mend(&mut self) {
        self.world.pause();
        if let Err(ClientError::Expired) = self.client.reconnect()
            && let Some(client) = connect(&self.world, self.node)
        {
            self.client = client;
        }
    }
}

fn connect(world: &World, node: usize) -> Option<Client> {
    while !world.is_stopping() {
        match Client::connect(world.nodes[node].address, SESSION_TIMEOUT) {
            Ok(client) => return Some(client),
            Err(_) => world.pause(),
        }
    }
    None
}
