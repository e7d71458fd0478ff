//! Errands: commands that a node submits by itself, for its front or for a partition that it leads.
//!
//! An errand has a ticket, which stays the same when the command must be planned again with more destinations and so
//! takes a new id.

use crate::causality::Past;
use crate::client::{Epoch, node_client, sequence_number};
use crate::request::Request;
use crate::service::{PartitioningOracle, StateMachine};
use multicast::{CommandId, Destinations, Envelope, NodeId};
use std::collections::BTreeMap;

/// How often an errand is planned again before all partitions are addressed.
pub const RETRIES_MAX: u32 = 3;

/// Names an errand to whoever asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

struct Errand<S: StateMachine> {
    ticket: Ticket,
    command: S::Command,
    past: Past,
    destinations: Destinations,
    retries: u32,
}

/// The errands of one node in one incarnation.
///
/// Invariant: `in_flight` holds numbers below `next` only; everything below its first is answered.
pub struct Errands<S: StateMachine> {
    node: u16,
    incarnation: Epoch,
    next: u64,
    tickets: u64,
    in_flight: BTreeMap<u64, Errand<S>>,
}

impl<S: StateMachine> Errands<S> {
    /// None yet. The incarnation is greater than any that the node had before.
    pub fn new(node: u16, incarnation: Epoch) -> Errands<S> {
        Errands { node, incarnation, next: 0, tickets: 0, in_flight: BTreeMap::new() }
    }

    /// The node.
    pub fn node(&self) -> NodeId {
        NodeId(self.node)
    }

    /// How often the node has started.
    pub fn incarnation(&self) -> Epoch {
        self.incarnation
    }

    /// Plans a new errand, for one who has seen `past`; the envelope is to be submitted.
    pub fn plan(&mut self, oracle: &S::Oracle, command: S::Command, past: Past) -> (Ticket, Envelope) {
        let ticket = Ticket(self.tickets);
        self.tickets += 1;
        let destinations = oracle.destinations(&command);
        (ticket, self.send(Errand { ticket, command, past, destinations, retries: 0 }))
    }

    /// Plans the command of `id` again, with `needed` too; `None` if it is no errand in flight.
    pub fn plan_again(
        &mut self,
        oracle: &S::Oracle,
        id: CommandId,
        needed: Destinations,
    ) -> Option<(Envelope, S::Command)> {
        let mut errand = self.take(id)?;
        errand.retries += 1;
        errand.destinations = match errand.retries {
            1..=RETRIES_MAX => errand.destinations.union(needed),
            _ => Destinations::all(oracle.partitions()),
        };
        let command = errand.command.clone();
        Some((self.send(errand), command))
    }

    /// The command of `id` is answered; `None` if it is no errand in flight.
    pub fn end(&mut self, id: CommandId) -> Option<Ticket> {
        self.take(id).map(|errand| errand.ticket)
    }

    fn take(&mut self, id: CommandId) -> Option<Errand<S>> {
        let mine = id.client == node_client(self.node) && id.epoch == self.incarnation;
        if mine { self.in_flight.remove(&sequence_number(id)) } else { None }
    }

    fn send(&mut self, errand: Errand<S>) -> Envelope {
        let number = self.next;
        self.next += 1;
        let acknowledged = self.in_flight.first_key_value().map_or(number, |(first, _)| *first);
        let id = CommandId {
            client: node_client(self.node),
            epoch: self.incarnation,
            run: (number >> 32) as u32,
            i: number as u32,
        };
        let request =
            Request::<S> { origin: self.node(), acknowledged, past: errand.past, command: errand.command };
        let (destinations, body) = (errand.destinations, request.encode());
        self.in_flight.insert(number, Errand { command: request.command, past: request.past, ..errand });
        Envelope { id, destinations, body }
    }
}
