//! Sessions: opened, attached, moved, ended.

use super::cluster::{Cluster, PASSWORD, Session, create, set};
use crate::acl::Readers;
use crate::command::{Change, Command, Event, Operation, Reply};
use crate::placement::PlacementConfig;
use crate::session::{Password, SessionId};
use crate::wire::{CreateMode, Reply as WireReply};
use crate::zxid::Zxid;
use eyrie::{ClientId, Destinations, PartitioningOracle, Refusal};

fn close(session: &Session) -> Command {
    Command::Close { session: session.id, epoch: session.epoch }
}

fn go(session: &Session, password: Password) -> Command {
    Command::Move { session: session.id, password, timeout_ms: 9_000 }
}

fn operate(session: &Session, change: Change) -> Command {
    Command::Operate { caller: session.caller.clone(), operation: Operation::Change(change) }
}

fn ephemerals(cluster: &mut Cluster, session: &Session, prefix: &str) -> Vec<String> {
    match cluster.result(session, Operation::GetEphemerals(prefix.into())) {
        Ok(WireReply::Names(paths)) => paths.iter().map(|path| path.to_string()).collect(),
        other => panic!("{other:?}"),
    }
}

/// Attaches a session everywhere.
fn spread(cluster: &mut Cluster, session: &Session) {
    cluster.result(session, Operation::CountDescendants("/".into())).unwrap();
}

#[test]
fn opening_again_changes_nothing_and_a_taken_id_is_refused() {
    for partitions in [1, 3] {
        let mut cluster = Cluster::new(partitions);
        let session = cluster.open(5);
        let home = session.id.home(partitions);
        let opened = Event::SessionOpened { session: session.id, epoch: 0, timeout_ms: 4_000 };
        assert_eq!(cluster.take_events(), [(home, opened)]);
        let create = |session, password| Command::CreateSession { session, password, timeout_ms: 1 };
        let again = Reply::Session { epoch: 0, timeout_ms: 4_000, attached: home.into() };
        assert_eq!(cluster.node(create(session.id, PASSWORD)), again);
        assert_eq!(cluster.node(create(session.id, Password([0; 16]))), Reply::NoSession);
        for id in [0, u64::MAX, 0xffff << 48] {
            assert_eq!(cluster.node(create(SessionId(id), PASSWORD)), Reply::NoSession, "it is no session's");
        }
        assert_eq!(cluster.take_events(), []);
        let sessions: u64 = cluster.partitions().map(|replica| replica.variables().holdings().sessions).sum();
        assert_eq!(sessions, 1);
    }
}

#[test]
fn a_session_operates_where_it_is_attached() {
    let mut cluster = Cluster::new(3);
    let session = cluster.open(5);
    let away = ('a'..='z').map(|name| format!("/{name}")).find(|path| {
        !cluster
            .placement
            .destinations(&operate(&session, create(path, CreateMode::Persistent)))
            .contains(session.id.home(3))
    });
    let command = operate(&session, create(&away.unwrap(), CreateMode::Persistent));
    let client = ClientId(session.id.0);
    let to = cluster.placement.destinations(&command);
    let id = cluster.order(client, 0, command.clone(), to);
    cluster.carry();
    assert_eq!(format!("{:?}", cluster.answer(id).outcome), "Refused(UnknownClient)");
    let Command::Operate { caller, operation } = command.clone() else { panic!() };
    let attach = |session, epoch| Command::Attach {
        session,
        epoch,
        caller: caller.clone(),
        operation: operation.clone(),
    };
    assert_eq!(cluster.node(attach(SessionId(6), 0)), Reply::NoSession);
    assert_eq!(cluster.node(attach(session.id, 1)), Reply::SessionMoved);
    let reply = cluster.node(attach(session.id, 0));
    assert!(matches!(reply, Reply::Operation { result: Ok(_), .. }), "{reply:?}");
    let reply = cluster.run(client, 0, &command).unwrap();
    assert!(
        matches!(reply, Reply::Operation { result: Err(_), .. }),
        "it is open now, and the znode exists: {reply:?}"
    );
    cluster.check();
}

#[test]
fn a_moved_sessions_old_gateway_writes_no_more() {
    for partitions in [1, 3] {
        let mut cluster = Cluster::new(partitions);
        let session = cluster.open(5);
        spread(&mut cluster, &session);
        cluster.create(&session, "/a", CreateMode::Ephemeral).unwrap();
        assert_eq!(cluster.node(go(&session, Password([0; 16]))), Reply::NoSession);
        cluster.take_events();
        let moved = Reply::Session { epoch: 1, timeout_ms: 9_000, attached: Destinations::all(partitions) };
        assert_eq!(cluster.node(go(&session, PASSWORD)), moved);
        let opened = Event::SessionOpened { session: session.id, epoch: 1, timeout_ms: 9_000 };
        assert_eq!(cluster.take_events(), [(session.id.home(partitions), opened)]);
        for path in ["/a", "/b", "/c", "/d"] {
            let late = operate(&session, set(path, "late", -1));
            assert_eq!(cluster.run(ClientId(session.id.0), 0, &late), Err(Refusal::OldEpoch));
        }
        let expire = Command::Expire { session: session.id, epoch: 0, reign: 0 };
        assert_eq!(cluster.node(expire), Reply::SessionMoved, "the expiry of an earlier epoch is void");
        assert_eq!(cluster.node(close(&session)), Reply::SessionMoved);
        let session = Session { epoch: 1, ..session };
        assert_eq!(ephemerals(&mut cluster, &session, "/"), ["/a"]);
        assert!(cluster.change(&session, set("/a", "new", -1)).is_ok());
        cluster.check();
    }
}

#[test]
fn ephemerals_vanish_everywhere_under_one_zxid() {
    for (partitions, expires) in [(1, false), (3, false), (3, true), (5, true)] {
        let mut cluster = Cluster::new(partitions);
        let (session, other) = (cluster.open(5), cluster.open(6));
        cluster.create(&other, "/a", CreateMode::Persistent).unwrap();
        cluster.create(&other, "/other", CreateMode::Ephemeral).unwrap();
        let mut made = Vec::new();
        for i in 0..12 {
            made.push(cluster.create(&session, &format!("/e{i}"), CreateMode::Ephemeral).unwrap());
            made.push(
                cluster.create(&session, &format!("/a/e{i}"), CreateMode::EphemeralSequential).unwrap(),
            );
        }
        made.sort();
        assert_eq!(ephemerals(&mut cluster, &session, "/"), made);
        assert_eq!(ephemerals(&mut cluster, &session, "/a/e1").len(), 3);
        let before = cluster.stat(&other, "/").unwrap();
        cluster.times_ms[0] += 60_000;
        cluster.change(&session, set("/e3", "late", -1)).unwrap();
        let newest = cluster.stat(&other, "/e3").unwrap().mzxid;
        cluster.take_events();

        let epoch = session.epoch;
        let expire = Command::Expire { session: session.id, epoch, reign: 0 };
        assert_eq!(cluster.node(if expires { expire } else { close(&session) }), Reply::Done);
        let after = cluster.stat(&other, "/").unwrap();
        assert_eq!((after.num_children, after.cversion), (before.num_children - 12, before.cversion + 12));
        let a = cluster.stat(&other, "/a").unwrap();
        assert_eq!((a.num_children, a.pzxid), (0, after.pzxid));
        assert!(after.pzxid > newest);
        assert_eq!(cluster.names(&other, "/"), ["a", "other", "zookeeper"]);
        let (zxid, events) = (Zxid::from_wire(after.pzxid), cluster.take_events());
        for path in &made {
            let gone = Event::Deleted { path: path.as_str().into(), zxid, readers: Readers::ALL };
            assert!(events.contains(&(cluster.placement.of(path), gone)), "{path}: {events:?}");
        }
        let ended = (session.id.home(partitions), Event::SessionClosed { session: session.id });
        assert_eq!(events.iter().filter(|event| **event == ended).count(), 1);
        assert_eq!(events.len(), 24 + 24 + 1);

        assert_eq!(cluster.node(close(&session)), Reply::NoSession);
        assert_eq!(cluster.node(go(&session, PASSWORD)), Reply::NoSession);
        let late = operate(&session, create("/late", CreateMode::Ephemeral));
        assert_eq!(cluster.run(ClientId(session.id.0), 0, &late), Err(Refusal::UnknownClient));
        let attached: u64 = cluster.partitions().map(|replica| replica.variables().holdings().attached).sum();
        let left: u64 = cluster.partitions().map(|replica| replica.variables().holdings().ephemerals).sum();
        assert!(attached <= u64::from(partitions) && left == 1);
        cluster.check();
    }
}

#[test]
fn an_end_is_beyond_changes_by_partitions_that_the_session_never_was_at() {
    for of_the_parent in [false, true] {
        let config = PlacementConfig { depth: 1, ..PlacementConfig::default() };
        let mut cluster = Cluster::placed(3, &config, 0);
        let (session, other) = (cluster.open(5), cluster.open(6));
        let home = session.id.home(3);
        assert_ne!(home, cluster.placement.of("/"), "the root's clock is to be another's");
        let parent = ('a'..='z')
            .map(|name| format!("/{name}"))
            .find(|path| cluster.placement.of(path) == home)
            .unwrap();
        cluster.create(&other, &parent, CreateMode::Persistent).unwrap();
        let path = cluster.create(&session, &format!("{parent}/e"), CreateMode::Ephemeral).unwrap();
        cluster.times_ms[0] = 1_000_000;
        cluster.multi(
            &other,
            vec![set(if of_the_parent { &parent } else { &path }, "late", -1), set("/", "late", -1)],
        );
        // A session that had seen this would draw its partitions' proposals after it.
        let newest = |cluster: &Cluster, path: &str| {
            cluster.partitions().nth(home.index()).unwrap().variables().facts(path).unwrap().newest()
        };
        let late = newest(&cluster, &parent).max(newest(&cluster, &path));
        assert_eq!(cluster.node(close(&session)), Reply::Done);
        assert_eq!(newest(&cluster, &parent), late.above(home));
        cluster.check();
    }
}

#[test]
fn a_failed_first_operation_attaches_all_the_same() {
    let mut cluster = Cluster::new(3);
    let session = cluster.open(5);
    for path in ('a'..='z').map(|name| format!("/{name}")) {
        let path = path.as_str();
        let changes = vec![create(path, CreateMode::Ephemeral), set("/none", "x", -1)];
        assert_eq!(cluster.multi(&session, changes).len(), 2);
    }
    let attached = cluster.node(go(&session, PASSWORD));
    assert_eq!(attached, Reply::Session { epoch: 1, timeout_ms: 9_000, attached: Destinations::all(3) });
    assert_eq!(ephemerals(&mut cluster, &Session { epoch: 1, ..session }, "/"), Vec::<String>::new());
}

#[test]
fn nodes_own_no_ephemerals() {
    let mut cluster = Cluster::new(1);
    let session = cluster.open(5);
    let command = operate(&session, create("/a", CreateMode::Ephemeral));
    let refused = Reply::Operation { zxid: Zxid::ZERO, result: Err(crate::wire::ErrorCode::SessionExpired) };
    assert_eq!(cluster.node(command), refused);
}
