//! What each call of a history did, as far as anyone was told; and what the ends of sessions did, which nobody asked for.

use super::super::wgl::Fate;
use super::names::Names;
use super::reading::{Manner, Note, Reader, Reading, is_change, is_telling};
use crate::sim::history::{CallId, Happening, History};
use std::collections::BTreeMap;
use volery::wire::{ErrorCode, Reply, Request};

/// Where a deed stands among those of its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the order sent, on this connection of the session's, counted from 1.
    Sent {
        /// Which.
        connection: usize,
    },
    /// Behind all changes, since it ended the session.
    Last,
}

/// A call or the expiry of a session.
#[derive(Clone, Debug)]
pub struct Deed {
    /// The entry of the history before which it did not happen: its `Invoked`, or the session's last sign of life.
    pub invoked: usize,
    /// How it ended.
    pub fate: Fate,
    /// Whose it is.
    pub session: i64,
    /// Its place among the session's.
    pub place: Place,
    /// What it says.
    pub reading: Reading,
}

/// A reply that does not fit its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// The entry of the `Invoked`.
    pub invoked: usize,
    /// The entry of the `Returned`.
    pub returned: usize,
}

/// A request that was sent.
struct Sent<'a> {
    invoked: usize,
    session: i64,
    connection: usize,
    request: &'a Request,
    returned: Option<(usize, &'a Result<Reply, ErrorCode>)>,
    /// The moment by which the session had gone on without it.
    until: Option<usize>,
    /// Whether a CloseSession was sent before it on its connection, so that it cannot have an effect.
    is_behind_close: bool,
}

/// What is known of a session.
#[derive(Default)]
struct Session {
    /// Its connections so far.
    connections: usize,
    /// The entry at which the last connection was lost.
    lost: usize,
    /// The entry from which on it may have expired: it was alive after that.
    alive: usize,
    /// The entry that told that it has expired.
    expired: Option<usize>,
    /// Whether it was closed, and the client was told so.
    is_closed: bool,
    /// The connection on which a CloseSession was sent last.
    closing: Option<usize>,
    /// Its requests, by their places.
    sent: Vec<usize>,
}

/// The requests and the sessions of a history.
#[derive(Default)]
struct Register<'a> {
    sent: Vec<Sent<'a>>,
    calls: BTreeMap<CallId, usize>,
    sessions: BTreeMap<i64, Session>,
}

impl<'a> Register<'a> {
    fn of(history: &'a History) -> Register<'a> {
        let mut register = Register::default();
        for (moment, entry) in history.entries.iter().enumerate() {
            match &entry.happening {
                Happening::Opened { session, .. } => register.opened(moment, *session),
                Happening::Disconnected { session } => register.session(*session).lost = moment,
                Happening::Expired { session } => {
                    register.session(*session).expired = Some(moment);
                    register.gone_on(moment, *session);
                }
                Happening::Invoked { call, session, request } => {
                    register.invoked(moment, *call, *session, request);
                }
                Happening::Returned { call, result, .. } => register.returned(moment, *call, result),
                Happening::Unknown { .. } | Happening::Notified { .. } => {}
            }
        }
        register
    }

    fn session(&mut self, session: i64) -> &mut Session {
        self.sessions.entry(session).or_default()
    }

    /// It was alive when it was opened, which was asked for after the last connection was lost.
    fn opened(&mut self, moment: usize, session: i64) {
        let known = self.session(session);
        known.connections += 1;
        known.alive = if known.connections == 1 { moment } else { known.alive.max(known.lost) };
        self.gone_on(moment, session);
    }

    /// What the session sent before and has no reply to does not happen any more: it is in a later epoch, or over.
    fn gone_on(&mut self, moment: usize, session: i64) {
        let places = std::mem::take(&mut self.session(session).sent);
        for place in places {
            self.sent[place].until = Some(moment);
        }
    }

    fn invoked(&mut self, invoked: usize, call: CallId, session: i64, request: &'a Request) {
        let place = self.sent.len();
        let known = self.session(session);
        let connection = known.connections;
        let is_behind_close = known.closing == Some(connection);
        known.sent.push(place);
        if *request == Request::CloseSession {
            known.closing = Some(connection);
        }
        self.calls.insert(call, place);
        let (returned, until) = (None, None);
        self.sent.push(Sent { invoked, session, connection, request, returned, until, is_behind_close });
    }

    fn returned(&mut self, moment: usize, call: CallId, result: &'a Result<Reply, ErrorCode>) {
        let Some(&place) = self.calls.get(&call) else { return };
        let sent = &mut self.sent[place];
        if !is_telling(result) {
            return;
        }
        sent.returned = Some((moment, result));
        let (session, invoked, is_close) =
            (sent.session, sent.invoked, *sent.request == Request::CloseSession);
        let had_effect = result.is_ok() && is_change(sent.request);
        let known = self.session(session);
        if had_effect {
            known.alive = known.alive.max(invoked);
        }
        if is_close && result.is_ok() {
            known.is_closed = true;
            self.gone_on(moment, session);
        }
    }
}

/// The deeds of a history in the order in which they were invoked, expiries at the end, and the replies that fit nothing.
pub fn deeds(history: &History, names: &mut Names) -> (Vec<Deed>, Vec<Misfit>) {
    let register = Register::of(history);
    let (mut deeds, mut misfits) = (Vec::new(), Vec::new());
    for sent in &register.sent {
        match deed(sent, names) {
            Ok(deed) if deed.reading.notes.is_empty() => {}
            Ok(deed) => deeds.push(deed),
            Err(misfit) => misfits.push(misfit),
        }
    }
    for (&session, known) in &register.sessions {
        if !known.is_closed {
            deeds.push(expiry(session, known));
        }
    }
    (deeds, misfits)
}

fn deed(sent: &Sent<'_>, names: &mut Names) -> Result<Deed, Misfit> {
    let &Sent { invoked, session, connection, request, until, is_behind_close, .. } = sent;
    let reader = Reader::new(names, session);
    let (reading, fate) = match sent.returned {
        Some((returned, result)) => {
            let reading = reader.told(request, result).map_err(|_| Misfit { invoked, returned })?;
            (reading, Fate::Returned(returned))
        }
        None if is_behind_close => (Reading::default(), Fate::Unknown { until }),
        None => (reader.tried(request), Fate::Unknown { until }),
    };
    Ok(Deed { invoked, fate, session, place: Place::Sent { connection }, reading })
}

fn expiry(session: i64, known: &Session) -> Deed {
    let fate = known.expired.map_or(Fate::Unknown { until: None }, Fate::Returned);
    let reading = Reading { manner: Manner::Told, notes: vec![Note::Ended(session)], ..Reading::default() };
    Deed { invoked: known.alive, fate, session, place: Place::Last, reading }
}
