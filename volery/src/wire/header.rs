//! What stands before every request and every reply after the handshake.

use super::{ErrorCode, Malformed, Reader, Record};
use bytes::{BufMut, BytesMut};

/// The xid of a notification, which answers no request.
pub const XID_NOTIFICATION: i32 = -1;
/// The xid of a ping and its answer.
pub const XID_PING: i32 = -2;
/// The xid of an auth and its answer.
pub const XID_AUTH: i32 = -4;
/// The xid of a setWatches and its answer.
pub const XID_SET_WATCHES: i32 = -8;

/// The header of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    /// The client's number for the request, which the reply repeats.
    pub xid: i32,
    /// The operation's number: not an [`OpCode`](super::OpCode), since a client may ask for what does not exist.
    pub op: i32,
}

/// The header of a reply or a notification. With an error it is the whole frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyHeader {
    /// The request's xid, or [`XID_NOTIFICATION`].
    pub xid: i32,
    /// How far the server is, or for a notification the zxid of the change it tells of.
    pub zxid: i64,
    /// Why the request failed; on the wire 0 where there is none.
    pub error: Option<ErrorCode>,
}

impl Record for RequestHeader {
    const BYTES_MIN: usize = 8;

    fn read(reader: &mut Reader) -> Result<Self, Malformed> {
        Ok(RequestHeader { xid: reader.int()?, op: reader.int()? })
    }

    fn write(&self, output: &mut BytesMut) {
        output.put_i32(self.xid);
        output.put_i32(self.op);
    }
}

impl Record for ReplyHeader {
    const BYTES_MIN: usize = 16;

    fn read(reader: &mut Reader) -> Result<Self, Malformed> {
        Ok(ReplyHeader { xid: reader.int()?, zxid: reader.long()?, error: ErrorCode::read(reader)? })
    }

    fn write(&self, output: &mut BytesMut) {
        output.put_i32(self.xid);
        output.put_i64(self.zxid);
        output.put_i32(self.error.map_or(0, ErrorCode::number));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::arbitrary::{error_code, round_trip};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn headers_round_trip(xid: i32, op: i32, zxid: i64, error in prop::option::of(error_code())) {
            round_trip(RequestHeader { xid, op })?;
            round_trip(ReplyHeader { xid, zxid, error })?;
        }
    }
}
