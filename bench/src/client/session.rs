//! The protocol of a session, without a socket: bytes in, answers out, and the other way round.

use super::failed_op;
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use std::time::Duration;
use volery::wire::{
    ConnectRequest, ConnectResponse, ErrorCode, OpCode, PASSWORD_BYTES, Reader, Record, Reply, ReplyHeader,
    Request, XID_NOTIFICATION, XID_PING, take_frame, write_frame,
};

/// The longest reply that is accepted, in bytes: a value of the greatest size and its Stat.
const REPLY_BYTES_MAX: usize = 0x20_0000;

/// What a request was answered with.
pub type Answer = Result<(), ErrorCode>;

/// A session on a connection of its own. What fails is told as the reason why the connection is of no use any more.
///
/// - The request for the session is the first that is to be sent, and nothing follows before it [is open](Session::is_open).
/// - Answers come in the order of the requests.
pub struct Session {
    open: bool,
    input: BytesMut,
    output: BytesMut,
    /// The xids and operations of the requests that are not answered yet.
    asked: VecDeque<(i32, OpCode)>,
    last_xid: i32,
}

impl Session {
    /// A session that is to be opened.
    pub fn new(timeout: Duration) -> Session {
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: 0,
            timeout_ms: timeout.as_millis() as i32,
            session_id: 0,
            password: Bytes::from_static(&[0; PASSWORD_BYTES]),
            read_only: Some(false),
        };
        let mut output = BytesMut::new();
        write_frame(&mut output, |output| request.write(output));
        Session { open: false, input: BytesMut::new(), output, asked: VecDeque::new(), last_xid: 0 }
    }

    /// Whether the server has opened it.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// What is to be sent. What was sent is to be taken out.
    pub fn output(&mut self) -> &mut BytesMut {
        &mut self.output
    }

    /// Adds a request to what is to be sent.
    pub fn push(&mut self, request: &Request) {
        assert!(self.open, "nothing is asked before the session is there");
        self.last_xid = if self.last_xid == i32::MAX { 1 } else { self.last_xid + 1 };
        self.asked.push_back((self.last_xid, request.op()));
        request.write_frame(self.last_xid, &mut self.output);
    }

    /// Adds a ping, which nobody waits for.
    pub fn push_ping(&mut self) {
        Request::Ping.write_frame(XID_PING, &mut self.output);
    }

    /// Takes in what has come.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    /// What the next request was answered with, if that has come. It opens the session, if that has come.
    pub fn next_answer(&mut self) -> Result<Option<Answer>, String> {
        while let Some(frame) = take_frame(&mut self.input, REPLY_BYTES_MAX).map_err(told)? {
            let mut reader = Reader::new(frame);
            if !self.open {
                let response: ConnectResponse = reader.record().map_err(told)?;
                self.open = response.session_id != 0;
                if !self.open {
                    return Err("the server refused a session".to_owned());
                }
                continue;
            }
            let header: ReplyHeader = reader.record().map_err(told)?;
            if !matches!(header.xid, XID_NOTIFICATION | XID_PING) {
                return self.answer(&header, &mut reader).map(Some);
            }
        }
        Ok(None)
    }

    /// The answer behind this header.
    fn answer(&mut self, header: &ReplyHeader, reader: &mut Reader) -> Result<Answer, String> {
        let op = match self.asked.pop_front() {
            Some((xid, op)) if xid == header.xid => op,
            _ => return Err(format!("a reply to request {} came out of order", header.xid)),
        };
        let error = match (header.error, op) {
            (None, OpCode::Multi) => failed_op(&Reply::read(OpCode::Multi, reader).map_err(told)?),
            (error, _) => error,
        };
        Ok(error.map_or(Ok(()), Err))
    }
}

fn told(error: impl ToString) -> String {
    error.to_string()
}
