//! A client of the node, which asks for one thing at a time.

use bytes::BytesMut;
use eyrie::ConnectionId;
use tests::fuzz::served::Served;
use volery::wire::{
    self, ConnectRequest, ConnectResponse, ErrorCode, EventType, Reader, Record, Reply, ReplyHeader, Request,
    WatcherEvent, XID_AUTH, XID_NOTIFICATION, XID_SET_WATCHES,
};

const FRAME_BYTES_MAX: usize = 1 << 20;

/// A client with a session.
pub struct Client {
    connection: ConnectionId,
    session: ConnectResponse,
    heard: usize,
    xid: i32,
    events: Vec<(EventType, String)>,
}

impl Client {
    /// A client with a new session, on a connection of this number.
    pub fn new(served: &mut Served, number: u64) -> Client {
        Client::open(served, number, None)
    }

    /// The client with its session on another connection, where it has no watches yet.
    pub fn back(self, served: &mut Served, number: u64) -> Client {
        served.hang_up(self.connection);
        Client::open(served, number, Some(&self.session))
    }

    /// The client with its session at a node that has started again.
    pub fn reopened(self, served: &mut Served, number: u64) -> Client {
        Client::open(served, number, Some(&self.session))
    }

    fn open(served: &mut Served, number: u64, before: Option<&ConnectResponse>) -> Client {
        let connection = ConnectionId(number);
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: 0,
            timeout_ms: 20_000,
            session_id: before.map_or(0, |session| session.session_id),
            password: before.map(|session| session.password.clone()).unwrap_or_default(),
            read_only: None,
        };
        let mut bytes = BytesMut::new();
        wire::write_frame(&mut bytes, |output| request.write(output));
        served.connect(connection);
        served.receive(connection, &bytes);
        served.settle();
        let mut heard = 0;
        let frame = next_frame(served, connection, &mut heard).expect("an answer to the handshake");
        let session = ConnectResponse::read(&mut Reader::new(frame)).expect("a server's answer");
        assert_ne!(session.session_id, 0, "the session is open");
        Client { connection, session, heard, xid: 0, events: Vec::new() }
    }

    /// Asks for something, and waits for the answer.
    pub fn ask(&mut self, served: &mut Served, request: &Request) -> Result<Reply, ErrorCode> {
        self.xid += 1;
        let xid = match request {
            Request::Auth { .. } => XID_AUTH,
            Request::SetWatches(_) => XID_SET_WATCHES,
            _ => self.xid,
        };
        let mut bytes = BytesMut::new();
        request.write_frame(xid, &mut bytes);
        served.receive(self.connection, &bytes);
        served.settle();
        self.hear(served, Some((xid, request))).expect("an answer")
    }

    /// Adds an identity.
    pub fn authenticate(&mut self, served: &mut Served, user: &str) {
        let auth = format!("{user}:secret").into_bytes().into();
        let request = Request::Auth { kind: 0, scheme: "digest".into(), auth };
        self.ask(served, &request).expect("credentials");
    }

    /// What it was told of a path since it was asked last.
    pub fn told_of(&mut self, served: &Served, path: &str) -> Vec<EventType> {
        self.hear(served, None);
        let events = std::mem::take(&mut self.events);
        events.into_iter().filter(|(_, of)| of == path).map(|(kind, _)| kind).collect()
    }

    fn hear(&mut self, served: &Served, asked: Option<(i32, &Request)>) -> Option<Result<Reply, ErrorCode>> {
        let mut answer = None;
        while let Some(frame) = next_frame(served, self.connection, &mut self.heard) {
            let mut reader = Reader::new(frame);
            let header = ReplyHeader::read(&mut reader).expect("a server's header");
            if header.xid == XID_NOTIFICATION {
                let event = WatcherEvent::read(&mut reader).expect("a server's event");
                self.events.push((event.kind, event.path.to_string()));
                continue;
            }
            let (xid, request) = asked.expect("something was asked for");
            assert_eq!(header.xid, xid);
            answer = Some(match header.error {
                Some(code) => Err(code),
                None => Ok(Reply::read(request.op(), &mut reader).expect("a server's reply")),
            });
        }
        answer
    }
}

fn next_frame(served: &Served, connection: ConnectionId, heard: &mut usize) -> Option<bytes::Bytes> {
    let sent = served.sent().get(&connection).expect("a connection");
    let mut rest = BytesMut::from(&sent.bytes[*heard..]);
    let before = rest.len();
    let frame = wire::take_frame(&mut rest, FRAME_BYTES_MAX).expect("a server's frame");
    *heard += before - rest.len();
    frame
}
