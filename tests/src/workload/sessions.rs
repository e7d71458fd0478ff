//! The sessions with ephemerals, and what is known of each.

use crate::checks::Fate;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use volery::wire::{Acl, Create, CreateMode, MultiOp, ReadOp};

/// Ephemerals of each session: so many that hardly ever all lie in one partition.
const EPHEMERALS: usize = 4;
/// The parent of all ephemerals.
const PARENT: &str = "/ephemerals";

/// One session with ephemerals.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its number in the table.
    pub number: usize,
    /// Its id.
    pub session: i64,
    /// Its timeout.
    pub timeout: Duration,
    /// What is known of it.
    pub fate: Fate,
    /// When the fate became this.
    pub since: Instant,
}

/// All sessions that ever had ephemerals.
#[derive(Debug, Default)]
pub struct Sessions {
    rows: Mutex<Vec<Row>>,
}

impl Sessions {
    /// Adds a session whose ephemerals are about to be created, and returns its number.
    pub fn add(&self, session: i64, timeout: Duration, now: Instant) -> usize {
        let mut rows = self.rows();
        let number = rows.len();
        rows.push(Row { number, session, timeout, fate: Fate::Opening, since: now });
        number
    }

    /// A session's fate has changed.
    pub fn change(&self, number: usize, fate: Fate, now: Instant) {
        let row = &mut self.rows()[number];
        (row.fate, row.since) = (fate, now);
    }

    /// What is known of a session now.
    pub fn row(&self, number: usize) -> Row {
        self.rows()[number]
    }

    /// How many sessions there are.
    pub fn count(&self) -> usize {
        self.rows().len()
    }

    /// How many were left to their timeout.
    pub fn leaving(&self) -> usize {
        self.rows().iter().filter(|row| row.fate == Fate::Leaving).count()
    }

    fn rows(&self) -> MutexGuard<'_, Vec<Row>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Row {
    /// Creates all its ephemerals or none.
    pub fn creates(&self) -> Vec<MultiOp> {
        let create = |path: String| {
            let (mode, acl) = (Ok(CreateMode::Ephemeral), Acl::open_unsafe());
            MultiOp::Create(Create { path: path.into(), data: None, acl, mode, with_stat: false })
        };
        self.paths().map(create).collect()
    }

    /// Reads all its ephemerals.
    pub fn reads(&self) -> Vec<ReadOp> {
        self.paths().map(|path| ReadOp::GetData { path: path.into() }).collect()
    }

    fn paths(&self) -> impl Iterator<Item = String> {
        let number = self.number;
        (0..EPHEMERALS).map(move |index| format!("{PARENT}/e{number}-{index}"))
    }
}
