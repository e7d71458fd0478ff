//! Ports for the servers of a comparison.
//!
//! An edge file: it tries ports by listening on them.

use crate::failure::Failure;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;

/// Below the range from which the system takes the ports of outgoing connections, on Linux from 32,768 on: a client, or a
/// server that connects to its peers, could else be given the port on which another server is about to listen.
const RANGE: Range<u16> = 20_000..30_000;
/// How far the first ports of two processes are apart whose ids follow each other.
const STRIDE: u32 = 97;
/// The last part of the range is nobody's first, so that each process finds enough.
const RESERVE: u16 = 1_000;

/// Free ports of the loopback interface, rising: none is given twice.
pub struct Ports {
    next: u16,
}

impl Ports {
    /// Ports from a place in the range that differs from process to process, since several may look for ports at a time.
    pub fn new() -> Ports {
        let places = u32::from(RANGE.end - RANGE.start - RESERVE);
        let place = std::process::id().wrapping_mul(STRIDE) % places;
        Ports { next: RANGE.start + u16::try_from(place).expect("a place in the range") }
    }

    /// The first of so many consecutive ports that were free a moment ago. That another process takes one meanwhile is
    /// seen: the server ends, or never serves.
    pub fn block(&mut self, count: u16) -> Result<u16, Failure> {
        while RANGE.end - self.next >= count {
            let first = self.next;
            match (first..first + count).rfind(|port| !is_free(*port)) {
                Some(taken) => self.next = taken + 1,
                None => {
                    self.next = first + count;
                    return Ok(first);
                }
            }
        }
        Err(Failure::System {
            what: format!("finding {count} free ports below {}", RANGE.end),
            error: io::ErrorKind::AddrNotAvailable.into(),
        })
    }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_free_and_lies_behind_the_one_before() {
        let mut ports = Ports::new();
        let first = ports.block(3).unwrap();
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, first + 4)).unwrap();
        let second = ports.block(3).unwrap();
        assert!(second > taken.local_addr().unwrap().port(), "{first} {second}");
        assert!(RANGE.contains(&first) && RANGE.contains(&(second + 2)), "{first} {second}");
    }

    #[test]
    fn the_range_ends() {
        let failure = Ports { next: RANGE.end - 2 }.block(3).err().unwrap().to_string();
        assert!(failure.starts_with("finding 3 free ports below 30000: "), "{failure}");
    }
}
