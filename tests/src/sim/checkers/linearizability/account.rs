//! A history's deeds, found by the znodes that they are about.

use super::deed::{Deed, Misfit, deeds};
use super::names::{Names, PathId};
use super::reading::{Note, SEQUENCE_DIGITS, is_sequence_number};
use super::znode::Fact;
use crate::sim::history::{Happening, History};
use crate::sim::workload::TTL_LASTING_MS;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use volery::path;
use volery::wire::{Acl, Create, CreateMode, MultiOp, Request};

/// Deeds by their places, in order.
type Places = Vec<usize>;

/// All deeds of a history.
pub struct Account {
    /// The short names.
    pub names: Names,
    /// The deeds, in the order in which they were invoked, expiries at the end.
    pub deeds: Vec<Deed>,
    /// The replies that do not fit their requests.
    pub misfits: Vec<Misfit>,
    /// By path: what has a fact about it.
    about: Vec<Places>,
    /// By path: what tells of all its children.
    listing: Vec<Places>,
    /// By the path before the number: what may have created any znode of a sequence.
    nameless: BTreeMap<Arc<str>, Places>,
    /// By session: what ended it.
    endings: BTreeMap<i64, Places>,
    /// The paths under which the servers delete by themselves.
    fleeting: BTreeSet<PathId>,
    /// The paths, before the number, of sequences that the servers delete by themselves.
    fleeting_sequences: BTreeSet<Arc<str>>,
    /// The paths of znodes that have an access-control list, which may keep a caller out.
    listed: BTreeSet<PathId>,
}

impl Account {
    /// Reads a history.
    pub fn of(history: &History) -> Account {
        let mut names = Names::default();
        let (deeds, misfits) = deeds(history, &mut names);
        let mut account = Account {
            names,
            deeds: Vec::new(),
            misfits,
            about: Vec::new(),
            listing: Vec::new(),
            nameless: BTreeMap::new(),
            endings: BTreeMap::new(),
            fleeting: BTreeSet::new(),
            fleeting_sequences: BTreeSet::new(),
            listed: BTreeSet::new(),
        };
        let parents: BTreeSet<&str> =
            creates(history).filter_map(|create| path::parent(&create.path)).collect();
        creates(history).for_each(|create| account.note_fleeting(create, &parents));
        account.note_lists(history);
        let paths = account.names.paths().count();
        account.about.resize(paths, Places::new());
        account.listing.resize(paths, Places::new());
        for (place, deed) in deeds.iter().enumerate() {
            deed.reading.notes.iter().for_each(|note| account.index(place, note));
        }
        account.deeds = deeds;
        account
    }

    /// A time to live that is longer than any run is none, and a container that never has children stays.
    fn note_fleeting(&mut self, create: &Create, parents: &BTreeSet<&str>) {
        match create.mode {
            Ok(CreateMode::Container) if !parents.contains(&*create.path) => {}
            Ok(CreateMode::Ttl(ttl_ms)) if ttl_ms >= TTL_LASTING_MS => {}
            Ok(CreateMode::Container | CreateMode::Ttl(_)) => {
                let path = self.names.path(&create.path);
                self.fleeting.insert(path);
            }
            Ok(CreateMode::TtlSequential(_)) => {
                self.fleeting_sequences.insert(create.path.clone());
            }
            _ => {}
        }
    }

    fn note_lists(&mut self, history: &History) {
        let created = creates(history).filter(|create| create.acl != Acl::open_unsafe());
        let set = requests(history).filter_map(|request| match request {
            Request::SetAcl { path, .. } => Some(path),
            _ => None,
        });
        for path in created.map(|create| &create.path).chain(set) {
            let path = self.names.path(path);
            self.listed.insert(path);
        }
    }

    fn index(&mut self, place: usize, note: &Note) {
        let places = match note {
            Note::Fact(path, _) => &mut self.about[path.index()],
            Note::Children(path, _) => &mut self.listing[path.index()],
            Note::Nameless { prefix, .. } => self.nameless.entry(prefix.clone()).or_default(),
            Note::Ended(session) => self.endings.entry(*session).or_default(),
        };
        if places.last() != Some(&place) {
            places.push(place);
        }
    }

    /// The znodes that only clients change, but for the ends of sessions.
    pub fn znodes(&self) -> impl Iterator<Item = PathId> + '_ {
        self.names.paths().filter(|&id| self.is_checkable(id))
    }

    /// Whether it is one of those.
    pub fn is_checkable(&self, id: PathId) -> bool {
        let path = self.names.path_of(id);
        let is_fleeting = self.fleeting.contains(&id)
            || sequence_of(path).is_some_and(|prefix| self.fleeting_sequences.contains(prefix));
        path.starts_with('/') && !path::is_special(path) && !is_fleeting
    }

    /// Whether a znode never has an access-control list.
    pub fn is_open(&self, id: PathId) -> bool {
        !self.listed.contains(&id)
    }

    /// The places of all deeds that say something of one of these znodes, in order.
    pub fn concerning(&self, members: &[PathId]) -> Places {
        let mut places = Places::new();
        for &member in members {
            places.extend(&self.about[member.index()]);
            if let Some(parent) = self.names.parent(member) {
                places.extend(&self.listing[parent.index()]);
            }
            let prefix = sequence_of(self.names.path_of(member));
            places.extend(prefix.and_then(|prefix| self.nameless.get(prefix)).into_iter().flatten());
        }
        let owners: BTreeSet<i64> = places.iter().flat_map(|&place| self.owners(place, members)).collect();
        places.extend(owners.iter().filter_map(|owner| self.endings.get(owner)).flatten());
        places.sort_unstable();
        places.dedup();
        places
    }

    /// The sessions with which a member goes that this deed may have created.
    fn owners<'a>(&'a self, place: usize, members: &'a [PathId]) -> impl Iterator<Item = i64> + 'a {
        self.deeds[place].reading.notes.iter().filter_map(|note| match note {
            Note::Fact(path, Fact::Created { owner, .. }) if members.contains(path) => Some(*owner),
            Note::Nameless { owner, .. } => Some(*owner),
            _ => None,
        })
    }

    /// The sets of several znodes that a multi or a multiRead was about, each once.
    pub fn touched_together(&self) -> BTreeSet<Vec<PathId>> {
        let several = self.deeds.iter().filter(|deed| deed.reading.is_of_several);
        let together = several.map(|deed| {
            let paths = deed.reading.notes.iter().filter_map(|note| match note {
                Note::Fact(path, fact) => (!is_aside(fact)).then_some(*path),
                Note::Children(path, _) => Some(*path),
                Note::Nameless { .. } | Note::Ended(_) => None,
            });
            let paths: BTreeSet<PathId> = paths.filter(|&path| self.is_checkable(path)).collect();
            paths.into_iter().collect::<Vec<PathId>>()
        });
        together.filter(|paths| paths.len() > 1).collect()
    }
}

/// Whether a fact is about the parent of what was asked for.
fn is_aside(fact: &Fact) -> bool {
    matches!(fact, Fact::There { is_ephemeral: Some(false) })
}

/// All creates that were asked for.
fn creates(history: &History) -> impl Iterator<Item = &Create> {
    requests(history).flat_map(|request| {
        let (alone, ops): (_, &[MultiOp]) = match request {
            Request::Create(create) => (Some(create), &[]),
            Request::Multi(ops) => (None, ops),
            _ => (None, &[]),
        };
        let parts = ops.iter().filter_map(|op| match op {
            MultiOp::Create(create) => Some(create),
            _ => None,
        });
        alone.into_iter().chain(parts)
    })
}

/// All that was asked for.
fn requests(history: &History) -> impl Iterator<Item = &Request> {
    history.entries.iter().filter_map(|entry| match &entry.happening {
        Happening::Invoked { request, .. } => Some(request),
        _ => None,
    })
}

/// The path before the number, of a path that ends in one.
pub fn sequence_of(path: &str) -> Option<&str> {
    let at = path.len().checked_sub(SEQUENCE_DIGITS)?;
    let (prefix, number) = (path.get(..at)?, path.get(at..)?);
    (is_sequence_number(number) && prefix.contains('/')).then_some(prefix)
}
