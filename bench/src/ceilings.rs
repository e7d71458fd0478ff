//! What the machine itself does, which no server on it can exceed.
//!
//! - **Round trips** of 100 bytes over loopback: one at a time between two threads, and as the generator sends them to a
//!   server that does nothing ([`Responder`]): that is the most that the generator can ask for.
//! - **Syncs** of a file whose space was filled with zeros before, as the log's is: a write of so many bytes behind the
//!   one before, and `fdatasync`. One at a time: so many batches can a node make durable in a second.
//!
//! An edge file: it serves sockets, writes files and reads the clock.
#![allow(clippy::disallowed_methods, reason = "it times sockets and files")]

use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::layout::Layout;
use crate::load::{self, Target};
use crate::op::Op;
use crate::report;
use crate::responder::Responder;
use crate::shape::{Lengths, Shape};
use crate::table::{Table, figure, thousands};
use clap::Args;
use hdrhistogram::Histogram;
use serde::Serialize;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Bytes of each round trip, and of each value.
const SIZE: usize = 100;
/// What is synced at a time, in KiB.
const SYNC_KIB: [usize; 4] = [4, 16, 64, 256];
/// How long the file is; syncs begin again at its front.
const FILE_BYTES: usize = 64 << 20;

/// How thoroughly, and where.
#[derive(Args)]
pub struct Options {
    /// Seconds of each measurement
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Where the file to sync is made, which is removed again; on the disk to measure
    #[arg(long, default_value = ".")]
    directory: PathBuf,
    /// Print one JSON object instead of a table
    #[arg(long)]
    pub json: bool,
}

/// One figure.
#[derive(Clone, Debug, Serialize)]
pub struct Ceiling {
    /// What was done again and again.
    pub what: String,
    /// How often in a second.
    pub per_second: f64,
    /// Half of all took no longer, in microseconds.
    pub p50_us: u64,
    /// 99 of 100 took no longer, in microseconds.
    pub p99_us: u64,
    /// Bytes in a second, both ways.
    pub bytes_per_second: f64,
}

/// All of them.
#[derive(Serialize)]
pub struct Ceilings {
    /// In the order measured.
    pub ceilings: Vec<Ceiling>,
}

impl Options {
    /// Measures all ceilings.
    pub fn carry_out(&self, interrupt: &Interrupt) -> Result<Ceilings, Failure> {
        let length = Duration::from_secs(self.seconds);
        report::progress("round trips over loopback");
        let mut ceilings = vec![round_trips(length, interrupt)?, generator(length, interrupt)?];
        for kib in SYNC_KIB {
            report::progress(&format!("syncs of {kib} KiB"));
            ceilings.push(syncs(&self.directory, kib << 10, length, interrupt)?);
        }
        Ok(Ceilings { ceilings })
    }
}

impl Ceilings {
    /// A row for each.
    pub fn table(&self) -> Table {
        let mut table = Table::default();
        table.row(["", "per second", "p50 us", "p99 us", "MiB/s"]);
        for ceiling in &self.ceilings {
            let mib = figure(ceiling.bytes_per_second / 1_048_576.0);
            let [p50, p99] = [ceiling.p50_us, ceiling.p99_us].map(|us| thousands(us as i64));
            table.row([ceiling.what.clone(), figure(ceiling.per_second), p50, p99, mib]);
        }
        table
    }
}

/// One round trip at a time, between two threads.
fn round_trips(length: Duration, interrupt: &Interrupt) -> Result<Ceiling, Failure> {
    let refused = || Failure::system("loopback");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(refused())?;
    let address = listener.local_addr().map_err(refused())?;
    let mut client = TcpStream::connect(address).map_err(refused())?;
    let (mut server, _) = listener.accept().map_err(refused())?;
    [&client, &server].into_iter().try_for_each(|end| end.set_nodelay(true)).map_err(refused())?;
    // It ends when the client's end is dropped.
    let echo = thread::spawn(move || {
        let mut bytes = [0; SIZE];
        while server.read_exact(&mut bytes).and_then(|()| server.write_all(&bytes)).is_ok() {}
    });
    let mut bytes = [0; SIZE];
    let what = format!("round trips of {SIZE} B over loopback, one at a time");
    let measured = again_and_again(what, 2 * SIZE, length, interrupt, |_| {
        client.write_all(&bytes).and_then(|()| client.read_exact(&mut bytes)).map_err(refused())
    });
    drop(client);
    echo.join().expect("the echo does not panic");
    measured
}

/// As the generator sends sets to a server that does nothing.
fn generator(length: Duration, interrupt: &Interrupt) -> Result<Ceiling, Failure> {
    let responder = Responder::bind(0)?;
    let address = responder.address();
    let stop = AtomicBool::new(false);
    let shape = Shape::closed(16, 25, SIZE);
    let layout = Layout::round_robin(shape.connections, shape.keys, 1);
    let target = Target { servers: &[address], layout: &layout, pids: &[] };
    let lengths = Lengths { warm_up: Duration::from_millis(500), measure: length };
    let outcome = thread::scope(|scope| {
        let served = scope.spawn(|| responder.serve(&stop));
        let outcome = load::run(target, Op::Set, &shape, lengths, interrupt);
        stop.store(true, Ordering::Relaxed);
        served.join().expect("the responder does not panic")?;
        outcome
    })?;
    Ok(Ceiling {
        what: format!("sets of {SIZE} B by the generator, 16 x 25, of a server that does nothing"),
        per_second: outcome.operations_per_second,
        p50_us: outcome.latency_us.p50,
        p99_us: outcome.latency_us.p99,
        bytes_per_second: (outcome.bytes_sent + outcome.bytes_received) as f64 / outcome.seconds,
    })
}

/// Syncs of so many bytes of a file in this directory, one at a time.
pub fn syncs(
    directory: &Path,
    bytes: usize,
    length: Duration,
    interrupt: &Interrupt,
) -> Result<Ceiling, Failure> {
    let refused = || Failure::system(format!("a file in {}", directory.display()));
    let file = tempfile::tempfile_in(directory).map_err(refused())?;
    fill(&file).map_err(refused())?;
    let block = vec![1; bytes];
    let what = format!("syncs of {} KiB, one at a time", bytes >> 10);
    again_and_again(what, bytes, length, interrupt, |index| {
        let offset = (index as usize * bytes) % FILE_BYTES;
        file.write_all_at(&block, offset as u64).and_then(|()| file.sync_data()).map_err(refused())
    })
}

fn fill(file: &File) -> std::io::Result<()> {
    file.write_all_at(&vec![0; FILE_BYTES], 0)?;
    file.sync_all()
}

/// Does something for so long, and times it; it is given how often it was done before.
fn again_and_again(
    what: String,
    bytes: usize,
    length: Duration,
    interrupt: &Interrupt,
    mut act: impl FnMut(u64) -> Result<(), Failure>,
) -> Result<Ceiling, Failure> {
    let mut us = Histogram::<u64>::new(3).expect("the digits are legal");
    let begin = Instant::now();
    let mut now = begin;
    while now - begin < length {
        interrupt.check()?;
        act(us.len())?;
        let after = Instant::now();
        us.saturating_record((after - now).as_micros() as u64);
        now = after;
    }
    let per_second = us.len() as f64 / (now - begin).as_secs_f64();
    Ok(Ceiling {
        what,
        per_second,
        p50_us: us.value_at_quantile(0.5),
        p99_us: us.value_at_quantile(0.99),
        bytes_per_second: per_second * bytes as f64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ceiling_is_measured() {
        let directory = tempfile::tempdir().expect("a directory");
        let options = Options { seconds: 1, directory: directory.path().to_owned(), json: false };
        let ceilings = options.carry_out(&Interrupt::default()).expect("figures");
        assert_eq!(ceilings.ceilings.len(), 2 + SYNC_KIB.len());
        for Ceiling { what, per_second, p50_us, p99_us, .. } in &ceilings.ceilings {
            assert!(*per_second > 0.0 && p50_us <= p99_us, "{what}: {per_second} per second, {p50_us} us");
        }
        assert_eq!(ceilings.table().to_string().lines().count(), 1 + ceilings.ceilings.len());
    }
}
