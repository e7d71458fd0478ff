//! The world: machines, the network between them, and an agenda of what happens when. One seed decides everything.

use super::audit::Audit;
use super::machine::{Blueprint, Machine, Shape};
use super::misfortune::{Misfortune, Swarm, leap_ms};
use super::network::{Arrival, Conditions, EndId, Network, Place, Port};
use super::pace::Pace;
use super::process::Surroundings;
use super::trace::Trace;
use crate::front::Front;
use crate::node::Node;
use crate::service::StateMachine;
use bytes::{Bytes, BytesMut};
use multicast::PartitionId;
use multicast::disk::Reads;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use std::collections::BTreeMap;

/// The longest time between two turns of a node among peers, in microseconds, as the host has it.
const TICK_US: u64 = 10_000;
/// The least time between two turns: what a turn takes.
const TURN_US: u64 = 40;

/// After every so-many'th turn a process waits for a processor, where processes do.
const WAITS_IN: u32 = 20;

/// What concerns those outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Something can be read at an end of theirs, if only that there will be nothing more.
    Readable(EndId),
    /// It is the time that they named.
    Wake(u64),
}

/// What is on the agenda.
#[derive(Debug)]
enum Item {
    Turn(usize),
    Arrive(EndId),
    Wake(u64),
    Strike(Misfortune),
    Mend(Mending),
}

/// How a misfortune ends.
#[derive(Debug)]
enum Mending {
    Start(usize),
    Heal(Vec<(Place, Place)>),
    QuickNetwork,
    QuickDisk(usize, u64),
    Room(usize),
    Reads(usize),
    Clocks(Vec<usize>),
}

/// Machines and what is between and around them.
pub struct World<S: StateMachine, F: Front<S>> {
    blueprint: Blueprint<S, F>,
    machines: Vec<Machine<S, F>>,
    network: Network,
    conditions: Conditions,
    swarm: Swarm,
    /// In a run that asks how fast a cluster would be.
    pace: Option<Pace>,
    /// How long processes wait for a processor at most, now and then.
    waits_us: u64,
    healed: bool,
    agenda: BTreeMap<(u64, u64), Item>,
    numbered: u64,
    now_us: u64,
    steps: u64,
    rng: SmallRng,
    trace: Trace,
    audit: Audit,
    met: BTreeMap<Misfortune, u64>,
    violation: Option<String>,
    wrong_clocks: Vec<(u64, u64)>,
}

impl<S: StateMachine, F: Front<S>> World<S, F> {
    /// A world whose nodes have just started, on empty disks.
    pub fn new(seed: u64, blueprint: Blueprint<S, F>, swarm: Swarm) -> World<S, F> {
        let mut rng = SmallRng::seed_from_u64(seed);
        let conditions = Conditions {
            latency_us: rng.random_range(20..500),
            jitter_us: rng.random_range(0..2_000),
            window_bytes: *[2 << 10, 16 << 10, 256 << 10].choose(&mut rng).expect("three"),
            bytes_per_s: None,
        };
        let machines = (0..blueprint.shape.nodes).map(|me| Machine::new(me, &mut rng)).collect();
        let mut world = World {
            blueprint,
            machines,
            network: Network::new(conditions),
            conditions,
            swarm,
            pace: None,
            waits_us: 0,
            healed: false,
            agenda: BTreeMap::new(),
            numbered: 0,
            now_us: 0,
            steps: 0,
            rng,
            trace: Trace::default(),
            audit: Audit::default(),
            met: BTreeMap::new(),
            violation: None,
            wrong_clocks: Vec::new(),
        };
        if world.swarm.0.contains_key(&Misfortune::ClockAtStart) && world.rng.random() {
            let (node, ahead_ms) = (world.rng.random_range(0..world.machines.len()), leap_ms(&mut world.rng));
            // There is no earlier entry yet to tell the wrong one of two clocks by, and then the lower one counts.
            world.set_one_clock(node, ahead_ms.abs());
        }
        (0..world.machines.len()).for_each(|node| world.start(node));
        Misfortune::ALL.into_iter().for_each(|kind| world.await_next(kind));
        world
    }

    /// A world in which nothing goes wrong and everything takes its time.
    pub fn paced(blueprint: Blueprint<S, F>, pace: Pace) -> World<S, F> {
        let mut world = World::new(0, blueprint, Swarm::calm());
        world.conditions = pace.conditions();
        world.network.set_conditions(world.conditions);
        world.pace = Some(pace);
        world
    }

    /// From now on so many bytes a second pass in each direction of a connection between two nodes.
    pub fn narrow(&mut self, bytes_per_s: u64) {
        self.conditions = Conditions { bytes_per_s: Some(bytes_per_s), ..self.conditions };
        self.network.set_conditions(self.conditions);
    }

    /// From now on processes wait for a processor, up to so long, again and again.
    pub fn crowd(&mut self, waits_us: u64) {
        self.waits_us = waits_us;
    }

    /// Now, in microseconds of the run.
    pub fn now_us(&self) -> u64 {
        self.now_us
    }

    /// How many nodes there are, and so on.
    pub fn shape(&self) -> Shape {
        self.blueprint.shape
    }

    /// What was witnessed so far.
    pub fn audit(&self) -> &Audit {
        &self.audit
    }

    /// How often each kind of misfortune was met.
    pub fn met(&self) -> &BTreeMap<Misfortune, u64> {
        &self.met
    }

    /// What happened so far.
    pub fn trace(&mut self) -> &mut Trace {
        &mut self.trace
    }

    /// What was seen to be wrong, if anything.
    pub fn violation(&self) -> Option<&str> {
        self.violation.as_deref()
    }

    /// The oracle of all nodes.
    pub fn oracle(&self) -> &std::sync::Arc<S::Oracle> {
        &self.blueprint.oracle
    }

    /// The node that runs on a machine, if one does.
    pub fn node(&mut self, node: usize) -> Option<&mut Node<S, F>> {
        self.machines[node].process.as_mut().map(|process| process.node())
    }

    /// Whether a machine was lost for good: its disk is damaged or was replaced.
    pub fn is_lost(&self, node: usize) -> bool {
        self.machines[node].lost
    }

    /// Has [`Notice::Wake`] come at a time.
    pub fn wake_at(&mut self, at_us: u64, token: u64) {
        self.put(at_us, Item::Wake(token));
    }

    /// Somebody outside dials a node's front.
    pub fn dial(&mut self, outside: usize, node: usize) -> EndId {
        let (from, to) = (Place::Outside(outside), Place::Node(node));
        let end = self.network.dial(from, to, Port::Client, &mut self.rng);
        self.post();
        end
    }

    /// Somebody outside writes; what there is no room for stays.
    pub fn write(&mut self, end: EndId, output: &mut BytesMut) {
        self.network.write(end, output, &mut self.rng);
        self.post();
    }

    /// Somebody outside reads: what has come, which may be nothing; `None` once nothing will ever come.
    pub fn read(&mut self, end: EndId) -> Option<Bytes> {
        self.network.read(end, usize::MAX)
    }

    /// Somebody outside closes an end.
    pub fn close(&mut self, end: EndId) {
        self.network.close(end, &mut self.rng);
        self.post();
    }

    /// Goes on to the next thing that concerns those outside, but not beyond a time; `None` then, or if something is wrong.
    pub fn next(&mut self, until_us: u64) -> Option<Notice> {
        while self.violation.is_none() {
            let (at_us, number) = *self.agenda.first_key_value().map(|(key, _)| key)?;
            if at_us > until_us {
                self.now_us = until_us;
                return None;
            }
            let item = self.agenda.remove(&(at_us, number))?;
            self.now_us = at_us;
            self.steps += 1;
            self.network.tick(at_us);
            if let Some(notice) = self.happen(item) {
                return Some(notice);
            }
        }
        None
    }

    /// No more misfortunes: whatever is broken is mended, whoever is dead is started, but for what is lost for good.
    pub fn heal(&mut self) {
        self.healed = true;
        self.trace.tell(self.now_us, || "healed: nothing goes wrong from here on".into());
        for machine in &mut self.machines {
            machine.disk.memory().set_full(false);
            machine.disk.memory().set_sync_fails(false);
            machine.disk.memory().set_reads(Reads::Sound);
            machine.paused_us = machine.paused_us.min(self.now_us);
        }
        let agenda = std::mem::take(&mut self.agenda);
        for (key, item) in agenda {
            match item {
                Item::Mend(mending) => self.mend(mending),
                Item::Strike(_) => {}
                other => drop(self.agenda.insert(key, other)),
            }
        }
        let all: Vec<usize> = (0..self.machines.len()).collect();
        self.set_clocks(&all, 0);
        all.iter().for_each(|node| self.start(*node));
    }

    /// When the wall clocks of fewer than a majority of the machines were right, or with one replica those of fewer than all, to a
    /// few seconds: from and until, in microseconds of the run. A moment in which a clock was set right is among them: until others have heard of it they count it as wrong.
    pub fn wrong_clocks(&self) -> &[(u64, u64)] {
        &self.wrong_clocks
    }

    /// Whether all is quiet: whoever is not lost runs, all its commands are answered, and all replicas of a partition are at
    /// one place, in one state. The error says what is not.
    pub fn settled(&mut self) -> Result<(), String> {
        let mut places: BTreeMap<PartitionId, (usize, u64, u64)> = BTreeMap::new();
        for machine in self.machines.iter_mut().filter(|machine| !machine.lost) {
            let me = machine.me;
            let Some(process) = machine.process.as_mut().filter(|process| process.serves()) else {
                return Err(format!("node {me} does not serve"));
            };
            let status = process.node().status();
            if status.multicast.in_flight > 0 {
                return Err(format!("node {me} waits for {} answers", status.multicast.in_flight));
            }
            for replica in status.replicas {
                let here = (replica.position.index, replica.state_hash);
                let (first, position, hash) =
                    *places.entry(replica.partition).or_insert((me, here.0, here.1));
                if (position, hash) != here {
                    let partition = replica.partition;
                    return Err(format!(
                        "{partition} is at {position} with {hash:x} on node {first}, at {} with {:x} on node {me}, or has not completed it",
                        here.0, here.1
                    ));
                }
            }
        }
        Ok(())
    }

    fn put(&mut self, at_us: u64, item: Item) {
        self.agenda.insert((at_us.max(self.now_us), self.numbered), item);
        self.numbered += 1;
    }

    /// Puts on the agenda what the network has to deliver.
    fn post(&mut self) {
        for (at_us, end) in self.network.take_due() {
            self.put(at_us, Item::Arrive(end));
        }
    }

    fn happen(&mut self, item: Item) -> Option<Notice> {
        let notice = match item {
            Item::Wake(token) => Some(Notice::Wake(token)),
            Item::Arrive(end) => self.arrive(end),
            Item::Turn(node) => self.turn(node),
            Item::Strike(kind) => self.strike(kind),
            Item::Mend(mending) => {
                self.mend(mending);
                None
            }
        };
        self.post();
        notice
    }

    fn arrive(&mut self, end: EndId) -> Option<Notice> {
        let (place, arrival) = self.network.arrive(end, &mut self.rng)?;
        self.trace.mark((self.now_us, end, place, arrival));
        let Place::Node(node) = place else { return Some(Notice::Readable(end)) };
        let serves = self.machines[node].process.as_mut().filter(|process| process.serves());
        match (arrival, serves) {
            (Arrival::Knock(port), Some(process)) => {
                self.network.accept(end);
                process.knock(port, end);
            }
            (Arrival::Knock(_), None) => self.network.refuse(end, &mut self.rng),
            (Arrival::Readable, _) => {}
        }
        self.turn_by(node, self.now_us + TURN_US);
        None
    }

    /// Has a node take a turn at a time, or before.
    fn turn_by(&mut self, node: usize, at_us: u64) {
        let machine = &mut self.machines[node];
        let at_us = at_us.max(machine.paused_us);
        if machine.process.is_none() || machine.turn_us.is_some_and(|turn_us| turn_us <= at_us) {
            return;
        }
        machine.turn_us = Some(at_us);
        self.put(at_us, Item::Turn(node));
    }

    fn turn(&mut self, node: usize) -> Option<Notice> {
        let machine = &mut self.machines[node];
        if machine.turn_us != Some(self.now_us) {
            return None;
        }
        if self.now_us < machine.paused_us {
            machine.turn_us = None;
            self.turn_by(node, 0);
            return None;
        }
        machine.turn_us = None;
        self.trace.mark((self.now_us, node));
        let (now_ms, wall_ms) = machine.clocks(self.now_us);
        let process = machine.process.as_mut()?;
        let drawn_us = machine.sync_us + self.rng.random_range(0..=machine.sync_us);
        let mut surroundings = Surroundings {
            network: &mut self.network,
            disk: &machine.disk,
            sync_us: self.pace.map_or(drawn_us, |pace| pace.sync_us),
            rng: &mut self.rng,
            now_us: self.now_us,
        };
        let span = tracing::info_span!("turn", ms = self.now_us as f64 / 1_000.0, node);
        let turned = span.in_scope(|| process.turn(now_ms, wall_ms, &mut surroundings));
        let witnessed = process.node().take_witnessed();
        let next_us = match process.written_us() {
            _ if process.is_busy() => self.now_us + TURN_US,
            Some(written_us) => written_us.clamp(self.now_us + TURN_US, self.now_us + TICK_US),
            None => self.now_us + TICK_US,
        };
        if let Some(pace) = self.pace {
            machine.paused_us = self.now_us + pace.turn_us(&witnessed);
        }
        if self.waits_us > 0 && self.rng.random_ratio(1, WAITS_IN) {
            machine.paused_us = self.now_us + self.rng.random_range(1..=self.waits_us);
        }
        for witnessed in witnessed {
            let noted = self.audit.note(self.steps, node, witnessed, &self.blueprint, &self.machines);
            if let Err(violation) = noted {
                self.violation.get_or_insert(violation);
            }
        }
        match turned {
            Ok(()) => self.turn_by(node, next_us),
            Err(why) => self.fail(node, &why),
        }
        None
    }

    /// Starts a process, if the machine's log lets it.
    fn start(&mut self, node: usize) {
        if self.machines[node].process.is_some() || self.machines[node].broken {
            return;
        }
        let now_us = self.now_us;
        self.network.light(Place::Node(node));
        match self.machines[node].start(&self.blueprint, now_us) {
            Ok(()) => {
                self.trace.tell(now_us, || format!("node {node} starts"));
                self.turn_by(node, now_us + TURN_US);
            }
            Err(why) => {
                self.trace.tell(now_us, || format!("node {node} cannot start: {why}"));
                self.start_later(node, &why);
            }
        }
    }

    fn start_later(&mut self, node: usize, why: &str) {
        if self.healed {
            self.violation.get_or_insert(format!("node {node} ends when nothing goes wrong any more: {why}"));
        }
        let at_us = self.now_us + self.rng.random_range(100_000..4_000_000);
        self.put(at_us, Item::Mend(Mending::Start(node)));
    }

    /// A process ends by itself: its disk has failed.
    fn fail(&mut self, node: usize, why: &str) {
        self.trace.tell(self.now_us, || format!("node {node} ends: {why}"));
        self.machines[node].disk.memory().set_sync_fails(false);
        self.die(node, false);
        self.start_later(node, why);
    }

    fn die(&mut self, node: usize, power: bool) {
        self.machines[node].stop(power, &mut self.rng);
        let dark = power || self.rng.random_bool(0.2);
        self.network.vacate(Place::Node(node), dark, &mut self.rng);
    }
}

/// Misfortunes, and how they end.
impl<S: StateMachine, F: Front<S>> World<S, F> {
    fn await_next(&mut self, kind: Misfortune) {
        if let Some(wait_us) = self.swarm.wait_us(kind, &mut self.rng) {
            let at_us = self.now_us + wait_us;
            self.put(at_us, Item::Strike(kind));
        }
    }

    fn strike(&mut self, kind: Misfortune) -> Option<Notice> {
        let nodes = self.machines.len();
        let node = self.rng.random_range(0..nodes);
        let other = (node + self.rng.random_range(1..nodes.max(2))) % nodes;
        let lasts_us = self.rng.random_range(50_000..6_000_000);
        let met = self.meet(kind, node, other, self.now_us + lasts_us);
        if met {
            *self.met.entry(kind).or_default() += 1;
            self.trace.mark(kind);
            self.trace.tell(self.now_us, || {
                format!("{kind:?} of node {node} (and {other}) for {} ms", lasts_us / 1_000)
            });
        }
        self.await_next(kind);
        None
    }

    /// A misfortune happens to a node now, and to another where it takes two; whatever lasts does so until then. Says whether it
    /// could happen.
    pub fn meet(&mut self, kind: Misfortune, node: usize, other: usize, until_us: u64) -> bool {
        let (here, there) = (Place::Node(node), Place::Node(other));
        let runs = self.machines[node].process.is_some();
        match kind {
            Misfortune::Kill | Misfortune::PowerLoss => {
                if runs {
                    self.die(node, kind == Misfortune::PowerLoss);
                    self.put(until_us, Item::Mend(Mending::Start(node)));
                }
                runs
            }
            Misfortune::Blackout => {
                for node in 0..self.machines.len() {
                    self.die(node, true);
                    let after_us = self.rng.random_range(0..2_000_000);
                    self.put(self.now_us + after_us, Item::Mend(Mending::Start(node)));
                }
                true
            }
            Misfortune::Pause => {
                self.machines[node].paused_us = until_us;
                runs
            }
            Misfortune::BreakLinks => self.break_between(here, there),
            Misfortune::BreakClients => {
                let outside = |end: &EndId, network: &Network| network.is_from_outside(*end);
                let ends: Vec<EndId> =
                    self.network.ends_at(here).filter(|end| outside(end, &self.network)).collect();
                ends.iter().for_each(|end| self.network.reset(*end, &mut self.rng));
                !ends.is_empty()
            }
            Misfortune::CutOneWay => self.cut(vec![(here, there)], until_us),
            Misfortune::CutPair => self.cut(both_ways(here, there), until_us),
            Misfortune::Isolate => {
                let others = (0..self.machines.len()).filter(|other| *other != node).map(Place::Node);
                self.cut(others.flat_map(|other| both_ways(here, other)).collect(), until_us)
            }
            Misfortune::Split => {
                let (left, right): (Vec<usize>, Vec<usize>) =
                    (0..self.machines.len()).partition(|_| self.rng.random_bool(0.5));
                let pairs = left.iter().flat_map(|a| right.iter().map(move |b| (*a, *b)));
                let cuts = pairs.flat_map(|(a, b)| both_ways(Place::Node(a), Place::Node(b))).collect();
                self.cut(cuts, until_us)
            }
            Misfortune::SlowNetwork => {
                let Conditions { latency_us, jitter_us, .. } = self.conditions;
                let (latency_us, jitter_us) = (latency_us * 20, (jitter_us + 1_000) * 50);
                self.network.set_conditions(Conditions { latency_us, jitter_us, ..self.conditions });
                self.put(until_us, Item::Mend(Mending::QuickNetwork));
                true
            }
            Misfortune::SlowDisk => {
                let sync_us = self.machines[node].sync_us;
                let slow = sync_us < 5_000;
                if slow {
                    self.machines[node].sync_us = sync_us * self.rng.random_range(10..200);
                    self.put(until_us, Item::Mend(Mending::QuickDisk(node, sync_us)));
                }
                slow
            }
            Misfortune::FailedSync => {
                self.machines[node].disk.memory().set_sync_fails(runs);
                runs
            }
            Misfortune::FullDisk => {
                self.machines[node].disk.memory().set_full(true);
                self.put(until_us, Item::Mend(Mending::Room(node)));
                true
            }
            Misfortune::FailedRead => {
                let reads = if self.rng.random_bool(0.5) { Reads::Fail } else { Reads::Flip };
                if runs {
                    self.machines[node].disk.memory().set_reads(reads);
                    self.put(until_us, Item::Mend(Mending::Reads(node)));
                }
                runs
            }
            Misfortune::Rot | Misfortune::BlankDisk => self.lose(kind, node, until_us),
            Misfortune::OlderCopy => self.copy_or_restore(node, until_us),
            Misfortune::LostPiece => self.lose_piece(node),
            Misfortune::ClockLeap => {
                let ahead_ms = if self.rng.random_bool(0.3) { 0 } else { leap_ms(&mut self.rng) };
                self.set_one_clock(node, ahead_ms);
                true
            }
            Misfortune::ClockAtStart => {
                if runs {
                    self.die(node, false);
                    self.put(until_us, Item::Mend(Mending::Start(node)));
                }
                let ahead_ms = leap_ms(&mut self.rng);
                self.set_one_clock(node, ahead_ms);
                runs
            }
            Misfortune::ClocksLeap => {
                let nodes = self.machines.len();
                let count = self.rng.random_range(nodes / 2 + 1..=nodes);
                let leaping: Vec<usize> = (0..count).map(|step| (node + step) % nodes).collect();
                let ahead_ms = leap_ms(&mut self.rng);
                self.set_clocks(&leaping, ahead_ms);
                self.put(until_us, Item::Mend(Mending::Clocks(leaping)));
                true
            }
        }
    }

    /// From now on the wall clock of this machine is ahead by so much, or of another one that is wrong already.
    fn set_one_clock(&mut self, node: usize, ahead_ms: i64) {
        let wrong = self.machines.iter().position(|machine| !machine.has_right_clock());
        self.set_clocks(&[wrong.unwrap_or(node)], ahead_ms);
    }

    /// From now on the wall clocks of these machines are ahead by so much.
    fn set_clocks(&mut self, nodes: &[usize], ahead_ms: i64) {
        self.trace.tell(self.now_us, || format!("the clocks of {nodes:?} are {ahead_ms} ms ahead"));
        let is_set_right = |node: &usize| ahead_ms == 0 && !self.machines[*node].has_right_clock();
        if nodes.iter().any(is_set_right) {
            self.wrong_clocks.push((self.now_us, self.now_us));
        }
        nodes.iter().for_each(|node| self.machines[*node].set_clock_ahead(ahead_ms));
        let right = self.machines.iter().filter(|machine| machine.has_right_clock()).count();
        // A replica that is alone proposes before it has heard another clock.
        let are_enough = match self.blueprint.shape.replicas {
            1 => right == self.machines.len(),
            _ => 2 * right > self.machines.len(),
        };
        let are_wrong = !are_enough;
        let open = self.wrong_clocks.iter_mut().find(|(_, until_us)| *until_us == u64::MAX);
        match (open, are_wrong) {
            (Some((_, until_us)), false) => *until_us = self.now_us,
            (None, true) => self.wrong_clocks.push((self.now_us, u64::MAX)),
            (Some(_), true) | (None, false) => {}
        }
    }

    fn break_between(&mut self, here: Place, there: Place) -> bool {
        let ends = self.network.between(here, there);
        ends.iter().for_each(|end| self.network.reset(*end, &mut self.rng));
        !ends.is_empty()
    }

    fn cut(&mut self, cuts: Vec<(Place, Place)>, until_us: u64) -> bool {
        cuts.iter().for_each(|(from, to)| self.network.cut(*from, *to));
        let any = !cuts.is_empty();
        self.put(until_us, Item::Mend(Mending::Heal(cuts)));
        any
    }

    /// Whether a machine may be lost for good: one of a run, for a minority may be.
    fn may_lose(&self) -> bool {
        self.blueprint.shape.replicas >= 3 && self.machines.iter().all(|machine| !machine.lost)
    }

    /// Makes a copy of a directory, and lets the node start anew; or gives a node the older copy of its directory. Only where
    /// all others run and have met what the copy lacks: nobody else can know better, and there the copy is taken.
    fn copy_or_restore(&mut self, node: usize, until_us: u64) -> bool {
        if !self.may_lose() {
            return false;
        }
        let Some(copied) = self.machines.iter().position(Machine::has_copy) else {
            let kept = self.machines[node].keep_copy();
            if kept {
                self.die(node, false);
                self.put(until_us, Item::Mend(Mending::Start(node)));
            }
            return kept;
        };
        let (peer, now_us) = (self.blueprint.ids[copied], self.now_us);
        let Some(starts) = self.machines[copied].starts() else { return false };
        let is_met = |(place, machine): (usize, &mut Machine<S, F>)| {
            if place == copied { machine.is_beyond_copy(now_us) } else { machine.has_met(peer, starts) }
        };
        if !self.machines.iter_mut().enumerate().all(is_met) {
            return false;
        }
        self.die(copied, true);
        let more = self.rng.random_range(0..3);
        if let Err(why) = self.machines[copied].restore(&self.blueprint, starts + more, now_us) {
            self.violation.get_or_insert(format!("node {copied} cannot start on a copy: {why}"));
        }
        self.put(until_us, Item::Mend(Mending::Start(copied)));
        true
    }

    /// A node loses a piece of its directory, and must not start.
    fn lose_piece(&mut self, node: usize) -> bool {
        if !self.may_lose() || self.machines[node].process.is_none() {
            return false;
        }
        self.die(node, true);
        self.machines[node].disk.memory().set_reads(Reads::Sound);
        let (piece, started) = self.machines[node].lose_piece(&self.blueprint, &mut self.rng, self.now_us);
        if started.is_ok() {
            self.die(node, false);
            self.violation.get_or_insert(format!("node {node} starts though {piece} is lost"));
        }
        self.machines[node].broken = true;
        self.trace.tell(self.now_us, || format!("node {node} has lost {piece}"));
        true
    }

    /// A machine is lost for good, unless one is lost already.
    fn lose(&mut self, kind: Misfortune, node: usize, until_us: u64) -> bool {
        if !self.may_lose() {
            return false;
        }
        if kind == Misfortune::BlankDisk {
            self.die(node, true);
            self.machines[node].blank(&mut self.rng);
            self.put(until_us, Item::Mend(Mending::Start(node)));
            return true;
        }
        self.machines[node].disk.memory().set_reads(Reads::Sound);
        let rotten = self.machines[node].disk.clone().rot(&mut self.rng);
        if rotten {
            self.die(node, false);
            let recovered = self.machines[node].start(&self.blueprint, self.now_us);
            match recovered {
                // The damaged bytes matter to nobody.
                Ok(()) => {
                    self.die(node, false);
                    self.put(until_us, Item::Mend(Mending::Start(node)));
                }
                Err(why) => {
                    (self.machines[node].lost, self.machines[node].broken) = (true, true);
                    self.trace.tell(self.now_us, || format!("node {node} is lost: {why}"));
                }
            }
        }
        rotten
    }

    fn mend(&mut self, mending: Mending) {
        self.trace.tell(self.now_us, || format!("mended: {mending:?}"));
        match mending {
            Mending::Start(node) => self.start(node),
            Mending::Heal(cuts) => cuts.iter().for_each(|(from, to)| self.network.heal(*from, *to)),
            Mending::QuickNetwork => self.network.set_conditions(self.conditions),
            Mending::QuickDisk(node, sync_us) => self.machines[node].sync_us = sync_us,
            Mending::Room(node) => self.machines[node].disk.memory().set_full(false),
            Mending::Reads(node) => self.machines[node].disk.memory().set_reads(Reads::Sound),
            Mending::Clocks(nodes) => self.set_clocks(&nodes, 0),
        }
        self.post();
    }
}

fn both_ways(a: Place, b: Place) -> Vec<(Place, Place)> {
    vec![(a, b), (b, a)]
}
