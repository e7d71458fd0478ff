//! Target `commands`: what sessions ask for, executed by replicas that are fed at different paces, and by the model.

use super::draw::Draw;
use super::replicas::{PARTITIONS, Replicas};
use super::requests::{acl, data, mode, path, user, version};
use eyrie::{ClientId, Destinations, Envelope, Epoch, Outcome, PartitionId};
use volery::acl::{Caller, Identity};
use volery::command::{Change, Command, Look, Operation, Reply};
use volery::model::{Model, blank};
use volery::session::{Password, SessionId};
use volery::wire::{ErrorCode, Reply as WireReply};

const SESSIONS: usize = 3;
const STEPS_MAX: usize = 96;
const TIMEOUT_MS: u32 = 4_000;
const PASSWORD: Password = Password([7; 16]);

/// What a command must come to.
#[derive(Debug)]
enum Expected {
    /// The model's reply.
    Operation(Result<WireReply, ErrorCode>),
    /// The session is open in this epoch.
    Session(Epoch),
    /// The session has ended.
    Ended,
    /// It is refused: the session is not what the sender takes it for.
    Nothing,
}

/// A session as its gateway knows it.
#[derive(Clone, Debug)]
struct Session {
    id: SessionId,
    epoch: Epoch,
    caller: Caller,
    attached: Destinations,
}

/// The replicas beside the model.
struct Story {
    replicas: Replicas,
    model: Model,
    sessions: Vec<Session>,
    /// As they were before they moved or ended.
    former: Vec<Session>,
    opened: u64,
    ordered: Vec<(Envelope, Expected)>,
}

/// Orders what is drawn, and compares what it came to.
pub fn commands(bytes: &[u8]) {
    let mut draw = Draw::new(bytes);
    let mut story = Story::new(&mut draw);
    for _ in 0..STEPS_MAX {
        if draw.is_done() {
            break;
        }
        story.step(&mut draw);
        for _ in 0..draw.below(8) {
            story.replicas.go_on(&mut draw);
        }
    }
    story.check();
}

impl Story {
    fn new(draw: &mut Draw) -> Story {
        let (replicas, model) = (Replicas::new(draw), Model::new());
        let (sessions, former, ordered) = (Vec::new(), Vec::new(), Vec::new());
        let mut story = Story { replicas, model, sessions, former, opened: 0, ordered };
        story.sessions = (0..SESSIONS).map(|place| story.open(place)).collect();
        story
    }

    fn step(&mut self, draw: &mut Draw) {
        let place = draw.below(SESSIONS);
        match draw.below(32) {
            0 => self.end(place, draw.flag()),
            1 => self.move_on(place),
            2 => self.late(draw),
            3 => {
                let copied = draw.below(self.ordered.len().min(256));
                let (envelope, _) = &self.ordered[self.ordered.len() - 1 - copied];
                self.replicas.order_again(&envelope.clone());
            }
            4 => self.replicas.pass_time(draw.byte().into()),
            _ => self.operate(place, draw),
        }
    }

    /// Opens a session; who has the first place is somebody, who has the last may do everything.
    fn open(&mut self, place: usize) -> Session {
        self.opened += 1;
        let session = SessionId(100 + self.opened);
        let command = Command::CreateSession { session, password: PASSWORD, timeout_ms: TIMEOUT_MS };
        let attached = self.replicas.destinations(&command);
        self.order_of_node(command, attached, Expected::Session(0));
        let ann = Identity { scheme: "digest".into(), id: user() };
        let identities = if place == 0 { vec![ann] } else { vec![] };
        let caller =
            Caller { identities, superuser: place == SESSIONS - 1, ..Caller::from([127, 0, 0, 1].into()) };
        Session { id: session, epoch: 0, caller, attached }
    }

    fn end(&mut self, place: usize, expires: bool) {
        let opened = self.open(place);
        let session = std::mem::replace(&mut self.sessions[place], opened);
        let Session { id, epoch, .. } = session;
        let command = match expires {
            true => Command::Expire { session: id, epoch, reign: 0 },
            false => Command::Close { session: id, epoch },
        };
        self.order_of_node(command, Destinations::all(PARTITIONS), Expected::Ended);
        self.model.end(id);
        self.former.push(session);
    }

    fn move_on(&mut self, place: usize) {
        let session = &mut self.sessions[place];
        self.former.push(session.clone());
        session.epoch += 1;
        let (id, epoch) = (session.id, session.epoch);
        let command = Command::Move { session: id, password: PASSWORD, timeout_ms: TIMEOUT_MS };
        self.order_of_node(command, Destinations::all(PARTITIONS), Expected::Session(epoch));
    }

    /// What a gateway still sends for a session that has moved or ended.
    fn late(&mut self, draw: &mut Draw) {
        if self.former.is_empty() {
            return;
        }
        let session = self.former[draw.below(self.former.len().min(256))].clone();
        let operation = operation(draw);
        if draw.flag() {
            let command = Command::Expire { session: session.id, epoch: session.epoch, reign: 0 };
            return self.order_of_node(command, Destinations::all(PARTITIONS), Expected::Nothing);
        }
        self.submit(&session, operation, Expected::Nothing, draw);
    }

    fn operate(&mut self, place: usize, draw: &mut Draw) {
        let session = self.sessions[place].clone();
        let operation = operation(draw);
        let expected = self.model.operate(session.id, &session.caller, &operation);
        self.sessions[place].attached = self.submit(&session, operation, Expected::Operation(expected), draw);
    }

    /// Submits as a gateway does: by the session, or where it is not attached by the node, which attaches it. Says where it
    /// is attached then.
    fn submit(
        &mut self,
        session: &Session,
        operation: Operation,
        expected: Expected,
        draw: &mut Draw,
    ) -> Destinations {
        let Session { id, epoch, caller, attached } = session.clone();
        let command = Command::Operate { caller: caller.clone(), operation: operation.clone() };
        let mut to = self.replicas.destinations(&command);
        if !attached.covers(to) {
            let command = Command::Attach { session: id, epoch, caller, operation };
            let to = self.replicas.destinations(&command);
            self.order_of_node(command, to, expected);
            return attached.union(to);
        }
        let stray = PartitionId(draw.below(usize::from(PARTITIONS)) as u16);
        if attached.contains(stray) && draw.once_in(8) {
            to.insert(stray);
        }
        let envelope = self.replicas.order(ClientId(id.0), epoch, command, to);
        self.ordered.push((envelope, expected));
        attached
    }

    fn order_of_node(&mut self, command: Command, to: Destinations, expected: Expected) {
        let envelope = self.replicas.order_of_node(command, to);
        self.ordered.push((envelope, expected));
    }

    fn check(mut self) {
        self.replicas.finish();
        for (envelope, expected) in &self.ordered {
            let answer = self.replicas.answer(envelope);
            let met = match (&*answer.outcome, expected) {
                (Outcome::Reply(Reply::Operation { result, .. }), Expected::Operation(expected)) => {
                    result.clone().map(blank) == *expected
                }
                // What is answered in parts is not executed by the command that attaches.
                (Outcome::Reply(Reply::Attached), Expected::Operation(_)) => true,
                (Outcome::Reply(Reply::Session { epoch, .. }), Expected::Session(expected)) => {
                    epoch == expected
                }
                (Outcome::Reply(Reply::Done), Expected::Ended) => true,
                (Outcome::Reply(Reply::SessionMoved | Reply::NoSession), Expected::Nothing) => true,
                (Outcome::Refused(_), Expected::Nothing) => true,
                _ => false,
            };
            assert!(met, "{envelope:?} came to {:?} instead of {expected:?}", answer.outcome);
        }
        assert_eq!(self.replicas.check(), self.model.paths().len() as u64, "znodes");
    }
}

fn change(draw: &mut Draw) -> Change {
    let path = path(draw);
    match draw.below(13) {
        0..=5 => {
            let (data, acl, mode) = (data(draw), acl(draw), mode(draw));
            Change::Create { path, data, acl, mode, with_stat: draw.flag() }
        }
        6..=8 => Change::Delete { path, version: version(draw) },
        9 | 10 => Change::SetData { path, data: data(draw), version: version(draw) },
        _ => Change::Check { path, version: version(draw) },
    }
}

fn look(draw: &mut Draw) -> Look {
    let path = path(draw);
    match draw.below(4) {
        0 => Look::Exists(path),
        1 => Look::GetData(path),
        2 => Look::GetAcl(path),
        _ => Look::GetChildren { path, with_stat: draw.flag() },
    }
}

fn operation(draw: &mut Draw) -> Operation {
    match draw.below(24) {
        0..=11 => Operation::Change(change(draw)),
        12 => Operation::Change(Change::SetAcl { path: path(draw), acl: acl(draw), version: version(draw) }),
        13..=17 => Operation::Multi((0..draw.below(5)).map(|_| change(draw)).collect()),
        18 | 19 => Operation::Look(look(draw)),
        20 => Operation::MultiRead((0..draw.below(4)).map(|_| look(draw)).collect()),
        21 => Operation::GetEphemerals(path(draw)),
        22 => Operation::CountDescendants(path(draw)),
        _ => Operation::Sync(path(draw)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "instead of Operation(Ok(Count(7)))")]
    fn another_reply_than_the_models_is_seen() {
        let draw = &mut Draw::new(&[]);
        let mut story = Story::new(draw);
        let session = story.sessions[0].clone();
        let expected = Expected::Operation(Ok(WireReply::Count(7)));
        story.submit(&session, Operation::Sync("/".into()), expected, draw);
        story.check();
    }
}
