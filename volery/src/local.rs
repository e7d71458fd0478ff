//! `volery local`: a cluster on this machine, one process per node, for trying and for developing against.
//!
//! The nodes are ordinary ones (`volery serve`) in process groups of their own, so that Ctrl-C reaches this process
//! alone, which then stops them all. They end with it even if it is killed: each asks the system for that when it starts.
//!
//! # Caveats
//!
//! - That the nodes end with a killed parent is Linux's doing; elsewhere they are left over.
//! - A node that ends by itself ends the cluster. One that is killed on purpose is better started by hand.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the command line speaks to a person")]

mod node_process;
mod parent;
mod signals;

pub use parent::end_with_parent;

use crate::config::{ClusterConfig, ConfigError};
use crate::init::{self, CLUSTER_FILE, ClusterShape, InitError};
use crate::status_command::ask;
use clap::Args;
use node_process::NodeProcesses;
use signals::Signals;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;
use thiserror::Error;

/// How long a node may take to say that it is well, before it is asked again.
const ANSWER_PATIENCE: Duration = Duration::from_millis(500);
/// How long after a question without a good answer the next one follows.
const QUESTION_INTERVAL: Duration = Duration::from_millis(50);

/// Where the cluster lives and how it looks.
#[derive(Clone, Debug, Args)]
pub struct LocalArguments {
    /// The directory of the cluster: made if it is missing, taken up again if it has a cluster.
    #[arg(long, value_name = "DIR", default_value = "./volery-local")]
    dir: PathBuf,
    #[command(flatten)]
    shape: ClusterShape,
}

/// Why there is no cluster, or none any more.
#[derive(Debug, Error)]
pub enum LocalError {
    /// The cluster that is there cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There is no cluster there, and none can be made.
    #[error(transparent)]
    Init(#[from] InitError),
    /// There is another cluster than the one asked for.
    #[error("{}: {difference}; leave that out, or name another --dir", path.display())]
    Differs {
        /// Its cluster file.
        path: PathBuf,
        /// What it has, and what is asked for.
        difference: String,
    },
    /// Signals cannot be received.
    #[error("signals cannot be received: {0}")]
    Signals(io::Error),
    /// A node's process cannot be started.
    #[error("node {node} cannot be started: {source}")]
    Start {
        /// Which.
        node: u16,
        /// Why.
        source: io::Error,
    },
    /// A node ended, and nobody had asked it to.
    #[error("node {node} ended by itself ({status}); the others are stopped")]
    Ended {
        /// Which.
        node: u16,
        /// How.
        status: ExitStatus,
    },
}

/// Runs a cluster until SIGINT or SIGTERM. The exit code is 1 if it did not start, or ended by itself.
pub fn run(arguments: &LocalArguments) -> ExitCode {
    match serve_all(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("volery local: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve_all(arguments: &LocalArguments) -> Result<(), LocalError> {
    let config = prepare(&arguments.dir, &arguments.shape)?;
    let signals = Signals::listen().map_err(LocalError::Signals)?;
    let mut nodes = NodeProcesses::start(&arguments.dir.join(CLUSTER_FILE), &config)?;
    let outcome = watch_over(&mut nodes, &config, &signals);
    nodes.stop(&signals);
    outcome
}

/// The cluster in `directory`: the one that is there, if it is what is asked for, or a new one.
fn prepare(directory: &Path, shape: &ClusterShape) -> Result<ClusterConfig, LocalError> {
    let path = directory.join(CLUSTER_FILE);
    if !path.exists() {
        return Ok(init::write(directory, shape)?);
    }
    let config = ClusterConfig::read(&path)?;
    match shape.difference(&config) {
        Some(difference) => Err(LocalError::Differs { path, difference }),
        None => Ok(config),
    }
}

/// Returns when somebody asks the cluster to stop, or with the node that ended.
fn watch_over(
    nodes: &mut NodeProcesses,
    config: &ClusterConfig,
    signals: &Signals,
) -> Result<(), LocalError> {
    let mut awaited: Vec<SocketAddr> = config.nodes.iter().map(|node| node.client).collect();
    while !signals.stop_asked() {
        if let Some((node, status)) = nodes.ended() {
            return Err(LocalError::Ended { node, status });
        }
        if awaited.is_empty() {
            signals.wait(None);
            continue;
        }
        awaited.retain(|node| !is_well(*node));
        match awaited.is_empty() {
            true => announce(config),
            false => signals.wait(Some(QUESTION_INTERVAL)),
        }
    }
    Ok(())
}

fn is_well(node: SocketAddr) -> bool {
    ask(node, b"ruok", ANSWER_PATIENCE).is_ok_and(|answer| answer == "imok")
}

fn announce(config: &ClusterConfig) {
    println!("all {} nodes are up; clients connect to {}", config.nodes.len(), config.connect_string());
    println!("Ctrl-C stops them");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_is_made_once_and_taken_up_again() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("new");
        let wish = ClusterShape { nodes: Some(2), partitions: Some(3), ..ClusterShape::default() };
        let made = prepare(&place, &wish).unwrap();
        assert_eq!((made.nodes.len(), made.partitions), (2, 3));
        assert_eq!(prepare(&place, &wish).unwrap(), made);
        assert_eq!(prepare(&place, &ClusterShape::default()).unwrap(), made);
    }

    #[test]
    fn another_cluster_than_the_one_asked_for_is_not_taken_up() {
        let directory = tempfile::tempdir().unwrap();
        prepare(directory.path(), &ClusterShape::default()).unwrap();
        let wish = ClusterShape { nodes: Some(5), ..ClusterShape::default() };
        let error = prepare(directory.path(), &wish).unwrap_err().to_string();
        assert!(
            error.contains("cluster.toml: the cluster there has 3 where --nodes asks for 5; "),
            "{error}"
        );
    }
}
