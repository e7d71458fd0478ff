//! The faults that tests plant in this crate's code.

use eyrie::Fault;

/// What a leader that is none any more has ordered against a session takes effect.
pub const EXPIRED_IN_ANY_REIGN: Fault = Fault::new("expiry ordered in an earlier reign");
/// The timers of sessions run on the wall clock.
pub const EXPIRY_BY_WALL_CLOCK: Fault = Fault::new("expiry by the wall clock");
/// A session that has moved on is expired all the same.
pub const EXPIRY_OF_ANY_EPOCH: Fault = Fault::new("expiry of a session that has moved");
/// The end of a session removes its ephemerals at its home alone.
pub const EPHEMERALS_AT_HOME: Fault = Fault::new("ephemerals removed at home alone");
/// A reply does not wait for the events that it may depend on.
pub const REPLY_NOT_HELD: Fault = Fault::new("reply not held for its watch source");
/// A reply's header carries the newest zxid known, not the low-water mark.
pub const NEWEST_IN_HEADER: Fault = Fault::new("SetWatches by command zxid");
/// A ping is answered though the home's leader has not heard of it.
pub const PONG_AT_ONCE: Fault = Fault::new("ping answered before the home's leader knows");
/// A run begins though the one before is not answered.
pub const RUNS_OVERLAP: Fault = Fault::new("a run begins before the last is answered");
/// A one-shot watch stays when it has fired.
pub const WATCH_FIRES_AGAIN: Fault = Fault::new("a one-shot watch stays armed");
/// A watch armed again after a reconnection does not tell what has changed meanwhile.
pub const NOTHING_FIRES_ON_REARM: Fault = Fault::new("changes missed while away are not told");
/// The changes of a multi that fails stay.
pub const MULTI_NOT_ROLLED_BACK: Fault = Fault::new("a failed multi keeps its first changes");
/// Versions are not compared.
pub const VERSION_NOT_CHECKED: Fault = Fault::new("version not checked");
/// Sequential znodes are numbered by the children there are.
pub const NUMBERED_BY_CHILDREN: Fault = Fault::new("sequence by number of children");
/// A session is attached to a partition only where it creates an ephemeral.
pub const ATTACHED_FOR_EPHEMERALS: Fault = Fault::new("attach only on ephemerals");
/// Nobody is told of a child that is gone.
pub const DELETED_CHILD_NOT_TOLD: Fault = Fault::new("no event for a deleted child");
/// A ping is answered though the session's end was ordered before it came.
pub const LATE_PING_ANSWERED: Fault = Fault::new("a late ping answered");
/// A watch is armed though its partition was not heard of all the time since its request looked there.
pub const ARMED_TOO_LATE: Fault = Fault::new("a watch armed behind what it should tell");
/// A burst mixes requests from before and after addAuth, and is executed as whoever sent the first of them.
pub const BURST_OF_ANY_CALLER: Fault = Fault::new("a burst across addAuth");
/// An event is told whether or not the session may read the znode.
pub const EVENTS_FOR_ALL: Fault = Fault::new("an event told to who may not read its znode");
/// A burst changes what the reply to an earlier request of it shows.
pub const BURST_SHOWS_BEFORE: Fault = Fault::new("a burst changes what it has shown");
/// SetWatches takes the change next to the client's mark for one that the client has seen.
pub const NEXT_TAKEN_FOR_SEEN: Fault = Fault::new("SetWatches misses the change next to the mark");
/// A term of leadership begins without grace for the sessions that the leader before it may just have confirmed.
pub const NO_GRACE: Fault = Fault::new("no grace for sessions in a new term");
/// A znode that was found due is removed whatever has happened to it since.
pub const REAPED_THOUGH_CHANGED: Fault = Fault::new("a znode removed that was due before it changed");
/// Nobody removes what is due.
pub const DUE_NEVER_REAPED: Fault = Fault::new("znodes outlive their time to live");

/// Timers go on as any earlier reign has left them.
pub const TIMERS_OF_ANY_REIGN: Fault = Fault::new("timers of any earlier reign");

/// Timers start afresh in every reign.
pub const TIMERS_START_AFRESH: Fault = Fault::new("timers afresh in every reign");

/// All of them.
pub const FAULTS: &[Fault] = &[
    EXPIRED_IN_ANY_REIGN,
    TIMERS_OF_ANY_REIGN,
    TIMERS_START_AFRESH,
    EXPIRY_BY_WALL_CLOCK,
    EXPIRY_OF_ANY_EPOCH,
    EPHEMERALS_AT_HOME,
    REPLY_NOT_HELD,
    NEWEST_IN_HEADER,
    PONG_AT_ONCE,
    RUNS_OVERLAP,
    WATCH_FIRES_AGAIN,
    NOTHING_FIRES_ON_REARM,
    MULTI_NOT_ROLLED_BACK,
    VERSION_NOT_CHECKED,
    NUMBERED_BY_CHILDREN,
    ATTACHED_FOR_EPHEMERALS,
    DELETED_CHILD_NOT_TOLD,
    LATE_PING_ANSWERED,
    ARMED_TOO_LATE,
    BURST_OF_ANY_CALLER,
    EVENTS_FOR_ALL,
    BURST_SHOWS_BEFORE,
    NEXT_TAKEN_FOR_SEEN,
    NO_GRACE,
    REAPED_THOUGH_CHANGED,
    DUE_NEVER_REAPED,
];
