//! The processes of a cluster's nodes.
#![allow(clippy::disallowed_methods, reason = "an edge: how long a process takes to end is real time")]

use super::LocalError;
use super::signals::Signals;
use crate::config::ClusterConfig;
use rustix::process::{Pid, Signal, kill_process};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{env, process};

/// How long nodes may take to stop before they are killed. Nothing acknowledged is lost by that.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// The nodes that run. None is left over when this is dropped.
pub(super) struct NodeProcesses {
    running: Vec<NodeProcess>,
}

struct NodeProcess {
    id: u16,
    child: Child,
}

impl NodeProcesses {
    /// Starts every node of the cluster file at `path`; if one does not start, those before it are killed.
    pub(super) fn start(path: &Path, config: &ClusterConfig) -> Result<NodeProcesses, LocalError> {
        let mut nodes = NodeProcesses { running: Vec::new() };
        for node in &config.nodes {
            let started = env::current_exe().and_then(|program| serve(&program, path, node.id).spawn());
            let child = started.map_err(|source| LocalError::Start { node: node.id, source })?;
            nodes.running.push(NodeProcess { id: node.id, child });
        }
        Ok(nodes)
    }

    /// A node that has ended, and how; each is told once.
    pub(super) fn ended(&mut self) -> Option<(u16, ExitStatus)> {
        let (index, status) = (self.running.iter_mut().enumerate())
            .find_map(|(index, node)| Some((index, node.child.try_wait().ok().flatten()?)))?;
        Some((self.running.remove(index).id, status))
    }

    /// Asks all nodes to stop and waits for them; kills those that take too long.
    pub(super) fn stop(mut self, signals: &Signals) {
        for node in &self.running {
            // One that has just ended is not there to be asked.
            let _ = kill_process(Pid::from_child(&node.child), Signal::TERM);
        }
        let deadline = Instant::now() + STOP_PATIENCE;
        loop {
            while self.ended().is_some() {}
            let patience = deadline.saturating_duration_since(Instant::now());
            if self.running.is_empty() || patience.is_zero() {
                return;
            }
            signals.wait(Some(patience));
        }
    }
}

impl Drop for NodeProcesses {
    fn drop(&mut self) {
        for node in &mut self.running {
            // It may have ended meanwhile; then there is nothing to kill.
            let _ = node.child.kill();
            let _ = node.child.wait();
        }
    }
}

/// The process of a node: it gets nothing from the terminal, neither input nor signals.
fn serve(program: &Path, cluster_file: &Path, node: u16) -> Command {
    let mut command = Command::new(program);
    command.arg("serve").arg("--config").arg(cluster_file);
    command.arg("--node").arg(node.to_string()).arg("--with-parent").arg(process::id().to_string());
    command.process_group(0).stdin(Stdio::null());
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::test_kill_process;

    fn node(child: &mut Command) -> NodeProcess {
        NodeProcess { id: 4, child: child.spawn().unwrap() }
    }

    #[test]
    fn a_node_that_ends_is_told_once_and_how() {
        let mut nodes = NodeProcesses { running: vec![node(Command::new("sh").args(["-c", "exit 7"]))] };
        let status = nodes.running[0].child.wait().unwrap();
        assert_eq!((nodes.ended(), status.code()), (Some((4, status)), Some(7)));
        assert_eq!(nodes.ended(), None);
    }

    #[test]
    fn nodes_that_are_asked_to_stop_and_do_are_not_waited_for_any_longer() {
        let signals = Signals::listen().unwrap();
        let nodes = [0; 3].map(|_| node(Command::new("cat").stdin(Stdio::piped())));
        let before = Instant::now();
        NodeProcesses { running: Vec::from(nodes) }.stop(&signals);
        assert!(before.elapsed() < STOP_PATIENCE);
    }

    #[test]
    fn nothing_is_left_over() {
        let node = node(Command::new("cat").stdin(Stdio::piped()));
        let id = Pid::from_child(&node.child);
        assert!(test_kill_process(id).is_ok());
        drop(NodeProcesses { running: vec![node] });
        assert!(test_kill_process(id).is_err());
    }

    #[test]
    fn a_node_is_served_from_the_cluster_file() {
        let command = serve(Path::new("volery"), Path::new("a/cluster.toml"), 3);
        let arguments: Vec<_> = command.get_args().filter_map(|argument| argument.to_str()).collect();
        assert_eq!(arguments[..5], ["serve", "--config", "a/cluster.toml", "--node", "3"]);
    }
}
