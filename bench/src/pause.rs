//! Letting time pass.

use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// Lets so much time pass, between two questions to something outside that tells of no change by itself.
pub fn pause(length: Duration) {
    let (_sender, receiver): (_, Receiver<()>) = channel();
    assert_eq!(receiver.recv_timeout(length), Err(RecvTimeoutError::Timeout), "nobody sends");
}
