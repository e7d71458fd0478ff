//! Requests and replies in few words.

use bytes::Bytes;
use volery::wire::{Create, MultiOp, OpResult, ReadOp, Reply, Request, Stat};

/// Characters of anything.
const CHARACTERS_MAX: usize = 240;

/// A request.
pub fn request(request: &Request) -> String {
    let text = match request {
        Request::Create(create) => create_text(create),
        Request::Delete(delete) => format!("delete {} version {}", delete.path, delete.version),
        Request::SetData(set) => {
            format!("setData {} {} version {}", set.path, data(&set.data), set.version)
        }
        Request::Exists { path, .. } => format!("exists {path}"),
        Request::GetData { path, .. } => format!("getData {path}"),
        Request::GetChildren { path, .. } => format!("getChildren {path}"),
        Request::GetChildren2 { path, .. } => format!("getChildren2 {path}"),
        Request::CloseSession => "closeSession".to_owned(),
        Request::Multi(ops) => list("multi", ops.iter().map(op_text)),
        Request::MultiRead(ops) => list("multiRead", ops.iter().map(read_text)),
        other => format!("{other:?}"),
    };
    cut(text)
}

/// A reply.
pub fn reply(reply: &Reply) -> String {
    let text = match reply {
        Reply::Empty => "ok".to_owned(),
        Reply::Path(path) => path.to_string(),
        Reply::PathStat { path, stat } => format!("{path} {}", stat_text(stat)),
        Reply::Stat(stat) => stat_text(stat),
        Reply::Data { data: bytes, stat } => format!("{} {}", data(bytes), stat_text(stat)),
        Reply::Names(names) => format!("{names:?}"),
        Reply::NamesStat { names, stat } => format!("{names:?} {}", stat_text(stat)),
        Reply::Results(results) => list("", results.iter().map(result_text)),
        other => format!("{other:?}"),
    };
    cut(text)
}

/// Data.
pub fn data(data: &Option<Bytes>) -> String {
    match data {
        Some(bytes) => format!("{:?}", String::from_utf8_lossy(&bytes[..bytes.len().min(32)])),
        None => "null".to_owned(),
    }
}

fn create_text(create: &Create) -> String {
    let mode = create.mode.map_or_else(|unknown| unknown.to_string(), |mode| format!("{mode:?}"));
    format!("create {} {} {mode}", create.path, data(&create.data))
}

fn op_text(op: &MultiOp) -> String {
    match op {
        MultiOp::Create(create) => create_text(create),
        MultiOp::Delete(delete) => format!("delete {} version {}", delete.path, delete.version),
        MultiOp::SetData(set) => {
            format!("setData {} {} version {}", set.path, data(&set.data), set.version)
        }
        MultiOp::Check(check) => format!("check {} version {}", check.path, check.version),
    }
}

fn read_text(op: &ReadOp) -> String {
    match op {
        ReadOp::GetData { path } => format!("getData {path}"),
        ReadOp::GetChildren { path } => format!("getChildren {path}"),
    }
}

fn result_text(result: &OpResult) -> String {
    match result {
        OpResult::Created { path } => path.to_string(),
        OpResult::CreatedWithStat { path, stat } => format!("{path} {}", stat_text(stat)),
        OpResult::DataSet(stat) => stat_text(stat),
        OpResult::Data { data: bytes, stat } => format!("{} {}", data(bytes), stat_text(stat)),
        OpResult::Failed(code) => code.to_string(),
        other => format!("{other:?}"),
    }
}

fn stat_text(stat: &Stat) -> String {
    let Stat { version, czxid, mzxid, ephemeral_owner: owner, .. } = stat;
    let owner = if *owner == 0 { String::new() } else { format!(" owner {owner:#x}") };
    format!("version {version} czxid {czxid:#x} mzxid {mzxid:#x}{owner}")
}

fn list(what: &str, parts: impl Iterator<Item = String>) -> String {
    format!("{what}[{}]", parts.collect::<Vec<_>>().join(", "))
}

fn cut(text: String) -> String {
    match text.char_indices().nth(CHARACTERS_MAX) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text,
    }
}
