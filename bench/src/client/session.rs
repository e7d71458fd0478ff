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

#[cfg(test)]
mod tests {
    use super::*;
    use volery::wire::{Delete, EventType, KeeperState, OpResult, WatcherEvent};

    fn frames(write: impl FnOnce(&mut BytesMut)) -> BytesMut {
        let mut frames = BytesMut::new();
        write(&mut frames);
        frames
    }

    /// The server's greeting: the session of this id, or none if that is 0.
    fn greeting(session: &mut Session, session_id: i64) -> BytesMut {
        let greeted = take_frame(session.output(), REPLY_BYTES_MAX).expect("a frame").expect("a greeting");
        let request: ConnectRequest = Reader::new(greeted).record().expect("a request for a session");
        assert_eq!((request.session_id, request.timeout_ms), (0, 10_000));
        let response = ConnectResponse { session_id, ..ConnectResponse::expired(&request) };
        frames(|output| write_frame(output, |output| response.write(output)))
    }

    fn open() -> Session {
        let mut session = Session::new(Duration::from_secs(10));
        let greeting = greeting(&mut session, 7);
        let (some, rest) = greeting.split_at(5);
        session.receive(some);
        assert_eq!(session.next_answer(), Ok(None));
        assert!(!session.is_open(), "a part of a frame says nothing");
        session.receive(rest);
        assert_eq!(session.next_answer(), Ok(None));
        assert!(session.is_open());
        (0..2).for_each(|_| session.push(&Request::Delete(Delete { path: "/a".into(), version: -1 })));
        session
    }

    #[test]
    fn answers_come_in_the_order_of_the_requests_past_what_nobody_asked_for() {
        let mut session = open();
        let refusal = ReplyHeader { xid: 2, zxid: 9, error: Some(ErrorCode::NoNode) };
        let event = WatcherEvent {
            kind: EventType::NodeDeleted,
            state: KeeperState::SyncConnected,
            path: "/a".into(),
        };
        session.receive(&frames(|output| {
            Reply::Empty.write_frame(XID_PING, 8, output);
            Reply::Empty.write_frame(1, 8, output);
            event.write_frame(9, output);
            refusal.write_frame(output);
        }));
        assert_eq!(session.next_answer(), Ok(Some(Ok(()))));
        assert_eq!(session.next_answer(), Ok(Some(Err(ErrorCode::NoNode))));
        assert_eq!(session.next_answer(), Ok(None));
    }

    #[test]
    fn a_multi_is_answered_with_the_failure_that_is_no_consequence_of_another() {
        let mut session = open();
        session.asked = [(1, OpCode::Multi)].into();
        let results = [ErrorCode::RuntimeInconsistency, ErrorCode::BadVersion].map(OpResult::Failed);
        session.receive(&frames(|output| Reply::Results(results.to_vec()).write_frame(1, 8, output)));
        assert_eq!(session.next_answer(), Ok(Some(Err(ErrorCode::BadVersion))));
    }

    #[test]
    fn a_reply_out_of_order_and_a_refused_session_are_of_no_use() {
        let mut session = open();
        session.receive(&frames(|output| Reply::Empty.write_frame(2, 8, output)));
        assert_eq!(session.next_answer(), Err("a reply to request 2 came out of order".to_owned()));
        let mut refused = Session::new(Duration::from_secs(10));
        let greeting = greeting(&mut refused, 0);
        refused.receive(&greeting);
        assert_eq!(refused.next_answer(), Err("the server refused a session".to_owned()));
    }
}
