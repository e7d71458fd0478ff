//! Calls and connections: the entries of a history put together.
//!
//! A call is a request with its end; a connection is what lies between two entries that open the session. A connection is
//! *over* from the moment on at which none of its calls can take effect any more: its session was opened again, or is told
//! to have expired, or its close was answered. That it was lost says nothing of this kind.

use super::sights::{Sight, sights};
use crate::sim::history::{CallId, Entry, Happening, History};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::fmt;
use volery::wire::{ErrorCode, Reply, Request, WatcherEvent};

/// The place of an entry in the history: what is less was earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub usize);

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The place of a call in [`Calls::calls`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallIndex(pub usize);

/// The place of a connection in [`Calls::connections`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionIndex(pub usize);

/// What became of a call.
#[derive(Clone, Copy, Debug)]
pub enum End<'a> {
    /// The history ends before.
    Pending,
    /// Nobody was told.
    Unknown,
    /// The reply came.
    Returned {
        /// When.
        at: Moment,
        /// The header's zxid.
        zxid: i64,
        /// What it says.
        result: &'a Result<Reply, ErrorCode>,
    },
}

/// A request and its end.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// Its number.
    pub id: CallId,
    /// Which client.
    pub client: usize,
    /// By which session.
    pub session: i64,
    /// On which connection.
    pub connection: ConnectionIndex,
    /// When it was sent.
    pub invoked: Moment,
    /// What.
    pub request: &'a Request,
    /// What became of it.
    pub end: End<'a>,
    /// What its reply shows.
    pub sights: Vec<Sight<'a>>,
}

impl Call<'_> {
    /// When the reply came, if it did.
    pub fn returned(&self) -> Option<Moment> {
        if let End::Returned { at, .. } = self.end { Some(at) } else { None }
    }

    /// Whether it was answered with success. A multi that failed was too.
    pub fn succeeded(&self) -> bool {
        matches!(self.end, End::Returned { result: Ok(_), .. })
    }
}

/// One connection of a session.
#[derive(Clone, Copy, Debug)]
pub struct Connection {
    /// Which session.
    pub session: i64,
    /// From when on nothing sent on it can take effect.
    pub over: Option<Moment>,
}

/// How a session came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Its client was told that it had expired.
    Expired,
    /// Its close was answered.
    Closed,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Ending::Expired => "was told to have expired",
            Ending::Closed => "was closed",
        })
    }
}

/// What an entry is about.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// This connection begins; whether the client had the session before.
    Opened(ConnectionIndex, bool),
    /// The client was told that this session is over.
    Ended(i64, Ending),
    /// This call was sent.
    Invoked(CallIndex),
    /// This call was answered. If it closed its session, that is over from here on.
    Returned(CallIndex),
    /// A reply to no call that waits for one.
    Stray(CallId),
    /// This connection was told of a change.
    Notified(ConnectionIndex, i64, &'a WatcherEvent),
    /// Nothing that anything is concluded from.
    Nothing,
}

/// A history as calls and connections.
#[derive(Debug)]
pub struct Calls<'a> {
    /// The calls in the order sent.
    pub calls: Vec<Call<'a>>,
    /// The connections in the order opened.
    pub connections: Vec<Connection>,
    /// When and how sessions ended for certain.
    pub ended: BTreeMap<i64, (Moment, Ending)>,
    steps: Vec<Step<'a>>,
    history: &'a History,
    numbers: FxHashMap<CallId, CallIndex>,
    current: FxHashMap<i64, ConnectionIndex>,
}

impl<'a> Calls<'a> {
    /// Puts a history together.
    pub fn of(history: &'a History) -> Calls<'a> {
        let mut calls = Calls {
            calls: Vec::with_capacity(history.entries.len() / 2),
            connections: Vec::new(),
            ended: BTreeMap::new(),
            steps: Vec::with_capacity(history.entries.len()),
            history,
            numbers: FxHashMap::default(),
            current: FxHashMap::default(),
        };
        for (index, entry) in history.entries.iter().enumerate() {
            let step = calls.step(Moment(index), entry);
            calls.steps.push(step);
        }
        calls
    }

    /// The call at a place.
    pub fn call(&self, index: CallIndex) -> &Call<'a> {
        &self.calls[index.0]
    }

    /// The connection at a place.
    pub fn connection(&self, index: ConnectionIndex) -> &Connection {
        &self.connections[index.0]
    }

    /// What happened, moment by moment.
    pub fn steps(&self) -> impl Iterator<Item = (Moment, Step<'a>)> + '_ {
        self.steps.iter().enumerate().map(|(index, step)| (Moment(index), *step))
    }

    /// The client of an entry.
    pub fn client(&self, moment: Moment) -> usize {
        self.history.entries[moment.0].client
    }

    /// The time of an entry, in milliseconds of the run.
    pub fn time_ms(&self, moment: Moment) -> u64 {
        self.history.entries[moment.0].time_ms
    }

    fn step(&mut self, moment: Moment, entry: &'a Entry) -> Step<'a> {
        match &entry.happening {
            Happening::Opened { session, again, .. } => self.open(moment, *session, *again),
            Happening::Expired { session } => self.end(moment, *session, Ending::Expired),
            Happening::Invoked { call, session, request } => {
                self.invoke(moment, entry.client, *call, *session, request)
            }
            Happening::Returned { call, zxid, result } => self.finish(moment, *call, *zxid, result),
            Happening::Unknown { call } => self.lose(*call),
            Happening::Notified { session, zxid, event } => {
                Step::Notified(self.connection_of(*session), *zxid, event)
            }
            Happening::Disconnected { .. } => Step::Nothing,
        }
    }

    fn open(&mut self, moment: Moment, session: i64, again: bool) -> Step<'a> {
        if again && let Some(before) = self.current.get(&session) {
            self.connections[before.0].over.get_or_insert(moment);
        }
        Step::Opened(self.connect(session), again)
    }

    fn connect(&mut self, session: i64) -> ConnectionIndex {
        let index = ConnectionIndex(self.connections.len());
        self.connections.push(Connection { session, over: None });
        self.current.insert(session, index);
        index
    }

    /// The connection that a session has now; one whose beginning is not in the history counts from its first entry.
    fn connection_of(&mut self, session: i64) -> ConnectionIndex {
        match self.current.get(&session) {
            Some(index) => *index,
            None => self.connect(session),
        }
    }

    fn end(&mut self, moment: Moment, session: i64, ending: Ending) -> Step<'a> {
        self.ended.entry(session).or_insert((moment, ending));
        for connection in self.connections.iter_mut().filter(|connection| connection.session == session) {
            connection.over.get_or_insert(moment);
        }
        Step::Ended(session, ending)
    }

    fn invoke(
        &mut self,
        invoked: Moment,
        client: usize,
        id: CallId,
        session: i64,
        request: &'a Request,
    ) -> Step<'a> {
        let connection = self.connection_of(session);
        let index = CallIndex(self.calls.len());
        self.numbers.insert(id, index);
        let (end, sights) = (End::Pending, Vec::new());
        self.calls.push(Call { id, client, session, connection, invoked, request, end, sights });
        Step::Invoked(index)
    }

    fn finish(
        &mut self,
        at: Moment,
        id: CallId,
        zxid: i64,
        result: &'a Result<Reply, ErrorCode>,
    ) -> Step<'a> {
        let Some(index) = self.waiting(id) else { return Step::Stray(id) };
        let call = &mut self.calls[index.0];
        call.end = End::Returned { at, zxid, result };
        call.sights = sights(call.request, result);
        let session = call.session;
        if matches!(call.request, Request::CloseSession) && result.is_ok() {
            self.end(at, session, Ending::Closed);
        }
        Step::Returned(index)
    }

    fn lose(&mut self, id: CallId) -> Step<'a> {
        if let Some(index) = self.waiting(id) {
            self.calls[index.0].end = End::Unknown;
        }
        Step::Nothing
    }

    fn waiting(&self, id: CallId) -> Option<CallIndex> {
        self.numbers.get(&id).copied().filter(|index| matches!(self.calls[index.0].end, End::Pending))
    }
}
