//! Deleting a znode.

use crate::acl::{self, Caller};
use crate::execute::Stop;
use crate::execute::change::check_version;
use crate::execute::tree::Tree;
use crate::path;
use crate::wire::{ErrorCode, OpResult, Permissions};
use std::sync::Arc;

/// Deletes a znode without children.
pub(super) fn delete(
    tree: &mut Tree<'_, '_>,
    caller: &Caller,
    path: &Arc<str>,
    version: i32,
) -> Result<OpResult, Stop> {
    let (parent, _) = path::split(path).ok_or(ErrorCode::BadArguments)?;
    if path.contains('\0') || path::is_special(path) {
        return Err(ErrorCode::BadArguments.into());
    }
    let parent_facts = tree.facts(&parent.into())?;
    acl::check(&parent_facts.acl, Permissions::DELETE, caller)?;
    let facts = tree.facts(path)?;
    check_version(facts.version, version)?;
    if facts.num_children > 0 {
        return Err(ErrorCode::NotEmpty.into());
    }
    tree.remove(path, &facts, parent_facts);
    Ok(OpResult::Deleted)
}
