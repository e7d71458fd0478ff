//! Where the time of a command goes within a server, as the server itself measures it.
//!
//! The stages of the paper (S-SMR VI-B) are *batching* until a command is proposed, *multicasting* until it is delivered,
//! *waiting* until its execution begins, *executing* until it is answered. A server tells of its stages by the word `mntr`,
//! in lines such as `volery_stage_batching_us_mean`; which there are is up to the server.

use crate::four_letter;
use serde::Serialize;
use std::net::SocketAddr;

/// With this begin the lines that tell of stages.
const PREFIX: &str = "volery_stage_";
/// With this end those of their names that tell a mean, in microseconds.
const MEAN: &str = "_us_mean";

/// One stage.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stage {
    /// Its name.
    pub name: String,
    /// The mean of what commands spent in it, in microseconds.
    pub mean_us: f64,
}

/// Asks a server for its stages, in its own order; none if it does not tell.
pub fn ask(server: SocketAddr) -> Vec<Stage> {
    four_letter::ask(server, "mntr").map(|told| read(&told)).unwrap_or_default()
}

fn read(told: &str) -> Vec<Stage> {
    let stage = |line: &str| {
        let (key, value) = line.split_once('\t')?;
        let name = key.strip_prefix(PREFIX)?.strip_suffix(MEAN)?.to_owned();
        Some(Stage { name, mean_us: value.trim().parse().ok()? })
    };
    told.lines().filter_map(stage).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_read_in_the_server_s_order() {
        let told = "zk_version\t3\nvolery_stage_batching_us_p50\t9\nvolery_stage_batching_us_mean\t12.5\n\
                    volery_stage_waiting_us_mean\t3\nvolery_stage_waiting_us_mean_x\t4\n";
        let stage = |name: &str, mean_us| Stage { name: name.to_owned(), mean_us };
        assert_eq!(read(told), [stage("batching", 12.5), stage("waiting", 3.0)]);
        assert_eq!(read("volery_log_syncs\t7\n"), []);
    }
}
