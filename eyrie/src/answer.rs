//! What a replica says when a command is complete.

use crate::client::Refusal;
use crate::exchange::Seen;
use crate::service::StateMachine;
use crate::stamp::Stamp;
use multicast::{CommandId, Destinations, NodeId, PartitionId, Position};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How a command ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "")]
pub enum Outcome<S: StateMachine> {
    /// It was executed.
    Reply(S::Reply),
    /// It had no effect: these partitions were needed too.
    Retry(Destinations),
    /// It was not and will not be executed.
    Refused(Refusal),
    /// It has read, and what it read is lost; it may be asked for again, under another id.
    Lost,
    /// It has read more than an answer may hold.
    TooLarge,
}

/// One replica's answer to a command. Any replica's will do: they say the same, from different places.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Answer<S: StateMachine> {
    /// The node that wants it, if the request could be read.
    pub origin: Option<NodeId>,
    /// The command.
    pub id: CommandId,
    /// The partition that answers.
    pub partition: PartitionId,
    /// The command's place in that partition's sequence.
    pub position: Position,
    /// The command's stamp.
    pub stamp: Stamp,
    /// The places of the other partitions that this answer may depend on.
    pub seen: Seen,
    /// How it ended.
    pub outcome: Arc<Outcome<S>>,
}
