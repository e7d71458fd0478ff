//! A read index covers whatever was decided anywhere before it was asked for.

use super::*;

const TURNS: usize = 3_000;

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
    fn new(seed: u64) -> Asking {
        Asking { world: World::new(seed, 3), open: Vec::new(), answered: 0, stale: 0 }
    }

    fn go(mut self) -> Asking {
        for turn in 0..TURNS {
            if turn % 300 == 150 {
                self.trouble();
            } else if turn % 300 == 0 {
                self.mend();
            }
            self.world.run(1, true);
            self.ask();
            self.listen();
        }
        self.mend();
        for _ in 0..1_000 {
            self.world.run(1, false);
            self.listen();
        }
        self
    }

    /// One node is cut off from the others, or dies.
    fn trouble(&mut self) {
        let node = self.world.rng.random_range(0..3);
        if self.world.rng.random_bool(0.7) {
            (0..3).filter(|peer| *peer != node).for_each(|peer| self.world.cut(node, peer));
        } else {
            self.world.kill(node);
            self.open.retain(|question| question.node != node);
        }
    }

    fn mend(&mut self) {
        self.world.heal();
        for node in 0..3 {
            if self.world.nodes[node].multicast.is_none() {
                self.world.start(node);
            }
        }
    }

    fn ask(&mut self) {
        let node = self.world.rng.random_range(0..3);
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
    for seed in 0..24 {
        let asking = Asking::new(seed).go();
        assert_eq!(asking.stale, 0, "seed {seed}");
        assert!(asking.answered > TURNS / 2, "seed {seed}: {} answers", asking.answered);
        assert_eq!(asking.open.len(), 0, "seed {seed}: questions without an answer when all is mended");
    }
}

#[cfg(feature = "faults")]
#[test]
fn a_leader_that_does_not_ask_is_caught() {
    use crate::fault::Fault;
    use crate::faults::OLD_LEADER_READS;
    Fault::plant(Some(OLD_LEADER_READS));
    let stale = (0..24).find(|seed| Asking::new(*seed).go().stale > 0);
    Fault::plant(None);
    assert!(stale.is_some(), "no leader was deposed without knowing");
}
