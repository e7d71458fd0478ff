//! One change of the tree, by itself or as part of a multi.

use crate::acl::{self, Caller};
use crate::command::Change;
use crate::execute::tree::Tree;
use crate::execute::{Stop, create, delete};
use crate::faults::VERSION_NOT_CHECKED;
use crate::path;
use crate::session::SessionId;
use crate::wire::{Acl, ErrorCode, OpResult, Permissions, Reply as WireReply};
use crate::znode::next_version;
use bytes::Bytes;
use std::sync::Arc;

/// Who asks for a change.
#[derive(Clone, Copy)]
pub(super) struct Asker<'a> {
    /// The session that ephemerals go with; nodes have none.
    pub(super) session: Option<SessionId>,
    /// Whom access-control lists see.
    pub(super) caller: &'a Caller,
}

/// The znodes that a change writes and that are there before: its zxid is beyond theirs.
pub(super) fn touched(change: &Change) -> impl Iterator<Item = Arc<str>> {
    let (own, parent) = match change {
        Change::Create { path, .. } => (None, path::split(path).map(|(parent, _)| parent)),
        Change::Delete { path, .. } => (Some(path), path::parent(path)),
        Change::SetData { path, .. } | Change::SetAcl { path, .. } => (Some(path), None),
        Change::Check { .. } => (None, None),
    };
    own.cloned().into_iter().chain(parent.map(Arc::from))
}

/// Executes a change. Nothing is written if it fails.
pub(super) fn change(tree: &mut Tree<'_, '_>, asker: Asker<'_>, change: &Change) -> Result<OpResult, Stop> {
    match change {
        Change::Create { path, data, acl, mode, with_stat } => {
            let (path, stat) = create::create(tree, asker, path, data.clone(), acl, *mode)?;
            Ok(if *with_stat { OpResult::CreatedWithStat { path, stat } } else { OpResult::Created { path } })
        }
        Change::Delete { path, version } => delete::delete(tree, asker.caller, path, *version),
        Change::SetData { path, data, version } => set_data(tree, asker.caller, path, data.clone(), *version),
        Change::SetAcl { path, acl, version } => set_acl(tree, asker.caller, path, acl, *version),
        Change::Check { path, version } => check(tree, asker.caller, path, *version),
    }
}

/// How a change that stands alone is answered.
pub(super) fn reply(result: OpResult) -> WireReply {
    match result {
        OpResult::Created { path } => WireReply::Path(path),
        OpResult::CreatedWithStat { path, stat } => WireReply::PathStat { path, stat },
        OpResult::DataSet(stat) => WireReply::Stat(stat),
        _ => WireReply::Empty,
    }
}

/// BadVersion unless `expected` is the current version, or −1.
pub(super) fn check_version(current: i32, expected: i32) -> Result<(), ErrorCode> {
    if expected == -1 || expected == current || VERSION_NOT_CHECKED.is_planted() {
        Ok(())
    } else {
        Err(ErrorCode::BadVersion)
    }
}

fn set_data(
    tree: &mut Tree<'_, '_>,
    caller: &Caller,
    path: &Arc<str>,
    data: Option<Bytes>,
    version: i32,
) -> Result<OpResult, Stop> {
    path::validate(path)?;
    let mut facts = tree.facts(path)?;
    acl::check(&facts.acl, Permissions::WRITE, caller)?;
    check_version(facts.version, version)?;
    facts.version = next_version(facts.version);
    facts.mzxid = tree.zxid();
    facts.mtime_ms = tree.time_ms();
    facts.data_length = data_length(data.as_ref());
    let stat = facts.stat();
    tree.set_data(path, facts, data);
    Ok(OpResult::DataSet(stat))
}

/// Bytes of data as a Stat counts them.
pub(super) fn data_length(data: Option<&Bytes>) -> i32 {
    data.map_or(0, |data| i32::try_from(data.len()).unwrap_or(i32::MAX))
}

fn set_acl(
    tree: &mut Tree<'_, '_>,
    caller: &Caller,
    path: &Arc<str>,
    list: &[Acl],
    version: i32,
) -> Result<OpResult, Stop> {
    path::validate(path)?;
    let list = acl::resolve(list, caller)?;
    let mut facts = tree.facts(path)?;
    acl::check(&facts.acl, Permissions::ADMIN, caller)?;
    check_version(facts.aversion, version)?;
    facts.aversion = next_version(facts.aversion);
    facts.acl = list.into();
    let stat = facts.stat();
    tree.set_facts(path, facts);
    Ok(OpResult::DataSet(stat))
}

fn check(tree: &mut Tree<'_, '_>, caller: &Caller, path: &Arc<str>, version: i32) -> Result<OpResult, Stop> {
    path::validate(path)?;
    let facts = tree.facts(path)?;
    acl::check(&facts.acl, Permissions::READ, caller)?;
    check_version(facts.version, version)?;
    Ok(OpResult::Checked)
}
