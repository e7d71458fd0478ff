//! Secrets: the znodes that not everybody may read, and the connections whose client has shown that it may.
//!
//! The credentials that a client sends on a connection count for what happens after they are sent. What a session is *not* told
//! of a secret is judged by nobody: it may have happened before the credentials were there. So it is of a znode whose list was
//! closed for a while.

use crate::sim::checkers::permissions::{given, identity, is_open, lists, nobody, prove};
use crate::sim::checkers::sessions::calls::{Calls, ConnectionIndex, Moment};
use rustc_hash::{FxHashMap, FxHashSet};
use volery::acl::{Identity, allows};
use volery::wire::{Acl, Permissions, Request};

/// The secrets of a history.
#[derive(Debug, Default)]
pub struct Secrets<'a> {
    lists: FxHashMap<&'a str, &'a [Acl]>,
    /// Znodes that one of several lists makes a secret.
    at_times: FxHashSet<&'a str>,
    shown: FxHashMap<ConnectionIndex, Vec<(Moment, Identity)>>,
}

impl<'a> Secrets<'a> {
    /// Collects them.
    pub fn of(calls: &Calls<'a>) -> Secrets<'a> {
        let kept = |list: &&[Acl]| !is_open(list);
        let given = calls.calls.iter().flat_map(|call| given(call.request));
        let at_times = given.filter(|(_, list)| !is_open(list)).map(|(path, _)| path).collect();
        let lists = lists(calls).into_iter().filter_map(|(path, list)| Some((path, list.filter(kept)?)));
        let mut secrets = Secrets { lists: lists.collect(), at_times, shown: FxHashMap::default() };
        for call in &calls.calls {
            if let Request::Auth { auth, .. } = call.request {
                let shown = identity(auth).map(|identity| (call.invoked, identity));
                secrets.shown.entry(call.connection).or_default().extend(shown);
            }
        }
        secrets
    }

    /// Whether a znode is one, if only at times.
    pub fn has(&self, path: &str) -> bool {
        self.at_times.contains(path)
    }

    /// Whether a connection may be told of a znode at some moment.
    pub fn may_read(&self, connection: ConnectionIndex, path: &str, moment: Moment) -> bool {
        let Some(list) = self.lists.get(path) else { return true };
        let mut caller = nobody();
        let shown = self.shown.get(&connection).into_iter().flatten();
        let shown = shown.filter(|(at, _)| *at < moment);
        shown.for_each(|(_, identity)| prove(&mut caller, identity.clone()));
        allows(list, Permissions::READ, &caller)
    }
}
