//! Which request a connection sends next.

use crate::op::{Op, Span};
use crate::tree::{Tree, create, set};
use bytes::Bytes;
use clap::ValueEnum;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde::Serialize;
use std::collections::VecDeque;
use std::sync::Arc;
use volery::wire::{Delete, MultiOp, Request};

/// How many znodes the connections to a single server may have created and not yet deleted, all together. Where creating
/// goes on beyond it, the measurement ends early: a ZooKeeper with 1 GB of heap must hold them.
pub const ZNODES_MAX: usize = 1_000_000;
/// The same with several servers: each ZooKeeper of an ensemble holds all of them in half the heap.
pub const ZNODES_MAX_OF_SEVERAL: usize = ZNODES_MAX / 2;

/// Which directories a connection works in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Spread {
    /// each connection in a directory of its own
    Directory,
    /// each request in a random directory
    All,
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
}

impl Workload {
    /// The workload of the connection with index `connection`, with room for so many znodes. `run` tells the names of one
    /// run from those of another; the random choices are the same in every run.
    pub fn new(
        tree: Arc<Tree>,
        spread: Spread,
        data: Bytes,
        run: u64,
        connection: usize,
        room: usize,
    ) -> Workload {
        let home = connection % tree.directory_count();
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
        }
    }

    /// The next request of this operation. `None`: nothing is left to delete, or no room to create.
    pub fn next(&mut self, op: Op) -> Option<Request> {
        match op {
            Op::Set => Some(self.set()),
            Op::Get => Some(self.get()),
            Op::Create => self.create(),
            Op::Delete => self.delete(),
            Op::CreateDelete => self.delete().or_else(|| self.create()),
            Op::Mix { get_percent } => {
                let get = self.random.random_range(0..100) < get_percent;
                Some(if get { self.get() } else { self.set() })
            }
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
        let directory = self.directory();
        Request::SetData(set(self.key(directory), self.data.clone()))
    }

    fn get(&mut self) -> Request {
        let directory = self.directory();
        Request::GetData { path: self.key(directory), watch: false }
    }

    fn create(&mut self) -> Option<Request> {
        if self.undeleted == self.room {
            return None;
        }
        let directory = self.directory();
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
        let first = self.directory();
        let second = match span {
            Span::One => first,
            Span::Two => self.directory_but(first),
        };
        let write = |directory| MultiOp::SetData(set(self.key(directory), self.data.clone()));
        Request::Multi([first, second].map(write).into())
    }

    fn directory(&mut self) -> usize {
        match self.spread {
            Spread::Directory => self.home,
            Spread::All => self.random.random_range(0..self.tree.directory_count()),
        }
    }

    fn directory_but(&mut self, other: usize) -> usize {
        let count = self.tree.directory_count();
        assert!(count > 1, "there is no second directory");
        (other + self.random.random_range(1..count)) % count
    }

    fn key(&mut self, directory: usize) -> Arc<str> {
        let keys = self.tree.keys(directory);
        Arc::clone(&keys[self.random.random_range(0..keys.len())])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const CONNECTION: usize = 1;

    fn workload(spread: Spread) -> Workload {
        let data = Bytes::from_static(b"value");
        Workload::new(Arc::new(Tree::new(4, 10)), spread, data, 7, CONNECTION, 1_000)
    }

    fn directory(path: &str) -> String {
        path.split('/').nth(2).unwrap().to_owned()
    }

    fn directories_of(spread: Spread, op: Op) -> BTreeSet<String> {
        let mut workload = workload(spread);
        let path = |request| match request {
            Request::SetData(set) => set.path,
            Request::GetData { path, .. } => path,
            Request::Create(create) => create.path,
            other => panic!("{other:?} is not asked for"),
        };
        (0..500).map(|_| directory(&path(workload.next(op).unwrap()))).collect()
    }

    #[test]
    fn a_connection_stays_in_its_directory_or_roams_all() {
        for op in [Op::Set, Op::Get, Op::Create, Op::Mix { get_percent: 50 }] {
            assert_eq!(directories_of(Spread::Directory, op), BTreeSet::from(["d1".to_owned()]), "{op}");
            assert_eq!(directories_of(Spread::All, op).len(), 4, "{op}");
        }
    }

    #[test]
    fn all_keys_of_a_directory_are_used() {
        let mut workload = workload(Spread::Directory);
        let keys: BTreeSet<_> = (0..500).map(|_| workload.key(CONNECTION)).collect();
        assert_eq!(keys.len(), 10);
    }

    #[test]
    fn a_mix_has_its_share_of_gets() {
        for (get_percent, expected) in [(0, 0..=0), (30, 2_700..=3_300), (100, 10_000..=10_000)] {
            let mut workload = workload(Spread::All);
            let is_get = |request| matches!(request, Request::GetData { .. });
            let gets =
                (0..10_000).filter(|_| is_get(workload.next(Op::Mix { get_percent }).unwrap())).count();
            assert!(expected.contains(&gets), "{gets} of 10,000 at {get_percent} percent");
        }
    }

    #[test]
    fn a_multi_writes_two_keys_in_as_many_directories_as_it_spans() {
        for (span, expected) in [(Span::One, 1), (Span::Two, 2)] {
            for spread in [Spread::Directory, Spread::All] {
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
