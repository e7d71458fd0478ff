//! A server that takes part in a comparison, as a process of this one.
//!
//! An edge file: it starts processes and reads the clock.
#![allow(clippy::disallowed_methods, reason = "a server is waited for with a deadline")]

use crate::failure::Failure;
use crate::four_letter;
use crate::interrupt::Interrupt;
use crate::pause::pause;
use crate::preparation::Preparation;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take until it serves.
const START_MAX: Duration = Duration::from_secs(60);
/// How often it is asked whether it does.
const GLANCE: Duration = Duration::from_millis(50);
/// How much of a server's log is shown when it fails, in bytes.
const LOG_BYTES: usize = 1_000;

/// A server process that is killed when this is dropped, whatever the reason. It is in a process group of its own, so
/// that a Ctrl-C at the terminal reaches this process alone and the order of the end is ours.
pub struct Server {
    name: String,
    child: Child,
    address: SocketAddr,
    log: PathBuf,
    killed: bool,
}

impl Server {
    /// Starts a server that is told by `command` to serve clients at `address`. What it says goes to the file `log`.
    pub fn start(
        name: String,
        mut command: Command,
        address: SocketAddr,
        log: PathBuf,
    ) -> Result<Server, Failure> {
        let output = || {
            let file = File::options().create(true).append(true).open(&log);
            file.map_err(Failure::system(log.display().to_string()))
        };
        let child = command
            .stdin(Stdio::null())
            .stdout(output()?)
            .stderr(output()?)
            .process_group(0)
            .spawn()
            .map_err(Failure::system(format!("starting {}", command.get_program().display())))?;
        Ok(Server { name, child, address, log, killed: false })
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
        let answer = four_letter::ask(self.address, "srvr").ok()?;
        let version = answer.lines().next()?.split_once("version: ")?.1;
        Some(version.split([',', '-']).next()?.trim().to_owned())
    }

    /// Stops it as it is: it does nothing more, and its sockets stay open. It is killed in the end as if it ran.
    pub fn stop(&mut self) -> Result<(), Failure> {
        kill_process(Pid::from_child(&self.child), Signal::STOP)
            .map_err(|error| Failure::system(format!("stopping {}", self.name))(error.into()))
    }

    /// Kills it, and waits until it is no more.
    pub fn kill(&mut self) -> Result<(), Failure> {
        self.killed = true;
        let killed = self.child.kill().and_then(|()| self.child.wait());
        killed.map(|_| ()).map_err(Failure::system(format!("killing {}", self.name)))
    }

    /// The failure that says that it ended, if it did without being killed here.
    pub fn check(&mut self) -> Result<(), Failure> {
        if self.killed {
            return Ok(());
        }
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(self.failure(&format!("it ended: {status}"))),
            Err(error) => Err(self.failure(&error.to_string())),
        }
    }

    /// Waits until clients are served, which a member of a cluster cannot do before its peers.
    pub fn wait_until_it_serves(&mut self, interrupt: &Interrupt) -> Result<(), Failure> {
        let deadline = Instant::now() + START_MAX;
        while !self.serves(interrupt) {
            interrupt.check()?;
            self.check()?;
            if Instant::now() > deadline {
                return Err(self.failure(&format!("it did not serve within {} s", START_MAX.as_secs())));
            }
            pause(GLANCE);
        }
        self.check()
    }

    /// ZooKeeper says imok as soon as it listens, and closes the connections of clients until it has read its data. That
    /// a session can be opened and closed is what counts in the end.
    fn serves(&self, interrupt: &Interrupt) -> bool {
        let says = |word| four_letter::ask(self.address, word).unwrap_or_default();
        says("ruok") == "imok"
            && !says("srvr").contains("not currently serving")
            && Preparation::connect(self.address, interrupt).and_then(Preparation::close).is_ok()
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
