//! A small blocking client over std's sockets, for the command line, tests and tools.
//!
//! ```text
//!   caller's thread                      reading thread
//!   call, send ──> socket                socket ──> inbox: replies, events
//!   receive, wait_event <── inbox        pings when nothing was sent for a third of the timeout
//! ```
//!
//! One [`Client`] is one session and at most one connection. It belongs to one caller; who wants several threads opens
//! several sessions. Requests may be pipelined: [`send`](Client::send) returns a [`Ticket`], and
//! [`receive`](Client::receive) the replies in the order in which they came. [`call`](Client::call) is both at once.
//! Who has many requests at hand saves a system call for each with [`send_all`](Client::send_all).
//!
//! A lost connection is not mended behind the caller's back, because only the caller knows what an unanswered request
//! means: every call fails until [`reconnect`](Client::reconnect) attaches to the same session again, at the next server
//! of the list, or tells that it has expired. A server that says nothing for two thirds of the timeout counts as lost,
//! which leaves the last third to find another. Dropping a client leaves the session to its timeout;
//! [`close`](Client::close) ends it at once.
//!
//! # Caveats
//!
//! - A reconnect repeats `add_auth`, but arms no watches: send a `SetWatches` with [`last_zxid`](Client::last_zxid).
//! - A request waits for its answer at most as long as the session's timeout, and then the connection is given up.
//! - A search for a server gives each that accepts the connection and then says nothing a third of the timeout: the
//!   session outlives one such server in its list, not several in a row.

#![allow(clippy::disallowed_methods, reason = "a blocking client: its deadlines are read off the clock")]

mod connection;
mod error;
mod inbox;
mod servers;

pub use error::ClientError;
pub use inbox::{Answer, Ticket};

use crate::wire::{Acl, AddWatchMode, ConnectResponse, Create, CreateMode, Delete, ErrorCode};
use crate::wire::{MultiOp, OpResult, PASSWORD_BYTES, ReadOp, Reply, Request, SetData, Stat, WatcherEvent};
use bytes::Bytes;
use connection::Connection;
use inbox::Inbox;
use servers::Servers;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Requests of one client that were sent and whose replies were not taken. `send` refuses more.
pub const OUTSTANDING_MAX: usize = 4096;
/// Events that were not taken. With more the connection is given up, since an event may not be left out.
pub const EVENTS_MAX: usize = 1 << 20;
/// Bytes of the longest reply: more than servers accept as a request, since a list of children grows beyond that.
const FRAME_BYTES_MAX: usize = 64 << 20;

/// One session at a ZooKeeper or Volery server.
#[derive(Debug)]
pub struct Client {
    servers: Servers,
    server: SocketAddr,
    session: Session,
    auths: Vec<(String, Bytes)>,
    connection: Connection,
    next_ticket: u64,
}

/// What a connection has carried, without its handshake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes sent.
    pub sent: u64,
    /// Bytes received.
    pub received: u64,
}

/// What a session is attached to again with.
#[derive(Clone, Debug)]
struct Session {
    /// 0 before there is one.
    id: i64,
    password: Bytes,
    timeout: Duration,
}

impl Client {
    /// Opens a session at the first server that takes one. `timeout` is the session's; the server may agree on another.
    pub fn connect(addresses: impl ToSocketAddrs, timeout: Duration) -> Result<Client, ClientError> {
        let resolved = addresses.to_socket_addrs();
        let addresses = resolved.map_err(|error| unreachable(&[], error.to_string()))?.collect();
        let mut servers = Servers::new(addresses);
        let fresh = Session { id: 0, password: Bytes::from_static(&[0; PASSWORD_BYTES]), timeout };
        let (session, opened) = servers.attach(&fresh, 0)?;
        let server = opened.address;
        let connection = Connection::start(opened, Inbox::default(), session.timeout);
        Ok(Client { servers, server, session, auths: Vec::new(), connection, next_ticket: 0 })
    }

    /// Attaches to the same session by a new connection, to the next server of the list that is willing; the last one is
    /// tried last. Unanswered requests and replies not taken are forgotten, events not taken are kept.
    /// [`ClientError::Expired`] is final; after another error it may be tried again.
    pub fn reconnect(&mut self) -> Result<(), ClientError> {
        self.connection.end("it is replaced");
        let last_zxid = self.last_zxid();
        let (session, opened) = self.servers.attach(&self.session, last_zxid)?;
        let inbox = Inbox::new(last_zxid, self.connection.inbox().take_events());
        self.server = opened.address;
        self.connection = Connection::start(opened, inbox, session.timeout);
        self.session = session;
        for (scheme, auth) in self.auths.clone() {
            self.authenticate(scheme, auth)?;
        }
        Ok(())
    }

    /// Whether the connection stands, as far as is known.
    pub fn is_connected(&self) -> bool {
        self.connection.inbox().ended().is_none()
    }

    /// The server that it is connected to, or was last.
    pub fn server(&self) -> SocketAddr {
        self.server
    }

    /// The session's id, which is also the owner in its ephemeral znodes' Stat.
    pub fn session_id(&self) -> i64 {
        self.session.id
    }

    /// The session's timeout, as agreed with the server.
    pub fn timeout(&self) -> Duration {
        self.session.timeout
    }

    /// The highest zxid in a reply's header.
    pub fn last_zxid(&self) -> i64 {
        self.connection.inbox().last_zxid()
    }

    /// What this connection has carried so far.
    pub fn traffic(&self) -> Traffic {
        self.connection.traffic()
    }

    /// Adds an identity to this and every later connection.
    pub fn add_auth(&mut self, scheme: &str, auth: impl Into<Bytes>) -> Result<(), ClientError> {
        let auth = auth.into();
        self.authenticate(scheme.to_owned(), auth.clone())?;
        self.auths.push((scheme.to_owned(), auth));
        Ok(())
    }

    /// Ends the session: its ephemeral znodes are gone when this returns.
    pub fn close(mut self) -> Result<(), ClientError> {
        self.call(Request::CloseSession).map(drop)
    }

    /// Sends a request and waits for its reply. Replies to earlier requests stay to be received.
    pub fn call(&mut self, request: Request) -> Result<Reply, ClientError> {
        let ticket = self.send(request)?;
        let answer = self.wait_reply(|inbox| inbox.take_reply_to(ticket))?;
        Ok(answer?)
    }

    /// Sends a request and does not wait.
    pub fn send(&mut self, request: Request) -> Result<Ticket, ClientError> {
        let mut tickets = self.send_all(&[request])?;
        Ok(tickets.next().expect("a request has a ticket"))
    }

    /// Sends requests in this order, together, and does not wait. Their tickets come in the same order. With
    /// [`ClientError::WindowFull`] none was sent.
    pub fn send_all(
        &mut self,
        requests: &[Request],
    ) -> Result<impl Iterator<Item = Ticket> + use<>, ClientError> {
        let first = self.next_ticket;
        if !requests.is_empty() {
            self.connection.send(Ticket(first), requests)?;
        }
        self.next_ticket += requests.len() as u64;
        Ok((first..self.next_ticket).map(Ticket))
    }

    /// Waits for the next reply.
    ///
    /// # Panics
    /// If nothing is outstanding, since then none would ever come.
    pub fn receive(&mut self) -> Result<(Ticket, Answer), ClientError> {
        let inbox = self.connection.inbox();
        assert!(inbox.ended().is_some() || !inbox.is_idle(), "nothing is outstanding");
        drop(inbox);
        self.wait_reply(Inbox::take_reply)
    }

    /// Waits for the next reply until the deadline, and `None` is that it has passed: one in the past takes what is there.
    pub fn receive_by(&mut self, deadline: Instant) -> Result<Option<(Ticket, Answer)>, ClientError> {
        self.connection.wait(deadline, Inbox::take_reply)
    }

    /// Waits for the next event; `None` is that the deadline has passed.
    pub fn wait_event(&mut self, deadline: Instant) -> Result<Option<WatcherEvent>, ClientError> {
        self.connection.wait(deadline, Inbox::take_event)
    }

    /// Creates a znode that is open to everybody, and returns its path, which a sequential mode has completed.
    pub fn create(
        &mut self,
        path: &str,
        data: impl Into<Bytes>,
        mode: CreateMode,
    ) -> Result<Arc<str>, ClientError> {
        // createTTL answers with the Stat too, and there is no other operation for it.
        let with_stat = mode.ttl_ms().is_some();
        let create = Create {
            path: path.into(),
            data: Some(data.into()),
            acl: Acl::open_unsafe(),
            mode: Ok(mode),
            with_stat,
        };
        match self.call(Request::Create(create))? {
            Reply::Path(path) | Reply::PathStat { path, .. } => Ok(path),
            other => mismatch(&other),
        }
    }

    /// Reads a znode's data, of which null counts as empty, and its Stat.
    pub fn get(&mut self, path: &str) -> Result<(Bytes, Stat), ClientError> {
        match self.call(Request::GetData { path: path.into(), watch: false })? {
            Reply::Data { data, stat } => Ok((data.unwrap_or_default(), stat)),
            other => mismatch(&other),
        }
    }

    /// Replaces a znode's data if it has this version; −1 is any.
    pub fn set(&mut self, path: &str, data: impl Into<Bytes>, version: i32) -> Result<Stat, ClientError> {
        let set = SetData { path: path.into(), data: Some(data.into()), version };
        match self.call(Request::SetData(set))? {
            Reply::Stat(stat) => Ok(stat),
            other => mismatch(&other),
        }
    }

    /// Deletes a znode if it has this version; −1 is any.
    pub fn delete(&mut self, path: &str, version: i32) -> Result<(), ClientError> {
        self.call(Request::Delete(Delete { path: path.into(), version })).map(drop)
    }

    /// A znode's Stat, or `None` if it does not exist.
    pub fn exists(&mut self, path: &str) -> Result<Option<Stat>, ClientError> {
        match self.call(Request::Exists { path: path.into(), watch: false }) {
            Ok(Reply::Stat(stat)) => Ok(Some(stat)),
            Err(ClientError::Refused(ErrorCode::NoNode)) => Ok(None),
            Ok(other) => mismatch(&other),
            Err(error) => Err(error),
        }
    }

    /// The names of a znode's children, in no order.
    pub fn children(&mut self, path: &str) -> Result<Vec<Arc<str>>, ClientError> {
        match self.call(Request::GetChildren { path: path.into(), watch: false })? {
            Reply::Names(names) => Ok(names.iter().map(Arc::from).collect()),
            other => mismatch(&other),
        }
    }

    /// Does all of these or none, and returns a result for each. [`ClientError::MultiFailed`] tells which failed.
    pub fn multi(&mut self, ops: Vec<MultiOp>) -> Result<Vec<OpResult>, ClientError> {
        let results = self.results(Request::Multi(ops))?;
        // What stands behind the failure has failed too, but only because of it.
        let failed = results.iter().enumerate().find_map(|(at, result)| match result {
            OpResult::Failed(code) => Some(ClientError::MultiFailed { at, code: *code }),
            _ => None,
        });
        failed.map_or(Ok(results), Err)
    }

    /// Reads all of these at one point in time, and returns a result for each, which may be a failure.
    pub fn multi_read(&mut self, ops: Vec<ReadOp>) -> Result<Vec<OpResult>, ClientError> {
        self.results(Request::MultiRead(ops))
    }

    /// Sets a watch that stays until the connection is lost.
    pub fn add_watch(&mut self, path: &str, mode: AddWatchMode) -> Result<(), ClientError> {
        self.call(Request::AddWatch { path: path.into(), mode }).map(drop)
    }

    fn results(&mut self, request: Request) -> Result<Vec<OpResult>, ClientError> {
        match self.call(request)? {
            Reply::Results(results) => Ok(results),
            other => mismatch(&other),
        }
    }

    fn authenticate(&mut self, scheme: String, auth: Bytes) -> Result<(), ClientError> {
        self.call(Request::Auth { kind: 0, scheme, auth }).map(drop)
    }

    fn wait_reply<T>(&mut self, take: impl FnMut(&mut Inbox) -> Option<T>) -> Result<T, ClientError> {
        let timeout = self.session.timeout;
        let taken = self.connection.wait(Instant::now() + timeout, take)?;
        taken.ok_or_else(|| {
            self.connection.end("an answer did not come in time");
            ClientError::TimedOut(timeout)
        })
    }
}

/// The session that the server has agreed to.
fn agreed(response: &ConnectResponse) -> Result<Session, ClientError> {
    match u64::try_from(response.timeout_ms) {
        Ok(timeout_ms) if timeout_ms > 0 && response.session_id != 0 => Ok(Session {
            id: response.session_id,
            password: response.password.clone(),
            timeout: Duration::from_millis(timeout_ms),
        }),
        _ => Err(ClientError::Expired),
    }
}

fn unreachable(addresses: &[SocketAddr], reason: String) -> ClientError {
    let servers: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
    ClientError::Unreachable { servers: servers.join(","), reason }
}

/// The codec reads a reply by the operation that it answers, so its shape is ours and not the server's.
fn mismatch(reply: &Reply) -> ! {
    unreachable!("the codec read {reply:?} for an operation of another shape")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{
        ConnectRequest, EventType, KeeperState, Reader, Record, RequestHeader, take_frame, write_frame,
    };
    use bytes::BytesMut;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::thread::JoinHandle;

    const TIMEOUT: Duration = Duration::from_secs(10);

    /// The other end of one connection, driven by the test's script.
    struct Peer {
        stream: TcpStream,
        input: BytesMut,
    }

    impl Peer {
        /// Accepts a connection and answers its handshake: attached with this timeout, or expired if that is 0.
        fn accept(listener: &TcpListener, timeout_ms: i32) -> (Peer, ConnectRequest) {
            let mut peer = Peer { stream: listener.accept().unwrap().0, input: BytesMut::new() };
            let request: ConnectRequest = Reader::new(peer.frame().unwrap()).record().unwrap();
            let mut response = ConnectResponse::expired(&request);
            if timeout_ms > 0 {
                response.timeout_ms = timeout_ms;
                response.session_id = 77;
                response.password = Bytes::from_static(b"sixteen bytes ok");
            }
            peer.send(|output| write_frame(output, |output| response.write(output)));
            (peer, request)
        }

        fn frame(&mut self) -> Option<Bytes> {
            let mut some = [0; 4096];
            loop {
                if let Some(frame) = take_frame(&mut self.input, FRAME_BYTES_MAX).unwrap() {
                    return Some(frame);
                }
                match self.stream.read(&mut some) {
                    Ok(0) | Err(_) => return None,
                    Ok(read) => self.input.extend_from_slice(&some[..read]),
                }
            }
        }

        /// The next request; `None` is the end of the connection.
        fn request(&mut self) -> Option<(i32, Request)> {
            let mut reader = Reader::new(self.frame()?);
            let header: RequestHeader = reader.record().unwrap();
            Some((header.xid, Request::read(header.op, &mut reader).unwrap()))
        }

        fn send(&mut self, write: impl FnOnce(&mut BytesMut)) {
            let mut output = BytesMut::new();
            write(&mut output);
            self.stream.write_all(&output).unwrap();
        }
    }

    fn scripted<T: Send + 'static>(
        script: impl FnOnce(TcpListener) -> T + Send + 'static,
    ) -> (SocketAddr, JoinHandle<T>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        (listener.local_addr().unwrap(), std::thread::spawn(move || script(listener)))
    }

    #[test]
    fn a_pipeline_is_answered_in_order_with_an_event_in_between() {
        let (address, server) = scripted(|listener| {
            let (mut peer, _) = Peer::accept(&listener, 10_000);
            let xids = [peer.request().unwrap().0, peer.request().unwrap().0];
            let event = WatcherEvent {
                kind: EventType::NodeDataChanged,
                state: KeeperState::SyncConnected,
                path: "/a".into(),
            };
            peer.send(|output| {
                Reply::Stat(Stat::default()).write_frame(xids[0], 5, output);
                event.write_frame(6, output);
                Reply::Empty.write_frame(xids[1], 6, output);
            });
            peer.request()
        });
        let mut client = Client::connect(address, TIMEOUT).unwrap();
        assert_eq!((client.session_id(), client.timeout()), (77, TIMEOUT));
        let first = client.send(Request::Exists { path: "/a".into(), watch: false }).unwrap();
        assert_eq!(client.receive_by(Instant::now()), Ok(None));
        client.delete("/a", -1).unwrap();
        assert_eq!(client.receive().unwrap(), (first, Ok(Reply::Stat(Stat::default()))));
        assert_eq!(client.wait_event(Instant::now()).unwrap().unwrap().path, "/a".into());
        assert_eq!(client.wait_event(Instant::now()), Ok(None));
        assert_eq!(client.last_zxid(), 6);
        drop(client);
        assert_eq!(server.join().unwrap(), None, "dropping a client sends nothing");
    }

    #[test]
    fn requests_sent_together_all_fit_the_window_or_none_and_are_answered_by_their_tickets() {
        let (address, server) = scripted(|listener| {
            let (mut peer, _) = Peer::accept(&listener, 10_000);
            let xids: Vec<i32> = (0..3).map(|_| peer.request().unwrap().0).collect();
            peer.send(|output| xids.iter().for_each(|xid| Reply::Empty.write_frame(*xid, 7, output)));
            (xids, peer.request())
        });
        let mut client = Client::connect(address, TIMEOUT).unwrap();
        let delete = Request::Delete(Delete { path: "/a".into(), version: -1 });
        let too_many = client.send_all(&vec![delete.clone(); OUTSTANDING_MAX + 1]);
        assert_eq!(too_many.err(), Some(ClientError::WindowFull));
        assert_eq!(client.traffic(), Traffic::default());
        let tickets: Vec<Ticket> = client.send_all(&vec![delete; 3]).unwrap().collect();
        let answered: Vec<Ticket> = (0..3).map(|_| client.receive().unwrap().0).collect();
        assert_eq!(answered, tickets);
        // A delete is its length, a header, a path and a version; a reply without a body is its length and a header.
        assert_eq!(client.traffic(), Traffic { sent: 3 * (4 + 8 + 6 + 4), received: 3 * (4 + 16) });
        drop(client);
        assert_eq!(server.join().unwrap(), (vec![1, 2, 3], None));
    }

    #[test]
    fn an_idle_client_pings_and_a_silent_server_is_given_up() {
        let (address, server) = scripted(|listener| {
            let (mut peer, _) = Peer::accept(&listener, 300);
            let ping = peer.request();
            while peer.request().is_some() {}
            ping
        });
        let mut client = Client::connect(address, TIMEOUT).unwrap();
        let lost = client.wait_event(Instant::now() + TIMEOUT).unwrap_err();
        assert_eq!(lost, ClientError::Lost("nothing was heard for 200ms".to_owned()));
        assert!(lost.is_outcome_unknown() && !client.is_connected());
        assert_eq!(server.join().unwrap(), Some((-2, Request::Ping)));
    }

    #[test]
    fn a_reconnect_shows_the_session_and_repeats_the_identities() {
        let (address, server) = scripted(|listener| {
            let (mut peer, _) = Peer::accept(&listener, 10_000);
            let (xid, auth) = peer.request().unwrap();
            peer.send(|output| Reply::Empty.write_frame(xid, 3, output));
            peer.request().unwrap();
            drop(peer);
            let (mut peer, again) = Peer::accept(&listener, 10_000);
            assert_eq!(peer.request().unwrap(), (xid, auth));
            peer.send(|output| Reply::Empty.write_frame(xid, 4, output));
            drop(peer);
            Peer::accept(&listener, 0);
            again
        });
        let mut client = Client::connect(address, TIMEOUT).unwrap();
        client.add_auth("digest", "user:secret").unwrap();
        assert!(matches!(client.delete("/a", -1), Err(ClientError::Lost(_))));
        client.reconnect().unwrap();
        assert_eq!(client.reconnect(), Err(ClientError::Expired));
        let again = server.join().unwrap();
        assert_eq!((again.session_id, again.last_zxid_seen), (77, 3));
        assert_eq!(again.password, "sixteen bytes ok");
    }

    #[test]
    fn a_session_moves_on_from_a_server_that_falls_silent_past_one_that_never_speaks() {
        let (first, falls_silent) = scripted(|listener| {
            let (mut peer, _) = Peer::accept(&listener, 1500);
            while peer.request().is_some() {}
        });
        // The system accepts connections for it, and nobody ever answers.
        let stopped = TcpListener::bind("127.0.0.1:0").unwrap();
        let (last, answers) = scripted(|listener| {
            let (mut peer, again) = Peer::accept(&listener, 1500);
            let (xid, _) = peer.request().unwrap();
            peer.send(|output| Reply::Empty.write_frame(xid, 4, output));
            again
        });
        let list = [first, stopped.local_addr().unwrap(), last];
        let mut client = Client::connect(&list[..], TIMEOUT).unwrap();
        assert_eq!(client.server(), first);
        assert_eq!(
            client.delete("/a", -1).unwrap_err(),
            ClientError::Lost("nothing was heard for 1s".into())
        );
        client.reconnect().unwrap();
        assert_eq!((client.server(), client.session_id()), (last, 77));
        client.delete("/a", -1).unwrap();
        falls_silent.join().unwrap();
        assert_eq!(answers.join().unwrap().session_id, 77);
    }

    #[test]
    fn a_failed_multi_tells_which_operation_it_was() {
        let (address, server) = scripted(|listener| {
            let (mut peer, _) = Peer::accept(&listener, 10_000);
            let (xid, _) = peer.request().unwrap();
            let results = [ErrorCode::NoNode, ErrorCode::RuntimeInconsistency].map(OpResult::Failed);
            let results = [vec![OpResult::RolledBack], results.to_vec()].concat();
            peer.send(|output| Reply::Results(results).write_frame(xid, 1, output));
        });
        let mut client = Client::connect(address, TIMEOUT).unwrap();
        let failed = client.multi(Vec::new()).unwrap_err();
        assert_eq!(failed, ClientError::MultiFailed { at: 1, code: ErrorCode::NoNode });
        assert_eq!(failed.to_string(), "operation 1 of the multi failed: NoNode (-101)");
        server.join().unwrap();
    }

    #[test]
    fn a_server_that_is_not_there_is_named() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let refused = Client::connect(address, TIMEOUT).unwrap_err().to_string();
        assert!(refused.starts_with(&format!("cannot connect to {address}: ")), "{refused}");
    }

    #[test]
    fn a_reply_beyond_the_bound_ends_the_connection() {
        for (bytes, refused) in
            [(FRAME_BYTES_MAX, false), (FRAME_BYTES_MAX + 1, true), (FRAME_BYTES_MAX * 10, true)]
        {
            let (address, server) = scripted(move |listener| {
                let (mut peer, _) = Peer::accept(&listener, 10_000);
                peer.request().unwrap();
                peer.send(|output| output.extend_from_slice(&(bytes as u32).to_be_bytes()));
                peer.request()
            });
            let mut client = Client::connect(address, TIMEOUT).unwrap();
            client.send(Request::Exists { path: "/a".into(), watch: false }).unwrap();
            let came = client.receive_by(Instant::now() + Duration::from_millis(300));
            assert_eq!(came.is_err(), refused, "{bytes} bytes: {came:?}");
            drop(client);
            server.join().unwrap();
        }
    }
}
