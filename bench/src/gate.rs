//! Where a worker waits until there is something to do.
//!
//! An edge file: it polls sockets and reads the clock.
#![allow(clippy::disallowed_methods, reason = "a wait without a deadline ends a glance from now")]

use crate::alarm::Alarm;
use crate::client::Client;
use crate::failure::Failure;
use mio::{Events, Interest, Poll, Token};
use std::time::{Duration, Instant};

/// How soon a worker without replies looks up, whatever it waits for.
const GLANCE: Duration = Duration::from_millis(5);
/// Sockets looked at in one turn.
const EVENTS_MAX: usize = 1024;
/// The alarm's token; connections have their index.
const ALARM: Token = Token(usize::MAX - 1);

/// Either many clients that are polled, or one that blocks.
pub enum Gate {
    /// At the sockets of all clients, and an alarm for what is due earlier than a poll's own timeout could tell.
    Poll {
        /// Of the sockets.
        poll: Poll,
        /// Among them.
        alarm: Alarm,
        /// What the last wait brought.
        events: Events,
    },
    /// At the only client there is.
    Client,
}

impl Gate {
    /// The gate of these clients.
    ///
    /// # Panics
    /// If there are several and one of them cannot be polled.
    pub fn new<'a>(clients: impl ExactSizeIterator<Item = &'a mut Client>) -> Result<Gate, Failure> {
        let poll = Poll::new().map_err(Failure::system("polling"))?;
        let count = clients.len();
        for (index, client) in clients.enumerate() {
            let Some(source) = client.source() else {
                assert_eq!(count, 1, "a client that blocks has a worker for itself");
                return Ok(Gate::Client);
            };
            poll.registry()
                .register(source, Token(index), Interest::READABLE | Interest::WRITABLE)
                .map_err(Failure::system("polling a connection"))?;
        }
        Ok(Gate::Poll { alarm: Alarm::new(&poll, ALARM)?, poll, events: Events::with_capacity(EVENTS_MAX) })
    }

    /// Waits until there is something to do, `due` has come or a glance has passed. The first of the clients is given.
    /// Adds the indexes of those that may have received or may send to `ready`.
    pub fn wait(
        &mut self,
        first: &mut Client,
        due: Option<Instant>,
        ready: &mut Vec<usize>,
    ) -> Result<(), Failure> {
        match self {
            Gate::Client => {
                let glance = Instant::now() + GLANCE;
                first.wait(due.map_or(glance, |due| due.min(glance)))?;
                ready.push(0);
            }
            Gate::Poll { poll, alarm, events } => {
                if let Some(due) = due {
                    alarm.set(due, Instant::now())?;
                }
                match poll.poll(events, Some(GLANCE)) {
                    Err(error) if error.kind() != std::io::ErrorKind::Interrupted => {
                        return Err(Failure::System { what: "polling".to_owned(), error });
                    }
                    _ => {}
                }
                ready.extend(
                    events
                        .iter()
                        .map(|event| event.token())
                        .filter(|token| *token != ALARM)
                        .map(|token| token.0),
                );
            }
        }
        Ok(())
    }
}
