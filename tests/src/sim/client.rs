//! A client, as ZooKeeper's clients are: one session at a time, requests in a pipeline, pings, watches, and another server
//! when its own is gone. Sans-IO but for the world it lives in.

use super::cluster::Cluster;
use super::emphasis::Emphasis;
use super::history::{CallId, Happening, History};
use super::registry::Registry;
use super::workload::{Memory, Workload};
use bytes::BytesMut;
use eyrie::sim::EndId;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use std::collections::VecDeque;
use volery::wire::{
    self, ConnectRequest, ConnectResponse, Reader, Record, Reply, ReplyHeader, Request, WatcherEvent,
    XID_AUTH, XID_NOTIFICATION, XID_PING, XID_SET_WATCHES,
};

/// How long a client waits until it may connect again.
const RECONNECT_US: u64 = 60_000;
/// How long one of a crowd rests between two requests, at most.
const CROWD_REST_US: u64 = 1_000_000;
/// The session timeouts of a crowd: its rests leave time for pings.
const CROWD_TIMEOUTS_MS: std::ops::RangeInclusive<i32> = 6_000..=10_000;
const FRAME_BYTES_MAX: usize = 1 << 20;

/// How a client behaves.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// The session timeout that it asks for.
    pub timeout_ms: i32,
    /// How many requests it has under way at most.
    pub window: usize,
    /// The longest rest between two requests.
    pub rest_us: u64,
    /// How often, in 1,000 requests, it goes to another server with its session.
    pub moves: u32,
    /// How often it closes its session and opens another.
    pub closes: u32,
    /// How often it falls silent for longer than its session lives.
    pub absences: u32,
    /// How often, of 100 pings that are answered, it falls silent behind one.
    pub hushes: u32,
    /// How often it does not read for a while what it is sent, and goes on asking.
    pub deafness: u32,
}

impl Manner {
    /// Draws a manner.
    pub fn draw(rng: &mut SmallRng) -> Manner {
        Manner {
            timeout_ms: rng.random_range(1_000..5_000),
            window: [1, 1, 4, 16][rng.random_range(0..4)],
            rest_us: [500, 5_000, 50_000][rng.random_range(0..3)],
            moves: rng.random_range(0..15),
            closes: rng.random_range(0..8),
            absences: rng.random_range(0..6),
            deafness: rng.random_range(0..6),
            hushes: rng.random_range(0..6),
        }
    }
}

/// What a run wants of its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// Requests.
    Work,
    /// A last look: what is under way is waited for, then a sync of whatever is watched.
    Finish,
}

struct Session {
    id: i64,
    password: bytes::Bytes,
    timeout_ms: i32,
}

/// A request under way.
struct Sent {
    xid: i32,
    call: CallId,
    request: Request,
}

struct Connection {
    end: EndId,
    node: usize,
    input: BytesMut,
    output: BytesMut,
    /// Whether the handshake is done.
    open: bool,
    sent: VecDeque<Sent>,
    heard_us: u64,
    spoke_us: u64,
    /// When the pings that are not answered were sent.
    pings: VecDeque<u64>,
}

/// One client.
pub struct Client {
    index: usize,
    manner: Manner,
    rng: SmallRng,
    session: Option<Session>,
    connection: Option<Connection>,
    registry: Registry,
    memory: Memory,
    /// What has proved who it is, which it repeats on every connection.
    credentials: Vec<Request>,
    /// Requests that come first.
    pending: VecDeque<Request>,
    last_zxid: i64,
    next_xid: i32,
    /// Until when it does nothing.
    away_us: u64,
    /// Until when it reads nothing.
    deaf_us: u64,
    mood: Mood,
    /// Whether, when it is to finish, it has asked for all it wanted.
    asked: bool,
    /// When it sent the last thing that its session's leader has heard of for certain: a ping that was answered, or the
    /// handshake.
    confirmed_us: u64,
    /// What must not have happened to it, if it did.
    wronged: Option<String>,
    /// Whether it has asked for the end of its session.
    closing: bool,
}

/// Counts the calls of a run.
#[derive(Default)]
pub struct Calls(u64);

impl Calls {
    /// The next call.
    pub fn draw(&mut self) -> CallId {
        self.0 += 1;
        CallId(self.0)
    }
}

/// What a client has around it.
pub struct Surroundings<'a> {
    /// The world that it lives in.
    pub world: &'a mut Cluster,
    /// What all clients do and see.
    pub history: &'a mut History,
    /// The calls of the run.
    pub calls: &'a mut Calls,
    /// What is asked for.
    pub workload: &'a Workload,
}

impl Surroundings<'_> {
    fn note(&mut self, client: usize, happening: Happening) {
        let now_us = self.world.now_us();
        self.world.trace().tell(now_us, || format!("client {client} {happening:?}"));
        self.history.note(now_us / 1_000, client, happening);
    }
}

impl Client {
    /// A client without a session, who begins with `pending`.
    pub fn new(index: usize, seed: u64, emphasis: &Emphasis, pending: Vec<Request>) -> Client {
        let mut rng = SmallRng::seed_from_u64(seed);
        Client {
            index,
            manner: emphasis.upon(Manner::draw(&mut rng)),
            rng,
            session: None,
            connection: None,
            registry: Registry::default(),
            memory: Memory::default(),
            credentials: Vec::new(),
            pending: pending.into(),
            last_zxid: 0,
            next_xid: 1,
            away_us: 0,
            deaf_us: 0,
            mood: Mood::Work,
            asked: false,
            confirmed_us: 0,
            wronged: None,
            closing: false,
        }
    }

    /// One of many without a session, each of which asks for little.
    pub fn of_a_crowd(index: usize, seed: u64, emphasis: &Emphasis) -> Client {
        let mut client = Client::new(index, seed, emphasis, Vec::new());
        let timeout_ms = client.rng.random_range(CROWD_TIMEOUTS_MS);
        client.manner = Manner { timeout_ms, window: 1, rest_us: CROWD_REST_US, ..client.manner };
        client
    }

    /// What must not have happened to it, if it did.
    pub fn wronged(&self) -> Option<&str> {
        self.wronged.as_deref()
    }

    /// The run is in another phase.
    pub fn set_mood(&mut self, mood: Mood) {
        self.mood = mood;
    }

    /// Asks for this too.
    pub fn look(&mut self, requests: Vec<Request>) {
        self.pending.extend(requests);
    }

    /// Whether it has done all that it was to finish.
    pub fn has_finished(&self) -> bool {
        let quiet = self.connection.as_ref().is_some_and(|open| open.open && open.sent.is_empty());
        self.asked && quiet && self.pending.is_empty()
    }

    /// What it is at, for whoever wonders why it does not finish.
    pub fn state(&self) -> String {
        match &self.connection {
            None => format!("client {}: no connection", self.index),
            Some(open) => format!(
                "client {}: at node {}, {} under way, first {:?}, asked {}",
                self.index,
                open.node,
                open.sent.len(),
                open.sent.front().map(|sent| &sent.request),
                self.asked
            ),
        }
    }

    /// Its end of the connection it has.
    pub fn end(&self) -> Option<EndId> {
        self.connection.as_ref().map(|connection| connection.end)
    }

    /// Does what it is time for. Returns when it wants to be woken again.
    pub fn wake(&mut self, around: &mut Surroundings<'_>) -> u64 {
        let now_us = around.world.now_us();
        if now_us >= self.away_us {
            self.look_after_connection(around);
            if self.connection.as_ref().is_some_and(|connection| connection.open) {
                self.act(around);
            }
        }
        self.flush(around);
        now_us + self.rng.random_range(200..=self.manner.rest_us.max(201))
    }

    /// Something can be read.
    pub fn read(&mut self, around: &mut Surroundings<'_>) {
        if around.world.now_us() < self.away_us.max(self.deaf_us) {
            return;
        }
        while let Some(connection) = &mut self.connection {
            match around.world.read(connection.end) {
                None => return self.disconnect(around),
                Some(bytes) if bytes.is_empty() => break,
                Some(bytes) => {
                    connection.heard_us = around.world.now_us();
                    connection.input.extend_from_slice(&bytes);
                }
            }
        }
        while let Some(connection) = &mut self.connection {
            match wire::take_frame(&mut connection.input, FRAME_BYTES_MAX).expect("a server's frame") {
                Some(frame) => self.hear(Reader::new(frame), around),
                None => break,
            }
        }
        self.flush(around);
    }

    fn look_after_connection(&mut self, around: &mut Surroundings<'_>) {
        let now_us = around.world.now_us();
        let patience_us = match &self.session {
            Some(session) => session.timeout_ms as u64 * 1_000 * 2 / 3,
            None => 1_500_000,
        };
        match &mut self.connection {
            None => self.connect(around),
            Some(connection) if now_us > connection.heard_us + patience_us => self.disconnect(around),
            Some(connection) => {
                if connection.open && now_us > connection.spoke_us + patience_us / 2 {
                    Request::Ping.write_frame(XID_PING, &mut connection.output);
                    connection.pings.push_back(now_us);
                    connection.spoke_us = now_us;
                }
            }
        }
    }

    fn connect(&mut self, around: &mut Surroundings<'_>) {
        let node = self.rng.random_range(0..around.world.shape().nodes);
        let now_us = around.world.now_us();
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: self.last_zxid,
            timeout_ms: self.manner.timeout_ms,
            session_id: self.session.as_ref().map_or(0, |session| session.id),
            password: self.session.as_ref().map(|session| session.password.clone()).unwrap_or_default(),
            read_only: Some(false),
        };
        let mut output = BytesMut::new();
        wire::write_frame(&mut output, |output| request.write(output));
        self.connection = Some(Connection {
            end: around.world.dial(self.index, node),
            node,
            input: BytesMut::new(),
            output,
            open: false,
            sent: VecDeque::new(),
            heard_us: now_us,
            spoke_us: now_us,
            pings: VecDeque::from([now_us]),
        });
    }

    /// The connection is gone, or is left.
    fn disconnect(&mut self, around: &mut Surroundings<'_>) {
        let Some(connection) = self.connection.take() else { return };
        around.world.close(connection.end);
        for sent in &connection.sent {
            around.note(self.index, Happening::Unknown { call: sent.call });
        }
        if let Some(session) = self.session.as_ref().filter(|_| connection.open) {
            around.note(self.index, Happening::Disconnected { session: session.id });
        }
        self.away_us = around.world.now_us() + self.rng.random_range(0..RECONNECT_US);
        self.asked = false;
    }

    fn act(&mut self, around: &mut Surroundings<'_>) {
        while let Some(request) = self.pending.pop_front() {
            self.send(request, around);
        }
        match self.mood {
            Mood::Work => self.work(around),
            Mood::Finish => self.finish(around),
        }
    }

    fn work(&mut self, around: &mut Surroundings<'_>) {
        let under_way = self.connection.as_ref().map_or(0, |connection| connection.sent.len());
        let room = self.manner.window.saturating_sub(under_way);
        for _ in 0..self.rng.random_range(0..=room) {
            let Manner { moves, closes, absences, deafness, .. } = self.manner;
            let chance = self.rng.random_range(0..1_000);
            if chance < moves {
                return self.disconnect(around);
            } else if chance < moves + closes {
                return self.send(Request::CloseSession, around);
            } else if chance < moves + closes + absences {
                self.away_us = self.back_us(around.world.now_us());
                return;
            } else if chance < moves + closes + absences + deafness {
                self.deaf_us = around.world.now_us() + self.rng.random_range(0..2_000_000);
            }
            let call = around.calls.draw();
            let request = around.workload.next(&mut self.rng, self.index, call, &self.memory);
            self.send_as(call, request, around);
        }
    }

    /// It may fall silent when it knows how long its session lives without it.
    fn may_hush(&mut self, now_us: u64) {
        if self.mood == Mood::Work && self.rng.random_range(0..100) < self.manner.hushes {
            self.away_us = self.back_us(now_us);
        }
    }

    /// When it is heard of again if it falls silent: at any time, or just before its session may be ended.
    fn back_us(&mut self, now_us: u64) -> u64 {
        let timeout_us = self.session.as_ref().map_or(0, |session| session.timeout_ms as u64 * 1_000);
        match self.rng.random() {
            true => now_us + self.rng.random_range(0..8_000_000),
            // It takes some time to connect again.
            false => (self.confirmed_us + timeout_us * 95 / 100).saturating_sub(2 * RECONNECT_US).max(now_us),
        }
    }

    fn finish(&mut self, around: &mut Surroundings<'_>) {
        let quiet = self.connection.as_ref().is_some_and(|connection| connection.sent.is_empty());
        if quiet && !std::mem::replace(&mut self.asked, true) {
            for path in self.registry.paths() {
                self.send(Request::Sync { path }, around);
            }
        }
    }

    fn send(&mut self, request: Request, around: &mut Surroundings<'_>) {
        let call = around.calls.draw();
        self.send_as(call, request, around);
    }

    fn send_as(&mut self, call: CallId, request: Request, around: &mut Surroundings<'_>) {
        let Some(connection) = &mut self.connection else { return };
        let closing = connection.sent.back().is_some_and(|sent| sent.request == Request::CloseSession);
        let Some(session) = self.session.as_ref().filter(|_| !closing) else { return };
        let xid = match request {
            Request::SetWatches(_) => XID_SET_WATCHES,
            Request::Auth { .. } => XID_AUTH,
            _ => {
                self.next_xid += 1;
                self.next_xid
            }
        };
        self.closing |= request == Request::CloseSession;
        request.write_frame(xid, &mut connection.output);
        connection.spoke_us = around.world.now_us();
        connection.sent.push_back(Sent { xid, call, request: request.clone() });
        around.note(self.index, Happening::Invoked { call, session: session.id, request });
    }

    fn hear(&mut self, mut reader: Reader, around: &mut Surroundings<'_>) {
        let Some(connection) = &mut self.connection else { return };
        if !connection.open {
            let response = ConnectResponse::read(&mut reader).expect("a server's answer");
            return self.greeted(response, around);
        }
        let header = ReplyHeader::read(&mut reader).expect("a server's header");
        match header.xid {
            XID_PING => {
                self.confirmed_us = connection.pings.pop_front().expect("a pong answers a ping");
                self.may_hush(around.world.now_us());
            }
            XID_NOTIFICATION => {
                let event = WatcherEvent::read(&mut reader).expect("a server's event");
                self.registry.fired(&event);
                let session = self.session.as_ref().map_or(0, |session| session.id);
                around.note(self.index, Happening::Notified { session, zxid: header.zxid, event });
            }
            // As from ZooKeeper, this one comes at once, and nothing comes behind it.
            XID_AUTH if header.error.is_some() => self.disconnect(around),
            xid => {
                let sent = connection.sent.pop_front().expect("a reply answers a request");
                assert_eq!(xid, sent.xid, "replies come in the order of the requests: {:?}", sent.request);
                let result = match header.error {
                    Some(code) => Err(code),
                    None => Ok(Reply::read(sent.request.op(), &mut reader).expect("a server's reply")),
                };
                self.returned(sent, header.zxid, result, around);
            }
        }
    }

    fn returned(
        &mut self,
        sent: Sent,
        zxid: i64,
        result: Result<Reply, wire::ErrorCode>,
        around: &mut Surroundings<'_>,
    ) {
        if zxid > 0 {
            self.last_zxid = zxid;
        }
        self.registry.answered(&sent.request, &result);
        if let Ok(reply) = &result {
            self.memory.learn(&sent.request, reply);
            if matches!(sent.request, Request::Auth { .. }) && !self.credentials.contains(&sent.request) {
                self.credentials.push(sent.request.clone());
            }
        }
        if result == Err(wire::ErrorCode::SessionExpired) {
            self.ended(around);
        }
        let closed = sent.request == Request::CloseSession && result.is_ok();
        around.note(self.index, Happening::Returned { call: sent.call, zxid, result });
        if closed {
            self.disconnect(around);
            self.forget_session();
        }
    }

    fn greeted(&mut self, response: ConnectResponse, around: &mut Surroundings<'_>) {
        let before = self.session.as_ref().map(|session| session.id);
        if response.session_id == 0 {
            if let Some(session) = before {
                self.ended(around);
                around.note(self.index, Happening::Expired { session });
            }
            self.forget_session();
            return self.disconnect(around);
        }
        let ConnectResponse { session_id: session, password, timeout_ms, .. } = response;
        let Some(connection) = &mut self.connection else { return };
        connection.open = true;
        self.confirmed_us = connection.pings.pop_front().unwrap_or(self.confirmed_us);
        let (node, again) = (connection.node, before == Some(session));
        self.session = Some(Session { id: session, password, timeout_ms });
        around.note(self.index, Happening::Opened { session, node, again });
        for credentials in self.credentials.clone() {
            self.send(credentials, around);
        }
        if let Some(watches) = self.registry.set_watches(self.last_zxid).filter(|_| again) {
            self.send(watches, around);
        }
    }

    /// It is told that its session is over, which must not be sooner than its timeout after it was heard of for certain.
    fn ended(&mut self, around: &Surroundings<'_>) {
        let Some(session) = &self.session else { return };
        let (now_us, timeout_us) = (around.world.now_us(), session.timeout_ms as u64 * 1_000);
        // Clocks drift, by two thousandths at most.
        if now_us < self.confirmed_us + timeout_us - timeout_us / 100 && !self.closing {
            self.wronged.get_or_insert(format!(
                "client {}: session {:#x} was ended {} ms after it was heard of, with a timeout of {} ms",
                self.index,
                session.id,
                (now_us - self.confirmed_us) / 1_000,
                session.timeout_ms
            ));
        }
    }

    fn forget_session(&mut self) {
        self.session = None;
        self.closing = false;
        self.registry = Registry::default();
        self.last_zxid = 0;
    }

    fn flush(&mut self, around: &mut Surroundings<'_>) {
        if let Some(connection) = self.connection.as_mut().filter(|connection| !connection.output.is_empty())
        {
            around.world.write(connection.end, &mut connection.output);
        }
    }
}
