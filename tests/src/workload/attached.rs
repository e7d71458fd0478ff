//! A client that attaches to its session again whenever it has lost its server.

#![allow(clippy::disallowed_methods, reason = "a client of a server that is killed looks at the clock")]

use super::world::World;
use crate::checks::Fate;
use crate::violation::Violation;
use std::sync::Arc;
use std::time::{Duration, Instant};
use volery::client::{Client, ClientError};
use volery::wire::ErrorCode;

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict<T> {
    /// It was done.
    Done(T),
    /// It was not.
    Refused(ErrorCode),
    /// Nobody knows.
    Unknown,
}

/// A session with ephemerals, whose client comes back after every lost connection.
#[derive(Debug)]
pub struct Attached {
    /// What all clients share.
    pub world: Arc<World>,
    client: Client,
    /// The session's row in the table.
    number: usize,
    /// When the server was last heard, as far as this client's own requests tell.
    heard: Instant,
    /// The server has said that the session is not attached here, though the connection stands.
    is_detached: bool,
}

impl Attached {
    /// Opens a session and creates its ephemerals. `None` is that the trial is over.
    pub fn open(world: Arc<World>, timeout: Duration) -> Option<Attached> {
        let client = connect(&world, timeout)?;
        let number = world.sessions.add(client.session_id(), client.timeout(), Instant::now());
        let mut attached = Attached { world, client, number, heard: Instant::now(), is_detached: false };
        if attached.create_ephemerals() {
            return Some(attached);
        }
        attached.abandon();
        None
    }

    /// Makes a request and says what came of it. Codes that tell nothing count as unknown.
    pub fn attempt<T>(&mut self, call: impl FnOnce(&mut Client) -> Result<T, ClientError>) -> Verdict<T> {
        let verdict = match call(&mut self.client) {
            Ok(done) => Verdict::Done(done),
            Err(error) => verdict(&error),
        };
        if !matches!(verdict, Verdict::Unknown) {
            self.heard = Instant::now();
        }
        self.is_detached |=
            matches!(verdict, Verdict::Refused(ErrorCode::SessionMoved | ErrorCode::SessionExpired));
        verdict
    }

    /// Attaches again if the connection or the session is lost. `false` is that the trial is over.
    pub fn ensure(&mut self) -> bool {
        (self.client.is_connected() && !self.is_detached) || self.mend()
    }

    /// The node that it is connected to, or was last.
    pub fn node(&self) -> usize {
        self.world.node_at(self.client.server())
    }

    /// Whether the connection is lost, so that nothing outstanding will be answered.
    pub fn is_lost(&self) -> bool {
        !self.client.is_connected()
    }

    /// Ends the session, and says so only when that was acknowledged.
    pub fn close(self) {
        let Attached { world, client, number, .. } = self;
        world.sessions.change(number, Fate::Leaving, Instant::now());
        match client.close() {
            Ok(()) => {
                world.sessions.change(number, Fate::Closed, Instant::now());
                world.record.acknowledge();
            }
            Err(_) => world.sessions.change(number, Fate::Leaving, Instant::now()),
        }
    }

    /// Leaves the session to its timeout.
    pub fn abandon(self) {
        let Attached { world, client, number, .. } = self;
        world.sessions.change(number, Fate::Leaving, Instant::now());
        drop(client);
        world.sessions.change(number, Fate::Leaving, Instant::now());
    }

    fn mend(&mut self) -> bool {
        self.world.record.reconnect();
        self.is_detached = false;
        loop {
            match self.client.reconnect() {
                Ok(()) => {
                    self.heard = Instant::now();
                    return true;
                }
                Err(ClientError::Expired) => return self.replace(),
                Err(_) if self.world.is_stopping() => return false,
                Err(_) => self.world.pause(),
            }
        }
    }

    /// The session has expired. That is right only if the server has not heard its client for the whole timeout.
    fn replace(&mut self) -> bool {
        let timeout = self.client.timeout();
        let silent = self.world.heard_since(self.heard).elapsed();
        if silent < timeout {
            let (silent_ms, timeout_ms) = (silent.as_millis(), timeout.as_millis());
            let session = self.client.session_id();
            self.world.record.violate(Violation::SessionLost { session, silent_ms, timeout_ms });
        }
        self.world.sessions.change(self.number, Fate::Leaving, Instant::now());
        match Attached::open(Arc::clone(&self.world), timeout) {
            Some(fresh) => {
                *self = fresh;
                true
            }
            None => false,
        }
    }

    /// Creates the ephemerals, again after a lost connection if need be.
    fn create_ephemerals(&mut self) -> bool {
        let row = self.world.sessions.row(self.number);
        let mut tried = false;
        loop {
            match self.attempt(|client| client.multi(row.creates())) {
                Verdict::Done(_) => break,
                // An attempt whose outcome was unknown has succeeded.
                Verdict::Refused(ErrorCode::NodeExists) if tried => break,
                Verdict::Refused(ErrorCode::ThrottledOp) => self.world.pause(),
                Verdict::Refused(ErrorCode::SessionMoved | ErrorCode::SessionExpired) => {}
                Verdict::Refused(code) => {
                    let (what, answer) = (format!("ephemerals of {:#x}", row.session), code.to_string());
                    self.world.record.violate(Violation::Unexpected { what, answer });
                    return false;
                }
                Verdict::Unknown => tried = true,
            }
            if !self.ensure() {
                return false;
            }
            // The session was replaced on the way, and the new one has its ephemerals.
            if self.client.session_id() != row.session {
                return true;
            }
        }
        self.world.sessions.change(self.number, Fate::Living, Instant::now());
        self.world.record.acknowledge();
        true
    }
}

/// Opens a session, again and again while there is no server. `None` is that the trial is over.
fn connect(world: &World, timeout: Duration) -> Option<Client> {
    loop {
        match Client::connect(&world.servers()[..], timeout) {
            Ok(client) => return Some(client),
            Err(_) if world.is_stopping() => return None,
            Err(_) => world.pause(),
        }
    }
}

fn verdict<T>(error: &ClientError) -> Verdict<T> {
    use ErrorCode::{ConnectionLoss, OperationTimeout, RequestTimeout, SystemError};
    match error.code() {
        None | Some(ConnectionLoss | OperationTimeout | RequestTimeout | SystemError) => Verdict::Unknown,
        Some(code) => Verdict::Refused(code),
    }
}
