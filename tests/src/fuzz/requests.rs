//! What clients ask for: few names, so that they meet.

use super::draw::Draw;
use bytes::Bytes;
use std::sync::Arc;
use volery::acl::digest;
use volery::wire::{
    Acl, AddWatchMode, Check, Create, CreateMode, Delete, MultiOp, Permissions, ReadOp, Reconfig, Request,
    SetData, SetWatches, WatcherType,
};

const USER: &str = "ann";
const SECRET: &str = "secret";

/// A znode's path; now and then an odd one, or none.
pub fn path(draw: &mut Draw) -> Arc<str> {
    const ODD: [&str; 9] =
        ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config", "/a/", "a", "/a/../b", "//a", ""];
    const NAMES: [&str; 6] = ["a", "b", "c", "q-", "q-0000000000", "q-0000000001"];
    if draw.once_in(24) {
        return draw.choose(&ODD).into();
    }
    let depth = draw.choose(&[1, 1, 2, 2, 2, 3, 3, 4]);
    (0..depth).map(|_| format!("/{}", draw.choose(&NAMES))).collect::<String>().into()
}

/// A version to expect.
pub fn version(draw: &mut Draw) -> i32 {
    draw.choose(&[-1, -1, -1, 0, 1, 2])
}

/// A znode's data.
pub fn data(draw: &mut Draw) -> Option<Bytes> {
    if draw.once_in(8) { None } else { Some(Bytes::copy_from_slice(draw.bytes(4))) }
}

/// Who [`credentials`] make a client be.
pub fn user() -> String {
    digest(USER, SECRET)
}

/// What [`user`] authenticates with.
pub fn credentials() -> Bytes {
    Bytes::from(format!("{USER}:{SECRET}"))
}

/// An access-control list, mostly the open one.
pub fn acl(draw: &mut Draw) -> Vec<Acl> {
    let ann = |permissions| Acl { permissions, scheme: "digest".into(), id: user() };
    match draw.below(16) {
        11 => vec![],
        12 => vec![Acl::world(Permissions::READ), ann(Permissions::ALL)],
        13 => vec![Acl { permissions: Permissions::ALL, scheme: "auth".into(), id: String::new() }],
        14 => vec![Acl::world(Permissions::READ | Permissions::WRITE | Permissions::CREATE)],
        15 => vec![ann(Permissions::READ), ann(Permissions::READ), Acl::world(Permissions::ALL)],
        _ => Acl::open_unsafe(),
    }
}

/// A mode of creation. What goes by itself stays for a minute at least.
pub fn mode(draw: &mut Draw) -> CreateMode {
    use CreateMode::*;
    draw.choose(&[
        Persistent,
        Persistent,
        Persistent,
        Ephemeral,
        Ephemeral,
        PersistentSequential,
        EphemeralSequential,
        Container,
        Ttl(60_000),
        TtlSequential(60_000),
        Ttl(0),
    ])
}

/// Anything a client may ask for, but to close its session.
pub fn request(draw: &mut Draw) -> Request {
    let watch = draw.flag();
    match draw.below(28) {
        0..=5 => Request::Create(create(draw)),
        6 | 7 => Request::Delete(Delete { path: path(draw), version: version(draw) }),
        8 | 9 => Request::SetData(SetData { path: path(draw), data: data(draw), version: version(draw) }),
        10 => Request::SetAcl { path: path(draw), acl: acl(draw), version: version(draw) },
        11 => Request::Exists { path: path(draw), watch },
        12 | 13 => Request::GetData { path: path(draw), watch },
        14 => Request::GetChildren { path: path(draw), watch },
        15 => Request::GetChildren2 { path: path(draw), watch },
        16 => Request::GetAcl { path: path(draw) },
        17 => Request::Sync { path: path(draw) },
        18 | 19 => Request::Multi((0..draw.below(5)).map(|_| multi_op(draw)).collect()),
        20 => Request::MultiRead((0..draw.below(4)).map(|_| read_op(draw)).collect()),
        21 => Request::AddWatch { path: path(draw), mode: draw.choose(AddWatchMode::ALL) },
        22 => Request::RemoveWatches { path: path(draw), kind: draw.choose(WatcherType::ALL) },
        23 => Request::SetWatches(set_watches(draw)),
        24 => Request::GetEphemerals { prefix: path(draw) },
        25 => Request::GetAllChildrenNumber { path: path(draw) },
        26 => Request::Ping,
        _ => rare(draw),
    }
}

fn rare(draw: &mut Draw) -> Request {
    match draw.below(8) {
        0..=2 => Request::Auth { kind: 0, scheme: "digest".into(), auth: credentials() },
        3 => Request::WhoAmI,
        4 => Request::CheckWatches { path: path(draw), kind: draw.choose(WatcherType::ALL) },
        5 => Request::Check(Check { path: path(draw), version: version(draw) }),
        6 => Request::Sasl { token: data(draw) },
        _ => Request::Reconfig(Reconfig {
            joining: Some(path(draw)),
            leaving: None,
            members: None,
            config_id: -1,
        }),
    }
}

fn create(draw: &mut Draw) -> Create {
    let (path, data, acl) = (path(draw), data(draw), acl(draw));
    let mode = if draw.once_in(32) { CreateMode::from_flags(99, None) } else { Ok(mode(draw)) };
    Create { path, data, acl, mode, with_stat: draw.flag() }
}

fn multi_op(draw: &mut Draw) -> MultiOp {
    match draw.below(8) {
        0..=3 => MultiOp::Create(create(draw)),
        4 => MultiOp::Delete(Delete { path: path(draw), version: version(draw) }),
        5 | 6 => MultiOp::SetData(SetData { path: path(draw), data: data(draw), version: version(draw) }),
        _ => MultiOp::Check(Check { path: path(draw), version: version(draw) }),
    }
}

fn read_op(draw: &mut Draw) -> ReadOp {
    let path = path(draw);
    if draw.flag() { ReadOp::GetData { path } } else { ReadOp::GetChildren { path } }
}

fn set_watches(draw: &mut Draw) -> SetWatches {
    let mut paths = || (0..draw.below(3)).map(|_| path(draw)).collect();
    let (data, exist, child) = (paths(), paths(), paths());
    let (persistent, persistent_recursive) = (paths(), paths());
    let relative_zxid = draw.choose(&[0, i64::MAX, -1]);
    SetWatches { relative_zxid, data, exist, child, persistent, persistent_recursive }
}
