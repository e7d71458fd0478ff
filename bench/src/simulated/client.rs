//! A simulated client: a session on one connection, with several requests in flight.

use crate::client::Session;
use crate::op::Op;
use crate::tally::Tally;
use crate::workload::Workload;
use bytes::BytesMut;
use std::collections::VecDeque;
use std::time::Duration;
use volery::wire::{ErrorCode, Request};

/// The session timeout asked for: longer than any simulation.
const SESSION_TIMEOUT: Duration = Duration::from_secs(40);

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
    session: Session,
    /// When each request in flight was sent.
    in_flight: VecDeque<u64>,
}

impl Client {
    /// A client that asks for a session and then keeps so many requests in flight.
    pub fn new(script: Script, outstanding: usize) -> Client {
        let session = Session::new(SESSION_TIMEOUT);
        Client { script, outstanding, session, in_flight: VecDeque::new() }
    }

    /// Whether all was answered that there was to do.
    pub fn is_done(&self) -> bool {
        self.session.is_open()
            && self.in_flight.is_empty()
            && matches!(&self.script, Script::Once(rest) if rest.is_empty())
    }

    /// What is to be sent.
    pub fn output(&mut self) -> &mut BytesMut {
        self.session.output()
    }

    /// Takes in what has come. The error says why this is not what was to come.
    pub fn received(
        &mut self,
        bytes: &[u8],
        now_us: u64,
        mut tally: Option<&mut Tally>,
    ) -> Result<(), String> {
        self.session.receive(bytes);
        while let Some(answer) = self.session.next_answer()? {
            let sent_us = self.in_flight.pop_front().ok_or("a reply to nothing")?;
            match (&mut tally, answer.err()) {
                (Some(tally), error) => tally.reply(Duration::from_micros(now_us - sent_us), error),
                (None, Some(error)) if error != ErrorCode::NodeExists => {
                    return Err(format!("a request failed: {error}"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Sends as many requests as may be in flight, once there is a session.
    pub fn refill(&mut self, now_us: u64) {
        while self.session.is_open() && self.in_flight.len() < self.outstanding {
            let request = match &mut self.script {
                Script::Once(requests) => requests.pop_front(),
                Script::Load(workload, op) => workload.next(*op),
            };
            let Some(request) = request else { break };
            self.session.push(&request);
            self.in_flight.push_back(now_us);
        }
    }
}
