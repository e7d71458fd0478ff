//! A run: connections in a loop against the servers of a cluster, and what came of it.
//!
//! An edge file: it starts the workers, and its clock decides when the measured window begins and ends.
#![allow(clippy::disallowed_methods, reason = "the measured window is timed here")]
#![allow(clippy::print_stderr, reason = "a line of progress per second")]

use crate::client::Client;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::layout::Layout;
use crate::op::Op;
use crate::outcome::Outcome;
use crate::preparation::Preparation;
use crate::schedule::{Phase, Purpose, Schedule};
use crate::shape::{Lengths, Shape};
use crate::tally::Tally;
use crate::tree::Tree;
use crate::witness::{Used, Witness};
use crate::worker::{Drive, Event, Link, Worker};
use crate::workload::{Workload, ZNODES_MAX, ZNODES_MAX_OF_SEVERAL};
use bytes::Bytes;
use rand::rngs::SmallRng;
use rand::{RngCore, SeedableRng};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How often the conductor looks around.
const GLANCE: Duration = Duration::from_millis(100);
const PROGRESS: Duration = Duration::from_secs(1);

/// Whom to load, and from where.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    /// The servers of one cluster.
    pub servers: &'a [SocketAddr],
    /// What is to be worked on, and who goes to which server.
    pub layout: &'a Layout,
    /// The processes whose use is measured: the servers', and others'.
    pub pids: &'a [u32],
}

/// Measures `op` against the servers of one cluster.
pub fn run(
    target: Target,
    op: Op,
    shape: &Shape,
    lengths: Lengths,
    interrupt: &Interrupt,
) -> Result<Outcome, Failure> {
    let Target { servers, pids, .. } = target;
    let links = links(target, shape, interrupt)?;
    let schedule = Schedule::new(op, lengths.warm_up, lengths.measure);
    let witness = Witness { pids, servers };
    conduct(links, shape, &schedule, &witness, interrupt)
        .map(|(tally, window)| Outcome::new(op, shape, &tally, window))
}

/// Brings the tree about, and opens a session for each seat.
pub fn links(target: Target, shape: &Shape, interrupt: &Interrupt) -> Result<Vec<Link>, Failure> {
    let Target { servers, layout, .. } = target;
    assert!(!servers.is_empty(), "a load needs a server");
    assert_eq!(layout.seats.len(), shape.connections, "a connection needs a seat");
    let mut data = vec![0; shape.size];
    SmallRng::seed_from_u64(0).fill_bytes(&mut data);
    let data = Bytes::from(data);
    prepare(servers[0], &layout.tree, &data, interrupt)?;
    connect(target, &data, shape, interrupt)
}

fn prepare(server: SocketAddr, tree: &Tree, data: &Bytes, interrupt: &Interrupt) -> Result<(), Failure> {
    let mut preparation = Preparation::connect(server, interrupt)?;
    for batch in tree.preparation(data) {
        preparation.carry_out(&batch)?;
    }
    preparation.close()
}

fn connect(target: Target, data: &Bytes, shape: &Shape, interrupt: &Interrupt) -> Result<Vec<Link>, Failure> {
    let run = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as u64;
    let room = (znodes_max(target.servers.len()) / shape.connections).max(1);
    let mut links = Vec::new();
    for (connection, seat) in target.layout.seats.iter().enumerate() {
        interrupt.check()?;
        let client = Client::connect(target.servers[seat.server], shape.client)?;
        let tree = Arc::clone(&target.layout.tree);
        let data = data.clone();
        let workload = Workload::new(tree, shape.spread, data, run, connection, seat.directory, room);
        links.push(Link { client, workload, pace: None });
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
    /// What was used: by the generator first, then by the processes asked for.
    pub used: Used,
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
    let mut shares: Vec<Vec<Link>> = (0..shape.workers()).map(|_| Vec::new()).collect();
    let threads = shares.len();
    for (index, link) in links.into_iter().enumerate() {
        shares[index % threads].push(link);
    }
    let drive = Drive {
        outstanding: shape.outstanding,
        rate: shape.rate,
        connections: shape.connections,
        tells_answers: false,
    };
    let worker = |(first, links)| Worker::new(links, first, threads, drive, schedule, sender.clone());
    let workers = shares.into_iter().enumerate().map(worker).collect::<Result<Vec<Worker>, _>>()?;
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
        let used = self.witness.used_since(&before)?;
        Ok(Window { length: begin.elapsed(), used })
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
                Ok(Event::Exhausted(_) | Event::Answered(_)) | Err(RecvTimeoutError::Timeout) => {}
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
    use crate::client::Speaker;
    use crate::op::OpName;
    use crate::responder::Responder;
    use crate::workload::Spread;
    use std::sync::atomic::{AtomicBool, Ordering};

    fn shape() -> Shape {
        Shape { spread: Spread::All, threads: 2, ..Shape::closed(3, 4, 10) }
    }

    const LENGTHS: Lengths =
        Lengths { warm_up: Duration::from_millis(20), measure: Duration::from_millis(50) };

    fn measure(
        server: SocketAddr,
        op: Op,
        shape: &Shape,
        lengths: Lengths,
        pids: &[u32],
    ) -> Result<Outcome, Failure> {
        let layout = Layout::round_robin(shape.connections, 5, 1);
        let target = Target { servers: &[server], layout: &layout, pids };
        run(target, op, shape, lengths, &Interrupt::default())
    }

    /// Runs against a responder.
    fn measured(
        responder: Responder,
        name: OpName,
        shape: &Shape,
        lengths: Lengths,
    ) -> Result<Outcome, Failure> {
        let address = responder.address();
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let serving = scope.spawn(|| responder.serve(&stop));
            let op = shape.op(name).unwrap();
            let outcome = measure(address, op, shape, lengths, &[std::process::id()]);
            stop.store(true, Ordering::Relaxed);
            serving.join().unwrap().unwrap();
            outcome
        })
    }

    fn responder() -> Responder {
        Responder::bind(0).unwrap()
    }

    #[test]
    fn every_operation_runs_to_its_end() {
        use OpName::{Children, Create, CreateDelete, Delete, Get, Mix, Multi, Set};
        for name in [Set, Get, Children, Create, Delete, CreateDelete, Mix, Multi] {
            for rate in [None, Some(4_000)] {
                let outcome = measured(responder(), name, &Shape { rate, ..shape() }, LENGTHS).unwrap();
                assert!(outcome.operations > 0, "{name:?}");
                assert!(outcome.errors.is_empty(), "{name:?} {:?}", outcome.errors);
                assert!(outcome.bytes_sent > 0 && outcome.bytes_received > 0, "{name:?}");
                assert!(outcome.loopback_bytes > outcome.bytes_sent + outcome.bytes_received, "{name:?}");
                assert_eq!(outcome.processes.len(), 2, "{name:?}");
                assert!(matches!(outcome.logs[..], [None]), "a responder has no log");
            }
        }
    }

    #[test]
    fn volery_s_own_client_does_it_all_too() {
        let native = Shape { client: Speaker::Native, ..shape() };
        for (name, rate) in [
            (OpName::Set, None),
            (OpName::CreateDelete, None),
            (OpName::Multi, None),
            (OpName::Set, Some(2_000)),
        ] {
            let lengths = Lengths { measure: Duration::from_millis(500), ..LENGTHS };
            let outcome = measured(responder(), name, &Shape { rate, ..native.clone() }, lengths).unwrap();
            assert!(outcome.errors.is_empty(), "{name:?} {:?}", outcome.errors);
            assert!(outcome.bytes_sent > 0 && outcome.bytes_received > 0, "{name:?}");
            let due = rate.map_or(1.0, |rate| 0.9 * rate as f64 * outcome.seconds);
            assert!((outcome.operations + outcome.overdue) as f64 >= due, "{name:?} {}", outcome.operations);
        }
        let failing = measured(responder().failing(Some(10)), OpName::Multi, &native, LENGTHS).unwrap();
        assert!(failing.errors["BadVersion"] > 0, "{:?}", failing.errors);
    }

    #[test]
    fn errors_are_counted_also_those_within_a_multi() {
        for name in [OpName::Set, OpName::Multi] {
            let outcome = measured(responder().failing(Some(10)), name, &shape(), LENGTHS).unwrap();
            assert!(outcome.errors["BadVersion"] > 0, "{name:?}");
            assert!(outcome.operations > 0, "{name:?}");
        }
    }

    #[test]
    fn an_open_loop_sends_at_the_rate_that_is_asked_for() {
        let lengths = Lengths { measure: Duration::from_millis(500), ..LENGTHS };
        let outcome = measured(responder(), OpName::Set, &shape().at(2_000), lengths).unwrap();
        let due = 2_000.0 * outcome.seconds;
        let seen = (outcome.operations + outcome.overdue) as f64;
        assert!((seen - due).abs() < 0.1 * due, "{seen} of {due}");
    }

    #[test]
    fn a_stall_is_seen_by_all_that_was_due_meanwhile() {
        let stall = Duration::from_millis(200);
        let lengths = Lengths { warm_up: Duration::ZERO, measure: Duration::from_millis(600) };
        let outcome = |shape: &Shape| {
            let stalling = responder().stalling(Some((100, stall)));
            measured(stalling, OpName::Set, shape, lengths).unwrap()
        };
        // A third of all requests were due in the stall, and most of them could not even be sent in it.
        let open = outcome(&shape().at(3_000));
        assert!(open.latency_us.p90 > 50_000, "{:?}", open.latency_us);
        // In a closed loop no more than those in flight see it.
        let closed = outcome(&shape());
        assert!(closed.latency_us.p99 < 50_000, "{:?}", closed.latency_us);
    }

    #[test]
    fn a_server_that_stays_silent_is_seen_too() {
        let lengths = Lengths { warm_up: Duration::ZERO, measure: Duration::from_millis(300) };
        let stalling = responder().stalling(Some((100, Duration::from_secs(1))));
        let outcome = measured(stalling, OpName::Set, &shape().at(3_000), lengths).unwrap();
        assert!(outcome.overdue > 300, "{}", outcome.overdue);
        assert!(outcome.latency_us.p90 > 100_000, "{:?}", outcome.latency_us);
    }

    #[test]
    fn a_server_that_is_not_there_ends_the_run() {
        let address = responder().address();
        let outcome = measure(address, Op::Set, &shape(), LENGTHS, &[]);
        let failure = outcome.err().unwrap().to_string();
        assert!(failure.starts_with(&format!("the connection to {address} was lost: ")), "{failure}");
    }
}
