//! `volery status`: one node's status, or a whole cluster's, as tables or as JSON.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the command line speaks to a person")]

mod cluster_report;
mod cluster_status;
mod node_report;
mod question;
mod table;

pub use question::NoAnswer;

pub(crate) use question::ask;

use crate::config::ClusterConfig;
use clap::Args;
use cluster_report::cluster_report;
use cluster_status::ClusterStatus;
use node_report::node_report;
use question::ask_status;
use serde::Serialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// How long one node may take. A node that does not answer within it stands still.
const PATIENCE: Duration = Duration::from_secs(2);

/// Which node or cluster, and how it is shown.
#[derive(Args)]
pub struct StatusArguments {
    /// Ask every node that this cluster file names.
    #[arg(long, value_name = "FILE", conflicts_with = "server")]
    config: Option<PathBuf>,
    /// Ask one node: where its clients connect.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:2181")]
    server: SocketAddr,
    /// As JSON: of a cluster an array of {node, address, status or error}.
    #[arg(long)]
    json: bool,
}

/// Asks and prints what is said. The exit code is 1 if no node answered.
pub fn run(arguments: &StatusArguments) -> ExitCode {
    let told = match &arguments.config {
        Some(path) => tell_cluster(path, arguments.json),
        None => tell_node(arguments.server, arguments.json),
    };
    told.unwrap_or_else(|error| {
        eprintln!("volery status: {error}");
        ExitCode::FAILURE
    })
}

fn tell_node(server: SocketAddr, json: bool) -> Result<ExitCode, String> {
    let status = ask_status(server, PATIENCE).map_err(|error| format!("{server}: {error}"))?;
    match json {
        true => println!("{}", as_json(&status)),
        false => print!("{}", node_report(&status)),
    }
    Ok(ExitCode::SUCCESS)
}

fn tell_cluster(path: &Path, json: bool) -> Result<ExitCode, String> {
    let config = ClusterConfig::read(path).map_err(|error| error.to_string())?;
    let status = ClusterStatus::ask(&config, PATIENCE);
    match json {
        true => println!("{}", as_json(&status.nodes)),
        false => print!("{}", cluster_report(&config, &status)),
    }
    let anybody = status.answers().next().is_some();
    Ok(if anybody { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn as_json(told: &impl Serialize) -> String {
    serde_json::to_string_pretty(told).unwrap_or_default()
}
