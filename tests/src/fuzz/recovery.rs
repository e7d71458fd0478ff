//! Target `recovery`: the files of a log, as they were written and then damaged, or forged, or made up.
//!
//! *Damaged* files have bytes changed under their checksums, as disks change them: of what was synced, everything before
//! the first damage must be there, or recovery must refuse. *Forged* ones are sealed again, so that recovery reads on;
//! then all that is asked is an answer, and the same one again.

use super::draw::Draw;
use super::image::{Image, PAGE_BYTES};
use bytes::Bytes;
use eyrie::{Disk, LogLimits, LogNonce, LogPosition, MemoryDisk, NodeLog, RingId};
use multicast::disk::Generation;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const RINGS: [RingId; 3] = [RingId(0), RingId::SHARED, RingId::NODE];
const SLOTS: u8 = 2;
const STEPS_MAX: usize = 40;
/// Small, so that there are several segments, and entries are read back.
const LIMITS: LogLimits =
    LogLimits { segment_bytes: 4 * PAGE_BYTES as u64, cache_bytes: 6_000, spare_segments: 1 };

/// What a log holds.
type State = BTreeMap<RingId, RingState>;

#[derive(Clone, Debug, PartialEq, Eq)]
struct RingState {
    first: u64,
    entries: Vec<Result<Bytes, String>>,
    values: Vec<Option<Bytes>>,
}

/// One buffer that was synced.
#[derive(Clone, Copy, Debug)]
struct Block {
    start: LogPosition,
    end: LogPosition,
}

/// A log that was written, and what it held.
struct Written {
    image: Image,
    blocks: Vec<Block>,
    /// After so many blocks; one more if a last buffer was on its way.
    states: Vec<State>,
    /// A last buffer was on its way: some of it may be there, and be damaged.
    in_flight: bool,
    /// Segments were given up: fewer blocks than these make no state.
    whole_from: usize,
}

/// Writes a log, changes its files, and recovers it twice.
pub fn recovery(bytes: &[u8]) {
    let mut draw = Draw::new(bytes);
    match draw.below(4) {
        0 | 1 => damaged(&mut draw),
        2 => forged(&mut draw),
        _ => made_up(&mut draw),
    }
}

fn damaged(draw: &mut Draw) {
    let written = write(draw);
    let mut image = written.image.clone();
    for _ in 0..draw.below(4) {
        image.damage(draw);
    }
    let whole = written.untouched(&image);
    let disk = Arc::new(image.disk());
    let state = match recovered_twice(&disk) {
        Ok(state) => state,
        Err(error) => {
            let damaged = whole < written.blocks.len() || (written.in_flight && image != written.image);
            return assert!(damaged, "refused, and nothing is damaged: {error}");
        }
    };
    if whole >= written.whole_from {
        let possible = &written.states[whole..];
        assert!(possible.contains(&state), "{state:?} is none of {possible:#?}");
    }
    goes_on(&disk, state);
}

fn forged(draw: &mut Draw) {
    let mut image = write(draw).image;
    for _ in 0..1 + draw.below(6) {
        image.forge(draw);
    }
    let _ = recovered_twice(&Arc::new(image.disk()));
}

fn made_up(draw: &mut Draw) {
    let mut image = Image::default();
    for generation in 1..=1 + draw.below(3) as u64 {
        let mut bytes = draw.bytes(255).to_vec();
        bytes.resize(bytes.len() + draw.below(4) * PAGE_BYTES, 0);
        image.add(Generation(generation), &bytes);
    }
    for _ in 0..draw.below(6) {
        image.forge(draw);
    }
    let _ = recovered_twice(&Arc::new(image.disk()));
}

fn recover(disk: &Arc<MemoryDisk>) -> Result<NodeLog, String> {
    let disk: Arc<dyn Disk> = disk.clone();
    NodeLog::recover(disk, LIMITS, LogNonce::default()).map_err(|error| error.to_string())
}

/// What recovery makes of a disk, which is the same when it is done again.
fn recovered_twice(disk: &Arc<MemoryDisk>) -> Result<State, String> {
    let first = recover(disk).map(|log| state(&log));
    disk.crash(1);
    let second = recover(disk).map(|log| state(&log));
    assert_eq!(first, second, "recovery again says something else");
    first
}

/// The log takes another entry, which is there in the end.
fn goes_on(disk: &Arc<MemoryDisk>, mut state: State) {
    let mut log = recover(disk).expect("it was recovered before");
    let ring = state.get_mut(&RINGS[0]).expect("a state has all rings");
    let entry = Bytes::from_static(b"another");
    log.append(RINGS[0], ring.first + ring.entries.len() as u64, entry.clone());
    ring.entries.push(Ok(entry));
    sync(&mut log, disk);
    assert_eq!(recover(disk).map(|log| self::state(&log)), Ok(state), "the log does not go on");
}

fn state(log: &NodeLog) -> State {
    let ring = |ring: &RingId| {
        let entries = log.first(*ring)..log.next_index(*ring);
        let read = |index| log.read(*ring, index).map_err(|error| error.to_string());
        let values = (0..SLOTS).map(|slot| log.value(*ring, slot).cloned()).collect();
        (*ring, RingState { first: entries.start, entries: entries.map(read).collect(), values })
    };
    RINGS.iter().map(ring).collect()
}

fn sync(log: &mut NodeLog, disk: &MemoryDisk) -> Option<Block> {
    let start = log.durable();
    let buffer = log.take_buffer()?;
    buffer.write(disk).expect("a disk that works");
    log.synced(buffer.position());
    Some(Block { start, end: buffer.position() })
}

/// Appends and syncs whatever is drawn; a power loss may find the last buffer on its way.
fn write(draw: &mut Draw) -> Written {
    let disk = Arc::new(MemoryDisk::new());
    let mut log = recover(&disk).expect("an empty disk");
    let (image, blocks, states) = (Image::default(), Vec::new(), vec![state(&log)]);
    let mut written = Written { image, blocks, states, in_flight: false, whole_from: 0 };
    for _ in 0..draw.below(STEPS_MAX) {
        change(&mut log, draw);
        if draw.flag() {
            let before = generations(&disk);
            if let Some(block) = sync(&mut log, &disk) {
                if !before.is_subset(&generations(&disk)) {
                    written.whole_from = written.blocks.len();
                }
                written.blocks.push(block);
                written.states.push(state(&log));
            }
        }
    }
    if draw.flag() {
        lose_power(&mut log, &disk, &mut written, draw);
    }
    written.image = Image::of(&disk);
    written
}

fn lose_power(log: &mut NodeLog, disk: &MemoryDisk, written: &mut Written, draw: &mut Draw) {
    let after = state(log);
    let before = generations(disk);
    disk.stop_after(draw.below(6) as u64);
    if let Some(buffer) = log.take_buffer() {
        // Whether it came to the end is for recovery to find out.
        let _ = buffer.write(disk);
    }
    disk.crash(draw.number());
    if !before.is_subset(&generations(disk)) {
        written.whole_from = written.blocks.len();
    }
    written.states.push(after);
    written.in_flight = true;
}

fn generations(disk: &MemoryDisk) -> BTreeSet<Generation> {
    Image::of(disk).generations().into_iter().collect()
}

fn change(log: &mut NodeLog, draw: &mut Draw) {
    let ring = draw.choose(&RINGS);
    let (first, next) = (log.first(ring), log.next_index(ring));
    match draw.below(10) {
        0..=4 => {
            let bytes = vec![draw.byte(); draw.below(256) * 24];
            log.append(ring, next, bytes.into());
        }
        5 => log.append(
            ring,
            next - (next - first).min(draw.below(3) as u64),
            Bytes::copy_from_slice(draw.bytes(40)),
        ),
        6 => log.put(ring, draw.below(usize::from(SLOTS)) as u8, Bytes::copy_from_slice(draw.bytes(20))),
        7 => log.truncate(ring, next - (next - first).min(draw.below(4) as u64)),
        8 => log.trim(ring, first + draw.below(6) as u64),
        _ => {
            log.recycle();
        }
    }
}

impl Written {
    /// How many blocks stand before the first that another image has changed.
    fn untouched(&self, image: &Image) -> usize {
        let touched = |block: &Block| self.is_touched(*block, image);
        self.blocks.iter().position(touched).unwrap_or(self.blocks.len())
    }

    /// Whether a block's bytes were changed, or the header of its segment. What was given up is in no segment.
    fn is_touched(&self, block: Block, image: &Image) -> bool {
        let first = |generation: &Generation| -> u64 {
            let header = self.image.file(*generation);
            header.get(16..24).and_then(|bytes| bytes.try_into().ok()).map_or(u64::MAX, u64::from_le_bytes)
        };
        let generations = self.image.generations();
        let holds = |generation: &&Generation| {
            let header = self.image.file(**generation);
            let named = [&b"vseg\x03\0\0\0"[..], &generation.0.to_le_bytes()].concat();
            header.starts_with(&named) && first(generation) <= block.start.0
        };
        let Some(generation) = generations.iter().rev().find(holds) else { return false };
        let start = PAGE_BYTES + (block.start.0 - first(generation)) as usize;
        let range = start..start + (block.end.0 - block.start.0) as usize;
        let (before, after) = (self.image.file(*generation), image.file(*generation));
        before[..60] != after[..60] || before[range.clone()] != after[range]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two entries, each in a buffer of its own.
    fn two_blocks() -> Written {
        let append = [0, 0, 7, 1, 1];
        write(&mut Draw::new(&[&[2][..], &append, &append].concat()))
    }

    #[test]
    fn what_is_touched_is_known() {
        let written = two_blocks();
        assert_eq!(
            (written.blocks.len(), written.states.len(), written.untouched(&written.image)),
            (2, 3, 2)
        );
        let disk = written.image.disk();
        disk.rot(Generation(1), 2 * PAGE_BYTES as u64 + 50);
        assert_eq!(written.untouched(&Image::of(&disk)), 1);
        disk.rot(Generation(1), PAGE_BYTES as u64 + 50);
        assert_eq!(written.untouched(&Image::of(&disk)), 0);
    }

    #[test]
    fn the_last_block_alone_may_go_unseen() {
        let written = two_blocks();
        let rotten = |page: u64| {
            let disk = Arc::new(written.image.disk());
            disk.rot(Generation(1), page * PAGE_BYTES as u64 + 50);
            recovered_twice(&disk)
        };
        assert_eq!(rotten(2), Ok(written.states[1].clone()));
        assert!(rotten(1).is_err());
    }
}
