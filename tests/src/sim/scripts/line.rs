//! One client's connection, by hand.

use crate::sim::cluster::Cluster;
use bytes::BytesMut;
use eyrie::sim::EndId;
use volery::wire::{
    ConnectRequest, ConnectResponse, ErrorCode, Reader, Record, Reply, ReplyHeader, Request,
    XID_NOTIFICATION, take_frame, write_frame,
};

const FRAME_BYTES_MAX: usize = 1 << 20;
/// How long an answer is waited for.
const PATIENCE_US: u64 = 20_000_000;

/// A connection to one node.
pub struct Line {
    end: EndId,
    input: BytesMut,
    /// How many watches have fired.
    pub fired: usize,
    /// The zxid of the last reply.
    pub zxid: i64,
}

impl Line {
    /// Dials a node and asks for a session, a new one or an earlier one; the answer is not waited for.
    fn ask(world: &mut Cluster, node: usize, timeout_ms: i32, earlier: Option<&ConnectResponse>) -> Line {
        let line = Line { end: world.dial(0, node), input: BytesMut::new(), fired: 0, zxid: 0 };
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: 0,
            timeout_ms,
            session_id: earlier.map_or(0, |earlier| earlier.session_id),
            password: earlier.map(|earlier| earlier.password.clone()).unwrap_or_default(),
            read_only: Some(false),
        };
        let mut output = BytesMut::new();
        write_frame(&mut output, |output| request.write(output));
        world.write(line.end, &mut output);
        line
    }

    /// A session at a node, a new one or an earlier one, as soon as the node is there.
    pub fn open(
        world: &mut Cluster,
        node: usize,
        timeout_ms: i32,
        earlier: Option<&ConnectResponse>,
    ) -> (Line, ConnectResponse) {
        let until_us = world.now_us() + PATIENCE_US;
        while world.now_us() < until_us {
            let mut line = Line::ask(world, node, timeout_ms, earlier);
            if let Some(response) = line.answer(world) {
                return (line, response);
            }
        }
        panic!("node {node} opens no session");
    }

    /// The answer to the handshake; nothing if the connection ends without one.
    fn answer(&mut self, world: &mut Cluster) -> Option<ConnectResponse> {
        self.frame(world).map(|mut reader| ConnectResponse::read(&mut reader).expect("an answer"))
    }

    /// Asks for something, and has the answer.
    pub fn call(&mut self, world: &mut Cluster, xid: i32, request: &Request) -> Result<Reply, ErrorCode> {
        self.try_call(world, xid, request).expect("a reply")
    }

    /// The same; nothing if the connection ends without an answer.
    pub fn try_call(
        &mut self,
        world: &mut Cluster,
        xid: i32,
        request: &Request,
    ) -> Option<Result<Reply, ErrorCode>> {
        self.send(world, xid, request);
        self.reply(world, xid, request)
    }

    /// The answer to what was sent last; nothing if the connection ends without one.
    pub fn reply(
        &mut self,
        world: &mut Cluster,
        xid: i32,
        request: &Request,
    ) -> Option<Result<Reply, ErrorCode>> {
        let (mut reader, header) = loop {
            let mut reader = self.frame(world)?;
            let header = ReplyHeader::read(&mut reader).expect("a header");
            match header.xid {
                XID_NOTIFICATION => self.fired += 1,
                _ => break (reader, header),
            }
        };
        assert_eq!(header.xid, xid);
        self.zxid = header.zxid;
        Some(match header.error {
            Some(code) => Err(code),
            None => Ok(Reply::read(request.op(), &mut reader).expect("a body")),
        })
    }

    /// Asks for something, and does not wait.
    pub fn send(&mut self, world: &mut Cluster, xid: i32, request: &Request) {
        let mut output = BytesMut::new();
        request.write_frame(xid, &mut output);
        world.write(self.end, &mut output);
    }

    /// Whether an answer to this has come before the connection ended.
    pub fn is_answered(&mut self, world: &mut Cluster, xid: i32) -> bool {
        while let Some(mut reader) = self.frame(world) {
            if ReplyHeader::read(&mut reader).expect("a header").xid == xid {
                return true;
            }
        }
        false
    }

    /// Whether the node has ended the connection by now.
    pub fn is_closed(&mut self, world: &mut Cluster) -> bool {
        loop {
            match world.read(self.end) {
                None => return true,
                Some(bytes) if bytes.is_empty() => return false,
                Some(bytes) => self.input.extend_from_slice(&bytes),
            }
        }
    }

    /// Whether something has come that is taken off by this.
    pub fn has_frame(&mut self, world: &mut Cluster) -> bool {
        if let Some(bytes) = world.read(self.end) {
            self.input.extend_from_slice(&bytes);
        }
        take_frame(&mut self.input, FRAME_BYTES_MAX).expect("a frame").is_some()
    }

    /// Gives the connection up.
    pub fn close(self, world: &mut Cluster) {
        world.close(self.end);
    }

    fn frame(&mut self, world: &mut Cluster) -> Option<Reader> {
        let until_us = world.now_us() + PATIENCE_US;
        loop {
            if let Some(frame) = take_frame(&mut self.input, FRAME_BYTES_MAX).expect("a frame") {
                return Some(Reader::new(frame));
            }
            let bytes = world.read(self.end)?;
            self.input.extend_from_slice(&bytes);
            if !bytes.is_empty() {
                continue;
            }
            assert!(world.now_us() < until_us, "no answer");
            world.next(until_us);
        }
    }
}
