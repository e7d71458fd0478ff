//! Removing znodes that go by themselves.

use crate::command::Reply;
use crate::execute::tree::{Tree, read_facts};
use crate::faults::REAPED_THOUGH_CHANGED;
use crate::path;
use crate::service::Volery;
use crate::zxid::Zxid;
use eyrie::{Interrupt, View};
use std::sync::Arc;

/// Removes a container or TTL znode that its partition's leader has found due, if nothing has happened to it since. What was
/// due stays due, so the order decides, as at the end of a session, and no time is looked at.
pub(super) fn reap(
    view: &mut View<'_, Volery>,
    path: &Arc<str>,
    mzxid: Zxid,
    pzxid: Zxid,
) -> Result<Reply, Interrupt> {
    let parent: Arc<str> = path::parent(path).unwrap_or(path::ROOT).into();
    let (facts, parent_facts) = (read_facts(view, path)?, read_facts(view, &parent)?);
    if let (Some(facts), Some(parent_facts)) = (facts, parent_facts)
        && facts.lifetime_ms().is_some()
        && ((facts.mzxid, facts.pzxid) == (mzxid, pzxid) || REAPED_THOUGH_CHANGED.is_planted())
    {
        let newest = facts.newest().max(parent_facts.newest());
        Tree::beyond(view, newest).remove(path, &facts, parent_facts);
    }
    Ok(Reply::Done)
}
