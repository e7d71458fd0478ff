//! The ZooKeeper wire protocol, as 3.9 speaks it, in both directions.
//!
//! A server reads requests and writes replies; a client does the reverse. Both are here, since the native client, the
//! bench and the tests talk to ZooKeeper itself too. Nothing in this module does I/O, keeps state or knows a session:
//! bytes in, values out, and back.
//!
//! # A connection
//!
//! ```text
//!  client                                           server
//!    | ConnectRequest                                 |   handshake: no header, no xid
//!    |----------------------------------------------->|
//!    |                                ConnectResponse |
//!    |<-----------------------------------------------|
//!    | RequestHeader{xid 1, op 1} create "/a"         |
//!    | RequestHeader{xid 2, op 4} getData "/a"        |   requests are pipelined
//!    |----------------------------------------------->|
//!    |          ReplyHeader{xid 1, zxid, 0} path "/a" |   and answered in the order sent
//!    |  ReplyHeader{xid -1, zxid, 0} WatcherEvent     |   notifications come in between
//!    |  ReplyHeader{xid 2, zxid, 0} data, Stat        |
//!    |<-----------------------------------------------|
//! ```
//!
//! **Frames.** Everything is a *frame*: a big-endian `i32` length and that many bytes. A receiver refuses a length above
//! its cap (`jute.maxbuffer`, 1 MiB less one by default), and a negative one; there is no way to resynchronise after
//! that, so the connection ends. The first four bytes of a fresh connection may instead be a four-letter word such as
//! `ruok`. Read as a length it is above any sensible cap, so whoever serves those words looks before [`take_frame`].
//!
//! **Jute.** Inside a frame records follow each other without tags or padding, so a reader must know what comes:
//!
//! | type | bytes |
//! |---|---|
//! | int, long | 4 or 8 bytes, big-endian, signed |
//! | boolean | one byte; anything but 0 is true |
//! | buffer | int length and the bytes; length -1 is *null*, which is not the same as empty |
//! | ustring | a buffer that holds UTF-8 |
//! | vector | int count and the elements; count -1 is null |
//!
//! A null buffer stays a null (`None`) where it is a znode's data or a SASL token. A null string or vector is read as an
//! empty one: kazoo writes the empty id of `auth` as null, and only `reconfig` tells the two apart. Invalid UTF-8 is
//! refused rather than replaced, because replacing would silently alter the identities in an ACL.
//!
//! **Handshake.** [`ConnectRequest`] and [`ConnectResponse`] come first, without a header. Their last byte, `readOnly`,
//! was added late: who leaves it out does not understand it either, so the answer goes in kind.
//!
//! **Headers.** From then on each request begins with [`RequestHeader`], its *xid* chosen by the client and its operation
//! by [`OpCode`]; each reply begins with [`ReplyHeader`], which repeats the xid. A reply whose header carries an error has
//! no body. Negative xids are special: -1 heads a notification, which no request asked for; -2 is a ping, -4 an auth and
//! -8 a setWatches, which client libraries send on their own account, between the user's requests.
//!
//! **Bodies.** [`Request`] and [`Reply`] have one variant per shape. A reply does not name what it answers, so to decode
//! one the client remembers the operation of every outstanding xid. A [`multi`](MultiOp) nests: each operation and each
//! result has a small header of its own, and the failure of one is in the results while the reply's header says 0.
//!
//! # What is refused, and how
//!
//! Bytes from outside are never trusted: each length is held against what is left of the frame before anything is
//! allocated, a vector's count against the fewest bytes its elements can take. What cannot be read is a [`Malformed`];
//! the frame's boundary is still known, so a server may answer MarshallingError and go on, as ZooKeeper does. An
//! operation this protocol does not have is [`BadRequest::Unimplemented`], to be answered in kind. Unknown flags of a
//! create are kept as [`UnknownCreateMode`], so that a multi can fail with BadArguments at that operation's place.
//!
//! Bytes after a record are ignored, as ZooKeeper ignores them: that is how the protocol grows (`readOnly` came so), and
//! a newer client must not fail on an older server. Whoever wants to know asks [`Reader::remaining`].
//!
//! # Caveats
//!
//! - Data are slices of the frame they came in, so keeping one keeps the whole read buffer: copy what lives long.
//! - Paths are not validated here; that a path is absolute and has no `//` is for the one who looks it up.

// How bytes are cut and read.
mod buffer;
mod frame;
mod numbered;

// What every exchange has.
mod connect;
mod error;
mod header;
mod op;

// What requests and replies are made of.
mod acl;
mod create_mode;
mod multi;
mod names;
mod stat;
mod watch;
mod write;

// The exchanges.
mod reply;
mod request;

#[cfg(test)]
mod arbitrary;
#[cfg(test)]
mod golden;

pub use acl::{Acl, Permissions};
pub use buffer::{Malformed, Reader, Record, put_bool, put_buffer, put_count, put_string, put_vector};
pub use connect::{ConnectRequest, ConnectResponse, PASSWORD_BYTES};
pub use create_mode::{CreateMode, UnknownCreateMode};
pub use error::ErrorCode;
pub use frame::{BadFrame, FRAME_BYTES_MAX_DEFAULT, take_frame, write_frame};
pub use header::{ReplyHeader, RequestHeader, XID_AUTH, XID_NOTIFICATION, XID_PING, XID_SET_WATCHES};
pub use multi::{MultiOp, OpResult, ReadOp};
pub use names::{Names, NamesBuilder};
pub use numbered::Unknown;
pub use op::OpCode;
pub use reply::{Identity, REPLY_BYTES_MAX, Reply};
pub use request::{BadRequest, Reconfig, Request, SetWatches};
pub use stat::Stat;
pub use watch::{AddWatchMode, EventType, KeeperState, WatcherEvent, WatcherType};
pub use write::{Check, Create, Delete, SetData};
