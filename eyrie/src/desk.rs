//! The desk: answers for nodes that have no replica of a partition hosted here.
//!
//! ```text
//!   other node (Enquiries)                         this node
//!   Read, Part ───────────────────────────────►  Desk ──► replica
//!              ◄── Piece (the first 16 KiB) ───    │  ◄── answer, part
//!   More ─────────────────────────────────────►    │
//!              ◄── Piece ─────────────────────     │
//!   Drop, Withdraw ───────────────────────────►    │
//! ```
//!
//! An answer leaves in pieces, and each piece after the first one only when it is asked for: the node that asks controls how
//! much is on its way. So a large answer never fills a link, and small answers pass between its pieces.
//!
//! Parts of split reads are kept until the node that submitted the command withdraws them, up to [`KEPT_BYTES_MAX`]. Beyond that
//! the oldest is given up, and is told to be lost when it is asked for.

use crate::answer::{Answer, Outcome};
use crate::branches::PART_LOST;
use crate::client::is_node;
use crate::codec;
use crate::kept::KEPT_ANSWERS_BYTES_MAX;
use crate::message::Message;
use crate::service::StateMachine;
use bytes::Bytes;
use multicast::{CommandId, NodeId, PartitionId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// The first piece of an answer.
pub const FIRST_PIECE_BYTES: usize = 16 << 10;
/// Every later piece of an answer.
pub const PIECE_BYTES: usize = 256 << 10;
/// The longest answer that travels between nodes. A longer one is answered as too large.
pub const ANSWER_BYTES_MAX: usize = 40 << 20;
/// How many bytes of parts a node keeps.
pub const KEPT_BYTES_MAX: usize = 256 << 20;
/// How many bytes of long answers a node fetches at a time; one answer may go beyond if it is alone.
pub const FETCHED_BYTES_MAX: usize = 64 << 20;

/// The bounds of answers. `answer` and `repeats` must be alike on all nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerLimits {
    /// Bytes of the first piece of an answer.
    pub first_piece: usize,
    /// Bytes of every later piece.
    pub piece: usize,
    /// Bytes of an answer, and of all parts of one.
    pub answer: usize,
    /// Bytes of parts that a node keeps.
    pub kept: usize,
    /// Bytes of long answers that a node fetches at a time.
    pub fetched: usize,
    /// Bytes of answers that a partition keeps for repeats.
    pub repeats: usize,
}

impl Default for AnswerLimits {
    fn default() -> AnswerLimits {
        AnswerLimits {
            first_piece: FIRST_PIECE_BYTES,
            piece: PIECE_BYTES,
            answer: ANSWER_BYTES_MAX,
            kept: KEPT_BYTES_MAX,
            fetched: FETCHED_BYTES_MAX,
            repeats: KEPT_ANSWERS_BYTES_MAX,
        }
    }
}
/// How many lost parts a node remembers, so that it need not wait for a repeat to say so.
const LOST_MAX: usize = 4_096;
/// How many parts one node may wait for; further questions are not heard, and asked again.
pub const AWAITED_MAX: usize = 4_096;

/// A part's name.
type PartId = (PartitionId, CommandId);

/// An answer of which pieces are left.
struct Told<S: StateMachine> {
    partition: PartitionId,
    answer: Answer<S>,
    /// Once a second piece was asked for.
    encoded: Option<Bytes>,
}

struct Kept<S: StateMachine> {
    answer: Answer<S>,
    bytes: usize,
    origin: NodeId,
}

/// What this node answers to others.
///
/// Invariants: `bytes` counts those of all parts kept, and is at most [`KEPT_BYTES_MAX`] or that of one part.
pub struct Desk<S: StateMachine> {
    told: BTreeMap<(NodeId, u64), Told<S>>,
    kept: BTreeMap<PartId, Kept<S>>,
    /// The parts kept, oldest first, and others that are not any more.
    order: VecDeque<PartId>,
    bytes: usize,
    limits: AnswerLimits,
    /// The enquiries after parts that are not there yet.
    awaited: BTreeMap<PartId, BTreeMap<NodeId, u64>>,
    lost: BTreeSet<PartId>,
    lost_order: VecDeque<PartId>,
    messages: Vec<(NodeId, Message)>,
}

impl<S: StateMachine> Default for Desk<S> {
    fn default() -> Desk<S> {
        Desk {
            told: BTreeMap::new(),
            kept: BTreeMap::new(),
            order: VecDeque::new(),
            bytes: 0,
            limits: AnswerLimits::default(),
            awaited: BTreeMap::new(),
            lost: BTreeSet::new(),
            lost_order: VecDeque::new(),
            messages: Vec::new(),
        }
    }
}

impl<S: StateMachine> Desk<S> {
    /// Has these limits.
    pub fn limit(&mut self, limits: AnswerLimits) {
        self.limits = limits;
    }

    /// A read for another node is answered.
    pub fn answer(&mut self, node: NodeId, number: u64, answer: Answer<S>) {
        self.tell(node, number, self.bounded(answer));
    }

    /// A replica here has given its part of an answer, which another node may ask for.
    pub fn keep(&mut self, origin: NodeId, part: Answer<S>) {
        let part = self.bounded(part);
        let id = (part.partition, part.id);
        if self.kept.contains_key(&id) || self.lost.contains(&id) {
            return;
        }
        self.forget_earlier(id);
        let bytes = codec::encoded_len(&part);
        for (node, number) in self.awaited.remove(&id).unwrap_or_default() {
            self.tell(node, number, part.clone());
        }
        self.bytes += bytes;
        self.kept.insert(id, Kept { answer: part, bytes, origin });
        self.order.push_back(id);
        self.give_up_oldest();
    }

    /// A node asks for a part.
    pub fn ask(&mut self, node: NodeId, partition: PartitionId, number: u64, id: CommandId) {
        let part = (partition, id);
        if let Some(kept) = self.kept.get(&part) {
            let answer = kept.answer.clone();
            return self.tell(node, number, answer);
        }
        if self.lost.contains(&part) {
            return self.messages.push((node, Message::None { partition, number }));
        }
        if self.awaited.len() < AWAITED_MAX || self.awaited.contains_key(&part) {
            self.awaited.entry(part).or_default().insert(node, number);
        }
    }

    /// A split read was taken before: if its part is not kept, it is lost.
    pub fn repeated(&mut self, partition: PartitionId, id: CommandId) {
        if !self.kept.contains_key(&(partition, id)) {
            PART_LOST.reached();
            self.lose((partition, id));
        }
    }

    /// A node asks for the next piece of an answer.
    pub fn more(&mut self, node: NodeId, number: u64, offset: u64) {
        let Some(told) = self.told.get_mut(&(node, number)) else { return };
        let partition = told.partition;
        let encoded = told.encoded.get_or_insert_with(|| encode(&told.answer)).clone();
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(encoded.len());
        let piece = encoded.slice(start..encoded.len().min(start + self.limits.piece));
        if start + piece.len() == encoded.len() {
            self.told.remove(&(node, number));
        }
        let total = encoded.len() as u64;
        self.messages
            .push((node, Message::Piece { partition, number, total, offset: start as u64, bytes: piece }));
    }

    /// A node does not want an answer any more.
    pub fn drop(&mut self, node: NodeId, number: u64) {
        self.told.remove(&(node, number));
        self.forget_awaited(|waiting, at| waiting == node && at == number);
    }

    /// Nobody will ask for a part any more.
    pub fn withdraw(&mut self, node: NodeId, partition: PartitionId, id: CommandId) {
        let part = (partition, id);
        match self.kept.get(&part) {
            Some(kept) if kept.origin == node => self.forget(part),
            Some(_) => {}
            // A replica that is behind may give it yet.
            None => self.lose(part),
        }
    }

    /// The link to a node is down: it asks again for whatever it still wants.
    pub fn lost(&mut self, node: NodeId) {
        self.told.retain(|(to, _), _| *to != node);
        self.forget_awaited(|waiting, _| waiting == node);
    }

    /// A node has started anew: nobody waits for what it had asked for before.
    pub fn started(&mut self, node: NodeId) {
        let parts = self.kept.iter().filter(|(_, kept)| kept.origin == node);
        let parts: Vec<PartId> = parts.map(|(part, _)| *part).collect();
        parts.into_iter().for_each(|part| self.forget(part));
    }

    /// What is to be told to other nodes.
    pub fn drain(&mut self) -> Vec<(NodeId, Message)> {
        std::mem::take(&mut self.messages)
    }

    /// Panics unless the invariants hold.
    pub fn check_invariants(&self) {
        assert_eq!(self.bytes, self.kept.values().map(|kept| kept.bytes).sum::<usize>());
        assert!(self.bytes <= self.limits.kept || self.kept.len() <= 1);
        assert!(self.awaited.values().all(|nodes| !nodes.is_empty()));
        assert!(self.lost.len() == self.lost_order.len() && self.lost.len() <= LOST_MAX);
    }

    /// The answer, or that it is too large.
    fn bounded(&self, answer: Answer<S>) -> Answer<S> {
        match codec::encoded_len(&answer) > self.limits.answer {
            true => Answer { outcome: Arc::new(Outcome::TooLarge), ..answer },
            false => answer,
        }
    }

    fn tell(&mut self, node: NodeId, number: u64, answer: Answer<S>) {
        let partition = answer.partition;
        let encoded = encode(&answer);
        let (total, bytes) =
            (encoded.len() as u64, encoded.slice(..encoded.len().min(self.limits.first_piece)));
        if bytes.len() < encoded.len() {
            // The rest may wait for long, and the state holds it meanwhile: it is encoded again then.
            self.told.insert((node, number), Told { partition, answer, encoded: None });
            let bytes = Bytes::copy_from_slice(&bytes);
            return self.messages.push((node, Message::Piece { partition, number, total, offset: 0, bytes }));
        }
        self.messages.push((node, Message::Piece { partition, number, total, offset: 0, bytes }));
    }

    fn give_up_oldest(&mut self) {
        while self.bytes > self.limits.kept && self.kept.len() > 1 {
            let Some(part) = self.order.pop_front() else { return };
            if self.kept.contains_key(&part) {
                PART_LOST.reached();
                self.forget(part);
                self.lose(part);
            }
        }
        // Parts that were withdrawn leave their names behind.
        if self.order.len() > 2 * self.kept.len() + LOST_MAX {
            self.order.retain(|part| self.kept.contains_key(part));
        }
    }

    /// A client has one split read at a time that others keep parts of: earlier ones are answered.
    fn forget_earlier(&mut self, (partition, id): PartId) {
        let first = CommandId { epoch: 0, run: 0, i: 0, ..id };
        let earlier = self.kept.range((partition, first)..(partition, id));
        let earlier: Vec<PartId> = earlier.map(|(part, _)| *part).filter(|_| !is_node(id.client)).collect();
        earlier.into_iter().for_each(|part| self.forget(part));
    }

    fn forget(&mut self, part: PartId) {
        if let Some(kept) = self.kept.remove(&part) {
            self.bytes -= kept.bytes;
        }
    }

    fn lose(&mut self, part: PartId) {
        for (node, number) in self.awaited.remove(&part).unwrap_or_default() {
            self.messages.push((node, Message::None { partition: part.0, number }));
        }
        if self.lost.insert(part) {
            self.lost_order.push_back(part);
        }
        if self.lost.len() > LOST_MAX
            && let Some(oldest) = self.lost_order.pop_front()
        {
            self.lost.remove(&oldest);
        }
    }

    fn forget_awaited(&mut self, gone: impl Fn(NodeId, u64) -> bool) {
        self.awaited.values_mut().for_each(|nodes| nodes.retain(|node, number| !gone(*node, *number)));
        self.awaited.retain(|_, nodes| !nodes.is_empty());
    }
}

fn encode<S: StateMachine>(answer: &Answer<S>) -> Bytes {
    let mut bytes = Vec::with_capacity(256);
    codec::encode_into(answer, &mut bytes).expect("an answer can be encoded into memory");
    Bytes::from(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::{PartitioningOracle, Variables};
    use crate::stamp::Stamp;
    use crate::view::{Interrupt, View};
    use multicast::{ClientId, Position};

    const P: PartitionId = PartitionId(0);
    const A: NodeId = NodeId(1);
    const B: NodeId = NodeId(2);

    /// A service that answers bytes.
    #[derive(Clone, Debug)]
    enum Echo {}
    struct Nowhere;
    struct Nothing;

    impl StateMachine for Echo {
        type Command = ();
        type Reply = Vec<u8>;
        type Key = ();
        type Value = ();
        type Event = ();
        type Oracle = Nowhere;
        type Variables = Nothing;

        fn execute((): &(), _: &mut View<'_, Echo>) -> Result<Vec<u8>, Interrupt> {
            Ok(Vec::new())
        }
    }

    impl PartitioningOracle<Echo> for Nowhere {
        fn partitions(&self) -> u16 {
            1
        }

        fn partition_of(&self, (): &()) -> PartitionId {
            P
        }
    }

    impl Variables<Echo> for Nothing {
        fn new(_: Arc<Nowhere>, _: PartitionId) -> Nothing {
            Nothing
        }

        fn get(&self, (): &()) -> Option<()> {
            None
        }

        fn set(&mut self, (): (), _: Option<()>) {}
    }

    fn desk() -> Desk<Echo> {
        let mut desk = Desk::default();
        desk.limit(AnswerLimits {
            first_piece: 64,
            piece: 64,
            answer: 400,
            kept: 600,
            fetched: 0,
            repeats: 0,
        });
        desk
    }

    fn id(client: u64, run: u32) -> CommandId {
        CommandId { client: ClientId(client), epoch: 1, run, i: 0 }
    }

    fn part(id: CommandId, bytes: usize) -> Answer<Echo> {
        Answer {
            origin: Some(A),
            id,
            partition: P,
            position: Position::default(),
            stamp: Stamp::default(),
            seen: Arc::default(),
            outcome: Arc::new(Outcome::Reply(vec![7; bytes])),
        }
    }

    /// What is told, with the answer that all pieces make, if there are pieces.
    fn told(desk: &mut Desk<Echo>, number: u64) -> Option<Answer<Echo>> {
        desk.check_invariants();
        let mut bytes = Vec::new();
        loop {
            match desk.drain().pop() {
                Some((A, Message::Piece { number: of, total, offset, bytes: piece, .. })) => {
                    assert_eq!((of, offset, piece.len() <= 64), (number, bytes.len() as u64, true));
                    bytes.extend_from_slice(&piece);
                    if bytes.len() as u64 == total {
                        return codec::decode(&bytes).ok();
                    }
                    desk.more(A, number, bytes.len() as u64);
                }
                Some((A, Message::None { number: of, .. })) => {
                    assert_eq!(of, number);
                    return None;
                }
                other => panic!("{other:?}"),
            }
        }
    }

    fn replied(answer: Option<Answer<Echo>>) -> Option<usize> {
        answer.map(|answer| match &*answer.outcome {
            Outcome::Reply(reply) => reply.len(),
            _ => usize::MAX,
        })
    }

    #[test]
    fn an_answer_leaves_in_pieces_and_each_is_asked_for() {
        for bytes in [0, 40, 100, 350] {
            let mut desk = desk();
            desk.answer(A, 5, part(id(1, 1), bytes));
            assert_eq!(replied(told(&mut desk, 5)), Some(bytes));
            assert!(desk.told.is_empty(), "nothing is left to tell");
        }
    }

    #[test]
    fn an_answer_at_the_limit_is_told_and_none_beyond() {
        let beside = codec::encoded_len(&part(id(1, 1), 300)) - 300;
        for (bytes, expected) in [(399, Some(399)), (400, Some(400)), (401, None), (4_000, None)] {
            let mut desk = desk();
            desk.answer(A, 5, part(id(1, 1), bytes - beside));
            let expected = expected.map_or(usize::MAX, |bytes: usize| bytes - beside);
            assert_eq!(replied(told(&mut desk, 5)), Some(expected), "{bytes} bytes");
        }
    }

    #[test]
    fn a_part_is_told_before_and_after_it_is_there() {
        let mut desk = desk();
        desk.ask(A, P, 1, id(1, 1));
        assert!(desk.drain().is_empty(), "it is not there yet");
        desk.keep(A, part(id(1, 1), 9));
        assert_eq!(replied(told(&mut desk, 1)), Some(9));
        desk.ask(A, P, 2, id(1, 1));
        assert_eq!(replied(told(&mut desk, 2)), Some(9), "it is kept");
        desk.withdraw(B, P, id(1, 1));
        desk.ask(A, P, 3, id(1, 1));
        assert_eq!(replied(told(&mut desk, 3)), Some(9), "only its origin withdraws it");
        desk.withdraw(A, P, id(1, 1));
        assert!(desk.kept.is_empty());
        desk.withdraw(A, P, id(2, 1));
        desk.keep(A, part(id(2, 1), 9));
        assert!(desk.kept.is_empty(), "a replica that is behind gives what nobody waits for");
    }

    #[test]
    fn a_repeat_says_that_a_part_is_lost_unless_it_is_kept() {
        let mut desk = desk();
        desk.keep(A, part(id(1, 1), 9));
        desk.repeated(P, id(1, 1));
        desk.ask(A, P, 1, id(1, 1));
        assert_eq!(replied(told(&mut desk, 1)), Some(9));
        desk.ask(A, P, 2, id(2, 1));
        desk.repeated(P, id(2, 1));
        assert_eq!(replied(told(&mut desk, 2)), None, "to the one that waits");
        desk.ask(A, P, 3, id(2, 1));
        assert_eq!(replied(told(&mut desk, 3)), None, "and to the one that comes later");
    }

    #[test]
    fn what_is_kept_is_bounded_and_a_client_keeps_one_part() {
        let mut desk = desk();
        (1..=4).for_each(|client| desk.keep(A, part(id(client, 1), 200)));
        desk.ask(A, P, 1, id(1, 1));
        assert_eq!(replied(told(&mut desk, 1)), None, "the oldest is given up");
        desk.ask(A, P, 2, id(4, 1));
        assert_eq!(replied(told(&mut desk, 2)), Some(200));
        (1..=4).for_each(|run| desk.keep(A, part(id(9, run), 10)));
        assert_eq!(desk.kept.keys().filter(|(_, id)| id.client == ClientId(9)).count(), 1);
        desk.started(A);
        assert_eq!((desk.kept.len(), desk.bytes), (0, 0));
    }

    #[test]
    fn so_many_parts_are_waited_for_and_a_question_beyond_is_not_heard() {
        let mut desk = desk();
        for number in 0..=AWAITED_MAX as u64 {
            desk.ask(A, P, number, id(number, 1));
        }
        desk.keep(A, part(id(AWAITED_MAX as u64, 1), 10));
        assert!(desk.drain().is_empty(), "nobody was heard to ask for it");
        desk.keep(A, part(id(AWAITED_MAX as u64 - 1, 1), 10));
        assert_eq!(replied(told(&mut desk, AWAITED_MAX as u64 - 1)), Some(10));
        desk.ask(A, P, 7, id(AWAITED_MAX as u64, 1));
        assert_eq!(replied(told(&mut desk, 7)), Some(10), "asked again, it is told");
    }
}
