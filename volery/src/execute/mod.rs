//! Execution: what each command does, as if it ran alone on one machine.
//!
//! **One code, several places.** A command of several partitions runs at each of them, on the same values, and comes to
//! the same reply: nothing in it may depend on where it runs but which of its writes stay, and which events are told. Each
//! event is told once, at the partition of the znode that it is about.
//!
//! **Zxid.** A command's zxid is its stamp, or lies beyond the zxids of all that it changes, if that is later. It is found
//! before anything is changed, from the facts of the znodes that the command changes, which every destination reads
//! ([`tree`]). Its session's next command has a greater stamp; nobody else's stamps know of it.
//!
//! **Sessions** are opened, moved and closed by commands over their home and wherever they are attached.
//! [`Command::Operate`] checks nothing of this, and need not: eyrie takes a session's command only if its client table has
//! the session open, in that epoch, at every destination, and says so to all of them alike. The table is written by the
//! very commands that write the session's attachments ([`session`]), at completion; so "open here" and "attached here, in
//! this epoch" are one fact. A late write of a dead or moved session is refused before it is executed, at all its
//! destinations. Where the client is not open yet, the gateway's answer is a refusal and its next step a
//! [`Command::Attach`], which does read home's record. All this holds as long as no session's id is used again.
//!
//! **Order of checks.** Which of several errors a client is told is ZooKeeper's order, operation by operation.
//!
//! **Reads over several partitions** are answered in parts ([`parts`]): no value of them crosses.
//!
//! **Caveats.** Quotas are kept as znodes under `/zookeeper/quota` and not enforced.

mod change;
mod create;
mod delete;
mod look;
mod multi;
mod parts;
mod reap;
mod session;
mod tree;

#[cfg(test)]
mod tests;

use crate::acl::Caller;
use crate::command::{Change, Command, Operation, Part, Reply};
use crate::service::Volery;
use crate::session::SessionId;
use crate::wire::{ErrorCode, Reply as WireReply};
use crate::zxid::Zxid;
use change::Asker;
use eyrie::{Interrupt, View};
pub(crate) use parts::join;
use tree::Tree;

/// Why a part of an execution ends early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// The client is told so.
    Failed(ErrorCode),
    /// The execution cannot go on here.
    Interrupted(Interrupt),
}

impl From<ErrorCode> for Stop {
    fn from(code: ErrorCode) -> Stop {
        Stop::Failed(code)
    }
}

impl From<Interrupt> for Stop {
    fn from(interrupt: Interrupt) -> Stop {
        Stop::Interrupted(interrupt)
    }
}

/// What a client is told, apart from what it never hears of.
fn outcome<T>(result: Result<T, Stop>) -> Result<Result<T, ErrorCode>, Interrupt> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(Stop::Failed(code)) => Ok(Err(code)),
        Err(Stop::Interrupted(interrupt)) => Err(interrupt),
    }
}

/// Executes a command.
pub(crate) fn execute(command: &Command, view: &mut View<'_, Volery>) -> Result<Reply, Interrupt> {
    match command {
        Command::Operate { caller, operation } => operate(view, tree::submitter(view), caller, operation),
        Command::CreateSession { session, password, timeout_ms } => {
            session::create(view, *session, *password, *timeout_ms)
        }
        Command::Attach { session, epoch, caller, operation } => {
            session::attach(view, *session, *epoch, |view| match operation.is_answered_in_parts() {
                true => Ok(Reply::Attached),
                false => operate(view, Some(*session), caller, operation),
            })
        }
        Command::Move { session, password, timeout_ms } => {
            session::go(view, *session, *password, *timeout_ms)
        }
        Command::Close { session, epoch } => session::end(view, *session, *epoch),
        Command::Expire { session, epoch, reign } => session::expire(view, *session, *epoch, *reign),
        Command::Reap { path, mzxid, pzxid } => reap::reap(view, path, *mzxid, *pzxid),
        Command::Advance { .. } => Ok(Reply::Done),
        Command::Reign { partition } => session::reign(view, *partition),
    }
}

/// Executes an operation for a session, or for nobody's.
fn operate(
    view: &mut View<'_, Volery>,
    session: Option<SessionId>,
    caller: &Caller,
    operation: &Operation,
) -> Result<Reply, Interrupt> {
    let asker = Asker { session, caller };
    let result = match operation {
        Operation::Change(change) => return alone(view, asker, change, Zxid::ZERO),
        Operation::Burst(operations) => return burst(view, asker, operations),
        Operation::Multi(changes) => return multi::multi(view, asker, changes),
        Operation::Probe(paths) => return look::probe(view, caller, paths),
        reads if reads.only_reads() && !view.is_alone() => {
            return Ok(Reply::Part(part(view, asker, reads)?));
        }
        Operation::Look(look) => look::look(&mut Tree::beyond(view, Zxid::ZERO), caller, look),
        Operation::MultiRead(looks) => multi::multi_read(&mut Tree::beyond(view, Zxid::ZERO), caller, looks),
        Operation::GetEphemerals(prefix) => look::ephemerals(view, session, prefix),
        Operation::CountDescendants(path) => look::count_descendants(view, caller, path),
        Operation::Sync(path) => Ok(WireReply::Path(path.clone())),
    };
    Ok(Reply::Operation { zxid: Zxid::ZERO, result: outcome(result)? })
}

/// Executes this partition's share of an operation that only reads.
fn part(view: &mut View<'_, Volery>, asker: Asker<'_>, operation: &Operation) -> Result<Part, Interrupt> {
    match operation {
        Operation::MultiRead(looks) => parts::multi_read(view, asker.caller, looks),
        Operation::GetEphemerals(prefix) => parts::ephemerals(view, asker.session, prefix),
        Operation::CountDescendants(path) => parts::count_descendants(view, asker.caller, path),
        Operation::Look(look) => parts::look(view, asker.caller, look),
        _ => unreachable!("it does not only read"),
    }
}

/// Executes operations as if they had come one by one, each change with a zxid beyond those before it. Looks at znodes of
/// other partitions are left to those.
fn burst(
    view: &mut View<'_, Volery>,
    asker: Asker<'_>,
    operations: &[Operation],
) -> Result<Reply, Interrupt> {
    let mut last = Zxid::ZERO;
    let mut results = Vec::with_capacity(operations.len());
    for operation in operations {
        let reply = match operation {
            Operation::Change(change) => alone(view, asker, change, last)?,
            Operation::Look(look) if !parts::is_local(view, look.path()) => {
                results.push(None);
                continue;
            }
            Operation::Look(look) => {
                let result = outcome(look::look(&mut Tree::here(view), asker.caller, look))?;
                Reply::Operation { zxid: Zxid::ZERO, result }
            }
            other => operate(view, asker.session, asker.caller, other)?,
        };
        let Reply::Operation { zxid, result } = reply else {
            unreachable!("what fits a burst is answered as an operation")
        };
        last = last.max(zxid);
        results.push(Some((zxid, result)));
    }
    Ok(Reply::Burst(results))
}

/// Executes a change that is not part of a multi, with a zxid beyond `last`.
fn alone(
    view: &mut View<'_, Volery>,
    asker: Asker<'_>,
    change: &Change,
    last: Zxid,
) -> Result<Reply, Interrupt> {
    let mut tree = Tree::beyond(view, last);
    let result = outcome(change::change(&mut tree, asker, change))?;
    let changed = result.is_ok() && !matches!(change, Change::Check { .. });
    let zxid = if changed { tree.zxid() } else { Zxid::ZERO };
    Ok(Reply::Operation { zxid, result: result.map(change::reply) })
}
