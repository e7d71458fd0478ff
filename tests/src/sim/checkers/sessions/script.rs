//! Histories made by hand, for the checkers' tests.

use crate::sim::history::{CallId, Happening, History};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use volery::wire::{Acl, Create, CreateMode, Delete, ErrorCode, EventType, KeeperState, MultiOp, OpResult};
use volery::wire::{ReadOp, Reply, Request, SetData, SetWatches, Stat, WatcherEvent};

/// What a call is answered with.
pub type Answer = Result<Reply, ErrorCode>;

/// A history in the making. Client `n` has the session that it opened last.
#[derive(Debug, Default)]
pub struct Script {
    /// What was made.
    pub history: History,
    /// The header zxid of the replies to come.
    pub header: i64,
    sessions: BTreeMap<usize, i64>,
    outstanding: BTreeMap<usize, Vec<CallId>>,
    calls: u64,
}

impl Script {
    /// Clients 0 and on with the sessions 1 and on.
    pub fn with_clients(clients: usize) -> Script {
        let mut script = Script::default();
        for client in 0..clients {
            script.open(client, client as i64 + 1);
        }
        script
    }

    /// A new session.
    pub fn open(&mut self, client: usize, session: i64) {
        self.sessions.insert(client, session);
        self.note(client, Happening::Opened { session, node: 0, again: false });
    }

    /// The connection is lost, and the session opened again.
    pub fn move_on(&mut self, client: usize) {
        self.lose(client);
        let session = self.sessions[&client];
        self.note(client, Happening::Opened { session, node: 1, again: true });
    }

    /// The connection is lost.
    pub fn lose(&mut self, client: usize) {
        for call in self.outstanding.remove(&client).unwrap_or_default() {
            self.note(client, Happening::Unknown { call });
        }
        let session = self.sessions[&client];
        self.note(client, Happening::Disconnected { session });
    }

    /// The client is told that its session is over.
    pub fn expire(&mut self, client: usize) {
        self.lose(client);
        let session = self.sessions[&client];
        self.note(client, Happening::Expired { session });
    }

    /// A request is sent.
    pub fn send(&mut self, client: usize, request: Request) -> CallId {
        self.calls += 1;
        let call = CallId(self.calls);
        self.outstanding.entry(client).or_default().push(call);
        let session = self.sessions[&client];
        self.note(client, Happening::Invoked { call, session, request });
        call
    }

    /// A request is answered.
    pub fn answer(&mut self, client: usize, call: CallId, result: Answer) {
        self.outstanding.entry(client).or_default().retain(|waiting| *waiting != call);
        let zxid = self.header;
        self.note(client, Happening::Returned { call, zxid, result });
    }

    /// A request is sent and answered.
    pub fn done(&mut self, client: usize, request: Request, result: Answer) {
        let call = self.send(client, request);
        self.answer(client, call, result);
    }

    /// A watch fires.
    pub fn told(&mut self, client: usize, kind: EventType, path: &str, zxid: i64) {
        let event = WatcherEvent { kind, state: KeeperState::SyncConnected, path: path.into() };
        let session = self.sessions[&client];
        self.note(client, Happening::Notified { session, zxid, event });
    }

    fn note(&mut self, client: usize, happening: Happening) {
        let time_ms = self.history.entries.len() as u64;
        self.history.note(time_ms, client, happening);
    }
}

/// Data, or none if the text is empty.
pub fn data(text: &str) -> Option<Bytes> {
    (!text.is_empty()).then(|| Bytes::copy_from_slice(text.as_bytes()))
}

/// Creates a znode in a mode, answered with a Stat or not.
pub fn create_as(path: &str, text: &str, mode: CreateMode, with_stat: bool) -> Request {
    let (path, data) = (path.into(), data(text));
    Request::Create(Create { path, data, acl: Acl::open_unsafe(), mode: Ok(mode), with_stat })
}

/// Creates a znode that stays.
pub fn create(path: &str, text: &str) -> Request {
    create_as(path, text, CreateMode::Persistent, false)
}

/// Creates an ephemeral znode.
pub fn ephemeral(path: &str) -> Request {
    create_as(path, "", CreateMode::Ephemeral, false)
}

/// Creates a sequential znode.
pub fn sequential(prefix: &str) -> Request {
    create_as(prefix, "", CreateMode::PersistentSequential, false)
}

/// Deletes a znode.
pub fn delete(path: &str) -> Request {
    Request::Delete(Delete { path: path.into(), version: -1 })
}

/// Replaces data.
pub fn set(path: &str, text: &str) -> Request {
    Request::SetData(SetData { path: path.into(), data: data(text), version: -1 })
}

/// Reads data.
pub fn get(path: &str) -> Request {
    Request::GetData { path: path.into(), watch: false }
}

/// Reads data and arms a watch.
pub fn watch(path: &str) -> Request {
    Request::GetData { path: path.into(), watch: true }
}

/// Reads a Stat and arms a watch.
pub fn watch_existence(path: &str) -> Request {
    Request::Exists { path: path.into(), watch: true }
}

/// Lists children.
pub fn list(path: &str) -> Request {
    Request::GetChildren2 { path: path.into(), watch: false }
}

/// Lists children and arms a watch.
pub fn watch_children(path: &str) -> Request {
    Request::GetChildren2 { path: path.into(), watch: true }
}

/// A barrier.
pub fn sync(path: &str) -> Request {
    Request::Sync { path: path.into() }
}

/// Reads the data of several znodes at one point.
pub fn multi_read(paths: &[&str]) -> Request {
    Request::MultiRead(paths.iter().map(|path| ReadOp::GetData { path: (*path).into() }).collect())
}

/// Several changes at one point.
pub fn multi(requests: Vec<Request>) -> Request {
    let op = |request| match request {
        Request::Create(create) => MultiOp::Create(create),
        Request::Delete(delete) => MultiOp::Delete(delete),
        Request::SetData(set) => MultiOp::SetData(set),
        other => unreachable!("{other:?} is no part of a multi"),
    };
    Request::Multi(requests.into_iter().map(op).collect())
}

/// Tells a server of watches on data, on absence, and on children.
pub fn set_watches(relative_zxid: i64, data: &[&str], exist: &[&str], child: &[&str]) -> Request {
    let paths = |paths: &[&str]| paths.iter().map(|path| Arc::from(*path)).collect();
    Request::SetWatches(SetWatches {
        relative_zxid,
        data: paths(data),
        exist: paths(exist),
        child: paths(child),
        ..SetWatches::default()
    })
}

/// A Stat with these zxids.
pub fn stat(czxid: i64, mzxid: i64, pzxid: i64) -> Stat {
    Stat { czxid, mzxid, pzxid, ..Stat::default() }
}

/// The Stat of an ephemeral.
pub fn owned(session: i64) -> Stat {
    Stat { ephemeral_owner: session, ..stat(1, 1, 1) }
}

/// Data that were written at a zxid.
pub fn at(mzxid: i64, text: &str) -> Answer {
    Ok(Reply::Data { data: data(text), stat: stat(1, mzxid, 1) })
}

/// A Stat whose data were written at a zxid.
pub fn wrote(mzxid: i64) -> Answer {
    Ok(Reply::Stat(stat(1, mzxid, 1)))
}

/// The path of what was created, or of what was synced.
pub fn path(path: &str) -> Answer {
    Ok(Reply::Path(path.into()))
}

/// Children that changed last at a zxid.
pub fn names(pzxid: i64, names: &[&str]) -> Answer {
    let names = names.iter().map(|name| Arc::from(*name)).collect();
    Ok(Reply::NamesStat { names, stat: stat(1, 1, pzxid) })
}

/// The data of several znodes, each with a Stat, or absent.
pub fn results(stats: &[Option<Stat>]) -> Answer {
    let result = |stat: &Option<Stat>| match stat {
        Some(stat) => OpResult::Data { data: None, stat: *stat },
        None => OpResult::Failed(ErrorCode::NoNode),
    };
    Ok(Reply::Results(stats.iter().map(result).collect()))
}

/// Done, and nothing to say.
pub const DONE: Answer = Ok(Reply::Empty);

/// There is no such znode.
pub const NO_NODE: Answer = Err(ErrorCode::NoNode);
