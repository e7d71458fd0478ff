//! Submissions: envelopes kept, and sent again, until those above have their reply and withdraw them.

use crate::branches::RESENT;
use crate::envelope::{CommandId, Envelope};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use thiserror::Error;

/// How many envelopes a node keeps; one more is refused.
pub const SUBMISSIONS_MAX: usize = 1 << 17;
/// The longest command in bytes; a longer one is refused. With what surrounds it, it fits a frame of the links.
pub const COMMAND_BYTES_MAX: usize = 12 << 20;
/// How long an envelope waits for its reply before it is sent again the first time; each time doubles the wait.
pub const RESEND_FIRST_MS: u64 = 2_000;
/// A large envelope waits so much longer the first time as a slow link takes to carry it: a millisecond for so many bytes.
pub const RESEND_BYTES_PER_MS: u64 = 100;
/// The longest such wait.
pub const RESEND_LAST_MS: u64 = 30_000;

/// Why an envelope was not accepted for submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SubmitError {
    /// [`SUBMISSIONS_MAX`] envelopes wait for their replies.
    #[error("{SUBMISSIONS_MAX} commands are in flight already")]
    Full,
    /// The command is longer than [`COMMAND_BYTES_MAX`].
    #[error("a command of {0} bytes, and there may be {COMMAND_BYTES_MAX}")]
    TooLong(usize),
    /// The envelope addresses nothing, or a partition that the cluster lacks.
    #[error("no such destinations")]
    Destinations,
}

#[derive(Debug)]
struct Kept {
    envelope: Envelope,
    sent_ms: u64,
    wait_ms: u64,
}

/// The envelopes in flight, in the order submitted, so that a client's requests are sent again in that order too.
///
/// Invariant: `places` names exactly the envelopes in `kept`.
#[derive(Debug, Default)]
pub struct Submissions {
    kept: BTreeMap<u64, Kept>,
    places: FxHashMap<CommandId, u64>,
    next: u64,
    resent: u64,
}

impl Submissions {
    /// How many envelopes are kept.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// How often any envelope was sent again.
    pub fn resent(&self) -> u64 {
        self.resent
    }

    /// Keeps an envelope that is being sent now. One that is kept already stays as it is.
    pub fn keep(&mut self, envelope: Envelope, now_ms: u64) -> Result<(), SubmitError> {
        if envelope.body.len() > COMMAND_BYTES_MAX {
            return Err(SubmitError::TooLong(envelope.body.len()));
        }
        if self.kept.len() >= SUBMISSIONS_MAX {
            return Err(SubmitError::Full);
        }
        if !self.places.contains_key(&envelope.id) {
            let wait_ms = first_wait_ms(envelope.body.len());
            self.places.insert(envelope.id, self.next);
            self.kept.insert(self.next, Kept { envelope, sent_ms: now_ms, wait_ms });
            self.next += 1;
        }
        Ok(())
    }

    /// Forgets an envelope: its reply is here. Says whether it was kept.
    pub fn withdraw(&mut self, id: CommandId) -> bool {
        match self.places.remove(&id) {
            None => false,
            Some(place) => self.kept.remove(&place).is_some(),
        }
    }

    /// All envelopes kept, in the order submitted.
    pub fn all(&self) -> Vec<Envelope> {
        self.kept.values().map(|kept| kept.envelope.clone()).collect()
    }

    /// The envelopes that have waited long enough to be sent again, in the order submitted.
    pub fn due(&mut self, now_ms: u64) -> Vec<Envelope> {
        let mut due = Vec::new();
        for kept in self.kept.values_mut().filter(|kept| now_ms >= kept.sent_ms + kept.wait_ms) {
            RESENT.reached();
            kept.sent_ms = now_ms;
            kept.wait_ms = (kept.wait_ms * 2).min(RESEND_LAST_MS);
            due.push(kept.envelope.clone());
        }
        self.resent += due.len() as u64;
        due
    }

    /// Panics unless the invariant holds.
    pub fn check_invariants(&self) {
        assert_eq!(self.places.len(), self.kept.len());
        assert!(self.kept.iter().all(|(place, kept)| self.places.get(&kept.envelope.id) == Some(place)));
    }
}

fn first_wait_ms(bytes: usize) -> u64 {
    (RESEND_FIRST_MS + bytes as u64 / RESEND_BYTES_PER_MS).min(RESEND_LAST_MS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PartitionId;
    use crate::envelope::ClientId;
    use crate::link::FRAME_BYTES_MAX;
    use crate::message::Message;
    use crate::{ENTRY_BYTES, EntryBuilder, EntryTime, RingId};
    use bytes::Bytes;

    fn envelope(i: u32) -> Envelope {
        let id = CommandId { client: ClientId(1), epoch: 0, run: 0, i };
        Envelope { id, destinations: PartitionId(0).into(), body: Bytes::new() }
    }

    #[test]
    fn kept_until_withdrawn_and_sent_again_in_order_with_growing_waits() {
        let mut submissions = Submissions::default();
        for i in 0..3 {
            submissions.keep(envelope(i), 0).expect("room");
        }
        assert!(submissions.due(RESEND_FIRST_MS - 1).is_empty());
        assert!(submissions.withdraw(envelope(1).id) && !submissions.withdraw(envelope(1).id));
        let due: Vec<u32> = submissions.due(RESEND_FIRST_MS).iter().map(|envelope| envelope.id.i).collect();
        assert_eq!(due, [0, 2]);
        assert!(submissions.due(2 * RESEND_FIRST_MS).is_empty(), "the second wait is twice as long");
        assert_eq!(submissions.due(3 * RESEND_FIRST_MS).len(), 2);
        submissions.check_invariants();
    }

    #[test]
    fn a_large_one_is_not_sent_again_before_a_slow_link_has_carried_it() {
        let mut submissions = Submissions::default();
        let large = Envelope { body: vec![0; 1 << 20].into(), ..envelope(0) };
        submissions.keep(large, 0).expect("room");
        assert!(submissions.due(RESEND_FIRST_MS + 10_000).is_empty());
        assert_eq!(submissions.due(RESEND_FIRST_MS + 10_486).len(), 1);
        assert_eq!(first_wait_ms(COMMAND_BYTES_MAX), RESEND_LAST_MS);
    }

    #[test]
    fn full_is_refused() {
        let mut submissions = Submissions::default();
        for i in 0..SUBMISSIONS_MAX as u32 {
            submissions.keep(envelope(i), 0).expect("room");
        }
        assert_eq!(submissions.keep(envelope(u32::MAX), 0), Err(SubmitError::Full));
    }

    #[test]
    fn a_command_is_bounded_in_bytes_and_fits_a_frame_of_the_links() {
        let of = |bytes: usize| Envelope { body: vec![0; bytes].into(), ..envelope(0) };
        let kept = |bytes: usize| Submissions::default().keep(of(bytes), 0);
        assert_eq!(kept(COMMAND_BYTES_MAX - 1), Ok(()));
        assert_eq!(kept(COMMAND_BYTES_MAX), Ok(()));
        assert_eq!(kept(COMMAND_BYTES_MAX + 1), Err(SubmitError::TooLong(COMMAND_BYTES_MAX + 1)));
        assert_eq!(kept(10 * COMMAND_BYTES_MAX), Err(SubmitError::TooLong(10 * COMMAND_BYTES_MAX)));

        let mut entry = EntryBuilder::default();
        entry.push(&of(ENTRY_BYTES), None);
        entry.push(&of(COMMAND_BYTES_MAX), None);
        let message = Message::Submit(RingId::SHARED, entry.take(EntryTime::default())).encode();
        assert!(message.len() < FRAME_BYTES_MAX, "{} bytes are not sent", message.len());
    }
}
