//! Frames byte for byte: those named after kazoo (2.11) or Java are what it writes, those of multi's results and the
//! notification are written by ZooKeeper's own classes, and the few others follow from their definition.

use super::*;
use ::bytes::{Bytes, BytesMut};
use std::sync::Arc;

/// The bytes of hexadecimal digits; blanks are for the eye.
fn hex(digits: &str) -> BytesMut {
    let digits: Vec<u8> = digits.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// The one frame that the bytes are.
fn frame(bytes: &BytesMut) -> Reader {
    let mut input = bytes.clone();
    let frame = take_frame(&mut input, FRAME_BYTES_MAX_DEFAULT).unwrap().unwrap();
    assert!(input.is_empty());
    Reader::new(frame)
}

fn read_request(bytes: &BytesMut) -> (i32, Request) {
    let mut reader = frame(bytes);
    let header: RequestHeader = reader.record().unwrap();
    let request = Request::read(header.op, &mut reader).unwrap();
    assert_eq!(reader.remaining(), 0);
    (header.xid, request)
}

/// Both directions: the bytes are read as the request, and the request is written as the bytes.
fn check_request(digits: &str, xid: i32, request: Request) {
    let bytes = hex(digits);
    let mut output = BytesMut::new();
    request.write_frame(xid, &mut output);
    assert_eq!(output, bytes);
    assert_eq!(read_request(&bytes), (xid, request));
}

fn check_reply(digits: &str, op: OpCode, header: ReplyHeader, reply: Reply) {
    let bytes = hex(digits);
    let mut output = BytesMut::new();
    reply.write_frame(header.xid, header.zxid, &mut output);
    assert_eq!(output, bytes);
    let mut reader = frame(&bytes);
    assert_eq!(reader.record(), Ok(header));
    assert_eq!(Reply::read(op, &mut reader), Ok(reply));
    assert_eq!(reader.remaining(), 0);
}

fn check_record<R: Record + PartialEq + std::fmt::Debug>(digits: &str, record: R) {
    let bytes = hex(digits);
    let mut output = BytesMut::new();
    write_frame(&mut output, |output| record.write(output));
    assert_eq!(output, bytes);
    assert_eq!(frame(&bytes).record(), Ok(record));
}

fn path(path: &str) -> Arc<str> {
    Arc::from(path)
}

fn create(at: &str, data: Option<&'static [u8]>, acl: Vec<Acl>, mode: CreateMode, with_stat: bool) -> Create {
    Create { path: path(at), data: data.map(Bytes::from_static), acl, mode: Ok(mode), with_stat }
}

/// Every field its own number, so that none can stand in for another.
const STAT: Stat = Stat {
    czxid: 1,
    mzxid: 2,
    ctime: 3,
    mtime: 4,
    version: 5,
    cversion: 6,
    aversion: 7,
    ephemeral_owner: 8,
    data_length: 9,
    num_children: 10,
    pzxid: 11,
};

const STAT_DIGITS: &str = "0000000000000001 0000000000000002 0000000000000003 0000000000000004
    00000005 00000006 00000007 0000000000000008 00000009 0000000a 000000000000000b";

#[test]
fn kazoo_opens_a_session_with_the_read_only_byte() {
    check_record(
        "0000002d 00000000 0000000000000000 00002710 0000000000000000
         00000010 00000000000000000000000000000000 00",
        ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: 0,
            timeout_ms: 10_000,
            session_id: 0,
            password: Bytes::from_static(&[0; 16]),
            read_only: Some(false),
        },
    );
}

#[test]
fn an_old_client_opens_a_session_without_it() {
    check_record(
        "0000002c 00000000 0000000000000005 00007530 0000000000000000
         00000010 00000000000000000000000000000000",
        ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: 5,
            timeout_ms: 30_000,
            session_id: 0,
            password: Bytes::from_static(&[0; 16]),
            read_only: None,
        },
    );
}

#[test]
fn a_session_is_granted_in_kind() {
    let body = "00000000 00002710 0001000000000001 00000010 0102030405060708090a0b0c0d0e0f10";
    let mut response = ConnectResponse {
        protocol_version: 0,
        timeout_ms: 10_000,
        session_id: 0x1_0000_0000_0001,
        password: (1..=16).collect(),
        read_only: None,
    };
    check_record(&format!("00000024 {body}"), response.clone());
    response.read_only = Some(false);
    check_record(&format!("00000025 {body} 00"), response);
}

#[test]
fn kazoo_creates_an_ephemeral_sequential_znode() {
    check_request(
        "00000033 00000001 00000001 00000002 2f61 00000002 6869
         00000001 0000001f 00000005 776f726c64 00000006 616e796f6e65 00000003",
        1,
        Request::Create(create(
            "/a",
            Some(b"hi"),
            Acl::open_unsafe(),
            CreateMode::EphemeralSequential,
            false,
        )),
    );
}

#[test]
fn kazoo_writes_the_empty_id_of_the_creator_as_null() {
    let bytes = hex("0000002c 00000002 00000001 00000002 2f61 00000002 6869
         00000001 0000001f 00000004 61757468 ffffffff 00000000");
    let acl = vec![Acl { permissions: Permissions::ALL, scheme: "auth".into(), id: String::new() }];
    let request = Request::Create(create("/a", Some(b"hi"), acl, CreateMode::Persistent, false));
    assert_eq!(read_request(&bytes), (2, request));
}

#[test]
fn kazoo_sends_a_multi() {
    check_request(
        "00000081 00000004 0000000e
         00000001 00 ffffffff 00000002 2f61 00000000 00000001 0000001f 00000005 776f726c64 00000006 616e796f6e65
         00000000
         00000002 00 ffffffff 00000002 2f62 ffffffff
         00000005 00 ffffffff 00000002 2f63 00000001 78 00000002
         0000000d 00 ffffffff 00000002 2f64 00000007
         ffffffff 01 ffffffff",
        4,
        Request::Multi(vec![
            MultiOp::Create(create("/a", Some(b""), Acl::open_unsafe(), CreateMode::Persistent, false)),
            MultiOp::Delete(Delete { path: path("/b"), version: -1 }),
            MultiOp::SetData(SetData { path: path("/c"), data: Some(Bytes::from_static(b"x")), version: 2 }),
            MultiOp::Check(Check { path: path("/d"), version: 7 }),
        ]),
    );
}

#[test]
fn java_sends_a_multi_with_a_ttl_and_a_container() {
    let creator = vec![Acl { permissions: Permissions::ALL, scheme: "auth".into(), id: String::new() }];
    check_request(
        "00000089 00000007 0000000e
         00000015 00 ffffffff 00000002 2f74 ffffffff 00000001 0000001f 00000005 776f726c64 00000006 616e796f6e65
         00000005 000000000000ea60
         00000013 00 ffffffff 00000002 2f6b 00000000 00000001 0000001f 00000004 61757468 00000000 00000004
         00000002 00 ffffffff 00000002 2f62 ffffffff
         ffffffff 01 ffffffff",
        7,
        Request::Multi(vec![
            MultiOp::Create(create("/t", None, Acl::open_unsafe(), CreateMode::Ttl(60_000), true)),
            MultiOp::Create(create("/k", Some(b""), creator, CreateMode::Container, true)),
            MultiOp::Delete(Delete { path: path("/b"), version: -1 }),
        ]),
    );
}

#[test]
fn a_multi_is_answered_with_mixed_results() {
    check_reply(
        &format!(
            "000000da 00000004 0000000100000002 00000000
             00000001 00 00000000 00000002 2f61
             0000000f 00 00000000 00000002 2f62 {STAT_DIGITS}
             00000002 00 00000000
             00000005 00 00000000 {STAT_DIGITS}
             0000000d 00 00000000
             ffffffff 01 ffffffff"
        ),
        OpCode::Multi,
        ReplyHeader { xid: 4, zxid: 0x1_0000_0002, error: None },
        Reply::Results(vec![
            OpResult::Created { path: path("/a") },
            OpResult::CreatedWithStat { path: path("/b"), stat: STAT },
            OpResult::Deleted,
            OpResult::DataSet(STAT),
            OpResult::Checked,
        ]),
    );
}

#[test]
fn a_failed_multi_fails_in_its_results_only() {
    check_reply(
        "00000040 00000004 0000000100000002 00000000
         ffffffff 00 00000000 00000000
         ffffffff 00 ffffff9b ffffff9b
         ffffffff 00 fffffffe fffffffe
         ffffffff 01 ffffffff",
        OpCode::Multi,
        ReplyHeader { xid: 4, zxid: 0x1_0000_0002, error: None },
        Reply::Results(vec![
            OpResult::RolledBack,
            OpResult::Failed(ErrorCode::NoNode),
            OpResult::Failed(ErrorCode::RuntimeInconsistency),
        ]),
    );
}

#[test]
fn a_multi_of_nothing() {
    check_request("00000011 00000001 0000000e ffffffff 01 ffffffff", 1, Request::Multi(Vec::new()));
}

#[test]
fn java_sends_a_multi_read() {
    check_request(
        "00000031 00000008 00000016
         00000004 00 ffffffff 00000002 2f61 00
         00000008 00 ffffffff 00000002 2f62 00
         ffffffff 01 ffffffff",
        8,
        Request::MultiRead(vec![
            ReadOp::GetData { path: path("/a") },
            ReadOp::GetChildren { path: path("/b") },
        ]),
    );
}

#[test]
fn a_multi_read_is_answered_one_by_one() {
    check_reply(
        &format!(
            "0000008f 00000005 0000000000000009 00000000
             00000004 00 00000000 00000001 78 {STAT_DIGITS}
             00000008 00 00000000 00000002 00000001 70 00000001 71
             ffffffff 00 ffffff9b ffffff9b
             ffffffff 01 ffffffff"
        ),
        OpCode::MultiRead,
        ReplyHeader { xid: 5, zxid: 9, error: None },
        Reply::Results(vec![
            OpResult::Data { data: Some(Bytes::from_static(b"x")), stat: STAT },
            OpResult::Children([path("p"), path("q")].into_iter().collect()),
            OpResult::Failed(ErrorCode::NoNode),
        ]),
    );
}

#[test]
fn a_notification() {
    let bytes = hex("0000001e ffffffff ffffffffffffffff 00000000 00000003 00000003 00000002 2f61");
    let event = WatcherEvent {
        kind: EventType::NodeDataChanged,
        state: KeeperState::SyncConnected,
        path: path("/a"),
    };
    let mut output = BytesMut::new();
    event.write_frame(-1, &mut output);
    assert_eq!(output, bytes);
    let mut reader = frame(&bytes);
    assert_eq!(reader.record(), Ok(ReplyHeader { xid: XID_NOTIFICATION, zxid: -1, error: None }));
    assert_eq!(reader.record(), Ok(event));
}

#[test]
fn what_client_libraries_send_on_their_own_account() {
    check_request("00000008 fffffffe 0000000b", XID_PING, Request::Ping);
    check_request(
        "0000001d fffffffc 00000064 00000000 00000006 646967657374 00000003 753a70",
        XID_AUTH,
        Request::Auth { kind: 0, scheme: "digest".into(), auth: Bytes::from_static(b"u:p") },
    );
    check_request(
        "00000028 fffffff8 00000065 0000000000000005 00000001 00000002 2f64 00000001 00000002 2f65 00000000",
        XID_SET_WATCHES,
        Request::SetWatches(SetWatches {
            relative_zxid: 5,
            data: vec![path("/d")],
            exist: vec![path("/e")],
            ..SetWatches::default()
        }),
    );
}

#[test]
fn a_persistent_watch_is_added() {
    check_request(
        "00000012 00000009 0000006a 00000002 2f77 00000001",
        9,
        Request::AddWatch { path: path("/w"), mode: AddWatchMode::PersistentRecursive },
    );
    check_reply(
        "00000014 00000009 0000000000000007 00000000 00000000",
        OpCode::AddWatch,
        ReplyHeader { xid: 9, zxid: 7, error: None },
        Reply::WatchAdded,
    );
}

#[test]
fn a_failure_is_a_header_alone() {
    let header = ReplyHeader { xid: 3, zxid: 7, error: Some(ErrorCode::NodeExists) };
    let mut output = BytesMut::new();
    header.write_frame(&mut output);
    assert_eq!(output, hex("00000010 00000003 0000000000000007 ffffff92"));
    assert_eq!(frame(&output).record(), Ok(header));
}
