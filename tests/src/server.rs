//! A server under test: a process of its own, on ports and a data directory that outlive it.

#![allow(clippy::disallowed_methods, reason = "starts processes and waits for them")]

use crate::process::Process;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take to accept connections.
const START_MAX: Duration = Duration::from_secs(60);
/// How often it is tried.
const TRY_INTERVAL: Duration = Duration::from_millis(10);

/// How a server is started, each time again.
#[derive(Clone, Debug)]
pub struct Launch {
    /// Where its clients connect.
    pub address: SocketAddr,
    /// Where what it prints goes, of all its runs.
    pub log: PathBuf,
    /// What is run.
    pub program: PathBuf,
    /// With what.
    pub arguments: Vec<OsString>,
}

/// A server under test. Dropping it kills the process.
#[derive(Debug)]
pub struct Server {
    launch: Launch,
    process: Option<Process>,
}

impl Server {
    /// A server that does not run yet.
    pub fn new(launch: Launch) -> Server {
        Server { launch, process: None }
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.launch.address
    }

    /// Starts the process, on the same ports and data each time.
    ///
    /// # Panics
    /// If it still runs.
    pub fn start(&mut self) -> io::Result<()> {
        assert!(self.process.is_none(), "the server still runs");
        let log = OpenOptions::new().create(true).append(true).open(&self.launch.log)?;
        let mut command = Command::new(&self.launch.program);
        command.args(&self.launch.arguments);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        self.process = Some(Process::start(command)?);
        Ok(())
    }

    /// Kills the process with SIGKILL. Nothing it has not written is written after this.
    pub fn kill(&mut self) -> io::Result<()> {
        self.process.take().map_or(Ok(()), Process::kill)
    }

    /// Stops the process: its connections stand and nobody answers. One that does not run stays so.
    pub fn pause(&self) -> io::Result<()> {
        self.process.as_ref().map_or(Ok(()), Process::pause)
    }

    /// Lets a stopped process go on.
    pub fn resume(&self) -> io::Result<()> {
        self.process.as_ref().map_or(Ok(()), Process::resume)
    }

    /// The error is that the process has ended by itself.
    pub fn check(&mut self) -> io::Result<()> {
        let Some(process) = &mut self.process else { return Ok(()) };
        process.ended()?.map_or(Ok(()), |status| Err(self.fault(&format!("it ended: {status}"))))
    }

    /// Waits until it accepts connections.
    pub fn wait_until_up(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + START_MAX;
        while TcpStream::connect(self.launch.address).is_err() {
            self.check()?;
            if Instant::now() > deadline {
                return Err(self.fault(&format!("it accepts no connections after {START_MAX:?}")));
            }
            std::thread::sleep(TRY_INTERVAL);
        }
        Ok(())
    }

    fn fault(&self, reason: &str) -> io::Error {
        io::Error::other(format!("{}: {reason}; see {}", self.launch.address, self.launch.log.display()))
    }
}
