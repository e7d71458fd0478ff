//! What the links have done.

/// Plain numbers since the start, over all peers and channels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkCounts {
    /// Messages put into outputs.
    pub messages_sent: u64,
    /// Bytes of the frames put into outputs, those of the links themselves included.
    pub bytes_sent: u64,
    /// Messages received.
    pub messages_received: u64,
    /// Bytes received on connections that are known.
    pub bytes_received: u64,
    /// Heartbeats put into outputs.
    pub heartbeats_sent: u64,
    /// Messages that were dropped because the channel was down, or went down before they had left.
    pub dropped_down: u64,
    /// Messages that were dropped because the outbox of a channel that drops was full.
    pub dropped_full: u64,
    /// Bytes that came of a connection after it was replaced or closed.
    pub bytes_late: u64,
    /// Channels that have come up.
    pub ups: u64,
    /// Of these, those that had been up before.
    pub reconnects: u64,
    /// Connections broken because the outbox of a channel that reconnects was full.
    pub broken_full: u64,
    /// Connections broken because nothing came for too long, or no answer to a hello.
    pub broken_silent: u64,
    /// Dials that reached nobody.
    pub dials_failed: u64,
    /// Connections that this node refused.
    pub refused_by_us: u64,
    /// Connections that the other end refused.
    pub refused_by_them: u64,
    /// Accepted connections closed at once, because too many had not introduced themselves.
    pub crowded_out: u64,
}
