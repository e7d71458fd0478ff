//! Debian's ZooKeeper, alone or as an ensemble.

use super::loopback;
use crate::ports::free_ports;
use crate::server::Launch;
use std::ffi::OsString;
use std::fmt::Write;
use std::path::Path;
use std::{fs, io};

/// Debian's jars that a ZooKeeper needs.
const JARS: [&str; 5] =
    ["zookeeper", "netty-codec", "netty-resolver", "netty-transport-native-unix-common", "slf4j-simple"];
/// What every node's file says.
const COMMON: &str =
    "clientPortAddress=127.0.0.1\ntickTime=1000\nmaxClientCnxns=0\nadmin.enableServer=false\n";
/// What an ensemble's files say beyond that; the limits are in ticks.
const ENSEMBLE: &str = "initLimit=10\nsyncLimit=5\nquorumListenOnAllIPs=false\n4lw.commands.whitelist=*\n";
/// Ports of one node: its clients', its leader's, and that of elections.
const PORTS_PER_NODE: u16 = 3;

pub(super) fn launches(nodes: u16, directory: &Path) -> io::Result<Vec<Launch>> {
    let first_port = free_ports(PORTS_PER_NODE * nodes)?;
    (1..=nodes).map(|node| launch(node, nodes, first_port, directory)).collect()
}

fn launch(node: u16, nodes: u16, first_port: u16, directory: &Path) -> io::Result<Launch> {
    let (data, port) = (directory.join(format!("node-{node}")), first_port + node - 1);
    fs::create_dir_all(&data)?;
    fs::write(data.join("myid"), node.to_string())?;
    let config = directory.join(format!("node-{node}.cfg"));
    let members = if nodes == 1 { String::new() } else { ensemble(nodes, first_port + nodes) };
    let own = format!("dataDir={}\nclientPort={port}\n", data.display());
    fs::write(&config, [own.as_str(), COMMON, &members].concat())?;
    Ok(Launch {
        address: loopback(port),
        log: directory.join(format!("node-{node}.log")),
        program: "java".into(),
        arguments: arguments(&config),
        environment: Vec::new(),
        avowals: Vec::new(),
        data,
    })
}

/// What all know of all.
fn ensemble(nodes: u16, first_port: u16) -> String {
    let mut lines = ENSEMBLE.to_owned();
    for node in 1..=nodes {
        let (leading, electing) = (first_port + node - 1, first_port + nodes + node - 1);
        // Writing to a string does not fail.
        let _ = writeln!(lines, "server.{node}=127.0.0.1:{leading}:{electing}");
    }
    lines
}

fn arguments(config: &Path) -> Vec<OsString> {
    let jars: Vec<String> = JARS.iter().map(|jar| format!("/usr/share/java/{jar}.jar")).collect();
    let main = "org.apache.zookeeper.server.quorum.QuorumPeerMain";
    vec!["-Xmx512m".into(), "-cp".into(), jars.join(":").into(), main.into(), config.into()]
}
