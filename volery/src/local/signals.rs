//! The signals that a parent of nodes waits for.

use signal_hook::consts::{SIGCHLD, SIGINT, SIGTERM};
use signal_hook::{flag, low_level::pipe};
use std::io::{self, Read as _};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// SIGINT and SIGTERM, which ask to stop, and SIGCHLD, which says that a child has ended. Each of them ends a wait,
/// also one that begins only after the signal.
pub(super) struct Signals {
    stop_asked: Arc<AtomicBool>,
    /// Gets a byte with every signal.
    woken: UnixStream,
}

impl Signals {
    pub(super) fn listen() -> io::Result<Signals> {
        let stop_asked = Arc::new(AtomicBool::new(false));
        let (woken, waker) = UnixStream::pair()?;
        // The flags come first: whoever is woken sees them.
        for signal in [SIGINT, SIGTERM] {
            flag::register(signal, stop_asked.clone())?;
        }
        for signal in [SIGINT, SIGTERM, SIGCHLD] {
            pipe::register(signal, waker.try_clone()?)?;
        }
        Ok(Signals { stop_asked, woken })
    }

    /// Whether SIGINT or SIGTERM has come.
    pub(super) fn stop_asked(&self) -> bool {
        self.stop_asked.load(Ordering::SeqCst)
    }

    /// Waits for a signal: at most `patience`, if there is one, or a little less.
    pub(super) fn wait(&self, patience: Option<Duration>) {
        // No patience at all is no timeout that a socket can have.
        let patience = patience.map(|patience| patience.max(Duration::from_millis(1)));
        let set = self.woken.set_read_timeout(patience);
        assert!(set.is_ok(), "a socket of ours takes a timeout: {set:?}");
        let mut bytes = [0; 64];
        match (&self.woken).read(&mut bytes) {
            Ok(count) => assert!(count > 0, "the signals' end of the pair stays open"),
            Err(error) => {
                let expected =
                    [io::ErrorKind::WouldBlock, io::ErrorKind::TimedOut, io::ErrorKind::Interrupted];
                assert!(expected.contains(&error.kind()), "a socket of ours can be read: {error}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    // One test, since signals are the whole process's.
    #[test]
    fn signals_end_a_wait_also_if_they_came_before_and_no_signal_ends_it_too() {
        let signals = Signals::listen().unwrap();
        signals.wait(Some(Duration::ZERO));
        signals.wait(Some(Duration::from_millis(2)));
        let mut child = Command::new("true").spawn().unwrap();
        assert!(child.wait().unwrap().success());
        signals.wait(None);
        assert!(!signals.stop_asked());
        signal_hook::low_level::raise(SIGTERM).unwrap();
        signals.wait(None);
        assert!(signals.stop_asked());
    }
}
