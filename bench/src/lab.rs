//! Where clusters are started, loaded and stopped for an experiment.

use crate::cgroup::{Cgroup, Quota};
use crate::cluster::{Cluster, Kind, Site, Volery};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::layout::Layout;
use crate::load::{self, Target};
use crate::op::Op;
use crate::outcome::Outcome;
use crate::ports::Ports;
use crate::shape::{Lengths, Shape};
use crate::stages::{self, Stage};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// What experiments share: a directory, free ports, the user's wish to stop.
pub struct Lab<'a> {
    directory: PathBuf,
    ports: Ports,
    /// Ends what is being waited for.
    pub interrupt: &'a Interrupt,
}

/// A cluster that is experimented with. It is stopped and its data are removed when this is dropped.
///
/// The fields are dropped in their order: groups and data go after the processes.
pub struct Subject {
    cluster: Cluster,
    leaders: Option<Vec<usize>>,
    cells: Vec<Cgroup>,
    _directory: TempDir,
}

impl<'a> Lab<'a> {
    /// A lab that keeps the data of its subjects below this directory.
    pub fn new(directory: &Path, interrupt: &'a Interrupt) -> Result<Lab<'a>, Failure> {
        let canonical = directory.canonicalize();
        let directory = canonical.map_err(Failure::system(directory.display().to_string()))?;
        Ok(Lab { directory, ports: Ports::new(), interrupt })
    }

    /// Where data go.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Starts Volery on so many nodes, and waits until each partition is led.
    pub fn volery(&mut self, volery: Volery, nodes: u16) -> Result<Subject, Failure> {
        let directory = self.data()?;
        let cluster = Cluster::volery(volery, self.site(directory.path(), nodes))?;
        let leaders = Some(cluster.leaders(volery.partitions, self.interrupt)?);
        Ok(Subject { cluster, leaders, cells: Vec::new(), _directory: directory })
    }

    /// Starts Debian's ZooKeeper on so many servers.
    pub fn zookeeper(&mut self, nodes: u16) -> Result<Subject, Failure> {
        let directory = self.data()?;
        let cluster = Cluster::zookeeper(self.site(directory.path(), nodes))?;
        Ok(Subject { cluster, leaders: None, cells: Vec::new(), _directory: directory })
    }

    fn data(&self) -> Result<TempDir, Failure> {
        let made = tempfile::Builder::new().prefix("bench-").tempdir_in(&self.directory);
        made.map_err(Failure::system(self.directory.display().to_string()))
    }

    fn site<'b>(&'b mut self, directory: &'b Path, nodes: u16) -> Site<'b> {
        Site { nodes, directory, ports: &mut self.ports, interrupt: self.interrupt }
    }
}

impl Subject {
    /// Its processes.
    pub fn cluster(&mut self) -> &mut Cluster {
        &mut self.cluster
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.cluster.kind()
    }

    /// Confines each of its processes to a share of a core of its own.
    pub fn confine(&mut self, quota: Quota) -> Result<(), Failure> {
        for pid in self.cluster.pids() {
            self.cells.push(Cgroup::confine(pid, quota)?);
        }
        Ok(())
    }

    /// Loads its first `loaded` partitions evenly, all of them if that is `None`: each connection works in a directory of
    /// its own, at the server that leads its partition. Connections to a ZooKeeper go round its servers.
    pub fn load(
        &mut self,
        op: Op,
        shape: &Shape,
        loaded: Option<usize>,
        lengths: Lengths,
        interrupt: &Interrupt,
    ) -> Result<Outcome, Failure> {
        let addresses = self.cluster.addresses();
        let layout = match &self.leaders {
            None => Layout::round_robin(shape.connections, shape.keys, addresses.len()),
            Some(leaders) => {
                let loaded = loaded.unwrap_or(leaders.len());
                Layout::by_partition(shape.connections, shape.keys, loaded, leaders)
            }
        };
        let pids: Vec<u32> = self.cluster.pids().collect();
        let target = Target { servers: &addresses, layout: &layout, pids: &pids };
        let outcome = load::run(target, op, shape, lengths, interrupt);
        if outcome.is_err() {
            interrupt.check()?;
            self.cluster.check()?;
        }
        outcome
    }

    /// Where the time of its commands goes, if its first server tells.
    pub fn stages(&self) -> Vec<Stage> {
        self.cluster.addresses().first().map(|server| stages::ask(*server)).unwrap_or_default()
    }
}
