//! No size that a client may choose ends a node, or keeps the other clients from being served.

mod server;

use bytes::BytesMut;
use server::nodes::{Node, Plan};
use server::{PATIENCE, Raw, Server, get, until};
use std::net::SocketAddr;
use tempfile::TempDir;
use volery::client::Client;
use volery::wire::{CreateMode, ErrorCode, ReadOp, Reply, Request, SetData};

/// The longest request, and the longest reply.
const REQUEST_BYTES: usize = 1_048_575;
const REPLY_BYTES: usize = 32 << 20;

/// Alone, three nodes, and four of which each has no replica of one partition: what holds at every node of them.
fn at_every_node(holds: impl Fn(&[SocketAddr])) {
    for nodes in [1, 3, 4] {
        let mut plan = Plan::new(nodes);
        plan.partitions = 4;
        let directory = TempDir::new().expect("a directory");
        let running: Vec<Node> = (1..=nodes).map(|id| Node::start(&plan, directory.path(), id)).collect();
        let addresses: Vec<SocketAddr> = (1..=nodes).map(|id| plan.client(id)).collect();
        for address in &addresses {
            until("the node to serve", || Client::connect(address, PATIENCE).ok()?.exists("/").ok());
        }
        holds(&addresses);
        for address in &addresses {
            let mut client = Client::connect(address, PATIENCE).expect("a node that serves still");
            assert!(client.exists("/zookeeper").expect("an answer").is_some());
        }
        drop(running);
    }
}

/// A request that sets a znode's data and has so many bytes.
fn set_of(path: &str, request_bytes: usize) -> Request {
    let set = |data_bytes| {
        let data = Some(vec![7; data_bytes].into());
        Request::SetData(SetData { path: path.into(), data, version: -1 })
    };
    let mut empty = BytesMut::new();
    set(0).write_frame(1, &mut empty);
    set(request_bytes + 4 - empty.len())
}

#[test]
fn a_request_up_to_the_limit_is_served_everywhere_and_one_beyond_ends_its_connection_alone() {
    at_every_node(|addresses| {
        let mut client = Client::connect(addresses[0], PATIENCE).expect("a session");
        // In different partitions.
        let paths = ["/a", "/b", "/c", "/d", "/e", "/f"];
        for path in paths {
            client.create(path, vec![], CreateMode::Persistent).expect("room");
        }
        for address in addresses {
            for path in paths {
                for (bytes, fits) in
                    [(REQUEST_BYTES - 1, true), (REQUEST_BYTES, true), (REQUEST_BYTES + 1, false)]
                {
                    let mut client = Client::connect(address, PATIENCE).expect("a session");
                    assert_eq!(
                        client.call(set_of(path, bytes)).is_ok(),
                        fits,
                        "{bytes} bytes to {path} at {address}"
                    );
                    if fits {
                        assert!(client.get(path).expect("its data").0.len() > REQUEST_BYTES - 100);
                    }
                }
            }
            let mut client = Client::connect(address, PATIENCE).expect("a session");
            assert!(client.call(set_of("/a", 10 * REQUEST_BYTES)).is_err());
        }
    });
}

#[test]
fn a_reply_up_to_the_limit_is_given_everywhere_and_one_beyond_is_a_marshalling_error() {
    at_every_node(|addresses| {
        let mut client = Client::connect(addresses[0], PATIENCE).expect("a session");
        // All in one partition, and in several.
        let paths: Vec<Vec<String>> = [["/a"; 8], ["/a", "/b", "/c", "/d", "/e", "/f", "/g", "/h"]]
            .map(|parents| parents.iter().enumerate().map(|(n, parent)| format!("{parent}/{n}")).collect())
            .into();
        for path in ["/a", "/b", "/c", "/d", "/e", "/f", "/g", "/h"] {
            client.create(path, vec![], CreateMode::Persistent).expect("room");
        }
        const ZNODE_BYTES: usize = 1_000_000;
        for path in paths.iter().flatten() {
            let _ = client.create(path, vec![7; ZNODE_BYTES], CreateMode::Persistent);
        }
        client.create("/rest", vec![], CreateMode::Persistent).expect("room");
        for paths in &paths {
            let reads = |count: usize| {
                let large = paths.iter().cycle().take(count).map(String::as_str).chain(["/rest"]);
                large.map(|path| ReadOp::GetData { path: path.into() }).collect::<Vec<_>>()
            };
            let results = client.multi_read(reads(33)).expect("it fits");
            let rest = REPLY_BYTES - Reply::Results(results).bytes();
            for (bytes, fits) in [(rest - 1, true), (rest, true), (rest + 1, false)] {
                client.set("/rest", vec![8; bytes], -1).expect("room");
                for address in addresses {
                    let mut reader = Client::connect(address, PATIENCE).expect("a session");
                    reader.call(Request::Sync { path: "/rest".into() }).expect("an answer");
                    let refused = reader.multi_read(reads(33)).err();
                    let error = volery::client::ClientError::Refused(ErrorCode::MarshallingError);
                    assert_eq!(refused, (!fits).then_some(error.clone()), "{bytes} more at {address}");
                    if bytes > rest {
                        assert_eq!(reader.multi_read(reads(330)).err(), Some(error));
                    }
                }
            }
            client.set("/rest", vec![], -1).expect("room");
        }
    });
}

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
