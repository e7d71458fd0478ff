//! Commands that take more steps than one turn has.

use super::cluster::{Cluster, Session, create};
use crate::command::{Change, Command, Look, Operation, Reply};
use crate::session::SessionId;
use crate::variables::LISTED_MAX;
use crate::wire::{CreateMode, ErrorCode, OpResult, Reply as WireReply};
use eyrie::PartitionId;
use std::sync::Arc;

/// How many steps a turn has.
const STEPS: u32 = 50;
/// By how many steps a turn may go beyond: one unit of work, such as a change of a multi or a page of paths.
const BEYOND: u32 = 40;
const MANY: usize = 1_000;

/// A cluster with a session that has a directory.
fn cluster(partitions: u16) -> (Cluster, Session) {
    let mut cluster = Cluster::new(partitions);
    cluster.steps = Some(STEPS);
    let session = cluster.open(7);
    cluster.create(&session, "/d", CreateMode::Persistent).unwrap();
    cluster.create(&session, "/d/e", CreateMode::Persistent).unwrap();
    (cluster, session)
}

fn paths(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|place| format!("/d/e/n{place:05}"))
}

fn creates(count: usize, mode: CreateMode) -> Vec<Change> {
    paths(count).map(|path| create(&path, mode)).collect()
}

/// No turn was longer than it may be, though some command took several.
fn check_turns(cluster: &mut Cluster) {
    // The last turn counts when the next one begins.
    cluster.node(Command::Advance { partition: PartitionId(0) });
    let partitions = cluster.placement.partitions();
    let counts: Vec<_> =
        PartitionId::all(partitions).map(|partition| cluster.sliced(partition).counts()).collect();
    let longest = counts.iter().map(|counts| counts.steps_max).max().unwrap();
    assert!(longest <= STEPS + BEYOND, "a turn of {longest} steps");
    assert!(counts.iter().any(|counts| counts.paused > 10), "nothing went in slices: {counts:?}");
    cluster.check();
}

#[test]
fn a_multi_of_many_changes_goes_in_slices_and_is_one_command() {
    for partitions in [1, 3] {
        let (mut cluster, session) = cluster(partitions);
        let results = cluster.multi(&session, creates(MANY, CreateMode::Persistent));
        assert_eq!(results.len(), MANY);
        assert!(results.iter().all(|result| matches!(result, OpResult::Created { .. })));
        let first = cluster.stat(&session, "/d/e/n00000").unwrap();
        let last = cluster.stat(&session, "/d/e/n00999").unwrap();
        assert_eq!((first.czxid, first.ctime), (last.czxid, last.ctime), "one zxid");
        check_turns(&mut cluster);
    }
}

#[test]
fn a_multi_that_fails_at_its_end_leaves_nothing_of_its_slices() {
    let (mut cluster, session) = cluster(3);
    let mut changes = creates(MANY, CreateMode::Persistent);
    changes.push(create("/d/absent/x", CreateMode::Persistent));
    let results = cluster.multi(&session, changes);
    assert_eq!(results[MANY], OpResult::Failed(ErrorCode::NoNode));
    assert_eq!(cluster.names(&session, "/d/e"), Vec::<String>::new());
    check_turns(&mut cluster);
}

#[test]
fn the_end_of_a_session_with_many_ephemerals_goes_in_slices_under_one_zxid() {
    for partitions in [1, 4] {
        let (mut cluster, session) = cluster(partitions);
        let owner = cluster.open(8);
        for chunk in creates(MANY, CreateMode::Ephemeral).chunks(100) {
            cluster.multi(&owner, chunk.to_vec());
        }
        cluster.take_events();
        assert_eq!(cluster.node(Command::Close { session: SessionId(8), epoch: 0 }), Reply::Done);
        let events = cluster.take_events();
        assert_eq!(events.len(), 2 * MANY + 1, "one for each znode, one for its parent, one for the session");
        assert_eq!(cluster.names(&session, "/d/e"), Vec::<String>::new());
        let stat = cluster.stat(&session, "/d/e").unwrap();
        assert_eq!((stat.num_children, stat.cversion), (0, 2 * MANY as i32));
        check_turns(&mut cluster);
    }
}

#[test]
fn a_long_list_is_made_in_pieces_and_again_when_it_has_changed() {
    let count = 5 * LISTED_MAX + 1;
    for partitions in [1, 3] {
        let (mut cluster, session) = cluster(partitions);
        for chunk in creates(count, CreateMode::Persistent).chunks(100) {
            cluster.multi(&session, chunk.to_vec());
        }
        for _ in 0..2 {
            assert_eq!(cluster.names(&session, "/d/e").len(), count);
        }
        cluster.change(&session, Change::Delete { path: "/d/e/n00007".into(), version: -1 }).unwrap();
        let names = cluster.names(&session, "/d/e");
        assert_eq!(names.len(), count - 1);
        assert!(names.is_sorted() && !names.contains(&"n00007".to_owned()));
        let looks = vec![Look::GetChildren { path: "/d/e".into(), with_stat: false }; 3];
        let Ok(WireReply::Results(results)) = cluster.result(&session, Operation::MultiRead(looks)) else {
            panic!("no results");
        };
        let lists = results.iter().map(|result| match result {
            OpResult::Children(names) => names.len(),
            other => panic!("{other:?}"),
        });
        assert!(lists.into_iter().all(|length| length == count - 1));
        check_turns(&mut cluster);
    }
}

#[test]
fn descendants_are_counted_with_one_look_up_wherever_they_live() {
    for partitions in [1, 4] {
        let (mut cluster, session) = cluster(partitions);
        for chunk in creates(MANY, CreateMode::Persistent).chunks(100) {
            cluster.multi(&session, chunk.to_vec());
        }
        let mut count = |path: &str| match cluster.result(&session, Operation::CountDescendants(path.into()))
        {
            Ok(WireReply::Count(count)) => count as usize,
            other => panic!("{other:?}"),
        };
        assert_eq!((count("/d/e"), count("/d"), count("/d/e/n00000")), (MANY, MANY + 1, 0));
        assert_eq!(count("/"), MANY + 5, "with what is there from the start");
        let before = cluster.sliced(PartitionId(0)).counts().paused;
        cluster.result(&session, Operation::CountDescendants("/".into())).unwrap();
        assert_eq!(cluster.sliced(PartitionId(0)).counts().paused, before, "it took one slice");
    }
}

#[test]
fn a_probe_of_many_paths_and_the_list_of_many_ephemerals_go_in_slices() {
    let (mut cluster, session) = cluster(3);
    for chunk in creates(MANY, CreateMode::Ephemeral).chunks(100) {
        cluster.multi(&session, chunk.to_vec());
    }
    let probed: Vec<Arc<str>> = paths(MANY).map(Arc::from).collect();
    let Reply::Probed(found) = cluster.operate(&session, Operation::Probe(probed)) else {
        panic!("no probe's")
    };
    assert!(found.len() == MANY && found.iter().all(Option::is_some));
    let Ok(WireReply::Names(names)) = cluster.result(&session, Operation::GetEphemerals("/d".into())) else {
        panic!("no names");
    };
    assert!(names.iter().eq(paths(MANY)));
    check_turns(&mut cluster);
}
