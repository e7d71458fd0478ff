//! A server under test: a process of its own, on ports and a data directory that outlive it.

#![allow(clippy::disallowed_methods, reason = "starts processes and waits for them")]

use crate::process::Process;
use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
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
    /// What is set in its environment.
    pub environment: Vec<(&'static str, &'static str)>,
    /// What it prints before it accepts connections, or it is not the program that is wanted.
    pub avowals: Vec<Avowal>,
    /// Where it keeps its data.
    pub data: PathBuf,
}

/// What a program says of itself, so that one which cannot do what a trial needs is told from one that can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avowal {
    /// How a line that it prints begins.
    pub line: &'static str,
    /// What to do if there is no such line.
    pub hint: &'static str,
}

/// The file in a node's data directory that fills its disk while it is there.
const DISK_FULL_FILE: &str = "disk-full";

/// A server under test. Dropping it kills the process.
#[derive(Debug)]
pub struct Server {
    launch: Launch,
    process: Option<Process>,
    /// It is right for the process to end by itself.
    is_doomed: bool,
    /// How many bytes it had printed when its data were put away.
    printed_before: usize,
}

impl Server {
    /// A server that does not run yet.
    pub fn new(launch: Launch) -> Server {
        Server { launch, process: None, is_doomed: false, printed_before: 0 }
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
        command.args(&self.launch.arguments).envs(self.launch.environment.iter().copied());
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        self.process = Some(Process::start(command)?);
        self.is_doomed = false;
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

    /// Fills its disk, or makes room on it again. One whose disk is full may end by itself until it is started again.
    pub fn set_disk_full(&mut self, is_full: bool) -> io::Result<()> {
        let marker = self.launch.data.join(DISK_FULL_FILE);
        self.is_doomed |= is_full;
        if is_full { fs::write(marker, "") } else { fs::remove_file(marker) }
    }

    /// Copies its data, while it does not run.
    pub fn copy_data(&self) -> io::Result<()> {
        copy(&self.launch.data, &self.beside("older"))
    }

    /// Puts its data away while it does not run, and leaves a copy of them.
    pub fn put_newest_away(&mut self) -> io::Result<()> {
        self.printed_before = self.printed()?.len();
        let newest = self.beside("newest");
        fs::rename(&self.launch.data, &newest)?;
        copy(&newest, &self.launch.data)
    }

    /// Puts the copy that was made before in the place of its data.
    pub fn restore_copy(&mut self) -> io::Result<()> {
        fs::remove_dir_all(&self.launch.data)?;
        fs::rename(self.beside("older"), &self.launch.data)
    }

    /// Removes a piece of its data and starts it; it may end by itself.
    pub fn start_without(&mut self, piece: &str) -> io::Result<()> {
        let piece = self.launch.data.join(piece);
        if piece.is_dir() {
            fs::remove_dir_all(piece)?
        } else {
            fs::remove_file(piece)?
        }
        self.start()?;
        self.is_doomed = true;
        Ok(())
    }

    /// Puts the data back that were put away.
    pub fn bring_newest_back(&mut self) -> io::Result<()> {
        fs::remove_dir_all(&self.launch.data)?;
        fs::rename(self.beside("newest"), &self.launch.data)
    }

    /// Whether it has printed such words since its data were put away.
    pub fn has_said(&self, words: &str) -> io::Result<bool> {
        Ok(self.printed()?.get(self.printed_before..).is_some_and(|printed| printed.contains(words)))
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.launch.data.with_extension(name)
    }

    /// Whether the process runs, or has ended by itself without anybody having looked.
    pub fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// The error is that the process has ended by itself, and should not have.
    pub fn check(&mut self) -> io::Result<()> {
        let Some(process) = &mut self.process else { return Ok(()) };
        match process.ended()? {
            Some(status) if !self.is_doomed => Err(self.fault(&format!("it ended: {status}"))),
            Some(_) => {
                self.process = None;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// The last line of what it printed.
    pub fn last_words(&self) -> io::Result<String> {
        Ok(self.printed()?.lines().next_back().unwrap_or_default().to_owned())
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
        self.check_avowals()
    }

    fn check_avowals(&self) -> io::Result<()> {
        let printed = self.printed()?;
        let is_missing = |avowal: &&Avowal| !printed.lines().any(|line| line.starts_with(avowal.line));
        match self.launch.avowals.iter().find(is_missing) {
            Some(Avowal { line, hint }) => Err(self.fault(&format!("it does not say {line:?}: {hint}"))),
            None => Ok(()),
        }
    }

    fn printed(&self) -> io::Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(&self.launch.log)?).into_owned())
    }

    fn fault(&self, reason: &str) -> io::Error {
        io::Error::other(format!("{}: {reason}; see {}", self.launch.address, self.launch.log.display()))
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let (entry, there) = entry.map(|entry| (entry.path(), to.join(entry.file_name())))?;
        if entry.is_dir() { copy(&entry, &there)? } else { fs::copy(&entry, &there).map(drop)? }
    }
    Ok(())
}
