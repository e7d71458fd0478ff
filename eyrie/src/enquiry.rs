//! Enquiries: what this node asks of partitions that it does not host: reads, and parts of the answers to split reads.
//!
//! A node that hosts the partition answers in pieces ([`Desk`](crate::desk::Desk)), each after the first one only when it is asked
//! for. So this node decides how many bytes are on their way to it:
//!
//! - At most [`ASKED_MAX`] reads are out at a time, and as many parts, of which each partition has an equal share. Each of them may
//!   bring one small piece.
//! - The other pieces are asked for one by one, [`PIECES_MAX`] at a time, and only while at most [`FETCHED_BYTES_MAX`](crate::FETCHED_BYTES_MAX) are being fetched; what comes beyond waits in
//!   line. Of a session's reads only the first is fetched, since its reply leaves first; of a split read all parts together,
//!   once the size of each is known. A split read that is larger than [`ANSWER_BYTES_MAX`](crate::ANSWER_BYTES_MAX) ends there as too large, and nothing
//!   of it is fetched.
//!
//! **Reads of one session are answered in order.** If one of them gets no answer, because the node that was asked is gone or
//! silent, then it and all behind it are asked of the next one: what was read later must not be older. So answers behind an open
//! read wait here.
//!
//! **A part is asked of one host after the other.** All replicas give the same part. If all of those that are up have lost
//! it, the split read is lost.

use crate::client::Epoch;
use crate::desk::AnswerLimits;
use crate::message::Message;
use bytes::{Bytes, BytesMut};
use multicast::{ClientId, CommandId, NodeId, PartitionId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How many reads are out at a time, and how many parts; each partition has an equal share.
pub const ASKED_MAX: usize = 256;
/// How many answers are being fetched at a time; the parts of one split read may go beyond if they are alone.
const PIECES_MAX: usize = 48;
/// A host that says nothing for so long is given up for another.
pub const PATIENCE_MS: u64 = 2_000;
/// After how many rounds over all hosts a part is lost that none of them has, while another part of the command is there.
const ROUNDS_MAX: u32 = 2;

/// A client in one of its epochs.
type Session = (ClientId, Epoch);

fn session_of(place: CommandId) -> Session {
    (place.client, place.epoch)
}

/// What is asked for.
#[derive(Clone, Debug)]
enum Subject {
    Read { place: CommandId, asker: u64, command: Bytes },
    Part(CommandId),
}

#[derive(Debug)]
struct Enquiry {
    partition: PartitionId,
    subject: Subject,
    /// Asked, of this node.
    host: Option<NodeId>,
    /// Since then nothing has come that was asked for; `None` while nothing is.
    since_ms: Option<u64>,
    answer: BytesMut,
    /// How long the answer is, once a piece of it has come.
    total: Option<usize>,
    /// The hosts that do not have it.
    denied: BTreeSet<NodeId>,
    /// How many hosts were asked.
    asked: u32,
}

impl Enquiry {
    fn new(partition: PartitionId, subject: Subject) -> Enquiry {
        Enquiry {
            partition,
            subject,
            host: None,
            since_ms: None,
            answer: BytesMut::new(),
            total: None,
            denied: BTreeSet::new(),
            asked: 0,
        }
    }

    fn is_complete(&self) -> bool {
        self.total == Some(self.answer.len())
    }

    fn is_part(&self) -> bool {
        matches!(self.subject, Subject::Part(_))
    }

    fn message(&self, number: u64) -> Message {
        let partition = self.partition;
        match &self.subject {
            Subject::Read { place, command, .. } => {
                Message::Read { partition, number, place: *place, command: command.clone() }
            }
            Subject::Part(id) => Message::Part { partition, number, id: *id },
        }
    }
}

/// What is fetched, or waits for that, as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Claim {
    Read(u64),
    Parts(CommandId),
}

/// What an enquiry came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A read is answered, for the asker of this number.
    Read {
        /// Its partition.
        partition: PartitionId,
        /// Its place.
        place: CommandId,
        /// By what number the front knows it.
        asker: u64,
        /// The encoded answer.
        answer: Bytes,
    },
    /// All parts of a split read that come from other nodes are there.
    Parts(CommandId, Vec<(PartitionId, Bytes)>),
    /// A part of a split read is nowhere.
    Lost(CommandId),
    /// The parts of a split read are too large together.
    TooLarge(CommandId),
}

/// The enquiries of one node.
///
/// Invariants:
/// - `lines` and `groups` name exactly the enquiries in `open`, and none is empty.
/// - `fetched_bytes` and `fetched_count` are the sums of `fetching`.
/// - `asked` counts, by partition, the enquiries that were asked and of which nothing has come.
#[derive(Debug)]
pub struct Enquiries {
    hosts: Vec<Vec<NodeId>>,
    up: BTreeSet<NodeId>,
    next: u64,
    open: BTreeMap<u64, Enquiry>,
    /// Each session's reads, in order.
    lines: BTreeMap<Session, VecDeque<u64>>,
    /// Each split read's parts.
    groups: BTreeMap<CommandId, Vec<u64>>,
    /// Those that are not asked yet, by partition: reads, and parts.
    unasked: Vec<[VecDeque<u64>; 2]>,
    asked: Vec<[BTreeSet<u64>; 2]>,
    claims: VecDeque<Claim>,
    /// With their bytes, and of how many answers.
    fetching: BTreeMap<Claim, (usize, usize)>,
    fetched_bytes: usize,
    fetched_count: usize,
    limits: AnswerLimits,
    asked_max: usize,
    messages: Vec<(NodeId, Message)>,
    heard: VecDeque<Heard>,
    now_ms: u64,
}

impl Enquiries {
    /// None yet. By partition, the nodes that have a replica of it.
    pub fn new(hosts: Vec<Vec<NodeId>>) -> Enquiries {
        let partitions = hosts.len().max(1);
        Enquiries {
            unasked: hosts.iter().map(|_| Default::default()).collect(),
            asked: hosts.iter().map(|_| Default::default()).collect(),
            hosts,
            up: BTreeSet::new(),
            next: 0,
            open: BTreeMap::new(),
            lines: BTreeMap::new(),
            groups: BTreeMap::new(),
            claims: VecDeque::new(),
            fetching: BTreeMap::new(),
            fetched_bytes: 0,
            fetched_count: 0,
            limits: AnswerLimits::default(),
            asked_max: (ASKED_MAX / partitions).max(4),
            messages: Vec::new(),
            heard: VecDeque::new(),
            now_ms: 0,
        }
    }

    /// Has these limits.
    pub fn limit(&mut self, limits: AnswerLimits) {
        self.limits = limits;
    }

    /// Asks for a read of a partition, behind its session's earlier ones.
    pub fn read(&mut self, partition: PartitionId, place: CommandId, asker: u64, command: Bytes) {
        let number = self.put(Enquiry::new(partition, Subject::Read { place, asker, command }));
        self.lines.entry(session_of(place)).or_default().push_back(number);
        self.ask_waiting(partition);
    }

    /// Asks for a partition's part of the answer to a command.
    pub fn part(&mut self, partition: PartitionId, id: CommandId) {
        let number = self.put(Enquiry::new(partition, Subject::Part(id)));
        self.groups.entry(id).or_default().push(number);
        self.ask_waiting(partition);
    }

    /// Nobody waits any more for the parts of a split read.
    pub fn end(&mut self, id: CommandId) {
        for number in self.groups.remove(&id).unwrap_or_default() {
            self.drop_enquiry(number);
        }
        self.release(Claim::Parts(id));
    }

    /// Nobody waits any more for what a client has read in this epoch. Says how many reads that were.
    pub fn forget(&mut self, client: ClientId, epoch: Epoch) -> u64 {
        let line = self.lines.remove(&(client, epoch)).unwrap_or_default();
        for number in &line {
            self.drop_enquiry(*number);
            self.release(Claim::Read(*number));
        }
        line.len() as u64
    }

    /// The link to a node is up.
    pub fn found(&mut self, node: NodeId) {
        self.lost(node);
        self.up.insert(node);
        for partition in 0..self.hosts.len() {
            self.ask_waiting(PartitionId(partition as u16));
        }
    }

    /// The link to a node is down: what it was asked for is asked of another.
    pub fn lost(&mut self, node: NodeId) {
        self.up.remove(&node);
        let asked =
            self.open.iter().filter(|(_, enquiry)| enquiry.host == Some(node) && !enquiry.is_complete());
        let asked: Vec<u64> = asked.map(|(number, _)| *number).collect();
        asked.into_iter().for_each(|number| self.ask_again(number));
    }

    /// Time has passed; `now_ms` is monotonic.
    pub fn tick(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
        let late =
            |enquiry: &Enquiry| enquiry.since_ms.is_some_and(|since_ms| now_ms >= since_ms + PATIENCE_MS);
        let late: Vec<u64> =
            self.open.iter().filter(|(_, enquiry)| late(enquiry)).map(|(number, _)| *number).collect();
        late.into_iter().for_each(|number| self.ask_again(number));
    }

    /// A piece of an answer has come.
    pub fn piece(&mut self, from: NodeId, number: u64, (total, offset): (u64, u64), bytes: &[u8]) {
        let bytes_max = self.limits.answer as u64;
        let Some(enquiry) = self.open.get_mut(&number).filter(|enquiry| enquiry.host == Some(from)) else {
            return;
        };
        let fits = offset == enquiry.answer.len() as u64
            && offset.saturating_add(bytes.len() as u64) <= total
            && total <= bytes_max
            && enquiry.total.is_none_or(|known| known as u64 == total)
            && !(bytes.is_empty() && offset < total);
        if !fits {
            tracing::warn!(%from, number, total, offset, "a piece that does not fit: the answer is asked for again");
            return self.ask_again(number);
        }
        enquiry.answer.extend_from_slice(bytes);
        enquiry.total = Some(total as usize);
        enquiry.since_ms = None;
        let (partition, class) = (enquiry.partition, usize::from(enquiry.is_part()));
        self.asked[partition.index()][class].remove(&number);
        self.go_on(number);
        self.ask_waiting(partition);
    }

    /// A node does not have what it was asked for.
    pub fn none(&mut self, from: NodeId, number: u64) {
        let Some(enquiry) = self.open.get_mut(&number).filter(|enquiry| enquiry.host == Some(from)) else {
            return;
        };
        enquiry.denied.insert(from);
        let up = self.hosts[enquiry.partition.index()].iter().filter(|host| self.up.contains(host));
        let everywhere = up.into_iter().all(|host| enquiry.denied.contains(host));
        match (&enquiry.subject, everywhere) {
            (Subject::Part(id), true) => {
                let id = *id;
                self.lose(id);
            }
            _ => self.ask_again(number),
        }
    }

    /// What enquiries have come to since the last call.
    pub fn take_heard(&mut self) -> Option<Heard> {
        self.heard.pop_front()
    }

    /// What is to be told to other nodes.
    pub fn drain(&mut self) -> Vec<(NodeId, Message)> {
        std::mem::take(&mut self.messages)
    }

    /// The nodes that have a replica of a partition.
    pub fn hosts(&self, partition: PartitionId) -> &[NodeId] {
        &self.hosts[partition.index()]
    }

    /// Panics unless the invariants hold.
    pub fn check_invariants(&self) {
        let named = self.lines.values().map(VecDeque::len).sum::<usize>()
            + self.groups.values().map(Vec::len).sum::<usize>();
        assert_eq!(named, self.open.len());
        assert!(self.lines.values().all(|line| !line.is_empty()));
        assert_eq!(self.fetched_bytes, self.fetching.values().map(|(bytes, _)| bytes).sum::<usize>());
        assert_eq!(self.fetched_count, self.fetching.values().map(|(_, count)| count).sum::<usize>());
        assert!(self.fetched_bytes <= self.limits.fetched || self.fetching.len() <= 1);
        for numbers in self.asked.iter().flatten() {
            assert!(numbers.len() <= self.asked_max);
            assert!(numbers.iter().all(|number| self.open[number].total.is_none()));
        }
    }

    fn put(&mut self, enquiry: Enquiry) -> u64 {
        let number = self.next;
        self.next += 1;
        self.unasked[enquiry.partition.index()][usize::from(enquiry.is_part())].push_back(number);
        self.open.insert(number, enquiry);
        number
    }

    /// Asks what waits for its turn, as far as there is room.
    fn ask_waiting(&mut self, partition: PartitionId) {
        for class in 0..2 {
            while self.asked[partition.index()][class].len() < self.asked_max {
                let Some(host) = self.host_of(partition, None) else { return };
                let Some(number) = self.unasked[partition.index()][class].pop_front() else { break };
                self.ask(number, self.host_of_session(number).unwrap_or(host));
            }
        }
    }

    /// The host that is asked first, or the next one after that.
    fn host_of(&self, partition: PartitionId, after: Option<NodeId>) -> Option<NodeId> {
        let hosts = &self.hosts[partition.index()];
        let place = after.and_then(|after| hosts.iter().position(|host| *host == after));
        let first = place.map_or(0, |place| place + 1);
        let round = (0..hosts.len()).map(|step| hosts[(first + step) % hosts.len()]);
        round.into_iter().find(|host| self.up.contains(host))
    }

    /// The host that a session's last read was asked of: two of them might answer out of order.
    fn host_of_session(&self, number: u64) -> Option<NodeId> {
        let Subject::Read { place, .. } = &self.open.get(&number)?.subject else { return None };
        let line = self.lines.get(&session_of(*place))?;
        line.iter().rev().find_map(|other| self.open[other].host).filter(|host| self.up.contains(host))
    }

    fn ask(&mut self, number: u64, host: NodeId) {
        let Some(enquiry) = self.open.get_mut(&number) else { return };
        enquiry.host = Some(host);
        enquiry.since_ms = Some(self.now_ms);
        enquiry.asked += 1;
        self.asked[enquiry.partition.index()][usize::from(enquiry.is_part())].insert(number);
        let message = enquiry.message(number);
        self.messages.push((host, message));
    }

    /// Asks the next host, from the beginning on; of a read with all that its session reads behind it.
    fn ask_again(&mut self, number: u64) {
        let Some(enquiry) = self.open.get(&number) else { return };
        match &enquiry.subject {
            Subject::Read { place, .. } => {
                let session = session_of(*place);
                let line = self.lines.get(&session).cloned().unwrap_or_default();
                let is_unread = |other: &u64| *other == number || self.open[other].total.is_none();
                let from = line.iter().position(is_unread).unwrap_or(0);
                let after = enquiry.host;
                let again: Vec<u64> = line.range(from..).map(|other| self.renew(*other, after)).collect();
                if let Some(line) = self.lines.get_mut(&session) {
                    line.truncate(from);
                    line.extend(again);
                }
            }
            Subject::Part(id) => {
                let (id, asked) = (*id, enquiry.asked);
                let rounds = asked / self.hosts[enquiry.partition.index()].len().max(1) as u32;
                let is_complete = self.groups[&id].iter().any(|other| self.open[other].total.is_some());
                if rounds >= ROUNDS_MAX && is_complete {
                    return self.lose(id);
                }
                let after = enquiry.host;
                let again = self.renew(number, after);
                let group = self.groups.get_mut(&id).expect("a part is of a group");
                group.iter_mut().filter(|other| **other == number).for_each(|other| *other = again);
            }
        }
    }

    /// Puts an enquiry again under a new number, for the host after that one. What the old number brings is not heard.
    fn renew(&mut self, number: u64, after: Option<NodeId>) -> u64 {
        let mut enquiry = self.open.remove(&number).expect("an enquiry that is renewed is open");
        let (partition, class) = (enquiry.partition, usize::from(enquiry.is_part()));
        self.asked[partition.index()][class].remove(&number);
        self.unasked[partition.index()][class].retain(|other| *other != number);
        self.release(Claim::Read(number));
        if let Some(host) = enquiry.host.take().filter(|host| self.up.contains(host)) {
            self.messages.push((host, Message::Drop { partition, number }));
        }
        enquiry.answer.clear();
        (enquiry.total, enquiry.since_ms) = (None, None);
        let again = self.next;
        self.next += 1;
        self.open.insert(again, enquiry);
        match self.host_of(partition, after) {
            Some(host) if self.asked[partition.index()][class].len() < self.asked_max => {
                self.ask(again, host)
            }
            _ => self.unasked[partition.index()][class].push_back(again),
        }
        again
    }

    /// Does what follows from a piece that has come.
    fn go_on(&mut self, number: u64) {
        let enquiry = &self.open[&number];
        match &enquiry.subject {
            Subject::Read { place, .. } => {
                let session = session_of(*place);
                self.fetch_first(session);
                self.fetch_more(Claim::Read(number), number);
                self.release_line(session);
            }
            Subject::Part(id) => {
                let id = *id;
                self.claim_group(id);
                self.fetch_more(Claim::Parts(id), number);
                self.release_group(id);
            }
        }
    }

    /// Claims room for the first read of a session, if it is long.
    fn fetch_first(&mut self, session: Session) {
        let Some(number) = self.lines.get(&session).and_then(|line| line.front().copied()) else { return };
        let enquiry = &self.open[&number];
        if enquiry.total.is_some() && !enquiry.is_complete() {
            self.claim(Claim::Read(number));
        }
    }

    /// Claims room for the parts of a split read, once all sizes are known.
    fn claim_group(&mut self, id: CommandId) {
        let group = &self.groups[&id];
        let totals: Option<usize> = group.iter().map(|number| self.open[number].total).sum();
        let Some(total) = totals else { return };
        if total > self.limits.answer {
            self.end(id);
            return self.heard.push_back(Heard::TooLarge(id));
        }
        if !group.iter().all(|number| self.open[number].is_complete()) {
            self.claim(Claim::Parts(id));
        }
    }

    fn claim(&mut self, claim: Claim) {
        if !self.fetching.contains_key(&claim) && !self.claims.contains(&claim) {
            self.claims.push_back(claim);
            self.grant();
        }
    }

    /// Gives room to those first in line.
    fn grant(&mut self) {
        while let Some(claim) = self.claims.front().copied() {
            let numbers = match claim {
                Claim::Read(number) => vec![number],
                Claim::Parts(id) => self.groups.get(&id).cloned().unwrap_or_default(),
            };
            let open = numbers.iter().filter_map(|number| self.open.get(number));
            let bytes: usize = open.filter_map(|enquiry| enquiry.total).sum();
            let has_room = self.fetched_bytes + bytes <= self.limits.fetched
                && self.fetched_count + numbers.len() <= PIECES_MAX;
            if self.fetched_bytes > 0 && !has_room {
                return;
            }
            self.fetched_count += numbers.len();
            self.claims.pop_front();
            self.fetching.insert(claim, (bytes, numbers.len()));
            self.fetched_bytes += bytes;
            numbers.into_iter().for_each(|number| self.fetch_more(claim, number));
        }
    }

    /// Asks for the next piece of an answer for which there is room.
    fn fetch_more(&mut self, claim: Claim, number: u64) {
        let Some(enquiry) = self.open.get_mut(&number).filter(|_| self.fetching.contains_key(&claim)) else {
            return;
        };
        if enquiry.total.is_none() || enquiry.is_complete() || enquiry.since_ms.is_some() {
            return;
        }
        enquiry.since_ms = Some(self.now_ms);
        let (partition, offset) = (enquiry.partition, enquiry.answer.len() as u64);
        if let Some(host) = enquiry.host {
            self.messages.push((host, Message::More { partition, number, offset }));
        }
    }

    /// Gives out the answers first in a session's line.
    fn release_line(&mut self, session: Session) {
        while let Some(line) = self.lines.get_mut(&session) {
            let Some(number) = line.front().copied().filter(|number| self.open[number].is_complete()) else {
                break;
            };
            line.pop_front();
            if line.is_empty() {
                self.lines.remove(&session);
            }
            let enquiry = self.open.remove(&number).expect("what stands in a line is open");
            if let Subject::Read { place, asker, .. } = enquiry.subject {
                self.heard.push_back(Heard::Read {
                    partition: enquiry.partition,
                    place,
                    asker,
                    answer: enquiry.answer.freeze(),
                });
            }
            self.release(Claim::Read(number));
        }
        self.fetch_first(session);
    }

    /// Gives out the parts of a split read, if all are there.
    fn release_group(&mut self, id: CommandId) {
        let Some(group) = self.groups.get(&id) else { return };
        if !group.iter().all(|number| self.open[number].is_complete()) {
            return;
        }
        let group = self.groups.remove(&id).unwrap_or_default();
        let parts = group.iter().filter_map(|number| self.open.remove(number));
        let parts = parts.map(|enquiry| (enquiry.partition, enquiry.answer.freeze())).collect();
        self.heard.push_back(Heard::Parts(id, parts));
        self.release(Claim::Parts(id));
    }

    fn lose(&mut self, id: CommandId) {
        self.end(id);
        self.heard.push_back(Heard::Lost(id));
    }

    fn drop_enquiry(&mut self, number: u64) {
        let Some(enquiry) = self.open.remove(&number) else { return };
        let (partition, class) = (enquiry.partition, usize::from(enquiry.is_part()));
        self.asked[partition.index()][class].remove(&number);
        self.unasked[partition.index()][class].retain(|other| *other != number);
        if let Some(host) = enquiry.host.filter(|host| self.up.contains(host)) {
            self.messages.push((host, Message::Drop { partition, number }));
        }
        self.ask_waiting(partition);
    }

    fn release(&mut self, claim: Claim) {
        self.claims.retain(|waiting| *waiting != claim);
        if let Some((bytes, count)) = self.fetching.remove(&claim) {
            self.fetched_bytes -= bytes;
            self.fetched_count -= count;
        }
        self.grant();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const P: PartitionId = PartitionId(0);
    const Q: PartitionId = PartitionId(1);
    const A: NodeId = NodeId(1);
    const B: NodeId = NodeId(2);
    const LIMITS: AnswerLimits =
        AnswerLimits { first_piece: 4, piece: 4, answer: 100, kept: 100, fetched: 40, repeats: 0 };

    /// Two nodes host two partitions, and both are up.
    fn enquiries() -> Enquiries {
        let mut enquiries = Enquiries::new(vec![vec![A, B], vec![A, B]]);
        enquiries.limit(LIMITS);
        enquiries.found(A);
        enquiries.found(B);
        enquiries
    }

    fn id(client: u64, i: u32) -> CommandId {
        CommandId { client: ClientId(client), epoch: 1, run: 1, i }
    }

    /// What is told, in short.
    fn told(enquiries: &mut Enquiries) -> Vec<String> {
        enquiries.check_invariants();
        let name = |(to, message): (NodeId, Message)| match message {
            Message::Read { number, .. } => format!("{to}: read {number}"),
            Message::Part { number, .. } => format!("{to}: part {number}"),
            Message::More { number, offset, .. } => format!("{to}: {number} from {offset}"),
            Message::Drop { number, .. } => format!("{to}: drop {number}"),
            other => format!("{to}: {other:?}"),
        };
        enquiries.drain().into_iter().map(name).collect()
    }

    fn read(enquiries: &mut Enquiries, client: u64, asker: u64) {
        enquiries.read(P, id(client, 0), asker, Bytes::new());
    }

    /// All pieces of an answer of so many bytes, as far as they are asked for.
    fn answer(enquiries: &mut Enquiries, from: NodeId, number: u64, total: usize) {
        let bytes = vec![number as u8; total];
        let mut offset = 0;
        loop {
            let end = total.min(offset + 4);
            enquiries.piece(from, number, (total as u64, offset as u64), &bytes[offset..end]);
            let more = |(_, message): &(NodeId, Message)| matches!(message, Message::More { number: of, .. } if *of == number);
            let asked = enquiries.drain();
            match asked.iter().find(|message| more(message)) {
                Some((_, Message::More { offset: next, .. })) => offset = *next as usize,
                _ => return,
            }
        }
    }

    /// The reads answered, by their askers' numbers.
    fn answered(enquiries: &mut Enquiries) -> Vec<u64> {
        enquiries.check_invariants();
        std::iter::from_fn(|| enquiries.take_heard())
            .map(|heard| match heard {
                Heard::Read { asker, .. } => asker,
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn a_sessions_reads_are_answered_in_order() {
        let mut enquiries = enquiries();
        (0..3).for_each(|asker| read(&mut enquiries, 7, asker));
        assert_eq!(told(&mut enquiries), ["n1: read 0", "n1: read 1", "n1: read 2"]);
        answer(&mut enquiries, A, 1, 3);
        answer(&mut enquiries, A, 2, 3);
        assert_eq!(answered(&mut enquiries), []);
        answer(&mut enquiries, A, 0, 3);
        assert_eq!(answered(&mut enquiries), [0, 1, 2]);
    }

    #[test]
    fn what_is_behind_a_lost_read_is_read_again_too() {
        let mut enquiries = enquiries();
        (0..3).for_each(|asker| read(&mut enquiries, 7, asker));
        read(&mut enquiries, 8, 9);
        told(&mut enquiries);
        answer(&mut enquiries, A, 2, 3);
        enquiries.lost(A);
        let again = ["n2: read 4", "n2: read 5", "n2: read 6", "n2: read 7"];
        assert_eq!(told(&mut enquiries), again);
        enquiries.found(A);
        assert_eq!(told(&mut enquiries), [""; 0]);
        read(&mut enquiries, 7, 3);
        assert_eq!(told(&mut enquiries), ["n2: read 8"], "where the session's other reads are");
        answer(&mut enquiries, A, 0, 3);
        (4..9).rev().for_each(|number| answer(&mut enquiries, B, number, 3));
        let mut answered = answered(&mut enquiries);
        answered.retain(|asker| *asker < 9);
        assert_eq!(answered, [0, 1, 2, 3]);
    }

    #[test]
    fn a_silent_host_is_given_up_for_another() {
        let mut enquiries = enquiries();
        read(&mut enquiries, 7, 0);
        told(&mut enquiries);
        enquiries.tick(PATIENCE_MS - 1);
        assert_eq!(told(&mut enquiries), [""; 0]);
        enquiries.tick(PATIENCE_MS);
        assert_eq!(told(&mut enquiries), ["n1: drop 0", "n2: read 1"]);
    }

    #[test]
    fn so_many_bytes_are_fetched_at_a_time_and_one_answer_may_be_longer() {
        let mut enquiries = enquiries();
        for client in 0..3 {
            read(&mut enquiries, client, client);
        }
        told(&mut enquiries);
        for number in 0..3 {
            enquiries.piece(A, number, (20, 0), &[0; 4]);
        }
        assert_eq!(told(&mut enquiries), ["n1: 0 from 4", "n1: 1 from 4"], "the third one waits");
        for offset in (4..20).step_by(4) {
            enquiries.piece(A, 0, (20, offset), &[0; 4]);
        }
        assert_eq!(answered(&mut enquiries), [0]);
        assert_eq!(told(&mut enquiries).last().map(String::as_str), Some("n1: 2 from 4"));
        assert_eq!(enquiries.forget(ClientId(1), 1) + enquiries.forget(ClientId(2), 1), 2);
        told(&mut enquiries);
        read(&mut enquiries, 5, 5);
        answer(&mut enquiries, A, 3, 90);
        assert_eq!(answered(&mut enquiries), [5]);
    }

    #[test]
    fn of_one_session_only_the_first_long_answer_is_fetched() {
        let mut enquiries = enquiries();
        (0..2).for_each(|asker| read(&mut enquiries, 7, asker));
        told(&mut enquiries);
        enquiries.piece(A, 1, (12, 0), &[0; 4]);
        assert_eq!(told(&mut enquiries), [""; 0]);
        answer(&mut enquiries, A, 0, 4);
        answer_rest(&mut enquiries, 1, 12);
        assert_eq!(answered(&mut enquiries), [0, 1]);
    }

    fn answer_rest(enquiries: &mut Enquiries, number: u64, total: u64) {
        for offset in (4..total).step_by(4) {
            enquiries.piece(A, number, (total, offset), &[0; 4]);
        }
    }

    #[test]
    fn reads_beyond_the_bound_wait_for_their_turn() {
        let mut enquiries = enquiries();
        let share = ASKED_MAX / 2;
        (0..share as u64 + 2).for_each(|client| read(&mut enquiries, client, client));
        assert_eq!(told(&mut enquiries).len(), share);
        answer(&mut enquiries, A, 0, 1);
        enquiries.forget(ClientId(1), 1);
        let asked: Vec<String> = told(&mut enquiries);
        assert!(asked.contains(&format!("n1: read {}", share + 1)), "{asked:?}");
    }

    #[test]
    fn the_parts_of_a_split_read_are_fetched_together_once_all_sizes_are_known() {
        let mut enquiries = enquiries();
        enquiries.part(P, id(7, 0));
        enquiries.part(Q, id(7, 0));
        assert_eq!(told(&mut enquiries), ["n1: part 0", "n1: part 1"]);
        enquiries.piece(A, 0, (10, 0), &[0; 4]);
        assert_eq!(told(&mut enquiries), [""; 0], "the size of the other is not known");
        enquiries.piece(A, 1, (8, 0), &[0; 4]);
        assert_eq!(told(&mut enquiries), ["n1: 0 from 4", "n1: 1 from 4"]);
        answer_rest(&mut enquiries, 1, 8);
        enquiries.piece(A, 0, (10, 4), &[0; 4]);
        enquiries.piece(A, 0, (10, 8), &[0; 2]);
        let parts = vec![(P, Bytes::from_static(&[0; 10])), (Q, Bytes::from_static(&[0; 8]))];
        assert_eq!(enquiries.take_heard(), Some(Heard::Parts(id(7, 0), parts)));
    }

    #[test]
    fn parts_up_to_the_limit_are_fetched_and_none_beyond() {
        for (total, too_large) in [(99, false), (100, false), (101, true), (1_000, true)] {
            let mut enquiries = enquiries();
            enquiries.limit(AnswerLimits { answer: 1_000, ..LIMITS });
            enquiries.part(P, id(7, 0));
            enquiries.part(Q, id(7, 0));
            enquiries.limit(AnswerLimits { answer: 100, ..LIMITS });
            told(&mut enquiries);
            enquiries.piece(A, 0, (50, 0), &[0; 4]);
            enquiries.piece(A, 1, (total.min(100) - 50 + u64::from(too_large), 0), &[0; 4]);
            let heard = enquiries.take_heard();
            assert_eq!(heard, too_large.then_some(Heard::TooLarge(id(7, 0))), "{total}");
        }
    }

    #[test]
    fn a_part_is_asked_of_every_host_and_then_it_is_lost() {
        let mut enquiries = enquiries();
        enquiries.part(P, id(7, 0));
        told(&mut enquiries);
        enquiries.none(A, 0);
        assert_eq!(told(&mut enquiries), ["n1: drop 0", "n2: part 1"]);
        assert_eq!(enquiries.take_heard(), None);
        enquiries.none(B, 1);
        assert_eq!(enquiries.take_heard(), Some(Heard::Lost(id(7, 0))));
        enquiries.check_invariants();
    }

    #[test]
    fn pieces_that_do_not_fit_are_not_taken() {
        let mut enquiries = enquiries();
        read(&mut enquiries, 7, 0);
        told(&mut enquiries);
        enquiries.piece(B, 0, (4, 0), &[0; 4]);
        assert_eq!(answered(&mut enquiries), [], "it was not asked");
        enquiries.piece(A, 0, (u64::MAX, 0), &[0; 4]);
        assert_eq!(told(&mut enquiries), ["n1: drop 0", "n2: read 1"], "no answer is so long");
        enquiries.piece(B, 1, (4, u64::MAX), &[0; 4]);
        assert_eq!(told(&mut enquiries).len(), 2);
        enquiries.piece(A, 2, (4, 0), &[]);
        assert_eq!(told(&mut enquiries).len(), 2, "a piece without bytes goes on for ever");
    }

    #[test]
    fn so_many_answers_are_fetched_at_a_time() {
        for reads in [PIECES_MAX - 1, PIECES_MAX, PIECES_MAX + 1, 2 * PIECES_MAX] {
            let mut enquiries = enquiries();
            enquiries.limit(AnswerLimits { fetched: usize::MAX, ..LIMITS });
            (0..reads as u64).for_each(|client| read(&mut enquiries, client, client));
            told(&mut enquiries);
            (0..reads as u64).for_each(|number| enquiries.piece(A, number, (8, 0), &[0; 4]));
            assert_eq!(told(&mut enquiries).len(), reads.min(PIECES_MAX), "{reads} reads");
            enquiries.piece(A, 0, (8, 4), &[0; 4]);
            assert_eq!(answered(&mut enquiries), [0]);
            assert_eq!(told(&mut enquiries).len(), usize::from(reads > PIECES_MAX), "the next one in line");
        }
    }
}
