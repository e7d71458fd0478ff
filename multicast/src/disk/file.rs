//! Segment files in a directory.
#![allow(clippy::disallowed_methods, reason = "an edge: reads and writes real files")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::direct::{DirectFile, Scratch};
use super::spare::Spare;
use super::{Disk, Generation, SegmentFile};

const EXTENSION: &str = "log";

/// A directory of segment files, each named by its generation in twenty digits. The files stay open.
///
/// A new file is filled with written zeros and not with `fallocate`: extents that are allocated but unwritten must be
/// converted when they are first written, which makes each `fdatasync` a journal commit as well.
#[derive(Debug)]
pub struct FileDisk {
    directory: PathBuf,
    files: Mutex<BTreeMap<Generation, Arc<DirectFile>>>,
    spare: Mutex<Spare>,
    scratch: Mutex<Scratch>,
}

impl FileDisk {
    /// Opens a directory, creating it if it is missing, and all segment files in it. Other files are left alone.
    pub fn open(directory: &Path) -> io::Result<FileDisk> {
        if !directory.is_dir() {
            fs::create_dir(directory)?;
            sync_directory(directory.parent().unwrap_or(Path::new("/")))?;
        }
        let mut files = BTreeMap::new();
        for (generation, path) in FileDisk::segments_in(directory)? {
            files.insert(generation, Arc::new(DirectFile::open(&path)?));
        }
        // A process that died inside `create` or `rename` may have left names that only the page cache knows.
        sync_directory(directory)?;
        Ok(FileDisk {
            directory: directory.to_path_buf(),
            files: Mutex::new(files),
            spare: Mutex::new(Spare::new(directory)),
            scratch: Mutex::new(Scratch::new()),
        })
    }

    /// The segment files in a directory.
    pub(super) fn segments_in(directory: &Path) -> io::Result<Vec<(Generation, PathBuf)>> {
        let paths = fs::read_dir(directory)?.map(|entry| entry.map(|entry| entry.path()));
        let segments = paths.filter_map(|path| match path {
            Ok(path) => generation_of(&path).map(|generation| Ok((generation, path))),
            Err(error) => Some(Err(error)),
        });
        segments.collect()
    }

    fn path(&self, segment: Generation) -> PathBuf {
        self.directory.join(format!("{:020}.{EXTENSION}", segment.0))
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<Generation, Arc<DirectFile>>> {
        locked(&self.files)
    }

    fn file(&self, segment: Generation) -> io::Result<Arc<DirectFile>> {
        self.files().get(&segment).cloned().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
}

impl Disk for FileDisk {
    fn segments(&self) -> io::Result<Vec<SegmentFile>> {
        let files = self.files();
        let line = |(generation, file): (&Generation, &Arc<DirectFile>)| {
            Ok(SegmentFile { generation: *generation, bytes: file.file().metadata()?.len() })
        };
        files.iter().map(line).collect()
    }

    fn create(&self, segment: Generation, bytes: u64) -> io::Result<()> {
        let path = self.path(segment);
        if path.exists() {
            return Err(io::Error::from(io::ErrorKind::AlreadyExists));
        }
        let file = locked(&self.spare).take(&path, bytes)?;
        sync_directory(&self.directory)?;
        self.files().insert(segment, Arc::new(file));
        Ok(())
    }

    fn rename(&self, from: Generation, to: Generation) -> io::Result<()> {
        let file = self.file(from)?;
        fs::rename(self.path(from), self.path(to))?;
        sync_directory(&self.directory)?;
        let mut files = self.files();
        files.remove(&from);
        files.insert(to, file);
        Ok(())
    }

    fn remove(&self, segment: Generation) -> io::Result<()> {
        fs::remove_file(self.path(segment))?;
        sync_directory(&self.directory)?;
        self.files().remove(&segment);
        Ok(())
    }

    fn read_at(&self, segment: Generation, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let file = self.file(segment)?;
        let mut filled = 0;
        while filled < into.len() {
            match file.file().read_at(&mut into[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn write_at(&self, segment: Generation, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let file = self.file(segment)?;
        file.write_all_at(bytes, offset, &mut locked(&self.scratch))?;
        locked(&self.spare).keep_up(&file, offset + bytes.len() as u64)
    }

    fn sync(&self, segment: Generation) -> io::Result<()> {
        self.file(segment)?.file().sync_data()
    }

    fn describe(&self, segment: Generation) -> String {
        self.path(segment).display().to_string()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes the names in a directory durable.
pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
    // The parent of a relative path of one component is the empty path.
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    File::open(directory)?.sync_all()
}

fn generation_of(path: &Path) -> Option<Generation> {
    if path.extension()?.to_str()? != EXTENSION {
        return None;
    }
    path.file_stem()?.to_str()?.parse().ok().map(Generation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_keep_their_bytes_through_a_rename_and_another_opening() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let disk = FileDisk::open(&path).unwrap();
        disk.create(Generation(1), 3_000_000).unwrap();
        disk.create(Generation(2), 4096).unwrap();
        disk.write_at(Generation(1), 100, b"bytes").unwrap();
        disk.sync(Generation(1)).unwrap();
        disk.rename(Generation(1), Generation(3)).unwrap();
        disk.remove(Generation(2)).unwrap();
        assert!(disk.read_at(Generation(1), 0, &mut [0]).is_err());
        fs::write(path.join("notes.txt"), "not a segment").unwrap();

        let disk = FileDisk::open(&path).unwrap();
        let expected = SegmentFile { generation: Generation(3), bytes: 3_000_000 };
        assert_eq!(disk.segments().unwrap(), vec![expected]);
        let mut read = [1; 8];
        assert_eq!(disk.read_at(Generation(3), 99, &mut read).unwrap(), 8);
        assert_eq!(&read, b"\0bytes\0\0");
        assert_eq!(disk.read_at(Generation(3), 3_000_000 - 2, &mut read).unwrap(), 2);
        assert!(disk.describe(Generation(3)).ends_with("/log/00000000000000000003.log"));
    }
}
