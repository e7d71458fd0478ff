//! Outcomes: what an operation's answer means to the session that waits for it.

use super::Gateway;
use super::connection::Connection;
use super::pipeline::{Effect, Response};
use super::watches::Armed;
use crate::branches::{ARMED_LATE, SESSION_MOVED, SESSION_UNKNOWN};
use crate::command::Reply;
use crate::faults::ARMED_TOO_LATE;
use crate::service::Volery;
use crate::wire::{self, ErrorCode, OpResult, Stat};
use crate::zxid::Zxid;
use eyrie::{Answer, Commands, ConnectionId, Outcome, PartitionId, Refusal};
use std::ops::Range;
use std::sync::Arc;

/// A request that has looked at znodes, and its answer.
#[derive(Clone, Copy)]
struct Look<'a> {
    number: u64,
    answer: &'a Answer<Volery>,
}

impl Look<'_> {
    /// What it arms a watch by in a partition: it has seen what happened there up to its place, also where a replica of another
    /// one has answered.
    fn arms(&self, partition: PartitionId) -> Armed {
        let Answer { position, seen, .. } = self.answer;
        let elsewhere = seen.get(partition.index()).copied().unwrap_or_default();
        let at = if self.answer.partition == partition { *position } else { elsewhere };
        Armed { by: self.number, at }
    }
}

impl Gateway {
    /// The outcome of one request, or of a burst of them, has come.
    pub(super) fn operated(
        &mut self,
        id: ConnectionId,
        numbers: Range<u64>,
        answer: &Answer<Volery>,
        commands: &Commands<Volery>,
    ) {
        let Some(pipeline) = self.connections.get_mut(&id).and_then(Connection::pipeline) else { return };
        pipeline.saw_answer(answer);
        self.newest = self.newest.max(answer.stamp.number.into());
        match answer.outcome.as_ref() {
            // Its number is used up, so nothing behind it could be taken: the client must come back in another epoch.
            Outcome::Refused(Refusal::Unsubmitted) => self.drop_connection(id),
            // It may have changed anything: the client learns no more than that its connection was lost.
            Outcome::Refused(Refusal::Forgotten) => self.drop_connection(id),
            Outcome::Reply(Reply::Burst(results)) => {
                for (number, result) in numbers.zip(results) {
                    // Every look is answered by the partition of its znode.
                    let (zxid, result) = result.clone().unwrap_or((Zxid::ZERO, Err(ErrorCode::SystemError)));
                    self.settle_one(
                        id,
                        Look { number, answer },
                        &Reply::Operation { zxid, result },
                        commands,
                    );
                }
            }
            // The session is attached: what it asked for first may be read.
            Outcome::Reply(Reply::Attached) => pipeline.ask_again(),
            Outcome::Lost => {
                if !pipeline.ask_lost_again() {
                    tracing::warn!(session = %pipeline.session(), "connection closed: what it read is lost");
                    self.drop_connection(id);
                }
            }
            Outcome::TooLarge => self.fail(id, numbers, ErrorCode::MarshallingError, answer),
            Outcome::Reply(reply) => {
                numbers.for_each(|number| self.settle_one(id, Look { number, answer }, reply, commands));
            }
            Outcome::Refused(refusal) => self.fail(id, numbers, code_of(*refusal), answer),
            Outcome::Retry(_) => self.fail(id, numbers, ErrorCode::SystemError, answer),
        }
    }

    /// One request's reply: what it arms is armed at just this place of the partition's sequence. If something behind that was
    /// missed, the client must come back and tell what it had.
    fn settle_one(&mut self, id: ConnectionId, look: Look<'_>, reply: &Reply, commands: &Commands<Volery>) {
        let Some(pipeline) = self.connections.get_mut(&id).and_then(Connection::pipeline) else { return };
        let effect = pipeline.effect(look.number);
        if effect.paths().any(|path| !self.hears_behind(look, path, commands)) {
            ARMED_LATE.reached();
            return self.drop_connection(id);
        }
        let result = self.outcome(id, look, effect, reply, commands);
        self.respond(id, look.number, Response { result, ..response(look.answer) });
    }

    fn fail(&mut self, id: ConnectionId, numbers: Range<u64>, code: ErrorCode, answer: &Answer<Volery>) {
        for number in numbers {
            self.respond(id, number, Response { result: Some(Err(code)), ..response(answer) });
        }
    }

    fn respond(&mut self, id: ConnectionId, number: u64, response: Response) {
        if let Some(pipeline) = self.connections.get_mut(&id).and_then(Connection::pipeline) {
            pipeline.answered(number, response);
        }
    }

    /// Whether everything that has happened to a znode since a request looked at it is still to be heard of. Its answer may be a repeat, or
    /// of another partition's replica, and come after what the replica here has told, or while what tells of the partition broke off.
    fn hears_behind(&self, look: Look<'_>, path: &Arc<str>, commands: &Commands<Volery>) -> bool {
        let partition = commands.oracle().of(path);
        let at = look.arms(partition).at;
        // Some of a command's events may be told before the partition has passed its place.
        let hears = (commands.is_hosted(partition) || self.marks.hears_from(partition, at))
            && !self.recent.happened_behind(partition, at, path);
        hears || ARMED_TOO_LATE.is_planted()
    }

    fn outcome(
        &mut self,
        id: ConnectionId,
        look: Look<'_>,
        effect: Effect,
        reply: &Reply,
        commands: &Commands<Volery>,
    ) -> Option<Result<wire::Reply, ErrorCode>> {
        match (reply, effect) {
            (Reply::Operation { zxid, result }, effect) => {
                let shown = result.as_ref().map_or(Zxid::ZERO, newest_shown);
                self.saw(id, shown.max(*zxid));
                if let Effect::Arm(arm) = effect
                    && (result.is_ok() || (arm.absent_too && *result == Err(ErrorCode::NoNode)))
                {
                    let armed = look.arms(commands.oracle().of(&arm.path));
                    self.arm(id, &arm.path, arm.kinds, armed, commands);
                }
                Some(result.clone())
            }
            (Reply::Probed(found), Effect::Rearm { relative, watches }) => {
                for (rearmed, found) in watches.iter().zip(found) {
                    let partition = commands.oracle().of(&rearmed.path);
                    self.rearm(id, look.arms(partition), partition, relative, rearmed, *found);
                }
                None
            }
            (Reply::SessionMoved, _) => Some(Err(ErrorCode::SessionMoved)),
            (Reply::NoSession, _) => Some(Err(ErrorCode::SessionExpired)),
            (
                Reply::Done
                | Reply::Session { .. }
                | Reply::Burst(_)
                | Reply::Part(_)
                | Reply::Attached
                | Reply::Probed(_)
                | Reply::Reign(_),
                _,
            ) => Some(Ok(wire::Reply::Empty)),
        }
    }

    /// A session's command had this zxid: its next one gets a greater one.
    pub(super) fn saw(&mut self, id: ConnectionId, zxid: Zxid) {
        self.newest = self.newest.max(zxid);
        if let Some(pipeline) = self.connections.get_mut(&id).and_then(Connection::pipeline) {
            pipeline.saw(zxid);
        }
    }
}

/// What an answer says of the reply, beside what that says.
fn response(answer: &Answer<Volery>) -> Response {
    Response { result: None, at: Some((answer.partition, answer.position)), seen: answer.seen.clone() }
}

/// The greatest zxid that a reply shows.
fn newest_shown(reply: &wire::Reply) -> Zxid {
    match reply {
        wire::Reply::PathStat { stat, .. }
        | wire::Reply::Stat(stat)
        | wire::Reply::Data { stat, .. }
        | wire::Reply::Acl { stat, .. }
        | wire::Reply::NamesStat { stat, .. } => newest_of(stat),
        wire::Reply::Results(results) => results.iter().map(newest_of_result).max().unwrap_or(Zxid::ZERO),
        _ => Zxid::ZERO,
    }
}

fn newest_of_result(result: &OpResult) -> Zxid {
    match result {
        OpResult::CreatedWithStat { stat, .. } | OpResult::DataSet(stat) | OpResult::Data { stat, .. } => {
            newest_of(stat)
        }
        _ => Zxid::ZERO,
    }
}

fn newest_of(stat: &Stat) -> Zxid {
    Zxid::from_wire(stat.czxid.max(stat.mzxid).max(stat.pzxid))
}

fn code_of(refusal: Refusal) -> ErrorCode {
    match refusal {
        Refusal::UnknownClient => {
            SESSION_UNKNOWN.reached();
            ErrorCode::SessionExpired
        }
        Refusal::OldEpoch => {
            SESSION_MOVED.reached();
            ErrorCode::SessionMoved
        }
        Refusal::Malformed | Refusal::TooLarge => ErrorCode::MarshallingError,
        Refusal::Unsubmitted | Refusal::Forgotten => ErrorCode::ThrottledOp,
    }
}
