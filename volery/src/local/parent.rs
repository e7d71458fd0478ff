//! Ending with one's parent.

use std::io;

/// Lets the system kill this process as soon as the thread that started it ends, however that ends. `parent` is the
/// process id of the parent, which may be gone before the system is asked: that is an error.
#[cfg(target_os = "linux")]
pub fn end_with_parent(parent: i32) -> io::Result<()> {
    use rustix::process::{Signal, getppid, set_parent_process_death_signal};
    set_parent_process_death_signal(Some(Signal::KILL))?;
    match getppid().map(|id| id.as_raw_nonzero().get()) {
        Some(id) if id == parent => Ok(()),
        _ => Err(io::Error::other(format!("process {parent}, with which this one is to end, has ended"))),
    }
}

/// Does nothing: this system does not tell a process of its parent's end.
#[cfg(not(target_os = "linux"))]
pub fn end_with_parent(_parent: i32) -> io::Result<()> {
    Ok(())
}
