//! The bytes on the disk are fixed: a log that was written before must be read after.

use std::sync::Arc;

use bytes::Bytes;

use super::{LogLimits, LogNonce, NodeLog};
use crate::disk::{Disk, Generation, MemoryDisk};
use crate::ring_id::RingId;

const SEGMENT_HEADER: &str = "\
    76736567 0300 0000 0100000000000000 0000000000000000 0030000000000000 00000000 4f3a0b5c abababababababababababababababab 157a188e";

const BLOCK: &str = "\
    76626c6b 0300 0000 0100000000000000 0000000000000000 6d000000 00000000 6b69c1a2 \
    01 0200 0000000000000000 03000000 e9b2942a 6f6e65 \
    01 0200 0100000000000000 00000000 00000000 \
    02 0200 0100000000000000 \
    03 0200 07 02000000 abcd \
    04 0102 0500000000000000";

const SECOND_BLOCK: &str = "\
    76626c6b 0300 0000 0100000000000000 0010000000000000 2c000000 6b69c1a2 aa0d9f3a \
    03 0000 00 00000000";

fn written() -> Arc<MemoryDisk> {
    let disk = Arc::new(MemoryDisk::new());
    let limits = LogLimits { segment_bytes: 3 * 4096, ..LogLimits::default() };
    let mut log = NodeLog::recover(disk.clone(), limits, LogNonce([0xab; 16])).unwrap();
    log.append(RingId(2), 0, Bytes::from_static(b"one"));
    log.append(RingId(2), 1, Bytes::new());
    log.truncate(RingId(2), 1);
    log.put(RingId(2), 7, Bytes::from_static(&[0xab, 0xcd]));
    log.trim(RingId(0x0201), 5);
    write(&mut log, disk.as_ref());
    log.put(RingId(0), 0, Bytes::new());
    write(&mut log, disk.as_ref());
    disk
}

fn write(log: &mut NodeLog, disk: &dyn Disk) {
    let buffer = log.take_buffer().unwrap();
    buffer.write(disk).unwrap();
    log.synced(buffer.position());
}

/// The page's bytes in hexadecimal up to the last that is not zero, spaced as in `expected`.
fn page(disk: &MemoryDisk, number: u64, expected: &str) -> (String, Vec<u8>) {
    let mut page = vec![1; 4096];
    disk.read_at(Generation(1), number * 4096, &mut page).unwrap();
    let length = expected.chars().filter(|c| !c.is_whitespace()).count() / 2;
    assert!(page[length..].iter().all(|byte| *byte == 0), "page {number} goes on behind its records");
    (page[..length].iter().map(|byte| format!("{byte:02x}")).collect(), page)
}

#[test]
fn the_format_is_fixed() {
    let disk = written();
    for (number, expected) in [SEGMENT_HEADER, BLOCK, SECOND_BLOCK].into_iter().enumerate() {
        let (bytes, _) = page(&disk, number as u64, expected);
        assert_eq!(bytes, expected.replace(' ', ""), "page {number}");
    }
}

#[test]
fn a_log_of_another_version_is_refused() {
    let disk = written();
    let (_, mut header) = page(&disk, 0, SEGMENT_HEADER);
    header[4] = 9;
    let checksum = crc32c::crc32c(&header[..36]);
    header[36..40].copy_from_slice(&checksum.to_le_bytes());
    disk.write_at(Generation(1), 0, &header).unwrap();
    let error = NodeLog::recover(disk, LogLimits::default(), LogNonce::default()).unwrap_err().to_string();
    let file = "memory:00000000000000000001.log";
    assert_eq!(error, format!("log file {file} has format version 9, this program reads 3"));
}
