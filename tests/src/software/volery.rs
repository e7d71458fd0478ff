//! Volery, by its command line.

use super::loopback;
use crate::ports::free_ports;
use crate::server::Launch;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program and what a cluster of it looks like.
#[derive(Clone, Debug)]
pub struct Volery {
    /// The program.
    pub binary: PathBuf,
    /// How many partitions it has.
    pub partitions: u16,
    /// How many replicas a partition has, if not as many as is usual.
    pub replicas: Option<u16>,
}

impl Volery {
    pub(super) fn launches(&self, nodes: u16, directory: &Path) -> io::Result<Vec<Launch>> {
        let client_port = free_ports(2 * nodes)?;
        let one = |node: u16, arguments: Vec<OsString>| Launch {
            address: loopback(client_port + node - 1),
            log: directory.join(format!("node-{node}.log")),
            program: self.binary.clone(),
            arguments,
        };
        if nodes == 1 {
            return Ok(vec![one(1, self.serve_alone(client_port, &directory.join("node-1")))]);
        }
        self.init(nodes, client_port, directory)?;
        let config = directory.join("cluster.toml");
        Ok((1..=nodes).map(|node| one(node, serve(&config, node))).collect())
    }

    fn serve_alone(&self, port: u16, data: &Path) -> Vec<OsString> {
        let partitions = self.partitions.to_string();
        let numbers = ["serve", "--port", &port.to_string(), "--partitions", &partitions].map(OsString::from);
        [&numbers[..], &["--data-dir".into(), data.into()]].concat()
    }

    /// Writes the cluster file: the nodes' own ports follow those of their clients.
    fn init(&self, nodes: u16, client_port: u16, directory: &Path) -> io::Result<()> {
        let mut command = Command::new(&self.binary);
        command.args(["init", "--cluster", "load-and-check", "--dir"]).arg(directory);
        let numbers = [
            ("--nodes", Some(nodes)),
            ("--partitions", Some(self.partitions)),
            ("--replicas", self.replicas),
            ("--client-port", Some(client_port)),
            ("--peer-port", Some(client_port + nodes)),
        ];
        for (option, number) in numbers {
            command.args(number.map(|number| [option.to_owned(), number.to_string()]).into_iter().flatten());
        }
        let output = command.output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        output.status.success().then_some(()).ok_or_else(|| io::Error::other(format!("volery init: {said}")))
    }
}

fn serve(config: &Path, node: u16) -> Vec<OsString> {
    vec!["serve".into(), "--config".into(), config.into(), "--node".into(), node.to_string().into()]
}
