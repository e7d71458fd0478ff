//! The paths of a run, by what happens there.

use super::users::Guarded;
use rand::Rng as _;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;
use std::sync::Arc;
use volery::wire::ReadOp;

/// The znodes under which everything happens. Those of one component live with the root or by themselves, those of two by
/// themselves, deeper ones with their ancestor of two; rules of the placement may have it otherwise.
const PARENTS: [&str; 10] = ["/d", "/g", "/q", "/e", "/t", "/c", "/l", "/a", "/d/k0", "/d/k1"];
const REGISTERS: [&str; 10] =
    ["/r0", "/r1", "/d/k0", "/d/k1", "/d/k2", "/d/k3", "/d/k0/x", "/d/k0/y", "/d/k1/x", "/d/k0/x/z"];
/// The most znodes that a mixed multi is about, so that they can be judged together.
const BUNDLE_MAX: usize = 4;
/// The most parts of a view.
const VIEW_MAX: usize = 6;

/// The paths of a run.
#[derive(Clone, Debug)]
pub struct Places {
    /// Znodes that are created, changed and deleted in every way.
    pub registers: Vec<Arc<str>>,
    /// Znodes that are changed together.
    pub groups: Vec<Vec<Arc<str>>>,
    /// Znodes that are changed together, and created and deleted too.
    pub bundles: Vec<Vec<Arc<str>>>,
    /// What is read together.
    pub views: Vec<Vec<ReadOp>>,
    /// Znodes that go with a session.
    pub ephemerals: Vec<Arc<str>>,
    /// The beginnings of sequential znodes.
    pub queues: Vec<Arc<str>>,
    /// Znodes that go by themselves soon.
    pub brief: Vec<Arc<str>>,
    /// Znodes with a time to live that no run lasts.
    pub lasting: Vec<Arc<str>>,
    /// Containers. The last never has children, and so does not go by itself.
    pub containers: Vec<Arc<str>>,
    /// Children of containers.
    pub contained: Vec<Arc<str>>,
    /// Znodes whose access-control lists change.
    pub listed: Vec<Arc<str>>,
    /// Znodes whose lists never change.
    pub guarded: Vec<Arc<str>>,
    /// The znodes under which all these are.
    pub parents: Vec<Arc<str>>,
}

impl Places {
    /// Draws a run's paths.
    pub fn draw(rng: &mut SmallRng) -> Places {
        let registers = list(&REGISTERS);
        let count = rng.random_range(2..=registers.len());
        let mut places = Places {
            registers: registers.choose_multiple(rng, count).cloned().collect(),
            groups: vec![list(&["/g/a0", "/g/a1"]), list(&["/g/b0", "/g/b1", "/g/b2"])],
            bundles: Vec::new(),
            views: Vec::new(),
            ephemerals: list(&["/e/0", "/e/1", "/e/2", "/e/3", "/d/k0/e", "/d/k1/e"]),
            queues: list(&["/q/s-", "/d/k0/s-"]),
            brief: list(&["/t/0", "/t/1", "/d/k0/t"]),
            lasting: list(&["/t/8", "/d/k1/t"]),
            containers: list(&["/c/0", "/c/1", "/c/9"]),
            contained: list(&["/c/0/x", "/c/1/x", "/c/1/y"]),
            listed: list(&["/l/0", "/l/1", "/d/k1/l"]),
            guarded: Guarded::paths(),
            parents: list(&PARENTS),
        };
        places.bundles = (0..2).map(|_| places.bundle(rng)).collect();
        places.views = (0..3).map(|_| places.view(rng)).collect();
        places
    }

    fn bundle(&self, rng: &mut SmallRng) -> Vec<Arc<str>> {
        let all: Vec<&Arc<str>> = self
            .registers
            .iter()
            .chain(&self.ephemerals)
            .chain(&self.lasting)
            .chain(&self.contained)
            .collect();
        let count = rng.random_range(2..=BUNDLE_MAX);
        all.choose_multiple(rng, count).map(|path| (*path).clone()).collect()
    }

    fn view(&self, rng: &mut SmallRng) -> Vec<ReadOp> {
        let groups = self.groups.iter().flatten();
        let znodes: Vec<&Arc<str>> = groups.chain(&self.registers).chain(&self.guarded).collect();
        let count = rng.random_range(1..=VIEW_MAX);
        let part = |rng: &mut SmallRng| {
            if rng.random_bool(0.2) {
                ReadOp::GetChildren { path: pick(&self.parents, rng) }
            } else {
                ReadOp::GetData { path: (*znodes.choose(rng).expect("znodes")).clone() }
            }
        };
        (0..count).map(|_| part(rng)).collect()
    }

    /// Draws any path of a znode that is created, changed and deleted: mostly a register.
    pub fn any(&self, rng: &mut SmallRng) -> Arc<str> {
        let others = [&self.brief, &self.lasting, &self.containers, &self.contained, &self.listed];
        match rng.random_range(0..100) {
            0..72 => pick(&self.registers, rng),
            72..86 => pick(&self.ephemerals, rng),
            _ => pick(others.choose(rng).expect("five"), rng),
        }
    }

    /// Draws a path that a change with a session's own means is tried on: any, or one whose list may forbid it.
    pub fn allowed_or_not(&self, rng: &mut SmallRng) -> Arc<str> {
        if rng.random() { pick(&self.listed, rng) } else { pick(&self.guarded, rng) }
    }
}

fn list(paths: &[&str]) -> Vec<Arc<str>> {
    paths.iter().map(|path| Arc::from(*path)).collect()
}

/// Draws one of some paths.
pub fn pick(paths: &[Arc<str>], rng: &mut SmallRng) -> Arc<str> {
    paths.choose(rng).expect("paths").clone()
}
