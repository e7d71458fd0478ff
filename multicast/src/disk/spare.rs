//! A spare file of zeros, written ahead of time so that beginning a segment need not wait for it.
#![allow(clippy::disallowed_methods, reason = "an edge: writes files, in a thread of its own")]

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

/// The file's name beside the segments; what a process left half done is written over.
const NAME: &str = "spare";
/// How many zeros are written at a time when a segment is created.
const ZEROS_BYTES: usize = 1 << 20;

/// At most one spare file, finished or being written.
#[derive(Debug)]
pub(super) struct Spare {
    path: PathBuf,
    writing: Option<(u64, JoinHandle<io::Result<File>>)>,
}

impl Spare {
    /// None yet; it will stand in `directory`.
    pub(super) fn new(directory: &Path) -> Spare {
        Spare { path: directory.join(NAME), writing: None }
    }

    /// The file of `bytes` zeros under the name `path`: the spare if it fits, else written now. Then begins the next spare.
    pub(super) fn take(&mut self, path: &Path, bytes: u64) -> io::Result<File> {
        let file = match self.writing.take() {
            Some((length, spare)) => {
                let spare = spare.join().map_err(|_| io::Error::other("the spare's writer panicked"))??;
                if length == bytes { spare } else { write(&self.path, bytes)? }
            }
            None => write(&self.path, bytes)?,
        };
        fs::rename(&self.path, path)?;
        let next = self.path.clone();
        self.writing =
            Some((bytes, thread::Builder::new().name("spare".into()).spawn(move || write(&next, bytes))?));
        Ok(file)
    }
}

impl Drop for Spare {
    /// Waits for the thread; the file is left to the next process, which writes it anew.
    fn drop(&mut self) {
        if let Some((_, writing)) = self.writing.take() {
            // Nobody needs the file any more, so nobody needs to know that it failed.
            let _ = writing.join();
        }
    }
}

fn write(path: &Path, bytes: u64) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
    write_zeros(&file, bytes)?;
    file.sync_all()?;
    Ok(file)
}

fn write_zeros(file: &File, bytes: u64) -> io::Result<()> {
    let zeros = vec![0; ZEROS_BYTES];
    let mut offset = 0;
    while offset < bytes {
        let length = (bytes - offset).min(ZEROS_BYTES as u64);
        file.write_all_at(&zeros[..length as usize], offset)?;
        offset += length;
    }
    Ok(())
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
            assert_eq!(file.metadata().expect("a file").len(), bytes);
            assert_eq!(fs::read(&path).expect("a file"), vec![0; bytes as usize]);
        }
    }
}
