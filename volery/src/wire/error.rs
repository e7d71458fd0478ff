//! The outcomes that a client is told of.

use super::numbered::numbered;
use super::{Malformed, Reader};
use serde::{Deserialize, Serialize};

numbered! {
    /// Why an operation failed, as an [error value](std::error::Error). Success is no variant of it: on the wire that is
    /// 0, here the other side of a `Result` or a `None`.
    #[derive(Serialize, Deserialize)]
    "error code" ErrorCode {
        /// The server failed.
        SystemError = -1,
        /// In a multi: not done, because an earlier operation failed.
        RuntimeInconsistency = -2,
        /// The connection was lost; the outcome is unknown.
        ConnectionLoss = -4,
        /// The request could not be read.
        MarshallingError = -5,
        /// The server does not have this operation.
        Unimplemented = -6,
        /// It took too long.
        OperationTimeout = -7,
        /// The request makes no sense: a path, flag or value is invalid.
        BadArguments = -8,
        /// The new ensemble would have no quorum.
        NewConfigNoQuorum = -13,
        /// Another change of the ensemble is under way.
        ReconfigInProgress = -14,
        /// There is no such znode.
        NoNode = -101,
        /// The ACL forbids it.
        NoAuth = -102,
        /// The version is not the one expected.
        BadVersion = -103,
        /// Ephemeral znodes have no children.
        NoChildrenForEphemerals = -108,
        /// There is already such a znode.
        NodeExists = -110,
        /// The znode has children.
        NotEmpty = -111,
        /// The session is over.
        SessionExpired = -112,
        /// A client library was called wrongly.
        InvalidCallback = -113,
        /// The ACL is empty, or names an identity that is none.
        InvalidAcl = -114,
        /// The credentials are wrong.
        AuthFailed = -115,
        /// The session has moved to another server.
        SessionMoved = -118,
        /// This server only reads at the moment.
        NotReadOnly = -119,
        /// A local session has no ephemeral znodes.
        EphemeralOnLocalSession = -120,
        /// There is no such watch.
        NoWatcher = -121,
        /// A client library gave up waiting.
        RequestTimeout = -122,
        /// The ensemble may not be changed through clients.
        ReconfigDisabled = -123,
        /// Only sessions that authenticate by SASL are served.
        SessionClosedRequireSaslAuth = -124,
        /// A quota would be exceeded.
        QuotaExceeded = -125,
        /// The server is overloaded and has not looked at the request.
        ThrottledOp = -127,
    }
}

impl std::error::Error for ErrorCode {}

impl ErrorCode {
    /// Reads a code; `None` is 0, success.
    pub(super) fn read(reader: &mut Reader) -> Result<Option<ErrorCode>, Malformed> {
        match reader.int()? {
            0 => Ok(None),
            number => Ok(Some(ErrorCode::try_from(number)?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_leads_back() {
        for &code in ErrorCode::ALL {
            assert_eq!(ErrorCode::try_from(code.number()), Ok(code));
        }
    }

    #[test]
    fn success_is_not_an_error() {
        assert_eq!(ErrorCode::try_from(0).unwrap_err().to_string(), "no error code has the number 0");
    }

    #[test]
    fn it_is_shown_with_its_number() {
        assert_eq!(ErrorCode::NoNode.to_string(), "NoNode (-101)");
    }
}
