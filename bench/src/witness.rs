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
    logs: Vec<Option<LogLook>>,
}

struct LogLook {
    at: Instant,
    counts: LogCounts,
}

impl Witness<'_> {
    /// Looks as a window begins. Servers are asked last: their answers take a moment.
    pub fn look(&self) -> Result<Look, Failure> {
        Ok(Look { cpu_us: self.pids().map(usage::cpu_us).collect::<Result<_, _>>()?, logs: self.logs() })
    }

    /// Looks as the window ends, and tells what was used in it: by this process first, then by the others; and, for each
    /// server, of its log, if it tells. Servers are asked first.
    pub fn used_since(&self, before: &Look) -> Result<(Vec<ProcessUse>, Vec<Option<LogUse>>), Failure> {
        let logs = self.servers.iter().zip(&before.logs).zip(self.logs());
        let logs =
            logs.map(|((server, before), after)| log_use(*server, before.as_ref()?, &after?)).collect();
        Ok((self.processes(&before.cpu_us)?, logs))
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
