//! The plan for a request: what it is once its words are understood.

use crate::command::{Change, Look, Operation};
use crate::gateway::watches::Kinds;
use crate::path;
use crate::placement::Placement;
use crate::wire::{AddWatchMode, Create, ErrorCode, MultiOp, OpResult, ReadOp, Reply, Request, WatcherType};
use eyrie::Destinations;
use std::sync::Arc;

/// What is done for a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Plan {
    /// An operation, ordered by the log; a watch that its outcome may arm.
    Operate(Operation, Option<Arm>),
    /// Something that this gateway does by itself once all before it is answered.
    Here(Here),
    /// The end of the session.
    Close,
    /// The answer is known.
    Answer(Result<Reply, ErrorCode>),
}

/// What the gateway does by itself.
#[derive(Clone, Debug, PartialEq)]
pub enum Here {
    /// Arms a watch that stays.
    AddWatch(Arc<str>, AddWatchMode),
    /// Arms watches that stayed with the client: persistent ones, and recursive ones.
    Arm(Vec<Arc<str>>, Vec<Arc<str>>),
    /// Looks whether a watch is armed.
    CheckWatches(Arc<str>, WatcherType),
    /// Disarms a watch.
    RemoveWatches(Arc<str>, WatcherType),
    /// Tells who the connection is.
    WhoAmI,
    /// Answers credentials, which count already.
    Authenticated,
    /// Answers, and does nothing.
    Nothing,
}

impl Plan {
    /// Where it goes, if it is ordered by the log.
    pub fn destinations(&self, oracle: &Placement) -> Destinations {
        match self {
            Plan::Operate(operation, _) => oracle.operation_destinations(operation),
            Plan::Here(_) | Plan::Close | Plan::Answer(_) => Destinations::NONE,
        }
    }
}

impl Plan {
    /// Roughly how many bytes it takes.
    pub fn bytes(&self) -> usize {
        match self {
            Plan::Operate(operation, _) => operation.bytes(),
            Plan::Here(here) => here.bytes(),
            Plan::Close | Plan::Answer(_) => 0,
        }
    }
}

impl Here {
    fn bytes(&self) -> usize {
        match self {
            Here::AddWatch(path, _) | Here::CheckWatches(path, _) | Here::RemoveWatches(path, _) => {
                path.len()
            }
            Here::Arm(persistent, recursive) => {
                persistent.iter().chain(recursive).map(|path| path.len()).sum()
            }
            Here::WhoAmI | Here::Authenticated | Here::Nothing => 0,
        }
    }

    /// Whether it arms or disarms watches: then what comes after it must come after it.
    pub fn concerns_watches(&self) -> bool {
        match self {
            Here::AddWatch(..) | Here::Arm(..) | Here::RemoveWatches(..) | Here::CheckWatches(..) => true,
            Here::WhoAmI | Here::Authenticated | Here::Nothing => false,
        }
    }

    /// The partitions that may tell events of the watches that it arms: a recursive one may hear of any, others of their
    /// path's own.
    pub fn sources(&self, oracle: &Placement) -> Destinations {
        let all = Destinations::all(oracle.partitions());
        match self {
            Here::AddWatch(_, AddWatchMode::PersistentRecursive) => all,
            Here::AddWatch(path, AddWatchMode::Persistent) => oracle.of(path).into(),
            Here::Arm(_, recursive) if !recursive.is_empty() => all,
            Here::Arm(persistent, _) => persistent.iter().map(|path| oracle.of(path)).collect(),
            Here::CheckWatches(..)
            | Here::RemoveWatches(..)
            | Here::WhoAmI
            | Here::Authenticated
            | Here::Nothing => Destinations::NONE,
        }
    }
}

/// A watch that a look may arm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arm {
    /// The znode's path.
    pub path: Arc<str>,
    /// The kind of watch.
    pub kinds: Kinds,
    /// Whether an absent znode is watched too: it may be created.
    pub absent_too: bool,
}

impl Plan {
    /// Plans one request. Authentication and SetWatches are not for here: they are done by the connection.
    pub fn of(request: Request) -> Plan {
        match request {
            Request::Create(create) => match change_of_create(create) {
                Ok(change) => Plan::change(change),
                Err(code) => Plan::Answer(Err(code)),
            },
            Request::Delete(delete) => {
                Plan::change(Change::Delete { path: delete.path, version: delete.version })
            }
            Request::SetData(set) => {
                Plan::change(Change::SetData { path: set.path, data: set.data, version: set.version })
            }
            Request::SetAcl { path, acl, version } => Plan::change(Change::SetAcl { path, acl, version }),
            Request::Check(check) => Plan::change(Change::Check { path: check.path, version: check.version }),
            Request::Multi(ops) => multi(ops),
            Request::MultiRead(ops) => {
                Plan::operate(Operation::MultiRead(ops.into_iter().map(look_of_read).collect()))
            }
            Request::Exists { path, watch } => {
                Plan::look(Look::Exists(path.clone()), watch, path, Kinds::DATA)
            }
            Request::GetData { path, watch } => {
                Plan::look(Look::GetData(path.clone()), watch, path, Kinds::DATA)
            }
            Request::GetAcl { path } => Plan::operate(Operation::Look(Look::GetAcl(path))),
            Request::GetChildren { path, watch } => Plan::children(path, watch, false),
            Request::GetChildren2 { path, watch } => Plan::children(path, watch, true),
            Request::Sync { path } => Plan::operate(Operation::Sync(path)),
            Request::GetEphemerals { prefix } => Plan::operate(Operation::GetEphemerals(prefix)),
            Request::GetAllChildrenNumber { path } => Plan::operate(Operation::CountDescendants(path)),
            Request::AddWatch { path, mode } => match path::validate(&path) {
                Ok(()) => Plan::Here(Here::AddWatch(path, mode)),
                Err(code) => Plan::Answer(Err(code)),
            },
            Request::CheckWatches { path, kind } => Plan::Here(Here::CheckWatches(path, kind)),
            Request::RemoveWatches { path, kind } => Plan::Here(Here::RemoveWatches(path, kind)),
            Request::WhoAmI => Plan::Here(Here::WhoAmI),
            Request::Ping | Request::Auth { .. } | Request::SetWatches(_) => Plan::Here(Here::Nothing),
            Request::CloseSession => Plan::Close,
            Request::Sasl { .. } => Plan::Answer(Ok(Reply::Token(Some(bytes::Bytes::new())))),
            Request::Reconfig(_) => Plan::Answer(Err(ErrorCode::Unimplemented)),
        }
    }

    fn operate(operation: Operation) -> Plan {
        Plan::Operate(operation, None)
    }

    fn change(change: Change) -> Plan {
        Plan::operate(Operation::Change(change))
    }

    fn look(look: Look, watch: bool, path: Arc<str>, kinds: Kinds) -> Plan {
        let absent_too = matches!(look, Look::Exists(_));
        Plan::Operate(Operation::Look(look), watch.then_some(Arm { path, kinds, absent_too }))
    }

    fn children(path: Arc<str>, watch: bool, with_stat: bool) -> Plan {
        Plan::look(Look::GetChildren { path: path.clone(), with_stat }, watch, path, Kinds::CHILD)
    }
}

fn change_of_create(create: Create) -> Result<Change, ErrorCode> {
    let Create { path, data, acl, mode, with_stat } = create;
    let mode = mode.map_err(|_| ErrorCode::BadArguments)?;
    Ok(Change::Create { path, data, acl, mode, with_stat })
}

fn change_of_op(op: MultiOp) -> Result<Change, ErrorCode> {
    Ok(match op {
        MultiOp::Create(create) => change_of_create(create)?,
        MultiOp::Delete(delete) => Change::Delete { path: delete.path, version: delete.version },
        MultiOp::SetData(set) => Change::SetData { path: set.path, data: set.data, version: set.version },
        MultiOp::Check(check) => Change::Check { path: check.path, version: check.version },
    })
}

/// A multi with an operation that cannot be understood fails as if that operation had failed.
fn multi(ops: Vec<MultiOp>) -> Plan {
    let count = ops.len();
    let mut changes = Vec::with_capacity(count);
    for op in ops {
        match change_of_op(op) {
            Ok(change) => changes.push(change),
            Err(code) => return Plan::Answer(Ok(Reply::Results(failed(changes.len(), code, count)))),
        }
    }
    Plan::operate(Operation::Multi(changes))
}

fn failed(at: usize, code: ErrorCode, count: usize) -> Vec<OpResult> {
    let result = |place: usize| match place.cmp(&at) {
        std::cmp::Ordering::Less => OpResult::RolledBack,
        std::cmp::Ordering::Equal => OpResult::Failed(code),
        std::cmp::Ordering::Greater => OpResult::Failed(ErrorCode::RuntimeInconsistency),
    };
    (0..count).map(result).collect()
}

fn look_of_read(op: ReadOp) -> Look {
    match op {
        ReadOp::GetData { path } => Look::GetData(path),
        ReadOp::GetChildren { path } => Look::GetChildren { path, with_stat: false },
    }
}
