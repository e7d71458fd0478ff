//! The operations and their numbers.

use super::numbered::numbered;

numbered! {
    /// What a request asks for. Some numbers never come from a client; they are ZooKeeper's names for its own log records.
    "operation" OpCode {
        /// A watch event, pushed by the server.
        Notification = 0,
        /// Creates a znode and answers with its path.
        Create = 1,
        /// Deletes a znode without children.
        Delete = 2,
        /// Reads a znode's Stat; its watch may wait for a znode that is not there.
        Exists = 3,
        /// Reads a znode's data and Stat.
        GetData = 4,
        /// Replaces a znode's data.
        SetData = 5,
        /// Reads a znode's ACL and Stat.
        GetAcl = 6,
        /// Replaces a znode's ACL.
        SetAcl = 7,
        /// Lists the names of a znode's children.
        GetChildren = 8,
        /// Makes this session's later reads see everything written before.
        Sync = 9,
        /// Keeps the session alive.
        Ping = 11,
        /// Lists the names of a znode's children, with its Stat.
        GetChildren2 = 12,
        /// Checks a znode's version, within a multi.
        Check = 13,
        /// Several writes at once, or none of them.
        Multi = 14,
        /// Creates a znode and answers with its path and Stat.
        Create2 = 15,
        /// Changes the ensemble.
        Reconfig = 16,
        /// Asks whether a watch is set.
        CheckWatches = 17,
        /// Takes a watch away.
        RemoveWatches = 18,
        /// Creates a znode that goes when its last child has gone.
        CreateContainer = 19,
        /// Deletes an empty container: internal.
        DeleteContainer = 20,
        /// Creates a znode that goes when unmodified for a time.
        CreateTtl = 21,
        /// Several reads in one request, each with its own outcome.
        MultiRead = 22,
        /// Adds an identity to the connection.
        Auth = 100,
        /// Arms one-shot watches again after a reconnect.
        SetWatches = 101,
        /// One step of a SASL exchange.
        Sasl = 102,
        /// Lists this session's ephemeral znodes below a prefix.
        GetEphemerals = 103,
        /// Counts all descendants of a znode.
        GetAllChildrenNumber = 104,
        /// Arms watches of all kinds again after a reconnect.
        SetWatches2 = 105,
        /// Sets a persistent watch.
        AddWatch = 106,
        /// Lists the identities of the connection.
        WhoAmI = 107,
        /// Begins a session: internal.
        CreateSession = -10,
        /// Ends the session.
        CloseSession = -11,
        /// A failed operation in the log, and in the results of a multi.
        Error = -1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_leads_back_and_the_gaps_lead_nowhere() {
        for &op in OpCode::ALL {
            assert_eq!(OpCode::try_from(op.number()), Ok(op));
        }
        for gap in [10, 23, 99, 108, -2, -12, i32::MIN] {
            assert_eq!(OpCode::try_from(gap).unwrap_err().number, gap);
        }
    }
}
