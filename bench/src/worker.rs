//! One thread's share of the connections.
//!
//! An edge file: it polls sockets and reads the clock, once before each connection's replies are counted and its next
//! requests go out, so a latency holds all that the server and the network take and as little as possible of this side.
#![allow(clippy::disallowed_methods, reason = "latencies are measured here")]

use crate::client::Client;
use crate::failure::Failure;
use crate::schedule::{Phase, Purpose, Schedule};
use crate::tally::Tally;
use crate::workload::Workload;
use mio::{Events, Interest, Poll, Token};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};
use volery::wire::Request;

/// How soon a worker without replies sees that the phase has changed.
const GLANCE: Duration = Duration::from_millis(5);
/// A request that is not answered for so long counts as a lost connection.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// Sockets looked at in one turn.
const EVENTS_MAX: usize = 1024;
/// The buffer through which all connections receive.
const RECEIVE_BYTES: usize = 256 * 1024;

/// What a worker tells the conductor.
pub enum Event {
    /// A connection has nothing to send in the phase of this index.
    Exhausted(usize),
    /// The worker has ended. It is its last event.
    Ended(Result<Tally, Failure>),
}

/// A connection and what goes over it.
pub struct Link {
    /// The connection.
    pub client: Client,
    /// Where its requests come from.
    pub workload: Workload,
}

/// A closed loop over some connections: each has `outstanding` requests in flight, and every reply makes room for the
/// next request. A turn polls, then reads each ready connection once and writes it once.
pub struct Worker<'a> {
    links: Vec<Link>,
    outstanding: usize,
    schedule: &'a Schedule,
    events: Sender<Event>,
    poll: Poll,
    buffer: Vec<u8>,
    tally: Tally,
    phase_seen: Option<usize>,
    exhausted_told: Option<usize>,
    looked_for_silence: Instant,
}

impl<'a> Worker<'a> {
    /// A worker for these connections.
    pub fn new(
        mut links: Vec<Link>,
        outstanding: usize,
        schedule: &'a Schedule,
        events: Sender<Event>,
    ) -> Result<Worker<'a>, Failure> {
        let poll = Poll::new().map_err(Failure::system("polling"))?;
        for (index, link) in links.iter_mut().enumerate() {
            poll.registry()
                .register(link.client.source(), Token(index), Interest::READABLE | Interest::WRITABLE)
                .map_err(Failure::system("polling a connection"))?;
        }
        Ok(Worker {
            links,
            outstanding,
            schedule,
            events,
            poll,
            buffer: vec![0; RECEIVE_BYTES],
            tally: Tally::new(),
            phase_seen: None,
            exhausted_told: None,
            looked_for_silence: Instant::now(),
        })
    }

    /// Works until the schedule is over or all that there is to drain is drained, and tells how it ended.
    pub fn run(mut self) {
        let worked = self.work();
        // The conductor may have left early, and then nobody wants to know.
        let _ = self.events.send(Event::Ended(worked.map(|()| self.tally)));
    }

    fn work(&mut self) -> Result<(), Failure> {
        let mut events = Events::with_capacity(EVENTS_MAX);
        while let (index, Some(phase)) = self.schedule.current() {
            if self.phase_seen != Some(index) {
                self.phase_seen = Some(index);
                (0..self.links.len()).try_for_each(|link| self.refill(link, index, phase))?;
            }
            if phase.purpose == Purpose::Drain && self.links.iter().all(|link| link.client.is_closed()) {
                return Ok(());
            }
            self.wait(&mut events)?;
            for event in &events {
                self.turn(event.token().0, index, phase)?;
            }
            self.look_for_silence()?;
        }
        Ok(())
    }

    fn wait(&mut self, events: &mut Events) -> Result<(), Failure> {
        match self.poll.poll(events, Some(GLANCE)) {
            Err(error) if error.kind() != std::io::ErrorKind::Interrupted => {
                Err(Failure::System { what: "polling".to_owned(), error })
            }
            _ => Ok(()),
        }
    }

    fn turn(&mut self, link: usize, index: usize, phase: Phase) -> Result<(), Failure> {
        let Link { client, workload } = &mut self.links[link];
        let (sent_before, received_before) = (client.bytes_sent, client.bytes_received);
        client.receive(&mut self.buffer)?;
        let now = Instant::now();
        let mut replies = 0;
        while let Some((request, error)) = client.next_reply()? {
            replies += 1;
            if phase.purpose == Purpose::Measure {
                self.tally.reply(now - request.sent, error);
            }
            if let Some(path) = request.creates {
                workload.settle(path, error.is_none());
            }
        }
        self.schedule.count_replies(replies);
        self.refill(link, index, phase)?;
        if phase.purpose == Purpose::Measure {
            let client = &self.links[link].client;
            self.tally.bytes_sent += client.bytes_sent - sent_before;
            self.tally.bytes_received += client.bytes_received - received_before;
        }
        Ok(())
    }

    fn refill(&mut self, link: usize, index: usize, phase: Phase) -> Result<(), Failure> {
        let Link { client, workload } = &mut self.links[link];
        let now = Instant::now();
        while client.in_flight() < self.outstanding && !client.is_closing() {
            match workload.next(phase.op) {
                Some(request) => client.push(&request, now),
                None if phase.purpose == Purpose::Drain => {
                    // What is still being created has to be deleted too, so its answer is waited for.
                    if client.in_flight() == 0 {
                        client.push(&Request::CloseSession, now);
                    }
                    break;
                }
                None => {
                    if self.exhausted_told != Some(index) {
                        self.exhausted_told = Some(index);
                        let _ = self.events.send(Event::Exhausted(index));
                    }
                    break;
                }
            }
        }
        client.flush()
    }

    fn look_for_silence(&mut self) -> Result<(), Failure> {
        let now = Instant::now();
        if now - self.looked_for_silence < Duration::from_secs(1) {
            return Ok(());
        }
        self.looked_for_silence = now;
        let silent =
            |link: &&Link| link.client.waiting_since().is_some_and(|since| now - since > SILENCE_MAX);
        match self.links.iter().find(silent) {
            Some(link) => Err(link.client.lost(format!("no reply for {} s", SILENCE_MAX.as_secs()))),
            None => Ok(()),
        }
    }
}
