//! What is known of a znode besides its data.

use super::{Malformed, Reader, Record};
use bytes::{BufMut, BytesMut};
use serde::{Deserialize, Serialize};

/// A znode's Stat. The order of the fields is that of the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Stat {
    /// The zxid that created it.
    pub czxid: i64,
    /// The zxid that last modified its data.
    pub mzxid: i64,
    /// When it was created, in milliseconds since 1970.
    pub ctime: i64,
    /// When its data were last modified, in milliseconds since 1970.
    pub mtime: i64,
    /// How often its data were modified.
    pub version: i32,
    /// How often its set of children was modified.
    pub cversion: i32,
    /// How often its ACL was modified.
    pub aversion: i32,
    /// The session it goes with, or 0.
    pub ephemeral_owner: i64,
    /// Bytes of its data.
    pub data_length: i32,
    /// How many children it has.
    pub num_children: i32,
    /// The zxid that last modified its set of children.
    pub pzxid: i64,
}

impl Record for Stat {
    const BYTES_MIN: usize = 68;

    fn read(reader: &mut Reader) -> Result<Self, Malformed> {
        Ok(Stat {
            czxid: reader.long()?,
            mzxid: reader.long()?,
            ctime: reader.long()?,
            mtime: reader.long()?,
            version: reader.int()?,
            cversion: reader.int()?,
            aversion: reader.int()?,
            ephemeral_owner: reader.long()?,
            data_length: reader.int()?,
            num_children: reader.int()?,
            pzxid: reader.long()?,
        })
    }

    fn write(&self, output: &mut BytesMut) {
        output.put_i64(self.czxid);
        output.put_i64(self.mzxid);
        output.put_i64(self.ctime);
        output.put_i64(self.mtime);
        output.put_i32(self.version);
        output.put_i32(self.cversion);
        output.put_i32(self.aversion);
        output.put_i64(self.ephemeral_owner);
        output.put_i32(self.data_length);
        output.put_i32(self.num_children);
        output.put_i64(self.pzxid);
    }
}

#[cfg(test)]
mod tests {
    use crate::wire::arbitrary::{round_trip, stat};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_round_trips(stat in stat()) {
            round_trip(stat)?;
        }
    }
}
