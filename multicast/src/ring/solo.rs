//! The ring of one member: its quorum is itself, so it decides what it has synced.

use super::{Amnesiac, Outgoing, Ring, StepError};
use crate::NodeId;
use crate::log::{LogError, LogPosition, SharedLog};
use crate::ring_id::RingId;
use bytes::Bytes;
use std::collections::VecDeque;

/// A ring whose only member is this node; it always leads.
///
/// Invariants:
/// - `decided + unsynced.len()` is what the log holds of the ring.
/// - `recovered` is what it held when the process began, all of it decided.
/// - `unsynced` ascends, and everything in it lies beyond what is durable.
#[derive(Debug)]
pub struct SoloRing {
    id: RingId,
    log: SharedLog,
    recovered: u64,
    decided: u64,
    unsynced: VecDeque<LogPosition>,
}

impl SoloRing {
    /// The ring as the log tells it: whatever recovery found had been synced, so it is decided.
    pub fn recover(id: RingId, log: SharedLog) -> SoloRing {
        let decided = log.lock().next_index(id);
        SoloRing { id, log, recovered: decided, decided, unsynced: VecDeque::new() }
    }
}

impl Ring for SoloRing {
    fn id(&self) -> RingId {
        self.id
    }

    fn leads(&self) -> bool {
        true
    }

    /// It leads itself, and knows no node numbers.
    fn leader(&self) -> Option<NodeId> {
        None
    }

    fn reigns(&self) -> u64 {
        1
    }

    fn entered_accept_with(&self) -> u64 {
        self.recovered
    }

    fn append(&mut self, entry: Bytes) {
        let index = self.accepted();
        let mut log = self.log.lock();
        log.append(self.id, index, entry);
        self.unsynced.push_back(log.appended());
    }

    fn meet(&mut self, _: NodeId, _: u64) -> Result<(), Amnesiac> {
        Ok(())
    }

    fn reconnected(&mut self, _: NodeId) {}

    fn step(&mut self, from: NodeId, _: Bytes) -> Result<(), StepError> {
        Err(StepError::Stranger(from))
    }

    fn tick(&mut self, _: u64) {}

    fn synced(&mut self, durable: LogPosition) {
        while self.unsynced.front().is_some_and(|position| *position <= durable) {
            self.unsynced.pop_front();
            self.decided += 1;
        }
    }

    fn drain(&mut self, _: &mut Vec<Outgoing>) {}

    fn decided(&self) -> u64 {
        self.decided
    }

    fn accepted(&self) -> u64 {
        self.decided + self.unsynced.len() as u64
    }

    fn read(&self, index: u64) -> Result<Bytes, LogError> {
        self.log.lock().read(self.id, index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Disk, MemoryDisk};
    use crate::log::{LogLimits, LogNonce, NodeLog};
    use std::sync::Arc;

    const RING: RingId = RingId(0);

    fn recover(disk: &Arc<MemoryDisk>) -> (SharedLog, SoloRing) {
        let disk: Arc<dyn Disk> = disk.clone();
        let log =
            SharedLog::new(NodeLog::recover(disk, LogLimits::default(), LogNonce::default()).expect("a log"));
        (log.clone(), SoloRing::recover(RING, log))
    }

    #[test]
    fn an_entry_is_decided_only_once_its_buffer_is_synced() {
        let disk = Arc::new(MemoryDisk::new());
        let (log, mut ring) = recover(&disk);
        ring.append(Bytes::from_static(b"one"));
        let buffer = log.lock().take_buffer().expect("something to write");
        ring.append(Bytes::from_static(b"two"));
        ring.synced(log.lock().durable());
        assert_eq!((ring.decided(), ring.accepted()), (0, 2));

        buffer.write(disk.as_ref()).expect("a disk that works");
        log.lock().synced(buffer.position());
        ring.synced(buffer.position());
        assert_eq!((ring.decided(), ring.accepted()), (1, 2));

        disk.crash(1);
        let (_, ring) = recover(&disk);
        assert_eq!((ring.decided(), ring.accepted()), (1, 1));
        assert_eq!(ring.read(0).expect("the entry"), "one");
    }
}
