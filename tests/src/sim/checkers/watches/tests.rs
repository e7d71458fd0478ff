//! Histories that are right, and ones that are wrong in one way.

use super::{Rule, check_watches};
use crate::sim::checkers::sessions::script::{
    DONE, NO_NODE, Script, at, create, create_as, delete, get, list, multi, names, path, set, set_watches,
    stat, sync, watch, watch_children, watch_existence, wrote,
};
use std::sync::Arc;
use volery::acl::digest;
use volery::placement::Placement;
use volery::wire::EventType::{NodeChildrenChanged, NodeCreated, NodeDataChanged, NodeDeleted};
use volery::wire::{
    Acl, AddWatchMode, Create, CreateMode, ErrorCode, EventType, OpResult, Permissions, Reply, Request,
    SetWatches, WatcherType,
};

fn rules_over(partitions: u16, script: &Script) -> Vec<Rule> {
    let report = check_watches(&script.history, &Placement::over(partitions));
    report.violations.iter().map(|violation| violation.rule).collect()
}

fn rules(script: &Script) -> Vec<Rule> {
    rules_over(3, script)
}

/// Client 0 watches the data of /a, which were written at 5.
fn watching() -> Script {
    let mut script = Script::with_clients(2);
    script.done(0, watch("/a"), at(5, "five"));
    script
}

/// Client 0 watches the children of /p, which changed last at 5.
fn watching_children() -> Script {
    let mut script = Script::with_clients(2);
    script.done(0, watch_children("/p"), names(5, &["x"]));
    script
}

fn add_watch(script: &mut Script, path: &str, mode: AddWatchMode) {
    script.done(0, Request::AddWatch { path: path.into(), mode }, Ok(Reply::WatchAdded));
}

#[test]
fn a_watch_that_tells_once_and_in_time_is_right() {
    let mut script = watching();
    script.done(1, set("/a", "six"), wrote(6));
    script.told(0, NodeDataChanged, "/a", 6);
    script.done(0, watch("/a"), at(6, "six"));
    script.done(0, set("/b", "x"), wrote(7));
    script.done(1, delete("/a"), DONE);
    script.told(0, NodeDeleted, "/a", 8);
    script.done(0, watch_existence("/a"), NO_NODE);
    script.done(1, create_as("/a", "new", CreateMode::Persistent, true), made("/a", 9));
    script.told(0, NodeCreated, "/a", 9);
    script.done(0, get("/a"), Ok(Reply::Data { data: None, stat: stat(9, 9, 9) }));
    script.done(0, sync("/a"), path("/a"));
    assert_eq!(rules(&script), []);
}

fn made(path: &str, czxid: i64) -> Result<Reply, ErrorCode> {
    Ok(Reply::PathStat { path: path.into(), stat: stat(czxid, czxid, czxid) })
}

#[test]
fn what_nobody_watches_must_not_be_told() {
    let kinds = [NodeDataChanged, NodeDeleted, NodeCreated, NodeChildrenChanged];
    let told = |mut script: Script, kind: EventType, path: &str| {
        script.send(1, set("/a", "six"));
        script.told(0, kind, path, 6);
        rules(&script)
    };
    for kind in kinds {
        assert_eq!(told(Script::with_clients(2), kind, "/a"), [Rule::Unarmed]);
        let data: &[Rule] = if kind == NodeChildrenChanged { &[Rule::Unarmed] } else { &[] };
        assert_eq!(told(watching(), kind, "/a"), data);
        let child: &[Rule] =
            if matches!(kind, NodeDataChanged | NodeCreated) { &[Rule::Unarmed] } else { &[] };
        assert_eq!(told(watching_children(), kind, "/p"), child);
        assert_eq!(told(watching(), kind, "/b"), [Rule::Unarmed]);
    }
}

#[test]
fn a_read_that_found_nothing_arms_nothing_but_exists_does() {
    for (request, unarmed) in
        [(watch("/a"), true), (watch_children("/a"), true), (watch_existence("/a"), false)]
    {
        let mut script = Script::with_clients(1);
        script.done(0, request, NO_NODE);
        script.told(0, NodeCreated, "/a", 6);
        assert_eq!(rules(&script) == [Rule::Unarmed], unarmed);
    }
}

#[test]
fn a_watch_tells_once() {
    let mut script = watching();
    script.send(1, set("/a", "six"));
    script.told(0, NodeDataChanged, "/a", 6);
    script.told(0, NodeDataChanged, "/a", 7);
    assert_eq!(rules(&script), [Rule::Repeated]);
}

#[test]
fn armed_twice_is_armed_once() {
    let mut script = watching();
    script.done(0, watch("/a"), at(5, "five"));
    script.send(1, set("/a", "six"));
    script.told(0, NodeDataChanged, "/a", 6);
    assert_eq!(rules(&script), []);
    script.told(0, NodeDataChanged, "/a", 7);
    assert_eq!(rules(&script), [Rule::Repeated]);
}

#[test]
fn a_deletion_uses_up_both_watches() {
    let mut script = watching();
    script.done(0, watch_children("/a"), names(5, &[]));
    script.told(0, NodeDeleted, "/a", 6);
    assert_eq!(rules(&script), []);
    script.told(0, NodeDeleted, "/a", 6);
    assert_eq!(rules(&script), [Rule::Repeated]);
}

#[test]
fn a_watch_that_is_being_armed_may_tell_once() {
    let mut script = Script::with_clients(2);
    let arming = script.send(0, watch("/a"));
    script.send(1, set("/a", "six"));
    script.told(0, NodeDataChanged, "/a", 6);
    script.answer(0, arming, at(5, "five"));
    script.done(0, get("/a"), at(6, "six"));
    assert_eq!(rules(&script), [], "it was used up before its reply");
    script.told(0, NodeDataChanged, "/a", 7);
    assert_eq!(rules(&script), [Rule::Repeated]);
}

#[test]
fn a_change_that_is_seen_before_it_is_told_is_seen() {
    let seen: [(Request, _); 6] = [
        (get("/a"), at(6, "six")),
        (get("/a"), NO_NODE),
        (watch("/a"), at(6, "six")),
        (set("/a", "six"), wrote(6)),
        (delete("/a"), DONE),
        (multi(vec![set("/a", "six")]), Ok(Reply::Results(vec![OpResult::DataSet(stat(1, 6, 1))]))),
    ];
    for (request, result) in seen {
        let judged = |told: bool| {
            let mut script = watching();
            let call = script.send(0, request.clone());
            script.send(1, set("/a", "other"));
            if told {
                let kind = if result == NO_NODE || result == DONE { NodeDeleted } else { NodeDataChanged };
                script.told(0, kind, "/a", 6);
            }
            script.answer(0, call, result.clone());
            rules(&script)
        };
        assert_eq!(judged(false), [Rule::SeenBeforeTold], "{request:?}");
        assert_eq!(judged(true), [], "{request:?}");
    }
}

#[test]
fn an_existence_that_is_seen_before_it_is_told_is_seen() {
    let mut script = Script::with_clients(1);
    script.done(0, watch_existence("/a"), NO_NODE);
    script.done(0, get("/a"), NO_NODE);
    assert_eq!(rules(&script), []);
    script.done(0, get("/a"), at(6, "six"));
    assert_eq!(rules(&script), [Rule::SeenBeforeTold]);
}

#[test]
fn children_that_are_seen_before_they_are_told_are_seen() {
    let seen = [
        (list("/p"), names(6, &["x"])),
        (list("/p"), names(5, &["x", "y"])),
        (get("/p"), Ok(Reply::Data { data: None, stat: stat(1, 1, 6) })),
        (create("/p/y", "y"), path("/p/y")),
        (delete("/p/x"), DONE),
    ];
    for (request, result) in seen {
        let mut script = watching_children();
        script.done(0, request.clone(), result);
        assert_eq!(rules(&script), [Rule::SeenBeforeTold], "{request:?}");
    }
    let mut script = watching_children();
    script.done(0, list("/p"), names(5, &["x"]));
    script.done(0, create("/p/x/z", "z"), path("/p/x/z"));
    script.done(0, set("/p", "new"), Ok(Reply::Stat(stat(1, 9, 5))));
    assert_eq!(rules(&script), []);
}

/// Client 1 sees /a changed and then writes /b; client 0, who watches /a, sees what it wrote.
fn caused(show: fn(&mut Script), told: bool) -> Vec<Rule> {
    let mut script = Script::with_clients(3);
    script.done(0, watch("/a"), at(5, "five"));
    script.send(2, set("/a", "six"));
    show(&mut script);
    script.done(1, set("/b", "caused"), wrote(8));
    if told {
        script.told(0, NodeDataChanged, "/a", 6);
    }
    script.done(0, get("/b"), at(8, "caused"));
    rules(&script)
}

#[test]
fn what_a_change_has_caused_is_seen_after_it_is_told() {
    let shown = |script: &mut Script| script.done(1, get("/a"), at(6, "six"));
    let absent = |script: &mut Script| script.done(1, get("/a"), NO_NODE);
    assert_eq!(caused(shown, true), []);
    assert_eq!(caused(shown, false), [Rule::CausedBeforeTold]);
    assert_eq!(caused(absent, false), [Rule::CausedBeforeTold]);
    assert_eq!(caused(|script| script.done(1, get("/a"), at(5, "five")), false), [], "no change was seen");
    assert_eq!(caused(|_| (), false), [], "nothing was seen");
}

#[test]
fn what_was_sent_before_the_change_was_seen_is_not_caused_by_it() {
    let mut script = watching();
    let write = script.send(1, set("/b", "caused"));
    script.done(1, get("/a"), at(6, "six"));
    script.answer(1, write, wrote(8));
    script.done(0, get("/b"), at(8, "caused"));
    assert!(!rules(&script).contains(&Rule::CausedBeforeTold));
}

#[test]
fn what_changed_children_have_caused_is_seen_after_they_are_told() {
    let mut script = watching_children();
    script.done(1, create("/p/y", "y"), path("/p/y"));
    script.done(1, set("/b", "caused"), wrote(8));
    script.done(0, get("/b"), at(8, "caused"));
    assert_eq!(rules(&script), [Rule::CausedBeforeTold]);
}

#[test]
fn what_is_told_is_there() {
    let mut script = watching();
    script.send(1, set("/a", "six"));
    let early = script.send(0, get("/a"));
    script.told(0, NodeDataChanged, "/a", 6);
    script.answer(0, early, at(5, "five"));
    assert_eq!(rules(&script), [], "it was sent before");
    script.done(0, get("/a"), at(5, "five"));
    assert_eq!(rules(&script), [Rule::ToldBeforeDone]);
}

#[test]
fn a_change_that_is_not_told_by_the_next_sync_is_lost() {
    let mut script = watching();
    script.done(1, set("/a", "six"), wrote(6));
    script.done(0, sync("/b"), path("/b"));
    assert_eq!(rules(&script), [], "it synced another path");
    script.done(0, sync("/a"), path("/a"));
    assert_eq!(rules(&script), [Rule::Lost]);
}

#[test]
fn only_a_change_that_is_certain_can_be_lost() {
    let mut script = Script::with_clients(2);
    let early = script.send(1, set("/a", "five"));
    script.done(0, watch("/a"), at(5, "five"));
    script.answer(1, early, wrote(5));
    script.send(1, set("/a", "six"));
    script.done(0, sync("/a"), path("/a"));
    assert_eq!(rules(&script), []);
}

#[test]
fn lost_children_are_seen() {
    let mut script = watching_children();
    script.done(1, create("/p/y", "y"), path("/p/y"));
    script.done(0, sync("/p"), path("/p"));
    assert_eq!(rules(&script), [Rule::Lost]);
}

#[test]
fn watches_end_with_their_connection() {
    let mut script = watching();
    script.move_on(0);
    script.told(0, NodeDataChanged, "/a", 6);
    assert_eq!(rules(&script), [Rule::Unarmed]);
}

#[test]
fn set_watches_tells_again_and_arms_the_rest() {
    let mut script = watching();
    script.done(0, watch("/b"), at(5, "five"));
    script.done(0, watch_existence("/c"), NO_NODE);
    script.done(0, watch_children("/p"), names(5, &["x"]));
    script.move_on(0);
    let listing = script.send(0, set_watches(5, &["/a", "/b"], &["/c"], &["/p"]));
    script.send(1, set("/b", "six"));
    script.told(0, NodeDataChanged, "/a", 4);
    script.told(0, NodeCreated, "/c", 3);
    script.answer(0, listing, DONE);
    script.told(0, NodeDataChanged, "/b", 6);
    script.told(0, NodeChildrenChanged, "/p", 6);
    assert_eq!(rules(&script), []);
    script.told(0, NodeDataChanged, "/a", 6);
    assert_eq!(rules(&script), [Rule::Repeated]);
}

#[test]
fn a_listed_watch_is_the_one_that_was_armed_before() {
    let judged = |told: bool, look: fn(&mut Script)| {
        let mut script = watching();
        script.done(0, watch_children("/p"), names(5, &["x"]));
        script.move_on(0);
        script.done(1, set("/a", "six"), wrote(6));
        let listing = script.send(0, set_watches(5, &["/a"], &[], &["/p"]));
        if told {
            script.told(0, NodeDataChanged, "/a", 6);
        }
        script.answer(0, listing, DONE);
        look(&mut script);
        rules(&script)
    };
    let seen = |script: &mut Script| script.done(0, get("/a"), at(6, "six"));
    assert_eq!((judged(true, seen), judged(false, seen)), (vec![], vec![Rule::SeenBeforeTold]));
    let synced = |script: &mut Script| script.done(0, sync("/a"), path("/a"));
    assert_eq!((judged(true, synced), judged(false, synced)), (vec![], vec![Rule::Lost]));
    let names = |script: &mut Script| script.done(0, list("/p"), names(5, &["y"]));
    assert_eq!(judged(true, names), [Rule::SeenBeforeTold]);
}

#[test]
fn a_list_that_was_refused_or_not_answered_ends_no_watch() {
    for refused in [true, false] {
        let mut script = watching();
        script.move_on(0);
        let listing = script.send(0, set_watches(5, &["/a"], &[], &[]));
        if refused {
            script.answer(0, listing, Err(ErrorCode::SessionMoved));
        }
        script.move_on(0);
        script.done(1, set("/a", "six"), wrote(6));
        script.done(0, set_watches(7, &["/a"], &[], &[]), DONE);
        script.done(0, sync("/a"), path("/a"));
        assert_eq!(rules(&script), [Rule::Lost]);
    }
}

#[test]
fn a_listed_absence_is_judged_from_its_listing_on() {
    let mut script = Script::with_clients(2);
    script.done(0, watch_existence("/a"), NO_NODE);
    script.move_on(0);
    script.done(1, create("/a", "x"), path("/a"));
    script.done(1, delete("/a"), DONE);
    script.done(0, set_watches(5, &[], &["/a"], &[]), DONE);
    script.done(0, sync("/a"), path("/a"));
    assert_eq!(rules(&script), []);
    script.done(0, get("/a"), at(9, "x"));
    assert_eq!(rules(&script), [Rule::SeenBeforeTold]);
}

#[test]
fn a_watch_that_was_not_listed_is_gone() {
    let mut script = watching();
    script.move_on(0);
    script.done(1, set("/a", "six"), wrote(6));
    script.done(0, get("/a"), at(6, "six"));
    script.done(0, sync("/a"), path("/a"));
    assert_eq!(rules(&script), []);
}

#[test]
fn a_watch_that_stays_tells_again_and_again() {
    let mut script = Script::with_clients(2);
    add_watch(&mut script, "/a", AddWatchMode::Persistent);
    script.done(0, get("/a"), at(5, "five"));
    for zxid in [6, 7] {
        let call = script.send(1, set("/a", "x"));
        script.told(0, NodeDataChanged, "/a", zxid);
        script.answer(1, call, wrote(zxid));
        script.done(0, get("/a"), at(zxid, "x"));
    }
    script.told(0, NodeChildrenChanged, "/a", 8);
    script.done(0, sync("/a"), path("/a"));
    assert_eq!(rules(&script), []);
    script.done(0, get("/a"), at(9, "nine"));
    assert!(rules(&script).contains(&Rule::SeenBeforeTold));
}

#[test]
fn a_watch_that_stays_loses_nothing_and_tells_nothing_twice() {
    let mut script = Script::with_clients(2);
    add_watch(&mut script, "/a", AddWatchMode::Persistent);
    script.done(1, set("/a", "x"), wrote(6));
    script.done(1, set("/a", "y"), wrote(7));
    script.told(0, NodeDataChanged, "/a", 7);
    script.told(0, NodeDataChanged, "/a", 7);
    assert_eq!(rules(&script), [Rule::Repeated]);
    script.done(0, sync("/a"), path("/a"));
    assert_eq!(rules(&script), [Rule::Repeated, Rule::Lost]);
}

#[test]
fn a_multi_that_changes_a_znode_twice_is_told_twice() {
    let mut script = Script::with_clients(2);
    add_watch(&mut script, "/a", AddWatchMode::Persistent);
    let both = Ok(Reply::Results(vec![OpResult::DataSet(stat(1, 6, 1)); 2]));
    script.done(1, multi(vec![set("/a", "x"), set("/a", "y")]), both);
    script.told(0, NodeDataChanged, "/a", 6);
    script.told(0, NodeDataChanged, "/a", 6);
    assert_eq!(rules(&script), []);
}

#[test]
fn a_recursive_watch_covers_its_subtree_and_no_children_events() {
    let mut script = Script::with_clients(2);
    add_watch(&mut script, "/a", AddWatchMode::PersistentRecursive);
    script.told(0, NodeCreated, "/a/b/c", 6);
    script.told(0, NodeDeleted, "/a", 7);
    assert_eq!(rules(&script), []);
    script.told(0, NodeChildrenChanged, "/a/b", 8);
    script.told(0, NodeCreated, "/ab", 8);
    assert_eq!(rules(&script), [Rule::Unarmed, Rule::Unarmed]);
}

#[test]
fn a_recursive_watch_is_judged_for_its_subtree() {
    let mut script = Script::with_clients(2);
    add_watch(&mut script, "/a", AddWatchMode::PersistentRecursive);
    script.done(0, get("/a/b"), at(5, "five"));
    script.done(0, get("/a/b"), NO_NODE);
    assert_eq!(rules(&script), [Rule::SeenBeforeTold]);
    script.done(1, set("/a/c", "x"), wrote(6));
    script.done(0, sync("/a/c"), path("/a/c"));
    assert_eq!(rules(&script), [Rule::SeenBeforeTold, Rule::Lost]);
}

#[test]
fn watches_that_stay_are_listed_too() {
    let mut script = Script::with_clients(2);
    add_watch(&mut script, "/a", AddWatchMode::Persistent);
    script.move_on(0);
    let persistent = vec![Arc::from("/a")];
    script.done(0, Request::SetWatches(SetWatches { persistent, ..SetWatches::default() }), DONE);
    script.send(1, set("/a", "x"));
    script.told(0, NodeDataChanged, "/a", 6);
    assert_eq!(rules(&script), []);
}

#[test]
fn a_removed_watch_tells_nothing() {
    for (kind, removed) in
        [(WatcherType::Data, true), (WatcherType::Any, true), (WatcherType::Children, false)]
    {
        let mut script = watching();
        script.done(0, Request::RemoveWatches { path: "/a".into(), kind }, DONE);
        script.send(1, set("/a", "six"));
        script.told(0, NodeDataChanged, "/a", 6);
        assert_eq!(rules(&script) == [Rule::Unarmed], removed);
    }
}

#[test]
fn changes_are_told_in_order() {
    let mut script = Script::with_clients(2);
    add_watch(&mut script, "/", AddWatchMode::PersistentRecursive);
    script.told(0, NodeCreated, "/a", 7);
    script.told(0, NodeCreated, "/b", 6);
    assert_eq!((rules(&script), rules_over(1, &script)), (vec![], vec![Rule::OutOfOrder]));
    script.told(0, NodeDeleted, "/a", 6);
    assert_eq!(rules(&script), [Rule::OutOfOrder]);
}

#[test]
fn what_was_answered_first_is_told_first() {
    let judged = |first: (&str, i64), second: (&str, i64)| {
        let mut script = Script::with_clients(2);
        add_watch(&mut script, "/", AddWatchMode::PersistentRecursive);
        script.done(1, set("/d/k/x", "x"), wrote(7));
        script.done(1, set("/d/k/y", "y"), wrote(6));
        script.told(0, NodeDataChanged, first.0, first.1);
        script.told(0, NodeDataChanged, second.0, second.1);
        rules(&script)
    };
    assert_eq!(judged(("/d/k/x", 7), ("/d/k/y", 6)), [], "their zxids need not rise");
    assert_eq!(judged(("/d/k/y", 6), ("/d/k/x", 7)), [Rule::OutOfOrder]);
}

#[test]
fn a_zxid_that_is_none_of_the_changes_is_seen() {
    let told = |zxid: i64| {
        let mut script = watching();
        script.done(1, set("/a", "six"), wrote(6));
        script.told(0, NodeDataChanged, "/a", zxid);
        rules(&script)
    };
    assert_eq!((told(6), told(7), told(5)), (vec![], vec![Rule::WrongZxid], vec![Rule::WrongZxid]));
}

#[test]
fn a_secret_is_told_to_those_alone_who_may_read_it() {
    let told = |initiated: bool| {
        let mut script = Script::with_clients(2);
        if initiated {
            let (scheme, auth) = ("digest".into(), "ann:secret".into());
            script.done(0, Request::Auth { kind: 0, scheme, auth }, Ok(Reply::Empty));
        }
        add_watch(&mut script, "/", AddWatchMode::PersistentRecursive);
        let Request::Create(open) = create("/a", "x") else { unreachable!() };
        let (permissions, scheme, id) = (Permissions::ALL, "digest".into(), digest("ann", "secret"));
        let acl = vec![Acl { permissions, scheme, id }];
        script.done(1, Request::Create(Create { acl, ..open }), path("/a"));
        script.told(0, NodeCreated, "/a", 6);
        rules(&script)
    };
    assert_eq!((told(true), told(false)), (vec![], vec![Rule::Unreadable]));
}

#[test]
fn a_violation_says_who_when_and_why() {
    let mut script = watching();
    script.done(0, get("/a"), at(6, "six"));
    let report = check_watches(&script.history, &Placement::over(1));
    assert_eq!(
        report.violations[0].to_string(),
        "SeenBeforeTold: client 0, session 0x1, entry 5 at 5 ms: the reply to call 2 shows /a changed, watched since entry 3 \
         (There { mzxid: 5 }) and not told"
    );
    assert_eq!((report.armed, report.looks), (1, 1));
}

#[test]
fn a_session_is_not_shown_what_was_there_before_its_own_change_was_told() {
    let mut script = watching();
    let read = script.send(0, get("/a"));
    let write = script.send(0, set("/a", "six"));
    script.told(0, NodeDataChanged, "/a", 6);
    script.answer(0, read, at(5, "five"));
    script.answer(0, write, wrote(6));
    assert_eq!(rules(&script), [Rule::ShownTooLate]);
}

#[test]
fn a_change_of_another_session_may_be_told_before_an_older_reply() {
    let mut script = watching();
    let read = script.send(0, get("/a"));
    script.done(1, set("/a", "six"), wrote(6));
    script.told(0, NodeDataChanged, "/a", 6);
    script.answer(0, read, at(5, "five"));
    assert_eq!(rules(&script), []);
}

#[test]
fn what_is_told_is_beyond_the_mark() {
    for (mark, expected) in [(5, vec![]), (6, vec![Rule::BelowMark])] {
        let mut script = watching();
        script.header = mark;
        script.done(0, sync("/b"), path("/b"));
        script.told(0, NodeDataChanged, "/a", 6);
        script.done(1, set("/a", "six"), wrote(6));
        assert_eq!(rules(&script), expected, "mark {mark}");
    }
}
