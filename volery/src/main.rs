//! The command line.
#![allow(clippy::print_stderr, reason = "the command line speaks to a person")]

use clap::{Args, Parser, Subcommand};
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tracing_subscriber::EnvFilter;
use volery::cli::{self, CliArguments};
use volery::config::{ClusterConfig, DATA_DIRECTORY_DEFAULT, PARTITIONS_DEFAULT, PORT_DEFAULT};
use volery::init::{self, InitArguments};
use volery::local::{self, LocalArguments};
use volery::serve::{ServeError, serve};
use volery::status_command::{self, StatusArguments};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const EXAMPLES: &str = "\
Start one node and look into it:
  volery serve
  volery cli create /app hello
  volery cli

Start a cluster of three on this machine:
  volery local --nodes 3 --partitions 2

Start its nodes one by one instead:
  volery init --dir orders --nodes 3 --partitions 2
  volery serve --config orders/cluster.toml --node 1
  volery status --config orders/cluster.toml

VOLERY_LOG=info (or debug, or a filter such as volery=debug) says more on standard error.";

/// A coordination service that speaks ZooKeeper's protocol and scales its writes by partitioning.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve one node in this process: alone, or one of a cluster file's.
    Serve(ServeArguments),
    /// Write the cluster file of a cluster on this machine, and say how its nodes are started.
    Init(InitArguments),
    /// Serve a whole cluster on this machine, one process per node, until Ctrl-C.
    Local(LocalArguments),
    /// Show rings, positions, znodes, sessions and watches of a node, or of all nodes of a cluster.
    Status(StatusArguments),
    /// Look at and change znodes: one command, or a shell.
    Cli(CliArguments),
}

#[derive(Args)]
struct ServeArguments {
    /// How many partitions the state is cut into; fixed by the first start.
    #[arg(long, value_name = "P", default_value_t = PARTITIONS_DEFAULT, conflicts_with = "config")]
    partitions: u16,
    /// The port on loopback where clients connect.
    #[arg(long, default_value_t = PORT_DEFAULT, conflicts_with = "config")]
    port: u16,
    /// Where the data are kept.
    #[arg(long, value_name = "DIR", default_value = DATA_DIRECTORY_DEFAULT, conflicts_with = "config")]
    data_dir: PathBuf,
    /// The cluster file, instead of the three above.
    #[arg(long, value_name = "FILE", requires = "node")]
    config: Option<PathBuf>,
    /// Which node of the cluster file this is.
    #[arg(long, value_name = "ID", requires = "config")]
    node: Option<u16>,
    /// The process to end with, which is the one that starts this.
    #[arg(long, value_name = "PID", hide = true)]
    with_parent: Option<i32>,
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_env_filter(EnvFilter::try_from_env("VOLERY_LOG").unwrap_or_else(|_| EnvFilter::new("warn")))
        .init();
    match Arguments::parse().command {
        Command::Serve(arguments) => match run(arguments) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("volery serve: {error}");
                ExitCode::FAILURE
            }
        },
        Command::Init(arguments) => init::run(&arguments),
        Command::Local(arguments) => local::run(&arguments),
        Command::Status(arguments) => status_command::run(&arguments),
        Command::Cli(arguments) => cli::run(arguments),
    }
}

fn run(arguments: ServeArguments) -> Result<(), ServeError> {
    use_small_pages();
    if let Some(parent) = arguments.with_parent {
        local::end_with_parent(parent).map_err(ServeError::Setup)?;
    }
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, stop.clone()).map_err(ServeError::Setup)?;
    }
    let (config, id, place) = match (arguments.config, arguments.node) {
        (Some(path), Some(id)) => (ClusterConfig::read(&path)?, id, path.display().to_string()),
        _ => {
            let (partitions, port) = (arguments.partitions, arguments.port);
            (ClusterConfig::embedded(partitions, port, arguments.data_dir)?, 0, "the embedded default".into())
        }
    };
    serve(&config, config.node(id, &place)?, stop)
}

/// Takes memory from the system in small pages. A huge one is cleared whole when it is first touched: a turn that needs a
/// little memory would wait until 2 MiB are zeros, and a server of few znodes would hold many times what it uses.
/// A system that does not know the request keeps its habit.
fn use_small_pages() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!(%error, "huge pages stay in use");
    }
}
