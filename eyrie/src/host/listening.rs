//! Listening: clients and peers that come all at once wait in the system's queue until they are accepted.

use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpListener};

/// How many connections may wait to be accepted. The system gives as many as it allows (on Linux `net.core.somaxconn`); where
/// more come, a client's system tries again after a second.
const BACKLOG: i32 = 65_535;

/// Listens at an address, with the longest queue that the system gives.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // What is left of earlier connections does not keep the next start from the port.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
