//! Why a call brought nothing.

use super::OUTSTANDING_MAX;
use crate::wire::ErrorCode;
use std::time::Duration;
use thiserror::Error;

/// Why a call brought nothing: the connection's trouble, or the server's answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ClientError {
    /// No server could be reached, or none went through with the handshake.
    #[error("cannot connect to {servers}: {reason}")]
    Unreachable {
        /// The addresses tried.
        servers: String,
        /// What the last of them failed with.
        reason: String,
    },
    /// The connection is gone. Whether requests without an answer took effect is unknown.
    #[error("the connection was lost: {0}")]
    Lost(String),
    /// The answer did not come, and the connection was given up. Whether the request took effect is unknown.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// The server does not have the session any more, nor its ephemeral znodes.
    #[error("the session has expired")]
    Expired,
    /// As many requests are outstanding as are allowed; nothing was sent.
    #[error("{OUTSTANDING_MAX} replies are waiting to be received")]
    WindowFull,
    /// The server refused, and nothing was changed.
    #[error("the server answered {0}")]
    Refused(#[from] ErrorCode),
    /// The server refused a multi because of one operation, and nothing was changed.
    #[error("operation {at} of the multi failed: {code}")]
    MultiFailed {
        /// The operation's index.
        at: usize,
        /// Why it failed.
        code: ErrorCode,
    },
}

impl ClientError {
    /// The server's reason, where it was the server that refused.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            ClientError::Refused(code) | ClientError::MultiFailed { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Whether the request may have taken effect all the same.
    pub fn is_outcome_unknown(&self) -> bool {
        matches!(self, ClientError::Lost(_) | ClientError::TimedOut(_))
    }
}
