//! Acquaintances: which start and which disk of each peer this node has met, kept in its log.
//!
//! So a process that was replaced, and a node that has lost its disk, are recognized also by a node that has restarted
//! since.

use crate::codec;
use bytes::Bytes;
use multicast::link::{Identity, Incarnation, Nonce};
use multicast::log::SharedLog;
use multicast::{NodeId, RingId};
use std::collections::BTreeMap;

const SLOT: u8 = 1;

/// Whom this node has met.
pub struct Acquaintances {
    log: SharedLog,
    met: BTreeMap<NodeId, Identity>,
}

impl Acquaintances {
    /// Those that the log holds.
    pub fn recover(log: SharedLog) -> Acquaintances {
        let kept = log.lock().value(RingId::NODE, SLOT).cloned();
        let met: Vec<(u16, u64, [u8; 16])> = kept.map_or_else(Vec::new, |bytes| {
            codec::decode(&bytes).expect("the log holds what this version has put there")
        });
        let identity =
            |incarnation, nonce| Identity { incarnation: Incarnation(incarnation), nonce: Nonce(nonce) };
        let met = met.into_iter().map(|(node, starts, nonce)| (NodeId(node), identity(starts, nonce)));
        Acquaintances { log, met: met.collect() }
    }

    /// What is known of a peer.
    pub fn of(&self, peer: NodeId) -> Option<Identity> {
        self.met.get(&peer).copied()
    }

    /// A peer was met. The next buffer makes it durable.
    pub fn meet(&mut self, peer: NodeId, identity: Identity) {
        self.met.insert(peer, identity);
        let met: Vec<(u16, u64, [u8; 16])> =
            self.met.iter().map(|(node, met)| (node.0, met.incarnation.0, met.nonce.0)).collect();
        let mut bytes = Vec::new();
        codec::encode_into(&met, &mut bytes).expect("a list can be encoded into memory");
        self.log.lock().put(RingId::NODE, SLOT, Bytes::from(bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use multicast::disk::{Disk, MemoryDisk};
    use multicast::log::{LogLimits, LogNonce, NodeLog};
    use std::sync::Arc;

    #[test]
    fn who_was_met_is_known_after_a_restart() {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        let recover = || {
            SharedLog::new(
                NodeLog::recover(disk.clone(), LogLimits::default(), LogNonce::default()).expect("a log"),
            )
        };
        let log = recover();
        let mut acquaintances = Acquaintances::recover(log.clone());
        let identity = Identity { incarnation: Incarnation(3), nonce: Nonce([7; 16]) };
        acquaintances.meet(NodeId(2), identity);
        let buffer = log.lock().take_buffer().expect("something to write");
        buffer.write(disk.as_ref()).expect("a disk that works");
        let again = Acquaintances::recover(recover());
        assert_eq!((again.of(NodeId(2)), again.of(NodeId(1))), (Some(identity), None));
    }
}
