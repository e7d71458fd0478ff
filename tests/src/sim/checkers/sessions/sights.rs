//! Sights: what a reply shows of znodes, whatever kind of request it answers.
//!
//! A failed multi shows nothing: its failure is about the state after its earlier parts, which never was. A refusal shows
//! something where it has one meaning only, such as that a znode whose version was wrong is there.

use bytes::Bytes;
use volery::path;
use volery::wire::{
    Create, Delete, ErrorCode, MultiOp, Names, OpResult, ReadOp, Reply, Request, SetData, Stat,
};

/// What the call itself did to the znode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Created it.
    Created,
    /// Deleted it.
    Deleted,
    /// Replaced its data.
    Set,
}

/// What is shown of a znode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown<'a> {
    /// It is not there.
    Absent,
    /// It is there.
    Present,
    /// It is there, with this Stat.
    Stat(&'a Stat),
    /// It is there, with these data and this Stat.
    Data(Option<&'a Bytes>, &'a Stat),
    /// It is there, with these children and maybe this Stat.
    Names(&'a Names, Option<&'a Stat>),
}

/// One znode as a reply shows it, at the point at which the call took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight<'a> {
    /// The znode's path.
    pub path: &'a str,
    /// What is shown of it.
    pub shown: Shown<'a>,
    /// Whether the call itself brought this about.
    pub change: Option<Change>,
}

impl<'a> Sight<'a> {
    /// The Stat, if it is shown.
    pub fn stat(&self) -> Option<&'a Stat> {
        match self.shown {
            Shown::Stat(stat) | Shown::Data(_, stat) | Shown::Names(_, Some(stat)) => Some(stat),
            Shown::Absent | Shown::Present | Shown::Names(_, None) => None,
        }
    }

    /// Whether the znode is there.
    pub fn is_there(&self) -> bool {
        self.shown != Shown::Absent
    }

    /// The zxid of the change that the call made of this znode, if the reply tells it.
    pub fn written(&self) -> Option<i64> {
        match self.change? {
            Change::Created => self.stat().map(|stat| stat.czxid),
            Change::Set => self.stat().map(|stat| stat.mzxid),
            Change::Deleted => None,
        }
    }

    /// The parent whose set of children the call changed.
    pub fn changed_parent(&self) -> Option<&'a str> {
        match self.change? {
            Change::Created | Change::Deleted => path::parent(self.path),
            Change::Set => None,
        }
    }
}

/// What the reply to a request shows, in the order of its parts.
pub fn sights<'a>(request: &'a Request, result: &'a Result<Reply, ErrorCode>) -> Vec<Sight<'a>> {
    match (request, result) {
        (Request::Multi(ops), Ok(Reply::Results(results))) => of_multi(ops, results),
        (Request::MultiRead(ops), Ok(Reply::Results(results))) => {
            ops.iter().zip(results).filter_map(|(op, result)| of_read(op, result)).collect()
        }
        (request, Ok(reply)) => of_reply(request, reply).into_iter().collect(),
        (request, Err(code)) => of_refusal(request, *code).into_iter().collect(),
    }
}

fn of_multi<'a>(ops: &'a [MultiOp], results: &'a [OpResult]) -> Vec<Sight<'a>> {
    if results.iter().any(|result| matches!(result, OpResult::Failed(_) | OpResult::RolledBack)) {
        return Vec::new();
    }
    let part = |(op, result): (&'a MultiOp, &'a OpResult)| match (op, result) {
        (MultiOp::Create(_), OpResult::Created { path }) => Some(created(path, None)),
        (MultiOp::Create(create), OpResult::CreatedWithStat { path, stat }) => {
            Some(created(path, Some((create, stat))))
        }
        (MultiOp::Delete(delete), OpResult::Deleted) => Some(deleted(delete)),
        (MultiOp::SetData(set), OpResult::DataSet(stat)) => Some(data_set(set, stat)),
        _ => None,
    };
    ops.iter().zip(results).filter_map(part).collect()
}

fn of_read<'a>(op: &'a ReadOp, result: &'a OpResult) -> Option<Sight<'a>> {
    let shown = match result {
        OpResult::Data { data, stat } => Shown::Data(data.as_ref(), stat),
        OpResult::Children(names) => Shown::Names(names, None),
        OpResult::Failed(ErrorCode::NoNode) => Shown::Absent,
        _ => return None,
    };
    Some(seen(op.path(), shown))
}

fn of_reply<'a>(request: &'a Request, reply: &'a Reply) -> Option<Sight<'a>> {
    Some(match (request, reply) {
        (Request::Create(_), Reply::Path(path)) => created(path, None),
        (Request::Create(create), Reply::PathStat { path, stat }) => created(path, Some((create, stat))),
        (Request::Delete(delete), Reply::Empty) => deleted(delete),
        (Request::SetData(set), Reply::Stat(stat)) => data_set(set, stat),
        (Request::Exists { path, .. } | Request::SetAcl { path, .. }, Reply::Stat(stat))
        | (Request::GetAcl { path }, Reply::Acl { stat, .. }) => seen(path, Shown::Stat(stat)),
        (Request::GetData { path, .. }, Reply::Data { data, stat }) => {
            seen(path, Shown::Data(data.as_ref(), stat))
        }
        (Request::GetChildren { path, .. }, Reply::Names(names)) => seen(path, Shown::Names(names, None)),
        (Request::GetChildren2 { path, .. }, Reply::NamesStat { names, stat }) => {
            seen(path, Shown::Names(names, Some(stat)))
        }
        _ => return None,
    })
}

fn of_refusal(request: &Request, code: ErrorCode) -> Option<Sight<'_>> {
    let path = match request {
        Request::Create(create) => {
            let sequential = create.mode.is_ok_and(|mode| mode.is_sequential());
            return match code {
                ErrorCode::NoNode => path::parent(&create.path).map(|parent| seen(parent, Shown::Absent)),
                ErrorCode::NodeExists if !sequential => Some(seen(&create.path, Shown::Present)),
                _ => None,
            };
        }
        Request::Delete(Delete { path, .. })
        | Request::SetData(SetData { path, .. })
        | Request::SetAcl { path, .. }
        | Request::Exists { path, .. }
        | Request::GetData { path, .. }
        | Request::GetAcl { path }
        | Request::GetChildren { path, .. }
        | Request::GetChildren2 { path, .. } => path,
        _ => return None,
    };
    match code {
        ErrorCode::NoNode => Some(seen(path, Shown::Absent)),
        ErrorCode::BadVersion | ErrorCode::NotEmpty => Some(seen(path, Shown::Present)),
        _ => None,
    }
}

fn seen<'a>(path: &'a str, shown: Shown<'a>) -> Sight<'a> {
    Sight { path, shown, change: None }
}

fn created<'a>(path: &'a str, made: Option<(&'a Create, &'a Stat)>) -> Sight<'a> {
    let shown = made.map_or(Shown::Present, |(create, stat)| Shown::Data(create.data.as_ref(), stat));
    Sight { path, shown, change: Some(Change::Created) }
}

fn deleted(delete: &Delete) -> Sight<'_> {
    Sight { path: &delete.path, shown: Shown::Absent, change: Some(Change::Deleted) }
}

fn data_set<'a>(set: &'a SetData, stat: &'a Stat) -> Sight<'a> {
    Sight { path: &set.path, shown: Shown::Data(set.data.as_ref(), stat), change: Some(Change::Set) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::checkers::sessions::script::{create, delete, set};

    const STAT: Stat = Stat {
        czxid: 3,
        mzxid: 5,
        pzxid: 4,
        ctime: 0,
        mtime: 0,
        version: 1,
        cversion: 0,
        aversion: 0,
        ephemeral_owner: 0,
        data_length: 0,
        num_children: 0,
    };

    #[test]
    fn a_write_shows_what_it_did() {
        let (request, result) = (set("/a/b", "x"), Ok(Reply::Stat(STAT)));
        let shown = sights(&request, &result);
        assert_eq!((shown[0].path, shown[0].written(), shown[0].changed_parent()), ("/a/b", Some(5), None));
        let (request, result) = (create("/a/b", "x"), Ok(Reply::Path("/a/b".into())));
        let shown = sights(&request, &result);
        assert_eq!((shown[0].written(), shown[0].changed_parent()), (None, Some("/a")));
    }

    #[test]
    fn a_failed_multi_shows_nothing_and_a_good_one_all() {
        let ops = |request| match request {
            Request::Delete(delete) => MultiOp::Delete(delete),
            Request::SetData(set) => MultiOp::SetData(set),
            _ => unreachable!("no other is used"),
        };
        let request = Request::Multi(vec![ops(set("/a", "x")), ops(delete("/b"))]);
        let good = Ok(Reply::Results(vec![OpResult::DataSet(STAT), OpResult::Deleted]));
        let failed = Ok(Reply::Results(vec![OpResult::RolledBack, OpResult::Failed(ErrorCode::NoNode)]));
        let shown = sights(&request, &good);
        assert_eq!((shown[0].written(), shown[1].shown, shown[1].path), (Some(5), Shown::Absent, "/b"));
        assert!(sights(&request, &failed).is_empty());
    }

    #[test]
    fn a_refusal_shows_what_it_can_only_mean() {
        let refused = |request: &Request, code| {
            let result = Err(code);
            let shown = sights(request, &result);
            shown.first().map(|sight| (sight.path.to_owned(), sight.is_there()))
        };
        assert_eq!(refused(&create("/a/b", ""), ErrorCode::NoNode), Some(("/a".to_owned(), false)));
        assert_eq!(refused(&create("/a/b", ""), ErrorCode::NodeExists), Some(("/a/b".to_owned(), true)));
        assert_eq!(refused(&set("/a", ""), ErrorCode::BadVersion), Some(("/a".to_owned(), true)));
        assert_eq!(refused(&set("/a", ""), ErrorCode::NoAuth), None);
    }
}
