//! What clients ask for.

use super::multi::{put_multi_ops, put_read_ops, read_list};
use super::{Acl, AddWatchMode, Check, Create, Delete, Malformed, MultiOp, OpCode, ReadOp, Reader, Record};
use super::{RequestHeader, SetData, WatcherType, put_bool, put_buffer, put_string, put_vector, write_frame};
use bytes::{BufMut, Bytes, BytesMut};
use std::sync::Arc;
use thiserror::Error;

/// A request, one variant per operation; the four that create are one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Creates a znode.
    Create(Create),
    /// Deletes a znode.
    Delete(Delete),
    /// Reads a znode's Stat.
    Exists {
        /// The path.
        path: Arc<str>,
        /// Whether to tell of the next change of the data or of the existence.
        watch: bool,
    },
    /// Reads a znode's data and Stat.
    GetData {
        /// The path.
        path: Arc<str>,
        /// Whether to tell of the next change.
        watch: bool,
    },
    /// Replaces a znode's data.
    SetData(SetData),
    /// Reads a znode's ACL and Stat.
    GetAcl {
        /// The path.
        path: Arc<str>,
    },
    /// Replaces a znode's ACL.
    SetAcl {
        /// The path.
        path: Arc<str>,
        /// The new ACL. An empty one is invalid.
        acl: Vec<Acl>,
        /// The version that the ACL must have; -1 is any.
        version: i32,
    },
    /// Lists the children's names.
    GetChildren {
        /// The path.
        path: Arc<str>,
        /// Whether to tell of the next child created or deleted.
        watch: bool,
    },
    /// Lists the children's names, with the parent's Stat.
    GetChildren2 {
        /// The path.
        path: Arc<str>,
        /// Whether to tell of the next child created or deleted.
        watch: bool,
    },
    /// Lets this session's later reads see everything written before.
    Sync {
        /// A path, which is answered.
        path: Arc<str>,
    },
    /// Keeps the session alive.
    Ping,
    /// Checks a znode's version. ZooKeeper serves it within a multi only.
    Check(Check),
    /// All of these or none.
    Multi(Vec<MultiOp>),
    /// Each of these by itself.
    MultiRead(Vec<ReadOp>),
    /// Changes the ensemble.
    Reconfig(Reconfig),
    /// Asks whether a watch is set.
    CheckWatches {
        /// The path.
        path: Arc<str>,
        /// The kind of watch.
        kind: WatcherType,
    },
    /// Takes a watch away.
    RemoveWatches {
        /// The path.
        path: Arc<str>,
        /// The kind of watch.
        kind: WatcherType,
    },
    /// Adds an identity to the connection.
    Auth {
        /// Always 0.
        kind: i32,
        /// The scheme, such as `digest`.
        scheme: String,
        /// The credentials, in the scheme's own form.
        auth: Bytes,
    },
    /// Arms watches again after a reconnect: setWatches or setWatches2.
    SetWatches(SetWatches),
    /// One step of a SASL exchange.
    Sasl {
        /// The client's token.
        token: Option<Bytes>,
    },
    /// Lists this session's ephemeral znodes.
    GetEphemerals {
        /// What their paths begin with; empty is anything.
        prefix: Arc<str>,
    },
    /// Counts all descendants.
    GetAllChildrenNumber {
        /// The path.
        path: Arc<str>,
    },
    /// Sets a watch that stays.
    AddWatch {
        /// The path.
        path: Arc<str>,
        /// What it covers.
        mode: AddWatchMode,
    },
    /// Lists the identities of the connection.
    WhoAmI,
    /// Ends the session.
    CloseSession,
}

/// A change of the ensemble: either `members`, or what joins and leaves. Here null and empty differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconfig {
    /// Servers to add or change, separated by commas.
    pub joining: Option<Arc<str>>,
    /// Ids of servers to remove, separated by commas.
    pub leaving: Option<Arc<str>>,
    /// All servers of the new ensemble, separated by commas.
    pub members: Option<Arc<str>>,
    /// The configuration it must replace; -1 is any.
    pub config_id: i64,
}

/// The watches that a client had before it lost its server. Each fires at once if its path has changed since.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetWatches {
    /// The zxid up to which the client has seen the changes.
    pub relative_zxid: i64,
    /// Watches on data.
    pub data: Vec<Arc<str>>,
    /// Watches on the existence of znodes that did not exist.
    pub exist: Vec<Arc<str>>,
    /// Watches on children.
    pub child: Vec<Arc<str>>,
    /// Persistent watches, which only setWatches2 has.
    pub persistent: Vec<Arc<str>>,
    /// Persistent watches of subtrees, which only setWatches2 has.
    pub persistent_recursive: Vec<Arc<str>>,
}

/// Why a request cannot be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadRequest {
    /// No operation of this number is for clients. The answer is Unimplemented.
    #[error("operation {0} is not for clients")]
    Unimplemented(i32),
    /// The body is not what the operation takes.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

impl SetWatches {
    fn read(reader: &mut Reader) -> Result<SetWatches, Malformed> {
        Ok(SetWatches {
            relative_zxid: reader.long()?,
            data: reader.vector()?,
            exist: reader.vector()?,
            child: reader.vector()?,
            ..SetWatches::default()
        })
    }

    fn read_2(reader: &mut Reader) -> Result<SetWatches, Malformed> {
        let one_shot = SetWatches::read(reader)?;
        Ok(SetWatches { persistent: reader.vector()?, persistent_recursive: reader.vector()?, ..one_shot })
    }

    /// The older operation serves as long as there is nothing that only the newer one can say.
    fn op(&self) -> OpCode {
        let one_shot = self.persistent.is_empty() && self.persistent_recursive.is_empty();
        if one_shot { OpCode::SetWatches } else { OpCode::SetWatches2 }
    }

    fn write(&self, output: &mut BytesMut) {
        output.put_i64(self.relative_zxid);
        put_vector(output, &self.data);
        put_vector(output, &self.exist);
        put_vector(output, &self.child);
        if self.op() == OpCode::SetWatches2 {
            put_vector(output, &self.persistent);
            put_vector(output, &self.persistent_recursive);
        }
    }
}

impl Record for Reconfig {
    const BYTES_MIN: usize = 20;

    fn read(reader: &mut Reader) -> Result<Self, Malformed> {
        Ok(Reconfig {
            joining: reader.string_or_null()?,
            leaving: reader.string_or_null()?,
            members: reader.string_or_null()?,
            config_id: reader.long()?,
        })
    }

    fn write(&self, output: &mut BytesMut) {
        for servers in [&self.joining, &self.leaving, &self.members] {
            put_buffer(output, servers.as_deref().map(str::as_bytes));
        }
        output.put_i64(self.config_id);
    }
}

impl Request {
    /// Reads a request's body, given the operation's number from its header.
    pub fn read(op: i32, reader: &mut Reader) -> Result<Request, BadRequest> {
        let op = OpCode::try_from(op).map_err(|unknown| BadRequest::Unimplemented(unknown.number))?;
        Ok(match op {
            OpCode::Create | OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl => {
                Request::Create(Create::read(op, reader)?)
            }
            OpCode::Delete => Request::Delete(reader.record()?),
            OpCode::Exists => Request::Exists { path: reader.string()?, watch: reader.bool()? },
            OpCode::GetData => Request::GetData { path: reader.string()?, watch: reader.bool()? },
            OpCode::SetData => Request::SetData(reader.record()?),
            OpCode::GetAcl => Request::GetAcl { path: reader.string()? },
            OpCode::SetAcl => {
                Request::SetAcl { path: reader.string()?, acl: reader.vector()?, version: reader.int()? }
            }
            OpCode::GetChildren => Request::GetChildren { path: reader.string()?, watch: reader.bool()? },
            OpCode::GetChildren2 => Request::GetChildren2 { path: reader.string()?, watch: reader.bool()? },
            OpCode::Sync => Request::Sync { path: reader.string()? },
            OpCode::Ping => Request::Ping,
            OpCode::Check => Request::Check(reader.record()?),
            OpCode::Multi => Request::Multi(read_list(reader, MultiOp::read)?),
            OpCode::MultiRead => Request::MultiRead(read_list(reader, ReadOp::read)?),
            OpCode::Reconfig => Request::Reconfig(reader.record()?),
            OpCode::CheckWatches => {
                Request::CheckWatches { path: reader.string()?, kind: watcher_type(reader)? }
            }
            OpCode::RemoveWatches => {
                Request::RemoveWatches { path: reader.string()?, kind: watcher_type(reader)? }
            }
            OpCode::Auth => Request::Auth {
                kind: reader.int()?,
                scheme: reader.string()?,
                auth: reader.buffer()?.unwrap_or_default(),
            },
            OpCode::SetWatches => Request::SetWatches(SetWatches::read(reader)?),
            OpCode::SetWatches2 => Request::SetWatches(SetWatches::read_2(reader)?),
            OpCode::Sasl => Request::Sasl { token: reader.buffer()? },
            OpCode::GetEphemerals => Request::GetEphemerals { prefix: reader.string()? },
            OpCode::GetAllChildrenNumber => Request::GetAllChildrenNumber { path: reader.string()? },
            OpCode::AddWatch => Request::AddWatch { path: reader.string()?, mode: add_watch_mode(reader)? },
            OpCode::WhoAmI => Request::WhoAmI,
            OpCode::CloseSession => Request::CloseSession,
            OpCode::Notification | OpCode::DeleteContainer | OpCode::CreateSession | OpCode::Error => {
                return Err(BadRequest::Unimplemented(op.number()));
            }
        })
    }

    /// Whether it asks for a watch; SetWatches, which brings back those of another connection, aside.
    pub fn asks_for_watch(&self) -> bool {
        match self {
            Request::Exists { watch, .. }
            | Request::GetData { watch, .. }
            | Request::GetChildren { watch, .. }
            | Request::GetChildren2 { watch, .. } => *watch,
            Request::AddWatch { .. } => true,
            _ => false,
        }
    }

    /// The operation under which it is sent.
    pub fn op(&self) -> OpCode {
        match self {
            Request::Create(create) => create.op(),
            Request::Delete(_) => OpCode::Delete,
            Request::Exists { .. } => OpCode::Exists,
            Request::GetData { .. } => OpCode::GetData,
            Request::SetData(_) => OpCode::SetData,
            Request::GetAcl { .. } => OpCode::GetAcl,
            Request::SetAcl { .. } => OpCode::SetAcl,
            Request::GetChildren { .. } => OpCode::GetChildren,
            Request::GetChildren2 { .. } => OpCode::GetChildren2,
            Request::Sync { .. } => OpCode::Sync,
            Request::Ping => OpCode::Ping,
            Request::Check(_) => OpCode::Check,
            Request::Multi(_) => OpCode::Multi,
            Request::MultiRead(_) => OpCode::MultiRead,
            Request::Reconfig(_) => OpCode::Reconfig,
            Request::CheckWatches { .. } => OpCode::CheckWatches,
            Request::RemoveWatches { .. } => OpCode::RemoveWatches,
            Request::Auth { .. } => OpCode::Auth,
            Request::SetWatches(watches) => watches.op(),
            Request::Sasl { .. } => OpCode::Sasl,
            Request::GetEphemerals { .. } => OpCode::GetEphemerals,
            Request::GetAllChildrenNumber { .. } => OpCode::GetAllChildrenNumber,
            Request::AddWatch { .. } => OpCode::AddWatch,
            Request::WhoAmI => OpCode::WhoAmI,
            Request::CloseSession => OpCode::CloseSession,
        }
    }

    /// Appends the body.
    pub fn write(&self, output: &mut BytesMut) {
        match self {
            Request::Create(create) => create.write(output),
            Request::Delete(delete) => delete.write(output),
            Request::SetData(set) => set.write(output),
            Request::Check(check) => check.write(output),
            Request::Exists { path, watch }
            | Request::GetData { path, watch }
            | Request::GetChildren { path, watch }
            | Request::GetChildren2 { path, watch } => {
                put_string(output, path);
                put_bool(output, *watch);
            }
            Request::GetAcl { path }
            | Request::Sync { path }
            | Request::GetEphemerals { prefix: path }
            | Request::GetAllChildrenNumber { path } => put_string(output, path),
            Request::SetAcl { path, acl, version } => {
                put_string(output, path);
                put_vector(output, acl);
                output.put_i32(*version);
            }
            Request::Multi(ops) => put_multi_ops(output, ops),
            Request::MultiRead(ops) => put_read_ops(output, ops),
            Request::Reconfig(reconfig) => reconfig.write(output),
            Request::CheckWatches { path, kind } | Request::RemoveWatches { path, kind } => {
                put_string(output, path);
                output.put_i32(kind.number());
            }
            Request::Auth { kind, scheme, auth } => {
                output.put_i32(*kind);
                put_string(output, scheme);
                put_buffer(output, Some(auth));
            }
            Request::SetWatches(watches) => watches.write(output),
            Request::Sasl { token } => put_buffer(output, token.as_deref()),
            Request::AddWatch { path, mode } => {
                put_string(output, path);
                output.put_i32(mode.number());
            }
            Request::Ping | Request::WhoAmI | Request::CloseSession => {}
        }
    }

    /// Appends the request as a frame, with its header.
    pub fn write_frame(&self, xid: i32, output: &mut BytesMut) {
        write_frame(output, |output| {
            RequestHeader { xid, op: self.op().number() }.write(output);
            self.write(output);
        });
    }
}

fn watcher_type(reader: &mut Reader) -> Result<WatcherType, Malformed> {
    Ok(WatcherType::try_from(reader.int()?)?)
}

fn add_watch_mode(reader: &mut Reader) -> Result<AddWatchMode, Malformed> {
    Ok(AddWatchMode::try_from(reader.int()?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Unknown;
    use crate::wire::arbitrary::{op_number, request};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_round_trips(request in request()) {
            let mut output = BytesMut::new();
            request.write(&mut output);
            let mut reader = Reader::new(output.freeze());
            prop_assert_eq!(Request::read(request.op().number(), &mut reader), Ok(request));
            prop_assert_eq!(reader.remaining(), 0);
        }

        #[test]
        fn arbitrary_bytes_never_panic(op in op_number(), bytes: Vec<u8>) {
            let _ = Request::read(op, &mut Reader::new(bytes.into()));
        }

        /// Bytes that are nearly right come further than arbitrary ones.
        #[test]
        fn one_wrong_byte_never_panics(request in request(), at: prop::sample::Index, byte: u8) {
            let mut output = BytesMut::new();
            request.write(&mut output);
            if !output.is_empty() {
                let at = at.index(output.len());
                output[at] = byte;
            }
            let _ = Request::read(request.op().number(), &mut Reader::new(output.freeze()));
        }

        #[test]
        fn every_strict_prefix_is_refused(request in request(), at: prop::sample::Index) {
            let mut output = BytesMut::new();
            request.write(&mut output);
            prop_assume!(!output.is_empty());
            output.truncate(at.index(output.len()));
            let refused = Request::read(request.op().number(), &mut Reader::new(output.freeze()));
            prop_assert!(matches!(refused, Err(BadRequest::Malformed(_))));
        }
    }

    #[test]
    fn what_is_not_for_clients_keeps_its_number() {
        for op in [0, -1, 20, -10, 10, 4711, i32::MIN] {
            let refused = Request::read(op, &mut Reader::new(Bytes::new()));
            assert_eq!(refused, Err(BadRequest::Unimplemented(op)));
        }
    }

    #[test]
    fn an_unknown_create_mode_is_kept() {
        let create = Create {
            path: "/a".into(),
            data: None,
            acl: Acl::open_unsafe(),
            mode: crate::wire::CreateMode::from_flags(99, None),
            with_stat: true,
        };
        let mut output = BytesMut::new();
        create.write(&mut output);
        let read = Request::read(OpCode::Create2.number(), &mut Reader::new(output.freeze()));
        assert!(
            matches!(read, Ok(Request::Create(Create { mode: Err(unknown), .. })) if unknown.flags == 99)
        );
    }

    #[test]
    fn an_unknown_watcher_type_is_malformed() {
        let frame = Bytes::from_static(b"\0\0\0\x02/a\0\0\0\x06");
        let refused = Request::read(OpCode::CheckWatches.number(), &mut Reader::new(frame));
        assert_eq!(refused, Err(Malformed::Unknown(Unknown { what: "watcher type", number: 6 }).into()));
    }

    #[test]
    fn bytes_after_the_body_are_left() {
        let mut reader = Reader::new(Bytes::from_static(b"\0\0\0\x02/a\x01later"));
        let request = Request::read(OpCode::GetData.number(), &mut reader);
        assert_eq!(request, Ok(Request::GetData { path: "/a".into(), watch: true }));
        assert_eq!(reader.remaining(), 5);
    }
}
