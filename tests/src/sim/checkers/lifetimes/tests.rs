//! Histories made by hand, in which an entry takes a millisecond.

use super::super::sessions::script::{Answer, Script, create_as, delete, get, set, stat};
use super::{Rule, check_lifetimes};
use volery::wire::{CreateMode, ErrorCode, Reply, Stat};

const TTL_MS: i64 = 100;

fn rules(script: &Script, rest_ms: Option<u64>) -> Vec<Rule> {
    check_lifetimes(&script.history, rest_ms).violations.iter().map(|violation| violation.rule).collect()
}

fn mortal(script: &mut Script) {
    let create = create_as("/t", "x", CreateMode::Ttl(TTL_MS), true);
    script.done(0, create, Ok(Reply::PathStat { path: "/t".into(), stat: stat(10, 10, 0) }));
}

fn wait(script: &mut Script, entries: usize) {
    (0..entries / 2).for_each(|_| script.done(0, get("/other"), Err(ErrorCode::NoNode)));
}

const ABSENT: Answer = Err(ErrorCode::NoNode);

#[test]
fn a_znode_lives_for_its_time() {
    let absent_after = |entries: usize| {
        let mut script = Script::with_clients(2);
        mortal(&mut script);
        wait(&mut script, entries);
        script.done(1, get("/t"), ABSENT);
        rules(&script, None)
    };
    assert_eq!(absent_after(10), [Rule::EndedEarly]);
    assert_eq!(absent_after(110), []);
}

#[test]
fn a_change_gives_it_another_time() {
    let mut script = Script::with_clients(2);
    mortal(&mut script);
    wait(&mut script, 90);
    script.done(1, set("/t", "y"), Ok(Reply::Stat(stat(10, 20, 1))));
    wait(&mut script, 50);
    script.done(1, get("/t"), ABSENT);
    assert_eq!(rules(&script, None), [Rule::EndedEarly]);
}

#[test]
fn a_client_may_have_deleted_it() {
    let mut script = Script::with_clients(2);
    mortal(&mut script);
    script.send(1, delete("/t"));
    script.done(0, get("/t"), ABSENT);
    assert_eq!(rules(&script, None), []);
    let mut script = Script::with_clients(2);
    script.done(1, delete("/t"), ABSENT);
    mortal(&mut script);
    script.done(0, get("/t"), ABSENT);
    assert_eq!(rules(&script, None), [Rule::EndedEarly], "an earlier one has not");
}

#[test]
fn it_does_not_outlive_a_rest() {
    let mut script = Script::with_clients(1);
    mortal(&mut script);
    let rest_ms = script.history.entries.len() as u64;
    script.done(0, get("/t"), Ok(Reply::Data { data: None, stat: stat(10, 10, 0) }));
    assert_eq!(rules(&script, Some(rest_ms)), [Rule::Outlived]);
    assert_eq!(rules(&script, Some(rest_ms + 1)), []);
}

#[test]
fn a_container_that_never_had_children_stays() {
    let looked_at = |cversion: i32, num_children: i32| {
        let mut script = Script::with_clients(1);
        let create = create_as("/t", "", CreateMode::Container, true);
        script.done(0, create, Ok(Reply::PathStat { path: "/t".into(), stat: stat(10, 10, 0) }));
        let stat = Stat { cversion, num_children, ..stat(10, 10, 0) };
        script.done(0, get("/t"), Ok(Reply::Data { data: None, stat }));
        rules(&script, Some(0))
    };
    assert_eq!(looked_at(0, 0), []);
    assert_eq!(looked_at(1, 1), []);
    assert_eq!(looked_at(2, 0), [Rule::Outlived]);
}
