//! Many operations in one: multi, which is all or nothing, and multiRead, which is not.

use crate::acl::Caller;
use crate::command::{Change, Look, Reply};
use crate::execute::change::{self, Asker};
use crate::execute::tree::Tree;
use crate::execute::{Stop, look, outcome};
use crate::faults::MULTI_NOT_ROLLED_BACK;
use crate::service::Volery;
use crate::wire::{ErrorCode, OpResult, REPLY_BYTES_MAX, Reply as WireReply};
use crate::zxid::Zxid;
use eyrie::{Interrupt, View};

/// How far a multi is, while the rest waits for the next turn.
#[derive(Default)]
struct Progress {
    /// So many changes were looked at for the zxid.
    looked: usize,
    found: (Zxid, Option<Zxid>),
    /// Of the changes that were executed.
    results: Vec<OpResult>,
}

/// Executes changes under one zxid, each on what those before it left; all of them, or none if one fails.
pub(super) fn multi(
    view: &mut View<'_, Volery>,
    asker: Asker<'_>,
    changes: &[Change],
) -> Result<Reply, Interrupt> {
    let Progress { mut looked, found, mut results } = view.resume().unwrap_or_default();
    let mut tree = Tree::again(view, found);
    for change in &changes[looked..] {
        if tree.is_spent() {
            let found = tree.found();
            return Err(tree.pause(Progress { looked, found, results }));
        }
        for path in change::touched(change) {
            tree.look_up(&path)?;
        }
        looked += 1;
    }
    let zxid = tree.zxid();
    for change in &changes[results.len()..] {
        if tree.is_spent() {
            let found = tree.found();
            return Err(tree.pause(Progress { looked, found, results }));
        }
        match outcome(one(&mut tree, asker, change))? {
            Ok(result) => results.push(result),
            Err(code) => {
                if !MULTI_NOT_ROLLED_BACK.is_planted() {
                    view.roll_back();
                }
                let results = failed(results.len(), code, changes.len());
                return Ok(Reply::Operation { zxid: Zxid::ZERO, result: Ok(WireReply::Results(results)) });
            }
        }
    }
    Ok(Reply::Operation { zxid, result: Ok(WireReply::Results(results)) })
}

/// A multi sets no lists: its results have no shape for that.
fn one(tree: &mut Tree<'_, '_>, asker: Asker<'_>, change: &Change) -> Result<OpResult, Stop> {
    match change {
        Change::SetAcl { .. } => Err(ErrorCode::Unimplemented.into()),
        _ => change::change(tree, asker, change),
    }
}

/// The results of a multi of which one operation failed.
fn failed(at: usize, code: ErrorCode, count: usize) -> Vec<OpResult> {
    let mut results = vec![OpResult::RolledBack; at];
    results.push(OpResult::Failed(code));
    results.resize(count, OpResult::Failed(ErrorCode::RuntimeInconsistency));
    results
}

/// Executes looks at one point of the order, each for itself. Results that no reply can carry are a MarshallingError; they are
/// not made to their end.
pub(super) fn multi_read(
    tree: &mut Tree<'_, '_>,
    caller: &Caller,
    looks: &[Look],
) -> Result<WireReply, Stop> {
    let (mut results, mut bytes) = tree.resume::<(Vec<OpResult>, usize)>().unwrap_or_default();
    for look in &looks[results.len()..] {
        if tree.is_spent() {
            return Err(tree.pause((results, bytes)).into());
        }
        let result = match read(tree, caller, look) {
            Err(Interrupt::Paused) => return Err(tree.pause((results, bytes)).into()),
            result => result?,
        };
        bytes += result.bytes();
        if OpResult::END_BYTES + bytes > REPLY_BYTES_MAX {
            return Err(ErrorCode::MarshallingError.into());
        }
        results.push(result);
    }
    Ok(WireReply::Results(results))
}

/// Executes one look of a multiRead.
pub(super) fn read(tree: &mut Tree<'_, '_>, caller: &Caller, look: &Look) -> Result<OpResult, Interrupt> {
    Ok(match outcome(look::look(tree, caller, look))? {
        Ok(WireReply::Data { data, stat }) => OpResult::Data { data, stat },
        Ok(WireReply::Names(names)) => OpResult::Children(names),
        Ok(_) => OpResult::Failed(ErrorCode::Unimplemented),
        Err(code) => OpResult::Failed(code),
    })
}
