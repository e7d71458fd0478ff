//! Random operations, in clusters of several shapes, against the model.

use super::cluster::{Cluster, PASSWORD, Session};
use crate::acl::{Caller, Identity, digest};
use crate::command::{Change, Command, Look, Operation, Reply};
use crate::model::{Model, blank};
use crate::path;
use crate::placement::{PlacementConfig, Rule};
use crate::wire::{Acl, CreateMode, Permissions};
use crate::zxid::Zxid;
use bytes::Bytes;
use eyrie::{Outcome, PartitioningOracle, node_client};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::sync::Arc;

const OPERATIONS: usize = 2_500;

/// Draws what clients might ask for: few names, so that they meet.
struct Draw(SmallRng);

impl Draw {
    fn path(&mut self) -> Arc<str> {
        if self.0.random_ratio(1, 30) {
            let odd = [
                "/",
                "/zookeeper",
                "/zookeeper/quota",
                "/zookeeper/config",
                "/a/",
                "a",
                "/a/../b",
                "//a",
                "",
            ];
            return odd.choose(&mut self.0).map(|path| Arc::from(*path)).unwrap();
        }
        let depth = *[1, 1, 2, 2, 2, 3, 3, 4].choose(&mut self.0).unwrap();
        let names = ["a", "b", "c", "q-", "q-0000000000", "q-0000000001"];
        let components = (0..depth).map(|_| format!("/{}", names.choose(&mut self.0).unwrap()));
        components.collect::<String>().into()
    }

    fn version(&mut self) -> i32 {
        *[-1, -1, -1, 0, 1, 2].choose(&mut self.0).unwrap()
    }

    fn data(&mut self) -> Option<Bytes> {
        let length = self.0.random_range(0..4);
        self.0.random_ratio(7, 8).then(|| Bytes::from(vec![self.0.random(); length]))
    }

    fn acl(&mut self) -> Vec<Acl> {
        let ann = |permissions| Acl { permissions, scheme: "digest".into(), id: digest("ann", "secret") };
        match self.0.random_range(0..20) {
            0 => vec![],
            1 => vec![Acl::world(Permissions::READ), ann(Permissions::ALL)],
            2 => vec![Acl { permissions: Permissions::ALL, scheme: "auth".into(), id: String::new() }],
            3 => vec![Acl::world(Permissions::READ | Permissions::WRITE | Permissions::CREATE)],
            4 => vec![ann(Permissions::READ), ann(Permissions::READ), Acl::world(Permissions::ALL)],
            _ => Acl::open_unsafe(),
        }
    }

    fn mode(&mut self) -> CreateMode {
        use CreateMode::*;
        let modes = [
            Persistent,
            Persistent,
            Persistent,
            Ephemeral,
            Ephemeral,
            PersistentSequential,
            EphemeralSequential,
            Container,
            Ttl(60_000),
            TtlSequential(60_000),
            Ttl(0),
        ];
        *modes.choose(&mut self.0).unwrap()
    }

    fn change(&mut self) -> Change {
        let path = self.path();
        match self.0.random_range(0..12) {
            0..=5 => {
                let (data, acl, mode) = (self.data(), self.acl(), self.mode());
                Change::Create { path, data, acl, mode, with_stat: self.0.random() }
            }
            6..=8 => Change::Delete { path, version: self.version() },
            9 | 10 => Change::SetData { path, data: self.data(), version: self.version() },
            _ => Change::Check { path, version: self.version() },
        }
    }

    fn look(&mut self) -> Look {
        let path = self.path();
        match self.0.random_range(0..4) {
            0 => Look::Exists(path),
            1 => Look::GetData(path),
            2 => Look::GetAcl(path),
            _ => Look::GetChildren { path, with_stat: self.0.random() },
        }
    }

    fn burst(&mut self) -> Vec<Operation> {
        let count = self.0.random_range(1..8);
        (0..).map(|_| self.operation()).filter(Operation::fits_a_burst).take(count).collect()
    }

    fn operation(&mut self) -> Operation {
        let count = self.0.random_range(0..5);
        match self.0.random_range(0..24) {
            0..=12 => Operation::Change(self.change()),
            13 => Operation::Change(Change::SetAcl {
                path: self.path(),
                acl: self.acl(),
                version: self.version(),
            }),
            14..=17 => Operation::Multi((0..count).map(|_| self.change()).collect()),
            18 | 19 => Operation::Look(self.look()),
            20 => Operation::MultiRead((0..count).map(|_| self.look()).collect()),
            21 => Operation::GetEphemerals(
                ["/", "/a", "/b/q"].choose(&mut self.0).map(|path| Arc::from(*path)).unwrap(),
            ),
            22 => Operation::CountDescendants(self.path()),
            _ => Operation::Sync(self.path()),
        }
    }
}

/// The last zxids of each znode, to which every change must add.
#[derive(Default)]
struct Rising(BTreeMap<String, [i64; 3]>);

impl Rising {
    /// Looks at every znode of the model after a command: what changed, changed under its zxid alone, and rose.
    fn follow(&mut self, cluster: &mut Cluster, paths: &[String], zxid: Option<Zxid>) {
        let found = probe(cluster, paths);
        for (path, now) in paths.iter().zip(found) {
            let before = self.0.insert(path.clone(), now).unwrap_or_default();
            for (now, before) in now.into_iter().zip(before) {
                assert!(now >= before, "{path} falls from {before:#x} to {now:#x}");
                let own = zxid.is_none_or(|zxid| now == zxid.to_wire());
                assert!(now == before || own, "{path} has {now:#x}, which is not the command's");
            }
        }
    }
}

/// The zxids of many znodes, read without a command.
fn probe(cluster: &Cluster, paths: &[String]) -> Vec<[i64; 3]> {
    let at = |path: &String| cluster.placement.of(path).index();
    let facts = |path: &String| cluster.partitions().nth(at(path)).unwrap().variables().facts(path).cloned();
    let zxids = |path: &String| {
        facts(path).map_or([0; 3], |facts| [facts.czxid, facts.mzxid, facts.pzxid].map(Zxid::to_wire))
    };
    paths.iter().map(zxids).collect()
}

fn with_identities(session: Session, place: usize) -> Session {
    let ann = Identity { scheme: "digest".into(), id: digest("ann", "secret") };
    let identities = if place == 0 { vec![ann] } else { vec![] };
    Session { caller: Caller { identities, superuser: place == 2, ..session.caller.clone() }, ..session }
}

/// Runs one history; how many commands went over several partitions.
fn history(partitions: u16, config: &PlacementConfig, seed: u64) -> u64 {
    let mut draw = Draw(SmallRng::seed_from_u64(seed));
    let mut cluster = Cluster::placed(partitions, config, seed);
    cluster.strays = true;
    let mut model = Model::new();
    let mut opened = 0..;
    let mut open =
        |cluster: &mut Cluster, place| with_identities(cluster.open(100 + opened.next().unwrap()), place);
    let mut sessions: Vec<Session> = (0..3).map(|place| open(&mut cluster, place)).collect();
    let mut rising = Rising::default();
    for step in 0..OPERATIONS {
        let place = draw.0.random_range(0..3);
        let Session { id, epoch, .. } = sessions[place];
        let drift = draw.0.random_range(0..usize::from(partitions));
        cluster.times_ms[drift] += draw.0.random_range(0..50);
        let mut zxid = None;
        match draw.0.random_range(0..100) {
            0 => {
                let end =
                    [Command::Close { session: id, epoch }, Command::Expire { session: id, epoch, reign: 0 }];
                assert_eq!(cluster.node(end.choose(&mut draw.0).unwrap().clone()), Reply::Done);
                model.end(id);
                sessions[place] = open(&mut cluster, place);
            }
            1 => {
                let moved =
                    cluster.node(Command::Move { session: id, password: PASSWORD, timeout_ms: 6_000 });
                assert!(matches!(moved, Reply::Session { timeout_ms: 6_000, .. }), "{moved:?}");
                sessions[place].epoch += 1;
            }
            2..20 => {
                let operations = draw.burst();
                let one = |operation| model.operate(id, &sessions[place].caller, operation);
                let expected: Vec<_> = operations.iter().map(one).collect();
                let reply = cluster.operate(&sessions[place], Operation::Burst(operations.clone()));
                let Reply::Burst(results) = reply else { panic!("{reply:?}") };
                let results: Vec<_> = results.into_iter().map(|result| result.expect("a part")).collect();
                let zxids = results.iter().map(|(zxid, _)| *zxid).filter(|zxid| *zxid != Zxid::ZERO);
                assert!(zxids.is_sorted_by(|a, b| a < b), "seed {seed}, step {step}: {results:?}");
                let results: Vec<_> = results.into_iter().map(|(_, result)| result.map(blank)).collect();
                assert_eq!(results, expected, "seed {seed}, step {step}: {operations:?}");
            }
            _ => {
                let operation = draw.operation();
                let expected = model.operate(id, &sessions[place].caller, &operation);
                let reply = cluster.operate(&sessions[place], operation.clone());
                let Reply::Operation { zxid: own, result } = reply else { panic!("{reply:?}") };
                zxid = Some(own);
                assert_eq!(result.map(blank), expected, "seed {seed}, step {step}: {operation:?}");
            }
        }
        let paths = model.paths();
        rising.0.retain(|path, _| paths.binary_search(path).is_ok());
        rising.follow(&mut cluster, &paths, zxid);
    }
    cluster.check();
    let znodes: u64 = cluster.partitions().map(|replica| replica.variables().holdings().znodes).sum();
    assert_eq!(znodes, model.paths().len() as u64);
    assert!(model.paths().iter().all(|path| path == path::ROOT || path::validate(path).is_ok()));
    cluster.exchanged()
}

#[test]
fn one_partition_does_as_the_model() {
    for seed in 0..3 {
        assert_eq!(history(1, &PlacementConfig::default(), seed), 0);
    }
}

#[test]
fn three_partitions_do_as_the_model() {
    for seed in 0..3 {
        assert!(history(3, &PlacementConfig::default(), seed) > 1_000);
    }
}

#[test]
fn deep_and_ruled_placements_do_as_the_model() {
    let rules = [("/a".to_owned(), Rule::Depth(1)), ("/b/c".to_owned(), Rule::Partition(2))];
    let config = PlacementConfig { depth: 4, rules: rules.into() };
    for seed in 10..12 {
        assert!(history(5, &config, seed) > 1_000);
    }
}

#[test]
fn replies_do_not_depend_on_when_signals_arrive() {
    for seed in 0..5 {
        let said = |eager: bool| {
            let mut draw = Draw(SmallRng::seed_from_u64(seed));
            let mut cluster = Cluster::placed(3, &PlacementConfig::default(), seed + u64::from(eager));
            let caller = Caller::from([127, 0, 0, 1].into());
            let mut ids = Vec::new();
            for _ in 0..1_000 {
                let command = Command::Operate { caller: caller.clone(), operation: draw.operation() };
                let to = cluster.placement.destinations(&command);
                ids.push(cluster.order(node_client(7), 1, command, to));
                if eager {
                    cluster.carry();
                }
            }
            cluster.carry();
            cluster.check();
            let outcomes = ids.into_iter().map(|id| match &*cluster.answer(id).outcome {
                Outcome::Reply(reply) => reply.clone(),
                other => panic!("{other:?}"),
            });
            let outcomes: Vec<Reply> = outcomes.collect();
            let hashes: Vec<u64> = cluster.partitions().map(|replica| replica.state_hash()).collect();
            (outcomes, hashes, cluster.take_events())
        };
        let (eager, late) = (said(true), said(false));
        let done = |reply: &&Reply| matches!(reply, Reply::Operation { zxid, .. } if *zxid != Zxid::ZERO);
        assert!(eager.0.iter().filter(done).count() > 50);
        assert_eq!(eager, late);
    }
}
