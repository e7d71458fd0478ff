//! The outbox: what waits to be written to one connection.

use super::counts::LinkCounts;
use super::frame::{FRAME_HEADER_BYTES, FrameKind, put_frame};
use super::stream_id::StreamId;
use crate::log::LogPosition;
use bytes::{Bytes, BytesMut};
use std::collections::{BTreeMap, VecDeque};
use thiserror::Error;

/// How often a peer is told how far the log is durable, where nothing that vouches for it does so.
pub(super) const TOLD_EVERY_MS: u64 = 1_000;

/// The outbox has no room for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the outbox is full")]
pub(super) struct Full;

/// Where a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pushed {
    /// Into the output.
    Put,
    /// Behind what it waits for.
    Held,
}

#[derive(Debug)]
struct Held {
    after: LogPosition,
    message: Bytes,
}

impl Held {
    fn frame_bytes(&self) -> usize {
        FRAME_HEADER_BYTES + self.message.len()
    }
}

/// Frames in one contiguous buffer, from which the host removes what it has written, and behind it, by stream, the
/// messages that may not leave yet.
///
/// Invariants:
/// - `held` has no empty queue, and `held_bytes` is the size of all frames in it.
/// - The first of every queue waits for a position that was not durable when the outbox was last told.
#[derive(Debug)]
pub(super) struct Outbox {
    output: BytesMut,
    held: BTreeMap<StreamId, VecDeque<Held>>,
    held_bytes: usize,
    put_ms: u64,
    /// How far the peer knows the log to be durable, and since when.
    told: LogPosition,
    told_ms: u64,
}

impl Outbox {
    pub fn new(now_ms: u64) -> Outbox {
        Outbox {
            output: BytesMut::new(),
            held: BTreeMap::new(),
            held_bytes: 0,
            put_ms: now_ms,
            told: LogPosition::default(),
            told_ms: now_ms,
        }
    }

    /// What is to be written next.
    pub fn output(&mut self) -> &mut BytesMut {
        &mut self.output
    }

    /// Puts a frame of the links themselves: it waits for nothing and always has room, for there are few.
    pub fn put(&mut self, kind: FrameKind, body: &[u8], now_ms: u64, counts: &mut LinkCounts) {
        self.put_ms = now_ms;
        counts.bytes_sent += put_frame(&mut self.output, kind, body) as u64;
    }

    /// Takes a message in: it leaves behind everything earlier of its stream, and once `after` is durable.
    pub fn push(
        &mut self,
        stream: StreamId,
        held: (Option<LogPosition>, Bytes),
        durable: LogPosition,
        bytes_max: usize,
        now_ms: u64,
        counts: &mut LinkCounts,
    ) -> Result<Pushed, Full> {
        let held = Held { after: held.0.unwrap_or_default(), message: held.1 };
        if self.bytes() + held.frame_bytes() > bytes_max {
            return Err(Full);
        }
        if held.after <= durable && !self.held.contains_key(&stream) {
            self.put_message(&held, durable, now_ms, counts);
            Ok(Pushed::Put)
        } else {
            self.held_bytes += held.frame_bytes();
            self.held.entry(stream).or_default().push_back(held);
            Ok(Pushed::Held)
        }
    }

    /// Lets go what waited for nothing beyond `durable`. Says whether that was anything.
    pub fn release(&mut self, durable: LogPosition, now_ms: u64, counts: &mut LinkCounts) -> bool {
        let before = self.held_bytes;
        let mut held = std::mem::take(&mut self.held);
        held.retain(|_, queue| {
            let leaving = queue.iter().take_while(|held| held.after <= durable).count();
            for held in queue.drain(..leaving) {
                self.held_bytes -= held.frame_bytes();
                self.put_message(&held, durable, now_ms, counts);
            }
            !queue.is_empty()
        });
        self.held = held;
        self.held_bytes < before
    }

    /// For how long nothing has been sent.
    pub fn idle_ms(&self, now_ms: u64) -> u64 {
        if self.output.is_empty() { now_ms - self.put_ms } else { 0 }
    }

    /// How many bytes of frames wait here.
    pub fn bytes(&self) -> usize {
        self.output.len() + self.held_bytes
    }

    /// How many messages are held.
    pub fn held(&self) -> u64 {
        self.held.values().map(|queue| queue.len() as u64).sum()
    }

    /// Tells the peer how far the log is durable, if that is news and the last news is some time ago. Says whether it did.
    pub fn tell(&mut self, durable: LogPosition, now_ms: u64, counts: &mut LinkCounts) -> bool {
        let due = durable > self.told && now_ms >= self.told_ms + TOLD_EVERY_MS;
        if due {
            self.put_durable(durable, now_ms, counts);
        }
        due
    }

    fn put_durable(&mut self, durable: LogPosition, now_ms: u64, counts: &mut LinkCounts) {
        (self.told, self.told_ms) = (durable, now_ms);
        self.put(FrameKind::Durable, &durable.0.to_le_bytes(), now_ms, counts);
    }

    /// A peer that hears what vouches for the log knows before how far the log is durable.
    fn put_message(&mut self, held: &Held, durable: LogPosition, now_ms: u64, counts: &mut LinkCounts) {
        if held.after > self.told {
            self.put_durable(durable, now_ms, counts);
        }
        counts.messages_sent += 1;
        self.put(FrameKind::Message, &held.message, now_ms, counts);
    }

    /// Panics unless the invariants hold.
    pub fn check_invariants(&self, durable: LogPosition) {
        let held = self.held.values().flatten();
        assert_eq!(self.held_bytes, held.map(Held::frame_bytes).sum::<usize>());
        for queue in self.held.values() {
            let first = queue.front().expect("no queue is empty");
            assert!(first.after > durable, "what may leave has left");
        }
    }
}
