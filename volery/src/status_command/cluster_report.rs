//! What the nodes of a cluster say, for a person.

use super::cluster_status::{Answer, ClusterStatus};
use super::table::Table;
use crate::config::ClusterConfig;
use crate::status::RingStatus;

/// The cluster, its nodes, its rings, its replicas, and what is wrong with them.
pub(super) fn cluster_report(config: &ClusterConfig, status: &ClusterStatus) -> String {
    let mut report = format!(
        "cluster {:?}: nodes: {}, partitions: {}, replicas of each: {}\n\n{}",
        config.cluster,
        config.nodes.len(),
        config.partitions,
        config.replicas(),
        nodes(status)
    );
    if status.answers().next().is_some() {
        report += &format!("\n{}\n{}", rings(status), partitions(status));
    }
    for divergence in status.divergences() {
        report += &format!("\n{divergence}\n");
    }
    report
}

fn nodes(status: &ClusterStatus) -> Table {
    let head = ["node", "address", "incarnation", "znodes", "sessions", "connections", "watches", "state"];
    let mut table = Table::new(&head);
    for node in &status.nodes {
        let mut row = vec![node.node.to_string(), node.address.to_string()];
        match &node.answer {
            Answer::Status(status) => {
                let numbers = [status.znodes, status.sessions, status.connections, status.watches];
                row.push(status.incarnation.to_string());
                row.extend(numbers.map(|number| number.to_string()));
                row.push("up".into());
            }
            Answer::Error(reason) => {
                row.extend(["-"; 5].map(String::from));
                row.push(reason.clone());
            }
        }
        table.row(row);
    }
    table
}

/// The lag is how many entries less than the foremost a node has decided. The catch-ups are the times that a node has fetched
/// what it lacked in pieces, and how long the last of them took.
fn rings(status: &ClusterStatus) -> Table {
    let mut table = Table::new(&["ring", "leader", "node", "decided", "accepted", "lag", "catch-ups"]);
    for (name, members) in status.rings() {
        let leaders: Vec<String> =
            members.iter().filter(|(_, ring)| ring.leads).map(|(node, _)| node.to_string()).collect();
        let leader = if leaders.is_empty() { "none".into() } else { leaders.join(" and ") };
        let foremost = members.iter().map(|(_, ring)| ring.decided).max().unwrap_or(0);
        for (node, ring) in members {
            let numbers = [ring.decided, ring.accepted, foremost - ring.decided];
            let mut row = vec![name.to_owned(), leader.clone(), node.to_string()];
            row.extend(numbers.map(|number| number.to_string()));
            row.push(catch_ups(ring));
            table.row(row);
        }
    }
    table
}

fn catch_ups(ring: &RingStatus) -> String {
    match (ring.catching_up, ring.catch_ups) {
        (true, _) => "under way".into(),
        (false, 0) => "0".into(),
        (false, count) => format!("{count}, last {} ms", ring.catch_up_ms),
    }
}

fn partitions(status: &ClusterStatus) -> Table {
    let head = ["partition", "node", "position", "znodes", "sessions", "executed", "multi", "state hash"];
    let mut table = Table::new(&head);
    for (partition, replicas) in status.partitions() {
        for (node, replica) in replicas {
            let counts = [replica.znodes, replica.sessions, replica.executed, replica.multi_partition];
            let mut row = vec![partition.to_string(), node.to_string(), replica.position.clone()];
            row.extend(counts.map(|count| count.to_string()));
            row.push(replica.state_hash.clone());
            table.row(row);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::super::cluster_status::tests::{cluster, replica};
    use super::*;
    use crate::init::ClusterShape;
    use crate::status::Status;
    use std::path::Path;

    fn report(statuses: Vec<Option<Status>>) -> String {
        let text = ClusterShape::default().text().unwrap();
        let config = ClusterConfig::parse(&text, Path::new("cluster.toml")).unwrap();
        cluster_report(&config, &cluster(statuses))
    }

    fn status(leads: bool, decided: u64, state_hash: &str) -> Option<Status> {
        let ring =
            RingStatus { ring: "p0".into(), leads, decided, accepted: decided + 1, ..RingStatus::default() };
        let partitions = vec![replica(0, "0:12", state_hash)];
        Some(Status { incarnation: 2, znodes: 5, rings: vec![ring], partitions, ..Status::default() })
    }

    #[test]
    fn the_report_shows_who_is_up_who_leads_and_who_lags() {
        let expected = "\
cluster \"local\": nodes: 3, partitions: 2, replicas of each: 3

node  address         incarnation  znodes  sessions  connections  watches  state
   1  127.0.0.1:2181            2       5         0            0        0  up
   2  127.0.0.1:2182            -       -         -            -        -  refused
   3  127.0.0.1:2183            2       5         0            0        0  up

ring  leader  node  decided  accepted  lag  catch-ups
p0         3     1       97        98    3  1, last 70 ms
p0         3     3      100       101    0  0

partition  node  position  znodes  sessions  executed  multi  state hash
        0     1  0:12           0         0         0      0  a
        0     3  0:12           0         0         0      0  a
";
        let mut first = status(false, 97, "a");
        if let Some(status) = &mut first {
            (status.rings[0].catch_ups, status.rings[0].catch_up_ms) = (1, 70);
        }
        assert_eq!(report(vec![first, None, status(true, 100, "a")]), expected);
    }

    #[test]
    fn a_difference_and_rings_without_one_leader_are_told() {
        let report = report(vec![status(false, 1, "a"), status(false, 1, "b")]);
        assert!(report.contains("p0    none       1"), "{report}");
        assert!(
            report.ends_with(
                "partition 0 DIFFERS between replicas at position 0:12: a at node 1, b at node 2\n"
            )
        );
        assert!(
            super::rings(&cluster(vec![status(true, 1, "a"), status(true, 1, "a")]))
                .to_string()
                .contains("1 and 2")
        );
    }

    #[test]
    fn where_nobody_answers_there_are_only_the_nodes() {
        assert!(!report(vec![None, None, None]).contains("ring"));
    }
}
