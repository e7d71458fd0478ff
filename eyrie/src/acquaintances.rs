//! Acquaintances: what this node knows of each peer's directory, kept in its own log: which start of it was met, here or by
//! another node, and how far the peer's log was durable then.
//!
//! So a process that was replaced, a node that has lost its disk, and one that has come back on an older copy of it, are
//! recognized also by a node that has restarted since.

use crate::codec;
use bytes::Bytes;
use multicast::link::{Acquaintance, Identity, Incarnation, Met, Nonce, StartNonce};
use multicast::log::{LogPosition, SharedLog};
use multicast::{NodeId, RingId};
use std::collections::BTreeMap;

const SLOT: u8 = 1;

/// A start as the log keeps it: its number, the disk, what it drew, and how far the log was durable.
type KeptStart = (u64, [u8; 16], u64, u64);
/// A peer as the log keeps it: which start was met, and of which another node has told.
type Kept = (u16, Option<KeptStart>, Option<KeptStart>);

/// The peers that this node knows.
pub struct Acquaintances {
    log: SharedLog,
    known: BTreeMap<NodeId, Acquaintance>,
}

impl Acquaintances {
    /// Those that the log holds.
    pub fn recover(log: SharedLog) -> Acquaintances {
        let kept = log.lock().value(RingId::NODE, SLOT).cloned();
        let kept: Vec<Kept> = kept.map_or_else(Vec::new, |bytes| {
            codec::decode(&bytes).expect("the log holds what this version has put there")
        });
        let known = |(node, met, told): Kept| {
            (NodeId(node), Acquaintance { met: met.map(start_of), told: told.map(start_of) })
        };
        Acquaintances { log, known: kept.into_iter().map(known).collect() }
    }

    /// The starts of a peer that are known.
    pub fn of(&self, peer: NodeId) -> Acquaintance {
        self.known.get(&peer).copied().unwrap_or_default()
    }

    /// Keeps what is known of a peer, which is durable once the log is up to this position.
    pub fn keep(&mut self, peer: NodeId, acquaintance: Acquaintance) -> LogPosition {
        if self.known.insert(peer, acquaintance) != Some(acquaintance) {
            let kept: Vec<Kept> = self
                .known
                .iter()
                .map(|(node, known)| (node.0, known.met.map(kept), known.told.map(kept)))
                .collect();
            let mut bytes = Vec::new();
            codec::encode_into(&kept, &mut bytes).expect("a list can be encoded into memory");
            self.log.lock().put(RingId::NODE, SLOT, Bytes::from(bytes));
        }
        self.log.lock().appended()
    }
}

fn kept(Met { identity, start, vouched }: Met) -> KeptStart {
    (identity.incarnation.0, identity.nonce.0, start.0, vouched.0)
}

fn start_of((incarnation, nonce, start, vouched): KeptStart) -> Met {
    let identity = Identity { incarnation: Incarnation(incarnation), nonce: Nonce(nonce) };
    Met { identity, start: StartNonce(start), vouched: LogPosition(vouched) }
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
        let met = start_of((3, [7; 16], 4, 5));
        let known = Acquaintance { met: Some(met), told: Some(start_of((9, [7; 16], 8, 7))) };
        let durable_at = acquaintances.keep(NodeId(2), known);
        let buffer = log.lock().take_buffer().expect("something to write");
        buffer.write(disk.as_ref()).expect("a disk that works");
        log.lock().synced(buffer.position());
        assert!(log.lock().durable() >= durable_at);
        acquaintances.keep(NodeId(2), known);
        assert!(log.lock().take_buffer().is_none(), "it is no news");
        let again = Acquaintances::recover(recover());
        assert_eq!((again.of(NodeId(2)), again.of(NodeId(1))), (known, Acquaintance::default()));
    }
}
