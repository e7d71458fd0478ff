//! What the author of a service writes: a state machine and an oracle.

use crate::codec;
use crate::view::{Interrupt, View};
use multicast::{Destinations, PartitionId};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

/// A deterministic service, written as if it ran alone on one machine (S-SMR V-A2).
///
/// Its state is a map of *variables* ([`Variables`]); a command reads and writes them through a [`View`], which knows
/// where each of them lives. [`execute`](StateMachine::execute) must be a total function of the command and of what the
/// view tells it: no clock, no randomness, no hash order, no panic.
pub trait StateMachine: Clone + Debug + 'static {
    /// What clients ask for.
    type Command: Serialize + DeserializeOwned + Clone + Debug;
    /// What they are answered.
    type Reply: Serialize + DeserializeOwned + Clone + Debug;
    /// The name of a variable.
    type Key: Serialize + DeserializeOwned + Clone + Debug + Eq + Hash;
    /// The value of a variable; cheap to clone.
    type Value: Serialize + DeserializeOwned + Clone + Debug + Hash;
    /// What a command tells those who watch, beside its reply.
    type Event: Serialize + DeserializeOwned + Debug;
    /// Where variables live and what commands touch.
    type Oracle: PartitioningOracle<Self>;
    /// How a partition holds its variables in memory.
    type Variables: Variables<Self>;

    /// Executes one command. Writes take effect, and events happen, only if it returns a reply; an interrupt is passed
    /// on with `?` as it came.
    fn execute(command: &Self::Command, view: &mut View<'_, Self>) -> Result<Self::Reply, Interrupt>;

    /// Whether a command changes nothing, and each of its destinations can execute its share alone. Over several partitions
    /// such a command is a *split read*: no value is sent from one partition to another, each execution reads variables of
    /// its own partition only, and the replies are [joined](StateMachine::join) at the node that asked.
    fn only_reads(_command: &Self::Command) -> bool {
        false
    }

    /// Whether the reply at one destination is only a part of the whole reply: always so of split reads. A command that changes
    /// something may be answered so only where the node that submits it has replicas of all its destinations.
    fn is_answered_in_parts(command: &Self::Command) -> bool {
        Self::only_reads(command)
    }

    /// Joins the replies to a command of several partitions that [is answered in parts](StateMachine::is_answered_in_parts): one
    /// from each of its destinations, in the order of the partitions.
    fn join(_command: &Self::Command, parts: Vec<Self::Reply>) -> Self::Reply {
        parts.into_iter().next().expect("a command has a destination")
    }

    /// Whether a variable may have this value. Values come from other nodes too, and a node may send anything that decodes: what
    /// does not fit is refused with all that the node has to say of its partition, so that [`execute`](StateMachine::execute) meets
    /// no value of the wrong kind.
    fn fits(_key: &Self::Key, _value: &Self::Value) -> bool {
        true
    }

    /// How many bytes a reply holds, roughly; a function of the reply. Those that a partition gave last are kept for
    /// repeats, as many as a number of bytes allows. The default encodes the reply and counts.
    fn reply_bytes(reply: &Self::Reply) -> usize {
        codec::encoded_len(reply)
    }

    /// What a partition's leader should submit by itself when the partition has the age `age_ms`
    /// ([`Variables::tick`]), such as the removal of what has outlived its time. It is asked every second or so, and whatever
    /// it returns may run late, twice or not at all.
    fn chores(_variables: &Self::Variables, _age_ms: u64) -> Vec<Self::Command> {
        Vec::new()
    }

    /// Whether every node's front is told of an event. Of others, a front is told where the node has a replica of the
    /// partition, or follows it.
    fn concerns_all(_event: &Self::Event) -> bool {
        false
    }
}

/// The variables of one partition on one replica.
pub trait Variables<S: StateMachine>: 'static {
    /// An empty store for one partition.
    fn new(oracle: Arc<S::Oracle>, partition: PartitionId) -> Self;

    /// The partition has an age, in milliseconds: for so long its leaders have led it, by their monotonic clocks. It is told
    /// before the writes of each command, the same at all replicas, and never less than before. A lifetime is measured by it: no
    /// wall clock ends one early, or keeps one from ending.
    fn tick(&mut self, _age_ms: u64) {}

    /// The value of a variable that lives in this partition; `None` if it does not exist.
    fn get(&self, key: &S::Key) -> Option<S::Value>;

    /// Writes a variable that lives in this partition, or removes it with `None`.
    fn set(&mut self, key: S::Key, value: Option<S::Value>);
}

/// Tells what commands touch (S-SMR V-A3).
pub trait PartitioningOracle<S: StateMachine>: 'static {
    /// How many partitions there are.
    fn partitions(&self) -> u16;

    /// The partition where a variable lives.
    fn partition_of(&self, key: &S::Key) -> PartitionId;

    /// The partitions that a command must be delivered by. It may name too many; if it names too few, execution ends in
    /// a retry with more, without effect. The default is all of them: right, and slow.
    fn destinations(&self, _command: &S::Command) -> Destinations {
        Destinations::all(self.partitions())
    }

    /// Whether a command that was ordered may be executed. Whoever submits is another node, and what it submits may be anything
    /// that decodes: names of partitions that do not exist, parts that do not go together. Such a command is refused everywhere
    /// alike. It is asked for every command, so it looks only at what [`execute`](StateMachine::execute) relies on.
    fn is_sound(&self, _command: &S::Command) -> bool {
        true
    }

    /// A hint: variables of `partition` that the command reads, so that their values travel with the signal and not when
    /// execution asks for them. Names that turn out unread cost bytes and nothing else.
    fn local_variables(&self, _command: &S::Command, _partition: PartitionId) -> Vec<S::Key> {
        Vec::new()
    }
}
