//! The clusters that are compared, each of one server or several on this machine.
//!
//! An edge file: it writes configurations, starts processes and reads the clock.
#![allow(clippy::disallowed_methods, reason = "leaders are waited for with a deadline")]

use crate::failure::Failure;
use crate::four_letter;
use crate::interrupt::Interrupt;
use crate::pause::pause;
use crate::ports::Ports;
use crate::server::Server;
use crate::usage;
use clap::ValueEnum;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use volery::status::Status;

/// Where Debian keeps its Java libraries.
const JARS: &str = "/usr/share/java";
/// What ZooKeeper needs: zookeeper.jar names its other dependencies in its manifest and forgets these.
const ZOOKEEPER_JARS: [&str; 6] = [
    "zookeeper.jar",
    "zookeeper-jute.jar",
    "netty-codec.jar",
    "netty-resolver.jar",
    "netty-transport-native-unix-common.jar",
    "slf4j-simple.jar",
];
/// The heap of a ZooKeeper that is alone.
const HEAP: &str = "-Xmx1g";
/// The heap of each of several, which share the memory of one machine.
const HEAP_OF_SEVERAL: &str = "-Xmx512m";

/// How long a cluster may take until every partition is led.
const LEADERS_MAX: Duration = Duration::from_secs(60);
/// How often it is asked.
const GLANCE: Duration = Duration::from_millis(50);

/// What a cluster is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Volery
    Volery,
    /// Debian's ZooKeeper
    #[value(name = "zookeeper")]
    ZooKeeper,
}

/// Which Volery.
#[derive(Clone, Copy, Debug)]
pub struct Volery<'a> {
    /// The program.
    pub binary: &'a Path,
    /// Into how many partitions the state is cut.
    pub partitions: usize,
    /// How many nodes keep each partition; `None` is Volery's own default.
    pub replicas: Option<u16>,
    /// How much longer every sync of the log is to take, in milliseconds, which needs a program with the feature `faults`.
    pub sync_delay_ms: Option<u64>,
}

/// Where a cluster is to be.
pub struct Site<'a> {
    /// How many servers.
    pub nodes: u16,
    /// Where its data go.
    pub directory: &'a Path,
    /// Where its ports come from.
    pub ports: &'a mut Ports,
    /// Ends the wait for its start.
    pub interrupt: &'a Interrupt,
}

/// Servers that serve the same znodes. They are killed when this is dropped.
pub struct Cluster {
    kind: Kind,
    servers: Vec<Server>,
}

impl Cluster {
    /// Starts Volery, and waits until all nodes serve.
    pub fn volery(volery: Volery, site: Site) -> Result<Cluster, Failure> {
        create(site.directory)?;
        let client_port = site.ports.block(site.nodes)?;
        let commands = match site.nodes {
            1 => vec![volery.alone(site.directory, client_port)],
            nodes => {
                let peer_port = site.ports.block(nodes)?;
                volery.init(&site, client_port, peer_port)?;
                (1..=nodes).map(|node| volery.node(site.directory, node)).collect()
            }
        };
        Cluster::start(Kind::Volery, commands, client_port, &site)
    }

    /// Starts Debian's ZooKeeper, as an ensemble if there are several servers, and waits until all serve.
    pub fn zookeeper(site: Site) -> Result<Cluster, Failure> {
        let class_path = class_path()?;
        let client_port = site.ports.block(site.nodes)?;
        let peer_port = site.ports.block(2 * site.nodes)?;
        let mut commands = Vec::new();
        for id in 1..=site.nodes {
            let data = site.directory.join(format!("node-{id}"));
            let config = site.directory.join(format!("node-{id}.cfg"));
            create(&data)?;
            write(&data.join("myid"), &id.to_string())?;
            write(&config, &zoo_cfg(&data, site.nodes, client_port + id - 1, peer_port))?;
            commands.push(zookeeper_server(&class_path, site.nodes, &config));
        }
        Cluster::start(Kind::ZooKeeper, commands, client_port, &site)
    }

    /// All have to be started before one of them serves.
    fn start(kind: Kind, commands: Vec<Command>, client_port: u16, site: &Site) -> Result<Cluster, Failure> {
        let mut cluster = Cluster { kind, servers: Vec::new() };
        for (command, node) in commands.into_iter().zip(1..) {
            let name = match site.nodes {
                1 => kind.name().to_owned(),
                _ => format!("{} node {node}", kind.name()),
            };
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, client_port + node - 1));
            let log = site.directory.join(format!("node-{node}.log"));
            cluster.servers.push(Server::start(name, command, address, log)?);
        }
        cluster.servers.iter_mut().try_for_each(|server| server.wait_until_it_serves(site.interrupt))?;
        Ok(cluster)
    }

    /// What it is made of.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Where its servers serve clients.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.servers.iter().map(Server::address).collect()
    }

    /// The ids of its processes, in the same order.
    pub fn pids(&self) -> impl Iterator<Item = u32> {
        self.servers.iter().map(Server::pid)
    }

    /// The version that its first server tells, or nothing.
    pub fn version(&self) -> Option<String> {
        self.servers.first()?.version()
    }

    /// The memory in RAM of all its processes, in bytes.
    pub fn resident_bytes(&self) -> Result<u64, Failure> {
        self.pids().map(usage::resident_bytes).sum()
    }

    /// For each partition of a Volery the index of the server that leads it, as soon as each has a leader.
    pub fn leaders(&self, partitions: usize, interrupt: &Interrupt) -> Result<Vec<usize>, Failure> {
        self.wait_for_leaders(partitions, |_| true, interrupt)
    }

    /// The same as soon as the partitions are led by the servers in turn, where leadership returns to.
    pub fn leaders_in_turn(&self, partitions: usize, interrupt: &Interrupt) -> Result<Vec<usize>, Failure> {
        let servers = self.servers.len();
        let in_turn = |leaders: &[usize]| {
            leaders.iter().enumerate().all(|(partition, leader)| *leader == partition % servers)
        };
        self.wait_for_leaders(partitions, in_turn, interrupt)
    }

    fn wait_for_leaders(
        &self,
        partitions: usize,
        are_wanted: impl Fn(&[usize]) -> bool,
        interrupt: &Interrupt,
    ) -> Result<Vec<usize>, Failure> {
        let deadline = Instant::now() + LEADERS_MAX;
        loop {
            interrupt.check()?;
            match self.leaders_now(partitions).filter(|leaders| are_wanted(leaders)) {
                Some(leaders) => return Ok(leaders),
                None if Instant::now() > deadline => {
                    let reason = format!("not every partition was led within {} s", LEADERS_MAX.as_secs());
                    return Err(Failure::Server { server: self.kind.name().to_owned(), reason });
                }
                None => pause(GLANCE),
            }
        }
    }

    /// The index of the server that leads each partition of a Volery; `None` if one has no leader.
    pub fn leaders_now(&self, partitions: usize) -> Option<Vec<usize>> {
        let statuses = self.statuses();
        let leads =
            |status: &Status, ring: &str| status.rings.iter().any(|led| led.leads && led.ring == ring);
        let leader = |partition| {
            let ring = format!("p{partition}");
            statuses.iter().position(|status| leads(status, &ring))
        };
        (0..partitions).map(leader).collect()
    }

    /// For each partition of a Volery the indices of the servers that host a replica of it.
    pub fn hosts(&self, partitions: usize) -> Vec<Vec<usize>> {
        let statuses = self.statuses();
        let hosts = |status: &Status, partition| {
            status.partitions.iter().any(|replica| usize::from(replica.partition) == partition)
        };
        let hosts_of =
            |partition| (0..statuses.len()).filter(|server| hosts(&statuses[*server], partition)).collect();
        (0..partitions).map(hosts_of).collect()
    }

    /// What each server of a Volery tells of itself; one that does not answer tells nothing.
    fn statuses(&self) -> Vec<Status> {
        let status = |server: &Server| {
            let told = four_letter::ask(server.address(), "vlry").ok()?;
            serde_json::from_str(&told).ok()
        };
        self.servers.iter().map(|server| status(server).unwrap_or_default()).collect()
    }

    /// Stops servers as they are, with their sockets open.
    pub fn stop(&mut self, servers: &[usize]) -> Result<(), Failure> {
        servers.iter().try_for_each(|server| self.servers[*server].stop())
    }

    /// Kills a server.
    pub fn kill(&mut self, server: usize) -> Result<(), Failure> {
        self.servers[server].kill()
    }

    /// The failure that says that one of its servers ended, if one did without being killed here.
    pub fn check(&mut self) -> Result<(), Failure> {
        self.servers.iter_mut().try_for_each(Server::check)
    }
}

impl Kind {
    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Volery => "Volery",
            Kind::ZooKeeper => "ZooKeeper",
        }
    }
}

fn create(directory: &Path) -> Result<(), Failure> {
    fs::create_dir_all(directory).map_err(Failure::system(directory.display().to_string()))
}

fn write(file: &Path, text: &str) -> Result<(), Failure> {
    fs::write(file, text).map_err(Failure::system(file.display().to_string()))
}

impl Volery<'_> {
    /// The embedded default, which needs no cluster file.
    fn alone(&self, directory: &Path, client_port: u16) -> Command {
        let mut command = self.command();
        command.args(["serve", "--port", &client_port.to_string()]);
        command.args(["--partitions", &self.partitions.to_string()]);
        command.arg("--data-dir").arg(directory.join("node-1"));
        command
    }

    /// Has the cluster file written.
    fn init(&self, site: &Site, client_port: u16, peer_port: u16) -> Result<(), Failure> {
        let mut command = self.command();
        command.arg("init").arg("--dir").arg(site.directory);
        command.args(["--nodes", &site.nodes.to_string(), "--partitions", &self.partitions.to_string()]);
        command.args(["--client-port", &client_port.to_string(), "--peer-port", &peer_port.to_string()]);
        if let Some(replicas) = self.replicas {
            command.args(["--replicas", &replicas.to_string()]);
        }
        let starting = format!("starting {}", self.binary.display());
        let done = command.output().map_err(Failure::system(starting))?;
        if done.status.success() {
            return Ok(());
        }
        let reason = format!("{}; {}", done.status, String::from_utf8_lossy(&done.stderr).trim());
        Err(Failure::Server { server: "volery init".to_owned(), reason })
    }

    fn node(&self, directory: &Path, node: u16) -> Command {
        let mut command = self.command();
        command.arg("serve").arg("--config").arg(directory.join("cluster.toml"));
        command.args(["--node", &node.to_string()]);
        command
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.binary);
        if let Some(delay_ms) = self.sync_delay_ms {
            command.env("VOLERY_DISK", format!("slow:{delay_ms}"));
        }
        command
    }
}

fn zookeeper_server(class_path: &str, nodes: u16, config: &Path) -> Command {
    let heap = if nodes == 1 { HEAP } else { HEAP_OF_SEVERAL };
    let mut command = Command::new("java");
    command.args([heap, "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", class_path]);
    command.arg("org.apache.zookeeper.server.quorum.QuorumPeerMain").arg(config);
    command
}

fn class_path() -> Result<String, Failure> {
    let jars: Vec<PathBuf> = ZOOKEEPER_JARS.iter().map(|jar| Path::new(JARS).join(jar)).collect();
    match jars.iter().find(|jar| !jar.exists()) {
        None => Ok(jars.iter().map(|jar| jar.display().to_string()).collect::<Vec<_>>().join(":")),
        Some(missing) => Err(Failure::Usage(format!(
            "{} is missing: ZooKeeper comes with the Debian package zookeeper (apt-get install zookeeper)",
            missing.display()
        ))),
    }
}

/// Defaults, but for what lets 1,000 connections come from one address and the harness ask. Its fsync stays on. The
/// limits of an ensemble are those of ZooKeeper's own sample configuration.
fn zoo_cfg(data: &Path, nodes: u16, client_port: u16, peer_port: u16) -> String {
    let mut settings = vec![
        "tickTime=2000".to_owned(),
        format!("dataDir={}", data.display()),
        "clientPortAddress=127.0.0.1".to_owned(),
        format!("clientPort={client_port}"),
        "maxClientCnxns=0".to_owned(),
        "admin.enableServer=false".to_owned(),
        "4lw.commands.whitelist=*".to_owned(),
    ];
    if nodes > 1 {
        settings.extend(["initLimit=10", "syncLimit=5", "quorumListenOnAllIPs=false"].map(str::to_owned));
        let server = |id| {
            let port = peer_port + 2 * (id - 1);
            format!("server.{id}=127.0.0.1:{port}:{}", port + 1)
        };
        settings.extend((1..=nodes).map(server));
    }
    settings.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The failure of a Volery that is another program.
    fn failure_of(program: &str, nodes: u16) -> String {
        let directory = tempfile::tempdir().unwrap();
        let site = Site {
            nodes,
            directory: directory.path(),
            ports: &mut Ports::new(),
            interrupt: &Interrupt::default(),
        };
        let volery =
            Volery { binary: Path::new(program), partitions: 2, replicas: None, sync_delay_ms: None };
        Cluster::volery(volery, site).err().unwrap().to_string()
    }

    #[test]
    fn a_server_that_ends_is_told_by_its_name() {
        assert_eq!(failure_of("/bin/false", 1), "Volery: it ended: exit status: 1");
        assert_eq!(failure_of("/bin/true", 3), "Volery node 1: it ended: exit status: 0");
    }

    #[test]
    fn a_cluster_file_that_is_not_written_is_told() {
        assert_eq!(failure_of("/bin/false", 3), "volery init: exit status: 1; ");
    }

    #[test]
    fn what_is_asked_of_volery_reaches_it() {
        let directory = tempfile::tempdir().unwrap();
        let site = Site {
            nodes: 3,
            directory: directory.path(),
            ports: &mut Ports::new(),
            interrupt: &Interrupt::default(),
        };
        let script = directory.path().join("told");
        write(&script, "#!/bin/sh\necho \"$@ disk $VOLERY_DISK\" >&2\nexit 3\n").unwrap();
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&script, executable).unwrap();
        let volery = Volery { binary: &script, partitions: 8, replicas: Some(1), sync_delay_ms: Some(10) };
        let told = volery.init(&site, 2_181, 2_881).unwrap_err().to_string();
        let expected =
            "--nodes 3 --partitions 8 --client-port 2181 --peer-port 2881 --replicas 1 disk slow:10";
        assert!(told.ends_with(expected), "{told}");
    }

    #[test]
    fn only_an_ensemble_names_its_servers() {
        let alone = "\
tickTime=2000
dataDir=/data
clientPortAddress=127.0.0.1
clientPort=20000
maxClientCnxns=0
admin.enableServer=false
4lw.commands.whitelist=*
";
        assert_eq!(zoo_cfg(Path::new("/data"), 1, 20_000, 20_003), alone);
        let ensemble = "\
initLimit=10
syncLimit=5
quorumListenOnAllIPs=false
server.1=127.0.0.1:20003:20004
server.2=127.0.0.1:20005:20006
server.3=127.0.0.1:20007:20008
";
        assert_eq!(zoo_cfg(Path::new("/data"), 3, 20_000, 20_003), alone.to_owned() + ensemble);
    }
}
