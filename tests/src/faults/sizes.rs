//! Clients ask one node for giants and read nothing.

use super::{Faults, process_fault};
use crate::schedule::Spells;
use crate::violation::Violation;
use bytes::{Bytes, BytesMut};
use rand::Rng as _;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;
use volery::client::{Client, ClientError};
use volery::wire::{self, ConnectRequest, CreateMode, ErrorCode, ReadOp, Record as _, Request};

/// How many clients ask and do not read.
const CLIENTS: usize = 3;
/// How many large znodes each of them asks for.
const REQUESTS: usize = 1_000;
/// How often a multiRead names the large znode: no reply can carry so many of it.
const NAMED: usize = 2_200;
/// The large znode, and what it holds.
const LARGE: &str = "/large";
const LARGE_BYTES: usize = 900_000;
/// How long anything of this may take.
const PATIENCE: Duration = Duration::from_secs(60);

impl Faults<'_> {
    /// Asks one node after the other for giants, while the load goes on.
    pub(super) fn sizes(&mut self, spells: &Spells) -> Result<(), Violation> {
        self.load(spells.every - spells.length)?;
        let mut longest = Duration::ZERO;
        for number in 1..=spells.count {
            let node = self.rng.random_range(0..self.cluster.count());
            let began = self.begin();
            let asking = ask(self.world.nodes[node].address).map_err(process_fault)?;
            self.wait_until(began + spells.length)?;
            drop(asking);
            self.wait_for_all()?;
            self.wait_until(began + spells.every)?;
            let fault = format!("node {} was asked for giants by clients that do not read", node + 1);
            let silence = self.end_spell(spells, &fault);
            longest = longest.max(silence);
            let line = format!(
                "giants {number}/{} of node {}: longest without an acknowledgement {} ms",
                spells.count,
                node + 1,
                silence.as_millis()
            );
            self.report.fault(&line, &self.world.record);
        }
        self.report.phase("giants", longest, spells.silence_max);
        Ok(())
    }
}

/// Has clients ask for more than a node may hold for them; they ask for as long as what is returned lives.
fn ask(address: SocketAddr) -> io::Result<Vec<TcpStream>> {
    let mut client = Client::connect(address, PATIENCE).map_err(io::Error::other)?;
    match client.create(LARGE, vec![7; LARGE_BYTES], CreateMode::Persistent) {
        Ok(_) | Err(ClientError::Refused(ErrorCode::NodeExists)) => {}
        Err(error) => return Err(io::Error::other(error)),
    }
    expect_too_long(&mut client)?;
    client.close().map_err(io::Error::other)?;
    (0..CLIENTS).map(|_| ask_and_read_nothing(address)).collect()
}

fn expect_too_long(client: &mut Client) -> io::Result<()> {
    match client.multi_read(vec![ReadOp::GetData { path: LARGE.into() }; NAMED]) {
        Err(ClientError::Refused(ErrorCode::MarshallingError)) => Ok(()),
        Err(error) => Err(io::Error::other(error)),
        Ok(_) => Err(io::Error::other("a reply of two gigabytes was promised")),
    }
}

fn ask_and_read_nothing(address: SocketAddr) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut output = BytesMut::new();
    let hello = ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: 0,
        timeout_ms: 30_000,
        session_id: 0,
        password: Bytes::from_static(&[0; wire::PASSWORD_BYTES]),
        read_only: None,
    };
    wire::write_frame(&mut output, |output| hello.write(output));
    stream.write_all(&output)?;
    stream.read_exact(&mut [0; 40])?;
    output.clear();
    for xid in 1..=REQUESTS as i32 {
        Request::GetData { path: LARGE.into(), watch: false }.write_frame(xid, &mut output);
    }
    stream.write_all(&output)?;
    Ok(stream)
}
