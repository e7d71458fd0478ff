//! Strategies that draw every record of the protocol, for the properties beside them.

use super::*;
use ::bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestCaseError;
use std::sync::Arc;

/// Writes a record, reads it back and finds nothing left over.
pub(super) fn round_trip<R: Record + PartialEq + std::fmt::Debug>(record: R) -> Result<(), TestCaseError> {
    let mut output = BytesMut::new();
    record.write(&mut output);
    prop_assert!(output.len() >= R::BYTES_MIN);
    let mut reader = Reader::new(output.freeze());
    prop_assert_eq!(reader.record::<R>(), Ok(record));
    prop_assert_eq!(reader.remaining(), 0);
    Ok(())
}

pub(super) fn text() -> impl Strategy<Value = Arc<str>> {
    any::<String>().prop_map(Arc::from)
}

fn names() -> impl Strategy<Value = Names> {
    texts().prop_map(|names| names.into_iter().collect())
}

pub(super) fn texts() -> impl Strategy<Value = Vec<Arc<str>>> {
    vec(text(), 0..4)
}

pub(super) fn bytes() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..40).prop_map(Bytes::from)
}

pub(super) fn data() -> impl Strategy<Value = Option<Bytes>> {
    option::of(bytes())
}

pub(super) fn error_code() -> impl Strategy<Value = ErrorCode> {
    select(ErrorCode::ALL)
}

/// Numbers of operations, and now and then a number that is none.
pub(super) fn op_number() -> impl Strategy<Value = i32> {
    prop_oneof![9 => select(OpCode::ALL).prop_map(OpCode::number), 1 => any::<i32>()]
}

pub(super) fn acl() -> impl Strategy<Value = Acl> {
    (any::<i32>(), any::<String>(), any::<String>()).prop_map(|(permissions, scheme, id)| Acl {
        permissions: Permissions(permissions),
        scheme,
        id,
    })
}

pub(super) fn stat() -> impl Strategy<Value = Stat> {
    (any::<[i64; 6]>(), any::<[i32; 5]>()).prop_map(|(longs, ints)| {
        let [czxid, mzxid, ctime, mtime, ephemeral_owner, pzxid] = longs;
        let [version, cversion, aversion, data_length, num_children] = ints;
        Stat {
            czxid,
            mzxid,
            ctime,
            mtime,
            version,
            cversion,
            aversion,
            ephemeral_owner,
            data_length,
            num_children,
            pzxid,
        }
    })
}

fn create() -> impl Strategy<Value = Create> {
    (text(), data(), vec(acl(), 0..3), -1..9i32, option::of(any::<i64>()), any::<bool>()).prop_map(
        |(path, data, acl, flags, ttl_ms, with_stat)| {
            let mode = CreateMode::from_flags(flags, ttl_ms);
            Create { path, data, acl, mode, with_stat: with_stat || ttl_ms.is_some() }
        },
    )
}

fn delete() -> impl Strategy<Value = Delete> {
    (text(), any::<i32>()).prop_map(|(path, version)| Delete { path, version })
}

fn set_data() -> impl Strategy<Value = SetData> {
    (text(), data(), any::<i32>()).prop_map(|(path, data, version)| SetData { path, data, version })
}

fn check() -> impl Strategy<Value = Check> {
    (text(), any::<i32>()).prop_map(|(path, version)| Check { path, version })
}

pub(super) fn multi_op() -> impl Strategy<Value = MultiOp> {
    prop_oneof![
        create().prop_map(MultiOp::Create),
        delete().prop_map(MultiOp::Delete),
        set_data().prop_map(MultiOp::SetData),
        check().prop_map(MultiOp::Check),
    ]
}

pub(super) fn read_op() -> impl Strategy<Value = ReadOp> {
    prop_oneof![
        text().prop_map(|path| ReadOp::GetData { path }),
        text().prop_map(|path| ReadOp::GetChildren { path }),
    ]
}

pub(super) fn op_result() -> impl Strategy<Value = OpResult> {
    prop_oneof![
        text().prop_map(|path| OpResult::Created { path }),
        (text(), stat()).prop_map(|(path, stat)| OpResult::CreatedWithStat { path, stat }),
        Just(OpResult::Deleted),
        stat().prop_map(OpResult::DataSet),
        Just(OpResult::Checked),
        (data(), stat()).prop_map(|(data, stat)| OpResult::Data { data, stat }),
        names().prop_map(OpResult::Children),
        Just(OpResult::RolledBack),
        error_code().prop_map(OpResult::Failed),
    ]
}

fn set_watches() -> impl Strategy<Value = SetWatches> {
    (any::<i64>(), texts(), texts(), texts(), texts(), texts()).prop_map(
        |(relative_zxid, data, exist, child, persistent, persistent_recursive)| SetWatches {
            relative_zxid,
            data,
            exist,
            child,
            persistent,
            persistent_recursive,
        },
    )
}

fn reconfig() -> impl Strategy<Value = Reconfig> {
    (option::of(text()), option::of(text()), option::of(text()), any::<i64>())
        .prop_map(|(joining, leaving, members, config_id)| Reconfig { joining, leaving, members, config_id })
}

/// A request about one path, and a flag for those that have one.
fn path_request() -> impl Strategy<Value = Request> {
    (text(), any::<bool>(), 0..7).prop_map(|(path, watch, which)| match which {
        0 => Request::Exists { path, watch },
        1 => Request::GetData { path, watch },
        2 => Request::GetChildren { path, watch },
        3 => Request::GetChildren2 { path, watch },
        4 => Request::GetAcl { path },
        5 => Request::Sync { path },
        _ => Request::GetAllChildrenNumber { path },
    })
}

fn watch_request() -> impl Strategy<Value = Request> {
    prop_oneof![
        (text(), select(WatcherType::ALL)).prop_map(|(path, kind)| Request::CheckWatches { path, kind }),
        (text(), select(WatcherType::ALL)).prop_map(|(path, kind)| Request::RemoveWatches { path, kind }),
        (text(), select(AddWatchMode::ALL)).prop_map(|(path, mode)| Request::AddWatch { path, mode }),
        set_watches().prop_map(Request::SetWatches),
    ]
}

fn session_request() -> impl Strategy<Value = Request> {
    prop_oneof![
        select(vec![Request::Ping, Request::WhoAmI, Request::CloseSession]),
        (any::<i32>(), any::<String>(), bytes()).prop_map(|(kind, scheme, auth)| Request::Auth {
            kind,
            scheme,
            auth
        }),
        data().prop_map(|token| Request::Sasl { token }),
        text().prop_map(|prefix| Request::GetEphemerals { prefix }),
        reconfig().prop_map(Request::Reconfig),
    ]
}

fn write_request() -> impl Strategy<Value = Request> {
    prop_oneof![
        create().prop_map(Request::Create),
        delete().prop_map(Request::Delete),
        set_data().prop_map(Request::SetData),
        check().prop_map(Request::Check),
        (text(), vec(acl(), 0..3), any::<i32>()).prop_map(|(path, acl, version)| Request::SetAcl {
            path,
            acl,
            version
        }),
        vec(multi_op(), 0..4).prop_map(Request::Multi),
        vec(read_op(), 0..4).prop_map(Request::MultiRead),
    ]
}

pub(super) fn request() -> impl Strategy<Value = Request> {
    prop_oneof![path_request(), watch_request(), session_request(), write_request()]
}

fn identity() -> impl Strategy<Value = Identity> {
    (text(), text()).prop_map(|(scheme, user)| Identity { scheme, user })
}

/// A reply and an operation that it answers.
pub(super) fn reply() -> impl Strategy<Value = (OpCode, Reply)> {
    use OpCode::*;
    let of = |ops: &'static [OpCode]| select(ops);
    prop_oneof![
        (of(&[
            Delete,
            Check,
            Ping,
            Auth,
            SetWatches,
            SetWatches2,
            CheckWatches,
            RemoveWatches,
            CloseSession
        ]))
        .prop_map(|op| (op, Reply::Empty)),
        (of(&[Create, Sync]), text()).prop_map(|(op, path)| (op, Reply::Path(path))),
        (of(&[Create2, CreateContainer, CreateTtl]), text(), stat())
            .prop_map(|(op, path, stat)| (op, Reply::PathStat { path, stat })),
        (of(&[Exists, SetData, SetAcl]), stat()).prop_map(|(op, stat)| (op, Reply::Stat(stat))),
        (of(&[GetData, Reconfig]), data(), stat())
            .prop_map(|(op, data, stat)| (op, Reply::Data { data, stat })),
        (vec(acl(), 0..3), stat()).prop_map(|(acl, stat)| (GetAcl, Reply::Acl { acl, stat })),
        (of(&[GetChildren, GetEphemerals]), names()).prop_map(|(op, names)| (op, Reply::Names(names))),
        (names(), stat()).prop_map(|(names, stat)| (GetChildren2, Reply::NamesStat { names, stat })),
        (of(&[Multi, MultiRead]), vec(op_result(), 0..4))
            .prop_map(|(op, results)| (op, Reply::Results(results))),
        any::<i32>().prop_map(|count| (GetAllChildrenNumber, Reply::Count(count))),
        vec(identity(), 0..3).prop_map(|identities| (WhoAmI, Reply::Identities(identities))),
        data().prop_map(|token| (Sasl, Reply::Token(token))),
        Just((AddWatch, Reply::WatchAdded)),
    ]
}
