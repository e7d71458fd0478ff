//! Measures Volery beside ZooKeeper, over the wire protocol that both speak.
//!
//! ```text
//! bench load --server 127.0.0.1:2181 --op set --pid 4711     one operation against a server that runs already
//! bench compare --volery target/release/volery --op set,get  Volery and Debian's ZooKeeper in turn
//! bench compare --op set --nodes 3 --at-half                 the same with clusters of three, and latencies at one rate
//! bench compare --op set --client native                     the same through Volery's client library
//! bench scale --plots plots                                  how Volery scales with its partitions
//! bench faults --plots plots                                 what stopped and killed nodes cost, there and elsewhere
//! bench paper --plots plots                                  the experiments of S-SMR VI
//! bench ceilings                                             what loopback and disk do, whatever is served
//! bench respond --port 2181                                  a server that does nothing: the generator's ceiling
//! ```
//!
//! **A closed loop.** Each connection keeps a number of requests in flight, and sends a request for each reply. So the
//! rate is what the server sustains at that many requests, and latency is their number divided by the rate: figures of
//! two servers are comparable at equal `--connections` and `--outstanding` only. A server that stalls is sent nothing
//! meanwhile, so the tail of the latencies is that of a busy server, not that of users who come on their own.
//!
//! **An open loop.** With `--rate` requests are due at that rate, however fast replies come, and latency counts from when a
//! request was due: so a stall is seen by all that was due meanwhile, be it sent or not ([`pace`]). What is due and not
//! answered as the window ends counts with the time that it has waited so far. Latencies of two servers are comparable at
//! one rate that both sustain, which is what `compare --at-half` is for.
//!
//! **A run** creates directories below `/bench` with keys in them, opens its sessions, warms up, measures, deletes what it
//! created besides those, and closes its sessions. In a closed loop replies that arrive within the measured window count,
//! whenever their requests were sent. An error that a server replies is a figure; a connection that is lost is the end.
//!
//! **Processes.** The generator takes part of the machine that the server could use. So the CPU time of both is shown, per
//! operation, and on a machine whose cores are all busy that is the figure to compare.
//!
//! **Bytes** sent and received are the generator's, without TCP's headers. Those over loopback are all that went over the
//! interface meanwhile, headers included: what is left of them, less the generator's, is what servers sent each other.
//!
//! **Clients.** What speaks the protocol is this tool's own by default: many connections share a thread, so it costs the
//! machine little. With `--client native` it is Volery's library, as an application of it has it, with two threads for each
//! connection; either is used alike on Volery and on ZooKeeper.
//!
//! **Clusters.** With `--nodes` both are clusters, all of whose processes run on this machine and share its cores and its
//! disk. Connections of `load` and `compare` go to the servers round robin, and each works in a directory of its own,
//! wherever that is kept: a client of either cluster connects to any server. What a cluster uses is the sum over its
//! processes, and each node's use is shown too. In [`scale`] and [`paper`] a connection goes to the node that leads its
//! directory's partition, in [`faults`] to nodes that live on.
//!
//! **Logs.** A server that tells is asked what it did to its write-ahead log, by four-letter words at both ends of the
//! measured window: how often it synced, and how many commands each sync was for. A replicated command is one at each
//! replica. Volery's commands are those executed, reads among them; ZooKeeper's are the requests that passed its log.
//!
//! # Caveats
//!
//! - CPU time is accounted in steps of 10 ms, so windows of less than a few seconds tell little.
//! - Where hardware threads share a core, an operation costs more CPU time while the other one is busy: figures of CPU time
//!   are comparable on a machine that does nothing else.
//! - At low rates an open loop wakes generator and server for each request, which costs both more CPU time per operation.
//! - A create or delete ends early when [`ZNODES_MAX`](workload::ZNODES_MAX) znodes were created (half as many with several
//!   servers), or all are deleted.
//! - What the processes of a cluster share in memory, such as the binary, counts once for each.
//! - A SIGKILL of this process leaves the servers of a comparison running, and control groups behind; every other end stops
//!   and removes them.

mod alarm;
mod ceilings;
mod cgroup;
mod client;
mod cluster;
mod compare;
mod comparison;
mod failure;
mod faults;
mod four_letter;
mod gate;
mod interrupt;
mod lab;
mod layout;
mod load;
mod log_counts;
mod median;
mod mix;
mod op;
mod outcome;
mod pace;
mod paper;
mod pause;
mod plot;
mod ports;
mod preparation;
mod report;
mod responder;
mod scale;
mod schedule;
mod server;
mod setting;
mod shape;
mod simulated;
mod stages;
mod table;
mod tally;
mod tree;
mod trials;
mod usage;
mod verdict;
mod witness;
mod worker;
mod workload;

use clap::{Args, Parser, Subcommand};
use cluster::Kind;
use compare::Plan;
use failure::Failure;
use interrupt::Interrupt;
use layout::Layout;
use load::Target;
use op::OpName;
use responder::Responder;
use setting::Setting;
use shape::{Lengths, Shape, count};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Measures Volery beside ZooKeeper, over the wire protocol that both speak.
#[derive(Parser)]
#[command(version)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measures one operation against servers that run already
    Load(LoadOptions),
    /// Starts Volery and Debian's ZooKeeper, measures them in turn and stops them
    Compare(CompareOptions),
    /// Measures how Volery scales with its partitions, in ways that are told apart
    Scale(scale::Options),
    /// Stops and kills nodes under load, and measures what that costs the partition they serve and the others
    Faults(faults::Options),
    /// Repeats the experiments of the S-SMR paper, section VI, on this machine
    Paper(paper::Options),
    /// Measures what the machine itself does: round trips over loopback, and syncs of a file
    Ceilings(ceilings::Options),
    /// Serves clients without doing anything, to find the generator's own ceiling
    Respond {
        /// The port on the loopback interface; 0 is any free one
        #[arg(long, default_value_t = 0)]
        port: u16,
    },
}

#[derive(Args)]
struct LoadOptions {
    /// The servers of one cluster, over which the connections go round robin
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',', required = true)]
    server: Vec<String>,
    /// What to measure
    #[arg(long, value_enum)]
    op: OpName,
    /// Bytes of each value
    #[arg(long, default_value = "100", value_parser = count(0, 1_000_000))]
    size: usize,
    #[command(flatten)]
    shape: Shape,
    /// Seconds to measure
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Seconds of load before the measurement
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(0..=3600))]
    warmup: u64,
    /// Processes whose CPU time and memory to show: the servers'
    #[arg(long, value_delimiter = ',', num_args = 1..)]
    pid: Vec<u32>,
    /// Draw the distribution of latencies into this directory, as SVG and the numbers behind it as JSON
    #[arg(long, value_name = "DIR")]
    plots: Option<PathBuf>,
    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct CompareOptions {
    #[command(flatten)]
    setting: Setting,
    /// Servers of each, all on this machine
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=9))]
    nodes: u16,
    /// Volery's partitions
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=64))]
    partitions: u64,
    /// What to measure; with --quick these three unless others are named
    #[arg(long, value_enum, value_delimiter = ',', required_unless_present = "quick")]
    #[arg(default_value_if("quick", "true", "set,get,create-delete"))]
    op: Vec<OpName>,
    /// Bytes of each value; every operation is measured with each of them
    #[arg(long, default_value = "100", value_delimiter = ',', value_parser = count(0, 1_000_000))]
    size: Vec<usize>,
    #[command(flatten)]
    shape: Shape,
    /// Measure latencies too in an open loop, at half of what ZooKeeper did
    #[arg(long, conflicts_with_all = ["only", "rate"])]
    at_half: bool,
    /// All of it in about a minute, which shows that it works and not how fast it is
    #[arg(long)]
    quick: bool,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 10, default_value_if("quick", "true", "1"))]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Seconds of load before the first measurement of Volery and of ZooKeeper in each operation
    #[arg(long, default_value_t = 30, default_value_if("quick", "true", "2"), value_parser = clap::value_parser!(u64).range(0..=3600))]
    warmup: u64,
    /// Measurements of each of the two and operation
    #[arg(long, default_value_t = 3, default_value_if("quick", "true", "1"))]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=100))]
    rounds: u64,
    /// Measure this one alone
    #[arg(long, value_enum)]
    only: Option<Kind>,
}

fn main() -> ExitCode {
    let command_line = CommandLine::parse();
    let ran = match &command_line.command {
        Command::Load(options) => run_load(options),
        Command::Compare(options) => run_compare(options),
        Command::Scale(options) => run_scale(options),
        Command::Faults(options) => run_faults(options),
        Command::Paper(options) => run_paper(options),
        Command::Ceilings(options) => run_ceilings(options),
        Command::Respond { port } => run_respond(*port),
    };
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            report::failure(&failure);
            ExitCode::FAILURE
        }
    }
}

fn run_load(options: &LoadOptions) -> Result<(), Failure> {
    let interrupt = Interrupt::on_signals()?;
    let servers: Vec<SocketAddr> =
        options.server.iter().map(|server| resolve(server)).collect::<Result<_, _>>()?;
    let shape = options.shape.of_size(options.size);
    let op = shape.op(options.op)?;
    let lengths = Lengths {
        warm_up: Duration::from_secs(options.warmup),
        measure: Duration::from_secs(options.seconds),
    };
    let layout = Layout::round_robin(shape.connections, shape.keys, servers.len());
    let target = Target { servers: &servers, layout: &layout, pids: &options.pid };
    let outcome = load::run(target, op, &shape, lengths, &interrupt)?;
    if let Some(plots) = &options.plots {
        outcome.figure().write(plots, "latency")?;
    }
    report::result(options.json, &outcome, outcome.table());
    Ok(())
}

fn run_compare(options: &CompareOptions) -> Result<(), Failure> {
    let interrupt = Interrupt::on_signals()?;
    let plan = Plan {
        ops: options.op.iter().map(|name| options.shape.op(*name)).collect::<Result<_, _>>()?,
        shape: options.shape.clone(),
        sizes: options.size.clone(),
        rounds: options.rounds as usize,
        measure: Duration::from_secs(options.seconds),
        warm_up: Duration::from_secs(options.warmup),
        ramp: if options.quick { Duration::from_millis(500) } else { Duration::from_secs(2) },
        at_half: options.at_half || options.quick && options.only.is_none() && options.shape.rate.is_none(),
        nodes: options.nodes,
        partitions: options.partitions as usize,
        only: options.only,
    };
    let named = || options.setting.directory.display().to_string();
    let parent = options.setting.directory.canonicalize().map_err(Failure::system(named()))?;
    let directory =
        tempfile::Builder::new().prefix("bench-").tempdir_in(parent).map_err(Failure::system(named()))?;
    let comparison = plan.carry_out(&options.setting.volery, directory.path(), &interrupt)?;
    if let Some(plots) = &options.setting.plots {
        comparison.figures().iter().try_for_each(|(name, figure)| figure.write(plots, name))?;
    }
    let took = report::duration(comparison.wall_seconds);
    let text = format!("{}\n{}\nAll of it took {took}.\n", comparison.table(), comparison.caption);
    report::result(options.setting.json, &comparison, text);
    Ok(())
}

fn run_scale(options: &scale::Options) -> Result<(), Failure> {
    let interrupt = Interrupt::on_signals()?;
    let scale = options.carry_out(&interrupt)?;
    report::result(options.setting.json, &scale, scale.text());
    Ok(())
}

fn run_faults(options: &faults::Options) -> Result<(), Failure> {
    let interrupt = Interrupt::on_signals()?;
    let faults = options.carry_out(&interrupt)?;
    report::result(options.setting.json, &faults, faults.text());
    Ok(())
}

fn run_paper(options: &paper::Options) -> Result<(), Failure> {
    let interrupt = Interrupt::on_signals()?;
    let paper = options.carry_out(&interrupt)?;
    report::result(options.setting.json, &paper, paper.text());
    Ok(())
}

fn run_ceilings(options: &ceilings::Options) -> Result<(), Failure> {
    let interrupt = Interrupt::on_signals()?;
    let ceilings = options.carry_out(&interrupt)?;
    report::result(options.json, &ceilings, ceilings.table());
    Ok(())
}

fn run_respond(port: u16) -> Result<(), Failure> {
    let interrupt = Interrupt::on_signals()?;
    let responder = Responder::bind(port)?;
    report::listening(responder.address());
    responder.serve(interrupt.flag())
}

fn resolve(server: &str) -> Result<SocketAddr, Failure> {
    let addresses = server.to_socket_addrs().map_err(Failure::system(format!("the server {server}")))?;
    let mut addresses: Vec<SocketAddr> = addresses.collect();
    // The name localhost often means both, and servers often listen on the older one.
    addresses.sort_by_key(SocketAddr::is_ipv6);
    addresses.first().copied().ok_or(Failure::Usage(format!("the server {server} has no address")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn a_quick_run_has_less_of_everything_unless_it_is_told() {
        let Command::Compare(quick) = CommandLine::parse_from(["bench", "compare", "--quick"]).command else {
            panic!("not a comparison")
        };
        assert_eq!((quick.seconds, quick.warmup, quick.rounds), (1, 2, 1));
        assert_eq!(quick.op, [OpName::Set, OpName::Get, OpName::CreateDelete]);
        let line = ["bench", "compare", "--quick", "--op", "multi", "--seconds", "5", "--size", "100,1000"];
        let Command::Compare(told) = CommandLine::parse_from(line).command else {
            panic!("not a comparison")
        };
        assert_eq!((told.op, told.seconds, told.size), (vec![OpName::Multi], 5, vec![100, 1_000]));
        assert!(CommandLine::try_parse_from(["bench", "compare"]).is_err(), "an operation has to be named");
    }

    #[test]
    fn lists_are_separated_by_commas() {
        let line = ["bench", "load", "--server", "a:1,b:2", "--op", "create-delete", "--pid", "1", "2"];
        let Command::Load(options) = CommandLine::parse_from(line).command else { panic!("not a load") };
        assert_eq!(options.server, ["a:1", "b:2"]);
        assert_eq!(options.op, OpName::CreateDelete);
        assert_eq!(options.pid, [1, 2]);
    }
}
