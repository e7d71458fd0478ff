//! A session: what two members tell each other between two beginnings.
//!
//! ```text
//!   a                                             b
//!   │  Level{number 1, answers 0, decided 900} ──►│
//!   │◄── Level{number 4, answers 0, decided 100}  │
//!   │  Level{number 1, answers 4, lacks 800} ────►│  b is behind: it asks for a piece
//!   │◄── Level{number 4, answers 1, lacks 0}      │
//!   │◄── Level{number 5, answers 1, asks}         │
//!   │  Level{number 1, answers 5, lacks 800} ────►│
//!   │  ═ piece, on the bulk channel ═════════════►│  installs it, and begins anew
//!   │◄── Level{number 6, answers 1, decided 899}  │
//!   │  Level{number 1, answers 6, lacks 1} ──────►│  open
//! ```
//!
//! A session is named by the last numbers of both ends. Levels and the messages of the consensus crates keep their order on the way,
//! so whatever comes before the level that answers this end's number belongs to an older session, and is dropped. Both ends judge by the
//! same numbers, those in the two levels that answer each other, so they open the session both or neither.
//!
//! Heartbeats are free ([`Outgoing::is_free`](super::Outgoing::is_free)): they travel on another connection, and keep no order with
//! levels. One that comes while the session is not open is dropped. One of an older session that comes after this has opened may be
//! handled: it says what was so when it was sent, and an old reply names no reign that began after it.

use super::level::Level;

/// How far the beginning of a session with one peer is, seen from this end.
///
/// Invariant: it is open only while each end has answered the other's number, and neither lacks too much.
#[derive(Debug, Default)]
pub(super) struct Session {
    /// This end's number: the last that was told.
    mine: u64,
    /// The peer's number, 0 before one has come on this connection.
    theirs: u64,
    /// Whether the peer has answered this end's number.
    answered: bool,
    /// Which of the peer's numbers was answered, and what was told that it lacks.
    told: Option<(u64, u64)>,
    /// The peer's decided index, by its last level.
    decided: u64,
    /// What this end lacks of that, by the peer's answer.
    lacks: u64,
    /// Whether there is a connection.
    is_connected: bool,
    is_open: bool,
}

impl Session {
    /// A connection begins: nothing was heard on it.
    pub(super) fn connect(&mut self) {
        *self = Session { mine: self.mine, is_connected: true, ..Session::default() };
        self.begin();
    }

    /// The connection has ended. What was told on it stays: heartbeats come on another one.
    pub(super) fn disconnect(&mut self) {
        self.is_connected = false;
    }

    /// This end begins anew, on the same connection.
    pub(super) fn begin(&mut self) {
        self.mine += 1;
        self.answered = false;
        self.told = None;
        self.is_open = false;
    }

    /// The level to tell next, of which `level` has the indices. `lacks` is the weight of what the peer lacks.
    pub(super) fn tell(&mut self, level: Level, lacks: u64) -> Level {
        self.told = Some((self.theirs, lacks));
        Level { number: self.mine, answers: self.theirs, lacks, ..level }
    }

    /// Takes a level of the peer. It is to be answered if [`is_told`](Session::is_told) says that it is not.
    pub(super) fn hear(&mut self, level: &Level) {
        if level.number != self.theirs {
            self.theirs = level.number;
            self.is_open = false;
        }
        self.decided = level.decided;
        if level.answers == self.mine {
            self.answered = true;
            self.lacks = level.lacks;
        }
    }

    /// Whether the peer's number was answered.
    pub(super) fn is_told(&self) -> bool {
        self.told.is_some_and(|(theirs, _)| theirs == self.theirs)
    }

    /// Opens the session, if both ends have answered and neither lacks more than `lag`. Says whether it was not open before.
    pub(super) fn open(&mut self, lag: u64) -> bool {
        let told = self.told.filter(|(theirs, _)| *theirs == self.theirs && self.theirs > 0);
        let is_level = self.answered && self.lacks <= lag && told.is_some_and(|(_, lacks)| lacks <= lag);
        is_level && !std::mem::replace(&mut self.is_open, true)
    }

    /// Whether messages of the consensus crate pass.
    pub(super) fn is_open(&self) -> bool {
        self.is_open
    }

    /// Whether the peer has answered this end's number.
    pub(super) fn is_answered(&self) -> bool {
        self.answered
    }

    /// Whether there is a connection to the peer.
    pub(super) fn is_connected(&self) -> bool {
        self.is_connected
    }

    /// The decided index of a peer that is connected, if this end lacks more of it than `lag`.
    pub(super) fn ahead(&self, lag: u64) -> Option<u64> {
        (self.is_connected && self.answered && self.lacks > lag).then_some(self.decided)
    }

    /// The peer's decided index, as far as it has told.
    pub(super) fn decided(&self) -> u64 {
        self.decided
    }

    /// The peer has told its decided index otherwise than by a level.
    pub(super) fn note_decided(&mut self, decided: u64) {
        self.decided = decided;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAG: u64 = 10;

    struct End {
        session: Session,
        decided: u64,
    }

    impl End {
        fn new(decided: u64) -> End {
            let mut session = Session::default();
            session.connect();
            End { session, decided }
        }

        fn tell(&mut self) -> Level {
            let lacks = self.decided.saturating_sub(self.session.decided());
            self.session
                .tell(Level { decided: self.decided, accepted: self.decided, ..Level::default() }, lacks)
        }

        /// Hears a level, answers it if need be, and says whether the session opens.
        fn hear(&mut self, level: Level) -> (Option<Level>, bool) {
            self.session.hear(&level);
            let answer = (!self.session.is_told()).then(|| self.tell());
            (answer, self.session.open(LAG))
        }
    }

    /// Passes levels to and fro until both are silent.
    fn settle(a: &mut End, b: &mut End, mut to_b: Vec<Level>, mut to_a: Vec<Level>) {
        while !to_a.is_empty() || !to_b.is_empty() {
            to_a.extend(to_b.drain(..).filter_map(|level| b.hear(level).0));
            to_b.extend(to_a.drain(..).filter_map(|level| a.hear(level).0));
        }
    }

    fn meet(a: &mut End, b: &mut End) {
        let (to_b, to_a) = (vec![a.tell()], vec![b.tell()]);
        settle(a, b, to_b, to_a);
    }

    fn are_open(a: &End, b: &End) -> (bool, bool) {
        (a.session.is_open(), b.session.is_open())
    }

    #[test]
    fn two_that_are_level_open_after_both_have_answered() {
        let (mut a, mut b) = (End::new(20), End::new(12));
        meet(&mut a, &mut b);
        assert_eq!(are_open(&a, &b), (true, true));
    }

    #[test]
    fn one_that_is_behind_opens_nothing_and_both_know_it() {
        let (mut a, mut b) = (End::new(20), End::new(9));
        meet(&mut a, &mut b);
        assert_eq!(are_open(&a, &b), (false, false));
        assert_eq!((a.session.ahead(LAG), b.session.ahead(LAG)), (None, Some(20)));
        b.decided = 15;
        b.session.begin();
        let again = b.tell();
        settle(&mut a, &mut b, Vec::new(), vec![again]);
        assert_eq!(are_open(&a, &b), (true, true));
        assert_eq!(b.session.ahead(LAG), None);
    }

    #[test]
    fn what_is_said_before_the_answer_belongs_to_an_older_session() {
        let (mut a, mut b) = (End::new(20), End::new(20));
        meet(&mut a, &mut b);
        b.session.begin();
        let again = b.tell();
        assert_eq!(are_open(&a, &b), (true, false), "b drops what a has sent before it hears this");
        let (answer, opened) = a.hear(again);
        assert!(opened, "a begins anew at once");
        assert_eq!(b.hear(answer.expect("an answer")), (None, true));
    }

    #[test]
    fn both_may_begin_anew_at_once() {
        let (mut a, mut b) = (End::new(20), End::new(20));
        meet(&mut a, &mut b);
        a.session.begin();
        b.session.begin();
        meet(&mut a, &mut b);
        assert_eq!(are_open(&a, &b), (true, true));
    }

    #[test]
    fn a_connection_forgets_what_was_heard_on_the_one_before() {
        let (mut a, mut b) = (End::new(20), End::new(20));
        meet(&mut a, &mut b);
        a.session.connect();
        b.session.connect();
        assert_eq!(are_open(&a, &b), (false, false));
        assert!(!a.session.open(LAG), "nothing was heard");
        meet(&mut a, &mut b);
        assert_eq!(are_open(&a, &b), (true, true));
    }
}
