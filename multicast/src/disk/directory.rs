//! The directory that a node owns.
//!
//! Its identity and its log carry the same nonce, so that one without the other is noticed, and so are two directories that
//! are mixed. Names are made in this order, each durable before the next:
//!
//! ```text
//!   identity.unfinished ─► log/, with its first segment ─► identity, by a rename ─► the node says its first word
//! ```
//!
//! So a first start that was interrupted at any moment is told from a lost piece: before the rename nobody has heard of
//! the nonce, and the next start goes on with it; after the rename there was a log.
#![allow(clippy::disallowed_methods, reason = "an edge: reads and writes real files")]

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};

use super::file::{FileDisk, sync_directory};
use crate::fixed::{Fixed, FixedKey};

/// The version of the directory's layout.
const VERSION: u32 = 2;
const IDENTITY: &str = "identity";
const IDENTITY_UNFINISHED: &str = "identity.unfinished";
const LOCK: &str = "lock";
const LOG: &str = "log";
/// A file without it was not finished.
const LAST_LINE: &str = "# end\n";
const RANDOM: &str = "/dev/urandom";

/// Whose directory it is. A node that starts on another's would take up promises it never made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The cluster's name.
    pub cluster: String,
    /// The node's number in the cluster.
    pub node: u32,
    /// How many partitions the cluster has: it decides where everything is.
    pub partitions: u32,
    /// What else is fixed for the life of the cluster.
    pub fixed: Fixed,
}

/// A directory that is this node's, and this process's for as long as the value lives.
#[derive(Debug)]
pub struct DataDirectory {
    path: PathBuf,
    nonce: [u8; 16],
    is_new: bool,
    /// Holds the advisory lock; the system releases it with the process, however that ends.
    _lock: File,
}

/// Why a directory is not used. Every message is one line and names the directory.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// The path is something else.
    #[error("data directory {path}: not a directory")]
    NotADirectory {
        /// The path that was asked for.
        path: PathBuf,
    },
    /// A file in it cannot be created, or the directory itself.
    #[error("data directory {path}: not writable: {source}")]
    NotWritable {
        /// The path that was asked for.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It has files, but no identity.
    #[error(
        "data directory {path}: not empty and without an identity (found {found}), so not a data directory"
    )]
    Foreign {
        /// The path that was asked for.
        path: PathBuf,
        /// One of the files.
        found: String,
    },
    /// It has a log, but no identity.
    #[error(
        "data directory {path}: its identity file is missing, and its log is there: bring back the identity file; without it \
         nobody knows whose promises are in the log, so this node may not vote"
    )]
    IdentityLost {
        /// The path that was asked for.
        path: PathBuf,
    },
    /// Another process holds the lock.
    #[error("data directory {path}: already in use by a running process")]
    InUse {
        /// The path that was asked for.
        path: PathBuf,
    },
    /// The identity file cannot be read.
    #[error("data directory {path}: its identity file is damaged: {what}")]
    Damaged {
        /// The path that was asked for.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Written by another version of this program.
    #[error("data directory {path}: has format version {found}, this program knows version {known}")]
    OtherVersion {
        /// The path that was asked for.
        path: PathBuf,
        /// The directory's version.
        found: u32,
        /// This program's version.
        known: u32,
    },
    /// Another cluster's.
    #[error("data directory {path}: belongs to cluster \"{found}\", not to \"{expected}\"")]
    OtherCluster {
        /// The path that was asked for.
        path: PathBuf,
        /// The directory's cluster.
        found: String,
        /// The cluster that was expected.
        expected: String,
    },
    /// Another node's.
    #[error("data directory {path}: belongs to node {found}, not to node {expected}")]
    OtherNode {
        /// The path that was asked for.
        path: PathBuf,
        /// The directory's node.
        found: u32,
        /// The node that was expected.
        expected: u32,
    },
    /// Laid out for another number of partitions.
    #[error("data directory {path}: was made for {found} partitions, not for {expected}")]
    OtherPartitions {
        /// The path that was asked for.
        path: PathBuf,
        /// The directory's number of partitions.
        found: u32,
        /// The number that was expected.
        expected: u32,
    },
    /// Something else that may not change has changed.
    #[error(
        "data directory {path}: {key} is {found:?} there and {expected:?} in the configuration, and it is fixed for the life \
         of a cluster: write {found:?} again, or make a new cluster with new data directories and have a client copy the data"
    )]
    OtherFixed {
        /// The path that was asked for.
        path: PathBuf,
        /// Which value.
        key: FixedKey,
        /// The directory's value.
        found: String,
        /// The value that was expected.
        expected: String,
    },
}

impl DataDirectory {
    /// Locks the directory and checks that it is `identity`'s. One that is missing or empty is made so.
    pub fn open(path: &Path, identity: &Identity) -> Result<DataDirectory, DirectoryError> {
        create(path)?;
        let lock = lock(path)?;
        let nonce = match fs::read_to_string(path.join(IDENTITY)) {
            Ok(text) => (check(path, &text, identity)?, false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => (begin(path, identity)?, true),
            Err(error) => return Err(damaged(path, error.to_string())),
        };
        let (nonce, is_new) = nonce;
        Ok(DataDirectory { path: path.to_path_buf(), nonce, is_new, _lock: lock })
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Drawn when the directory was first used. Who comes with another one has lost the first, and the promises in it.
    pub fn nonce(&self) -> [u8; 16] {
        self.nonce
    }

    /// Whether this is the first start, or one after a first start that was interrupted: then the log is begun, and
    /// [`DataDirectory::finish`] called when that is durable. Else there was a log.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// The log is begun, durably: from now on its absence is a loss.
    pub fn finish(&mut self) -> Result<(), DirectoryError> {
        if self.is_new {
            let renamed = fs::rename(self.path.join(IDENTITY_UNFINISHED), self.path.join(IDENTITY));
            let durable = renamed.and_then(|()| sync_directory(&self.path));
            durable.map_err(|source| not_writable(&self.path, source))?;
            self.is_new = false;
        }
        Ok(())
    }

    /// Where the log's segments are, for [`super::FileDisk::open`], which creates it.
    pub fn log_path(&self) -> PathBuf {
        self.path.join(LOG)
    }
}

impl Identity {
    fn to_text(&self, nonce: [u8; 16]) -> String {
        let Identity { cluster, node, partitions, fixed } = self;
        let cluster = cluster.escape_default();
        let fixed: String =
            fixed.iter().map(|(key, value)| format!("{key} = \"{}\"\n", value.escape_default())).collect();
        format!(
            "# Whose data directory this is. Written once; a node refuses to start on another's.\n\
             version = {VERSION}\ncluster = \"{cluster}\"\nnode = {node}\npartitions = {partitions}\n{fixed}\
             nonce = {:032x}\n{LAST_LINE}",
            u128::from_be_bytes(nonce)
        )
    }
}

fn create(path: &Path) -> Result<(), DirectoryError> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => return Ok(()),
        Ok(_) => return Err(DirectoryError::NotADirectory { path: path.to_path_buf() }),
        Err(_) => {}
    }
    create_durably(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotADirectory => DirectoryError::NotADirectory { path: path.to_path_buf() },
        _ => not_writable(path, source),
    })
}

fn create_durably(path: &Path) -> io::Result<()> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    if !parent.as_os_str().is_empty() && !parent.exists() {
        create_durably(parent)?;
    }
    fs::create_dir(path)?;
    sync_directory(parent)
}

fn lock(path: &Path) -> Result<File, DirectoryError> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path.join(LOCK))
        .map_err(|source| not_writable(path, source))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(DirectoryError::InUse { path: path.to_path_buf() }),
        Err(TryLockError::Error(source)) => Err(not_writable(path, source)),
    }
}

/// Goes on with a first start that was interrupted, or makes an empty directory the identity's.
fn begin(path: &Path, identity: &Identity) -> Result<[u8; 16], DirectoryError> {
    if let Ok(text) = fs::read_to_string(path.join(IDENTITY_UNFINISHED))
        && text.ends_with(LAST_LINE)
    {
        return check(path, &text, identity);
    }
    if has_segments(&path.join(LOG)).map_err(|source| not_writable(path, source))? {
        return Err(DirectoryError::IdentityLost { path: path.to_path_buf() });
    }
    for entry in fs::read_dir(path).map_err(|source| not_writable(path, source))? {
        let name = entry.map_err(|source| not_writable(path, source))?.file_name();
        if name != LOCK && name != IDENTITY_UNFINISHED && name != LOG {
            let found = name.to_string_lossy().into_owned();
            return Err(DirectoryError::Foreign { path: path.to_path_buf(), found });
        }
    }
    write(path, identity).map_err(|source| not_writable(path, source))
}

/// Whether a log is there. Its directory alone, such as the mount point of a volume for it, is none.
fn has_segments(log: &Path) -> io::Result<bool> {
    match FileDisk::segments_in(log) {
        Ok(segments) => Ok(!segments.is_empty()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn write(path: &Path, identity: &Identity) -> io::Result<[u8; 16]> {
    let mut nonce = [0; 16];
    File::open(RANDOM)?.read_exact(&mut nonce)?;
    let mut file = File::create(path.join(IDENTITY_UNFINISHED))?;
    file.write_all(identity.to_text(nonce).as_bytes())?;
    file.sync_all()?;
    sync_directory(path)?;
    Ok(nonce)
}

/// Compares the directory's identity with the one expected; returns its nonce.
fn check(path: &Path, text: &str, identity: &Identity) -> Result<[u8; 16], DirectoryError> {
    let path_buf = || path.to_path_buf();
    let found = number(path, text, "version")?;
    if found != VERSION {
        return Err(DirectoryError::OtherVersion { path: path_buf(), found, known: VERSION });
    }
    let found = unquoted(field(path, text, "cluster")?).to_string();
    let expected = identity.cluster.escape_default().to_string();
    if found != expected {
        return Err(DirectoryError::OtherCluster { path: path_buf(), found, expected });
    }
    let (found, expected) = (number(path, text, "node")?, identity.node);
    if found != expected {
        return Err(DirectoryError::OtherNode { path: path_buf(), found, expected });
    }
    let (found, expected) = (number(path, text, "partitions")?, identity.partitions);
    if found != expected {
        return Err(DirectoryError::OtherPartitions { path: path_buf(), found, expected });
    }
    for (key, expected) in identity.fixed.iter() {
        let found = unquoted(field(path, text, key.name())?).to_string();
        if found != expected.escape_default().to_string() {
            let expected = expected.to_string();
            return Err(DirectoryError::OtherFixed { path: path_buf(), key, found, expected });
        }
    }
    let nonce = u128::from_str_radix(field(path, text, "nonce")?, 16);
    nonce.map(u128::to_be_bytes).map_err(|_| damaged(path, "nonce is not a number".to_string()))
}

fn number(path: &Path, text: &str, name: &str) -> Result<u32, DirectoryError> {
    field(path, text, name)?.parse().map_err(|_| damaged(path, format!("{name} is not a number")))
}

fn field<'a>(path: &Path, text: &'a str, name: &str) -> Result<&'a str, DirectoryError> {
    let fields = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
    fields
        .filter(|(field, _)| field.trim() == name)
        .map(|(_, value)| value.trim())
        .next()
        .ok_or_else(|| damaged(path, format!("{name} is missing")))
}

fn unquoted(value: &str) -> &str {
    value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value)
}

fn damaged(path: &Path, what: String) -> DirectoryError {
    DirectoryError::Damaged { path: path.to_path_buf(), what }
}

fn not_writable(path: &Path, source: io::Error) -> DirectoryError {
    DirectoryError::NotWritable { path: path.to_path_buf(), source }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::disk::{Disk, Generation};
    use crate::log::{LogLimits, LogNonce, NodeLog};

    fn identity() -> Identity {
        Identity {
            cluster: "east \"1\"".to_string(),
            node: 2,
            partitions: 4,
            fixed: fixed("/a = depth \"3\""),
        }
    }

    fn fixed(rules: &str) -> Fixed {
        Fixed::default().with(FixedKey::new("nodes"), "1 2").with(FixedKey::new("placement.rules"), rules)
    }

    /// The message of the error, without the directory's name, which it must begin with.
    fn refusal(path: &Path, identity: &Identity) -> String {
        let message = DataDirectory::open(path, identity).unwrap_err().to_string();
        let named = format!("data directory {}: ", path.display());
        message.strip_prefix(&named).expect(&message).to_string()
    }

    #[test]
    fn a_directory_is_made_once_and_opened_again() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let mut directory = DataDirectory::open(&path, &identity()).unwrap();
        assert_eq!((directory.log_path(), directory.is_new()), (path.join("log"), true));
        directory.finish().unwrap();
        let text = fs::read_to_string(path.join("identity")).unwrap();
        let lines: Vec<&str> = text.lines().skip(1).collect();
        let nonce = format!("nonce = {:032x}", u128::from_be_bytes(directory.nonce()));
        let named = [
            "version = 2",
            "cluster = \"east \\\"1\\\"\"",
            "node = 2",
            "partitions = 4",
            "nodes = \"1 2\"",
            "placement.rules = \"/a = depth \\\"3\\\"\"",
            &nonce,
            "# end",
        ];
        assert_eq!(lines, named);
        let nonce = directory.nonce();
        drop(directory);
        assert!(!DataDirectory::open(&path, &identity()).unwrap().is_new());
        fs::create_dir(path.join("log")).unwrap();
        assert_eq!(DataDirectory::open(&path, &identity()).unwrap().nonce(), nonce);
        assert_eq!(fs::read_to_string(path.join("identity")).unwrap(), text);
        let other = DataDirectory::open(&parent.path().join("c"), &identity()).unwrap();
        assert_ne!(other.nonce(), nonce, "another disk is known from this one");
    }

    #[test]
    fn a_directory_has_one_process() {
        let parent = tempfile::tempdir().unwrap();
        let directory = DataDirectory::open(parent.path(), &identity()).unwrap();
        assert_eq!(refusal(parent.path(), &identity()), "already in use by a running process");
        drop(directory);
        DataDirectory::open(parent.path(), &identity()).unwrap();
    }

    #[test]
    fn another_identity_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path();
        DataDirectory::open(path, &identity()).unwrap().finish().unwrap();
        let west = Identity { cluster: "west".to_string(), ..identity() };
        let message = "belongs to cluster \"east \\\"1\\\"\", not to \"west\"";
        assert_eq!(refusal(path, &west), message);
        assert_eq!(refusal(path, &Identity { node: 3, ..identity() }), "belongs to node 2, not to node 3");
        let message = "was made for 4 partitions, not for 8";
        assert_eq!(refusal(path, &Identity { partitions: 8, ..identity() }), message);

        let message =
            "placement.rules is \"/a = depth \\\\\\\"3\\\\\\\"\" there and \"\" in the configuration";
        let refused = refusal(path, &Identity { fixed: fixed(""), ..identity() });
        assert!(refused.starts_with(message), "{refused}");

        let text = fs::read_to_string(path.join("identity")).unwrap();
        fs::write(path.join("identity"), text.replace("version = 2", "version = 1")).unwrap();
        assert_eq!(refusal(path, &identity()), "has format version 1, this program knows version 2");
        fs::write(path.join("identity"), text.replace("node = 2", "")).unwrap();
        assert_eq!(refusal(path, &identity()), "its identity file is damaged: node is missing");
    }

    #[test]
    fn what_is_no_data_directory_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let file = parent.path().join("file");
        fs::write(&file, "x").unwrap();
        assert_eq!(refusal(&file, &identity()), "not a directory");
        assert_eq!(refusal(&file.join("below"), &identity()), "not a directory");
        let message = "not empty and without an identity (found file), so not a data directory";
        assert_eq!(refusal(parent.path(), &identity()), message);
        // Nobody can create a file there, not even the superuser.
        let message = refusal(Path::new("/proc"), &identity());
        assert!(message.starts_with("not writable: "), "{message}");
    }

    fn begin_log(directory: &DataDirectory) -> Result<NodeLog, String> {
        let disk: Arc<dyn Disk> = Arc::new(FileDisk::open(&directory.log_path()).unwrap());
        let limits = LogLimits { segment_bytes: 3 * 4096, ..LogLimits::default() };
        let nonce = LogNonce(directory.nonce());
        let log = if directory.is_new() { NodeLog::begin } else { NodeLog::open };
        log(disk, limits, nonce).map_err(|error| error.to_string())
    }

    /// Opens the directory, begins the log, finishes the identity.
    fn first_start(path: &Path) -> [u8; 16] {
        let mut directory = DataDirectory::open(path, &identity()).unwrap();
        begin_log(&directory).unwrap();
        directory.finish().unwrap();
        directory.nonce()
    }

    #[test]
    fn a_first_start_that_is_interrupted_anywhere_goes_on() {
        let interrupted: [&dyn Fn(&Path); 5] = [
            &|path| fs::write(path.join("identity.unfinished"), "version").unwrap(),
            &|path| drop(DataDirectory::open(path, &identity()).unwrap()),
            &|path| {
                let directory = DataDirectory::open(path, &identity()).unwrap();
                FileDisk::open(&directory.log_path()).unwrap();
            },
            &|path| {
                let directory = DataDirectory::open(path, &identity()).unwrap();
                let disk = FileDisk::open(&directory.log_path()).unwrap();
                disk.create(Generation(1), 4096).unwrap();
            },
            &|path| drop(begin_log(&DataDirectory::open(path, &identity()).unwrap()).unwrap()),
        ];
        for (moment, interrupt) in interrupted.into_iter().enumerate() {
            let parent = tempfile::tempdir().unwrap();
            interrupt(parent.path());
            let nonce = first_start(parent.path());
            assert!(!parent.path().join("identity.unfinished").exists(), "moment {moment}");
            let directory = DataDirectory::open(parent.path(), &identity()).unwrap();
            assert_eq!((directory.nonce(), directory.is_new()), (nonce, false), "moment {moment}");
            begin_log(&directory).unwrap();
        }
    }

    #[test]
    fn a_mount_point_for_the_log_is_no_log() {
        let parent = tempfile::tempdir().unwrap();
        fs::create_dir_all(parent.path().join("log/lost+found")).unwrap();
        first_start(parent.path());
    }

    #[test]
    fn an_identity_without_its_log_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        first_start(parent.path());
        fs::remove_dir_all(parent.path().join("log")).unwrap();
        for _ in 0..2 {
            let directory = DataDirectory::open(parent.path(), &identity()).unwrap();
            let refused = begin_log(&directory).unwrap_err();
            assert!(refused.contains("00001.log: missing, and so is every other"), "{refused}");
        }
    }

    #[test]
    fn a_log_without_its_identity_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        first_start(parent.path());
        fs::remove_file(parent.path().join("identity")).unwrap();
        let lost = "its identity file is missing, and its log is there";
        assert!(refusal(parent.path(), &identity()).starts_with(lost));
        fs::write(parent.path().join("identity.unfinished"), "version").unwrap();
        assert!(refusal(parent.path(), &identity()).starts_with(lost));
    }

    #[test]
    fn an_identity_beside_the_log_of_another_is_refused() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for parent in [&one, &other] {
            first_start(parent.path());
        }
        fs::copy(other.path().join("identity"), one.path().join("identity")).unwrap();
        let refused = begin_log(&DataDirectory::open(one.path(), &identity()).unwrap()).unwrap_err();
        assert!(refused.contains("00001.log: of another log"), "{refused}");
    }
}
