//! Which request a connection sends next.

use crate::mix::Part;
use crate::op::{Op, Span};
use crate::tree::{Tree, create, set};
use bytes::Bytes;
use clap::ValueEnum;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rand_distr::Zipf;
use serde::Serialize;
use std::collections::VecDeque;
use std::sync::Arc;
use volery::wire::{Delete, MultiOp, Request};

/// How many znodes the connections to a single server may have created and not yet deleted, all together. Where creating
/// goes on beyond it, the measurement ends early: a ZooKeeper with 1 GB of heap must hold them.
pub const ZNODES_MAX: usize = 1_000_000;
/// The same with several servers: each ZooKeeper of an ensemble holds all of them in half the heap.
pub const ZNODES_MAX_OF_SEVERAL: usize = ZNODES_MAX / 2;

/// The skew of the Yahoo cloud serving benchmark.
const ZIPF_EXPONENT: f64 = 0.99;

/// Which keys a connection works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Spread {
    /// each connection in a directory of its own
    Directory,
    /// each request in a random directory
    All,
    /// each request in any directory, some keys far more often than others (Zipf, exponent 0.99)
    Zipf,
}

/// The requests of one connection.
///
/// - Names of created znodes never repeat, within a run and over runs.
/// - Only znodes whose creation was answered are deleted, so that one failure does not cause others.
/// - At most `room` znodes are created, or about to be, and not deleted.
pub struct Workload {
    tree: Arc<Tree>,
    spread: Spread,
    home: usize,
    data: Bytes,
    prefix: String,
    named: u64,
    room: usize,
    undeleted: usize,
    created: VecDeque<Arc<str>>,
    random: SmallRng,
    zipf: Zipf<f64>,
}

impl Workload {
    /// The workload of the connection with index `connection`, whose directory is `home`, with room for so many znodes.
    /// `run` tells the names of one run from those of another; the random choices are the same in every run.
    pub fn new(
        tree: Arc<Tree>,
        spread: Spread,
        data: Bytes,
        run: u64,
        connection: usize,
        home: usize,
        room: usize,
    ) -> Workload {
        let key_count = tree.directory_count() * tree.keys(home).len();
        let zipf =
            Zipf::new(key_count as f64, ZIPF_EXPONENT).expect("there is a key, and the exponent is positive");
        Workload {
            tree,
            spread,
            home,
            data,
            prefix: format!("n{run:x}-{connection}-"),
            named: 0,
            room,
            undeleted: 0,
            created: VecDeque::new(),
            random: SmallRng::seed_from_u64(connection as u64),
            zipf,
        }
    }

    /// The next request of this operation. `None`: nothing is left to delete, or no room to create.
    pub fn next(&mut self, op: Op) -> Option<Request> {
        match op {
            Op::Set => Some(self.set()),
            Op::Get => Some(self.get()),
            Op::Children => Some(self.children()),
            Op::Create => self.create(),
            Op::Delete => self.delete(),
            Op::CreateDelete => self.delete().or_else(|| self.create()),
            Op::Mix(mix, span) => match mix.pick(&mut self.random) {
                Part::Get => Some(self.get()),
                Part::Set => Some(self.set()),
                Part::Children => Some(self.children()),
                Part::Create => self.create().or_else(|| self.delete()),
                Part::Delete => self.delete().or_else(|| self.create()),
                Part::Multi => Some(self.multi(span)),
            },
            Op::Multi(span) => Some(self.multi(span)),
        }
    }

    /// Takes note of the answer to a create.
    pub fn settle(&mut self, path: Arc<str>, succeeded: bool) {
        if succeeded {
            self.created.push_back(path);
        } else {
            self.undeleted -= 1;
        }
    }

    fn set(&mut self) -> Request {
        let (_, key) = self.place();
        Request::SetData(set(key, self.data.clone()))
    }

    fn get(&mut self) -> Request {
        let (_, path) = self.place();
        Request::GetData { path, watch: false }
    }

    fn children(&mut self) -> Request {
        let (directory, _) = self.place();
        Request::GetChildren { path: Arc::clone(self.tree.directory(directory)), watch: false }
    }

    fn create(&mut self) -> Option<Request> {
        if self.undeleted == self.room {
            return None;
        }
        let (directory, _) = self.place();
        let path = format!("{}/{}{}", self.tree.directory(directory), self.prefix, self.named);
        self.named += 1;
        self.undeleted += 1;
        Some(create(path.into(), self.data.clone()))
    }

    fn delete(&mut self) -> Option<Request> {
        let path = self.created.pop_front()?;
        self.undeleted -= 1;
        Some(Request::Delete(Delete { path, version: -1 }))
    }

    /// Two writes in any case, so that what is compared between one and two directories is the crossing alone.
    fn multi(&mut self, span: Span) -> Request {
        let (directory, first) = self.place();
        let other = match span {
            Span::One => directory,
            Span::Two => self.tree.directory_but(directory, &mut self.random),
        };
        let second = self.key(other);
        Request::Multi([first, second].map(|key| MultiOp::SetData(set(key, self.data.clone()))).into())
    }

    /// A directory and one of its keys. By rank, keys go round the directories, so that the most frequent keys are in
    /// different directories.
    fn place(&mut self) -> (usize, Arc<str>) {
        let count = self.tree.directory_count();
        let directory = match self.spread {
            Spread::Directory => self.home,
            Spread::All => self.random.random_range(0..count),
            Spread::Zipf => {
                let keys = count * self.tree.keys(0).len();
                let rank = (self.random.sample(self.zipf) as usize).clamp(1, keys) - 1;
                let directory = rank % count;
                return (directory, Arc::clone(&self.tree.keys(directory)[rank / count]));
            }
        };
        (directory, self.key(directory))
    }

    fn key(&mut self, directory: usize) -> Arc<str> {
        let keys = self.tree.keys(directory);
        Arc::clone(&keys[self.random.random_range(0..keys.len())])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mix::Mix;
    use std::collections::{BTreeMap, BTreeSet};

    const CONNECTION: usize = 1;

    fn workload(spread: Spread) -> Workload {
        let data = Bytes::from_static(b"value");
        Workload::new(Arc::new(Tree::new(4, 10)), spread, data, 7, CONNECTION, CONNECTION, 1_000)
    }

    fn directory(path: &str) -> String {
        path.split('/').nth(2).unwrap().to_owned()
    }

    fn directories_of(spread: Spread, op: Op) -> BTreeSet<String> {
        let mut workload = workload(spread);
        let path = |request| match request {
            Request::SetData(set) => set.path,
            Request::GetData { path, .. } | Request::GetChildren { path, .. } => path,
            Request::Create(create) => create.path,
            other => panic!("{other:?} is not asked for"),
        };
        (0..500).map(|_| directory(&path(workload.next(op).unwrap()))).collect()
    }

    #[test]
    fn a_connection_stays_in_its_directory_or_roams_all() {
        for op in [Op::Set, Op::Get, Op::Children, Op::Create, Op::Mix(Mix::of_gets(50), Span::One)] {
            assert_eq!(directories_of(Spread::Directory, op), BTreeSet::from(["d1".to_owned()]), "{op}");
            assert_eq!(directories_of(Spread::All, op).len(), 4, "{op}");
            assert_eq!(directories_of(Spread::Zipf, op).len(), 4, "{op}");
        }
    }

    #[test]
    fn all_keys_of_a_directory_are_used() {
        let mut workload = workload(Spread::Directory);
        let keys: BTreeSet<_> = (0..500).map(|_| workload.key(CONNECTION)).collect();
        assert_eq!(keys.len(), 10);
    }

    #[test]
    fn some_keys_are_far_more_frequent_with_a_skew_and_all_occur() {
        let mut workload = workload(Spread::Zipf);
        let mut times = BTreeMap::new();
        for _ in 0..10_000 {
            *times.entry(workload.place().1).or_insert(0) += 1;
        }
        // Of 40 keys, the first is drawn with probability 1 / (1 + 1 / 2^0.99 + … + 1 / 40^0.99) = 0.231.
        assert!((2_100..2_500).contains(&times["/bench/d0/k0"]), "{times:?}");
        assert!((1_050..1_300).contains(&times["/bench/d1/k0"]), "{times:?}");
        assert_eq!(times.len(), 40);
    }

    #[test]
    fn a_mix_that_only_deletes_creates_what_it_deletes() {
        let mix = Op::Mix("delete=1".parse().unwrap(), Span::One);
        let mut workload = workload(Spread::Directory);
        let Some(Request::Create(create)) = workload.next(mix) else { panic!("nothing to delete yet") };
        workload.settle(create.path, true);
        assert!(matches!(workload.next(mix), Some(Request::Delete(_))));
    }

    #[test]
    fn a_mix_has_its_share_of_gets() {
        for (get_percent, expected) in [(0, 0..=0), (30, 2_700..=3_300), (100, 10_000..=10_000)] {
            let mut workload = workload(Spread::All);
            let is_get = |request| matches!(request, Request::GetData { .. });
            let mix = Op::Mix(Mix::of_gets(get_percent), Span::One);
            let gets = (0..10_000).filter(|_| is_get(workload.next(mix).unwrap())).count();
            assert!(expected.contains(&gets), "{gets} of 10,000 at {get_percent} percent");
        }
    }

    #[test]
    fn a_multi_writes_two_keys_in_as_many_directories_as_it_spans() {
        for (span, expected) in [(Span::One, 1), (Span::Two, 2)] {
            for spread in [Spread::Directory, Spread::All, Spread::Zipf] {
                let mut workload = workload(spread);
                for _ in 0..500 {
                    let Some(Request::Multi(ops)) = workload.next(Op::Multi(span)) else {
                        panic!("no multi")
                    };
                    assert_eq!(ops.len(), 2);
                    let directories: BTreeSet<_> = ops.iter().map(|op| directory(op.path())).collect();
                    assert_eq!(directories.len(), expected, "{ops:?}");
                }
            }
        }
    }

    #[test]
    fn what_was_created_is_deleted_once_and_only_after_the_answer() {
        let mut workload = workload(Spread::All);
        let Some(Request::Create(first)) = workload.next(Op::CreateDelete) else {
            panic!("nothing to delete yet")
        };
        let Some(Request::Create(second)) = workload.next(Op::CreateDelete) else {
            panic!("not answered yet")
        };
        assert_ne!(first.path, second.path);
        workload.settle(Arc::clone(&first.path), true);
        workload.settle(second.path, false);
        let Some(Request::Delete(delete)) = workload.next(Op::CreateDelete) else { panic!("one is left") };
        assert_eq!(delete.path, first.path);
        assert_eq!(workload.next(Op::Delete), None);
    }

    #[test]
    fn creating_ends_when_the_room_is_used_up_and_goes_on_after_a_delete() {
        let mut workload = Workload { room: 2, ..workload(Spread::Directory) };
        let Some(Request::Create(first)) = workload.next(Op::Create) else { panic!("room for two") };
        let Some(Request::Create(second)) = workload.next(Op::Create) else { panic!("room for one") };
        assert_eq!(workload.next(Op::Create), None);
        workload.settle(first.path, true);
        assert_eq!(workload.next(Op::Create), None);
        assert!(workload.next(Op::Delete).is_some());
        assert!(workload.next(Op::Create).is_some());
        workload.settle(second.path, false);
        assert!(workload.next(Op::Create).is_some());
    }
}
