//! Histories made by hand: each right one passes, each wrong one does not.

use super::{Findings, check};
use crate::sim::history::{CallId, Happening, History};
use crate::sim::workload::TTL_LASTING_MS;
use bytes::Bytes;
use volery::wire::{
    Acl, Check, Create, CreateMode, Delete, ErrorCode, MultiOp, OpResult, Permissions, ReadOp, Reply,
    Request, SetData, Stat,
};

mod stretched;
mod tree;

/// A history as it is written down. Client `n` has session `n`.
#[derive(Default)]
struct Script {
    history: History,
    calls: u64,
}

impl Script {
    /// Clients 1 to 3 have sessions.
    fn new() -> Script {
        let mut script = Script::default();
        (1..=3).for_each(|session| script.opened(session, false));
        script
    }

    fn note(&mut self, session: i64, happening: Happening) {
        let time_ms = self.history.entries.len() as u64;
        self.history.note(time_ms, session as usize, happening);
    }

    fn opened(&mut self, session: i64, again: bool) {
        self.note(session, Happening::Opened { session, node: 0, again });
    }

    fn expired(&mut self, session: i64) {
        self.note(session, Happening::Expired { session });
    }

    fn send(&mut self, session: i64, request: Request) -> (i64, CallId) {
        let call = CallId(self.calls);
        self.calls += 1;
        self.note(session, Happening::Invoked { call, session, request });
        (session, call)
    }

    fn told(&mut self, (session, call): (i64, CallId), result: Result<Reply, ErrorCode>) {
        self.note(session, Happening::Returned { call, zxid: 0, result });
    }

    /// The connection is lost, and with it these replies.
    fn lost(&mut self, calls: &[(i64, CallId)]) {
        for &(session, call) in calls {
            self.note(session, Happening::Unknown { call });
        }
        let session = calls[0].0;
        self.note(session, Happening::Disconnected { session });
    }

    fn call(&mut self, session: i64, request: Request, result: Result<Reply, ErrorCode>) {
        let call = self.send(session, request);
        self.told(call, result);
    }

    /// Client 1 creates `/a` holding "0" under zxid 10.
    fn with_a() -> Script {
        let mut script = Script::new();
        script.call(1, create2("/a", "0"), created("/a", stat(10, 10, 0)));
        script
    }

    fn findings(&self) -> Findings {
        check(&self.history)
    }

    #[track_caller]
    fn is_right(&self) {
        let findings = self.findings();
        assert_eq!(findings.violations, Vec::<String>::new());
        assert_eq!(findings.gave_up, 0);
        assert!(findings.operations > 0);
    }

    #[track_caller]
    fn is_wrong(&self, what: &str) {
        let violations = self.findings().violations;
        assert_eq!(violations.len(), 1, "{violations:#?}");
        assert!(violations[0].starts_with(what), "{}", violations[0]);
    }
}

fn bytes(text: &str) -> Option<Bytes> {
    Some(Bytes::copy_from_slice(text.as_bytes()))
}

fn create_op(path: &str, data: &str, mode: CreateMode, with_stat: bool) -> Create {
    Create { path: path.into(), data: bytes(data), acl: Acl::open_unsafe(), mode: Ok(mode), with_stat }
}

fn create(path: &str) -> Request {
    Request::Create(create_op(path, "0", CreateMode::Persistent, false))
}

fn create2(path: &str, data: &str) -> Request {
    Request::Create(create_op(path, data, CreateMode::Persistent, true))
}

fn ephemeral(path: &str) -> Request {
    Request::Create(create_op(path, "0", CreateMode::Ephemeral, false))
}

fn sequential(path: &str) -> Request {
    Request::Create(create_op(path, "0", CreateMode::PersistentSequential, false))
}

fn delete(path: &str) -> Request {
    Request::Delete(Delete { path: path.into(), version: -1 })
}

fn set_op(path: &str, data: &str, version: i32) -> SetData {
    SetData { path: path.into(), data: bytes(data), version }
}

fn set(path: &str, data: &str) -> Request {
    Request::SetData(set_op(path, data, -1))
}

fn get(path: &str) -> Request {
    Request::GetData { path: path.into(), watch: false }
}

fn exists(path: &str) -> Request {
    Request::Exists { path: path.into(), watch: false }
}

fn children(path: &str) -> Request {
    Request::GetChildren { path: path.into(), watch: false }
}

fn names(names: &[&str]) -> Result<Reply, ErrorCode> {
    Ok(Reply::Names(names.iter().collect()))
}

/// The Stat of a znode with one byte of data.
fn stat(czxid: i64, mzxid: i64, version: i32) -> Stat {
    Stat { czxid, mzxid, version, data_length: 1, ..Stat::default() }
}

fn created(path: &str, stat: Stat) -> Result<Reply, ErrorCode> {
    Ok(Reply::PathStat { path: path.into(), stat })
}

fn path(path: &str) -> Result<Reply, ErrorCode> {
    Ok(Reply::Path(path.into()))
}

fn data(data: &str, stat: Stat) -> Result<Reply, ErrorCode> {
    Ok(Reply::Data { data: bytes(data), stat })
}

fn done(stat: Stat) -> Result<Reply, ErrorCode> {
    Ok(Reply::Stat(stat))
}

const DONE: Result<Reply, ErrorCode> = Ok(Reply::Empty);
const NO_NODE: Result<Reply, ErrorCode> = Err(ErrorCode::NoNode);

#[test]
fn one_after_the_other() {
    let mut script = Script::with_a();
    script.call(2, set("/a", "1"), done(stat(10, 20, 1)));
    script.call(1, get("/a"), data("1", stat(10, 20, 1)));
    script.call(3, children("/"), names(&["a", "zookeeper"]));
    script.call(3, Request::SetData(set_op("/a", "2", 7)), Err(ErrorCode::BadVersion));
    script.call(1, create("/a"), Err(ErrorCode::NodeExists));
    script.call(1, create("/a/b"), path("/a/b"));
    script.call(1, delete("/a"), Err(ErrorCode::NotEmpty));
    script.call(1, delete("/a/b"), DONE);
    script.call(2, delete("/a"), DONE);
    script.call(2, create("/a/b"), NO_NODE);
    script.call(2, exists("/a"), NO_NODE);
    script.call(3, create2("/a", "3"), created("/a", stat(30, 30, 0)));
    script.is_right();
    let findings = script.findings();
    assert_eq!((findings.histories, findings.too_large), (2, 0));
}

#[test]
fn writes_that_overlap_are_ordered_by_their_stats() {
    let mut script = Script::with_a();
    let one = script.send(1, set("/a", "1"));
    let two = script.send(2, set("/a", "2"));
    let read = script.send(3, get("/a"));
    script.told(read, data("2", stat(10, 20, 1)));
    script.told(one, done(stat(10, 30, 2)));
    script.told(two, done(stat(10, 20, 1)));
    script.call(3, get("/a"), data("1", stat(10, 30, 2)));
    script.is_right();
}

#[test]
fn a_stale_read() {
    let mut script = Script::with_a();
    script.call(1, set("/a", "1"), done(stat(10, 20, 1)));
    script.call(2, get("/a"), data("0", stat(10, 10, 0)));
    script.is_wrong("/a: no order explains");
}

#[test]
fn a_stale_list() {
    let mut script = Script::with_a();
    script.call(2, children("/"), names(&["zookeeper"]));
    script.is_wrong("/a: no order explains");
}

#[test]
fn a_name_that_nobody_created() {
    let mut script = Script::with_a();
    script.call(2, children("/"), names(&["a", "b"]));
    script.is_wrong("/b: no order explains");
}

#[test]
fn a_lost_update() {
    let mut script = Script::with_a();
    let one = script.send(1, set("/a", "1"));
    let two = script.send(2, set("/a", "2"));
    script.told(one, done(stat(10, 20, 1)));
    script.told(two, done(stat(10, 30, 1)));
    script.is_wrong("/a: no order explains");
}

#[test]
fn a_lost_acknowledgement() {
    let mut script = Script::with_a();
    script.call(1, create("/a/b"), path("/a/b"));
    script.call(2, exists("/a/b"), NO_NODE);
    script.is_wrong("/a/b: no order explains");
}

#[test]
fn a_value_that_nobody_wrote() {
    let mut script = Script::with_a();
    script.call(1, get("/a"), data("9", stat(10, 10, 0)));
    script.is_wrong("/a: no order explains");
}

#[test]
fn a_zxid_that_changes_or_goes_back() {
    let mut script = Script::with_a();
    script.call(1, get("/a"), data("0", stat(10, 11, 0)));
    script.is_wrong("/a: no order explains");
    let mut script = Script::with_a();
    script.call(1, set("/a", "1"), done(stat(10, 9, 1)));
    script.is_wrong("/a: no order explains");
    let mut script = Script::with_a();
    script.call(1, delete("/a"), DONE);
    script.call(1, create2("/a", "1"), created("/a", stat(9, 9, 0)));
    script.is_wrong("/a: no order explains");
}

#[test]
fn a_zxid_is_open_until_it_is_shown() {
    let mut script = Script::new();
    script.call(1, create("/a"), path("/a"));
    script.call(1, exists("/a"), done(stat(10, 10, 0)));
    script.is_right();
    script.call(2, exists("/a"), done(stat(11, 11, 0)));
    script.is_wrong("/a: no order explains");
}

#[test]
fn created_twice() {
    let mut script = Script::with_a();
    script.call(2, create("/a"), path("/a"));
    script.is_wrong("/a: no order explains");
}

#[test]
fn a_child_without_its_parent() {
    let mut script = Script::with_a();
    script.call(1, delete("/a"), DONE);
    script.call(2, create("/a/b"), path("/a/b"));
    script.is_wrong("/a: no order explains");
    let mut script = Script::with_a();
    script.call(1, create("/a/b"), path("/a/b"));
    script.call(1, delete("/a"), DONE);
    script.is_wrong("/a/b: no order explains");
}

#[test]
fn a_refusal_without_a_reason() {
    for refusal in [ErrorCode::BadVersion, ErrorCode::NoNode] {
        let mut script = Script::with_a();
        script.call(2, Request::SetData(set_op("/a", "1", 0)), Err(refusal));
        script.is_wrong("/a: no order explains");
    }
    let mut script = Script::with_a();
    script.call(2, create("/a/b"), NO_NODE);
    script.is_wrong("/a: no order explains");
}

#[test]
fn an_error_without_effect_says_nothing() {
    let mut script = Script::with_a();
    let codes = [ErrorCode::SessionExpired, ErrorCode::SessionMoved, ErrorCode::ThrottledOp];
    codes.into_iter().for_each(|code| script.call(1, delete("/a"), Err(code)));
    script.call(1, exists("/a"), done(stat(10, 10, 0)));
    script.is_right();
}

#[test]
fn a_pipeline_out_of_order() {
    let mut script = Script::with_a();
    let one = script.send(1, set("/a", "1"));
    let two = script.send(1, set("/a", "2"));
    script.told(one, done(stat(10, 30, 2)));
    script.told(two, done(stat(10, 20, 1)));
    script.is_wrong("/a: no order explains");
    let mut script = Script::with_a();
    let write = script.send(1, set("/a", "1"));
    let read = script.send(1, get("/a"));
    script.told(write, done(stat(10, 20, 1)));
    script.told(read, data("0", stat(10, 10, 0)));
    script.is_wrong("/a: no order explains");
}

#[test]
fn a_lost_reply_explains_both() {
    for seen in [stat(10, 10, 0), stat(10, 20, 1)] {
        let mut script = Script::with_a();
        let one = script.send(1, set("/a", "1"));
        script.lost(&[one]);
        let text = if seen.version == 0 { "0" } else { "1" };
        script.call(2, get("/a"), data(text, seen));
        script.is_right();
    }
}

/// Of a pipeline whose replies are lost the second is there and the first is not.
#[test]
fn a_gap_in_a_pipeline() {
    let pipeline = |version| {
        let mut script = Script::with_a();
        let calls = [script.send(1, set("/a", "1")), script.send(1, set("/a", "2"))];
        script.lost(&calls);
        script.call(2, get("/a"), data("2", stat(10, 30, version)));
        script
    };
    pipeline(2).is_right();
    pipeline(1).is_wrong("/a: no order explains");
}

/// A session that has gone on elsewhere leaves nothing behind that may still happen.
#[test]
fn a_late_write_of_an_earlier_connection() {
    let late = |again: bool| {
        let mut script = Script::with_a();
        let one = script.send(1, set("/a", "1"));
        script.lost(&[one]);
        if again {
            script.opened(1, true);
        }
        script.call(2, get("/a"), data("0", stat(10, 10, 0)));
        script.call(2, get("/a"), data("1", stat(10, 20, 1)));
        script
    };
    late(false).is_right();
    late(true).is_wrong("/a: no order explains");
}

#[test]
fn ephemerals_go_with_their_session() {
    let owned = Stat { ephemeral_owner: 1, ..stat(20, 20, 0) };
    let mut script = Script::new();
    script.call(1, ephemeral("/e"), path("/e"));
    script.call(2, exists("/e"), done(owned));
    let close = script.send(1, Request::CloseSession);
    script.call(2, exists("/e"), done(owned));
    script.call(2, exists("/e"), NO_NODE);
    script.told(close, DONE);
    script.call(3, exists("/e"), NO_NODE);
    script.is_right();
    script.call(3, exists("/e"), done(owned));
    script.is_wrong("/e: no order explains");
}

#[test]
fn an_ephemeral_is_there_after_its_end_was_told() {
    let mut script = Script::new();
    script.call(1, ephemeral("/e"), path("/e"));
    script.note(1, Happening::Disconnected { session: 1 });
    script.call(2, exists("/e"), done(Stat { ephemeral_owner: 1, ..stat(20, 20, 0) }));
    script.is_right();
    script.expired(1);
    script.call(2, exists("/e"), done(Stat { ephemeral_owner: 1, ..stat(20, 20, 0) }));
    script.is_wrong("/e: no order explains");
}

#[test]
fn a_session_creates_nothing_after_its_end() {
    let late = |seen_absent: bool| {
        let mut script = Script::new();
        script.call(1, ephemeral("/e"), path("/e"));
        let again = script.send(1, ephemeral("/f"));
        script.lost(&[again]);
        if seen_absent {
            script.call(2, exists("/e"), NO_NODE);
        }
        script.call(2, exists("/f"), done(Stat { ephemeral_owner: 1, ..stat(20, 20, 0) }));
        script.expired(1);
        script.call(2, exists("/f"), NO_NODE);
        script
    };
    late(false).is_right();
    // `/e` and `/f` are different znodes, which nothing reads together.
    late(true).is_right();
    let mut script = Script::new();
    script.call(1, ephemeral("/e"), path("/e"));
    let lost = [script.send(1, delete("/e")), script.send(1, ephemeral("/e"))];
    script.lost(&lost);
    script.expired(1);
    script.call(2, exists("/e"), done(Stat { ephemeral_owner: 1, ..stat(30, 30, 0) }));
    script.is_wrong("/e: no order explains");
}

#[test]
fn a_session_may_expire_unseen() {
    let mut script = Script::new();
    script.call(1, ephemeral("/e"), path("/e"));
    script.note(1, Happening::Disconnected { session: 1 });
    script.call(2, exists("/e"), NO_NODE);
    script.is_right();
    script.opened(1, true);
    script.call(1, set("/e", "1"), NO_NODE);
    script.is_right();
    script.call(1, create("/x"), path("/x"));
    script.call(1, ephemeral("/e"), path("/e"));
    script.is_wrong("/e: no order explains");
}

/// Of two changes of one connection the first must have had its effect if the second had, unless a list kept it out.
#[test]
fn a_lost_change_that_a_list_may_forbid_may_have_had_no_effect() {
    let second_alone = |acl: Vec<Acl>| {
        let mut script = Script::new();
        let create = Create { acl, ..create_op("/a", "0", CreateMode::Persistent, false) };
        script.call(1, Request::Create(create), path("/a"));
        let changes = [("1", -1), ("2", 0)];
        let lost =
            changes.map(|(data, version)| script.send(2, Request::SetData(set_op("/a", data, version))));
        script.lost(&lost);
        script.call(3, get("/a"), data("2", stat(10, 20, 1)));
        script
    };
    second_alone(Acl::open_unsafe()).is_wrong("/a: no order explains");
    second_alone(vec![Acl::world(Permissions::READ)]).is_right();
}

#[test]
fn a_lost_create_of_a_sequence_has_one_of_its_names() {
    let mut script = Script::with_a();
    script.call(1, sequential("/a/s-"), path("/a/s-0000000000"));
    let lost = script.send(2, sequential("/a/s-"));
    script.lost(&[lost]);
    script.call(3, children("/a"), names(&["s-0000000000", "s-0000000001"]));
    script.is_right();
    script.call(3, children("/a"), names(&["s-0000000000", "s-0000000001", "t-0000000002"]));
    script.is_wrong("/a/t-0000000002: no order explains");
}

#[test]
fn a_lost_create_of_a_sequence_has_no_two_names() {
    let one_or_two = |lost: usize| {
        let mut script = Script::with_a();
        let calls: Vec<_> = (0..lost).map(|_| script.send(2, sequential("/a/s-"))).collect();
        script.lost(&calls);
        let paths = ["/a/s-0000000000", "/a/s-0000000001"];
        let reads = paths.map(|path| ReadOp::GetData { path: path.into() }).to_vec();
        let results = [20, 30].map(|zxid| OpResult::Data { data: bytes("0"), stat: stat(zxid, zxid, 0) });
        script.call(3, Request::MultiRead(reads), Ok(Reply::Results(results.to_vec())));
        script
    };
    one_or_two(2).is_right();
    one_or_two(1).is_wrong("/a/s-0000000000 /a/s-0000000001: no order explains");
}

#[test]
fn what_servers_delete_by_themselves_is_left_out() {
    let mut script = Script::with_a();
    let container = Request::Create(create_op("/a/c", "0", CreateMode::Container, false));
    script.call(1, container, path("/a/c"));
    script.call(1, create("/a/c/x"), path("/a/c/x"));
    script.call(1, delete("/a/c/x"), Ok(Reply::Empty));
    script.call(1, exists("/a/c"), NO_NODE);
    script.is_right();
    assert_eq!(script.findings().histories, 2);
}

#[test]
fn what_servers_may_not_delete_yet_is_judged() {
    for mode in [CreateMode::Container, CreateMode::Ttl(TTL_LASTING_MS)] {
        let mut script = Script::with_a();
        script.call(1, Request::Create(create_op("/a/c", "0", mode, false)), path("/a/c"));
        script.call(1, exists("/a/c"), NO_NODE);
        script.is_wrong("/a/c: no order explains");
    }
}

/// `/a` and `/b`, which multis set together.
fn pair() -> Script {
    let mut script = Script::new();
    let ops = ["/a", "/b"].map(|path| MultiOp::Create(create_op(path, "0", CreateMode::Persistent, false)));
    let results = ["/a", "/b"].map(|path| OpResult::Created { path: path.into() });
    script.call(1, Request::Multi(ops.to_vec()), Ok(Reply::Results(results.to_vec())));
    script
}

fn set_both(data: &str) -> Request {
    Request::Multi(["/a", "/b"].map(|path| MultiOp::SetData(set_op(path, data, -1))).to_vec())
}

fn read_both(script: &mut Script, texts: [&str; 2], stats: [Stat; 2]) {
    let reads = ["/a", "/b"].map(|path| ReadOp::GetData { path: path.into() }).to_vec();
    let results = (0..2).map(|at| OpResult::Data { data: bytes(texts[at]), stat: stats[at] }).collect();
    script.call(3, Request::MultiRead(reads), Ok(Reply::Results(results)));
}

#[test]
fn half_of_a_multi() {
    let read = |texts: [&str; 2], versions: [i32; 2]| {
        let mut script = pair();
        let multi = script.send(2, set_both("1"));
        read_both(
            &mut script,
            texts,
            versions.map(|version| stat(10, 10 + 10 * i64::from(version), version)),
        );
        let results = vec![OpResult::DataSet(stat(10, 20, 1)); 2];
        script.told(multi, Ok(Reply::Results(results)));
        script
    };
    read(["0", "0"], [0, 0]).is_right();
    read(["1", "1"], [1, 1]).is_right();
    read(["1", "0"], [1, 0]).is_wrong("/a /b: no order explains");
    read(["0", "1"], [0, 1]).is_wrong("/a /b: no order explains");
}

#[test]
fn half_of_a_lost_multi() {
    let read = |texts: [&str; 2], versions: [i32; 2]| {
        let mut script = pair();
        let multi = script.send(2, set_both("1"));
        script.lost(&[multi]);
        read_both(
            &mut script,
            texts,
            versions.map(|version| stat(10, 10 + 10 * i64::from(version), version)),
        );
        script
    };
    read(["1", "1"], [1, 1]).is_right();
    read(["1", "0"], [1, 0]).is_wrong("/a /b: no order explains");
}

#[test]
fn a_multi_has_one_zxid() {
    let mut script = pair();
    read_both(&mut script, ["0", "0"], [stat(10, 10, 0); 2]);
    script.is_right();
    let results = [stat(10, 20, 1), stat(10, 21, 1)].map(OpResult::DataSet);
    script.call(2, set_both("1"), Ok(Reply::Results(results.to_vec())));
    script.is_wrong("/b: no order explains");
}

#[test]
fn a_multi_fails_for_the_reason_told() {
    use OpResult::{Failed, RolledBack};
    let multi = |results: [OpResult; 3]| {
        let mut script = pair();
        let ops = vec![
            MultiOp::SetData(set_op("/a", "1", -1)),
            MultiOp::Check(Check { path: "/a".into(), version: 0 }),
            MultiOp::Delete(Delete { path: "/b".into(), version: -1 }),
        ];
        script.call(2, Request::Multi(ops), Ok(Reply::Results(results.to_vec())));
        script.call(3, get("/a"), data("0", stat(10, 10, 0)));
        script
    };
    let behind = Failed(ErrorCode::RuntimeInconsistency);
    // The check sees what the multi itself has set.
    multi([RolledBack, Failed(ErrorCode::BadVersion), behind.clone()]).is_right();
    multi([RolledBack, RolledBack, Failed(ErrorCode::NotEmpty)]).is_wrong("/a: no order");
    multi([Failed(ErrorCode::NoNode), behind.clone(), behind.clone()]).is_wrong("/a: no order");
    let misfit = multi([RolledBack, Failed(ErrorCode::BadVersion), RolledBack]);
    assert!(misfit.findings().violations[0].contains("cannot be answered by"));
}

#[test]
fn a_multi_that_failed_changed_nothing() {
    let mut script = pair();
    let ops = vec![
        MultiOp::Delete(Delete { path: "/a".into(), version: -1 }),
        MultiOp::Check(Check { path: "/b".into(), version: 5 }),
    ];
    let results = vec![OpResult::RolledBack, OpResult::Failed(ErrorCode::BadVersion)];
    script.call(2, Request::Multi(ops), Ok(Reply::Results(results)));
    script.call(3, exists("/a"), done(stat(10, 10, 0)));
    script.is_right();
    script.call(3, create("/a"), path("/a"));
    script.is_wrong("/a: no order explains");
}

#[test]
fn a_multi_over_many_is_not_judged_as_one() {
    let mut script = Script::new();
    let paths: Vec<String> = (0..5).map(|n| format!("/n{n}")).collect();
    let ops = paths.iter().map(|path| MultiOp::Create(create_op(path, "0", CreateMode::Persistent, false)));
    let results = paths.iter().map(|path| OpResult::Created { path: path.as_str().into() }).collect();
    script.call(1, Request::Multi(ops.collect()), Ok(Reply::Results(results)));
    script.is_right();
    assert_eq!(script.findings().too_large, 1);
}

#[test]
fn a_reply_of_another_kind() {
    let mut script = Script::with_a();
    script.call(2, get("/a"), names(&["x"]));
    let violations = script.findings().violations;
    assert_eq!(violations, ["5..6: getData /a cannot be answered by [\"x\"]"]);
}

/// What does not matter to the violation is not shown.
#[test]
fn a_story_is_short() {
    let mut script = Script::with_a();
    (0..50).for_each(|_| script.call(3, get("/a"), data("0", stat(10, 10, 0))));
    script.call(2, set("/a", "1"), done(stat(10, 20, 1)));
    script.call(3, get("/a"), data("0", stat(10, 10, 0)));
    (0..50).for_each(|_| script.call(3, get("/a"), data("1", stat(10, 20, 1))));
    let violations = script.findings().violations;
    let expected = [
        "/a: no order explains the call marked *",
        "  before it: \"1\" version 1 czxid 0xa mzxid 0x14",
        "           3..4      3 ms  client 1 session 0x1: create /a \"0\" Persistent -> /a version 0 czxid 0xa mzxid 0xa",
        "       105..106    105 ms  client 2 session 0x2: setData /a \"1\" version -1 -> version 1 czxid 0xa mzxid 0x14",
        " *     107..108    107 ms  client 3 session 0x3: getData /a -> \"0\" version 0 czxid 0xa mzxid 0xa",
    ];
    assert_eq!(violations.iter().flat_map(|text| text.lines()).collect::<Vec<_>>(), expected);
}
