//! Rare branches of the code, and how often tests have reached each.
//!
//! A simulation that never comes by a branch does not test it, and nothing else would say so. Each crate lists its rare branches,
//! as it does its [faults](crate::Fault), beside the code that reaches them; they are counted by thread. Without the `faults`
//! feature nothing is counted, and the compiler removes the calls: the shipped binary is built so.

/// A branch that is rarely taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Branch(&'static str);

impl Branch {
    /// A branch of this name, which says what happens there, unlike any other's.
    pub const fn new(name: &'static str) -> Branch {
        Branch(name)
    }

    /// What happens there.
    pub fn name(self) -> &'static str {
        self.0
    }

    /// It is reached.
    #[cfg(not(feature = "faults"))]
    #[inline(always)]
    pub const fn reached(self) {}
}

#[cfg(feature = "faults")]
mod counts {
    use super::Branch;
    use std::cell::RefCell;
    use std::collections::BTreeMap;

    thread_local! {
        static REACHED: RefCell<BTreeMap<&'static str, u64>> = const { RefCell::new(BTreeMap::new()) };
    }

    impl Branch {
        /// It is reached.
        pub fn reached(self) {
            REACHED.with_borrow_mut(|reached| *reached.entry(self.name()).or_default() += 1);
        }

        /// How often each branch was reached on this thread since the last call, by name.
        pub fn take_reached() -> BTreeMap<&'static str, u64> {
            REACHED.take()
        }
    }
}
