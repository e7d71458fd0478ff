//! Why a run ends without a result.

use std::net::SocketAddr;
use volery::wire::ErrorCode;

/// A fault of the environment. Errors that a server replies during a measurement are figures, not faults.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The connection ended, or something came over it that is not the protocol.
    #[error("the connection to {address} was lost: {reason}")]
    ConnectionLost {
        /// The server.
        address: SocketAddr,
        /// What was seen of it.
        reason: String,
    },
    /// What the measurement needs could not be created.
    #[error("{path} could not be prepared: {code}")]
    NotPrepared {
        /// The znode.
        path: String,
        /// The server's answer.
        code: ErrorCode,
    },
    /// A server that the harness runs did not start, or ended.
    #[error("{server}: {reason}")]
    Server {
        /// Which.
        server: String,
        /// What happened, and the last of what it said.
        reason: String,
    },
    /// The command line asks for what cannot be done.
    #[error("{0}")]
    Usage(String),
    /// What an experiment was doing when it failed.
    #[error("{doing}: {failure}")]
    During {
        /// The experiment, its round and its phase.
        doing: String,
        /// What happened.
        failure: Box<Failure>,
    },
    /// A simulated cluster did what it must not.
    #[error("the simulation: {0}")]
    Simulation(String),
    /// The user ended the run.
    #[error("interrupted")]
    Interrupted,
    /// The operating system refused something.
    #[error("{what}: {error}")]
    System {
        /// What was tried.
        what: String,
        /// Its answer.
        error: std::io::Error,
    },
}

impl Failure {
    /// For `map_err`: it happened while something was done.
    pub fn during(doing: impl Into<String>) -> impl FnOnce(Failure) -> Failure {
        let doing = doing.into();
        move |failure| Failure::During { doing, failure: Box::new(failure) }
    }

    /// For `map_err`: the operating system refused `what`.
    pub fn system(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Failure {
        let what = what.into();
        move |error| Failure::System { what, error }
    }
}
