//! Watching: the watches that a session has on its present connection, as far as that is certain.
//!
//! A one-shot watch is armed from the reply to its call on, until it fires; the server keeps an event back until that reply
//! has left. Armed again while it is armed it stays one watch. A call that is not answered yet may have armed its watch:
//! should it fire so early, that uses it up. The watches that SetWatches lists may fire from its call on, and those that did
//! not are armed when it is answered. What the client had armed on its earlier connection is kept for that: the watch that
//! it lists is the same, so a change since then must be told.

use super::state::{Children, Data};
use crate::sim::checkers::sessions::calls::{Call, CallIndex, End, Moment};
use crate::sim::checkers::sessions::sights::Sight;
use std::collections::{BTreeMap, BTreeSet};
use volery::path;
use volery::wire::{AddWatchMode, ErrorCode, EventType, Request, SetWatches, WatcherType};

/// The kinds of watch that a call may arm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// On the data and the existence.
    Data,
    /// The same, as SetWatches lists it for a znode that was absent.
    Absence,
    /// On the set of children.
    Children,
    /// On all of one znode, until removed.
    Persistent,
    /// On the data of a subtree, until removed.
    Recursive,
}

/// An armed one-shot watch.
#[derive(Clone, Debug)]
pub struct Armed<S> {
    /// When the call that armed it was answered: what was sent later comes after it.
    pub since: Moment,
    /// What it was armed on.
    pub state: S,
    /// Whether it has been found wanting already.
    pub accused: bool,
}

/// A watch that stays.
#[derive(Clone, Copy, Debug)]
pub struct Stay {
    /// When the call that armed it was answered.
    pub since: Moment,
    /// Whether it covers the subtree.
    pub recursive: bool,
}

/// What a notification has used up.
#[derive(Clone, Debug, Default)]
pub struct Fired<'a> {
    /// The watch on the data.
    pub data: Option<Data>,
    /// The watch on the children.
    pub children: Option<Children<'a>>,
    /// Whether it was told for SetWatches: it may have been told before, and its zxid is none in particular.
    pub retold: bool,
    other: bool,
}

impl Fired<'_> {
    /// Whether there was any watch for it.
    pub fn is_due(&self) -> bool {
        self.data.is_some() || self.children.is_some() || self.retold || self.other
    }
}

/// A SetWatches that is not answered yet, and what of its list has not fired.
#[derive(Debug)]
struct Listing<'a> {
    call: CallIndex,
    left: BTreeSet<(&'a str, Kind)>,
}

/// A session's watches on its present connection.
#[derive(Debug, Default)]
pub struct Watching<'a> {
    /// Watches on data and existence.
    pub data: BTreeMap<&'a str, Armed<Data>>,
    /// Watches on children.
    pub children: BTreeMap<&'a str, Armed<Children<'a>>>,
    /// Watches that stay.
    pub stays: BTreeMap<&'a str, Stay>,
    /// Calls that may arm a watch and are not answered, but for those whose watch has fired.
    asked: BTreeMap<(&'a str, Kind), usize>,
    spent: BTreeMap<(&'a str, Kind), usize>,
    listings: Vec<Listing<'a>>,
    /// What was armed on earlier connections and has not fired.
    carried_data: BTreeMap<&'a str, Armed<Data>>,
    carried_children: BTreeMap<&'a str, Armed<Children<'a>>>,
    used: BTreeSet<(&'a str, Kind)>,
}

impl<'a> Watching<'a> {
    /// The watches of a session that is back: none until it lists them.
    pub fn carried_over(self) -> Watching<'a> {
        let Watching { data, children, mut carried_data, mut carried_children, .. } = self;
        carried_data.extend(data);
        carried_children.extend(children);
        Watching { carried_data, carried_children, ..Watching::default() }
    }

    /// A call is sent that may arm watches.
    pub fn sent(&mut self, index: CallIndex, request: &'a Request) {
        match request {
            Request::SetWatches(watches) => {
                self.listings.push(Listing { call: index, left: listed(watches) });
            }
            request => {
                if let Some(place) = asked(request) {
                    *self.asked.entry(place).or_default() += 1;
                }
            }
        }
    }

    /// A call is answered; says how many one-shot watches that arms.
    pub fn answered(&mut self, index: CallIndex, call: &Call<'a>, moment: Moment) -> usize {
        let End::Returned { result, .. } = call.end else { return 0 };
        match call.request {
            Request::SetWatches(_) => self.list_answered(index, moment, result.is_ok()),
            Request::RemoveWatches { path, kind } => {
                if matches!(result, Ok(_) | Err(ErrorCode::NoWatcher)) {
                    self.remove(path, *kind);
                }
                0
            }
            request => match asked(request) {
                Some(place) => self.ask_answered(place, call, moment),
                None => 0,
            },
        }
    }

    /// Takes out what a notification uses up.
    pub fn fire(&mut self, kind: EventType, path: &'a str) -> Fired<'a> {
        let mut fired = Fired { other: self.is_covered(kind, path), ..Fired::default() };
        if kind != EventType::NodeChildrenChanged {
            fired.data = self.data.remove(path).map(|armed| armed.state);
            self.carried_data.remove(path);
        }
        if matches!(kind, EventType::NodeChildrenChanged | EventType::NodeDeleted) {
            fired.children = self.children.remove(path).map(|armed| armed.state);
            self.carried_children.remove(path);
        }
        fired.retold = self.take_listed(kind, path);
        if !fired.is_due() {
            fired.other = kinds(kind).iter().any(|kind| self.spend((path, *kind)));
        }
        if fired.is_due() {
            self.used.extend(kinds(kind).iter().map(|kind| (path, *kind)));
        }
        fired
    }

    /// Since when a one-shot watch is armed that such an event uses up.
    pub fn armed_since(&self, kind: EventType, path: &str) -> Option<Moment> {
        let data = self.data.get(path).map(|armed| armed.since);
        let children = self.children.get(path).map(|armed| armed.since);
        match kind {
            EventType::NodeChildrenChanged => children,
            EventType::NodeDeleted => data.max(children),
            _ => data,
        }
    }

    /// Whether a watch that such an event may have used was there before on this connection.
    pub fn was_used(&self, kind: EventType, path: &str) -> bool {
        kinds(kind).iter().any(|kind| self.used.contains(&(path, *kind)))
    }

    /// The moment from which on all changes of a znode's data are told for certain by watches that stay.
    pub fn covers_since(&self, path: &str) -> Option<Moment> {
        let own = self.stays.get(path).map(|stay| stay.since);
        let above = ancestors(path).filter_map(|path| self.stays.get(path));
        own.into_iter().chain(above.filter(|stay| stay.recursive).map(|stay| stay.since)).min()
    }

    /// The same of the set of children.
    pub fn covers_children_since(&self, path: &str) -> Option<Moment> {
        self.stays.get(path).filter(|stay| !stay.recursive).map(|stay| stay.since)
    }

    fn ask_answered(&mut self, place: (&'a str, Kind), call: &Call<'a>, moment: Moment) -> usize {
        let spent = take_one(&mut self.spent, place);
        if !spent {
            take_one(&mut self.asked, place);
        }
        let (path, kind) = place;
        let since = moment;
        match (kind, arming_sight(call)) {
            (Kind::Persistent | Kind::Recursive, _) if call.succeeded() => {
                self.stay(path, kind == Kind::Recursive, since);
                0
            }
            (Kind::Data, Some(sight)) if !spent => {
                let mut state = Data::default();
                state.learn(sight);
                let armed = Armed { since, state, accused: false };
                self.data.entry(path).or_insert(armed);
                1
            }
            (Kind::Children, Some(sight)) if !spent => {
                let mut state = Children::default();
                state.learn(sight);
                let armed = Armed { since, state, accused: false };
                self.children.entry(path).or_insert(armed);
                1
            }
            _ => 0,
        }
    }

    fn list_answered(&mut self, index: CallIndex, since: Moment, succeeded: bool) -> usize {
        let Some(place) = self.listings.iter().position(|listing| listing.call == index) else { return 0 };
        let Listing { left, .. } = self.listings.remove(place);
        if !succeeded {
            return 0;
        }
        let mut armed = 0;
        for (path, kind) in left {
            armed += usize::from(!matches!(kind, Kind::Persistent | Kind::Recursive));
            match kind {
                Kind::Persistent | Kind::Recursive => self.stay(path, kind == Kind::Recursive, since),
                Kind::Data => {
                    let known = self.carried_data.remove(path).filter(|armed| armed.state != Data::Absent);
                    let fresh = Armed { since, state: Data::Unknown, accused: false };
                    self.data.entry(path).or_insert(known.unwrap_or(fresh));
                }
                Kind::Absence => {
                    // What was created and deleted meanwhile is told to nobody.
                    self.carried_data.remove(path);
                    self.data.entry(path).or_insert(Armed { since, state: Data::Absent, accused: false });
                }
                Kind::Children => {
                    let fresh = Armed { since, state: Children::default(), accused: false };
                    let known = self.carried_children.remove(path);
                    self.children.entry(path).or_insert(known.unwrap_or(fresh));
                }
            }
        }
        armed
    }

    /// A path holds one watch that stays, the later one.
    fn stay(&mut self, path: &'a str, recursive: bool, since: Moment) {
        let stay = Stay { since, recursive };
        let held = self.stays.entry(path).or_insert(stay);
        if held.recursive != recursive {
            *held = stay;
        }
    }

    fn remove(&mut self, path: &str, kind: WatcherType) {
        if matches!(kind, WatcherType::Data | WatcherType::Any) {
            self.data.remove(path);
        }
        if matches!(kind, WatcherType::Children | WatcherType::Any) {
            self.children.remove(path);
        }
        let stays = self.stays.get(path).is_some_and(|stay| match kind {
            WatcherType::Any => true,
            WatcherType::Persistent => !stay.recursive,
            WatcherType::PersistentRecursive => stay.recursive,
            WatcherType::Data | WatcherType::Children => false,
        });
        if stays {
            self.stays.remove(path);
        }
    }

    /// Whether a watch that stays, or one that is being armed, tells such an event.
    fn is_covered(&self, kind: EventType, path: &str) -> bool {
        let asked = |path: &str, kind: Kind| {
            let listed = self.listings.iter().any(|listing| listing.left.contains(&(path, kind)));
            listed || self.asked.get(&(path, kind)).is_some_and(|count| *count > 0)
        };
        if self.stays.get(path).is_some_and(|stay| !stay.recursive) || asked(path, Kind::Persistent) {
            return true;
        }
        let stays = |path: &str| {
            self.stays.get(path).is_some_and(|stay| stay.recursive) || asked(path, Kind::Recursive)
        };
        kind != EventType::NodeChildrenChanged && (stays(path) || ancestors(path).any(stays))
    }

    /// Takes what an event uses up out of the first list that has it.
    fn take_listed(&mut self, kind: EventType, path: &'a str) -> bool {
        let first: &[&[Kind]] = match kind {
            EventType::NodeCreated => &[&[Kind::Absence], &[Kind::Data]],
            EventType::NodeDataChanged => &[&[Kind::Data], &[Kind::Absence]],
            EventType::NodeDeleted => &[&[Kind::Data, Kind::Children], &[Kind::Absence]],
            EventType::NodeChildrenChanged => &[&[Kind::Children]],
            _ => &[],
        };
        for kinds in first {
            for listing in &mut self.listings {
                let before = listing.left.len();
                kinds.iter().for_each(|kind| {
                    listing.left.remove(&(path, *kind));
                });
                if listing.left.len() < before {
                    return true;
                }
            }
        }
        false
    }

    fn spend(&mut self, place: (&'a str, Kind)) -> bool {
        let taken = take_one(&mut self.asked, place);
        if taken {
            *self.spent.entry(place).or_default() += 1;
        }
        taken
    }
}

/// What an event may use up.
fn kinds(kind: EventType) -> &'static [Kind] {
    match kind {
        EventType::NodeCreated | EventType::NodeDataChanged => &[Kind::Data],
        EventType::NodeDeleted => &[Kind::Data, Kind::Children],
        EventType::NodeChildrenChanged => &[Kind::Children],
        _ => &[],
    }
}

/// The watch that a request asks for.
fn asked(request: &Request) -> Option<(&str, Kind)> {
    match request {
        Request::Exists { path, watch: true } | Request::GetData { path, watch: true } => {
            Some((path, Kind::Data))
        }
        Request::GetChildren { path, watch: true } | Request::GetChildren2 { path, watch: true } => {
            Some((path, Kind::Children))
        }
        Request::AddWatch { path, mode: AddWatchMode::Persistent } => Some((path, Kind::Persistent)),
        Request::AddWatch { path, mode: AddWatchMode::PersistentRecursive } => Some((path, Kind::Recursive)),
        _ => None,
    }
}

/// What the reply shows of the znode, if it lets the watch be armed: an absent one can only be watched by exists.
fn arming_sight<'c, 'a>(call: &'c Call<'a>) -> Option<&'c Sight<'a>> {
    let exists = matches!(call.request, Request::Exists { .. });
    call.sights.first().filter(|sight| sight.is_there() || exists)
}

fn listed(watches: &SetWatches) -> BTreeSet<(&str, Kind)> {
    let SetWatches { data, exist, child, persistent, persistent_recursive, .. } = watches;
    let lists = [
        (data, Kind::Data),
        (exist, Kind::Absence),
        (child, Kind::Children),
        (persistent, Kind::Persistent),
        (persistent_recursive, Kind::Recursive),
    ];
    lists.into_iter().flat_map(|(paths, kind)| paths.iter().map(move |path| (&**path, kind))).collect()
}

fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(path::parent(path), |path| path::parent(path))
}

fn take_one<K: Ord>(counts: &mut BTreeMap<K, usize>, key: K) -> bool {
    match counts.get_mut(&key) {
        Some(count) if *count > 0 => {
            *count -= 1;
            true
        }
        _ => false,
    }
}
