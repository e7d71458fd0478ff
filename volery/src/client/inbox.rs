//! What a connection has received and nobody has taken yet. No I/O: frames in, replies and events out.

use super::{EVENTS_MAX, OUTSTANDING_MAX};
use crate::wire::{ErrorCode, OpCode, Reader, Reply, ReplyHeader, WatcherEvent, XID_NOTIFICATION, XID_PING};
use bytes::Bytes;
use std::collections::VecDeque;

/// Which request a reply belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub(super) u64);

/// What a server answers a request.
pub type Answer = Result<Reply, ErrorCode>;

/// A request that was sent and not answered.
#[derive(Debug)]
struct Outstanding {
    ticket: Ticket,
    xid: i32,
    op: OpCode,
}

/// What has come and what is still to come.
///
/// - Replies to requests with a positive xid come in the order sent; another order is a fault of the server.
/// - Replies to those with a negative xid (auth, ping) may come at any place.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    outstanding: VecDeque<Outstanding>,
    replies: VecDeque<(Ticket, Answer)>,
    events: VecDeque<WatcherEvent>,
    last_zxid: i64,
    ended: Option<String>,
}

impl Inbox {
    /// An empty one, whose client has seen everything up to `last_zxid` and not yet taken `events`.
    pub(super) fn new(last_zxid: i64, events: VecDeque<WatcherEvent>) -> Inbox {
        Inbox { last_zxid, events, ..Inbox::default() }
    }

    /// How many further requests may be sent before a reply is taken.
    pub(super) fn room(&self) -> usize {
        OUTSTANDING_MAX - (self.outstanding.len() + self.replies.len())
    }

    /// Whether nothing is outstanding and no reply is left.
    pub(super) fn is_idle(&self) -> bool {
        self.outstanding.is_empty() && self.replies.is_empty()
    }

    /// The highest zxid that a reply's header carried.
    pub(super) fn last_zxid(&self) -> i64 {
        self.last_zxid
    }

    /// Why nothing more will come.
    pub(super) fn ended(&self) -> Option<&str> {
        self.ended.as_deref()
    }

    /// Nothing more will come. The first reason stays.
    pub(super) fn end(&mut self, reason: String) {
        self.ended.get_or_insert(reason);
    }

    /// A request is about to be sent.
    pub(super) fn expect(&mut self, ticket: Ticket, xid: i32, op: OpCode) {
        self.outstanding.push_back(Outstanding { ticket, xid, op });
    }

    /// The first reply that is there.
    pub(super) fn take_reply(&mut self) -> Option<(Ticket, Answer)> {
        self.replies.pop_front()
    }

    /// The reply to one request, if it is there.
    pub(super) fn take_reply_to(&mut self, ticket: Ticket) -> Option<Answer> {
        let at = self.replies.iter().position(|(answered, _)| *answered == ticket)?;
        self.replies.remove(at).map(|(_, answer)| answer)
    }

    /// The first event that is there.
    pub(super) fn take_event(&mut self) -> Option<WatcherEvent> {
        self.events.pop_front()
    }

    /// All events, for the connection that takes over.
    pub(super) fn take_events(&mut self) -> VecDeque<WatcherEvent> {
        std::mem::take(&mut self.events)
    }

    /// Takes in a frame. The error is why the server cannot be understood.
    pub(super) fn receive(&mut self, frame: Bytes) -> Result<(), String> {
        let mut reader = Reader::new(frame);
        let header: ReplyHeader = reader.record().map_err(|malformed| malformed.to_string())?;
        if header.xid == XID_NOTIFICATION {
            return self.receive_event(&mut reader);
        }
        self.last_zxid = self.last_zxid.max(header.zxid);
        self.receive_reply(header, &mut reader)
    }

    fn receive_event(&mut self, reader: &mut Reader) -> Result<(), String> {
        if self.events.len() >= EVENTS_MAX {
            return Err(format!("{EVENTS_MAX} events were not taken"));
        }
        self.events.push_back(reader.record().map_err(|malformed| malformed.to_string())?);
        Ok(())
    }

    fn receive_reply(&mut self, header: ReplyHeader, reader: &mut Reader) -> Result<(), String> {
        let Some(answered) = self.answered(header.xid)? else { return Ok(()) };
        let answer = match header.error {
            Some(code) => Err(code),
            None => Ok(Reply::read(answered.op, reader).map_err(|malformed| malformed.to_string())?),
        };
        self.replies.push_back((answered.ticket, answer));
        Ok(())
    }

    /// The request that has this xid. A ping that the connection sent by itself is nobody's.
    fn answered(&mut self, xid: i32) -> Result<Option<Outstanding>, String> {
        let at = self.outstanding.iter().position(|one| if xid > 0 { one.xid > 0 } else { one.xid == xid });
        match at.and_then(|at| self.outstanding.remove(at)) {
            Some(answered) if answered.xid == xid => Ok(Some(answered)),
            Some(expected) => Err(format!("reply {xid} came when {} was due", expected.xid)),
            None if xid == XID_PING => Ok(None),
            None => Err(format!("reply {xid} came unasked")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{EventType, KeeperState, take_frame};
    use bytes::BytesMut;

    fn frame(write: impl FnOnce(&mut BytesMut)) -> Bytes {
        let mut output = BytesMut::new();
        write(&mut output);
        take_frame(&mut output, usize::MAX).unwrap().unwrap()
    }

    fn reply(xid: i32, zxid: i64) -> Bytes {
        frame(|output| Reply::Empty.write_frame(xid, zxid, output))
    }

    #[test]
    fn replies_come_to_their_tickets_and_the_header_tells_the_zxid() {
        let mut inbox = Inbox::default();
        inbox.expect(Ticket(7), 1, OpCode::Delete);
        inbox.expect(Ticket(8), 2, OpCode::Delete);
        let refusal = ReplyHeader { xid: 1, zxid: 9, error: Some(ErrorCode::NoNode) };
        inbox.receive(frame(|output| refusal.write_frame(output))).unwrap();
        inbox.receive(reply(2, 5)).unwrap();
        assert_eq!(inbox.take_reply_to(Ticket(8)), Some(Ok(Reply::Empty)));
        assert_eq!(inbox.take_reply(), Some((Ticket(7), Err(ErrorCode::NoNode))));
        assert!(inbox.is_idle());
        assert_eq!(inbox.last_zxid(), 9);
    }

    #[test]
    fn a_reply_out_of_turn_is_a_fault_and_one_to_a_ping_or_auth_is_not() {
        let mut inbox = Inbox::default();
        inbox.expect(Ticket(0), 1, OpCode::Delete);
        inbox.expect(Ticket(1), -4, OpCode::Auth);
        inbox.expect(Ticket(2), 2, OpCode::Delete);
        inbox.receive(reply(XID_PING, 1)).unwrap();
        inbox.receive(reply(-4, 1)).unwrap();
        assert_eq!(inbox.take_reply(), Some((Ticket(1), Ok(Reply::Empty))));
        assert_eq!(inbox.receive(reply(2, 1)).unwrap_err(), "reply 2 came when 1 was due");
        assert_eq!(Inbox::default().receive(reply(3, 1)).unwrap_err(), "reply 3 came unasked");
    }

    #[test]
    fn events_pass_replies_by() {
        let mut inbox = Inbox::default();
        inbox.expect(Ticket(0), 1, OpCode::Delete);
        let event = WatcherEvent {
            kind: EventType::NodeCreated,
            state: KeeperState::SyncConnected,
            path: "/a".into(),
        };
        inbox.receive(frame(|output| event.write_frame(3, output))).unwrap();
        inbox.receive(reply(1, 3)).unwrap();
        assert_eq!(inbox.take_event(), Some(event));
        assert_eq!(inbox.take_event(), None);
        assert!(inbox.take_reply().is_some());
    }

    #[test]
    fn the_window_counts_replies_until_they_are_taken() {
        let mut inbox = Inbox::default();
        for number in 0..OUTSTANDING_MAX {
            assert_eq!(inbox.room(), OUTSTANDING_MAX - number);
            inbox.expect(Ticket(number as u64), number as i32 + 1, OpCode::Delete);
        }
        inbox.receive(reply(1, 1)).unwrap();
        assert_eq!(inbox.room(), 0);
        inbox.take_reply();
        assert_eq!(inbox.room(), 1);
    }

    #[test]
    fn nonsense_is_refused() {
        let mut inbox = Inbox::default();
        inbox.expect(Ticket(0), 1, OpCode::Exists);
        assert!(inbox.receive(Bytes::from_static(b"\0\0")).is_err());
        assert!(inbox.receive(reply(1, 1)).unwrap_err().contains("the frame has 0 left"));
    }

    #[test]
    fn so_many_events_wait_to_be_taken() {
        let event = WatcherEvent {
            kind: EventType::NodeCreated,
            state: KeeperState::SyncConnected,
            path: "/a".into(),
        };
        let told = frame(|output| event.write_frame(3, output));
        let mut inbox = Inbox::default();
        (0..EVENTS_MAX).for_each(|_| inbox.receive(told.clone()).unwrap());
        assert_eq!(inbox.receive(told.clone()).unwrap_err(), format!("{EVENTS_MAX} events were not taken"));
        assert!(inbox.take_event().is_some());
        inbox.receive(told).unwrap();
    }
}
