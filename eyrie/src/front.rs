//! The front: the protocol by which clients speak to a node. Sans-IO, as everything that decides something.

use crate::answer::Answer;
use crate::causality::Past;
use crate::client::Epoch;
use crate::errand::{Errands, Ticket};
use crate::exchange::Seen;
use crate::read::Read;
use crate::request::Request;
use crate::service::StateMachine;
use crate::stamp::StampNumber;
use crate::status::NodeStatus;
use bytes::{Bytes, BytesMut};
use multicast::{ClientId, CommandId, Destinations, Envelope, NodeId, PartitionId, Position};
use std::net::SocketAddr;
use std::sync::Arc;

/// A client's connection to this node; never used again once it is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// What a front is told, and what it has for the host. The host calls [`output`](Front::output) for the connections that
/// [`take_ready`](Front::take_ready) names, and nothing else is polled.
pub trait Front<S: StateMachine> {
    /// A client has connected.
    fn connected(&mut self, connection: ConnectionId, peer: SocketAddr, now_ms: u64);

    /// Bytes have come. They may begin and end anywhere.
    fn received(&mut self, connection: ConnectionId, bytes: &[u8], commands: &mut Commands<S>);

    /// The client has gone, or the host has closed the connection. Not called for what the front itself closes.
    fn disconnected(&mut self, connection: ConnectionId, commands: &mut Commands<S>);

    /// A command that the front submitted in a client's name is answered: once per command.
    fn answered(&mut self, answer: &Answer<S>, commands: &mut Commands<S>);

    /// A read that the front asked for is answered: once per read, and after the events of all that it saw. `number` is the
    /// front's own.
    fn read(&mut self, number: u64, answer: &Answer<S>, commands: &mut Commands<S>);

    /// An errand of the front is done.
    fn done(&mut self, ticket: Ticket, answer: &Answer<S>, commands: &mut Commands<S>);

    /// A command of a partition told an event, having seen those places of the others. Called before `passed` for its
    /// position, where that is called. Of partitions that are neither hosted nor [followed](Commands::follow), only events that
    /// [concern all](StateMachine::concerns_all) are told.
    fn happened(&mut self, partition: PartitionId, position: Position, seen: &Seen, event: S::Event);

    /// This node's replica of a partition, or the one elsewhere that it follows, has completed everything up to `position`,
    /// whose proposal was `proposal` and whose stamp was `stamp`. Called before `answered` or `done` for it. The first call
    /// for a partition that is followed, also after [`broken`](Front::broken), says from where on nothing is missed.
    fn passed(
        &mut self,
        partition: PartitionId,
        position: Position,
        proposal: StampNumber,
        stamp: StampNumber,
    );

    /// All that a turn has brought is there, first bytes and then answers and events: a front that collects them acts now.
    fn settle(&mut self, commands: &mut Commands<S>);

    /// Whether [`settle`](Front::settle) has left something for the next turn, which is to come at once.
    fn is_behind(&self) -> bool {
        false
    }

    /// Another node leads a partition from now on, or this one surely does, or as far as is known nobody. Called at every
    /// change.
    fn led(&mut self, partition: PartitionId, leader: Option<NodeId>);

    /// Events and answers of a partition that is not hosted here may have been missed. Answers come again, events do not; who
    /// follows the partition goes on to.
    fn broken(&mut self, partition: PartitionId);

    /// The front of another node has told this one something, by [`Commands::tell`].
    fn told(&mut self, from: NodeId, message: Bytes, commands: &mut Commands<S>);

    /// The node has taken up what its log held; clients come from now on.
    fn restart(&mut self, now_ms: u64);

    /// Time has passed; `now_ms` is monotonic, `wall_ms` counts from 1970. Called several times a second.
    fn tick(&mut self, now_ms: u64, wall_ms: u64, commands: &mut Commands<S>);

    /// Whether the front wants to see the node's status now, because somebody asked for it.
    fn wants_status(&self) -> bool;

    /// The node's status, and what its replicas hold.
    fn observe(&mut self, status: &NodeStatus, variables: &[&S::Variables]);

    /// The connections with new output, or newly to be closed, since the last call.
    fn take_ready(&mut self) -> Vec<ConnectionId>;

    /// What is to be written to a connection; the host removes what it has written. `None` once it is gone.
    fn output(&mut self, connection: ConnectionId) -> Option<&mut BytesMut>;

    /// Whether the connection is to be closed as soon as its output is written.
    fn closing(&self, connection: ConnectionId) -> bool;

    /// The host has closed a connection as [`closing`](Front::closing) asked.
    fn closed(&mut self, connection: ConnectionId);

    /// Whether more bytes of this connection are wanted now. A front that has enough in flight says no. What it holds back
    /// itself, it takes up again in [`settle`](Front::settle) or [`written`](Front::written); the host asks every turn.
    fn reading(&self, connection: ConnectionId) -> bool;

    /// Some of a connection's output was written. Says whether the front has something to do that it held back for it.
    fn written(&mut self, connection: ConnectionId) -> bool;
}

/// A command that is being submitted and is answered in parts.
pub(crate) struct InParts<S: StateMachine> {
    pub(crate) id: CommandId,
    pub(crate) destinations: Destinations,
    pub(crate) command: S::Command,
}

/// What a client had asked for that has gone.
pub(crate) struct Abandoned {
    pub(crate) client: ClientId,
    pub(crate) epoch: Epoch,
    pub(crate) ids: Vec<CommandId>,
}

/// Where a front puts the commands that it submits.
pub struct Commands<S: StateMachine> {
    oracle: Arc<S::Oracle>,
    errands: Errands<S>,
    envelopes: Vec<Envelope>,
    reads: Vec<Read<S>>,
    /// The partitions that have a replica here.
    hosted: Destinations,
    tellings: Vec<(NodeId, Bytes)>,
    /// The partitions that the front wants to follow.
    follows: Destinations,
    in_parts: Vec<InParts<S>>,
    abandoned: Vec<Abandoned>,
    in_flight: u64,
    /// Reads that are not answered.
    reading: u64,
}

impl<S: StateMachine> Commands<S> {
    pub(crate) fn new(oracle: Arc<S::Oracle>, errands: Errands<S>, hosted: Destinations) -> Commands<S> {
        Commands {
            oracle,
            errands,
            envelopes: Vec::new(),
            reads: Vec::new(),
            hosted,
            tellings: Vec::new(),
            follows: Destinations::NONE,
            in_parts: Vec::new(),
            abandoned: Vec::new(),
            in_flight: 0,
            reading: 0,
        }
    }

    /// Submits a request in a client's name; its answer comes to [`Front::answered`].
    pub fn submit(&mut self, id: CommandId, destinations: Destinations, request: &Request<S>) {
        self.note_parts(id, destinations, &request.command);
        self.envelopes.push(Envelope { id, destinations, body: request.encode() });
    }

    /// A client has gone: nobody here waits any more for what it has asked for in this epoch, and its commands of these ids
    /// are not sent again. One that was sent may still be executed.
    pub fn abandon(&mut self, client: ClientId, epoch: Epoch, ids: Vec<CommandId>) {
        self.abandoned.push(Abandoned { client, epoch, ids });
    }

    /// Whether a partition has a replica here, so that it may be read off the log.
    pub fn is_hosted(&self, partition: PartitionId) -> bool {
        self.hosted.contains(partition)
    }

    /// Asks for a read in a client's name; its answer comes to [`Front::read`]. Where the partition has no replica here, another
    /// node is asked: no command of the client may be submitted before the answer.
    pub fn read(&mut self, read: Read<S>) {
        self.reading += 1;
        self.reads.push(read);
    }

    /// Submits a command in the node's own name, as often as it takes; its answer comes to [`Front::done`]. It comes
    /// after `past`: what the client has seen, if it is for one.
    pub fn errand(&mut self, command: S::Command, past: Past) -> Ticket {
        let (ticket, envelope) = self.errands.plan(&self.oracle, command.clone(), past);
        self.note_parts(envelope.id, envelope.destinations, &command);
        self.envelopes.push(envelope);
        ticket
    }

    /// Tells the front of another node something. It may be lost.
    pub fn tell(&mut self, to: NodeId, message: Bytes) {
        self.tellings.push((to, message));
    }

    /// Asks to be told all events of a partition, and how far it is, from some place on and for as long as this node runs:
    /// [`Front::passed`] tells the place. Nothing happens where that is so already, as it is of a partition hosted here.
    pub fn follow(&mut self, partition: PartitionId) {
        self.follows = self.follows.union(partition.into());
    }

    /// This node.
    pub fn node(&self) -> NodeId {
        self.errands.node()
    }

    /// How often this node has started.
    pub fn incarnation(&self) -> Epoch {
        self.errands.incarnation()
    }

    /// Where variables live and what commands touch.
    pub fn oracle(&self) -> &S::Oracle {
        &self.oracle
    }

    /// How many commands of this node wait for their answers.
    pub fn in_flight(&self) -> u64 {
        self.in_flight + self.envelopes.len() as u64 + self.reading
    }

    pub(crate) fn errands(&mut self) -> &mut Errands<S> {
        &mut self.errands
    }

    pub(crate) fn plan_again(&mut self, id: CommandId, needed: Destinations) {
        let again = self.errands.plan_again(&self.oracle, id, needed);
        if let Some((envelope, command)) = again {
            self.note_parts(envelope.id, envelope.destinations, &command);
            self.envelopes.push(envelope);
        }
    }

    fn note_parts(&mut self, id: CommandId, destinations: Destinations, command: &S::Command) {
        if destinations.single().is_none() && S::is_answered_in_parts(command) {
            self.in_parts.push(InParts { id, destinations, command: command.clone() });
        }
    }

    pub(crate) fn take_in_parts(&mut self) -> Vec<InParts<S>> {
        std::mem::take(&mut self.in_parts)
    }

    pub(crate) fn take_abandoned(&mut self) -> Vec<Abandoned> {
        std::mem::take(&mut self.abandoned)
    }

    pub(crate) fn take(&mut self) -> Vec<Envelope> {
        std::mem::take(&mut self.envelopes)
    }

    pub(crate) fn take_reads(&mut self) -> Vec<Read<S>> {
        std::mem::take(&mut self.reads)
    }

    pub(crate) fn wants_reads(&self) -> bool {
        !self.reads.is_empty()
    }

    pub(crate) fn reads_answered(&mut self, reads: u64) {
        self.reading -= reads;
    }

    pub(crate) fn take_tellings(&mut self) -> Vec<(NodeId, Bytes)> {
        std::mem::take(&mut self.tellings)
    }

    pub(crate) fn take_follows(&mut self) -> Destinations {
        std::mem::take(&mut self.follows)
    }

    pub(crate) fn set_in_flight(&mut self, in_flight: u64) {
        self.in_flight = in_flight;
    }
}
