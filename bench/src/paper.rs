//! The experiments of the paper (S-SMR VI), repeated on this machine.
//!
//! The paper had a node for every server and 3 replicas of everything; here all servers share one machine with the load,
//! and by default each contestant is one server. So what grows with partitions there can grow here only so far as one
//! machine goes, and the table says what was found and not whether the paper is right.
//!
//! - **Contestants.** ZooKeeper, and Volery with 1, 2, 4, … partitions. The paper's ZKsmr is the same service on one ring,
//!   replicated in the classical way. Here that is Volery with one partition, the same program: a command for one
//!   partition passes its ring and nothing else, so ZKsmr and Volery with one partition coincide and are shown as one.
//! - **Throughput** is that of a closed loop with 25 outstanding commands per client, as in the paper.
//! - **Latency** is measured in an open loop at 75 % of that throughput, with the same limit of outstanding commands; what
//!   waits for room counts from when it was due. It is the mean, as in the paper. Where the rate is not reached, or another
//!   process takes what is left of the machine, latency is that of a queue which grows: the table says what was reached.
//! - **Local commands** are setData. **Global commands** are creates and deletes in the paper, which go to all partitions;
//!   here they are multis of two setData in two partitions, since Volery has no command that goes to all. With one
//!   partition, and with ZooKeeper, they are in two directories.
//! - **On disk** is where `--directory` says. **In memory** is `/dev/shm`, where a sync does nothing.
//! - **The stages** of a command's latency are drawn if the server tells of them.
//!
//! Contestants take turns. For its turn each is started without data, warmed up, measured under one load and stopped, so
//! that what is logged under it is gone when the next one comes: all of it together would fill a disk, and memory sooner.
//! Where one turn would fill what is free, measurements are shorter than was asked for.
//!
//! An edge file: it reads the clock.
#![allow(clippy::disallowed_methods, reason = "it says how long it took")]

mod claims;
mod figures;

use crate::cluster::{Kind, Volery};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::lab::{Lab, Subject};
use crate::median::median;
use crate::mix::Mix;
use crate::op::{Op, Span};
use crate::outcome::Outcome;
use crate::report;
use crate::setting::Setting;
use crate::shape::{Lengths, Shape, count};
use crate::stages::Stage;
use crate::table::{Table, figure, many, thousands};
use crate::usage;
use clap::Args;
use rustix::fs::{StatVfs, statvfs};
use serde::Serialize;
use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

/// As in the paper.
const OUTSTANDING: usize = 25;
/// A file system in memory.
const MEMORY: &str = "/dev/shm";
/// How many bytes must be free there.
const MEMORY_ROOM_MIN: u64 = 4 << 30;
/// How many bytes must be free for each second of a measurement. A turn has two of them and as much again around them, and
/// nobody has been seen to log 500 MB a second.
const ROOM_PER_SECOND: u64 = 2_000_000_000;
/// The size of the commands among which there are global ones, in bytes.
const GLOBAL_SIZE: usize = 1_000;
/// Latencies are measured at this share of the throughput.
const LATENCY_PERCENT: f64 = 0.75;

/// What to repeat, and how thoroughly.
#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    pub setting: Setting,
    /// Servers of each contestant, all on this machine
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=9))]
    nodes: u16,
    /// Volery's numbers of partitions
    #[arg(long, value_delimiter = ',', default_value = "1,2,4,8", default_value_if("quick", "true", "1,2"))]
    #[arg(value_parser = count(1, 64))]
    partitions: Vec<usize>,
    /// Bytes of each value
    #[arg(long, value_delimiter = ',', default_value = "100,1000,10000")]
    #[arg(default_value_if("quick", "true", "100,1000"), value_parser = count(0, 1_000_000))]
    size: Vec<usize>,
    /// How many of a hundred commands are global
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "0,1,5,10",
        default_value_if("quick", "true", "0,10")
    )]
    #[arg(value_parser = clap::value_parser!(u8).range(0..=100))]
    global_percent: Vec<u8>,
    /// Clients
    #[arg(long, default_value = "16", value_parser = count(2, 10_000))]
    connections: usize,
    /// Keys per client
    #[arg(long, default_value = "100", default_value_if("quick", "true", "20"))]
    #[arg(value_parser = count(1, 100_000))]
    keys: usize,
    /// Measurements of each point
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=100))]
    rounds: u64,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 10, default_value_if("quick", "true", "1"))]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Seconds of load on each contestant before its first measurement
    #[arg(long, default_value_t = 20, default_value_if("quick", "true", "1"))]
    #[arg(value_parser = clap::value_parser!(u64).range(0..=3600))]
    warmup: u64,
    /// All of it in about a minute, which shows that it works and not how fast it is
    #[arg(long)]
    quick: bool,
}

/// Where logs are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Storage {
    /// On the disk to measure.
    Disk,
    /// In memory.
    Memory,
}

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Who {
    /// Debian's ZooKeeper.
    ZooKeeper,
    /// Volery with so many partitions.
    Volery(usize),
}

/// What is measured of each contestant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Load {
    /// Where logs are kept.
    pub storage: Storage,
    /// Bytes of each value.
    pub size: usize,
    /// How many of a hundred commands are global.
    pub global_percent: u8,
}

/// One contestant under one load.
#[derive(Serialize)]
pub struct Point {
    /// The load.
    pub load: Load,
    /// The contestant.
    pub who: Who,
    /// In a closed loop, one per round.
    pub closed: Vec<Outcome>,
    /// In an open loop at 75 % of the throughput, one per round.
    pub open: Vec<Outcome>,
    /// Where the time of commands went, as far as the server tells.
    pub stages: Vec<Stage>,
}

/// What came of the experiments. Field names are those of the JSON.
#[derive(Serialize)]
pub struct Paper {
    /// How it was measured, for people.
    pub caption: String,
    /// Everything that was measured.
    pub points: Vec<Point>,
    /// How long all of it took.
    pub wall_seconds: f64,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Who::ZooKeeper => f.write_str("ZooKeeper"),
            Who::Volery(1) => f.write_str("ZKsmr = Volery, 1 partition"),
            Who::Volery(partitions) => write!(f, "Volery, {partitions} partitions"),
        }
    }
}

impl Options {
    /// Repeats the experiments.
    pub fn carry_out(&self, interrupt: &Interrupt) -> Result<Paper, Failure> {
        let begin = Instant::now();
        let mut points = self.experiment(Storage::Disk, &self.setting.directory, interrupt)?;
        match room(Storage::Memory, Path::new(MEMORY)) {
            Ok(bytes) if bytes >= MEMORY_ROOM_MIN => {
                points.extend(self.experiment(Storage::Memory, Path::new(MEMORY), interrupt)?);
            }
            _ => report::progress(&format!("{MEMORY} has no room: what is in memory is left out")),
        }
        let paper = Paper { caption: self.caption(), points, wall_seconds: begin.elapsed().as_secs_f64() };
        if let Some(plots) = &self.setting.plots {
            paper.figures().iter().try_for_each(|(name, figure)| figure.write(plots, name))?;
        }
        Ok(paper)
    }

    fn caption(&self) -> String {
        format!(
            "{} of {} s each, less where there is no room; {} per contestant, on this machine with the load; {} with \
             {OUTSTANDING} outstanding each.\nZKsmr and Volery with 1 partition are the same program here and cannot be told apart. Global commands \
             are multis over two partitions.",
            many(self.rounds as usize, "round"),
            self.seconds,
            many(self.nodes.into(), "server"),
            many(self.connections, "connection"),
        )
    }

    fn who(&self) -> Vec<Who> {
        std::iter::once(Who::ZooKeeper).chain(self.partitions.iter().copied().map(Who::Volery)).collect()
    }

    fn experiment(
        &self,
        storage: Storage,
        directory: &Path,
        interrupt: &Interrupt,
    ) -> Result<Vec<Point>, Failure> {
        let mut points = Vec::new();
        for load in self.loads(storage) {
            let point = |who| Point { load, who, closed: Vec::new(), open: Vec::new(), stages: Vec::new() };
            let mut of_load: Vec<Point> = self.who().into_iter().map(point).collect();
            let mut lab = Lab::new(directory, interrupt)?;
            for _ in 0..self.rounds {
                of_load.iter_mut().try_for_each(|point| self.turn(point, &mut lab))?;
            }
            points.extend(of_load);
        }
        Ok(points)
    }

    /// One contestant's turn under one load.
    fn turn(&self, point: &mut Point, lab: &mut Lab) -> Result<(), Failure> {
        let Point { load, who, .. } = *point;
        let measure = Duration::from_secs(fitting(self.seconds, room(load.storage, lab.directory())?));
        report::progress(&format!("{load}: starting {who} and warming it up"));
        let mut subject = self.start(lab, who)?;
        let warm_up =
            Lengths { warm_up: Duration::from_secs(self.warmup), measure: Duration::from_millis(500) };
        subject.load(Op::Set, &self.shape(100), None, warm_up, lab.interrupt)?;
        report::progress(&format!("{load}: {who}"));
        let op = match load.global_percent {
            0 => Op::Set,
            percent => Op::Mix(Mix::of_multis(percent), Span::Two),
        };
        let ramp = if self.quick { Duration::from_millis(500) } else { Duration::from_secs(2) };
        let lengths = Lengths { warm_up: ramp, measure };
        let shape = self.shape(load.size);
        let closed = subject.load(op, &shape, None, lengths, lab.interrupt)?;
        let rate = (closed.operations_per_second * LATENCY_PERCENT) as u64;
        point.closed.push(closed);
        point.open.push(subject.load(op, &shape.at(rate.max(1)), None, lengths, lab.interrupt)?);
        if subject.kind() == Kind::Volery {
            point.stages = subject.stages();
        }
        Ok(())
    }

    fn start(&self, lab: &mut Lab, who: Who) -> Result<Subject, Failure> {
        match who {
            Who::ZooKeeper => lab.zookeeper(self.nodes),
            Who::Volery(partitions) => {
                let volery =
                    Volery { binary: &self.setting.volery, partitions, replicas: None, sync_delay_ms: None };
                lab.volery(volery, self.nodes)
            }
        }
    }

    /// Local commands of all sizes, and in memory global ones too.
    fn loads(&self, storage: Storage) -> Vec<Load> {
        let local = self.size.iter().map(|size| Load { storage, size: *size, global_percent: 0 });
        let mut loads: Vec<Load> = local.collect();
        let rates = self.global_percent.iter().filter(|_| storage == Storage::Memory);
        for global_percent in rates.copied() {
            let load = Load { storage, size: GLOBAL_SIZE, global_percent };
            if !loads.contains(&load) {
                loads.push(load);
            }
        }
        loads
    }

    fn shape(&self, size: usize) -> Shape {
        Shape { keys: self.keys, ..Shape::closed(self.connections, OUTSTANDING, size) }
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match self.storage {
            Storage::Disk => "on disk",
            Storage::Memory => "in memory",
        };
        write!(f, "{place}, {} B", thousands(self.size as i64))?;
        if self.global_percent == 0 { Ok(()) } else { write!(f, ", {} % global", self.global_percent) }
    }
}

/// How many seconds to measure where so many bytes are free.
fn fitting(seconds: u64, room: u64) -> u64 {
    seconds.min(room / ROOM_PER_SECOND).max(1)
}

/// How many bytes may be written below a path.
fn room(storage: Storage, path: &Path) -> Result<u64, Failure> {
    let named = || path.display().to_string();
    let free = |status: StatVfs| status.f_bavail * status.f_frsize;
    let there = statvfs(path).map(free).map_err(|error| Failure::system(named())(error.into()))?;
    Ok(match storage {
        Storage::Disk => there,
        Storage::Memory => there.min(usage::free_memory_bytes()?),
    })
}

/// How much of the rate that was asked for was reached. Where it is less than all, latencies say only that.
fn reached_percent(outcome: &Outcome) -> f64 {
    outcome.shape.rate.map_or(f64::NAN, |rate| outcome.operations_per_second / rate as f64 * 100.0)
}

impl Point {
    /// Commands per second in the closed loop; the median, as all that follow.
    pub fn rate(&self) -> f64 {
        median(self.closed.iter().map(|outcome| outcome.operations_per_second).collect())
    }

    /// The mean latency at 75 % of the throughput, in milliseconds.
    pub fn latency_ms(&self) -> f64 {
        self.of_open(|outcome| outcome.latency_us.mean / 1e3)
    }

    /// A figure of the open loop.
    pub fn of_open(&self, of: impl Fn(&Outcome) -> f64) -> f64 {
        median(self.open.iter().map(of).collect())
    }
}

impl Paper {
    /// A contestant under a load, if it was measured.
    pub fn point(&self, load: Load, who: Who) -> Option<&Point> {
        self.points.iter().find(|point| point.load == load && point.who == who)
    }

    /// The contestants in the order in which they were measured.
    pub fn who(&self) -> Vec<Who> {
        let mut who = Vec::new();
        for point in &self.points {
            if !who.contains(&point.who) {
                who.push(point.who);
            }
        }
        who
    }

    /// Everything that was measured, and what is to be said of the paper's claims.
    pub fn text(&self) -> String {
        let mut table = Table::default();
        table.row(["", "operations/s", "at 75 %: reached", "mean ms", "p50 ms", "p99 ms"]);
        for point in &self.points {
            let of = |of: fn(&Outcome) -> u64| figure(point.of_open(|outcome| of(outcome) as f64) / 1e3);
            table.row([
                format!("{}: {}", point.load, point.who),
                figure(point.rate()),
                format!("{:.1} %", point.of_open(reached_percent)),
                figure(point.latency_ms()),
                of(|outcome| outcome.latency_us.p50),
                of(|outcome| outcome.latency_us.p99),
            ]);
        }
        let took = report::duration(self.wall_seconds);
        format!("{table}\n{}\n{}\nAll of it took {took}.\n", self.claims(), self.caption)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_takes_no_longer_than_what_it_logs_has_room_for() {
        assert_eq!(fitting(10, 30_000_000_000), 10);
        assert_eq!(fitting(10, 8_000_000_000), 4);
        assert_eq!(fitting(10, 0), 1);
    }

    #[test]
    fn a_machine_s_memory_has_room() {
        assert!(room(Storage::Memory, Path::new("/tmp")).expect("a file system") > 0);
    }
}
