//! What a partition has sent for its commands, kept until all who need it have it in their logs.
//!
//! Every replica of the partition makes the same letters, so any of them can give them to whoever asks. Who restarts makes
//! them again as it replays its sequence.

use bytes::Bytes;
use multicast::{NodeId, PartitionId, SharedIndex};
use std::collections::{BTreeMap, VecDeque};

/// How many bytes of letters one partition keeps for nodes that do not acknowledge. Whoever is away for longer cannot
/// take up its replicas again without the state of others.
pub const RETAINED_BYTES_MAX: usize = 256 << 20;

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

/// The letters of one partition, in the order of their commands.
///
/// Invariants: `bytes` counts those of `letters`; their commands never fall.
#[derive(Debug)]
pub struct Retained {
    letters: VecDeque<Letter>,
    bytes: usize,
    /// The nodes that need letters, and the command up to which each has all of its own in its synced log.
    readers: BTreeMap<NodeId, SharedIndex>,
    /// Up to here letters were given up.
    given_up: SharedIndex,
}

impl Retained {
    /// Nothing yet, for these nodes.
    pub fn new(readers: impl Iterator<Item = NodeId>) -> Retained {
        Retained {
            letters: VecDeque::new(),
            bytes: 0,
            readers: readers.map(|reader| (reader, SharedIndex::ZERO)).collect(),
            given_up: SharedIndex::ZERO,
        }
    }

    /// Keeps a letter, unless all have it.
    pub fn keep(&mut self, letter: Letter) {
        if letter.command <= self.acknowledged() {
            return;
        }
        self.bytes += letter.bytes.len();
        self.letters.push_back(letter);
        while self.bytes > RETAINED_BYTES_MAX {
            self.drop_first();
        }
    }

    /// A node has everything that is for it up to `command` in its synced log.
    pub fn acknowledge(&mut self, reader: NodeId, command: SharedIndex) {
        if let Some(acknowledged) = self.readers.get_mut(&reader) {
            *acknowledged = command.max(*acknowledged);
        }
        let all = self.acknowledged();
        while self.letters.front().is_some_and(|letter| letter.command <= all) {
            let letter = self.letters.pop_front().expect("the one just looked at");
            self.bytes -= letter.bytes.len();
        }
    }

    /// The letters for commands after `command`. `Err` if some of these were given up.
    pub fn after(&self, command: SharedIndex) -> Result<impl Iterator<Item = &Letter>, SharedIndex> {
        if command < self.given_up {
            return Err(self.given_up);
        }
        Ok(self.letters.iter().filter(move |letter| letter.command > command))
    }

    /// Panics unless the invariants hold.
    pub fn check_invariants(&self) {
        assert_eq!(self.bytes, self.letters.iter().map(|letter| letter.bytes.len()).sum::<usize>());
        assert!(self.letters.iter().is_sorted_by_key(|letter| letter.command));
    }

    fn acknowledged(&self) -> SharedIndex {
        self.readers.values().min().copied().unwrap_or(SharedIndex(u64::MAX))
    }

    fn drop_first(&mut self) {
        if let Some(letter) = self.letters.pop_front() {
            self.bytes -= letter.bytes.len();
            self.given_up = letter.command;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: NodeId = NodeId(1);
    const B: NodeId = NodeId(2);

    fn letter(command: u64, bytes: usize) -> Letter {
        Letter { command: SharedIndex(command), to: PartitionId(1), bytes: Bytes::from(vec![0; bytes]) }
    }

    fn commands(retained: &Retained, after: u64) -> Vec<u64> {
        let letters = retained.after(SharedIndex(after)).expect("nothing was given up");
        letters.map(|letter| letter.command.0).collect()
    }

    #[test]
    fn letters_are_kept_until_all_readers_have_them() {
        let mut retained = Retained::new([A, B].into_iter());
        (1..=4).for_each(|command| retained.keep(letter(command, 10)));
        retained.acknowledge(A, SharedIndex(3));
        assert_eq!(commands(&retained, 0), [1, 2, 3, 4]);
        retained.acknowledge(B, SharedIndex(2));
        assert_eq!(commands(&retained, 0), [3, 4]);
        assert_eq!(commands(&retained, 3), [4]);
        retained.keep(letter(2, 10));
        assert_eq!(commands(&retained, 0), [3, 4], "made again by a replay, and not needed again");
        retained.check_invariants();
    }

    #[test]
    fn nobody_needs_what_stays_at_home() {
        let mut retained = Retained::new([].into_iter());
        retained.keep(letter(1, 10));
        assert!(commands(&retained, 0).is_empty());
    }

    #[test]
    fn what_is_kept_is_bounded_and_what_was_given_up_is_told() {
        let mut retained = Retained::new([A].into_iter());
        (1..=5).for_each(|command| retained.keep(letter(command, RETAINED_BYTES_MAX / 4)));
        assert_eq!(retained.after(SharedIndex::ZERO).err(), Some(SharedIndex(1)));
        assert_eq!(commands(&retained, 1), [2, 3, 4, 5]);
        retained.check_invariants();
    }
}
