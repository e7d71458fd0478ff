use super::super::sessions::script::{
    DONE, NO_NODE, Script, at, create, delete, ephemeral, get, list, multi, multi_read, names, path, results,
    set, stat, watch_existence, wrote,
};
use super::*;
use volery::wire::Request;

/// The rules that a history breaks.
fn rules(script: &Script) -> Vec<Rule> {
    check_freshness(&script.history).violations.iter().map(|violation| violation.rule).collect()
}

fn created(czxid: i64) -> Result<Reply, ErrorCode> {
    Ok(Reply::Data { data: None, stat: stat(czxid, czxid, czxid) })
}

#[test]
fn what_was_acknowledged_is_read() {
    let mut script = Script::with_clients(2);
    script.done(0, set("/a", "2"), wrote(20));
    script.done(1, get("/a"), at(20, "2"));
    assert_eq!(rules(&script), []);
    script.done(1, get("/a"), at(10, "1"));
    assert_eq!(rules(&script), [Rule::StaleRead]);
    let report = check_freshness(&script.history);
    assert_eq!(
        report.violations[0].to_string(),
        "StaleRead: client 1, session 0x2, entry 7 at 7 ms: the reply to call 3, sent at entry 6, shows of /a its mzxid 0xa \
         after 0x14"
    );
}

#[test]
fn what_was_read_is_read_again() {
    let mut script = Script::with_clients(3);
    let write = script.send(0, set("/a", "2"));
    script.done(1, get("/a"), at(20, "2"));
    script.done(2, get("/a"), at(10, "1"));
    script.answer(0, write, wrote(20));
    assert_eq!(rules(&script), [Rule::StaleRead]);
}

#[test]
fn a_read_that_was_under_way_may_be_older() {
    let mut script = Script::with_clients(2);
    let read = script.send(1, get("/a"));
    script.done(0, set("/a", "2"), wrote(20));
    script.answer(1, read, at(10, "1"));
    assert_eq!(rules(&script), []);
}

#[test]
fn a_session_reads_what_it_asked_for_before() {
    let mut script = Script::with_clients(1);
    let write = script.send(0, set("/a", "2"));
    let read = script.send(0, get("/a"));
    script.answer(0, write, wrote(20));
    script.answer(0, read, at(10, "1"));
    assert_eq!(rules(&script), [Rule::StaleInSession]);
}

#[test]
fn a_stat_and_a_read_of_several_are_judged_too() {
    for (request, answer) in [
        (watch_existence("/a"), wrote(10)),
        (multi_read(&["/b", "/a"]), results(&[None, Some(stat(1, 10, 1))])),
        (list("/a"), Ok(Reply::NamesStat { names: volery::wire::Names::default(), stat: stat(1, 10, 1) })),
        (set("/a", "3"), wrote(10)),
    ] {
        let mut script = Script::with_clients(2);
        script.done(0, set("/a", "2"), wrote(20));
        script.done(1, request.clone(), answer);
        assert_eq!(rules(&script), [Rule::StaleRead], "{request:?}");
    }
}

#[test]
fn children_are_as_new_as_was_shown() {
    let mut script = Script::with_clients(2);
    script.done(0, list("/a"), names(20, &["x"]));
    script.done(1, list("/a"), names(10, &[]));
    assert_eq!(rules(&script), [Rule::StaleRead]);
}

#[test]
fn an_acl_is_as_new_as_was_shown() {
    let with = |aversion| Ok(Reply::Stat(Stat { aversion, ..stat(1, 1, 1) }));
    let mut script = Script::with_clients(2);
    script.done(0, Request::SetAcl { path: "/a".into(), acl: vec![], version: -1 }, with(2));
    script.done(1, Request::Exists { path: "/a".into(), watch: false }, with(1));
    assert_eq!(rules(&script), [Rule::StaleRead]);
}

#[test]
fn what_was_deleted_is_not_there_unless_created_again() {
    let mut script = Script::with_clients(2);
    script.done(0, get("/a"), created(10));
    script.done(0, delete("/a"), DONE);
    script.done(1, get("/a"), created(20));
    assert_eq!(rules(&script), []);
    script.done(1, get("/a"), created(10));
    assert_eq!(rules(&script), [Rule::StaleRead]);
}

#[test]
fn what_was_found_absent_has_not_come_back() {
    let mut script = Script::with_clients(2);
    script.done(0, get("/a"), created(10));
    script.done(0, get("/a"), NO_NODE);
    script.done(1, get("/a"), created(10));
    assert_eq!(rules(&script), [Rule::StaleRead]);
}

#[test]
fn what_was_created_while_somebody_found_it_absent_is_there() {
    let mut script = Script::with_clients(2);
    let absent = script.send(0, get("/a"));
    script.done(1, get("/a"), created(10));
    script.answer(0, absent, NO_NODE);
    script.done(1, get("/a"), created(10));
    assert_eq!(rules(&script), [], "it was absent first, and then created");
}

#[test]
fn what_was_created_is_there_until_somebody_deletes_it() {
    let mut script = Script::with_clients(2);
    script.done(0, create("/a", "1"), path("/a"));
    let in_flight = script.send(0, delete("/a"));
    script.done(1, get("/a"), NO_NODE);
    script.answer(0, in_flight, DONE);
    assert_eq!(rules(&script), []);
    script.done(0, create("/a", "2"), path("/a"));
    script.done(1, get("/a"), NO_NODE);
    assert_eq!(rules(&script), [Rule::StaleRead]);
}

#[test]
fn a_multi_that_deletes_and_a_lost_deletion_count() {
    for is_multi in [false, true] {
        let mut script = Script::with_clients(2);
        script.done(0, create("/a", "1"), path("/a"));
        let request = if is_multi { multi(vec![delete("/a")]) } else { delete("/a") };
        script.send(0, request);
        script.lose(0);
        script.done(1, get("/a"), NO_NODE);
        assert_eq!(rules(&script), [], "multi {is_multi}");
    }
}

#[test]
fn a_deletion_that_failed_or_was_over_before_does_not_excuse_absence() {
    let mut script = Script::with_clients(2);
    script.done(0, create("/a", "1"), path("/a"));
    script.done(0, delete("/a"), DONE);
    script.done(0, create("/a", "2"), path("/a"));
    script.done(0, delete("/a"), Err(ErrorCode::BadVersion));
    script.done(1, get("/a"), NO_NODE);
    assert_eq!(rules(&script), [Rule::StaleRead]);
}

#[test]
fn a_child_that_is_there_is_listed() {
    let mut script = Script::with_clients(2);
    script.done(0, create("/a/x", "1"), path("/a/x"));
    script.done(1, list("/a"), names(20, &["x", "y"]));
    assert_eq!(rules(&script), []);
    script.done(1, list("/a"), names(20, &["y"]));
    assert_eq!(rules(&script), [Rule::StaleRead]);
}

#[test]
fn an_ephemeral_goes_by_itself() {
    let mut script = Script::with_clients(2);
    script.done(0, ephemeral("/a"), path("/a"));
    script.done(1, get("/a"), NO_NODE);
    assert_eq!(rules(&script), []);
}
