//! Who may do what to a znode.

use super::{Malformed, Reader, Record, put_string};
use bytes::{BufMut, BytesMut};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::BitOr;

/// A set of permissions, one bit each. Bits that mean nothing are kept, as ZooKeeper keeps them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Permissions(pub i32);

impl Permissions {
    /// Read data and children.
    pub const READ: Permissions = Permissions(1);
    /// Write data.
    pub const WRITE: Permissions = Permissions(2);
    /// Create children.
    pub const CREATE: Permissions = Permissions(4);
    /// Delete children.
    pub const DELETE: Permissions = Permissions(8);
    /// Set the ACL.
    pub const ADMIN: Permissions = Permissions(16);
    /// All of these.
    pub const ALL: Permissions = Permissions(31);

    /// Whether all of `other` are in the set.
    pub fn contains(self, other: Permissions) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any of `other` is in the set.
    pub fn intersects(self, other: Permissions) -> bool {
        self.0 & other.0 != 0
    }
}

impl BitOr for Permissions {
    type Output = Permissions;

    fn bitor(self, other: Permissions) -> Permissions {
        Permissions(self.0 | other.0)
    }
}

/// The letters of ZooKeeper's command line, such as `cdrwa` for all.
impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters = [
            (Permissions::CREATE, "c"),
            (Permissions::DELETE, "d"),
            (Permissions::READ, "r"),
            (Permissions::WRITE, "w"),
            (Permissions::ADMIN, "a"),
        ];
        letters.iter().filter(|(one, _)| self.contains(*one)).try_for_each(|(_, letter)| f.write_str(letter))
    }
}

/// One entry of an ACL: permissions of an identity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Acl {
    /// What it may do.
    pub permissions: Permissions,
    /// How the identity is established: `world`, `auth`, `digest`, `ip`, `x509`, `sasl`.
    pub scheme: String,
    /// The identity, in the scheme's own form.
    pub id: String,
}

impl Acl {
    /// An entry for everybody.
    pub fn world(permissions: Permissions) -> Acl {
        Acl { permissions, scheme: "world".to_owned(), id: "anyone".to_owned() }
    }

    /// The ACL that allows everybody everything, ZooKeeper's `OPEN_ACL_UNSAFE`.
    pub fn open_unsafe() -> Vec<Acl> {
        vec![Acl::world(Permissions::ALL)]
    }
}

impl Acl {
    /// How many bytes it takes in a frame.
    pub fn bytes(&self) -> usize {
        Acl::BYTES_MIN + self.scheme.len() + self.id.len()
    }
}

impl Record for Acl {
    const BYTES_MIN: usize = 12;

    fn read(reader: &mut Reader) -> Result<Self, Malformed> {
        Ok(Acl { permissions: Permissions(reader.int()?), scheme: reader.string()?, id: reader.string()? })
    }

    fn write(&self, output: &mut BytesMut) {
        output.put_i32(self.permissions.0);
        put_string(output, &self.scheme);
        put_string(output, &self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::arbitrary::{acl, round_trip};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_round_trips(acl in acl()) {
            round_trip(acl)?;
        }
    }

    #[test]
    fn permissions_are_a_set() {
        let some = Permissions::READ | Permissions::ADMIN;
        assert!(some.contains(Permissions::READ) && !some.contains(Permissions::READ | Permissions::WRITE));
        assert!(
            some.intersects(Permissions::READ | Permissions::WRITE) && !some.intersects(Permissions::WRITE)
        );
        assert_eq!((some.to_string(), Permissions::ALL.to_string()), ("ra".to_owned(), "cdrwa".to_owned()));
    }
}
