//! The world around the members: time, links, clients and misfortune.

use super::checker::{Checker, Violation};
use super::links::Links;
use super::member::{Member, TICK_US, entry};
use super::{Fault, Profile};
use crate::NodeId;
use crate::ring::{Outgoing, Ring};
use bytes::Bytes;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// After the chaos, everything is decided everywhere within this time.
const PEACE_US: u64 = 30_000_000;
/// Every so-many'th event finds its member waiting for a processor.
const STALL_IN: u32 = 20;

enum Event {
    Arrive { from: usize, to: usize, epoch: u32, message: Bytes },
    Tick { at: usize, incarnation: u32 },
    Synced { at: usize, incarnation: u32 },
    Start { at: usize },
    Connect { from: usize, to: usize },
    Join { at: usize, peer: usize, epoch: u32 },
    Sever { from: usize, to: usize, epoch: u32 },
    Lost { at: usize, peer: usize, epoch: u32 },
    BulkConnect { at: usize, peer: usize },
    Client,
    Misfortune,
}

impl Event {
    /// The member that must run for it.
    fn runs_at(&self) -> Option<usize> {
        match self {
            Event::Arrive { to, .. } => Some(*to),
            Event::Tick { at, .. } | Event::Synced { at, .. } => Some(*at),
            _ => None,
        }
    }
}

struct Scheduled {
    at_us: u64,
    number: u64,
    event: Event,
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Scheduled) -> Ordering {
        (other.at_us, other.number).cmp(&(self.at_us, self.number))
    }
}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Scheduled) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Scheduled) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Scheduled {}

/// One run.
pub(crate) struct World {
    now_us: u64,
    numbered: u64,
    queue: BinaryHeap<Scheduled>,
    random: SmallRng,
    pub(crate) members: Vec<Member>,
    links: Links,
    checker: Checker,
    /// Until when each member does not run.
    stalled_us: Vec<u64>,
    pub(crate) profile: Profile,
    fault: Option<Fault>,
    is_chaos: bool,
    /// What each member counted when peace began.
    at_peace: Vec<Tally>,
    ids: u64,
    steps: u64,
}

/// What a member has counted of its troubles, and whether the last ballot that it has promised is its own.
#[derive(Clone, Copy, Debug)]
struct Tally {
    rescues: u64,
    caught_up: u64,
    is_candidate: bool,
}

impl Tally {
    fn of(member: &Member) -> Tally {
        let ring = member.ring();
        let (rescues, caught_up) = (ring.counts().rescues, ring.catch_ups().ended);
        Tally { rescues, caught_up, is_candidate: ring.has_promised_itself() }
    }
}

/// What a run came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) steps: u64,
    pub(crate) decided: u64,
    pub(crate) acknowledged: usize,
    pub(crate) reigns: u64,
    pub(crate) rescues: u64,
    pub(crate) heartbeats: u64,
    pub(crate) dropped: u64,
    pub(crate) pieces: u64,
    pub(crate) caught_up: u64,
    pub(crate) refused: u64,
    pub(crate) given_up: u64,
}

impl Outcome {
    pub(crate) fn add(&mut self, other: &Outcome) {
        self.steps += other.steps;
        self.decided += other.decided;
        self.acknowledged += other.acknowledged;
        self.reigns += other.reigns;
        self.rescues += other.rescues;
        self.heartbeats += other.heartbeats;
        self.dropped += other.dropped;
        self.pieces += other.pieces;
        self.caught_up += other.caught_up;
        self.refused += other.refused;
        self.given_up += other.given_up;
    }
}

impl World {
    pub(crate) fn new(seed: u64, members: usize, profile: Profile, fault: Option<Fault>) -> World {
        let random = SmallRng::seed_from_u64(seed);
        let pace = if seed.is_multiple_of(4) { 128 << 10 } else { 128 << 20 };
        let mut world = World {
            now_us: 0,
            numbered: 0,
            queue: BinaryHeap::new(),
            random,
            members: (0..members).map(|at| Member::new(at as u64 + 100, pace)).collect(),
            links: Links::new(members),
            checker: Checker::default(),
            stalled_us: vec![0; members],
            profile,
            fault,
            is_chaos: true,
            at_peace: Vec::new(),
            ids: 0,
            steps: 0,
        };
        for at in 0..members {
            world.start(at);
        }
        world
    }

    /// A whole run from one seed: three members, or now and then five.
    pub(crate) fn run(seed: u64, profile: Profile, fault: Option<Fault>) -> Result<Outcome, Violation> {
        let members = if seed.is_multiple_of(5) { 5 } else { 3 };
        let mut world = World::new(seed, members, profile, fault);
        world.ask();
        world.after(100_000, 200_000, Event::Misfortune);
        world.until(profile.chaos_us)?;
        world.make_peace()?;
        if world.random.random_bool(0.3) {
            world.blackout();
            world.make_peace()?;
        }
        Ok(world.outcome())
    }

    /// Clients come.
    pub(crate) fn ask(&mut self) {
        self.after(0, 5_000, Event::Client);
    }

    /// Goes on until `end_us`.
    pub(crate) fn until(&mut self, end_us: u64) -> Result<(), Violation> {
        while self.next_us() <= end_us {
            self.turn()?;
        }
        self.now_us = end_us;
        Ok(())
    }

    /// Ends the chaos: everything is decided everywhere, without anything new; then something new is, too.
    pub(crate) fn make_peace(&mut self) -> Result<(), Violation> {
        self.is_chaos = false;
        let members = self.members.len();
        for at in 0..members {
            self.members[at].slow_until_us = 0;
            if self.members[at].running.is_none() {
                self.start(at);
            }
        }
        self.stalled_us.fill(0);
        self.at_peace = self.members.iter().map(Tally::of).collect();
        for (from, to) in pairs(members) {
            self.sever(from, to);
            self.schedule(self.now_us + 1_000, Event::Connect { from, to });
        }
        self.settle("what was under way")?;
        let leader = (0..members).find(|at| self.leads(*at)).expect("a leader");
        self.propose(leader);
        self.follow_up(leader)?;
        self.settle("a probe")?;
        self.checker.check_all(&self.members)
    }

    /// Waits until somebody leads and all members have decided all that any of them holds.
    fn settle(&mut self, what: &str) -> Result<(), Violation> {
        let end_us = self.now_us + PEACE_US;
        while !self.is_settled() {
            if self.next_us() > end_us {
                let states: Vec<_> =
                    self.members.iter().map(|member| format!("{:?}", member.ring())).collect();
                return Err(format!("{what} is not decided everywhere: {}", states.join(" | ")));
            }
            self.turn()?;
        }
        Ok(())
    }

    fn is_settled(&self) -> bool {
        let rings = || self.members.iter().map(Member::ring);
        let length = rings().map(Ring::accepted).max().unwrap_or(0).max(self.checker.decided());
        rings().any(Ring::leads) && rings().all(|ring| ring.decided() == length)
    }

    /// All members lose power at once.
    pub(crate) fn blackout(&mut self) {
        for at in 0..self.members.len() {
            self.crash(at, true);
        }
    }

    pub(crate) fn outcome(&self) -> Outcome {
        let mut outcome = Outcome {
            steps: self.steps,
            decided: self.checker.decided(),
            acknowledged: self.checker.acknowledged(),
            ..Outcome::default()
        };
        for member in &self.members {
            let counts = member.ring().counts();
            outcome.reigns += counts.reigns;
            outcome.rescues += counts.rescues;
            outcome.heartbeats += counts.heartbeats;
            outcome.dropped += counts.dropped;
            outcome.refused += counts.refused;
            outcome.given_up += counts.given_up;
            let catch_ups = member.ring().catch_ups();
            outcome.pieces += catch_ups.installed;
            outcome.caught_up += catch_ups.ended;
        }
        outcome
    }

    fn next_us(&self) -> u64 {
        self.queue.peek().map_or(u64::MAX, |scheduled| scheduled.at_us)
    }

    fn schedule(&mut self, at_us: u64, event: Event) {
        self.numbered += 1;
        self.queue.push(Scheduled { at_us, number: self.numbered, event });
    }

    fn after(&mut self, least_us: u64, most_us: u64, event: Event) {
        let delay = self.random.random_range(least_us..=most_us);
        self.schedule(self.now_us + delay, event);
    }

    fn turn(&mut self) -> Result<(), Violation> {
        let Scheduled { at_us, event, .. } = self.queue.pop().expect("ticks go on for ever");
        self.now_us = at_us;
        if let Some(at) = event.runs_at().filter(|at| self.is_stalled(*at)) {
            self.schedule(self.stalled_us[at], event);
            return Ok(());
        }
        self.steps += 1;
        match event {
            Event::Arrive { from, to, epoch, message } => self.arrive(from, to, epoch, message),
            Event::Tick { at, incarnation } => self.tick(at, incarnation),
            Event::Synced { at, incarnation } => self.synced(at, incarnation),
            Event::Start { at } => {
                self.start(at);
                Ok(())
            }
            Event::Connect { from, to } => self.connect(from, to),
            Event::Join { at, peer, epoch } => self.join(at, peer, epoch),
            Event::Sever { from, to, epoch } => {
                if self.links.is_current(from, to, epoch) {
                    self.break_link(from, to, self.profile.reconnect_us);
                }
                Ok(())
            }
            Event::Lost { at, peer, epoch } => self.lose(at, peer, epoch),
            Event::BulkConnect { at, peer } => self.reconnect_bulk(at, peer),
            Event::Client => self.client(),
            Event::Misfortune => self.misfortune(),
        }
    }

    /// Whether a member does not run now. What has come for it waits, in order.
    fn is_stalled(&mut self, at: usize) -> bool {
        if self.now_us < self.stalled_us[at] {
            return true;
        }
        let begins = self.is_chaos && self.profile.stalls_us > 0 && self.random.random_ratio(1, STALL_IN);
        if begins {
            self.stalled_us[at] = self.now_us + self.random.random_range(1..=self.profile.stalls_us);
        }
        begins
    }

    fn runs(&self, at: usize) -> bool {
        self.members[at].running.is_some()
    }

    fn leads(&self, at: usize) -> bool {
        self.runs(at) && self.members[at].ring().leads()
    }

    /// What a host does after its ring was told anything: sync, send, look at decisions.
    fn follow_up(&mut self, at: usize) -> Result<(), Violation> {
        self.write(at);
        let running = self.members[at].running.as_mut().expect("a member that runs");
        let mut drained = Vec::new();
        running.ring.drain(&mut drained);
        let durable = running.log.lock().durable();
        let all = self.fault == Some(Fault::SendBeforeSync);
        let mut ready = Vec::new();
        for outgoing in drained {
            match outgoing.after {
                Some(after) if after > durable && !all => running.held.push_back(outgoing),
                _ => ready.push(outgoing),
            }
        }
        let mut pieces = Vec::new();
        running.allowances.tick(self.now_us / 1000, running.log.lock().appended());
        running.ring.serve(&mut running.allowances, &mut pieces);
        self.send(at, ready);
        self.send_bulk(at, pieces);
        self.check_rescue(at)?;
        self.checker.check(&mut self.members, at)
    }

    /// A candidate that has caught up in peace stands again by itself: it need not find out first that nobody helps it. Members that
    /// stand still now and then hear of each other late: one may have heard of a later candidate, which has given up since.
    fn check_rescue(&mut self, at: usize) -> Result<(), Violation> {
        if self.is_chaos || self.profile.stalls_us > 0 {
            return Ok(());
        }
        let (known, now) = (self.at_peace[at], Tally::of(&self.members[at]));
        if now.rescues > known.rescues && known.is_candidate && known.caught_up < now.caught_up {
            return Err(format!("member {at} was stranded after it had caught up"));
        }
        self.at_peace[at] = Tally { caught_up: known.caught_up, ..now };
        Ok(())
    }

    fn write(&mut self, at: usize) {
        if self.members[at].take_buffer() {
            let is_slow = self.members[at].slow_until_us > self.now_us;
            let (least_us, most_us) = if is_slow { (5_000, 120_000) } else { (100, 2_000) };
            let incarnation = self.members[at].incarnation;
            self.after(least_us, most_us, Event::Synced { at, incarnation });
        }
    }

    fn send(&mut self, from: usize, outgoing: Vec<Outgoing>) {
        for Outgoing { to, message, .. } in outgoing {
            let to = usize::from(to.0);
            let is_late = self.is_chaos && self.random.random_range(0..1000) < self.profile.late_per_mille;
            let most_us = if is_late { 40_000 } else { 1_000 };
            let arrival_us = self.now_us + self.random.random_range(50..most_us);
            if let Some((arrival_us, epoch)) = self.links.send(from, to, arrival_us) {
                self.schedule(arrival_us, Event::Arrive { from, to, epoch, message });
            }
        }
    }

    /// The bulk channel keeps no order with the ring's, and is as slow as it likes.
    fn send_bulk(&mut self, from: usize, pieces: Vec<Outgoing>) {
        for Outgoing { to, message, .. } in pieces {
            let to = usize::from(to.0);
            let most_us = if self.is_chaos && self.random.random_bool(0.1) { 150_000 } else { 5_000 };
            let arrival_us = self.now_us + self.random.random_range(50..most_us);
            if self.is_chaos && self.random.random_bool(0.05) {
                self.after(0, 20_000, Event::BulkConnect { at: from, peer: to });
            } else if self.links.carries(from, to) {
                let epoch = self.links.epoch(from, to);
                self.schedule(arrival_us, Event::Arrive { from, to, epoch, message });
            }
        }
    }

    fn arrive(&mut self, from: usize, to: usize, epoch: u32, message: Bytes) -> Result<(), Violation> {
        let is_current = self.links.is_current(from, to, epoch);
        let is_unfenced = self.fault == Some(Fault::NoFencing) && self.links.is_up(from, to);
        if !self.runs(to) || !(is_current || is_unfenced) {
            return Ok(());
        }
        if is_current {
            self.join(to, from, epoch)?;
        }
        let ring = &mut self.members[to].running.as_mut().expect("a member that runs").ring;
        match ring.step(NodeId(from as u16), message) {
            Ok(()) => self.follow_up(to),
            Err(_) if is_unfenced && !is_current => Ok(()),
            Err(error) => Err(format!("member {to} refused a message: {error}")),
        }
    }

    fn tick(&mut self, at: usize, incarnation: u32) -> Result<(), Violation> {
        if !self.runs(at) || self.members[at].incarnation != incarnation {
            return Ok(());
        }
        let jitter = self.random.random_range(0..TICK_US / 20);
        self.schedule(self.now_us + TICK_US + jitter, Event::Tick { at, incarnation });
        self.members[at].running.as_mut().expect("a member that runs").ring.tick(self.now_us / 1000);
        self.follow_up(at)
    }

    fn synced(&mut self, at: usize, incarnation: u32) -> Result<(), Violation> {
        if !self.runs(at) || self.members[at].incarnation != incarnation {
            return Ok(());
        }
        let ready = self.members[at].synced();
        self.send(at, ready);
        self.follow_up(at)
    }

    fn start(&mut self, at: usize) {
        if self.runs(at) {
            return;
        }
        let members = self.members.len();
        self.members[at].start(at, members, self.fault);
        let incarnation = self.members[at].incarnation;
        self.after(0, TICK_US, Event::Tick { at, incarnation });
        for peer in (0..self.members.len()).filter(|peer| *peer != at) {
            self.after(0, 10_000, Event::Connect { from: at, to: peer });
        }
    }

    fn connect(&mut self, from: usize, to: usize) -> Result<(), Violation> {
        if !self.runs(from) || !self.runs(to) || self.links.is_up(from, to) {
            return Ok(());
        }
        let epoch = self.links.connect(from, to);
        self.after(0, 3_000, Event::Join { at: to, peer: from, epoch });
        self.join(from, to, epoch)
    }

    /// One end begins to use the connection.
    fn join(&mut self, at: usize, peer: usize, epoch: u32) -> Result<(), Violation> {
        if !self.links.is_current(at, peer, epoch) || !self.links.join(at, peer) {
            return Ok(());
        }
        let (node, nonce) = (NodeId(peer as u16), self.members[peer].nonce);
        let running = self.members[at].running.as_mut().expect("a link that is up has two ends that run");
        running.held.retain(|outgoing| outgoing.to != node);
        running.ring.meet(node, nonce).map_err(|amnesiac| amnesiac.to_string())?;
        running.ring.reconnected(node);
        self.follow_up(at)
    }

    /// A connection ends, which both ends notice soon.
    fn sever(&mut self, from: usize, to: usize) {
        if self.links.is_up(from, to) {
            let epoch = self.links.epoch(from, to);
            self.links.sever(from, to);
            self.after(0, 3_000, Event::Lost { at: from, peer: to, epoch });
            self.after(0, 3_000, Event::Lost { at: to, peer: from, epoch });
        }
    }

    /// One end notices that a connection has ended, unless there is another one by now.
    fn lose(&mut self, at: usize, peer: usize, epoch: u32) -> Result<(), Violation> {
        if !self.runs(at) || self.links.is_up(at, peer) || self.links.epoch(at, peer) != epoch {
            return Ok(());
        }
        self.members[at].running.as_mut().expect("a member that runs").ring.lost(NodeId(peer as u16));
        self.follow_up(at)
    }

    /// A bulk connection that was lost is there again.
    fn reconnect_bulk(&mut self, at: usize, peer: usize) -> Result<(), Violation> {
        if !self.runs(at) {
            return Ok(());
        }
        let ring = &mut self.members[at].running.as_mut().expect("a member that runs").ring;
        ring.bulk_connected(NodeId(peer as u16));
        self.follow_up(at)
    }

    fn break_link(&mut self, from: usize, to: usize, most_us: u64) {
        self.sever(from, to);
        self.after(0, most_us, Event::Connect { from, to });
    }

    pub(crate) fn leader(&self) -> Option<usize> {
        (0..self.members.len()).find(|at| self.leads(*at))
    }

    /// How many terms the members have seen begin.
    pub(crate) fn elections(&self) -> u64 {
        let running = self.members.iter().filter(|member| member.running.is_some());
        running.map(|member| member.ring().counts().elections).sum()
    }

    pub(crate) fn crash(&mut self, at: usize, power_loss: bool) {
        let changes = self.random.random_range(0..6);
        let seed = self.random.random();
        self.members[at].crash(changes, power_loss.then_some(seed));
        for peer in (0..self.members.len()).filter(|peer| *peer != at) {
            self.sever(at, peer);
        }
    }

    fn propose(&mut self, at: usize) {
        self.ids += 1;
        let padding = if self.random.random_bool(0.05) { 9_000 } else { 0 };
        let running = self.members[at].running.as_mut().expect("a member that runs");
        running.proposed.push_back((running.ring.accepted(), self.ids));
        running.ring.append(entry(self.ids, padding));
    }

    fn client(&mut self) -> Result<(), Violation> {
        if !self.is_chaos {
            return Ok(());
        }
        self.after(2_000, 40_000, Event::Client);
        for at in 0..self.members.len() {
            if self.leads(at) {
                for _ in 0..self.random.random_range(1..4) {
                    if self.members[at].ring().has_room() {
                        self.propose(at);
                    }
                }
                self.follow_up(at)?;
            }
        }
        Ok(())
    }

    fn misfortune(&mut self) -> Result<(), Violation> {
        if !self.is_chaos {
            return Ok(());
        }
        self.after(0, 2 * self.profile.pause_us, Event::Misfortune);
        let members = self.members.len();
        let at = self.random.random_range(0..members);
        let peer = (at + self.random.random_range(1..members)) % members;
        let mut drawn = self.random.random_range(0..self.profile.weights());
        let mut is = |weight: u32| {
            let hit = drawn < weight;
            drawn = drawn.wrapping_sub(weight);
            hit
        };
        let Profile { breaks, cuts, isolations, crashes, blackouts, .. } = self.profile;
        if is(breaks) {
            self.break_link(at, peer, self.profile.reconnect_us);
        } else if is(cuts) {
            self.cut(at, peer);
        } else if is(isolations) {
            for peer in (0..members).filter(|peer| *peer != at) {
                self.break_link(at, peer, 8 * self.profile.reconnect_us);
            }
        } else if is(crashes) {
            self.fell(at);
        } else if is(blackouts) {
            (0..members).for_each(|at| self.fell(at));
        } else {
            self.members[at].slow_until_us = self.now_us + 200_000;
        }
        Ok(())
    }

    /// The link loses one direction, and breaks some time later.
    fn cut(&mut self, from: usize, to: usize) {
        self.links.cut(from, to);
        let epoch = self.links.epoch(from, to);
        self.after(50_000, 400_000, Event::Sever { from, to, epoch });
    }

    /// A member crashes, and is started again.
    fn fell(&mut self, at: usize) {
        let power_loss = self.random.random_bool(0.7);
        self.crash(at, power_loss);
        self.after(1_000, 300_000, Event::Start { at });
    }
}

fn pairs(members: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..members).flat_map(move |to| (0..to).map(move |from| (from, to)))
}
