//! A tree that does one thing after the other, to make histories of.

use bytes::Bytes;
use std::collections::BTreeMap;
use volery::path;
use volery::wire::{Create, ErrorCode, MultiOp, OpResult, ReadOp, Reply, Request, Stat};

#[derive(Clone, Default)]
struct Node {
    data: Option<Bytes>,
    stat: Stat,
    creates: i32,
}

/// All znodes.
#[derive(Clone)]
pub struct Tree {
    nodes: BTreeMap<String, Node>,
    zxid: i64,
}

impl Tree {
    /// The root alone.
    pub fn new() -> Tree {
        Tree { nodes: BTreeMap::from([("/".to_owned(), Node::default())]), zxid: 0 }
    }

    /// Ends a session.
    pub fn end(&mut self, session: i64) {
        self.nodes.retain(|_, node| node.stat.ephemeral_owner != session);
    }

    /// Executes a request.
    pub fn execute(&mut self, session: i64, request: &Request) -> Result<Reply, ErrorCode> {
        self.zxid += 3;
        let alone = match request {
            Request::Create(create) => MultiOp::Create(create.clone()),
            Request::Delete(delete) => MultiOp::Delete(delete.clone()),
            Request::SetData(set) => MultiOp::SetData(set.clone()),
            _ => return self.several_or_look(session, request),
        };
        Ok(match self.change(session, &alone)? {
            OpResult::Created { path } => Reply::Path(path),
            OpResult::CreatedWithStat { path, stat } => Reply::PathStat { path, stat },
            OpResult::DataSet(stat) => Reply::Stat(stat),
            _ => Reply::Empty,
        })
    }

    fn several_or_look(&mut self, session: i64, request: &Request) -> Result<Reply, ErrorCode> {
        Ok(match request {
            Request::Multi(ops) => Reply::Results(self.multi(session, ops)),
            Request::MultiRead(ops) => Reply::Results(ops.iter().map(|op| self.read(op)).collect()),
            Request::Exists { path, .. } => Reply::Stat(self.node(path)?.stat),
            Request::GetData { path, .. } => {
                let node = self.node(path)?;
                Reply::Data { data: node.data.clone(), stat: node.stat }
            }
            Request::GetChildren { path, .. } => Reply::Names(self.children(path)?),
            Request::GetChildren2 { path, .. } => {
                Reply::NamesStat { names: self.children(path)?, stat: self.node(path)?.stat }
            }
            Request::CloseSession => {
                self.end(session);
                Reply::Empty
            }
            other => panic!("the tree does not serve {other:?}"),
        })
    }

    fn multi(&mut self, session: i64, ops: &[MultiOp]) -> Vec<OpResult> {
        let before = self.clone();
        let mut results = Vec::new();
        for op in ops {
            match self.change(session, op) {
                Ok(result) => results.push(result),
                Err(code) => {
                    *self = before;
                    results = vec![OpResult::RolledBack; results.len()];
                    results.push(OpResult::Failed(code));
                    results.resize(ops.len(), OpResult::Failed(ErrorCode::RuntimeInconsistency));
                    return results;
                }
            }
        }
        results
    }

    fn read(&self, op: &ReadOp) -> OpResult {
        let read = || {
            Ok(match op {
                ReadOp::GetData { path } => {
                    let node = self.node(path)?;
                    OpResult::Data { data: node.data.clone(), stat: node.stat }
                }
                ReadOp::GetChildren { path } => OpResult::Children(self.children(path)?),
            })
        };
        read().unwrap_or_else(OpResult::Failed)
    }

    fn change(&mut self, session: i64, op: &MultiOp) -> Result<OpResult, ErrorCode> {
        let zxid = self.zxid;
        match op {
            MultiOp::Create(create) => self.create(session, create),
            MultiOp::Delete(delete) => {
                self.versioned(&delete.path, delete.version)?;
                if !self.children(&delete.path)?.is_empty() {
                    return Err(ErrorCode::NotEmpty);
                }
                self.nodes.remove(&*delete.path);
                Ok(OpResult::Deleted)
            }
            MultiOp::SetData(set) => {
                let node = self.versioned(&set.path, set.version)?;
                node.data = set.data.clone();
                node.stat.data_length = set.data.as_ref().map_or(0, |data| data.len() as i32);
                node.stat.version += 1;
                node.stat.mzxid = zxid;
                Ok(OpResult::DataSet(node.stat))
            }
            MultiOp::Check(check) => self.versioned(&check.path, check.version).map(|_| OpResult::Checked),
        }
    }

    fn create(&mut self, session: i64, create: &Create) -> Result<OpResult, ErrorCode> {
        let mode = create.mode.map_err(|_| ErrorCode::BadArguments)?;
        let zxid = self.zxid;
        let parent = path::parent(&create.path).ok_or(ErrorCode::NodeExists)?;
        let parent = self.nodes.get_mut(parent).ok_or(ErrorCode::NoNode)?;
        let number = if mode.is_sequential() { format!("{:010}", parent.creates) } else { String::new() };
        let path = format!("{}{number}", create.path);
        let is_below_ephemeral = parent.stat.ephemeral_owner != 0;
        parent.creates += 1;
        if self.nodes.contains_key(&path) {
            return Err(ErrorCode::NodeExists);
        }
        if is_below_ephemeral {
            return Err(ErrorCode::NoChildrenForEphemerals);
        }
        let stat = Stat {
            czxid: zxid,
            mzxid: zxid,
            ephemeral_owner: if mode.is_ephemeral() { session } else { 0 },
            data_length: create.data.as_ref().map_or(0, |data| data.len() as i32),
            ..Stat::default()
        };
        self.nodes.insert(path.clone(), Node { data: create.data.clone(), stat, creates: 0 });
        let path = path.into();
        Ok(if create.with_stat {
            OpResult::CreatedWithStat { path, stat }
        } else {
            OpResult::Created { path }
        })
    }

    fn node(&self, path: &str) -> Result<&Node, ErrorCode> {
        self.nodes.get(path).ok_or(ErrorCode::NoNode)
    }

    fn versioned(&mut self, path: &str, version: i32) -> Result<&mut Node, ErrorCode> {
        let node = self.nodes.get_mut(path).ok_or(ErrorCode::NoNode)?;
        if version == -1 || version == node.stat.version { Ok(node) } else { Err(ErrorCode::BadVersion) }
    }

    fn children(&self, path: &str) -> Result<volery::wire::Names, ErrorCode> {
        self.node(path)?;
        let paths = self.nodes.keys().filter(|child| path::parent(child) == Some(path));
        Ok(paths.map(|child| path::name(child)).collect())
    }
}
