//! One TCP connection: the caller's thread writes, a thread of its own reads and pings.

#![allow(
    clippy::disallowed_methods,
    reason = "the client's edge: a socket, the clock and the thread that reads"
)]

use super::inbox::{Inbox, Ticket};
use super::{ClientError, FRAME_BYTES_MAX, Traffic};
use crate::wire::{
    ConnectRequest, ConnectResponse, Reader, Record, Request, XID_AUTH, XID_PING, XID_SET_WATCHES,
};
use crate::wire::{take_frame, write_frame};
use bytes::BytesMut;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Bytes asked of the socket at a time.
const READ_BYTES: usize = 64 * 1024;
/// The shortest wait for the socket; it refuses zero.
const READ_WAIT_MIN: Duration = Duration::from_millis(1);

/// A connection after its handshake. Dropping it closes it, which does not end the session.
#[derive(Debug)]
pub(super) struct Connection {
    shared: Arc<Shared>,
    reader: Option<JoinHandle<()>>,
}

/// What the caller's thread and the reading thread have in common. Where both locks are needed, the outbox's is first.
#[derive(Debug)]
struct Shared {
    stream: TcpStream,
    /// Held while writing, so that frames never mix.
    outbox: Mutex<Outbox>,
    /// Never held while writing: the reading thread must get on, or two full pipelines would wait for each other.
    inbox: Mutex<Inbox>,
    arrived: Condvar,
    /// Bytes received so far.
    received: AtomicU64,
}

#[derive(Debug)]
struct Outbox {
    last_sent: Instant,
    /// Bytes sent so far.
    sent: u64,
    bytes: BytesMut,
}

/// A socket on which the handshake is done.
pub(super) struct Opened {
    stream: TcpStream,
    /// What came after the handshake's answer.
    input: BytesMut,
    /// The server.
    pub(super) address: SocketAddr,
    /// The server's answer.
    pub(super) response: ConnectResponse,
}

impl Opened {
    /// Connects and shakes hands, each step within `timeout`.
    pub(super) fn open(
        address: SocketAddr,
        request: &ConnectRequest,
        timeout: Duration,
    ) -> io::Result<Opened> {
        let mut stream = TcpStream::connect_timeout(&address, timeout)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        let mut output = BytesMut::new();
        write_frame(&mut output, |output| request.write(output));
        stream.write_all(&output)?;
        let mut input = BytesMut::new();
        loop {
            if let Some(frame) = take_frame(&mut input, FRAME_BYTES_MAX).map_err(io::Error::other)? {
                let response = Reader::new(frame).record().map_err(io::Error::other)?;
                return Ok(Opened { stream, input, address, response });
            }
            if read_some(&mut stream, &mut input)? == 0 {
                return Err(io::Error::new(ErrorKind::UnexpectedEof, "the server closed the connection"));
            }
        }
    }
}

impl Connection {
    /// Takes up a connection whose handshake agreed on `timeout`.
    pub(super) fn start(opened: Opened, inbox: Inbox, timeout: Duration) -> Connection {
        let outbox = Outbox { last_sent: Instant::now(), sent: 0, bytes: BytesMut::new() };
        let shared = Arc::new(Shared {
            stream: opened.stream,
            outbox: Mutex::new(outbox),
            inbox: Mutex::new(inbox),
            arrived: Condvar::new(),
            received: AtomicU64::new(0),
        });
        let reading = Reading {
            shared: Arc::clone(&shared),
            input: opened.input,
            timeout,
            last_received: Instant::now(),
        };
        let reader = Some(std::thread::spawn(move || reading.run()));
        Connection { shared, reader }
    }

    /// Sends requests together; the first one has this ticket, and the others' follow it.
    pub(super) fn send(&self, first: Ticket, requests: &[Request]) -> Result<(), ClientError> {
        let mut outbox = lock(&self.shared.outbox);
        let ticketed = || (first.0..).map(Ticket).zip(requests);
        {
            let mut inbox = self.inbox();
            lost(&inbox)?;
            if requests.len() > inbox.room() {
                return Err(ClientError::WindowFull);
            }
            ticketed().for_each(|(ticket, request)| inbox.expect(ticket, xid(ticket, request), request.op()));
        }
        let frames = ticketed().map(|(ticket, request)| (xid(ticket, request), request));
        self.shared.write(&mut outbox, frames).map_err(|error| {
            self.end(&error.to_string());
            ClientError::Lost(error.to_string())
        })
    }

    /// What it has carried.
    pub(super) fn traffic(&self) -> Traffic {
        let sent = lock(&self.shared.outbox).sent;
        Traffic { sent, received: self.shared.received.load(Ordering::Relaxed) }
    }

    /// Waits until `take` finds something, the connection is lost, or the deadline has passed, which is `None`.
    pub(super) fn wait<T>(
        &self,
        deadline: Instant,
        mut take: impl FnMut(&mut Inbox) -> Option<T>,
    ) -> Result<Option<T>, ClientError> {
        let mut inbox = self.inbox();
        loop {
            if let Some(taken) = take(&mut inbox) {
                return Ok(Some(taken));
            }
            lost(&inbox)?;
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            inbox = self.shared.arrived.wait_timeout(inbox, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// What has been received.
    pub(super) fn inbox(&self) -> MutexGuard<'_, Inbox> {
        lock(&self.shared.inbox)
    }

    /// Gives the connection up.
    pub(super) fn end(&self, reason: &str) {
        self.shared.end(reason.to_owned());
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.end("it was closed here");
        if let Some(reader) = self.reader.take() {
            // A panic of the reading thread has been printed, and there is nobody left to be told.
            let _ = reader.join();
        }
    }
}

impl Shared {
    fn write<'a>(
        &self,
        outbox: &mut Outbox,
        requests: impl Iterator<Item = (i32, &'a Request)>,
    ) -> io::Result<()> {
        outbox.bytes.clear();
        requests.for_each(|(xid, request)| request.write_frame(xid, &mut outbox.bytes));
        outbox.last_sent = Instant::now();
        outbox.sent += outbox.bytes.len() as u64;
        (&self.stream).write_all(&outbox.bytes)
    }

    fn end(&self, reason: String) {
        lock(&self.inbox).end(reason);
        self.arrived.notify_all();
        // It fails where the other side has closed already, which is as good.
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Pings if nothing was sent for `interval`, and returns when to look again. Whoever holds the lock is sending.
    fn ping_if_idle(&self, interval: Duration) -> io::Result<Duration> {
        let mut outbox = match self.outbox.try_lock() {
            Ok(outbox) => outbox,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(interval),
        };
        if outbox.last_sent.elapsed() >= interval {
            self.write(&mut outbox, std::iter::once((XID_PING, &Request::Ping)))?;
        }
        Ok(interval.saturating_sub(outbox.last_sent.elapsed()))
    }
}

/// The reading thread.
struct Reading {
    shared: Arc<Shared>,
    input: BytesMut,
    timeout: Duration,
    last_received: Instant,
}

impl Reading {
    fn run(mut self) {
        let reason = loop {
            if let Err(reason) = self.turn() {
                break reason;
            }
        };
        self.shared.end(reason);
    }

    /// Takes in what has come, and pings when it is time. Without a word for two thirds of the timeout the server is
    /// given up, so that there is time to find another before the session expires.
    fn turn(&mut self) -> Result<(), String> {
        self.hand_over()?;
        let wait = self.shared.ping_if_idle(self.timeout / 3).map_err(|error| error.to_string())?;
        self.read(wait.max(READ_WAIT_MIN)).map_err(|error| error.to_string())?;
        if self.last_received.elapsed() > self.timeout * 2 / 3 {
            return Err(format!("nothing was heard for {:?}", self.timeout * 2 / 3));
        }
        Ok(())
    }

    /// Hands over what is complete, all at once, so that the caller wakes up once for it.
    fn hand_over(&mut self) -> Result<(), String> {
        let mut frames =
            std::iter::from_fn(|| take_frame(&mut self.input, FRAME_BYTES_MAX).transpose()).peekable();
        if frames.peek().is_none() {
            return Ok(());
        }
        let mut inbox = lock(&self.shared.inbox);
        frames.try_for_each(|frame| inbox.receive(frame.map_err(|refused| refused.to_string())?))?;
        self.shared.arrived.notify_all();
        Ok(())
    }

    fn read(&mut self, wait: Duration) -> io::Result<()> {
        self.shared.stream.set_read_timeout(Some(wait))?;
        match read_some(&mut &self.shared.stream, &mut self.input) {
            Ok(0) => Err(io::Error::new(ErrorKind::UnexpectedEof, "the server closed it")),
            Ok(received) => {
                self.shared.received.fetch_add(received as u64, Ordering::Relaxed);
                self.last_received = Instant::now();
                Ok(())
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Appends what one read brings; 0 is the end.
fn read_some(stream: &mut impl Read, input: &mut BytesMut) -> io::Result<usize> {
    let start = input.len();
    input.resize(start + READ_BYTES, 0);
    let result = loop {
        match stream.read(&mut input[start..]) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => break result,
        }
    };
    input.truncate(start + result.as_ref().map_or(0, |&read| read));
    result
}

/// A request's xid follows from its ticket, unless the protocol gives it one.
fn xid(ticket: Ticket, request: &Request) -> i32 {
    match request {
        Request::Auth { .. } => XID_AUTH,
        Request::SetWatches(_) => XID_SET_WATCHES,
        Request::Ping => XID_PING,
        _ => (ticket.0 % i32::MAX as u64) as i32 + 1,
    }
}

fn lost(inbox: &Inbox) -> Result<(), ClientError> {
    inbox.ended().map_or(Ok(()), |reason| Err(ClientError::Lost(reason.to_owned())))
}

/// A panic elsewhere leaves whole values behind: nothing under these locks is changed in steps.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
