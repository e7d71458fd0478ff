//! What a client remembers of the znodes that it has seen.

use std::collections::BTreeMap;
use std::sync::Arc;
use volery::wire::{MultiOp, OpResult, ReadOp, Reply, Request, SetData, Stat};

/// The versions of znodes as a client saw them last.
#[derive(Clone, Debug, Default)]
pub struct Memory(BTreeMap<Arc<str>, Seen>);

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    version: i32,
    aversion: i32,
}

impl Memory {
    /// Learns from a reply.
    pub fn learn(&mut self, request: &Request, reply: &Reply) {
        match (request, reply) {
            (Request::GetData { path, .. }, Reply::Data { stat, .. })
            | (Request::Exists { path, .. } | Request::SetAcl { path, .. }, Reply::Stat(stat))
            | (Request::GetAcl { path }, Reply::Acl { stat, .. })
            | (Request::GetChildren2 { path, .. }, Reply::NamesStat { stat, .. })
            | (Request::SetData(SetData { path, .. }), Reply::Stat(stat)) => self.note(path, stat),
            (Request::Create(_), Reply::PathStat { path, stat }) => self.note(path, stat),
            (Request::MultiRead(ops), Reply::Results(results)) => {
                for (op, result) in ops.iter().zip(results) {
                    if let (ReadOp::GetData { path }, OpResult::Data { stat, .. }) = (op, result) {
                        self.note(path, stat);
                    }
                }
            }
            (Request::Multi(ops), Reply::Results(results)) => {
                for (op, result) in ops.iter().zip(results) {
                    if let (MultiOp::SetData(SetData { path, .. }), OpResult::DataSet(stat)) = (op, result) {
                        self.note(path, stat);
                    }
                }
            }
            _ => {}
        }
    }

    fn note(&mut self, path: &Arc<str>, stat: &Stat) {
        self.0.insert(path.clone(), Seen { version: stat.version, aversion: stat.aversion });
    }

    /// The version that a znode's data had; 0 if it was not seen.
    pub fn version(&self, path: &Arc<str>) -> i32 {
        self.0.get(path).copied().unwrap_or_default().version
    }

    /// The version that a znode's ACL had.
    pub fn aversion(&self, path: &Arc<str>) -> i32 {
        self.0.get(path).copied().unwrap_or_default().aversion
    }
}
