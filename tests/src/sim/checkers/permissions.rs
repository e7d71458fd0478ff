//! # Permissions
//!
//! Judges who was let in. The credentials that a client sends on a connection count for the requests that it sends on it
//! afterwards, and for none before.
//!
//! # What is taken for granted
//!
//! A znode that is only ever created with one list, and whose list nobody sets, has that list whenever it is there. Other
//! znodes are not judged, nor is what a session does to the children of a znode.

use super::sessions::calls::{Calls, ConnectionIndex, End};
use super::sessions::violation::Violation;
use crate::sim::history::History;
use crate::sim::workload::users::SUPERUSER;
use rustc_hash::FxHashMap;
use volery::acl::{Caller, Identity, allows, digest};
use volery::wire::{Acl, Create, ErrorCode, MultiOp, Permissions, Request, SetData};

/// What a caller is promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// A request that the znode's list allows is not refused.
    Refused,
    /// A request that the znode's list does not allow is refused.
    LetIn,
}

/// What was judged, and what is wrong.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Requests that a known list allows, and that were answered.
    pub allowed: usize,
    /// Requests that a known list does not allow, and that were answered.
    pub forbidden: usize,
    /// What is wrong.
    pub violations: Vec<Violation<Rule>>,
}

/// Judges a history's permissions.
pub fn check_permissions(history: &History) -> Report {
    let calls = Calls::of(history);
    let lists = lists(&calls);
    let mut callers: FxHashMap<ConnectionIndex, Caller> = FxHashMap::default();
    let mut report = Report::default();
    for call in &calls.calls {
        let caller = callers.entry(call.connection).or_insert_with(nobody);
        if let Request::Auth { auth, .. } = call.request {
            identity(auth).into_iter().for_each(|identity| prove(caller, identity));
        }
        let End::Returned { at, result, .. } = call.end else { continue };
        let Some((path, permission)) = permission(call.request) else { continue };
        let Some(Some(list)) = lists.get(path) else { continue };
        let is_allowed = allows(list, permission, caller);
        let wrong = match result {
            Ok(_) if !is_allowed => Some(Rule::LetIn),
            Err(ErrorCode::NoAuth) if is_allowed => Some(Rule::Refused),
            _ => None,
        };
        *(if is_allowed { &mut report.allowed } else { &mut report.forbidden }) += 1;
        if let Some(rule) = wrong {
            let text = format!(
                "call {} to {path}, sent at entry {} by {:?}, was answered {result:?}; its list is {list:?}",
                call.id.0, call.invoked, caller.identities
            );
            report.violations.push(Violation::new(&calls, rule, call.session, at, text));
        }
    }
    report
}

/// Whether everybody may read what has this list.
pub fn is_open(list: &[Acl]) -> bool {
    allows(list, Permissions::READ, &nobody())
}

/// The one list of each znode that has one.
pub fn lists<'a>(calls: &Calls<'a>) -> FxHashMap<&'a str, Option<&'a [Acl]>> {
    let mut lists: FxHashMap<&str, Option<&[Acl]>> = FxHashMap::default();
    for (path, list) in calls.calls.iter().flat_map(|call| given(call.request)) {
        let known = lists.entry(path).or_insert(Some(list));
        // What `auth` stands for depends on who asked.
        let is_plain = list.iter().all(|entry| entry.scheme != "auth");
        *known = known.filter(|known| *known == list && is_plain);
    }
    lists
}

/// The lists that a request would give to znodes.
pub fn given(request: &Request) -> Vec<(&str, &[Acl])> {
    match request {
        Request::Create(Create { path, acl, .. }) | Request::SetAcl { path, acl, .. } => {
            vec![(&**path, &**acl)]
        }
        Request::Multi(ops) => ops.iter().filter_map(given_within).collect(),
        _ => Vec::new(),
    }
}

fn given_within(op: &MultiOp) -> Option<(&str, &[Acl])> {
    if let MultiOp::Create(create) = op { Some((&create.path, &create.acl)) } else { None }
}

/// What a request needs of the list of one znode.
fn permission(request: &Request) -> Option<(&str, Permissions)> {
    match request {
        Request::GetData { path, .. }
        | Request::GetChildren { path, .. }
        | Request::GetChildren2 { path, .. } => Some((path, Permissions::READ)),
        Request::SetData(SetData { path, .. }) => Some((path, Permissions::WRITE)),
        _ => None,
    }
}

/// Somebody without credentials, from where all clients of a run are.
pub fn nobody() -> Caller {
    Caller::from(std::net::Ipv4Addr::LOCALHOST.into())
}

/// A caller is somebody from here on, besides whom it was.
pub fn prove(caller: &mut Caller, identity: Identity) {
    caller.superuser |= identity.id == SUPERUSER.digest();
    caller.identities.push(identity);
}

/// Whom digest credentials prove.
pub fn identity(auth: &[u8]) -> Option<Identity> {
    let (user, password) = std::str::from_utf8(auth).ok()?.split_once(':')?;
    Some(Identity { scheme: "digest".into(), id: digest(user, password) })
}

#[cfg(test)]
mod tests {
    use super::super::sessions::script::{DONE, Script, at, create, get, set, wrote};
    use super::*;

    const NO_AUTH: Result<volery::wire::Reply, ErrorCode> = Err(ErrorCode::NoAuth);

    fn auth() -> Request {
        Request::Auth { kind: 0, scheme: "digest".into(), auth: "a:secret".into() }
    }

    fn secret(path: &str) -> Request {
        let Request::Create(create) = create(path, "1") else { unreachable!("it is a create") };
        let (permissions, scheme, id) = (Permissions::ALL, "digest".into(), digest("a", "secret"));
        Request::Create(Create { acl: vec![Acl { permissions, scheme, id }], ..create })
    }

    fn rules(script: &Script) -> Vec<Rule> {
        check_permissions(&script.history).violations.iter().map(|violation| violation.rule).collect()
    }

    #[test]
    fn credentials_count_for_what_is_sent_behind_them_on_their_connection() {
        let mut script = Script::with_clients(1);
        script.done(0, secret("/s"), DONE);
        let before = script.send(0, get("/s"));
        let credentials = script.send(0, auth());
        let behind = script.send(0, set("/s", "2"));
        script.answer(0, before, NO_AUTH);
        script.answer(0, credentials, DONE);
        script.answer(0, behind, wrote(2));
        script.move_on(0);
        script.done(0, get("/s"), NO_AUTH);
        let report = check_permissions(&script.history);
        assert_eq!((report.allowed, report.forbidden, report.violations), (1, 2, vec![]));
    }

    #[test]
    fn what_is_done_as_somebody_else_is_wrong() {
        let mut script = Script::with_clients(1);
        script.done(0, secret("/s"), DONE);
        let before = script.send(0, get("/s"));
        let credentials = script.send(0, auth());
        let behind = script.send(0, get("/s"));
        script.answer(0, before, at(1, "1"));
        script.answer(0, credentials, DONE);
        script.answer(0, behind, NO_AUTH);
        assert_eq!(rules(&script), [Rule::LetIn, Rule::Refused]);
    }

    #[test]
    fn a_znode_of_two_lists_is_not_judged() {
        let mut script = Script::with_clients(1);
        script.done(0, secret("/s"), DONE);
        script.done(0, create("/s", "2"), Err(ErrorCode::NodeExists));
        script.done(0, get("/s"), at(1, "1"));
        assert_eq!(rules(&script), []);
        script.done(0, create("/open", "1"), DONE);
        script.done(0, get("/open"), NO_AUTH);
        assert_eq!(rules(&script), [Rule::Refused], "nobody may be kept out there");
    }
}
