//! Faults that tests plant in a replica to show that they would be seen. The shipped binary cannot: it is built without
//! the `faults` feature, which alone makes a replica take one.

/// What is wrong with a replica.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// It completes commands without waiting for signals (S-SMR Figure 1a).
    NoSignal,
    /// It signals when a command is delivered, not when it is ready (S-SMR Algorithm 1, line 11).
    SignalOnDelivery,
}
