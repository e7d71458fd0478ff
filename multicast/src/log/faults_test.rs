//! What the disk may do to the log, one fault at a time.

use std::fs::OpenOptions;
use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::{LogError, LogLimits, LogNonce, LogPosition, LogWriter, NodeLog};
use crate::disk::{Disk, FileDisk, Generation, MemoryDisk, Reads};
use crate::ring_id::RingId;

const RING: RingId = RingId(3);
const SEGMENT: Generation = Generation(1);
const LIMITS: LogLimits = LogLimits { segment_bytes: 5 * 4096, cache_bytes: 1 << 20, spare_segments: 1 };

fn recover(disk: &Arc<MemoryDisk>) -> Result<NodeLog, LogError> {
    NodeLog::recover(disk.clone(), LIMITS, LogNonce::default())
}

fn entry(index: u64, length: usize) -> Bytes {
    Bytes::from(vec![index as u8 + 1; length])
}

fn write(log: &mut NodeLog, disk: &dyn Disk) {
    let buffer = log.take_buffer().unwrap();
    buffer.write(disk).unwrap();
    log.synced(buffer.position());
}

/// Appends entries of `length` from the next index on, one block each.
fn append(log: &mut NodeLog, disk: &dyn Disk, count: u64, length: usize) {
    for _ in 0..count {
        let index = log.next_index(RING);
        log.append(RING, index, entry(index, length));
        write(log, disk);
    }
}

fn assert_holds(log: &NodeLog, count: u64, length: usize) {
    assert_eq!((log.first(RING), log.len(RING)), (0, count));
    for index in 0..count {
        assert_eq!(log.read(RING, index).unwrap(), entry(index, length), "entry {index}");
    }
}

#[test]
fn a_torn_tail_is_cut_and_the_log_goes_on() {
    let mut torn = 0;
    for seed in 0..200 {
        let disk = Arc::new(MemoryDisk::new());
        let mut log = recover(&disk).unwrap();
        append(&mut log, disk.as_ref(), 1, 100);
        log.append(RING, 1, entry(1, 9000));
        let buffer = log.take_buffer().unwrap();
        disk.stop_after(1);
        assert!(buffer.write(disk.as_ref()).is_err(), "the sync must not be reached");
        disk.crash(seed);

        let mut log = recover(&disk).unwrap();
        if log.len(RING) == 2 {
            continue;
        }
        torn += 1;
        assert_holds(&log, 1, 100);
        let mut behind = vec![1; 3 * 4096];
        disk.read_at(SEGMENT, 2 * 4096, &mut behind).unwrap();
        assert!(behind.iter().all(|byte| *byte == 0), "seed {seed}: torn bytes are left behind the end");
        append(&mut log, disk.as_ref(), 1, 100);
        disk.crash(seed);
        let mut log = recover(&disk).unwrap();
        assert_holds(&log, 2, 100);
        append(&mut log, disk.as_ref(), 3, 100);
        assert_holds(&recover(&disk).unwrap(), 5, 100);
    }
    assert!((50..200).contains(&torn), "{torn} of 200 seeds tore the block");
}

#[test]
fn a_block_inside_an_entry_is_not_taken_for_one() {
    let disk = Arc::new(MemoryDisk::new());
    let limits = LogLimits { segment_bytes: 8 * 4096, ..LIMITS };
    let mut log = NodeLog::recover(disk.clone(), limits, LogNonce::default()).unwrap();
    append(&mut log, disk.as_ref(), 2, 100);
    let mut image = vec![0; 3 * 4096];
    disk.read_at(SEGMENT, 0, &mut image).unwrap();
    // Without as much as the headers of block and entry take, the blocks in the entry begin at pages of the file.
    log.append(RING, 2, Bytes::from(image.split_off(36 + 19)));
    write(&mut log, disk.as_ref());
    let mut copy = [0; 4];
    disk.read_at(SEGMENT, 4 * 4096, &mut copy).unwrap();
    assert_eq!(&copy, b"vblk");
    disk.rot(SEGMENT, 3 * 4096 + 40);
    assert_holds(&recover(&disk).unwrap(), 2, 100);
}

/// Five blocks in two segments, then one bit of a block or header flips.
fn rotten(segment: u64, offset: u64) -> Result<NodeLog, LogError> {
    let disk = Arc::new(MemoryDisk::new());
    let mut log = recover(&disk).unwrap();
    append(&mut log, disk.as_ref(), 6, 2000);
    assert_eq!(disk.segments().unwrap().len(), 2);
    disk.rot(Generation(segment), offset);
    recover(&disk)
}

#[test]
fn a_corrupt_middle_is_refused_by_file_and_offset() {
    // Of the second segment the header and first block; its second block is the last one of all.
    let blocks = (1..5).map(|page| (1, page * 4096)).chain([(2, 4096)]);
    for (segment, block) in blocks {
        for offset in [0, 5, 9, 17, 24, 27, 28, 32, 36, 50, 1999, 36 + 19 + 1999] {
            let error = rotten(segment, block + offset).expect_err("a rotten block").to_string();
            let place =
                format!("log file memory:0000000000000000000{segment}.log is corrupt at offset {block}: ");
            assert!(error.starts_with(&place), "byte {offset} of {segment}/{block}: {error}");
        }
    }
    for segment in [1, 2] {
        let error = rotten(segment, 20).expect_err("a rotten header").to_string();
        assert!(error.contains(&format!("{segment}.log is corrupt at offset 0: ")), "{error}");
    }
}

/// Replaces a page by the same one of a log that was written alike, but with other bytes.
fn foreign_page(segment: u64, page: u64) -> Result<NodeLog, LogError> {
    let [disk, other] = [1, 2].map(|byte| {
        let disk = Arc::new(MemoryDisk::new());
        let mut log = recover(&disk).unwrap();
        for index in 0..6 {
            log.append(RING, index, Bytes::from(vec![byte; 2000]));
            write(&mut log, disk.as_ref());
        }
        disk
    });
    let mut bytes = vec![0; 4096];
    other.read_at(Generation(segment), page * 4096, &mut bytes).unwrap();
    disk.write_at(Generation(segment), page * 4096, &bytes).unwrap();
    recover(&disk)
}

#[test]
fn a_whole_block_that_does_not_follow_the_one_before_is_refused() {
    for (segment, page, refused, at) in [(1, 1, 1, 2), (1, 3, 1, 3), (1, 4, 1, 4), (2, 0, 1, 5), (2, 2, 2, 2)]
    {
        let error = foreign_page(segment, page).expect_err("a foreign block").to_string();
        let place =
            format!("log file memory:0000000000000000000{refused}.log is corrupt at offset {}: ", at * 4096);
        assert!(error.starts_with(&place), "page {page} of {segment}: {error}");
    }
}

#[test]
fn what_no_checksum_covers_does_not_matter() {
    assert_holds(&rotten(1, 4000).unwrap(), 6, 2000);
    assert_holds(&rotten(1, 2 * 4096 - 1).unwrap(), 6, 2000);
}

#[test]
fn a_missing_segment_is_refused() {
    for missing in [1, 2] {
        let disk = Arc::new(MemoryDisk::new());
        let mut log = recover(&disk).unwrap();
        append(&mut log, disk.as_ref(), 12, 2000);
        disk.remove(Generation(missing)).unwrap();
        let error = recover(&disk).unwrap_err().to_string();
        let file = |generation: u64| format!("memory:{generation:020}.log");
        let told =
            format!("log file {}: missing, and the log goes on in {}: ", file(missing), file(missing + 1));
        assert!(error.starts_with(&told), "{error}");
    }
}

#[test]
fn the_first_segment_is_missing_also_where_earlier_ones_were_given_up() {
    let disk = Arc::new(MemoryDisk::new());
    let mut log = recover(&disk).unwrap();
    append(&mut log, disk.as_ref(), 11, 2000);
    log.trim(RING, 5);
    assert_eq!(log.recycle(), 1);
    append(&mut log, disk.as_ref(), 8, 2000);
    assert_eq!(recover(&disk).unwrap().first(RING), 5);
    let first = disk.segments().unwrap()[0].generation;
    disk.remove(first).unwrap();
    let error = recover(&disk).unwrap_err().to_string();
    assert!(error.contains("missing, and the log goes on in"), "{error}");
}

#[test]
fn a_segment_of_another_log_is_refused() {
    let disk = Arc::new(MemoryDisk::new());
    append(&mut recover(&disk).unwrap(), disk.as_ref(), 12, 2000);
    let error = NodeLog::open(disk, LIMITS, LogNonce([1; 16])).unwrap_err().to_string();
    let told = "log file memory:00000000000000000003.log: of another log, not of the one";
    assert!(error.starts_with(told), "{error}");
}

#[test]
fn a_log_is_begun_before_anything_is_written_and_its_absence_is_an_error_from_then_on() {
    let mut interrupted = 0;
    for changes in 0..10 {
        let disk = Arc::new(MemoryDisk::new());
        disk.stop_after(changes);
        let begun = NodeLog::begin(disk.clone(), LIMITS, LogNonce([1; 16])).is_ok();
        disk.crash(changes);
        interrupted += u64::from(!begun);
        let log = NodeLog::begin(disk.clone(), LIMITS, LogNonce([1; 16])).unwrap();
        assert_eq!(log.durable(), LogPosition::default());
        NodeLog::open(disk.clone(), LIMITS, LogNonce([1; 16])).unwrap();
    }
    assert_eq!(interrupted, 5, "a file, its header and a sync, and recovery writes once more");
    let error =
        NodeLog::open(Arc::new(MemoryDisk::new()), LIMITS, LogNonce::default()).unwrap_err().to_string();
    let told = "log file memory:00000000000000000001.log: missing, and so is every other: ";
    assert!(error.starts_with(told), "{error}");
}

#[test]
fn the_cache_is_capped_and_older_entries_are_read_back() {
    let disk = Arc::new(MemoryDisk::new());
    let limits = LogLimits { cache_bytes: 2500, ..LIMITS };
    let mut log = NodeLog::recover(disk.clone(), limits, LogNonce::default()).unwrap();
    append(&mut log, disk.as_ref(), 5, 1000);
    log.append(RingId(0), 0, entry(0, 1000));
    assert_eq!(log.counts().cached_bytes, 2000, "the oldest go first, whatever their ring");
    log.append(RingId(0), 1, entry(1, 5000));
    assert_eq!(log.counts().cached_bytes, 6000, "what is not durable stays");
    write(&mut log, disk.as_ref());
    assert_eq!(log.counts().cached_bytes, 0);

    assert_holds(&log, 5, 1000);
    assert_eq!(log.counts().read_backs, 5);
    assert_eq!(log.read_range(RING, 1..5, 1500).unwrap(), [entry(1, 1000), entry(2, 1000)]);
    assert_eq!(log.read_range(RING, 1..2, 0).unwrap(), [entry(1, 1000)]);

    let log = NodeLog::recover(disk.clone(), LogLimits { cache_bytes: 7000, ..LIMITS }, LogNonce::default())
        .unwrap();
    assert_eq!(log.counts().cached_bytes, 7000, "recovery keeps the last ones");
    assert_holds(&log, 5, 1000);
    assert_eq!(log.counts().read_backs, 4);
    disk.rot(SEGMENT, 4096 + 36 + 19 + 500);
    let error = log.read(RING, 0).unwrap_err().to_string();
    let offset = 4096 + 36 + 19;
    let expected = format!(
        "log file memory:00000000000000000001.log is corrupt at offset {offset}: an entry with a wrong checksum; see to the disk"
    );
    assert!(error.starts_with(&expected), "{error}");
}

#[test]
fn recycled_segments_are_used_again_and_their_blocks_are_not() {
    let disk = Arc::new(MemoryDisk::new());
    let mut log = recover(&disk).unwrap();
    log.put(RING, 1, Bytes::from_static(b"kept"));
    append(&mut log, disk.as_ref(), 11, 2000);
    assert_eq!(log.recycle(), 0, "every segment holds an entry");
    log.trim(RING, 9);
    assert_eq!(log.recycle(), 2);
    assert_eq!(disk.segments().unwrap().len(), 3, "nothing happens before the trim is durable");
    append(&mut log, disk.as_ref(), 3, 2000);
    let generations = |disk: &MemoryDisk| -> Vec<u64> {
        disk.segments().unwrap().iter().map(|file| file.generation.0).collect()
    };
    assert_eq!(generations(&disk), [2, 3, 4]);
    assert_eq!(log.counts().segments_reused, 1);
    let log = recover(&disk).unwrap();
    assert_eq!((log.first(RING), log.next_index(RING)), (9, 14));
    assert_eq!(log.value(RING, 1).unwrap(), "kept");
    assert_eq!(log.read(RING, 13).unwrap(), entry(13, 2000));
}

#[test]
fn no_more_recycled_segments_are_kept_than_the_limit() {
    let disk = Arc::new(MemoryDisk::new());
    let mut log = recover(&disk).unwrap();
    append(&mut log, disk.as_ref(), 7 * 4, 2000);
    log.trim(RING, 28);
    append(&mut log, disk.as_ref(), 1, 2000);
    assert_eq!((log.recycle(), disk.segments().unwrap().len()), (7, 8));
    append(&mut log, disk.as_ref(), 4, 2000);
    let left: Vec<u64> = disk.segments().unwrap().iter().map(|file| file.generation.0).collect();
    assert_eq!(left, [7, 8, 9], "one spare, one that was in use, and one that was the sixth");
    assert_eq!(recover(&disk).unwrap().first(RING), 28);
}

#[test]
fn a_block_larger_than_a_segment_has_one_of_its_own() {
    let disk = Arc::new(MemoryDisk::new());
    let mut log = recover(&disk).unwrap();
    append(&mut log, disk.as_ref(), 1, 100_000);
    append(&mut log, disk.as_ref(), 1, 100);
    let bytes: Vec<u64> = disk.segments().unwrap().iter().map(|file| file.bytes).collect();
    assert_eq!(bytes, [26 * 4096, LIMITS.segment_bytes]);
    let log = recover(&disk).unwrap();
    assert_eq!(log.read(RING, 0).unwrap(), entry(0, 100_000));
    assert_eq!(log.read(RING, 1).unwrap(), entry(1, 100));
}

#[test]
fn a_full_disk_and_a_failing_sync_end_the_writer_and_lose_nothing_synced() {
    for fault in [MemoryDisk::set_full, MemoryDisk::set_sync_fails] {
        let disk = Arc::new(MemoryDisk::new());
        let mut log = recover(&disk).unwrap();
        let mut writer = LogWriter::inline(disk.clone());
        append(&mut log, disk.as_ref(), 2, 100);
        log.append(RING, 2, entry(2, 100));
        fault(&disk, true);
        assert!(writer.submit(log.take_buffer().unwrap()).is_err());
        fault(&disk, false);
        assert!(writer.try_durable().is_err(), "a writer that failed once has failed for ever");

        // The process starts again without a power loss, so it reads what may never have reached the disk.
        let log = recover(&disk).unwrap();
        let held = log.len(RING);
        disk.crash(1);
        assert_holds(&recover(&disk).unwrap(), held, 100);
        assert!(held >= 2);
    }
}

#[test]
fn recovery_says_where_the_disk_cannot_be_read() {
    let disk = Arc::new(MemoryDisk::new());
    append(&mut recover(&disk).unwrap(), disk.as_ref(), 1, 100);
    disk.set_reads(Reads::Fail);
    let error = recover(&disk).unwrap_err().to_string();
    let told = "log file memory:00000000000000000001.log cannot be read at offset 0: the disk cannot read this; see to the disk";
    assert!(error.starts_with(told), "{error}");
    disk.set_reads(Reads::Sound);
    assert_holds(&recover(&disk).unwrap(), 1, 100);
}

#[test]
fn recovery_says_that_the_disk_failed() {
    let disk = Arc::new(MemoryDisk::new());
    append(&mut recover(&disk).unwrap(), disk.as_ref(), 1, 100);
    disk.set_full(true);
    let LogError::Disk { file, source } = recover(&disk).unwrap_err() else { panic!("another error") };
    assert_eq!((file.as_str(), source.kind()), (disk.describe(SEGMENT).as_str(), io::ErrorKind::StorageFull));
    disk.set_full(false);
    disk.set_sync_fails(true);
    assert!(matches!(recover(&disk), Err(LogError::Disk { .. })));
}

#[test]
#[should_panic(expected = "entry 3 of RingId(3) does not join 0..2")]
fn an_entry_beyond_the_next_is_refused() {
    let disk = Arc::new(MemoryDisk::new());
    let mut log = recover(&disk).unwrap();
    append(&mut log, disk.as_ref(), 2, 1);
    log.append(RING, 3, Bytes::new());
}

#[test]
#[should_panic(expected = "entry 1 of RingId(3) does not join 2..2")]
fn an_entry_below_the_first_is_refused() {
    let mut log = recover(&Arc::new(MemoryDisk::new())).unwrap();
    log.trim(RING, 2);
    log.append(RING, 1, Bytes::new());
}

#[test]
#[should_panic(expected = "one buffer is in flight at a time")]
fn a_second_buffer_in_flight_is_refused() {
    let mut log = recover(&Arc::new(MemoryDisk::new())).unwrap();
    log.append(RING, 0, Bytes::new());
    let _buffer = log.take_buffer();
    log.take_buffer();
}

#[test]
fn a_real_directory_is_recovered_and_a_shortened_file_is_cut() {
    let directory = tempfile::tempdir().unwrap();
    let open = || {
        let disk = Arc::new(FileDisk::open(&directory.path().join("log")).unwrap());
        (disk.clone(), NodeLog::recover(disk, LIMITS, LogNonce::default()))
    };
    let (disk, log) = open();
    append(&mut log.unwrap(), disk.as_ref(), 6, 2000);
    let (disk, log) = open();
    assert_holds(&log.unwrap(), 6, 2000);

    let shorten = |segment: u64, bytes: u64| {
        let file = OpenOptions::new().write(true).open(disk.describe(Generation(segment))).unwrap();
        file.set_len(bytes).unwrap();
    };
    shorten(2, 2 * 4096 + 1000);
    let (disk, log) = open();
    let mut log = log.unwrap();
    assert_holds(&log, 5, 2000);
    assert_eq!(disk.segments().unwrap()[1].bytes, LIMITS.segment_bytes, "the file is whole again");
    append(&mut log, disk.as_ref(), 4, 2000);
    assert_holds(&open().1.unwrap(), 9, 2000);

    shorten(1, 3 * 4096);
    let error = open().1.unwrap_err().to_string();
    assert!(error.contains("00000000000000000001.log is corrupt at offset 12288: "), "{error}");
}
