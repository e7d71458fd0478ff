//! `volery init`: writes the cluster file of a cluster on this machine.
//!
//! The file is made for one machine, where it can be tried; to spread the nodes, its addresses and directories are
//! edited before the first start.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the command line speaks to a person")]

mod shape;

pub use shape::ClusterShape;

use crate::config::{ClusterConfig, ConfigError};
use clap::Args;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use thiserror::Error;

/// The name of the cluster file in the directory of a cluster.
pub const CLUSTER_FILE: &str = "cluster.toml";

/// Where the cluster file goes, and what it says.
#[derive(Clone, Debug, Args)]
pub struct InitArguments {
    /// The directory of the cluster: it gets cluster.toml, and the data of the nodes once they start.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    #[command(flatten)]
    shape: ClusterShape,
}

/// Why there is no cluster file now.
#[derive(Debug, Error)]
pub enum InitError {
    /// There is one already: its nodes may have data.
    #[error("{}: is there already and is not overwritten; choose another --dir", .0.display())]
    Exists(PathBuf),
    /// What is asked for cannot be.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The directory or the file cannot be written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Writes a cluster file and says how its nodes are started. The exit code is 1 if nothing was written.
pub fn run(arguments: &InitArguments) -> ExitCode {
    match write(&arguments.dir, &arguments.shape) {
        Ok(config) => {
            print!("{}", instructions(&arguments.dir.join(CLUSTER_FILE), &config));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("volery init: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Writes the cluster file into `directory`, which is made if it is missing, and returns what it says.
pub(crate) fn write(directory: &Path, shape: &ClusterShape) -> Result<ClusterConfig, InitError> {
    let path = directory.join(CLUSTER_FILE);
    let text = shape.text()?;
    let config = ClusterConfig::parse(&text, &path)?;
    fs::create_dir_all(directory)
        .map_err(|source| InitError::File { path: directory.to_path_buf(), source })?;
    let written = OpenOptions::new().write(true).create_new(true).open(&path);
    match written.and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all())) {
        Ok(()) => Ok(config),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(InitError::Exists(path)),
        Err(source) => Err(InitError::File { path, source }),
    }
}

fn instructions(path: &Path, config: &ClusterConfig) -> String {
    let path = path.display();
    let (nodes, partitions, replicas) = (config.nodes.len(), config.partitions, config.replicas());
    let mut lines = format!(
        "wrote {path}: nodes: {nodes}, partitions: {partitions}, replicas of each: {replicas}\n\
         start every node, each in a terminal of its own:\n"
    );
    for node in &config.nodes {
        lines += &format!("  volery serve --config {path} --node {}\n", node.id);
    }
    lines += &format!(
        "then ask how they are, and connect:\n  volery status --config {path}\n  volery cli --server {} ls /\n",
        config.connect_string()
    );
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_once() {
        let directory = tempfile::tempdir().expect("a directory");
        let place = directory.path().join("a/b");
        let shape = ClusterShape { partitions: Some(5), ..ClusterShape::default() };
        let written = write(&place, &shape).expect("a new file");
        assert_eq!(ClusterConfig::read(&place.join(CLUSTER_FILE)).expect("what was written"), written);
        assert_eq!((written.partitions, &written.nodes[2].data), (5, &place.join("node-3")));
        let error = write(&place, &ClusterShape::default()).expect_err("it is there").to_string();
        assert!(error.contains("cluster.toml: is there already"), "{error}");
        assert_eq!(ClusterConfig::read(&place.join(CLUSTER_FILE)).expect("untouched").partitions, 5);
    }

    #[test]
    fn what_cannot_be_is_not_written() {
        let directory = tempfile::tempdir().expect("a directory");
        let shape = ClusterShape { replicas: Some(4), ..ClusterShape::default() };
        let error = write(directory.path(), &shape).expect_err("three nodes").to_string();
        assert!(
            error.ends_with("cluster.toml: replicas = 4, and there must be 1 to 3, one per node at most"),
            "{error}"
        );
        assert!(!directory.path().join(CLUSTER_FILE).exists());
    }

    #[test]
    fn the_instructions_name_every_node() {
        let path = Path::new("here/cluster.toml");
        let text = ClusterShape::default().text().expect("the default");
        let lines = instructions(path, &ClusterConfig::parse(&text, path).expect("the default"));
        for line in [
            "  volery serve --config here/cluster.toml --node 1",
            "  volery serve --config here/cluster.toml --node 3",
            "  volery cli --server 127.0.0.1:2181,127.0.0.1:2182,127.0.0.1:2183 ls /",
        ] {
            assert!(lines.lines().any(|printed| printed == line), "{lines}");
        }
    }
}
