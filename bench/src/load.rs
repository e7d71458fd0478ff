//! A run: connections in a closed loop against a server, and what came of it.
//!
//! An edge file: it starts the workers, and its clock decides when the measured window begins and ends.
#![allow(clippy::disallowed_methods, reason = "the measured window is timed here")]
#![allow(clippy::print_stderr, reason = "a line of progress per second")]

use crate::client::Client;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::op::{Op, OpName, Span};
use crate::outcome::{LogUse, Outcome, ProcessUse};
use crate::preparation::Preparation;
use crate::schedule::{Phase, Purpose, Schedule};
use crate::tally::Tally;
use crate::tree::Tree;
use crate::witness::Witness;
use crate::worker::{Event, Link, Worker};
use crate::workload::{Spread, Workload, ZNODES_MAX, ZNODES_MAX_OF_SEVERAL};
use bytes::Bytes;
use clap::Args;
use clap::builder::RangedU64ValueParser;
use rand::rngs::SmallRng;
use rand::{RngCore, SeedableRng};
use serde::Serialize;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How often the conductor looks around.
const GLANCE: Duration = Duration::from_millis(100);
const PROGRESS: Duration = Duration::from_secs(1);

/// A parser of a count in a range.
fn count(least: u64, most: u64) -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(least..=most)
}

/// What the load looks like, whatever the operation.
#[derive(Args, Clone, Debug, Serialize)]
pub struct Shape {
    /// Sessions, each on a connection of its own
    #[arg(long, default_value = "16", value_parser = count(1, 10_000))]
    pub connections: usize,
    /// Requests in flight per connection
    #[arg(long, default_value = "25", value_parser = count(1, 10_000))]
    pub outstanding: usize,
    /// Bytes of each value
    #[arg(long, default_value = "100", value_parser = count(0, 1_000_000))]
    pub size: usize,
    /// Keys per directory; there are as many directories as connections
    #[arg(long, default_value = "100", value_parser = count(1, 100_000))]
    pub keys: usize,
    /// Which directories a connection works in
    #[arg(long, value_enum, default_value = "directory")]
    pub spread: Spread,
    /// Of a mix: how many requests of a hundred are gets
    #[arg(long, default_value = "90", value_parser = clap::value_parser!(u8).range(0..=100))]
    pub get_percent: u8,
    /// Of a multi: how many directories it touches
    #[arg(long, value_enum, default_value = "1")]
    pub span: Span,
    /// Threads of the generator, among which the connections are divided
    #[arg(long, default_value = "1", value_parser = count(1, 64))]
    pub threads: usize,
}

/// How long a run takes.
#[derive(Clone, Copy, Debug)]
pub struct Lengths {
    /// Before what is measured.
    pub warm_up: Duration,
    /// Measured.
    pub measure: Duration,
}

impl Shape {
    /// The operation of that name, if this shape allows it.
    pub fn op(&self, name: OpName) -> Result<Op, Failure> {
        let op = name.with(self.get_percent, self.span);
        if op == Op::Multi(Span::Two) && self.connections < 2 {
            return Err(Failure::Usage(
                "a multi over two directories needs two connections or more".to_owned(),
            ));
        }
        Ok(op)
    }
}

/// Measures `op` against the servers of one cluster, over which the connections go round robin, wherever the znodes that
/// they ask for are kept. What `pids` use is measured too.
pub fn run(
    servers: &[SocketAddr],
    op: Op,
    shape: &Shape,
    lengths: Lengths,
    pids: &[u32],
    interrupt: &Interrupt,
) -> Result<Outcome, Failure> {
    assert!(!servers.is_empty(), "a load needs a server");
    let tree = Arc::new(Tree::new(shape.connections, shape.keys));
    let mut data = vec![0; shape.size];
    SmallRng::seed_from_u64(0).fill_bytes(&mut data);
    let data = Bytes::from(data);
    prepare(servers[0], &tree, &data, interrupt)?;
    let links = connect(servers, &tree, &data, shape, interrupt)?;
    let schedule = Schedule::new(op, lengths.warm_up, lengths.measure);
    let witness = Witness { pids, servers };
    conduct(links, shape, &schedule, &witness, interrupt)
        .map(|(tally, window)| Outcome::new(op, shape, &tally, window))
}

fn prepare(server: SocketAddr, tree: &Tree, data: &Bytes, interrupt: &Interrupt) -> Result<(), Failure> {
    let mut preparation = Preparation::connect(server, interrupt)?;
    for batch in tree.preparation(data) {
        preparation.carry_out(&batch)?;
    }
    preparation.close()
}

fn connect(
    servers: &[SocketAddr],
    tree: &Arc<Tree>,
    data: &Bytes,
    shape: &Shape,
    interrupt: &Interrupt,
) -> Result<Vec<Link>, Failure> {
    let run = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as u64;
    let room = (znodes_max(servers.len()) / shape.connections).max(1);
    let mut links = Vec::new();
    for index in 0..shape.connections {
        interrupt.check()?;
        let client = Client::connect(servers[index % servers.len()])?;
        let tree = Arc::clone(tree);
        let workload = Workload::new(tree, shape.spread, data.clone(), run, index, room);
        links.push(Link { client, workload });
    }
    Ok(links)
}

fn znodes_max(servers: usize) -> usize {
    if servers == 1 { ZNODES_MAX } else { ZNODES_MAX_OF_SEVERAL }
}

/// The time in which replies counted, and what it cost.
pub struct Window {
    /// How long it was.
    pub length: Duration,
    /// What processes used: the generator first, then those asked for.
    pub processes: Vec<ProcessUse>,
    /// What each server did to its log, if it tells.
    pub logs: Vec<Option<LogUse>>,
}

/// Runs the workers through the schedule. They have all ended when it returns.
fn conduct(
    links: Vec<Link>,
    shape: &Shape,
    schedule: &Schedule,
    witness: &Witness,
    interrupt: &Interrupt,
) -> Result<(Tally, Window), Failure> {
    let (sender, events) = channel();
    let mut shares: Vec<Vec<Link>> = (0..shape.threads.min(links.len())).map(|_| Vec::new()).collect();
    let threads = shares.len();
    for (index, link) in links.into_iter().enumerate() {
        shares[index % threads].push(link);
    }
    let workers: Result<Vec<Worker>, Failure> = shares
        .into_iter()
        .map(|links| Worker::new(links, shape.outstanding, schedule, sender.clone()))
        .collect();
    let workers = workers?;
    drop(sender);
    thread::scope(|scope| {
        for worker in workers {
            scope.spawn(|| worker.run());
        }
        let mut conductor = Conductor::new(schedule, &events, witness, interrupt);
        let conducted = conductor.conduct();
        schedule.end();
        conducted.and_then(|()| conductor.result(threads))
    })
}

/// The one who moves the schedule on.
struct Conductor<'a> {
    schedule: &'a Schedule,
    events: &'a Receiver<Event>,
    witness: &'a Witness<'a>,
    interrupt: &'a Interrupt,
    tally: Tally,
    ended: usize,
    window: Option<Window>,
    progress: Progress,
}

impl<'a> Conductor<'a> {
    fn new(
        schedule: &'a Schedule,
        events: &'a Receiver<Event>,
        witness: &'a Witness<'a>,
        interrupt: &'a Interrupt,
    ) -> Conductor<'a> {
        let progress = Progress { since: Instant::now(), replies: 0 };
        Conductor {
            schedule,
            events,
            witness,
            interrupt,
            tally: Tally::new(),
            ended: 0,
            window: None,
            progress,
        }
    }

    fn conduct(&mut self) -> Result<(), Failure> {
        while let (index, Some(phase)) = self.schedule.current() {
            match phase.purpose {
                Purpose::Measure => self.window = Some(self.measure(index, phase)?),
                Purpose::WarmUp | Purpose::Fill | Purpose::Drain => {
                    self.wait(index, phase, Instant::now())?
                }
            }
            self.schedule.advance();
        }
        Ok(())
    }

    /// The window is as long as replies count, so the time that servers take to tell of their logs belongs to it.
    fn measure(&mut self, index: usize, phase: Phase) -> Result<Window, Failure> {
        let begin = Instant::now();
        let before = self.witness.look()?;
        self.wait(index, phase, begin)?;
        let (processes, logs) = self.witness.used_since(&before)?;
        Ok(Window { length: begin.elapsed(), processes, logs })
    }

    /// Waits for the end of a phase.
    fn wait(&mut self, index: usize, phase: Phase, begin: Instant) -> Result<(), Failure> {
        loop {
            self.interrupt.check()?;
            self.progress.show(phase.purpose, self.schedule.replies());
            let left = phase.length.saturating_sub(begin.elapsed());
            if left.is_zero() {
                return Ok(());
            }
            match self.events.recv_timeout(left.min(GLANCE)) {
                Ok(Event::Exhausted(of)) if of == index && phase.purpose != Purpose::WarmUp => return Ok(()),
                Ok(Event::Exhausted(_)) | Err(RecvTimeoutError::Timeout) => {}
                Ok(Event::Ended(ended)) => self.end(ended?),
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    fn end(&mut self, tally: Tally) {
        self.tally.add(&tally);
        self.ended += 1;
    }

    /// What all workers have counted. They end within a glance, since the schedule is over.
    fn result(mut self, threads: usize) -> Result<(Tally, Window), Failure> {
        while let Ok(event) = self.events.recv() {
            if let Event::Ended(ended) = event {
                self.end(ended?);
            }
        }
        assert_eq!(self.ended, threads, "a worker ended without a word");
        let window = self.window.expect("every schedule has something to measure");
        Ok((self.tally, window))
    }
}

/// A line per second on stderr.
struct Progress {
    since: Instant,
    replies: u64,
}

impl Progress {
    fn show(&mut self, purpose: Purpose, replies: u64) {
        let passed = self.since.elapsed();
        if passed < PROGRESS {
            return;
        }
        let rate = (replies - self.replies) as f64 / passed.as_secs_f64();
        eprintln!("{:>9} {rate:>8.0} replies/s", purpose.to_string());
        *self = Progress { since: Instant::now(), replies };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::responder::Responder;
    use std::sync::atomic::{AtomicBool, Ordering};

    fn shape() -> Shape {
        Shape {
            connections: 3,
            outstanding: 4,
            size: 10,
            keys: 5,
            spread: Spread::All,
            get_percent: 50,
            span: Span::Two,
            threads: 2,
        }
    }

    const LENGTHS: Lengths =
        Lengths { warm_up: Duration::from_millis(20), measure: Duration::from_millis(50) };

    /// Runs against a responder that fails every `failing`th request, of those that are measured.
    fn measured(name: OpName, failing: Option<u64>) -> Result<Outcome, Failure> {
        let responder = Responder::bind(0).unwrap().failing(failing);
        let address = responder.address();
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let serving = scope.spawn(|| responder.serve(&stop));
            let shape = shape();
            let op = shape.op(name).unwrap();
            let outcome = run(&[address], op, &shape, LENGTHS, &[std::process::id()], &Interrupt::default());
            stop.store(true, Ordering::Relaxed);
            serving.join().unwrap().unwrap();
            outcome
        })
    }

    #[test]
    fn every_operation_runs_to_its_end() {
        use OpName::{Create, CreateDelete, Delete, Get, Mix, Multi, Set};
        for name in [Set, Get, Create, Delete, CreateDelete, Mix, Multi] {
            let outcome = measured(name, None).unwrap();
            assert!(outcome.operations > 0, "{name:?}");
            assert!(outcome.errors.is_empty(), "{name:?} {:?}", outcome.errors);
            assert!(outcome.bytes_sent > 0 && outcome.bytes_received > 0, "{name:?}");
            assert_eq!(outcome.processes.len(), 2, "{name:?}");
            assert!(matches!(outcome.logs[..], [None]), "a responder has no log");
        }
    }

    #[test]
    fn errors_are_counted_also_those_within_a_multi() {
        for name in [OpName::Set, OpName::Multi] {
            let outcome = measured(name, Some(10)).unwrap();
            assert!(outcome.errors["BadVersion"] > 0, "{name:?}");
            assert!(outcome.operations > 0, "{name:?}");
        }
    }

    #[test]
    fn a_server_that_is_not_there_ends_the_run() {
        let address = Responder::bind(0).unwrap().address();
        let outcome = run(&[address], Op::Set, &shape(), LENGTHS, &[], &Interrupt::default());
        let failure = outcome.err().unwrap().to_string();
        assert!(failure.starts_with(&format!("the connection to {address} was lost: ")), "{failure}");
    }
}
