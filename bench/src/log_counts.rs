//! What a server has done to its write-ahead log, as the server itself counts it.

use crate::four_letter;
use std::net::SocketAddr;
use volery::status::Status;

/// ZooKeeper's name for how often it has synced its log.
const ZOOKEEPER_SYNCS: &str = "zk_cnt_fsynctime";
/// ZooKeeper's name for the requests of all batches that it has synced.
const ZOOKEEPER_COMMANDS: &str = "zk_sum_sync_processor_batch_size";
/// With this begin the lines that Volery adds to ZooKeeper's.
const VOLERY: &str = "volery_";

/// Counts since the server's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogCounts {
    /// Times synced.
    pub syncs: u64,
    /// Commands that the syncs were for: with Volery those executed, over all partitions of the node; with ZooKeeper the
    /// requests that went to the log.
    pub commands: u64,
}

impl LogCounts {
    /// Asks a server. `None`: it does not tell, which needs `4lw.commands.whitelist` with ZooKeeper. A ZooKeeper takes a
    /// word of Volery's own for a broken client, so it is not sent to one.
    pub fn ask(server: SocketAddr) -> Option<LogCounts> {
        let counts = four_letter::ask(server, "mntr").ok()?;
        if !counts.lines().any(|line| line.starts_with(VOLERY)) {
            return LogCounts::of_zookeeper(&counts);
        }
        let status = four_letter::ask(server, "vlry").ok()?;
        serde_json::from_str(&status).ok().map(|status| LogCounts::of_volery(&status))
    }

    fn of_volery(status: &Status) -> LogCounts {
        let commands = status.partitions.iter().map(|partition| partition.executed).sum();
        LogCounts { syncs: status.log.syncs, commands }
    }

    fn of_zookeeper(counts: &str) -> Option<LogCounts> {
        let count = |name| {
            let line = counts.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('\t'));
            line?.trim().parse().ok()
        };
        Some(LogCounts { syncs: count(ZOOKEEPER_SYNCS)?, commands: count(ZOOKEEPER_COMMANDS)? })
    }

    /// What was counted after `earlier`; `None` if the server has started anew meanwhile.
    pub fn since(self, earlier: LogCounts) -> Option<LogCounts> {
        Some(LogCounts {
            syncs: self.syncs.checked_sub(earlier.syncs)?,
            commands: self.commands.checked_sub(earlier.commands)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread;
    use volery::status::{LogStatus, PartitionStatus};

    /// Asks a server that answers as many words as it knows, and has not been asked another.
    fn ask(answers: &BTreeMap<&str, String>) -> Option<LogCounts> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::scope(|scope| {
            scope.spawn(move || {
                for _ in 0..answers.len() {
                    let mut stream = listener.accept().unwrap().0;
                    let mut word = [0; 4];
                    stream.read_exact(&mut word).unwrap();
                    let word = std::str::from_utf8(&word).unwrap();
                    stream.write_all(answers[word].as_bytes()).unwrap();
                }
            });
            LogCounts::ask(address)
        })
    }

    #[test]
    fn volery_tells_in_its_status() {
        let partition = |executed| PartitionStatus { executed, ..PartitionStatus::default() };
        let status = Status {
            log: LogStatus { bytes: 1, syncs: 20 },
            partitions: vec![partition(300), partition(40)],
            ..Status::default()
        };
        let status = serde_json::to_string(&status).unwrap();
        let mntr = "zk_version\t3\nvolery_log_syncs\t7\n".to_owned();
        let told = ask(&[("mntr", mntr), ("vlry", status)].into());
        assert_eq!(told, Some(LogCounts { syncs: 20, commands: 340 }));
    }

    #[test]
    fn zookeeper_tells_among_its_counts() {
        let mntr = "zk_cnt_fsynctime_x\t1\nzk_cnt_fsynctime\t5\nzk_sum_sync_processor_batch_size\t60\n";
        assert_eq!(ask(&[("mntr", mntr.to_owned())].into()), Some(LogCounts { syncs: 5, commands: 60 }));
    }

    #[test]
    fn a_server_that_may_not_tell_is_no_fault() {
        let refusal = "mntr is not executed because it is not in the whitelist.\n".to_owned();
        assert_eq!(ask(&[("mntr", refusal)].into()), None);
    }

    #[test]
    fn a_server_that_has_started_anew_counts_from_nothing() {
        let [before, after] = [(5, 50), (8, 90)].map(|(syncs, commands)| LogCounts { syncs, commands });
        assert_eq!(after.since(before), Some(LogCounts { syncs: 3, commands: 40 }));
        assert_eq!(before.since(after), None);
    }
}
