//! A session on one connection, with several requests in flight.
//!
//! An edge file: it opens sockets. The time comes from outside all the same.

use crate::failure::Failure;
use bytes::{Buf, Bytes, BytesMut};
use mio::event::Source;
use mio::net::TcpStream;
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use volery::wire::{
    ConnectRequest, ConnectResponse, ErrorCode, OpCode, OpResult, PASSWORD_BYTES, Reader, Record, Reply,
    ReplyHeader, Request, XID_NOTIFICATION, XID_PING, take_frame, write_frame,
};

/// The session timeout asked for, in milliseconds.
const SESSION_TIMEOUT_MS: i32 = 30_000;
/// After how long without a request a ping keeps the session alive, as ZooKeeper's clients do it.
const PING_AFTER: Duration = Duration::from_secs(10);
/// How long connecting may take, and each step of the handshake.
const HANDSHAKE_MAX: Duration = Duration::from_secs(15);
/// The longest reply that is accepted, in bytes: a value of the greatest size and its Stat.
const REPLY_BYTES_MAX: usize = 0x20_0000;

/// A request that is not answered yet.
pub struct InFlight {
    /// When it was to be sent, from which its latency counts.
    pub due: Instant,
    /// When it was handed to the connection.
    pub sent: Instant,
    /// The znode that it creates, if it creates one.
    pub creates: Option<Arc<str>>,
    xid: i32,
    op: OpCode,
}

/// A session on one connection. Replies come in the order of the requests.
pub struct Client {
    stream: TcpStream,
    address: SocketAddr,
    input: BytesMut,
    output: BytesMut,
    in_flight: VecDeque<InFlight>,
    last_xid: i32,
    /// When a request or a ping was handed to the connection last.
    last_sent: Option<Instant>,
    closing: bool,
    /// Bytes sent so far, the handshake's left out.
    pub bytes_sent: u64,
    /// Bytes received so far, the handshake's left out.
    pub bytes_received: u64,
}

impl Client {
    /// Connects and opens a session, which blocks for a bounded time.
    pub fn connect(address: SocketAddr) -> Result<Client, Failure> {
        let lost = |error: std::io::Error| Failure::ConnectionLost { address, reason: error.to_string() };
        let mut stream = std::net::TcpStream::connect_timeout(&address, HANDSHAKE_MAX).map_err(lost)?;
        stream.set_nodelay(true).map_err(lost)?;
        stream.set_read_timeout(Some(HANDSHAKE_MAX)).map_err(lost)?;
        stream.set_write_timeout(Some(HANDSHAKE_MAX)).map_err(lost)?;
        let mut client = Client {
            stream: TcpStream::from_std(stream.try_clone().map_err(lost)?),
            address,
            input: BytesMut::new(),
            output: BytesMut::new(),
            in_flight: VecDeque::new(),
            last_xid: 0,
            last_sent: None,
            closing: false,
            bytes_sent: 0,
            bytes_received: 0,
        };
        client.open_session(&mut stream)?;
        stream.set_nonblocking(true).map_err(lost)?;
        Ok(client)
    }

    /// The socket, to poll.
    pub fn source(&mut self) -> &mut impl Source {
        &mut self.stream
    }

    /// How many requests are not answered yet.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Whether the session's end was asked for.
    pub fn is_closing(&self) -> bool {
        self.closing
    }

    /// Whether the session's end was asked for and answered.
    pub fn is_closed(&self) -> bool {
        self.closing && self.in_flight.is_empty()
    }

    /// When the request was sent that has been waiting longest.
    pub fn waiting_since(&self) -> Option<Instant> {
        self.in_flight.front().map(|request| request.sent)
    }

    /// The due times of the requests that are not answered yet.
    pub fn waiting(&self) -> impl Iterator<Item = Instant> {
        self.in_flight.iter().map(|request| request.due)
    }

    /// Takes a request to be sent with the next flush, and from which latency counts at once.
    pub fn push(&mut self, request: &Request, now: Instant) {
        self.push_due(request, now, now);
    }

    /// Takes a request that was due at some time before, to be sent with the next flush.
    pub fn push_due(&mut self, request: &Request, due: Instant, now: Instant) {
        assert!(!self.closing, "nothing follows a closeSession");
        self.closing = *request == Request::CloseSession;
        self.last_xid = if self.last_xid == i32::MAX { 1 } else { self.last_xid + 1 };
        self.last_sent = Some(now);
        let creates = match request {
            Request::Create(create) => Some(Arc::clone(&create.path)),
            _ => None,
        };
        self.in_flight.push_back(InFlight { due, sent: now, creates, xid: self.last_xid, op: request.op() });
        request.write_frame(self.last_xid, &mut self.output);
    }

    /// Sends a ping if no request was sent for a while: the server may be slow to answer those that were.
    pub fn keep_alive(&mut self, now: Instant) -> Result<(), Failure> {
        if self.closing || now - *self.last_sent.get_or_insert(now) < PING_AFTER {
            return Ok(());
        }
        self.last_sent = Some(now);
        Request::Ping.write_frame(XID_PING, &mut self.output);
        self.flush()
    }

    /// Sends what the socket takes. The rest goes with a later flush, when the socket is writable.
    pub fn flush(&mut self) -> Result<(), Failure> {
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(sent) => {
                    self.output.advance(sent);
                    self.bytes_sent += sent as u64;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.lost(error)),
            }
        }
        Ok(())
    }

    /// Receives all that there is, through a buffer that connections share.
    pub fn receive(&mut self, buffer: &mut [u8]) -> Result<(), Failure> {
        loop {
            match self.stream.read(buffer) {
                Ok(0) => return self.end_of_stream(),
                Ok(received) => {
                    self.input.extend_from_slice(&buffer[..received]);
                    self.bytes_received += received as u64;
                    if received < buffer.len() {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.lost(error)),
            }
        }
    }

    /// The next answered request of what was received, and the error that it was answered with, if it was one.
    pub fn next_reply(&mut self) -> Result<Option<(InFlight, Option<ErrorCode>)>, Failure> {
        loop {
            let frame = take_frame(&mut self.input, REPLY_BYTES_MAX).map_err(|bad| self.lost(bad))?;
            let Some(frame) = frame else { return Ok(None) };
            let mut reader = Reader::new(frame);
            let header: ReplyHeader = reader.record().map_err(|malformed| self.lost(malformed))?;
            if matches!(header.xid, XID_NOTIFICATION | XID_PING) {
                continue;
            }
            let request = match self.in_flight.pop_front() {
                Some(request) if request.xid == header.xid => request,
                _ => return Err(self.lost(format!("a reply to request {} came out of order", header.xid))),
            };
            let error =
                error_of(&header, request.op, &mut reader).map_err(|malformed| self.lost(malformed))?;
            return Ok(Some((request, error)));
        }
    }

    /// The failure that says what happened to the connection.
    pub fn lost(&self, reason: impl ToString) -> Failure {
        Failure::ConnectionLost { address: self.address, reason: reason.to_string() }
    }

    /// A server may close the connection of a session that is being closed without waiting for us.
    fn end_of_stream(&mut self) -> Result<(), Failure> {
        if !self.closing {
            return Err(self.lost("the server closed it"));
        }
        self.in_flight.clear();
        Ok(())
    }

    fn open_session(&mut self, stream: &mut std::net::TcpStream) -> Result<(), Failure> {
        let request = new_session(SESSION_TIMEOUT_MS);
        let mut output = BytesMut::new();
        write_frame(&mut output, |output| request.write(output));
        stream.write_all(&output).map_err(|error| self.lost(error))?;
        let response: ConnectResponse =
            Reader::new(self.first_frame(stream)?).record().map_err(|malformed| self.lost(malformed))?;
        if response.session_id == 0 { Err(self.lost("the server refused a session")) } else { Ok(()) }
    }

    fn first_frame(&mut self, stream: &mut std::net::TcpStream) -> Result<Bytes, Failure> {
        let mut buffer = [0; 256];
        loop {
            if let Some(frame) = take_frame(&mut self.input, REPLY_BYTES_MAX).map_err(|bad| self.lost(bad))? {
                return Ok(frame);
            }
            let received = stream.read(&mut buffer).map_err(|error| self.lost(error))?;
            if received == 0 {
                return Err(self.lost("the server closed it during the handshake"));
            }
            self.input.extend_from_slice(&buffer[..received]);
        }
    }
}

/// The request for a session that is not there yet.
pub fn new_session(timeout_ms: i32) -> ConnectRequest {
    ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: 0,
        timeout_ms,
        session_id: 0,
        password: Bytes::from_static(&[0; PASSWORD_BYTES]),
        read_only: Some(false),
    }
}

/// The error that a request was answered with, if it was one; `reader` stands behind the header.
pub fn error_of(
    header: &ReplyHeader,
    op: OpCode,
    reader: &mut Reader,
) -> Result<Option<ErrorCode>, volery::wire::Malformed> {
    match (header.error, op) {
        (None, OpCode::Multi) => failed_op(reader),
        (error, _) => Ok(error),
    }
}

/// The reason why a multi failed, which its header does not tell: the one failure that is not a consequence of it.
fn failed_op(reader: &mut Reader) -> Result<Option<ErrorCode>, volery::wire::Malformed> {
    let Reply::Results(results) = Reply::read(OpCode::Multi, reader)? else { return Ok(None) };
    Ok(results.iter().filter_map(OpResult::error).find(|code| *code != ErrorCode::RuntimeInconsistency))
}
