//! What servers answer.

use super::buffer::{COUNT_BYTES, buffer_bytes, string_bytes};
use super::multi::{put_results, read_list, results_bytes};
use super::{Acl, Malformed, Names, OpCode, OpResult, Reader, Record, ReplyHeader, Stat, Unknown};
use super::{put_buffer, put_string, put_vector, write_frame};
use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The longest body of a reply in bytes. What would be longer is answered with MarshallingError.
///
/// A multi's results are at most four times as long as its request, so that no longest request that a cluster file allows has
/// results beyond this: a change that was made is never answered with that error.
pub const REPLY_BYTES_MAX: usize = 32 << 20;

/// The body of a successful reply, one variant per shape. A failed one has a header and no body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// Nothing: of delete, check, ping, auth, setWatches, checkWatches, removeWatches, closeSession.
    Empty,
    /// Of create the final path, of sync the path sent.
    Path(Arc<str>),
    /// Of create2, createContainer and createTTL.
    PathStat {
        /// The final path.
        path: Arc<str>,
        /// The new znode's Stat.
        stat: Stat,
    },
    /// Of exists, setData and setACL.
    Stat(Stat),
    /// Of getData; of reconfig the new configuration.
    Data {
        /// The data.
        data: Option<Bytes>,
        /// The znode's Stat.
        stat: Stat,
    },
    /// Of getACL.
    Acl {
        /// The ACL.
        acl: Vec<Acl>,
        /// The znode's Stat.
        stat: Stat,
    },
    /// Of getChildren the children's names, of getEphemerals the paths.
    Names(Names),
    /// Of getChildren2.
    NamesStat {
        /// The children's names, in no order.
        names: Names,
        /// The parent's Stat.
        stat: Stat,
    },
    /// Of multi and multiRead, one for each operation.
    Results(Vec<OpResult>),
    /// Of getAllChildrenNumber.
    Count(i32),
    /// Of whoAmI.
    Identities(Vec<Identity>),
    /// Of sasl.
    Token(Option<Bytes>),
    /// Of addWatch: on the wire an error code that is always 0, which Java's client insists on.
    WatchAdded,
}

/// Whom a connection has authenticated as. Its credentials are left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The scheme.
    pub scheme: Arc<str>,
    /// The user, in the scheme's own form.
    pub user: Arc<str>,
}

impl Record for Identity {
    const BYTES_MIN: usize = 8;

    fn read(reader: &mut Reader) -> Result<Self, Malformed> {
        Ok(Identity { scheme: reader.string()?, user: reader.string()? })
    }

    fn write(&self, output: &mut BytesMut) {
        put_string(output, &self.scheme);
        put_string(output, &self.user);
    }
}

impl Reply {
    /// Reads the body of a successful reply to `op`.
    pub fn read(op: OpCode, reader: &mut Reader) -> Result<Reply, Malformed> {
        Ok(match op {
            OpCode::Delete
            | OpCode::Check
            | OpCode::Ping
            | OpCode::Auth
            | OpCode::SetWatches
            | OpCode::SetWatches2
            | OpCode::CheckWatches
            | OpCode::RemoveWatches
            | OpCode::CloseSession => Reply::Empty,
            OpCode::Create | OpCode::Sync => Reply::Path(reader.string()?),
            OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl => {
                Reply::PathStat { path: reader.string()?, stat: reader.record()? }
            }
            OpCode::Exists | OpCode::SetData | OpCode::SetAcl => Reply::Stat(reader.record()?),
            OpCode::GetData | OpCode::Reconfig => {
                Reply::Data { data: reader.buffer()?, stat: reader.record()? }
            }
            OpCode::GetAcl => Reply::Acl { acl: reader.vector()?, stat: reader.record()? },
            OpCode::GetChildren | OpCode::GetEphemerals => Reply::Names(Names::read(reader)?),
            OpCode::GetChildren2 => Reply::NamesStat { names: Names::read(reader)?, stat: reader.record()? },
            OpCode::Multi | OpCode::MultiRead => Reply::Results(read_list(reader, OpResult::read)?),
            OpCode::GetAllChildrenNumber => Reply::Count(reader.int()?),
            OpCode::WhoAmI => Reply::Identities(reader.vector()?),
            OpCode::Sasl => Reply::Token(reader.buffer()?),
            OpCode::AddWatch => {
                reader.int()?;
                Reply::WatchAdded
            }
            OpCode::Notification | OpCode::DeleteContainer | OpCode::CreateSession | OpCode::Error => {
                return Err(Unknown { what: "operation with a reply", number: op.number() }.into());
            }
        })
    }

    /// Appends the body.
    pub fn write(&self, output: &mut BytesMut) {
        match self {
            Reply::Empty => {}
            Reply::Path(path) => put_string(output, path),
            Reply::PathStat { path, stat } => {
                put_string(output, path);
                stat.write(output);
            }
            Reply::Stat(stat) => stat.write(output),
            Reply::Data { data, stat } => {
                put_buffer(output, data.as_deref());
                stat.write(output);
            }
            Reply::Acl { acl, stat } => {
                put_vector(output, acl);
                stat.write(output);
            }
            Reply::Names(names) => names.write(output),
            Reply::NamesStat { names, stat } => {
                names.write(output);
                stat.write(output);
            }
            Reply::Results(results) => put_results(output, results),
            Reply::Count(count) => output.put_i32(*count),
            Reply::Identities(identities) => put_vector(output, identities),
            Reply::Token(token) => put_buffer(output, token.as_deref()),
            Reply::WatchAdded => output.put_i32(0),
        }
    }

    /// How many bytes [`write`](Reply::write) appends.
    pub fn bytes(&self) -> usize {
        match self {
            Reply::Empty => 0,
            Reply::Path(path) => string_bytes(path),
            Reply::PathStat { path, .. } => string_bytes(path) + Stat::BYTES_MIN,
            Reply::Stat(_) => Stat::BYTES_MIN,
            Reply::Data { data, .. } => buffer_bytes(data.as_ref()) + Stat::BYTES_MIN,
            Reply::Acl { acl, .. } => {
                COUNT_BYTES + acl.iter().map(Acl::bytes).sum::<usize>() + Stat::BYTES_MIN
            }
            Reply::Names(names) => names.wire_bytes(),
            Reply::NamesStat { names, .. } => names.wire_bytes() + Stat::BYTES_MIN,
            Reply::Results(results) => results_bytes(results),
            Reply::Count(_) | Reply::WatchAdded => 4,
            Reply::Identities(identities) => {
                let bytes =
                    |identity: &Identity| string_bytes(&identity.scheme) + string_bytes(&identity.user);
                COUNT_BYTES + identities.iter().map(bytes).sum::<usize>()
            }
            Reply::Token(token) => buffer_bytes(token.as_ref()),
        }
    }

    /// Appends the reply as a frame, with its header.
    pub fn write_frame(&self, xid: i32, zxid: i64, output: &mut BytesMut) {
        write_frame(output, |output| {
            ReplyHeader { xid, zxid, error: None }.write(output);
            self.write(output);
        });
    }
}

impl ReplyHeader {
    /// Appends a reply that is a header alone as a frame: a failure.
    pub fn write_frame(&self, output: &mut BytesMut) {
        write_frame(output, |output| self.write(output));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::arbitrary::{op_number, reply};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_round_trips((op, reply) in reply()) {
            let mut output = BytesMut::new();
            reply.write(&mut output);
            prop_assert_eq!(output.len(), reply.bytes());
            let mut reader = Reader::new(output.freeze());
            prop_assert_eq!(Reply::read(op, &mut reader), Ok(reply));
            prop_assert_eq!(reader.remaining(), 0);
        }

        #[test]
        fn arbitrary_bytes_never_panic(op in op_number(), bytes: Vec<u8>) {
            if let Ok(op) = OpCode::try_from(op) {
                let _ = Reply::read(op, &mut Reader::new(bytes.into()));
            }
        }
    }
}
