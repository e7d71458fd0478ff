//! No size that a client may choose ends a node, or keeps the other clients from being served.

mod server;

use server::{PATIENCE, Raw, Server, get};
use tempfile::TempDir;
use volery::client::Client;
use volery::wire::{CreateMode, ErrorCode, ReadOp, Request};

#[test]
fn a_multi_read_that_names_a_large_znode_thousands_of_times_is_a_marshalling_error() {
    let data = TempDir::new().expect("a directory");
    let server = Server::start(data.path());
    let mut client = Client::connect(server.address, PATIENCE).expect("a session");
    client.create("/large", vec![7; 1_000_000], CreateMode::Persistent).expect("room");
    let mut raw = Raw::open(&server);
    let read = |count| Request::MultiRead(vec![ReadOp::GetData { path: "/large".into() }; count]);
    raw.send(&[read(33), read(34), read(2_200), get("/large")]);
    let errors = [None, Some(ErrorCode::MarshallingError), Some(ErrorCode::MarshallingError), None];
    for (xid, error) in (1..).zip(errors) {
        let (header, _) = raw.reply();
        assert_eq!((header.xid, header.error), (xid, error));
    }
    assert!(server.is_well());
}
