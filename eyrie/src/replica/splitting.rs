//! Split reads at a replica: commands of several partitions that only read.
//!
//! A split read is ordered and signalled like any other command of several partitions, and carries no values. When it is
//! complete here, the replica executes it over the variables of its own partition and puts out its *part* of the answer. The
//! part goes to one node only, so only replicas of which that node may ask it execute anything. A repeat gives no new part:
//! the state has moved on since.

use super::{Delivered, Output, Replica};
use crate::answer::Outcome;
use crate::faults::{PART_AT_DELIVERY, PART_OF_REPEAT};
use crate::service::StateMachine;
use crate::stamp::Stamp;
use crate::view::Interrupt;
use multicast::NodeId;

impl<S: StateMachine> Replica<S> {
    /// Gives parts of answers to these nodes only: another node has a replica of the partition itself.
    pub fn gives_parts_to(mut self, audience: Vec<NodeId>) -> Replica<S> {
        self.audience = Some(audience);
        self
    }

    /// Whether what is delivered from now on was delivered before, by an earlier process of this node: nobody waits for
    /// its parts.
    pub fn set_replaying(&mut self, replaying: bool) {
        self.replaying = replaying;
    }

    pub(super) fn is_audience(&self, node: NodeId) -> bool {
        !self.replaying && self.audience.as_ref().is_none_or(|audience| audience.contains(&node))
    }

    /// A split read is complete, with this part of the answer if one is wanted: the other destinations have signalled.
    pub(super) fn complete_split(&mut self, head: &Delivered<S>, stamp: Stamp, part: Option<Outcome<S>>) {
        self.see_past(head);
        self.clients.stamped(head.id.client, stamp.number);
        self.note_completion(head, true, &(stamp, self.seen.clone()));
        self.pass(head, stamp);
        if !PART_AT_DELIVERY.is_planted() {
            self.give_part(head, stamp, part);
        }
    }

    /// Executes this partition's share of a split read, if its part is wanted.
    pub(super) fn make_part(
        &mut self,
        head: &Delivered<S>,
        stamp: Stamp,
    ) -> Result<Option<Outcome<S>>, Interrupt> {
        if !head.gives_part {
            return Ok(None);
        }
        let outcome = self.execute(head, stamp, None)?;
        assert!(self.effects.are_none(), "a split read has changed something");
        Ok(Some(outcome))
    }

    /// With a planted fault only: the part is made before the command is ready.
    pub(super) fn give_part_early(&mut self, delivered: &Delivered<S>) {
        if let Ok(part) = self.make_part(delivered, delivered.proposal) {
            self.give_part(delivered, delivered.proposal, part);
        }
    }

    /// Hands out this partition's part of the answer.
    pub(super) fn give_part(&mut self, head: &Delivered<S>, stamp: Stamp, part: Option<Outcome<S>>) {
        if let Some(outcome) = part {
            self.counts.parts += 1;
            let part = self.answer(head, stamp, outcome);
            self.outputs.push_back(Output::Part(part));
        }
    }

    /// A split read was taken before.
    pub(super) fn give_part_again(&mut self, head: &Delivered<S>) {
        if PART_OF_REPEAT.is_planted() {
            let part = self.make_part(head, head.proposal).unwrap_or_default();
            return self.give_part(head, head.proposal, part);
        }
        let origin = head.request.as_ref().map(|request| request.origin);
        let wanted = origin.filter(|_| head.gives_part);
        self.outputs.extend(wanted.map(|origin| Output::PartAgain(origin, head.id)));
    }
}
