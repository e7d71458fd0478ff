//! Bursts: what a session asks of several partitions in turn, as one command over all of them.
//!
//! Requests take effect in the order sent, so one to another partition than those before it waits until they are answered:
//! a session that pipelines at random over two partitions would wait for every second request. One command over both does
//! not wait. Each of the partitions executes it whole, which costs more than waiting where there is little of that.
//!
//! Only partitions that have a replica here are taken: the events of others come when they come.
//!
//! All events of a command come before its answer. So no request of a burst changes what the reply to one before it shows: the
//! session would be told of the change first, and then be shown what was there before.

use crate::branches::BURST_ENDED;
use crate::command::{Change, Operation};
use crate::faults::BURST_SHOWS_BEFORE;
use crate::path;
use crate::wire::REPLY_BYTES_MAX;
use eyrie::Destinations;
use std::sync::Arc;

/// How many requests one burst may hold.
const REQUESTS_MAX: usize = 100;
/// How many bytes a burst may hold; its last request may go beyond.
const BYTES_MAX: usize = 64 << 10;
/// How many bytes the replies of a burst's looks may take, as long as any of them may be: all of them are in one answer.
const LOOKED_BYTES_MAX: usize = REPLY_BYTES_MAX;
/// How often the destinations of the requests in line change, at least, for a burst.
const TURNS_MIN: usize = 2;

/// The requests first in line, as far as they may go out as one command.
#[derive(Debug, Default)]
pub struct Burst {
    requests: usize,
    bytes: usize,
    looks: usize,
    destinations: Destinations,
    last: Destinations,
    turns: usize,
    /// How many of them the log must order.
    logged: usize,
    /// The znodes that their replies may show.
    shown: Vec<Arc<str>>,
}

impl Burst {
    /// Takes the next request in line, if it may; says whether it did. A read is one that needs no log by itself. The reply to a
    /// look takes `look_bytes_max` at most.
    pub fn take(
        &mut self,
        operation: &Operation,
        destinations: Destinations,
        is_read: bool,
        look_bytes_max: usize,
    ) -> bool {
        let looks = self.looks + usize::from(matches!(operation, Operation::Look(_)));
        let has_room = self.requests < REQUESTS_MAX
            && self.bytes < BYTES_MAX
            && looks.saturating_mul(look_bytes_max) <= LOOKED_BYTES_MAX;
        let shows = self.shows_what_changes(operation);
        if shows {
            BURST_ENDED.reached();
        }
        let fits = operation.fits_a_burst() && has_room && !shows;
        if fits {
            self.shown.extend(shown(operation));
            self.turns += usize::from(self.requests > 0 && self.last != destinations);
            self.requests += 1;
            self.bytes += operation.bytes();
            self.looks = looks;
            self.logged += usize::from(!is_read);
            self.last = destinations;
            self.destinations = self.destinations.union(destinations);
        }
        fits
    }

    fn shows_what_changes(&self, operation: &Operation) -> bool {
        let Operation::Change(change) = operation else { return false };
        if BURST_SHOWS_BEFORE.is_planted() {
            return false;
        }
        match change {
            Change::Create { path, mode, .. } => {
                let parent = path::parent(path);
                // Which child it will be is not known.
                let is_sibling = |shown: &Arc<str>| mode.is_sequential() && path::parent(shown) == parent;
                self.shown.iter().any(|shown| shown == path || Some(&**shown) == parent || is_sibling(shown))
            }
            Change::Delete { path, .. } => {
                let parent = path::parent(path);
                self.shown.iter().any(|shown| shown == path || Some(&**shown) == parent)
            }
            Change::SetData { path, .. } | Change::SetAcl { path, .. } => self.shown.contains(path),
            Change::Check { .. } => false,
        }
    }

    /// The burst, if it is worth its while when nothing else is under way.
    pub fn first(self) -> Option<Burst> {
        (self.turns >= TURNS_MIN && self.logged > 0).then_some(self)
    }

    /// The burst, if there is anything to go behind others that go to `destinations`.
    pub fn behind_others(self, destinations: Destinations) -> Option<Burst> {
        (self.requests > 0).then_some(Burst { destinations, ..self })
    }

    /// How many requests it holds.
    pub fn requests(&self) -> usize {
        self.requests
    }

    /// Where it goes.
    pub fn destinations(&self) -> Destinations {
        self.destinations
    }
}

/// The znode that the reply may show.
fn shown(operation: &Operation) -> Option<Arc<str>> {
    match operation {
        Operation::Look(look) => Some(look.path().clone()),
        Operation::Change(
            Change::Create { path, .. }
            | Change::Delete { path, .. }
            | Change::SetData { path, .. }
            | Change::SetAcl { path, .. }
            | Change::Check { path, .. },
        ) => Some(path.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Look;
    use crate::wire::{Acl, Permissions};
    use eyrie::PartitionId;

    fn line(of: &[Destinations], is_read: bool) -> Burst {
        let mut burst = Burst::default();
        for destinations in of {
            assert!(burst.take(&Operation::Sync("/a".into()), *destinations, is_read, 1_000));
        }
        burst
    }

    fn p(partition: u16) -> Destinations {
        PartitionId(partition).into()
    }

    #[test]
    fn only_what_would_wait_often_is_a_burst() {
        assert!(line(&[p(0), p(0), p(1), p(1)], false).first().is_none());
        let burst = line(&[p(0), p(1), p(1), p(0)], false).first().expect("two turns");
        assert_eq!((burst.requests(), burst.destinations()), (4, p(0).union(p(1))));
        assert!(line(&[p(0), p(1), p(0)], true).first().is_none(), "reads need no log");
    }

    #[test]
    fn what_goes_behind_a_burst_goes_where_that_went() {
        let burst = line(&[p(1)], false).behind_others(p(0).union(p(1))).expect("one request");
        assert_eq!(burst.destinations(), p(0).union(p(1)));
        assert!(Burst::default().behind_others(p(0)).is_none());
    }

    #[test]
    fn a_burst_is_bounded_in_bytes_of_all_kinds_and_in_what_its_replies_may_show() {
        let long: Arc<str> = "x".repeat(BYTES_MAX - 1).into();
        let mut burst = Burst::default();
        assert!(burst.take(&Operation::Sync(long.clone()), p(0), false, 1_000));
        assert!(burst.take(&Operation::Sync(long.clone()), p(0), false, 1_000), "one byte is left");
        assert!(!burst.take(&Operation::Sync("/a".into()), p(0), false, 1_000));
        let entry = Acl { id: long.to_string(), ..Acl::world(Permissions::ALL) };
        let set_acl = Change::SetAcl { path: "/b".into(), acl: vec![entry], version: -1 };
        let mut burst = Burst::default();
        assert!(burst.take(&Operation::Change(set_acl), p(0), false, 1_000));
        assert!(!burst.take(&Operation::Sync("/a".into()), p(0), false, 1_000));

        let look = Operation::Look(Look::GetData("/a".into()));
        let mut burst = Burst::default();
        let mut takes = || burst.take(&look, p(0), true, LOOKED_BYTES_MAX / 3);
        assert_eq!([takes(), takes(), takes(), takes()], [true, true, true, false]);
    }

    #[test]
    fn a_burst_is_bounded_and_takes_what_stands_for_itself() {
        let mut burst = line(&[p(0); REQUESTS_MAX], false);
        assert!(!burst.take(&Operation::Sync("/a".into()), p(0), false, 1_000));
        assert!(!Burst::default().take(&Operation::Multi(Vec::new()), p(0), false, 1_000));
    }
}
