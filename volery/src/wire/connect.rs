//! The handshake: the first frame each way, which has no header.

use super::{Malformed, Reader, Record, put_bool, put_buffer};
use bytes::{BufMut, Bytes, BytesMut};

/// Bytes of a session's password, as every server chooses it and every client expects it.
pub const PASSWORD_BYTES: usize = 16;

/// What a client opens a connection with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectRequest {
    /// Always 0 so far.
    pub protocol_version: i32,
    /// The highest zxid that the client has seen; a server that is behind it closes the connection.
    pub last_zxid_seen: i64,
    /// The session timeout that the client asks for, in milliseconds.
    pub timeout_ms: i32,
    /// The session to attach to, or 0 for a new one.
    pub session_id: i64,
    /// That session's password; its content does not matter for a new one.
    pub password: Bytes,
    /// Whether a read-only server will do. `None` is a client that leaves the byte out, and must not be sent it.
    pub read_only: Option<bool>,
}

/// What the server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectResponse {
    /// Always 0 so far.
    pub protocol_version: i32,
    /// The session timeout agreed, in milliseconds; 0 tells that the session has expired.
    pub timeout_ms: i32,
    /// The session attached to; 0 tells that it has expired.
    pub session_id: i64,
    /// What to attach to it again with.
    pub password: Bytes,
    /// Whether this server is read-only. `None` exactly if the request had `None`.
    pub read_only: Option<bool>,
}

impl ConnectResponse {
    /// The answer to a client whose session has expired, or who has the wrong password.
    pub fn expired(request: &ConnectRequest) -> ConnectResponse {
        ConnectResponse {
            protocol_version: 0,
            timeout_ms: 0,
            session_id: 0,
            password: Bytes::from_static(&[0; PASSWORD_BYTES]),
            read_only: request.read_only.map(|_| false),
        }
    }
}

impl Record for ConnectRequest {
    const BYTES_MIN: usize = 28;

    fn read(reader: &mut Reader) -> Result<Self, Malformed> {
        Ok(ConnectRequest {
            protocol_version: reader.int()?,
            last_zxid_seen: reader.long()?,
            timeout_ms: reader.int()?,
            session_id: reader.long()?,
            password: reader.buffer()?.unwrap_or_default(),
            read_only: read_only(reader)?,
        })
    }

    fn write(&self, output: &mut BytesMut) {
        output.put_i32(self.protocol_version);
        output.put_i64(self.last_zxid_seen);
        output.put_i32(self.timeout_ms);
        output.put_i64(self.session_id);
        put_buffer(output, Some(&self.password));
        put_read_only(output, self.read_only);
    }
}

impl Record for ConnectResponse {
    const BYTES_MIN: usize = 20;

    fn read(reader: &mut Reader) -> Result<Self, Malformed> {
        Ok(ConnectResponse {
            protocol_version: reader.int()?,
            timeout_ms: reader.int()?,
            session_id: reader.long()?,
            password: reader.buffer()?.unwrap_or_default(),
            read_only: read_only(reader)?,
        })
    }

    fn write(&self, output: &mut BytesMut) {
        output.put_i32(self.protocol_version);
        output.put_i32(self.timeout_ms);
        output.put_i64(self.session_id);
        put_buffer(output, Some(&self.password));
        put_read_only(output, self.read_only);
    }
}

/// Reads the byte that is there only if the sender knows of it.
fn read_only(reader: &mut Reader) -> Result<Option<bool>, Malformed> {
    if reader.remaining() == 0 { Ok(None) } else { reader.bool().map(Some) }
}

fn put_read_only(output: &mut BytesMut, read_only: Option<bool>) {
    if let Some(read_only) = read_only {
        put_bool(output, read_only);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::arbitrary::{bytes, round_trip};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_request_round_trips(
            protocol_version: i32, last_zxid_seen: i64, timeout_ms: i32, session_id: i64, password in bytes(),
            read_only: Option<bool>,
        ) {
            round_trip(ConnectRequest {
                protocol_version, last_zxid_seen, timeout_ms, session_id, password, read_only,
            })?;
        }

        #[test]
        fn a_response_round_trips(
            protocol_version: i32, timeout_ms: i32, session_id: i64, password in bytes(), read_only: Option<bool>,
        ) {
            round_trip(ConnectResponse { protocol_version, timeout_ms, session_id, password, read_only })?;
        }
    }

    #[test]
    fn expiry_is_told_in_kind() {
        let mut request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: 9,
            timeout_ms: 10_000,
            session_id: 7,
            password: Bytes::new(),
            read_only: None,
        };
        assert_eq!(ConnectResponse::expired(&request).read_only, None);
        request.read_only = Some(true);
        let response = ConnectResponse::expired(&request);
        assert_eq!(response.read_only, Some(false));
        assert_eq!((response.timeout_ms, response.session_id, response.password.len()), (0, 0, 16));
    }
}
