//! What all connections through one proxy have in common.

use super::weather::{Direction, Weather};
use std::collections::BTreeMap;
use std::net::{Shutdown, TcpStream};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What to do with bytes that are on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Treatment {
    /// Write them, so long after they came.
    Pass(Duration),
    /// Throw them away.
    Swallow,
    /// Keep them.
    Hold,
    /// Throw them away with the connection.
    Close,
}

/// How far two nodes are in getting to know each other. Each step needs the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Greeting {
    /// Nothing has passed.
    Silent,
    /// The node that dials has spoken.
    Asked,
    /// The other has.
    Answered,
    /// The first has again.
    Up,
}

/// What a connection goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    /// The weather.
    Weather,
    /// Its dialler has lost it; what it had sent is kept.
    Stranded,
    /// What was kept may go on, and then it is closed.
    Released,
}

#[derive(Debug)]
struct Connection {
    /// The socket of the node that dialled, and the other's.
    ends: [TcpStream; 2],
    course: Course,
    greeting: Greeting,
    /// Something of it was delivered after it was released.
    is_late: bool,
}

#[derive(Debug)]
struct State {
    weather: Weather,
    /// Those that are not closed, by number.
    connections: BTreeMap<u64, Connection>,
    next: u64,
    /// How many have come up since some were stranded.
    risen: usize,
    late: usize,
    is_listening: bool,
    is_stopping: bool,
}

/// The weather, and every connection through the proxy.
#[derive(Debug)]
pub(super) struct Line(Mutex<State>);

impl Line {
    /// No connection yet, in clear weather.
    pub(super) fn new() -> Line {
        Line(Mutex::new(State {
            weather: Weather::Clear,
            connections: BTreeMap::new(),
            next: 0,
            risen: 0,
            late: 0,
            is_listening: true,
            is_stopping: false,
        }))
    }

    /// A connection with these ends, and its number; nothing if there may be none.
    pub(super) fn open(&self, ends: [TcpStream; 2]) -> Option<u64> {
        let mut state = self.state();
        if state.is_stopping || state.weather == Weather::Cut {
            return None;
        }
        let number = state.next;
        state.next += 1;
        let (course, greeting) = (Course::Weather, Greeting::Silent);
        let connection = Connection { ends, course, greeting, is_late: false };
        state.connections.insert(number, connection);
        Some(number)
    }

    /// Closes a connection, if it is not.
    pub(super) fn close(&self, number: u64) {
        if let Some(connection) = self.state().connections.remove(&number) {
            connection.close();
        }
    }

    /// What to do with the bytes of a connection that go this way.
    pub(super) fn treatment(&self, number: u64, direction: Direction) -> Treatment {
        let state = self.state();
        let Some(connection) = state.connections.get(&number) else { return Treatment::Close };
        match (connection.course, direction) {
            (Course::Weather, _) => in_weather(state.weather, direction),
            (Course::Stranded, Direction::Forth) => Treatment::Hold,
            (Course::Released, Direction::Forth) => Treatment::Pass(Duration::ZERO),
            (Course::Stranded | Course::Released, Direction::Back) => Treatment::Swallow,
        }
    }

    /// Bytes of a connection are about to go this way. Says whether it comes up by that.
    pub(super) fn passing(&self, number: u64, direction: Direction) -> bool {
        let mut state = self.state();
        let Some(connection) = state.connections.get_mut(&number) else { return false };
        let (is_late, comes_up) = match connection.course {
            Course::Weather => (false, connection.greet(direction)),
            Course::Stranded => (false, false),
            Course::Released => (!std::mem::replace(&mut connection.is_late, true), false),
        };
        state.late += usize::from(is_late);
        comes_up
    }

    /// A connection has come up: when as many have as are stranded, these are let go.
    pub(super) fn rise(&self) {
        let mut state = self.state();
        state.risen += 1;
        if state.risen >= state.stranded() {
            state.release();
        }
    }

    pub(super) fn set(&self, weather: Weather) {
        let mut state = self.state();
        state.release();
        let before = std::mem::replace(&mut state.weather, weather);
        let swallowed = matches!(before, Weather::Swallow(_)) && before != weather;
        if swallowed || weather == Weather::Cut {
            state.close_all();
        }
    }

    pub(super) fn strand(&self) {
        let mut state = self.state();
        (state.weather, state.risen) = (Weather::Clear, 0);
        for connection in state.connections.values_mut().filter(|one| one.course == Course::Weather) {
            connection.course = Course::Stranded;
            // One that has been closed by its dialler is stranded all the same.
            let _ = connection.ends[0].shutdown(Shutdown::Write);
        }
    }

    pub(super) fn stranded(&self) -> usize {
        self.state().stranded()
    }

    pub(super) fn late(&self) -> usize {
        self.state().late
    }

    pub(super) fn up(&self) -> usize {
        let is_up = |one: &&Connection| one.course == Course::Weather && one.greeting == Greeting::Up;
        self.state().connections.values().filter(is_up).count()
    }

    pub(super) fn is_cut(&self) -> bool {
        self.state().weather == Weather::Cut
    }

    pub(super) fn is_listening(&self) -> bool {
        self.state().is_listening
    }

    pub(super) fn set_listening(&self, is_listening: bool) {
        self.state().is_listening = is_listening;
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.state().is_stopping
    }

    /// Closes everything for good.
    pub(super) fn stop(&self) {
        let mut state = self.state();
        state.is_stopping = true;
        state.close_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn stranded(&self) -> usize {
        self.connections.values().filter(|one| one.course == Course::Stranded).count()
    }

    fn release(&mut self) {
        let stranded = self.connections.values_mut().filter(|one| one.course == Course::Stranded);
        stranded.for_each(|one| one.course = Course::Released);
    }

    fn close_all(&mut self) {
        std::mem::take(&mut self.connections).into_values().for_each(|one| one.close());
    }
}

impl Connection {
    /// Moves the greeting on; says whether the connection has come up by it.
    fn greet(&mut self, direction: Direction) -> bool {
        let next = match (self.greeting, direction) {
            (Greeting::Silent, Direction::Forth) => Greeting::Asked,
            (Greeting::Asked, Direction::Back) => Greeting::Answered,
            (Greeting::Answered, Direction::Forth) => Greeting::Up,
            (same, _) => same,
        };
        std::mem::replace(&mut self.greeting, next) != next && next == Greeting::Up
    }

    fn close(self) {
        for end in self.ends {
            // It may be closed already.
            let _ = end.shutdown(Shutdown::Both);
        }
    }
}

fn in_weather(weather: Weather, direction: Direction) -> Treatment {
    match weather {
        Weather::Clear => Treatment::Pass(Duration::ZERO),
        Weather::Cut => Treatment::Close,
        Weather::Swallow(swallowed) if swallowed == direction => Treatment::Swallow,
        Weather::Swallow(_) => Treatment::Pass(Duration::ZERO),
        Weather::Slow(delay) => Treatment::Pass(delay),
        Weather::Hold => Treatment::Hold,
    }
}
