//! Why a command failed, in one line that names the path and the reason.

use crate::client::ClientError;
use crate::wire::ErrorCode;
use std::io;
use thiserror::Error;

/// Why a command failed.
#[derive(Debug, Error)]
pub(super) enum Failure {
    /// The server refused.
    #[error("{}: {path}", reason(*.code))]
    Refused {
        /// What it was about.
        path: String,
        /// Why.
        code: ErrorCode,
    },
    /// The connection or the session is in trouble.
    #[error(transparent)]
    Client(ClientError),
    /// The output does not take any more.
    #[error("cannot print: {0}")]
    Output(#[from] io::Error),
}

impl Failure {
    /// A call about `path` failed.
    pub(super) fn at(path: &str, error: ClientError) -> Failure {
        match error.code() {
            Some(code) => Failure::Refused { path: path.to_owned(), code },
            None => Failure::Client(error),
        }
    }
}

fn reason(code: ErrorCode) -> String {
    let known = match code {
        ErrorCode::NoNode => "no such znode",
        ErrorCode::NodeExists => "the znode exists already",
        ErrorCode::NotEmpty => "the znode has children",
        ErrorCode::BadVersion => "the znode has another version",
        ErrorCode::NoAuth => "the ACL forbids it",
        ErrorCode::NoChildrenForEphemerals => "the parent is ephemeral and has no children",
        ErrorCode::BadArguments => "invalid path or argument",
        ErrorCode::QuotaExceeded => "a quota would be exceeded",
        ErrorCode::NotReadOnly => "the server only reads at the moment",
        ErrorCode::SessionExpired => "the session has expired",
        ErrorCode::SessionMoved => "the session has moved to another server",
        ErrorCode::Unimplemented => "the server does not have this operation",
        _ => return format!("the server answered {code}"),
    };
    known.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_reason_and_the_path() {
        let line = |error: ClientError| Failure::at("/a/b", error).to_string();
        assert_eq!(line(ErrorCode::NoNode.into()), "no such znode: /a/b");
        assert_eq!(line(ErrorCode::SystemError.into()), "the server answered SystemError (-1): /a/b");
        assert_eq!(line(ClientError::Expired), "the session has expired");
    }
}
