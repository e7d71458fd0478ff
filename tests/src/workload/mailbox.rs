//! Where a witness is told of writes.

use super::world::Target;
use crate::checks::Written;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// A write that was just acknowledged, and what to read to find it.
#[derive(Clone, Debug)]
pub struct Notice {
    /// What was written.
    pub target: Target,
    /// How.
    pub written: Written,
}

/// Holds the newest notice alone: a write is to be looked for right after it was acknowledged, and who comes late to one
/// rather looks for the next.
#[derive(Debug, Default)]
pub struct Mailbox {
    newest: Mutex<Option<Notice>>,
    arrived: Condvar,
}

impl Mailbox {
    /// Puts a notice in the place of what was not taken.
    pub fn post(&self, notice: Notice) {
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner) = Some(notice);
        self.arrived.notify_one();
    }

    /// Takes the newest notice; waits so long for one.
    pub fn take(&self, patience: Duration) -> Option<Notice> {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.arrived.wait_timeout_while(newest, patience, |newest| newest.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn notice(version: i32) -> Notice {
        let written = Written { path: "/a".to_owned(), version, data: Bytes::new(), through: 0 };
        Notice { target: Target::Counter(0), written }
    }

    #[test]
    fn the_newest_is_taken_once() {
        let mailbox = Mailbox::default();
        assert!(mailbox.take(Duration::ZERO).is_none());
        mailbox.post(notice(1));
        mailbox.post(notice(2));
        assert_eq!(mailbox.take(Duration::ZERO).unwrap().written.version, 2);
        assert!(mailbox.take(Duration::ZERO).is_none());
    }
}
