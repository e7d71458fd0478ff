//! The links between members.

/// One direction or end, by member index: of pair (a, b) with a < b, side 0 is a's.
type Side = usize;

/// The link between two members.
#[derive(Clone, Debug, Default)]
struct Link {
    /// Of the current connection, or of the last.
    epoch: u32,
    up: bool,
    /// Which end has begun to use the connection.
    joined: [bool; 2],
    /// Which end's bytes vanish.
    cut: [bool; 2],
    /// When the last byte sent from this end arrives.
    last_arrival_us: [u64; 2],
}

/// All links. FIFO within a connection; what was sent over one that has ended may still arrive, marked with its epoch.
#[derive(Debug)]
pub(crate) struct Links {
    members: usize,
    links: Vec<Link>,
}

impl Links {
    pub(crate) fn new(members: usize) -> Links {
        Links { members, links: vec![Link::default(); members * members] }
    }

    fn at(&self, from: usize, to: usize) -> (usize, Side) {
        assert!(from != to, "a link has two ends");
        (from.min(to) * self.members + from.max(to), usize::from(from > to))
    }

    fn link(&mut self, from: usize, to: usize) -> (&mut Link, Side) {
        let (at, side) = self.at(from, to);
        (&mut self.links[at], side)
    }

    /// Sends over the current connection: when it arrives, and in which epoch, unless it is lost.
    pub(crate) fn send(&mut self, from: usize, to: usize, arrival_us: u64) -> Option<(u64, u32)> {
        let (link, side) = self.link(from, to);
        if !(link.up && link.joined[side] && !link.cut[side]) {
            return None;
        }
        link.last_arrival_us[side] = arrival_us.max(link.last_arrival_us[side] + 1);
        Some((link.last_arrival_us[side], link.epoch))
    }

    /// Whether an end's bytes arrive.
    pub(crate) fn carries(&mut self, from: usize, to: usize) -> bool {
        let (link, side) = self.link(from, to);
        link.up && link.joined[side] && !link.cut[side]
    }

    /// Whether bytes of this epoch belong to the current connection.
    pub(crate) fn is_current(&mut self, from: usize, to: usize, epoch: u32) -> bool {
        let (link, _) = self.link(from, to);
        link.up && link.epoch == epoch
    }

    pub(crate) fn is_up(&mut self, from: usize, to: usize) -> bool {
        self.link(from, to).0.up
    }

    pub(crate) fn epoch(&mut self, from: usize, to: usize) -> u32 {
        self.link(from, to).0.epoch
    }

    pub(crate) fn sever(&mut self, from: usize, to: usize) {
        self.link(from, to).0.up = false;
    }

    pub(crate) fn cut(&mut self, from: usize, to: usize) {
        let (link, side) = self.link(from, to);
        link.cut[side] = true;
    }

    /// Begins a connection, which neither end uses yet.
    pub(crate) fn connect(&mut self, from: usize, to: usize) -> u32 {
        let (link, _) = self.link(from, to);
        *link = Link { epoch: link.epoch + 1, up: true, ..Link::default() };
        link.epoch
    }

    /// An end begins to use the current connection. Says whether it had not before.
    pub(crate) fn join(&mut self, from: usize, to: usize) -> bool {
        let (link, side) = self.link(from, to);
        link.up && !std::mem::replace(&mut link.joined[side], true)
    }
}
