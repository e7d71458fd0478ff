//! What a partition has sent for its commands, kept until all who need it have it in their logs.
//!
//! Every replica of the partition makes the same letters, so any of them can give them to whoever asks. Who restarts makes
//! them again as it replays its sequence; what was acknowledged before is in its log, so that it does not keep all of them.

use crate::codec;
use crate::faults::VALUES_DROPPED;
use bytes::Bytes;
use multicast::log::SharedLog;
use multicast::{Destinations, NodeId, PartitionId, RingId, SharedIndex};
use std::collections::{BTreeMap, VecDeque};

/// How many bytes of letters one partition keeps for nodes that do not acknowledge. Whoever is away for longer cannot
/// take up its replicas again without the state of others.
pub const RETAINED_BYTES_MAX: usize = 256 << 20;

/// What was acknowledged stands in the log under numbers of its own, beyond those of rings and mailboxes.
const FIRST_NUMBER: u16 = 1 << 13;
const SLOT: u8 = 0;

/// One letter: what was sent for a command to the replicas of another partition.
#[derive(Clone, Debug)]
pub struct Letter {
    /// The command.
    pub command: SharedIndex,
    /// The partition it is for.
    pub to: PartitionId,
    /// The letter, as it travels.
    pub bytes: Bytes,
}

/// The letters for one other partition, in the order of their commands.
#[derive(Debug, Default)]
struct Shelf {
    letters: VecDeque<Letter>,
    /// Up to here letters were given up.
    given_up: SharedIndex,
}

/// The letters of one partition.
///
/// Invariants: `bytes` counts those of all letters; along a shelf, commands never fall.
#[derive(Debug)]
pub struct Retained {
    shelves: BTreeMap<PartitionId, Shelf>,
    bytes: usize,
    /// The nodes that need letters, for which partitions, and the command up to which each has all of its own in its synced
    /// log.
    readers: BTreeMap<NodeId, (Destinations, SharedIndex)>,
    /// Under which number the log keeps what was acknowledged.
    number: RingId,
    log: SharedLog,
}

impl Retained {
    /// The letters of a partition for these nodes, which host these partitions: none yet. Takes up what they have acknowledged.
    pub fn recover(
        partition: PartitionId,
        readers: BTreeMap<NodeId, Destinations>,
        log: SharedLog,
    ) -> Retained {
        let number = RingId(FIRST_NUMBER | partition.0);
        let kept = log.lock().value(number, SLOT).cloned();
        let known: BTreeMap<NodeId, SharedIndex> = kept.map_or_else(BTreeMap::new, |bytes| {
            codec::decode(&bytes).expect("the log holds what this version has put there")
        });
        let reader = |(reader, hosts)| (reader, (hosts, known.get(&reader).copied().unwrap_or_default()));
        let readers = readers.into_iter().map(reader).collect();
        Retained { shelves: BTreeMap::new(), bytes: 0, readers, number, log }
    }

    /// Keeps a letter, unless all who need it have it.
    pub fn keep(&mut self, letter: Letter) {
        if letter.command <= self.acknowledged(letter.to) {
            return;
        }
        self.bytes += letter.bytes.len();
        self.shelves.entry(letter.to).or_default().letters.push_back(letter);
        while self.bytes > RETAINED_BYTES_MAX {
            self.give_up_oldest();
        }
    }

    /// A node has everything that is for it up to `command` in its synced log.
    pub fn acknowledge(&mut self, reader: NodeId, command: SharedIndex) {
        let Some((_, acknowledged)) = self.readers.get_mut(&reader).filter(|(_, known)| *known < command)
        else {
            return;
        };
        *acknowledged = command;
        self.note();
        for to in self.shelves.keys().copied().collect::<Vec<_>>() {
            let all = self.acknowledged(to);
            let Some(Shelf { letters, .. }) = self.shelves.get_mut(&to) else { continue };
            let had = letters.iter().take_while(|letter| letter.command <= all).count();
            self.bytes -= letters.drain(..had).map(|letter| letter.bytes.len()).sum::<usize>();
        }
    }

    /// The letters to these partitions for commands after `command`, in order. `Err` if some were given up.
    pub fn after(&self, command: SharedIndex, to: Destinations) -> Result<Vec<&Letter>, SharedIndex> {
        let shelves = self.shelves.iter().filter(|(partition, _)| to.contains(**partition));
        let shelves: Vec<&Shelf> = shelves.map(|(_, shelf)| shelf).collect();
        if let Some(given_up) = shelves.iter().map(|shelf| shelf.given_up).max().filter(|up| command < *up) {
            return Err(given_up);
        }
        let letters = shelves.iter().flat_map(|shelf| &shelf.letters);
        let mut letters: Vec<&Letter> = letters.filter(|letter| letter.command > command).collect();
        letters.sort_by_key(|letter| letter.command);
        Ok(letters)
    }

    /// Panics unless the invariants hold.
    pub fn check_invariants(&self) {
        let letters = self.shelves.values().flat_map(|shelf| &shelf.letters);
        assert_eq!(self.bytes, letters.map(|letter| letter.bytes.len()).sum::<usize>());
        let ordered = |shelf: &Shelf| shelf.letters.iter().is_sorted_by_key(|letter| letter.command);
        assert!(self.shelves.values().all(ordered));
    }

    /// Has the next buffer say what was acknowledged.
    fn note(&self) {
        let known: BTreeMap<NodeId, SharedIndex> =
            self.readers.iter().map(|(reader, (_, acknowledged))| (*reader, *acknowledged)).collect();
        let mut bytes = Vec::new();
        codec::encode_into(&known, &mut bytes).expect("a list can be encoded into memory");
        self.log.lock().put(self.number, SLOT, Bytes::from(bytes));
    }

    /// Up to which command all who need letters to a partition have them.
    fn acknowledged(&self, to: PartitionId) -> SharedIndex {
        let readers =
            self.readers.values().filter(|(hosts, _)| hosts.contains(to) && !VALUES_DROPPED.is_planted());
        readers.map(|(_, acknowledged)| *acknowledged).min().unwrap_or(SharedIndex(u64::MAX))
    }

    fn give_up_oldest(&mut self) {
        let command =
            |shelf: &&mut Shelf| shelf.letters.front().map_or(SharedIndex(u64::MAX), |letter| letter.command);
        let oldest = self.shelves.values_mut().min_by_key(command);
        if let Some((shelf, letter)) =
            oldest.and_then(|shelf| shelf.letters.pop_front().map(|letter| (shelf, letter)))
        {
            self.bytes -= letter.bytes.len();
            shelf.given_up = letter.command;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use multicast::disk::{Disk, MemoryDisk};
    use multicast::log::{LogLimits, LogNonce, NodeLog};
    use std::sync::Arc;

    const A: NodeId = NodeId(1);
    const B: NodeId = NodeId(2);
    const ONE: PartitionId = PartitionId(1);
    const TWO: PartitionId = PartitionId(2);

    fn letter(command: u64, to: PartitionId, bytes: usize) -> Letter {
        Letter { command: SharedIndex(command), to, bytes: Bytes::from(vec![0; bytes]) }
    }

    /// Node A hosts partition 1, node B both.
    fn retained() -> Retained {
        recovered(&log(&disk()))
    }

    fn disk() -> Arc<dyn Disk> {
        Arc::new(MemoryDisk::new())
    }

    fn log(disk: &Arc<dyn Disk>) -> SharedLog {
        SharedLog::new(
            NodeLog::recover(disk.clone(), LogLimits::default(), LogNonce::default()).expect("a log"),
        )
    }

    fn recovered(log: &SharedLog) -> Retained {
        let readers = [(A, ONE.into()), (B, [ONE, TWO].into_iter().collect())];
        Retained::recover(PartitionId(0), readers.into(), log.clone())
    }

    #[test]
    fn what_was_acknowledged_is_not_kept_again_after_a_restart() {
        let disk = disk();
        let before = log(&disk);
        let mut retained = recovered(&before);
        retained.acknowledge(A, SharedIndex(2));
        retained.acknowledge(B, SharedIndex(3));
        let buffer = before.lock().take_buffer().expect("something to write");
        buffer.write(disk.as_ref()).expect("a disk that works");
        let mut again = recovered(&log(&disk));
        (1..=4).for_each(|command| again.keep(letter(command, ONE, 10)));
        assert_eq!(commands(&again, 0), [3, 4]);
    }

    fn commands(retained: &Retained, after: u64) -> Vec<u64> {
        let letters = retained.after(SharedIndex(after), Destinations::all(3)).expect("nothing was given up");
        letters.iter().map(|letter| letter.command.0).collect()
    }

    #[test]
    fn letters_are_kept_until_all_who_need_them_have_them() {
        let mut retained = retained();
        (1..=4).for_each(|command| retained.keep(letter(command, ONE, 10)));
        retained.acknowledge(A, SharedIndex(3));
        assert_eq!(commands(&retained, 0), [1, 2, 3, 4]);
        retained.acknowledge(B, SharedIndex(2));
        assert_eq!(commands(&retained, 0), [3, 4]);
        assert_eq!(commands(&retained, 3), [4]);
        retained.keep(letter(2, ONE, 10));
        assert_eq!(commands(&retained, 0), [3, 4], "made again by a replay, and not needed again");
        retained.check_invariants();
    }

    #[test]
    fn who_hosts_nothing_of_it_holds_up_nothing() {
        let mut retained = retained();
        for command in 1..=3 {
            retained.keep(letter(command, ONE, 10));
            retained.keep(letter(command, TWO, 10));
            retained.keep(letter(command, PartitionId(0), 10));
        }
        assert_eq!(commands(&retained, 0), [1, 1, 2, 2, 3, 3], "in the order of commands");
        retained.acknowledge(B, SharedIndex(3));
        assert_eq!(
            commands(&retained, 0),
            [1, 2, 3],
            "node A has nothing yet, and needs only those to partition 1"
        );
        retained.check_invariants();
    }

    #[test]
    fn what_is_kept_is_bounded_and_what_was_given_up_is_told() {
        let mut retained = retained();
        (1..=5).for_each(|command| retained.keep(letter(command, ONE, RETAINED_BYTES_MAX / 4)));
        assert_eq!(retained.after(SharedIndex::ZERO, ONE.into()).err(), Some(SharedIndex(1)));
        assert_eq!(retained.after(SharedIndex::ZERO, TWO.into()).map(|letters| letters.len()), Ok(0));
        assert_eq!(commands(&retained, 1), [2, 3, 4, 5]);
        retained.check_invariants();
    }
}
