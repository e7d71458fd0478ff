//! What a gateway needs to know of the configuration.

use crate::gateway::Bound;
use crate::session::{Password, SessionId};
use crate::wire::REPLY_BYTES_MAX;
use sha1::{Digest, Sha1};
use std::path::PathBuf;

/// What a gateway may take of its clients, and hold for them. A simulator scales it down.
///
/// Invariant: `reply_bytes` is at least four times the longest request, so that it is no write's result that is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GatewayLimits {
    /// The longest body of a reply in bytes; what would be longer is answered with MarshallingError.
    pub reply_bytes: usize,
    /// Requests of a connection that wait for their replies; it is not read beyond.
    pub outstanding: usize,
    /// Commands of the node that wait for their answers; no client is read beyond.
    pub in_flight: u64,
    /// Bytes of a connection's requests that wait for their replies; it is not read beyond.
    pub accepted_bytes: usize,
    /// The same of all connections; one that has more than its share is not read beyond.
    pub accepted_bytes_of_all: usize,
    /// Bytes that the replies to a connection's requests under way may take, by what was seen of it; no more are executed beyond.
    pub promised_bytes: usize,
    /// Bytes of a connection's output; it is neither read, nor replied to, beyond.
    pub output_bytes: usize,
    /// The same of all connections; one that has more than its share is neither read nor replied to beyond.
    pub output_bytes_of_all: usize,
    /// Bytes of a connection's output and of notifications behind it; it is closed beyond.
    pub notified_bytes: usize,
    /// Bytes of replies made in one go; the rest is made in the next turn.
    pub turn_bytes: usize,
    /// Bytes of a connection's watches; a request that would arm one is refused with ThrottledOp beyond.
    pub watch_bytes: usize,
    /// The same of all connections; one that has more than its share is refused beyond.
    pub watch_bytes_of_all: usize,
    /// How long a connection may take none of its output before it is closed, if its session's timeout is not longer.
    pub slow_ms: u64,
    /// The same while all have as much output as they may; and how long a request may take to come while all have as many bytes
    /// of requests as they may.
    pub slow_when_full_ms: u64,
}

impl GatewayLimits {
    /// The bound on bytes of requests.
    pub fn accepted(&self) -> Bound {
        Bound { each: self.accepted_bytes, all: self.accepted_bytes_of_all }
    }

    /// The bound on bytes of output.
    pub fn output(&self) -> Bound {
        Bound { each: self.output_bytes, all: self.output_bytes_of_all }
    }

    /// The bound on bytes of watches.
    pub fn watches(&self) -> Bound {
        Bound { each: self.watch_bytes, all: self.watch_bytes_of_all }
    }
}

impl Default for GatewayLimits {
    fn default() -> GatewayLimits {
        GatewayLimits {
            reply_bytes: REPLY_BYTES_MAX,
            outstanding: 1_000,
            in_flight: 50_000,
            accepted_bytes: 4 << 20,
            accepted_bytes_of_all: 256 << 20,
            promised_bytes: 4 << 20,
            output_bytes: 1 << 20,
            output_bytes_of_all: 256 << 20,
            notified_bytes: 64 << 20,
            turn_bytes: 8 << 20,
            watch_bytes: 256 << 20,
            watch_bytes_of_all: 1 << 30,
            slow_ms: 30_000,
            slow_when_full_ms: 5_000,
        }
    }
}

/// What a gateway needs to know.
#[derive(Clone, Debug)]
pub struct GatewayConfig {
    /// The node's number.
    pub node: u16,
    /// Where clients connect.
    pub port: u16,
    /// Where the node keeps its data.
    pub data_directory: PathBuf,
    /// ZooKeeper's tick.
    pub tick_ms: u32,
    /// The shortest session timeout.
    pub session_timeout_min_ms: u32,
    /// The longest session timeout.
    pub session_timeout_max_ms: u32,
    /// The longest request in bytes.
    pub frame_bytes_max: usize,
    /// What it may take and hold.
    pub limits: GatewayLimits,
    /// The digest of the superuser.
    pub super_digest: Option<String>,
    /// What session passwords are made of.
    pub secret: [u8; 20],
}

impl GatewayConfig {
    /// The timeout that a client gets for the one it asks for.
    pub fn negotiate(&self, asked_ms: i32) -> u32 {
        let asked_ms = u32::try_from(asked_ms).unwrap_or(0);
        asked_ms.clamp(self.session_timeout_min_ms, self.session_timeout_max_ms)
    }

    /// A session's password: nobody who does not know the secret can guess it.
    pub fn password_of(&self, session: SessionId) -> Password {
        let hash = Sha1::new().chain_update(self.secret).chain_update(session.0.to_be_bytes()).finalize();
        let mut password = [0; 16];
        password.copy_from_slice(&hash[..16]);
        Password(password)
    }
}
