//! Ends of sessions, and who is told of them.

use super::{
    Line, TIMEOUT_MS, TIMEOUT_US, calm, create, get, leader_of, path_of, sequential, set_data, set_to, sync,
    unless, wait, wait_until,
};
use crate::sim::cluster::Cluster;
use eyrie::PartitionId;
use eyrie::sim::Misfortune;
use std::sync::Arc;
use volery::session::SessionId;
use volery::wire::{ConnectResponse, ErrorCode, MultiOp, Reply, Request, XID_PING};

/// As long as a session's timeout may be.
const LONG_TIMEOUT_MS: i32 = 10_000;

/// A client gives a handshake up and takes another server; the first one, late, moves the session all the same. The client,
/// who only pings, must keep its session, and is told that it has moved when it asks for something.
pub(super) fn late_handshake(seed: u64) -> Option<String> {
    let mut world = calm(seed, 3);
    let (mut line, session) = Line::open(&mut world, 0, TIMEOUT_MS, None);
    let (late, moved) = Line::open(&mut world, 1, TIMEOUT_MS, Some(&session));
    if moved.session_id != session.session_id {
        return Some("the session did not move".to_owned());
    }
    late.close(&mut world);
    for _ in 0..20 {
        wait(&mut world, 200_000);
        if line.try_call(&mut world, XID_PING, &Request::Ping).is_none() {
            return Some("a ping was not answered".to_owned());
        }
    }
    let asked = line.try_call(&mut world, 1, &sync(&"/".into()));
    if asked != Some(Err(ErrorCode::SessionMoved)) {
        return Some(format!("it was not told that its session has moved, but {asked:?}"));
    }
    let (_, answer) = Line::open(&mut world, 2, TIMEOUT_MS, Some(&session));
    unless(answer.session_id == session.session_id, || "the session was ended".to_owned())
}

/// A ping that reaches the leader of the session's home too late, because its node was cut off, is not answered: the session's end
/// was ordered meanwhile. An answer would say that it lives.
pub(super) fn late_ping(seed: u64) -> Option<String> {
    let mut world = calm(seed, 3);
    let (mut line, session) = Line::open(&mut world, 2, TIMEOUT_MS, None);
    wait(&mut world, 700_000);
    let until_us = world.now_us() + 200_000 + seed % 24 * 20_000;
    world.meet(Misfortune::Isolate, 2, 0, until_us);
    wait(&mut world, 50_000);
    line.send(&mut world, XID_PING, &Request::Ping);
    if line.is_answered(&mut world, XID_PING) {
        let asked = line.try_call(&mut world, 1, &sync(&"/".into()));
        return unless(matches!(asked, Some(Ok(_))), || format!("it was told that it lived: {asked:?}"));
    }
    let (_, answer) = Line::open(&mut world, 1, TIMEOUT_MS, Some(&session));
    unless(answer.session_id == 0, || "its ping was not answered and it lives".to_owned())
}

/// The leader of a session's home is cut off when the session was long silent, and orders its end; meanwhile another one leads, and
/// hears of the client. What the first one had ordered comes to be delivered when the cut is mended, and must be void.
pub(super) fn end_of_an_earlier_reign(seed: u64) -> Option<String> {
    let mut world = calm(seed, 3);
    let (mut line, _) = Line::open(&mut world, 2, TIMEOUT_MS, None);
    wait(&mut world, 300_000 + seed / 2 % 12 * 50_000);
    let until_us = world.now_us() + 3_000_000;
    world.meet(Misfortune::Isolate, (seed % 2) as usize, 0, until_us);
    ping(&mut world, &mut line, until_us + 1_000_000)
}

/// The leader of a session's home is cut off from the others, and confirms its client's pings for as long as it is sure of itself. By
/// then another one leads. The client comes to that one within its timeout, and must have its session.
pub(super) fn confirmed_by_the_leader_before(seed: u64) -> Option<String> {
    let mut world = calm(seed, 3);
    let home = PartitionId((seed % 2) as u16);
    let old = leader_of(&mut world, home)?;
    let (mut line, session) = open_at_home(&mut world, old, home);
    let until_us = world.now_us() + 8_000_000;
    world.meet(Misfortune::Isolate, old, 0, until_us);
    let mut lives_until_us = 0;
    while world.now_us() < until_us {
        let sent_us = world.now_us();
        line.send(&mut world, XID_PING, &Request::Ping);
        if !wait_until(&mut world, TIMEOUT_US / 4, |world| line.has_frame(world)) {
            break;
        }
        lives_until_us = sent_us + TIMEOUT_US;
        wait(&mut world, 20_000);
    }
    // Clocks run unevenly, and a handshake takes some time.
    let comes_us = (lives_until_us - TIMEOUT_US / 10).saturating_sub(world.now_us());
    wait(&mut world, comes_us);
    let (_, answer) = Line::open(&mut world, (old + 1) % 3, TIMEOUT_MS, Some(&session));
    let early_us = lives_until_us.saturating_sub(world.now_us());
    unless(answer.session_id != 0 || early_us == 0, || {
        format!("its session was ended {early_us} us too early")
    })
}

/// A session with this home.
fn open_at_home(world: &mut Cluster, node: usize, home: PartitionId) -> (Line, ConnectResponse) {
    loop {
        let (line, session) = Line::open(world, node, TIMEOUT_MS, None);
        if SessionId(session.session_id as u64).home(2) == home {
            return (line, session);
        }
    }
}

/// A znode was changed together with one of a partition whose clock is ahead, so that the next change of it gets a zxid from beyond its
/// own partition's. The session that makes it moves, and changes another znode there.
pub(super) fn changes_before_and_after_a_move(seed: u64) -> Option<String> {
    let mut world = calm(seed / 2, 3);
    let [here, there] = [seed % 2, 1 - seed % 2].map(|partition| PartitionId(partition as u16));
    let mut paths = (0..).map(|number| Arc::<str>::from(format!("/{number}")));
    let mut next_here = || paths.find(|path| world.oracle().of(path) == here).expect("a path");
    let (first, second) = (next_here(), next_here());
    let third = path_of(&world, there);
    let (mut other, _) = Line::open(&mut world, 0, TIMEOUT_MS * 10, None);
    for (xid, path) in [(1, &first), (2, &second), (3, &third)] {
        other.call(&mut world, xid, &create(path)).expect("created");
    }
    let (mut line, session) = open_at_home(&mut world, 1, here);
    line.call(&mut world, 1, &get(&first, true)).expect("read");
    let both = [&first, &third].map(|path| MultiOp::SetData(set_data(path, 0)));
    other.call(&mut world, 4, &Request::Multi(both.into())).expect("written");
    let before = mzxid(line.call(&mut world, 2, &set_to(&first, 1)))?;
    let (mut moved, _) = Line::open(&mut world, 2, TIMEOUT_MS, Some(&session));
    let after = mzxid(moved.call(&mut world, 1, &set_to(&second, 1)))?;
    unless(after > before, || format!("its change has zxid {after:#x}, and the one before had {before:#x}"))
}

fn mzxid(reply: Result<Reply, ErrorCode>) -> Option<i64> {
    match reply {
        Ok(Reply::Stat(stat)) => Some(stat.mzxid),
        _ => None,
    }
}

/// A client pings a node that is cut off: what it is told must not say that its session lives.
pub(super) fn pings_that_do_not_get_through(seed: u64) -> Option<String> {
    let mut world = calm(seed, 3);
    let (mut line, _) = Line::open(&mut world, (seed % 3) as usize, TIMEOUT_MS, None);
    let until_us = world.now_us() + 3_000_000;
    world.meet(Misfortune::Isolate, (seed % 3) as usize, 0, until_us);
    ping(&mut world, &mut line, until_us + 1_000_000)
}

/// A client falls silent, and who leads its session's home changes again and again. The session ends all the same, within half
/// as much again as its timeout.
pub(super) fn silent_while_leaders_change(seed: u64) -> Option<String> {
    let mut world = calm(seed, 3);
    let (mut line, _) = Line::open(&mut world, 2, LONG_TIMEOUT_MS, None);
    let long_us = LONG_TIMEOUT_MS as u64 * 1_000;
    let end_us = world.now_us() + long_us * 3 / 2;
    for turn in 0.. {
        let until_us = world.now_us() + 1_000_000 + seed % 7 * 250_000;
        world.meet(Misfortune::Isolate, ((seed + turn) % 2) as usize, 0, until_us);
        let us = until_us + 1_500_000 - world.now_us();
        wait(&mut world, us);
        if line.is_closed(&mut world) {
            break;
        }
        if world.now_us() > end_us {
            return Some("its session goes on, whatever its timeout is".to_owned());
        }
    }
    None
}

/// A reign is left with a session that had been silent for long, the next one hears of its client, and the first leader leads again
/// without having heard from that one. What its own reign had left does not count any more.
pub(super) fn heard_of_in_the_reign_between(seed: u64) -> Option<String> {
    let mut world = calm(seed, 3);
    let (mut line, _) = Line::open(&mut world, 2, LONG_TIMEOUT_MS, None);
    let first = (seed % 2) as usize;
    wait(&mut world, 6_500_000);
    let until_us = world.now_us() + 3_000_000;
    world.meet(Misfortune::Isolate, first, 0, until_us);
    wait(&mut world, 2_200_000);
    line.send(&mut world, XID_PING, &Request::Ping);
    if !line.is_answered(&mut world, XID_PING) {
        return None;
    }
    let lives_until_us = world.now_us() + LONG_TIMEOUT_MS as u64 * 1_000;
    let us = (until_us + 50_000).saturating_sub(world.now_us());
    wait(&mut world, us);
    let until_us = world.now_us() + 3_000_000;
    world.meet(Misfortune::Isolate, 2, 0, until_us);
    while world.now_us() + 200_000 < lives_until_us {
        wait(&mut world, 200_000);
        if line.is_closed(&mut world) {
            let early_us = lives_until_us - world.now_us();
            return Some(format!("its session was ended {early_us} us too early"));
        }
    }
    None
}

/// Pings until then. A session must live for its timeout after each ping that is answered.
fn ping(world: &mut Cluster, line: &mut Line, until_us: u64) -> Option<String> {
    let mut lives_until_us = 0u64;
    while world.now_us() < until_us {
        let sent_us = world.now_us();
        line.send(world, XID_PING, &Request::Ping);
        if !line.is_answered(world, XID_PING) {
            let early_us = lives_until_us.saturating_sub(world.now_us());
            return unless(early_us == 0, || format!("its session was ended {early_us} us too early"));
        }
        lives_until_us = sent_us + TIMEOUT_US;
        wait(world, 50_000);
    }
    None
}

/// A session moves away and is closed there. Where it was, at a node that does not host its home nor follow it, its connection ends
/// too.
pub(super) fn closed_elsewhere(seed: u64) -> Option<String> {
    let mut world = calm(seed / 3, 4);
    let (mut line, session) = loop {
        let (line, session) = Line::open(&mut world, 3, TIMEOUT_MS * 10, None);
        if SessionId(session.session_id as u64).home(2) == PartitionId(0) {
            break (line, session);
        }
    };
    let (mut moved, _) = Line::open(&mut world, (seed % 3) as usize, TIMEOUT_MS * 10, Some(&session));
    moved.call(&mut world, 1, &Request::CloseSession).expect("closed");
    unless(!line.is_answered(&mut world, 1), || "it was answered what it did not ask".to_owned())
}

/// A session asks for a znode where its node is cut off, and is ended by then. The request comes to be delivered when the cut is
/// mended, and must have no effect.
pub(super) fn request_after_the_end(seed: u64) -> Option<String> {
    let mut world = calm(seed, 3);
    let path = path_of(&world, PartitionId((seed % 2) as u16));
    let (mut line, session) = Line::open(&mut world, 2, TIMEOUT_MS, None);
    // Now it is attached there.
    let _ = line.try_call(&mut world, 1, &get(&path, false));
    wait(&mut world, 200_000);
    let until_us = world.now_us() + 6_000_000;
    world.meet(Misfortune::Isolate, 2, 0, until_us);
    line.send(&mut world, 2, &create(&path));
    wait(&mut world, 4_000_000);
    let (mut other, answer) = Line::open(&mut world, 1, TIMEOUT_MS * 10, Some(&session));
    if answer.session_id != 0 {
        return None;
    }
    other.close(&mut world);
    wait(&mut world, 4_000_000);
    (other, _) = Line::open(&mut world, 0, TIMEOUT_MS * 10, None);
    let found = other.try_call(&mut world, 1, &get(&path, false));
    unless(found == Some(Err(ErrorCode::NoNode)), || {
        format!("created by a session that had ended: {found:?}")
    })
}

/// Another has the name that a sequential znode comes to. The partition of the parent does not hold it, and must have asked.
/// With four nodes a turn has all its steps, and that partition executes first.
pub(super) fn a_sequential_name_that_is_taken(seed: u64) -> Option<String> {
    let mut world = calm(seed, 4);
    let (mut line, _) = Line::open(&mut world, (seed % 3) as usize, TIMEOUT_MS * 10, None);
    let prefix: Arc<str> = format!("/{seed}-").into();
    let Ok(Reply::Path(first)) = line.call(&mut world, 1, &sequential(&prefix)) else {
        return Some("no sequential znode was created".to_owned());
    };
    let number: u64 = first[prefix.len()..].parse().expect("a number");
    let taken: Arc<str> = format!("{prefix}{:010}", number + 2).into();
    line.call(&mut world, 2, &create(&taken)).expect("created by hand");
    let parent = Request::Exists { path: "/".into(), watch: false };
    let before = line.call(&mut world, 3, &parent);
    let second = line.call(&mut world, 4, &sequential(&prefix));
    if second != Err(ErrorCode::NodeExists) {
        return Some(format!("{taken} was there, and it was told {second:?}"));
    }
    // Whichever partition has answered: none has changed anything.
    let after = line.call(&mut world, 5, &parent);
    unless(before == after, || {
        format!("nothing was created, and the parent came from {before:?} to {after:?}")
    })
}
