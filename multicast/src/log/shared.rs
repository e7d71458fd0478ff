//! One log in several hands.

use std::sync::{Arc, Mutex, MutexGuard};

use super::node_log::NodeLog;

/// A handle on the node's log, which every ring and the host's loop hold. The lock is never contended within one loop.
#[derive(Clone, Debug)]
pub struct SharedLog(Arc<Mutex<NodeLog>>);

impl SharedLog {
    /// Shares a log.
    pub fn new(log: NodeLog) -> SharedLog {
        SharedLog(Arc::new(Mutex::new(log)))
    }

    /// The log, for as long as the guard lives. Panics if a holder panicked: the log may then be half changed.
    pub fn lock(&self) -> MutexGuard<'_, NodeLog> {
        self.0.lock().expect("no holder of the log panicked")
    }
}
