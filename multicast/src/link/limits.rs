//! The bounds of a node's links.

use super::channel::Channel;

/// The most bytes a frame may carry, its header apart. A longer one is refused before room is made for it.
pub const FRAME_BYTES_MAX: usize = 16 << 20;
/// The most bytes that wait for one peer on [`Channel::Ring`].
pub const RING_OUTBOX_BYTES_MAX: usize = 64 << 20;
/// The most bytes that wait for one peer on [`Channel::Exchange`].
pub const EXCHANGE_OUTBOX_BYTES_MAX: usize = 32 << 20;
/// The most bytes that wait for one peer on [`Channel::Bulk`]. A peer asks for one piece at a time.
pub const BULK_OUTBOX_BYTES_MAX: usize = 32 << 20;
/// The most accepted connections that have not said yet, to the end, who they are; a further one is closed at once.
pub const HANDSHAKES_MAX: usize = 256;

/// What the links may take. `frame_bytes` must be alike on all nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkLimits {
    /// Cap on what one frame carries.
    pub frame_bytes: usize,
    /// Cap on what waits for a peer on [`Channel::Ring`], in bytes of frames.
    pub ring_outbox_bytes: usize,
    /// Cap on what waits for a peer on [`Channel::Exchange`], in bytes of frames.
    pub exchange_outbox_bytes: usize,
    /// Cap on what waits for a peer on [`Channel::Bulk`], in bytes of frames.
    pub bulk_outbox_bytes: usize,
}

impl Default for LinkLimits {
    fn default() -> LinkLimits {
        LinkLimits {
            frame_bytes: FRAME_BYTES_MAX,
            ring_outbox_bytes: RING_OUTBOX_BYTES_MAX,
            exchange_outbox_bytes: EXCHANGE_OUTBOX_BYTES_MAX,
            bulk_outbox_bytes: BULK_OUTBOX_BYTES_MAX,
        }
    }
}

impl LinkLimits {
    pub(super) fn outbox_bytes(&self, channel: Channel) -> usize {
        match channel {
            Channel::Ring => self.ring_outbox_bytes,
            Channel::Exchange => self.exchange_outbox_bytes,
            Channel::Bulk => self.bulk_outbox_bytes,
        }
    }
}
