//! What can be planted.

/// The protocol, or one deviation from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// The protocol as designed.
    AsDesigned,
    /// A replica signals a command when it is delivered, not when it is ready (S-SMR Algorithm 1, line 11).
    SignalOnDelivery,
    /// A replica completes a command without waiting for signals; it waits for the value it reads alone.
    NoSignal,
    /// A copy is taken if its `k` is above the last taken, whatever its `prev`.
    NoPrevCheck,
    /// A leader that is elected again goes on where its earlier reign ended.
    CursorKeptFromEarlierReign,
    /// The shared log is trimmed of what its destinations have appended, decided or not.
    AppendedTakenForDecided,
}
