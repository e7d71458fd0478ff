//! Parts: what each partition says to an operation that only reads, over several of them, and what the parts make together.
//!
//! No value of a read crosses from one partition to another. Each partition answers for its own znodes, at the command's place in
//! its sequence, and the node that asked joins what they say ([`join`]).

use crate::acl::{self, Caller};
use crate::command::{BurstResult, Command, Look, Operation, Part, Reply};
use crate::execute::tree::Tree;
use crate::execute::{look, multi, outcome};
use crate::key::{Key, Value};
use crate::service::Volery;
use crate::session::SessionId;
use crate::wire::{ErrorCode, Names, OpResult, Permissions, REPLY_BYTES_MAX, Reply as WireReply};
use crate::zxid::Zxid;
use eyrie::{Interrupt, View};
use std::sync::Arc;

/// A look, if it is at a znode of this partition: one look may be sent to more partitions than it needs.
pub(super) fn look(view: &mut View<'_, Volery>, caller: &Caller, look: &Look) -> Result<Part, Interrupt> {
    if !is_local(view, look.path()) {
        return Ok(Part::Nothing);
    }
    let result = outcome(look::look(&mut Tree::here(view), caller, look))?;
    Ok(result.map_or_else(Part::Failed, Part::Whole))
}

/// What is made of a part, while the rest waits for the next turn.
#[derive(Default)]
struct Made {
    results: Vec<(u32, OpResult)>,
    bytes: usize,
    next: u32,
}

/// The looks at znodes of this partition.
pub(super) fn multi_read(
    view: &mut View<'_, Volery>,
    caller: &Caller,
    looks: &[Look],
) -> Result<Part, Interrupt> {
    let mut made: Made = view.resume().unwrap_or_default();
    for look in &looks[made.next as usize..] {
        if view.is_spent() {
            return Err(view.pause(made));
        }
        if is_local(view, look.path()) {
            let result = match multi::read(&mut Tree::here(view), caller, look) {
                Err(Interrupt::Paused) => return Err(view.pause(made)),
                result => result?,
            };
            made.bytes += result.bytes();
            if OpResult::END_BYTES + made.bytes > REPLY_BYTES_MAX {
                return Ok(Part::Failed(ErrorCode::MarshallingError));
            }
            made.results.push((made.next, result));
        }
        made.next += 1;
    }
    Ok(Part::Results(made.results))
}

/// The paths of the session's ephemerals of this partition that begin with a prefix.
pub(super) fn ephemerals(
    view: &mut View<'_, Volery>,
    session: Option<SessionId>,
    prefix: &str,
) -> Result<Part, Interrupt> {
    let Some(session) = session else { return Ok(Part::Failed(ErrorCode::SessionExpired)) };
    Ok(Part::Names(look::ephemerals_here(view, session, prefix)?))
}

/// How many descendants of a znode this partition has. The partition of the znode says whether they may be counted.
pub(super) fn count_descendants(
    view: &mut View<'_, Volery>,
    caller: &Caller,
    path: &Arc<str>,
) -> Result<Part, Interrupt> {
    if is_local(view, path) {
        let facts = outcome(Tree::here(view).facts(path))?;
        let allowed = facts.and_then(|facts| acl::check(&facts.acl, Permissions::READ, caller));
        if let Err(code) = allowed {
            return Ok(Part::Failed(code));
        }
    }
    let key = Key::Descendants(view.partition(), path.clone());
    Ok(Part::Count(view.read_here(&key).map_or(0, Value::into_count)))
}

/// Whether a znode lives in the partition where this runs.
pub(super) fn is_local(view: &View<'_, Volery>, path: &Arc<str>) -> bool {
    view.oracle().of(path) == view.partition()
}

/// What the parts of an answer make together.
pub(crate) fn join(command: &Command, replies: Vec<Reply>) -> Reply {
    let Command::Operate { operation, .. } = command else {
        return replies.into_iter().next().expect("a command has a destination");
    };
    if let Operation::Burst(_) = operation {
        return join_bursts(replies);
    }
    let mut parts = Vec::with_capacity(replies.len());
    for reply in replies {
        match reply {
            Reply::Part(Part::Failed(code)) => {
                return Reply::Operation { zxid: Zxid::ZERO, result: Err(code) };
            }
            Reply::Part(Part::Whole(reply)) => {
                return Reply::Operation { zxid: Zxid::ZERO, result: Ok(reply) };
            }
            Reply::Part(part) => parts.push(part),
            whole => return whole,
        }
    }
    let result = match operation {
        Operation::MultiRead(looks) => join_results(looks.len(), parts),
        Operation::GetEphemerals(_) => join_names(parts),
        _ => join_counts(parts),
    };
    Reply::Operation { zxid: Zxid::ZERO, result }
}

fn join_results(count: usize, parts: Vec<Part>) -> Result<WireReply, ErrorCode> {
    // A part that is missing would show as this, and none is.
    let mut results = vec![OpResult::Failed(ErrorCode::RuntimeInconsistency); count];
    let mut bytes = OpResult::END_BYTES;
    for part in parts {
        let Part::Results(mine) = part else { continue };
        for (place, result) in mine {
            bytes += result.bytes();
            if let Some(slot) = results.get_mut(place as usize) {
                *slot = result;
            }
        }
    }
    if bytes > REPLY_BYTES_MAX { Err(ErrorCode::MarshallingError) } else { Ok(WireReply::Results(results)) }
}

fn join_names(parts: Vec<Part>) -> Result<WireReply, ErrorCode> {
    let names = |part: &Part| if let Part::Names(names) = part { names.clone() } else { Names::default() };
    let lists: Vec<Names> = parts.iter().map(names).collect();
    let mut names: Vec<&str> = lists.iter().flat_map(Names::iter).collect();
    names.sort();
    look::listed(names.into_iter().collect())
}

fn join_counts(parts: Vec<Part>) -> Result<WireReply, ErrorCode> {
    let count = |part: &Part| if let Part::Count(count) = part { *count } else { 0 };
    let count: u64 = parts.iter().map(count).sum();
    Ok(WireReply::Count(i32::try_from(count).unwrap_or(i32::MAX)))
}

/// Each partition has answered the changes of a burst alike, and the looks at its own znodes.
fn join_bursts(replies: Vec<Reply>) -> Reply {
    let mut joined: Vec<Option<BurstResult>> = Vec::new();
    for reply in replies {
        let Reply::Burst(results) = reply else { return reply };
        joined.resize(joined.len().max(results.len()), None);
        for (slot, result) in joined.iter_mut().zip(results) {
            *slot = slot.take().or(result);
        }
    }
    Reply::Burst(joined)
}
