//! The command line.
#![allow(clippy::print_stderr, reason = "the command line speaks to a person")]

use clap::{Args, Parser, Subcommand};
use eyrie::host::LogEdge;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tracing_subscriber::EnvFilter;
use volery::cli::{self, CliArguments};
use volery::config::{ClusterConfig, DATA_DIRECTORY_DEFAULT, PARTITIONS_DEFAULT, PORT_DEFAULT};
use volery::serve::{ServeError, serve};
use volery::status_command::{self, StatusArguments};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A coordination service that speaks ZooKeeper's protocol and scales its writes by partitioning.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve one node in this process.
    Serve(ServeArguments),
    /// Look at and change znodes: one command, or a shell.
    Cli(CliArguments),
    /// Show rings, positions, znodes, sessions and watches of a node.
    Status(StatusArguments),
}

#[derive(Args)]
struct ServeArguments {
    /// How many partitions the state is cut into; fixed by the first start.
    #[arg(long, default_value_t = PARTITIONS_DEFAULT, conflicts_with = "config")]
    partitions: u16,
    /// The port on loopback where clients connect.
    #[arg(long, default_value_t = PORT_DEFAULT, conflicts_with = "config")]
    port: u16,
    /// Where the data are kept.
    #[arg(long, default_value = DATA_DIRECTORY_DEFAULT, conflicts_with = "config")]
    data_dir: PathBuf,
    /// The cluster file, instead of the three above.
    #[arg(long, requires = "node")]
    config: Option<PathBuf>,
    /// Which node of the cluster file this is.
    #[arg(long, requires = "config")]
    node: Option<u16>,
    /// Write and sync the log in a thread of its own.
    #[arg(long)]
    log_thread: bool,
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
        Command::Cli(arguments) => cli::run(arguments),
        Command::Status(arguments) => status_command::run(&arguments),
    }
}

fn run(arguments: ServeArguments) -> Result<(), ServeError> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, stop.clone()).map_err(ServeError::Setup)?;
    }
    let edge = if arguments.log_thread { LogEdge::Thread } else { LogEdge::Inline };
    let (config, id, place) = match (arguments.config, arguments.node) {
        (Some(path), Some(id)) => (ClusterConfig::read(&path)?, id, path.display().to_string()),
        _ => {
            let (partitions, port) = (arguments.partitions, arguments.port);
            (ClusterConfig::embedded(partitions, port, arguments.data_dir)?, 0, "the embedded default".into())
        }
    };
    serve(&config, config.node(id, &place)?, edge, stop)
}
