//! A few znodes as one sequential object, and the calls upon it.

use super::super::wgl::{Call, Fate, Model};
use super::account::{Account, sequence_of};
use super::deed::{Deed, Place};
use super::names::PathId;
use super::reading::{Manner, Note};
use super::znode::{Fact, Znode};
use rustc_hash::FxHashMap;

/// Znodes of a group.
pub const ZNODES_MAX: usize = 4;

/// Ways in which the lost creates of one call may have got their names.
const WAYS_MAX: usize = 64;

/// What is there in a group of so many.
pub type Znodes<const N: usize> = [Znode; N];

/// What an operation says of the znodes of a group, each by its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    manner: Manner,
    facts: Vec<(usize, Fact)>,
    zxid: Option<i64>,
}

/// A deed as far as it is about a group.
#[derive(Clone, Debug)]
pub struct Item {
    /// The deed's place in the account.
    pub place: usize,
    /// What it is here.
    pub operation: Operation,
    /// Whether all that decides its effect is in the group. If it is not, it may have had none.
    is_certain: bool,
}

/// The znodes of a group, of which there are none at first.
pub struct Group<const N: usize>;

impl<const N: usize> Model for Group<N> {
    type State = Znodes<N>;
    type Operation = Operation;

    fn initial(&self) -> Znodes<N> {
        [Znode::Absent { beyond: 0 }; N]
    }

    fn step(&self, before: &Znodes<N>, operation: &Operation) -> Option<Znodes<N>> {
        let mut after = *before;
        for (at, fact) in &operation.facts {
            match after[*at].step(fact, &before[*at], operation.zxid) {
                Some(znode) => after[*at] = znode,
                None if operation.manner == Manner::Tried => return Some(*before),
                None => return None,
            }
        }
        Some(if operation.manner == Manner::Undone { *before } else { after })
    }

    fn only_reads(&self, operation: &Operation) -> bool {
        !operation.is_change()
    }
}

impl Operation {
    /// Whether it changes a znode whenever it happens as told.
    pub fn is_change(&self) -> bool {
        self.manner != Manner::Undone && self.facts.iter().any(|(_, fact)| fact.is_change())
    }
}

/// What the deeds of an account say of `members`, in their order. `None` if a lost multi has too many meanings.
pub fn items(account: &Account, members: &[PathId]) -> Option<Vec<Item>> {
    let places = account.concerning(members);
    let mut items = Vec::with_capacity(places.len());
    for place in places {
        let deed = &account.deeds[place];
        let (manner, zxid) = (deed.reading.manner, deed.reading.zxid);
        let ways = ways(account, deed, members)?;
        let is_certain = ways.is_single() && is_certain(account, deed, members);
        ways.for_each(|facts| {
            let operation = Operation { manner, facts, zxid };
            if is_of_use(&operation) {
                items.push(Item { place, operation, is_certain });
            }
        });
    }
    Some(items)
}

/// What has no fact for the group says nothing of it, nor does what may have changed nothing.
fn is_of_use(operation: &Operation) -> bool {
    match operation.manner {
        Manner::Told | Manner::Undone => !operation.facts.is_empty(),
        Manner::Tried => operation.is_change(),
    }
}

/// Whether only the versions of members decide what became of a call whose reply was lost: no list keeps the caller out.
fn is_certain(account: &Account, deed: &Deed, members: &[PathId]) -> bool {
    deed.reading.notes.iter().all(|note| match note {
        Note::Fact(path, Fact::Version(_) | Fact::Set(_)) => members.contains(path) && account.is_open(*path),
        _ => false,
    })
}

/// The facts of a deed about the members, once for each way in which its nameless creates may have got their names.
fn ways(account: &Account, deed: &Deed, members: &[PathId]) -> Option<Ways> {
    let mut ways = Ways { first: Vec::new(), others: Vec::new() };
    for note in &deed.reading.notes {
        match note {
            Note::Fact(path, fact) => {
                if let Some(at) = members.iter().position(|member| member == path) {
                    ways.add(at, *fact);
                }
            }
            Note::Children(parent, children) => {
                for (at, member) in members.iter().enumerate() {
                    if account.names.parent(*member) == Some(*parent) {
                        ways.add(at, membership(children, member));
                    }
                }
            }
            &Note::Nameless { ref prefix, data, owner } => {
                let is_of_sequence =
                    |at: &usize| sequence_of(account.names.path_of(members[*at])) == Some(&**prefix);
                let names: Vec<usize> = (0..members.len()).filter(is_of_sequence).collect();
                ways.fork(&names, Fact::Created { data, owner });
            }
            Note::Ended(session) => (0..members.len()).for_each(|at| ways.add(at, Fact::Ended(*session))),
        }
        if ways.others.len() >= WAYS_MAX {
            return None;
        }
    }
    Some(ways)
}

/// The facts of a deed, by the places of their znodes, in each way; mostly there is one.
struct Ways {
    first: Vec<(usize, Fact)>,
    others: Vec<Vec<(usize, Fact)>>,
}

impl Ways {
    fn is_single(&self) -> bool {
        self.others.is_empty()
    }

    /// A fact that is true in all ways.
    fn add(&mut self, at: usize, fact: Fact) {
        self.first.push((at, fact));
        self.others.iter_mut().for_each(|way| way.push((at, fact)));
    }

    /// A fact that may be true of one of these, or of none.
    fn fork(&mut self, ats: &[usize], fact: Fact) {
        let before: Vec<Vec<(usize, Fact)>> =
            [&self.first].into_iter().chain(&self.others).cloned().collect();
        for &at in ats {
            self.others.extend(before.iter().map(|way| [way.as_slice(), &[(at, fact)]].concat()));
        }
    }

    fn for_each(self, mut take: impl FnMut(Vec<(usize, Fact)>)) {
        take(self.first);
        self.others.into_iter().for_each(take);
    }
}

fn membership(children: &[PathId], member: &PathId) -> Fact {
    if children.binary_search(member).is_ok() { Fact::There { is_ephemeral: None } } else { Fact::Absent }
}

/// The items as calls, in the order that their sessions give them.
///
/// A call takes effect after the last one before it in its session that is known to have. Of those in between, a lost one
/// of the same connection whose effect is certain must have taken it too; any other either took effect before or never
/// does. So it is with the ways of one lost call.
pub fn calls(account: &Account, items: Vec<Item>) -> Vec<Call<Operation>> {
    let mut sessions: FxHashMap<i64, Vec<usize>> = FxHashMap::default();
    let mut orders: Vec<(Option<usize>, Vec<usize>)> = Vec::with_capacity(items.len());
    for (at, item) in items.iter().enumerate() {
        let deed = &account.deeds[item.place];
        let earlier = sessions.entry(deed.session).or_default();
        orders.push(match deed.place {
            Place::Sent { .. } => order_of_sent(account, &items, at, earlier),
            Place::Last => order_of_last(account, &items, earlier),
        });
        earlier.push(at);
    }
    exclude_other_ways(account, &items, &mut orders);
    let calls = items.into_iter().zip(orders).map(|(item, (after, excludes))| {
        let Deed { invoked, fate, .. } = account.deeds[item.place];
        Call { invoked, fate, operation: item.operation, after, excludes }
    });
    calls.collect()
}

fn order_of_sent(
    account: &Account,
    items: &[Item],
    at: usize,
    earlier: &[usize],
) -> (Option<usize>, Vec<usize>) {
    let deed = |at: usize| &account.deeds[items[at].place];
    let mut excludes = Vec::new();
    for &other in earlier.iter().rev() {
        let is_same_connection = deed(other).place == deed(at).place;
        if is_known(deed(other)) || (items[other].is_certain && is_same_connection) {
            return (Some(other), excludes);
        }
        excludes.push(other);
    }
    (None, excludes)
}

/// A session ends after its last change. What it reads may be late.
fn order_of_last(account: &Account, items: &[Item], earlier: &[usize]) -> (Option<usize>, Vec<usize>) {
    let is_known = |at: &usize| is_known(&account.deeds[items[*at].place]);
    let after = earlier.iter().rfind(|at| is_known(at) && items[**at].operation.is_change());
    let excludes = earlier.iter().filter(|at| !is_known(at));
    (after.copied(), excludes.copied().collect())
}

fn is_known(deed: &Deed) -> bool {
    matches!(deed.fate, Fate::Returned(_))
}

/// Of several ways of one call each excludes those behind it; those before it are excluded already.
fn exclude_other_ways(account: &Account, items: &[Item], orders: &mut [(Option<usize>, Vec<usize>)]) {
    for at in (0..items.len()).filter(|&at| !is_known(&account.deeds[items[at].place])) {
        let others = (at + 1..items.len()).take_while(|&other| items[other].place == items[at].place);
        orders[at].1.extend(others);
    }
}
