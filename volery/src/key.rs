//! Variables: the units of state that partitions read from one another. They are cut so that little crosses.
//!
//! A create at a boundary sends the parent's facts and whether the name is taken, one way; a delete sends the child's facts
//! one way and the parent's the other. Data cross only where a command reads them in several partitions at once, children's
//! names likewise. *Derived* variables are read and never written: a partition makes their values up from the others.

use crate::placement::Placement;
use crate::session::{SessionId, SessionRecord};
use crate::wire::Names;
use crate::znode::Facts;
use crate::zxid::Zxid;
use bytes::Bytes;
use eyrie::{Epoch, PartitionId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The name of a variable.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Key {
    /// The [`Facts`](Value::Facts) of a znode, at its own partition. It exists while the znode does.
    Facts(Arc<str>),
    /// Its [`Data`](Value::Data), there too.
    Data(Arc<str>),
    /// That a znode has a [`Child`](Value::Child) of this name: parent and name, at the parent's partition.
    Child(Arc<str>, Arc<str>),
    /// A session's [record](Value::Session), at its home.
    Session(SessionId),
    /// The [epoch](Value::Epoch) in which a session is attached at a partition.
    Attachment(PartitionId, SessionId),
    /// The [number](Value::Epoch) of the reign of a partition, counted by its leaders.
    Reign(PartitionId),
    /// Derived: the [list](Value::Listing) of the names of a znode's children, in order, at the znode's partition. Each read makes
    /// a piece of the list, until it is whole.
    Children(Arc<str>),
    /// Derived: how many znodes of a partition are below a path; a [count](Value::Count).
    Descendants(PartitionId, Arc<str>),
    /// Derived: the next [paths](Value::Names) of a session's ephemerals in a partition behind a path, in order; at most
    /// [`PATHS_MAX`](crate::variables::PATHS_MAX), and less only at the end.
    Ephemerals(PartitionId, SessionId, Arc<str>),
    /// Derived: likewise of a session's ephemerals whose parents are in a partition.
    EphemeralChildren(PartitionId, SessionId, Arc<str>),
    /// Derived: a zxid that no znode of a partition is [newer](Value::Newest) than that changes when a session ends.
    Owned(PartitionId, SessionId),
}

impl Key {
    /// Where the variable lives.
    pub fn partition(&self, placement: &Placement) -> PartitionId {
        match self {
            Key::Facts(path) | Key::Data(path) | Key::Child(path, _) | Key::Children(path) => {
                placement.of(path)
            }
            Key::Session(session) => session.home(placement.partitions()),
            Key::Attachment(partition, _)
            | Key::Reign(partition)
            | Key::Descendants(partition, _)
            | Key::Ephemerals(partition, ..)
            | Key::EphemeralChildren(partition, ..)
            | Key::Owned(partition, _) => *partition,
        }
    }
}

/// The value of a variable. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Value {
    /// What is known of a znode besides its data.
    Facts(Facts),
    /// A znode's data; null is not empty.
    Data(Option<Bytes>),
    /// The session that a child goes with, if it is an ephemeral: so its parent's partition can let it go by itself.
    Child(Option<SessionId>),
    /// A session's record.
    Session(SessionRecord),
    /// An epoch of a session, or the number of a reign.
    Epoch(Epoch),
    /// Names or paths.
    Names(Arc<[Arc<str>]>),
    /// A number.
    Count(u64),
    /// A zxid.
    Newest(Zxid),
    /// A list of names; `None` while more of it is to be made.
    Listing(Option<Names>),
}

impl Value {
    /// Whether it is what a variable of this name holds.
    pub fn fits(&self, key: &Key) -> bool {
        match key {
            Key::Facts(_) => matches!(self, Value::Facts(_)),
            Key::Data(_) => matches!(self, Value::Data(_)),
            Key::Child(..) => matches!(self, Value::Child(_)),
            Key::Session(_) => matches!(self, Value::Session(_)),
            Key::Attachment(..) | Key::Reign(_) => matches!(self, Value::Epoch(_)),
            Key::Children(_) => matches!(self, Value::Listing(_)),
            Key::Descendants(..) => matches!(self, Value::Count(_)),
            Key::Ephemerals(..) | Key::EphemeralChildren(..) => matches!(self, Value::Names(_)),
            Key::Owned(..) => matches!(self, Value::Newest(_)),
        }
    }
}

/// The value as what its key stands for. Variables are written by this service, and what comes from other nodes is looked at
/// ([`Value::fits`]), so anything else is a broken invariant.
macro_rules! accessors {
    ($($name:ident $variant:ident $inside:ty),*) => {
        impl Value {
            $(pub(crate) fn $name(self) -> $inside {
                match self {
                    Value::$variant(inside) => inside,
                    other => panic!(concat!("a variable holds {:?} where ", stringify!($variant), " belongs"), other),
                }
            })*
        }
    };
}

accessors! {
    into_facts Facts Facts,
    into_data Data Option<Bytes>,
    into_child Child Option<SessionId>,
    into_session Session SessionRecord,
    into_epoch Epoch Epoch,
    into_names Names Arc<[Arc<str>]>,
    into_count Count u64,
    into_newest Newest Zxid,
    into_listing Listing Option<Names>
}
