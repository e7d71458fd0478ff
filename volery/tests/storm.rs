//! Clients that come all at once.

mod server;

use bytes::Bytes;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use server::{Raw, Server};
use std::net::TcpStream;
use std::time::Duration;
use tempfile::TempDir;

/// How many clients come.
const CLIENTS: usize = 4_000;
/// How many files this process may need beside them.
const BESIDE: u64 = 100;
/// How long the last of them may wait for its session, on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);

/// Lets this process open a socket for each client; the server raises its own limit.
fn raise_the_limit_of_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let needed = CLIENTS as u64 + BESIDE;
    assert!(
        limit.maximum.is_none_or(|most| most >= needed),
        "the system allows too few open files: {limit:?}"
    );
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).expect("a limit");
}

#[test]
fn connections_beyond_what_the_system_allows_are_closed_and_the_others_are_served() {
    const FILES: u64 = 120;
    let data = TempDir::new().expect("a directory");
    let server = Server::start_with_files(data.path(), FILES);
    let mut clients: Vec<Raw> = (0..2 * FILES).map(|_| Raw::on(server.connect())).collect();
    let taken: u64 = clients.iter_mut().map(|client| u64::from(client.is_taken())).sum();
    assert!((FILES / 4..FILES).contains(&taken), "{taken} of {} are served", 2 * FILES);
    drop(clients);
    assert!(server.is_well(), "there is room again");
}

#[test]
fn thousands_that_connect_before_the_first_says_anything_all_get_their_sessions() {
    raise_the_limit_of_open_files();
    let data = TempDir::new().expect("a directory");
    let server = Server::start(data.path());
    let streams: Vec<TcpStream> = (0..CLIENTS).map(|_| server.connect()).collect();
    let mut clients: Vec<Raw> = streams.into_iter().map(Raw::on).collect();
    clients.iter_mut().for_each(Raw::greet);
    for client in &mut clients {
        client.stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        client.expect_welcome();
    }
    let sessions: Vec<(i64, Bytes)> = clients.iter().map(|client| client.session.clone()).collect();
    drop(clients);
    // They have lost their connections all at once, and come back with their sessions.
    let mut clients: Vec<Raw> = sessions.iter().map(|_| Raw::on(server.connect())).collect();
    for (client, session) in clients.iter_mut().zip(&sessions) {
        client.session = session.clone();
        client.greet();
    }
    for (client, session) in clients.iter_mut().zip(&sessions) {
        client.stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        client.expect_welcome();
        assert_eq!(client.session.0, session.0);
    }
    assert!(server.is_well());
}
