//! A node, as clients see it.

use super::mailbox::Mailbox;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

/// A node, as clients see it.
#[derive(Debug)]
pub struct Node {
    /// Where clients connect.
    pub address: SocketAddr,
    /// What its witness is told.
    pub mailbox: Mailbox,
    answers: AtomicU64,
    echoes: AtomicU64,
}

impl Node {
    /// A node that has answered nothing yet.
    pub fn new(address: SocketAddr) -> Node {
        let (answers, echoes) = (AtomicU64::new(0), AtomicU64::new(0));
        Node { address, mailbox: Mailbox::default(), answers, echoes }
    }

    /// It has answered a request of a client that is connected to no other.
    pub fn answer(&self) {
        self.answers.fetch_add(1, Ordering::SeqCst);
    }

    /// How often it has.
    pub fn answers(&self) -> u64 {
        self.answers.load(Ordering::SeqCst)
    }

    /// Its witness has read through it what had just been written.
    pub fn echo(&self) {
        self.echoes.fetch_add(1, Ordering::SeqCst);
    }

    /// How often it has.
    pub fn echoes(&self) -> u64 {
        self.echoes.load(Ordering::SeqCst)
    }
}
