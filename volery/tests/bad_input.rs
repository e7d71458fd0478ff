//! What is wrong is told in one line that names the file, key or address; nothing else is disturbed.
#![allow(clippy::disallowed_methods, reason = "drives a real process")]

mod server;

use server::{BINARY, Server, free_port, serve};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Command, Output};
use tempfile::TempDir;

/// The one line that a start that fails says.
fn complaint(mut command: Command) -> String {
    let Output { status, stderr, .. } = command.output().expect("the binary");
    let stderr = String::from_utf8(stderr).expect("text");
    assert!(!status.success() && stderr.trim().lines().count() == 1, "{status}: {stderr}");
    stderr
}

fn assert_says(complaint: &str, all: &[&str]) {
    assert!(all.iter().all(|part| complaint.contains(part)), "{complaint:?} does not say all of {all:?}");
}

#[test]
fn frames_that_are_none_close_their_connection_and_nothing_else() {
    let data = TempDir::new().expect("a directory");
    let server = Server::start(data.path());
    assert!(server.exchange(&[0x7f, 0xff, 0xff, 0xff, 1, 2, 3]).is_empty(), "a frame over the cap");
    assert!(server.exchange(&[0xff, 0xff, 0xff, 0xff]).is_empty(), "a negative length");
    assert!(server.exchange(&[0, 0, 0, 4, 1, 2, 3, 4]).is_empty(), "a handshake that is too short");
    let words = server.exchange(b"what");
    assert!(String::from_utf8_lossy(&words).contains("what is not executed"));
    assert!(server.is_well());
}

#[test]
fn an_unknown_operation_is_unimplemented_and_a_malformed_body_a_marshalling_error() {
    let data = TempDir::new().expect("a directory");
    let server = Server::start(data.path());
    let mut stream = server.connect();
    let mut handshake = vec![0, 0, 0, 44];
    handshake.extend([0; 12]);
    handshake.extend(10_000_i32.to_be_bytes());
    handshake.extend([0; 8]);
    handshake.extend([0, 0, 0, 16]);
    handshake.extend([0; 16]);
    stream.write_all(&handshake).expect("a connection");
    let mut welcome = [0; 40];
    stream.read_exact(&mut welcome).expect("a session");
    for (op, body, code) in [(9_999_i32, &[][..], -6_i32), (4, &[0, 0, 0, 9, b'/'][..], -5)] {
        let mut request = ((8 + body.len()) as i32).to_be_bytes().to_vec();
        request.extend(7_i32.to_be_bytes());
        request.extend(op.to_be_bytes());
        request.extend(body);
        stream.write_all(&request).expect("a connection");
        let mut reply = [0; 20];
        stream.read_exact(&mut reply).expect("a reply");
        assert_eq!(reply[16..], code.to_be_bytes());
    }
    assert!(server.is_well());
}

#[test]
fn a_port_in_use_is_named() {
    let data = TempDir::new().expect("a directory");
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = taken.local_addr().expect("an address").port();
    assert_says(&complaint(serve(port, data.path(), &[])), &[&format!("127.0.0.1:{port}"), "--port"]);
}

#[test]
fn a_data_directory_in_use_or_with_other_partitions_is_named() {
    let data = TempDir::new().expect("a directory");
    let place = data.path().to_str().expect("a plain path");
    let server = Server::start(data.path());
    assert_says(&complaint(serve(free_port(), data.path(), &[])), &[place, "in use"]);
    assert!(server.is_well());
    drop(server);
    assert_says(&complaint(serve(free_port(), data.path(), &["--partitions", "5"])), &[place, "2", "5"]);
    assert!(Server::start(data.path()).is_well());
}

#[test]
fn a_data_directory_of_another_node_cluster_or_version_is_named() {
    let data = TempDir::new().expect("a directory");
    drop(Server::start(data.path()));
    let place = data.path().to_str().expect("a plain path");
    for (cluster, node) in [("embedded", 7), ("another", 1)] {
        let file = data.path().join("cluster.toml");
        let port = free_port();
        let text = format!(
            "cluster = \"{cluster}\"\npartitions = 2\n\
             nodes = [{{ id = {node}, client = \"127.0.0.1:{port}\", data = \"{place}\" }}]\n"
        );
        std::fs::write(&file, text).expect("room");
        let mut command = Command::new(BINARY);
        command.args(["serve", "--node", &node.to_string(), "--config"]).arg(&file);
        assert_says(&complaint(command), &[place, if node == 7 { "7" } else { "another" }]);
    }
    let identity = data.path().join("identity");
    let text = std::fs::read_to_string(&identity).expect("an identity");
    let versioned: String = text
        .lines()
        .map(|line| if line.contains("version") { "version = 99\n".into() } else { format!("{line}\n") })
        .collect();
    std::fs::write(&identity, versioned).expect("room");
    assert_says(&complaint(serve(free_port(), data.path(), &[])), &[place, "99"]);
}

#[test]
fn a_bad_key_in_the_cluster_file_is_named_with_its_line() {
    let data = TempDir::new().expect("a directory");
    let file = data.path().join("cluster.toml");
    std::fs::write(&file, "cluster = \"x\"\npartitions = 2\nnodez = []\n").expect("room");
    let mut command = Command::new(BINARY);
    command.args(["serve", "--node", "1", "--config"]).arg(&file);
    assert_says(&complaint(command), &["cluster.toml", "nodez"]);
    let mut missing = Command::new(BINARY);
    missing.args(["serve", "--node", "1", "--config", "/nowhere/cluster.toml"]);
    assert_says(&complaint(missing), &["/nowhere/cluster.toml"]);
}
