//! One partition without its majority, and what the others answer meanwhile.

use super::Options;
use super::drill::Drill;
use super::round::Round;
use crate::failure::Failure;
use crate::lab::Lab;

/// The fewest nodes, at three replicas of each partition, among which two can be stopped that are a majority of one
/// partition, and of the others neither leader nor majority. The shared ring loses its majority too.
const NODES: u16 = 4;
const PARTITIONS: usize = 2;
/// Whose majority is stopped.
const PARTITION: usize = 0;

impl Options {
    /// One round, on a cluster of its own.
    pub(super) fn majority_stopped(&self, lab: &mut Lab) -> Result<Round, Failure> {
        let mut subject = lab.volery(self.volery(PARTITIONS), NODES)?;
        let cluster = subject.cluster();
        let leaders = cluster.leaders_in_turn(PARTITIONS, lab.interrupt)?;
        let hosts = cluster.hosts(PARTITIONS);
        let Some(stopped) = majority_alone(PARTITION, &hosts, &leaders) else {
            let reason = format!("no majority of p{PARTITION} can be stopped alone, hosts being {hosts:?}");
            return Err(Failure::Server { server: "Volery".to_owned(), reason });
        };
        let running: Vec<usize> = (0..usize::from(NODES)).filter(|node| !stopped.contains(node)).collect();
        let drill = Drill {
            partitions: PARTITIONS,
            rate: self.rate,
            servers: &running,
            warm_up: self.warm_up(),
            before: self.window(),
            after: self.window(),
        };
        let still_lead = |cluster: &_| super::check_leaders(cluster, &leaders);
        let seen = drill.carry_out(cluster, still_lead, |cluster| cluster.stop(&stopped), lab.interrupt)?;
        let fault = format!("nodes {} and {} stopped", stopped[0] + 1, stopped[1] + 1);
        Ok(Round::new(fault, PARTITION, &seen, self.window()))
    }
}

/// Two hosts of this partition without which it has no majority of its three, while every other partition keeps its
/// majority and its leader. `hosts` and `leaders` are indices of servers by partition.
fn majority_alone(partition: usize, hosts: &[Vec<usize>], leaders: &[usize]) -> Option<[usize; 2]> {
    let own = &hosts[partition];
    let pairs = own.iter().enumerate().flat_map(|(index, a)| own[index + 1..].iter().map(|b| [*a, *b]));
    let spares_others = |pair: &[usize; 2]| {
        let mut others = (0..hosts.len()).filter(|other| *other != partition);
        others.all(|other| {
            let left = hosts[other].iter().filter(|host| !pair.contains(host)).count();
            2 * left > hosts[other].len() && !pair.contains(&leaders[other])
        })
    };
    pairs.into_iter().find(spares_others)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_majority_is_stopped_that_the_others_can_do_without() {
        let hosts = [vec![0, 1, 2], vec![1, 2, 3]];
        assert_eq!(majority_alone(0, &hosts, &[0, 1]), Some([0, 2]), "node 1 leads the other");
        assert_eq!(majority_alone(0, &hosts, &[1, 2]), Some([0, 1]), "node 2 leads the other");
        assert_eq!(majority_alone(1, &hosts, &[0, 1]), Some([1, 3]));
        let three = [vec![0, 1, 2], vec![0, 1, 2]];
        assert_eq!(majority_alone(0, &three, &[0, 1]), None, "a majority of one is one of all");
        let disjoint = [vec![0, 1, 2], vec![3, 4, 5]];
        assert_eq!(majority_alone(0, &disjoint, &[0, 3]), Some([0, 1]));
    }
}
