//! Writes: what requests would change, and which call each value and each zxid of a znode comes from.

use super::calls::{CallIndex, Calls};
use super::sights::Shown;
use bytes::Bytes;
use rustc_hash::FxHashMap;
use std::hash::Hash;
use volery::wire::{Create, Delete, MultiOp, Request, SetData};

/// One change that a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write<'a> {
    /// Creates a znode.
    Create(&'a Create),
    /// Deletes a znode.
    Delete(&'a Delete),
    /// Replaces a znode's data.
    Set(&'a SetData),
}

impl<'a> Write<'a> {
    /// The znode, by the name asked for.
    pub fn path(&self) -> &'a str {
        match self {
            Write::Create(create) => &create.path,
            Write::Delete(delete) => &delete.path,
            Write::Set(set) => &set.path,
        }
    }

    /// The data and where they go, unless that is up to the server, or they are so short that others may be the same.
    pub fn value(&self) -> Option<(&'a str, &'a Bytes)> {
        let data = match self {
            Write::Create(create) if !is_sequential(create) => create.data.as_ref(),
            Write::Set(set) => set.data.as_ref(),
            Write::Create(_) | Write::Delete(_) => None,
        };
        data.filter(|data| !data.is_empty()).map(|data| (self.path(), data))
    }
}

/// Whether the server appends a number to the name.
pub fn is_sequential(create: &Create) -> bool {
    create.mode.is_ok_and(|mode| mode.is_sequential())
}

/// Whether the znode goes with the session.
pub fn is_ephemeral(create: &Create) -> bool {
    create.mode.is_ok_and(|mode| mode.is_ephemeral())
}

/// The changes that a request asks for, in order.
pub fn writes(request: &Request) -> Vec<Write<'_>> {
    match request {
        Request::Create(create) => vec![Write::Create(create)],
        Request::Delete(delete) => vec![Write::Delete(delete)],
        Request::SetData(set) => vec![Write::Set(set)],
        Request::Multi(ops) => ops.iter().filter_map(part).collect(),
        _ => Vec::new(),
    }
}

fn part(op: &MultiOp) -> Option<Write<'_>> {
    match op {
        MultiOp::Create(create) => Some(Write::Create(create)),
        MultiOp::Delete(delete) => Some(Write::Delete(delete)),
        MultiOp::SetData(set) => Some(Write::Set(set)),
        MultiOp::Check(_) => None,
    }
}

/// Who wrote what. What two calls may have written is nobody's: a client may send the same request again.
#[derive(Debug, Default)]
pub struct Authors<'a> {
    by_value: FxHashMap<(&'a str, &'a [u8]), Option<CallIndex>>,
    by_zxid: FxHashMap<(&'a str, i64), Option<CallIndex>>,
}

impl<'a> Authors<'a> {
    /// What a history tells of it, to its end: a value's zxid may be told by a later read.
    pub fn of(calls: &Calls<'a>) -> Authors<'a> {
        let mut authors = Authors::default();
        for (index, call) in calls.calls.iter().enumerate() {
            for (path, data) in writes(call.request).iter().filter_map(Write::value) {
                claim(&mut authors.by_value, (path, data), CallIndex(index));
            }
        }
        for (index, call) in calls.calls.iter().enumerate() {
            for sight in &call.sights {
                let own = sight.written().map(|zxid| (zxid, CallIndex(index)));
                let read = match sight.shown {
                    Shown::Data(Some(data), stat) if sight.change.is_none() => {
                        authors.of_value(sight.path, data).map(|author| (stat.mzxid, author))
                    }
                    _ => None,
                };
                if let Some((zxid, author)) = own.or(read) {
                    claim(&mut authors.by_zxid, (sight.path, zxid), author);
                }
            }
        }
        authors
    }

    /// The only call that may have written these data there.
    pub fn of_value(&self, path: &str, data: &[u8]) -> Option<CallIndex> {
        self.by_value.get(&(path, data)).copied().flatten()
    }

    /// The call that modified the znode's data at this zxid.
    pub fn of_zxid(&self, path: &str, zxid: i64) -> Option<CallIndex> {
        self.by_zxid.get(&(path, zxid)).copied().flatten()
    }
}

fn claim<K: Eq + Hash>(claims: &mut FxHashMap<K, Option<CallIndex>>, key: K, author: CallIndex) {
    let claim = claims.entry(key).or_insert(Some(author));
    if *claim != Some(author) {
        *claim = None;
    }
}
