//! What ends a process when this program is gone.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

/// Reads the process's id, then waits for a word that all is well. The end of the input instead is the end of the
/// program that held the other end, however it came; SIGKILL ends a process that is stopped, too.
const SCRIPT: &str = r#"read -r pid && { read -r word || kill -KILL "$pid"; }"#;

/// A shell that outlives this program for a moment, and kills the process it was told of. A Ctrl-C and even a SIGKILL
/// end this program without a word; no destructor runs then.
#[derive(Debug)]
pub(crate) struct Guard {
    shell: Child,
}

impl Guard {
    /// A guard that knows of no process yet. It is in a process group of its own, where no Ctrl-C reaches it.
    pub(crate) fn start() -> io::Result<Guard> {
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Guard { shell: command.process_group(0).spawn()? })
    }

    /// Watches over the process with this id from now on.
    pub(crate) fn watch(&mut self, pid: u32) -> io::Result<()> {
        self.say(&pid.to_string())
    }

    fn say(&mut self, line: &str) -> io::Result<()> {
        self.shell.stdin.as_mut().map_or(Ok(()), |input| writeln!(input, "{line}"))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // It may have ended; whom it watched over is dead by now.
        let _ = self.say("well");
        let _ = self.shell.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    fn victim() -> Child {
        Command::new("cat").stdin(Stdio::piped()).spawn().unwrap()
    }

    #[test]
    fn the_end_of_the_input_kills_a_process_even_if_it_is_stopped() {
        let (mut guard, mut victim) = (Guard::start().unwrap(), victim());
        guard.watch(victim.id()).unwrap();
        let stop = Command::new("sh").args(["-c", "kill -STOP $0", &victim.id().to_string()]).status();
        assert!(stop.unwrap().success());
        drop(guard.shell.stdin.take());
        assert_eq!(victim.wait().unwrap().signal(), Some(9));
    }

    #[test]
    fn a_guard_that_is_dismissed_kills_nobody() {
        let (mut guard, mut victim) = (Guard::start().unwrap(), victim());
        guard.watch(victim.id()).unwrap();
        drop(guard);
        drop(victim.stdin.take());
        assert_eq!(victim.wait().unwrap().code(), Some(0));
    }
}
