//! Histories made by hand: each right one passes, each wrong one does not.

use super::{Rule, check_answers};
use crate::sim::checkers::sessions::script::{
    Answer, DONE, NO_NODE, Script, create, create_as, delete, ephemeral, multi, multi_read, path, results,
    set, stat,
};
use crate::sim::draw::Sizes;
use crate::sim::workload::users::{Guarded, SUPERUSER, User};
use volery::wire::{CreateMode, ErrorCode, Identity, OpResult, Reply, Request};

const NO_AUTH: Answer = Err(ErrorCode::NoAuth);

fn rules(script: &Script) -> Vec<Rule> {
    check_answers(&script.history, Sizes::USUAL).violations.iter().map(|violation| violation.rule).collect()
}

fn judged(steps: &[(Request, Answer)]) -> Vec<Rule> {
    let mut script = Script::with_clients(1);
    steps.iter().for_each(|(request, answer)| script.done(0, request.clone(), answer.clone()));
    rules(&script)
}

fn auth(user: User) -> (Request, Answer) {
    (user.auth(), DONE)
}

#[test]
fn an_error_that_a_request_cannot_meet_is_seen() {
    let exists = Request::Exists { path: "/x".into(), watch: false };
    assert_eq!(judged(&[(exists.clone(), NO_NODE)]), []);
    assert_eq!(judged(&[(exists.clone(), NO_AUTH)]), []);
    assert_eq!(judged(&[(exists, Err(ErrorCode::BadVersion))]), [Rule::Code]);
    assert_eq!(judged(&[(create("/x", "1"), Err(ErrorCode::NotEmpty))]), [Rule::Code]);
    assert_eq!(judged(&[(set("/x", "1"), Err(ErrorCode::BadVersion))]), [Rule::Code], "any version will do");
    assert_eq!(judged(&[(Request::WhoAmI, Err(ErrorCode::SystemError))]), [Rule::Code]);
    assert_eq!(judged(&[(delete("/x"), Err(ErrorCode::SessionMoved))]), []);
}

#[test]
fn what_part_of_a_multi_cannot_meet_is_seen() {
    let told = |code| {
        let results = vec![OpResult::RolledBack, OpResult::Failed(code)];
        judged(&[(multi(vec![set("/x", "1"), create("/y", "1")]), Ok(Reply::Results(results)))])
    };
    assert_eq!(told(ErrorCode::NodeExists), []);
    assert_eq!(told(ErrorCode::BadVersion), [Rule::Code]);
}

#[test]
fn a_list_opens_a_znode_to_whom_it_names() {
    let of = |result| Ok(Reply::Results(vec![result]));
    let read = || (multi_read(&["/a/0"]), results(&[Some(stat(1, 1, 1))]));
    let refused = || (multi_read(&["/a/0"]), of(OpResult::Failed(ErrorCode::NoAuth)));
    let wrote = (multi(vec![set("/a/1", "1")]), of(OpResult::DataSet(stat(1, 5, 1))));
    assert_eq!(judged(&[refused(), auth(User(0)), read()]), []);
    assert_eq!(judged(&[auth(User(1)), refused(), auth(SUPERUSER), read()]), []);
    assert_eq!(judged(&[auth(User(1)), read()]), [Rule::Trespass]);
    assert_eq!(judged(&[auth(User(0)), refused()]), [Rule::Refused]);
    assert_eq!(judged(&[(multi_read(&["/a/1"]), read().1), wrote]), [Rule::Trespass]);
}

#[test]
fn what_was_sent_before_the_credentials_is_judged_without_them() {
    let early = |answer| {
        let mut script = Script::with_clients(1);
        let call = script.send(0, multi_read(&["/a/0"]));
        let credentials = script.send(0, User(0).auth());
        script.answer(0, call, answer);
        script.answer(0, credentials, DONE);
        rules(&script)
    };
    assert_eq!(early(Ok(Reply::Results(vec![OpResult::Failed(ErrorCode::NoAuth)]))), []);
    assert_eq!(early(results(&[Some(stat(1, 1, 1))])), [Rule::Trespass]);
}

#[test]
fn credentials_count_for_one_connection() {
    let mut script = Script::with_clients(1);
    script.done(0, User(0).auth(), DONE);
    script.move_on(0);
    script.done(0, multi_read(&["/a/0"]), results(&[Some(stat(1, 1, 1))]));
    assert_eq!(rules(&script), [Rule::Trespass]);
}

#[test]
fn hashes_are_for_those_who_may_change_the_list() {
    let guarded = Guarded::at("/a/1").expect("it is guarded");
    let shown = |acl| Ok(Reply::Acl { acl, stat: stat(1, 1, 1) });
    let told = |acl| (Request::GetAcl { path: "/a/1".into() }, shown(acl));
    let mut hidden = guarded.acl();
    hidden[1].id = "user1:x".into();
    assert_eq!(judged(&[told(hidden.clone())]), []);
    assert_eq!(judged(&[auth(User(1)), told(guarded.acl())]), []);
    assert_eq!(judged(&[told(guarded.acl())]), [Rule::List]);
    assert_eq!(judged(&[auth(User(1)), told(hidden)]), [Rule::List]);
}

#[test]
fn a_connection_is_who_it_has_proved_to_be() {
    let told = |users: &[User]| {
        let ip = Identity { scheme: "ip".into(), user: "127.0.0.1".into() };
        let users = users.iter().map(|user| Identity { scheme: "digest".into(), user: user.name().into() });
        (Request::WhoAmI, Ok(Reply::Identities(std::iter::once(ip).chain(users).collect())))
    };
    assert_eq!(judged(&[told(&[]), auth(User(0)), told(&[User(0)])]), []);
    assert_eq!(judged(&[auth(User(0)), told(&[])]), [Rule::WhoAmI]);
    assert_eq!(judged(&[told(&[User(2)])]), [Rule::WhoAmI]);
}

#[test]
fn a_session_is_told_of_its_own_ephemerals_and_of_all_of_them() {
    let listed = |prefix: &str, paths: &[&str]| {
        let mut script = Script::with_clients(2);
        script.done(0, ephemeral("/e/a"), path("/e/a"));
        script.done(0, ephemeral("/f/b"), path("/f/b"));
        script.done(0, ephemeral("/f/c"), path("/f/c"));
        script.done(1, ephemeral("/e/z"), path("/e/z"));
        script.send(1, delete("/f/c"));
        let names = paths.iter().collect();
        script.done(0, Request::GetEphemerals { prefix: prefix.into() }, Ok(Reply::Names(names)));
        rules(&script)
    };
    assert_eq!(listed("", &["/e/a", "/f/b"]), []);
    assert_eq!(listed("", &["/e/a", "/f/b", "/f/c"]), []);
    assert_eq!(listed("/e", &["/e/a"]), []);
    assert_eq!(listed("", &["/e/a"]), [Rule::Unlisted]);
    assert_eq!(listed("", &["/e/a", "/e/z", "/f/b"]), [Rule::NotOwned]);
    assert_eq!(listed("/e", &["/e/a", "/f/b"]), [Rule::NotOwned]);
}

#[test]
fn a_sequential_ephemeral_is_its_sessions_whatever_its_number() {
    let mut script = Script::with_clients(1);
    let numbered = create_as("/q/n-", "", CreateMode::EphemeralSequential, false);
    script.done(0, numbered, path("/q/n-0000000003"));
    let names = ["/q/n-0000000003"].into_iter().collect();
    script.done(0, Request::GetEphemerals { prefix: "".into() }, Ok(Reply::Names(names)));
    assert_eq!(rules(&script), []);
}
