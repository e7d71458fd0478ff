//! A question in four letters, and what a node answers.

use crate::status::Status;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;
use thiserror::Error;

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum NoAnswer {
    /// There is no connection, or it broke.
    #[error("{0}")]
    Connection(io::Error),
    /// Somebody listens there and says nothing.
    #[error("no answer within {} ms", .0.as_millis())]
    Late(Duration),
    /// Somebody listens there who is no node.
    #[error("not a volery node")]
    NotVolery,
    /// A node listens there, and another one was expected.
    #[error("node {0} answers there")]
    OtherNode(u16),
}

/// Asks whoever listens at `server`; it may take `patience` to connect and as long again to answer.
pub(crate) fn ask(server: SocketAddr, word: &[u8; 4], patience: Duration) -> Result<String, NoAnswer> {
    let told = || -> io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&server, patience)?;
        stream.set_read_timeout(Some(patience))?;
        stream.write_all(word)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    told().map_err(|error| match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => NoAnswer::Late(patience),
        io::ErrorKind::InvalidData => NoAnswer::NotVolery,
        _ => NoAnswer::Connection(error),
    })
}

/// Asks a node for its status.
pub(super) fn ask_status(server: SocketAddr, patience: Duration) -> Result<Status, NoAnswer> {
    let answer = ask(server, b"vlry", patience)?;
    serde_json::from_str(&answer).map_err(|_| NoAnswer::NotVolery)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::net::{Ipv4Addr, TcpListener};

    pub const PATIENCE: Duration = Duration::from_millis(500);

    /// A server that reads four letters of every connection and answers all alike, as long as the process lives.
    #[allow(clippy::disallowed_methods, reason = "a server for a test")]
    pub fn server_that_says(answer: String) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut word = [0; 4];
                let read = stream.read_exact(&mut word);
                read.and_then(|()| stream.write_all(answer.as_bytes())).expect("a question");
            }
        });
        address
    }

    pub fn address_where_nobody_listens() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        listener.local_addr().expect("an address")
    }

    #[test]
    fn a_node_says_its_status() {
        let status = Status { node: 7, znodes: 5, ..Status::default() };
        let server = server_that_says(serde_json::to_string(&status).unwrap());
        assert_eq!(ask_status(server, PATIENCE).unwrap(), status);
    }

    #[test]
    fn the_reason_for_no_answer_is_told() {
        let told = |server| ask_status(server, PATIENCE).unwrap_err().to_string();
        assert!(told(address_where_nobody_listens()).contains("refused"));
        assert_eq!(told(server_that_says("vlry is not executed".into())), "not a volery node");
        let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        assert_eq!(told(silent.local_addr().unwrap()), "no answer within 500 ms");
    }
}
