//! Where the time of a command goes within a server, as the server itself measures it.
//!
//! The stages are those of the paper (S-SMR VI-B): *batching* until a command is proposed, *multicasting* until it is
//! delivered, *waiting* until its execution begins, *executing* until it is answered.

use crate::four_letter;
use serde::Serialize;
use std::net::SocketAddr;

/// The stages in the order in which a command goes through them.
pub const NAMES: [&str; 4] = ["batching", "multicasting", "waiting", "executing"];

/// One stage.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stage {
    /// Its name.
    pub name: &'static str,
    /// The mean of what commands spent in it, in microseconds.
    pub mean_us: f64,
}

/// Asks a server; nothing if it does not tell of every stage.
pub fn ask(server: SocketAddr) -> Vec<Stage> {
    four_letter::ask(server, "mntr").ok().and_then(|told| read(&told)).unwrap_or_default()
}

fn read(told: &str) -> Option<Vec<Stage>> {
    let value = |name: &str| {
        let key = format!("volery_stage_{name}_us_mean");
        told.lines().find_map(|line| line.strip_prefix(&key)?.strip_prefix('\t')?.trim().parse().ok())
    };
    NAMES.iter().map(|&name| Some(Stage { name, mean_us: value(name)? })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_read_where_all_are_told() {
        let line = |name: &str| format!("volery_stage_{name}_us_p50\t9\nvolery_stage_{name}_us_mean\t12.5\n");
        let told: String = NAMES.iter().map(|name| line(name)).collect();
        let stages = read(&told).unwrap();
        assert_eq!(stages.len(), 4);
        assert_eq!(stages[1], Stage { name: "multicasting", mean_us: 12.5 });
        assert_eq!(read(&line("waiting")), None);
    }
}
