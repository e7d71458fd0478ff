//! What must never be seen.

use crate::checks::Ended;
use thiserror::Error;

/// One thing that was seen and must not be, shown in one line.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Violation {
    /// Fewer updates are in a znode than were acknowledged.
    #[error("{path}: {acknowledged} updates were acknowledged and {version} are there")]
    UpdatesLost {
        /// The znode.
        path: String,
        /// Updates acknowledged.
        acknowledged: i64,
        /// Updates that are there.
        version: i64,
    },
    /// More updates are in a znode than were sent.
    #[error("{path}: {version} updates are there; {acknowledged} were acknowledged, {unknown} are unknown")]
    UpdatesRepeated {
        /// The znode.
        path: String,
        /// Updates acknowledged.
        acknowledged: i64,
        /// Updates whose outcome nobody was told.
        unknown: i64,
        /// Updates that are there.
        version: i64,
    },
    /// Two updates were acknowledged as one.
    #[error("{path}: two updates were acknowledged with version {version}")]
    VersionTwice {
        /// The znode.
        path: String,
        /// The version both were told.
        version: i32,
    },
    /// An update was acknowledged with a version that the znode never reached.
    #[error("{path}: version {version} was acknowledged and the znode is at {reached}")]
    VersionAhead {
        /// The znode.
        path: String,
        /// The version acknowledged.
        version: i32,
        /// The version it has.
        reached: i32,
    },
    /// A counter's value is not how often it was incremented.
    #[error("{path}: the value {value:?} is at version {version}")]
    ValueDiffers {
        /// The counter.
        path: String,
        /// Its data.
        value: String,
        /// Its version.
        version: i32,
    },
    /// A read that began after something newer was acknowledged.
    #[error("{path}: version {seen} was read after {known} had been acknowledged or read")]
    Stale {
        /// The znode.
        path: String,
        /// The version read.
        seen: i32,
        /// The version known before the read began.
        known: i32,
    },
    /// What was written through one node was not read through another.
    #[error(
        "{path}: version {written} was acknowledged through node {through}, and then node {node} read version {seen}"
    )]
    EchoStale {
        /// The znode.
        path: String,
        /// The node that acknowledged the write.
        through: usize,
        /// The version acknowledged.
        written: i32,
        /// The node that was read through.
        node: usize,
        /// The version read.
        seen: i32,
    },
    /// What was written through one node was read otherwise through another.
    #[error(
        "{path}: version {version} was acknowledged through node {through}, and node {node} read it as {seen:?}"
    )]
    EchoDiffers {
        /// The znode.
        path: String,
        /// The node that acknowledged the write.
        through: usize,
        /// The version acknowledged and read.
        version: i32,
        /// The node that was read through.
        node: usize,
        /// The data read.
        seen: String,
    },
    /// Nothing was read through a node of what had been written through others, so nothing is proven of it.
    #[error("node {node} was never read through after a write")]
    EchoNone {
        /// The node.
        node: usize,
    },
    /// Two znodes that only change together differ.
    #[error("{first} and {second} differ in one read: {difference}")]
    PairDiffers {
        /// One znode.
        first: String,
        /// The other.
        second: String,
        /// How they differ.
        difference: String,
    },
    /// A create was acknowledged and the znode is not there.
    #[error("{path}: it was created and is not there")]
    ChildLost {
        /// The path acknowledged.
        path: String,
    },
    /// A create is there under another name than was acknowledged.
    #[error("{path}: it was created as {acknowledged}")]
    ChildRenamed {
        /// The path it has.
        path: String,
        /// The path acknowledged.
        acknowledged: String,
    },
    /// One create made several znodes.
    #[error("{first} and {second}: one create made both")]
    ChildTwice {
        /// One znode.
        first: String,
        /// The other.
        second: String,
    },
    /// A sequence number was given twice.
    #[error("{first} and {second} have the same number")]
    NumberTwice {
        /// One znode.
        first: String,
        /// The other.
        second: String,
    },
    /// Sequence numbers do not rise in the order in which a client created.
    #[error("{later} was created after {earlier} by the same client")]
    NumberNotRising {
        /// Created first.
        earlier: String,
        /// Created later, with a smaller number.
        later: String,
    },
    /// A znode that nobody created, or whose create was refused.
    #[error("{path}: nobody created it ({data:?})")]
    ChildUnasked {
        /// The znode.
        path: String,
        /// Its data.
        data: String,
    },
    /// A request of a pipeline took effect and one before it did not.
    #[error("{path}: it is there, and {missing:?}, sent before it by the same session, is not")]
    PipelineGap {
        /// What is there.
        path: String,
        /// The data of what is not.
        missing: String,
    },
    /// Of ephemeral znodes that come and go together some are there.
    #[error("session {session:#x}: in one read {there} of {all} ephemerals are there")]
    EphemeralsHalf {
        /// Their session.
        session: i64,
        /// How many are there.
        there: usize,
        /// How many belong together.
        all: usize,
    },
    /// A living session's ephemeral znodes are gone.
    #[error("session {session:#x}: it lives and its ephemerals are gone")]
    EphemeralsGone {
        /// Their session.
        session: i64,
    },
    /// A dead session's ephemeral znodes are still there.
    #[error("session {session:#x}: {ended} {ms} ms ago, and its ephemerals are there")]
    EphemeralsLeft {
        /// Their session.
        session: i64,
        /// Why the session must have ended.
        ended: Ended,
        /// How long ago, in milliseconds, when the read was judged.
        ms: u128,
    },
    /// An ephemeral znode of another session.
    #[error("session {session:#x}: its ephemeral belongs to {owner:#x}")]
    EphemeralOwner {
        /// The session that created it.
        session: i64,
        /// The owner in its stat.
        owner: i64,
    },
    /// A session expired though its client was there in time.
    #[error("session {session:#x}: it expired {silent_ms} ms after its client was heard, of {timeout_ms}")]
    SessionLost {
        /// The session.
        session: i64,
        /// Milliseconds since the client was heard or the server was up again.
        silent_ms: u128,
        /// The timeout agreed.
        timeout_ms: u128,
    },
    /// An answer that makes no sense there.
    #[error("{what}: unexpected answer: {answer}")]
    Unexpected {
        /// What was asked.
        what: String,
        /// What was answered.
        answer: String,
    },
    /// A node does not answer again.
    #[error("node {node} has answered nothing for {seconds} s, though it runs")]
    NodeSilent {
        /// The node.
        node: usize,
        /// How long was waited.
        seconds: u64,
    },
    /// Nobody was told of a write for too long while most nodes ran.
    #[error("{fault}, and no write was acknowledged for {silent_ms} ms, of {allowed_ms}")]
    SilentTooLong {
        /// What had happened.
        fault: String,
        /// How long nothing was acknowledged.
        silent_ms: u128,
        /// How long that may be.
        allowed_ms: u128,
    },
    /// Nodes that could reach each other before the network was bad do not find each other again.
    #[error(
        "nodes {one} and {other} have {up} connections, of {before}, {seconds} s after the network was mended"
    )]
    StillApart {
        /// A node.
        one: usize,
        /// Another.
        other: usize,
        /// How many connections they have.
        up: usize,
        /// How many they had.
        before: usize,
        /// How long was waited.
        seconds: u64,
    },
    /// A node whose disk is full goes on.
    #[error("node {node} still runs {seconds} s after its disk was full")]
    RunsOnFullDisk {
        /// The node.
        node: usize,
        /// How long was waited.
        seconds: u64,
    },
    /// A node whose disk was full has ended and did not say why.
    #[error("node {node} ended when its disk was full, and its last line is {line:?}")]
    LastWordsUnclear {
        /// The node.
        node: usize,
        /// What it said.
        line: String,
    },
    /// The server does not work again after a restart.
    #[error("nothing was acknowledged for {seconds} s after a restart")]
    NoProgress {
        /// How long was waited.
        seconds: u64,
    },
    /// So little was done that nothing is proven.
    #[error("{acknowledged} writes were acknowledged, and {floor} are the least")]
    TooFewWrites {
        /// Writes acknowledged.
        acknowledged: u64,
        /// The least.
        floor: u64,
    },
}
