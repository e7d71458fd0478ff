//! Enums whose numbers are the protocol's.

use thiserror::Error;

/// A number from the wire that stands for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("no {what} has the number {number}")]
pub struct Unknown {
    /// The enum that was wanted.
    pub what: &'static str,
    /// What came instead.
    pub number: i32,
}

/// Declares an enum by its table of numbers, and derives from it `ALL`, `number`, `name`, `TryFrom<i32>` and a `Display`
/// such as `NoNode (-101)`, so that each number is written once.
macro_rules! numbered {
    ($(#[$about:meta])* $what:literal $name:ident { $($(#[$doc:meta])* $variant:ident = $number:literal,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i32)]
        pub enum $name { $($(#[$doc])* $variant = $number,)* }

        impl $name {
            /// All of them, in the order of the declaration.
            pub const ALL: &[$name] = &[$($name::$variant),*];

            /// The number on the wire.
            pub fn number(self) -> i32 {
                self as i32
            }

            /// The name, as the variant is written.
            pub fn name(self) -> &'static str {
                match self { $($name::$variant => stringify!($variant),)* }
            }
        }

        impl TryFrom<i32> for $name {
            type Error = $crate::wire::Unknown;

            fn try_from(number: i32) -> Result<Self, $crate::wire::Unknown> {
                match number {
                    $($number => Ok($name::$variant),)*
                    _ => Err($crate::wire::Unknown { what: $what, number }),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{} ({})", self.name(), self.number())
            }
        }
    };
}

pub(super) use numbered;
