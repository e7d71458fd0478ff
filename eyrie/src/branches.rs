//! The rare branches of this crate that simulations must reach.

use multicast::Branch;

/// A repeat is answered with the answer kept.
pub const REPEAT_ANSWERED: Branch = Branch::new("a repeat answered from the table");
/// A request is not taken, for the one before it is missing.
pub const GAP: Branch = Branch::new("a gap not taken");
/// A request of an epoch that is over is refused.
pub const OLD_EPOCH: Branch = Branch::new("a request of an old epoch refused");
/// A request of a client that is not open here is refused.
pub const UNKNOWN_CLIENT: Branch = Branch::new("a request of an unknown client refused");
/// A command of several partitions ends without effect.
pub const NOT_TAKEN_TOGETHER: Branch = Branch::new("a command not taken at every destination");
/// A remote value has not come: the command runs again when it has.
pub const RUN_AGAIN: Branch = Branch::new("a command run again for a value");
/// The destinations were too few: the command ends, and is planned again.
pub const RETRIED: Branch = Branch::new("a retry with more destinations");
/// The session had a greater stamp here than the partition proposes.
pub const STAMP_BEYOND_PROPOSAL: Branch = Branch::new("a stamp beyond the proposal");
/// What the command touches has a greater stamp than it.
pub const STAMP_RAISED: Branch = Branch::new("a stamp raised by a znode");
/// A read does not wait for its index, for the session's next write comes.
pub const LAST_MOMENT: Branch = Branch::new("a read just before the next write");
/// A read waits until all that is delivered is complete.
pub const READ_BEHIND_DELIVERED: Branch = Branch::new("a read behind what is delivered");
/// The node that tells of a partition is gone: the next one is asked.
pub const SOURCE_LOST: Branch = Branch::new("another node asked after a loss");
/// The node that tells of a partition is silent: the next one is asked.
pub const SOURCE_SILENT: Branch = Branch::new("another node asked after silence");
/// Something of a partition was missed, and is asked for again.
pub const OUTPUTS_MISSED: Branch = Branch::new("outputs asked for again");
/// A part of a split read is lost: it was given up, or the node that had it has started anew.
pub const PART_LOST: Branch = Branch::new("a part of a split read lost");
/// A split read ends without its parts.
pub const SPLIT_LOST: Branch = Branch::new("a split read lost");
/// The parts of a split read are too large together.
pub const SPLIT_TOO_LARGE: Branch = Branch::new("a split read too large");
/// A command comes again whose answer is no longer kept.
pub const ANSWER_DROPPED: Branch = Branch::new("a repeat whose answer is not kept");
/// A command goes on executing in the next turn.
pub const COMMAND_PAUSED: Branch = Branch::new("a command paused");
/// A read goes on in the next turn.
pub const READ_PAUSED: Branch = Branch::new("a read paused");
/// Writes of a command take effect before it has executed to its end.
pub const SETTLED: Branch = Branch::new("writes settled before the end");
/// The effects of a command are applied in several turns.
pub const APPLIED_IN_SLICES: Branch = Branch::new("effects applied in slices");
/// Reads wait, for a command is under way.
pub const READ_HELD: Branch = Branch::new("a read held for a command under way");

/// All of them.
pub const BRANCHES: &[Branch] = &[
    REPEAT_ANSWERED,
    GAP,
    OLD_EPOCH,
    UNKNOWN_CLIENT,
    NOT_TAKEN_TOGETHER,
    RUN_AGAIN,
    RETRIED,
    STAMP_BEYOND_PROPOSAL,
    STAMP_RAISED,
    LAST_MOMENT,
    READ_BEHIND_DELIVERED,
    SOURCE_LOST,
    SOURCE_SILENT,
    OUTPUTS_MISSED,
    PART_LOST,
    SPLIT_LOST,
    SPLIT_TOO_LARGE,
    ANSWER_DROPPED,
    COMMAND_PAUSED,
    READ_PAUSED,
    SETTLED,
    APPLIED_IN_SLICES,
    READ_HELD,
];
