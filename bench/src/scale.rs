//! How Volery scales with its partitions.
//!
//! On a machine of few cores a raw run with more partitions says nothing: generator, servers and disk share what there
//! is, and one partition may use it up. So five questions are asked apart, each in a table of its own, and none of their
//! figures is a claim about another:
//!
//! - **CPU per command**: what a command costs as partitions grow on one node. Where this stays level, partitions are free,
//!   and more cores are more commands.
//! - **Cells**: nodes of one replica each, every process confined to the same small share of a core, so that eight of them
//!   and the generator fit into the machine. Each is then a small machine of its own, and throughput tells how they add up.
//! - **Sync delay**: the same nodes, unconfined, with a disk that takes the same long time for each sync. A log then carries
//!   what is outstanding in one delay, and throughput tells how logs add up.
//! - **Simulated**: nodes on machines of their own that do not exist. The nodes are real, time is not: turns and syncs take as
//!   long as they were measured to take here. So this tells what the protocol lets a cluster do, if machines are like this one
//!   and networks are not in the way.
//! - **One node**: what partitions cost each other in one process: syncs of the one log, the tail of latency beside idle
//!   partitions, throughput with commands over two partitions.
//!
//! Each connection works in a directory of its own; the directories are spread evenly over partitions, by names that the
//! cluster's own placement puts there; each connection goes to the node that leads its directory's partition.
//!
//! An edge file: it reads the clock.
#![allow(clippy::disallowed_methods, reason = "it says how long it took")]

mod cells;
mod cpu;
mod demands;
mod one_node;
mod simulated;
mod sync_delay;

use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::lab::Lab;
use crate::outcome::Outcome;
use crate::plot::{BarSeries, Bars, Figure, Panel};
use crate::report;
use crate::setting::Setting;
use crate::shape::Lengths;
use crate::table::many;
use crate::trials::{Column, Trials};
use crate::verdict::{self, Verdict};
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Bytes of each value.
const SIZE: usize = 100;

/// A question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// CPU per command as partitions grow on one node
    Cpu,
    /// Throughput of nodes that are confined to a share of a core each
    Cells,
    /// Throughput of nodes whose syncs take a fixed time
    SyncDelay,
    /// Throughput of simulated machines, with what work takes here
    Simulated,
    /// What partitions of one node cost each other
    OneNode,
}

/// What to ask, and how thoroughly.
#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    pub setting: Setting,
    /// Volery's binary with the feature faults, which can be told to sync slowly; without it that part is left out
    #[arg(long, value_name = "VOLERY")]
    volery_with_faults: Option<PathBuf>,
    /// What to ask, if not all
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "cpu,cells,sync-delay,simulated,one-node"
    )]
    part: Vec<Part>,
    /// Numbers of partitions, the least first
    #[arg(long, value_delimiter = ',', default_value = "1,2,4,8", default_value_if("quick", "true", "1,8"))]
    #[arg(value_parser = crate::shape::count(1, 64))]
    partitions: Vec<usize>,
    /// The share of a core that each cell has, in percent
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=100))]
    quota_percent: u64,
    /// How much longer each sync takes, in milliseconds
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1000))]
    sync_delay_ms: u64,
    /// Measurements of each configuration
    #[arg(long, default_value_t = 3, default_value_if("quick", "true", "1"))]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=100))]
    rounds: u64,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 10, default_value_if("quick", "true", "1"))]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Seconds of load before each measurement
    #[arg(long, default_value_t = 2, default_value_if("quick", "true", "1"))]
    #[arg(value_parser = clap::value_parser!(u64).range(0..=3600))]
    warmup: u64,
    /// All of it in about a minute, which shows that it works and not how Volery scales
    #[arg(long)]
    quick: bool,
}

/// What came of it. Field names are those of the JSON.
#[derive(Serialize)]
pub struct Scale {
    /// The parts that were asked.
    pub parts: Vec<Told>,
    /// What is demanded of Volery beside what was measured.
    pub verdicts: Vec<Verdict>,
    /// How long all of it took.
    pub wall_seconds: f64,
}

/// The answer to a part.
#[derive(Serialize)]
pub struct Told {
    /// The part.
    pub part: Part,
    /// Tables of it; one part asks several things.
    pub trials: Vec<Trials>,
    /// Why there is nothing, if there is not.
    pub left_out: Option<String>,
}

impl Options {
    /// Asks all that is to be asked.
    pub fn carry_out(&self, interrupt: &Interrupt) -> Result<Scale, Failure> {
        let begin = Instant::now();
        let mut lab = Lab::new(&self.setting.directory, interrupt)?;
        let mut parts = Vec::new();
        let mut verdicts = Vec::new();
        for part in &self.part {
            let asked = match part {
                Part::Cpu => self.cpu(&mut lab),
                Part::Cells => self.cells(&mut lab),
                Part::SyncDelay => self.sync_delay(&mut lab),
                Part::Simulated => self.simulated(&mut lab),
                Part::OneNode => self.one_node(&mut lab),
            };
            let (trials, of_part) = match asked? {
                Answer::Told(trials, verdicts) => (Ok(trials), verdicts),
                Answer::LeftOut(reason, verdicts) => (Err(reason), verdicts),
            };
            verdicts.extend(of_part);
            let left_out = trials.as_ref().err().cloned();
            parts.push(Told { part: *part, trials: trials.unwrap_or_default(), left_out });
        }
        let scale = Scale { parts, verdicts, wall_seconds: begin.elapsed().as_secs_f64() };
        if let Some(plots) = &self.setting.plots {
            scale.figure().write(plots, "scale")?;
        }
        Ok(scale)
    }

    fn lengths(&self) -> Lengths {
        Lengths { warm_up: Duration::from_secs(self.warmup), measure: Duration::from_secs(self.seconds) }
    }

    /// What is demanded is so of 8 partitions and 1; of other numbers it has not been measured.
    fn judge(&self, verdict: Verdict, trials: &Trials, of: fn(&Outcome) -> f64) -> Verdict {
        match (self.partitions.first(), self.partitions.last()) {
            (Some(1), Some(8)) => verdict.measured(trials.last_ratio(of)),
            _ => verdict,
        }
    }

    fn partition_names(&self) -> Vec<String> {
        self.partitions.iter().map(|partitions| many(*partitions, "partition")).collect()
    }
}

/// What became of a part: its tables or why there are none, and in either case what is demanded of it.
enum Answer {
    Told(Vec<Trials>, Vec<Verdict>),
    LeftOut(String, Vec<Verdict>),
}

impl Scale {
    /// A table for each thing asked, and one of what is demanded.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for told in &self.parts {
            for trials in &told.trials {
                text += &format!("{}\n{}\n", trials.about, trials.table(columns(told.part)));
            }
            if let Some(reason) = &told.left_out {
                text += &format!("{reason}\n\n");
            }
        }
        text += &verdict::table(&self.verdicts).to_string();
        text + &format!("\nAll of it took {}.\n", report::duration(self.wall_seconds))
    }

    fn figure(&self) -> Figure {
        let trials = self.parts.iter().flat_map(|told| told.trials.iter().map(|trials| (told.part, trials)));
        let panels = trials.map(|(part, trials)| {
            let Column { head, of, .. } = columns(part)[0];
            let heights = (0..trials.trials.len()).map(|index| Some(trials.median(index, of))).collect();
            Panel::Bars(Bars {
                title: trials.about.split(['.', ':']).next().unwrap_or_default().to_owned(),
                axis: head.to_owned(),
                groups: trials.trials.iter().map(|trial| trial.name.clone()).collect(),
                series: vec![BarSeries { name: head.to_owned(), heights, labels: None }],
                stacked: false,
            })
        });
        Figure {
            title: "How Volery scales: five things, not to be mixed".to_owned(),
            panels: panels.collect(),
        }
    }
}

/// The CPU time of all servers per operation, in microseconds.
fn server_cpu(outcome: &Outcome) -> f64 {
    outcome.cpu_us_per_operation(&outcome.processes[1..])
}

fn rate(outcome: &Outcome) -> f64 {
    outcome.operations_per_second
}

fn p99(outcome: &Outcome) -> f64 {
    outcome.latency_us.p99 as f64
}

/// Syncs per second of a server, the mean over all; not a number if one does not tell.
fn syncs_per_node(outcome: &Outcome) -> f64 {
    outcome.syncs_per_second().map_or(f64::NAN, |syncs| syncs / outcome.logs.len() as f64)
}

/// The share of a core that the busiest server used, in percent.
fn busiest(outcome: &Outcome) -> f64 {
    let cpu_us = outcome.processes[1..].iter().map(|process| process.cpu_us).max().unwrap_or(0);
    cpu_us as f64 / outcome.seconds / 1e4
}

const CPU: Column = Column { head: "server CPU us/operation", of: server_cpu, ratio: true };
const RATE: Column = Column { head: "operations/s", of: rate, ratio: true };
const P50: Column = Column { head: "p50 us", of: |outcome| outcome.latency_us.p50 as f64, ratio: false };
const P99: Column = Column { head: "p99 us", of: p99, ratio: true };
const SYNCS: Column = Column { head: "syncs/s per node", of: syncs_per_node, ratio: true };
const BUSIEST: Column = Column { head: "busiest node, % of a core", of: busiest, ratio: false };

/// The first is what the part is about. Where throughput is no answer, its multiple is not shown.
fn columns(part: Part) -> &'static [Column] {
    const PLAIN_RATE: Column = Column { ratio: false, ..RATE };
    const PLAIN_P99: Column = Column { ratio: false, ..P99 };
    match part {
        Part::Cpu => &[CPU, PLAIN_RATE, P50, PLAIN_P99],
        Part::Cells => &[RATE, BUSIEST, P50, PLAIN_P99, CPU],
        Part::SyncDelay => &[RATE, SYNCS, BUSIEST, P50, PLAIN_P99],
        Part::Simulated => &[RATE, P50, PLAIN_P99],
        Part::OneNode => &[RATE, SYNCS, P50, P99, CPU],
    }
}
