//! Many operations in one request: multi, which is atomic, and multiRead, which is not.
//!
//! Both send a list in which each operation has a small header in front, and both answer with such a list:
//!
//! ```text
//!  MultiHeader{type, done: false, err} body   once for each
//!  MultiHeader{type: -1, done: true, err: -1} the end
//! ```
//!
//! An empty list is legal. In a request `err` is always -1. In the answer it is 0, or the code of a failure, which is
//! repeated as the body because that is where clients look for it. A failed multi is not an error of the reply's header,
//! which says 0: its results are [`OpResult::RolledBack`] for what came before the failure, then the failure, then
//! RuntimeInconsistency for the rest. The operations of a multiRead fail each for itself.
//!
//! Result headers know only create (1) and create2 (15): what createContainer and createTTL made comes under 15 too,
//! since clients understand no other number.

use super::buffer::{buffer_bytes, string_bytes};
use super::{
    Check, Create, Delete, ErrorCode, Malformed, Names, OpCode, Reader, Record, SetData, Stat, Unknown,
};
use super::{put_bool, put_buffer, put_string};
use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One operation of a multi.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MultiOp {
    /// Creates a znode.
    Create(Create),
    /// Deletes a znode.
    Delete(Delete),
    /// Replaces a znode's data.
    SetData(SetData),
    /// Checks a znode's version.
    Check(Check),
}

/// One operation of a multiRead. It sets no watches: ZooKeeper ignores the flag, here it is dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadOp {
    /// Reads data and Stat.
    GetData {
        /// The znode's path.
        path: Arc<str>,
    },
    /// Lists the children's names.
    GetChildren {
        /// The znode's path.
        path: Arc<str>,
    },
}

/// What became of one operation of a multi or multiRead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OpResult {
    /// A create's.
    Created {
        /// The final path.
        path: Arc<str>,
    },
    /// A create2's, createContainer's or createTTL's.
    CreatedWithStat {
        /// The final path.
        path: Arc<str>,
        /// The new znode's Stat.
        stat: Stat,
    },
    /// A delete's.
    Deleted,
    /// A setData's.
    DataSet(Stat),
    /// A check's.
    Checked,
    /// A getData's.
    Data {
        /// The data.
        data: Option<Bytes>,
        /// The znode's Stat.
        stat: Stat,
    },
    /// A getChildren's.
    Children(Names),
    /// Would have succeeded, but a later operation of the multi failed.
    RolledBack,
    /// It failed, or in a multi came after one that did.
    Failed(ErrorCode),
}

/// What stands before each operation and each result.
struct MultiHeader {
    op: i32,
    done: bool,
    error: i32,
}

impl MultiHeader {
    const BYTES: usize = 4 + 1 + 4;

    /// The mark after the last.
    const END: MultiHeader = MultiHeader { op: OpCode::Error as i32, done: true, error: -1 };

    fn write(&self, output: &mut BytesMut) {
        output.put_i32(self.op);
        put_bool(output, self.done);
        output.put_i32(self.error);
    }
}

/// Reads a list up to its end mark. `error` of the headers tells nothing that the bodies do not.
pub(super) fn read_list<T>(
    reader: &mut Reader,
    read: impl Fn(OpCode, &mut Reader) -> Result<T, Malformed>,
) -> Result<Vec<T>, Malformed> {
    let mut list = Vec::new();
    loop {
        let header = MultiHeader { op: reader.int()?, done: reader.bool()?, error: reader.int()? };
        if header.done {
            return Ok(list);
        }
        list.push(read(OpCode::try_from(header.op)?, reader)?);
    }
}

pub(super) fn put_multi_ops(output: &mut BytesMut, ops: &[MultiOp]) {
    for op in ops {
        MultiHeader { op: op.op().number(), done: false, error: -1 }.write(output);
        op.write(output);
    }
    MultiHeader::END.write(output);
}

pub(super) fn put_read_ops(output: &mut BytesMut, ops: &[ReadOp]) {
    for op in ops {
        MultiHeader { op: op.op().number(), done: false, error: -1 }.write(output);
        op.write(output);
    }
    MultiHeader::END.write(output);
}

pub(super) fn put_results(output: &mut BytesMut, results: &[OpResult]) {
    for result in results {
        let error = result.error().map_or(0, ErrorCode::number);
        MultiHeader { op: result.op().number(), done: false, error }.write(output);
        result.write(output);
    }
    MultiHeader::END.write(output);
}

/// How many bytes a list of results takes, with the end mark.
pub(super) fn results_bytes(results: &[OpResult]) -> usize {
    results.iter().map(OpResult::bytes).sum::<usize>() + OpResult::END_BYTES
}

impl MultiOp {
    /// The operation's number.
    pub fn op(&self) -> OpCode {
        match self {
            MultiOp::Create(create) => create.op(),
            MultiOp::Delete(_) => OpCode::Delete,
            MultiOp::SetData(_) => OpCode::SetData,
            MultiOp::Check(_) => OpCode::Check,
        }
    }

    /// The znode it is about.
    pub fn path(&self) -> &Arc<str> {
        match self {
            MultiOp::Create(create) => &create.path,
            MultiOp::Delete(delete) => &delete.path,
            MultiOp::SetData(set) => &set.path,
            MultiOp::Check(check) => &check.path,
        }
    }

    pub(super) fn read(op: OpCode, reader: &mut Reader) -> Result<MultiOp, Malformed> {
        match op {
            OpCode::Create | OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl => {
                Create::read(op, reader).map(MultiOp::Create)
            }
            OpCode::Delete => reader.record().map(MultiOp::Delete),
            OpCode::SetData => reader.record().map(MultiOp::SetData),
            OpCode::Check => reader.record().map(MultiOp::Check),
            _ => Err(Unknown { what: "operation of a multi", number: op.number() }.into()),
        }
    }

    fn write(&self, output: &mut BytesMut) {
        match self {
            MultiOp::Create(create) => create.write(output),
            MultiOp::Delete(delete) => delete.write(output),
            MultiOp::SetData(set) => set.write(output),
            MultiOp::Check(check) => check.write(output),
        }
    }
}

impl ReadOp {
    /// The operation's number.
    pub fn op(&self) -> OpCode {
        match self {
            ReadOp::GetData { .. } => OpCode::GetData,
            ReadOp::GetChildren { .. } => OpCode::GetChildren,
        }
    }

    /// The znode it is about.
    pub fn path(&self) -> &Arc<str> {
        match self {
            ReadOp::GetData { path } | ReadOp::GetChildren { path } => path,
        }
    }

    pub(super) fn read(op: OpCode, reader: &mut Reader) -> Result<ReadOp, Malformed> {
        let mut path = || -> Result<Arc<str>, Malformed> {
            let path = reader.string()?;
            let _watch = reader.bool()?;
            Ok(path)
        };
        match op {
            OpCode::GetData => Ok(ReadOp::GetData { path: path()? }),
            OpCode::GetChildren => Ok(ReadOp::GetChildren { path: path()? }),
            _ => Err(Unknown { what: "operation of a multiRead", number: op.number() }.into()),
        }
    }

    fn write(&self, output: &mut BytesMut) {
        put_string(output, self.path());
        put_bool(output, false);
    }
}

impl OpResult {
    /// How many bytes stand behind the last result of a list.
    pub const END_BYTES: usize = MultiHeader::BYTES;

    /// Why it failed, if it did; `RolledBack` has no reason of its own.
    pub fn error(&self) -> Option<ErrorCode> {
        match self {
            OpResult::Failed(code) => Some(*code),
            _ => None,
        }
    }

    /// How many bytes it takes in a reply, with its header.
    pub fn bytes(&self) -> usize {
        let body = match self {
            OpResult::Created { path } => string_bytes(path),
            OpResult::CreatedWithStat { path, .. } => string_bytes(path) + Stat::BYTES_MIN,
            OpResult::Deleted | OpResult::Checked => 0,
            OpResult::DataSet(_) => Stat::BYTES_MIN,
            OpResult::Data { data, .. } => buffer_bytes(data.as_ref()) + Stat::BYTES_MIN,
            OpResult::Children(names) => names.wire_bytes(),
            OpResult::RolledBack | OpResult::Failed(_) => 4,
        };
        MultiHeader::BYTES + body
    }

    /// The number in the result's header.
    fn op(&self) -> OpCode {
        match self {
            OpResult::Created { .. } => OpCode::Create,
            OpResult::CreatedWithStat { .. } => OpCode::Create2,
            OpResult::Deleted => OpCode::Delete,
            OpResult::DataSet(_) => OpCode::SetData,
            OpResult::Checked => OpCode::Check,
            OpResult::Data { .. } => OpCode::GetData,
            OpResult::Children(_) => OpCode::GetChildren,
            OpResult::RolledBack | OpResult::Failed(_) => OpCode::Error,
        }
    }

    pub(super) fn read(op: OpCode, reader: &mut Reader) -> Result<OpResult, Malformed> {
        Ok(match op {
            OpCode::Create => OpResult::Created { path: reader.string()? },
            OpCode::Create2 => OpResult::CreatedWithStat { path: reader.string()?, stat: reader.record()? },
            OpCode::Delete => OpResult::Deleted,
            OpCode::SetData => OpResult::DataSet(reader.record()?),
            OpCode::Check => OpResult::Checked,
            OpCode::GetData => OpResult::Data { data: reader.buffer()?, stat: reader.record()? },
            OpCode::GetChildren => OpResult::Children(Names::read(reader)?),
            OpCode::Error => ErrorCode::read(reader)?.map_or(OpResult::RolledBack, OpResult::Failed),
            _ => return Err(Unknown { what: "result of a multi", number: op.number() }.into()),
        })
    }

    fn write(&self, output: &mut BytesMut) {
        match self {
            OpResult::Created { path } => put_string(output, path),
            OpResult::CreatedWithStat { path, stat } => {
                put_string(output, path);
                stat.write(output);
            }
            OpResult::Deleted | OpResult::Checked => {}
            OpResult::DataSet(stat) => stat.write(output),
            OpResult::Data { data, stat } => {
                put_buffer(output, data.as_deref());
                stat.write(output);
            }
            OpResult::Children(names) => names.write(output),
            OpResult::RolledBack => output.put_i32(0),
            OpResult::Failed(code) => output.put_i32(code.number()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::arbitrary::{multi_op, op_result, read_op};
    use proptest::collection::vec;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn lists_round_trip(
            ops in vec(multi_op(), 0..5), reads in vec(read_op(), 0..5), results in vec(op_result(), 0..5),
        ) {
            let mut output = BytesMut::new();
            put_multi_ops(&mut output, &ops);
            put_read_ops(&mut output, &reads);
            put_results(&mut output, &results);
            let mut reader = Reader::new(output.freeze());
            prop_assert_eq!(read_list(&mut reader, MultiOp::read), Ok(ops));
            prop_assert_eq!(read_list(&mut reader, ReadOp::read), Ok(reads));
            prop_assert_eq!(read_list(&mut reader, OpResult::read), Ok(results));
            prop_assert_eq!(reader.remaining(), 0);
        }
    }

    proptest! {
        #[test]
        fn a_result_takes_four_times_as_many_bytes_as_its_operation_at_most(op in multi_op()) {
            let path: Arc<str> = match &op {
                MultiOp::Create(create) => format!("{}0000000000", create.path).into(),
                _ => "".into(),
            };
            let result = match &op {
                MultiOp::Create(create) if create.acl.is_empty() => OpResult::Failed(ErrorCode::InvalidAcl),
                MultiOp::Create(_) => OpResult::CreatedWithStat { path, stat: Stat::default() },
                MultiOp::Delete(_) => OpResult::Deleted,
                MultiOp::SetData(_) => OpResult::DataSet(Stat::default()),
                MultiOp::Check(_) => OpResult::Checked,
            };
            let mut output = BytesMut::new();
            put_multi_ops(&mut output, &[op]);
            let op_bytes = output.len() - MultiHeader::BYTES;
            prop_assert!(result.bytes() <= 4 * op_bytes, "{op_bytes} bytes make {}", result.bytes());
            prop_assert!(OpResult::Failed(ErrorCode::NoNode).bytes() <= op_bytes);
        }
    }

    #[test]
    fn reads_and_writes_do_not_mix() {
        let mut output = BytesMut::new();
        put_read_ops(&mut output, &[ReadOp::GetData { path: "/a".into() }]);
        let refused = read_list(&mut Reader::new(output.freeze()), MultiOp::read).unwrap_err();
        assert_eq!(refused.to_string(), "no operation of a multi has the number 4");
    }

    #[test]
    fn a_list_without_its_end_is_refused() {
        let mut output = BytesMut::new();
        put_multi_ops(&mut output, &[]);
        output.truncate(output.len() - 1);
        let refused = read_list(&mut Reader::new(output.freeze()), MultiOp::read);
        assert_eq!(refused, Err(Malformed::Truncated { wanted: 4, left: 3 }));
    }
}
