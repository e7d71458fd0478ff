//! The life of a session: opened at its home, attached where it operates, moved between gateways, ended everywhere.
//!
//! Each of these commands runs over the session's home, where its record is, and where it is attached. The record tells
//! which partitions these are; a command that was sent to fewer asks for the rest. One that was sent to more leaves them
//! as they are.

use crate::branches::{EXPIRY_VOID_BY_EPOCH, EXPIRY_VOID_BY_TERM};
use crate::command::{Event, Reply};
use crate::execute::tree::{Tree, parent_and_name, zxid_beyond};
use crate::faults::{EPHEMERALS_AT_HOME, EXPIRED_IN_ANY_REIGN, EXPIRY_OF_ANY_EPOCH};
use crate::key::{Key, Value};
use crate::service::Volery;
use crate::session::{Password, SessionId, SessionRecord};
use crate::variables::PATHS_MAX;
use crate::zxid::Zxid;
use eyrie::{ClientId, Destinations, Epoch, Interrupt, PartitionId, View};
use std::sync::Arc;

fn record(view: &mut View<'_, Volery>, session: SessionId) -> Result<Option<SessionRecord>, Interrupt> {
    Ok(view.read(&Key::Session(session))?.map(Value::into_session))
}

/// Opens a session. Done again with the same password it changes nothing; an id that is taken, or is no session's, is
/// refused.
pub(super) fn create(
    view: &mut View<'_, Volery>,
    session: SessionId,
    password: Password,
    timeout_ms: u32,
) -> Result<Reply, Interrupt> {
    let known = record(view, session)?;
    if session.0 == 0 || eyrie::is_node(ClientId(session.0)) {
        return Ok(Reply::NoSession);
    }
    if let Some(known) = known {
        return Ok(if known.password == password { reply(&known) } else { Reply::NoSession });
    }
    let home = session.home(view.oracle().partitions());
    let record = SessionRecord { epoch: 0, timeout_ms, password, attached: home.into() };
    let reply = reply(&record);
    admit(view, session, record);
    Ok(reply)
}

/// Attaches a session at all destinations and executes its first operation there.
pub(super) fn attach(
    view: &mut View<'_, Volery>,
    session: SessionId,
    epoch: Epoch,
    operate: impl FnOnce(&mut View<'_, Volery>) -> Result<Reply, Interrupt>,
) -> Result<Reply, Interrupt> {
    let Some(mut record) = record(view, session)? else {
        view.close_client(ClientId(session.0));
        return Ok(Reply::NoSession);
    };
    if record.epoch != epoch {
        return Ok(Reply::SessionMoved);
    }
    // A multi that fails drops all writes before it, so it goes first.
    let reply = operate(view)?;
    record.attached = record.attached.union(view.origin().destinations);
    open_here(view, session, epoch);
    view.write(Key::Session(session), Value::Session(record));
    Ok(reply)
}

/// Moves a session to whoever shows its password: its earlier epoch is over, everywhere.
pub(super) fn go(
    view: &mut View<'_, Volery>,
    session: SessionId,
    password: Password,
    timeout_ms: u32,
) -> Result<Reply, Interrupt> {
    let Some(known) = record(view, session)?.filter(|known| known.password == password) else {
        return Ok(Reply::NoSession);
    };
    view.need(known.attached)?;
    let record = SessionRecord { epoch: known.epoch + 1, timeout_ms, ..known };
    let reply = reply(&record);
    admit(view, session, record);
    Ok(reply)
}

/// Begins another reign of a partition.
pub(super) fn reign(view: &mut View<'_, Volery>, partition: PartitionId) -> Result<Reply, Interrupt> {
    let number = current_reign(view, partition)? + 1;
    view.write(Key::Reign(partition), Value::Epoch(number));
    Ok(Reply::Reign(number))
}

fn current_reign(view: &mut View<'_, Volery>, partition: PartitionId) -> Result<Epoch, Interrupt> {
    Ok(view.read(&Key::Reign(partition))?.map_or(0, Value::into_epoch))
}

/// Ends a session of which its home's leader has not heard, if that one's reign still is the current one: a later leader may
/// have heard of the client, and have told it so.
pub(super) fn expire(
    view: &mut View<'_, Volery>,
    session: SessionId,
    epoch: Epoch,
    reign: Epoch,
) -> Result<Reply, Interrupt> {
    let home = session.home(view.oracle().partitions());
    let current = current_reign(view, home)?;
    if current != reign && !EXPIRED_IN_ANY_REIGN.is_planted() {
        EXPIRY_VOID_BY_TERM.reached();
        return Ok(Reply::Reign(current));
    }
    end(view, session, epoch)
}

/// Ends a session, unless it has moved on, and with it all its ephemerals, under one zxid.
///
/// No partition tells which znodes these are. Each tells a zxid that nothing of what it is going to change is newer than, so that
/// all come to the same zxid; then each removes its own, and takes the children from its own parents. It settles after each
/// page of them: a session may have hundreds of thousands.
pub(super) fn end(view: &mut View<'_, Volery>, session: SessionId, epoch: Epoch) -> Result<Reply, Interrupt> {
    let Some(record) = record(view, session)? else { return Ok(Reply::NoSession) };
    if record.epoch != epoch && !EXPIRY_OF_ANY_EPOCH.is_planted() {
        EXPIRY_VOID_BY_EPOCH.reached();
        return Ok(Reply::SessionMoved);
    }
    view.need(record.attached)?;
    let zxid = match view.resume() {
        Some(zxid) => zxid,
        None => end_zxid(view, session, record.attached)?,
    };
    let here = view.partition();
    let home = session.home(view.oracle().partitions());
    if record.attached.contains(here) && !(EPHEMERALS_AT_HOME.is_planted() && here != home) {
        remove_ephemerals(view, session, zxid)?;
        view.remove(Key::Attachment(here, session));
    }
    view.remove(Key::Session(session));
    view.close_client(ClientId(session.0));
    if view.is_local(&Key::Session(session)) {
        view.tell(Event::SessionClosed { session });
    }
    Ok(Reply::Done)
}

/// The zxid of a session's end.
fn end_zxid(
    view: &mut View<'_, Volery>,
    session: SessionId,
    attached: Destinations,
) -> Result<Zxid, Interrupt> {
    let mut newest = Zxid::ZERO;
    for partition in attached.iter() {
        let owned = view.read(&Key::Owned(partition, session))?;
        newest = newest.max(owned.map_or(Zxid::ZERO, Value::into_newest));
    }
    Ok(zxid_beyond(view, newest))
}

/// Removes a session's ephemerals that live here, and takes those from their parents whose parents live here.
fn remove_ephemerals(view: &mut View<'_, Volery>, session: SessionId, zxid: Zxid) -> Result<(), Interrupt> {
    let (here, first) = (view.partition(), Arc::<str>::from(""));
    let mut tree = Tree::under(view, zxid);
    let paths = tree.names_here(&Key::Ephemerals(here, session, first.clone()));
    for path in paths.iter() {
        if let Some(facts) = tree.facts_here(path) {
            tree.remove_znode(path, &facts);
        }
    }
    if paths.len() == PATHS_MAX {
        return Err(tree.settle(zxid));
    }
    let paths = tree.names_here(&Key::EphemeralChildren(here, session, first));
    for path in paths.iter() {
        let (parent, name) = parent_and_name(path);
        if let Some(parent_facts) = tree.facts_here(&parent) {
            tree.remove_child(&parent, name, parent_facts);
        }
    }
    if paths.len() == PATHS_MAX { Err(tree.settle(zxid)) } else { Ok(()) }
}

/// Writes a session's record, opens the session wherever it is attached, and tells its home.
fn admit(view: &mut View<'_, Volery>, session: SessionId, record: SessionRecord) {
    let SessionRecord { epoch, timeout_ms, attached, .. } = record;
    if attached.contains(view.partition()) {
        open_here(view, session, epoch);
    }
    if view.is_local(&Key::Session(session)) {
        view.tell(Event::SessionOpened { session, epoch, timeout_ms });
    }
    view.write(Key::Session(session), Value::Session(record));
}

fn open_here(view: &mut View<'_, Volery>, session: SessionId, epoch: Epoch) {
    view.write(Key::Attachment(view.partition(), session), Value::Epoch(epoch));
    view.open_client(ClientId(session.0), epoch);
}

fn reply(record: &SessionRecord) -> Reply {
    let SessionRecord { epoch, timeout_ms, attached, .. } = *record;
    Reply::Session { epoch, timeout_ms, attached }
}
