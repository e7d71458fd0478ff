//! The four-letter words: what an operator types into a bare connection, answered in text and closed.
//!
//! Tools read these answers, so their lines are ZooKeeper's. `vlry` is our own: the node's [`Status`](crate::status) as
//! JSON.

use super::{ConnectionId, Gateway, Phase};
use crate::status::RingStatus;
use crate::wire::OpCode;
use std::fmt::Write as _;

/// The version of ZooKeeper whose protocol is spoken, with ours behind it.
pub const VERSION: &str = concat!("3.9.3-volery-", env!("CARGO_PKG_VERSION"));

const WORDS: [&str; 9] = ["ruok", "srvr", "stat", "mntr", "isro", "conf", "cons", "envi", "vlry"];

impl Gateway {
    /// Answers if a new connection begins with four letters instead of a handshake; says whether it did.
    pub(super) fn four_letters(&mut self, id: ConnectionId) -> bool {
        let Some(connection) = self.connections.get(&id) else { return false };
        let Some(word) = connection.input.first_chunk::<4>().and_then(|word| std::str::from_utf8(word).ok())
        else {
            return false;
        };
        if !word.bytes().all(|byte| byte.is_ascii_lowercase()) {
            return false;
        }
        let word = word.to_owned();
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.phase = Phase::Asking;
            connection.input.clear();
        }
        self.asking.push((id, word));
        true
    }

    /// Answers whoever asked: the node's status has just been seen.
    pub(super) fn answer_words(&mut self) {
        for (id, word) in std::mem::take(&mut self.asking) {
            let answer = self.answer_to(&word);
            if let Some(connection) = self.connections.get_mut(&id) {
                connection.output.extend_from_slice(answer.as_bytes());
            }
            self.drop_connection(id);
        }
    }

    fn answer_to(&self, word: &str) -> String {
        match word {
            "ruok" => "imok".into(),
            "isro" => "rw".into(),
            "srvr" => self.srvr(),
            "stat" => self.stat(),
            "cons" => self.cons() + "\n",
            "mntr" => self.mntr(),
            "conf" => self.conf(),
            "envi" => self.envi(),
            "vlry" => serde_json::to_string(&self.status).unwrap_or_default(),
            _ => format!("{word} is not executed because it is not one of: {}\n", WORDS.join(" ")),
        }
    }

    fn srvr(&self) -> String {
        format!("Zookeeper version: {VERSION}, built on this machine\n{}", self.server_lines())
    }

    fn stat(&self) -> String {
        let (version, clients, server) = (VERSION, self.cons(), self.server_lines());
        format!("Zookeeper version: {version}, built on this machine\nClients:\n{clients}\n{server}")
    }

    fn server_lines(&self) -> String {
        let latency = &self.latency;
        format!(
            "Latency min/avg/max: {}/{:.4}/{}\nReceived: {}\nSent: {}\nConnections: {}\nOutstanding: {}\n\
             Zxid: {}\nMode: standalone\nNode count: {}\n",
            latency.min_ms(),
            latency.mean_ms(),
            latency.max_ms(),
            self.received,
            self.sent(),
            self.connections.len(),
            self.outstanding(),
            self.newest,
            self.status.znodes,
        )
    }

    fn cons(&self) -> String {
        let mut lines = String::new();
        for id in &self.order {
            let Some(connection) = self.connections.get(id) else { continue };
            let (queued, session) = match &connection.phase {
                Phase::Open(pipeline) => (pipeline.outstanding(), Some(pipeline.session())),
                Phase::New | Phase::Asking | Phase::Opening | Phase::Closed => (0, None),
            };
            let _ = write!(
                lines,
                " /{}[{}](queued={queued},recved={},sent={}",
                connection.peer,
                u8::from(session.is_some()),
                connection.received,
                connection.sent,
            );
            if let Some(session) = session {
                let _ = write!(
                    lines,
                    ",sid={session},lop={},est={},to={},lzxid={:#x}",
                    short(connection.last_op),
                    connection.since_ms,
                    connection.timeout_ms,
                    connection.last_zxid,
                );
            }
            lines.push_str(")\n");
        }
        lines
    }

    fn mntr(&self) -> String {
        let (latency, status) = (&self.latency, &self.status);
        let mut lines = format!("zk_version\t{VERSION}\nzk_server_state\tstandalone\n");
        let of_rings = |number: fn(&RingStatus) -> u64| status.rings.iter().map(number);
        let numbers: [(&str, u64); 28] = [
            ("zk_min_latency", latency.min_ms()),
            ("zk_max_latency", latency.max_ms()),
            ("zk_packets_received", self.received),
            ("zk_packets_sent", self.sent()),
            ("zk_num_alive_connections", self.connections.len() as u64),
            ("zk_outstanding_requests", self.outstanding()),
            ("zk_znode_count", status.znodes),
            ("zk_watch_count", self.watches.len() as u64),
            ("zk_ephemerals_count", status.ephemerals),
            ("zk_approximate_data_size", status.data_bytes),
            ("zk_open_file_descriptor_count", status.open_files),
            ("zk_global_sessions", status.sessions),
            ("volery_partitions", u64::from(self.marks.partitions())),
            ("volery_elections", status.rings.iter().map(|ring| ring.elections).sum()),
            ("volery_terms", status.rings.iter().map(|ring| ring.terms).sum()),
            ("volery_log_bytes", status.log.bytes),
            ("volery_log_syncs", status.log.syncs),
            ("volery_commands_delivered", status.delivered),
            ("volery_commands_in_flight", status.in_flight),
            ("volery_commands_resent", status.resent),
            ("volery_turn_us_max", status.turn_us_max),
            ("volery_turn_us_max_commands", status.turn_us_max_commands),
            ("volery_entries_clock_overruled", status.clock_overruled),
            ("volery_session_timers_restarted", self.expiry.restarts()),
            ("volery_rings_catching_up", of_rings(|ring| ring.catching_up.into()).sum()),
            ("volery_entries_lacked", of_rings(|ring| ring.lacks).sum()),
            ("volery_catch_ups", of_rings(|ring| ring.catch_ups).sum()),
            ("volery_catch_up_last_ms", of_rings(|ring| ring.catch_up_ms).max().unwrap_or(0)),
        ];
        let stages = status.stages.map(|stages| {
            [
                ("volery_stage_batching_us_mean", stages.batching),
                ("volery_stage_multicasting_us_mean", stages.multicasting),
                ("volery_stage_waiting_us_mean", stages.waiting),
                ("volery_stage_executing_us_mean", stages.executing),
            ]
        });
        for (name, number) in numbers.into_iter().chain(stages.into_iter().flatten()) {
            let _ = writeln!(lines, "{name}\t{number}");
        }
        let _ = writeln!(lines, "zk_avg_latency\t{:.4}", latency.mean_ms());
        lines
    }

    fn conf(&self) -> String {
        let config = &self.config;
        format!(
            "clientPort={}\ndataDir={}\ntickTime={}\nminSessionTimeout={}\nmaxSessionTimeout={}\nserverId={}\n\
             maxClientCnxns={}\njute.maxbuffer={}\n",
            config.port,
            config.data_directory.display(),
            config.tick_ms,
            config.session_timeout_min_ms,
            config.session_timeout_max_ms,
            config.node,
            eyrie::host::CONNECTIONS_MAX,
            config.frame_bytes_max,
        )
    }

    fn envi(&self) -> String {
        format!(
            "Environment:\nzookeeper.version={VERSION}, built on this machine\nos.name={}\nos.arch={}\n\
             user.dir={}\nvolery.version={}\nvolery.partitions={}\n",
            std::env::consts::OS,
            std::env::consts::ARCH,
            self.config.data_directory.display(),
            env!("CARGO_PKG_VERSION"),
            self.marks.partitions(),
        )
    }

    fn outstanding(&self) -> u64 {
        let open = self.order.iter().filter_map(|id| self.connections.get(id));
        let waiting = open.map(|connection| match &connection.phase {
            Phase::Open(pipeline) => pipeline.outstanding() as u64,
            Phase::New | Phase::Asking | Phase::Opening | Phase::Closed => 0,
        });
        waiting.sum()
    }

    fn sent(&self) -> u64 {
        let open = self.order.iter().filter_map(|id| self.connections.get(id));
        self.sent_by_closed + open.map(|connection| connection.sent).sum::<u64>()
    }
}

/// An operation as `cons` shows it: `GETD`, `CREA`, and `SESS` for the handshake.
fn short(op: OpCode) -> String {
    match op {
        OpCode::CreateSession => "SESS".into(),
        op => op.name().chars().take(4).collect::<String>().to_uppercase(),
    }
}
