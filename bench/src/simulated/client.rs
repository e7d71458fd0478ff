//! A simulated client: a session on one connection, with several requests in flight.

use crate::client::{error_of, new_session};
use crate::op::Op;
use crate::tally::Tally;
use crate::workload::Workload;
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use std::time::Duration;
use volery::wire::{
    ConnectResponse, ErrorCode, FRAME_BYTES_MAX_DEFAULT, OpCode, Reader, Record, ReplyHeader, Request,
    XID_NOTIFICATION, XID_PING, take_frame, write_frame,
};

/// The session timeout asked for, in milliseconds: longer than any simulation.
const SESSION_TIMEOUT_MS: i32 = 40_000;

/// What a client does.
pub enum Script {
    /// These requests in this order. That a znode is there already is no error.
    Once(VecDeque<Request>),
    /// This operation, for ever.
    Load(Workload, Op),
}

/// The client. Sans-IO: it is given bytes and times.
pub struct Client {
    script: Script,
    outstanding: usize,
    greeted: bool,
    input: BytesMut,
    output: BytesMut,
    /// When each request in flight was sent, and what it is.
    in_flight: VecDeque<(u64, OpCode)>,
    last_xid: i32,
}

impl Client {
    /// A client that keeps so many requests in flight.
    pub fn new(script: Script, outstanding: usize) -> Client {
        Client {
            script,
            outstanding,
            greeted: false,
            input: BytesMut::new(),
            output: BytesMut::new(),
            in_flight: VecDeque::new(),
            last_xid: 0,
        }
    }

    /// Asks for a session.
    pub fn greet(&mut self) {
        let request = new_session(SESSION_TIMEOUT_MS);
        write_frame(&mut self.output, |output| request.write(output));
    }

    /// Whether all was answered that there was to do.
    pub fn is_done(&self) -> bool {
        self.greeted
            && self.in_flight.is_empty()
            && matches!(&self.script, Script::Once(rest) if rest.is_empty())
    }

    /// What is to be sent.
    pub fn output(&mut self) -> &mut BytesMut {
        &mut self.output
    }

    /// Takes in what has come. The error says why this is not what was to come.
    pub fn received(
        &mut self,
        bytes: &[u8],
        now_us: u64,
        mut tally: Option<&mut Tally>,
    ) -> Result<(), String> {
        self.input.extend_from_slice(bytes);
        while let Some(frame) = self.next_frame()? {
            let mut reader = Reader::new(frame);
            if !self.greeted {
                let response: ConnectResponse = reader.record().map_err(|malformed| malformed.to_string())?;
                self.greeted = response.session_id != 0;
                continue;
            }
            let header: ReplyHeader = reader.record().map_err(|malformed| malformed.to_string())?;
            if matches!(header.xid, XID_NOTIFICATION | XID_PING) {
                continue;
            }
            let (sent_us, op) = self.in_flight.pop_front().ok_or("a reply to nothing")?;
            let error = error_of(&header, op, &mut reader).map_err(|malformed| malformed.to_string())?;
            match (&mut tally, error) {
                (Some(tally), error) => tally.reply(Duration::from_micros(now_us - sent_us), error),
                (None, Some(error)) if error != ErrorCode::NodeExists => {
                    return Err(format!("a request failed: {error}"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Sends as many requests as may be in flight.
    pub fn refill(&mut self, now_us: u64) {
        while self.greeted && self.in_flight.len() < self.outstanding {
            let request = match &mut self.script {
                Script::Once(requests) => requests.pop_front(),
                Script::Load(workload, op) => workload.next(*op),
            };
            let Some(request) = request else { break };
            self.last_xid += 1;
            request.write_frame(self.last_xid, &mut self.output);
            self.in_flight.push_back((now_us, request.op()));
        }
    }

    fn next_frame(&mut self) -> Result<Option<Bytes>, String> {
        take_frame(&mut self.input, FRAME_BYTES_MAX_DEFAULT).map_err(|bad| bad.to_string())
    }
}
