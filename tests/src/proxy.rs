//! A bad network between two nodes: a TCP proxy in this program, on loopback.
//!
//! ```text
//!   node that dials ──> [listener]  accept, connect ──> node that listens
//!                  ══> forth: read, [ chunks on their way ], write ══>
//!                  <══ back:  write, [ chunks on their way ], read <══
//! ```
//!
//! What happens to the bytes is the [`Weather`], one for the proxy at a time. Each direction of a connection has a thread,
//! which asks for the weather between reading and writing: what is read after the weather has changed is treated by the
//! new one.
//!
//! TCP loses nothing out of the middle of a stream. So a connection of which bytes were swallowed is closed when they
//! would flow again. To be late, bytes wait until both ends have lost the connection or have another:
//! [`Proxy::strand`].

#![allow(clippy::disallowed_methods, reason = "has threads, and looks at the weather from time to time")]

mod line;
mod passage;
mod pump;
mod weather;

pub use weather::{Direction, Weather};

use line::Line;
use pump::pump;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// How often a thread that has nothing to do looks at the weather.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);
/// How long the node behind may take to accept a connection.
const CONNECT_MAX: Duration = Duration::from_secs(1);

/// A proxy that listens at one address and connects to another. Dropping it closes all its connections.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    line: Arc<Line>,
    acceptor: Option<JoinHandle<()>>,
}

impl Proxy {
    /// A proxy for `target`, in clear weather.
    pub fn start(address: SocketAddr, target: SocketAddr) -> io::Result<Proxy> {
        let listener = listen(address)?;
        let address = listener.local_addr()?;
        let line = Arc::new(Line::new());
        let accepting = Arc::clone(&line);
        let run = move || accept(&accepting, address, listener, target);
        let acceptor = std::thread::Builder::new().name("proxy".to_owned()).spawn(run)?;
        Ok(Proxy { address, line, acceptor: Some(acceptor) })
    }

    /// Where it listens, but while it is cut.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes the weather. What was stranded is let go.
    pub fn set(&self, weather: Weather) {
        self.line.set(weather);
    }

    /// The weather clears, and the connections that stand are lost to the node that dialled them. What it had sent on them
    /// reaches the other end when as many new ones have come up, that is when both ends have spoken and the first again.
    pub fn strand(&self) {
        self.line.strand();
    }

    /// How many stranded connections have not delivered yet what they hold.
    pub fn stranded(&self) -> usize {
        self.line.stranded()
    }

    /// How many connections have delivered bytes after others had come up in their place.
    pub fn late(&self) -> usize {
        self.line.late()
    }

    /// How many connections are up.
    pub fn up(&self) -> usize {
        self.line.up()
    }

    /// Whether it accepts connections: a cut proxy does not, and one that was takes a moment.
    pub fn is_listening(&self) -> bool {
        self.line.is_listening()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.line.stop();
        if let Some(acceptor) = self.acceptor.take() {
            // Its panic has been reported, and there is nobody to hand it to.
            let _ = acceptor.join();
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Accepts whoever dials, unless the line is cut: then there is no listener, and the system refuses for us.
fn accept(line: &Arc<Line>, address: SocketAddr, listener: TcpListener, target: SocketAddr) {
    let mut listener = Some(listener);
    while !line.is_stopping() {
        if line.is_cut() {
            listener = None;
        } else if listener.is_none() {
            listener = listen(address).ok();
        }
        line.set_listening(listener.is_some());
        match listener.as_ref().map(TcpListener::accept) {
            Some(Ok((dialler, _))) => {
                // Whoever is not connected sees that by the end of its own connection.
                let _ = connect(line, dialler, target);
            }
            Some(Err(_)) | None => std::thread::sleep(LOOK_INTERVAL),
        }
    }
}

fn connect(line: &Arc<Line>, dialler: TcpStream, target: SocketAddr) -> io::Result<()> {
    let listener = TcpStream::connect_timeout(&target, CONNECT_MAX)?;
    for stream in [&dialler, &listener] {
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LOOK_INTERVAL))?;
    }
    let ends = [dialler.try_clone()?, listener.try_clone()?];
    let pumps = [
        (Direction::Forth, dialler.try_clone()?, listener.try_clone()?),
        (Direction::Back, listener, dialler),
    ];
    let Some(number) = line.open(ends) else { return Ok(()) };
    for (direction, from, to) in pumps {
        let line = Arc::clone(line);
        let run = move || pump(&line, number, direction, from, to);
        std::thread::Builder::new().name("pump".to_owned()).spawn(run)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
