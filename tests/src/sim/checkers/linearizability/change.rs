//! A change of one znode, and what its reply shows.

use std::sync::Arc;
use volery::wire::{Check, Create, Delete, MultiOp, OpResult, Reply, Request, SetData, Stat};

/// A change, alone or in a multi.
#[derive(Clone, Copy)]
pub enum Change<'a> {
    /// Creates it.
    Create(&'a Create),
    /// Deletes it.
    Delete(&'a Delete),
    /// Replaces its data.
    SetData(&'a SetData),
    /// Checks its version.
    Check(&'a Check),
}

/// The reply is not one to the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfit;

/// What a reply shows of a change that succeeded.
pub struct Success<'a> {
    /// Of a create the final path.
    pub path: Option<&'a str>,
    /// The Stat, if it shows one.
    pub stat: Option<&'a Stat>,
}

impl<'a> TryFrom<&'a Reply> for Success<'a> {
    type Error = Unfit;

    fn try_from(reply: &'a Reply) -> Result<Success<'a>, Unfit> {
        match reply {
            Reply::Empty => Ok(Success { path: None, stat: None }),
            Reply::Path(path) => Ok(Success { path: Some(path), stat: None }),
            Reply::PathStat { path, stat } => Ok(Success { path: Some(path), stat: Some(stat) }),
            Reply::Stat(stat) => Ok(Success { path: None, stat: Some(stat) }),
            _ => Err(Unfit),
        }
    }
}

impl<'a> TryFrom<&'a OpResult> for Success<'a> {
    type Error = Unfit;

    fn try_from(result: &'a OpResult) -> Result<Success<'a>, Unfit> {
        match result {
            OpResult::Deleted | OpResult::Checked => Ok(Success { path: None, stat: None }),
            OpResult::Created { path } => Ok(Success { path: Some(path), stat: None }),
            OpResult::CreatedWithStat { path, stat } => Ok(Success { path: Some(path), stat: Some(stat) }),
            OpResult::DataSet(stat) => Ok(Success { path: None, stat: Some(stat) }),
            _ => Err(Unfit),
        }
    }
}

impl<'a> Change<'a> {
    /// The change that a request is by itself.
    pub fn of(request: &'a Request) -> Option<Change<'a>> {
        match request {
            Request::Create(create) => Some(Change::Create(create)),
            Request::Delete(delete) => Some(Change::Delete(delete)),
            Request::SetData(set) => Some(Change::SetData(set)),
            Request::Check(check) => Some(Change::Check(check)),
            _ => None,
        }
    }

    /// The path that was asked for.
    pub fn path(self) -> &'a Arc<str> {
        match self {
            Change::Create(create) => &create.path,
            Change::Delete(delete) => &delete.path,
            Change::SetData(set) => &set.path,
            Change::Check(check) => &check.path,
        }
    }

    /// The version that the znode must have.
    pub fn version(self) -> Option<i32> {
        match self {
            Change::Create(_) => None,
            Change::Delete(delete) => Some(delete.version),
            Change::SetData(set) => Some(set.version),
            Change::Check(check) => Some(check.version),
        }
    }

    /// Whether the path is only the beginning of the znode's.
    pub fn is_nameless(self) -> bool {
        matches!(self, Change::Create(create) if is_sequential(create))
    }
}

impl<'a> From<&'a MultiOp> for Change<'a> {
    fn from(op: &'a MultiOp) -> Change<'a> {
        match op {
            MultiOp::Create(create) => Change::Create(create),
            MultiOp::Delete(delete) => Change::Delete(delete),
            MultiOp::SetData(set) => Change::SetData(set),
            MultiOp::Check(check) => Change::Check(check),
        }
    }
}

/// Whether a number is appended to the path.
pub fn is_sequential(create: &Create) -> bool {
    create.mode.is_ok_and(|mode| mode.is_sequential())
}
