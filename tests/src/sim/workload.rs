//! What the clients of a run ask for. A run draws its own mix, so that each kind of request is frequent in some runs.

mod memory;
mod places;
pub mod users;

pub use memory::Memory;

use super::draw::Sizes;
use super::emphasis::Emphasis;
use super::history::CallId;
use bytes::Bytes;
use places::{Places, pick};
use rand::Rng as _;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;
use std::sync::Arc;
use users::{Guarded, SUPERUSER, USERS, User, lists};
use volery::wire::{
    Acl, AddWatchMode, Check, Create, CreateMode, Delete, MultiOp, ReadOp, Request, SetData, WatcherType,
};

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each says what it is")]
pub enum Kind {
    Create,
    CreateEphemeral,
    CreateSequential,
    CreateTtl,
    CreateContainer,
    CreateListed,
    Prepare,
    Delete,
    DeleteVersion,
    Set,
    SetVersion,
    SetListed,
    Get,
    Exists,
    Children,
    GetListed,
    GetAcl,
    SetAcl,
    Auth,
    WhoAmI,
    Multi,
    MultiVersion,
    MultiMixed,
    MultiRead,
    View,
    Sync,
    AddWatch,
    CheckWatches,
    RemoveWatches,
    Ephemerals,
    Descendants,
}

/// The kinds, and how often in 100 runs each is part of the mix.
const KINDS: [(Kind, u32); 31] = [
    (Kind::Create, 70),
    (Kind::CreateEphemeral, 70),
    (Kind::CreateSequential, 70),
    (Kind::CreateTtl, 40),
    (Kind::CreateContainer, 40),
    (Kind::CreateListed, 30),
    (Kind::Prepare, 50),
    (Kind::Delete, 70),
    (Kind::DeleteVersion, 40),
    (Kind::Set, 70),
    (Kind::SetVersion, 70),
    (Kind::SetListed, 40),
    (Kind::Get, 70),
    (Kind::Exists, 70),
    (Kind::Children, 70),
    (Kind::GetListed, 40),
    (Kind::GetAcl, 30),
    (Kind::SetAcl, 30),
    (Kind::Auth, 40),
    (Kind::WhoAmI, 20),
    (Kind::Multi, 70),
    (Kind::MultiVersion, 70),
    (Kind::MultiMixed, 50),
    (Kind::MultiRead, 70),
    (Kind::View, 40),
    (Kind::Sync, 70),
    (Kind::AddWatch, 70),
    (Kind::CheckWatches, 20),
    (Kind::RemoveWatches, 30),
    (Kind::Ephemerals, 70),
    (Kind::Descendants, 40),
];

/// A time to live that no run lasts, whatever its clocks say.
pub const TTL_LASTING_MS: i64 = 48 * 3_600_000;
/// The longest of the times to live that a run outlasts.
pub const TTL_BRIEF_MS_MAX: i64 = 3_000;
/// The most operations of a mixed multi.
const MIXED_MAX: usize = 6;

/// The paths of a run, and how often what is asked of them.
#[derive(Clone, Debug)]
pub struct Workload {
    weights: Vec<(Kind, u32)>,
    places: Places,
    watched: f64,
    sizes: Sizes,
}

impl Workload {
    /// Draws a run's paths and mix.
    pub fn draw(rng: &mut SmallRng, emphasis: &Emphasis, sizes: Sizes) -> Workload {
        let weight = |(kind, chance): &(Kind, u32)| {
            let is_in = rng.random_range(0..100) < *chance;
            let least = u32::from(matches!(kind, Kind::Set | Kind::Get)) * 2;
            (*kind, least + if is_in { rng.random_range(1..10) } else { 0 })
        };
        let mut weights: Vec<(Kind, u32)> = KINDS.iter().map(weight).collect();
        let drawn = weights.iter().map(|(_, weight)| weight).sum();
        for (_, weight) in weights.iter_mut().filter(|(kind, _)| emphasis.requests.contains(kind)) {
            *weight = drawn;
        }
        Workload {
            weights,
            places: Places::draw(rng),
            watched: emphasis.watched.max(*[0.0, 0.2, 0.5].choose(rng).expect("three")),
            sizes,
        }
    }

    /// What makes the znodes under which everything happens, and those that nobody deletes.
    pub fn preparation(&self, mut call: impl FnMut() -> CallId) -> Vec<Request> {
        let paths = self.prepared().cloned().collect::<Vec<Arc<str>>>();
        let data = |call: CallId| Some(Bytes::from(format!("p-{}", call.0)));
        paths.into_iter().map(|path| prepare(path, data(call()))).collect()
    }

    fn prepared(&self) -> impl Iterator<Item = &Arc<str>> {
        self.places.parents.iter().chain(self.places.groups.iter().flatten()).chain(&self.places.guarded)
    }

    /// Requests that look at what goes by itself.
    pub fn mortals(&self) -> Vec<Request> {
        let paths = self.places.brief.iter().chain(&self.places.containers);
        paths.map(|path| Request::Exists { path: path.clone(), watch: false }).collect()
    }

    /// Draws the next request.
    pub fn next(&self, rng: &mut SmallRng, client: usize, call: CallId, memory: &Memory) -> Request {
        let (name, padding) = (format!("c{client}-{}", call.0), self.sizes.padding(rng));
        let data = Some(Bytes::from(name + &" ".repeat(padding)));
        let watch = rng.random_bool(self.watched);
        let (kind, _) =
            *self.weights.choose_weighted(rng, |(_, weight)| *weight).expect("some weigh something");
        let places = &self.places;
        match kind {
            Kind::Create | Kind::CreateEphemeral | Kind::CreateSequential | Kind::CreateTtl => {
                self.create(kind, rng, data)
            }
            Kind::CreateContainer | Kind::CreateListed | Kind::Prepare => self.create(kind, rng, data),
            Kind::Delete => Request::Delete(Delete { path: places.any(rng), version: -1 }),
            Kind::DeleteVersion => {
                let path = places.any(rng);
                let version = memory.version(&path);
                Request::Delete(Delete { path, version })
            }
            Kind::Set => Request::SetData(SetData { path: places.any(rng), data, version: -1 }),
            Kind::SetListed => {
                Request::SetData(SetData { path: places.allowed_or_not(rng), data, version: -1 })
            }
            Kind::SetVersion => {
                let path = places.any(rng);
                let version = memory.version(&path);
                Request::SetData(SetData { path, data, version })
            }
            Kind::Multi => {
                let group = places.groups.choose(rng).expect("groups");
                Request::Multi(group.iter().map(|path| set(path, data.clone(), -1)).collect())
            }
            Kind::MultiVersion => self.multi(rng, &data, memory),
            Kind::MultiMixed => self.mixed(rng, &data, memory),
            Kind::Auth => auth(rng),
            Kind::GetAcl => Request::GetAcl { path: places.allowed_or_not(rng) },
            Kind::SetAcl => {
                let path = pick(&places.listed, rng);
                let version = if rng.random() { -1 } else { memory.aversion(&path) };
                Request::SetAcl { path, acl: lists().choose(rng).expect("lists").clone(), version }
            }
            _ => self.look(kind, rng, watch),
        }
    }

    /// What changes nothing in the tree.
    fn look(&self, kind: Kind, rng: &mut SmallRng, watch: bool) -> Request {
        let places = &self.places;
        let path = places.any(rng);
        match kind {
            Kind::Exists => Request::Exists { watch: watch && !places.listed.contains(&path), path },
            Kind::Children if rng.random() => {
                Request::GetChildren { path: pick(&places.parents, rng), watch }
            }
            Kind::Children => Request::GetChildren2 { path: pick(&places.parents, rng), watch },
            Kind::GetListed if rng.random_bool(0.2) => {
                let path = if rng.random() { places.allowed_or_not(rng) } else { "/".into() };
                Request::AddWatch { path, mode: any_mode(rng) }
            }
            Kind::GetListed => Request::GetData { path: places.allowed_or_not(rng), watch: false },
            Kind::WhoAmI => Request::WhoAmI,
            Kind::MultiRead => {
                let group = places.groups.choose(rng).expect("groups");
                Request::MultiRead(group.iter().map(|path| ReadOp::GetData { path: path.clone() }).collect())
            }
            Kind::View => Request::MultiRead(places.views.choose(rng).expect("views").clone()),
            Kind::Sync => Request::Sync { path },
            Kind::AddWatch => {
                let path = if rng.random_bool(0.7) { path } else { pick(&places.parents, rng) };
                Request::AddWatch { path, mode: any_mode(rng) }
            }
            Kind::CheckWatches | Kind::RemoveWatches => {
                let path = if rng.random_bool(0.7) { path } else { pick(&places.parents, rng) };
                let watcher = *WatcherType::ALL.choose(rng).expect("five");
                match kind {
                    Kind::CheckWatches => Request::CheckWatches { path, kind: watcher },
                    _ => Request::RemoveWatches { path, kind: watcher },
                }
            }
            Kind::Ephemerals => {
                let prefix = *["", "/e", "/d/k0/", "/nowhere"].choose(rng).expect("four");
                Request::GetEphemerals { prefix: prefix.into() }
            }
            Kind::Descendants if rng.random_bool(0.3) => Request::GetAllChildrenNumber { path: "/".into() },
            Kind::Descendants => Request::GetAllChildrenNumber { path: pick(&places.parents, rng) },
            _ => Request::GetData { watch: watch && !places.listed.contains(&path), path },
        }
    }

    fn create(&self, kind: Kind, rng: &mut SmallRng, data: Option<Bytes>) -> Request {
        let places = &self.places;
        let mut acl = Acl::open_unsafe();
        let (path, mode) = match kind {
            Kind::Prepare => {
                let all: Vec<&Arc<str>> = self.prepared().collect();
                return prepare((*all.choose(rng).expect("parents")).clone(), data);
            }
            Kind::CreateEphemeral => (pick(&places.ephemerals, rng), CreateMode::Ephemeral),
            Kind::CreateSequential => {
                let modes = [CreateMode::PersistentSequential, CreateMode::EphemeralSequential];
                (pick(&places.queues, rng), *modes.choose(rng).expect("two"))
            }
            Kind::CreateTtl => self.mortal(rng),
            Kind::CreateContainer if rng.random() => (pick(&places.containers, rng), CreateMode::Container),
            Kind::CreateContainer => {
                let modes = [CreateMode::Persistent, CreateMode::Ephemeral];
                (pick(&places.contained, rng), *modes.choose(rng).expect("two"))
            }
            Kind::CreateListed => {
                acl.clone_from(lists().choose(rng).expect("lists"));
                (pick(&places.listed, rng), CreateMode::Persistent)
            }
            _ => (pick(&places.registers, rng), CreateMode::Persistent),
        };
        Request::Create(Create { path, data, acl, mode: Ok(mode), with_stat: rng.random() || has_stat(mode) })
    }

    /// A znode with a time to live: a short one, a long one, or one that is none.
    fn mortal(&self, rng: &mut SmallRng) -> (Arc<str>, CreateMode) {
        let brief_ms = rng.random_range(100..TTL_BRIEF_MS_MAX);
        match rng.random_range(0..10) {
            0 => (
                pick(&self.places.brief, rng),
                CreateMode::Ttl(*[0, -1, i64::MAX].choose(rng).expect("three")),
            ),
            1 => ("/t/s-".into(), CreateMode::TtlSequential(brief_ms)),
            2..6 => (pick(&self.places.lasting, rng), CreateMode::Ttl(TTL_LASTING_MS)),
            _ => (pick(&self.places.brief, rng), CreateMode::Ttl(brief_ms)),
        }
    }

    /// A multi that depends on what was read: it checks a version, and changes others.
    fn multi(&self, rng: &mut SmallRng, data: &Option<Bytes>, memory: &Memory) -> Request {
        let mut ops: Vec<MultiOp> = Vec::new();
        for path in self.places.groups.choose(rng).expect("groups") {
            let version = memory.version(path);
            ops.push(match rng.random_range(0..6) {
                0 => MultiOp::Check(Check { path: path.clone(), version }),
                1 => MultiOp::Delete(Delete { path: path.clone(), version: -1 }),
                2 => MultiOp::Create(creation(path.clone(), data.clone(), CreateMode::Persistent, false)),
                3 => set(path, data.clone(), -1),
                _ => set(path, data.clone(), version),
            });
        }
        if rng.random_bool(0.1) {
            ops.push(set(&pick(&self.places.guarded, rng), data.clone(), -1));
        }
        Request::Multi(ops)
    }

    /// A multi of any operations, several on one znode among them; it may be empty.
    fn mixed(&self, rng: &mut SmallRng, data: &Option<Bytes>, memory: &Memory) -> Request {
        let bundle = self.places.bundles.choose(rng).expect("bundles");
        let count = rng.random_range(0..=MIXED_MAX);
        let part = |rng: &mut SmallRng| {
            let path = pick(bundle, rng);
            let version = if rng.random() { -1 } else { memory.version(&path) };
            match rng.random_range(0..8) {
                0 => MultiOp::Check(Check { path, version }),
                1 => MultiOp::Delete(Delete { path, version }),
                2 => {
                    let modes = [CreateMode::PersistentSequential, CreateMode::EphemeralSequential];
                    let (queue, mode) = (pick(&self.places.queues, rng), *modes.choose(rng).expect("two"));
                    MultiOp::Create(creation(queue, data.clone(), mode, rng.random()))
                }
                3 | 4 => {
                    MultiOp::Create(creation(path.clone(), data.clone(), self.mode_at(&path), rng.random()))
                }
                _ => MultiOp::SetData(SetData { path, data: data.clone(), version }),
            }
        };
        Request::Multi((0..count).map(|_| part(rng)).collect())
    }

    /// How a znode at a path is created.
    fn mode_at(&self, path: &Arc<str>) -> CreateMode {
        if self.places.ephemerals.contains(path) {
            CreateMode::Ephemeral
        } else if self.places.lasting.contains(path) {
            CreateMode::Ttl(TTL_LASTING_MS)
        } else {
            CreateMode::Persistent
        }
    }
}

/// Whether requests for this mode are always answered with a Stat.
fn has_stat(mode: CreateMode) -> bool {
    matches!(mode, CreateMode::Container | CreateMode::Ttl(_) | CreateMode::TtlSequential(_))
}

fn auth(rng: &mut SmallRng) -> Request {
    match rng.random_range(0..40) {
        0 => Request::Auth { kind: 0, scheme: "kerberos".into(), auth: Bytes::from_static(b"ticket") },
        1..4 => SUPERUSER.auth(),
        _ => User(rng.random_range(0..USERS - 1)).auth(),
    }
}

fn any_mode(rng: &mut SmallRng) -> AddWatchMode {
    *[AddWatchMode::Persistent, AddWatchMode::PersistentRecursive].choose(rng).expect("two")
}

fn set(path: &Arc<str>, data: Option<Bytes>, version: i32) -> MultiOp {
    MultiOp::SetData(SetData { path: path.clone(), data, version })
}

fn creation(path: Arc<str>, data: Option<Bytes>, mode: CreateMode, with_stat: bool) -> Create {
    Create { path, data, acl: Acl::open_unsafe(), mode: Ok(mode), with_stat: with_stat || has_stat(mode) }
}

/// Creates a znode that is to be there all the time, with the list that it is to have.
fn prepare(path: Arc<str>, data: Option<Bytes>) -> Request {
    let acl = Guarded::at(&path).map_or_else(Acl::open_unsafe, Guarded::acl);
    Request::Create(Create { path, data, acl, mode: Ok(CreateMode::Persistent), with_stat: false })
}
