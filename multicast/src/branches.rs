//! The rare branches of this crate that simulations must reach.

use crate::branch::Branch;

/// A leader folds its log and follows the shared ring from there.
pub const RELAY_BEGUN: Branch = Branch::new("a relay begun");
/// A member that takes no part stands for election though it hears a quorum.
pub const RESCUED: Branch = Branch::new("a stranded member stood for election");
/// The preferred member stands for election once it has caught up.
pub const PREFERRED: Branch = Branch::new("the preferred member took over");
/// A member that does not hear the leader asks another one to lead.
pub const ASKED_TO_LEAD: Branch = Branch::new("a member was asked to lead");
/// A member that was asked to lead stands for election.
pub const TOOK_OVER: Branch = Branch::new("a member that was asked took over");
/// A leader appends an entry so that what was lost is missed.
pub const TAIL_WAITED: Branch = Branch::new("a heartbeat entry for the tail");
/// A member lacks too much, and asks a peer for pieces of the decided log.
pub const CAUGHT_UP_IN_PIECES: Branch = Branch::new("a catching up in pieces begun");
/// A piece of the decided log is installed.
pub const PIECE_INSTALLED: Branch = Branch::new("a piece of the decided log installed");
/// No piece has come for long: the peer is asked how far it is, and perhaps another one for the piece.
pub const PIECE_MISSED: Branch = Branch::new("a piece that did not come");
/// A peer that has asked for a piece waits, for the others decide without it.
pub const PIECE_PACED: Branch = Branch::new("a piece that waited for the pace");
/// The connection to the peer that was asked for a piece has ended.
pub const SERVER_LOST: Branch = Branch::new("a peer lost that was asked for a piece");
/// A piece may be lost with the bulk connection, and is given again.
pub const SERVED_AGAIN: Branch = Branch::new("a piece given again on a new bulk connection");
/// A member that lacked too much lacks that no more.
pub const LEVEL_AGAIN: Branch = Branch::new("a catching up in pieces ended");
/// A candidate or leader that has started again, or was found to be behind and is level, stands again.
pub const CANDIDACY_RESUMED: Branch = Branch::new("an interrupted candidacy resumed");
/// What a Prepare or a Promise asks for is too much: its sender is to catch up first.
pub const LACKS_TOO_MUCH: Branch = Branch::new("a candidate or follower told that it lacks too much");
/// A member shows another disk than before, and is refused.
pub const AMNESIAC_REFUSED: Branch = Branch::new("a lost disk refused");
/// A member's directory does not go back to what its peers have met, and is refused.
pub const OLDER_COPY_REFUSED: Branch = Branch::new("an older copy refused");
/// What a power failure has left of a block is cut off.
pub const TORN_TAIL: Branch = Branch::new("a torn tail cut off");
/// What stands behind the end of the log is cleared.
pub const BEHIND_END_CLEARED: Branch = Branch::new("pages behind the end cleared");
/// A read of the log fails while the node runs: what it has made since is thrown away, and the process ends.
pub const READ_FAILED: Branch = Branch::new("a read of the log failed");
/// The consensus crate is given nothing in place of entries that could not be read.
pub const SUFFIX_UNREAD: Branch = Branch::new("entries for another member not read");
/// A file of the log that was not begun is removed.
pub const UNBEGUN_SEGMENT: Branch = Branch::new("an unbegun segment removed");
/// A leader that has not decided its log names no read index.
pub const LOG_UNDECIDED: Branch = Branch::new("a new leader with an undecided log");
/// A member that has promised another ballot does not count.
pub const OTHER_BALLOT: Branch = Branch::new("a read index of another ballot");
/// A question for the read index was not answered in time.
pub const ASKED_AGAIN: Branch = Branch::new("a read index asked again");
/// A command is sent again, for no answer has come in time.
pub const RESENT: Branch = Branch::new("a command sent again");
/// What waits is sent to the member that leads now.
pub const SENT_TO_NEW_LEADER: Branch = Branch::new("commands sent to a new leader");
/// What another node submits here is forgotten, for this one does not lead.
pub const NOBODY_LEADS_HERE: Branch = Branch::new("a command that came to no leader");
/// A batch is thrown away, for its node leads no more.
pub const REIGN_LOST: Branch = Branch::new("a batch of a leader that was");

/// All of them.
pub const BRANCHES: &[Branch] = &[
    RELAY_BEGUN,
    RESCUED,
    PREFERRED,
    ASKED_TO_LEAD,
    TOOK_OVER,
    TAIL_WAITED,
    CAUGHT_UP_IN_PIECES,
    PIECE_INSTALLED,
    PIECE_MISSED,
    PIECE_PACED,
    SERVER_LOST,
    SERVED_AGAIN,
    LEVEL_AGAIN,
    CANDIDACY_RESUMED,
    LACKS_TOO_MUCH,
    AMNESIAC_REFUSED,
    OLDER_COPY_REFUSED,
    TORN_TAIL,
    BEHIND_END_CLEARED,
    READ_FAILED,
    SUFFIX_UNREAD,
    UNBEGUN_SEGMENT,
    LOG_UNDECIDED,
    OTHER_BALLOT,
    ASKED_AGAIN,
    RESENT,
    SENT_TO_NEW_LEADER,
    NOBODY_LEADS_HERE,
    REIGN_LOST,
];
