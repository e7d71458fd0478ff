//! This tool's own client: a socket that is polled.
//!
//! An edge file: it opens sockets. The time comes from outside all the same.

use super::SESSION_TIMEOUT;
use super::session::{Answer, Session};
use bytes::Buf;
use mio::event::Source;
use mio::net::TcpStream;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;
use volery::client::Traffic;
use volery::wire::Request;

/// How long connecting may take, and each step of the handshake.
const HANDSHAKE_MAX: Duration = Duration::from_secs(15);
/// The server's greeting is far shorter.
const HANDSHAKE_BYTES: usize = 256;

/// A connection. What fails is told as the reason why it is of no use any more.
pub struct Wire {
    stream: TcpStream,
    session: Session,
    traffic: Traffic,
}

impl Wire {
    /// Connects and opens a session, which blocks for a bounded time.
    pub fn connect(address: SocketAddr) -> Result<Wire, String> {
        let mut stream = blocking(address).map_err(told)?;
        let mut session = Session::new(SESSION_TIMEOUT);
        stream.write_all(session.output()).map_err(told)?;
        session.output().clear();
        open(&mut session, &mut stream)?;
        stream.set_nonblocking(true).map_err(told)?;
        Ok(Wire { stream: TcpStream::from_std(stream), session, traffic: Traffic::default() })
    }

    /// The socket, to poll.
    pub fn source(&mut self) -> &mut impl Source {
        &mut self.stream
    }

    /// What it has carried so far, without the handshake.
    pub fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// Takes a request to be sent with the next flush.
    pub fn push(&mut self, request: &Request) {
        self.session.push(request);
    }

    /// Takes a ping to be sent with the next flush.
    pub fn push_ping(&mut self) {
        self.session.push_ping();
    }

    /// Sends what the socket takes. The rest goes with a later flush, when the socket is writable.
    pub fn flush(&mut self) -> Result<(), String> {
        let output = self.session.output();
        while !output.is_empty() {
            match self.stream.write(output) {
                Ok(sent) => {
                    output.advance(sent);
                    self.traffic.sent += sent as u64;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(told(error)),
            }
        }
        Ok(())
    }

    /// Receives all that there is, through a buffer that connections share.
    pub fn receive(&mut self, buffer: &mut [u8]) -> Result<(), String> {
        loop {
            match self.stream.read(buffer) {
                Ok(0) => return Err("the server closed it".to_owned()),
                Ok(received) => {
                    self.session.receive(&buffer[..received]);
                    self.traffic.received += received as u64;
                    if received < buffer.len() {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(told(error)),
            }
        }
    }

    /// What the next request was answered with, if that was received.
    pub fn next_answer(&mut self) -> Result<Option<Answer>, String> {
        self.session.next_answer()
    }
}

fn blocking(address: SocketAddr) -> io::Result<std::net::TcpStream> {
    let stream = std::net::TcpStream::connect_timeout(&address, HANDSHAKE_MAX)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(HANDSHAKE_MAX))?;
    stream.set_write_timeout(Some(HANDSHAKE_MAX))?;
    Ok(stream)
}

/// Waits for the session to open.
fn open(session: &mut Session, stream: &mut std::net::TcpStream) -> Result<(), String> {
    let mut buffer = [0; HANDSHAKE_BYTES];
    loop {
        session.next_answer()?;
        if session.is_open() {
            return Ok(());
        }
        match stream.read(&mut buffer).map_err(told)? {
            0 => return Err("the server closed it during the handshake".to_owned()),
            received => session.receive(&buffer[..received]),
        }
    }
}

fn told(error: io::Error) -> String {
    error.to_string()
}
