//! Creating a znode.

use crate::acl;
use crate::execute::Stop;
use crate::execute::change::{Asker, data_length};
use crate::execute::tree::Tree;
use crate::faults::NUMBERED_BY_CHILDREN;
use crate::path;
use crate::session::SessionId;
use crate::wire::{Acl, CreateMode, ErrorCode, Permissions, Stat};
use crate::znode::{Facts, Kind, TTL_MS_MAX};
use bytes::Bytes;
use std::sync::Arc;

/// Creates a znode; its final path and its Stat.
pub(super) fn create(
    tree: &mut Tree<'_, '_>,
    asker: Asker<'_>,
    path: &Arc<str>,
    data: Option<Bytes>,
    list: &[Acl],
    mode: CreateMode,
) -> Result<(Arc<str>, Stat), Stop> {
    let kind = kind(mode, asker.session)?;
    let (parent, _) = path::split(path).filter(|_| !path.contains('\0')).ok_or(ErrorCode::BadArguments)?;
    let parent: Arc<str> = parent.into();
    let list = acl::resolve(list, asker.caller)?;
    let parent_facts = tree.facts(&parent)?;
    acl::check(&parent_facts.acl, Permissions::CREATE, asker.caller)?;
    let planted = NUMBERED_BY_CHILDREN.is_planted();
    let number = if planted { parent_facts.num_children } else { parent_facts.creates };
    let path = numbered(path, mode, number);
    path::validate(&path)?;
    if &*path == path::ROOT || tree.has_child(&parent, &path::name(&path).into())? {
        return Err(ErrorCode::NodeExists.into());
    }
    if parent_facts.owner().is_some() {
        return Err(ErrorCode::NoChildrenForEphemerals.into());
    }
    let list = share(list, &parent_facts.acl);
    let facts = Facts {
        data_length: data_length(data.as_ref()),
        ..Facts::new(tree.zxid(), tree.time_ms(), kind, list)
    };
    let stat = facts.stat();
    tree.insert(&path, facts, data, parent_facts);
    Ok((path, stat))
}

/// When the new znode will go: BadArguments if it is to live for no time or too long a time.
fn kind(mode: CreateMode, session: Option<SessionId>) -> Result<Kind, ErrorCode> {
    match mode {
        CreateMode::Persistent | CreateMode::PersistentSequential => Ok(Kind::Persistent),
        CreateMode::Container => Ok(Kind::Container),
        CreateMode::Ttl(ttl_ms) | CreateMode::TtlSequential(ttl_ms) => match ttl_ms {
            1..=TTL_MS_MAX => Ok(Kind::Ttl(ttl_ms as u64)),
            _ => Err(ErrorCode::BadArguments),
        },
        CreateMode::Ephemeral | CreateMode::EphemeralSequential => {
            session.map(Kind::Ephemeral).ok_or(ErrorCode::SessionExpired)
        }
    }
}

/// The path with the parent's number of creates behind it, if the mode asks for that.
fn numbered(path: &Arc<str>, mode: CreateMode, creates: i32) -> Arc<str> {
    if mode.is_sequential() { format!("{path}{creates:010}").into() } else { path.clone() }
}

/// The parent's list in place of an equal one: most trees have few different ones.
fn share(list: Vec<Acl>, parents: &Arc<[Acl]>) -> Arc<[Acl]> {
    if **parents == *list { parents.clone() } else { list.into() }
}
