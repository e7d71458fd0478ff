//! The writes that stand alone or within a multi.

use super::{Acl, CreateMode, Malformed, OpCode, Reader, Record, UnknownCreateMode};
use super::{put_buffer, put_string, put_vector};
use bytes::{BufMut, Bytes, BytesMut};
use std::sync::Arc;

/// Creates a znode: create, create2, createContainer or createTTL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Create {
    /// The path, to which a sequential mode appends a number.
    pub path: Arc<str>,
    /// The data.
    pub data: Option<Bytes>,
    /// The ACL. An empty one is invalid.
    pub acl: Vec<Acl>,
    /// The mode, or the flags that are none.
    pub mode: Result<CreateMode, UnknownCreateMode>,
    /// Whether the answer is the path and the Stat, or the path alone. createTTL has no short answer.
    pub with_stat: bool,
}

impl Create {
    /// The operation under which it is sent.
    pub fn op(&self) -> OpCode {
        let (flags, ttl_ms) = self.flags();
        match (ttl_ms, self.with_stat) {
            (Some(_), _) => OpCode::CreateTtl,
            (None, false) => OpCode::Create,
            (None, true) if flags == CreateMode::Container.flags() => OpCode::CreateContainer,
            (None, true) => OpCode::Create2,
        }
    }

    /// The flags, and the time to live in milliseconds if it is a createTTL.
    fn flags(&self) -> (i32, Option<i64>) {
        match self.mode {
            Ok(mode) => (mode.flags(), mode.ttl_ms()),
            Err(UnknownCreateMode { flags, ttl_ms }) => (flags, ttl_ms),
        }
    }

    /// Reads the body of one of the four operations that create.
    pub(super) fn read(op: OpCode, reader: &mut Reader) -> Result<Create, Malformed> {
        let path = reader.string()?;
        let data = reader.buffer()?;
        let acl = reader.vector()?;
        let flags = reader.int()?;
        let ttl_ms = if op == OpCode::CreateTtl { Some(reader.long()?) } else { None };
        let mode = CreateMode::from_flags(flags, ttl_ms);
        Ok(Create { path, data, acl, mode, with_stat: op != OpCode::Create })
    }

    /// Appends the body that belongs to [`op`](Create::op).
    pub(super) fn write(&self, output: &mut BytesMut) {
        let (flags, ttl_ms) = self.flags();
        put_string(output, &self.path);
        put_buffer(output, self.data.as_deref());
        put_vector(output, &self.acl);
        output.put_i32(flags);
        if let Some(ttl_ms) = ttl_ms {
            output.put_i64(ttl_ms);
        }
    }
}

/// Deletes a znode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delete {
    /// Its path.
    pub path: Arc<str>,
    /// The version it must have; -1 is any.
    pub version: i32,
}

/// Replaces a znode's data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetData {
    /// Its path.
    pub path: Arc<str>,
    /// The new data.
    pub data: Option<Bytes>,
    /// The version it must have; -1 is any.
    pub version: i32,
}

/// Checks a znode's version and changes nothing. ZooKeeper serves it within a multi only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Its path.
    pub path: Arc<str>,
    /// The version it must have; -1 is any.
    pub version: i32,
}

impl Record for Delete {
    const BYTES_MIN: usize = 8;

    fn read(reader: &mut Reader) -> Result<Self, Malformed> {
        Ok(Delete { path: reader.string()?, version: reader.int()? })
    }

    fn write(&self, output: &mut BytesMut) {
        put_string(output, &self.path);
        output.put_i32(self.version);
    }
}

impl Record for SetData {
    const BYTES_MIN: usize = 12;

    fn read(reader: &mut Reader) -> Result<Self, Malformed> {
        Ok(SetData { path: reader.string()?, data: reader.buffer()?, version: reader.int()? })
    }

    fn write(&self, output: &mut BytesMut) {
        put_string(output, &self.path);
        put_buffer(output, self.data.as_deref());
        output.put_i32(self.version);
    }
}

impl Record for Check {
    const BYTES_MIN: usize = 8;

    fn read(reader: &mut Reader) -> Result<Self, Malformed> {
        Ok(Check { path: reader.string()?, version: reader.int()? })
    }

    fn write(&self, output: &mut BytesMut) {
        put_string(output, &self.path);
        output.put_i32(self.version);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::arbitrary::{data, round_trip, text};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn they_round_trip(path in text(), data in data(), version: i32) {
            round_trip(Delete { path: path.clone(), version })?;
            round_trip(Check { path: path.clone(), version })?;
            round_trip(SetData { path, data, version })?;
        }
    }

    #[test]
    fn the_operation_follows_from_the_mode_and_the_answer() {
        let op = |flags, ttl_ms, with_stat| {
            let mode = CreateMode::from_flags(flags, ttl_ms);
            Create { path: "/a".into(), data: None, acl: Acl::open_unsafe(), mode, with_stat }.op()
        };
        assert_eq!(op(3, None, false), OpCode::Create);
        assert_eq!(op(3, None, true), OpCode::Create2);
        assert_eq!(op(4, None, false), OpCode::Create);
        assert_eq!(op(4, None, true), OpCode::CreateContainer);
        assert_eq!(op(5, Some(1), true), OpCode::CreateTtl);
        assert_eq!(op(99, None, false), OpCode::Create);
        assert_eq!(op(0, Some(1), true), OpCode::CreateTtl);
    }
}
