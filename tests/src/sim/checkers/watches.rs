//! # Watches
//!
//! Judges what a history tells of watches, by ZooKeeper's promises as Volery keeps them:
//!
//! - nothing is told of a znode that the connection may not read;
//! - nothing is told without a watch, and each one-shot watch is used up by what it tells, on one connection;
//! - a change is told before any reply that shows it, and before any reply that shows what somebody wrote who had been
//!   shown it;
//! - a change is not lost: what was answered before a sync was sent is told before that is answered;
//! - a connection is told of a partition's changes in order, and with their zxids.
//!
//! `secrets` are the znodes that not everybody may read, `watching` keeps the watches that a session has, `state` what they were armed on, `told` what was told. `changes` and
//! `knowledge` look through the whole history beforehand: what certainly happened to each znode, and what each client had
//! been shown by when. `judge` walks through the history with all of them.
//!
//! # What is taken for granted
//!
//! - Replies of a connection come in the order sent, so a reply that comes after that of an arming call shows a later state;
//!   and a watch's event comes after the reply to the call that armed it. What comes before is let pass, and uses the watch up.
//! - Zxids rise along every znode. A watch on data is armed on an mzxid, one on children on a pzxid or the names, and a
//!   later reply shows a change if it shows a greater one; an own write that succeeded is a change too.
//! - A client lists in its SetWatches, first on a connection, the watches that it has and that have not fired. A listed watch
//!   is the one that was armed on the earlier connection: changes since then must be told. Not so for watches that stay, nor
//!   for one on an absent znode: what was created and deleted in between is told by no server.
//! - What is told between a SetWatches and its reply may be a repetition, under the zxid of something else: neither its
//!   order nor its zxid is judged.
//!
//! # What is left out
//!
//! - Watches on children that were armed with names alone are judged by names until a Stat is seen.
//! - Nothing is concluded from the end of a session, that its ephemerals' watchers must be told; if a reply shows one gone,
//!   it is.
//! - What was written by somebody who had been shown a change is looked at for the direct writer, and the data of znodes.
//! - Watches that stay are not looked at for causes.

mod changes;
mod judge;
mod knowledge;
mod secrets;
mod state;
mod told;
mod watching;

#[cfg(test)]
mod tests;

use super::sessions::calls::Calls;
use super::sessions::violation::Violation;
use crate::sim::history::History;
use judge::Judge;
use volery::placement::Placement;

/// What a watcher is promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// Nothing is told without a watch.
    Unarmed,
    /// Nothing is told of a znode that may not be read.
    Unreadable,
    /// A one-shot watch tells once, and an event is told once.
    Repeated,
    /// A change is told before a reply shows it.
    SeenBeforeTold,
    /// A change is told before a reply shows what was written in the knowledge of it.
    CausedBeforeTold,
    /// What is told is there for whoever looks then.
    ToldBeforeDone,
    /// A reply does not show a znode as it was before a later change of the same session that was told already.
    ShownTooLate,
    /// What is told of a one-shot watch is beyond the mark in the last reply's header: a client that comes back without it would
    /// not be told.
    BelowMark,
    /// A change is told before the reply to a later sync.
    Lost,
    /// A partition's changes are told in order.
    OutOfOrder,
    /// A notification's zxid is that of the change.
    WrongZxid,
}

/// What was judged, and what is wrong.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Notifications.
    pub notifications: usize,
    /// One-shot watches armed, those listed by SetWatches included.
    pub armed: usize,
    /// Sights of znodes that were watched at that time.
    pub looks: usize,
    /// Pairs of an armed watch and a value whose writer may have known of its change.
    pub causes: usize,
    /// Watches that a sync was judged by.
    pub syncs: usize,
    /// What is wrong.
    pub violations: Vec<Violation<Rule>>,
}

/// Judges a history's watches; `placement` tells which znodes share a partition.
pub fn check_watches(history: &History, placement: &Placement) -> Report {
    Judge::new(&Calls::of(history), placement).judge()
}
