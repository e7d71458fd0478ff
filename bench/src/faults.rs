//! What a failure costs, where it is and elsewhere.
//!
//! - **Majority stopped**: four nodes, two partitions of three replicas. Two nodes are stopped that are a majority of the
//!   first partition and of the second neither leader nor majority. What does the second answer meanwhile, beside before?
//!   They are stopped by SIGSTOP, which is nastier than a kill: their sockets stay open and take what is sent, so nothing
//!   tells the others but silence.
//! - **Leader killed**: three nodes, three partitions, of which each node leads one. One node is killed by SIGKILL. For how
//!   long is no write answered in the partition that it led (the *outage*: the longest such time from the kill on), and what
//!   do the others answer less in the two seconds after (the *dip*)?
//!
//! **The load** is an open loop of sets at a rate that is far below what the machine can do, the same for each partition: else
//! the processes that fail would make room for the others. So the share of the CPU that was idle before each fault is told,
//! and where that is next to nothing the figures are. A run whose partitions do not sustain the rate before it ends there.
//! Each partition has connections of its own, with bounded requests in flight; they go round the nodes that live on, whoever
//! leads. What becomes of clients of the node that fails is another question.
//!
//! **Two figures of elsewhere.** What was due in an outage is answered behind it. So a partition that stands still for a
//! second and then catches up has answered as much as before, and neither the share nor the dip shows it: read them beside
//! the longest time elsewhere without an answer.
//!
//! Only answers without an error count. Each round has a cluster of its own, whose processes are all killed at its end, by
//! their ids, also the stopped ones; sessions are not closed before, since there is nobody to close some of them.
//!
//! # Caveats
//!
//! - All requests are over one partition, and all sessions are open and attached before the fault. A command over the stopped
//!   partition and another waits for both, and so does a new session where its home is the stopped one or, the shared ring
//!   being without its majority too, where it needs more than its home.
//! - Times of answers are those at which the generator received them, on the machine that it shares with the nodes.
//!
//! An edge file: it reads the clock.
#![allow(clippy::disallowed_methods, reason = "it says how long it took")]

mod drill;
mod leader_killed;
mod majority_stopped;
mod round;
mod timeline;

use crate::cluster::{Cluster, Volery};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::lab::Lab;
use crate::median::median;
use crate::plot::{Figure, Panel};
use crate::report;
use crate::setting::Setting;
use crate::table::Table;
use crate::verdict::{Bound, Reached, Verdict, demand};
use clap::Args;
use round::Round;
use serde::Serialize;
use std::time::{Duration, Instant};

const REPLICAS: u16 = 3;

const KEPT: Verdict =
    demand("majority stopped: answered elsewhere, while / before", Bound::AtLeast, 0.9, 0.99);
const OUTAGE: Verdict = demand("leader killed: its partition's outage, s", Bound::AtMost, 2.0, 0.3);
const DIP: Verdict = demand("leader killed: dip elsewhere, share of before", Bound::AtMost, 0.1, 0.0);
/// What goes with the share and with the dip.
const STILL_BESIDE_STOPPED: &str = "majority stopped: longest without an answer elsewhere, s";
const STILL_BESIDE_KILLED: &str = "leader killed: longest without an answer elsewhere, s";

/// How thoroughly to look.
#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    pub setting: Setting,
    /// Faults of each kind, each in a cluster of its own
    #[arg(long, default_value_t = 3, default_value_if("quick", "true", "1"))]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=100))]
    rounds: u64,
    /// Sets per second that are due in each partition
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(100..=1_000_000))]
    rate: u64,
    /// Seconds before each fault, and in the one that goes on, after it
    #[arg(long, default_value_t = 5, default_value_if("quick", "true", "2"))]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// Seconds of load before that
    #[arg(long, default_value_t = 3, default_value_if("quick", "true", "1"))]
    #[arg(value_parser = clap::value_parser!(u64).range(0..=3600))]
    warmup: u64,
    /// All of it in half a minute, one fault of each kind
    #[arg(long)]
    quick: bool,
}

/// What came of it. Field names are those of the JSON.
#[derive(Serialize)]
pub struct Faults {
    /// Sets per second that were due in each partition.
    pub rate: u64,
    /// The rounds in which one partition's majority was stopped.
    pub majority_stopped: Vec<Round>,
    /// The rounds in which a leader was killed.
    pub leader_killed: Vec<Round>,
    /// What is demanded beside what was measured.
    pub figures: Vec<Judged>,
    /// How long all of it took.
    pub wall_seconds: f64,
}

/// A figure of all rounds.
#[derive(Serialize)]
pub struct Judged {
    /// The figure, with its unit.
    pub what: &'static str,
    /// The median of the rounds; `None` if it is no number.
    pub median: Option<f64>,
    /// The least of the rounds.
    pub least: f64,
    /// The most.
    pub most: f64,
    /// What is demanded of it, if anything is.
    pub verdict: Option<Verdict>,
    /// How far the median meets that.
    pub reached: Option<Reached>,
}

impl Options {
    /// Has everything fail that is to fail.
    pub fn carry_out(&self, interrupt: &Interrupt) -> Result<Faults, Failure> {
        let begin = Instant::now();
        let mut lab = Lab::new(&self.setting.directory, interrupt)?;
        let majority_stopped = self.rounds("majority stopped", |_| self.majority_stopped(&mut lab))?;
        let leader_killed = self.rounds("leader killed", |round| self.leader_killed(&mut lab, round))?;
        let figures = vec![
            Judged::new(KEPT, &majority_stopped, |round| round.kept_elsewhere),
            Judged::told(STILL_BESIDE_STOPPED, &majority_stopped, Round::gap_elsewhere_seconds),
            Judged::new(OUTAGE, &leader_killed, Round::outage_seconds),
            Judged::new(DIP, &leader_killed, Round::dip_elsewhere),
            Judged::told(STILL_BESIDE_KILLED, &leader_killed, Round::gap_elsewhere_seconds),
        ];
        let wall_seconds = begin.elapsed().as_secs_f64();
        let faults = Faults { rate: self.rate, majority_stopped, leader_killed, figures, wall_seconds };
        if let Some(plots) = &self.setting.plots {
            faults.figure().write(plots, "faults")?;
        }
        Ok(faults)
    }

    fn rounds(
        &self,
        experiment: &str,
        mut round: impl FnMut(usize) -> Result<Round, Failure>,
    ) -> Result<Vec<Round>, Failure> {
        let carry_out = |index: usize| {
            let doing = format!("{experiment}, round {}", index + 1);
            report::progress(&doing);
            round(index).map_err(Failure::during(doing))
        };
        (0..self.rounds as usize).map(carry_out).collect()
    }

    fn volery(&self, partitions: usize) -> Volery<'_> {
        Volery { binary: &self.setting.volery, partitions, replicas: Some(REPLICAS), sync_delay_ms: None }
    }

    fn warm_up(&self) -> Duration {
        Duration::from_secs(self.warmup)
    }

    fn window(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

/// A leadership that has moved since the servers were chosen would make the fault another one.
fn check_leaders(cluster: &Cluster, leaders: &[usize]) -> Result<(), Failure> {
    match cluster.leaders_now(leaders.len()) {
        Some(now) if now == leaders => Ok(()),
        _ => {
            let reason = "a partition is led by another node than when the load began".to_owned();
            Err(Failure::Server { server: "Volery".to_owned(), reason })
        }
    }
}

impl Judged {
    fn new(demand: Verdict, rounds: &[Round], of: impl Fn(&Round) -> f64) -> Judged {
        let told = Judged::told(demand.what, rounds, of);
        let verdict = demand.measured(told.median.unwrap_or(f64::NAN));
        Judged { reached: verdict.reached(), verdict: Some(verdict), ..told }
    }

    /// A figure of which nothing is demanded.
    fn told(what: &'static str, rounds: &[Round], of: impl Fn(&Round) -> f64) -> Judged {
        let figures: Vec<f64> = rounds.iter().map(of).collect();
        let least = figures.iter().copied().fold(f64::INFINITY, f64::min);
        let most = figures.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let median = Some(median(figures)).filter(|median| median.is_finite());
        Judged { what, median, least, most, verdict: None, reached: None }
    }
}

impl Faults {
    /// A table of each experiment's rounds, and one of what is demanded.
    pub fn text(&self) -> String {
        let about = |what: &str, rounds: &[Round]| {
            format!(
                "{what}, {} sets per second being due in each partition.\n{}\n",
                self.rate,
                round::table(rounds)
            )
        };
        let mut text = about("A partition's majority stopped", &self.majority_stopped);
        text += &about("A leader killed", &self.leader_killed);
        text += &table(&self.figures).to_string();
        text + &format!("\nAll of it took {}.\n", report::duration(self.wall_seconds))
    }

    fn figure(&self) -> Figure {
        let panel = |(rounds, title): (&Vec<Round>, &str)| {
            rounds.first().map(|round| Panel::Lines(round.lines(title.to_owned())))
        };
        let panels = [
            (&self.majority_stopped, "A partition's majority stopped"),
            (&self.leader_killed, "A partition's leader killed"),
        ];
        Figure {
            title: "What partitions answer as nodes fail".to_owned(),
            panels: panels.into_iter().filter_map(panel).collect(),
        }
    }
}

/// A row for each figure.
fn table(figures: &[Judged]) -> Table {
    let mut table = Table::default();
    table.row(["figure", "median", "least", "most", "must", "aim", "holds"]);
    for Judged { what, median, least, most, verdict, reached } in figures {
        let [must, aim] = verdict.as_ref().map_or(["-", "-"].map(str::to_owned), Verdict::goals);
        let shown = |figure: f64| format!("{figure:.3}");
        let median = median.map_or("-".to_owned(), shown);
        let holds = match reached {
            Some(Reached::Aim) => "must, aim",
            Some(Reached::Must) => "must",
            Some(Reached::Neither) => "no",
            None => "-",
        };
        table.row([(*what).to_owned(), median, shown(*least), shown(*most), must, aim, holds.to_owned()]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(kept_elsewhere: f64) -> Round {
        Round {
            fault: String::new(),
            partition: 0,
            idle_share_before: 0.5,
            window_seconds: 2.0,
            kept_elsewhere,
            fault_bucket: 0,
            partitions: Vec::new(),
        }
    }

    #[test]
    fn the_median_of_the_rounds_is_what_is_judged() {
        let judged = |kept: [f64; 3]| Judged::new(KEPT, &kept.map(round), |round| round.kept_elsewhere);
        let told = Judged::told("a gap, s", &[0.5, 0.1].map(round), |round| round.kept_elsewhere);
        let figures = [judged([0.995, 0.2, 1.0]), judged([0.95, 1.0, 0.9]), judged([0.5, 0.8, 1.0]), told];
        let expected = "\
figure                                                median  least   most     must      aim      holds
majority stopped: answered elsewhere, while / before   0.995  0.200  1.000  >= 0.90  >= 0.99  must, aim
majority stopped: answered elsewhere, while / before   0.950  0.900  1.000  >= 0.90  >= 0.99       must
majority stopped: answered elsewhere, while / before   0.800  0.500  1.000  >= 0.90  >= 0.99         no
a gap, s                                               0.300  0.100  0.500        -        -          -
";
        assert_eq!(table(&figures).to_string(), expected);
    }
}
