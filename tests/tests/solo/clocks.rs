//! A wall clock that is wrong, at the start or while the node runs: zxids rise, stats are right again once it is, and a time to
//! live is what it was.

use super::client::Client;
use tests::fuzz::served::{Served, WALL_MS};
use volery::wire::{Acl, Create, CreateMode, ErrorCode, Reply, Request, SetData, Stat};

const YEAR_MS: i64 = 365 * 86_400_000;
/// Seconds, hours, 70 and 250 years, both ways.
const OFF_MS: [i64; 8] =
    [5_000, -5_000, 7_200_000, -7_200_000, 70 * YEAR_MS, -70 * YEAR_MS, 250 * YEAR_MS, -250 * YEAR_MS];
const TTL_MS: i64 = 20_000;

fn create(served: &mut Served, client: &mut Client, path: &str, mode: CreateMode) -> Stat {
    let create =
        Create { path: path.into(), data: None, acl: Acl::open_unsafe(), mode: Ok(mode), with_stat: true };
    match client.ask(served, &Request::Create(create)) {
        Ok(Reply::PathStat { stat, .. }) => stat,
        other => panic!("{path} was not created: {other:?}"),
    }
}

fn set(served: &mut Served, client: &mut Client, path: &str) -> Stat {
    let request = Request::SetData(SetData { path: path.into(), data: None, version: -1 });
    match client.ask(served, &request) {
        Ok(Reply::Stat(stat)) => stat,
        other => panic!("{path} was not set: {other:?}"),
    }
}

fn is_there(served: &mut Served, client: &mut Client, path: &str) -> bool {
    match client.ask(served, &Request::Exists { path: path.into(), watch: false }) {
        Ok(_) => true,
        Err(ErrorCode::NoNode) => false,
        Err(code) => panic!("{path}: {code:?}"),
    }
}

/// Whether a time is the node's true one, within the few seconds that a test takes.
fn is_true(time_ms: i64) -> bool {
    time_ms.abs_diff(WALL_MS as i64) < 200_000
}

/// Sees that zxids are positive and rise.
struct Rising(i64);

impl Rising {
    fn note(&mut self, zxid: i64, when: &str) {
        assert!(zxid > self.0 && zxid > 0, "{when}: {zxid:#x} after {:#x}", self.0);
        self.0 = zxid;
    }
}

/// Creates a TTL znode, and sees that it lives as long as it should whatever the clock does meanwhile.
fn lives_its_time(
    served: &mut Served,
    client: &mut Client,
    path: &str,
    meanwhile: impl FnOnce(&mut Served),
    when: &str,
) {
    create(served, client, path, CreateMode::Ttl(TTL_MS));
    served.wait(20);
    meanwhile(served);
    // Half of its time is over, and most of the other half passes now.
    served.wait(16);
    assert!(is_there(served, client, path), "{when}: {path} went early");
    served.wait(12);
    assert!(!is_there(served, client, path), "{when}: {path} is there still");
}

#[test]
fn a_clock_that_is_wrong_at_the_start_is_right_again_once_it_is_set() {
    for off in OFF_MS {
        let mut served = Served::with_clock_off(off);
        let mut client = Client::new(&mut served, 1);
        let mut rising = Rising(0);
        let wrong = create(&mut served, &mut client, "/a", CreateMode::Persistent);
        rising.note(wrong.czxid, "at the start");
        assert!(wrong.ctime >= 0, "{off}");
        create(&mut served, &mut client, "/immortal", CreateMode::Ttl(TTL_MS));
        lives_its_time(&mut served, &mut client, "/t0", |_| {}, "while the clock is wrong");
        served.set_clock_off(0);
        let right = set(&mut served, &mut client, "/a");
        rising.note(right.mzxid, "once the clock is right");
        assert!(is_true(right.mtime), "{off}: {}", right.mtime);
        lives_its_time(&mut served, &mut client, "/t1", |_| {}, "once the clock is right");
        assert!(!is_there(&mut served, &mut client, "/immortal"), "{off}");
        let mut served = served.restarted();
        let mut client = client.reopened(&mut served, 2);
        let right = set(&mut served, &mut client, "/a");
        rising.note(right.mzxid, "after a restart");
        assert!(is_true(right.mtime), "{off}: {}", right.mtime);
    }
}

#[test]
fn a_clock_that_leaps_and_comes_back_ends_nothing_early() {
    for off in OFF_MS {
        let mut served = Served::on_empty_disk();
        let mut client = Client::new(&mut served, 1);
        let mut rising = Rising(0);
        rising.note(create(&mut served, &mut client, "/a", CreateMode::Persistent).czxid, "before");
        lives_its_time(&mut served, &mut client, "/t0", |served| served.set_clock_off(off), "over the leap");
        rising.note(set(&mut served, &mut client, "/a").mzxid, "while the clock is wrong");
        lives_its_time(
            &mut served,
            &mut client,
            "/t1",
            |served| served.set_clock_off(0),
            "over the way back",
        );
        let right = set(&mut served, &mut client, "/a");
        rising.note(right.mzxid, "once the clock is right");
        assert!(is_true(right.mtime), "{off}: {}", right.mtime);
    }
}

#[test]
fn a_time_to_live_goes_on_after_a_restart_with_a_wrong_clock() {
    for off in OFF_MS {
        let mut served = Served::on_empty_disk();
        let mut client = Client::new(&mut served, 1);
        create(&mut served, &mut client, "/t", CreateMode::Ttl(TTL_MS));
        served.wait(20);
        // The log is told of the time that has passed.
        create(&mut served, &mut client, "/a", CreateMode::Persistent);
        served.set_clock_off(off);
        let mut served = served.restarted();
        let mut client = client.reopened(&mut served, 2);
        served.wait(16);
        assert!(is_there(&mut served, &mut client, "/t"), "{off}: it went early");
        served.wait(12);
        assert!(!is_there(&mut served, &mut client, "/t"), "{off}: it is there still");
    }
}

#[test]
fn an_idle_partition_forgets_little_of_a_time_to_live() {
    let mut served = Served::on_empty_disk();
    let mut client = Client::new(&mut served, 1);
    create(&mut served, &mut client, "/t", CreateMode::Ttl(10 * 60_000));
    served.wait(2 * 9 * 60);
    let mut served = served.restarted();
    served.wait(2 * 100);
    let mut client = Client::new(&mut served, 2);
    assert!(
        !is_there(&mut served, &mut client, "/t"),
        "nine minutes before the start, and more than one behind it"
    );
}
