//! `volery serve`: one node in this process.
#![allow(clippy::print_stdout, reason = "says on the terminal where clients connect")]

use crate::config::{ClusterConfig, ConfigError, NODES_KEY, NodeConfig};
use crate::gateway::Gateway;
use crate::placement::{BadPlacement, Placement};
use eyrie::host::{Host, HostError, PeerConfig};
use eyrie::link::StartNonce;
use eyrie::{
    DataDirectory, DirectoryError, Disk, FileDisk, Identity, LogError, LogLimits, LogNonce, Node, NodeError,
    NodeId, NodeLog, RingLimits, RingTiming, SharedLog,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use thiserror::Error;

/// What passwords of sessions are made of, kept beside the log so that sessions outlive the process.
const SECRET_FILE: &str = "session-secret";

/// How many files are kept for the log and for what else a process opens, so that clients cannot use them up.
const OPEN_FILES_RESERVED: usize = 64;

/// Why a node does not serve, or stopped serving.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The placement cannot be used.
    #[error("placement: {0}")]
    Placement(#[from] BadPlacement),
    /// The data directory is not this node's, or in use.
    #[error(transparent)]
    Directory(DirectoryError),
    /// The data directory is that of a node alone, and the cluster file has others beside it.
    #[error(
        "data directory {}: it is that of a node alone (nodes = {found:?}), and the cluster file has nodes = {expected:?}: a node \
         alone does not become one of several; make a new cluster with new data directories, and have a client copy the znodes",
        path.display()
    )]
    Alone {
        /// Which.
        path: PathBuf,
        /// The one node.
        found: String,
        /// The nodes in the file.
        expected: String,
    },
    /// The log cannot be taken up.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The log is not that of a member of this cluster's rings.
    #[error(transparent)]
    Recover(#[from] NodeError),
    /// A file or directory cannot be used.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The address cannot be listened at.
    #[error("{address}: {source}{hint}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: io::Error,
        /// What to do.
        hint: &'static str,
    },
    /// The loop could not be set up.
    #[error("the event loop cannot be set up: {0}")]
    Setup(io::Error),
    /// The log could not be written or synced.
    #[error(
        "{}: the log cannot be written: {source}; what was acknowledged is there: {remedy}, and start the node again",
        path.display()
    )]
    LogWrite {
        /// The log's directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
        /// What to do.
        remedy: &'static str,
    },
    /// The node stopped for another reason.
    #[error(transparent)]
    Host(HostError),
}

impl From<DirectoryError> for ServeError {
    fn from(error: DirectoryError) -> ServeError {
        match error {
            DirectoryError::OtherFixed { path, key, found, expected }
                if key.name() == NODES_KEY && !found.contains(' ') && expected.contains(' ') =>
            {
                ServeError::Alone { path, found, expected }
            }
            error => ServeError::Directory(error),
        }
    }
}

/// Serves one node of a cluster until `stop` is set.
pub fn serve(config: &ClusterConfig, node: &NodeConfig, stop: Arc<AtomicBool>) -> Result<(), ServeError> {
    let placement = Arc::new(Placement::new(config.partitions, &config.placement)?);
    let identity = Identity {
        cluster: config.cluster.clone(),
        node: u32::from(node.id),
        partitions: u32::from(config.partitions),
        fixed: config.fixed(node.id),
    };
    // Whoever connects while the log is taken up is to find another node: the port opens when there is somebody behind it.
    drop(listen(node.client)?);
    let peer_listener = node.peer.filter(|_| config.nodes.len() > 1).map(listen).transpose()?;
    let mut directory = DataDirectory::open(&node.data, &identity)?;
    let disk = open_disk(&directory)?;
    let log = SharedLog::new(take_up_log(&mut directory, disk.clone())?);
    let secret = secret(&node.data.join(SECRET_FILE))?;
    let gateway = Gateway::new(config.gateway(node, secret), config.partitions);
    let peers = peer_listener.map(|listener| peers(config, node, directory.nonce(), listener));
    let start = StartNonce(u64::from_le_bytes(drawn().map_err(ServeError::Setup)?));
    let replicas = match &peers {
        None => Node::solo(node.id, start, placement, log, gateway),
        Some(_) => Node::clustered(
            &config.layout(node.id),
            start,
            RingTiming::default(),
            RingLimits::default(),
            placement,
            log,
            gateway,
        )?,
    };
    let connections_max = open_files_max().saturating_sub(OPEN_FILES_RESERVED);
    let mut host = Host::new(replicas, disk, connections_max, peers, stop).map_err(ServeError::Setup)?;
    let log_path = directory.log_path();
    host.replay().map_err(|error| stopped(error, &log_path))?;
    let listener = listen(node.client)?;
    announce(config, node);
    host.run(listener).map_err(|error| stopped(error, &log_path))?;
    println!("stopped; everything acknowledged is in {}", node.data.display());
    Ok(())
}

/// The log of a directory that has one, or begins that of a new one.
fn take_up_log(directory: &mut DataDirectory, disk: Arc<dyn Disk>) -> Result<NodeLog, ServeError> {
    let take_up = if directory.is_new() { NodeLog::begin } else { NodeLog::open };
    let log = take_up(disk, LogLimits::default(), LogNonce(directory.nonce()))?;
    directory.finish()?;
    Ok(log)
}

fn open_disk(directory: &DataDirectory) -> Result<Arc<dyn Disk>, ServeError> {
    let path = directory.log_path();
    let disk = FileDisk::open(&path).map_err(|source| ServeError::File { path, source })?;
    let disk: Arc<dyn Disk> = Arc::new(disk);
    #[cfg(feature = "faults")]
    let disk = with_faults(disk, directory.path());
    Ok(disk)
}

/// A disk that a test can fill, by a file in the data directory; and by the environment make to lose what is not synced
/// (`VOLERY_DISK=volatile`), or slow down by so many milliseconds a sync (`VOLERY_DISK=slow:5`).
/// It says so, since nobody should take such a binary for one to keep data with.
#[cfg(feature = "faults")]
fn with_faults(mut disk: Arc<dyn Disk>, data: &Path) -> Arc<dyn Disk> {
    let how = std::env::var("VOLERY_DISK").unwrap_or_default();
    if how == "volatile" {
        println!("built with faults: what is not synced is lost with the process");
        disk = Arc::new(eyrie::VolatileDisk::new(disk));
    }
    if let Some(delay_ms) = how.strip_prefix("slow:").and_then(|ms| ms.parse().ok()) {
        println!("built with faults: every sync takes {delay_ms} ms longer");
        disk = Arc::new(eyrie::SlowDisk::new(disk, std::time::Duration::from_millis(delay_ms)));
    }
    let marker = data.join("disk-full");
    println!("built with faults: the disk is full while there is {}", marker.display());
    Arc::new(eyrie::LimitedDisk::new(disk, marker))
}

/// Why the node stopped, with the place and what to do about it where it was the disk.
fn stopped(error: HostError, log: &Path) -> ServeError {
    let HostError::Log(source) = error else { return ServeError::Host(error) };
    let remedy = match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room",
        _ => "see to the disk",
    };
    ServeError::LogWrite { path: log.into(), source, remedy }
}

/// How this node and the others reach each other.
fn peers(config: &ClusterConfig, me: &NodeConfig, nonce: [u8; 16], listener: TcpListener) -> PeerConfig {
    let others = config.nodes.iter().filter(|node| node.id != me.id);
    PeerConfig {
        cluster: config.cluster.clone(),
        partitions: config.partitions,
        fixed: config.fixed(me.id),
        replicas: config.replicas(),
        nonce,
        listener,
        addresses: others.filter_map(|node| Some((NodeId(node.id), node.peer?))).collect(),
    }
}

/// Raises the limit of open files as far as it goes; says how far that is.
fn open_files_max() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let current = if setrlimit(Resource::Nofile, raised).is_ok() { limit.maximum } else { limit.current };
    current.map_or(usize::MAX, |current| current as usize)
}

fn announce(config: &ClusterConfig, node: &NodeConfig) {
    println!(
        "volery {}: node {} of cluster {:?}, {} partitions, data in {}",
        env!("CARGO_PKG_VERSION"),
        node.id,
        config.cluster,
        config.partitions,
        node.data.display(),
    );
    println!("clients connect to {0}; try: volery cli --server {0} ls /", node.client);
}

fn listen(address: SocketAddr) -> Result<TcpListener, ServeError> {
    eyrie::host::listen(address).map_err(|source| {
        let hint = match source.kind() {
            io::ErrorKind::AddrInUse => "; another server listens there: stop it, or choose another port, with --port or in the cluster file",
            io::ErrorKind::PermissionDenied => "; choose a port above 1023, with --port or in the cluster file",
            _ => "",
        };
        ServeError::Listen { address, source, hint }
    })
}

/// Bytes that nobody can guess.
fn drawn<const BYTES: usize>() -> io::Result<[u8; BYTES]> {
    let mut bytes = [0; BYTES];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Reads the node's secret, or draws it the first time.
fn secret(path: &Path) -> Result<[u8; 20], ServeError> {
    let file = |source| ServeError::File { path: path.into(), source };
    if let Ok(bytes) = std::fs::read(path) {
        let wrong = || file(io::Error::other("a session secret has 20 bytes"));
        return bytes.as_slice().try_into().map_err(|_| wrong());
    }
    let secret: [u8; 20] = drawn().map_err(file)?;
    let fresh = path.with_extension("new");
    let mut options = OpenOptions::new();
    let written = options.write(true).create(true).truncate(true).mode(0o600).open(&fresh);
    written
        .and_then(|mut written| written.write_all(&secret).and_then(|()| written.sync_all()))
        .map_err(file)?;
    std::fs::rename(&fresh, path).map_err(file)?;
    // Sessions that are told a password outlive a power failure; so does what it was made of.
    let directory = path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all());
    directory.map_err(file)?;
    Ok(secret)
}
