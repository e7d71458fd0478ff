//! What one connection may send at once, and what it gets back: everything, in order.

mod server;

use bytes::Bytes;
use server::{PATIENCE, Raw, Server, get};
use tempfile::TempDir;
use volery::client::Client;
use volery::wire::{
    AddWatchMode, CreateMode, EventType, Record, Request, SetData, WatcherEvent, XID_NOTIFICATION,
};

fn set(path: &str, data: &'static [u8]) -> Request {
    Request::SetData(SetData { path: path.into(), data: Some(Bytes::from_static(data)), version: -1 })
}

#[test]
fn more_requests_than_may_wait_are_all_answered_in_order() {
    let data = TempDir::new().expect("a directory");
    let server = Server::start(data.path());
    let mut raw = Raw::open(&server);
    raw.send(&vec![get("/"); 2_500]);
    raw.expect_replies(2_500);
}

#[test]
fn large_replies_wait_for_their_reader() {
    let data = TempDir::new().expect("a directory");
    let server = Server::start(data.path());
    let mut client = Client::connect(server.address, PATIENCE).expect("a session");
    client.create("/large", vec![7; 900_000], CreateMode::Persistent).expect("room");
    let mut raw = Raw::open(&server);
    raw.send(&vec![get("/large"); 100]);
    raw.expect_replies(100);
}

#[test]
fn a_watch_added_between_requests_is_armed_between_them() {
    let data = TempDir::new().expect("a directory");
    let server = Server::start(data.path());
    let mut client = Client::connect(server.address, PATIENCE).expect("a session");
    client.create("/x", "old", CreateMode::Persistent).expect("room");
    let mut raw = Raw::open(&server);
    let watch = Request::AddWatch { path: "/x".into(), mode: AddWatchMode::Persistent };
    raw.send(&[get("/x"), watch, set("/x", b"new"), get("/x")]);
    raw.expect_replies(2);
    let (header, mut reader) = raw.reply();
    assert_eq!(header.xid, XID_NOTIFICATION, "the event leaves before the reply of the change");
    let event = WatcherEvent::read(&mut reader).expect("an event");
    assert_eq!((event.kind, &*event.path), (EventType::NodeDataChanged, "/x"));
    assert_eq!(raw.reply().0.xid, 3);
    assert_eq!(raw.reply().0.xid, 4);
}

#[test]
fn requests_over_both_partitions_take_effect_in_order() {
    let data = TempDir::new().expect("a directory");
    let server = Server::start(data.path());
    let mut client = Client::connect(server.address, PATIENCE).expect("a session");
    let paths: Vec<String> = (0..8).map(|i| format!("/n{i}")).collect();
    for path in &paths {
        client.create(path, "", CreateMode::Persistent).expect("room");
    }
    let mut raw = Raw::open(&server);
    let requests: Vec<Request> = (0..400).map(|i| set(&paths[i * 7 % paths.len()], b"x")).collect();
    raw.send(&requests);
    raw.expect_replies(400);
    for path in &paths {
        assert_eq!(client.exists(path).expect("an answer").map(|stat| stat.version), Some(50));
    }
}
