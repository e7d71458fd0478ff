//! Faults that tests plant to show that they would be seen: one wrong line each, chosen at run time by one switch.
//!
//! A fault is a name. Each crate names its own, beside the code that asks whether it is planted; the switch is this
//! crate's, the lowest. Without the `faults` feature nothing can be planted, and the compiler removes the wrong lines: the shipped
//! binary is built so.

/// One wrong line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault(&'static str);

impl Fault {
    /// A fault of this name, which says what is wrong, unlike any other's.
    pub const fn new(name: &'static str) -> Fault {
        Fault(name)
    }

    /// What is wrong.
    pub fn name(self) -> &'static str {
        self.0
    }
}

#[cfg(any(test, feature = "faults"))]
mod switch {
    use super::Fault;
    use std::cell::Cell;

    thread_local! {
        static PLANTED: Cell<Option<Fault>> = const { Cell::new(None) };
    }

    impl Fault {
        /// Plants a fault, or none, in everything that runs on this thread.
        pub fn plant(fault: Option<Fault>) {
            PLANTED.set(fault);
        }

        /// Whether it is planted.
        pub fn is_planted(self) -> bool {
            PLANTED.get() == Some(self)
        }
    }
}

#[cfg(not(any(test, feature = "faults")))]
impl Fault {
    /// It is not.
    pub const fn is_planted(self) -> bool {
        false
    }
}
