//! Histories of a tree that does one thing after the other, whose calls are drawn out so that they overlap: they are right,
//! and hardly any is when one reply is altered.

use super::tree::Tree;
use crate::sim::checkers::linearizability::check;
use crate::sim::history::{CallId, Entry, Happening, History};
use bytes::Bytes;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use volery::wire::{Check, Create, CreateMode, Delete, ErrorCode, MultiOp, OpResult, ReadOp, Reply, Request};
use volery::wire::{SetData, Stat};

/// What a history is like.
#[derive(Clone, Copy)]
pub struct Shape {
    /// Calls.
    pub calls: usize,
    /// Clients.
    pub clients: usize,
    /// Znodes, without those of sequences.
    pub znodes: usize,
    /// How many other calls take effect between a call and its effect, and between that and its return, at most.
    pub stretch: f64,
}

/// A client that has a session.
struct Client {
    session: i64,
    /// When it has opened its session, when it sent last and when it was answered last.
    opened: f64,
    invoked: f64,
    returned: f64,
    /// Its calls whose returns are to come: where that is noted, and when it is.
    pending: Vec<usize>,
}

/// A history in the making: its entries with the times at which they happen.
struct Maker {
    random: SmallRng,
    shape: Shape,
    tree: Tree,
    notes: Vec<(f64, Entry)>,
    clients: Vec<Client>,
    calls: u64,
    sessions: i64,
}

/// A right history.
pub fn history(seed: u64, shape: Shape) -> History {
    let random = SmallRng::seed_from_u64(seed);
    let (tree, notes, clients) = (Tree::new(), Vec::new(), Vec::new());
    let mut maker = Maker { random, shape, tree, notes, clients, calls: 0, sessions: 0 };
    for client in 0..shape.clients {
        let opened = maker.open(client, 0.0);
        maker.clients.push(opened);
    }
    (1..=shape.calls).for_each(|now| maker.turn(now as f64));
    maker.notes.sort_by(|one, other| one.0.total_cmp(&other.0));
    History { entries: maker.notes.into_iter().map(|(_, entry)| entry).collect() }
}

impl Maker {
    fn note(&mut self, time: f64, client: usize, happening: Happening) {
        self.notes.push((time, Entry { time_ms: time as u64, client, happening }));
    }

    fn open(&mut self, client: usize, now: f64) -> Client {
        self.sessions += 1;
        let session = self.sessions;
        self.note(now, client, Happening::Opened { session, node: 0, again: false });
        Client { session, opened: now, invoked: now, returned: now, pending: Vec::new() }
    }

    fn somewhat(&mut self) -> f64 {
        self.random.random_range(0.0..self.shape.stretch)
    }

    /// At each time one call takes effect.
    fn turn(&mut self, now: f64) {
        let client = self.random.random_range(0..self.clients.len());
        if self.clients[client].opened >= now {
            return;
        }
        match self.random.random_range(0..100) {
            0..2 => self.cut(client, now),
            2 => {
                let returned = self.call(client, now, Request::CloseSession);
                self.clients[client] = self.open(client, returned);
            }
            _ => {
                let request = self.request();
                self.call(client, now, request);
            }
        }
    }

    /// A call that takes effect now. Returns when it returns.
    fn call(&mut self, client: usize, now: f64, request: Request) -> f64 {
        let (before, after) = (self.somewhat(), self.somewhat());
        let known = &mut self.clients[client];
        known.invoked = known.invoked.max(now - before);
        known.returned = known.returned.max(now + after);
        let (session, invoked, returned) = (known.session, known.invoked, known.returned);
        let call = CallId(self.calls);
        self.calls += 1;
        let result = self.tree.execute(session, &request);
        self.note(invoked, client, Happening::Invoked { call, session, request });
        self.clients[client].pending.push(self.notes.len());
        self.note(returned, client, Happening::Returned { call, zxid: 0, result });
        returned
    }

    /// The connection was lost some time ago, and some calls take effect only now or never.
    fn cut(&mut self, client: usize, now: f64) {
        let before = self.somewhat();
        let known = &mut self.clients[client];
        let lost = known.invoked.max(now - before);
        known.invoked = lost;
        known.returned = f64::MAX;
        for at in std::mem::take(&mut known.pending) {
            if let Happening::Returned { call, .. } = self.notes[at].1.happening
                && self.notes[at].0 > lost
            {
                self.notes[at].0 = lost;
                self.notes[at].1.happening = Happening::Unknown { call };
            }
        }
        let session = self.clients[client].session;
        let count = self.random.random_range(0..4);
        let effective = self.random.random_range(0..=count);
        for number in 0..count {
            let request = self.request();
            let call = CallId(self.calls);
            self.calls += 1;
            if number < effective {
                let _lost = self.tree.execute(session, &request);
            }
            self.note(lost, client, Happening::Invoked { call, session, request });
            self.note(lost, client, Happening::Unknown { call });
        }
        self.note(lost, client, Happening::Disconnected { session });
        self.come_back(client, now);
    }

    fn come_back(&mut self, client: usize, now: f64) {
        let back = now + self.somewhat();
        let session = self.clients[client].session;
        match self.random.random_range(0..10) {
            0..6 => {
                self.note(back, client, Happening::Opened { session, node: 1, again: true });
                let pending = Vec::new();
                self.clients[client] =
                    Client { session, opened: back, invoked: back, returned: back, pending };
            }
            6..9 => {
                self.tree.end(session);
                self.note(back, client, Happening::Expired { session });
                self.clients[client] = self.open(client, back);
            }
            _ => {
                self.tree.end(session);
                let stranger = self.shape.clients + self.sessions as usize;
                self.clients[client] = self.open(stranger, back);
            }
        }
    }

    fn path(&mut self) -> String {
        match self.random.random_range(0..self.shape.znodes) {
            top @ 0..4 => format!("/{top}"),
            below => format!("/{}/{below}", below % 4),
        }
    }

    fn data(&mut self) -> Option<Bytes> {
        Some(format!("d{}", self.random.random_range(0..1_000)).into())
    }

    fn version(&mut self) -> i32 {
        if self.random.random_bool(0.7) { -1 } else { self.random.random_range(0..3) }
    }

    fn create(&mut self) -> Create {
        let mode = match self.random.random_range(0..10) {
            0..5 => CreateMode::Persistent,
            5..8 => CreateMode::Ephemeral,
            8 => CreateMode::PersistentSequential,
            _ => CreateMode::EphemeralSequential,
        };
        let path = if mode.is_sequential() { "/0/s-".to_owned() } else { self.path() };
        let (data, with_stat) = (self.data(), self.random.random_bool(0.5));
        Create { path: path.into(), data, acl: Vec::new(), mode: Ok(mode), with_stat }
    }

    fn change(&mut self) -> MultiOp {
        let path = self.path().into();
        match self.random.random_range(0..10) {
            0..3 => MultiOp::Create(self.create()),
            3 => MultiOp::Delete(Delete { path, version: self.version() }),
            4 => MultiOp::Check(Check { path, version: self.version() }),
            _ => MultiOp::SetData(SetData { path, data: self.data(), version: self.version() }),
        }
    }

    fn request(&mut self) -> Request {
        let path = self.path().into();
        match self.random.random_range(0..100) {
            0..20 => Request::Create(self.create()),
            20..28 => Request::Delete(Delete { path, version: self.version() }),
            28..50 => Request::SetData(SetData { path, data: self.data(), version: self.version() }),
            50..60 => Request::Exists { path, watch: false },
            60..78 => Request::GetData { path, watch: false },
            78..82 => Request::GetChildren { path: "/".into(), watch: false },
            82..86 => Request::GetChildren2 { path: "/0".into(), watch: false },
            86..94 => Request::Multi((0..2).map(|_| self.change()).collect()),
            _ => Request::MultiRead((0..2).map(|_| ReadOp::GetData { path: self.path().into() }).collect()),
        }
    }
}

const SMALL: Shape = Shape { calls: 300, clients: 6, znodes: 10, stretch: 12.0 };
const DENSE: Shape = Shape { calls: 200, clients: 8, znodes: 5, stretch: 25.0 };

#[test]
fn a_stretched_sequence_is_right() {
    for (seed, shape) in (0..200).map(|seed| (seed, SMALL)).chain((0..50).map(|seed| (seed, DENSE))) {
        let findings = check(&history(seed, shape));
        assert_eq!(findings.violations, Vec::<String>::new(), "seed {seed}");
        assert_eq!(findings.gave_up, 0, "seed {seed}");
    }
}

/// Alters one reply. What is seen and is not what was there, or is not seen and was there, or the other way round.
fn alter(reply: &mut Result<Reply, ErrorCode>) -> bool {
    match reply {
        Ok(Reply::Data { data, .. }) => *data = Some(Bytes::from_static(b"none")),
        Ok(Reply::Stat(stat) | Reply::PathStat { stat, .. }) => stat.mzxid += 1,
        Ok(Reply::NamesStat { stat, .. }) => stat.version += 1,
        Ok(Reply::Names(names)) if names.is_empty() => *names = ["never"].into_iter().collect(),
        Ok(Reply::Names(names)) => *names = names.iter().take(names.len() - 1).collect(),
        Ok(Reply::Path(_)) => *reply = Err(ErrorCode::NodeExists),
        Ok(Reply::Results(results)) => match results.last_mut() {
            Some(OpResult::Data { stat, .. } | OpResult::DataSet(stat)) => stat.version += 1,
            Some(OpResult::Failed(ErrorCode::NoNode)) => {
                results.pop();
                results.push(OpResult::Data { data: None, stat: Stat::default() });
            }
            _ => return false,
        },
        Err(ErrorCode::NodeExists | ErrorCode::BadVersion) => *reply = Err(ErrorCode::NoNode),
        _ => return false,
    }
    true
}

/// Alters a reply that comes after the entry `at`. Whether there is one.
fn alter_one(history: &mut History, at: usize) -> bool {
    history.entries[at..].iter_mut().any(|entry| match &mut entry.happening {
        Happening::Returned { result, .. } => alter(result),
        _ => false,
    })
}

#[test]
fn an_altered_reply_is_wrong() {
    let mut random = SmallRng::seed_from_u64(11);
    let (mut altered, mut found) = (0, 0);
    for seed in 0..200 {
        let mut history = history(seed, SMALL);
        let at = random.random_range(0..history.entries.len());
        if alter_one(&mut history, at) {
            altered += 1;
            found += usize::from(!check(&history).violations.is_empty());
        }
    }
    assert!(altered > 180, "{altered} altered");
    assert!(found * 100 >= altered * 90, "{found} of {altered} found");
}
