//! # Eyrie
//!
//! Scalable state-machine replication (S-SMR: Bezerra, Pedone, van Renesse, "Scalable State-Machine Replication", DSN
//! 2014). Write a sequential, deterministic service once; run it partitioned and replicated, every command linearizable,
//! whichever partitions it touches.
//!
//! ## A service
//!
//! Its state is a map of *variables*. A command reads and writes them through a [`View`]; the [`PartitioningOracle`] says
//! where each lives. The code does not know that there are partitions:
//!
//! ```
//! use eyrie::{Interrupt, PartitionId, PartitioningOracle, StateMachine, Variables, View};
//! use std::collections::BTreeMap;
//! use std::sync::Arc;
//!
//! #[derive(Clone, Debug)]
//! struct Bank;
//! struct Accounts; // accounts with even numbers live in partition 0, odd ones in 1
//! #[derive(Default)]
//! struct Balances(BTreeMap<u32, i64>);
//! #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
//! struct Transfer { from: u32, to: u32, amount: i64 }
//!
//! impl StateMachine for Bank {
//!     type Command = Transfer;
//!     type Reply = bool;
//!     type Key = u32;
//!     type Value = i64;
//!     type Event = ();
//!     type Oracle = Accounts;
//!     type Variables = Balances;
//!
//!     fn execute(transfer: &Transfer, view: &mut View<'_, Bank>) -> Result<bool, Interrupt> {
//!         let from = view.read(&transfer.from)?.unwrap_or(0);
//!         let to = view.read(&transfer.to)?.unwrap_or(0);
//!         if from < transfer.amount {
//!             return Ok(false);
//!         }
//!         view.write(transfer.from, from - transfer.amount);
//!         view.write(transfer.to, to + transfer.amount);
//!         Ok(true)
//!     }
//! }
//!
//! impl PartitioningOracle<Bank> for Accounts {
//!     fn partitions(&self) -> u16 { 2 }
//!     fn partition_of(&self, account: &u32) -> PartitionId { PartitionId((account % 2) as u16) }
//! }
//!
//! impl Variables<Bank> for Balances {
//!     fn new(_: Arc<Accounts>, _: PartitionId) -> Balances { Balances::default() }
//!     fn get(&self, account: &u32) -> Option<i64> { self.0.get(account).copied() }
//!     fn set(&mut self, account: u32, balance: Option<i64>) {
//!         match balance {
//!             Some(balance) => self.0.insert(account, balance),
//!             None => self.0.remove(&account),
//!         };
//!     }
//! }
//! ```
//!
//! ## The parts
//!
//! ```text
//!   clients ──► Front ──► Commands ──► multicast ──► Replica (one per partition) ──► Front ──► clients
//!               protocol   requests     order         Clients: once, in order
//!                          errands                    Inbox: signals, variables
//!                                                     View: execute
//!   └────────────────────────── Node: one turn ──────────────────────────────┘
//!   └────────────────────────── Host: clock, sockets, the log's writer ──────┘
//! ```
//!
//! [`Node`] and everything in it is sans-IO; [`host`] is the edge.
//!
//! ## Among other nodes
//!
//! A node hosts a replica of every partition whose ring it is a member of ([`Layout`]). Rings talk over one link, everything
//! else over another ([`Peers`], [`Message`]). Replicas on one node exchange by calls. Where the replica of a destination is
//! on other nodes only, it hears the partition from one of the nodes that host it: a *subscription* to what a replica there puts
//! out for that node, which brings letters (signals and variables), its clients' answers, and events that concern every node, in
//! the order in which they were put out. All events, and how far that replica is, come where the front has asked to
//! [follow](Commands::follow) the partition: from then on it looks to the front like one of its own. Any replica may speak, for
//! all say the same; whoever is asked does, and the next one when it is gone.
//!
//! What was sent is kept until every node that needs it has it in its synced log, where it stays: a replica that restarts
//! replays its sequence, and needs each value as of its command again.
//!
//! ## The protocol (S-SMR Algorithm 1)
//!
//! A client multicasts a command to the destinations that the oracle names (l. 5-6). A replica that delivers it draws a
//! stamp proposal. When the command is *ready*, every earlier command there being complete, the replica decides whether to
//! take it ([`Verdict`]), and signals the other destinations (l. 10-11) with the verdict, the proposal and the values that
//! the oracle's hint names. It executes once all have signalled; reading a local variable sends its value to the others
//! (l. 15), reading a remote one takes the value sent, or stops: the command runs again from its start when it has come
//! (l. 17). Then it is *complete* (l. 20): its writes are applied, its events told, its answer given.
//!
//! ## Reads off the log
//!
//! A command that only reads, in one partition, need not be ordered: a front may ask for a [`Read`]. It is
//! executed at this node's replica, or where there is none at another node's, when everything is complete there that was decided when it arrived, which one question to
//! another member tells for all reads of a turn ([`multicast::Multicast::ask`]), and in its place among the client's commands.
//! The chapter of `read.rs` says why that is linearizable.
//!
//! ## Reads of several partitions
//!
//! A command of several partitions that [only reads](StateMachine::only_reads) is a *split read*. It is ordered and signalled like any
//! other, so it is linearizable, but no value travels between its partitions, and nothing but the command is logged. When it is complete
//! at a replica, the replica executes its share and puts out its part of the answer; the node that asked takes the parts of its own
//! replicas, asks other nodes for the rest, and [joins](StateMachine::join) them. Only replicas of which that node may ask execute
//! anything, and none does when it replays its log. A part can be lost with the nodes that kept it. Then the command's outcome is
//! [`Outcome::Lost`], and a front may ask again under another id, if it has sent nothing behind it. `replica/splitting.rs`,
//! `gathering.rs` and `desk.rs` hold this.
//!
//! ## What travels between nodes for clients
//!
//! Reads, and parts of answers, are asked for (`enquiry.rs`) and come in pieces, each asked for by itself; so the node that
//! wants an answer controls how much of it is on its way, and drops it when its client leaves. The stream of a subscription goes no
//! further than a window beyond what was heard of it. The values of a command go in letters of at most [`LETTER_BYTES_MAX`]; a command that
//! needs larger ones is refused at all its destinations alike. All these together fit the outbox of a link.
//!
//! ## Slices
//!
//! A turn of a node takes [`STEPS_MAX`] steps of its replicas at most, which is less than [`TURN_US`]. A step is a read, a write or an
//! event, so that the bound does not depend on a clock. A command that takes more goes in slices, over several turns: its execution
//! [pauses](View::pause) and is called anew with what it has kept, and its writes are applied in slices. Nothing else is executed at its
//! replica meanwhile, so that no read sees a part of its writes; other partitions, connections and heartbeats go on. A command that writes
//! more than a buffer should hold [settles](View::settle) what it has written. `steps.rs` and `replica/slices.rs` hold this.
//!
//! ## Causality
//!
//! An answer and an event say which places of other partitions they may depend on. What a client has seen so goes along with its
//! later commands ([`CausalHistory`], [`Past`]) to partitions that do not know of it yet.
//!
//! ## Invariants
//!
//! - **Ready before it signals.** The paper signals at delivery, which is linearizable only if delivery never runs ahead
//!   of execution. Signals, values and answers leave a replica only for a command that is ready, respectively complete.
//! - **Executed everywhere or nowhere.** A command is executed only if all its destinations took it, and what keeps one
//!   from taking it travels in its signal; so a reason not to execute comes out alike at all of them.
//! - **Once, and in the client's order.** Requests of a session form runs ([`CommandId`]). Whether an envelope is a repeat
//!   ([`Verdict`]) is decided in log order, when all before it is complete.
//! - **A function of the log.** Stamps come from delivered envelopes, never from when a signal arrived.
//! - **A slice is never seen.** When a command pauses depends on the node, and what it does only on the log.
//! - **A retry has no effect**, and a command with other destinations has another id.
//!
//! ## Departures and what is not here yet
//!
//! - One command executes at a time per partition, so a command that waits holds up those behind it. Overtaking needs the
//!   oracle's bound on what a command touches.
//! - A node that restarts replays its log from the beginning: checkpoints, state transfer and trimming are not built. For the
//!   same reason a node that was away while [`RETAINED_BYTES_MAX`] of letters to it were made cannot take up its replicas.
//! - Steps bound what replicas execute and apply. They do not bound what a front does with a request before it is ordered, and with its
//!   answer, nor the decoding of a command: each is one unit of work, proportional to the request's bytes, which are bounded. So a
//!   turn that takes in a request of a megabyte is longer than [`TURN_US`].
//! - The hint's values of a command of several partitions are read and sent in one turn; their bytes are bounded
//!   ([`LETTER_BYTES_MAX`]).
//! - Who follows a partition does so for as long as the node runs, and is told all its events, whoever watches.
//! - A cache of remote variables (S-SMR IV-C) has its place in [`View::read`], where a remote value is looked up.

mod acquaintances;
mod answer;
pub mod branches;
mod causality;
mod client;
mod codec;
mod correspondence;
mod desk;
mod enquiry;
mod errand;
mod exchange;
pub mod faults;
mod front;
mod gathering;
pub mod host;
mod kept;
mod mailbox;
mod message;
mod node;
mod peers;
mod read;
mod replica;
mod request;
mod retained;
mod service;
#[cfg(feature = "sim")]
pub mod sim;
mod source;
mod stages;
mod stamp;
mod status;
mod steps;
mod subscription;
mod turns;
mod view;
mod witness;

pub use answer::{Answer, Outcome};
pub use causality::{CausalHistory, Past};
pub use client::{Epoch, Refusal, Verdict, WINDOW_MAX, is_node, node_client};
pub use desk::{ANSWER_BYTES_MAX, AnswerLimits, FETCHED_BYTES_MAX, KEPT_BYTES_MAX};
pub use errand::{RETRIES_MAX, Ticket};
pub use exchange::{EXCHANGES_MAX, Exchange, LETTER_BYTES_MAX, Seen, Signal};
pub use front::{Commands, ConnectionId, Front};
pub use kept::KEPT_ANSWERS_BYTES_MAX;
pub use message::{MalformedMessage, Message};
pub use multicast::disk::{DataDirectory, DirectoryError, Disk, FileDisk, Identity, MemoryDisk};
#[cfg(feature = "faults")]
pub use multicast::disk::{LimitedDisk, SlowDisk, VolatileDisk};
pub use multicast::log::{Buffer, LogCounts, LogError, LogLimits, LogNonce, LogPosition, NodeLog, SharedLog};
pub use multicast::{
    Amnesiac, Branch, ClientId, CommandId, Delivery, Destinations, Envelope, Fault, Fixed, FixedKey, Layout,
    NodeId, PARTITIONS_MAX, PartitionId, PeerError, Position, RecoverError, RingId, RingLimits, RingStatus,
    RingTiming, Sent, SharedIndex,
};
pub use multicast::{branches as multicast_branches, faults as multicast_faults, link};
pub use node::{Node, NodeError};
pub use peers::{Deed, Peers};
pub use read::{Asker, Read};
pub use replica::{DELIVERED_MAX, Output, Replica, ReplicaCounts};
pub use request::Request;
pub use retained::RETAINED_BYTES_MAX;
pub use service::{PartitioningOracle, StateMachine, Variables};
pub use stages::StageTimes;
pub use stamp::{Stamp, StampNumber};
pub use status::{NodeStatus, ReplicaStatus};
pub use steps::{STEPS_MAX, TURN_US};
pub use turns::Turn;
pub use view::{Interrupt, Origin, View};
pub use witness::{Completion, Witnessed};
