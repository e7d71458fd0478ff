//! One thread's share of the connections.
//!
//! An edge file: it reads the clock, once before each connection's replies are counted and its next requests go out, so a
//! latency holds all that the server and the network take and as little as possible of this side.
#![allow(clippy::disallowed_methods, reason = "latencies are measured here")]

use crate::client::Client;
use crate::failure::Failure;
use crate::gate::Gate;
use crate::pace::Pace;
use crate::schedule::{Phase, Purpose, Schedule};
use crate::tally::Tally;
use crate::workload::Workload;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};
use volery::client::Traffic;
use volery::wire::Request;

/// A request that is not answered for so long counts as a lost connection.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// The buffer through which all connections receive.
const RECEIVE_BYTES: usize = 256 * 1024;

/// What a worker tells the conductor.
pub enum Event {
    /// A connection has nothing to send in the phase of this index.
    Exhausted(usize),
    /// A connection had replies. Told only if the drive wants it.
    Answered(Answered),
    /// The worker has ended. It is its last event.
    Ended(Result<Tally, Failure>),
}

/// Replies that were received together.
#[derive(Clone, Copy, Debug)]
pub struct Answered {
    /// The index of the connection among those of all workers.
    pub connection: usize,
    /// When.
    pub at: Instant,
    /// How many there were without an error.
    pub succeeded: usize,
    /// How many were errors.
    pub failed: usize,
}

/// A connection and what goes over it.
pub struct Link {
    /// The connection.
    pub client: Client,
    /// Where its requests come from.
    pub workload: Workload,
    /// When its requests are due in phases that are paced; `None` in a closed loop.
    pub pace: Option<Pace>,
}

/// How the connections of a worker are driven.
///
/// In a closed loop each has `outstanding` requests in flight, and every reply makes room for the next request. In an
/// open loop requests go out when they are due; at most `outstanding` are in flight, and what is due beyond them waits
/// for room and keeps its due time.
#[derive(Clone, Copy)]
pub struct Drive {
    /// Requests in flight per connection, or the most of them.
    pub outstanding: usize,
    /// Requests per second in an open loop, over all connections of all workers; `None` is a closed loop.
    pub rate: Option<u64>,
    /// The connections of all workers.
    pub connections: usize,
    /// Whether each turn's replies are told.
    pub tells_answers: bool,
}

/// Some connections in a loop. A turn waits, then reads each ready connection once and writes it once.
///
/// In an open loop `upcoming` has each connection that has room, with the due time of its next request.
pub struct Worker<'a> {
    links: Vec<Link>,
    first: usize,
    stride: usize,
    drive: Drive,
    schedule: &'a Schedule,
    events: Sender<Event>,
    gate: Gate,
    upcoming: BinaryHeap<Reverse<(Instant, usize)>>,
    /// What each connection had carried when it was last counted.
    carried: Vec<Traffic>,
    buffer: Vec<u8>,
    tally: Tally,
    seen: Option<(usize, Phase)>,
    exhausted_told: Option<usize>,
    looked_for_silence: Instant,
}

impl<'a> Worker<'a> {
    /// A worker for these connections, which are `first`, `first + stride`, … of all.
    pub fn new(
        mut links: Vec<Link>,
        first: usize,
        stride: usize,
        drive: Drive,
        schedule: &'a Schedule,
        events: Sender<Event>,
    ) -> Result<Worker<'a>, Failure> {
        let gate = Gate::new(links.iter_mut().map(|link| &mut link.client))?;
        Ok(Worker {
            carried: vec![Traffic::default(); links.len()],
            links,
            first,
            stride,
            drive,
            schedule,
            events,
            gate,
            upcoming: BinaryHeap::new(),
            buffer: vec![0; RECEIVE_BYTES],
            tally: Tally::new(),
            seen: None,
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
        let mut ready = Vec::new();
        while let (index, Some(phase)) = self.schedule.current() {
            if self.seen.is_none_or(|(seen, _)| seen != index) {
                self.enter(index, phase)?;
            }
            if phase.purpose == Purpose::Drain && self.links.iter().all(|link| link.client.is_closed()) {
                return Ok(());
            }
            let due = self.upcoming.peek().map(|Reverse((due, _))| *due);
            self.gate.wait(&mut self.links[0].client, due, &mut ready)?;
            for link in ready.drain(..) {
                self.turn(link, index, phase)?;
            }
            self.send_due(index, phase)?;
            self.look_after_the_silent()?;
        }
        Ok(())
    }

    /// A paced phase goes on with the due times of a paced phase before it, so what was left unsent is still due.
    fn enter(&mut self, index: usize, phase: Phase) -> Result<(), Failure> {
        let now = Instant::now();
        if self.seen.is_some_and(|(_, before)| before.purpose == Purpose::Measure) {
            self.count_overdue(now);
        }
        self.seen = Some((index, phase));
        self.upcoming.clear();
        let rate = self.drive.rate.filter(|_| phase.purpose.is_paced());
        for link in 0..self.links.len() {
            let connection = self.first + link * self.stride;
            let pace = &mut self.links[link].pace;
            *pace = rate.map(|rate| {
                pace.take().unwrap_or_else(|| Pace::new(rate, self.drive.connections, connection, now))
            });
            self.carried[link] = self.links[link].client.traffic();
            self.refill(link, index, phase)?;
            self.await_due(link);
        }
        Ok(())
    }

    fn turn(&mut self, link: usize, index: usize, phase: Phase) -> Result<(), Failure> {
        let had_room = self.has_room(link);
        let Link { client, workload, .. } = &mut self.links[link];
        client.receive(&mut self.buffer)?;
        let now = Instant::now();
        let connection = self.first + link * self.stride;
        let mut answered = Answered { connection, at: now, succeeded: 0, failed: 0 };
        while let Some((request, error)) = client.next_reply()? {
            match error {
                None => answered.succeeded += 1,
                Some(_) => answered.failed += 1,
            }
            if phase.purpose == Purpose::Measure {
                self.tally.reply(now - request.due, error);
            }
            if let Some(path) = request.creates {
                workload.settle(path, error.is_none());
            }
        }
        let replies = answered.succeeded + answered.failed;
        self.schedule.count_replies(replies as u64);
        if self.drive.tells_answers && replies > 0 {
            let _ = self.events.send(Event::Answered(answered));
        }
        if self.links[link].pace.is_none() || !had_room {
            self.refill(link, index, phase)?;
            self.await_due(link);
        } else {
            self.links[link].client.flush()?;
        }
        self.count_bytes(link, phase);
        Ok(())
    }

    fn count_bytes(&mut self, link: usize, phase: Phase) {
        let now = self.links[link].client.traffic();
        let before = std::mem::replace(&mut self.carried[link], now);
        if phase.purpose == Purpose::Measure {
            self.tally.bytes_sent += now.sent - before.sent;
            self.tally.bytes_received += now.received - before.received;
        }
    }

    /// Sends what has become due on connections that have room.
    fn send_due(&mut self, index: usize, phase: Phase) -> Result<(), Failure> {
        while let Some(Reverse((due, link))) = self.upcoming.peek().copied() {
            if due > Instant::now() {
                break;
            }
            self.upcoming.pop();
            self.refill(link, index, phase)?;
            self.count_bytes(link, phase);
            self.await_due(link);
        }
        Ok(())
    }

    /// A connection that is full waits for a reply instead.
    fn await_due(&mut self, link: usize) {
        if let Some(pace) = self.links[link].pace.as_ref().filter(|_| self.has_room(link)) {
            self.upcoming.push(Reverse((pace.due(), link)));
        }
    }

    fn has_room(&self, link: usize) -> bool {
        self.links[link].client.in_flight() < self.drive.outstanding
    }

    fn refill(&mut self, link: usize, index: usize, phase: Phase) -> Result<(), Failure> {
        let Link { client, workload, pace } = &mut self.links[link];
        let now = Instant::now();
        while client.in_flight() < self.drive.outstanding && !client.is_closing() {
            let due = match pace {
                Some(pace) => pace.take(now),
                None => Some(now),
            };
            let Some(due) = due else { break };
            match workload.next(phase.op) {
                Some(request) => client.push_due(request, due, now),
                None if phase.purpose == Purpose::Drain => {
                    // What is still being created has to be deleted too, so its answer is waited for.
                    if client.in_flight() == 0 {
                        client.push(Request::CloseSession, now);
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

    /// As the measured window of an open loop ends: what is due and not answered, sent or not.
    fn count_overdue(&mut self, now: Instant) {
        for Link { client, pace, .. } in &mut self.links {
            let Some(pace) = pace else { continue };
            client.waiting().for_each(|due| self.tally.overdue(now - due));
            while let Some(due) = pace.take(now) {
                self.tally.overdue(now - due);
            }
        }
    }

    /// Keeps sessions alive whose requests are not answered, for a bounded time.
    fn look_after_the_silent(&mut self) -> Result<(), Failure> {
        let now = Instant::now();
        if now - self.looked_for_silence < Duration::from_secs(1) {
            return Ok(());
        }
        self.looked_for_silence = now;
        self.links.iter_mut().try_for_each(|link| link.client.keep_alive(now))?;
        let silent =
            |link: &&Link| link.client.waiting_since().is_some_and(|since| now - since > SILENCE_MAX);
        match self.links.iter().find(silent) {
            Some(link) => Err(link.client.lost(format!("no reply for {} s", SILENCE_MAX.as_secs()))),
            None => Ok(()),
        }
    }
}
