//! Scripts: schedules written by hand, for what runs drawn from seeds hardly ever show.
//!
//! Each was a bug once, or stands for a planted one. The seed varies when things happen and to whom; what a script says
//! was wrong is a violation as any other.

pub mod line;
mod rings;
mod sessions;
mod watches;

use super::cluster::{Cluster, blueprint};
use eyrie::sim::{Shape, Swarm};
use eyrie::{Fault, PartitionId};
use line::Line;
use std::sync::Arc;
use volery::wire::{Acl, Create, CreateMode, Request, SetData};

/// A schedule, and what it shows.
#[derive(Clone, Copy, Debug)]
pub struct Script {
    /// What holds in each run of it.
    pub name: &'static str,
    /// The bug that it is for, if that is planted.
    pub fault: Option<Fault>,
    /// One run: what was wrong, if anything.
    pub run: fn(seed: u64) -> Option<String>,
}

/// All of them.
pub const SCRIPTS: &[Script] = &[
    Script {
        name: "a session lives while its client pings though a late handshake has moved it",
        fault: None,
        run: sessions::late_handshake,
    },
    Script {
        name: "a ping that comes after the session's end was ordered is not answered",
        fault: Some(volery::faults::LATE_PING_ANSWERED),
        run: sessions::late_ping,
    },
    Script {
        name: "a ping is answered only if the leader of the session's home has heard of it",
        fault: Some(volery::faults::PONG_AT_ONCE),
        run: sessions::pings_that_do_not_get_through,
    },
    Script {
        name: "an end that was ordered in an earlier reign is void",
        fault: Some(volery::faults::EXPIRED_IN_ANY_REIGN),
        run: sessions::end_of_an_earlier_reign,
    },
    Script {
        name: "a session whose client is silent ends in time though its leaders change",
        fault: Some(volery::faults::TIMERS_START_AFRESH),
        run: sessions::silent_while_leaders_change,
    },
    Script {
        name: "timers go on as the reign before has left them, not an earlier one",
        fault: Some(volery::faults::TIMERS_OF_ANY_REIGN),
        run: sessions::heard_of_in_the_reign_between,
    },
    Script {
        name: "a sequential znode takes no name that another has",
        fault: Some(eyrie::faults::MISSING_TAKEN_FOR_ABSENT),
        run: sessions::a_sequential_name_that_is_taken,
    },
    Script {
        name: "what a session asked for takes no effect after its end",
        fault: Some(eyrie::faults::CLOSED_CLIENT_TAKEN),
        run: sessions::request_after_the_end,
    },
    Script {
        name: "whoever has a session's connection hears of its end",
        fault: None,
        run: sessions::closed_elsewhere,
    },
    Script {
        name: "what was read goes along with what is written elsewhere",
        fault: Some(eyrie::faults::PAST_FORGOTTEN),
        run: watches::read_then_written_elsewhere,
    },
    Script {
        name: "a watch is told what happened before the answer that armed it came",
        fault: Some(volery::faults::ARMED_TOO_LATE),
        run: watches::answer_comes_late,
    },
    Script {
        name: "who comes back is told what it had missed",
        fault: Some(volery::faults::NEWEST_IN_HEADER),
        run: watches::comes_back_without_an_event,
    },
    Script {
        name: "credentials come before the list of watches",
        fault: None,
        run: watches::proves_who_it_is_before_it_lists_its_watches,
    },
    Script {
        name: "a leader that was cut off tells nothing old",
        fault: Some(eyrie::multicast_faults::OLD_LEADER_READS),
        run: rings::read_at_an_old_leader,
    },
    Script {
        name: "a leader that another has replaced tells nothing old",
        fault: Some(eyrie::multicast_faults::BALLOT_IGNORED),
        run: rings::read_at_a_leader_that_was_replaced,
    },
    Script {
        name: "a new leader tells nothing older than what the one before it has confirmed",
        fault: Some(eyrie::multicast_faults::UNDECIDED_LOG_READ),
        run: rings::read_at_a_new_leader,
    },
    Script {
        name: "the parts of a read are of one moment though it was asked for again",
        fault: Some(eyrie::faults::PART_OF_REPEAT),
        run: rings::read_of_two_partitions_is_repeated,
    },
    Script {
        name: "a session lives for its timeout after a ping that the leader before confirmed",
        fault: Some(volery::faults::NO_GRACE),
        run: sessions::confirmed_by_the_leader_before,
    },
    Script {
        name: "zxids rise along a session that moves",
        fault: Some(eyrie::faults::STAMP_LOST_ON_MOVE),
        run: sessions::changes_before_and_after_a_move,
    },
    Script {
        name: "who reads where a command waits is told nothing old",
        fault: Some(eyrie::faults::READ_AT_DELIVERY),
        run: rings::read_where_a_command_waits,
    },
    Script {
        name: "what a power failure has left of an entry is not taken for one",
        fault: Some(eyrie::multicast_faults::TORN_RECORD),
        run: rings::power_lost_while_much_is_written,
    },
];

const TIMEOUT_MS: i32 = 1_000;
const TIMEOUT_US: u64 = 1_000_000;
/// By then leaders are elected.
const ELECTED_US: u64 = 5_000_000;

/// Two partitions of three replicas, and leaders.
fn calm(seed: u64, nodes: usize) -> Cluster {
    calm_with(seed, Shape { nodes, partitions: 2, replicas: 3 })
}

fn calm_with(seed: u64, shape: Shape) -> Cluster {
    let mut world = Cluster::new(seed, blueprint(shape), Swarm::calm());
    wait(&mut world, ELECTED_US);
    world
}

fn wait(world: &mut Cluster, us: u64) {
    let until_us = world.now_us() + us;
    while world.next(until_us).is_some() {}
}

fn path_of(world: &Cluster, partition: PartitionId) -> Arc<str> {
    let mut paths = (0..).map(|number| Arc::<str>::from(format!("/{number}")));
    paths.find(|path| world.oracle().of(path) == partition).expect("a path")
}

/// The node that leads a partition, by its own account.
fn leader_of(world: &mut Cluster, partition: PartitionId) -> Option<usize> {
    (0..world.shape().nodes).find(|node| leads(world, *node, partition))
}

/// Whether a node leads a partition, by its own account.
fn leads(world: &mut Cluster, node: usize, partition: PartitionId) -> bool {
    let status = world.node(node).map(|node| node.status());
    status.is_some_and(|status| {
        status.replicas.iter().any(|replica| replica.partition == partition && replica.leads)
    })
}

/// Waits until something holds; says whether it came to hold.
fn wait_until(world: &mut Cluster, patience_us: u64, mut holds: impl FnMut(&mut Cluster) -> bool) -> bool {
    let until_us = world.now_us() + patience_us;
    while !holds(world) {
        if world.now_us() >= until_us {
            return false;
        }
        wait(world, 20_000);
    }
    true
}

fn create(path: &Arc<str>) -> Request {
    create_with(path, 0)
}

/// Creates a znode of so many bytes.
fn create_with(path: &Arc<str>, bytes: usize) -> Request {
    let (data, acl, mode) = (Some(vec![b'v'; bytes].into()), Acl::open_unsafe(), Ok(CreateMode::Persistent));
    Request::Create(Create { path: path.clone(), data, acl, mode, with_stat: false })
}

/// Creates a sequential znode.
fn sequential(prefix: &Arc<str>) -> Request {
    let (acl, mode) = (Acl::open_unsafe(), Ok(CreateMode::PersistentSequential));
    Request::Create(Create { path: prefix.clone(), data: None, acl, mode, with_stat: false })
}

fn get(path: &Arc<str>, watch: bool) -> Request {
    Request::GetData { path: path.clone(), watch }
}

/// Sets a znode to so many bytes.
fn set_to(path: &Arc<str>, bytes: usize) -> Request {
    Request::SetData(set_data(path, bytes))
}

fn set_data(path: &Arc<str>, bytes: usize) -> SetData {
    SetData { path: path.clone(), data: Some(vec![b'v'; bytes].into()), version: -1 }
}

fn sync(path: &Arc<str>) -> Request {
    Request::Sync { path: path.clone() }
}

/// Something that was wrong, unless it `holds`.
fn unless(holds: bool, wrong: impl FnOnce() -> String) -> Option<String> {
    (!holds).then(wrong)
}
