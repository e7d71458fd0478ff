//! # Eyrie
//!
mod answer;
mod client;
mod codec;
mod errand;
mod exchange;
mod fault;
mod front;
pub mod host;
mod node;
mod replica;
mod request;
mod service;
mod stamp;
mod view;

pub use answer::{Answer, Outcome};
pub use client::{Epoch, Refusal, Verdict, WINDOW_MAX, is_node, node_client};
pub use errand::{RETRIES_MAX, Ticket};
pub use exchange::{EXCHANGES_MAX, Exchange, Seen, Signal};
pub use fault::Fault;
pub use front::{Commands, ConnectionId, Front};
pub use multicast::disk::{DataDirectory, DirectoryError, Disk, FileDisk, Identity, MemoryDisk};
pub use multicast::log::{LogCounts, LogError, LogLimits, NodeLog, SharedLog};
pub use multicast::{
    ClientId, CommandId, Delivery, Destinations, Envelope, PARTITIONS_MAX, PartitionId, Position, RingId,
    RingStatus, SharedIndex,
};
pub use node::{Node, NodeStatus, ReplicaStatus};
pub use replica::{DELIVERED_MAX, Output, Replica, ReplicaCounts};
pub use request::Request;
pub use service::{PartitioningOracle, StateMachine, Variables};
pub use stamp::{Stamp, StampNumber};
pub use view::{Interrupt, Origin, View};
