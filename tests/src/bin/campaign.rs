//! `campaign`: whole clusters, simulated from seeds, and judged.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a program: it prints what it finds, and is told by the clock when to stop"
)]

use clap::Parser;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tests::sim::campaign::{Catch, Totals, carry_out, coverage, guarded, keep_panics, unlike, visit};
use tests::sim::museum::Runs;
use tests::sim::run::Plan;

const TELL_EVERY: Duration = Duration::from_secs(10);

/// Simulates clusters through misfortunes drawn from seeds, and judges what their clients and replicas saw.
#[derive(Parser)]
struct Arguments {
    /// How many seeds to run; 200 unless hours are given.
    #[arg(long)]
    seeds: Option<u64>,
    /// How many hours to go on.
    #[arg(long)]
    hours: Option<f64>,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// How many runs at a time; as many as there are cores, unless given.
    #[arg(long)]
    threads: Option<usize>,
    /// Runs this seed alone, and prints what happens in it.
    #[arg(long)]
    replay: Option<u64>,
    /// The planted bug, or with --museum those whose names contain this; without --replay and --museum the runs in which it is looked
    /// for, without it.
    #[arg(long)]
    fault: Option<String>,
    /// Runs each seed twice, and compares.
    #[arg(long)]
    twice: bool,
    /// Looks for each of the planted bugs, in at most --seeds seeds each.
    #[arg(long)]
    museum: bool,
    /// Fails if a rare branch of the code was reached in no run.
    #[arg(long)]
    require_coverage: bool,
    /// With --replay: what the nodes log, too, as RUST_LOG says.
    #[arg(long)]
    log: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let threads =
        arguments.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    keep_panics();
    let went_well = if let Some(seed) = arguments.replay {
        replay(seed, &arguments)
    } else if arguments.twice {
        twice(&arguments, threads)
    } else if arguments.museum {
        museum(&arguments, threads)
    } else {
        campaign(&arguments, threads)
    };
    if went_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn replay(seed: u64, arguments: &Arguments) -> bool {
    if arguments.log {
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        tracing_subscriber::fmt().without_time().with_ansi(false).with_env_filter(filter).init();
    }
    let exhibits = tests::sim::museum::exhibits();
    let planted = arguments
        .fault
        .as_ref()
        .and_then(|name| exhibits.into_iter().find(|exhibit| exhibit.fault.name().contains(name.as_str())));
    let plan = planted.map_or(Some(Plan::of(seed)), |exhibit| exhibit.plan(seed));
    plan.iter().for_each(|plan| println!("{plan:?}"));
    let outcome = match planted {
        Some(exhibit) => exhibit.show(seed, true, true),
        None => guarded(&Plan::of(seed), None, true),
    };
    outcome.trace.iter().for_each(|line| println!("{line}"));
    println!("{}", outcome.violation.as_deref().unwrap_or("nothing is wrong"));
    outcome.violation.is_none()
}

fn twice(arguments: &Arguments, threads: usize) -> bool {
    let seeds = arguments.seeds.unwrap_or(200);
    let unlike = unlike(arguments.first, seeds, threads);
    println!("{seeds} seeds run twice, {} went another way the second time {unlike:?}", unlike.len());
    unlike.is_empty()
}

fn museum(arguments: &Arguments, threads: usize) -> bool {
    let seeds = arguments.seeds.unwrap_or(500);
    let caught = visit(arguments.fault.as_deref(), seeds, threads, |Catch { fault, found }| match found {
        Some((after, violation)) => {
            let violation: String = violation.lines().next().unwrap_or_default().chars().take(110).collect();
            println!("{:<45} {after:>4} seeds: {violation}", fault.name());
        }
        None => println!("{:<45} NOT FOUND in {seeds} seeds", fault.name()),
    });
    let missed = caught.iter().filter(|caught| caught.found.is_none()).count();
    println!("{} planted bugs, {missed} not found", caught.len());
    missed == 0
}

fn campaign(arguments: &Arguments, threads: usize) -> bool {
    let began = Instant::now();
    let until = arguments.hours.map(|hours| Duration::from_secs_f64(hours * 3_600.0));
    let seeds = arguments.seeds.unwrap_or(if until.is_some() { u64::MAX } else { 200 });
    let told = Mutex::new((began, 0));
    let goes_on = |begun: u64| begun < seeds && until.is_none_or(|until| began.elapsed() < until);
    let plan = arguments.fault.as_deref().and_then(plan_for).unwrap_or(Plan::of);
    let totals = carry_out(plan, arguments.first, threads, goes_on, |totals| {
        let mut told = told.lock().expect("nobody panics with it");
        if told.0.elapsed() >= TELL_EVERY || totals.violations.len() > told.1 {
            if totals.violations.len() > told.1 {
                totals.violations.iter().for_each(|(seed, what)| eprintln!("seed {seed}: {what}"));
            }
            *told = (Instant::now(), totals.violations.len());
            eprintln!("{:>6} s: {totals}", began.elapsed().as_secs());
        }
    });
    summarize(&totals);
    let missed = coverage(&totals).iter().filter(|(_, times)| *times == 0).count();
    totals.violations.is_empty() && (missed == 0 || !arguments.require_coverage)
}

/// The runs in which a planted bug is looked for, unless they follow a script.
fn plan_for(fault: &str) -> Option<fn(u64) -> Plan> {
    let exhibit = tests::sim::museum::exhibits().into_iter().find(|it| it.fault.name().contains(fault))?;
    match exhibit.runs {
        Runs::Drawn(plan) => Some(plan),
        Runs::Script(_) => None,
    }
}

fn summarize(totals: &Totals) {
    for (seed, violation) in &totals.violations {
        println!("seed {seed}: {violation}");
        println!("  again: cargo run --release -p tests --bin campaign -- --replay {seed}");
    }
    let met: Vec<String> =
        totals.counts.met.iter().map(|(kind, times)| format!("{kind:?} {times}")).collect();
    println!("misfortunes: {}", met.join(", "));
    for (branch, times) in coverage(totals) {
        match times {
            0 => println!("branch NOT REACHED: {}", branch.name()),
            _ => println!("branch {times:>9} times: {}", branch.name()),
        }
    }
    println!("{}: {totals}", if totals.violations.is_empty() { "ok" } else { "FAILED" });
}
