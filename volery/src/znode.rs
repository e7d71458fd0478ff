//! What is known of a znode besides its data and its children's names.

use crate::session::SessionId;
use crate::wire::{Acl, Permissions, Stat};
use crate::zxid::Zxid;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The longest time to live that ZooKeeper takes, in milliseconds: 40 bits.
pub const TTL_MS_MAX: i64 = 0xff_ffff_ffff;

/// When a znode goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// When it is deleted.
    Persistent,
    /// When this session ends.
    Ephemeral(SessionId),
    /// Some time after its last child has gone.
    Container,
    /// When it has no children and was not modified for so many milliseconds of its partition's age.
    Ttl(u64),
}

/// The facts of a znode. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Facts {
    /// The zxid that created it.
    pub czxid: Zxid,
    /// The zxid that last set its data.
    pub mzxid: Zxid,
    /// The zxid that last created or deleted a child.
    pub pzxid: Zxid,
    /// When it was created, by its leader's wall clock.
    pub ctime_ms: u64,
    /// When its data were last set, by its leader's wall clock; for clients to see, and nothing else.
    pub mtime_ms: u64,
    /// How often its data were set.
    pub version: i32,
    /// How often its list was set.
    pub aversion: i32,
    /// How many children it ever had, on which sequential names count; wraps around.
    pub creates: i32,
    /// How many it has.
    pub num_children: i32,
    /// Bytes of its data.
    pub data_length: i32,
    /// When it goes.
    pub kind: Kind,
    /// Who may do what.
    pub acl: Arc<[Acl]>,
}

impl Facts {
    /// A new znode without children or data.
    pub fn new(zxid: Zxid, time_ms: u64, kind: Kind, acl: Arc<[Acl]>) -> Facts {
        Facts {
            czxid: zxid,
            mzxid: zxid,
            pzxid: zxid,
            ctime_ms: time_ms,
            mtime_ms: time_ms,
            version: 0,
            aversion: 0,
            creates: 0,
            num_children: 0,
            data_length: 0,
            kind,
            acl,
        }
    }

    /// A znode that is there from the start, with so many children, as ZooKeeper's fresh tree has it.
    pub fn from_the_start(num_children: i32, permissions: Permissions) -> Facts {
        let acl = Arc::from([Acl::world(permissions)]);
        Facts { num_children, ..Facts::new(Zxid::ZERO, 0, Kind::Persistent, acl) }
    }

    /// The zxid of the last change.
    pub fn newest(&self) -> Zxid {
        self.czxid.max(self.mzxid).max(self.pzxid)
    }

    /// The session that it goes with.
    pub fn owner(&self) -> Option<SessionId> {
        match self.kind {
            Kind::Ephemeral(session) => Some(session),
            _ => None,
        }
    }

    /// How long after its last modification the znode goes by itself; `None` if it does not, or has children. A container
    /// that never had a child waits for its first.
    pub fn lifetime_ms(&self) -> Option<u64> {
        match self.kind {
            _ if self.num_children != 0 => None,
            Kind::Container if self.creates != 0 => Some(0),
            Kind::Ttl(ttl_ms) => Some(ttl_ms),
            _ => None,
        }
    }

    /// Notes that a child was created.
    pub fn gain_child(&mut self, zxid: Zxid) {
        self.creates = self.creates.wrapping_add(1);
        self.num_children += 1;
        self.pzxid = zxid;
    }

    /// Notes that a child was deleted.
    pub fn lose_child(&mut self, zxid: Zxid) {
        self.num_children -= 1;
        self.pzxid = zxid;
    }

    /// The znode's Stat. Clients see both creations and deletions of children in `cversion`, and the owner of ephemerals
    /// alone.
    pub fn stat(&self) -> Stat {
        Stat {
            czxid: self.czxid.to_wire(),
            mzxid: self.mzxid.to_wire(),
            ctime: self.ctime_ms as i64,
            mtime: self.mtime_ms as i64,
            version: self.version,
            cversion: self.creates.wrapping_mul(2).wrapping_sub(self.num_children),
            aversion: self.aversion,
            ephemeral_owner: self.owner().map_or(0, |session| session.0 as i64),
            data_length: self.data_length,
            num_children: self.num_children,
            pzxid: self.pzxid.to_wire(),
        }
    }
}

/// The version after `version`. It skips −1, which a client could not ask for: that stands for any.
pub fn next_version(version: i32) -> i32 {
    match version.wrapping_add(1) {
        -1 => 0,
        next => next,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(kind: Kind) -> Facts {
        Facts::new(Zxid::from_wire(64), 1_000, kind, Acl::open_unsafe().into())
    }

    #[test]
    fn cversion_counts_creations_and_deletions() {
        let mut facts = facts(Kind::Persistent);
        facts.gain_child(Zxid::from_wire(128));
        facts.gain_child(Zxid::from_wire(192));
        facts.lose_child(Zxid::from_wire(256));
        let stat = facts.stat();
        assert_eq!((stat.cversion, stat.num_children, stat.pzxid, stat.mzxid), (3, 1, 256, 64));
        facts.creates = i32::MAX;
        facts.gain_child(Zxid::from_wire(320));
        assert_eq!((facts.creates, facts.stat().cversion), (i32::MIN, -2));
        assert_eq!(
            Facts::from_the_start(1, Permissions::ALL).stat().cversion,
            -1,
            "ZooKeeper's fresh root has this"
        );
    }

    #[test]
    fn only_ephemerals_show_an_owner() {
        let owner = |kind| facts(kind).stat().ephemeral_owner;
        assert_eq!(owner(Kind::Ephemeral(SessionId(u64::MAX))), -1);
        assert_eq!((owner(Kind::Container), owner(Kind::Ttl(9)), owner(Kind::Persistent)), (0, 0, 0));
    }

    #[test]
    fn what_goes_by_itself_and_when() {
        assert_eq!(facts(Kind::Persistent).lifetime_ms(), None);
        assert_eq!(facts(Kind::Ttl(500)).lifetime_ms(), Some(500));
        let mut container = facts(Kind::Container);
        assert_eq!(container.lifetime_ms(), None, "it had no child yet");
        container.gain_child(Zxid::from_wire(128));
        assert_eq!(container.lifetime_ms(), None, "it has one");
        container.lose_child(Zxid::from_wire(192));
        assert_eq!(container.lifetime_ms(), Some(0));
    }

    #[test]
    fn versions_skip_the_one_that_stands_for_any() {
        assert_eq!((next_version(0), next_version(i32::MAX), next_version(-2)), (1, i32::MIN, 0));
    }
}
