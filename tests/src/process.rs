//! A process that never outlives this program.

use crate::guard::Guard;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

/// A running process, or one that has ended by itself. Dropping it kills it, also while it is paused.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    /// Dropped after the child is dead.
    _guard: Guard,
}

impl Process {
    /// Starts it in a process group of its own, so that a Ctrl-C at the terminal reaches this program alone.
    pub(crate) fn start(mut command: Command) -> io::Result<Process> {
        let mut guard = Guard::start()?;
        let mut child = command.process_group(0).spawn()?;
        if let Err(error) = guard.watch(child.id()) {
            end(&mut child)?;
            return Err(error);
        }
        Ok(Process { child, _guard: guard })
    }

    /// Kills it with SIGKILL, and returns when it is dead.
    pub(crate) fn kill(mut self) -> io::Result<()> {
        end(&mut self.child)
    }

    /// Stops it with SIGSTOP: it does nothing and its connections stand.
    pub(crate) fn pause(&self) -> io::Result<()> {
        self.signal("STOP")
    }

    /// Lets it go on with SIGCONT.
    pub(crate) fn resume(&self) -> io::Result<()> {
        self.signal("CONT")
    }

    /// How it has ended by itself, if it has.
    pub(crate) fn ended(&mut self) -> io::Result<Option<String>> {
        Ok(self.child.try_wait()?.map(|status| status.to_string()))
    }

    fn signal(&self, signal: &str) -> io::Result<()> {
        let pid = self.child.id().to_string();
        let status = Command::new("sh").args(["-c", r#"kill -s "$0" "$1""#, signal, &pid]).status()?;
        if status.success() {
            Ok(())
        } else {
            Err(io::Error::other(format!("SIG{signal} to {pid}: {status}")))
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Whether it dies is the system's business; there is nobody to tell.
        let _ = end(&mut self.child);
    }
}

fn end(child: &mut Child) -> io::Result<()> {
    child.kill()?;
    child.wait().map(drop)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "waits for a process with a deadline")]
mod tests {
    use super::*;
    use std::fs;
    use std::time::{Duration, Instant};

    /// The letter for its state in the process table; nothing is a process that is not there.
    fn state(pid: u32) -> Option<char> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(") ")?.1.chars().next()
    }

    fn becomes(pid: u32, wanted: Option<char>) -> bool {
        let deadline = Instant::now() + Duration::from_secs(10);
        while state(pid) != wanted && Instant::now() < deadline {
            std::thread::yield_now();
        }
        state(pid) == wanted
    }

    #[test]
    fn a_paused_process_goes_on_and_one_that_is_dropped_while_paused_is_gone() {
        let mut command = Command::new("sleep");
        command.arg("1000");
        let mut process = Process::start(command).unwrap();
        let pid = process.child.id();
        process.pause().unwrap();
        assert!(becomes(pid, Some('T')));
        process.resume().unwrap();
        assert!(becomes(pid, Some('S')));
        assert_eq!(process.ended().unwrap(), None);
        process.pause().unwrap();
        drop(process);
        assert_eq!(state(pid), None);
    }

    #[test]
    fn the_end_of_a_process_is_told() {
        let mut command = Command::new("sh");
        command.args(["-c", "exit 3"]);
        let mut process = Process::start(command).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut ended = None;
        while ended.is_none() && Instant::now() < deadline {
            ended = process.ended().unwrap();
        }
        assert_eq!(ended.unwrap(), "exit status: 3");
    }
}
