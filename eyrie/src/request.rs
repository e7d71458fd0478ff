//! A request: what a client says beside its command. This is what an envelope's body holds.
//!
//! ```text
//! body   version u8 | origin u16 | acknowledged u64 | past | command
//! ```

use crate::causality::Past;
use crate::codec;
use crate::service::StateMachine;
use bytes::{Buf, BufMut, Bytes};
use multicast::NodeId;

const VERSION: u8 = 2;
const HEADER_BYTES: usize = 1 + 2 + 8;

/// A command as a client submits it.
#[derive(Clone, Debug)]
pub struct Request<S: StateMachine> {
    /// The node that wants the answer.
    pub origin: NodeId,
    /// The number of the client's first request, in this run, whose answer it does not have.
    pub acknowledged: u64,
    /// What the client has seen: the command comes after it.
    pub past: Past,
    /// The command.
    pub command: S::Command,
}

impl<S: StateMachine> Request<S> {
    /// The body of the request's envelope.
    pub fn encode(&self) -> Bytes {
        let mut body = Vec::with_capacity(192);
        body.put_u8(VERSION);
        body.put_u16_le(self.origin.0);
        body.put_u64_le(self.acknowledged);
        self.past.encode_into(&mut body);
        codec::encode_into(&self.command, &mut body).expect("a command can be encoded into memory");
        Bytes::from(body)
    }

    /// Reads a body; `None` if it holds no command of this service.
    pub fn decode(mut body: &[u8]) -> Option<Request<S>> {
        if body.len() < HEADER_BYTES || body.get_u8() != VERSION {
            return None;
        }
        let origin = NodeId(body.get_u16_le());
        let acknowledged = body.get_u64_le();
        let past = Past::decode(&mut body)?;
        let command = codec::decode(body).ok()?;
        Some(Request { origin, acknowledged, past, command })
    }
}
