//! A read index covers whatever was decided anywhere before it was asked for.

use super::*;

const TURNS_A_NODE: usize = 1_000;

/// A question, and how much of its partition some replica had delivered when it was asked.
struct Question {
    node: usize,
    partition: PartitionId,
    number: u64,
    delivered: usize,
}

/// Nodes that submit and ask while members are cut off and die.
struct Asking {
    world: World,
    open: Vec<Question>,
    answered: usize,
    /// Answers that did not cover what had been delivered elsewhere.
    stale: usize,
}

impl Asking {
    /// Nodes that are all members of everything.
    fn new(seed: u64, nodes: usize) -> Asking {
        let world = World::of_replicas(seed, nodes, nodes as u16);
        Asking { world, open: Vec::new(), answered: 0, stale: 0 }
    }

    fn nodes(&self) -> usize {
        self.world.nodes.len()
    }

    fn go(mut self) -> Asking {
        let round = 100 * self.nodes();
        for turn in 0..self.nodes() * TURNS_A_NODE {
            if turn % round == round / 2 {
                self.trouble();
            } else if turn % round == 0 {
                self.mend();
            }
            self.world.run(1, true);
            self.ask();
            self.listen();
        }
        self.mend();
        for _ in 0..2_000 + 200 * self.nodes() {
            self.world.run(1, false);
            self.listen();
        }
        self
    }

    /// As many nodes as can be spared are cut off from the others, or die.
    fn trouble(&mut self) {
        let nodes = self.nodes();
        let first = self.world.rng.random_range(0..nodes);
        let gone: Vec<usize> = (0..(nodes - 1) / 2).map(|i| (first + i) % nodes).collect();
        let is_cut = self.world.rng.random_bool(0.7);
        for node in &gone {
            if is_cut {
                (0..nodes).filter(|peer| !gone.contains(peer)).for_each(|peer| self.world.cut(*node, peer));
            } else {
                self.world.kill(*node);
                self.open.retain(|question| question.node != *node);
            }
        }
    }

    fn mend(&mut self) {
        self.world.heal();
        for node in 0..self.nodes() {
            if self.world.nodes[node].multicast.is_none() {
                self.world.start(node);
            }
        }
    }

    fn ask(&mut self) {
        let node = self.world.rng.random_range(0..self.nodes());
        let partition = PartitionId(self.world.rng.random_range(0..PARTITIONS));
        let delivered = self.world.nodes.iter().map(|node| node.delivered[partition.index()].len()).max();
        if let Some(multicast) = &mut self.world.nodes[node].multicast {
            let number = multicast.ask(partition);
            let delivered = delivered.expect("nodes");
            self.open.push(Question { node, partition, number, delivered });
        }
    }

    fn listen(&mut self) {
        for (at, node) in self.world.nodes.iter_mut().enumerate() {
            let Some(multicast) = &mut node.multicast else { continue };
            for partition in PartitionId::all(PARTITIONS) {
                let Some(number) = multicast.take_answered(partition) else { continue };
                let here = node.again[partition.index()];
                let is_answered = |question: &Question| {
                    question.node == at && question.partition == partition && question.number <= number
                };
                for question in self.open.extract_if(.., |question| is_answered(question)) {
                    self.answered += 1;
                    self.stale += usize::from(here < question.delivered);
                }
            }
        }
    }
}

#[test]
fn an_index_covers_what_was_decided_before_it_was_asked_for() {
    let sizes = [3, 3, 3, 5, 3, 7, 4, 2].into_iter().cycle();
    for (seed, nodes) in (0..24).zip(sizes) {
        let asking = Asking::new(seed, nodes).go();
        assert_eq!(asking.stale, 0, "seed {seed}");
        assert!(asking.answered > nodes * TURNS_A_NODE / 3, "seed {seed}: {} answers", asking.answered);
        assert_eq!(asking.open.len(), 0, "seed {seed}: questions without an answer when all is mended");
    }
}

#[cfg(feature = "faults")]
#[test]
fn a_leader_that_does_not_ask_is_caught() {
    use crate::fault::Fault;
    use crate::faults::OLD_LEADER_READS;
    Fault::plant(Some(OLD_LEADER_READS));
    let stale = (0..24).find(|seed| Asking::new(*seed, 3).go().stale > 0);
    Fault::plant(None);
    assert!(stale.is_some(), "no leader was deposed without knowing");
}
