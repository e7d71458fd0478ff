//! A node's status: what its operator wants to know, as `volery status` shows it.

use crate::variables::Slots;
use eyrie::NodeStatus;
use serde::{Deserialize, Serialize};

/// One ring.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RingStatus {
    /// `p0`, `p1`, … or `shared`.
    pub ring: String,
    /// Whether this node leads it.
    pub leads: bool,
    /// Entries decided.
    pub decided: u64,
    /// Entries held, the undecided tail included.
    pub accepted: u64,
    /// Terms of leadership, anybody's, that this node has seen begin since it started.
    #[serde(default)]
    pub elections: u64,
    /// Of these, its own.
    #[serde(default)]
    pub terms: u64,
    /// Whether it is so far behind that it fetches decided entries in pieces.
    #[serde(default)]
    pub catching_up: bool,
    /// Decided entries that it lacks, as far as it was told when it was last compared with its peers.
    #[serde(default)]
    pub lacks: u64,
    /// Times it was behind and has become level again.
    #[serde(default)]
    pub catch_ups: u64,
    /// How long the last of them took.
    #[serde(default)]
    pub catch_up_ms: u64,
}

/// One partition's replica.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionStatus {
    /// The partition.
    pub partition: u16,
    /// The last place delivered, as `configuration:index`.
    pub position: String,
    /// Equal at equal places of all replicas.
    pub state_hash: String,
    /// Znodes held.
    pub znodes: u64,
    /// Ephemeral ones among them.
    pub ephemerals: u64,
    /// Bytes of data.
    pub data_bytes: u64,
    /// Sessions whose home it is.
    pub sessions: u64,
    /// Commands executed.
    pub executed: u64,
    /// Of them, those over several partitions.
    pub multi_partition: u64,
}

/// The node's write-ahead log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogStatus {
    /// Bytes written.
    pub bytes: u64,
    /// Times synced.
    pub syncs: u64,
}

/// Where the time of a command goes within the node, as means of the last few hundred, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagesStatus {
    /// Until it is proposed.
    pub batching: u64,
    /// Until it is delivered.
    pub multicasting: u64,
    /// Until its execution begins.
    pub waiting: u64,
    /// Until it is answered.
    pub executing: u64,
}

/// One node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Its number.
    pub node: u16,
    /// How often it has started.
    pub incarnation: u32,
    /// Its rings.
    pub rings: Vec<RingStatus>,
    /// Its replicas.
    pub partitions: Vec<PartitionStatus>,
    /// Its log.
    pub log: LogStatus,
    /// Where the time of its commands goes, once there were any.
    pub stages: Option<StagesStatus>,
    /// Znodes over all partitions here.
    pub znodes: u64,
    /// Ephemeral ones among them.
    pub ephemerals: u64,
    /// Bytes of data.
    pub data_bytes: u64,
    /// Sessions whose home is here.
    pub sessions: u64,
    /// Connections open.
    pub connections: u64,
    /// Watches armed.
    pub watches: u64,
    /// Files and sockets that the process has open.
    pub open_files: u64,
    /// Commands delivered since the start.
    pub delivered: u64,
    /// Commands that wait for their answers.
    pub in_flight: u64,
    /// Commands sent again since the start.
    pub resent: u64,
    /// The longest turn of the last minute or two, in microseconds, without the time that the log took.
    pub turn_us_max: u64,
    /// Commands delivered in it.
    pub turn_us_max_commands: u64,
    /// Entries proposed by the others' clocks since the start, for this node's was too far off.
    #[serde(default)]
    pub clock_overruled: u64,
    /// Times that timers of sessions started afresh here: at the start, and with terms for which none were handed over.
    #[serde(default)]
    pub timers_restarted: u64,
}

impl Status {
    /// The status of a node and what its replicas hold.
    pub fn of(node: &NodeStatus, variables: &[&Slots]) -> Status {
        let partitions: Vec<PartitionStatus> = node
            .replicas
            .iter()
            .zip(variables)
            .map(|(replica, variables)| partition(replica, variables))
            .collect();
        let sum = |of: fn(&PartitionStatus) -> u64| partitions.iter().map(of).sum();
        Status {
            node: node.node,
            incarnation: node.incarnation,
            rings: node.rings.iter().map(ring).collect(),
            log: LogStatus { bytes: node.log.bytes, syncs: node.log.syncs },
            stages: node.stages.map(stages),
            znodes: sum(|partition| partition.znodes),
            ephemerals: sum(|partition| partition.ephemerals),
            data_bytes: sum(|partition| partition.data_bytes),
            sessions: sum(|partition| partition.sessions),
            open_files: node.open_files,
            delivered: node.multicast.delivered,
            in_flight: node.multicast.in_flight,
            resent: node.multicast.resent,
            turn_us_max: node.longest_turn.us,
            turn_us_max_commands: node.longest_turn.delivered,
            clock_overruled: node.multicast.clock_overruled,
            partitions,
            ..Status::default()
        }
    }
}

fn stages(times: eyrie::StageTimes) -> StagesStatus {
    StagesStatus {
        batching: times.batching.round() as u64,
        multicasting: times.multicasting.round() as u64,
        waiting: times.waiting.round() as u64,
        executing: times.executing.round() as u64,
    }
}

fn ring(ring: &eyrie::RingStatus) -> RingStatus {
    RingStatus {
        ring: ring.id.to_string(),
        leads: ring.leads,
        decided: ring.decided,
        accepted: ring.accepted,
        elections: ring.elections,
        terms: ring.terms,
        catching_up: ring.catch_ups.is_under_way,
        lacks: ring.catch_ups.lacks,
        catch_ups: ring.catch_ups.ended,
        catch_up_ms: ring.catch_ups.last_ms,
    }
}

fn partition(replica: &eyrie::ReplicaStatus, variables: &Slots) -> PartitionStatus {
    let holds = variables.holdings();
    PartitionStatus {
        partition: replica.partition.0,
        position: replica.position.to_string(),
        state_hash: format!("{:016x}", replica.state_hash),
        znodes: holds.znodes,
        ephemerals: holds.ephemerals,
        data_bytes: holds.data_bytes,
        sessions: holds.sessions,
        executed: replica.counts.executed,
        multi_partition: replica.counts.multi_partition,
    }
}
