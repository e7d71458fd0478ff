//! Guarded: what a caller may do with the znodes whose lists never change, as parts of a multi or a multiRead, how much of the
//! lists it is shown, and whom a connection counts as. Requests for one znode are judged by
//! [`permissions`](crate::sim::checkers::permissions).

use super::{Report, Rule};
use crate::sim::checkers::sessions::calls::{Call, Calls, End, Moment};
use crate::sim::workload::users::{Guarded, User, Who};
use std::collections::BTreeSet;
use volery::wire::{Acl, ErrorCode, Identity, MultiOp, OpResult, Reply, Request};

/// Whom a call's connection counted as.
#[derive(Clone, Copy)]
pub struct Callers<'a> {
    /// When the call was sent.
    pub then: &'a BTreeSet<User>,
    /// When it was answered.
    pub now: &'a BTreeSet<User>,
}

/// One operation on one znode.
struct Deed<'a> {
    path: &'a str,
    /// Who may do it, of a znode that is guarded.
    who: fn(&Guarded) -> Vec<Who>,
    error: Option<ErrorCode>,
}

/// Judges one answer.
pub fn judge(calls: &Calls<'_>, call: &Call<'_>, callers: Callers<'_>, moment: Moment, report: &mut Report) {
    let End::Returned { result, .. } = call.end else { return };
    for Deed { path, who, error } in deeds(call.request, result) {
        let Some(guarded) = Guarded::at(path) else { continue };
        report.guarded += 1;
        let may = who(&guarded).into_iter().any(|who| who.includes(callers.then.iter().copied()));
        let rule = match error {
            None | Some(ErrorCode::BadVersion) if !may => Rule::Trespass,
            Some(ErrorCode::NoAuth) if may => Rule::Refused,
            _ => continue,
        };
        let outcome = error.map_or("done".to_owned(), |code| code.to_string());
        let text = format!("call {} as {:?}: {:?}: {outcome}", call.id.0, callers.then, call.request);
        report.accuse(calls, rule, call, moment, text);
    }
    match (call.request, result) {
        (Request::GetAcl { path }, Ok(Reply::Acl { acl, .. })) => {
            let shown = Guarded::at(path).map(|guarded| visible(guarded, callers.then));
            if let Some(shown) = shown.filter(|shown| shown != acl) {
                let text = format!("call {} is shown {acl:?} of {path}, not {shown:?}", call.id.0);
                report.accuse(calls, Rule::List, call, moment, text);
            }
        }
        (Request::WhoAmI, Ok(Reply::Identities(identities))) if !is_told_right(identities, callers) => {
            let Callers { then, now } = callers;
            let text = format!("call {} is told {identities:?}, between {then:?} and {now:?}", call.id.0);
            report.accuse(calls, Rule::WhoAmI, call, moment, text);
        }
        _ => {}
    }
}

fn deeds<'a>(request: &'a Request, result: &'a Result<Reply, ErrorCode>) -> Vec<Deed<'a>> {
    let readers: fn(&Guarded) -> Vec<Who> = |guarded| vec![guarded.read];
    let writers: fn(&Guarded) -> Vec<Who> = |guarded| vec![guarded.write];
    match (request, result) {
        (Request::GetAcl { path }, _) => {
            let error = result.as_ref().err().copied();
            vec![Deed { path, who: |guarded| vec![guarded.read, guarded.write], error }]
        }
        (Request::MultiRead(ops), Ok(Reply::Results(results))) => {
            let parts = ops.iter().zip(results);
            parts.map(|(op, result)| Deed { path: op.path(), who: readers, error: failure(result) }).collect()
        }
        (Request::Multi(ops), Ok(Reply::Results(results))) => {
            let is_told = |result: &OpResult| {
                !matches!(result, OpResult::RolledBack | OpResult::Failed(ErrorCode::RuntimeInconsistency))
            };
            let parts = ops.iter().zip(results).filter(|(_, result)| is_told(result));
            let deed = |(op, result): (&'a MultiOp, &'a OpResult)| match op {
                MultiOp::SetData(set) => Some(Deed { path: &set.path, who: writers, error: failure(result) }),
                MultiOp::Check(check) => {
                    Some(Deed { path: &check.path, who: readers, error: failure(result) })
                }
                MultiOp::Create(_) | MultiOp::Delete(_) => None,
            };
            parts.filter_map(deed).collect()
        }
        _ => Vec::new(),
    }
}

fn failure(result: &OpResult) -> Option<ErrorCode> {
    if let OpResult::Failed(code) = result { Some(*code) } else { None }
}

/// The list as these users may see it: without hashes, unless they may change it.
fn visible(guarded: Guarded, callers: &BTreeSet<User>) -> Vec<Acl> {
    let mut list = guarded.acl();
    if !guarded.write.includes(callers.iter().copied()) {
        for entry in list.iter_mut().filter(|entry| entry.scheme == "digest") {
            let user = entry.id.split(':').next().unwrap_or_default();
            entry.id = format!("{user}:x");
        }
    }
    list
}

/// Where it connects from, and all whose credentials were sent before; credentials that were sent later may count already.
fn is_told_right(identities: &[Identity], Callers { then, now }: Callers<'_>) -> bool {
    let users: BTreeSet<&str> = identities.iter().skip(1).map(|identity| &*identity.user).collect();
    let is_from_somewhere = identities.first().is_some_and(|identity| &*identity.scheme == "ip");
    let all_sent = then.iter().all(|user| users.contains(&*user.name()));
    let names: BTreeSet<String> = now.iter().map(|user| user.name()).collect();
    is_from_somewhere && all_sent && users.iter().all(|user| names.contains(*user))
}
