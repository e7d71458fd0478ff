//! What the clients of a run ask for. A run draws its own mix, so that each kind of request is frequent in some runs.

use super::history::CallId;
use bytes::Bytes;
use rand::Rng as _;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;
use std::collections::BTreeMap;
use std::sync::Arc;
use volery::acl::digest;
use volery::wire::{
    Acl, AddWatchMode, Check, Create, CreateMode, Delete, MultiOp, OpResult, Permissions, ReadOp, Reply,
    Request, SetData, Stat,
};

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Create,
    CreateEphemeral,
    CreateSequential,
    Delete,
    Set,
    SetVersion,
    Get,
    Exists,
    Children,
    Multi,
    MultiVersion,
    MultiRead,
    Sync,
    AddWatch,
    Ephemerals,
    Secret,
    Auth,
}

const KINDS: [Kind; 17] = [
    Kind::Create,
    Kind::CreateEphemeral,
    Kind::CreateSequential,
    Kind::Delete,
    Kind::Set,
    Kind::SetVersion,
    Kind::Get,
    Kind::Exists,
    Kind::Children,
    Kind::Multi,
    Kind::MultiVersion,
    Kind::MultiRead,
    Kind::Sync,
    Kind::AddWatch,
    Kind::Ephemerals,
    Kind::Secret,
    Kind::Auth,
];

/// The znodes under which everything happens. Those of one component live with the root or by themselves, those of two by
/// themselves, deeper ones with their ancestor of two.
const PARENTS: [&str; 6] = ["/d", "/g", "/q", "/e", "/d/k0", "/d/k1"];

/// Each user, the password, and the znode that only that user may read and write. Nobody deletes it.
const SECRETS: [(&str, &str, &str); 2] = [("ann", "a", "/s0"), ("bob", "b", "/s1")];

/// The paths of a run, and how often what is asked of them.
#[derive(Clone, Debug)]
pub struct Workload {
    weights: Vec<(Kind, u32)>,
    registers: Vec<Arc<str>>,
    groups: Vec<Vec<Arc<str>>>,
    ephemerals: Vec<Arc<str>>,
    queues: Vec<Arc<str>>,
    parents: Vec<Arc<str>>,
    watched: f64,
}

/// What a client remembers of the znodes that it has seen: their versions.
#[derive(Clone, Debug, Default)]
pub struct Memory(BTreeMap<Arc<str>, i32>);

impl Memory {
    /// Learns from a reply.
    pub fn learn(&mut self, request: &Request, reply: &Reply) {
        match (request, reply) {
            (Request::GetData { path, .. }, Reply::Data { stat, .. })
            | (Request::Exists { path, .. }, Reply::Stat(stat))
            | (Request::SetData(SetData { path, .. }), Reply::Stat(stat)) => self.note(path, stat),
            (Request::MultiRead(ops), Reply::Results(results)) => {
                for (op, result) in ops.iter().zip(results) {
                    if let (ReadOp::GetData { path }, OpResult::Data { stat, .. }) = (op, result) {
                        self.note(path, stat);
                    }
                }
            }
            _ => {}
        }
    }

    fn note(&mut self, path: &Arc<str>, stat: &Stat) {
        self.0.insert(path.clone(), stat.version);
    }

    fn version(&self, path: &Arc<str>) -> i32 {
        self.0.get(path).copied().unwrap_or(0)
    }
}

impl Workload {
    /// Draws a run's paths and mix.
    pub fn draw(rng: &mut SmallRng) -> Workload {
        let list = |paths: &[&str]| paths.iter().map(|path| Arc::from(*path)).collect::<Vec<Arc<str>>>();
        let registers =
            list(&["/r0", "/r1", "/d/k0", "/d/k1", "/d/k2", "/d/k3", "/d/k0/x", "/d/k0/y", "/d/k1/x"]);
        let count = rng.random_range(2..=registers.len());
        let weight = |kind: &Kind| (*kind, if rng.random_bool(0.7) { rng.random_range(1..10) } else { 0 });
        let mut weights: Vec<(Kind, u32)> = KINDS.iter().map(weight).collect();
        weights[4].1 += 2;
        weights[6].1 += 2;
        // Few of many: credentials count until the connection ends.
        weights[16].1 = weights[16].1.min(2);
        Workload {
            weights,
            registers: registers.choose_multiple(rng, count).cloned().collect(),
            groups: vec![list(&["/g/a0", "/g/a1"]), list(&["/g/b0", "/g/b1", "/g/b2"])],
            ephemerals: list(&["/e/0", "/e/1", "/e/2", "/e/3", "/d/k0/e", "/d/k1/e"]),
            queues: list(&["/q/s-", "/d/k0/s-"]),
            parents: list(&PARENTS),
            watched: *[0.0, 0.2, 0.5].choose(rng).expect("three"),
        }
    }

    /// What makes the znodes under which everything happens.
    pub fn preparation(&self, call: impl FnMut() -> CallId) -> Vec<Request> {
        let groups = self.groups.iter().flatten();
        let mut requests: Vec<Request> = self.parents.iter().chain(groups).map(create_with(call)).collect();
        requests.extend(SECRETS.iter().map(create_secret));
        requests
    }

    /// Draws the next request.
    pub fn next(&self, rng: &mut SmallRng, client: usize, call: CallId, memory: &Memory) -> Request {
        let data = || Some(Bytes::from(format!("c{client}-{}", call.0)));
        let watch = rng.random_bool(self.watched);
        let (kind, _) =
            *self.weights.choose_weighted(rng, |(_, weight)| *weight).expect("some weigh something");
        let path =
            if rng.random_bool(0.8) { pick(&self.registers, rng) } else { pick(&self.ephemerals, rng) };
        let group = self.groups.choose(rng).expect("groups");
        match kind {
            Kind::Create => create(path, data(), CreateMode::Persistent, rng.random()),
            Kind::CreateEphemeral => {
                create(pick(&self.ephemerals, rng), data(), CreateMode::Ephemeral, rng.random())
            }
            Kind::CreateSequential => {
                let mode = *[CreateMode::PersistentSequential, CreateMode::EphemeralSequential]
                    .choose(rng)
                    .expect("two");
                create(pick(&self.queues, rng), data(), mode, rng.random())
            }
            Kind::Delete => Request::Delete(Delete { path, version: -1 }),
            Kind::Set => Request::SetData(SetData { path, data: data(), version: -1 }),
            Kind::SetVersion => {
                let version = memory.version(&path);
                Request::SetData(SetData { path, data: data(), version })
            }
            Kind::Get => Request::GetData { path, watch },
            Kind::Exists => Request::Exists { path, watch },
            Kind::Children if rng.random() => Request::GetChildren { path: pick(&self.parents, rng), watch },
            Kind::Children => Request::GetChildren2 { path: pick(&self.parents, rng), watch },
            Kind::Multi => Request::Multi(group.iter().map(|path| set(path, data(), -1)).collect()),
            Kind::MultiVersion => self.multi(group, rng, &data(), memory),
            Kind::MultiRead => {
                Request::MultiRead(group.iter().map(|path| ReadOp::GetData { path: path.clone() }).collect())
            }
            Kind::Sync => Request::Sync { path },
            Kind::AddWatch => {
                let mode =
                    *[AddWatchMode::Persistent, AddWatchMode::PersistentRecursive].choose(rng).expect("two");
                let path = if rng.random_bool(0.7) { path } else { pick(&self.parents, rng) };
                Request::AddWatch { path, mode }
            }
            Kind::Ephemerals => Request::GetEphemerals { prefix: "".into() },
            Kind::Secret => secret(rng, data()),
            Kind::Auth => authenticate(rng),
        }
    }

    /// A multi that depends on what was read: it checks a version, and changes others.
    fn multi(
        &self,
        group: &[Arc<str>],
        rng: &mut SmallRng,
        data: &Option<Bytes>,
        memory: &Memory,
    ) -> Request {
        let mut ops: Vec<MultiOp> = Vec::new();
        for path in group {
            let version = memory.version(path);
            ops.push(match rng.random_range(0..6) {
                0 => MultiOp::Check(Check { path: path.clone(), version }),
                1 => MultiOp::Delete(Delete { path: path.clone(), version: -1 }),
                2 => MultiOp::Create(creation(path.clone(), data.clone(), CreateMode::Persistent, false)),
                3 => set(path, data.clone(), -1),
                _ => set(path, data.clone(), version),
            });
        }
        Request::Multi(ops)
    }
}

/// Reads, writes or watches what only one user may.
fn secret(rng: &mut SmallRng, data: Option<Bytes>) -> Request {
    let (.., path) = SECRETS.choose(rng).expect("two");
    let path: Arc<str> = (*path).into();
    match rng.random_range(0..8) {
        0..4 => Request::GetData { path, watch: false },
        4..6 => Request::SetData(SetData { path, data, version: -1 }),
        6 => Request::AddWatch { path, mode: AddWatchMode::Persistent },
        _ => Request::AddWatch { path: "/".into(), mode: AddWatchMode::PersistentRecursive },
    }
}

/// Shows the credentials of a user.
fn authenticate(rng: &mut SmallRng) -> Request {
    let (user, password, _) = SECRETS.choose(rng).expect("two");
    Request::Auth { kind: 0, scheme: "digest".into(), auth: format!("{user}:{password}").into() }
}

fn create_secret((user, password, path): &(&str, &str, &str)) -> Request {
    let acl =
        vec![Acl { permissions: Permissions::ALL, scheme: "digest".into(), id: digest(user, password) }];
    let create = creation((*path).into(), None, CreateMode::Persistent, false);
    Request::Create(Create { acl, ..create })
}

fn pick(paths: &[Arc<str>], rng: &mut SmallRng) -> Arc<str> {
    paths.choose(rng).expect("paths").clone()
}

fn set(path: &Arc<str>, data: Option<Bytes>, version: i32) -> MultiOp {
    MultiOp::SetData(SetData { path: path.clone(), data, version })
}

fn creation(path: Arc<str>, data: Option<Bytes>, mode: CreateMode, with_stat: bool) -> Create {
    Create { path, data, acl: Acl::open_unsafe(), mode: Ok(mode), with_stat }
}

fn create(path: Arc<str>, data: Option<Bytes>, mode: CreateMode, with_stat: bool) -> Request {
    Request::Create(creation(path, data, mode, with_stat))
}

fn create_with(mut call: impl FnMut() -> CallId) -> impl FnMut(&Arc<str>) -> Request {
    move |path| {
        let data = Bytes::from(format!("p-{}", call().0));
        create(path.clone(), Some(data), CreateMode::Persistent, false)
    }
}
