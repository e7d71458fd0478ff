//! Moves the bytes of one direction of a connection.

#![allow(clippy::disallowed_methods, reason = "a thread that takes the time of what it reads, and waits")]

use super::LOOK_INTERVAL;
use super::line::{Line, Treatment};
use super::passage::Passage;
use super::weather::Direction;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Instant;

const CHUNK_BYTES: usize = 64 << 10;

/// Moves bytes until the connection is closed, which it does at the end of what it reads, or where it cannot write.
pub(super) fn pump(line: &Line, number: u64, direction: Direction, mut from: TcpStream, mut to: TcpStream) {
    let (mut passage, mut has_ended) = (Passage::default(), false);
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        match line.treatment(number, direction) {
            Treatment::Close => break,
            Treatment::Swallow => passage.clear(),
            Treatment::Hold => {}
            Treatment::Pass(delay) => {
                if let Some(chunk) = passage.take(Instant::now(), delay) {
                    let comes_up = line.passing(number, direction);
                    if to.write_all(&chunk).is_err() {
                        break;
                    }
                    if comes_up {
                        line.rise();
                    }
                    continue;
                }
                if has_ended && passage.is_empty() {
                    break;
                }
            }
        }
        if has_ended || passage.is_full() {
            std::thread::sleep(LOOK_INTERVAL);
            continue;
        }
        match from.read(&mut buffer) {
            Ok(0) => has_ended = true,
            Ok(length) => passage.push(&buffer[..length], Instant::now()),
            Err(error) => has_ended = !is_patient(&error),
        }
    }
    line.close(number);
}

/// Whether only nothing has come yet.
fn is_patient(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
