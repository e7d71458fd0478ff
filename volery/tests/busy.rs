//! A cluster on a machine that is busy with other things.
#![allow(clippy::disallowed_methods, reason = "an edge: waits for real processes, each wait with a deadline")]

mod server;

use server::nodes::{Node, Plan};
use server::{Raw, four_letters, until};
use std::io::Read as _;
use std::net::TcpStream;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use volery::client::Client;

const BUSY_PROCESSES: usize = 4;
/// As [`Raw`] asks for it.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long silent sessions may last.
const TIMEOUT_MAX: Duration = Duration::from_secs(15);
/// Silent sessions are opened so often, one at each node.
const ROUNDS: usize = 5;
/// Leaders are where they stay when nothing was elected for so long.
const SETTLED: Duration = Duration::from_secs(5);

/// A process that does nothing, all the time. Dropping it kills it.
struct Busy(Child);

impl Busy {
    fn start() -> Busy {
        Busy(Command::new("sh").args(["-c", "while :; do :; done"]).spawn().expect("a shell"))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn elections(plan: &Plan) -> u64 {
    let of = |id| {
        let answer = four_letters(plan.client(id), "mntr");
        let line = answer.lines().find_map(|line| line.strip_prefix("volery_elections\t"));
        line.expect("a count of elections").parse::<u64>().expect("a number")
    };
    (1..=3).map(of).sum()
}

/// Waits until nobody is elected any more.
fn settled(plan: &Plan) -> u64 {
    let mut seen = (elections(plan), Instant::now());
    until("the leaders to settle", || {
        let now = elections(plan);
        if now != seen.0 {
            seen = (now, Instant::now());
        }
        (now > 0 && seen.1.elapsed() > SETTLED).then_some(now)
    })
}

/// How long a session lasts whose client says nothing.
fn silent(plan: &Plan, id: usize) -> Duration {
    let stream = TcpStream::connect(plan.client(id)).expect("a node that listens");
    stream.set_read_timeout(Some(3 * TIMEOUT)).expect("a socket");
    let mut raw = Raw::on(stream);
    raw.greet();
    let greeted = Instant::now();
    raw.expect_welcome();
    assert_eq!(raw.stream.read(&mut [0]).expect("an end"), 0);
    greeted.elapsed()
}

/// As many silent sessions as nodes, while one client goes on.
fn round(plan: &Plan, lives: &mut Client) -> Vec<Duration> {
    thread::scope(|scope| {
        let silent: Vec<_> = (1..=3).map(|id| scope.spawn(move || silent(plan, id))).collect();
        while silent.iter().any(|thread| !thread.is_finished()) {
            lives.exists("/").expect("its session goes on");
            thread::park_timeout(Duration::from_millis(100));
        }
        silent.into_iter().map(|thread| thread.join().expect("a session that ends")).collect()
    })
}

#[test]
fn nobody_is_elected_and_sessions_end_in_time_beside_busy_processes() {
    let directory = TempDir::new().expect("a directory");
    let plan = Plan::new(3);
    let _nodes: Vec<Node> = (1..=3).map(|id| Node::start(&plan, directory.path(), id)).collect();
    let mut lives = until("a session", || Client::connect(plan.client(1), TIMEOUT).ok());
    until("every node to listen", || {
        (1..=3).all(|id| TcpStream::connect(plan.client(id)).is_ok()).then_some(())
    });
    let before = settled(&plan);
    let _busy: Vec<Busy> = (0..BUSY_PROCESSES).map(|_| Busy::start()).collect();
    for _ in 0..ROUNDS {
        let lasted = round(&plan, &mut lives);
        assert!(lasted.iter().all(|lasted| (TIMEOUT..TIMEOUT_MAX).contains(lasted)), "{lasted:?}");
    }
    assert_eq!(elections(&plan), before, "a leader was deposed");
}
