//! The answers that a client table keeps for repeats: the last ones only, so that clients that acknowledge nothing cost a bounded
//! number of bytes.
//!
//! An answer is kept until its client acknowledges it, with the client's next command; an idle client sends none. So a partition
//! keeps the answers that it gave last, as many as [`KEPT_ANSWERS_BYTES_MAX`] allows, acknowledged or not: whether an answer is
//! still kept is a function of the log. A repeat that comes later is refused ([`Refusal::Forgotten`](crate::Refusal)). None comes so
//! late from a node that hears of the partition.

use multicast::CommandId;
use std::collections::VecDeque;

/// How many bytes of answers a partition keeps for repeats.
pub const KEPT_ANSWERS_BYTES_MAX: usize = 64 << 20;

/// How many bytes an answer takes beside its reply.
pub const ANSWER_BYTES: usize = 256;

/// The answers of one partition, in the order in which they were given.
///
/// Invariant: `bytes` is the sum over `answers`, and at most `bytes_max` unless there is one alone.
#[derive(Debug)]
pub(crate) struct KeptAnswers {
    answers: VecDeque<(CommandId, usize)>,
    bytes: usize,
    bytes_max: usize,
}

impl Default for KeptAnswers {
    fn default() -> KeptAnswers {
        KeptAnswers { answers: VecDeque::new(), bytes: 0, bytes_max: KEPT_ANSWERS_BYTES_MAX }
    }
}

impl KeptAnswers {
    /// Keeps so many bytes at most: for tests. Alike at all replicas.
    pub fn limit(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
    }

    /// An answer is given, with a reply of so many bytes.
    pub fn put(&mut self, id: CommandId, reply_bytes: usize) {
        let bytes = ANSWER_BYTES + reply_bytes;
        self.answers.push_back((id, bytes));
        self.bytes += bytes;
    }

    /// The next answer that is not kept any more.
    pub fn overflow(&mut self) -> Option<CommandId> {
        if self.bytes <= self.bytes_max || self.answers.len() == 1 {
            return None;
        }
        let (id, bytes) = self.answers.pop_front()?;
        self.bytes -= bytes;
        Some(id)
    }
}
