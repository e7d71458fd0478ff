//! A session on one connection, with several requests in flight.
//!
//! Two clients may speak for it. [`Wire`] is this tool's own: it costs the generator little, and many share a thread.
//! [`Native`] is Volery's client library as an application has it: it blocks, and has a thread for itself and another
//! that reads.

mod native;
mod session;
mod wire;

pub use session::Session;

use crate::failure::Failure;
use clap::ValueEnum;
use mio::event::Source;
use native::Native;
use serde::Serialize;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use volery::client::Traffic;
use volery::wire::{ErrorCode, OpResult, Reply, Request};
use wire::Wire;

/// The session timeout asked for.
const SESSION_TIMEOUT: Duration = Duration::from_secs(30);
/// After how long without a request a ping keeps the session alive, as ZooKeeper's clients do it.
const PING_AFTER: Duration = Duration::from_secs(10);

/// Which client speaks for a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Speaker {
    /// this tool's own, many of which share a thread
    Wire,
    /// Volery's client library, each of which has threads of its own
    Native,
}

/// A request that is not answered yet.
pub struct InFlight {
    /// When it was to be sent, from which its latency counts.
    pub due: Instant,
    /// When it was handed to the connection.
    pub sent: Instant,
    /// The znode that it creates, if it creates one.
    pub creates: Option<Arc<str>>,
}

/// A session on one connection. Replies come in the order of the requests.
pub struct Client {
    speaker: Spoken,
    address: SocketAddr,
    in_flight: VecDeque<InFlight>,
    /// When a request or a ping was handed to the connection last.
    last_sent: Option<Instant>,
    closing: bool,
}

/// Who speaks for it.
enum Spoken {
    Wire(Wire),
    Native(Native),
}

impl Client {
    /// Connects and opens a session, which blocks for a bounded time.
    pub fn connect(address: SocketAddr, speaker: Speaker) -> Result<Client, Failure> {
        let connected = match speaker {
            Speaker::Wire => Wire::connect(address).map(Spoken::Wire),
            Speaker::Native => Native::connect(address).map(Spoken::Native),
        };
        let speaker = connected.map_err(|reason| Failure::ConnectionLost { address, reason })?;
        Ok(Client { speaker, address, in_flight: VecDeque::new(), last_sent: None, closing: false })
    }

    /// The socket, to poll; `None`: it is not polled but [waited](Client::wait) for.
    pub fn source(&mut self) -> Option<&mut impl Source> {
        match &mut self.speaker {
            Spoken::Wire(wire) => Some(wire.source()),
            Spoken::Native(_) => None,
        }
    }

    /// Waits until there is a reply or this time has come.
    ///
    /// # Panics
    /// If it is polled: others share its thread, so it may not block.
    pub fn wait(&mut self, until: Instant) -> Result<(), Failure> {
        let Spoken::Native(native) = &mut self.speaker else { panic!("a polled client never waits") };
        let waited = native.wait(until);
        self.gone_on(waited)
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

    /// What the connection has carried so far, without the handshake.
    pub fn traffic(&self) -> Traffic {
        match &self.speaker {
            Spoken::Wire(wire) => wire.traffic(),
            Spoken::Native(native) => native.traffic(),
        }
    }

    /// Takes a request to be sent with the next flush, and from which latency counts at once.
    pub fn push(&mut self, request: Request, now: Instant) {
        self.push_due(request, now, now);
    }

    /// Takes a request that was due at some time before, to be sent with the next flush.
    pub fn push_due(&mut self, request: Request, due: Instant, now: Instant) {
        assert!(!self.closing, "nothing follows a closeSession");
        self.closing = request == Request::CloseSession;
        self.last_sent = Some(now);
        let creates = match &request {
            Request::Create(create) => Some(Arc::clone(&create.path)),
            _ => None,
        };
        self.in_flight.push_back(InFlight { due, sent: now, creates });
        match &mut self.speaker {
            Spoken::Wire(wire) => wire.push(&request),
            Spoken::Native(native) => native.push(request),
        }
    }

    /// Sends a ping if no request was sent for a while: the server may be slow to answer those that were.
    pub fn keep_alive(&mut self, now: Instant) -> Result<(), Failure> {
        if self.closing || now - *self.last_sent.get_or_insert(now) < PING_AFTER {
            return Ok(());
        }
        self.last_sent = Some(now);
        match &mut self.speaker {
            Spoken::Wire(wire) => wire.push_ping(),
            // It does so by itself.
            Spoken::Native(_) => {}
        }
        self.flush()
    }

    /// Sends what was pushed. What a polled socket does not take goes with a later flush, when it is writable.
    pub fn flush(&mut self) -> Result<(), Failure> {
        let flushed = match &mut self.speaker {
            Spoken::Wire(wire) => wire.flush(),
            Spoken::Native(native) => native.flush(),
        };
        flushed.map_err(|reason| self.lost(reason))
    }

    /// Receives all that there is at a polled socket, through a buffer that connections share.
    pub fn receive(&mut self, buffer: &mut [u8]) -> Result<(), Failure> {
        let received = match &mut self.speaker {
            Spoken::Wire(wire) => wire.receive(buffer),
            Spoken::Native(_) => Ok(()),
        };
        self.gone_on(received)
    }

    /// The next answered request of what was received, and the error that it was answered with, if it was one.
    pub fn next_reply(&mut self) -> Result<Option<(InFlight, Option<ErrorCode>)>, Failure> {
        let answer = match &mut self.speaker {
            Spoken::Wire(wire) => wire.next_answer(),
            Spoken::Native(native) => Ok(native.next_answer()),
        };
        let Some(answer) = answer.map_err(|reason| self.lost(reason))? else { return Ok(None) };
        match self.in_flight.pop_front() {
            Some(request) => Ok(Some((request, answer.err()))),
            None => Err(self.lost("a reply came unasked")),
        }
    }

    /// The failure that says what happened to the connection.
    pub fn lost(&self, reason: impl ToString) -> Failure {
        Failure::ConnectionLost { address: self.address, reason: reason.to_string() }
    }

    /// A server may end the connection of a session that is being closed without waiting for us.
    fn gone_on(&mut self, connection: Result<(), String>) -> Result<(), Failure> {
        match connection {
            Err(_) if self.closing => self.in_flight.clear(),
            Err(reason) => return Err(self.lost(reason)),
            Ok(()) => {}
        }
        Ok(())
    }
}

/// The reason why a multi failed, which its header does not tell: the one failure that is not a consequence of it.
fn failed_op(reply: &Reply) -> Option<ErrorCode> {
    let Reply::Results(results) = reply else { return None };
    results.iter().filter_map(OpResult::error).find(|code| *code != ErrorCode::RuntimeInconsistency)
}
