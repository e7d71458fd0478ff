//! The rare branches of this crate that simulations must reach.

use eyrie::Branch;

/// A request of a session that has moved on is told so.
pub const SESSION_MOVED: Branch = Branch::new("a request told SessionMoved");
/// A request of a session that has ended is told so.
pub const SESSION_UNKNOWN: Branch = Branch::new("a request told SessionExpired");
/// An expiry that an earlier leader has ordered is void.
pub const EXPIRY_VOID_BY_TERM: Branch = Branch::new("an expiry void by its term");
/// The session has moved on since its end was ordered.
pub const EXPIRY_VOID_BY_EPOCH: Branch = Branch::new("an end void by its epoch");
/// A watch of SetWatches fires, for its znode may have changed.
pub const REARM_FIRES: Branch = Branch::new("SetWatches fires");
/// A watch of SetWatches is armed again.
pub const REARM_ARMS: Branch = Branch::new("SetWatches arms");
/// Requests for several partitions go out as one command.
pub const BURST: Branch = Branch::new("a burst");
/// Requests go out behind a burst, to where that went.
pub const BURST_BEHIND: Branch = Branch::new("a burst behind another");
/// A change waits, for the burst shows what was there before.
pub const BURST_ENDED: Branch = Branch::new("a burst ended by what it shows");
/// A request waits, for it goes elsewhere than those under way.
pub const RUN_WAITS: Branch = Branch::new("a run waits for the one before");
/// A reply waits until the partitions that are watched are as far.
pub const REPLY_HELD: Branch = Branch::new("a reply held for a watch source");
/// An event waits for a reply that comes before it.
pub const EVENT_WAITS: Branch = Branch::new("an event behind a reply");
/// A header's mark is less than what is passed, for an event is not told yet.
pub const MARK_HELD_BACK: Branch = Branch::new("a mark held back by an event");
/// A request that may arm a watch waits until its partition is heard of.
pub const HELD_FOR_FOLLOWING: Branch = Branch::new("a request held for following");
/// What happened since a look was missed: the client must come back.
pub const ARMED_LATE: Branch = Branch::new("a client sent away, for a watch came late");
/// Something of a partition was missed: its watchers must come back.
pub const WATCHERS_SENT_AWAY: Branch = Branch::new("watchers sent away");
/// A ping comes after its session's end was ordered.
pub const LATE_PING: Branch = Branch::new("a late ping");
/// A leader begins to decide about sessions.
pub const TERM_BEGUN: Branch = Branch::new("a term begun");
/// A leader's term was void: it begins another.
pub const TERM_CLAIMED_AGAIN: Branch = Branch::new("a term claimed again");
/// A partition that lags is advanced.
pub const ADVANCED: Branch = Branch::new("a partition advanced");
/// The node stood still, and with it sessions' timers.
pub const STALLED: Branch = Branch::new("timers stood with their node");
/// A leader is told after its reign has begun how the one before has left a session's timer.
pub const TIMER_INHERITED: Branch = Branch::new("a timer inherited");
/// A client has seen more than this node knows of.
pub const CLIENT_FROM_AHEAD: Branch = Branch::new("a client from ahead sent away");
/// A session was not heard of for its timeout: its end is ordered.
pub const EXPIRED: Branch = Branch::new("a session expired");

/// All of them.
pub const BRANCHES: &[Branch] = &[
    SESSION_MOVED,
    SESSION_UNKNOWN,
    EXPIRY_VOID_BY_TERM,
    EXPIRY_VOID_BY_EPOCH,
    REARM_FIRES,
    REARM_ARMS,
    BURST,
    BURST_BEHIND,
    BURST_ENDED,
    RUN_WAITS,
    REPLY_HELD,
    EVENT_WAITS,
    MARK_HELD_BACK,
    HELD_FOR_FOLLOWING,
    ARMED_LATE,
    WATCHERS_SENT_AWAY,
    LATE_PING,
    TERM_BEGUN,
    TERM_CLAIMED_AGAIN,
    ADVANCED,
    STALLED,
    TIMER_INHERITED,
    CLIENT_FROM_AHEAD,
    EXPIRED,
];
