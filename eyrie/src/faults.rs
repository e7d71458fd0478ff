//! The faults that tests plant in this crate's code.

use multicast::Fault;

/// A replica completes commands without waiting for signals (S-SMR Figure 1a).
pub const NO_SIGNAL: Fault = Fault::new("no signal");
/// A replica signals when a command is delivered, not when it is ready (S-SMR Algorithm 1, line 11).
pub const SIGNAL_ON_DELIVERY: Fault = Fault::new("signal on delivery");
/// A repeat is executed again.
pub const REPEAT_TAKEN: Fault = Fault::new("repeat executed again");
/// A session's request is taken whatever epoch it is of.
pub const EPOCH_NOT_CHECKED: Fault = Fault::new("epoch not checked on write");
/// Requests of a closed session are taken.
pub const CLOSED_CLIENT_TAKEN: Fault = Fault::new("requests of a closed session taken");
/// A signal does not say that its sender has not taken the command.
pub const VERDICT_KEPT: Fault = Fault::new("verdict not in the signal");
/// A replica stamps a command with its own proposal, not with the greatest.
pub const OWN_STAMP: Fault = Fault::new("a stamp of its own at each destination");
/// A remote variable that has not come is taken for one that does not exist.
pub const MISSING_TAKEN_FOR_ABSENT: Fault = Fault::new("missing value taken for absent");
/// What a partition sent for a command is forgotten once it is sent.
pub const VALUES_DROPPED: Fault = Fault::new("values dropped at completion");
/// A letter is acknowledged before it is synced.
pub const LETTER_ACKNOWLEDGED_UNSYNCED: Fault = Fault::new("letter acknowledged before it is synced");
/// An answer does not say what it may depend on elsewhere.
pub const SEEN_FORGOTTEN: Fault = Fault::new("places seen elsewhere forgotten");
/// What a client has seen in one partition is not carried to the next.
pub const PAST_FORGOTTEN: Fault = Fault::new("a client's past forgotten");
/// A read runs once all up to its index is delivered.
pub const READ_AT_DELIVERY: Fault = Fault::new("read at delivery");
/// A read does not wait for its session's earlier writes.
pub const READ_BEFORE_OWN_WRITE: Fault = Fault::new("read before the session's own write");
/// A partition forgets the answer to a request before its client has said that it has it.
pub const ANSWER_FORGOTTEN_EARLY: Fault = Fault::new("an answer forgotten one too early");
/// A partition's proposals follow log time alone, not their own maximum.
pub const PROPOSALS_FALL: Fault = Fault::new("zxid proposals without their running maximum");
/// A replica gives its part of a split read's answer when the command is delivered.
pub const PART_AT_DELIVERY: Fault = Fault::new("part given at delivery");
/// The stamps of a session's commands are forgotten when it moves.
pub const STAMP_LOST_ON_MOVE: Fault = Fault::new("a session's stamp lost when it moves");
/// A split read that comes again is answered as of the place where it has come again.
pub const PART_OF_REPEAT: Fault = Fault::new("a repeated split read executed at its own place");
/// A split read that is asked for again keeps the parts that it had.
pub const PARTS_OF_TWO_ATTEMPTS: Fault = Fault::new("parts of two attempts joined");
/// A read runs while a command is applied in slices.
pub const SLICE_FORGOTTEN: Fault = Fault::new("read between the slices of a command");
/// A command that pauses loses what it was to write.
pub const WRITES_OF_A_SLICE_LOST: Fault = Fault::new("writes lost at a pause");

/// All of them.
pub const FAULTS: &[Fault] = &[
    NO_SIGNAL,
    SIGNAL_ON_DELIVERY,
    REPEAT_TAKEN,
    EPOCH_NOT_CHECKED,
    CLOSED_CLIENT_TAKEN,
    VERDICT_KEPT,
    OWN_STAMP,
    MISSING_TAKEN_FOR_ABSENT,
    VALUES_DROPPED,
    LETTER_ACKNOWLEDGED_UNSYNCED,
    SEEN_FORGOTTEN,
    PAST_FORGOTTEN,
    READ_AT_DELIVERY,
    READ_BEFORE_OWN_WRITE,
    ANSWER_FORGOTTEN_EARLY,
    PROPOSALS_FALL,
    PART_AT_DELIVERY,
    STAMP_LOST_ON_MOVE,
    PART_OF_REPEAT,
    PARTS_OF_TWO_ATTEMPTS,
    SLICE_FORGOTTEN,
    WRITES_OF_A_SLICE_LOST,
];
