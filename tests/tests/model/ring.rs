//! A partition ring: its log, its leader, and how far that one has followed the shared ring.

use crate::command::{CommandId, Commands};
use crate::sequence::Sequence;
use crate::variant::Variant;

/// How many entries a log may hold that a replica has not delivered.
const ENTRIES_MAX: usize = 8;

/// The place of a copy among the shared ring's commands, counted from one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Relayed {
    /// Its place.
    pub k: u8,
    /// The place of the one before it that addresses the partition, or 0.
    pub prev: u8,
}

/// One entry of a log: a copy from the shared ring, or a command of this partition alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entry {
    pub command: CommandId,
    pub relayed: Option<Relayed>,
}

/// The last copy taken, or 0: the rule by which copies are taken, folded over a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Taken(pub u8);

impl Taken {
    /// Takes a copy if it is the next; says whether it was.
    pub fn take(&mut self, relayed: Relayed, variant: Variant) -> bool {
        let next = match variant {
            Variant::NoPrevCheck => relayed.k > self.0,
            _ => relayed.prev == self.0,
        };
        if next {
            self.0 = relayed.k;
        }
        next
    }

    fn fold(mut self, entries: &[Entry], variant: Variant) -> Taken {
        for relayed in entries.iter().filter_map(|entry| entry.relayed) {
            self.take(relayed, variant);
        }
        self
    }
}

/// The log of a partition as its leader holds it: what is decided, and the tail that it has appended. Two members lead in
/// turn. What both replicas have delivered is trimmed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ring {
    /// What was taken of that which is trimmed.
    below: Taken,
    log: Sequence<Entry, ENTRIES_MAX>,
    /// Changes of leader so far.
    reign: u8,
    /// For each member, the last place that it held when its reign began, or appended in it; 0 outside of its reign.
    cursors: [u8; 2],
    /// Copies that were lost with their leader; it may have sent one of them, and that one comes late.
    strays: Commands,
}

impl Ring {
    /// What both replicas have not delivered: decided entries, then the leader's tail.
    pub fn log(&self) -> &[Entry] {
        &self.log
    }

    /// Changes of leader so far.
    pub fn reign(&self) -> u8 {
        self.reign
    }

    /// Copies of which one may still come.
    pub fn strays(&self) -> Commands {
        self.strays
    }

    /// The place up to which the leader has followed the shared ring.
    pub fn followed(&self) -> u8 {
        self.cursors[self.leader()]
    }

    /// The last place taken in the first entries of the log.
    pub fn held(&self, entries: usize, variant: Variant) -> Taken {
        self.below.fold(&self.log[..entries], variant)
    }

    /// Whether one of the first entries is a copy that came before its predecessor.
    pub fn has_gap(&self, entries: usize, variant: Variant) -> bool {
        let early = |(i, entry): (usize, &Entry)| {
            entry.relayed.is_some_and(|relayed| relayed.prev > self.held(i, variant).0)
        };
        self.log[..entries].iter().enumerate().any(early)
    }

    /// The leader appends an entry.
    pub fn append(&mut self, entry: Entry) {
        self.log.push(entry);
        if let Some(relayed) = entry.relayed {
            self.cursors[self.leader()] = relayed.k;
        }
    }

    /// A copy that an old leader sent arrives late, and the leader, which cannot tell, appends it.
    pub fn resurface(&mut self, entry: Entry) {
        self.strays = Commands::default();
        self.log.push(entry);
    }

    /// The other member leads, and of the log it has the first `kept` entries, all that are decided among them.
    pub fn change_leader(&mut self, kept: usize, variant: Variant) {
        let lost = self.log[kept..].iter().filter(|entry| entry.relayed.is_some());
        self.strays = self.strays.iter().chain(lost.map(|entry| entry.command)).collect();
        self.log.truncate(kept);
        self.reign += 1;
        if variant != Variant::CursorKeptFromEarlierReign {
            self.cursors = [0; 2];
        }
        let held = self.held(kept, variant).0;
        let leader = self.leader();
        self.cursors[leader] = held.max(self.cursors[leader]);
    }

    /// Whether it makes a difference who leads from now on.
    pub fn change_matters(&self, kept: usize, variant: Variant) -> bool {
        let mut after = *self;
        after.change_leader(kept, variant);
        after.log != self.log || after.followed() != self.followed()
    }

    /// Trims the first entries, which nobody needs any more.
    pub fn trim(&mut self, entries: usize, variant: Variant) {
        self.below = self.held(entries, variant);
        self.log.drop_front(entries);
    }

    fn leader(&self) -> usize {
        usize::from(self.reign % 2)
    }
}
