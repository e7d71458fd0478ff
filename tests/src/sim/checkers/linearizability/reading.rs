//! What a request and its outcome say about znodes.

use super::change::{Change, Success, Unfit, is_sequential};
use super::names::{Data, Names, PathId};
use super::znode::{Fact, Seen};
use std::sync::Arc;
use volery::path;
use volery::wire::{
    Check, Create, Delete, ErrorCode, MultiOp, OpResult, ReadOp, Reply, Request, SetData, Stat,
};

/// Digits behind a sequential znode's name; a number that does not fit has more.
pub const SEQUENCE_DIGITS: usize = 10;

/// Something that one call says.
#[derive(Clone, Debug, PartialEq)]
pub enum Note {
    /// About one znode.
    Fact(PathId, Fact),
    /// About all children of one znode, in order: these it has, and no others.
    Children(PathId, Vec<PathId>),
    /// A znode was created with this and a number for a name.
    Nameless {
        /// The path before the number.
        prefix: Arc<str>,
        /// Its data.
        data: Data,
        /// The session it goes with, or 0.
        owner: i64,
    },
    /// A session ended.
    Ended(i64),
}

/// How the notes of a call belong together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manner {
    /// They came true, one after the other.
    Told,
    /// They came true one after the other, and then what they changed was undone.
    Undone,
    /// Nobody was told. They came true, one after the other, or none changed anything.
    #[default]
    Tried,
}

/// All that one call says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// How to take the notes.
    pub manner: Manner,
    /// In the order of the operations.
    pub notes: Vec<Note>,
    /// The zxid of the change, if a Stat shows it.
    pub zxid: Option<i64>,
    /// Whether it was a multi or a multiRead.
    pub is_of_several: bool,
}

/// Whether an outcome tells that the request had no effect, or what it had.
pub fn is_telling(result: &Result<Reply, ErrorCode>) -> bool {
    use ErrorCode::{ConnectionLoss, OperationTimeout, RequestTimeout, SystemError};
    !matches!(result, Err(ConnectionLoss | OperationTimeout | RequestTimeout | SystemError))
}

/// Whether a request may change znodes.
pub fn is_change(request: &Request) -> bool {
    matches!(request, Request::Multi(_)) || Change::of(request).is_some()
}

/// Reads the calls of one session.
pub struct Reader<'a> {
    names: &'a mut Names,
    session: i64,
    reading: Reading,
}

impl<'a> Reader<'a> {
    /// Nothing is read yet.
    pub fn new(names: &'a mut Names, session: i64) -> Reader<'a> {
        Reader { names, session, reading: Reading::default() }
    }

    /// What a request says whose outcome nobody was told. A read says nothing.
    pub fn tried(mut self, request: &Request) -> Reading {
        match request {
            Request::CloseSession => self.reading.notes.push(Note::Ended(self.session)),
            Request::Multi(ops) => {
                self.reading.is_of_several = true;
                ops.iter().for_each(|op| self.supposed(op.into()));
            }
            _ => {
                if let Some(change) = Change::of(request) {
                    self.supposed(change);
                }
            }
        }
        self.reading
    }

    /// What a request and its outcome say.
    pub fn told(mut self, request: &Request, result: &Result<Reply, ErrorCode>) -> Result<Reading, Unfit> {
        self.reading.manner = Manner::Told;
        self.reading.is_of_several = matches!(request, Request::Multi(_) | Request::MultiRead(_));
        match (request, result) {
            (Request::CloseSession, Ok(Reply::Empty)) => self.reading.notes.push(Note::Ended(self.session)),
            (Request::Multi(ops), Ok(Reply::Results(results))) => self.multi(ops, results)?,
            (Request::MultiRead(ops), Ok(Reply::Results(results))) => self.multi_read(ops, results)?,
            (Request::Multi(_) | Request::MultiRead(_) | Request::CloseSession, Ok(_)) => return Err(Unfit),
            _ => match (Change::of(request), result) {
                (Some(change), Ok(reply)) => self.succeeded(change, reply.try_into()?)?,
                (Some(change), Err(code)) => self.failed(change, *code),
                (None, _) => self.look(request, result)?,
            },
        }
        Ok(self.reading)
    }

    fn look(&mut self, request: &Request, result: &Result<Reply, ErrorCode>) -> Result<(), Unfit> {
        let path = match request {
            Request::Exists { path, .. }
            | Request::GetData { path, .. }
            | Request::GetAcl { path }
            | Request::SetAcl { path, .. }
            | Request::GetChildren { path, .. }
            | Request::GetChildren2 { path, .. } => self.names.path(path),
            _ => return Ok(()),
        };
        match (request, result) {
            (Request::Exists { .. } | Request::SetAcl { .. }, Ok(Reply::Stat(stat)))
            | (Request::GetAcl { .. }, Ok(Reply::Acl { stat, .. })) => self.seen(path, stat),
            (Request::GetData { .. }, Ok(Reply::Data { data, stat })) => {
                self.seen(path, stat);
                let data = self.names.data(data);
                self.fact(path, Fact::Holds(data));
            }
            (Request::GetChildren { .. }, Ok(Reply::Names(names))) => self.children(path, names),
            (Request::GetChildren2 { .. }, Ok(Reply::NamesStat { names, stat })) => {
                self.seen(path, stat);
                self.children(path, names);
            }
            (_, Ok(_)) => return Err(Unfit),
            (_, Err(ErrorCode::NoNode)) => self.fact(path, Fact::Absent),
            (_, Err(_)) => {}
        }
        Ok(())
    }

    fn multi(&mut self, ops: &[MultiOp], results: &[OpResult]) -> Result<(), Unfit> {
        let done = results.iter().take_while(|result| **result == OpResult::RolledBack).count();
        let failure = results.get(done).and_then(OpResult::error);
        if ops.len() != results.len() || (failure.is_none() && done > 0) {
            return Err(Unfit);
        }
        let Some(code) = failure else {
            let mut parts = ops.iter().zip(results);
            return parts.try_for_each(|(op, result)| self.succeeded(op.into(), result.try_into()?));
        };
        let behind = OpResult::Failed(ErrorCode::RuntimeInconsistency);
        if results[done + 1..].iter().any(|result| *result != behind) {
            return Err(Unfit);
        }
        self.reading.manner = Manner::Undone;
        ops[..done].iter().for_each(|op| self.supposed(op.into()));
        self.failed((&ops[done]).into(), code);
        // What comes after a create without a name might be about that znode.
        if self.reading.notes.iter().any(|note| matches!(note, Note::Nameless { .. })) {
            self.reading.notes.clear();
        }
        Ok(())
    }

    fn multi_read(&mut self, ops: &[ReadOp], results: &[OpResult]) -> Result<(), Unfit> {
        if ops.len() != results.len() {
            return Err(Unfit);
        }
        for (op, result) in ops.iter().zip(results) {
            let path = self.names.path(op.path());
            match (op, result) {
                (ReadOp::GetData { .. }, OpResult::Data { data, stat }) => {
                    self.seen(path, stat);
                    let data = self.names.data(data);
                    self.fact(path, Fact::Holds(data));
                }
                (ReadOp::GetChildren { .. }, OpResult::Children(names)) => self.children(path, names),
                (_, OpResult::Failed(ErrorCode::NoNode)) => self.fact(path, Fact::Absent),
                (_, OpResult::Failed(_)) => {}
                _ => return Err(Unfit),
            }
        }
        Ok(())
    }

    fn succeeded(&mut self, change: Change<'_>, success: Success<'_>) -> Result<(), Unfit> {
        match (change, success) {
            (Change::Create(create), Success { path: Some(path), stat }) => self.created(create, path, stat),
            (Change::SetData(set), Success { path: None, stat: Some(stat) }) => {
                self.set(set, Some(stat));
                Ok(())
            }
            (Change::Delete(_) | Change::Check(_), Success { path: None, stat: None }) => {
                self.supposed(change);
                Ok(())
            }
            _ => Err(Unfit),
        }
    }

    /// What is true if a change succeeded, without what its reply shows.
    fn supposed(&mut self, change: Change<'_>) {
        match change {
            Change::Create(create) if is_sequential(create) => {
                self.parent_takes_children(&create.path);
                let data = self.names.data(&create.data);
                let owner = self.owner(create);
                self.reading.notes.push(Note::Nameless { prefix: create.path.clone(), data, owner });
            }
            Change::Create(create) => self.create(create, &create.path, None),
            Change::Delete(Delete { path, version }) => {
                let path = self.names.path(path);
                self.reading.notes.push(Note::Children(path, Vec::new()));
                self.fact(path, Fact::Version(*version));
                self.fact(path, Fact::Deleted);
            }
            Change::SetData(set) => self.set(set, None),
            Change::Check(Check { path, version }) => {
                let path = self.names.path(path);
                self.fact(path, Fact::Version(*version));
            }
        }
    }

    /// What is true if a change failed. Errors that are not about the tree say nothing of it.
    fn failed(&mut self, change: Change<'_>, code: ErrorCode) {
        let path = change.path();
        let parent = path::parent(path).map(|parent| self.names.path(parent));
        let path = (!change.is_nameless()).then(|| self.names.path(path));
        match (change, code) {
            (Change::Create(_), ErrorCode::NodeExists) => {
                self.fact(parent, Fact::There { is_ephemeral: None });
                self.fact(path, Fact::There { is_ephemeral: None });
            }
            (Change::Create(_), ErrorCode::NoChildrenForEphemerals) => {
                self.fact(parent, Fact::There { is_ephemeral: Some(true) });
            }
            (Change::Create(_), ErrorCode::NoNode) => {
                self.fact(parent, Fact::Absent);
                self.fact(path, Fact::Absent);
            }
            (Change::Delete(_), ErrorCode::NotEmpty) => {
                self.fact(path, Fact::There { is_ephemeral: Some(false) });
            }
            (_, ErrorCode::NoNode) => self.fact(path, Fact::Absent),
            (_, ErrorCode::BadVersion) => {
                self.fact(path, change.version().map(Fact::OtherVersion));
            }
            _ => {}
        }
    }

    fn created(&mut self, create: &Create, path: &str, stat: Option<&Stat>) -> Result<(), Unfit> {
        let number = path.strip_prefix(&*create.path).ok_or(Unfit)?;
        let fits = if is_sequential(create) { is_sequence_number(number) } else { number.is_empty() };
        if !fits {
            return Err(Unfit);
        }
        self.create(create, path, stat);
        Ok(())
    }

    fn create(&mut self, create: &Create, path: &str, stat: Option<&Stat>) {
        self.parent_takes_children(path);
        let (data, owner) = (self.names.data(&create.data), self.owner(create));
        let path = self.names.path(path);
        self.fact(path, Fact::Created { data, owner });
        if let Some(stat) = stat {
            self.reading.zxid.get_or_insert(stat.czxid);
            self.seen(path, stat);
        }
    }

    fn set(&mut self, set: &SetData, stat: Option<&Stat>) {
        let path = self.names.path(&set.path);
        self.fact(path, Fact::Version(set.version));
        let data = self.names.data(&set.data);
        self.fact(path, Fact::Set(data));
        if let Some(stat) = stat {
            self.reading.zxid.get_or_insert(stat.mzxid);
            self.seen(path, stat);
        }
    }

    fn parent_takes_children(&mut self, path: &str) {
        let parent = path::parent(path).map(|parent| self.names.path(parent));
        self.fact(parent, Fact::There { is_ephemeral: Some(false) });
    }

    fn children(&mut self, parent: PathId, names: &volery::wire::Names) {
        let path = self.names.path_of(parent).clone();
        let mut children: Vec<PathId> = names.iter().map(|name| self.names.child(&path, name)).collect();
        children.sort_unstable();
        self.fact(parent, Fact::There { is_ephemeral: None });
        self.reading.notes.push(Note::Children(parent, children));
    }

    fn seen(&mut self, path: PathId, stat: &Stat) {
        self.fact(path, Fact::Seen(Seen::of(stat)));
    }

    fn fact(&mut self, path: impl Into<Option<PathId>>, fact: impl Into<Option<Fact>>) {
        if let (Some(path), Some(fact)) = (path.into(), fact.into()) {
            self.reading.notes.push(Note::Fact(path, fact));
        }
    }

    fn owner(&self, create: &Create) -> i64 {
        if create.mode.is_ok_and(|mode| mode.is_ephemeral()) { self.session } else { 0 }
    }
}

/// Whether this may stand behind a sequential znode's name. Numbers that have overflowed are negative.
pub fn is_sequence_number(number: &str) -> bool {
    let digits = number.strip_prefix('-').unwrap_or(number);
    number.len() >= SEQUENCE_DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit())
}
