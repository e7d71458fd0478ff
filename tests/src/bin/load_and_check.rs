//! Loads a server or a cluster, does to its nodes, disks and network what happens to such, and checks that nothing
//! acknowledged is ever lost or wrong.

#![allow(clippy::print_stderr, reason = "a program for people")]

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, ValueEnum};
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tests::checks::Reads;
use tests::report::Report;
use tests::schedule::{Absences, Needs, Phase, Spells};
use tests::software::{Software, Volery};
use tests::trial::{self, Floor, Plan};

/// How often a server that is alone is killed, unless it is said.
const KILLS: u32 = 20;
/// How long a node is paused.
const PAUSE: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ServerKind {
    Volery,
    Zookeeper,
}

/// Kill servers under load, and check that nothing acknowledged is lost or wrong.
#[derive(Debug, Parser)]
#[command(name = "load_and_check")]
struct Arguments {
    /// Which server; ZooKeeper shows that the checks accept what is right.
    #[arg(long, value_enum, default_value = "volery")]
    server: ServerKind,
    /// Volery's program.
    #[arg(long, default_value = "target/release/volery")]
    binary: PathBuf,
    /// How many nodes; with several, name the faults, which come in the order of this list.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=16))]
    nodes: u16,
    /// Volery's partitions.
    #[arg(long, default_value_t = 2)]
    partitions: u16,
    /// Replicas of each of Volery's partitions in a cluster.
    #[arg(long)]
    replicas: Option<u16>,
    /// How often to kill a server that is alone [default: 20].
    #[arg(long)]
    kills: Option<u32>,
    /// How long to load before each kill of all nodes, on average.
    #[arg(long, default_value_t = 3.0, value_parser = seconds)]
    seconds_between: f64,
    /// Kill one node after the other for so many seconds.
    #[arg(long, value_parser = seconds)]
    turns: Option<f64>,
    /// Seconds from one fault of --turns, --cuts, --full-disks, --lost-pieces and --sizes to the next.
    #[arg(long, default_value_t = 12.0, value_parser = seconds)]
    every: f64,
    /// Seconds from a node's kill to its restart, and how long the network is bad, or a disk full.
    #[arg(long, default_value_t = 6.0, value_parser = seconds)]
    dead: f64,
    /// Fail if in --turns, --cuts, --full-disks, --lost-pieces, --sizes and --absences no write is acknowledged for so many seconds; 0 only prints it.
    #[arg(long, default_value_t = 3.0, value_parser = seconds)]
    gap_max: f64,
    /// Kill all nodes at once, and restart them, so many times.
    #[arg(long, conflicts_with = "kills")]
    together: Option<u32>,
    /// Stop each node in turn for 10 s, and let it go on.
    #[arg(long)]
    pauses: bool,
    /// Kill all nodes at once, so many times, with disks that lose what is not synced. Needs a binary that is built by `cargo
    /// build --release -p volery --features faults`.
    #[arg(long, value_name = "N")]
    power_failures: Option<u32>,
    /// Make the network between the nodes bad, so many times: isolate a node, part two, let one be heard by none or hear
    /// none, slow its links, bring what it says late. Each comes once before one comes again.
    #[arg(long, value_name = "N")]
    cuts: Option<u32>,
    /// Fill the disk of a node, so many times. Needs a binary as --power-failures does.
    #[arg(long, value_name = "N")]
    full_disks: Option<u32>,
    /// Start a node on an older copy of its data directory, or without its log or its identity, so many times; then give it its
    /// newest directory back.
    #[arg(long, value_name = "N")]
    lost_pieces: Option<u32>,
    /// Have clients ask a node for giants and read nothing, so many times.
    #[arg(long, value_name = "N")]
    sizes: Option<u32>,
    /// Stop or kill a node in turn, so many times, while much is written; when it has come back and is level again, kill
    /// another.
    #[arg(long, value_name = "N")]
    absences: Option<u32>,
    /// How many MiB a node misses that is away.
    #[arg(long, default_value_t = 120, value_name = "M", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    absent_mib: u64,
    /// In --absences, kill another node as soon as the one that was away is back: what it lacks is needed then.
    #[arg(long, requires = "absences")]
    needed: bool,
    /// Do not judge whether reads are old; so it always is for several ZooKeeper nodes.
    #[arg(long)]
    stale_reads: bool,
    /// Clients that work all the time; there are a few more.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    connections: u16,
    /// How many milliseconds each client rests between what it does. A restarted node replays its whole log, so a long run at
    /// full load makes restarts longer than the schedule has time for.
    #[arg(long, default_value_t = 0, value_name = "MS", value_parser = clap::value_parser!(u64).range(0..=1_000))]
    pace: u64,
    /// Decides all choices; how threads and kills fall together differs all the same.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Fail with fewer acknowledged writes than this per kill, or in a cluster per second of load.
    #[arg(long, default_value_t = 100)]
    floor: u64,
}

fn seconds(argument: &str) -> Result<f64, String> {
    let seconds: f64 = argument.parse().map_err(|_| "it is a number of seconds".to_owned())?;
    if (0.0..=86_400.0).contains(&seconds) { Ok(seconds) } else { Err("it is 0 to 86400".to_owned()) }
}

impl Arguments {
    fn plan(&self) -> Result<Plan, String> {
        let phases = self.phases()?;
        Ok(Plan {
            software: self.software(),
            nodes: self.nodes,
            reads: self.reads(),
            floor: self.floor(&phases),
            phases,
            connections: usize::from(self.connections),
            pace: Duration::from_millis(self.pace),
            seed: self.seed,
        })
    }

    fn software(&self) -> Software {
        match self.server {
            ServerKind::Zookeeper => Software::ZooKeeper,
            ServerKind::Volery => Software::Volery(Volery {
                binary: self.binary.clone(),
                partitions: self.partitions,
                replicas: self.replicas,
            }),
        }
    }

    fn reads(&self) -> Reads {
        let is_ensemble = self.server == ServerKind::Zookeeper && self.nodes > 1;
        if self.stale_reads || is_ensemble { Reads::Sequential } else { Reads::Linearizable }
    }

    /// The error is what does not fit together.
    fn phases(&self) -> Result<Vec<Phase>, String> {
        let named = [
            self.turns()?,
            self.together(),
            self.pauses.then_some(Phase::Pauses { length: PAUSE }),
            self.power_failures(),
            self.spells("--cuts", self.cuts)?.map(Phase::Cuts),
            self.spells("--full-disks", self.full_disks)?.map(Phase::FullDisks),
            self.spells("--lost-pieces", self.lost_pieces)?.map(Phase::LostPieces),
            self.spells("--sizes", self.sizes)?.map(Phase::Sizes),
            self.absences()?.map(Phase::Absences),
        ];
        let phases: Vec<Phase> = named.into_iter().flatten().collect();
        let is_volerys =
            Needs::of(&phases) != Needs::default() || self.sizes.is_some() || self.lost_pieces.is_some();
        if self.server == ServerKind::Zookeeper && is_volerys {
            return Err(
                "--power-failures, --cuts, --full-disks, --lost-pieces and --sizes are for volery alone"
                    .to_owned(),
            );
        }
        match phases.is_empty() {
            false => Ok(phases),
            true if self.nodes == 1 => Ok(vec![self.killed_together(KILLS)]),
            true => Err("with several nodes, name at least one fault, such as --turns".to_owned()),
        }
    }

    fn turns(&self) -> Result<Option<Phase>, String> {
        let [total, every] = [self.turns.unwrap_or_default(), self.every].map(Duration::from_secs_f64);
        let count = self.turns.map(|_| Spells::within(total, every));
        Ok(self.spells("--turns", count)?.map(Phase::Turns))
    }

    fn spells(&self, flag: &str, count: Option<u32>) -> Result<Option<Spells>, String> {
        let Some(count) = count else { return Ok(None) };
        if self.nodes < 3 {
            return Err(format!("{flag} needs --nodes 3 or more, so that most of them go on"));
        }
        if self.dead >= self.every {
            return Err("--dead is shorter than --every".to_owned());
        }
        let [every, length] = [self.every, self.dead].map(Duration::from_secs_f64);
        Ok(Some(Spells { count, every, length, silence_max: self.silence_max() }))
    }

    fn absences(&self) -> Result<Option<Absences>, String> {
        let Some(count) = self.absences else { return Ok(None) };
        if self.nodes < 3 || self.server == ServerKind::Zookeeper {
            return Err("--absences is for volery, and needs --nodes 3 or more".to_owned());
        }
        let bytes = self.absent_mib << 20;
        Ok(Some(Absences { count, bytes, is_needed: self.needed, silence_max: self.silence_max() }))
    }

    fn silence_max(&self) -> Option<Duration> {
        (self.gap_max > 0.0).then(|| Duration::from_secs_f64(self.gap_max))
    }

    fn together(&self) -> Option<Phase> {
        self.together.or(self.kills).map(|kills| self.killed_together(kills))
    }

    fn killed_together(&self, kills: u32) -> Phase {
        Phase::Together { kills, between: Duration::from_secs_f64(self.seconds_between) }
    }

    fn power_failures(&self) -> Option<Phase> {
        let between = Duration::from_secs_f64(self.seconds_between);
        self.power_failures.map(|failures| Phase::PowerFailures { failures, between })
    }

    fn floor(&self, phases: &[Phase]) -> Floor {
        match phases {
            [Phase::Together { kills: count, .. } | Phase::PowerFailures { failures: count, .. }]
                if self.nodes == 1 =>
            {
                Floor::Whole(self.floor * (u64::from(*count) + 1))
            }
            _ => Floor::PerSecond(self.floor),
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let plan = arguments.plan();
    let plan =
        plan.unwrap_or_else(|error| Arguments::command().error(ErrorKind::ArgumentConflict, error).exit());
    match run(&plan) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("load_and_check: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether nothing was wrong. The servers' directory is kept unless it was.
fn run(plan: &Plan) -> Result<bool, Box<dyn std::error::Error>> {
    let mut directory = tempfile::Builder::new().prefix("load-and-check-").tempdir()?;
    directory.disable_cleanup(true);
    let mut report = Report::new(Box::new(io::stdout()));
    let totals = trial::run(plan, directory.path(), &mut report)?;
    report.summary(&faults(plan), plan.seed, &totals);
    let right = totals.violations == 0;
    directory.disable_cleanup(!right);
    if !right {
        report.say(&format!("the servers' data and logs are kept in {}", directory.path().display()));
    }
    Ok(right)
}

/// What was done, for the last line.
fn faults(plan: &Plan) -> String {
    let phases = plan.phases.iter().map(|phase| match phase {
        Phase::Together { kills, .. } if plan.nodes == 1 => format!("{kills} kills"),
        Phase::Together { kills, .. } => format!("{kills} kills of all {} nodes", plan.nodes),
        Phase::Turns(turns) => format!("{} kills of one of {} nodes", turns.count, plan.nodes),
        Phase::Pauses { .. } => format!("{} pauses", plan.nodes),
        Phase::PowerFailures { failures, .. } => {
            format!("{failures} power failures of all {} nodes", plan.nodes)
        }
        Phase::Cuts(cuts) => format!("{} cuts among {} nodes", cuts.count, plan.nodes),
        Phase::Absences(absences) => {
            format!("{} absences of {} MiB each", absences.count, absences.bytes >> 20)
        }
        Phase::FullDisks(disks) => format!("{} full disks of one of {} nodes", disks.count, plan.nodes),
        Phase::LostPieces(pieces) => {
            format!("{} lost pieces of one of {} nodes' directories", pieces.count, plan.nodes)
        }
        Phase::Sizes(sizes) => format!("{} times giants asked of one of {} nodes", sizes.count, plan.nodes),
    });
    phases.collect::<Vec<_>>().join(", ")
}
