//! The servers that are compared, as processes of this one.
//!
//! An edge file: it starts processes, opens sockets and reads the clock.
#![allow(clippy::disallowed_methods, reason = "a server is waited for with a deadline")]

use crate::failure::Failure;
use crate::interrupt::Interrupt;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How long a server may take until it serves.
const START_MAX: Duration = Duration::from_secs(60);
/// How often it is asked whether it does.
const GLANCE: Duration = Duration::from_millis(50);
/// How long it may take to answer that.
const ANSWER_MAX: Duration = Duration::from_secs(2);
/// How much of a server's log is shown when it fails, in bytes.
const LOG_BYTES: usize = 1_000;

/// Where Debian keeps its Java libraries.
const JARS: &str = "/usr/share/java";
/// What ZooKeeper needs: zookeeper.jar names its other dependencies in its manifest and forgets these.
const ZOOKEEPER_JARS: [&str; 6] = [
    "zookeeper.jar",
    "zookeeper-jute.jar",
    "netty-codec.jar",
    "netty-resolver.jar",
    "netty-transport-native-unix-common.jar",
    "slf4j-simple.jar",
];
const ZOOKEEPER_HEAP: &str = "-Xmx1g";

/// A server process that is killed when this is dropped, whatever the reason. It is in a process group of its own, so
/// that a Ctrl-C at the terminal reaches this process alone and the order of the end is ours.
pub struct Server {
    name: String,
    child: Child,
    address: SocketAddr,
    log: PathBuf,
}

impl Server {
    /// Starts `volery serve` with its data in `directory`, and waits until it serves.
    pub fn volery(
        binary: &Path,
        partitions: usize,
        directory: &Path,
        interrupt: &Interrupt,
    ) -> Result<Server, Failure> {
        let mut server = |port: u16| {
            let mut command = Command::new(binary);
            command.args(["serve", "--port", &port.to_string(), "--partitions", &partitions.to_string()]);
            command.arg("--data-dir").arg(directory.join("data"));
            Ok(command)
        };
        Server::start("Volery", directory, &mut server, interrupt)
    }

    /// Starts Debian's ZooKeeper as a single server with its data in `directory`, and waits until it serves.
    pub fn zookeeper(directory: &Path, interrupt: &Interrupt) -> Result<Server, Failure> {
        let class_path = class_path()?;
        let mut server = |port: u16| {
            let config = directory.join("zoo.cfg");
            let data = directory.join("data");
            fs::write(&config, zoo_cfg(&data, port))
                .map_err(Failure::system(config.display().to_string()))?;
            let mut command = Command::new("java");
            command.args([
                ZOOKEEPER_HEAP,
                "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
                "-cp",
                &class_path,
            ]);
            command.arg("org.apache.zookeeper.server.quorum.QuorumPeerMain").arg(config);
            Ok(command)
        };
        Server::start("ZooKeeper", directory, &mut server, interrupt)
    }

    fn start(
        name: &str,
        directory: &Path,
        command: &mut dyn FnMut(u16) -> Result<Command, Failure>,
        interrupt: &Interrupt,
    ) -> Result<Server, Failure> {
        fs::create_dir_all(directory).map_err(Failure::system(directory.display().to_string()))?;
        let log = directory.join("log");
        let address = free_address().map_err(Failure::system("finding a free port"))?;
        let output = || File::options().create(true).append(true).open(&log);
        let mut command = command(address.port())?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output().map_err(Failure::system(log.display().to_string()))?)
            .stderr(output().map_err(Failure::system(log.display().to_string()))?)
            .process_group(0)
            .spawn()
            .map_err(Failure::system(format!("starting {}", command.get_program().display())))?;
        let mut server = Server { name: name.to_owned(), child, address, log };
        server.wait_until_it_serves(interrupt)?;
        Ok(server)
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it serves clients.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The id of its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The version that it tells in answer to `srvr`, or nothing.
    pub fn version(&self) -> Option<String> {
        let answer = four_letter_word(self.address, "srvr").ok()?;
        let version = answer.lines().next()?.split_once("version: ")?.1;
        Some(version.split([',', '-']).next()?.trim().to_owned())
    }

    /// The failure that says that it ended, if it did.
    pub fn check(&mut self) -> Result<(), Failure> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(self.failure(&format!("it ended: {status}"))),
            Err(error) => Err(self.failure(&error.to_string())),
        }
    }

    fn wait_until_it_serves(&mut self, interrupt: &Interrupt) -> Result<(), Failure> {
        let deadline = Instant::now() + START_MAX;
        while !self.serves() {
            interrupt.check()?;
            self.check()?;
            if Instant::now() > deadline {
                return Err(self.failure(&format!("it did not serve within {} s", START_MAX.as_secs())));
            }
            pause();
        }
        self.check()
    }

    /// ZooKeeper says imok as soon as it listens, and closes the connections of clients until it has read its data.
    fn serves(&self) -> bool {
        let says = |word| four_letter_word(self.address, word).unwrap_or_default();
        says("ruok") == "imok" && !says("srvr").contains("not currently serving")
    }

    fn failure(&self, what: &str) -> Failure {
        let log = fs::read(&self.log).unwrap_or_default();
        let tail = String::from_utf8_lossy(&log[log.len().saturating_sub(LOG_BYTES)..]).trim().to_owned();
        let reason =
            if tail.is_empty() { what.to_owned() } else { format!("{what}; its log ends in\n{tail}") };
        Failure::Server { server: self.name.clone(), reason }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill, and waiting tells at once.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lets a moment pass between two questions.
fn pause() {
    let (_sender, receiver): (_, Receiver<()>) = channel();
    assert_eq!(receiver.recv_timeout(GLANCE), Err(RecvTimeoutError::Timeout), "nobody sends");
}

/// A port that was free a moment ago. That another process takes it meanwhile is seen: the server ends, or never serves.
fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

fn four_letter_word(address: SocketAddr, word: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_MAX)?;
    stream.set_read_timeout(Some(ANSWER_MAX))?;
    stream.write_all(word.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn class_path() -> Result<String, Failure> {
    let jars: Vec<PathBuf> = ZOOKEEPER_JARS.iter().map(|jar| Path::new(JARS).join(jar)).collect();
    match jars.iter().find(|jar| !jar.exists()) {
        None => Ok(jars.iter().map(|jar| jar.display().to_string()).collect::<Vec<_>>().join(":")),
        Some(missing) => Err(Failure::Usage(format!(
            "{} is missing: ZooKeeper comes with the Debian package zookeeper (apt-get install zookeeper)",
            missing.display()
        ))),
    }
}

/// Defaults, but for what lets 1,000 connections come from one address and the harness ask. Its fsync stays on.
fn zoo_cfg(data: &Path, port: u16) -> String {
    let settings = [
        "tickTime=2000".to_owned(),
        format!("dataDir={}", data.display()),
        "clientPortAddress=127.0.0.1".to_owned(),
        format!("clientPort={port}"),
        "maxClientCnxns=0".to_owned(),
        "admin.enableServer=false".to_owned(),
        "4lw.commands.whitelist=*".to_owned(),
    ];
    settings.join("\n") + "\n"
}
