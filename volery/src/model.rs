//! What Volery should be, in the simplest words: one map of all znodes, and nothing is remembered that can be counted.
//! Stats carry no zxids and times here. For tests alone, of this crate and of those that ask for the feature `model`.

use crate::acl::{self, Caller};
use crate::command::{Change, Look, Operation};
use crate::path;
use crate::session::SessionId;
use crate::wire::{Acl, CreateMode, ErrorCode, Names, OpResult, Permissions, Reply, Stat};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Clone, Debug)]
struct Node {
    data: Option<Bytes>,
    acl: Vec<Acl>,
    version: i32,
    aversion: i32,
    creates: i32,
    owner: Option<SessionId>,
}

/// All znodes.
#[derive(Clone, Debug)]
pub struct Model {
    nodes: BTreeMap<String, Node>,
}

impl Default for Model {
    fn default() -> Model {
        Model::new()
    }
}

impl Model {
    /// What is there from the start.
    pub fn new() -> Model {
        let node = |acl: Permissions, aversion| Node {
            data: Some(Bytes::new()),
            acl: vec![Acl::world(acl)],
            version: 0,
            aversion,
            creates: 0,
            owner: None,
        };
        let open =
            [path::ROOT, path::ZOOKEEPER, path::QUOTA].map(|path| (path.into(), node(Permissions::ALL, 0)));
        let config = (path::CONFIG.into(), node(Permissions::READ, -1));
        Model { nodes: open.into_iter().chain([config]).collect() }
    }

    /// The paths of all znodes, in order.
    pub fn paths(&self) -> Vec<String> {
        self.nodes.keys().cloned().collect()
    }

    /// A session has ended.
    pub fn end(&mut self, session: SessionId) {
        self.nodes.retain(|_, node| node.owner != Some(session));
    }

    /// What an operation of a session is answered. Probes are not for here: they tell zxids.
    pub fn operate(
        &mut self,
        session: SessionId,
        caller: &Caller,
        operation: &Operation,
    ) -> Result<Reply, ErrorCode> {
        match operation {
            Operation::Change(change) => self.change(session, caller, change).map(|result| match result {
                OpResult::Created { path } => Reply::Path(path),
                OpResult::CreatedWithStat { path, stat } => Reply::PathStat { path, stat },
                OpResult::DataSet(stat) => Reply::Stat(stat),
                _ => Reply::Empty,
            }),
            Operation::Multi(changes) => Ok(Reply::Results(self.multi(session, caller, changes))),
            Operation::Look(look) => self.look(caller, look),
            Operation::MultiRead(looks) => {
                let result = |look| match self.look(caller, look) {
                    Ok(Reply::Data { data, stat }) => OpResult::Data { data, stat },
                    Ok(Reply::Names(names)) => OpResult::Children(names),
                    Ok(_) => OpResult::Failed(ErrorCode::Unimplemented),
                    Err(code) => OpResult::Failed(code),
                };
                Ok(Reply::Results(looks.iter().map(result).collect()))
            }
            Operation::GetEphemerals(prefix) => {
                let mine = self.nodes.iter().filter(|(_, node)| node.owner == Some(session));
                let mine = mine.filter(|(path, _)| &**prefix == "/" || path.starts_with(&**prefix));
                Ok(Reply::Names(mine.map(|(path, _)| path.as_str()).collect()))
            }
            Operation::CountDescendants(path) => {
                acl::check(&self.node(path)?.acl, Permissions::READ, caller)?;
                let below = |other: &&String| *other != &**path && path::is_within(other, path);
                Ok(Reply::Count(self.nodes.keys().filter(below).count() as i32))
            }
            Operation::Sync(path) => Ok(Reply::Path(path.clone())),
            Operation::Probe(_) | Operation::Burst(_) => unreachable!("they tell zxids"),
        }
    }

    fn node(&self, path: &str) -> Result<&Node, ErrorCode> {
        self.nodes.get(path).ok_or(ErrorCode::NoNode)
    }

    fn children(&self, path: &str) -> Names {
        let children = self.nodes.keys().filter(|other| path::parent(other) == Some(path));
        let mut names: Vec<&str> = children.map(|child| path::name(child)).collect();
        names.sort_unstable();
        names.into_iter().collect()
    }

    fn stat(&self, path: &str) -> Stat {
        let (node, num_children) = (&self.nodes[path], self.children(path).len() as i32);
        Stat {
            version: node.version,
            cversion: node.creates * 2 - num_children,
            aversion: node.aversion,
            ephemeral_owner: node.owner.map_or(0, |owner| owner.0 as i64),
            data_length: node.data.as_ref().map_or(0, |data| data.len() as i32),
            num_children,
            ..Stat::default()
        }
    }

    fn multi(&mut self, session: SessionId, caller: &Caller, changes: &[Change]) -> Vec<OpResult> {
        let before = self.clone();
        let mut results: Vec<OpResult> = Vec::new();
        for change in changes {
            match self.change(session, caller, change) {
                Ok(result) => results.push(result),
                Err(code) => {
                    *self = before;
                    let rest = changes.len() - results.len() - 1;
                    results.fill(OpResult::RolledBack);
                    results.push(OpResult::Failed(code));
                    results.extend(vec![OpResult::Failed(ErrorCode::RuntimeInconsistency); rest]);
                    return results;
                }
            }
        }
        results
    }

    fn change(
        &mut self,
        session: SessionId,
        caller: &Caller,
        change: &Change,
    ) -> Result<OpResult, ErrorCode> {
        match change {
            Change::Create { path, data, acl, mode, with_stat } => {
                let path = self.create(session, caller, path, data.clone(), acl, *mode)?;
                let stat = self.stat(&path);
                Ok(if *with_stat {
                    OpResult::CreatedWithStat { path, stat }
                } else {
                    OpResult::Created { path }
                })
            }
            Change::Delete { path, version } => {
                if ["/", "/zookeeper", "/zookeeper/config", "/zookeeper/quota"].contains(&&**path) {
                    return Err(ErrorCode::BadArguments);
                }
                let parent = path::parent(path).ok_or(ErrorCode::BadArguments)?;
                acl::check(&self.node(parent)?.acl, Permissions::DELETE, caller)?;
                version_is(self.node(path)?.version, *version)?;
                if !self.children(path).is_empty() {
                    return Err(ErrorCode::NotEmpty);
                }
                self.nodes.remove(&**path);
                Ok(OpResult::Deleted)
            }
            Change::SetData { path, data, version } => {
                path::validate(path)?;
                acl::check(&self.node(path)?.acl, Permissions::WRITE, caller)?;
                version_is(self.node(path)?.version, *version)?;
                let node = self.nodes.get_mut(&**path).ok_or(ErrorCode::NoNode)?;
                (node.version, node.data) = (node.version + 1, data.clone());
                Ok(OpResult::DataSet(self.stat(path)))
            }
            Change::SetAcl { path, acl: list, version } => {
                path::validate(path)?;
                let list = acl::resolve(list, caller)?;
                acl::check(&self.node(path)?.acl, Permissions::ADMIN, caller)?;
                version_is(self.node(path)?.aversion, *version)?;
                let node = self.nodes.get_mut(&**path).ok_or(ErrorCode::NoNode)?;
                (node.aversion, node.acl) = (node.aversion + 1, list);
                Ok(OpResult::DataSet(self.stat(path)))
            }
            Change::Check { path, version } => {
                path::validate(path)?;
                acl::check(&self.node(path)?.acl, Permissions::READ, caller)?;
                version_is(self.node(path)?.version, *version)?;
                Ok(OpResult::Checked)
            }
        }
    }

    fn create(
        &mut self,
        session: SessionId,
        caller: &Caller,
        path: &str,
        data: Option<Bytes>,
        list: &[Acl],
        mode: CreateMode,
    ) -> Result<Arc<str>, ErrorCode> {
        if mode.ttl_ms().is_some_and(|ttl_ms| ttl_ms <= 0) {
            return Err(ErrorCode::BadArguments);
        }
        let slash = path.rfind('/').ok_or(ErrorCode::BadArguments)?;
        let parent = if slash == 0 { "/" } else { &path[..slash] };
        let acl = acl::resolve(list, caller)?;
        acl::check(&self.node(parent)?.acl, Permissions::CREATE, caller)?;
        let number = self.node(parent)?.creates;
        let path = if mode.is_sequential() { format!("{path}{number:010}") } else { path.to_owned() };
        path::validate(&path)?;
        if self.nodes.contains_key(&path) {
            return Err(ErrorCode::NodeExists);
        }
        if self.node(parent)?.owner.is_some() {
            return Err(ErrorCode::NoChildrenForEphemerals);
        }
        self.nodes.get_mut(parent).ok_or(ErrorCode::NoNode)?.creates += 1;
        let owner = mode.is_ephemeral().then_some(session);
        self.nodes.insert(path.clone(), Node { data, acl, version: 0, aversion: 0, creates: 0, owner });
        Ok(path.into())
    }

    fn look(&self, caller: &Caller, look: &Look) -> Result<Reply, ErrorCode> {
        let path = look.path();
        let list = &self.node(path)?.acl;
        let stat = self.stat(path);
        match look {
            Look::GetAcl(_) => acl::check(list, Permissions::READ | Permissions::ADMIN, caller)?,
            Look::Exists(_) | Look::GetData(_) | Look::GetChildren { .. } => {
                acl::check(list, Permissions::READ, caller)?
            }
        }
        Ok(match look {
            Look::Exists(_) => Reply::Stat(stat),
            Look::GetData(_) => Reply::Data { data: self.node(path)?.data.clone(), stat },
            Look::GetChildren { with_stat: true, .. } => {
                Reply::NamesStat { names: self.children(path), stat }
            }
            Look::GetChildren { .. } => Reply::Names(self.children(path)),
            _ => Reply::Acl { acl: acl::visible(list, caller), stat },
        })
    }
}

fn version_is(current: i32, expected: i32) -> Result<(), ErrorCode> {
    if expected == -1 || expected == current { Ok(()) } else { Err(ErrorCode::BadVersion) }
}

fn blank_stat(stat: Stat) -> Stat {
    Stat { czxid: 0, mzxid: 0, pzxid: 0, ctime: 0, mtime: 0, ..stat }
}

/// A reply as the model would give it.
pub fn blank(reply: Reply) -> Reply {
    match reply {
        Reply::Stat(stat) => Reply::Stat(blank_stat(stat)),
        Reply::PathStat { path, stat } => Reply::PathStat { path, stat: blank_stat(stat) },
        Reply::Data { data, stat } => Reply::Data { data, stat: blank_stat(stat) },
        Reply::Acl { acl, stat } => Reply::Acl { acl, stat: blank_stat(stat) },
        Reply::NamesStat { names, stat } => Reply::NamesStat { names, stat: blank_stat(stat) },
        Reply::Results(results) => Reply::Results(results.into_iter().map(blank_result).collect()),
        other => other,
    }
}

fn blank_result(result: OpResult) -> OpResult {
    match result {
        OpResult::CreatedWithStat { path, stat } => {
            OpResult::CreatedWithStat { path, stat: blank_stat(stat) }
        }
        OpResult::DataSet(stat) => OpResult::DataSet(blank_stat(stat)),
        OpResult::Data { data, stat } => OpResult::Data { data, stat: blank_stat(stat) },
        other => other,
    }
}
