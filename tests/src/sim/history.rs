//! What the clients of a run did and saw, in the order in which it happened.

use volery::wire::{ErrorCode, Reply, Request, WatcherEvent};

/// A request, numbered through the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u64);

/// One thing that a client did or saw.
#[derive(Clone, Debug, PartialEq)]
pub enum Happening {
    /// The client has a session: a new one, or `again` one that it had before, at this node.
    Opened {
        /// The session's id.
        session: i64,
        /// The node whose gateway serves it.
        node: usize,
        /// Whether it had the session before.
        again: bool,
    },
    /// The client was told that its session is over.
    Expired {
        /// The session's id.
        session: i64,
    },
    /// The session's connection is gone. The calls without a return are told as `Unknown` just before.
    Disconnected {
        /// The session's id.
        session: i64,
    },
    /// A request was sent. Those of a session are sent in this order on one connection; SetWatches and CloseSession are
    /// among them, pings are not.
    Invoked {
        /// Which.
        call: CallId,
        /// The session's id.
        session: i64,
        /// What.
        request: Request,
    },
    /// Its reply has come, in the order sent.
    Returned {
        /// Which.
        call: CallId,
        /// The zxid in the reply's header: a low-water mark of events, not the command's own.
        zxid: i64,
        /// What the server says.
        result: Result<Reply, ErrorCode>,
    },
    /// Its reply will not come: it took effect, or will later, or never.
    Unknown {
        /// Which.
        call: CallId,
    },
    /// A watch has fired.
    Notified {
        /// The session's id.
        session: i64,
        /// The zxid of the change.
        zxid: i64,
        /// What has changed.
        event: WatcherEvent,
    },
}

/// A line of the history.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// When, in milliseconds of the run.
    pub time_ms: u64,
    /// Which client, counted from 0.
    pub client: usize,
    /// What.
    pub happening: Happening,
}

/// All that the clients of a run did and saw. The place of an entry is its moment: what stands earlier happened earlier.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The entries, in order.
    pub entries: Vec<Entry>,
}

impl History {
    /// Adds what happens now.
    pub fn note(&mut self, time_ms: u64, client: usize, happening: Happening) {
        self.entries.push(Entry { time_ms, client, happening });
    }
}
