//! Volery's nodes in a simulated world.

use super::draw::Sizes;
use super::workload::users::SUPERUSER;
use eyrie::sim::{Blueprint, Shape, World};
use eyrie::{
    ANSWER_BYTES_MAX, AnswerLimits, KEPT_ANSWERS_BYTES_MAX, LogLimits, NodeId, RingLimits, STEPS_MAX,
};
use std::sync::Arc;
use volery::config::{GatewayConfig, GatewayLimits};
use volery::gateway::Gateway;
use volery::placement::{Placement, PlacementConfig};
use volery::service::Volery;

/// Answers between nodes come in many pieces, and few parts are kept.
const ANSWERS: AnswerLimits = AnswerLimits {
    first_piece: 64,
    piece: 96,
    answer: ANSWER_BYTES_MAX,
    kept: 1_024,
    fetched: 512,
    repeats: KEPT_ANSWERS_BYTES_MAX,
};
/// Bytes of answers kept for repeats in some clusters: a repeat may come too late.
const FEW_REPEATS: usize = 16 << 10;

/// A member that was away for a while catches up in several pieces: an entry counts for a kilobyte and its bytes.
const RINGS: RingLimits = RingLimits { lag: 24 << 10, piece: 8 << 10, tail: 256 << 10, pace: 64 << 10 };

/// A world of Volery's nodes.
pub type Cluster = World<Volery, Gateway>;

/// How the nodes of a plain cluster are made: ids without gaps, and the default placement.
pub fn blueprint(shape: Shape) -> Blueprint<Volery, Gateway> {
    blueprint_of(shape, Sizes::USUAL, shape.dense_ids(), &PlacementConfig::default())
}

/// What gateways may take: where there is an odd number of partitions so little that clients reach it.
fn limits_of(shape: Shape) -> GatewayLimits {
    let limits = GatewayLimits::default();
    if shape.partitions.is_multiple_of(2) {
        return limits;
    }
    GatewayLimits {
        outstanding: 8,
        in_flight: 100,
        accepted_bytes: 1_000,
        accepted_bytes_of_all: 6_000,
        promised_bytes: 600,
        output_bytes: 300,
        output_bytes_of_all: 2_000,
        turn_bytes: 500,
        ..limits
    }
}

/// How much of the log stays in memory: where partitions come in threes so little that also what is new is read from the disk.
fn cache_bytes(shape: Shape) -> u64 {
    if shape.partitions.is_multiple_of(3) { 2 << 10 } else { 32 << 10 }
}

/// The longest answer that travels between nodes: what a reply has no room for need not, where few bytes are let through.
fn answer_bytes(sizes: Sizes) -> usize {
    if sizes.are_scaled() { 2 * sizes.reply_bytes } else { ANSWER_BYTES_MAX }
}

/// How many steps a node takes in a turn: in a third of the clusters as many as ever, in a third so few that a command of several
/// writes goes in slices, and in a third each write is a slice.
fn steps_of(shape: Shape) -> u32 {
    match (shape.nodes + usize::from(shape.partitions)) % 3 {
        0 => STEPS_MAX,
        1 => 6 * u32::from(shape.partitions),
        _ => 1,
    }
}

/// How nodes are made: with small files and little memory for the log, so that a short run goes through many of them.
///
/// # Panics
/// If the placement is none for so many partitions.
pub fn blueprint_of(
    shape: Shape,
    sizes: Sizes,
    ids: Vec<NodeId>,
    placement: &PlacementConfig,
) -> Blueprint<Volery, Gateway> {
    let oracle = Arc::new(Placement::new(shape.partitions, placement).expect("a legal placement"));
    let front = Box::new(move |node: NodeId| {
        let config = GatewayConfig {
            node: node.0,
            port: 0,
            data_directory: "simulated".into(),
            tick_ms: 500,
            session_timeout_min_ms: 1_000,
            session_timeout_max_ms: 10_000,
            frame_bytes_max: sizes.frame_bytes,
            limits: GatewayLimits { reply_bytes: sizes.reply_bytes, ..limits_of(shape) },
            super_digest: Some(SUPERUSER.digest()),
            secret: [7; 20],
        };
        Gateway::new(config, shape.partitions)
    });
    let limits =
        LogLimits { segment_bytes: 64 << 10, cache_bytes: cache_bytes(shape), ..LogLimits::default() };
    let repeats = if sizes.are_scaled() { FEW_REPEATS } else { ANSWERS.repeats };
    let answers = AnswerLimits { answer: answer_bytes(sizes), repeats, ..ANSWERS };
    Blueprint { shape, ids, oracle, front, limits, rings: RINGS, answers, steps: steps_of(shape) }
}
