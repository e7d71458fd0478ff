//! What a gateway needs to know of the configuration.

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
}

impl Default for GatewayLimits {
    fn default() -> GatewayLimits {
        GatewayLimits { reply_bytes: REPLY_BYTES_MAX }
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
