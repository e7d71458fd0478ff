//! What processes consume, from `/proc`.
//!
//! An edge file: it reads the state of the machine.

use crate::failure::Failure;
use std::fs;

/// Linux counts CPU time for `/proc` in hundredths of a second on every architecture.
const TICK_US: u64 = 10_000;

/// The CPU time that a process has used so far, user and system, in microseconds. Ended threads are included.
pub fn cpu_us(pid: u32) -> Result<u64, Failure> {
    let (path, text) = read(pid, "stat")?;
    ticks(&text).map(|ticks| ticks * TICK_US).ok_or(Failure::Usage(format!("{path} is not understood")))
}

/// CPU time of the whole machine since its start, over all its cores, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    idle: u64,
    all: u64,
}

impl Machine {
    /// What it is now.
    pub fn now() -> Result<Machine, Failure> {
        let path = "/proc/stat";
        let text = fs::read_to_string(path).map_err(Failure::system(path))?;
        Machine::read(&text).ok_or(Failure::Usage(format!("{path} is not understood")))
    }

    /// The share of the time since then in which cores had nothing to do; not a number if no tick has passed.
    pub fn idle_share_since(self, before: Machine) -> f64 {
        self.idle.saturating_sub(before.idle) as f64 / self.all.saturating_sub(before.all) as f64
    }

    /// user, nice, system, idle, iowait, irq, softirq, steal; guests' time, which follows, is within user's. A core that
    /// waits for a disk has nothing to do.
    fn read(stat: &str) -> Option<Machine> {
        let fields = stat.lines().next()?.strip_prefix("cpu ")?.split_ascii_whitespace().take(8);
        let ticks = fields.map(|field| field.parse().ok()).collect::<Option<Vec<u64>>>()?;
        Some(Machine { idle: ticks.get(3)? + ticks.get(4)?, all: ticks.iter().sum() })
    }
}

/// The memory that a process has in RAM, in bytes.
pub fn resident_bytes(pid: u32) -> Result<u64, Failure> {
    let (path, text) = read(pid, "status")?;
    kib(&text, "VmRSS:").map(|kib| kib * 1024).ok_or(Failure::Usage(format!("{path} is not understood")))
}

/// The memory that may still be used without swapping, in bytes.
pub fn free_memory_bytes() -> Result<u64, Failure> {
    let path = "/proc/meminfo";
    let text = fs::read_to_string(path).map_err(Failure::system(path))?;
    kib(&text, "MemAvailable:")
        .map(|kib| kib * 1024)
        .ok_or(Failure::Usage(format!("{path} is not understood")))
}

/// The bytes that went over the loopback interface since the machine's start, TCP's and IP's headers included; none if
/// there is no such interface.
pub fn loopback_bytes() -> Result<u64, Failure> {
    let path = "/proc/net/dev";
    let text = fs::read_to_string(path).map_err(Failure::system(path))?;
    Ok(received_by(&text, "lo").unwrap_or(0))
}

/// The name of a process, cut to 15 bytes as the kernel keeps it.
pub fn name(pid: u32) -> Result<String, Failure> {
    Ok(read(pid, "comm")?.1.trim_end().to_owned())
}

fn read(pid: u32, file: &str) -> Result<(String, String), Failure> {
    let path = format!("/proc/{pid}/{file}");
    let text = fs::read_to_string(&path).map_err(Failure::system(path.as_str()))?;
    Ok((path, text))
}

/// utime + stime, fields 14 and 15. The second field is a name in parentheses and may hold anything.
fn ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// The first figure of the interface's line: what it received, which on loopback is all that was sent.
fn received_by(net_dev: &str, interface: &str) -> Option<u64> {
    let line = net_dev.lines().find_map(|line| line.trim_start().strip_prefix(interface)?.strip_prefix(':'));
    line?.split_ascii_whitespace().next()?.parse().ok()
}

/// The figure of the line that begins with this.
fn kib(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_after_any_name() {
        let stat = "42 (a) b 9 9) S 1 42 42 0 -1 4194560 100 0 0 0 17 25 0 0 20 0 3 0 100 1000 50";
        assert_eq!(ticks(stat), Some(42));
        assert_eq!(ticks("42 (cut) S 1"), None);
    }

    #[test]
    fn a_machine_is_idle_also_while_it_waits_for_a_disk() {
        let machine = |stat| Machine::read(stat).unwrap();
        let before = machine("cpu  100 1 50 800 20 5 3 2 90 0\ncpu0 1 2 3\n");
        assert_eq!(before, Machine { idle: 820, all: 981 });
        let after = machine("cpu  150 1 60 820 40 5 3 2 140 0\n");
        assert_eq!(after.idle_share_since(before), 0.4);
        assert_eq!(Machine::read("cpu 1 2 x 4 5\n"), None);
    }

    #[test]
    fn memory_is_the_resident_part() {
        assert_eq!(kib("VmPeak:\t 9 kB\nVmRSS:\t    2048 kB\nThreads:\t1\n", "VmRSS:"), Some(2048));
        assert_eq!(kib("Threads:\t1\n", "VmRSS:"), None);
        assert!(free_memory_bytes().unwrap() > 10_000_000);
    }

    #[test]
    fn an_interface_is_found_by_its_whole_name() {
        let net_dev =
            "Inter-|   Receive\n face |bytes    packets\n  lo2: 7 1\n    lo:30480 22 0 0\n  eth0: 9 1\n";
        assert_eq!(received_by(net_dev, "lo"), Some(30_480));
        assert_eq!(received_by(net_dev, "eth1"), None);
    }

    #[test]
    fn this_process_is_seen() {
        let pid = std::process::id();
        assert!(resident_bytes(pid).unwrap() > 100_000);
        let before = cpu_us(pid).unwrap();
        let mut sum = 0_u64;
        while cpu_us(pid).unwrap() == before {
            sum = sum.wrapping_add(1);
        }
        assert!(cpu_us(pid).unwrap() > before);
    }
}
