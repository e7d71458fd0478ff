//! What servers and processes do while a run is measured.
//!
//! An edge file: it reads the clock.
#![allow(
    clippy::disallowed_methods,
    reason = "what a server counts is a rate only with the time between two looks"
)]

use crate::failure::Failure;
use crate::log_counts::LogCounts;
use crate::outcome::{LogUse, ProcessUse};
use crate::usage;
use std::net::SocketAddr;
use std::time::Instant;

/// Whom to look at: this process, some others, and the logs of servers.
pub struct Witness<'a> {
    /// The others.
    pub pids: &'a [u32],
    /// The servers, running in any of them or elsewhere.
    pub servers: &'a [SocketAddr],
}

/// What was seen at one moment.
pub struct Look {
    cpu_us: Vec<u64>,
    loopback_bytes: u64,
    logs: Vec<Option<LogLook>>,
}

/// What was used between two moments.
#[derive(Default)]
pub struct Used {
    /// By this process first, then by the others.
    pub processes: Vec<ProcessUse>,
    /// Of each server's log, if it tells.
    pub logs: Vec<Option<LogUse>>,
    /// Of the loopback interface, by anybody.
    pub loopback_bytes: u64,
}

struct LogLook {
    at: Instant,
    counts: LogCounts,
}

impl Witness<'_> {
    /// Looks as a window begins. Servers are asked last: their answers take a moment.
    pub fn look(&self) -> Result<Look, Failure> {
        let cpu_us = self.pids().map(usage::cpu_us).collect::<Result<_, _>>()?;
        Ok(Look { cpu_us, loopback_bytes: usage::loopback_bytes()?, logs: self.logs() })
    }

    /// Looks as the window ends, and tells what was used in it. Servers are asked first.
    pub fn used_since(&self, before: &Look) -> Result<Used, Failure> {
        let logs = self.servers.iter().zip(&before.logs).zip(self.logs());
        let logs =
            logs.map(|((server, before), after)| log_use(*server, before.as_ref()?, &after?)).collect();
        let loopback_bytes = usage::loopback_bytes()?.saturating_sub(before.loopback_bytes);
        Ok(Used { processes: self.processes(&before.cpu_us)?, logs, loopback_bytes })
    }

    fn processes(&self, before: &[u64]) -> Result<Vec<ProcessUse>, Failure> {
        let used = self.pids().zip(before).map(|(pid, before)| {
            Ok(ProcessUse {
                pid,
                name: usage::name(pid)?,
                cpu_us: usage::cpu_us(pid)? - before,
                resident_bytes: usage::resident_bytes(pid)?,
            })
        });
        used.collect()
    }

    fn pids(&self) -> impl Iterator<Item = u32> {
        std::iter::once(std::process::id()).chain(self.pids.iter().copied())
    }

    fn logs(&self) -> Vec<Option<LogLook>> {
        let look = |server: &SocketAddr| {
            let counts = LogCounts::ask(*server)?;
            Some(LogLook { at: Instant::now(), counts })
        };
        self.servers.iter().map(look).collect()
    }
}

fn log_use(server: SocketAddr, before: &LogLook, after: &LogLook) -> Option<LogUse> {
    let LogCounts { syncs, commands } = after.counts.since(before.counts)?;
    let seconds = (after.at - before.at).as_secs_f64();
    Some(LogUse { server: server.to_string(), seconds, syncs, commands })
}
