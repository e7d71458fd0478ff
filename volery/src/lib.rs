//! # Volery
//!
//! A coordination service that speaks ZooKeeper's protocol, on [`eyrie`]. Its state is a tree of znodes cut into
//! partitions, each with its own replicated log; reads and writes are linearizable, and a `multi` is atomic over any
//! znodes, wherever they live.
//!
//! ```text
//!   bytes ─► gateway ─► command ─► (eyrie: multicast, log, replicas) ─► execute ─► reply, events ─► gateway ─► bytes
//!            wire        command                                        variables                   watches
//!            sessions    placement                                      znode, acl                  order
//! ```
//!
//! - **[Placement](placement)**: a path is cut to its first components and hashed. Below the cut everything, `multi`
//!   included, is local; at and above it, create and delete address two partitions: the parent's and the znode's own.
//! - **[Variables](key)** are cut so that little crosses: a znode's facts, its data, and the membership of one name in one
//!   parent. In memory one slot per path holds all of them ([`variables`]).
//! - **[Commands](command)** are what partitions execute; the [service] tells eyrie where they go and what they read.
//! - **Sessions** are replicated state with a home partition. A session is *attached* to a partition by its first
//!   operation there, in one command over home and all destinations; moving, closing and expiring are commands over home
//!   and all attached partitions. So a dead session's late write cannot land after another took its lock, and ephemerals
//!   vanish from all partitions at one point of the order. Reads attach as well: where their partition
//!   has no replica on the client's node, the log orders them.
//! - **Zxids** are eyrie's stamps ([`zxid`]), raised above whatever the command touches: they rise along every znode and
//!   every session.
//! - **The [gateway]** is the front: connections, pipelines, watches, timers. It decides nothing about znodes.
//!
//! - **Gateways of several nodes** serve any client and any znode alike. A session's liveness belongs to its home's leader: who
//!   hears of the client tells that leader, and only that leader expires it, within a *reign* that it has begun by a command:
//!   what it ordered before another reign began is void. A session that comes to another gateway is in
//!   a later epoch there, and what its old connection asks for is refused.
//!
//! Caveats: quotas, SASL, TLS and reconfiguration are not served.

pub mod wire;

pub mod path;
pub mod placement;
pub mod session;
pub mod zxid;

pub mod acl;
pub mod znode;

pub mod command;
pub mod key;
pub mod variables;

pub mod branches;
mod execute;
pub mod faults;
#[cfg(any(test, feature = "model"))]
pub mod model;
pub mod service;

pub mod config;
pub mod gateway;
pub mod serve;
pub mod status;

pub mod client;

pub mod cli;
pub mod init;
pub mod local;
pub mod status_command;
