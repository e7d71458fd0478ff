//! A spare file of zeros, written ahead of time so that beginning a segment need not wait for it.
//!
//! It grows as the log fills the segment before it, a little faster, in small parts: so the disk is never busy with zeros for
//! long, an idle log writes none, and under any load the spare is finished when it is needed. Whoever needs it earlier hurries it.
#![allow(clippy::disallowed_methods, reason = "an edge: writes files, in a thread of its own")]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use super::direct::{DirectFile, ZEROS_BYTES};

/// The file's name beside the segments; what a process left half done is written over.
const NAME: &str = "spare";
/// How far the spare may be when the segment before it is filled to some place: so many quarters of that, and one part.
const AHEAD_QUARTERS: u64 = 6;
/// All that there is to write is wanted at once.
const ALL: u64 = u64::MAX;
/// Nobody needs the file any more.
const NOTHING: u64 = 0;

/// At most one spare file, finished or being written.
#[derive(Debug)]
pub(super) struct Spare {
    path: PathBuf,
    writing: Option<Writing>,
}

#[derive(Debug)]
struct Writing {
    bytes: u64,
    /// Up to where zeros are wanted.
    wanted: Arc<AtomicU64>,
    thread: JoinHandle<io::Result<DirectFile>>,
}

impl Spare {
    /// None yet; it will stand in `directory`.
    pub(super) fn new(directory: &Path) -> Spare {
        Spare { path: directory.join(NAME), writing: None }
    }

    /// The file of `bytes` zeros under the name `path`: the spare if it fits, else written now. Then begins the next spare.
    pub(super) fn take(&mut self, path: &Path, bytes: u64) -> io::Result<DirectFile> {
        let file = match self.writing.take() {
            Some(writing) if writing.bytes == bytes => writing.finish()?,
            other => {
                other.into_iter().for_each(Writing::give_up);
                write(&self.path, bytes, &AtomicU64::new(ALL))?
            }
        };
        fs::rename(&self.path, path)?;
        self.writing = Some(Writing::begin(self.path.clone(), bytes)?);
        Ok(file)
    }

    /// The segment before it is filled up to `offset`. After a restart that is what begins a spare, of the segment's length.
    pub(super) fn keep_up(&mut self, segment: &DirectFile, offset: u64) -> io::Result<()> {
        if self.writing.is_none() {
            self.writing = Some(Writing::begin(self.path.clone(), segment.file().metadata()?.len())?);
        }
        let wanted = offset / 4 * AHEAD_QUARTERS + ZEROS_BYTES as u64;
        self.writing.iter().for_each(|writing| writing.want(wanted));
        Ok(())
    }
}

impl Drop for Spare {
    /// What is written of the file is left to the next process, which writes it anew.
    fn drop(&mut self) {
        self.writing.take().into_iter().for_each(Writing::give_up);
    }
}

impl Writing {
    fn begin(path: PathBuf, bytes: u64) -> io::Result<Writing> {
        let wanted = Arc::new(AtomicU64::new(ZEROS_BYTES as u64));
        let known = wanted.clone();
        let thread =
            thread::Builder::new().name("spare".into()).spawn(move || write(&path, bytes, &known))?;
        Ok(Writing { bytes, wanted, thread })
    }

    /// Has zeros written up to `bytes`, of which a part may be written already.
    fn want(&self, bytes: u64) {
        let before = self.wanted.fetch_max(bytes, Ordering::Relaxed);
        if before < self.bytes && before / ZEROS_BYTES as u64 != bytes / ZEROS_BYTES as u64 {
            self.thread.thread().unpark();
        }
    }

    /// Waits for the file.
    fn finish(self) -> io::Result<DirectFile> {
        self.wanted.store(ALL, Ordering::Relaxed);
        self.join()
    }

    /// Ends the thread.
    fn give_up(self) {
        self.wanted.store(NOTHING, Ordering::Relaxed);
        // That it was given up, or failed before, matters to nobody.
        let _ = self.join();
    }

    fn join(self) -> io::Result<DirectFile> {
        self.thread.thread().unpark();
        self.thread.join().map_err(|_| io::Error::other("the spare's writer panicked"))?
    }
}

/// Writes a file of zeros, as far as they are wanted; fails once nothing is.
fn write(path: &Path, bytes: u64, wanted: &AtomicU64) -> io::Result<DirectFile> {
    let file = DirectFile::create(path)?;
    let mut offset = 0;
    while offset < bytes {
        match wanted.load(Ordering::Relaxed) {
            NOTHING => return Err(io::Error::from(io::ErrorKind::Interrupted)),
            wanted if wanted < bytes && wanted <= offset => {
                thread::park();
                continue;
            }
            _ => {}
        }
        let length = (bytes - offset).min(ZEROS_BYTES as u64);
        file.write_zeros_at(length as usize, offset)?;
        file.let_no_pages_gather()?;
        offset += length;
    }
    file.file().sync_all()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn a_spare_grows_as_the_log_does_and_no_further() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut spare = Spare::new(directory.path());
        let segment = 40 * ZEROS_BYTES as u64;
        let file = spare.take(&directory.path().join("one"), segment).expect("a file");
        let grown = |least: u64| {
            let deadline = Instant::now() + Duration::from_secs(30);
            loop {
                let length = fs::metadata(directory.path().join(NAME)).map_or(0, |file| file.len());
                if length >= least || Instant::now() > deadline {
                    return length;
                }
                thread::yield_now();
            }
        };
        assert_eq!(grown(ZEROS_BYTES as u64), ZEROS_BYTES as u64);
        for quarter in 1..=2 {
            spare.keep_up(&file, quarter * segment / 4).expect("a spare");
            let least = quarter * segment / 16 * AHEAD_QUARTERS;
            assert!((least..segment).contains(&grown(least)), "{quarter} of 4 quarters");
        }
        let mut spare = restarted(spare, directory.path());
        spare.keep_up(&file, 3 * segment / 4).expect("a spare");
        assert_eq!(grown(segment), segment, "it is finished before it is needed");
    }

    fn restarted(spare: Spare, directory: &Path) -> Spare {
        drop(spare);
        Spare::new(directory)
    }

    #[test]
    fn a_file_is_whole_whether_it_was_spare_or_not() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut spare = Spare::new(directory.path());
        for (name, bytes) in [("one", 10_000), ("two", 10_000), ("three", 2_500_000)] {
            let path = directory.path().join(name);
            let file = spare.take(&path, bytes).expect("a file");
            assert_eq!(file.file().metadata().expect("a file").len(), bytes);
            assert_eq!(fs::read(&path).expect("a file"), vec![0; bytes as usize]);
        }
    }
}
