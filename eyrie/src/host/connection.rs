//! One socket, a client's or a peer's.

use bytes::{Buf, BytesMut};
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::Shutdown;

/// What is left after a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// Nothing for now.
    All,
    /// Perhaps more: the buffer was filled.
    More,
    /// Nothing ever.
    Closed,
}

/// Closes a connection that is not served. What its client has said so far is taken in: otherwise the system would tell it of
/// an error, and not of an end.
pub(super) fn turn_away(mut stream: TcpStream) {
    let _ = stream.read(&mut [0; 1_024]);
    let _ = stream.shutdown(Shutdown::Both);
}

/// A socket with edge-triggered readiness: what it said once is remembered here.
pub(super) struct Connection {
    stream: TcpStream,
    readable: bool,
    hung_up: bool,
}

impl Connection {
    pub(super) fn open(mut stream: TcpStream, registry: &Registry, token: Token) -> io::Result<Connection> {
        stream.set_nodelay(true)?;
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Connection { stream, readable: false, hung_up: false })
    }

    /// There is something to read, the last thing ever if `hung_up`; says whether that is news.
    pub(super) fn set_readable(&mut self, hung_up: bool) -> bool {
        self.hung_up |= hung_up;
        !std::mem::replace(&mut self.readable, true)
    }

    /// Reads once, at most a buffer full.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<(usize, Read)> {
        loop {
            return match self.stream.read(buffer) {
                Ok(0) => Ok((0, Read::Closed)),
                Ok(length) if length == buffer.len() || self.hung_up => Ok((length, Read::More)),
                Ok(length) => {
                    self.readable = false;
                    Ok((length, Read::All))
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.readable = false;
                    Ok((0, Read::All))
                }
                Err(error) => Err(error),
            };
        }
    }

    /// Writes as much of `output` as the socket takes, and removes it.
    pub(super) fn write(&mut self, output: &mut BytesMut) -> io::Result<()> {
        while !output.is_empty() {
            match self.stream.write(output) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(length) => output.advance(length),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // One that is still being dialled is not connected.
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => {
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
