//! Loads a server, kills it again and again, and checks that nothing acknowledged is ever lost or wrong.

#![allow(clippy::print_stderr, reason = "a program for people")]

use clap::{Parser, ValueEnum};
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tests::report::Report;
use tests::server::Kind;
use tests::trial::{self, Plan};

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ServerKind {
    Volery,
    Zookeeper,
}

/// Kill a server under load, and check that nothing acknowledged is lost or wrong.
#[derive(Debug, Parser)]
struct Arguments {
    /// Which server; ZooKeeper shows that the checks accept what is right.
    #[arg(long, value_enum, default_value = "volery")]
    server: ServerKind,
    /// Volery's program.
    #[arg(long, default_value = "target/release/volery")]
    binary: PathBuf,
    /// How often to kill the server.
    #[arg(long, default_value_t = 20)]
    kills: u32,
    /// How long to load it before each kill, on average.
    #[arg(long, default_value_t = 3.0, value_parser = seconds)]
    seconds_between: f64,
    /// Volery's partitions.
    #[arg(long, default_value_t = 2)]
    partitions: u16,
    /// Clients that work all the time; there are two more.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    connections: u16,
    /// Decides all choices; how threads and kills fall together differs all the same.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Fail with fewer acknowledged writes than this per kill.
    #[arg(long, default_value_t = 100)]
    floor: u64,
}

fn seconds(argument: &str) -> Result<f64, String> {
    let seconds: f64 = argument.parse().map_err(|_| "it is a number of seconds".to_owned())?;
    if (0.0..=3600.0).contains(&seconds) { Ok(seconds) } else { Err("it is 0 to 3600".to_owned()) }
}

impl Arguments {
    fn plan(&self) -> Plan {
        let kind = match self.server {
            ServerKind::Volery => Kind::Volery { binary: self.binary.clone(), partitions: self.partitions },
            ServerKind::Zookeeper => Kind::ZooKeeper,
        };
        Plan {
            kind,
            kills: self.kills,
            between: Duration::from_secs_f64(self.seconds_between),
            connections: usize::from(self.connections),
            seed: self.seed,
            floor: self.floor * u64::from(self.kills + 1),
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("load_and_check: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether nothing was wrong. The server's directory is kept unless it was.
fn run(arguments: &Arguments) -> Result<bool, Box<dyn std::error::Error>> {
    let mut directory = tempfile::Builder::new().prefix("load-and-check-").tempdir()?;
    directory.disable_cleanup(true);
    let mut report = Report::new(Box::new(io::stdout()));
    let totals = trial::run(&arguments.plan(), directory.path(), &mut report)?;
    report.summary(arguments.kills, arguments.seed, &totals);
    let right = totals.violations == 0;
    directory.disable_cleanup(!right);
    if !right {
        report.say(&format!("the server's data and log are kept in {}", directory.path().display()));
    }
    Ok(right)
}
