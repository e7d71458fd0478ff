//! A disk in memory that is as bad as real ones are allowed to be.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Disk, Generation, SegmentFile};

/// What a real disk writes or loses as a whole.
const PAGE_BYTES: usize = 4096;

/// A disk that loses what was not synced at [`MemoryDisk::crash`], flips a bit at [`MemoryDisk::rot`], and fails when
/// told to. The same calls with the same seeds leave the same bytes. Zeros take no memory.
///
/// Killing the process alone needs no call: what was written is still read, synced or not.
#[derive(Debug, Default)]
pub struct MemoryDisk {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<Generation, MemoryFile>,
    full: bool,
    sync_fails: bool,
    reads: Reads,
    changes_left: Option<u64>,
}

/// How a disk reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reads {
    /// What was written.
    #[default]
    Sound,
    /// Not at all: an error.
    Fail,
    /// With a bit flipped on the way.
    Flip,
}

#[derive(Debug, Default)]
struct MemoryFile {
    bytes: u64,
    /// What reads see: the page cache.
    seen: Pages,
    /// What a power loss leaves.
    durable: Pages,
    /// Written since the last sync, in order.
    pending: Vec<Write>,
}

#[derive(Debug)]
struct Write {
    offset: u64,
    bytes: Vec<u8>,
}

/// Pages by number; one that is absent is zeros.
#[derive(Clone, Debug, Default)]
struct Pages(BTreeMap<u64, Box<[u8; PAGE_BYTES]>>);

impl MemoryDisk {
    /// An empty disk without faults.
    pub fn new() -> MemoryDisk {
        MemoryDisk::default()
    }

    /// A copy of what is read now, with nothing that is not synced, and without faults.
    pub fn copy(&self) -> MemoryDisk {
        let copied = |file: &MemoryFile| MemoryFile {
            bytes: file.bytes,
            seen: file.seen.clone(),
            durable: file.seen.clone(),
            pending: Vec::new(),
        };
        let files = self.state().files.iter().map(|(segment, file)| (*segment, copied(file))).collect();
        MemoryDisk { state: Mutex::new(State { files, ..State::default() }) }
    }

    /// Power loss and restart: of each write that was not synced, the seed chooses whether it is lost, whole, cut at
    /// some byte, or there in some pages and not in others. Faults that were switched on are off afterwards.
    pub fn crash(&self, seed: u64) {
        let mut state = self.state();
        let mut chance = Chance(seed);
        for file in state.files.values_mut() {
            file.lose_power(&mut chance);
        }
        state.full = false;
        state.sync_fails = false;
        state.reads = Reads::Sound;
        state.changes_left = None;
    }

    /// Flips one bit, durably. The file must exist and reach to `offset`.
    pub fn rot(&self, segment: Generation, offset: u64) {
        let mut state = self.state();
        let file = state.files.get_mut(&segment).expect("rot names a segment that exists");
        assert!(offset < file.bytes, "rot names a byte of the file");
        for pages in [&mut file.seen, &mut file.durable] {
            let mut byte = [0];
            pages.read(offset, &mut byte);
            pages.write(offset, &[byte[0] ^ 0x10]);
        }
    }

    /// While full, nothing can be created or written: `StorageFull`.
    pub fn set_full(&self, full: bool) {
        self.state().full = full;
    }

    /// While set, every sync fails, and what it should have made durable is lost for good although reads still see it:
    /// so does a kernel that marks pages clean after it failed to write them.
    pub fn set_sync_fails(&self, fails: bool) {
        self.state().sync_fails = fails;
    }

    /// How it reads.
    pub fn reads(&self) -> Reads {
        self.state().reads
    }

    /// From now on it reads so.
    pub fn set_reads(&self, reads: Reads) {
        self.state().reads = reads;
    }

    /// Everything that changes the disk fails after this many more changes, as if the process had been killed there.
    /// Ends with [`MemoryDisk::crash`] or [`MemoryDisk::resume`].
    pub fn stop_after(&self, changes: u64) {
        self.state().changes_left = Some(changes);
    }

    /// Ends what [`MemoryDisk::stop_after`] began, without a power loss.
    pub fn resume(&self) {
        self.state().changes_left = None;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn file(&mut self, segment: Generation) -> io::Result<&mut MemoryFile> {
        self.files.get_mut(&segment).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    fn change(&mut self) -> io::Result<()> {
        match &mut self.changes_left {
            Some(0) => Err(io::Error::other("stopped")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn grow(&self) -> io::Result<()> {
        if self.full { Err(io::Error::from(io::ErrorKind::StorageFull)) } else { Ok(()) }
    }
}

impl MemoryFile {
    fn lose_power(&mut self, chance: &mut Chance) {
        for write in self.pending.drain(..) {
            match chance.below(4) {
                0 => {}
                1 => self.durable.write(write.offset, &write.bytes),
                2 => {
                    let kept = chance.below(write.bytes.len() as u64 + 1) as usize;
                    self.durable.write(write.offset, &write.bytes[..kept]);
                }
                _ => {
                    for (at, page) in write.bytes.chunks(PAGE_BYTES).enumerate() {
                        if chance.below(2) == 0 {
                            self.durable.write(write.offset + (at * PAGE_BYTES) as u64, page);
                        }
                    }
                }
            }
        }
        self.seen = self.durable.clone();
    }
}

impl Pages {
    fn read(&self, offset: u64, into: &mut [u8]) {
        for_each_page(offset, into.len(), |number, within, at| match self.0.get(&number) {
            Some(page) => into[at..at + within.len()].copy_from_slice(&page[within]),
            None => into[at..at + within.len()].fill(0),
        });
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) {
        for_each_page(offset, bytes.len(), |number, within, at| {
            let source = &bytes[at..at + within.len()];
            if self.0.contains_key(&number) || source.iter().any(|byte| *byte != 0) {
                let page = self.0.entry(number).or_insert_with(|| Box::new([0; PAGE_BYTES]));
                page[within].copy_from_slice(source);
            }
        });
    }
}

/// Calls `visit(page number, range within the page, offset from the start)` for every page that the range touches.
fn for_each_page(offset: u64, length: usize, mut visit: impl FnMut(u64, std::ops::Range<usize>, usize)) {
    let mut at = 0;
    while at < length {
        let position = offset + at as u64;
        let start = (position % PAGE_BYTES as u64) as usize;
        let end = PAGE_BYTES.min(start + length - at);
        visit(position / PAGE_BYTES as u64, start..end, at);
        at += end - start;
    }
}

impl Disk for MemoryDisk {
    fn segments(&self) -> io::Result<Vec<SegmentFile>> {
        let state = self.state();
        Ok(state.files.iter().map(|(g, file)| SegmentFile { generation: *g, bytes: file.bytes }).collect())
    }

    fn create(&self, segment: Generation, bytes: u64) -> io::Result<()> {
        let mut state = self.state();
        state.change()?;
        state.grow()?;
        let file = MemoryFile { bytes, ..MemoryFile::default() };
        if state.files.insert(segment, file).is_some() {
            return Err(io::Error::from(io::ErrorKind::AlreadyExists));
        }
        Ok(())
    }

    fn rename(&self, from: Generation, to: Generation) -> io::Result<()> {
        let mut state = self.state();
        state.change()?;
        let file = state.files.remove(&from).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        state.files.insert(to, file);
        Ok(())
    }

    fn remove(&self, segment: Generation) -> io::Result<()> {
        let mut state = self.state();
        state.change()?;
        state.files.remove(&segment).map(drop).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    fn read_at(&self, segment: Generation, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut state = self.state();
        let file = state.file(segment)?;
        let length = file.bytes.saturating_sub(offset).min(into.len() as u64) as usize;
        file.seen.read(offset, &mut into[..length]);
        match state.reads {
            Reads::Fail => return Err(io::Error::other("the disk cannot read this")),
            Reads::Flip => into[..length].iter_mut().take(1).for_each(|byte| *byte ^= 0x10),
            Reads::Sound => {}
        }
        Ok(length)
    }

    fn write_at(&self, segment: Generation, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        state.change()?;
        state.grow()?;
        let file = state.file(segment)?;
        file.bytes = file.bytes.max(offset + bytes.len() as u64);
        file.seen.write(offset, bytes);
        file.pending.push(Write { offset, bytes: bytes.to_vec() });
        Ok(())
    }

    fn sync(&self, segment: Generation) -> io::Result<()> {
        let mut state = self.state();
        state.change()?;
        let fails = state.sync_fails;
        let file = state.file(segment)?;
        if fails {
            file.pending.clear();
            return Err(io::Error::other("the disk failed to sync"));
        }
        for write in file.pending.drain(..) {
            file.durable.write(write.offset, &write.bytes);
        }
        Ok(())
    }

    fn describe(&self, segment: Generation) -> String {
        format!("memory:{:020}.log", segment.0)
    }
}

/// SplitMix64, which is enough to choose faults by.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const SEGMENT: Generation = Generation(1);

    fn read(disk: &MemoryDisk, length: usize) -> Vec<u8> {
        let mut bytes = vec![7; length];
        assert_eq!(disk.read_at(SEGMENT, 0, &mut bytes).unwrap(), length);
        bytes
    }

    /// Synced ones, then unsynced twos over three pages, then a power loss.
    fn after_crash(seed: u64) -> Vec<u8> {
        let disk = MemoryDisk::new();
        disk.create(SEGMENT, 5 * 4096).unwrap();
        disk.write_at(SEGMENT, 0, &[1; 4096]).unwrap();
        disk.sync(SEGMENT).unwrap();
        disk.write_at(SEGMENT, 4096, &[2; 3 * 4096]).unwrap();
        assert_eq!(read(&disk, 4 * 4096)[4096..], [2; 3 * 4096], "the page cache shows what was not synced");
        disk.crash(seed);
        read(&disk, 5 * 4096)
    }

    #[test]
    fn a_crash_keeps_what_was_synced_and_leaves_anything_of_the_rest() {
        let mut outcomes = BTreeSet::new();
        for seed in 0..400 {
            let bytes = after_crash(seed);
            assert_eq!(bytes, after_crash(seed), "seed {seed} is not deterministic");
            assert!(bytes[..4096].iter().all(|byte| *byte == 1), "seed {seed} lost synced bytes");
            let page = |at: usize| &bytes[at * 4096..(at + 1) * 4096];
            let whole: Vec<bool> = (1..4).map(|at| page(at).iter().all(|byte| *byte == 2)).collect();
            let torn = (1..4).any(|at| page(at).contains(&0) && page(at).contains(&2));
            outcomes.insert((whole, torn));
        }
        let lost = vec![false, false, false];
        for outcome in [
            (lost.clone(), false),
            (lost, true),
            (vec![true, true, true], false),
            (vec![false, true, true], false),
            (vec![true, false, true], false),
        ] {
            assert!(outcomes.contains(&outcome), "no seed gave {outcome:?}");
        }
    }

    #[test]
    fn a_failed_sync_loses_for_good_what_reads_still_see() {
        let disk = MemoryDisk::new();
        disk.create(SEGMENT, 4096).unwrap();
        disk.write_at(SEGMENT, 0, &[3; 10]).unwrap();
        disk.set_sync_fails(true);
        assert!(disk.sync(SEGMENT).is_err());
        disk.set_sync_fails(false);
        disk.sync(SEGMENT).unwrap();
        assert_eq!(read(&disk, 10), [3; 10]);
        disk.crash(1);
        assert_eq!(read(&disk, 10), [0; 10]);
    }

    #[test]
    fn a_full_disk_and_a_stopped_one_refuse_changes() {
        let disk = MemoryDisk::new();
        disk.set_full(true);
        assert_eq!(disk.create(SEGMENT, 4096).unwrap_err().kind(), io::ErrorKind::StorageFull);
        disk.set_full(false);
        disk.stop_after(1);
        disk.create(SEGMENT, 4096).unwrap();
        assert!(disk.write_at(SEGMENT, 0, &[1]).is_err());
        disk.resume();
        disk.write_at(SEGMENT, 0, &[1]).unwrap();
        disk.rot(SEGMENT, 0);
        assert_eq!(read(&disk, 1), [0x11]);
    }
}
