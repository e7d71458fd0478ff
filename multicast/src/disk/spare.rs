//! A spare file of zeros, written ahead of time so that beginning a segment need not wait for it.
//!
//! It is written in small parts, each synced, with rests between them: a whole segment at once would keep the disk busy for
//! hundreds of milliseconds, and every sync of the log in the meantime. Whoever needs it before it is finished hurries it.
#![allow(clippy::disallowed_methods, reason = "an edge: writes files, in a thread of its own")]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use super::direct::{DirectFile, Scratch};

/// The file's name beside the segments; what a process left half done is written over.
const NAME: &str = "spare";
/// How many zeros are written and synced at a time.
const ZEROS_BYTES: usize = 256 << 10;
/// How long the disk rests after each, in the time that it took.
const RESTS: u32 = 3;

/// At most one spare file, finished or being written.
#[derive(Debug)]
pub(super) struct Spare {
    path: PathBuf,
    writing: Option<Writing>,
}

#[derive(Debug)]
struct Writing {
    bytes: u64,
    hurry: Arc<AtomicBool>,
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
                other.map(Writing::finish).transpose()?;
                write(&self.path, bytes, &AtomicBool::new(true))?
            }
        };
        fs::rename(&self.path, path)?;
        self.writing = Some(Writing::begin(self.path.clone(), bytes)?);
        Ok(file)
    }
}

impl Drop for Spare {
    /// Waits for the thread; the file is left to the next process, which writes it anew.
    fn drop(&mut self) {
        // Nobody needs the file any more, so nobody needs to know that it failed.
        let _ = self.writing.take().map(Writing::finish);
    }
}

impl Writing {
    fn begin(path: PathBuf, bytes: u64) -> io::Result<Writing> {
        let hurry = Arc::new(AtomicBool::new(false));
        let hurried = hurry.clone();
        let thread =
            thread::Builder::new().name("spare".into()).spawn(move || write(&path, bytes, &hurried))?;
        Ok(Writing { bytes, hurry, thread })
    }

    /// Waits for the file.
    fn finish(self) -> io::Result<DirectFile> {
        self.hurry.store(true, Ordering::Relaxed);
        self.thread.thread().unpark();
        self.thread.join().map_err(|_| io::Error::other("the spare's writer panicked"))?
    }
}

/// Writes a file of zeros, without rests once `hurry` is set.
fn write(path: &Path, bytes: u64, hurry: &AtomicBool) -> io::Result<DirectFile> {
    let file = DirectFile::create(path)?;
    let zeros = vec![0; ZEROS_BYTES];
    let mut scratch = Scratch::new();
    let mut offset = 0;
    while offset < bytes {
        let began = Instant::now();
        let length = (bytes - offset).min(ZEROS_BYTES as u64);
        file.write_all_at(&zeros[..length as usize], offset, &mut scratch)?;
        offset += length;
        if !hurry.load(Ordering::Relaxed) {
            file.file().sync_data()?;
            thread::park_timeout(began.elapsed() * RESTS);
        }
    }
    file.file().sync_all()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

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
