//! One run: a cluster and its clients through misfortunes, then without them until all is quiet, then the judgement.

use super::checkers::answers::check_answers;
use super::checkers::freshness::check_freshness;
use super::checkers::lifetimes::check_lifetimes;
use super::checkers::linearizability::{self, Findings};
use super::checkers::permissions::check_permissions;
use super::checkers::sessions::check_sessions;
use super::checkers::times::check_times;
use super::checkers::watches::check_watches;
use super::client::{Calls, Client, Mood, Surroundings};
use super::cluster::{Cluster, blueprint_of};
use super::counts::Counts;
use super::draw::{self, NODES_MAX, Sizes};
use super::emphasis::Emphasis;
use super::history::{Happening, History};
use super::workload::{TTL_BRIEF_MS_MAX, Workload};
use eyrie::NodeId;
use eyrie::sim::{Blueprint, EPOCH_MS, Notice, Shape, Swarm};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use std::collections::BTreeMap;
use volery::gateway::Gateway;
use volery::placement::PlacementConfig;
use volery::service::Volery;

/// How long after everything is mended all must be quiet.
pub const SETTLE_US: u64 = 180_000_000;
/// Things go wrong for less than this.
pub const TROUBLE_US_MAX: u64 = 15_000_000;
/// How long clients go on with requests after everything is mended.
const AFTERMATH_US: u64 = 1_500_000;
/// How long it must have been quiet.
const QUIET_US: u64 = 300_000;
/// What goes by itself has gone after so long without changes.
const REST_US: u64 = TTL_BRIEF_MS_MAX as u64 * 1_000 + 3_000_000;

/// Sets what is drawn of a wider cluster apart from what is drawn of the usual one.
const WIDER: u64 = 0x5747_1DE5;

/// What a seed decides before a run begins.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// The cluster.
    pub shape: Shape,
    /// Ids of as many nodes as a cluster may have, ascending; it takes the first.
    pub ids: Vec<NodeId>,
    /// Where znodes live.
    pub placement: PlacementConfig,
    /// What goes wrong.
    pub swarm: Swarm,
    /// How many clients there are.
    pub clients: usize,
    /// How many others there are, that ask for little.
    pub crowd: usize,
    /// How large values are, and what is let through.
    pub sizes: Sizes,
    /// How long things go wrong.
    pub trouble_us: u64,
    /// Whether it goes on until everything is gone that goes by itself.
    pub outlasts: bool,
    /// What clients do more often than is drawn.
    pub emphasis: Emphasis,
}

impl Plan {
    /// The plan of a seed: of any shape.
    pub fn of(seed: u64) -> Plan {
        let mut plan = Plan::usual(seed);
        let mut rng = SmallRng::seed_from_u64(seed ^ WIDER);
        plan.shape = draw::shape(&mut rng);
        plan.ids = draw::ids(&mut rng);
        plan.placement = draw::placement(&mut rng, plan.shape.partitions);
        plan.sizes = draw::sizes(&mut rng);
        plan.crowd = draw::crowd(&mut rng);
        plan.outlasts = draw::outlasts(&mut rng);
        plan.emphasis = draw::habits(&mut rng);
        plan.trouble_us = plan.trouble_us * 3 / draw::weight(plan.shape).max(3);
        plan
    }

    /// The same in a cluster of the usual shape: 2 to 4 partitions with 3 replicas each, on 3 or 4 nodes.
    pub fn usual(seed: u64) -> Plan {
        let mut rng = SmallRng::seed_from_u64(seed);
        let nodes = if rng.random_bool(0.75) { 3 } else { 4 };
        Plan {
            seed,
            shape: Shape { nodes, partitions: rng.random_range(2..=4), replicas: 3 },
            ids: Shape { nodes: NODES_MAX, partitions: 1, replicas: 1 }.dense_ids(),
            placement: PlacementConfig::default(),
            swarm: Swarm::draw(&mut rng),
            clients: rng.random_range(2..=6),
            crowd: 0,
            sizes: Sizes::USUAL,
            trouble_us: rng.random_range(3_000_000..TROUBLE_US_MAX),
            outlasts: false,
            emphasis: Emphasis::default(),
        }
    }

    fn blueprint(&self) -> Blueprint<Volery, Gateway> {
        blueprint_of(self.shape, self.sizes, self.ids[..self.shape.nodes].to_vec(), &self.placement)
    }
}

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What was wrong, if anything, in words.
    pub violation: Option<String>,
    /// The same for two runs exactly if they went alike.
    pub digest: u64,
    /// What happened.
    pub counts: Counts,
    /// The last lines of what happened, if they were asked for.
    pub trace: Vec<String>,
}

/// Carries out a plan. With `trace` it keeps lines to read.
pub fn run(plan: &Plan, trace: bool) -> Outcome {
    let mut run = Run::new(plan, trace);
    let violation = run.carry_out(plan).and_then(|()| run.judge()).err();
    run.outcome(violation)
}

struct Run {
    world: Cluster,
    history: History,
    calls: Calls,
    workload: Workload,
    clients: Vec<Client>,
    findings: Findings,
    sizes: Sizes,
    /// Since when everything is gone that goes by itself.
    rested_us: Option<u64>,
}

impl Run {
    fn new(plan: &Plan, trace: bool) -> Run {
        let mut rng = SmallRng::seed_from_u64(!plan.seed);
        let mut world = Cluster::new(rng.random(), plan.blueprint(), plan.swarm.clone());
        if trace {
            world.trace().keep_lines();
        }
        let workload = Workload::draw(&mut rng, &plan.emphasis, plan.sizes);
        let mut calls = Calls::default();
        let clients = (0..plan.clients).map(|index| {
            let first = if index == 0 { workload.preparation(|| calls.draw()) } else { Vec::new() };
            Client::new(index, rng.random(), &plan.emphasis, first)
        });
        let mut clients: Vec<Client> = clients.collect();
        let crowd = plan.clients..plan.clients + plan.crowd;
        clients.extend(crowd.map(|index| Client::of_a_crowd(index, rng.random(), &plan.emphasis)));
        let mut run = Run {
            world,
            history: History::default(),
            calls,
            workload,
            clients,
            findings: Findings::default(),
            sizes: plan.sizes,
            rested_us: None,
        };
        (0..run.clients.len()).for_each(|client| run.world.wake_at(0, client as u64));
        run
    }

    fn carry_out(&mut self, plan: &Plan) -> Result<(), String> {
        self.go_on(plan.trouble_us)?;
        self.world.heal();
        let healed_us = self.world.now_us();
        self.go_on(healed_us + AFTERMATH_US)?;
        self.clients.iter_mut().for_each(|client| client.set_mood(Mood::Finish));
        self.come_to_rest(healed_us)?;
        if plan.outlasts {
            self.go_on(self.world.now_us() + REST_US)?;
            self.rested_us = Some(self.world.now_us());
            self.clients[0].look(self.workload.mortals());
            self.come_to_rest(healed_us)?;
        }
        Ok(())
    }

    fn come_to_rest(&mut self, healed_us: u64) -> Result<(), String> {
        let mut quiet_since = None;
        loop {
            let now_us = self.world.now_us();
            self.go_on(now_us + 50_000)?;
            match self.is_quiet() {
                Err(_) => quiet_since = None,
                Ok(()) if *quiet_since.get_or_insert(now_us) + QUIET_US < now_us => return Ok(()),
                Ok(()) => {}
            }
            if now_us > healed_us + SETTLE_US {
                let why = self.is_quiet().err().unwrap_or_default();
                return Err(format!("stuck: {} s after all was mended: {why}", SETTLE_US / 1_000_000));
            }
        }
    }

    fn is_quiet(&mut self) -> Result<(), String> {
        match self.clients.iter().find(|client| !client.has_finished()) {
            Some(client) => Err(client.state()),
            None => self.world.settled(),
        }
    }

    /// Goes on to a time.
    fn go_on(&mut self, until_us: u64) -> Result<(), String> {
        while let Some(notice) = self.world.next(until_us) {
            let Run { world, history, calls, workload, clients, .. } = self;
            let mut around = Surroundings { world, history, calls, workload };
            match notice {
                Notice::Wake(client) => {
                    let again_us = clients[client as usize].wake(&mut around);
                    world.wake_at(again_us, client);
                }
                Notice::Readable(end) => {
                    if let Some(client) = clients.iter_mut().find(|client| client.end() == Some(end)) {
                        client.read(&mut around);
                    }
                }
            }
        }
        self.world.violation().map_or(Ok(()), |violation| Err(violation.to_string()))
    }

    fn judge(&mut self) -> Result<(), String> {
        if let Some(wrong) = self.clients.iter().find_map(Client::wronged) {
            return Err(wrong.to_string());
        }
        let oracle = self.world.oracle().clone();
        self.world.audit().judge::<Volery>(&oracle)?;
        self.findings = linearizability::check(&self.history);
        let sessions = check_sessions(&self.history).violations;
        let watches = check_watches(&self.history, &oracle).violations;
        let permissions = check_permissions(&self.history).violations;
        let answers = check_answers(&self.history, self.sizes).violations;
        let freshness = check_freshness(&self.history).violations;
        let times = check_times(&self.history, EPOCH_MS, self.world.wrong_clocks()).violations;
        let rested_ms = self.rested_us.map(|rested_us| rested_us / 1_000);
        let lifetimes = check_lifetimes(&self.history, rested_ms).violations;
        let found = freshness.iter().map(ToString::to_string);
        let found = found.chain(times.iter().map(ToString::to_string));
        let found = found.chain(lifetimes.iter().map(ToString::to_string));
        let found = found.chain(self.findings.violations.iter().cloned());
        let found = found.chain(sessions.iter().map(ToString::to_string));
        let found = found.chain(watches.iter().map(ToString::to_string));
        let found = found.chain(permissions.iter().map(ToString::to_string));
        let found: Vec<String> = found.chain(answers.iter().map(ToString::to_string)).collect();
        if found.is_empty() { Ok(()) } else { Err(found.join("\n")) }
    }

    fn outcome(mut self, violation: Option<String>) -> Outcome {
        let count = |is: fn(&Happening) -> bool| {
            self.history.entries.iter().filter(|entry| is(&entry.happening)).count() as u64
        };
        let counts = Counts {
            returned: count(|happening| matches!(happening, Happening::Returned { .. })),
            unknown: count(|happening| matches!(happening, Happening::Unknown { .. })),
            notified: count(|happening| matches!(happening, Happening::Notified { .. })),
            simulated_us: self.world.now_us(),
            met: self.world.met().clone(),
            executed: self.world.audit().executed() as u64,
            histories: self.findings.histories as u64,
            given_up: self.findings.gave_up as u64,
            reached: BTreeMap::new(),
        };
        Outcome {
            violation,
            digest: self.world.trace().digest(),
            counts,
            trace: self.world.trace().lines().map(str::to_string).collect(),
        }
    }
}
