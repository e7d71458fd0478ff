//! A znode as a client can know it, and the facts that replies tell of it.

use super::names::Data;
use volery::wire::Stat;
use volery::znode::next_version;

/// A zxid that a Stat shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Zxid {
    /// It is this one.
    Is(i64),
    /// No reply has shown it yet. It is greater than this one.
    Beyond(i64),
}

/// What there is under a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Znode {
    /// Nothing.
    Absent {
        /// The zxid beyond which one will be created.
        beyond: i64,
    },
    /// A znode.
    Present(Present),
}

/// A znode that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Present {
    /// What created it.
    pub czxid: Zxid,
    /// What last set its data.
    pub mzxid: Zxid,
    /// How often its data were set.
    pub version: i32,
    /// Its data.
    pub data: Data,
    /// The session it goes with, or 0.
    pub owner: i64,
}

/// The part of a Stat that the znode's own history decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    czxid: i64,
    mzxid: i64,
    version: i32,
    owner: i64,
    data_length: i32,
}

/// Something true of a znode when an operation happened, or done to it by the operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// There was none.
    Absent,
    /// There was one.
    There {
        /// Whether it was ephemeral, if that is known.
        is_ephemeral: Option<bool>,
    },
    /// There was one with this Stat.
    Seen(Seen),
    /// There was one with these data.
    Holds(Data),
    /// Its version passed a check for this one; -1 is any.
    Version(i32),
    /// Its version did not pass a check for this one.
    OtherVersion(i32),
    /// It was created.
    Created {
        /// With which data.
        data: Data,
        /// The session it goes with, or 0.
        owner: i64,
    },
    /// Its data were replaced by these.
    Set(Data),
    /// It was deleted.
    Deleted,
    /// This session ended, and the znode with it if it was the session's.
    Ended(i64),
}

impl Zxid {
    /// What the zxid of any later change is beyond.
    fn bound(self) -> i64 {
        match self {
            Zxid::Is(zxid) | Zxid::Beyond(zxid) => zxid,
        }
    }

    fn fits(self, shown: i64) -> bool {
        match self {
            Zxid::Is(zxid) => shown == zxid,
            Zxid::Beyond(bound) => shown > bound,
        }
    }

    /// The zxid of a change of what was changed last at `bound`; `None` if it goes back.
    fn after(bound: i64, zxid: Option<i64>) -> Option<Zxid> {
        match zxid {
            Some(zxid) => (zxid > bound).then_some(Zxid::Is(zxid)),
            None => Some(Zxid::Beyond(bound)),
        }
    }
}

impl Seen {
    /// The part of `stat`.
    pub fn of(stat: &Stat) -> Seen {
        let &Stat { czxid, mzxid, version, ephemeral_owner: owner, data_length, .. } = stat;
        Seen { czxid, mzxid, version, owner, data_length }
    }
}

impl Znode {
    /// The greatest zxid known to be of a change here.
    fn bound(&self) -> i64 {
        match self {
            Znode::Absent { beyond } => *beyond,
            Znode::Present(present) => present.mzxid.bound().max(present.czxid.bound()),
        }
    }

    fn present(&self) -> Option<&Present> {
        match self {
            Znode::Absent { .. } => None,
            Znode::Present(present) => Some(present),
        }
    }

    /// This znode after a fact about it; `None` if it contradicts. `before` is the znode as the operation found it, and
    /// `zxid` the operation's, if it is known: an operation may change a znode twice, under one zxid.
    pub fn step(&self, fact: &Fact, before: &Znode, zxid: Option<i64>) -> Option<Znode> {
        match (self.present(), *fact) {
            (None, Fact::Absent | Fact::Ended(_)) => Some(*self),
            (None, Fact::Created { data, owner }) => {
                let zxid = Zxid::after(before.bound(), zxid)?;
                Some(Znode::Present(Present { czxid: zxid, mzxid: zxid, version: 0, data, owner }))
            }
            (None, _) | (Some(_), Fact::Absent | Fact::Created { .. }) => None,
            (Some(present), Fact::There { is_ephemeral }) => {
                is_ephemeral.is_none_or(|is| is == (present.owner != 0)).then_some(*self)
            }
            (Some(present), Fact::Seen(seen)) => present.seen_as(seen).map(Znode::Present),
            (Some(present), Fact::Holds(data)) => (present.data == data).then_some(*self),
            (Some(present), Fact::Version(expected)) => {
                (expected == -1 || expected == present.version).then_some(*self)
            }
            (Some(present), Fact::OtherVersion(expected)) => {
                (expected != -1 && expected != present.version).then_some(*self)
            }
            (Some(present), Fact::Set(data)) => {
                let mzxid = Zxid::after(before.bound(), zxid)?;
                let version = next_version(present.version);
                Some(Znode::Present(Present { mzxid, version, data, ..*present }))
            }
            (Some(present), Fact::Ended(session)) if present.owner != session => Some(*self),
            (Some(_), Fact::Deleted | Fact::Ended(_)) => Some(Znode::Absent { beyond: self.bound() }),
        }
    }
}

impl Present {
    /// This znode, with what the Stat shows of it; `None` if the Stat is another's.
    fn seen_as(&self, seen: Seen) -> Option<Present> {
        let Seen { czxid, mzxid, version, owner, data_length } = seen;
        let fits = self.version == version
            && self.owner == owner
            && self.data.length == data_length
            && self.czxid.fits(czxid)
            && self.mzxid.fits(mzxid)
            && czxid <= mzxid
            && (version != 0 || czxid == mzxid);
        fits.then_some(Present { czxid: Zxid::Is(czxid), mzxid: Zxid::Is(mzxid), ..*self })
    }
}

impl Fact {
    /// Whether it changes the znode.
    pub fn is_change(&self) -> bool {
        matches!(self, Fact::Created { .. } | Fact::Set(_) | Fact::Deleted | Fact::Ended(_))
    }
}
