//! What one node says of itself, for a person.

use super::table::Table;
use crate::status::Status;

/// The node, its rings, its replicas.
pub(super) fn node_report(status: &Status) -> String {
    format!("{}\n{}\n{}", summary(status), rings(status), partitions(status))
}

fn summary(status: &Status) -> String {
    format!(
        "node {}, started {} times: {} znodes ({} ephemeral, {} bytes), {} sessions, {} connections, {} watches\n\
         log: {} bytes, {} syncs; commands: {} delivered, {} in flight, {} sent again\n",
        status.node,
        status.incarnation,
        status.znodes,
        status.ephemerals,
        status.data_bytes,
        status.sessions,
        status.connections,
        status.watches,
        status.log.bytes,
        status.log.syncs,
        status.delivered,
        status.in_flight,
        status.resent,
    )
}

fn rings(status: &Status) -> Table {
    let mut table = Table::new(&["ring", "leader", "decided", "accepted"]);
    for ring in &status.rings {
        let leader = if ring.leads { "here" } else { "-" };
        table.row(vec![
            ring.ring.clone(),
            leader.into(),
            ring.decided.to_string(),
            ring.accepted.to_string(),
        ]);
    }
    table
}

fn partitions(status: &Status) -> Table {
    let head = ["partition", "position", "znodes", "sessions", "executed", "multi", "state hash"];
    let mut table = Table::new(&head);
    for partition in &status.partitions {
        table.row(vec![
            partition.partition.to_string(),
            partition.position.clone(),
            partition.znodes.to_string(),
            partition.sessions.to_string(),
            partition.executed.to_string(),
            partition.multi_partition.to_string(),
            partition.state_hash.clone(),
        ]);
    }
    table
}
