//! The network: connections between places, as TCP makes them.
//!
//! A connection has two *ends*. What is written at one arrives at the other later, in order, in pieces of any size. A connection
//! breaks, or is closed at one end, and what was on the way may still arrive, late: also when the two have another
//! connection by then. While a direction is *cut* nothing arrives in it; when it heals, everything does.

use bytes::{Buf, Bytes, BytesMut};
use rand::Rng as _;
use rand::rngs::SmallRng;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Where an end of a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// On a node's machine.
    Node(usize),
    /// Outside the cluster, at a client's.
    Outside(usize),
}

/// What a machine listens for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Port {
    /// Other nodes.
    Peer,
    /// Clients.
    Client,
}

/// One end of a connection, never used again: the one who dialled has the even one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndId(pub u64);

impl EndId {
    fn other(self) -> EndId {
        EndId(self.0 ^ 1)
    }
}

/// How fast and how even the network is.
#[derive(Clone, Copy, Debug)]
pub struct Conditions {
    /// The least time from end to end, in microseconds.
    pub latency_us: u64,
    /// The most that is added to it at random.
    pub jitter_us: u64,
    /// How many bytes may be on the way in one direction of a connection, or wait to be read.
    pub window_bytes: usize,
    /// How many bytes a second arrive in one direction of a connection between two nodes; as many as are sent if none.
    pub bytes_per_s: Option<u64>,
}

#[derive(Debug)]
enum Parcel {
    Knock(Port),
    Bytes(Bytes),
    End,
}

/// One direction of a connection.
#[derive(Debug)]
struct Pipe {
    from: Place,
    to: Place,
    travelling: VecDeque<(u64, Parcel)>,
    /// Travelling, or arrived and not read.
    bytes: usize,
    last_us: u64,
}

/// An end that somebody holds.
#[derive(Debug, Default)]
struct End {
    arrived: VecDeque<Bytes>,
    ended: bool,
}

/// What has come to a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arrival {
    /// Somebody dials.
    Knock(Port),
    /// Bytes, or the end of them.
    Readable,
}

/// All connections of a world.
pub struct Network {
    pipes: BTreeMap<EndId, Pipe>,
    ends: BTreeMap<EndId, End>,
    cuts: BTreeSet<(Place, Place)>,
    /// Machines without power: nothing there says that nobody is at home.
    dark: BTreeSet<Place>,
    /// What each place is to read, or to accept.
    readable: BTreeMap<Place, BTreeSet<EndId>>,
    conditions: Conditions,
    /// When something arrives where, to be put on the world's agenda.
    due: Vec<(u64, EndId)>,
    next: u64,
    now_us: u64,
}

impl Network {
    /// A network without connections.
    pub fn new(conditions: Conditions) -> Network {
        Network {
            pipes: BTreeMap::new(),
            ends: BTreeMap::new(),
            cuts: BTreeSet::new(),
            dark: BTreeSet::new(),
            readable: BTreeMap::new(),
            conditions,
            due: Vec::new(),
            next: 0,
            now_us: 0,
        }
    }

    /// Moves time on.
    pub fn tick(&mut self, now_us: u64) {
        self.now_us = now_us;
    }

    /// The network is so from now on; what is on its way arrives as it would have.
    pub fn set_conditions(&mut self, conditions: Conditions) {
        self.conditions = conditions;
    }

    /// What is on its way since the last call, and when it arrives.
    pub fn take_due(&mut self) -> Vec<(u64, EndId)> {
        std::mem::take(&mut self.due)
    }

    /// Dials. The end can be written to at once; whether somebody answers shows later.
    pub fn dial(&mut self, from: Place, to: Place, port: Port, rng: &mut SmallRng) -> EndId {
        let end = EndId(self.next);
        self.next += 2;
        let pipe = |from, to| Pipe { from, to, travelling: VecDeque::new(), bytes: 0, last_us: 0 };
        self.pipes.insert(end.other(), pipe(from, to));
        self.pipes.insert(end, pipe(to, from));
        self.ends.insert(end, End::default());
        self.post(end.other(), Parcel::Knock(port), rng);
        end
    }

    /// Opens the end that somebody has dialled: what is written to it is kept.
    pub fn accept(&mut self, end: EndId) {
        self.ends.insert(end, End::default());
    }

    /// Writes as much of `output` as there is room for, and removes it.
    pub fn write(&mut self, end: EndId, output: &mut BytesMut, rng: &mut SmallRng) {
        let Some(pipe) = self.pipes.get(&end.other()).filter(|_| self.ends.contains_key(&end)) else {
            return output.clear();
        };
        let room = self.conditions.window_bytes.saturating_sub(pipe.bytes);
        let mut bytes = output.split_to(room.min(output.len())).freeze();
        if bytes.len() > 1 && rng.random_bool(0.1) {
            let head = bytes.split_to(rng.random_range(1..bytes.len()));
            self.post(end.other(), Parcel::Bytes(head), rng);
        }
        if !bytes.is_empty() {
            self.post(end.other(), Parcel::Bytes(bytes), rng);
        }
    }

    /// Reads at most so many bytes; `None` once nothing will ever come.
    pub fn read(&mut self, end: EndId, bytes_max: usize) -> Option<Bytes> {
        let arrived = self.ends.get_mut(&end)?;
        let Some(first) = arrived.arrived.front_mut() else {
            return if arrived.ended { None } else { Some(Bytes::new()) };
        };
        let bytes = first.split_to(first.len().min(bytes_max));
        if !first.has_remaining() {
            arrived.arrived.pop_front();
        }
        if let Some(pipe) = self.pipes.get_mut(&end) {
            pipe.bytes -= bytes.len();
        }
        if arrived.arrived.is_empty() && !arrived.ended {
            self.unmark(end);
        }
        Some(bytes)
    }

    /// Closes an end: what was written still leaves, what arrives is thrown away.
    pub fn close(&mut self, end: EndId, rng: &mut SmallRng) {
        if self.ends.remove(&end).is_some() {
            self.unmark(end);
            self.post(end.other(), Parcel::End, rng);
        }
    }

    /// Breaks a connection: each end learns of it by itself, and a last part of what was on the way is lost.
    pub fn reset(&mut self, end: EndId, rng: &mut SmallRng) {
        for end in [end, end.other()] {
            let Some(pipe) = self.pipes.get_mut(&end) else { continue };
            let kept = rng.random_range(0..=pipe.travelling.len());
            for (_, parcel) in pipe.travelling.drain(kept..) {
                if let Parcel::Bytes(bytes) = parcel {
                    pipe.bytes -= bytes.len();
                }
            }
            self.post(end, Parcel::End, rng);
        }
    }

    /// The process at a place has died. Without power nobody says so; with it, the system closes what the process held.
    pub fn vacate(&mut self, place: Place, dark: bool, rng: &mut SmallRng) {
        let held: Vec<EndId> = self.ends_at(place).collect();
        if dark {
            self.dark.insert(place);
            held.iter().for_each(|end| drop(self.ends.remove(end)));
        } else {
            held.iter().for_each(|end| self.close(*end, rng));
        }
        self.readable.remove(&place);
    }

    /// A machine has power again.
    pub fn light(&mut self, place: Place) {
        self.dark.remove(&place);
    }

    /// Nothing arrives in this direction any more.
    pub fn cut(&mut self, from: Place, to: Place) {
        self.cuts.insert((from, to));
    }

    /// Everything arrives again.
    pub fn heal(&mut self, from: Place, to: Place) {
        self.cuts.remove(&(from, to));
        let latency_us = self.conditions.latency_us;
        for (end, pipe) in self.pipes.iter_mut().filter(|(_, pipe)| (pipe.from, pipe.to) == (from, to)) {
            for (at_us, _) in &mut pipe.travelling {
                *at_us = (*at_us).max(self.now_us + latency_us);
                self.due.push((*at_us, *end));
            }
            pipe.last_us = pipe.last_us.max(self.now_us + latency_us);
        }
    }

    /// The open ends at a place that are connected to another.
    pub fn between(&self, a: Place, b: Place) -> Vec<EndId> {
        self.ends_at(a).filter(|end| self.pipes.get(end).is_some_and(|pipe| pipe.from == b)).collect()
    }

    /// Whether the other end is outside.
    pub fn is_from_outside(&self, end: EndId) -> bool {
        self.pipes.get(&end).is_some_and(|pipe| matches!(pipe.from, Place::Outside(_)))
    }

    /// The ends held at a place.
    pub fn ends_at(&self, place: Place) -> impl Iterator<Item = EndId> {
        let at = move |end: &EndId| self.pipes.get(end).is_some_and(|pipe| pipe.to == place);
        self.ends.keys().copied().filter(at)
    }

    /// The ends at a place with something to read.
    pub fn readable(&self, place: Place) -> Vec<EndId> {
        self.readable.get(&place).into_iter().flatten().copied().collect()
    }

    /// Something arrives at an end, if it still does. Returns where, and what.
    pub fn arrive(&mut self, end: EndId, rng: &mut SmallRng) -> Option<(Place, Arrival)> {
        let pipe = self.pipes.get_mut(&end)?;
        let (from, to) = (pipe.from, pipe.to);
        let is_due = pipe.travelling.front().is_some_and(|(at_us, _)| *at_us <= self.now_us);
        if !is_due || self.cuts.contains(&(from, to)) {
            return None;
        }
        let (_, parcel) = pipe.travelling.pop_front()?;
        if let Parcel::Knock(port) = parcel {
            if self.dark.contains(&to) {
                return None;
            }
            return Some((to, Arrival::Knock(port)));
        }
        let Some(there) = self.ends.get_mut(&end) else {
            let is_end = matches!(parcel, Parcel::End);
            if !is_end && !self.dark.contains(&to) {
                self.refuse(end, rng);
            }
            self.tidy(end);
            return None;
        };
        match parcel {
            Parcel::Bytes(bytes) => there.arrived.push_back(bytes),
            Parcel::End => there.ended = true,
            Parcel::Knock(_) => unreachable!("handled above"),
        }
        self.readable.entry(to).or_default().insert(end);
        Some((to, Arrival::Readable))
    }

    /// Nobody is at home at an end: the other one is told.
    pub fn refuse(&mut self, end: EndId, rng: &mut SmallRng) {
        if let Some(pipe) = self.pipes.get_mut(&end) {
            pipe.travelling.clear();
        }
        self.post(end.other(), Parcel::End, rng);
    }

    /// Sends a parcel to an end.
    fn post(&mut self, to: EndId, parcel: Parcel, rng: &mut SmallRng) {
        let Some(pipe) = self.pipes.get_mut(&to) else { return };
        let Conditions { latency_us, jitter_us, bytes_per_s, .. } = self.conditions;
        let at_us = self.now_us + latency_us + rng.random_range(0..=jitter_us);
        let among_nodes = matches!((pipe.from, pipe.to), (Place::Node(_), Place::Node(_)));
        let takes_us = match (&parcel, bytes_per_s.filter(|_| among_nodes)) {
            (Parcel::Bytes(bytes), Some(bytes_per_s)) => bytes.len() as u64 * 1_000_000 / bytes_per_s,
            _ => 0,
        };
        pipe.last_us = at_us.max(pipe.last_us + takes_us);
        if let Parcel::Bytes(bytes) = &parcel {
            pipe.bytes += bytes.len();
        }
        pipe.travelling.push_back((pipe.last_us, parcel));
        self.due.push((pipe.last_us, to));
    }

    fn unmark(&mut self, end: EndId) {
        if let Some(pipe) = self.pipes.get(&end)
            && let Some(readable) = self.readable.get_mut(&pipe.to)
        {
            readable.remove(&end);
        }
    }

    /// Forgets a connection that nobody holds and on which nothing travels.
    fn tidy(&mut self, end: EndId) {
        let idle = |end: &EndId| {
            !self.ends.contains_key(end) && self.pipes.get(end).is_none_or(|pipe| pipe.travelling.is_empty())
        };
        if idle(&end) && idle(&end.other()) {
            self.pipes.remove(&end);
            self.pipes.remove(&end.other());
        }
    }
}
