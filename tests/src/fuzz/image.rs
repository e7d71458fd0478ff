//! The files of a log's disk, as bytes to be damaged, and to be sealed again as if the log had written them.

use super::draw::Draw;
use eyrie::{Disk as _, MemoryDisk};
use multicast::disk::Generation;
use std::collections::BTreeMap;

/// What the log writes and a disk loses as a whole.
pub const PAGE_BYTES: usize = 4_096;
const SEGMENT_CAPACITY: usize = 24;
const SEGMENT_CHECKSUM: usize = 36;
const SEGMENT_NONCE_CHECKSUM: usize = 56;
const BLOCK_LENGTH: usize = 24;
const BLOCK_CHECKSUM: usize = 32;
const BLOCK_HEADER_BYTES: usize = 36;
/// More than any story's log takes.
const FILE_BYTES_MAX: usize = 16 * PAGE_BYTES;

/// Files by their generations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    files: BTreeMap<Generation, Vec<u8>>,
}

impl Image {
    /// What reads of a disk see.
    pub fn of(disk: &MemoryDisk) -> Image {
        let files = disk.segments().expect("a disk that works").into_iter().map(|file| {
            let mut bytes = vec![0; file.bytes as usize];
            disk.read_at(file.generation, 0, &mut bytes).expect("a disk that works");
            (file.generation, bytes)
        });
        Image { files: files.collect() }
    }

    /// A disk with these files.
    pub fn disk(&self) -> MemoryDisk {
        let disk = MemoryDisk::new();
        for (generation, bytes) in &self.files {
            disk.create(*generation, bytes.len() as u64).expect("a disk that works");
            disk.write_at(*generation, 0, bytes).expect("a disk that works");
            disk.sync(*generation).expect("a disk that works");
        }
        disk
    }

    /// The generations that there are.
    pub fn generations(&self) -> Vec<Generation> {
        self.files.keys().copied().collect()
    }

    /// The bytes of a file, none if there is no such file.
    pub fn file(&self, generation: Generation) -> &[u8] {
        self.files.get(&generation).map_or(&[], Vec::as_slice)
    }

    /// Changes some bytes, which all files survive.
    pub fn damage(&mut self, draw: &mut Draw) {
        let Some((generation, at)) = self.place(draw) else { return };
        let other = self.place(draw).map(|(from, page)| page_of(self.file(from), page).to_vec());
        let Some(file) = self.files.get_mut(&generation) else { return };
        let rest = &mut file[at..];
        match draw.below(5) {
            0 => rest[0] ^= 1 << draw.below(8),
            1 => overwrite(rest, draw.bytes(40)),
            2 => rest.iter_mut().take(PAGE_BYTES).for_each(|byte| *byte = 0),
            3 => rest.fill(draw.byte()),
            _ => overwrite(&mut file[at / PAGE_BYTES * PAGE_BYTES..], &other.unwrap_or_default()),
        }
    }

    /// Changes anything: bytes that are sealed again, lengths, files and their names.
    pub fn forge(&mut self, draw: &mut Draw) {
        let Some((generation, at)) = self.place(draw) else { return };
        match draw.below(8) {
            0..=3 => self.rewrite(generation, at, draw),
            4 => {
                self.files.remove(&generation);
            }
            5 => {
                let bytes = self.file(generation).to_vec();
                self.files.insert(Generation(u64::from(draw.byte())), bytes);
            }
            6 => {
                let bytes = usize::from(draw.short()) % FILE_BYTES_MAX;
                self.files.entry(generation).or_default().resize(bytes, 0);
            }
            _ => self.damage(draw),
        }
    }

    /// A file of the input's own bytes.
    pub fn add(&mut self, generation: Generation, bytes: &[u8]) {
        self.files.insert(generation, bytes.to_vec());
    }

    /// Writes a number into the page, or some bytes, and seals what the page begins.
    fn rewrite(&mut self, generation: Generation, at: usize, draw: &mut Draw) {
        let Some(file) = self.files.get_mut(&generation) else { return };
        let number = draw.choose(&[
            0,
            1,
            4_096,
            1 << 20,
            1 << 31,
            u64::from(u32::MAX),
            1 << 40,
            u64::MAX,
            u64::MAX - 8_191,
        ]);
        match draw.below(3) {
            0 => overwrite(&mut file[at..], &number.to_le_bytes()),
            1 => overwrite(&mut file[at..], &(number as u32).to_le_bytes()),
            _ => overwrite(&mut file[at..], draw.bytes(40)),
        }
        seal(&mut file[at / PAGE_BYTES * PAGE_BYTES..]);
    }

    /// A byte of a file, mostly within a header.
    fn place(&self, draw: &mut Draw) -> Option<(Generation, usize)> {
        let files: Vec<_> = self.files.iter().filter(|(_, bytes)| !bytes.is_empty()).collect();
        if files.is_empty() {
            return None;
        }
        let (generation, bytes) = files[draw.below(files.len())];
        let page = draw.below(bytes.len().div_ceil(PAGE_BYTES)) * PAGE_BYTES;
        let within = if draw.flag() { draw.below(48) } else { usize::from(draw.short()) % PAGE_BYTES };
        Some((*generation, (page + within).min(bytes.len() - 1)))
    }
}

fn page_of(file: &[u8], at: usize) -> &[u8] {
    let start = at / PAGE_BYTES * PAGE_BYTES;
    &file[start..file.len().min(start + PAGE_BYTES)]
}

fn overwrite(file: &mut [u8], with: &[u8]) {
    let length = with.len().min(file.len());
    file[..length].copy_from_slice(&with[..length]);
}

/// Gives a segment's header or a block the checksum that belongs to it. Recovery reads as much as a segment is said to
/// hold, and so no segment is said to hold much.
fn seal(file: &mut [u8]) {
    if file.starts_with(b"vseg") && file.len() >= SEGMENT_CHECKSUM + 4 {
        let capacity = file[SEGMENT_CAPACITY..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let capacity = capacity.min(2 * FILE_BYTES_MAX as u64);
        overwrite(&mut file[SEGMENT_CAPACITY..], &capacity.to_le_bytes());
        let checksum = crc32c::crc32c(&file[..SEGMENT_CHECKSUM]);
        overwrite(&mut file[SEGMENT_CHECKSUM..], &checksum.to_le_bytes());
        if file.len() >= SEGMENT_NONCE_CHECKSUM + 4 {
            let checksum = crc32c::crc32c(&file[..SEGMENT_NONCE_CHECKSUM]);
            overwrite(&mut file[SEGMENT_NONCE_CHECKSUM..], &checksum.to_le_bytes());
        }
    }
    if file.starts_with(b"vblk") && file.len() >= BLOCK_HEADER_BYTES {
        let length =
            file[BLOCK_LENGTH..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes)) as usize;
        if (BLOCK_HEADER_BYTES..=file.len()).contains(&length) {
            let head = crc32c::crc32c(&file[..BLOCK_CHECKSUM]);
            let checksum = crc32c::crc32c_append(head, &file[BLOCK_HEADER_BYTES..length]);
            overwrite(&mut file[BLOCK_CHECKSUM..], &checksum.to_le_bytes());
        }
    }
}
