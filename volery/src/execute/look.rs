//! Looking at the tree.

use crate::acl::{self, Caller};
use crate::command::{Found, Look, Reply};
use crate::execute::Stop;
use crate::execute::tree::{Tree, read_facts};
use crate::key::{Key, Value};
use crate::service::Volery;
use crate::session::SessionId;
use crate::variables::PATHS_MAX;
use crate::wire::{ErrorCode, Names, NamesBuilder, Permissions, REPLY_BYTES_MAX, Reply as WireReply};
use crate::znode::Facts;
use crate::zxid::Zxid;
use eyrie::{Interrupt, PartitionId, View};
use std::sync::Arc;

/// Executes one look. A list that no reply can carry is a MarshallingError.
pub(super) fn look(tree: &mut Tree<'_, '_>, caller: &Caller, look: &Look) -> Result<WireReply, Stop> {
    let reply = reply(tree, caller, look)?;
    if reply.bytes() > REPLY_BYTES_MAX {
        return Err(ErrorCode::MarshallingError.into());
    }
    Ok(reply)
}

/// That a znode does not exist, everybody may know.
fn reply(tree: &mut Tree<'_, '_>, caller: &Caller, look: &Look) -> Result<WireReply, Stop> {
    let path = look.path();
    if matches!(look, Look::Exists(_)) && path.contains('\0') {
        return Err(ErrorCode::BadArguments.into());
    }
    let facts = tree.facts(path)?;
    acl::check(&facts.acl, permissions(look), caller)?;
    let stat = facts.stat();
    Ok(match look {
        Look::Exists(_) => WireReply::Stat(stat),
        Look::GetData(_) => WireReply::Data { data: tree.data(path)?, stat },
        Look::GetAcl(_) => WireReply::Acl { acl: acl::visible(&facts.acl, caller), stat },
        Look::GetChildren { with_stat, .. } => {
            let names = tree.children(path)?;
            if *with_stat { WireReply::NamesStat { names, stat } } else { WireReply::Names(names) }
        }
    })
}

/// Any one of which a look needs. ZooKeeper's exists needs READ from 3.9.2 on.
fn permissions(look: &Look) -> Permissions {
    match look {
        Look::GetAcl(_) => Permissions::READ | Permissions::ADMIN,
        Look::Exists(_) | Look::GetData(_) | Look::GetChildren { .. } => Permissions::READ,
    }
}

/// How many steps it takes to arm a watch by what a probe has found.
const PROBED_STEPS: u32 = 4;

/// When each znode changed last, and whether the caller may know.
pub(super) fn probe(
    view: &mut View<'_, Volery>,
    caller: &Caller,
    paths: &[Arc<str>],
) -> Result<Reply, Interrupt> {
    let mut found: Vec<Option<Found>> = view.resume().unwrap_or_default();
    for path in &paths[found.len()..] {
        if view.is_spent() {
            return Err(view.pause(found));
        }
        view.spend(PROBED_STEPS);
        found.push(read_facts(view, path)?.map(|Facts { mzxid, pzxid, acl, .. }| Found {
            mzxid,
            pzxid,
            readable: acl::allows(&acl, Permissions::READ, caller),
        }));
    }
    Ok(Reply::Probed(found))
}

/// The paths of the session's ephemerals that begin with a prefix, where one partition holds all.
pub(super) fn ephemerals(
    view: &mut View<'_, Volery>,
    session: Option<SessionId>,
    prefix: &str,
) -> Result<WireReply, Stop> {
    let Some(session) = session else { return Err(ErrorCode::SessionExpired.into()) };
    Ok(listed(ephemerals_here(view, session, prefix)?)?)
}

/// The paths of a session's ephemerals of the partition where this runs that begin with a prefix, in order.
pub(super) fn ephemerals_here(
    view: &mut View<'_, Volery>,
    session: SessionId,
    prefix: &str,
) -> Result<Names, Interrupt> {
    let (mut names, mut behind) = view.resume::<(NamesBuilder, Arc<str>)>().unwrap_or_default();
    loop {
        let key = Key::Ephemerals(view.partition(), session, behind);
        let paths = view.read_here(&key).map(Value::into_names);
        let paths = paths.as_deref().unwrap_or_default();
        paths.iter().filter(|path| begins_with(path, prefix)).for_each(|path| names.push(path));
        view.spend(paths.len() as u32);
        match paths.last().filter(|_| paths.len() == PATHS_MAX && names.wire_bytes() <= REPLY_BYTES_MAX) {
            None => return Ok(names.build()),
            Some(last) if view.is_spent() => return Err(view.pause((names, last.clone()))),
            Some(last) => behind = last.clone(),
        }
    }
}

/// Whether a path begins with the prefix that getEphemerals asks for.
pub(super) fn begins_with(path: &str, prefix: &str) -> bool {
    matches!(prefix.trim(), "" | "/") || path.starts_with(prefix)
}

/// The reply that lists paths, if one can carry them.
pub(super) fn listed(paths: Names) -> Result<WireReply, ErrorCode> {
    let reply = WireReply::Names(paths);
    if reply.bytes() > REPLY_BYTES_MAX { Err(ErrorCode::MarshallingError) } else { Ok(reply) }
}

/// How many znodes are below one, wherever they live.
pub(super) fn count_descendants(
    view: &mut View<'_, Volery>,
    caller: &Caller,
    path: &Arc<str>,
) -> Result<WireReply, Stop> {
    let facts = Tree::beyond(view, Zxid::ZERO).facts(path)?;
    acl::check(&facts.acl, Permissions::READ, caller)?;
    let mut count = 0;
    for partition in everywhere(view) {
        count += view.read(&Key::Descendants(partition, path.clone()))?.map_or(0, Value::into_count);
    }
    Ok(WireReply::Count(i32::try_from(count).unwrap_or(i32::MAX)))
}

fn everywhere(view: &View<'_, Volery>) -> impl Iterator<Item = PartitionId> + use<> {
    PartitionId::all(view.oracle().partitions())
}
