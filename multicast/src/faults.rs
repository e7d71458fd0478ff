//! The faults that tests plant in this crate's code.

use crate::fault::Fault;

/// What vouches for the log leaves before the log is synced.
pub const SEND_BEFORE_SYNC: Fault = Fault::new("send before sync");
/// The leader counts its own entries before it has synced them.
pub const ACKNOWLEDGE_BEFORE_SYNC: Fault = Fault::new("acknowledge before sync");
/// What comes on a connection that another one has replaced is taken.
pub const NO_FENCING: Fault = Fault::new("no fencing");
/// A copy from the shared ring is taken whatever was taken before; leaders make such copies, as they do with a cursor kept.
pub const NO_PREV_CHECK: Fault = Fault::new("no prev check in the relay");
/// A leader goes on relaying where it was in an earlier reign.
pub const CURSOR_KEPT: Fault = Fault::new("relay cursor kept from an earlier reign");
/// A blank disk under a known name is let in.
pub const AMNESIAC_VOTER: Fault = Fault::new("amnesiac voter accepted");
/// A peer's directory need not go back to the start in which it was met.
pub const OLDER_COPY_ACCEPTED: Fault = Fault::new("older copy accepted");
/// A directory that had a log and has none any more is taken for a new one.
pub const LOST_LOG_ACCEPTED: Fault = Fault::new("a lost log taken for a new one");
/// A block is taken from the log though its checksum is wrong.
pub const TORN_RECORD: Fault = Fault::new("torn record accepted");
/// What a node says goes on leaving it though a read of its log has failed, and so without what was not read.
pub const FAILED_READ_TAKEN_FOR_EMPTY: Fault = Fault::new("a failed read taken for an empty one");
/// A leader names the read index without asking whether it still leads.
pub const OLD_LEADER_READS: Fault = Fault::new("old leader answers reads");
/// A leader's entries carry its own clock's time, whatever the others' clocks say.
pub const CLOCK_NEVER_OVERRULED: Fault = Fault::new("a leader's clock is never overruled");
/// A read index is taken from a member whatever ballot it has promised.
pub const BALLOT_IGNORED: Fault = Fault::new("a read index whatever the ballot");
/// A leader names the read index before all is decided that its log held when it was elected.
pub const UNDECIDED_LOG_READ: Fault = Fault::new("a new leader answers reads before its log is decided");
/// A piece of the decided log lacks its first entry.
pub const PIECE_SKIPS_ENTRY: Fault = Fault::new("a piece without its first entry");
/// A piece that comes again is installed behind the first.
pub const PIECE_INSTALLED_TWICE: Fault = Fault::new("a piece installed twice");
/// A piece holds what its giver holds, decided or not.
pub const PIECE_UNDECIDED: Fault = Fault::new("a piece of entries that are not decided");

/// A node that hears of a peer's later start from another one dials that start as late as one that it has refused. Nothing is wrong
/// by it but that it lasts; so the links' own campaign looks for it.
pub const RETURN_DIALLED_LATE: Fault = Fault::new("a node that has started again is dialled late");

/// All that whole clusters show.
pub const FAULTS: &[Fault] = &[
    SEND_BEFORE_SYNC,
    ACKNOWLEDGE_BEFORE_SYNC,
    NO_FENCING,
    NO_PREV_CHECK,
    CURSOR_KEPT,
    AMNESIAC_VOTER,
    OLDER_COPY_ACCEPTED,
    LOST_LOG_ACCEPTED,
    TORN_RECORD,
    FAILED_READ_TAKEN_FOR_EMPTY,
    OLD_LEADER_READS,
    CLOCK_NEVER_OVERRULED,
    BALLOT_IGNORED,
    UNDECIDED_LOG_READ,
    PIECE_SKIPS_ENTRY,
    PIECE_INSTALLED_TWICE,
    PIECE_UNDECIDED,
];
