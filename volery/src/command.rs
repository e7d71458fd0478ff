//! Commands: what Volery's partitions execute. The gateway makes them of what clients ask.

#![expect(missing_docs, reason = "what a variant says of itself, it says of its fields")]

use crate::acl::{Caller, Readers};
use crate::session::{Password, SessionId};
use crate::wire::{Acl, CreateMode, ErrorCode, Names, OpResult, Reply as WireReply};
use crate::zxid::Zxid;
use bytes::Bytes;
use eyrie::{Destinations, Epoch, PartitionId};
use serde::{Deserialize, Deserializer, Serialize};
use std::sync::Arc;

/// An operation on znodes, as one session asks for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Operation {
    /// Changes the tree, or checks it.
    Change(Change),
    /// Several changes: all or none.
    Multi(Vec<Change>),
    /// Looks at the tree.
    Look(Look),
    /// Several looks, at one point of the order; each fails or succeeds by itself.
    MultiRead(Vec<Look>),
    /// The paths of the session's ephemerals that begin with a prefix.
    GetEphemerals(Arc<str>),
    /// How many descendants a znode has.
    CountDescendants(Arc<str>),
    /// Nothing: what is answered after it, comes after it.
    Sync(Arc<str>),
    /// When each of these znodes changed last, or that it is absent: what re-arming watches needs to know.
    Probe(Vec<Arc<str>>),
    /// Several operations of one session, one after the other, each on what those before it left: as if asked for one by
    /// one, with nothing between. Only those that fit ([`fits_a_burst`](Operation::fits_a_burst)).
    Burst(#[serde(deserialize_with = "read_burst")] Vec<Operation>),
}

/// What may stand in a burst, as it is read: all operations but bursts, which would make reading recursive without a bound. The
/// variants and their order are those of [`Operation`].
#[derive(Deserialize)]
enum Single {
    Change(Change),
    Multi(Vec<Change>),
    Look(Look),
    MultiRead(Vec<Look>),
    GetEphemerals(Arc<str>),
    CountDescendants(Arc<str>),
    Sync(Arc<str>),
    Probe(Vec<Arc<str>>),
}

impl From<Single> for Operation {
    fn from(single: Single) -> Operation {
        match single {
            Single::Change(change) => Operation::Change(change),
            Single::Multi(changes) => Operation::Multi(changes),
            Single::Look(look) => Operation::Look(look),
            Single::MultiRead(looks) => Operation::MultiRead(looks),
            Single::GetEphemerals(prefix) => Operation::GetEphemerals(prefix),
            Single::CountDescendants(path) => Operation::CountDescendants(path),
            Single::Sync(path) => Operation::Sync(path),
            Single::Probe(paths) => Operation::Probe(paths),
        }
    }
}

fn read_burst<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Operation>, D::Error> {
    Ok(Vec::<Single>::deserialize(from)?.into_iter().map(Operation::from).collect())
}

impl Operation {
    /// Whether it may be part of a burst: its failure takes nothing back, and it sees what those before it have done. The names
    /// of children are not kept up within a command.
    pub fn fits_a_burst(&self) -> bool {
        match self {
            Operation::Look(look) => !matches!(look, Look::GetChildren { .. }),
            Operation::Change(_) | Operation::Sync(_) => true,
            _ => false,
        }
    }

    /// Whether it changes nothing, and each partition can answer its share alone: over several partitions no value of it
    /// crosses from one to another.
    pub fn only_reads(&self) -> bool {
        match self {
            Operation::Look(_)
            | Operation::MultiRead(_)
            | Operation::GetEphemerals(_)
            | Operation::CountDescendants(_) => true,
            Operation::Change(_)
            | Operation::Multi(_)
            | Operation::Sync(_)
            | Operation::Probe(_)
            | Operation::Burst(_) => false,
        }
    }

    /// Whether each partition answers its share of it.
    pub fn is_answered_in_parts(&self) -> bool {
        self.only_reads() || matches!(self, Operation::Burst(_))
    }

    /// Roughly how many bytes it takes.
    pub fn bytes(&self) -> usize {
        match self {
            Operation::Change(change) => change.bytes(),
            Operation::Multi(changes) => changes.iter().map(Change::bytes).sum(),
            Operation::Look(look) => look.path().len(),
            Operation::MultiRead(looks) => looks.iter().map(|look| look.path().len()).sum(),
            Operation::GetEphemerals(path) | Operation::CountDescendants(path) | Operation::Sync(path) => {
                path.len()
            }
            Operation::Probe(paths) => paths.iter().map(|path| path.len()).sum(),
            Operation::Burst(operations) => operations.iter().map(Operation::bytes).sum(),
        }
    }
}

/// One change of the tree. Versions of −1 match any.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Change {
    /// Creates a znode; `with_stat` is what the answer carries.
    Create { path: Arc<str>, data: Option<Bytes>, acl: Vec<Acl>, mode: CreateMode, with_stat: bool },
    /// Deletes a znode without children.
    Delete { path: Arc<str>, version: i32 },
    /// Sets a znode's data.
    SetData { path: Arc<str>, data: Option<Bytes>, version: i32 },
    /// Sets a znode's access-control list.
    SetAcl { path: Arc<str>, acl: Vec<Acl>, version: i32 },
    /// Changes nothing; fails unless the version matches.
    Check { path: Arc<str>, version: i32 },
}

impl Change {
    /// Roughly how many bytes it takes.
    fn bytes(&self) -> usize {
        let data_bytes = |data: &Option<Bytes>| data.as_ref().map_or(0, Bytes::len);
        let acl_bytes = |acl: &[Acl]| acl.iter().map(Acl::bytes).sum::<usize>();
        match self {
            Change::Create { path, data, acl, .. } => path.len() + data_bytes(data) + acl_bytes(acl),
            Change::Delete { path, .. } | Change::Check { path, .. } => path.len(),
            Change::SetData { path, data, .. } => path.len() + data_bytes(data),
            Change::SetAcl { path, acl, .. } => path.len() + acl_bytes(acl),
        }
    }
}

/// One look at the tree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Look {
    /// The stat of a znode.
    Exists(Arc<str>),
    /// Its data and stat.
    GetData(Arc<str>),
    /// Its access-control list and stat.
    GetAcl(Arc<str>),
    /// Its children's names, with its stat if `with_stat`.
    GetChildren { path: Arc<str>, with_stat: bool },
}

impl Look {
    /// The znode it is about.
    pub fn path(&self) -> &Arc<str> {
        match self {
            Look::Exists(path)
            | Look::GetData(path)
            | Look::GetAcl(path)
            | Look::GetChildren { path, .. } => path,
        }
    }
}

/// What partitions execute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// An operation of a session that is attached at every destination. Submitted by the session.
    Operate { caller: Caller, operation: Operation },
    /// Opens a session at its home. Submitted by a node, as is everything below.
    CreateSession { session: SessionId, password: Password, timeout_ms: u32 },
    /// A session's first operation at some partitions: attaches it there. Over its home and all destinations. One that is
    /// answered in parts is not executed: it is asked for again once the session is attached.
    Attach { session: SessionId, epoch: Epoch, caller: Caller, operation: Operation },
    /// A client is back, at whichever gateway. Over the session's home and wherever it is attached.
    Move { session: SessionId, password: Password, timeout_ms: u32 },
    /// The client closes its session. Over the session's home and wherever it is attached.
    Close { session: SessionId, epoch: Epoch },
    /// The client was not heard of for too long, says the home's leader of this reign; void if it has moved since, or another
    /// reign has begun. Over home and wherever it is attached.
    Expire { session: SessionId, epoch: Epoch, reign: Epoch },
    /// Removes a container or TTL znode that is due, unless something has happened to it: `pzxid` and `mzxid` tell.
    Reap { path: Arc<str>, mzxid: Zxid, pzxid: Zxid },
    /// Does nothing, but that later commands of the partition have greater zxids than its submitter has seen.
    Advance { partition: PartitionId },
    /// Another reign begins at a partition: what the leader of an earlier one has ordered for sessions at home there and is
    /// not executed yet, is void.
    Reign { partition: PartitionId },
}

/// The result of one operation of a burst: its zxid where it changed something, and what it is answered.
pub type BurstResult = (Zxid, Result<WireReply, ErrorCode>);

/// One partition's share of the answer to an operation over several partitions that only reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Part {
    /// Of a multiRead: the results of the looks at this partition's znodes, with their places in the request.
    Results(Vec<(u32, OpResult)>),
    /// Paths of this partition.
    Names(Names),
    /// How many znodes it has.
    Count(u64),
    /// The operation fails, whatever other partitions say.
    Failed(ErrorCode),
    /// The reply, whole.
    Whole(WireReply),
    /// Nothing: other partitions say it.
    Nothing,
}

impl Part {
    /// How many bytes it takes on the wire, roughly.
    fn bytes(&self) -> usize {
        match self {
            Part::Results(results) => results.iter().map(|(_, result)| result.bytes()).sum(),
            Part::Names(names) => names.wire_bytes(),
            Part::Whole(reply) => reply.bytes(),
            Part::Count(_) | Part::Failed(_) | Part::Nothing => 0,
        }
    }
}

/// What a command is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reply {
    /// An operation's result. The zxid is the command's, where it changed something.
    Operation { zxid: Zxid, result: Result<WireReply, ErrorCode> },
    /// A burst's results, one by one: zxid and result as an operation's. Each partition leaves out the looks at znodes
    /// elsewhere.
    Burst(Vec<Option<BurstResult>>),
    /// A partition's share of the answer to an operation that only reads.
    Part(Part),
    /// The session is attached, and its first operation, which is answered in parts, may be asked for.
    Attached,
    /// What a probe found, path by path; nothing where there is no znode.
    Probed(Vec<Option<Found>>),
    /// The session is open here and there: in this epoch, with this timeout, attached at these partitions.
    Session { epoch: Epoch, timeout_ms: u32, attached: Destinations },
    /// There is no such session, or the password is another's.
    NoSession,
    /// The session has moved on.
    SessionMoved,
    /// The number of the reign that has begun, or for an expiry that is void the current one's.
    Reign(Epoch),
    /// It is done, or there was nothing to do.
    Done,
}

impl Reply {
    /// How many bytes it takes on the wire, roughly.
    pub fn bytes(&self) -> usize {
        let of_result = |result: &Result<WireReply, ErrorCode>| result.as_ref().map_or(0, WireReply::bytes);
        match self {
            Reply::Operation { result, .. } => of_result(result),
            Reply::Burst(results) => results.iter().flatten().map(|(_, result)| of_result(result)).sum(),
            Reply::Part(part) => part.bytes(),
            Reply::Probed(found) => size_of_val(found.as_slice()),
            Reply::Attached
            | Reply::Session { .. }
            | Reply::NoSession
            | Reply::SessionMoved
            | Reply::Reign(_)
            | Reply::Done => 0,
        }
    }
}

/// A znode as a probe finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// The last change of its data.
    pub mzxid: Zxid,
    /// The last change of its set of children.
    pub pzxid: Zxid,
    /// Whether the caller may read it.
    pub readable: bool,
}

/// What partitions tell those who watch. A znode's event carries the list that says who may read the znode: of a created one
/// the list that it was created with, of a deleted one its last. None where everybody may, which is most often so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A znode of this partition was created.
    Created { path: Arc<str>, zxid: Zxid, readers: Readers },
    /// A znode of this partition was deleted.
    Deleted { path: Arc<str>, zxid: Zxid, readers: Readers },
    /// A znode of this partition has new data.
    DataChanged { path: Arc<str>, zxid: Zxid, readers: Readers },
    /// The children of a znode of this partition changed.
    ChildrenChanged { path: Arc<str>, zxid: Zxid, readers: Readers },
    /// A session whose home this is was opened, or moved, and is now in this epoch.
    SessionOpened { session: SessionId, epoch: Epoch, timeout_ms: u32 },
    /// A session whose home this is has ended.
    SessionClosed { session: SessionId },
}

#[cfg(test)]
mod tests {
    use super::*;
    use eyrie::{NodeId, Past, Request};

    type Asked = Request<crate::service::Volery>;

    fn bytes(operation: Operation) -> Bytes {
        let caller = Caller::from([127, 0, 0, 1].into());
        let command = Command::Operate { caller, operation };
        Asked::encode(&Request { origin: NodeId(0), acknowledged: 0, past: Past::default(), command })
    }

    fn sync() -> Operation {
        Operation::Sync("/".into())
    }

    #[test]
    fn a_burst_is_read_and_a_burst_within_one_is_not() {
        let burst = Operation::Burst(vec![sync(), Operation::Look(Look::Exists("/a".into()))]);
        let asked = Asked::decode(&bytes(burst.clone())).expect("a burst");
        assert!(matches!(asked.command, Command::Operate { operation, .. } if operation == burst));
        assert!(Asked::decode(&bytes(Operation::Burst(vec![burst]))).is_none());
    }

    /// What nests as deep as a message is long would overflow the stack of whoever reads it.
    #[test]
    fn bursts_within_bursts_without_end_are_refused() {
        let whole = bytes(Operation::Burst(vec![sync()]));
        let (head, _) = whole.split_at(whole.len() - 3);
        assert_eq!(whole[head.len()..], [6, 1, b'/'], "a sync stands last");
        let nested = [head, &[8, 1].repeat(1 << 20)].concat();
        assert!(Asked::decode(&nested).is_none());
    }
}
