//! Watches: what they tell, and the numbers by which clients set and remove them.

use super::numbered::numbered;
use super::{Malformed, Reader, Record, ReplyHeader, XID_NOTIFICATION, put_string, write_frame};
use bytes::{BufMut, BytesMut};
use std::sync::Arc;

numbered! {
    /// What has happened to a path. The kinds from 5 on are made by client libraries for themselves.
    "event type" EventType {
        /// Nothing: the event tells of the connection's state.
        None = -1,
        /// The znode was created.
        NodeCreated = 1,
        /// The znode was deleted.
        NodeDeleted = 2,
        /// The znode's data were replaced.
        NodeDataChanged = 3,
        /// A child was created or deleted.
        NodeChildrenChanged = 4,
        /// A watch on the data was removed.
        DataWatchRemoved = 5,
        /// A watch on the children was removed.
        ChildWatchRemoved = 6,
        /// A persistent watch was removed.
        PersistentWatchRemoved = 7,
    }
}

numbered! {
    /// The connection's state, as every event carries it.
    "connection state" KeeperState {
        /// Not connected.
        Disconnected = 0,
        /// Connected, the normal case.
        SyncConnected = 3,
        /// The credentials were wrong.
        AuthFailed = 4,
        /// Connected to a server that only reads.
        ConnectedReadOnly = 5,
        /// Authenticated by SASL.
        SaslAuthenticated = 6,
        /// Closed by the client.
        Closed = 7,
        /// The session is over.
        Expired = -112,
    }
}

numbered! {
    /// The watches that checkWatches asks for and removeWatches removes.
    "watcher type" WatcherType {
        /// One-shot watches on the children.
        Children = 1,
        /// One-shot watches on the data, or on the existence.
        Data = 2,
        /// All kinds.
        Any = 3,
        /// Persistent watches.
        Persistent = 4,
        /// Persistent watches of the subtree.
        PersistentRecursive = 5,
    }
}

numbered! {
    /// The watches that addWatch sets.
    "add-watch mode" AddWatchMode {
        /// On the data and children of one znode, until removed.
        Persistent = 0,
        /// On the whole subtree, until removed; without NodeChildrenChanged, which the created and deleted tell.
        PersistentRecursive = 1,
    }
}

/// The body of a notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatcherEvent {
    /// What has happened.
    pub kind: EventType,
    /// The connection's state.
    pub state: KeeperState,
    /// The path it has happened to.
    pub path: Arc<str>,
}

impl WatcherEvent {
    /// Appends the notification as a frame. `zxid` is that of the change, as in 3.9; older servers send -1.
    pub fn write_frame(&self, zxid: i64, output: &mut BytesMut) {
        write_frame(output, |output| {
            ReplyHeader { xid: XID_NOTIFICATION, zxid, error: None }.write(output);
            self.write(output);
        });
    }
}

impl Record for WatcherEvent {
    const BYTES_MIN: usize = 12;

    fn read(reader: &mut Reader) -> Result<Self, Malformed> {
        Ok(WatcherEvent {
            kind: EventType::try_from(reader.int()?)?,
            state: KeeperState::try_from(reader.int()?)?,
            path: reader.string()?,
        })
    }

    fn write(&self, output: &mut BytesMut) {
        output.put_i32(self.kind.number());
        output.put_i32(self.state.number());
        put_string(output, &self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::arbitrary::{round_trip, text};
    use proptest::prelude::*;
    use proptest::sample::select;

    proptest! {
        #[test]
        fn an_event_round_trips(
            kind in select(EventType::ALL), state in select(KeeperState::ALL), path in text(),
        ) {
            round_trip(WatcherEvent { kind, state, path })?;
        }
    }

    #[test]
    fn the_numbers_lead_back() {
        assert!(WatcherType::ALL.iter().all(|&kind| WatcherType::try_from(kind.number()) == Ok(kind)));
        assert!(AddWatchMode::ALL.iter().all(|&mode| AddWatchMode::try_from(mode.number()) == Ok(mode)));
        let refused = WatcherType::try_from(6).unwrap_err();
        assert_eq!(refused.to_string(), "no watcher type has the number 6");
    }
}
