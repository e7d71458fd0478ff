//! Znodes: ZooKeeper's results, case by case, in one partition and in three.

use super::cluster::{Cluster, Session, check, create, delete, set};
use crate::acl::{Readers, digest};
use crate::command::{Change, Command, Event, Found, Look, Operation, Reply};
use crate::service::REAPED_MAX;
use crate::wire::{
    Acl, CreateMode, ErrorCode, OpResult, Permissions, REPLY_BYTES_MAX, Reply as WireReply, Stat,
};
use crate::zxid::Zxid;
use ErrorCode::*;
use bytes::Bytes;
use eyrie::{ClientId, Refusal};
use std::sync::Arc;

/// Runs a scenario in clusters of one and of three partitions, with a session open.
fn everywhere(scenario: impl Fn(&mut Cluster, &Session)) {
    for partitions in [1, 3] {
        let mut cluster = Cluster::new(partitions);
        let session = cluster.open(9);
        scenario(&mut cluster, &session);
        cluster.check();
    }
}

/// A session of a superuser.
fn superuser(session: &Session) -> Session {
    let mut session = session.clone();
    session.caller.superuser = true;
    session
}

/// Two znodes below the root that live in different partitions, neither in the root's.
fn apart(cluster: &Cluster) -> (String, String) {
    let at = |path: &String| cluster.placement.of(path).0;
    let find =
        |partition| ('a'..='z').map(|name| format!("/{name}")).find(|path| at(path) == partition).unwrap();
    (find(1), find(2))
}

#[test]
fn a_fresh_tree_is_zookeepers() {
    everywhere(|cluster, session| {
        assert_eq!(cluster.names(session, "/"), ["zookeeper"]);
        assert_eq!(cluster.names(session, "/zookeeper"), ["config", "quota"]);
        let root = cluster.stat(session, "/").unwrap();
        assert_eq!((root.czxid, root.ctime, root.cversion, root.num_children), (0, 0, -1, 1));
        assert_eq!(cluster.stat(session, "/zookeeper").unwrap().cversion, -2);
        assert_eq!(cluster.change(session, set("/zookeeper/config", "x", -1)), Err(NoAuth));
        assert!(cluster.change(&superuser(session), set("/zookeeper/config", "x", -1)).is_ok());
        for special in ["/", "/zookeeper", "/zookeeper/config", "/zookeeper/quota"] {
            assert_eq!(cluster.change(session, delete(special)), Err(BadArguments));
        }
        assert_eq!(cluster.create(session, "/", CreateMode::Persistent), Err(NodeExists));
        assert!(cluster.create(session, "/zookeeper/quota/x", CreateMode::Persistent).is_ok());
    });
}

#[test]
fn a_znode_lives_as_in_zookeeper() {
    everywhere(|cluster, session| {
        cluster.set_time_ms(5_000);
        assert_eq!(cluster.create(session, "/a", CreateMode::Persistent).unwrap(), "/a");
        let made = cluster.stat(session, "/a").unwrap();
        assert_eq!((made.version, made.data_length, made.ctime, made.mtime), (0, 4, 5_000, 5_000));
        assert!(made.czxid > 0 && made.czxid == made.mzxid && made.czxid == made.pzxid);
        assert_eq!(cluster.stat(session, "/").unwrap().pzxid, made.czxid);

        cluster.set_time_ms(6_000);
        assert_eq!(cluster.change(session, set("/a", "longer", 1)), Err(BadVersion));
        let Ok(WireReply::Stat(set)) = cluster.change(session, set("/a", "longer", 0)) else { panic!() };
        assert_eq!((set.version, set.data_length, set.ctime, set.mtime), (1, 6, 5_000, 6_000));
        assert!(set.mzxid > made.mzxid && set.czxid == made.czxid && set.pzxid == made.pzxid);
        let data = Some(Bytes::from_static(b"longer"));
        assert_eq!(
            cluster.look(session, Look::GetData("/a".into())),
            Ok(WireReply::Data { data, stat: set })
        );

        cluster.create(session, "/a/b", CreateMode::Persistent).unwrap();
        let parent = cluster.stat(session, "/a").unwrap();
        assert_eq!((parent.cversion, parent.num_children, parent.version), (1, 1, 1));
        assert!(parent.pzxid > set.mzxid && parent.mzxid == set.mzxid && parent.mtime == 6_000);
        assert_eq!(cluster.change(session, delete("/a")), Err(NotEmpty));
        assert_eq!(cluster.change(session, delete("/a/b")), Ok(WireReply::Empty));
        let bereft = cluster.stat(session, "/a").unwrap();
        assert_eq!((bereft.cversion, bereft.num_children), (2, 0));
        assert!(bereft.pzxid > parent.pzxid);
        assert_eq!(
            cluster.change(session, Change::Delete { path: "/a".into(), version: 0 }),
            Err(BadVersion)
        );
        assert_eq!(
            cluster.change(session, Change::Delete { path: "/a".into(), version: 1 }),
            Ok(WireReply::Empty)
        );
        assert_eq!(cluster.stat(session, "/a"), None);
    });
}

#[test]
fn of_several_errors_the_first_is_zookeepers() {
    everywhere(|cluster, session| {
        let read_only = |path: &str| Change::Create {
            path: path.into(),
            data: None,
            acl: vec![Acl::world(Permissions::READ)],
            mode: CreateMode::Persistent,
            with_stat: false,
        };
        cluster.create(session, "/p", CreateMode::Persistent).unwrap();
        cluster.change(session, read_only("/p/ro")).unwrap();
        cluster.create(session, "/e", CreateMode::Ephemeral).unwrap();
        let with_acl = |path: &str, acl: Vec<Acl>, mode| {
            let (path, data) = (path.into(), None);
            Change::Create { path, data, acl, mode, with_stat: true }
        };
        let open = Acl::open_unsafe;
        let table = [
            (with_acl("no-slash", vec![], CreateMode::Ttl(0)), BadArguments),
            (with_acl("no-slash", vec![], CreateMode::Persistent), BadArguments),
            (with_acl("/none/x", vec![], CreateMode::Persistent), InvalidAcl),
            (with_acl("/none/x", vec![], CreateMode::Ttl(1 << 40)), BadArguments),
            (with_acl("/none//x", open(), CreateMode::Persistent), NoNode),
            (with_acl("/p/ro/..", open(), CreateMode::Persistent), NoAuth),
            (with_acl("/p/..", open(), CreateMode::Persistent), BadArguments),
            (with_acl("/p/", open(), CreateMode::Persistent), BadArguments),
            (with_acl("/p/ro", open(), CreateMode::Persistent), NodeExists),
            (with_acl("/e/x", open(), CreateMode::Persistent), NoChildrenForEphemerals),
            (delete("none"), BadArguments),
            (delete("/none/x"), NoNode),
            (delete("/p/ro/none"), NoAuth),
            (delete("/p/none"), NoNode),
            (Change::Delete { path: "/p".into(), version: 7 }, BadVersion),
            (delete("/p"), NotEmpty),
            (set("/p/", "x", -1), BadArguments),
            (set("/none", "x", -1), NoNode),
            (set("/p/ro", "x", 7), NoAuth),
            (set("/p", "x", 7), BadVersion),
            (check("/none", -1), NoNode),
            (check("/p", 7), BadVersion),
            (Change::SetAcl { path: "/none".into(), acl: vec![], version: 7 }, InvalidAcl),
            (Change::SetAcl { path: "/none".into(), acl: open(), version: 7 }, NoNode),
            (Change::SetAcl { path: "/p/ro".into(), acl: open(), version: 7 }, NoAuth),
            (Change::SetAcl { path: "/p".into(), acl: open(), version: 7 }, BadVersion),
        ];
        for (change, code) in table {
            assert_eq!(cluster.change(session, change.clone()), Err(code), "{change:?}");
            let alone = vec![OpResult::Failed(if matches!(change, Change::SetAcl { .. }) {
                Unimplemented
            } else {
                code
            })];
            assert_eq!(cluster.multi(session, vec![change]), alone);
        }
        assert_eq!(cluster.change(session, check("/p", 0)), Ok(WireReply::Empty));
        assert_eq!(cluster.look(session, Look::Exists("/p\0".into())), Err(BadArguments));
        assert_eq!(cluster.look(session, Look::GetData("/none".into())), Err(NoNode));
    });
}

#[test]
fn lists_guard_their_znodes() {
    everywhere(|cluster, session| {
        let ann = |permissions| Acl { permissions, scheme: "digest".into(), id: digest("ann", "secret") };
        let list = vec![Acl::world(Permissions::READ), ann(Permissions::ADMIN | Permissions::WRITE)];
        cluster.create(session, "/a", CreateMode::Persistent).unwrap();
        let set_acl = |acl: Vec<Acl>, version| Change::SetAcl { path: "/a".into(), acl, version };
        let Ok(WireReply::Stat(stat)) = cluster.change(session, set_acl(list.clone(), 0)) else { panic!() };
        assert_eq!((stat.aversion, stat.version), (1, 0));
        assert_eq!(cluster.change(session, set("/a", "x", -1)), Err(NoAuth));
        assert_eq!(cluster.create(session, "/a/b", CreateMode::Persistent), Err(NoAuth));
        let get = Look::GetAcl("/a".into());
        let hidden = Acl { id: "ann:x".into(), ..list[1].clone() };
        let seen = WireReply::Acl { acl: vec![list[0].clone(), hidden], stat };
        assert_eq!(cluster.look(session, get.clone()), Ok(seen));
        assert_eq!(cluster.look(&superuser(session), get.clone()), Ok(WireReply::Acl { acl: list, stat }));
        cluster.change(&superuser(session), set_acl(vec![ann(Permissions::ALL)], 1)).unwrap();
        for look in [
            get,
            Look::Exists("/a".into()),
            Look::GetData("/a".into()),
            Look::GetChildren { path: "/a".into(), with_stat: true },
        ] {
            assert_eq!(cluster.look(session, look), Err(NoAuth));
        }
        assert_eq!(cluster.change(session, check("/a", -1)), Err(NoAuth));
        let count = Operation::CountDescendants("/a".into());
        assert_eq!(cluster.result(session, count), Err(NoAuth));
        assert_eq!(cluster.look(session, Look::Exists("/b".into())), Err(NoNode), "everybody may know");
        assert_eq!(cluster.stat(&superuser(session), "/a").unwrap().aversion, 2);
        assert_eq!(cluster.change(session, delete("/a")), Ok(WireReply::Empty), "the parent's list decides");
    });
}

#[test]
fn sequential_names_count_the_parents_creates() {
    everywhere(|cluster, session| {
        let mode = CreateMode::PersistentSequential;
        assert_eq!(cluster.create(session, "/q-", mode).unwrap(), "/q-0000000000");
        assert_eq!(cluster.create(session, "/", mode).unwrap(), "/0000000001");
        cluster.change(session, delete("/q-0000000000")).unwrap();
        assert_eq!(cluster.create(session, "/q-", mode).unwrap(), "/q-0000000002");
        cluster.create(session, "/x", CreateMode::Persistent).unwrap();
        assert_eq!(cluster.create(session, "/q-", CreateMode::EphemeralSequential).unwrap(), "/q-0000000004");
        assert_eq!(cluster.create(session, "/q-", CreateMode::TtlSequential(9)).unwrap(), "/q-0000000005");
        cluster.create(session, "/q-0000000007", CreateMode::Persistent).unwrap();
        assert_eq!(cluster.create(session, "/q-", mode), Err(NodeExists));
        assert_eq!(cluster.create(session, "/x/y-", mode).unwrap(), "/x/y-0000000000");
    });
}

#[test]
fn a_multi_is_all_or_nothing_over_partitions() {
    everywhere(|cluster, session| {
        for path in ["/a", "/b", "/c"] {
            cluster.create(session, path, CreateMode::Persistent).unwrap();
        }
        cluster.result(session, Operation::CountDescendants("/".into())).unwrap();
        cluster.take_events();
        let hashes =
            |cluster: &Cluster| cluster.partitions().map(|replica| replica.state_hash()).collect::<Vec<_>>();
        let before = hashes(cluster);
        let changes = vec![
            create("/a/x", CreateMode::Persistent),
            set("/b", "new", 0),
            check("/c", 3),
            delete("/c"),
            set("/a", "", -1),
        ];
        let undone = OpResult::Failed(RuntimeInconsistency);
        let results = [
            OpResult::RolledBack,
            OpResult::RolledBack,
            OpResult::Failed(BadVersion),
            undone.clone(),
            undone,
        ];
        assert_eq!(cluster.multi(session, changes), results);
        assert_eq!((hashes(cluster), cluster.take_events()), (before, vec![]));

        let changes = vec![
            create("/a/x", CreateMode::Persistent),
            set("/b", "new", 0),
            check("/b", 1),
            delete("/c"),
            create("/c", CreateMode::Persistent),
            Change::Create {
                path: "/q-".into(),
                data: None,
                acl: Acl::open_unsafe(),
                mode: CreateMode::PersistentSequential,
                with_stat: true,
            },
            delete("/q-0000000004"),
        ];
        let reply = cluster.operate(session, Operation::Multi(changes));
        let Reply::Operation { zxid, result: Ok(WireReply::Results(results)) } = reply else {
            panic!("{reply:?}")
        };
        let (Some(OpResult::DataSet(set)), Some(OpResult::CreatedWithStat { path, stat })) =
            (results.get(1), results.get(5))
        else {
            panic!("{results:?}");
        };
        assert_eq!(
            (set.version, set.mzxid, &**path, stat.czxid),
            (1, zxid.to_wire(), "/q-0000000004", zxid.to_wire())
        );
        assert_eq!(results[0], OpResult::Created { path: "/a/x".into() });
        assert_eq!(
            (&results[2], &results[3], &results[6]),
            (&OpResult::Checked, &OpResult::Deleted, &OpResult::Deleted)
        );
        let root = cluster.stat(session, "/").unwrap();
        assert_eq!((root.num_children, root.cversion, root.pzxid), (4, 2 * 5 - 4, zxid.to_wire()));
        assert_eq!(cluster.stat(session, "/c").unwrap().czxid, zxid.to_wire());
        assert_eq!(cluster.multi(session, vec![]), []);
    });
}

#[test]
fn each_event_is_told_once_where_its_znode_lives() {
    let mut cluster = Cluster::new(3);
    let session = cluster.open(9);
    let (a, _) = apart(&cluster);
    let (path, root): (Arc<str>, Arc<str>) = (a.as_str().into(), "/".into());
    let (own, roots) = (cluster.placement.of(&a), cluster.placement.of("/"));
    cluster.take_events();
    let mut change = |change| match cluster.operate(&session, Operation::Change(change)) {
        Reply::Operation { zxid, result: Ok(_) } => (zxid, cluster.take_events()),
        other => panic!("{other:?}"),
    };
    let (zxid, events) = change(create(&a, CreateMode::Persistent));
    let children = (roots, Event::ChildrenChanged { path: root.clone(), zxid, readers: Readers::ALL });
    assert_eq!(events, [children, (own, Event::Created { path: path.clone(), zxid, readers: Readers::ALL })]);
    let (zxid, events) = change(set(&a, "x", -1));
    assert_eq!(events, [(own, Event::DataChanged { path: path.clone(), zxid, readers: Readers::ALL })]);
    let (_, events) = change(Change::SetAcl { path: path.clone(), acl: Acl::open_unsafe(), version: -1 });
    assert_eq!(events, []);
    let (zxid, events) = change(delete(&a));
    let children = (roots, Event::ChildrenChanged { path: root, zxid, readers: Readers::ALL });
    assert_eq!(events, [children, (own, Event::Deleted { path, zxid, readers: Readers::ALL })]);
}

/// An event's path, what it tells in a letter, and who may hear of it.
fn told(event: Event) -> Option<(Arc<str>, char, Readers)> {
    Some(match event {
        Event::Created { path, readers, .. } => (path, 'c', readers),
        Event::Deleted { path, readers, .. } => (path, 'd', readers),
        Event::DataChanged { path, readers, .. } => (path, 's', readers),
        Event::ChildrenChanged { path, readers, .. } => (path, 'n', readers),
        Event::SessionOpened { .. } | Event::SessionClosed { .. } => return None,
    })
}

#[test]
fn an_event_says_who_may_read_its_znode() {
    everywhere(|cluster, session| {
        let list = |user| -> Vec<Acl> {
            let id = digest(user, "secret");
            vec![
                Acl { permissions: Permissions::ALL, scheme: "digest".into(), id },
                Acl::world(Permissions(Permissions::ALL.0 & !Permissions::READ.0)),
            ]
        };
        let (ann, bob) = (list("ann"), list("bob"));
        let kept = |list: &[Acl]| Readers::of(&list.into());
        let make = |path: &str, acl: &[Acl], mode| Change::Create {
            path: path.into(),
            data: None,
            acl: acl.to_vec(),
            mode,
            with_stat: false,
        };
        let set_acl = |path: &str, acl: Vec<Acl>| Change::SetAcl { path: path.into(), acl, version: -1 };
        let (persistent, ephemeral) = (CreateMode::Persistent, CreateMode::Ephemeral);
        let anns = kept(&ann);
        let (bobs, all) = (kept(&bob), Readers::ALL);
        let table = [
            (make("/x", &ann, persistent), vec![("/", 'n', &all), ("/x", 'c', &anns)]),
            (set("/x", "y", -1), vec![("/x", 's', &anns)]),
            (make("/x/y", &bob, persistent), vec![("/x", 'n', &anns), ("/x/y", 'c', &bobs)]),
            (set_acl("/x/y", ann.clone()), vec![]),
            (set("/x/y", "y", -1), vec![("/x/y", 's', &anns)]),
            (set_acl("/x/y", bob.clone()), vec![]),
            (delete("/x/y"), vec![("/x", 'n', &anns), ("/x/y", 'd', &bobs)]),
            (make("/x/z", &Acl::open_unsafe(), persistent), vec![("/x", 'n', &anns), ("/x/z", 'c', &all)]),
            (delete("/x/z"), vec![("/x", 'n', &anns), ("/x/z", 'd', &all)]),
            (delete("/x"), vec![("/", 'n', &all), ("/x", 'd', &anns)]),
            (make("/e", &ann, ephemeral), vec![("/", 'n', &all), ("/e", 'c', &anns)]),
        ];
        cluster.take_events();
        let superuser = superuser(session);
        let mut change = |change: Option<Change>| {
            match change {
                Some(change) => _ = cluster.change(&superuser, change).unwrap(),
                None => _ = cluster.node(Command::Close { session: session.id, epoch: session.epoch }),
            }
            let mut events: Vec<_> =
                cluster.take_events().into_iter().filter_map(|(_, event)| told(event)).collect();
            events.sort_by_key(|(path, kind, _)| (path.clone(), *kind));
            events
        };
        let expected = |events: &[(&str, char, &Readers)]| -> Vec<(Arc<str>, char, Readers)> {
            events.iter().map(|(path, kind, readers)| (Arc::from(*path), *kind, (*readers).clone())).collect()
        };
        for (asked, events) in table {
            assert_eq!(change(Some(asked.clone())), expected(&events), "{asked:?}");
        }
        assert_eq!(change(None), expected(&[("/", 'n', &all), ("/e", 'd', &anns)]), "the session's end");
    });
}

#[test]
fn a_probe_says_what_its_caller_may_read() {
    everywhere(|cluster, session| {
        let id = digest("ann", "secret");
        let acl = vec![Acl { permissions: Permissions::ALL, scheme: "digest".into(), id }];
        let (path, data, mode) = ("/a".into(), None, CreateMode::Persistent);
        cluster.change(session, Change::Create { path, data, acl, mode, with_stat: false }).unwrap();
        for (asks, readable) in [(session.clone(), false), (superuser(session), true)] {
            let probe = Operation::Probe(vec!["/a".into()]);
            let Reply::Probed(found) = cluster.operate(&asks, probe) else { panic!() };
            assert_eq!(found[0].map(|found| found.readable), Some(readable));
        }
    });
}

#[test]
fn a_zxid_is_beyond_what_it_changes_though_the_partitions_clock_is_behind() {
    let mut cluster = Cluster::new(3);
    let session = cluster.open(9);
    let (a, b) = apart(&cluster);
    let zxid = |reply| match reply {
        Reply::Operation { zxid, result: Ok(_) } => zxid,
        other => panic!("{other:?}"),
    };
    cluster.create(&session, &b, CreateMode::Persistent).unwrap();
    cluster.times_ms[0] = 1_000_000;
    let created = zxid(cluster.operate(&session, Operation::Change(create(&a, CreateMode::Persistent))));
    let other = cluster.open(10);
    assert!(zxid(cluster.operate(&other, Operation::Change(set(&b, "x", -1)))) < created);
    assert_eq!(cluster.stat(&other, &a).unwrap().czxid, created.to_wire());
    let mut last = created;
    for expected in [Some(created.above(cluster.placement.of(&a))), None, None] {
        let next = zxid(cluster.operate(&other, Operation::Change(set(&a, "x", -1))));
        assert!(next > last && expected.is_none_or(|expected| next == expected), "{next} after {last}");
        assert_eq!(cluster.stat(&other, &a).unwrap().mzxid, next.to_wire());
        last = next;
    }
    let both = Operation::Multi(vec![set(&a, "y", -1), set(&b, "y", -1), set(&a, "z", -1)]);
    let together = zxid(cluster.operate(&other, both));
    assert!(together > last);
    let mzxids = [&a, &b].map(|path| Zxid::from_wire(cluster.stat(&other, path).unwrap().mzxid));
    assert_eq!(mzxids, [together, together]);
}

#[test]
fn containers_and_ttls_go_by_themselves() {
    everywhere(|cluster, session| {
        cluster.set_time_ms(10_000);
        for (path, mode) in
            [("/c", CreateMode::Container), ("/unused", CreateMode::Container), ("/t", CreateMode::Ttl(500))]
        {
            cluster.create(session, path, mode).unwrap();
            assert_eq!(cluster.stat(session, path).unwrap().ephemeral_owner, 0);
        }
        cluster.create(session, "/c/x", CreateMode::Persistent).unwrap();
        cluster.set_time_ms(10_500);
        cluster.chores();
        assert_eq!(cluster.names(session, "/"), ["c", "t", "unused", "zookeeper"], "none is due yet");
        cluster.change(session, delete("/c/x")).unwrap();
        cluster.change(session, set("/t", "again", -1)).unwrap();
        cluster.set_time_ms(11_000);
        cluster.take_events();
        cluster.chores();
        assert_eq!(cluster.names(session, "/"), ["t", "unused", "zookeeper"]);
        let told: Vec<String> = cluster.take_events().iter().map(|(_, event)| format!("{event:?}")).collect();
        assert!(told.len() == 2 && told.iter().any(|event| event.starts_with("Deleted")), "{told:?}");
        cluster.create(session, "/t/child", CreateMode::Persistent).unwrap();
        cluster.set_time_ms(20_000);
        cluster.chores();
        assert_eq!(cluster.names(session, "/"), ["t", "unused", "zookeeper"], "it has a child");
        cluster.change(session, delete("/t/child")).unwrap();
        cluster.chores();
        assert_eq!(cluster.names(session, "/"), ["unused", "zookeeper"]);
    });
}

#[test]
fn what_changed_since_it_was_found_due_stays() {
    everywhere(|cluster, session| {
        cluster.create(session, "/t", CreateMode::Ttl(1)).unwrap();
        cluster.set_time_ms(5_000);
        let stat = cluster.stat(session, "/t").unwrap();
        let zxids = [stat.mzxid, stat.pzxid].map(Zxid::from_wire);
        let reap = |mzxid, pzxid| Command::Reap { path: "/t".into(), mzxid, pzxid };
        for (mzxid, pzxid) in [(Zxid::ZERO, zxids[1]), (zxids[0], Zxid::ZERO)] {
            assert_eq!(cluster.node(reap(mzxid, pzxid)), Reply::Done);
            assert!(cluster.stat(session, "/t").is_some());
        }
        assert_eq!(cluster.node(reap(zxids[0], zxids[1])), Reply::Done);
        assert_eq!(cluster.stat(session, "/t"), None);
        assert_eq!(cluster.node(reap(zxids[0], zxids[1])), Reply::Done, "it is gone already");
    });
}

#[test]
fn probes_and_reads_of_several_znodes_are_of_one_moment() {
    everywhere(|cluster, session| {
        for path in ["/a", "/b", "/b/c"] {
            cluster.create(session, path, CreateMode::Persistent).unwrap();
        }
        let paths = ["/a", "/none", "/b"].map(Arc::from).to_vec();
        let Reply::Probed(found) = cluster.operate(session, Operation::Probe(paths)) else { panic!() };
        let stats = ["/a", "/b"].map(|path| cluster.stat(session, path).unwrap());
        let [a, b] = stats.map(|Stat { mzxid, pzxid, .. }| {
            Some(Found { mzxid: Zxid::from_wire(mzxid), pzxid: Zxid::from_wire(pzxid), readable: true })
        });
        assert_eq!(found, [a, None, b]);
        let looks = vec![
            Look::GetData("/a".into()),
            Look::GetData("/none".into()),
            Look::GetChildren { path: "/b".into(), with_stat: false },
        ];
        let data = OpResult::Data { data: Some(Bytes::from_static(b"data")), stat: stats[0] };
        let results = vec![data, OpResult::Failed(NoNode), OpResult::Children(["c"].into_iter().collect())];
        assert_eq!(cluster.result(session, Operation::MultiRead(looks)), Ok(WireReply::Results(results)));
        let count = |path: &str| Operation::CountDescendants(path.into());
        assert_eq!(cluster.result(session, count("/")), Ok(WireReply::Count(6)));
        assert_eq!(cluster.result(session, count("/b")), Ok(WireReply::Count(1)));
        assert_eq!(cluster.result(session, count("/none")), Err(NoNode));
    });
}

#[test]
fn what_is_read_elsewhere_comes_with_the_signal() {
    let mut cluster = Cluster::new(3);
    let session = cluster.open(9);
    let (a, b) = apart(&cluster);
    for path in [&a, &b] {
        cluster.create(&session, path, CreateMode::Ephemeral).unwrap();
        cluster.change(&session, delete(path)).unwrap();
        cluster.create(&session, path, CreateMode::Ttl(1)).unwrap();
    }
    let changes = vec![delete(&a), set(&b, "x", -1), check(&b, 1), create(&a, CreateMode::Ephemeral)];
    assert_eq!(cluster.multi(&session, changes).len(), 4);
    let looks = [&a, &b].map(|path| Look::GetData(path.as_str().into()));
    cluster.result(&session, Operation::MultiRead(looks.to_vec())).unwrap();
    cluster.result(&session, Operation::CountDescendants("/".into())).unwrap();
    cluster.operate(&session, Operation::Probe(vec![a.as_str().into(), b.as_str().into()]));
    cluster.set_time_ms(9_000);
    cluster.chores();
    assert_eq!(cluster.stat(&session, &b), None);
    cluster.node(Command::Close { session: session.id, epoch: 0 });
    assert!(cluster.exchanged() > 20);
    assert_eq!(cluster.run_again(), 0);
    cluster.check();
}

#[test]
fn a_multi_read_that_no_reply_can_carry_is_a_marshalling_error() {
    everywhere(|cluster, session| {
        let paths = ["/half/a", "/half/b"];
        let beside = OpResult::Data { data: Some(Bytes::new()), stat: Stat::default() }.bytes();
        let half = (REPLY_BYTES_MAX - OpResult::END_BYTES) / 2 - beside;
        cluster.create(session, "/half", CreateMode::Persistent).unwrap();
        for path in paths {
            cluster.create(session, path, CreateMode::Persistent).unwrap();
            let data = Some(Bytes::from(vec![0; half]));
            let set = Change::SetData { path: path.into(), data, version: -1 };
            assert!(cluster.change(session, set).is_ok());
        }
        let mut read = |paths: &[&str]| {
            let looks = paths.iter().map(|path| Look::GetData((*path).into())).collect();
            cluster.result(session, Operation::MultiRead(looks)).map(|reply| reply.bytes())
        };
        // Two halves are at most one byte short of the limit, so that a third result is beyond it.
        assert_eq!(read(&paths).map(|bytes| REPLY_BYTES_MAX - bytes < 2), Ok(true));
        assert_eq!(read(&["/half/a", "/half/b", "/none"]), Err(MarshallingError));
        assert_eq!(read(&["/half/a"; 2_200]), Err(MarshallingError));
    });
}

#[test]
fn a_command_whose_letters_are_too_large_is_refused_everywhere() {
    let mut cluster = Cluster::new(3);
    let session = cluster.open(1);
    for path in ["/a", "/b", "/c", "/d"] {
        cluster.create(&session, path, CreateMode::Persistent).unwrap();
    }
    let operation = Operation::Multi(["/a", "/b", "/c", "/d"].map(|path| set(path, "new", -1)).into());
    let command = Command::Operate { caller: session.caller.clone(), operation };
    // The size of the facts of a few znodes is somewhere between.
    let mut came = |bytes| {
        cluster.limit_letters(bytes);
        let came = cluster.run(ClientId(session.id.0), 0, &command);
        cluster.check();
        let version = cluster.stat(&session, "/a").expect("a znode").version;
        (came, version)
    };
    let first = (0..4_096).find(|bytes| came(*bytes).0.is_ok()).expect("they are smaller");
    assert!(first > 50, "{first} bytes are no facts");
    for (bytes, fits) in [(first - 1, false), (first, true), (first + 1, true), (first / 10, false)] {
        let before = came(0).1;
        let (came, version) = came(bytes);
        match came {
            Ok(_) => assert!(fits && version == before + 1, "{bytes} bytes"),
            Err(refusal) => assert_eq!((refusal, fits, version), (Refusal::TooLarge, false, before)),
        }
    }
}

#[test]
fn descendants_are_counted_wherever_they_live_and_lists_follow_every_change() {
    for partitions in [1, 4] {
        let mut cluster = Cluster::new(partitions);
        let session = cluster.open(7);
        for path in ["/d", "/d/e", "/x"] {
            cluster.create(&session, path, CreateMode::Persistent).unwrap();
        }
        let paths = (0..200).map(|n| format!("/d/e/n{n:03}"));
        cluster.multi(&session, paths.map(|path| create(&path, CreateMode::Persistent)).collect());
        let mut count = |path: &str| match cluster.result(&session, Operation::CountDescendants(path.into()))
        {
            Ok(WireReply::Count(count)) => count,
            other => panic!("{other:?}"),
        };
        assert_eq!((count("/d/e"), count("/d"), count("/d/e/n000"), count("/x")), (200, 201, 0, 0));
        assert_eq!(count("/"), 206, "with what is there from the start");
        assert_eq!(cluster.names(&session, "/d/e").len(), 200);
        cluster.change(&session, delete("/d/e/n007")).unwrap();
        let names = cluster.names(&session, "/d/e");
        assert!(names.len() == 199 && names.is_sorted() && !names.contains(&"n007".to_owned()));
        assert_eq!(cluster.names(&session, "/d/e"), names, "once more, as it is kept");
        cluster.check();
    }
}

#[test]
fn so_many_znodes_go_at_once_when_their_time_is_over() {
    for count in [REAPED_MAX - 1, REAPED_MAX, REAPED_MAX + 1, 10 * REAPED_MAX] {
        let mut cluster = Cluster::new(1);
        let session = cluster.open(9);
        let paths = (0..count).map(|n| format!("/{n}"));
        cluster.multi(&session, paths.map(|path| create(&path, CreateMode::Ttl(500))).collect());
        cluster.set_time_ms(100_000);
        cluster.chores();
        let left = cluster.names(&session, "/").len() - 1;
        assert_eq!(left, count.saturating_sub(REAPED_MAX), "of {count}");
    }
}
