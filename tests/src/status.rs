//! What one of Volery's nodes says of itself.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;
use volery::status::Status;

/// What a node says of itself, if it answers.
pub(crate) fn status(address: SocketAddr) -> Option<Status> {
    let ask = || -> io::Result<String> {
        let second = Duration::from_secs(1);
        let mut stream = TcpStream::connect_timeout(&address, second)?;
        stream.set_read_timeout(Some(second))?;
        stream.write_all(b"vlry")?;
        let mut said = String::new();
        stream.read_to_string(&mut said)?;
        Ok(said)
    };
    ask().ok().and_then(|said| serde_json::from_str(&said).ok())
}
