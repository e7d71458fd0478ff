//! How a new znode is named and when it goes.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The kind of znode to create.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CreateMode {
    /// It stays until deleted.
    Persistent,
    /// It goes with the session.
    Ephemeral,
    /// It stays, and the server appends a number to its name.
    PersistentSequential,
    /// It goes with the session, and the server appends a number to its name.
    EphemeralSequential,
    /// It goes some time after its last child has gone.
    Container,
    /// It goes when it has no children and was not modified for so many milliseconds.
    Ttl(i64),
    /// As `Ttl`, and the server appends a number to its name.
    TtlSequential(i64),
}

/// Flags of a create that are no mode, or that do not fit the presence of a TTL. The answer is BadArguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("no create mode has the flags {flags} and the ttl {ttl_ms:?}")]
pub struct UnknownCreateMode {
    /// The flags.
    pub flags: i32,
    /// The time to live in milliseconds, which only createTTL carries.
    pub ttl_ms: Option<i64>,
}

impl CreateMode {
    /// The mode that a request's flags mean. TTL modes need the TTL that createTTL carries, others must not have one.
    ///
    /// The flags decide, whichever of create, create2 and createContainer brings them. So does ZooKeeper within a multi;
    /// outside it makes a plain znode of a container that is asked for by `create`.
    pub fn from_flags(flags: i32, ttl_ms: Option<i64>) -> Result<CreateMode, UnknownCreateMode> {
        match (flags, ttl_ms) {
            (0, None) => Ok(CreateMode::Persistent),
            (1, None) => Ok(CreateMode::Ephemeral),
            (2, None) => Ok(CreateMode::PersistentSequential),
            (3, None) => Ok(CreateMode::EphemeralSequential),
            (4, None) => Ok(CreateMode::Container),
            (5, Some(ttl_ms)) => Ok(CreateMode::Ttl(ttl_ms)),
            (6, Some(ttl_ms)) => Ok(CreateMode::TtlSequential(ttl_ms)),
            _ => Err(UnknownCreateMode { flags, ttl_ms }),
        }
    }

    /// The flags on the wire.
    pub fn flags(self) -> i32 {
        match self {
            CreateMode::Persistent => 0,
            CreateMode::Ephemeral => 1,
            CreateMode::PersistentSequential => 2,
            CreateMode::EphemeralSequential => 3,
            CreateMode::Container => 4,
            CreateMode::Ttl(_) => 5,
            CreateMode::TtlSequential(_) => 6,
        }
    }

    /// The time to live in milliseconds, of the modes that have one.
    pub fn ttl_ms(self) -> Option<i64> {
        match self {
            CreateMode::Ttl(ttl_ms) | CreateMode::TtlSequential(ttl_ms) => Some(ttl_ms),
            _ => None,
        }
    }

    /// Whether it goes with the session.
    pub fn is_ephemeral(self) -> bool {
        matches!(self, CreateMode::Ephemeral | CreateMode::EphemeralSequential)
    }

    /// Whether the server appends a number to its name.
    pub fn is_sequential(self) -> bool {
        use CreateMode::{EphemeralSequential, PersistentSequential, TtlSequential};
        matches!(self, PersistentSequential | EphemeralSequential | TtlSequential(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_lead_back_and_only_with_the_ttl_that_belongs_to_them() {
        let mut modes = 0;
        for flags in -1..8 {
            for ttl_ms in [None, Some(60_000)] {
                match CreateMode::from_flags(flags, ttl_ms) {
                    Ok(mode) => {
                        modes += 1;
                        assert_eq!((mode.flags(), mode.ttl_ms()), (flags, ttl_ms));
                    }
                    Err(unknown) => assert_eq!(unknown, UnknownCreateMode { flags, ttl_ms }),
                }
            }
        }
        assert_eq!(modes, 7);
    }

    #[test]
    fn of_the_plain_flags_one_bit_is_ephemeral_and_one_sequential() {
        for flags in 0..4 {
            let mode = CreateMode::from_flags(flags, None).unwrap();
            assert_eq!((mode.is_ephemeral(), mode.is_sequential()), (flags & 1 != 0, flags & 2 != 0));
        }
        assert!(CreateMode::TtlSequential(1).is_sequential() && !CreateMode::Ttl(1).is_sequential());
    }
}
