//! Volery's nodes on simulated machines, loaded on virtual time: how fast a cluster would be that does not fit into this
//! machine.
//!
//! The nodes are those that are shipped, with their logs, rings and gateways, in [eyrie's world](eyrie::sim); the clients speak the
//! wire protocol. Only what work takes is told, by a [`Pace`] that was measured. All of it is a function of its arguments.

mod client;

use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::layout::Layout;
use crate::load::Window;
use crate::op::Op;
use crate::outcome::Outcome;
use crate::shape::{Lengths, Shape};
use crate::tally::Tally;
use crate::witness::Used;
use crate::workload::Workload;
use bytes::Bytes;
use client::{Client, Script};
use eyrie::sim::{self, Blueprint, EndId, Notice, Pace, World};
use eyrie::{AnswerLimits, LogLimits, NodeId, RingLimits, STEPS_MAX};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use volery::config::{GatewayConfig, GatewayLimits};
use volery::gateway::Gateway;
use volery::placement::Placement;
use volery::service::Volery;

/// Until then nodes find each other and elect their leaders, in virtual time.
const START_US: u64 = 3_000_000;
/// How long the tree may take, in virtual time.
const PREPARATION_US_MAX: u64 = 30_000_000;
/// How often the user's wish to stop is looked for, in virtual time.
const GLANCE_US: u64 = 10_000;

/// A cluster and its clients.
pub struct Simulation<'a> {
    world: World<Volery, Gateway>,
    clients: BTreeMap<EndId, Client>,
    /// What is being measured, if anything is.
    tally: Option<Tally>,
    interrupt: &'a Interrupt,
}

impl<'a> Simulation<'a> {
    /// A cluster whose nodes have elected their leaders.
    pub fn start(shape: sim::Shape, pace: Pace, interrupt: &'a Interrupt) -> Result<Simulation<'a>, Failure> {
        let world = World::paced(blueprint(shape), pace);
        let mut simulation = Simulation { world, clients: BTreeMap::new(), tally: None, interrupt };
        simulation.go_on(START_US, |_| false)?;
        Ok(simulation)
    }

    /// Loads all partitions evenly, as [`Subject::load`](crate::lab::Subject::load) loads real ones.
    pub fn load(mut self, op: Op, shape: &Shape, lengths: Lengths) -> Result<Outcome, Failure> {
        let sim::Shape { nodes, partitions, .. } = self.world.shape();
        let leaders: Vec<usize> = (0..usize::from(partitions)).map(|partition| partition % nodes).collect();
        let layout = Layout::by_partition(shape.connections, shape.keys, leaders.len(), &leaders);
        let data = Bytes::from(vec![b'v'; shape.size]);
        self.prepare(&layout, &data)?;
        for (connection, seat) in layout.seats.iter().enumerate() {
            let (tree, data) = (Arc::clone(&layout.tree), data.clone());
            let room = usize::MAX;
            let workload = Workload::new(tree, shape.spread, data, 0, connection, seat.directory, room);
            self.dial(seat.server, Client::new(Script::Load(workload, op), shape.outstanding));
        }
        self.go_on(us(lengths.warm_up), |_| false)?;
        self.tally = Some(Tally::new());
        self.go_on(us(lengths.measure), |_| false)?;
        let tally = self.tally.take().expect("it was put there");
        let window = Window { length: lengths.measure, used: Used::default() };
        Ok(Outcome::new(op, shape, &tally, window))
    }

    fn prepare(&mut self, layout: &Layout, data: &Bytes) -> Result<(), Failure> {
        let requests = layout.tree.preparation(data).into_iter().flatten().collect();
        let end = self.dial(0, Client::new(Script::Once(requests), 100));
        self.go_on(PREPARATION_US_MAX, |clients| clients[&end].is_done())?;
        if self.clients[&end].is_done() {
            Ok(())
        } else {
            Err(Failure::Simulation("the znodes could not be prepared in time".to_owned()))
        }
    }

    fn dial(&mut self, node: usize, client: Client) -> EndId {
        let end = self.world.dial(self.clients.len(), node);
        self.clients.insert(end, client);
        self.refill(end);
        end
    }

    /// Goes on for so long, or until the clients are done.
    fn go_on(
        &mut self,
        length_us: u64,
        done: impl Fn(&BTreeMap<EndId, Client>) -> bool,
    ) -> Result<(), Failure> {
        let until_us = self.world.now_us() + length_us;
        while self.world.now_us() < until_us && !done(&self.clients) {
            self.interrupt.check()?;
            let glance_us = until_us.min(self.world.now_us() + GLANCE_US);
            while let Some(notice) = self.world.next(glance_us) {
                if let Notice::Readable(end) = notice {
                    self.read(end)?;
                }
            }
            if let Some(violation) = self.world.violation() {
                return Err(Failure::Simulation(violation.to_owned()));
            }
        }
        Ok(())
    }

    fn read(&mut self, end: EndId) -> Result<(), Failure> {
        let Some(bytes) = self.world.read(end) else {
            return Err(Failure::Simulation("a node closed a client's connection".to_owned()));
        };
        let tally = self.tally.as_mut();
        let client = self.clients.get_mut(&end).expect("it has dialled");
        client.received(&bytes, self.world.now_us(), tally).map_err(Failure::Simulation)?;
        self.refill(end);
        Ok(())
    }

    /// Sends what a client has to say.
    fn refill(&mut self, end: EndId) {
        let client = self.clients.get_mut(&end).expect("it has dialled");
        client.refill(self.world.now_us());
        self.world.write(end, client.output());
    }
}

fn us(length: Duration) -> u64 {
    length.as_micros() as u64
}

fn blueprint(shape: sim::Shape) -> Blueprint<Volery, Gateway> {
    let oracle = Arc::new(Placement::over(shape.partitions));
    let front = Box::new(move |node: NodeId| Gateway::new(gateway(node), shape.partitions));
    Blueprint {
        shape,
        ids: shape.dense_ids(),
        oracle,
        front,
        limits: LogLimits::default(),
        rings: RingLimits::default(),
        answers: AnswerLimits::default(),
        steps: STEPS_MAX,
    }
}

fn gateway(node: NodeId) -> GatewayConfig {
    GatewayConfig {
        node: node.0,
        port: 0,
        data_directory: "simulated".into(),
        tick_ms: 2_000,
        session_timeout_min_ms: 4_000,
        session_timeout_max_ms: 40_000,
        frame_bytes_max: 1 << 20,
        limits: GatewayLimits::default(),
        super_digest: None,
        secret: [7; 20],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { serve_ns: 20_000, execute_ns: 30_000, sync_us: 200, latency_us: 50 };

    fn rate(nodes: usize, partitions: u16, replicas: u16) -> f64 {
        rate_of(Op::Set, nodes, partitions, replicas)
    }

    fn rate_of(op: Op, nodes: usize, partitions: u16, replicas: u16) -> f64 {
        let interrupt = Interrupt::default();
        let shape = sim::Shape { nodes, partitions, replicas };
        let simulation = Simulation::start(shape, PACE, &interrupt).expect("a cluster");
        let load = Shape { keys: 5, ..Shape::closed(4 * usize::from(partitions), 50, 100) };
        let lengths = Lengths { warm_up: Duration::from_millis(50), measure: Duration::from_millis(100) };
        let outcome = simulation.load(op, &load, lengths).expect("figures");
        assert!(outcome.errors.is_empty(), "{:?}", outcome.errors);
        outcome.operations_per_second
    }

    #[test]
    fn a_machine_does_what_its_pace_lets_it_and_two_do_twice_as_much() {
        let one = rate(1, 1, 1);
        assert!((0.85..1.02).contains(&(one / 20_000.0)), "{one} per second at 50 us each");
        let two = rate(2, 2, 1);
        assert!((1.8..2.1).contains(&(two / one)), "{two} beside {one}");
    }

    #[test]
    fn commands_over_two_partitions_succeed_and_cost_more() {
        let multis = rate_of(Op::Multi(crate::op::Span::Two), 2, 2, 1);
        assert!((100.0..rate(2, 2, 1)).contains(&multis), "{multis} multis per second");
    }

    #[test]
    fn a_machine_that_follows_others_too_serves_less_of_its_own() {
        let one = rate(3, 1, 3);
        let three = rate(3, 3, 3);
        let expected = 3.0 * 50.0 / 110.0;
        assert!((0.8 * expected..1.2 * expected).contains(&(three / one)), "{three} beside {one}");
    }
}
