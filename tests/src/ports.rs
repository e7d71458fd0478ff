//! Ports that nothing listens on.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;

/// Where ports are looked for: below those that the system gives to clients, or a client that tries to connect while the
/// server is down could be given the server's own port, and even connect to itself.
const PORTS: Range<u16> = 20_000..30_000;

/// The first of `count` loopback ports in a row, searched from a place of this process's own.
pub(crate) fn free_ports(count: u16) -> io::Result<u16> {
    let starts = u32::from(PORTS.end - PORTS.start - count);
    let first = std::process::id().wrapping_mul(97) % starts;
    let mut rows = (0..starts).map(|offset| PORTS.start + ((first + offset) % starts) as u16);
    let row = rows.find(|&port| (port..port + count).all(is_free));
    row.ok_or_else(|| io::Error::new(io::ErrorKind::AddrInUse, format!("no {count} ports in a row are free")))
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_with_a_port_in_use_is_passed_over() {
        let first = free_ports(3).unwrap();
        let _second = TcpListener::bind((Ipv4Addr::LOCALHOST, first + 1)).unwrap();
        let other = free_ports(3).unwrap();
        assert!(!(other..other + 3).contains(&(first + 1)));
    }
}
