//! Codes: the errors that each kind of request may meet.

use super::{Report, Rule};
use crate::sim::checkers::sessions::calls::{Call, Calls, End, Moment};
use crate::sim::draw::Sizes;
use volery::wire::{Acl, Create, CreateMode, Delete, ErrorCode, MultiOp, OpResult, Reply, Request, SetData};

/// Judges the errors of one answer.
pub fn judge(calls: &Calls<'_>, call: &Call<'_>, moment: Moment, sizes: Sizes, report: &mut Report) {
    let End::Returned { result, .. } = call.end else { return };
    let mut wrong = Vec::new();
    match (call.request, result) {
        (request, Err(code)) => {
            report.errors += 1;
            let is_allowed = is_of_session(*code)
                || may_meet(request, *code)
                || (*code == ErrorCode::MarshallingError && may_be_too_long(request, sizes));
            wrong.extend((!is_allowed).then_some(*code));
        }
        (Request::Multi(ops), Ok(Reply::Results(results))) => {
            let met = ops.iter().zip(results).filter_map(|(op, result)| Some((op, failure(result)?)));
            wrong.extend(met.filter(|(op, code)| !op_may_meet(op, *code)).map(|(_, code)| code));
        }
        (Request::MultiRead(_), Ok(Reply::Results(results))) => {
            let met = results.iter().filter_map(failure);
            wrong.extend(met.filter(|code| !matches!(code, ErrorCode::NoNode | ErrorCode::NoAuth)));
        }
        _ => {}
    }
    for code in wrong {
        let text = format!("call {}, {:?}, cannot meet {code}", call.id.0, call.request);
        report.accuse(calls, Rule::Code, call, moment, text);
    }
}

/// The error that a part of a multi is told as its own.
fn failure(result: &OpResult) -> Option<ErrorCode> {
    match result {
        OpResult::Failed(ErrorCode::RuntimeInconsistency) => None,
        OpResult::Failed(code) => Some(*code),
        _ => None,
    }
}

/// The session is over, or elsewhere: any request may meet that.
fn is_of_session(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::SessionExpired | ErrorCode::SessionMoved)
}

/// The reply may be longer than what is let through: one of many parts or names.
fn may_be_too_long(request: &Request, sizes: Sizes) -> bool {
    let is_long = matches!(
        request,
        Request::MultiRead(_)
            | Request::GetChildren { .. }
            | Request::GetChildren2 { .. }
            | Request::GetEphemerals { .. }
    );
    is_long && sizes.are_scaled()
}

fn may_meet(request: &Request, code: ErrorCode) -> bool {
    use ErrorCode::{BadVersion, InvalidAcl, NoAuth, NoNode, NoWatcher};
    match request {
        Request::Create(create) => create_may_meet(create, code),
        Request::Delete(delete) => delete_may_meet(delete, code),
        Request::SetData(set) => set_may_meet(set, code),
        Request::Exists { .. }
        | Request::GetData { .. }
        | Request::GetAcl { .. }
        | Request::GetChildren { .. }
        | Request::GetChildren2 { .. }
        | Request::GetAllChildrenNumber { .. } => matches!(code, NoNode | NoAuth),
        Request::SetAcl { acl, version, .. } => match code {
            NoNode | NoAuth => true,
            BadVersion => *version != -1,
            InvalidAcl => may_be_invalid(acl),
            _ => false,
        },
        Request::CheckWatches { .. } | Request::RemoveWatches { .. } => code == NoWatcher,
        _ => false,
    }
}

fn op_may_meet(op: &MultiOp, code: ErrorCode) -> bool {
    match op {
        MultiOp::Create(create) => create_may_meet(create, code),
        MultiOp::Delete(delete) => delete_may_meet(delete, code),
        MultiOp::SetData(set) => set_may_meet(set, code),
        MultiOp::Check(check) => match code {
            ErrorCode::NoNode | ErrorCode::NoAuth => true,
            ErrorCode::BadVersion => check.version != -1,
            _ => false,
        },
    }
}

fn create_may_meet(create: &Create, code: ErrorCode) -> bool {
    use ErrorCode::{BadArguments, InvalidAcl, NoAuth, NoChildrenForEphemerals, NoNode, NodeExists};
    match code {
        NoNode | NoAuth | NoChildrenForEphemerals => true,
        NodeExists => !create.mode.is_ok_and(CreateMode::is_sequential),
        InvalidAcl => may_be_invalid(&create.acl),
        BadArguments => matches!(create.mode, Ok(CreateMode::Ttl(..=0 | i64::MAX)) | Err(_)),
        _ => false,
    }
}

fn delete_may_meet(delete: &Delete, code: ErrorCode) -> bool {
    match code {
        ErrorCode::NoNode | ErrorCode::NoAuth | ErrorCode::NotEmpty => true,
        ErrorCode::BadVersion => delete.version != -1,
        _ => false,
    }
}

fn set_may_meet(set: &SetData, code: ErrorCode) -> bool {
    match code {
        ErrorCode::NoNode | ErrorCode::NoAuth => true,
        ErrorCode::BadVersion => set.version != -1,
        _ => false,
    }
}

/// An empty list is, and one that stands for a caller who may be nobody.
fn may_be_invalid(list: &[Acl]) -> bool {
    list.is_empty() || list.iter().any(|entry| entry.scheme == "auth")
}
