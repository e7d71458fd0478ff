//! A server under test: a process of its own, on a port and a data directory that outlive it.

#![allow(clippy::disallowed_methods, reason = "starts processes and waits for them")]

use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take to accept connections.
const START_MAX: Duration = Duration::from_secs(60);
/// How often it is tried.
const TRY_INTERVAL: Duration = Duration::from_millis(10);
/// Where ports are looked for: below those that the system gives to clients, or a client that tries to connect while the
/// server is down could be given the server's own port, and even connect to itself.
const PORTS: std::ops::Range<u16> = 20_000..30_000;
/// Debian's jars that a ZooKeeper needs.
const ZOOKEEPER_JARS: [&str; 5] =
    ["zookeeper", "netty-codec", "netty-resolver", "netty-transport-native-unix-common", "slf4j-simple"];

/// Which server.
#[derive(Clone, Debug)]
pub enum Kind {
    /// One Volery node.
    Volery {
        /// The program.
        binary: PathBuf,
        /// How many partitions it has.
        partitions: u16,
    },
    /// Debian's ZooKeeper, standalone: to see that the checks accept what is right.
    ZooKeeper,
}

/// A server under test. Dropping it kills the process.
#[derive(Debug)]
pub struct Server {
    kind: Kind,
    port: u16,
    directory: PathBuf,
    child: Option<Child>,
}

impl Server {
    /// A server that keeps everything in `directory`, started and accepting connections.
    pub fn start(kind: Kind, directory: &Path) -> io::Result<Server> {
        let mut server = Server { kind, port: free_port()?, directory: directory.to_owned(), child: None };
        fs::create_dir_all(server.data())?;
        server.spawn()?;
        Ok(server)
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Kills the process with SIGKILL. Nothing it has not written is written after this.
    pub fn kill(&mut self) -> io::Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        child.kill()?;
        child.wait().map(drop)
    }

    /// Starts the process again, on the same port and data, and waits until it accepts connections.
    ///
    /// # Panics
    /// If it was not killed before.
    pub fn restart(&mut self) -> io::Result<()> {
        assert!(self.child.is_none(), "the server still runs");
        self.spawn()
    }

    /// Why the process has ended by itself, if it has.
    pub fn ended(&mut self) -> io::Result<Option<String>> {
        let Some(child) = &mut self.child else { return Ok(None) };
        Ok(child.try_wait()?.map(|status| status.to_string()))
    }

    /// What the server prints, of all its runs.
    pub fn log(&self) -> PathBuf {
        self.directory.join("server.log")
    }

    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    fn spawn(&mut self) -> io::Result<()> {
        let log = OpenOptions::new().create(true).append(true).open(self.log())?;
        let mut command = self.command()?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        self.child = Some(command.spawn()?);
        self.wait_until_up()
    }

    fn wait_until_up(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + START_MAX;
        while TcpStream::connect(self.address()).is_err() {
            if let Some(status) = self.ended()? {
                return Err(self.fault(&format!("it ended: {status}")));
            }
            if Instant::now() > deadline {
                return Err(self.fault(&format!("it accepts no connections after {START_MAX:?}")));
            }
            std::thread::sleep(TRY_INTERVAL);
        }
        Ok(())
    }

    fn fault(&self, reason: &str) -> io::Error {
        io::Error::other(format!("the server does not start: {reason}; see {}", self.log().display()))
    }

    fn command(&self) -> io::Result<Command> {
        match &self.kind {
            Kind::Volery { binary, partitions } => {
                let mut command = Command::new(binary);
                command.args(["serve", "--port", &self.port.to_string(), "--data-dir"]).arg(self.data());
                command.args(["--partitions", &partitions.to_string()]);
                Ok(command)
            }
            Kind::ZooKeeper => self.zookeeper(),
        }
    }

    fn zookeeper(&self) -> io::Result<Command> {
        let path = self.directory.join("zoo.cfg");
        let data = self.data();
        let config = format!(
            "dataDir={}\nclientPort={}\nclientPortAddress=127.0.0.1\ntickTime=1000\nmaxClientCnxns=0\n\
             admin.enableServer=false\n",
            data.display(),
            self.port
        );
        io::Write::write_all(&mut File::create(&path)?, config.as_bytes())?;
        let jars: Vec<String> =
            ZOOKEEPER_JARS.iter().map(|jar| format!("/usr/share/java/{jar}.jar")).collect();
        let mut command = Command::new("java");
        command.args([
            "-Xmx512m",
            "-cp",
            &jars.join(":"),
            "org.apache.zookeeper.server.quorum.QuorumPeerMain",
        ]);
        command.arg(path);
        Ok(command)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Whether it dies is the system's business; there is nobody to tell.
        let _ = self.kill();
    }
}

/// A loopback port that nothing listens on, searched from a place of this process's own.
fn free_port() -> io::Result<u16> {
    let ports = PORTS.len() as u32;
    let start = std::process::id().wrapping_mul(97) % ports;
    for offset in 0..ports {
        let port = PORTS.start + ((start + offset) % ports) as u16;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(io::Error::new(io::ErrorKind::AddrInUse, "no port is free"))
}
